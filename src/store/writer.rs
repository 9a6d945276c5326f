//! The store thread: owns the log, commits everything that waits in one go while more gathers, and
//! writes snapshots between commits. Does not decide what to do about trouble; the master does.
//!
//! ```text
//! submit -> waiting --(all that waits, up to 1 MiB)--> append -> durable, told by the watch
//!                          ^                              |
//!                          +------ retry() <--- full -----+--- fenced, ambiguous: stops for good
//! ```

mod thread;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ganger_proto::WallMs;
use tokio::sync::{oneshot, watch};

use self::thread::{Job, Worker};
use super::{AppendError, Batch, FencedLog, OutputKey, Seq, Term};
use crate::clock::Clock;

/// The handle of the store thread.
///
/// The list of waiting batches is not bounded here: what was decided must be kept. The master looks
/// at [`Writer::backlog_bytes`] and lets submissions wait when it is high. Dropping the handle lets
/// the thread commit what waits and end, without waiting for it.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    durable: watch::Receiver<Durable>,
    thread: Option<JoinHandle<()>>,
}

/// How far the log is durable, and how the disk does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Durable {
    /// Everything up to here is durable.
    pub seq: Seq,
    /// Commits since the thread started.
    pub commits: u64,
    /// The median duration of the last 64 commits, in microseconds.
    pub sync_us_p50: u64,
    /// The longest of the last 64 commits, in microseconds.
    pub sync_us_max: u64,
    /// The newest snapshot that this thread finished.
    pub snapshot: Option<Seq>,
    /// Why nothing is written, if so.
    pub trouble: Option<Trouble>,
}

/// Why nothing is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The disk is full. Nothing is lost; [`Writer::retry`] tries again.
    Full(String),
    /// Another master took over: stop for good.
    Fenced,
    /// It is unknown what is durable: stop for good, nothing unacknowledged may be told.
    Ambiguous(String),
}

impl Trouble {
    /// Whether the master has to stop.
    pub const fn is_final(&self) -> bool {
        match self {
            Self::Full(_) => false,
            Self::Fenced | Self::Ambiguous(_) => true,
        }
    }

    fn of(error: &AppendError) -> Self {
        match error {
            AppendError::Full(_) => Self::Full(error.to_string()),
            AppendError::Fenced => Self::Fenced,
            AppendError::Ambiguous(_) => Self::Ambiguous(error.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(sentence) | Self::Ambiguous(sentence) => f.write_str(sentence),
            Self::Fenced => write!(f, "{}", AppendError::Fenced),
        }
    }
}

/// Whether a snapshot was taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installing {
    /// It is written between the next commits.
    Started,
    /// An earlier one is still being written; this one is dropped.
    Busy,
}

