//! The corpora of a worker's targets, replayed, and how they began.

use ganger_proto::command::Stream;
use ganger_proto::follow::Piece;
use ganger_proto::message::{Grant, GrantRun, LeaseRun, LiveHeader, ToWorker, Welcome};
use ganger_proto::{
    Actor, ArgList, Args, BatchId, Epoch, Kind, Lane, LeaseId, Name, Outcome, Placement, Role,
    Spec, SpecId, TaskId, Template, WallMs,
};
use serde::Serialize;

use super::{answer, order, policy, worker};
use crate::worker::caps::Caps;
use crate::worker::order::{End, Finished, FromLauncher, Order, ToLauncher, encode};
use crate::worker::output::Stream as Kept;
use crate::worker::policy::{ExecPolicy, Permission};

use crate::fuzzing::tests::replay::{plant, replay};

#[test]
fn what_a_worker_hears() {
    replay("worker", worker::check);
}

#[test]
fn answers_of_handlers() {
    replay("answer", answer::check);
}

#[test]
fn orders_to_launchers() {
    replay("order", order::check);
}

#[test]
fn policies() {
    replay("policy", policy::check);
}

const ANSWERS: &[&str] = &[
    "{\"ok\": \"a\\nb\"}",
    "{\"ok\": {\"b\" : [1, 2.50, \"x y\\\" z\"], \"a\": 1e3 } }\r",
    "{\"ok\": \"f\\udcff\\udc80 \\u00fc\"}",
    "{\"ok\": true, \"task\": 7, \"more\": [1]}",
    "{\"error\": {\"code\": 4}, \"retry\": true}",
    "{\"error\": \"no\", \"task\": 8}",
    "Loading \u{1b}[1mmodel",
    "{\"ok\": 1, \"ok\": 2}",
];

const POLICIES: &[&str] = &[
    "exec = \"allow-list\"\nallow = [\"/bin/a\", \"/bin/b\"]\nslots = 4\n",
    "exec = \"handlers-only\"\n[handlers.resize]\ncommand = [\"python3\", \"resize.py\"]\n",
    "[handlers.x]\ncommand = [\"a\"]\nlane = \"io\"\nrecycle_after = 9\ntimeout_s = 3\n\
     env = { A = \"1\" }\ncwd = \"sub\"\n",
    "allow_shell = true\nno_new_privs = false\nallow_root = true\ngrace_s = 3\nio_slots = 9\n",
    "roots = [\"/data\", \"/b\"]\nlabels = [\"gpu=a100\"]\nenv_pass = [\"X\"]\n[resources]\n\
     gpu = 2\nmem = \"4G\"\n",
    "roots = [\"b/..\"]\n",
    "allow = []\n",
];

fn of<T: Serialize>(step: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![step]).unwrap()
}

fn lease(counter: u64) -> LeaseId {
    LeaseId { epoch: Epoch::new(1), counter }
}

fn runs(first: u64, count: u32) -> Vec<LeaseRun> {
    vec![LeaseRun { first: lease(first), count }]
}

fn welcome() -> Vec<u8> {
    let name = Name::from_lossy;
    let welcome = Welcome {
        minor: 3,
        version: String::new(),
        cluster: name("c"),
        epoch: Epoch::new(1),
        started: WallMs(0),
        now: WallMs(0),
        you: Actor { role: Role::Worker, name: name("w"), admin: false },
        term_ms: 10_000,
        beat_ms: 2_000,
        renew: false,
        stale: Vec::new(),
        acknowledged: 0,
    };
    of(0, &welcome)
}

fn grant(first: u64, kind: Kind, args: Args) -> Vec<u8> {
    let id = SpecId::new(match kind {
        Kind::Square => 1,
        Kind::Sleep => 2,
        Kind::Exec { .. } | Kind::Shell { .. } => 3,
        Kind::Handler { .. } => 4,
    });
    let run = GrantRun {
        lease: lease(first),
        task: TaskId::new(first),
        batch: BatchId::new(1),
        index: 0,
        attempt: 1,
        spec: id,
        args,
    };
    let io = Placement { lane: Some(Lane::Io), ..Placement::default() };
    let place = if matches!(kind, Kind::Sleep) { io } else { Placement::default() };
    let spec = Spec { place, ..Spec::of(kind) };
    of(1, &ToWorker::Grant(Grant { specs: vec![(id, spec)], runs: vec![run] }))
}

