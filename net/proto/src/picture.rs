//! Pictures: what one screen shows, bounded and self-contained; and the watch that asks for one.
//! Holds no layout and no colours.

use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::id::{BatchId, Name, QueueName, TaskId};
use crate::label::Label;
use crate::outcome::{Outcome, Usage};
use crate::place::PerLane;
use crate::time::WallMs;

pub use crate::sort::{Direction, Sort, SortKey};

/// The state of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Waits for another batch to end.
    Blocked,
    /// Not before a time, or backing off.
    Delayed,
    /// Waits for a worker.
    Queued,
    /// Leased, not started as far as the master knows.
    Sent,
    /// Leased and started.
    Running,
    /// Ended well.
    Done,
    /// Out of attempts.
    Failed,
    /// Cancelled.
    Cancelled,
}

impl TaskState {
    /// All states, in the order of a task's life.
    pub const ALL: [Self; 8] = [
        Self::Blocked,
        Self::Delayed,
        Self::Queued,
        Self::Sent,
        Self::Running,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the state's one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Delayed => "delayed",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Tells whether the task has ended.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Waiting for another batch to end.
    pub blocked: u64,
    /// Not before a time, or backing off.
    pub delayed: u64,
    /// Waiting for a worker.
    pub queued: u64,
    /// Leased, not started as far as the master knows.
    pub sent: u64,
    /// Leased and started.
    pub running: u64,
    /// Ended well.
    pub done: u64,
    /// Out of attempts.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// Returns the number in one state.
    pub const fn of(&self, state: TaskState) -> u64 {
        match state {
            TaskState::Blocked => self.blocked,
            TaskState::Delayed => self.delayed,
            TaskState::Queued => self.queued,
            TaskState::Sent => self.sent,
            TaskState::Running => self.running,
            TaskState::Done => self.done,
            TaskState::Failed => self.failed,
            TaskState::Cancelled => self.cancelled,
        }
    }

    /// Returns all tasks.
    pub const fn total(&self) -> u64 {
        self.open() + self.ended()
    }

    /// Returns the tasks that have not ended.
    pub const fn open(&self) -> u64 {
        self.blocked + self.delayed + self.queued + self.sent + self.running
    }

    /// Returns the tasks that have ended.
    pub const fn ended(&self) -> u64 {
        self.done + self.failed + self.cancelled
    }
}

/// What a screen wants to see; replaces the previous one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Drawn by the client; each picture says which watch it answers.
    pub number: u64,
    /// A window of tasks.
    pub tasks: Option<TaskWindow>,
    /// A window of ended tasks with their results.
    pub results: Option<TaskWindow>,
    /// Rows of workers.
    pub workers: Option<RowWindow>,
    /// Rates and counts of the last minutes.
    pub history: bool,
    /// The newest log lines, at most this many.
    pub log_rows: u32,
}

/// A window over tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskWindow {
    /// Which tasks.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// Where the window begins.
    pub start: Start,
    /// At most this many rows, bounded by [`WINDOW_ROWS_MAX`](crate::limits::WINDOW_ROWS_MAX).
    pub rows: u32,
}

/// A window over rows that are few enough to be numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowWindow {
    /// The first row, from 0.
    pub start: u32,
    /// At most this many, bounded by [`WINDOW_ROWS_MAX`](crate::limits::WINDOW_ROWS_MAX).
    pub rows: u32,
}

/// In which order a window shows tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Sorted.
    By(Sort),
    /// What runs, then what will run next; the filter is not used.
    Next,
    /// What ended last, first; only the newest few hundred; the filter is not used.
    Latest,
}

/// Where a window begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// At the first row.
    First,
    /// So that its last row is the last one.
    Last,
    /// `offset` rows after the row of `task`, or of the next one that matches.
    Task {
        /// The row that stays in view.
        task: TaskId,
        /// Rows from it to the window's first; negative when the window begins above it.
        offset: i64,
    },
}

