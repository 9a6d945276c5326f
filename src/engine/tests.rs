//! The table of engine.md, state by state and command by command, and the stories beside it, as
//! scripts of a line each. What random commands do is in `tests/sim`.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::message::{DoneRun, Held, LeaseRun, Load, Report, WorkerHello};
use ganger_proto::{
    ArgList, Args, Backoff, BatchId, BatchOptions, Ended, Epoch, Key, Kind, Name, Outcome,
    QueueName, Role, Select, Spec, WallMs,
};

use super::event::{decode, encode};
use super::input::{ClientId, Drain, Said};
use super::task::State;
use super::*;
use crate::engine::ledger::Ledger;

/// An engine with a journal, at a moment, with workers `a` and `b` that say what a script says.
struct Bench {
    engine: Engine,
    journal: Vec<u8>,
    replayed: Ledger,
    now: Now,
    epoch: u32,
    reports: u64,
    heard: String,
}

impl Bench {
    fn new() -> Self {
        let engine = Engine::new(settings());
        let now = Now { mono_ms: 50_000, wall: WallMs(1_000_000) };
        let (journal, replayed) = (Vec::new(), Ledger::new());
        let mut bench =
            Self { engine, journal, replayed, now, epoch: 0, reports: 0, heard: String::new() };
        bench.restart();
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
        for event in decode(&self.journal).unwrap() {
            self.replayed.apply(&event);
        }
        for effect in out.effects {
            self.hear(effect);
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

    fn run(&mut self, script: &str) {
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
            "join" => self.join(words, false),
            "rejoin" => self.join(words, true),
            "leave" => self.give(Input::WorkerLeft { session: session(words[1]) }),
            "beat" => self.say(session(words[1]), Said::Heartbeat(Load::default())),
            "hold" => {
                let hold = u32::try_from(number(2)).unwrap();
                self.say(session(words[1]), Said::Hold(hold));
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
                "delay" => {
                    options.not_before = Some(self.now.wall.plus(value.parse().unwrap()));
                }
                "args" if value == "range" => args = Args::Range { first: 0, step: 2, count },
                "args" => {
                    spec.kind = Kind::Sleep;
                    args = Args::Repeat { count };
                }
                other => panic!("{other} is not an option of these scripts"),
            }
        }
        let head = Some(SubmitHead { spec, options });
        let key = Key::new(u128::from(key));
        self.ask(Request::Submit(Submit { key, part: 0, last: true, head, args }));
    }

    /// `join a hold=4`; as `rejoin`, it presents what it holds, started as far as that was said.
    fn join(&mut self, words: &[&str], again: bool) {
        let id = session(words[1]);
        let mut hold = 1;
        let mut holding = Vec::new();
        let known = self.engine.ledger.sessions.get(&id);
        for (first, run) in known.iter().flat_map(|known| known.held()).filter(|_| again) {
            for (place, task) in run.ids().enumerate() {
                let leases = LeaseRun { first: first.plus(place as u64), count: 1 };
                let started = self.engine.soft.running.contains(task);
                holding.push(Held { leases, started });
            }
        }
        for word in &words[2..] {
            match word.split_once('=') {
                Some(("hold", value)) => hold = value.parse().unwrap(),
                _ if *word == "twice" => holding.extend(holding.clone()),
                _ => {
                    let first = LeaseId { epoch: Epoch::new(1), counter: 77 };
                    holding.push(Held { leases: LeaseRun { first, count: 2 }, started: true });
                }
            }
        }
        let hello = WorkerHello {
            session: id,
            slots: 1,
            hold,
            holding,
            reported: self.reports,
            policy: String::new(),
            draining: false,
        };
        let name = Name::parse(&words[1][..1]).unwrap();
        self.give(Input::WorkerJoined { name, version: String::new(), hello });
    }

    /// Returns all tasks' states, the tasks' words for those that were never there left out.
    fn states(&self) -> String {
        let ids = (1..self.engine.ledger.next_task).map(TaskId::new);
        let word = |id| {
            let task = self.engine.ledger.task(id);
            match task.state {
                State::Absent => "gone",
                _ => self.engine.shown_state(id, &task).word(),
            }
        };
        ids.map(word).collect::<Vec<_>>().join(" ")
    }
}

fn settings() -> Settings {
    Settings { term_ms: 1_000, timeout_slack_ms: 500, tasks_max: 5_000, ..Settings::default() }
}

/// `a` and `b` are sessions of workers of that name, `a2` is another life of `a`.
fn session(word: &str) -> SessionId {
    SessionId::new(match word {
        "a" => 1,
        "b" => 2,
        "a2" => 3,
        other => panic!("{other} is not a worker of these scripts"),
    })
}

/// Runs a script and compares the states that it leaves.
#[track_caller]
fn check(script: &str, states: &str) {
    let mut bench = Bench::new();
    bench.run(script);
    assert_eq!(bench.states(), states, "after: {script}");
}

/// Runs a script and compares what its last line was answered.
#[track_caller]
fn check_heard(script: &str, heard: &str) {
    let mut bench = Bench::new();
    bench.run(script);
    assert_eq!(bench.heard, heard, "after: {script}");
}

/// How a task comes into each state of the table.
const STATES: [(&str, &str); 8] = [
    ("delayed", "join a; submit 1 delay=5000 retries=1"),
    ("queued", "join a hold=0; submit 1 retries=1"),
    ("sent", "join a; submit 1 retries=1"),
    ("running", "join a; submit 1 retries=1; start 1"),
    ("running", "join a; submit 1 retries=1; start 1; cancel 1"),
    ("done", "join a; submit 1 retries=1; start 1; done 1"),
    ("failed", "join a; submit 1; start 1; fail 1; hold a 0"),
    ("cancelled", "join a; submit 1 retries=1; kill 1; hold a 0"),
];

/// Runs one command in every state; a cell is `state after/what was answered`.
#[track_caller]
fn check_row(command: &str, cells: [&str; 8]) {
    for ((state, setup), cell) in STATES.iter().zip(cells) {
        let mut bench = Bench::new();
        bench.run(setup);
        assert_eq!(bench.states(), *state, "after: {setup}");
        bench.run(command);
        let seen = format!("{}/{}", bench.states(), bench.heard);
        assert_eq!(seen, cell, "{command} after: {setup}");
    }
}

#[test]
fn workers_words_in_every_state() {
    check_row(
        "start 1",
        [
            "delayed/stale*1",
            "queued/stale*1",
            "running/",
            "running/",
            "running/",
            "done/stale*1",
            "failed/stale*1",
            "cancelled/stale*1",
        ],
    );
    check_row(
        "done 1",
        [
            "delayed/ack stale*1",
            "queued/ack stale*1",
            "done/ack b1 ended",
            "done/ack b1 ended",
            "done/ack b1 ended",
            "done/ack stale*1",
            "failed/ack stale*1",
            "cancelled/ack stale*1",
        ],
    );
    check_row(
        "fail 1",
        [
            "delayed/ack stale*1",
            "queued/ack stale*1",
            "delayed/ack",
            "delayed/ack",
            "cancelled/ack b1 ended",
            "done/ack stale*1",
            "failed/ack stale*1",
            "cancelled/ack stale*1",
        ],
    );
    check_row(
        "hold a 0; release 1",
        [
            "delayed/",
            "queued/",
            "queued/",
            "queued/",
            "cancelled/b1 ended",
            "done/",
            "failed/",
            "cancelled/",
        ],
    );
    check_row(
        "hold a 0; beat a",
        ["delayed/", "queued/", "sent/", "running/", "running/", "done/", "failed/", "cancelled/"],
    );
    check_row(
        "hold a 1",
        [
            "delayed/",
            "sent/grant*1",
            "sent/",
            "running/",
            "running/",
            "done/",
            "failed/",
            "cancelled/",
        ],
    );
}

#[test]
fn time_in_every_state() {
    check_row(
        "hold a 0; wait 1001",
        [
            "delayed/",
            "queued/",
            "queued/stale*1",
            "queued/stale*1",
            "cancelled/stale*1 b1 ended",
            "done/",
            "failed/",
            "cancelled/",
        ],
    );
    check_row(
        "hold a 0; leave a; wait 5000",
        [
            "queued/",
            "queued/",
            "queued/",
            "queued/",
            "cancelled/b1 ended",
            "done/",
            "failed/",
            "cancelled/",
        ],
    );
    let week = "leave a; wait 604900000";
    check_row(
        week,
        [
            "queued/",
            "queued/",
            "queued/",
            "queued/",
            "cancelled/b1 ended",
            "gone/",
            "gone/",
            "gone/",
        ],
    );
    check_row(
        "leave a; wait 86500000",
        [
            "queued/",
            "queued/",
            "queued/",
            "queued/",
            "cancelled/b1 ended",
            "gone/",
            "failed/",
            "gone/",
        ],
    );
}

#[test]
fn commands_in_every_state() {
    check_row(
        "cancel 1",
        [
            "cancelled/ok b1 ended",
            "cancelled/ok b1 ended",
            "cancelled/stale*1 ok b1 ended",
            "running/stop*1 asked",
            "running/stop*1 asked",
            "done/ended",
            "failed/ended",
            "cancelled/ended",
        ],
    );
    check_row(
        "kill 1",
        [
            "cancelled/ok b1 ended",
            "cancelled/ok b1 ended",
            "cancelled/stale*1 ok b1 ended",
            "cancelled/stale*1 ok b1 ended",
            "cancelled/stale*1 ok b1 ended",
            "done/ended",
            "failed/ended",
            "cancelled/ended",
        ],
    );
    check_row(
        "delete 1",
        [
            "delayed/no",
            "queued/no",
            "sent/no",
            "running/no",
            "running/no",
            "gone/ok",
            "gone/ok",
            "gone/ok",
        ],
    );
    check_row(
        "hold a 0; retry 1",
        [
            "queued/ok",
            "queued/",
            "sent/no",
            "running/no",
            "running/no",
            "done/ended",
            "queued/ok",
            "queued/ok",
        ],
    );
    check_row(
        "priority 1 9",
        [
            "delayed/ok",
            "queued/ok",
            "sent/ok",
            "running/ok",
            "running/ok",
            "done/ended",
            "failed/ended",
            "cancelled/ended",
        ],
    );
    check_row(
        "submit 1 key=1",
        [
            "delayed/b1:1 again",
            "queued/b1:1 again",
            "sent/b1:1 again",
            "running/b1:1 again",
            "running/b1:1 again",
            "done/b1:1 again",
            "failed/b1:1 again",
            "cancelled/b1:1 again",
        ],
    );
    check_row(
        "restart",
        ["delayed/", "queued/", "sent/", "sent/", "sent/", "done/", "failed/", "cancelled/"],
    );
}

#[test]
fn batches_of_every_form_run() {
    check("submit 3; join a hold=2", "sent sent queued");
    check("submit 3 args=range; join a hold=2; start 2; done 2", "sent done sent");
    check_heard("submit 3 args=range; join a hold=9", "hello grant*3");
    check_heard("submit 3 args=repeat", "refused: sleep needs an argument for each task");
    check_heard(
        "submit 0",
        "refused: there are no tasks to submit; the list of arguments is empty",
    );
    check_heard("submit 4000; submit 1 key=1", "b1:4000 again");
    check_heard(
        "submit 4000; submit 4000",
        "refused: the master holds its limit of 5000 tasks; \
         delete finished ones, or wait 5000 ms and submit again",
    );
    check_heard("submit 1; join a; done 1; delete 1; submit 2 key=1", "b2:2 grant*1");
}

#[test]
fn retries_wait_and_run_out() {
    check("submit 1 retries=1; join a; fail 1", "delayed");
    check("submit 1 retries=1; join a; fail 1; wait 100", "sent");
    check("submit 1 retries=1; join a; fail 1; wait 100; fail 1", "failed");
    check("submit 1 retries=1; join a; fail 1; wait 100; done 1", "done");
    check("submit 1 retries=1; join a; fail 1; wait 100; fail 1; retry 1; fail 1", "delayed");
    check("submit 2 retries=1; join a; fail 1; retry 1; leave a", "queued sent");
    check("submit 1 limit=100; join a; start 1; wait 500; beat a; wait 100; beat a", "failed");
    check("submit 1 limit=100; join a; wait 500; beat a; wait 500; beat a", "sent");
    check("submit 1 limit=100 retries=1; join a; timeout 1", "delayed");
}

#[test]
fn a_lost_worker_costs_nothing_and_poison_ends() {
    let lose = "start 1 a; leave a; wait 1001; rejoin a; ".repeat(3);
    check(&format!("submit 1; join a; {lose}"), "sent");
    check(&format!("submit 1; join a; {lose} start 1; leave a; wait 1001"), "failed");
    check(&format!("submit 1; join a; {lose} leave a; wait 1001"), "queued");
    let give = "release 1; ".repeat(99);
    check(&format!("submit 1; join a; {give}"), "sent");
    check(&format!("submit 1; join a; {give} release 1"), "failed");
    check("submit 1; join a; start 1; join a2", "sent");
}

#[test]
fn a_worker_that_comes_back_keeps_what_it_holds() {
    check("submit 3; join a hold=2; start 1; leave a; rejoin a hold=2", "running sent queued");
    check_heard("submit 3; join a hold=2; start 1; leave a; rejoin a hold=2", "hello");
    check("submit 3; join a hold=2; leave a; join a hold=1", "sent queued queued");
    check("submit 1; join a; start 1; restart; rejoin a; wait 1500", "queued");
    check("submit 1; join a; start 1; restart; wait 1500; rejoin a", "sent");
    check("submit 1; join a; start 1; restart; wait 2500", "queued");
    check("submit 1; join a; restart; rejoin a; done 1", "done");
    check_heard("join a; leave a; rejoin a stranger", "hello, stale*2");
    check_heard("submit 1; join a; done 1; hold a 0; done-again 1", "ack");
}

#[test]
fn a_silent_worker_is_told_what_it_lost() {
    // Its connection stands, so nothing but this tells it to stop what runs elsewhere.
    check_heard("submit 2; join a hold=2; start 1; wait 1001", "stale*2");
    check("submit 1; join a; start 1; wait 1001; beat a", "sent");
}

#[test]
fn a_lease_presented_twice_is_kept_once() {
    check("submit 2; join a hold=2; leave a; rejoin a hold=2 twice", "sent sent");
}

#[test]
fn a_cancel_outlives_connections_and_masters() {
    let asked = "submit 1; join a; start 1; cancel 1";
    check_heard(&format!("{asked}; leave a; rejoin a"), "hello stop*1");
    check_heard(&format!("{asked}; restart; rejoin a"), "hello stop*1");
    check(&format!("{asked}; stopped 1"), "cancelled");
    check(&format!("{asked}; done 1"), "done");
    check("submit 1; join a; start 1; stopped 1", "sent");
}

#[test]
fn queues_pause_and_priorities_go_first() {
    check("submit 1 queue=mail; pause mail; join a", "queued");
    check_heard(
        "pause mail",
        "refused: there is no queue `mail`; `ganger queues` names the ones there are",
    );
    check("submit 1 queue=mail; pause mail; join a; resume mail", "sent");
    check("submit 1; submit 1 priority=5; join a", "queued sent");
    check("submit 3; priority 3 -1; priority 2 7; join a", "queued sent queued");
    check("submit 2; submit 2; join a; hold a 2", "sent queued sent queued");
}

#[test]
fn drained_workers_take_nothing() {
    check("join a; drain a; submit 1", "queued");
    check("join a; drain a; submit 1; undrain a", "sent");
    check("join a; drain a; leave a; restart; join a; submit 1", "queued");
    check("join a; rest a; submit 1", "queued");
    check_heard("join a; drain a; leave a; join a", "hello drain:On");
}

#[test]
fn tasks_that_do_not_fit_go_elsewhere_or_fail() {
    check("submit 1; join a; unfit 1", "failed");
    check("submit 1; join a; join b hold=0; unfit 1", "queued");
    check("submit 1; join a; join b hold=0; unfit 1; hold b 1", "sent");
    check("submit 1; join a; join b hold=0; unfit 1; hold b 1; unfit 1 b", "failed");
    // What one worker cannot run does not keep it from what it can.
    let mut bench = Bench::new();
    bench.run("join b hold=0; submit 1 priority=3; submit 1 priority=2; submit 1; join a");
    bench.run("unfit 1; unfit 2");
    assert_eq!(bench.states(), "queued queued sent");
}

#[test]
fn a_replay_says_nothing_twice() {
    let mut bench = Bench::new();
    bench.run("submit 1; join a; output 1; done 1; delete 1");
    let ledger = std::mem::take(&mut bench.replayed);
    assert_eq!(ledger.noticed.blocks.len(), 1);
    assert_eq!(ledger.noticed.outputs.len(), 1);
    let out = Engine::with_ledger(settings(), ledger).drain(bench.now);
    assert!(!out.is_durable() && out.effects.is_empty());
}

#[test]
fn ids_that_were_never_given_are_not_there() {
    let no = "; it may have been deleted or its retention has passed";
    check_heard("submit 1; cancel 0", &format!("refused: there is no task 0{no}"));
    check_heard("submit 1; cancel 2", &format!("refused: there is no task 2{no}"));
    check_heard(
        "submit 1; join a; done 1; delete-batch 1; delete 1",
        &format!("refused: there is no task 1{no}"),
    );
    let mut bench = Bench::new();
    bench.run("submit 1; join a; done 1");
    assert!(bench.engine.ended_of(BatchId::new(1), TaskId::new(u64::MAX), 5).is_empty());
    assert_eq!(bench.engine.ended_of(BatchId::new(1), TaskId::new(0), 5).len(), 1);
}
