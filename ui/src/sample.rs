//! Pictures for the tests: a busy master, an empty one, a hostile one. Nothing here is shown to
//! people.

use ganger_proto::gang::{self, CertificateFacts, What, WorkerDetail};
use ganger_proto::picture::{
    Counts, Gang, History, MasterLine, QueueRow, ResultRow, Search, TaskRow, Window, WorkerRow,
    WorkerState,
};
use ganger_proto::place::{Need, Offer};
use ganger_proto::why::{Reason, Why};
use ganger_proto::{
    Actor, BatchId, Label, Lane, Name, Outcome, PerLane, Picture, Role, TaskId, TaskState, Usage,
    WallMs,
};

mod identities;

pub(crate) use identities::identities;

use crate::link::{Connection, Inbound};
use crate::model::Model;
use crate::msg::{Effect, Moment, Msg};
use crate::update::update;

/// The moment of all samples: 2026-03-14 14:32:07.910 UTC.
pub(crate) const NOW: WallMs = WallMs(1_773_498_727_910);

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn connection() -> Connection {
    Connection {
        you: Actor { role: Role::Operator, name: name("ada"), admin: true },
        cluster: name("build"),
        address: "build01:7433".to_owned(),
        version: "0.1.0".to_owned(),
        rtt_us: 12_000,
    }
}

/// A model that is connected but has no picture.
pub(crate) fn connected(size: (u16, u16)) -> Model {
    let mut model = Model::new(size, "~/.local/share/ganger".to_owned(), Some(0));
    hear(&mut model, Inbound::Connected(connection()));
    model
}

/// A model that shows `picture`.
pub(crate) fn showing(size: (u16, u16), picture: Picture) -> Model {
    let mut model = connected(size);
    hear(&mut model, Inbound::Picture(Box::new(picture)));
    model
}

/// Hears what a master says; its pictures answer the newest watch.
pub(crate) fn hear(model: &mut Model, mut inbound: Inbound) -> Vec<Effect> {
    if let Inbound::Picture(picture) = &mut inbound {
        picture.watch = model.watch_number;
    }
    feed(model, Msg::Link(inbound))
}

pub(crate) fn feed(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let draw = model.now.draw + 1;
    let mono_ms = model.now.mono_ms.max(100_000);
    model.now = Moment { mono_ms, wall: NOW, draw };
    update(model, msg)
}

/// Lets time pass, in milliseconds, with a tick of the second at its end.
pub(crate) fn pass(model: &mut Model, ms: u64) -> Vec<Effect> {
    model.now.mono_ms += ms;
    feed(model, Msg::Second)
}

fn master(counts: Counts) -> MasterLine {
    MasterLine {
        cluster: name("build"),
        version: "0.1.0".to_owned(),
        address: "[::]:7433".to_owned(),
        home: "~/.local/share/ganger".to_owned(),
        started: WallMs(NOW.0 - 8_040_000),
        counts,
        done_per_s: 812.0,
        done_per_s_mean: 764.0,
        eta_ms: Some(16_000),
        oldest_wait_ms: 3_200,
        cpu_permille: 310,
        commits: 48,
        trouble: String::new(),
        stuck: String::new(),
        refused: String::new(),
        newest_batch: Some(BatchId::new(812)),
    }
}

pub(crate) fn empty() -> Picture {
    let mut master = master(Counts::default());
    master.started = WallMs(NOW.0 - 12_000);
    master.refused = "192.168.1.20 tried to connect without a certificate 3s ago".to_owned();
    Picture {
        number: 1,
        watch: 0,
        seq: 1,
        at: NOW,
        master,
        queues: vec![QueueRow { name: name("default"), paused: false, counts: Counts::default() }],
        gang: Gang { up: 1, draining: 0, lost: 0, slots: 2, busy: 0 },
        history: Some(History::default()),
        tasks: Some(Window { total: 0, start: 0, rows: Vec::new(), search: Search::Complete }),
        results: Some(Window { total: 0, start: 0, rows: Vec::new(), search: Search::Complete }),
        workers: Some(Window {
            total: 1,
            start: 0,
            rows: vec![WorkerRow { running: 0, slots: 2, done: 0, ..worker("build01", 0) }],
            search: Search::Complete,
        }),
        log: Vec::new(),
    }
}

pub(crate) fn busy() -> Picture {
    let counts = Counts {
        blocked: 240,
        delayed: 18,
        queued: 12_431,
        sent: 0,
        running: 44,
        done: 48_057,
        failed: 19,
        cancelled: 2,
    };
    let mut picture = Picture {
        number: 2,
        master: master(counts),
        gang: Gang { up: 6, draining: 1, lost: 1, slots: 48, busy: 44 },
        history: Some(history(counts)),
        ..empty()
    };
    let rows = tasks();
    picture.tasks = Some(Window { total: 12_493, start: 0, rows, search: Search::Complete });
    let rows = results();
    picture.results = Some(Window { total: 300, start: 0, rows, search: Search::Complete });
    let rows = workers();
    picture.workers =
        Some(Window { total: rows.len() as u64, start: 0, rows, search: Search::Complete });
    picture.log = (0..60)
        .map(|i| {
            let level = ["INFO", "INFO", "DEBUG", "WARN"][i % 4];
            format!("2026-03-14T14:31:{i:02}.123Z {level} master: batch committed seq={i}")
        })
        .collect();
    picture
}

