//! The inside of the store thread: what is committed together, and how a snapshot goes between
//! commits. What others see of it is in the parent.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};

use ganger_proto::WallMs;
use tokio::sync::watch;

use super::super::{AppendError, Batch, FencedLog, Seq, Term, Trim};
use super::{Durable, Piece, Poke, Shared, Slot, Trouble, Waiting};
use crate::clock::Clock;

/// A snapshot on its way to the disk.
pub(super) struct Job {
    seq: Seq,
    step: Step,
    parts: Box<dyn Iterator<Item = Vec<u8>> + Send>,
}

impl Job {
    pub(super) fn new(seq: Seq, parts: Box<dyn Iterator<Item = Vec<u8>> + Send>) -> Self {
        Self { seq, step: Step::Part(0), parts }
    }
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
pub(super) struct Worker {
    log: Box<dyn FencedLog>,
    term: Term,
    clock: Clock,
    shared: Arc<Shared>,
    tell: watch::Sender<Durable>,
    durable: Seq,
    /// Taken from the list and not yet durable; kept over a full disk.
    group: Group,
    job: Option<Job>,
    /// A piece of an output, taken and not yet durable; kept over a full disk.
    piece: Option<Piece>,
    /// Whether parts of outputs are left that nobody needs.
    needless: Trim,
    times: Times,
}

/// What the thread does next.
enum Turn {
    Work,
    End,
}

impl Worker {
    pub(super) fn new(
        log: Box<dyn FencedLog>,
        term: Term,
        clock: Clock,
        (shared, tell): (Arc<Shared>, watch::Sender<Durable>),
    ) -> Self {
        Self {
            log,
            term,
            clock,
            shared,
            tell,
            durable: term.last,
            group: Group::default(),
            job: None,
            piece: None,
            // An earlier life may have left some.
            needless: Trim::More,
            times: Times::default(),
        }
    }

    pub(super) fn run(mut self) {
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
            if self.piece.is_none() {
                self.piece = state.pieces.pop_front();
            }
            self.group.take_from(&mut state.waiting);
            let ending = state.poke == Poke::End;
            let between = self.job.is_some() || self.piece.is_some() || self.needless == Trim::More;
            if !self.group.batches.is_empty() || (between && !ending) {
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
        // Snapshots and parts do not hold the end up; every batch gets its last chance.
        (self.job, self.piece, self.needless) = (None, None, Trim::Done);
        while let Turn::Work = self.wait() {
            if let Err(error) = self.commit() {
                let trouble = Trouble::of(&error);
                self.tell.send_modify(|durable| durable.trouble = Some(trouble));
                return Turn::End;
            }
        }
        Turn::End
    }

    /// One commit, then one piece of an output, and of a snapshot.
    fn step(&mut self) -> Result<(), AppendError> {
        if !self.group.batches.is_empty() {
            self.commit()?;
            self.needless = Trim::More;
        }
        if let Some(piece) = self.piece.take() {
            self.write_output(piece)?;
        } else if self.needless == Trim::More {
            self.needless = self.log.trim_outputs(&self.term)?;
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

    fn write_output(&mut self, piece: Piece) -> Result<(), AppendError> {
        match piece {
            Piece::Drop { of } => {
                self.log.drop_output_parts(of);
                self.needless = Trim::More;
            }
            Piece::Part { of, part, data, written } => {
                if let Err(error) = self.log.write_output_part(&self.term, of, part, &data) {
                    self.piece = Some(Piece::Part { of, part, data, written });
                    return Err(error);
                }
                // Who waited for it may be gone, and says so with a drop.
                let _gone = written.send(());
                self.tell.send_if_modified(|durable| durable.trouble.take().is_some());
            }
        }
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
#[derive(Debug, Default)]
pub(super) struct Times {
    last: VecDeque<u64>,
}

impl Times {
    pub(super) fn push(&mut self, us: u64) {
        if self.last.len() == TIMES_KEPT {
            self.last.pop_front();
        }
        self.last.push_back(us);
    }

    pub(super) fn p50_and_max(&self) -> (u64, u64) {
        let mut sorted: Vec<u64> = self.last.iter().copied().collect();
        sorted.sort_unstable();
        let p50 = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
        (p50, sorted.last().copied().unwrap_or_default())
    }
}

/// Bytes of one commit; more waits for the next.
pub(super) const COMMIT_BYTES_MAX: usize = 1 << 20;
const TIMES_KEPT: usize = 64;
