//! The driver's part in the core's tests: time, squares answered, effects as words.

use ganger_proto::message::{DoneRun, Grant, Kept, Report};
use ganger_proto::place::Need;
use ganger_proto::{
    Actor, ArgList, Args, BatchId, Cwd, Epoch, Kind, Name, Placement, Role, TaskId, Template,
    WallMs,
};

use crate::worker::caps::Caps;
use crate::worker::core::*;
use crate::worker::inline;

pub(super) fn lease(counter: u64) -> LeaseId {
    LeaseId { epoch: Epoch::new(1), counter }
}

pub(super) fn leases(first: u64, count: u32) -> LeaseRun {
    LeaseRun { first: lease(first), count }
}

pub(super) const SQUARE: u32 = 1;
pub(super) const SLEEP: u32 = 2;
pub(super) const EXEC: u32 = 3;
pub(super) const SCRATCH: u32 = 4;
pub(super) const SLEEP_50MS: u32 = 5;
pub(super) const IO_SQUARE: u32 = 6;
pub(super) const IO_SLEEP: u32 = 7;
pub(super) const IO_EXEC: u32 = 8;
pub(super) const TWO_CPU: u32 = 9;
pub(super) const GPU: u32 = 10;
pub(super) const IO_GPU: u32 = 11;
pub(super) const TWO_GPU: u32 = 12;
pub(super) const HANDLER: u32 = 13;

pub(super) fn specs() -> Vec<(SpecId, Spec)> {
    let exec = Kind::Exec { argv: vec![Template::from_text("true").unwrap()] };
    let specs = [
        Spec::of(Kind::Square),
        Spec::of(Kind::Sleep),
        Spec::of(exec.clone()),
        Spec { cwd: Cwd::Scratch, ..Spec::of(exec.clone()) },
        Spec { timeout_ms: 50, ..Spec::of(Kind::Sleep) },
        placed(Kind::Square, Some(Lane::Io), &[]),
        placed(Kind::Sleep, Some(Lane::Io), &[]),
        placed(exec.clone(), Some(Lane::Io), &[]),
        placed(exec.clone(), None, &["cpu=2"]),
        placed(exec.clone(), None, &["gpu=1"]),
        placed(exec.clone(), Some(Lane::Io), &["gpu=1"]),
        placed(exec, None, &["gpu=2"]),
        Spec::of(Kind::Handler { name: Name::from_lossy("h") }),
    ];
    (1..).map(SpecId::new).zip(specs).collect()
}

fn placed(kind: Kind, lane: Option<Lane>, needs: &[&str]) -> Spec {
    let needs = needs.iter().map(|text| Need::parse(text).unwrap()).collect();
    Spec { place: Placement { lane, needs, ..Placement::default() }, ..Spec::of(kind) }
}

/// A core with its driver's part: time, and squares answered.
pub(super) struct World {
    pub(super) core: WorkerCore,
    pub(super) now_us: u64,
}

impl World {
    /// A worker with two slots of the lane `io` and two GPUs.
    pub(super) fn new(slots: u32) -> Self {
        let offers = Offers {
            slots: PerLane { cpu: slots, io: 2 },
            handlers: Vec::new(),
            resources: vec![Need::parse("gpu=2").unwrap()],
            caps: Caps::default(),
        };
        Self { core: WorkerCore::new(SessionId::new(7), offers), now_us: 1_000 }
    }

    pub(super) fn connected(slots: u32) -> Self {
        let mut world = Self::new(slots);
        world.core.hello(Present::default());
        world.welcome(0, vec![]);
        world.say(ToWorker::Grant(Grant { specs: specs(), runs: vec![] }));
        world.act();
        world
    }

    pub(super) fn welcome(&mut self, acknowledged: u64, stale: Vec<LeaseRun>) {
        let welcome = Welcome {
            minor: 1,
            version: String::new(),
            cluster: Name::from_lossy("c"),
            epoch: Epoch::new(1),
            started: WallMs(0),
            now: WallMs(0),
            you: Actor { role: Role::Worker, name: Name::from_lossy("w"), admin: false },
            term_ms: 10_000,
            beat_ms: 5_000,
            renew: false,
            stale,
            acknowledged,
        };
        self.core.handle_welcome(self.now_us, &welcome);
    }

    pub(super) fn say(&mut self, message: ToWorker) {
        self.core.handle_message(self.now_us, message);
    }

    pub(super) fn grant(&mut self, first: u64, spec: u32, args: &[&str]) {
        let args = args.iter().map(|arg| arg.as_bytes()).collect::<ArgList>();
        self.grant_args(first, spec, Args::Listed(args));
    }

    pub(super) fn grant_args(&mut self, first: u64, spec: u32, args: Args) {
        let run = GrantRun {
            lease: lease(first),
            task: TaskId::new(first),
            batch: BatchId::new(1),
            index: 0,
            attempt: 1,
            spec: SpecId::new(spec),
            args,
        };
        self.say(ToWorker::Grant(Grant { specs: vec![], runs: vec![run] }));
    }

