//! What a slot and the launcher that keeps its warm handler say to each other, in the frames of
//! `worker/order.rs`, once the first frame has made the launcher a keeper.

use ganger_proto::follow::Piece;
use ganger_proto::{ArgList, Name};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::line::Retry;
use super::millis;
use crate::worker::handlers::Handler;
use crate::worker::order::{CwdKind, Finished, Order, Program};
use crate::worker::policy::Permission;
use crate::worker::prepare::Ground;

/// Which handler a launcher keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) struct Setup {
    /// The worker's name, for sentences.
    pub(super) worker: String,
    /// Whether children may gain privileges, as by `sudo`.
    pub(super) privileges: Permission,
    /// The handler's name, for sentences.
    pub(super) handler: String,
    /// How its process is started; the grace is for each end of it.
    pub(super) start: Order,
    /// After so many tasks the process is replaced; 0 means never.
    pub(super) recycle_after: u32,
}

impl Setup {
    /// Describes a handler to the launcher that is to keep it.
    pub(super) fn of(name: &Name, handler: &Handler, slot: u32, ground: &Ground) -> Self {
        let bytes = |text: &str| ByteBuf::from(text.as_bytes());
        let mut env = ground.env.clone();
        env.extend(handler.env.iter().map(|(key, value)| (bytes(key), bytes(value))));
        let own = [
            ("GANGER_HANDLER", name.to_string()),
            ("GANGER_SLOT", slot.to_string()),
            ("GANGER_WORKER", ground.worker.to_string()),
        ];
        env.extend(own.map(|(key, value)| (bytes(key), ByteBuf::from(value))));
        let cwd = handler.cwd.as_ref().unwrap_or(&ground.run_dir);
        Self {
            worker: ground.worker.to_string(),
            privileges: ground.policy.privileges,
            handler: name.to_string(),
            start: Order {
                program: Program::Named,
                argv: handler.command.iter().map(|word| bytes(word)).collect(),
                env,
                cwd: ByteBuf::from(cwd.as_os_str().as_encoded_bytes()),
                cwd_kind: CwdKind::There,
                grace_ms: millis(ground.policy.grace),
                ..Order::default()
            },
            recycle_after: handler.recycle_after.map_or(0, std::num::NonZeroU32::get),
        }
    }
}

/// To a keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) enum ToKeeper {
    /// Tasks to do one after another; only when none is left.
    Give(Give),
    /// TERM to the process group, and after its grace KILL to all; when it has not begun, drop it.
    Stop {
        /// The task's number.
        number: u64,
    },
    /// KILL to all at once; when it has not begun, drop it.
    Kill {
        /// The task's number.
        number: u64,
    },
    /// Send one piece of what the handler writes for this task, as soon as there is one.
    Show {
        /// The task's number.
        number: u64,
        /// A number that was not said before begins at the start of what is kept.
        follow: u64,
    },
    /// End the process, let it have so long for it, and then this launcher.
    End {
        /// In milliseconds.
        grace_ms: u64,
    },
}

/// Consecutive tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) struct Give {
    /// The number of the first.
    pub(super) first: u64,
    /// The id of the first.
    pub(super) task: u64,
    /// Their lines, without their ends; an empty one is passed over.
    pub(super) lines: ArgList,
    /// How long each may run, in milliseconds; 0 means no limit.
    pub(super) timeout_ms: u64,
}

/// From a keeper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) enum FromKeeper {
    /// What became of tasks.
    Said(Said),
    /// The answer to one [`ToKeeper::Show`]; none comes any more when the task has ended.
    Shown {
        /// The number that it was asked with.
        follow: u64,
        /// The piece.
        piece: Piece,
    },
}

/// What became of tasks, several together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) struct Said {
    /// Runs that ended well, with a short answer and nothing else to say.
    pub(super) done: Vec<Done>,
    /// Other ends.
    pub(super) ended: Vec<(Finished, Retry)>,
    /// From this number on no task has begun, and none will: the one before takes long.
    pub(super) returned: Option<u64>,
    /// What the handler did outside of any task, for the worker's log.
    pub(super) notes: Vec<String>,
}

/// Consecutive tasks that ended well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) struct Done {
    /// The number of the first.
    pub(super) first: u64,
    /// How long each took, in microseconds.
    pub(super) took_us: Vec<u32>,
    /// What each answered.
    pub(super) results: ArgList,
}