impl Writer {
    /// Starts the thread; it owns the log until it ends.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn spawn(log: Box<dyn FencedLog>, term: Term, clock: Clock) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::new(term.last));
        let (tell, durable) = watch::channel(Durable { seq: term.last, ..Durable::default() });
        let worker = Worker::new(log, term, clock, (Arc::clone(&shared), tell));
        let thread =
            std::thread::Builder::new().name("store".to_owned()).spawn(move || worker.run())?;
        Ok(Self { shared, durable, thread: Some(thread) })
    }

    /// Queues a batch and returns its place. It is durable when the watch says so.
    pub fn submit(&self, batch: Batch, now: WallMs) -> Seq {
        let bytes = batch.bytes();
        let mut state = self.shared.state();
        state.last = state.last.next();
        state.backlog_bytes += bytes;
        state.waiting.push_back(Waiting { batch, bytes, now });
        let last = state.last;
        // Woken under the lock, the thread would sleep again at once, waiting for it.
        drop(state);
        self.shared.woken.notify_one();
        last
    }

    /// Queues a snapshot that covers everything up to `seq`, a batch already submitted. Parts are
    /// made and written one by one, between commits; one of about 1 MiB holds a commit up least.
    pub fn install_snapshot(
        &self,
        seq: Seq,
        parts: Box<dyn Iterator<Item = Vec<u8>> + Send>,
    ) -> Installing {
        let mut state = self.shared.state();
        if state.snapshot != Slot::Free {
            return Installing::Busy;
        }
        state.snapshot = Slot::Taken;
        state.job = Some(Job::new(seq, parts));
        self.shared.woken.notify_one();
        Installing::Started
    }

    /// Returns what writes parts of outputs.
    pub fn parts(&self) -> PartWriter {
        PartWriter { shared: Arc::clone(&self.shared) }
    }

    /// Returns the watch on what is durable. An error of `changed` says that the thread is gone.
    pub fn durable(&self) -> watch::Receiver<Durable> {
        self.durable.clone()
    }

    /// Bytes submitted and not yet durable, about.
    pub fn backlog_bytes(&self) -> usize {
        self.shared.state().backlog_bytes
    }

    /// Tries again after [`Trouble::Full`].
    pub fn retry(&self) {
        self.shared.state().poke = Poke::Retry;
        self.shared.woken.notify_one();
    }

    /// Commits what waits, also once more after a full disk, and ends the thread. A snapshot in
    /// the middle is left unfinished. Blocks; call it where blocking is right.
    ///
    /// # Errors
    /// When something submitted did not become durable.
    pub fn shutdown(mut self) -> Result<(), Trouble> {
        self.end();
        let thread = self.thread.take().expect("the thread is taken only here");
        let panicked = thread.join().is_err();
        let told = self.durable.borrow().trouble.clone();
        match told {
            Some(trouble) => Err(trouble),
            None if panicked => {
                let what = "the store thread failed; look at the log and start the master again";
                Err(Trouble::Ambiguous(what.to_owned()))
            }
            None => Ok(()),
        }
    }

    fn end(&self) {
        self.shared.state().poke = Poke::End;
        self.shared.woken.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

/// Queues parts of outputs, from any task. Each is written between commits, in one of its own.
///
/// The list of them is not bounded here: a task has at most two there, the master bounds the tasks.
#[derive(Clone, Debug)]
pub struct PartWriter {
    shared: Arc<Shared>,
}

/// Says that a part is durable; an error when the thread ended first.
pub type PartWritten = oneshot::Receiver<()>;

impl PartWriter {
    /// Queues a part. A full disk holds it up until there is room.
    pub fn write(&self, of: OutputKey, part: u32, data: Vec<u8>) -> PartWritten {
        let (written, wait) = oneshot::channel();
        self.queue(Piece::Part { of, part, data, written });
        wait
    }

    /// Lets go of the parts of an output that will not be finished.
    pub fn drop_parts(&self, of: OutputKey) {
        self.queue(Piece::Drop { of });
    }

    fn queue(&self, piece: Piece) {
        self.shared.state().pieces.push_back(piece);
        self.shared.woken.notify_one();
    }
}

/// Something to be done about one output, in order.
#[derive(Debug)]
enum Piece {
    Part { of: OutputKey, part: u32, data: Vec<u8>, written: oneshot::Sender<()> },
    Drop { of: OutputKey },
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Waiting>,
    pieces: VecDeque<Piece>,
    backlog_bytes: usize,
    last: Seq,
    snapshot: Slot,
    job: Option<Job>,
    poke: Poke,
}

#[derive(Debug)]
struct Waiting {
    batch: Batch,
    bytes: usize,
    now: WallMs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Free,
    Taken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Poke {
    Quiet,
    Retry,
    End,
}

impl Shared {
    fn new(last: Seq) -> Self {
        let state = State {
            waiting: VecDeque::new(),
            pieces: VecDeque::new(),
            backlog_bytes: 0,
            last,
            snapshot: Slot::Free,
            job: None,
            poke: Poke::Quiet,
        };
        Self { state: Mutex::new(state), woken: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
