//! What a worker and its launchers say to each other, over a socket pair: a 4-byte little-endian
//! length, then a postcard body. Both ends are the same program, never the network.

use std::path::PathBuf;

use ganger_proto::follow::Piece;
use ganger_proto::{Outcome, Usage};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::caps::Caps;
use super::output::Stream;
use super::policy::{ExecPolicy, Permission};
use super::roots::PathCheck;
use super::warm::Setup;

/// The hidden first argument that makes the program a launcher.
pub const LAUNCHER_WORD: &str = "__launcher";

/// From a worker to a launcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ToLauncher {
    /// Comes first, once.
    Setup {
        /// The worker's name, for sentences.
        worker: String,
        /// Which programs may run.
        exec: ExecPolicy,
        /// Whether children may gain privileges, as by `sudo`.
        privileges: Permission,
        /// Below which folders the paths must be that are checked.
        roots: Vec<PathBuf>,
        /// What one task may take at most.
        caps: Caps,
        /// Where groups are made for that, and the number of this launcher's slot.
        groups: Option<(PathBuf, u32)>,
    },
    /// Comes first, in place of [`ToLauncher::Setup`]: keep a handler. What follows is not of this
    /// type; see warm/order.rs.
    Keep(Box<Setup>),
    /// Start a child; only when none runs.
    Run(Order),
    /// TERM to its process group, and after its grace KILL to all.
    Stop {
        /// [`Order::number`].
        number: u64,
    },
    /// KILL to all at once.
    Kill {
        /// [`Order::number`].
        number: u64,
    },
    /// Send one piece of what the child writes, as soon as there is one.
    Show {
        /// [`Order::number`].
        number: u64,
        /// A number that was not said before begins at the start of what is kept.
        follow: u64,
    },
}

/// A child to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Counts the orders to one launcher.
    pub(super) number: u64,
    /// What is started: a program named by the task, or the shell.
    pub(super) program: Program,
    /// The argument vector, the program's name as given first.
    pub(super) argv: Vec<serde_bytes::ByteBuf>,
    /// The whole environment.
    pub(super) env: Vec<(serde_bytes::ByteBuf, serde_bytes::ByteBuf)>,
    /// The directory to run in.
    pub(super) cwd: serde_bytes::ByteBuf,
    /// Whether it is there, or to be made.
    pub(super) cwd_kind: CwdKind,
    /// The path that is looked at first.
    pub(super) path: Option<PathCheck>,
    /// How long it may run, in milliseconds; 0 means no limit.
    pub(super) timeout_ms: u64,
    /// The time between TERM and KILL, in milliseconds.
    pub(super) grace_ms: u64,
    /// Where its output goes when it is to be kept whole.
    pub(super) whole: Option<Whole>,
}

/// Output that is to be kept whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Whole {
    /// Bytes of each stream.
    pub(super) bytes_max: u64,
    /// The file for what memory does not hold of stdout.
    pub(super) stdout: serde_bytes::ByteBuf,
    /// And of stderr.
    pub(super) stderr: serde_bytes::ByteBuf,
}

/// What is started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Program {
    /// The first word, looked for as a shell would.
    #[default]
    Named,
    /// The system's shell, which the worker's policy allows.
    Shell,
}

/// Where a child runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CwdKind {
    /// In a directory that must be there.
    #[default]
    There,
    /// In a directory that is made for it, for its owner alone.
    Fresh,
}

/// From a launcher to its worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum FromLauncher {
    /// The answer to one [`Order`].
    Finished(Box<Finished>),
    /// The answer to one [`ToLauncher::Show`]; none comes any more when the child has ended.
    Shown {
        /// The number that it was asked with.
        follow: u64,
        /// The piece.
        piece: Piece,
    },
}

/// The end of a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finished {
    /// [`Order::number`].
    pub(super) number: u64,
    /// How the child ended.
    pub(super) end: End,
    /// Why it was stopped, if it was.
    pub(super) stopped: Option<Stopped>,
    /// What it used.
    pub(super) usage: Usage,
    /// From start to end, in microseconds.
    pub(super) took_us: u64,
    /// What it wrote to stdout.
    pub(super) stdout: Stream,
    /// What it wrote to stderr.
    pub(super) stderr: Stream,
    /// A sentence when something that it left could not be killed, or when it came to a cap of the
    /// worker; else empty.
    pub(super) note: String,
}

/// How a child ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum End {
    /// It exited.
    Exit {
        /// With this code.
        code: i32,
    },
    /// A signal ended it.
    Signal {
        /// Its number.
        signal: i32,
    },
    /// A handler answered, or its process did something else.
    Answered {
        /// What is reported.
        outcome: Outcome,
        /// What it means, for people; may be empty.
        message: String,
    },
    /// It could not be started.
    NotStarted {
        /// What is reported.
        outcome: Outcome,
        /// Why, for people.
        message: String,
    },
}

/// Why a child was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stopped {
    /// The worker asked for it.
    Asked,
    /// It ran past its limit.
    TimedOut,
}

/// Bytes of one frame: four parts of output and an order fit.
const FRAME_BYTES_MAX: usize = 4 << 20;

/// Encodes one frame.
pub(super) fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).expect("memory takes every message");
    let length = u32::try_from(frame.len() - 4).expect("orders and answers are below 4 MiB");
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame
}

/// Bytes that came, until they make frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// Takes bytes as they come.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next whole frame, if it has come.
    ///
    /// # Errors
    /// When the bytes are no frame.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, BrokenFrame> {
        let Some((length, rest)) = self.bytes.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > FRAME_BYTES_MAX {
            return Err(BrokenFrame);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = postcard::from_bytes(body).map_err(|_| BrokenFrame)?;
        self.bytes.drain(..length + 4);
        Ok(Some(message))
    }
}

/// The other end is not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a worker and its launcher do not understand each other; were the files replaced while \
         the worker ran? start it again"
)]
pub(super) struct BrokenFrame;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_in_any_pieces() {
        let (one, two) = (ToLauncher::Stop { number: 1 }, ToLauncher::Run(Order::default()));
        let bytes = [encode(&one), encode(&two)].concat();
        let mut frames = Frames::default();
        let mut seen = Vec::new();
        for byte in bytes {
            frames.take(&[byte]);
            seen.extend(frames.next::<ToLauncher>().unwrap());
        }
        assert_eq!(seen, [one, two]);
    }

    #[test]
    fn bytes_that_are_no_frame_are_refused() {
        for bytes in [&[255u8; 8][..], &[1, 0, 0, 0, 77]] {
            let mut frames = Frames::default();
            frames.take(bytes);
            assert_eq!(frames.next::<ToLauncher>(), Err(BrokenFrame));
        }
    }
}
