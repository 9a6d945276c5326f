//! Random inputs for the model: what clients and workers may say, sensible and not.

use fastrand::Rng;
use ganger::engine::input::{ClientId, Drain, Input, Said};
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::filter::{Bound, Term, Test};
use ganger_proto::message::{DoneRun, Held, LeaseRun, Load, Report, WorkerHello};
use ganger_proto::picture::{Direction, Order, Sort, SortKey, Start, TaskWindow};
use ganger_proto::spec::{After, Then};
use ganger_proto::{
    Actor, Args, Backoff, BatchId, BatchOptions, Ended, Epoch, Filter, Key, Kind, LeaseId, Name,
    Outcome, PerLane, Request, Role, Select, SessionId, Spec, TaskId, TaskState, Template,
};

use crate::commands::WORKERS;
use crate::model::{Model, Task};

const LABELS: [&str; 2] = ["stage", "owner"];
const QUEUES: [&str; 3] = ["default", "mail", "night"];

const KEYS: [SortKey; 8] = [
    SortKey::Id,
    SortKey::Id,
    SortKey::Id,
    SortKey::State,
    SortKey::Priority,
    SortKey::Kind,
    SortKey::Worker,
    SortKey::Tries,
];

/// Returns an input that fits the model's state more often than not.
pub(crate) fn input(rng: &mut Rng, model: &Model) -> Input {
    let live: Vec<SessionId> =
        model.sessions.iter().filter(|(_, s)| s.connected).map(|(id, _)| *id).collect();
    match rng.u32(0..100) {
        0..25 => Input::Tick,
        25..45 => asked(rng, model),
        45..55 => joined(rng, model),
        _ if live.is_empty() => joined(rng, model),
        55..57 => Input::WorkerLeft { session: pick(rng, &live) },
        57..59 => {
            let session = pick(rng, &live);
            let lease = some_lease(rng, model, session).first;
            Input::OutputCame { session, lease }
        }
        _ => {
            let session = pick(rng, &live);
            Input::WorkerSaid { session, said: said(rng, model, session) }
        }
    }
}

fn pick<T: Clone>(rng: &mut Rng, items: &[T]) -> T {
    items[rng.usize(..items.len())].clone()
}

fn asked(rng: &mut Rng, model: &Model) -> Input {
    let (role, name) =
        if rng.u8(..4) == 0 { (Role::Submitter, "sam") } else { (Role::Operator, "olga") };
    let actor = Actor { role, name: Name::from_lossy(name), admin: false };
    let queue = Name::from_lossy(pick(rng, &QUEUES));
    let worker = Name::from_lossy(pick(rng, &WORKERS));
    let request = match rng.u32(0..20) {
        0..8 => Request::Submit(submit(rng, model)),
        8..10 => Request::Cancel { select: select(rng, model), now: rng.bool() },
        10..12 => Request::Retry { select: select(rng, model) },
        12..15 => Request::Delete { select: select(rng, model) },
        15 => Request::SetPriority { select: select(rng, model), priority: rng.i16(-2..3) },
        16 => Request::Pause { queue },
        17 => Request::Resume { queue },
        18 => Request::Drain { worker },
        _ => Request::Undrain { worker },
    };
    Input::Asked { client: ClientId(1), tag: rng.u64(..), actor, request }
}

fn submit(rng: &mut Rng, model: &Model) -> Submit {
    let count = rng.u64(0..9) * rng.u64(1..3);
    let args = match rng.u8(..4) {
        0 => Args::Range { first: rng.i64(-9..9), step: rng.i64(1..4), count },
        1 => Args::Repeat { count },
        _ => Args::Listed((0..count).map(|_| vec![rng.u8(b'a'..=b'z'); rng.usize(..4)]).fold(
            Default::default(),
            |mut list: ganger_proto::ArgList, argument| {
                list.push(&argument);
                list
            },
        )),
    };
    let head = SubmitHead { spec: spec(rng), options: options(rng, model) };
    let mut submit =
        Submit { key: Key::new(rng.u128(..)), part: 0, last: rng.u8(..4) > 0, head: None, args };
    if let Some(known) = rng.choice(&model.batches).filter(|_| rng.u8(..4) == 0) {
        submit.key = known.key;
        submit.part = known.parts.saturating_add_signed(rng.i32(-1..2));
    }
    let shown = submit.part == 0 && rng.u8(..40) > 0;
    submit.head = shown.then(|| Box::new(head));
    submit
}

fn spec(rng: &mut Rng) -> Spec {
    let word = || Template::from_text("True").expect("a plain word is a template");
    let kind = match rng.u8(..4) {
        0 => Kind::Square,
        1 => Kind::Sleep,
        2 => Kind::Exec { argv: vec![word()] },
        _ => Kind::Shell { line: word() },
    };
    Spec { timeout_ms: if rng.u8(..6) == 0 { 300 } else { 0 }, ..Spec::of(kind) }
}

