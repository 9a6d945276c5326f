//! The corpora of this crate's targets but those of a worker, replayed, and how they began.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::ends::IdRun;
use ganger_proto::gang::Allows;
use ganger_proto::message::{ClientMessage, Held, LeaseRun, WorkerHello, WorkerMessage};
use ganger_proto::picture::{Direction, Order, RowWindow, Sort, SortKey, Start, TaskWindow};
use ganger_proto::place::{Need, Offer};
use ganger_proto::spec::{After, Rate, Then};
use ganger_proto::{
    ArgList, Args, BatchId, BatchOptions, Epoch, Filter, Key, Kind, Label, Lane, LeaseId, Name,
    Outcome, PerLane, Request, Select, SessionId, Spec, TaskId, Template, WallMs, Watch,
};
use serde::Serialize;

use super::{config, event, master, snapshot, terminal};

#[path = "../../tests/fuzz/replay.rs"]
pub(crate) mod replay;

use replay::{plant, replay};

#[test]
fn stored_events() {
    replay("event", event::check);
}

#[test]
fn snapshots() {
    replay("snapshot", snapshot::check);
}

#[test]
fn what_a_master_hears() {
    replay("master", master::check);
}

#[test]
fn settings() {
    replay("config", config::check);
}

#[test]
fn output_on_a_terminal() {
    replay("terminal", terminal::check);
}

/// Journals and snapshots of all formats.
const KEPT: [&str; 3] = [
    include_str!("../engine/tests/golden-1.hex"),
    include_str!("../engine/tests/golden-2.hex"),
    include_str!("../engine/tests/golden-3.hex"),
];

const CONFIGS: &[&str] = &[
    "listen = \"[::]:1\"\n[screen]\ntheme = \"nord\"\n[keys.list]\nretry = [\"R\"]\ncancel = []\n",
    "advertise = [\"a\", \"b:1\"]\nstore = \"sqlite:x.db\"\nlocal_worker = 0\n",
    "[screen]\nthme = \"x\"\n",
    "[keys.list]\n\nretry = \"r\"\n",
    "store = \"memory\"\n[screen]\nnotify = \"osc\"\n",
    "{\"pid\":1,\"started_ticks\":2,\"host\":\"h\",\"boot_id\":\"b\",\"address\":\"0.0.0.0:7433\",\
     \"cluster\":\"c\"}",
];

const OUTPUTS: &[&[u8]] = &[
    b"\x00a\r\nb\tc\n",
    b"\x0310%\r20%\n",
    b"\x01\x1b[31mred\x1b[0m \x1b]0;title\x07 end",
    b"\x07\xff\x07\x1b[2Jx\x7f \x1bPq#0\x1b\\b",
    b"\x02a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b\x1b",
    b"\x00\xe2\x80\xaeb\xe2\x80\x8bc\xc2\x9b2J",
];

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect()
}

fn lines<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    let lines = text.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' '));
    lines.map(unhex)
}

fn of<T: Serialize>(step: u8, value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![step]).unwrap()
}

fn lease(counter: u64) -> LeaseId {
    LeaseId { epoch: Epoch::new(1), counter }
}

fn ask(request: Request) -> Vec<u8> {
    of(2, &ClientMessage::Request { tag: 1, request })
}

fn submit(key: u128, spec: Spec, options: BatchOptions, args: Args) -> Vec<u8> {
    let head = Some(Box::new(SubmitHead { spec, options }));
    ask(Request::Submit(Submit { key: Key::new(key), part: 0, last: true, head, args }))
}

fn squares(key: u128, count: u64) -> Vec<u8> {
    let args = Args::Range { first: 1, step: 1, count };
    submit(key, Spec::of(Kind::Square), BatchOptions::default(), args)
}

fn shell(key: u128, options: BatchOptions) -> Vec<u8> {
    let line = Template::from_text("echo {}").unwrap();
    let args = Args::Listed([&b"a"[..], b"b", b"c"].into_iter().collect::<ArgList>());
    submit(key, Spec::of(Kind::Shell { line }), options, args)
}

fn join(step: u8, slots: u32, holding: Vec<Held>) -> Vec<u8> {
    let hello = WorkerHello {
        session: SessionId::new(7),
        slots: PerLane { cpu: slots, io: 2 },
        hold: PerLane { cpu: 2 * slots, io: 2 },
        holding,
        reported: 0,
        policy: "any".to_owned(),
        allows: Allows::ALL,
        labels: vec![Label::parse("os=linux").unwrap()],
        handlers: vec![Offer { name: Name::from_lossy("h"), lane: Lane::Io }],
        resources: vec![Need::parse("gpu=2").unwrap()],
        draining: false,
    };
    [vec![step, 0], postcard::to_allocvec(&hello).unwrap()].concat()
}

