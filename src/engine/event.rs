//! What may happen, as the journal keeps it. Written by `decide`, read by `apply`, on the live path
//! and on a replay alike. The byte format is `src/store/FORMAT.md`'s business: postcard, versioned
//! with the store.

use std::sync::Arc;

use ganger_proto::message::LeaseRun;
use ganger_proto::{
    Actor, Args, BatchId, BatchOptions, BlockId, Epoch, Key, Outcome, QueueName, SessionId, Spec,
    SpecId, TaskId, WallMs, WorkerId, WorkerName,
};
use serde::{Deserialize, Serialize};

use super::deed::Deed;
use super::runs::TaskRun;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A master began its life.
    Began {
        /// Its epoch.
        epoch: Epoch,
    },
    /// The first part of a submission came, as formats 1 and 2 kept it; is read and never made.
    OpenedBefore3 {
        /// The new batch.
        batch: BatchId,
        /// The submission's key.
        key: Key,
        /// The number of its spec.
        spec: SpecId,
        /// The spec itself, the first time that it is used.
        #[serde(with = "super::stored::spec")]
        new_spec: Option<Spec>,
        /// How its tasks are queued and retried; its labels come in an event of their own.
        #[serde(with = "super::stored::options")]
        options: BatchOptions,
        /// Who submitted it.
        owner: Actor,
        /// When.
        at: WallMs,
    },
    /// Tasks joined a batch; their ids follow the newest id.
    Added {
        /// The batch.
        batch: BatchId,
        /// Their arguments, shared with the state.
        #[serde(with = "super::snapshot::shared")]
        args: Arc<Args>,
        /// Whether the batch is complete.
        last: bool,
        /// When.
        at: WallMs,
    },
    /// A worker was seen for the first time.
    WorkerNamed {
        /// Its number.
        worker: WorkerId,
        /// Its name.
        name: WorkerName,
    },
    /// A session of a worker was seen for the first time.
    SessionBegan {
        /// The session.
        session: SessionId,
        /// Its worker.
        worker: WorkerId,
    },
    /// A session that holds nothing will not be heard again.
    SessionEnded {
        /// The session.
        session: SessionId,
    },
    /// Queued tasks were leased to a session. Lease counters follow the newest one, in the order of
    /// the runs.
    Leased {
        /// The session.
        session: SessionId,
        /// The tasks.
        tasks: Vec<TaskRun>,
        /// When.
        at: WallMs,
    },
    /// Leases of a session ended.
    Closed {
        /// The session.
        session: SessionId,
        /// The report that said so, and where its results are.
        report: Option<(u64, Option<BlockId>)>,
        /// The leases and what follows.
        moves: Vec<Move>,
        /// When.
        at: WallMs,
    },
    /// Tasks without a lease changed.
    Set {
        /// The tasks.
        tasks: Vec<TaskRun>,
        /// How.
        to: Change,
        /// When.
        at: WallMs,
    },
    /// Ended tasks were removed, by hand or because their retention has passed.
    Removed {
        /// The tasks.
        tasks: Vec<TaskRun>,
    },
    /// What an attempt printed was kept in the store.
    OutputKept {
        /// The task.
        task: TaskId,
    },
    /// A queue was paused or resumed; makes the queue when there is none.
    Paused {
        /// The queue.
        queue: QueueName,
        /// Whether it grants nothing.
        on: bool,
    },
    /// A worker was told to drain, or to take work again.
    Drained {
        /// The worker.
        worker: WorkerId,
        /// Whether it takes nothing new.
        on: bool,
    },
    /// A batch that was just opened got its labels. Of format 2, as what follows; is read and never
    /// made.
    Labelled {
        /// The batch.
        batch: BatchId,
        /// Their keys and values.
        labels: Vec<(String, String)>,
    },
    /// How long attempts took that have just ended.
    Timed {
        /// The tasks.
        tasks: Vec<TaskRun>,
        /// For each of them a [`Span`](super::span::Span) as a number.
        took: Vec<u16>,
    },
    /// The first part of a submission came. Since format 3.
    Opened {
        /// The new batch.
        batch: BatchId,
        /// The submission's key.
        key: Key,
        /// The number of its spec.
        spec: SpecId,
        /// The spec itself, the first time that it is used.
        new_spec: Option<Spec>,
        /// How its tasks are queued and retried.
        options: BatchOptions,
        /// Who submitted it.
        owner: Actor,
        /// When.
        at: WallMs,
    },
    /// What the events before it did was asked for; changes nothing itself. Since format 3.
    Asked {
        /// By whom.
        by: Actor,
        /// What.
        deed: Deed,
        /// When.
        at: WallMs,
    },
}

/// Leases that ended alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The leases.
    pub leases: LeaseRun,
    /// How their attempts ended.
    pub outcome: Outcome,
    /// What is counted against the task.
    pub charge: Charge,
    /// What becomes of the tasks.
    pub next: Next,
}

/// What is counted against a task when a lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Charge {
    /// Nothing.
    Nothing,
    /// A failure.
    Failure,
    /// A loss: its worker vanished while it ran.
    Loss,
    /// A release: it was given back without having run.
    Release,
}