/// A curve without randomness, with two hills and a valley.
fn history(counts: Counts) -> History {
    let wave = |i: usize| {
        let x = i as f64 / 300.0;
        let hills = (x * 9.0).sin() * 0.3 + (x * 31.0).cos() * 0.08 + 0.55;
        (hills * 1_000.0) as u32
    };
    History {
        done: (0..300).map(wave).collect(),
        failed: (0..300).map(|i| if i % 60 < 4 { 60 } else { 0 }).collect(),
        counts: (0..60)
            .map(|i| Counts {
                queued: counts.queued + (60 - i) * 150,
                running: 30 + i % 15,
                delayed: i / 4,
                blocked: if i < 20 { 0 } else { 240 },
                done: counts.done - (60 - i) * 700,
                failed: i / 5,
                ..counts
            })
            .collect(),
    }
}

fn worker(called: &str, at: u16) -> WorkerRow {
    WorkerRow {
        name: name(called),
        state: WorkerState::Up,
        since: WallMs(NOW.0 - 600_000),
        address: format!("10.0.0.{}:51820", 10 + at),
        version: "0.1.0".to_owned(),
        policy: "exec".to_owned(),
        labels: Vec::new(),
        slots: 8,
        io_slots: 64,
        busy: PerLane { cpu: 8, io: 0 },
        running: 8,
        io_running: 0,
        waiting: 4,
        cpu_permille: 970 - 90 * at,
        memory_permille: 610 - 50 * at,
        rtt_us: 400 + 700 * u64::from(at),
        beat_ms: 300 + 100 * u64::from(at),
        done: 11_204 - 1_500 * u64::from(at),
        failed: u64::from(at % 3),
        done_per_s: 142.0 - 20.0 * f32::from(at),
        certificate_ends: Some(WallMs(NOW.0 + 9 * 86_400_000)),
    }
}

fn workers() -> Vec<WorkerRow> {
    let mut rows: Vec<WorkerRow> = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot"]
        .into_iter()
        .zip(0..)
        .map(|(name, at)| worker(name, at))
        .collect();
    rows[2].slots = 16;
    (rows[2].running, rows[2].io_running) = (28, 12);
    rows[4] = WorkerRow { state: WorkerState::Draining, slots: 4, running: 2, ..rows[4].clone() };
    rows[5].certificate_ends = Some(WallMs(NOW.0 + 2 * 86_400_000));
    rows.push(WorkerRow {
        state: WorkerState::Lost,
        since: WallMs(NOW.0 - 34_200),
        running: 0,
        rtt_us: 0,
        beat_ms: 34_200,
        done: 0,
        done_per_s: 0.0,
        ..worker("golf", 6)
    });
    for row in &mut rows {
        row.busy = PerLane { cpu: row.running - row.io_running, io: row.io_running };
    }
    rows
}

pub(crate) fn task(id: u64, state: TaskState) -> TaskRow {
    TaskRow {
        task: TaskId::new(id),
        batch: BatchId::new(812),
        state,
        priority: 5,
        queue: name("default"),
        kind: "square".to_owned(),
        command: "4096".to_owned(),
        attempt: 1,
        attempts_max: 3,
        worker: String::new(),
        outcome: None,
        took_us: None,
        since: WallMs(NOW.0 - 3_200),
        submitted: WallMs(NOW.0 - 60_000),
        due: None,
        cancelling: false,
    }
}

fn tasks() -> Vec<TaskRow> {
    let commands = [
        ("square", "4096"),
        ("square", "731"),
        ("shell", "ffmpeg -i talk.mkv -c:v libx264 -preset slow talk.mp4"),
        ("shell", "curl -fsS https://mirror.example/f.tar.gz"),
        ("exec", "make -C 日本語パッケージ test"),
        ("square", "17"),
        ("exec", "convert in/0192.png -resize 50% out/0192.png"),
    ];
    (0..40u64)
        .map(|i| {
            let (kind, command) = commands[i as usize % commands.len()];
            let state = match i {
                0..3 => TaskState::Running,
                3 => TaskState::Delayed,
                4 => TaskState::Sent,
                6 => TaskState::Blocked,
                _ => TaskState::Queued,
            };
            let worker = if i < 3 { ["alpha", "bravo", "charlie"][i as usize] } else { "" };
            TaskRow {
                kind: kind.to_owned(),
                command: command.to_owned(),
                worker: worker.to_owned(),
                due: (i == 3).then_some(WallMs(NOW.0 + 4_000)),
                attempt: u32::from(i < 5) + u32::from(i == 3),
                priority: if i < 9 { 5 } else { 0 },
                ..task(60_528 + i, state)
            }
        })
        .collect()
}