fn ended(outcome: Outcome) -> Vec<u8> {
    of(13, &outcome)
}

fn retries() -> BatchOptions {
    BatchOptions { retries: 2, name: "nightly".to_owned(), ..BatchOptions::default() }
}

fn matching(text: &str) -> Filter {
    text.parse().unwrap()
}

fn watch() -> Vec<u8> {
    let sort = Sort { key: SortKey::Took, direction: Direction::Falling };
    let window = |filter: &str, order| TaskWindow {
        filter: matching(filter),
        order,
        start: Start::First,
        rows: 40,
    };
    let watch = Watch {
        number: 1,
        tasks: Some(window("", Order::Next)),
        results: Some(window("cmd:echo", Order::By(sort))),
        workers: Some(RowWindow { start: 0, rows: 9 }),
        history: true,
        log_rows: 5,
    };
    of(16, &watch)
}

#[expect(clippy::too_many_lines, reason = "a table: what the seeds say")]
fn master_seeds() -> Vec<Vec<u8>> {
    let (none, one) = (Vec::new(), TaskId::new(1));
    let cancel = |now| Request::Cancel { select: Select::Tasks(vec![one]), now };
    let after = After { batch: BatchId::new(1), then: Then::Done };
    let rate = Some(Rate { starts: 1, per_ms: 100 });
    let paced = BatchOptions { after: vec![after], jobs_max: 1, rate, ..retries() };
    let due = BatchOptions { not_before: Some(WallMs(1_700_000_009_000)), ..retries() };
    let held = vec![Held { leases: LeaseRun { first: lease(1), count: 2 }, started: true }];
    let queue = || Name::from_lossy("default");
    let told = vec![IdRun { first: one, count: 2 }];
    let says = |message: WorkerMessage| of(7, &message);
    vec![
        [squares(1, 40), join(5, 2, none.clone()), vec![12, 0], vec![12, 0], watch()].concat(),
        [
            join(5, 2, none.clone()),
            shell(1, retries()),
            vec![11],
            ended(Outcome::Failed { code: 3 }),
            ended(Outcome::Unfit),
            vec![0, 0, 1, 12, 1],
        ]
        .concat(),
        [
            shell(1, retries()),
            shell(2, paced),
            join(5, 1, none.clone()),
            vec![11, 12, 0],
            vec![0, 50, 0, 15],
            join(5, 1, held),
            vec![12, 0, 1],
        ]
        .concat(),
        [
            join(6, 2, none.clone()),
            shell(1, due),
            ask(cancel(false)),
            ask(Request::Retry { select: Select::Batch(BatchId::new(1)) }),
            vec![0, 255, 255],
            ask(cancel(true)),
            ask(Request::Delete { select: Select::Matching(matching("state:ended")) }),
        ]
        .concat(),
        [
            squares(1, 9),
            ask(Request::SetPriority { select: Select::Batch(BatchId::new(1)), priority: 4 }),
            ask(Request::Pause { queue: queue() }),
            join(5, 3, none.clone()),
            ask(Request::Why { task: one }),
            ask(Request::Resume { queue: queue() }),
            says(WorkerMessage::Release { leases: vec![LeaseRun { first: lease(1), count: 2 }] }),
            vec![9, 0, 0, 4],
        ]
        .concat(),
        [
            join(5, 3, none),
            squares(1, 20),
            ask(Request::Ends { batch: BatchId::new(1), told, rows: 5 }),
            ask(Request::List { filter: matching("cmd:n id:2..9"), after: one, rows: 5 }),
            ask(Request::Cancel { select: Select::Matching(matching("cmd:3")), now: true }),
            ask(Request::SetSlots { worker: Name::from_lossy("alpha"), slots: 1 }),
            ask(Request::Drain { worker: Name::from_lossy("alpha") }),
            vec![14, 0, 17],
        ]
        .concat(),
    ]
}

#[test]
#[ignore = "writes the first files of the corpora"]
fn plant_seeds() {
    let events = KEPT.iter().flat_map(|kept| lines(kept, "events"));
    plant("event", events.map(|bytes| [vec![0], bytes].concat()));
    let snapshot = |kept: &&str| {
        let parts = lines(kept, "part").flat_map(|part| {
            let length = u16::try_from(part.len()).unwrap().to_le_bytes();
            [&length[..], &part].concat()
        });
        parts.collect::<Vec<u8>>()
    };
    plant("snapshot", KEPT.iter().map(snapshot));
    plant("master", master_seeds());
    plant("config", CONFIGS.iter().map(|text| text.as_bytes().to_vec()));
    plant("terminal", OUTPUTS.iter().map(|bytes| bytes.to_vec()));
}