/// What one screen shows, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// Counts the pictures of a connection from 1.
    pub number: u64,
    /// The [`Watch::number`] that it answers.
    pub watch: u64,
    /// The journal's sequence number that it rests on.
    pub seq: u64,
    /// When it was made.
    pub at: WallMs,
    /// The master itself.
    pub master: MasterLine,
    /// All queues, at most 64.
    pub queues: Vec<QueueRow>,
    /// How many workers there are and what they do.
    pub gang: Gang,
    /// Rates and counts of the last minutes, when asked for.
    pub history: Option<History>,
    /// The tasks asked for.
    pub tasks: Option<Window<TaskRow>>,
    /// The results asked for.
    pub results: Option<Window<ResultRow>>,
    /// The workers asked for.
    pub workers: Option<Window<WorkerRow>>,
    /// The newest log lines, the oldest first.
    pub log: Vec<String>,
}

/// Rows of a larger list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Window<T> {
    /// Rows in the whole list.
    pub total: u64,
    /// The place of the first row here in the whole list, from 0.
    pub start: u64,
    /// The rows.
    pub rows: Vec<T>,
    /// How far the search for them has come.
    pub search: Search,
}

/// How far a search without an index has come. Searches go on in small slices beside the master's
/// other work; each picture shows what was found so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Search {
    /// All that match are counted.
    #[default]
    Complete,
    /// More may match.
    Running {
        /// How much was looked at, in thousandths.
        permille: u16,
    },
    /// It cannot be done; the rows are in id order. Says why and what to do.
    Refused(String),
}

/// The master on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MasterLine {
    /// The cluster's name.
    pub cluster: Name,
    /// The master's release.
    pub version: String,
    /// Where it listens, for people.
    pub address: String,
    /// Its home folder, for people.
    pub home: String,
    /// When this life began.
    pub started: WallMs,
    /// All tasks.
    pub counts: Counts,
    /// Tasks ended well a second, over the last five seconds.
    pub done_per_s: f32,
    /// Tasks ended well a second, over the last five minutes or since the first task.
    pub done_per_s_mean: f32,
    /// Milliseconds until the open tasks will have ended at the present rate; none when unknown.
    pub eta_ms: Option<u64>,
    /// How long the oldest queued task has waited, in milliseconds.
    pub oldest_wait_ms: u64,
    /// Processor use of the master's process, in thousandths of one core.
    pub cpu_permille: u32,
    /// Commits of the store in this life.
    pub commits: u64,
    /// A sentence when the store is in trouble; else empty.
    pub trouble: String,
    /// A sentence when tasks wait that no connected worker allows; else empty.
    pub stuck: String,
    /// Refused joins and connections lately, for people; else empty.
    pub refused: String,
    /// The newest batch; none before the first.
    pub newest_batch: Option<BatchId>,
}

/// All workers in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gang {
    /// Connected.
    pub up: u32,
    /// Connected and draining.
    pub draining: u32,
    /// Gone without a goodbye, in the last hour.
    pub lost: u32,
    /// Slots of the connected ones.
    pub slots: u32,
    /// Slots that run a task.
    pub busy: u32,
}

/// Rates and counts of the last minutes, one sample a second, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Tasks that ended well in that second; at most 300 samples.
    pub done: Vec<u32>,
    /// Tasks that ended otherwise in that second.
    pub failed: Vec<u32>,
    /// Counts at the end of that second; at most 60 samples.
    pub counts: Vec<Counts>,
}

/// A queue on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueRow {
    /// Its name.
    pub name: QueueName,
    /// Whether it grants nothing.
    pub paused: bool,
    /// Its tasks.
    pub counts: Counts,
}

/// A batch on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchRow {
    /// Its id.
    pub batch: BatchId,
    /// What people call it; untrusted text.
    pub name: String,
    /// Its kind's word.
    pub kind: String,
    /// Its queue.
    pub queue: QueueName,
    /// Who submitted it.
    pub owner: String,
    /// When its first part came.
    pub submitted: WallMs,
    /// When its last task ended; none while one is open.
    pub ended: Option<WallMs>,
    /// Whether its last part has come.
    pub complete: bool,
    /// About when its last task ends, in milliseconds from now, if its tasks go on ending as they
    /// have; none when it has ended or none of them has.
    pub eta_ms: Option<u64>,
    /// Batches that it waits for and that have not ended.
    pub after: Vec<BatchId>,
    /// Its tasks.
    pub counts: Counts,
}

