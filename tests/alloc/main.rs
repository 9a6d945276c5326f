//! Allocations per task on the hot paths of the engine and of the wire. Counted, not timed, so that
//! a path that begins to allocate for every task fails here and not on somebody's machine.
//!
//! Each bound is a little above what the path does; a task's share of a vector that grows is what
//! is left. A change that needs more says why, here.

use std::sync::Arc;

use allocation_counter::AllocationInfo;
use ganger::clock::Now;
use ganger::engine::event::{self, Event};
use ganger::engine::input::{ClientId, Effect, Input, Output, Said};
use ganger::engine::{Engine, Settings};
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::gang::Allows;
use ganger_proto::message::{
    ClientMessage, DoneRun, Grant, GrantRun, LeaseRun, Report, ToWorker, WorkerHello, WorkerMessage,
};
use ganger_proto::{
    Actor, ArgList, Args, BatchId, BatchOptions, Ended, Epoch, Key, Kind, LeaseId, Name, Outcome,
    PerLane, Request, Role, SessionId, Spec, SpecId, TaskId, Template, WallMs,
};

const SESSION: SessionId = SessionId::new(1);
const TASKS: u64 = 65_536;
const PART: u64 = 4_096;
const HOLD: u32 = 4_096;

/// An engine with one worker, and what its steps have allocated.
struct Bench {
    engine: Engine,
    now: Now,
    counted: AllocationInfo,
}

impl Bench {
    fn new() -> Self {
        let now = Now { mono_ms: 1_000, wall: WallMs(1_000_000) };
        let mut bench = Self {
            engine: Engine::new(Settings::default()),
            now,
            counted: AllocationInfo::default(),
        };
        bench.step(Input::Began { epoch: Epoch::new(1) });
        bench.step(Input::WorkerJoined {
            name: Name::from_lossy("w"),
            version: String::new(),
            hello: WorkerHello {
                session: SESSION,
                slots: PerLane { cpu: 2, io: 0 },
                hold: PerLane::default(),
                holding: Vec::new(),
                reported: 0,
                policy: String::new(),
                allows: Allows::ALL,
                labels: Vec::new(),
                handlers: Vec::new(),
                resources: Vec::new(),
                draining: false,
            },
        });
        bench.counted = AllocationInfo::default();
        bench
    }

    /// One turn of the master's loop, without the writer: the engine's own allocations.
    fn step(&mut self, input: Input) -> Output {
        let mut output = Output::default();
        let (engine, now) = (&mut self.engine, self.now);
        let counted = allocation_counter::measure(|| {
            engine.handle(now, input);
            output = engine.drain(now);
        });
        self.counted += counted;
        self.now.mono_ms += 1;
        self.now.wall = self.now.wall.plus(1);
        output
    }

    /// Submits all tasks in listed parts, or as one range.
    fn submit(&mut self, kind: Kind, args: impl Fn(u64) -> Option<Args>) {
        let head = SubmitHead { spec: Spec::of(kind), options: BatchOptions::default() };
        let mut head = Some(Box::new(head));
        let mut part = 0;
        while let Some(args) = args(part) {
            let last = (part + 1) * args.count() >= TASKS;
            let submit =
                Submit { key: Key::new(7), part: part as u32, last, head: head.take(), args };
            self.step(Input::Asked {
                client: ClientId(1),
                tag: part,
                actor: Actor { role: Role::Operator, name: Name::from_lossy("a"), admin: true },
                request: Request::Submit(submit),
            });
            part += 1;
            if last {
                return;
            }
        }
    }

    /// Lets the worker take and end everything; `report` makes its words of what it was granted.
    fn work(&mut self, report: impl Fn(u64, &Grant) -> Report) -> u64 {
        let mut number = 0;
        let mut ended = 0;
        let mut output = self.step(Input::WorkerSaid {
            session: SESSION,
            said: Said::Hold(PerLane { cpu: HOLD, io: 0 }),
        });
        loop {
            let grants: Vec<Grant> = output
                .effects
                .drain(..)
                .filter_map(|effect| {
                    if let Effect::Grant { grant, .. } = effect { Some(grant) } else { None }
                })
                .collect();
            if grants.is_empty() {
                return ended;
            }
            output = Output::default();
            for grant in &grants {
                number += 1;
                ended += grant.runs.iter().map(|run| run.args.count()).sum::<u64>();
                let said = Said::Report(report(number, grant));
                let more = self.step(Input::WorkerSaid { session: SESSION, said });
                output.effects.extend(more.effects);
            }
        }
    }

    fn per_task(&mut self) -> f64 {
        let counted = std::mem::take(&mut self.counted);
        counted.count_total as f64 / TASKS as f64
    }
}

fn listed(part: u64) -> Option<Args> {
    let mut list = ArgList::new();
    for n in part * PART..((part + 1) * PART).min(TASKS) {
        list.push(n.to_string().as_bytes());
    }
    Some(Args::Listed(list))
}

fn range(part: u64) -> Option<Args> {
    (part == 0).then_some(Args::Range { first: 1, step: 1, count: TASKS })
}

