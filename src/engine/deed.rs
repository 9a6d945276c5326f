//! What a client asked for that changed something, for the audit. Submissions are not here: the
//! event that opens a batch names its owner.

use std::fmt;

use ganger_proto::command::Changed;
use ganger_proto::{QueueName, Reply, Request, WorkerName};
use serde::{Deserialize, Serialize};

/// Something that was asked for and done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Deed {
    /// Tasks were cancelled.
    Cancelled {
        /// How many.
        tasks: u64,
    },
    /// Tasks were cancelled, running ones killed at once.
    Killed {
        /// How many.
        tasks: u64,
    },
    /// Tasks were put back in the queue.
    Retried {
        /// How many.
        tasks: u64,
    },
    /// Ended tasks were removed.
    Deleted {
        /// How many.
        tasks: u64,
    },
    /// Tasks got another priority.
    Prioritised {
        /// How many.
        tasks: u64,
        /// Which.
        priority: i16,
    },
    /// A queue was paused.
    Paused(QueueName),
    /// A queue was resumed.
    Resumed(QueueName),
    /// A worker was told to drain.
    Drained(WorkerName),
    /// A worker was told to take work again.
    Undrained(WorkerName),
    /// A worker was told how many tasks to run at once.
    Slots {
        /// Which.
        worker: WorkerName,
        /// How many.
        slots: u32,
    },
    /// A worker was started on the master's machine.
    LocalWorker,
    /// The master was told to stop when what runs has ended.
    Stopped,
    /// The master was told to stop at once.
    StoppedNow,
}

impl Deed {
    /// Returns what a request asks for, if its kind is recorded.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest changes nothing, or says who did")]
    pub fn of(request: &Request) -> Option<Self> {
        Some(match request {
            Request::Cancel { now: false, .. } => Self::Cancelled { tasks: 0 },
            Request::Cancel { now: true, .. } => Self::Killed { tasks: 0 },
            Request::Retry { .. } => Self::Retried { tasks: 0 },
            Request::Delete { .. } => Self::Deleted { tasks: 0 },
            Request::SetPriority { priority, .. } => {
                Self::Prioritised { tasks: 0, priority: *priority }
            }
            Request::Pause { queue } => Self::Paused(queue.clone()),
            Request::Resume { queue } => Self::Resumed(queue.clone()),
            Request::Drain { worker } => Self::Drained(worker.clone()),
            Request::Undrain { worker } => Self::Undrained(worker.clone()),
            Request::SetSlots { worker, slots } => {
                Self::Slots { worker: worker.clone(), slots: *slots }
            }
            Request::StartLocalWorker { .. } => Self::LocalWorker,
            Request::Stop { now: false } => Self::Stopped,
            Request::Stop { now: true } => Self::StoppedNow,
            _ => return None,
        })
    }

    /// Returns it with what was changed; none when nothing was.
    #[expect(clippy::wildcard_enum_match_arm, reason = "other replies are to other requests")]
    pub(super) fn done(mut self, reply: &Reply) -> Option<Self> {
        let count = match reply {
            Reply::Changed(Changed { changed, asked, .. }) => changed + asked,
            Reply::Ok => return Some(self),
            _ => return None,
        };
        match &mut self {
            Self::Cancelled { tasks }
            | Self::Killed { tasks }
            | Self::Retried { tasks }
            | Self::Deleted { tasks }
            | Self::Prioritised { tasks, .. } => *tasks = count,
            Self::Paused(_)
            | Self::Resumed(_)
            | Self::Drained(_)
            | Self::Undrained(_)
            | Self::Slots { .. }
            | Self::LocalWorker
            | Self::Stopped
            | Self::StoppedNow => {}
        }
        (count > 0).then_some(self)
    }

    /// Returns its one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Cancelled { .. } => "cancelled",
            Self::Killed { .. } => "killed",
            Self::Retried { .. } => "retried",
            Self::Deleted { .. } => "deleted",
            Self::Prioritised { .. } => "prioritised",
            Self::Paused(_) => "paused",
            Self::Resumed(_) => "resumed",
            Self::Drained(_) => "drained",
            Self::Undrained(_) => "undrained",
            Self::Slots { .. } => "slots",
            Self::LocalWorker => "local-worker",
            Self::Stopped | Self::StoppedNow => "stopped",
        }
    }
}

/// What follows the name of who did it.
impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = |tasks: &u64| if *tasks == 1 { "" } else { "s" };
        match self {
            Self::Cancelled { tasks } => write!(f, "cancelled {tasks} task{}", s(tasks)),
            Self::Killed { tasks } => write!(f, "cancelled {tasks} task{} at once", s(tasks)),
            Self::Retried { tasks } => write!(f, "retried {tasks} task{}", s(tasks)),
            Self::Deleted { tasks } => write!(f, "deleted {tasks} task{}", s(tasks)),
            Self::Prioritised { tasks, priority } => {
                write!(f, "gave {tasks} task{} the priority {priority}", s(tasks))
            }
            Self::Paused(queue) => write!(f, "paused the queue {queue}"),
            Self::Resumed(queue) => write!(f, "resumed the queue {queue}"),
            Self::Drained(worker) => write!(f, "let the worker {worker} drain"),
            Self::Undrained(worker) => write!(f, "let the worker {worker} take tasks again"),
            Self::Slots { worker, slots } => write!(f, "gave the worker {worker} {slots} slots"),
            Self::LocalWorker => f.write_str("started a worker on the master's machine"),
            Self::Stopped => f.write_str("stopped the master"),
            Self::StoppedNow => f.write_str("stopped the master at once"),
        }
    }
}
