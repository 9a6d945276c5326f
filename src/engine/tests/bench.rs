//! A bench for scripts of a line: an engine, its journal and two workers. The scripts are in
//! mod.rs.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::gang::Allows;
use ganger_proto::message::{DoneRun, Held, LeaseRun, Load, Report, WorkerHello};
use ganger_proto::place::{Need, Offer};
use ganger_proto::spec::{After, Rate, Then};
use ganger_proto::{
    ArgList, Args, Backoff, BatchId, BatchOptions, Ended, Epoch, Key, Kind, Label, Lane, Name,
    Outcome, PerLane, QueueName, Role, Select, Spec, WallMs,
};

use super::super::event::{decode, encode};
use super::super::input::{ClientId, Drain, Said};
use super::super::task::State;
use super::super::*;

/// An engine with a journal, at a moment, with workers `a` and `b` that say what a script says.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(super) journal: Vec<u8>,
    /// All journals so far, and what else came with each: blocks of results.
    pub(crate) written: Vec<Vec<u8>>,
    pub(crate) bodies: Vec<Output>,
    pub(super) replayed: Ledger,
    pub(super) now: Now,
    epoch: u32,
    reports: u64,
    pub(super) heard: String,
}

/// What a worker presents when it joins.
#[derive(Clone, Copy, PartialEq)]
enum Present {
    Nothing,
    Held,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_limit(settings().tasks_max)
    }

    /// As [`Bench::new`], with room for so many tasks.
    pub(super) fn with_limit(tasks_max: u64) -> Self {
        let engine = Engine::new(Settings { tasks_max, ..settings() });
        let now = Now { mono_ms: 50_000, wall: WallMs(1_000_000) };
        let (journal, written, heard) = (Vec::new(), Vec::new(), String::new());
        let (replayed, bodies) = (Ledger::new(), Vec::new());
        let mut bench =
            Self { engine, journal, written, bodies, replayed, now, epoch: 0, reports: 0, heard };
        bench.epoch = 1;
        bench.give(Input::Began { epoch: Epoch::new(1) });
        bench
    }

    /// Begins another master's life with what the journal gives.
    fn restart(&mut self) {
        self.epoch += 1;
        let ledger = std::mem::take(&mut self.replayed);
        let kept = Ledger::restore(ledger.snapshot()).unwrap();
        self.replayed = kept;
        self.engine = Engine::with_ledger(settings(), ledger);
        self.give(Input::Began { epoch: Epoch::new(self.epoch) });
    }

    fn give(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        let out = self.engine.drain(self.now);
        self.journal = encode(&out.events);
        if !out.events.is_empty() {
            self.written.push(self.journal.clone());
            let (blocks, drop_blocks) = (out.blocks, out.drop_blocks);
            self.bodies.push(Output { blocks, drop_blocks, ..Output::default() });
        }
        for event in decode(&self.journal).unwrap() {
            self.replayed.apply(&event);
        }
        for effect in out.effects {
            self.hear(effect);
        }
        if self.engine.settings.tasks_max > settings().tasks_max {
            // What follows looks at every task on its own.
            return;
        }
        self.engine.audit().unwrap();
        assert_eq!(self.replayed.digest(), self.engine.ledger.digest());
        let restored = Ledger::restore(self.engine.ledger.snapshot()).unwrap();
        for id in 1..self.engine.ledger.next_task {
            let task = self.engine.ledger.task(TaskId::new(id));
            assert_eq!(self.replayed.task(TaskId::new(id)), task);
            assert_eq!(restored.task(TaskId::new(id)), task);
        }
        for (id, worker) in &restored.workers {
            assert_eq!(self.engine.ledger.workers[id], *worker, "tasks of {}", worker.name);
        }
    }

    fn hear(&mut self, effect: Effect) {
        let runs = |leases: &[LeaseRun]| leases.iter().map(|run| run.count).sum::<u32>();
        let said = match effect {
            Effect::Reply { result: Ok(Reply::Submitted { batch, tasks, duplicate }), .. } => {
                format!("{batch}:{tasks}{}", if duplicate { " again" } else { "" })
            }
            Effect::Reply { result: Ok(Reply::Changed(c)), .. } => {
                let parts =
                    [("ok", c.changed), ("asked", c.asked), ("ended", c.ended), ("no", c.refused)];
                let parts = parts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| match n {
                    1 => (*word).to_owned(),
                    n => format!("{word}*{n}"),
                });
                parts.collect::<Vec<_>>().join(",")
            }
            Effect::Reply { result: Ok(_), .. } => String::new(),
            Effect::Reply { result: Err(refusal), .. } => format!("refused: {refusal}"),
            Effect::Welcome { stale, .. } if stale.is_empty() => "hello".to_owned(),
            Effect::Welcome { stale, .. } => format!("hello, stale*{}", runs(&stale)),
            Effect::Grant { grant, .. } => {
                format!("grant*{}", grant.runs.iter().map(|run| run.args.count()).sum::<u64>())
            }
            Effect::Ack { .. } => "ack".to_owned(),
            Effect::Stale { leases, .. } => format!("stale*{}", runs(&leases)),
            Effect::Cancel { leases, .. } => format!("stop*{}", runs(&leases)),
            Effect::Drain { drain, .. } => format!("drain:{drain:?}"),
            Effect::TakeBack { leases, .. } => format!("back*{}", runs(&leases)),
            Effect::Slots { slots, .. } => format!("slots:{slots}"),
            Effect::OutputStored { .. } => "stored".to_owned(),
            Effect::BatchEnded { batch } => format!("{batch} ended"),
        };
        if !said.is_empty() {
            self.heard = format!("{} {said}", self.heard).trim().to_owned();
        }
    }

    fn ask(&mut self, request: Request) {
        let actor =
            Actor { role: Role::Operator, name: Name::parse("olga").unwrap(), admin: false };
        self.give(Input::Asked { client: ClientId(1), tag: 1, actor, request });
    }

    fn say(&mut self, session: SessionId, said: Said) {
        self.give(Input::WorkerSaid { session, said });
    }

    pub(crate) fn run(&mut self, script: &str) {
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            self.heard.clear();
            let words: Vec<&str> = line.split(' ').collect();
            self.step(&words);
        }
    }

    fn step(&mut self, words: &[&str]) {
        let number = |at: usize| words[at].parse::<u64>().unwrap();
        let task = || Select::Tasks(vec![TaskId::new(number(1))]);
        match words[0] {
            "submit" => self.submit(words),
            "join" => self.join(words, Present::Nothing),
            "rejoin" => self.join(words, Present::Held),
            "leave" => self.give(Input::WorkerLeft { session: session(words[1]) }),
            "beat" => self.say(session(words[1]), Said::Heartbeat(Load::default())),
            "hold" => {
                let hold = u32::try_from(number(2)).unwrap();
                self.say(session(words[1]), Said::Hold(PerLane { cpu: hold, io: 0 }));
            }
            "rest" => self.say(session(words[1]), Said::Draining(Drain::On)),
            "wait" => {
                self.now.mono_ms += number(1);
                self.now.wall = self.now.wall.plus(number(1));
                self.give(Input::Tick);
            }
            "restart" => self.restart(),
            "cancel" => self.ask(Request::Cancel { select: task(), now: false }),
            "kill" => self.ask(Request::Cancel { select: task(), now: true }),
            "retry" => self.ask(Request::Retry { select: task() }),
            "delete" => self.ask(Request::Delete { select: task() }),
            "cancel-all" | "retry-all" => {
                let select = Select::Matching(words[1..].join(" ").parse().unwrap());
                self.ask(match words[0] {
                    "cancel-all" => Request::Cancel { select, now: true },
                    _ => Request::Retry { select },
                });
            }
            "delete-batch" => {
                let select = Select::Batch(BatchId::new(number(1)));
                self.ask(Request::Delete { select });
            }
            "priority" => {
                let priority = words[2].parse().unwrap();
                self.ask(Request::SetPriority { select: task(), priority });
            }
            "pause" => self.ask(Request::Pause { queue: Name::parse(words[1]).unwrap() }),
            "resume" => self.ask(Request::Resume { queue: Name::parse(words[1]).unwrap() }),
            "drain" => self.ask(Request::Drain { worker: Name::parse(words[1]).unwrap() }),
            "slots" => {
                let slots = u32::try_from(number(2)).unwrap();
                self.ask(Request::SetSlots { worker: Name::parse(words[1]).unwrap(), slots });
            }
            "undrain" => self.ask(Request::Undrain { worker: Name::parse(words[1]).unwrap() }),
            _ => self.attempt(words),
        }
    }

    /// What a worker says about the newest lease of a task, whoever holds it.
    fn attempt(&mut self, words: &[&str]) {
        let task = self.engine.ledger.task(TaskId::new(words[1].parse().unwrap()));
        let lease = task.lease_id();
        let run = LeaseRun { first: lease, count: 1 };
        let by = session(words.get(2).copied().unwrap_or("a"));
        let mut report = Report { number: self.reports + 1, ..Report::default() };
        let mut end = |outcome| report.ended.push(Ended::bare(lease, outcome, 5));
        match words[0] {
            "start" => return self.say(by, Said::Started(vec![run])),
            "release" => return self.say(by, Said::Release(vec![run])),
            "nothing-back" => return self.say(by, Said::Release(Vec::new())),
            "output" => return self.give(Input::OutputCame { session: by, lease }),
            "done" => {
                let results: ArgList = [&b"ok"[..]].into_iter().collect();
                report.done.push(DoneRun { first: lease, took_us: vec![5], results });
            }
            "done-again" => {
                end(Outcome::Done);
                report.number = self.reports;
            }
            "fail" => end(Outcome::Failed { code: 3 }),
            "useless" => {
                end(Outcome::Failed { code: 1 });
                report.for_good.push(lease);
            }
            "timeout" => end(Outcome::TimedOut),
            "stopped" => end(Outcome::Cancelled),
            "unfit" => end(Outcome::Unfit),
            other => panic!("{other} is not a command of these scripts"),
        }
        self.reports = report.number;
        self.say(by, Said::Report(report));
    }

    fn submit(&mut self, words: &[&str]) {
        let mut options =
            BatchOptions { backoff: Backoff { base_ms: 100, cap_ms: 1_000 }, ..Default::default() };
        let mut spec = Spec::of(Kind::Square);
        let mut key = self.engine.ledger.next_batch;
        let count: u64 = words[1].parse().unwrap();
        let mut args = Args::Listed((0..count).map(|_| &b"7"[..]).collect());
        for word in &words[2..] {
            let (name, value) = word.split_once('=').unwrap();
            match name {
                "retries" => options.retries = value.parse().unwrap(),
                "priority" => options.priority = value.parse().unwrap(),
                "queue" => options.queue = QueueName::parse(value).unwrap(),
                "limit" => spec.timeout_ms = value.parse().unwrap(),
                "key" => key = value.parse().unwrap(),
                "after" => {
                    let (batch, then) = match value.split_once(':') {
                        None => (value, Then::Done),
                        Some((batch, _)) => (batch, Then::Any),
                    };
                    let batch = BatchId::new(batch.parse().unwrap());
                    options.after.push(After { batch, then });
                }
                "jobs" => options.jobs_max = value.parse().unwrap(),
                "rate" => {
                    let (starts, per_ms) = value.split_once('/').unwrap();
                    let (starts, per_ms) = (starts.parse().unwrap(), per_ms.parse().unwrap());
                    options.rate = Some(Rate { starts, per_ms });
                }
                "lane" => spec.place.lane = Some(Lane::Io),
                "need" => spec.place.needs.push(Need::parse(&value.replace(':', "=")).unwrap()),
                "on" => spec.place.on.push(Label::parse(&value.replace(':', "=")).unwrap()),
                "handler" => spec.kind = Kind::Handler { name: Name::parse(value).unwrap() },
                "name" => value.clone_into(&mut options.name),
                "label" => {
                    let (key, value) = value.split_once(':').unwrap();
                    options.labels.push((key.to_owned(), value.to_owned()));
                }
                "delay" => {
                    options.not_before = Some(self.now.wall.plus(value.parse().unwrap()));
                }
                "line" => {
                    let line = ganger_proto::Template::from_text(value).unwrap();
                    spec.kind = Kind::Shell { line };
                }
                "args" if value == "range" => args = Args::Range { first: 0, step: 2, count },
                "args" => {
                    spec.kind = Kind::Sleep;
                    args = Args::Repeat { count };
                }
                other => panic!("{other} is not an option of these scripts"),
            }
        }
        let head = Some(Box::new(SubmitHead { spec, options }));
        let key = Key::new(u128::from(key));
        self.ask(Request::Submit(Submit { key, part: 0, last: true, head, args }));
    }

    /// `join a hold=4`; as `rejoin`, it presents what it holds, started as far as that was said.
    fn join(&mut self, words: &[&str], present: Present) {
        let id = session(words[1]);
        let mut hold = PerLane { cpu: 1, io: 0 };
        let mut slots = PerLane { cpu: 1, io: 0 };
        let (mut labels, mut handlers, mut resources) = (Vec::new(), Vec::new(), Vec::new());
        let mut allows = Allows::ALL;
        let mut holding = Vec::new();
        let known = self.engine.ledger.sessions.get(&id);
        for (first, run) in
            known.iter().flat_map(|known| known.held()).filter(|_| present == Present::Held)
        {
            for (place, task) in run.ids().enumerate() {
                let leases = LeaseRun { first: first.plus(place as u64), count: 1 };
                let started = self.engine.soft.running.contains(task);
                holding.push(Held { leases, started });
            }
        }
        for word in &words[2..] {
            match word.split_once('=') {
                Some(("hold", value)) => hold.cpu = value.parse().unwrap(),
                Some(("slots", value)) => slots.cpu = value.parse().unwrap(),
                Some(("io", value)) => {
                    (slots.io, hold.io) = (value.parse().unwrap(), value.parse().unwrap());
                }
                Some(("label", text)) => {
                    labels.push(Label::parse(&text.replace(':', "=")).unwrap());
                }
                Some(("has", text)) => {
                    resources.push(Need::parse(&text.replace(':', "=")).unwrap())
                }
                Some(("handler", name)) => {
                    handlers.push(Offer { name: Name::parse(name).unwrap(), lane: Lane::Io });
                }
                Some(("allows", _)) => allows = Allows::INSIDE.and(Allows::EXEC),
                _ if *word == "twice" => holding.extend(holding.clone()),
                _ => {
                    let first = LeaseId { epoch: Epoch::new(1), counter: 77 };
                    holding.push(Held { leases: LeaseRun { first, count: 2 }, started: true });
                }
            }
        }
        let hello = WorkerHello {
            session: id,
            slots,
            hold,
            holding,
            reported: self.reports,
            policy: String::new(),
            allows,
            labels,
            handlers,
            resources,
            draining: false,
        };
        let name = Name::parse(&words[1][..1]).unwrap();
        self.give(Input::WorkerJoined { name, version: String::new(), hello });
    }

    /// Returns all tasks' states, the tasks' words for those that were never there left out.
    pub(super) fn states(&self) -> String {
        let ids = (1..self.engine.ledger.next_task).map(TaskId::new);
        let word = |id| {
            let task = self.engine.ledger.task(id);
            if task.state == State::Absent {
                return "gone";
            }
            self.engine.shown_state(id, &task).word()
        };
        ids.map(word).collect::<Vec<_>>().join(" ")
    }
}

pub(super) fn settings() -> Settings {
    Settings { term_ms: 1_000, timeout_slack_ms: 500, tasks_max: 5_000, ..Settings::default() }
}

/// `a` and `b` are sessions of workers of that name, `a2` is another life of `a`.
fn session(word: &str) -> SessionId {
    SessionId::new(match word {
        "a" => 1,
        "b" => 2,
        "a2" => 3,
        "c" => 4,
        other => panic!("{other} is not a worker of these scripts"),
    })
}

/// Runs a script and compares the states that it leaves.
#[track_caller]
pub(super) fn check(script: &str, states: &str) {
    let mut bench = Bench::new();
    bench.run(script);
    assert_eq!(bench.states(), states, "after: {script}");
}

/// Runs a script and compares what its last line was answered.
#[track_caller]
pub(super) fn check_heard(script: &str, heard: &str) {
    let mut bench = Bench::new();
    bench.run(script);
    assert_eq!(bench.heard, heard, "after: {script}");
}
