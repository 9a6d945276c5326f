//! What the master was asked, kept until it answers. What an answer does is in update/inbound.rs.

use ganger_proto::{Name, QueueName, TaskId, TaskState};

use super::Focus;
use super::bulk::Bulk;

/// What a request that is under way was for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Part,
    Cancel,
    /// Tasks that all waited; when all are cancelled, `u` takes that back.
    CancelWaiting(Vec<TaskId>),
    Undo {
        tasks: u64,
    },
    Retry,
    Delete,
    /// Something done to all that match a filter, which were that many when they were counted.
    Bulk(Bulk, u64),
    /// How many of a state a bulk action is about.
    Count {
        number: u64,
        state: TaskState,
    },
    /// How many tasks a marked range has.
    CountRange(Focus),
    /// A task whose copy is to be edited.
    EditCopy(TaskId),
    Priority(i16),
    Pause(QueueName),
    Resume(QueueName),
    Drain(Name),
    Undrain(Name),
    Revoke(Name),
    Slots {
        worker: Name,
        slots: u32,
    },
    Worker(Name),
    Identities,
    Why(TaskId),
    Welcome,
    Join,
    Show(TaskId),
    StartWorker,
    Export,
}