fn options(rng: &mut Rng, model: &Model) -> BatchOptions {
    BatchOptions {
        name: pick(rng, &["", "Nightly", "two words"]).to_owned(),
        queue: Name::from_lossy(pick(rng, &QUEUES)),
        priority: rng.i16(-1..3),
        retries: rng.u8(..3),
        backoff: Backoff { base_ms: 50, cap_ms: 150 },
        not_before: (rng.u8(..5) == 0).then(|| model.now.wall.plus(rng.u64(..500))),
        labels: labels(rng),
        after: after(rng, model),
        jobs_max: if rng.u8(..4) == 0 { rng.u32(1..4) } else { 0 },
        rate: None,
    }
}

fn after(rng: &mut Rng, model: &Model) -> Vec<After> {
    let count = if rng.u8(..4) == 0 { rng.usize(1..3) } else { 0 };
    let one = |rng: &mut Rng| {
        let known = rng.choice(&model.batches).map_or(BatchId::new(9_999), |batch| batch.id);
        let batch = if rng.u8(..20) == 0 { BatchId::new(rng.u64(..50)) } else { known };
        After { batch, then: if rng.bool() { Then::Done } else { Then::Any } }
    };
    (0..count).map(|_| one(rng)).collect()
}

fn labels(rng: &mut Rng) -> Vec<(String, String)> {
    let one = |key: &&str| (rng.u8(..3) == 0).then(|| (key.to_string(), rng.u8(..3).to_string()));
    LABELS.iter().filter_map(one).collect()
}

fn select(rng: &mut Rng, model: &Model) -> Select {
    match rng.u8(..8) {
        0..5 => {
            let some = |rng: &mut Rng| match rng.choice(&model.tasks) {
                Some(task) if rng.u8(..30) > 0 => TaskId::new(task.id),
                _ => TaskId::new(rng.u64(..model.next_task + 2)),
            };
            Select::Tasks((0..rng.usize(1..5)).map(|_| some(rng)).collect())
        }
        5 | 6 => match rng.choice(&model.batches) {
            Some(batch) => Select::Batch(batch.id),
            None => Select::Batch(BatchId::new(1)),
        },
        _ => Select::Matching(filter(rng, model)),
    }
}

/// Returns a filter of one to three terms.
pub(crate) fn filter(rng: &mut Rng, model: &Model) -> Filter {
    let some_batch = |rng: &mut Rng| {
        let known = rng.choice(&model.batches).map(|batch| batch.id);
        known.unwrap_or(BatchId::new(rng.u64(..9)))
    };
    let term = |rng: &mut Rng| {
        let test = match rng.u8(..13) {
            0 => Test::State((0..rng.usize(1..4)).map(|_| pick(rng, &TaskState::ALL)).collect()),
            1 => Test::Batch((0..rng.usize(1..3)).map(|_| some_batch(rng)).collect()),
            2 => Test::Queue(vec![pick(rng, &QUEUES).to_owned()]),
            3 => Test::Kind(vec![pick(rng, &["square", "sleep", "exec", "shell"]).to_owned()]),
            4 => Test::Worker(vec![pick(rng, &WORKERS).to_owned()]),
            5 => Test::BatchName(vec![pick(rng, &["", "Nightly", "nightly"]).to_owned()]),
            6 => Test::Label {
                key: pick(rng, &LABELS).to_owned(),
                values: (0..rng.usize(..3)).map(|_| rng.u8(..3).to_string()).collect(),
            },
            7 => Test::Priority(bound(rng)),
            8 => Test::Tries(bound(rng)),
            9 => {
                let ages = ["age>1s", "age<500ms", "age:0s", "age:1s..5s"];
                let filter: Filter = pick(rng, &ages).parse().expect("these are filters");
                filter.terms[0].test.clone()
            }
            10 => Test::Command(vec![text(rng), text(rng)]),
            11 => Test::Word(text(rng)),
            _ => {
                let from = rng.u64(..model.next_task + 2);
                Test::Id(TaskId::new(from), TaskId::new(from.saturating_add(rng.u64(..60))))
            }
        };
        Term { negated: rng.u8(..4) == 0, test }
    };
    Filter { terms: (0..rng.usize(0..4)).map(|_| term(rng)).collect() }
}

fn bound(rng: &mut Rng) -> Bound<i64> {
    let number = rng.i64(-2..4);
    match rng.u8(..6) {
        0 => Bound::OneOf(vec![number, rng.i64(-2..4)]),
        1 => Bound::Between(number, number + rng.i64(..3)),
        2 => Bound::Above(number),
        3 => Bound::AtLeast(number),
        4 => Bound::Below(number),
        _ => Bound::AtMost(number),
    }
}

fn text(rng: &mut Rng) -> String {
    pick(rng, &["true", "True", "n=", "a", "zz", "1", "night", "o w", "-", "ä"]).to_owned()
}

