//! The screen before a pretended master that squares numbers: to look at layout and themes without
//! a cluster. Knows no network and keeps nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ganger_proto::command::Changed;
use ganger_proto::picture::{
    Counts, Gang, History, MasterLine, QueueRow, ResultRow, Search, Window, WorkerRow, WorkerState,
};
use ganger_proto::{
    Actor, BatchId, Name, Outcome, Picture, Refusal, Reply, Request, Role, TaskId, TaskState,
    Usage, WallMs,
};
use ganger_ui::link::{Connection, Inbound, Link, Outbound};
use ganger_ui::{Clipboard, Glyphs, Options, ThemeChoice};
use tokio::sync::mpsc;
use tokio::time::{Instant, interval};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let theme = std::env::args().nth(1).unwrap_or_else(|| "ansi16".to_owned());
    // Bounded: the pretended master waits while the screen is busy.
    let (to_screen, inbound) = mpsc::channel(16);
    let (outbound, from_screen) = mpsc::channel(16);
    let master = tokio::spawn(pretend(to_screen, from_screen));
    let began = Instant::now();
    let mut draws = fastrand::Rng::new();
    let options = Options {
        theme: ThemeChoice::Named(theme),
        glyphs: Glyphs::Unicode,
        home: "~/.local/share/ganger".to_owned(),
        utc_offset_min: None,
        clipboard: Clipboard::Terminal,
        clock: Arc::new(move || (began.elapsed().as_millis() as u64, wall())),
        key_source: Box::new(move || draws.u128(..)),
    };
    let left = ganger_ui::run(Link { inbound, outbound }, options).await;
    master.abort();
    left?;
    Ok(())
}

/// A pretended time of day: noon when the example began, and on from there.
fn wall() -> WallMs {
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    NOON.plus(BEGAN.get_or_init(Instant::now).elapsed().as_millis() as u64)
}

const NOON: WallMs = WallMs(1_773_489_600_000);

/// Answers requests and makes results, ten times a second.
async fn pretend(to: mpsc::Sender<Inbound>, mut from: mpsc::Receiver<Outbound>) {
    let name = Name::from_lossy("pretended");
    let connection = Connection {
        you: Actor { role: Role::Operator, name: name.clone(), admin: true },
        cluster: name,
        address: "localhost:7433".to_owned(),
        version: "0.1.0".to_owned(),
        rtt_us: 400,
    };
    let mut world = World::default();
    let mut tick = interval(Duration::from_millis(100));
    if to.send(Inbound::Connected(connection)).await.is_err() {
        return;
    }
    loop {
        let message = tokio::select! {
            _ = tick.tick() => Inbound::Picture(Box::new(world.picture())),
            heard = from.recv() => match heard {
                Some(Outbound::Request { tag, request }) => {
                    Inbound::Reply { tag, result: world.answer(request) }
                }
                Some(
                    Outbound::Watch(_)
                    | Outbound::RetryNow
                    | Outbound::Follow { .. }
                    | Outbound::Unfollow { .. },
                ) => continue,
                None => return,
            },
        };
        if to.send(message).await.is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct World {
    waiting: Vec<i64>,
    results: Vec<ResultRow>,
    batches: u64,
    history: History,
}

impl World {
    fn answer(&mut self, request: Request) -> Result<Reply, Refusal> {
        if let Request::Submit(part) = request {
            self.batches += 1;
            let mut text = Vec::new();
            for i in 0..part.args.count().min(10_000) {
                text.clear();
                part.args.write(i, &mut text);
                let number = String::from_utf8_lossy(&text).parse().unwrap_or(0);
                self.waiting.push(number);
            }
            let (batch, tasks) = (BatchId::new(self.batches), part.args.count());
            Ok(Reply::Submitted { batch, tasks, duplicate: false })
        } else if let Request::Invite(_) = request {
            Ok(Reply::Invited {
                token: "ganger1".to_owned() + &"pretended".repeat(12),
                id: "i1".to_owned(),
                expires: wall().plus(3_600_000),
            })
        } else if let Request::Cancel { .. } = request {
            let changed = self.waiting.len() as u64;
            self.waiting.clear();
            Ok(Reply::Changed(Changed { changed, ..Changed::default() }))
        } else {
            Err(Refusal::State("the pretended master does not do this".to_owned()))
        }
    }

    fn picture(&mut self) -> Picture {
        let done = self.waiting.len().min(7);
        for n in self.waiting.drain(..done) {
            let task = TaskId::new(self.results.len() as u64 + 1);
            let text = format!("{n} * {n} = {}", n.wrapping_mul(n));
            self.results.insert(0, result(task, text));
        }
        let counts = Counts {
            queued: self.waiting.len() as u64,
            done: self.results.len() as u64,
            ..Counts::default()
        };
        self.history.done.push(done as u32 * 10);
        self.history.failed.push(0);
        self.history.counts.push(counts);
        let kept = self.history.done.len().saturating_sub(300);
        self.history.done.drain(..kept);
        self.history.failed.drain(..kept);
        let kept = self.history.counts.len().saturating_sub(60);
        self.history.counts.drain(..kept);
        let rows: Vec<ResultRow> = self.results.iter().take(100).cloned().collect();
        Picture {
            number: 1,
            watch: 0,
            seq: 1,
            at: wall(),
            master: master(counts, done as f32 * 10.0),
            queues: vec![QueueRow { name: Name::from_lossy("default"), paused: false, counts }],
            gang: Gang { up: 1, slots: 2, busy: u32::from(done > 0), ..Gang::default() },
            history: Some(self.history.clone()),
            tasks: Some(Window { total: 0, start: 0, rows: Vec::new(), search: Search::Complete }),
            results: Some(Window {
                total: rows.len() as u64,
                start: 0,
                rows,
                search: Search::Complete,
            }),
            workers: Some(Window {
                total: 1,
                start: 0,
                rows: vec![worker(counts.done)],
                search: Search::Complete,
            }),
            log: vec!["INFO the pretended master has nothing to say".to_owned()],
        }
    }
}

fn result(task: TaskId, text: String) -> ResultRow {
    ResultRow {
        task,
        batch: BatchId::new(1),
        kind: "square".to_owned(),
        state: TaskState::Done,
        attempt: 1,
        worker: "here".to_owned(),
        outcome: Some(Outcome::Done),
        at: wall(),
        took_us: 87,
        usage: Usage::default(),
        text,
    }
}

fn master(counts: Counts, done_per_s: f32) -> MasterLine {
    MasterLine {
        cluster: Name::from_lossy("pretended"),
        version: "0.1.0".to_owned(),
        address: "localhost:7433".to_owned(),
        home: "~/.local/share/ganger".to_owned(),
        started: NOON,
        counts,
        done_per_s,
        done_per_s_mean: done_per_s,
        eta_ms: None,
        oldest_wait_ms: 0,
        cpu_permille: 10,
        commits: 0,
        trouble: String::new(),
        stuck: String::new(),
        refused: String::new(),
        newest_batch: None,
    }
}

fn worker(done: u64) -> WorkerRow {
    WorkerRow {
        name: Name::from_lossy("here"),
        state: WorkerState::Up,
        since: NOON,
        address: "localhost".to_owned(),
        version: "0.1.0".to_owned(),
        policy: String::new(),
        labels: Vec::new(),
        slots: 2,
        running: 0,
        waiting: 0,
        cpu_permille: 120,
        memory_permille: 400,
        rtt_us: 400,
        beat_ms: 100,
        done,
        failed: 0,
        done_per_s: 0.0,
        certificate_ends: None,
    }
}
