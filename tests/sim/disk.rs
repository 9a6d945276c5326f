//! The master's disk: the log of the store in memory, with snapshots, and what goes wrong with it.
//! It is slow, full for a while, loses its answer, or is taken over by another master. What is on
//! it is what a new master begins with; decides nothing about tasks.

use std::collections::VecDeque;

use fastrand::Rng;
use ganger::engine::ledger::Ledger;
use ganger::master::recover::recover;
use ganger::store::{
    AppendError, Batch, BodyReader as _, Fault, FencedLog as _, Holder, MemoryLog, Seq, Survival,
    Term,
};
use ganger_proto::command::Stream;
use ganger_proto::{Epoch, TaskId, WallMs};

/// Batches of a thousand whose append goes wrong.
const FAULTS_PERMILLE: u32 = 4;

/// A turn on its way to the disk.
pub(crate) struct Writing {
    /// When it would be there.
    pub(crate) at: u64,
    pub(crate) seq: Seq,
    pub(crate) batch: Batch,
    /// A snapshot of the state after it.
    pub(crate) snapshot: Option<Parts>,
}

/// The parts of a snapshot, in order.
pub(crate) type Parts = Box<dyn Iterator<Item = Vec<u8>> + Send>;

pub(crate) struct Disk {
    log: MemoryLog,
    term: Term,
    pub(crate) writing: VecDeque<Writing>,
    /// How long an append takes.
    pub(crate) log_ms: u64,
    full_until: u64,
    /// What went wrong, so that a run in which nothing did is noticed.
    pub(crate) faults: u64,
}

/// What became of an append.
pub(crate) enum Wrote {
    Durable(Batch),
    /// It may be tried again.
    Full,
    /// The master stops, and does not know whether this is there.
    Lost,
    /// The master stops and does not know that this is there.
    Kept(Batch),
}

impl Disk {
    pub(crate) fn new() -> Self {
        Self {
            log: MemoryLog::new(),
            term: Term { epoch: Epoch::default(), last: Seq::default() },
            writing: VecDeque::new(),
            log_ms: 2,
            full_until: 0,
            faults: 0,
        }
    }

    /// Becomes the disk of a new master; returns its term and the state that it begins with.
    pub(crate) fn open(&mut self, life: u32, now: WallMs) -> Result<(Term, Ledger), String> {
        let me = Holder { pid: life, host: "sim".to_owned() };
        self.term = self.log.acquire(&me, now).map_err(|error| error.to_string())?;
        let recovered = recover(&mut self.log, &self.term).map_err(|error| error.to_string())?;
        Ok((self.term, recovered.ledger))
    }

    /// Appends the oldest of what is on its way; in a storm that may go wrong.
    pub(crate) fn write(
        &mut self,
        t: u64,
        now: WallMs,
        mut storm: Option<&mut Rng>,
    ) -> Option<Wrote> {
        let seq = self.writing.front()?.seq;
        let fault = storm.as_mut().and_then(|rng| self.fault(t, rng));
        if let Some(fault) = fault {
            self.log.fail_next(fault);
        }
        let batch = &self.writing.front()?.batch;
        let result = self.log.append(&self.term, seq, now, std::slice::from_ref(batch));
        if matches!(result, Err(AppendError::Full(_))) {
            return Some(Wrote::Full);
        }
        let Writing { batch, snapshot, .. } = self.writing.pop_front()?;
        if result.is_err() {
            let kept = fault == Some(Fault::Ambiguous(Survival::Kept));
            return Some(if kept { Wrote::Kept(batch) } else { Wrote::Lost });
        }
        if let Some(mut parts) = snapshot {
            let installed = self.log.install_snapshot(&self.term, seq, parts.as_mut());
            installed.expect("nothing is wrong with the disk at the moment");
        }
        Some(Wrote::Durable(batch))
    }

    fn fault(&mut self, t: u64, rng: &mut Rng) -> Option<Fault> {
        if t < self.full_until {
            return Some(Fault::Full);
        }
        if rng.u32(..1_000) >= FAULTS_PERMILLE {
            return None;
        }
        self.faults += 1;
        match rng.u8(..6) {
            0 => Some(Fault::Ambiguous(Survival::Kept)),
            1 => Some(Fault::Ambiguous(Survival::Lost)),
            2 => Some(Fault::Fenced),
            _ => {
                self.full_until = t + rng.u64(100..1_500);
                Some(Fault::Full)
            }
        }
    }

    /// Returns what was printed by a task's newest attempt that printed much.
    pub(crate) fn output(&self, task: TaskId, attempt: u32) -> Option<Vec<u8>> {
        let mut reader = self.log.body_reader();
        let output = reader.output(task, Some(attempt), Stream::Stdout).ok().flatten();
        output.map(|output| output.bytes)
    }
}