pub(crate) fn result(id: u64, text: &str) -> ResultRow {
    ResultRow {
        task: TaskId::new(id),
        batch: BatchId::new(812),
        kind: "square".to_owned(),
        state: TaskState::Done,
        attempt: 1,
        worker: "alpha".to_owned(),
        outcome: Some(Outcome::Done),
        at: WallMs(NOW.0 - (60_527 - id.min(60_527)) * 11),
        took_us: 1_200,
        usage: Usage::default(),
        text: text.to_owned(),
    }
}

fn results() -> Vec<ResultRow> {
    let mut rows: Vec<ResultRow> = (0..40u64)
        .map(|i| {
            let n = (i * 997) % 4_097;
            result(60_527 - i, &format!("{n} * {n} = {}", n * n))
        })
        .collect();
    rows[3].state = TaskState::Failed;
    rows[3].outcome = Some(Outcome::Failed { code: 2 });
    rows[3].text = "No such file or directory".to_owned();
    rows[3].worker = "foxtrot".to_owned();
    rows[3].took_us = 43_000;
    rows[6].state = TaskState::Delayed;
    rows[6].outcome = Some(Outcome::TimedOut);
    rows[6].text = String::new();
    rows[6].took_us = 30_000_000;
    rows
}

/// One of the busy master's workers in full.
pub(crate) fn worker_detail(called: &Name) -> WorkerDetail {
    let rows = workers();
    let row = rows.iter().find(|row| row.name == *called).unwrap_or(&rows[0]).clone();
    let ago = |ms: u64, what| gang::Moment { at: WallMs(NOW.0 - ms), what };
    WorkerDetail {
        handlers: vec![
            Offer { name: name("resize"), lane: Lane::Cpu },
            Offer { name: name("fetch"), lane: Lane::Io },
        ],
        resources: ["mem=64G", "gpu=2"].map(|text| Need::parse(text).unwrap()).to_vec(),
        row: WorkerRow {
            labels: ["gpu=a100", "zone=eu-west"].map(|text| Label::parse(text).unwrap()).to_vec(),
            policy: "exec any, no shell, no new privileges".to_owned(),
            ..row
        },
        certificate: Some(CertificateFacts {
            serial: "4f02c91a77de0b3391c2a5e8d0147b6c".to_owned(),
            fingerprint: "9b1f".repeat(16),
            issued: WallMs(NOW.0 - 81 * 86_400_000),
            ends: WallMs(NOW.0 + 9 * 86_400_000),
            revoked: false,
        }),
        clock_ahead_ms: Some(4_200),
        holds: tasks().into_iter().take(5).collect(),
        holds_total: 12,
        moments: vec![
            ago(64_000, What::Slots(16)),
            ago(420_000, What::Back { away_ms: 3_100 }),
            ago(423_100, What::Away { holds: 12 }),
            ago(8_000_000, What::Came),
        ],
    }
}

/// Why a task of the busy master waits.
pub(crate) fn why(task: TaskId) -> Why {
    let reasons = vec![
        Reason::NotAllowed {
            kind: "shell".to_owned(),
            nearest: name("alpha"),
            policy: "exec any, no shell, no new privileges".to_owned(),
            workers: 6,
        },
        Reason::Behind { queue: name("default"), higher: 12, older: 1_192, eta_ms: Some(1_500) },
    ];
    Why { task, state: TaskState::Queued, at: NOW, reasons }
}

/// Everything that a peer may write, full of what must not reach a cell.
pub(crate) fn hostile() -> Picture {
    let evil = "\u{1b}[2J\u{9b}31m\u{202e}gnp.exe\u{200b}\u{2066}\u{e0041}\u{7}\u{85}\
                e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{feff}\n\t";
    let mut picture = busy();
    for row in picture.tasks.iter_mut().flat_map(|window| &mut window.rows) {
        row.command = format!("{evil}{evil}");
        row.kind = evil.to_owned();
        row.worker = evil.to_owned();
    }
    for row in picture.results.iter_mut().flat_map(|window| &mut window.rows) {
        row.text = evil.to_owned();
        row.worker = evil.to_owned();
    }
    for row in picture.workers.iter_mut().flat_map(|window| &mut window.rows) {
        row.version = evil.to_owned();
        row.address = evil.to_owned();
    }
    picture.master.trouble = evil.to_owned();
    picture.master.refused = evil.to_owned();
    picture.master.home = evil.to_owned();
    picture.log = vec![evil.to_owned(); 5];
    picture
}