fn listed(args: &[&str]) -> Args {
    Args::Listed(args.iter().map(|arg| arg.as_bytes()).collect::<ArgList>())
}

fn worker_seeds() -> Vec<Vec<u8>> {
    let exec = Kind::Exec { argv: vec![Template::from_text("true").unwrap()] };
    let handler = Kind::Handler { name: Name::from_lossy("h") };
    let (none, range) =
        (|count| Args::Repeat { count }, |count| Args::Range { first: 1, step: 1, count });
    let ended = |which: u8, kept: u8, outcome: Outcome| {
        [&[4, which, kept][..], &postcard::to_allocvec(&outcome).unwrap()].concat()
    };
    let wait = |low: u8| vec![3, low, 0];
    let say = |message: ToWorker| of(1, &message);
    let follow = LiveHeader { lease: lease(1), number: 1 };
    vec![
        [welcome(), grant(1, Kind::Square, range(40)), wait(9)].concat(),
        [welcome(), grant(1, Kind::Sleep, listed(&["20ms", "1", "x"])), wait(60)].concat(),
        [welcome(), grant(1, exec.clone(), none(4)), ended(0, 0, Outcome::Done), wait(30)].concat(),
        [
            welcome(),
            grant(1, exec.clone(), none(3)),
            ended(0, 90, Outcome::Failed { code: 2 }),
            say(ToWorker::OutputStored { lease: lease(1) }),
            wait(90),
            say(ToWorker::Ack { report: 1 }),
        ]
        .concat(),
        [
            welcome(),
            grant(1, exec.clone(), none(6)),
            say(ToWorker::Follow(follow)),
            say(ToWorker::Cancel { leases: runs(1, 2) }),
            say(ToWorker::TakeBack { leases: runs(3, 2) }),
            say(ToWorker::Stale { leases: runs(1, 9) }),
            ended(0, 0, Outcome::Cancelled),
        ]
        .concat(),
        [
            welcome(),
            grant(1, handler, listed(&["a", "b", "c", "d"])),
            ended(0, 1, Outcome::Done),
            ended(0, 2, Outcome::Done),
            say(ToWorker::Slots { slots: 1 }),
            vec![6],
            welcome(),
            vec![7],
        ]
        .concat(),
        [
            welcome(),
            grant(1, exec, none(2)),
            say(ToWorker::Drain { on: true }),
            say(ToWorker::Drain { on: false }),
            say(ToWorker::Beat { beat_ms: 7_000 }),
        ]
        .concat(),
    ]
}

fn order_seeds() -> Vec<Vec<u8>> {
    let framed = |who: u8, frames: &[Vec<u8>]| [&[who][..], &frames.concat()].concat();
    let setup = ToLauncher::Setup {
        worker: "w".to_owned(),
        exec: ExecPolicy::AllowList(vec!["/bin/true".into()]),
        privileges: Permission::Refused,
        roots: vec!["/".into()],
        caps: Caps::default(),
        groups: None,
    };
    let run = ToLauncher::Run(Order { number: 3, ..Order::default() });
    let ends = [
        encode(&ToLauncher::Stop { number: 3 }),
        encode(&ToLauncher::Kill { number: 3 }),
        encode(&ToLauncher::Show { number: 3, follow: 1 }),
    ];
    let finished = Finished {
        number: 3,
        end: End::Exit { code: 1 },
        stopped: None,
        usage: ganger_proto::Usage::default(),
        took_us: 17,
        stdout: Kept::default(),
        stderr: Kept::default(),
        note: String::new(),
    };
    let piece = Piece {
        stream: Stream::Stderr,
        offset: 0,
        skipped: 0,
        at: WallMs(3),
        bytes: b"text".to_vec(),
    };
    let shown = FromLauncher::Shown { follow: 1, piece };
    let mut seeds = vec![
        framed(0, &[encode(&setup), encode(&run)]),
        framed(8, &ends),
        framed(1, &[encode(&FromLauncher::Finished(Box::new(finished))), encode(&shown)]),
    ];
    seeds.extend(answer::frames().into_iter().map(|(who, frames)| framed(who, &frames)));
    seeds.push(vec![0, 255, 255, 255, 255]);
    seeds
}

#[test]
#[ignore = "writes the first files of the corpora"]
fn plant_seeds() {
    plant("worker", worker_seeds());
    plant("order", order_seeds());
    plant("answer", ANSWERS.iter().map(|text| text.as_bytes().to_vec()));
    plant("policy", POLICIES.iter().map(|text| text.as_bytes().to_vec()));
}
