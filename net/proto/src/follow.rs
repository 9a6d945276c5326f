//! An attempt's output as it is followed: what a screen's Output tab, `ganger logs -f` and
//! `ganger run` read. Bytes stay bytes; they are sanitised where text meets a screen.

use serde::{Deserialize, Serialize};

use crate::command::Stream;
use crate::outcome::Outcome;
use crate::time::WallMs;

/// What a follower hears, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Followed {
    /// Output of this attempt comes next; comes first, and again when another attempt begins.
    Attempt {
        /// Its number, from 1.
        attempt: u32,
        /// The worker that runs or ran it; untrusted text.
        worker: String,
    },
    /// Bytes of one of its streams.
    Piece(Piece),
    /// The attempt has ended and everything kept of it has come. It is the last message when the
    /// task has ended, or when one attempt was asked for.
    Ended {
        /// How it ended; none when it was cancelled before it ran.
        outcome: Option<Outcome>,
    },
}

/// Consecutive bytes of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Which stream.
    pub stream: Stream,
    /// The place of the first byte in all that the child wrote to the stream, from 0.
    pub offset: u64,
    /// Bytes left out just before these: not kept by the worker, or dropped for a slow follower.
    pub skipped: u64,
    /// When the worker read them; 0 when that is not known any more.
    pub at: WallMs,
    /// The bytes; at most [`PIECE_BYTES_MAX`].
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Bytes of one piece.
pub const PIECE_BYTES_MAX: usize = 64 << 10;