/// A task on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// Its id.
    pub task: TaskId,
    /// Its batch.
    pub batch: BatchId,
    /// Its state.
    pub state: TaskState,
    /// Higher goes first.
    pub priority: i16,
    /// Its queue.
    pub queue: QueueName,
    /// Its kind's word.
    pub kind: String,
    /// Its command or argument, at most 256 characters; untrusted text.
    pub command: String,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: u32,
    /// Attempts it may have in all.
    pub attempts_max: u32,
    /// The worker that holds or ran it; empty when none.
    pub worker: String,
    /// How it ended; none while it is open or when it was cancelled before it ran.
    pub outcome: Option<Outcome>,
    /// How long its newest attempt took in microseconds, to one part in 2,000; none while that goes
    /// on, and when no worker said so.
    pub took_us: Option<u64>,
    /// When it came into this state.
    pub since: WallMs,
    /// When its batch was submitted.
    pub submitted: WallMs,
    /// Not before this moment; none unless delayed.
    pub due: Option<WallMs>,
    /// Whether a cancel was asked for and it still runs.
    pub cancelling: bool,
}

/// An ended task with its result on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultRow {
    /// The task.
    pub task: TaskId,
    /// Its batch.
    pub batch: BatchId,
    /// Its kind's word.
    pub kind: String,
    /// Its final state, or `delayed`/`queued` when the attempt shown will be followed by another.
    pub state: TaskState,
    /// The attempt shown.
    pub attempt: u32,
    /// The worker of that attempt; empty when none ran it.
    pub worker: String,
    /// How it ended; none when it was cancelled before it ran.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub at: WallMs,
    /// How long it ran, in microseconds.
    pub took_us: u64,
    /// What a child process used.
    pub usage: Usage,
    /// The first line of what it answered, printed or complained, at most 256 characters;
    /// untrusted text.
    pub text: String,
}

/// The state of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Connected and taking work.
    Up,
    /// Connected, finishing what it holds.
    Draining,
    /// Not connected, its leases still within their term.
    Away,
    /// Not connected and its leases have ended.
    Lost,
    /// It said goodbye.
    Gone,
    /// Its certificate was revoked.
    Revoked,
}

/// A worker on one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerRow {
    /// Its name.
    pub name: Name,
    /// Its state.
    pub state: WorkerState,
    /// When it came into this state.
    pub since: WallMs,
    /// Where it dials from, for people.
    pub address: String,
    /// Its release; untrusted text.
    pub version: String,
    /// What its policy allows; untrusted text.
    pub policy: String,
    /// What it says of itself.
    pub labels: Vec<Label>,
    /// Tasks it runs at once, of those that keep a processor busy.
    pub slots: u32,
    /// Tasks it runs at once of those that mostly wait.
    pub io_slots: u32,
    /// Slots that are taken in each lane. A task may take several.
    pub busy: PerLane,
    /// Tasks it runs now, of both kinds.
    pub running: u32,
    /// How many of those mostly wait.
    pub io_running: u32,
    /// Tasks it holds that have not started.
    pub waiting: u32,
    /// Processor use of its machine, in thousandths.
    pub cpu_permille: u16,
    /// Memory in use on its machine, in thousandths.
    pub memory_permille: u16,
    /// The round trip to it, in microseconds; 0 when not connected.
    pub rtt_us: u64,
    /// How long since it was heard, in milliseconds.
    pub beat_ms: u64,
    /// Attempts that it ended well.
    pub done: u64,
    /// Attempts that it ended otherwise.
    pub failed: u64,
    /// Attempts that it ended well a second, over the last five seconds.
    pub done_per_s: f32,
    /// When its certificate ends; none when unknown.
    pub certificate_ends: Option<WallMs>,
}

/// A journal event on one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// The journal batch that holds it.
    pub seq: u64,
    /// When it was written.
    pub at: WallMs,
    /// Its word, such as `leased`.
    pub word: String,
    /// The rest for people; untrusted text.
    pub text: String,
}