/// What becomes of a task when its lease ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Next {
    /// It ended well.
    Done,
    /// It is out of tries.
    Failed,
    /// It is cancelled.
    Cancelled,
    /// It waits for a worker again.
    Queued,
    /// It waits until a moment.
    Delayed(WallMs),
}

/// How tasks without a lease change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// They are cancelled.
    Cancelled,
    /// They are put back in the queue by hand, their counters at zero.
    Retried,
    /// The moment that they waited for has come.
    Due,
    /// They have another priority. Leased ones have it from the next attempt on.
    Priority(i16),
    /// A cancel was asked for while they run.
    Cancelling,
    /// Blocked ones wait for a moment, nothing else is in their way. Since format 3, as what
    /// follows.
    Delayed(WallMs),
    /// They fail without having run: a batch that they waited for did not end well.
    Missed,
}

impl Event {
    /// Returns how many bytes the event has in the journal, about: those that have many say so.
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is not named here is short")]
    fn bytes(&self) -> usize {
        match self {
            Self::Added { args, .. } => match args.as_ref() {
                Args::Listed(list) => list.total_bytes() + 3 * list.len() + 32,
                Args::Range { .. } | Args::Repeat { .. } => 64,
            },
            Self::Timed { tasks, took } => 2 * took.len() + 8 * tasks.len() + 16,
            Self::Leased { tasks, .. } => 8 * tasks.len() + 32,
            Self::Closed { moves, .. } => 16 * moves.len() + 32,
            _ => 64,
        }
    }

    /// Returns the event's word, for people.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Began { .. } => "began",
            Self::Opened { .. } | Self::OpenedBefore3 { .. } => "opened",
            Self::Added { .. } => "added",
            Self::WorkerNamed { .. } => "worker-named",
            Self::SessionBegan { .. } => "session-began",
            Self::SessionEnded { .. } => "session-ended",
            Self::Leased { .. } => "leased",
            Self::Closed { .. } => "closed",
            Self::Set { .. } => "set",
            Self::Removed { .. } => "removed",
            Self::OutputKept { .. } => "output-kept",
            Self::Paused { .. } => "paused",
            Self::Drained { .. } => "drained",
            Self::Labelled { .. } => "labelled",
            Self::Timed { .. } => "timed",
            Self::Asked { .. } => "asked",
        }
    }

    /// Returns the rest of the event for people; no argument, environment or output is in it.
    pub fn text(&self) -> String {
        let tasks = |runs: &[TaskRun]| {
            // People read events of which nobody has checked the sums.
            let count = runs.iter().fold(0_u64, |sum, run| sum.saturating_add(run.count));
            match runs.first() {
                Some(run) if count == 1 => format!("task {}", run.first),
                Some(run) => format!("{count} tasks from {}", run.first),
                None => "no tasks".to_owned(),
            }
        };
        match self {
            Self::Began { epoch } => format!("master {epoch}"),
            Self::Opened { batch, options, owner, .. }
            | Self::OpenedBefore3 { batch, options, owner, .. } => {
                format!("{batch} in queue {} by {owner}", options.queue)
            }
            Self::Added { batch, args, last, .. } => {
                let end = if *last { ", complete" } else { "" };
                format!("{} tasks to {batch}{end}", args.count())
            }
            Self::WorkerNamed { worker, name } => format!("{worker} is {name}"),
            Self::SessionBegan { session, worker } => format!("{session} of {worker}"),
            Self::SessionEnded { session } => format!("{session}"),
            Self::Leased { session, tasks: runs, .. } => format!("{} to {session}", tasks(runs)),
            Self::Closed { session, moves, .. } => {
                let count: u64 = moves.iter().map(|m| u64::from(m.leases.count)).sum();
                match moves.as_slice() {
                    [one] => format!("{count} by {session}: {} → {:?}", one.outcome, one.next),
                    _ => format!("{count} by {session}"),
                }
            }
            Self::Set { tasks: runs, to, .. } => format!("{} {to:?}", tasks(runs)),
            Self::Removed { tasks: runs } => tasks(runs),
            Self::OutputKept { task } => format!("of task {task}"),
            Self::Paused { queue, on } => format!("queue {queue} paused: {on}"),
            Self::Drained { worker, on } => format!("{worker} draining: {on}"),
            Self::Labelled { batch, labels } => format!("{batch} with {} labels", labels.len()),
            Self::Timed { tasks: runs, .. } => tasks(runs),
            Self::Asked { by, deed, .. } => format!("{by} {deed}"),
        }
    }
}

/// Encodes the events of one journal batch.
///
/// # Panics
/// Never: postcard fails only on types that do not know their length.
pub fn encode(events: &[Event]) -> Vec<u8> {
    super::encode::encode(events, events.iter().map(Event::bytes).sum())
}

/// Decodes the events of one journal batch.
///
/// # Errors
/// When the bytes are not events of this version, or more than that.
pub fn decode(data: &[u8]) -> Result<Vec<Event>, postcard::Error> {
    super::encode::decode(data)
}
