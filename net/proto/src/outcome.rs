//! How an attempt ended, and what it left. Does not decide what happens next; see the engine.

use serde::{Deserialize, Serialize};

use crate::id::LeaseId;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It did what was asked; a child process exited with 0.
    Done,
    /// It ended with another exit code, or refused its argument (code 1).
    Failed {
        /// The exit code.
        code: i32,
    },
    /// A signal ended it.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// It ran past its time limit and was killed.
    TimedOut,
    /// Its worker vanished while it ran.
    Lost,
    /// It was cancelled.
    Cancelled,
    /// It never started on that worker, and may on another: no such directory, no such program,
    /// not allowed by the worker's policy. Not charged.
    Unfit,
}

/// What a child process used, from `wait4`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Peak resident set, in KiB.
    pub max_rss_kib: u64,
    /// User time, in microseconds.
    pub user_us: u64,
    /// System time, in microseconds.
    pub system_us: u64,
}

/// One attempt's end, as its worker reports it and as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// The lease it ran under.
    pub lease: LeaseId,
    /// How it ended.
    pub outcome: Outcome,
    /// From start to end, in microseconds.
    pub took_us: u64,
    /// What it used; zero for kinds that start no process.
    pub usage: Usage,
    /// The first bytes of stdout, at most [`INLINE_BYTES_MAX`](crate::limits::INLINE_BYTES_MAX).
    #[serde(with = "serde_bytes")]
    pub stdout: Vec<u8>,
    /// The first bytes of stderr, likewise.
    #[serde(with = "serde_bytes")]
    pub stderr: Vec<u8>,
    /// Whether there was more than the inline bytes; then all that was kept is stored as output.
    pub has_output: bool,
    /// A sentence for people when the attempt did not run or was ended by ganger; else empty.
    pub message: String,
}

impl Ended {
    /// Returns an end without output.
    pub fn bare(lease: LeaseId, outcome: Outcome, took_us: u64) -> Self {
        Self {
            lease,
            outcome,
            took_us,
            usage: Usage::default(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            has_output: false,
            message: String::new(),
        }
    }
}

impl Outcome {
    /// Returns the outcome's word, without numbers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Signalled { .. } => "signalled",
            Self::TimedOut => "timed out",
            Self::Lost => "lost",
            Self::Cancelled => "cancelled",
            Self::Unfit => "unfit",
        }
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failed { code } => write!(f, "exit {code}"),
            Self::Signalled { signal } => write!(f, "signal {signal}"),
            Self::Done | Self::TimedOut | Self::Lost | Self::Cancelled | Self::Unfit => {
                f.pad(self.word())
            }
        }
    }
}