/// Returns a window in the order of ids or of what the model knows.
pub(crate) fn window(rng: &mut Rng, model: &Model) -> TaskWindow {
    let start = match rng.u8(..4) {
        0 => Start::First,
        1 => Start::Last,
        _ => Start::Task {
            task: TaskId::new(rng.u64(..model.next_task + 5)),
            offset: rng.i64(-20..20),
        },
    };
    TaskWindow {
        filter: filter(rng, model),
        order: Order::By(Sort {
            key: pick(rng, &KEYS),
            direction: pick(rng, &[Direction::Rising, Direction::Falling]),
        }),
        start,
        rows: rng.u32(..30),
    }
}

fn joined(rng: &mut Rng, model: &Model) -> Input {
    let known = model.sessions.keys().copied().collect::<Vec<_>>();
    let again = rng.choice(&known).copied().filter(|_| rng.u8(..4) > 0);
    let session = again.unwrap_or(SessionId::new(rng.u64(1..1 << 40)));
    let of = model.sessions.get(&session).map(|s| s.worker).filter(|_| rng.u8(..50) > 0);
    let worker = of.unwrap_or(rng.usize(..WORKERS.len()));
    let mut holding = Vec::new();
    for at in model.held(session) {
        if rng.u8(..8) == 0 {
            continue;
        }
        let leases = LeaseRun { first: model.tasks[at].lease, count: rng.u32(1..20) / 10 + 1 };
        holding.push(Held { leases, started: model.tasks[at].state == TaskState::Running });
    }
    if rng.u8(..8) == 0 {
        holding.push(Held { leases: some_lease(rng, model, session), started: rng.bool() });
    }
    let hello = WorkerHello {
        session,
        slots: PerLane { cpu: 4, io: 0 },
        hold: PerLane { cpu: rng.u32(..12), io: 0 },
        holding,
        reported: 0,
        policy: String::new(),
        allows: ganger_proto::gang::Allows::ALL,
        labels: Vec::new(),
        handlers: Vec::new(),
        resources: Vec::new(),
        draining: rng.u8(..20) == 0,
    };
    let name = Name::from_lossy(WORKERS[worker]);
    Input::WorkerJoined { name, version: String::new(), hello }
}

/// Returns a run of leases, most often of the session's own.
fn some_lease(rng: &mut Rng, model: &Model, session: SessionId) -> LeaseRun {
    let held = model.held(session);
    let own = rng.choice(&held).copied().filter(|_| rng.u8(..10) > 0);
    let any = own.or_else(|| (!model.tasks.is_empty()).then(|| rng.usize(..model.tasks.len())));
    let first = match any {
        Some(at) if rng.u8(..40) > 0 => model.tasks[at].lease,
        _ => LeaseId { epoch: Epoch::new(rng.u32(..3)), counter: rng.u64(..1 << 50) },
    };
    LeaseRun { first, count: rng.u32(1..5) }
}

fn said(rng: &mut Rng, model: &Model, session: SessionId) -> Said {
    match rng.u8(..20) {
        0..2 => Said::Heartbeat(Load::default()),
        2..4 => Said::Hold(PerLane { cpu: rng.u32(..12), io: 0 }),
        4..9 => Said::Started(vec![some_lease(rng, model, session)]),
        9..18 => Said::Report(report(rng, model, session)),
        18 => Said::Release(vec![some_lease(rng, model, session)]),
        _ => Said::Draining(if rng.u8(..4) == 0 { Drain::On } else { Drain::Off }),
    }
}

fn report(rng: &mut Rng, model: &Model, session: SessionId) -> Report {
    let reported = model.sessions.get(&session).map_or(0, |known| known.reported);
    let number = reported + u64::from(rng.u8(..20) > 0) + rng.u64(..2);
    let mut report = Report { number, ..Report::default() };
    if rng.bool() {
        let leases = some_lease(rng, model, session);
        let answer = rng.u32(..).to_le_bytes();
        let results = (0..leases.count).map(|_| &answer[..]).collect();
        let took_us = vec![7; leases.count as usize];
        report.done.push(DoneRun { first: leases.first, took_us, results });
        return report;
    }
    let mut held: Vec<&Task> = model.held(session).iter().map(|at| &model.tasks[*at]).collect();
    rng.shuffle(&mut held);
    let mut leases: Vec<LeaseId> = held.iter().map(|t| t.lease).take(rng.usize(..4)).collect();
    if rng.u8(..5) == 0 {
        let other = some_lease(rng, model, session).first;
        if !leases.contains(&other) {
            leases.push(other);
        }
    }
    for lease in leases {
        let outcome = match rng.u8(..16) {
            0..5 => Outcome::Done,
            5..9 => Outcome::Failed { code: rng.i32(1..300) },
            9 => Outcome::Signalled { signal: 9 },
            10 | 11 => Outcome::TimedOut,
            12 => Outcome::Lost,
            13 | 14 => Outcome::Cancelled,
            _ => Outcome::Unfit,
        };
        let mut ended = Ended::bare(lease, outcome, 7);
        ended.stdout = rng.u32(..).to_le_bytes().to_vec();
        report.ended.push(ended);
    }
    report
}
