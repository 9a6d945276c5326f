//! The durable log: one totally ordered, fenced sequence of event batches, plus snapshots, results
//! and outputs. Knows no task's rules; see the engine.

mod cache;
mod chain;
mod fsck;
mod keep_log;
mod memory;
mod reading;
mod salvage;
mod sqlite;
mod writer;

use ganger_proto::command::Stream;
use ganger_proto::{BlockId, Epoch, TaskId, WallMs};

pub use cache::{BLOCK_CACHE_BYTES_MAX, BlockCache};
pub use fsck::{Finding, SnapshotFound, Verdict, fsck};
pub use keep_log::{KeepLog, KeepLogError};
pub use memory::{Fault, MemoryLog, Survival, Syncing};
pub use reading::{Bounds, Reading, Start, Walk};
pub use salvage::{Copied, NewStore};
pub use sqlite::SqliteLog;
pub use writer::{Durable, Installing, PartWriter, PartWritten, Trouble, Writer};

/// Bytes of all outputs kept together; beyond it the oldest are dropped.
pub const OUTPUT_BYTES_KEPT_MAX: u64 = 8 << 30;

/// A place in the journal; counts batches from 1, without a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// Returns the next place.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The right to write, won by `acquire`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// This writer's epoch, one more than the last one's.
    pub epoch: Epoch,
    /// The newest batch in the log.
    pub last: Seq,
}

/// Who holds the log, for the sentence that a second master gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The process id.
    pub pid: u32,
    /// The host's name.
    pub host: String,
}

/// One group of events with everything that must become durable together with it.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Encoded events.
    pub data: Vec<u8>,
    /// Events in it, for the decision when to take a snapshot.
    pub events: u64,
    /// The engine's digest after these events; checked by a replay. Written every 4,096 batches.
    pub digest: Option<[u8; 16]>,
    /// New blocks of results.
    pub blocks: Vec<(BlockId, Vec<u8>)>,
    /// New outputs.
    pub outputs: Vec<Output>,
    /// Blocks that no task mentions any more.
    pub drop_blocks: Vec<BlockId>,
    /// Tasks whose outputs go.
    pub drop_outputs: Vec<TaskId>,
}

impl Batch {
    /// Bytes that this batch brings to the disk, about.
    pub fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|(_, data)| data.len() + ROW_BYTES).sum();
        let outputs: usize = self.outputs.iter().map(|one| one.bytes.len() + ROW_BYTES).sum();
        self.data.len() + ROW_BYTES + blocks + outputs
    }
}

/// Bytes of a row beside its data, about.
const ROW_BYTES: usize = 64;

/// What was kept of one stream of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The task.
    pub task: TaskId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Which stream.
    pub stream: Stream,
    /// Bytes kept from the start of the stream; the rest of `bytes` is its end. When it is more
    /// than `bytes` holds, all of it is in parts, and `bytes` is empty.
    pub head: u64,
    /// Bytes left out between head and tail.
    pub skipped: u64,
    /// Head and tail.
    pub bytes: Vec<u8>,
}

impl Output {
    /// Returns which output it is.
    pub const fn key(&self) -> OutputKey {
        OutputKey { task: self.task, attempt: self.attempt, stream: self.stream }
    }

    /// Tells whether its bytes are in parts.
    pub const fn is_in_parts(&self) -> bool {
        self.head > self.bytes.len() as u64
    }

    /// Returns how many bytes are kept.
    pub const fn kept(&self) -> u64 {
        if self.is_in_parts() { self.head } else { self.bytes.len() as u64 }
    }
}

/// One stream of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutputKey {
    /// The task.
    pub task: TaskId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Which stream.
    pub stream: Stream,
}

/// A batch as read back.
#[derive(Clone, Debug)]
pub struct Logged {
    /// Its place.
    pub seq: Seq,
    /// The epoch that wrote it.
    pub epoch: Epoch,
    /// When it was written.
    pub at: WallMs,
    /// Encoded events.
    pub data: Vec<u8>,
    /// The engine's digest after these events, when one was written.
    pub digest: Option<[u8; 16]>,
    /// The newest batch that was known durable when it was written.
    pub durable: Seq,
}

/// A snapshot that can be loaded.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// It covers everything up to here.
    pub seq: Seq,
    /// Its parts in order.
    pub parts: Vec<Vec<u8>>,
}

/// Whether there is more to trim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trim {
    /// Some was dropped; ask again.
    More,
    /// Only what is needed is left.
    Done,
}

/// One totally ordered, durable, fenced sequence of event batches.
pub trait FencedLog: Send {
    /// Becomes the only writer; bumps the epoch durably.
    ///
    /// # Errors
    /// When another master holds it, or the log is damaged, of another version, or cannot be used.
    fn acquire(&mut self, me: &Holder, now: WallMs) -> Result<Term, OpenError>;

    /// Returns the newest good snapshot, or none.
    ///
    /// # Errors
    /// When no snapshot is good and the log before its end is gone.
    fn snapshot(&mut self) -> Result<Option<Snapshot>, OpenError>;

    /// Returns batches after `after`, in order, at least one when there is one, up to about
    /// `bytes_max`. Checks the hash chain.
    ///
    /// # Errors
    /// When the chain is broken or a batch is missing.
    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<Logged>, OpenError>;

