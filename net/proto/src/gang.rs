//! One worker in full, as the master knows it: its certificate, what it holds, what has become of
//! it. What a list shows of it is a [`WorkerRow`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::picture::{TaskRow, WorkerRow};
use crate::place::{Need, Offer};
use crate::spec::Kind;
use crate::time::{HumanMs, WallMs};

/// Tasks at once of one worker, at most.
pub const SLOTS_MAX: u32 = 1_024;
/// Moments that the master remembers of one worker.
pub const MOMENTS_MAX: usize = 50;

/// Which kinds a worker's policy lets run. What a policy says of single programs it does not tell.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Allows(u8);

impl Allows {
    /// Kinds that run inside the worker: `square`, `sleep`.
    pub const INSIDE: Self = Self(1);
    /// Programs, all or some.
    pub const EXEC: Self = Self(2);
    /// Shell lines.
    pub const SHELL: Self = Self(4);
    /// Every kind.
    pub const ALL: Self = Self(7);

    /// Returns what either allows.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all of `other` is allowed.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns what a kind needs.
    pub const fn needed_by(kind: &Kind) -> Self {
        match kind {
            Kind::Square | Kind::Sleep => Self::INSIDE,
            Kind::Exec { .. } => Self::EXEC,
            Kind::Shell { .. } => Self::SHELL,
            // Which handlers a worker has it says one by one.
            Kind::Handler { .. } => Self::INSIDE,
        }
    }
}

/// Everything about one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerDetail {
    /// Its row.
    pub row: WorkerRow,
    /// Its newest certificate; none when the registry knows none.
    pub certificate: Option<CertificateFacts>,
    /// Its handlers.
    pub handlers: Vec<Offer>,
    /// What it has beside slots.
    pub resources: Vec<Need>,
    /// How far its clock is ahead of the master's, in milliseconds; none before its first beat.
    pub clock_ahead_ms: Option<i64>,
    /// What it holds, running tasks first; at most 100.
    pub holds: Vec<TaskRow>,
    /// How many tasks that is in all.
    pub holds_total: u64,
    /// What became of it in this life of the master, the newest first.
    pub moments: Vec<Moment>,
}

/// A certificate, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Its serial number, in hex.
    pub serial: String,
    /// SHA-256 of its key, in hex.
    pub fingerprint: String,
    /// When it was issued.
    pub issued: WallMs,
    /// When it ends.
    pub ends: WallMs,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// Something that became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: WallMs,
    /// What.
    pub what: What,
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A process of it came for the first time in this life of the master.
    Came,
    /// The same process connected again.
    Back {
        /// How long it was away, in milliseconds.
        away_ms: u64,
    },
    /// Its connection ended while it held so many tasks.
    Away {
        /// How many.
        holds: u64,
    },
    /// It was silent past its term; what it held went back to the queue.
    Lost {
        /// How many tasks.
        holds: u64,
    },
    /// It said goodbye.
    Gone,
    /// It was told to drain.
    Drained,
    /// It was told to take work again.
    Undrained,
    /// It got another number of slots.
    Slots(u32),
    /// Its certificate was revoked; what it held went back to the queue.
    Revoked {
        /// How many tasks.
        holds: u64,
    },
    /// Its packets come from another address: it changed networks and went on as before.
    Moved,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = |f: &mut fmt::Formatter<'_>, holds: u64| match holds {
            0 => f.write_str(" with no task"),
            1 => f.write_str(" with 1 task"),
            n => write!(f, " with {n} tasks"),
        };
        match *self {
            Self::Came => f.write_str("came"),
            Self::Back { away_ms } => write!(f, "came back after {}", HumanMs(away_ms)),
            Self::Away { holds } => f.write_str("went away").and_then(|()| tasks(f, holds)),
            Self::Lost { holds: 0 } => f.write_str("lost"),
            Self::Lost { holds } => {
                f.write_str("lost").and_then(|()| tasks(f, holds))?;
                f.write_str(", back in the queue")
            }
            Self::Gone => f.write_str("left: it had drained"),
            Self::Drained => f.write_str("told to drain"),
            Self::Undrained => f.write_str("told to take work again"),
            Self::Slots(1) => f.write_str("told to use 1 slot"),
            Self::Slots(slots) => write!(f, "told to use {slots} slots"),
            Self::Revoked { holds } => f.write_str("revoked").and_then(|()| tasks(f, holds)),
            Self::Moved => f.write_str("moved to another address"),
        }
    }
}
