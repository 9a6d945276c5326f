//! Why a task is where it is: reasons as values, each with a sentence that says what to do. What
//! the reasons are is the engine's to find; the sentences are in why/say.rs.

mod say;

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, Name, QueueName, TaskId};
use crate::label::Label;
use crate::outcome::Outcome;
use crate::picture::TaskState;
use crate::place::{Lane, Need};
use crate::spec::Rate;
use crate::time::WallMs;

/// Why a task is where it is, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The task.
    pub task: TaskId,
    /// Its state.
    pub state: TaskState,
    /// When this was found.
    pub at: WallMs,
    /// The reasons, the heaviest first; at least one.
    pub reasons: Vec<Reason>,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// Its queue grants nothing.
    Paused {
        /// The queue.
        queue: QueueName,
    },
    /// The master grants nothing: its store is full, or it stops.
    HeldBack,
    /// An attempt failed, and the next one waits.
    BacksOff {
        /// The task.
        task: TaskId,
        /// The attempt that failed.
        attempt: u32,
        /// Attempts at most.
        attempts_max: u32,
        /// Until the next one, in milliseconds.
        in_ms: u64,
    },
    /// It may not begin before a moment.
    NotBefore {
        /// The task.
        task: TaskId,
        /// Until then, in milliseconds.
        in_ms: u64,
    },
    /// No worker is connected.
    NoWorker {
        /// Workers that were here and are not.
        lost: u32,
    },
    /// Other batches must end first.
    Blocked {
        /// They, at most three.
        by: Vec<BatchId>,
        /// Tasks of all of them that have not ended.
        open: u64,
        /// Tasks of all of them.
        total: u64,
    },
    /// As many tasks of its batch run as may.
    Jobs {
        /// The batch.
        batch: BatchId,
        /// How many may.
        jobs_max: u32,
    },
    /// Its batch starts no more tasks for a moment.
    Rate {
        /// The batch.
        batch: BatchId,
        /// How often its tasks may start.
        rate: Rate,
        /// Until the next one, in milliseconds.
        in_ms: u64,
    },
    /// No connected worker offers what it needs.
    NotOffered {
        /// What is missing at the worker that comes nearest.
        missing: Missing,
        /// That worker.
        nearest: Name,
        /// What it has instead; empty when nothing. Untrusted text.
        has: String,
        /// How many are connected.
        workers: u32,
    },
    /// It failed before it ran: a batch that it waited for did not end well.
    Missed {
        /// The task.
        task: TaskId,
        /// How long ago, in milliseconds.
        ago_ms: u64,
    },
    /// No connected worker allows its kind.
    NotAllowed {
        /// The kind's word.
        kind: String,
        /// The connected worker that comes nearest.
        nearest: Name,
        /// What that worker's policy says; untrusted text.
        policy: String,
        /// How many are connected.
        workers: u32,
    },
    /// Workers that could run it have said that they cannot.
    Unfit {
        /// They, at most three.
        workers: Vec<Name>,
    },
    /// Workers that could run it take nothing new.
    Draining {
        /// They, at most three.
        workers: Vec<Name>,
    },
    /// All slots of the workers that could run it are in use.
    Busy {
        /// Those workers.
        workers: u32,
        /// Their slots.
        slots: u32,
    },
    /// Others of its queue go first.
    Behind {
        /// The queue.
        queue: QueueName,
        /// Tasks of a higher priority.
        higher: u64,
        /// Older tasks of the same priority.
        older: u64,
        /// About when its turn comes at the present rate, in milliseconds; none when unknown.
        eta_ms: Option<u64>,
    },
    /// Nothing holds it back.
    Next,
    /// A worker has it and has not started it.
    Sent {
        /// The worker.
        worker: String,
        /// For how long, in milliseconds.
        for_ms: u64,
    },
    /// It runs.
    Runs {
        /// The worker.
        worker: String,
        /// Since its lease began, in milliseconds.
        for_ms: u64,
        /// Which attempt.
        attempt: u32,
        /// Attempts at most.
        attempts_max: u32,
    },
    /// A cancel was asked for and it still runs.
    Cancelling,
    /// It has ended.
    Ended {
        /// The task.
        task: TaskId,
        /// How the newest attempt ended; none when it was cancelled before it ran.
        outcome: Option<Outcome>,
        /// The worker of that attempt; empty when none ran it.
        worker: String,
        /// How long ago, in milliseconds.
        ago_ms: u64,
        /// The attempt.
        attempt: u32,
    },
}

/// What a worker lacks for a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// A handler.
    Handler(Name),
    /// A label.
    Label(Label),
    /// So much of something.
    Need(Need),
    /// Slots of a lane.
    Lane(Lane),
}