    pub(super) fn end(&mut self, counter: u64, outcome: Outcome) {
        let ended = Ended::bare(lease(counter), outcome, 10_000);
        self.core.handle_ended(self.now_us, AttemptEnded { ended, output: None });
    }

    pub(super) fn end_long(&mut self, counter: u64, bytes: usize) {
        let ended = Ended::bare(lease(counter), Outcome::Done, 10_000);
        let stdout = Kept { head: bytes as u64, skipped: 0, tail: 0 };
        let header = OutputHeader { lease: lease(counter), stdout, stderr: Kept::default() };
        let end = AttemptEnded { ended, output: Some((header, vec![b'x'; bytes])) };
        self.core.handle_ended(self.now_us, end);
    }

    /// The first tasks of a run of a handler are done, the others come back.
    pub(super) fn warm(&mut self, run: &GrantRun, done: u64, took_us: u32) {
        let mut ends = WarmEnds::of(run.spec);
        let part = |skip, count| GrantRun {
            lease: run.lease.plus(skip),
            task: run.task.plus(skip),
            index: run.index + skip,
            args: run.args.slice(skip, count),
            ..run.clone()
        };
        if done > 0 {
            let results = std::iter::repeat_n(&b"w"[..], done as usize).collect();
            let took_us = vec![took_us; done as usize];
            ends.done.push(DoneRun { first: run.lease, took_us, results });
        }
        if done < run.args.count() {
            ends.returned.push(part(done, run.args.count() - done));
        }
        self.core.handle_warm(self.now_us, ends);
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now_us += ms * 1_000;
        self.core.handle_time(self.now_us);
    }

    /// Does everything the core asks for and returns it as words. Changes of the hold are left
    /// out; they have their own test.
    pub(super) fn act(&mut self) -> String {
        let mut words = Vec::new();
        loop {
            let effects = self.core.drain(self.now_us);
            if effects.is_empty() {
                return words.join("; ");
            }
            for effect in effects {
                if let Effect::Square(run) = &effect {
                    let all = leases(run.lease.counter, u32::try_from(run.args.count()).unwrap());
                    self.core.handle_squares(self.now_us, all, inline::squares(run));
                }
                words.extend(word(&effect));
            }
        }
    }
}

pub(super) fn runs(runs: &[LeaseRun]) -> String {
    let each = runs.iter().map(|run| format!("{}+{}", run.first.counter, run.count));
    each.collect::<Vec<_>>().join(" ")
}

pub(super) fn word(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Start(start) => {
            let (lane, number) = in_lane(start.at.slot);
            let lane = if lane == Lane::Io { "io " } else { "" };
            let more = match start.run.args.count() {
                1 => String::new(),
                count => format!("+{count}"),
            };
            format!("start {}{more} in {lane}{number}", start.at.lease.counter)
        }
        Effect::Stop(at) => format!("stop {}", at.lease.counter),
        Effect::Kill(at) => format!("kill {}", at.lease.counter),
        Effect::SendOutput(header, _) => format!("output {}", header.lease.counter),
        Effect::Follow(at, _) => format!("follow {} in {}", at.lease.counter, at.slot),
        Effect::Unfollow(at) => format!("unfollow {}", at.lease.counter),
        Effect::Beat(running) => format!("beat {running}"),
        Effect::Clean(lease) => format!("clean {}", lease.counter),
        Effect::Rest => "rest".to_owned(),
        Effect::Square(_) => return None,
        Effect::Send(message) => match message {
            WorkerMessage::Hold { .. } => return None,
            WorkerMessage::Heartbeat { .. } => panic!("the driver makes heartbeats"),
            WorkerMessage::Started { leases } => format!("started {}", runs(leases)),
            WorkerMessage::Report(report) => format!("report {}", of_report(report)),
            WorkerMessage::Release { leases } => format!("release {}", runs(leases)),
            WorkerMessage::Draining { on } => format!("draining {on}"),
        },
    })
}

pub(super) fn of_report(report: &Report) -> String {
    let done = report.done.iter().map(|DoneRun { first, results, .. }| {
        let last = String::from_utf8_lossy(results.get(results.len() - 1).unwrap()).into_owned();
        format!("{}+{} {last}", first.counter, results.len())
    });
    let ended = report.ended.iter().map(|ended| {
        let output = if ended.has_output { " with output" } else { "" };
        format!("{} {}{output}", ended.lease.counter, ended.outcome)
    });
    format!("{}: {}", report.number, done.chain(ended).collect::<Vec<_>>().join(", "))
}

pub(super) fn holding(core: &mut WorkerCore) -> String {
    let hello = core.hello(Present::default());
    let each = hello.holding.iter().map(|held| {
        let mark = if held.started { "!" } else { "" };
        format!("{}+{}{mark}", held.leases.first.counter, held.leases.count)
    });
    format!("{} after {}", each.collect::<Vec<_>>().join(" "), hello.reported)
}
