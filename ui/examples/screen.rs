//! The screen before a pretended master that squares numbers: to look at layout and themes without
//! a cluster. Knows no network and keeps nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ganger_proto::command::{AttemptRow, Changed, Stream, TaskDetail};
use ganger_proto::filter::Test;
use ganger_proto::follow::{Followed, Piece};
use ganger_proto::picture::{
    Counts, Direction, Gang, History, MasterLine, Order, QueueRow, ResultRow, Search, Start,
    TaskRow, Window, WorkerRow, WorkerState,
};
use ganger_proto::{
    Actor, BatchId, BatchOptions, Ended, Filter, Kind, LeaseId, Name, Outcome, Picture, Refusal,
    Reply, Request, Role, Spec, TaskId, TaskState, Template, Usage, WallMs, Watch,
};
use ganger_ui::link::{Connection, Inbound, Link, Outbound};
use ganger_ui::{Access, Clipboard, Depth, Glyphs, Keymap, Notify, Options, ThemeChoice};
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
        theme: ThemeChoice::Wanted(theme),
        themes: Vec::new(),
        depth: Depth::Full,
        keymap: Keymap::default(),
        access: Access::Full,
        kept: None,
        glyphs: Glyphs::Unicode,
        home: "~/.local/share/ganger".to_owned(),
        utc_offset_min: None,
        clipboard: Clipboard::Terminal,
        notify: Notify::Bell,
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
            _ = tick.tick() => {
                world.work();
                Inbound::Picture(Box::new(world.picture()))
            }
            heard = from.recv() => match heard {
                Some(Outbound::Request { tag, request }) => {
                    Inbound::Reply { tag, result: world.answer(request) }
                }
                Some(Outbound::Watch(watch)) => {
                    world.watch = watch;
                    Inbound::Picture(Box::new(world.picture()))
                }
                Some(Outbound::Follow { tag, .. }) => {
                    for followed in output() {
                        if to.send(Inbound::Followed { tag, result: Ok(followed) }).await.is_err() {
                            return;
                        }
                    }
                    continue;
                }
                Some(Outbound::RetryNow | Outbound::Unfollow { .. }) => continue,
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
    watch: Watch,
    done_lately: usize,
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
        } else if let Request::List { filter, .. } = request {
            let total = self.tasks().filter(|row| matches(&filter, row)).count() as u64;
            Ok(Reply::Tasks { rows: Vec::new(), total: Some(total), next: None })
        } else if let Request::Show { task } = request {
            Ok(Reply::Task(Box::new(detail(task))))
        } else {
            Err(Refusal::State("the pretended master does not do this".to_owned()))
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            queued: self.waiting.len() as u64,
            done: self.results.len() as u64,
            ..Counts::default()
        }
    }

    /// Does a tenth of a second's work.
    fn work(&mut self) {
        let done = self.waiting.len().min(7);
        for n in self.waiting.drain(..done) {
            let task = TaskId::new(self.results.len() as u64 + 1);
            let text = format!("{n} * {n} = {}", n.wrapping_mul(n));
            self.results.insert(0, result(task, text));
        }
        self.done_lately = done;
        let counts = self.counts();
        self.history.done.push(done as u32 * 10);
        self.history.failed.push(0);
        self.history.counts.push(counts);
        let kept = self.history.done.len().saturating_sub(300);
        self.history.done.drain(..kept);
        self.history.failed.drain(..kept);
        let kept = self.history.counts.len().saturating_sub(60);
        self.history.counts.drain(..kept);
    }

    /// All tasks in the order of their ids; those that wait have no result yet.
    fn tasks(&self) -> impl Iterator<Item = TaskRow> {
        let ended = self.results.iter().rev().map(|row| {
            let command = row.text.split(' ').next().unwrap_or_default().to_owned();
            let outcome = row.outcome;
            TaskRow { outcome, attempt: 1, ..task(row.task, TaskState::Done, command) }
        });
        let first = self.results.len() as u64 + 1;
        let waiting = self.waiting.iter().zip(first..);
        let waits = |(n, id): (&i64, u64)| task(TaskId::new(id), TaskState::Queued, n.to_string());
        ended.chain(waiting.map(waits))
    }

    /// The window of tasks that is watched: sorted by id only, whatever was asked.
    fn window(&self) -> Option<Window<TaskRow>> {
        let asked = self.watch.tasks.as_ref()?;
        let mut rows: Vec<_> = self.tasks().filter(|row| matches(&asked.filter, row)).collect();
        if matches!(asked.order, Order::By(sort) if sort.direction == Direction::Falling) {
            rows.reverse();
        }
        let (total, last) = (rows.len(), rows.len().saturating_sub(asked.rows as usize));
        let start = match asked.start {
            Start::First => 0,
            Start::Last => last,
            Start::Task { task, offset } => {
                let at = rows.iter().position(|row| row.task == task).unwrap_or(0);
                at.saturating_add_signed(offset as isize).min(last)
            }
        };
        let rows = rows.drain(start..).take(asked.rows as usize).collect();
        Some(Window { total: total as u64, start: start as u64, rows, search: Search::Complete })
    }

    fn picture(&self) -> Picture {
        let (counts, done) = (self.counts(), self.done_lately);
        let rows: Vec<ResultRow> = self.results.iter().take(100).cloned().collect();
        Picture {
            number: 1,
            watch: self.watch.number,
            seq: 1,
            at: wall(),
            master: master(counts, done as f32 * 10.0),
            queues: vec![QueueRow { name: Name::from_lossy("default"), paused: false, counts }],
            gang: Gang { up: 1, slots: 2, busy: u32::from(done > 0), ..Gang::default() },
            history: Some(self.history.clone()),
            tasks: self.window(),
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

/// Knows terms of states and ids; all others hold.
fn matches(filter: &Filter, row: &TaskRow) -> bool {
    filter.terms.iter().all(|term| {
        if let Test::State(states) = &term.test {
            states.contains(&row.state) != term.negated
        } else if let Test::Id(from, to) = &term.test {
            (*from..=*to).contains(&row.task) != term.negated
        } else {
            true
        }
    })
}

fn task(task: TaskId, state: TaskState, command: String) -> TaskRow {
    TaskRow {
        task,
        batch: BatchId::new(1),
        state,
        priority: (task.raw() % 7) as i16,
        queue: Name::from_lossy("default"),
        kind: "square".to_owned(),
        command,
        attempt: 0,
        attempts_max: 3,
        worker: "here".to_owned(),
        outcome: None,
        since: NOON,
        submitted: NOON,
        due: None,
        cancelling: false,
        took_us: None,
    }
}

/// A task that failed at its second attempt.
fn detail(task: TaskId) -> TaskDetail {
    let exit = Outcome::Failed { code: 2 };
    let attempt = |attempt: u32, ago_ms: u64| {
        let mut ended = Ended::bare(LeaseId::default(), exit, 4_200_000);
        ended.usage = Usage { max_rss_kib: 217_088, user_us: 3_810_000, system_us: 440_000 };
        let at = WallMs(wall().0 - ago_ms);
        AttemptRow { attempt, worker: "here".to_owned(), at, ended }
    };
    let line = Template::from_text("cargo build --release # {}").expect("it has no width");
    let row = TaskRow {
        task,
        batch: BatchId::new(1),
        state: TaskState::Failed,
        priority: 0,
        queue: Name::from_lossy("default"),
        kind: "shell".to_owned(),
        command: "cargo build --release".to_owned(),
        attempt: 2,
        attempts_max: 2,
        worker: "here".to_owned(),
        outcome: Some(exit),
        since: wall(),
        submitted: WallMs(wall().0 - 20_000),
        due: None,
        cancelling: false,
        took_us: None,
    };
    TaskDetail {
        row,
        index: 0,
        spec: Spec::of(Kind::Shell { line }),
        options: BatchOptions { name: "builds".to_owned(), retries: 1, ..BatchOptions::default() },
        argument: task.to_string().into_bytes(),
        owner: "operator@pretended".to_owned(),
        failures: 2,
        lost: 0,
        attempts: vec![attempt(1, 12_000), attempt(2, 1_000)],
    }
}

/// What a build prints, with colours, a bar that is written over and something it should not send.
fn output() -> Vec<Followed> {
    let piece = |stream, skipped, bytes: &str| {
        let bytes = bytes.as_bytes().to_vec();
        Followed::Piece(Piece { stream, offset: 0, skipped, at: wall(), bytes })
    };
    let mut all = vec![Followed::Attempt { attempt: 2, worker: "here".to_owned() }];
    for n in 1..=60 {
        let line = format!("\x1b[1;32m   Compiling\x1b[0m part-{n:02} v0.{n}.0\n");
        all.push(piece(Stream::Stdout, 0, &line));
    }
    all.extend([
        piece(Stream::Stdout, 0, "    Building [=====>      ] 60/99\r"),
        piece(Stream::Stdout, 3_300_000, "    Building [==========> ] 97/99\n"),
        piece(Stream::Stderr, 0, "\x1b[1;38;5;9merror[E0308]\x1b[0;1m: mismatched types\x1b[0m\n"),
        piece(Stream::Stderr, 0, "  \x1b[38;2;90;150;250m-->\x1b[0m src/main.rs:7:21\n"),
        piece(Stream::Stderr, 0, "\x1b[7m expected \x1b[27m `u32`, \x1b[3mfound\x1b[0m `&str`\n"),
        piece(Stream::Stderr, 0, "\x1b]52;c;ZXZpbA==\x07could not compile `part-97`\n"),
        Followed::Ended { outcome: Some(Outcome::Failed { code: 2 }) },
    ]);
    all
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
        io_slots: 64,
        busy: ganger_proto::PerLane::default(),
        running: 0,
        io_running: 0,
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