    /// Makes batches durable, in one commit, the first at `seq`.
    ///
    /// # Errors
    /// After any error but `Full` the caller stops: nothing may be retried.
    fn append(
        &mut self,
        term: &Term,
        seq: Seq,
        now: WallMs,
        batches: &[Batch],
    ) -> Result<(), AppendError>;

    /// Writes one part of a snapshot that covers everything up to `seq`, parts from 0. It counts
    /// only after [`FencedLog::finish_snapshot`].
    ///
    /// # Errors
    /// As [`FencedLog::append`].
    fn write_part(
        &mut self,
        term: &Term,
        seq: Seq,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError>;

    /// Makes the snapshot at `seq`, with `parts` parts written before, the newest.
    ///
    /// # Errors
    /// As [`FencedLog::append`]; also when batch `seq` is not in the log.
    fn finish_snapshot(&mut self, term: &Term, seq: Seq, parts: u32) -> Result<(), AppendError>;

    /// Drops some of what the two newest snapshots make needless: older ones, unfinished ones, and
    /// the log that the older one covers.
    ///
    /// # Errors
    /// As [`FencedLog::append`].
    fn trim(&mut self, term: &Term) -> Result<Trim, AppendError>;

    /// Keeps a snapshot that covers everything up to `seq`, then trims what the older kept one
    /// covers. Takes as long as it takes; [`Writer`] does the same in steps between commits.
    ///
    /// # Errors
    /// As [`FencedLog::append`].
    fn install_snapshot(
        &mut self,
        term: &Term,
        seq: Seq,
        parts: &mut dyn Iterator<Item = Vec<u8>>,
    ) -> Result<(), AppendError> {
        let mut count = 0;
        for data in parts {
            self.write_part(term, seq, count, &data)?;
            count += 1;
        }
        self.finish_snapshot(term, seq, count)?;
        while self.trim(term)? == Trim::More {}
        Ok(())
    }

    /// Writes one part of an output, in a commit of its own:
    /// [`OUTPUT_PART_BYTES`](ganger_proto::limits::OUTPUT_PART_BYTES) each but the
    /// last, from 0. They count only with an [`Output`] appended later that says how many bytes
    /// they have; written again, a part replaces the one before.
    ///
    /// # Errors
    /// As [`FencedLog::append`].
    fn write_output_part(
        &mut self,
        term: &Term,
        of: OutputKey,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError>;

    /// Lets go of parts of which no [`Output`] will tell.
    fn drop_output_parts(&mut self, of: OutputKey);

    /// Drops some parts of which no [`Output`] tells any more.
    ///
    /// # Errors
    /// As [`FencedLog::append`].
    fn trim_outputs(&mut self, term: &Term) -> Result<Trim, AppendError>;

    /// Returns a reader of results and outputs, for another thread.
    ///
    /// # Errors
    /// When the system refuses.
    fn reader(&self) -> Result<Box<dyn BodyReader>, OpenError>;
}

/// Reads result blocks and outputs while the log is being written.
pub trait BodyReader: Send {
    /// Returns a block, or none when it is not kept any more.
    ///
    /// # Errors
    /// When the system refuses.
    fn block(&mut self, id: BlockId) -> Result<Option<Vec<u8>>, ReadError>;

    /// Returns what was kept of one stream; of the newest attempt that has any when none is named.
    ///
    /// # Errors
    /// When the system refuses.
    fn output(
        &mut self,
        task: TaskId,
        attempt: Option<u32>,
        stream: Stream,
    ) -> Result<Option<Output>, ReadError>;

    /// Returns one part of an output that is kept in parts, or none when it is not kept any more.
    ///
    /// # Errors
    /// When the system refuses.
    fn output_part(&mut self, of: OutputKey, part: u32) -> Result<Option<Vec<u8>>, ReadError>;

    /// Returns logged batches after `after`, for people who read events. Does not check the chain.
    ///
    /// # Errors
    /// When the system refuses.
    fn logged(&mut self, after: Seq, rows: usize) -> Result<Vec<Logged>, ReadError>;
}

/// The log cannot be opened, taken over or replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another master has it; the sentence names its process and host.
    #[error("{0}")]
    Held(String),
    /// It is damaged: exit code 5. The sentence names the file, the range and `ganger fsck`.
    #[error("{0}")]
    Damaged(String),
    /// Anything that a person can mend: rights, space, version, filesystem.
    #[error("{0}")]
    Unusable(String),
}

/// A batch did not become durable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// Another master took over: stop.
    #[error("another master has taken over this store")]
    Fenced,
    /// It is unknown whether the batch is durable: stop, drop the state, replay.
    #[error("writing the store failed: {0}")]
    Ambiguous(String),
    /// There is no room; nothing was written and the log is as before. May be tried again.
    #[error("the store's disk is full: {0}")]
    Full(String),
}

/// A result or an output cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("reading the store failed: {0}")]
pub struct ReadError(pub String);

/// Returns the number of a stream on the disk.
const fn stream_code(stream: Stream) -> u8 {
    match stream {
        Stream::Stdout => 1,
        Stream::Stderr => 2,
    }
}
