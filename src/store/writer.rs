//! The store thread: owns the log, commits everything that waits in one go while more gathers, and
//! writes snapshots between commits. Does not decide what to do about trouble; the master does.
//!
//! ```text
//! submit -> waiting --(all that waits, up to 1 MiB)--> append -> durable, told by the watch
//!                          ^                              |
//!                          +------ retry() <--- full -----+--- fenced, ambiguous: stops for good
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ganger_proto::WallMs;
use tokio::sync::watch;

use super::{AppendError, Batch, FencedLog, Seq, Term, Trim};
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
        let worker = Worker {
            log,
            term,
            clock,
            shared: Arc::clone(&shared),
            tell,
            durable: term.last,
            group: Group::default(),
            job: None,
            times: Times::default(),
        };
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
        self.shared.woken.notify_one();
        state.last
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
        state.job = Some(Job { seq, step: Step::Part(0), parts });
        self.shared.woken.notify_one();
        Installing::Started
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

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    woken: Condvar,
}

#[derive(Debug)]
struct State {
    waiting: VecDeque<Waiting>,
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

/// A snapshot on its way to the disk.
struct Job {
    seq: Seq,
    step: Step,
    parts: Box<dyn Iterator<Item = Vec<u8>> + Send>,
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("seq", &self.seq).field("step", &self.step).finish()
    }
}

#[derive(Debug)]
enum Step {
    /// Ask for the next part.
    Part(u32),
    /// A part that a full disk did not take.
    Again(u32, Vec<u8>),
    /// All parts are written.
    Head(u32),
    Trim,
}

/// Batches of one commit.
#[derive(Default)]
struct Group {
    batches: Vec<Batch>,
    bytes: usize,
    now: WallMs,
}

/// The thread's own side.
struct Worker {
    log: Box<dyn FencedLog>,
    term: Term,
    clock: Clock,
    shared: Arc<Shared>,
    tell: watch::Sender<Durable>,
    durable: Seq,
    /// Taken from the list and not yet durable; kept over a full disk.
    group: Group,
    job: Option<Job>,
    times: Times,
}

/// What the thread does next.
enum Turn {
    Work,
    End,
}

impl Worker {
    fn run(mut self) {
        while let Turn::Work = self.wait() {
            if let Err(error) = self.step() {
                let trouble = Trouble::of(&error);
                let is_final = trouble.is_final();
                tracing::error!(%error, "the store takes nothing");
                self.tell.send_modify(|durable| durable.trouble = Some(trouble));
                if is_final {
                    return;
                }
                if let Turn::End = self.wait_for_room() {
                    return;
                }
            }
        }
    }

    /// Waits for work and takes it.
    fn wait(&mut self) -> Turn {
        let mut state = self.shared.state();
        loop {
            if self.job.is_none() {
                self.job = state.job.take();
            }
            self.group.take_from(&mut state.waiting);
            let ending = state.poke == Poke::End;
            if !self.group.batches.is_empty() || (self.job.is_some() && !ending) {
                return Turn::Work;
            }
            if ending {
                return Turn::End;
            }
            state = self.shared.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// After a full disk: waits for a poke. The end tries once more, then gives up.
    fn wait_for_room(&mut self) -> Turn {
        let mut state = self.shared.state();
        while state.poke == Poke::Quiet {
            state = self.shared.woken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.poke == Poke::Retry {
            state.poke = Poke::Quiet;
            return Turn::Work;
        }
        drop(state);
        // Snapshots do not hold the end up; every batch gets its last chance.
        self.job = None;
        while let Turn::Work = self.wait() {
            if let Err(error) = self.commit() {
                let trouble = Trouble::of(&error);
                self.tell.send_modify(|durable| durable.trouble = Some(trouble));
                return Turn::End;
            }
        }
        Turn::End
    }

    /// One commit, then one piece of a snapshot.
    fn step(&mut self) -> Result<(), AppendError> {
        if !self.group.batches.is_empty() {
            self.commit()?;
        }
        let Some(mut job) = self.job.take() else { return Ok(()) };
        let result = self.write_piece(&mut job);
        match &result {
            Ok(Trim::Done) => {
                self.shared.state().snapshot = Slot::Free;
                self.tell.send_modify(|durable| {
                    durable.snapshot = Some(job.seq);
                    durable.trouble = None;
                });
            }
            Ok(Trim::More) | Err(_) => self.job = Some(job),
        }
        result.map(|_| ())
    }

    fn commit(&mut self) -> Result<(), AppendError> {
        let from = self.clock.micros();
        let (first, now) = (self.durable.next(), self.group.now);
        self.log.append(&self.term, first, now, &self.group.batches)?;
        self.times.push(self.clock.micros().saturating_sub(from));
        let count = u64::try_from(self.group.batches.len()).expect("a length fits 64 bits");
        self.durable = Seq(self.durable.0 + count);
        self.shared.state().backlog_bytes -= self.group.bytes;
        self.group = Group::default();
        let (seq, (p50, max)) = (self.durable, self.times.p50_and_max());
        self.tell.send_modify(|durable| {
            durable.seq = seq;
            durable.commits += 1;
            durable.sync_us_p50 = p50;
            durable.sync_us_max = max;
            durable.trouble = None;
        });
        Ok(())
    }

    fn backlog_waits(&self) -> bool {
        !self.shared.state().waiting.is_empty()
    }

    /// Writes one part, or the head, or trims some.
    fn write_piece(&mut self, job: &mut Job) -> Result<Trim, AppendError> {
        let (part, data) = match std::mem::replace(&mut job.step, Step::Trim) {
            Step::Trim => return self.log.trim(&self.term),
            // The head waits for the batch that it stands on.
            Step::Head(parts) if self.durable < job.seq && self.backlog_waits() => {
                job.step = Step::Head(parts);
                return Ok(Trim::More);
            }
            Step::Head(parts) => {
                let done = self.log.finish_snapshot(&self.term, job.seq, parts);
                if done.is_err() {
                    job.step = Step::Head(parts);
                }
                return done.map(|()| Trim::More);
            }
            Step::Again(part, data) => (part, data),
            Step::Part(part) => match job.parts.next() {
                Some(data) => (part, data),
                None => {
                    job.step = Step::Head(part);
                    return Ok(Trim::More);
                }
            },
        };
        let written = self.log.write_part(&self.term, job.seq, part, &data);
        job.step = match &written {
            Ok(()) => Step::Part(part + 1),
            Err(_) => Step::Again(part, data),
        };
        written.map(|()| Trim::More)
    }
}

impl Group {
    /// Takes what waits, at least one, up to about [`COMMIT_BYTES_MAX`].
    fn take_from(&mut self, waiting: &mut VecDeque<Waiting>) {
        while self.batches.is_empty() || self.bytes < COMMIT_BYTES_MAX {
            let Some(next) = waiting.pop_front() else { break };
            self.bytes += next.bytes;
            self.now = self.now.max(next.now);
            self.batches.push(next.batch);
        }
    }
}

/// The durations of the last commits, in microseconds.
#[derive(Default)]
struct Times {
    last: VecDeque<u64>,
}

impl Times {
    fn push(&mut self, us: u64) {
        if self.last.len() == TIMES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(us);
    }

    fn p50_and_max(&self) -> (u64, u64) {
        let mut sorted: Vec<u64> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        let p50 = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        (p50, sorted.last().copied().unwrap_or_default())
    }
}

/// Bytes of one commit; more waits for the next.
const COMMIT_BYTES_MAX: usize = 1 << 20;
const TIMES_KEPT: usize = 64;

#[cfg(test)]
mod tests;