/// What a worker says of in-process tasks: runs of answers.
fn answers(number: u64, grant: &Grant) -> Report {
    let done = grant.runs.iter().map(|run| {
        let count = run.args.count() as usize;
        let results: ArgList = std::iter::repeat_n(b"7 * 7 = 49".as_slice(), count).collect();
        DoneRun { first: run.lease, took_us: vec![3; count], results }
    });
    Report { number, done: done.collect(), ..Report::default() }
}

/// What a worker says of child processes: each end by itself.
fn ends(number: u64, grant: &Grant) -> Report {
    let leases = grant.runs.iter().flat_map(|run| {
        (0..run.args.count()).map(|at| LeaseId { counter: run.lease.counter + at, ..run.lease })
    });
    let ended = leases.map(|lease| Ended::bare(lease, Outcome::Done, 900)).collect();
    Report { number, ended, ..Report::default() }
}

fn exec() -> Kind {
    Kind::Exec { argv: vec![Template::from_text("true").expect("a plain word is a template")] }
}

#[track_caller]
#[expect(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
fn check(what: &str, per_task: f64, bound: f64) {
    println!("{what}: {per_task:.4} allocations a task, bound {bound}");
    assert!(
        per_task <= bound,
        "{what}: {per_task:.4} allocations a task, over the bound of {bound}"
    );
}

#[test]
fn the_engine_allocates_next_to_nothing_for_a_task() {
    let mut bench = Bench::new();
    bench.submit(Kind::Square, listed);
    check("submit, listed", bench.per_task(), 0.01);
    assert_eq!(bench.work(answers), TASKS);
    check("grant and report, answers in runs", bench.per_task(), 0.08);

    let mut bench = Bench::new();
    bench.submit(Kind::Square, range);
    check("submit, one range", bench.per_task(), 0.002);
    assert_eq!(bench.work(answers), TASKS);
    check("grant and report of a range", bench.per_task(), 0.08);

    let mut bench = Bench::new();
    bench.submit(exec(), listed);
    bench.per_task();
    assert_eq!(bench.work(ends), TASKS);
    // Each end has an event and a result of its own; a child process costs a thousand times that.
    check("grant and report, child processes", bench.per_task(), 4.5);
}

#[test]
fn the_wire_allocates_per_frame_and_not_per_task() {
    let Some(Args::Listed(list)) = listed(0) else { panic!("it is listed") };
    let count = list.len() as f64;
    let lease = LeaseId { epoch: Epoch::new(1), counter: 1 };
    let took_us = vec![3; list.len()];
    let report = Report {
        number: 1,
        done: vec![DoneRun { first: lease, took_us, results: list }],
        ..Report::default()
    };
    round_trip("a report of answers", &WorkerMessage::Report(report), count, 0.01);
    let leases = vec![LeaseRun { first: lease, count: 4_096 }];
    round_trip("a cancel", &ToWorker::Cancel { leases }, 4_096.0, 0.005);
    let args = listed(0).expect("there is a first part");
    let submit = Submit { key: Key::new(7), part: 1, last: false, head: None, args: args.clone() };
    let submit = ClientMessage::Request { tag: 1, request: Request::Submit(submit) };
    round_trip("a part of a submission", &submit, count, 0.006);
    let (task, batch, spec) = (TaskId::new(1), BatchId::new(1), SpecId::new(1));
    let run = GrantRun { lease, task, batch, index: 0, attempt: 1, spec, args };
    let grant = Grant { specs: Vec::new(), runs: vec![run] };
    round_trip("a grant", &ToWorker::Grant(grant), count, 0.006);
}

#[test]
fn the_journal_takes_one_buffer_for_a_turn() {
    let mut bench = Bench::new();
    bench.submit(Kind::Square, listed);
    let mut events = Vec::new();
    let said = Said::Hold(PerLane { cpu: HOLD, io: 0 });
    let output = bench.step(Input::WorkerSaid { session: SESSION, said });
    events.extend(output.events);
    for effect in output.effects {
        let Effect::Grant { grant, .. } = effect else { continue };
        let said = Said::Report(answers(1, &grant));
        events.extend(bench.step(Input::WorkerSaid { session: SESSION, said }).events);
    }
    let args = Arc::new(listed(0).expect("there is a first part"));
    let (batch, at) = (BatchId::new(1), WallMs(1));
    events.push(Event::Added { batch, args, last: false, at });
    let mut data = Vec::new();
    let counted = allocation_counter::measure(|| data = event::encode(&events));
    assert_eq!(event::decode(&data).expect("it was just encoded"), events);
    assert_eq!(counted.count_total, 1, "{} events: {counted:?}", events.len());
    let spare = counted.bytes_total as f64 / data.len() as f64;
    assert!(spare < 1.5, "a buffer of {spare:.2} times what it holds");
}

fn round_trip<T>(what: &str, message: &T, tasks: f64, bound: f64)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let mut same = None;
    let counted = allocation_counter::measure(|| {
        let frame = ganger_net::frame::encode(message).expect("it fits a frame");
        same = postcard::from_bytes::<T>(&frame[4..]).ok();
    });
    assert_eq!(same.as_ref(), Some(message), "{what}");
    check(what, counted.count_total as f64 / tasks, bound);
}
