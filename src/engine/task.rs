//! One task's record and its states. Does not know batches or queues; where all records are is in
//! table.rs.
//!
//! ```text
//!              Delayed <-----------.
//!                 | due            | failed, tries left
//!   submit        v      grant     |
//!  -------->   Queued ---------> Leased ----------> Done
//!                 ^                | | '----------> Failed
//!                 '----------------' |  out of tries
//!                  released, lost    '------------> Cancelled
//! ```
//! A task that waits for another batch is `Blocked` before it is `Delayed` or `Queued`, and becomes
//! `Failed` when that batch does not end well. `Blocked`, `Delayed` and `Queued` become `Cancelled`
//! too; `Failed` and `Cancelled` become `Queued` by hand.

use ganger_proto::{BlockId, Epoch, LeaseId, Outcome, WallMs, WorkerId};
use serde::{Deserialize, Serialize};

use super::span::Span;
use super::stored::StoredTask;

/// The durable state of a task; whether a leased one runs is soft, see roster.rs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(u8)]
pub enum State {
    /// Not submitted yet, deleted, or past its retention.
    #[default]
    Absent,
    /// Not before a time, or backing off.
    Delayed,
    /// Waits for a worker.
    Queued,
    /// A session holds its lease.
    Leased,
    /// Ended well.
    Done,
    /// Out of tries.
    Failed,
    /// Cancelled.
    Cancelled,
    /// Waits for another batch to end. Since format 3.
    Blocked,
}

impl State {
    /// How many there are, the absent one included.
    pub const COUNT: usize = 8;

    /// All states of a task that is there.
    pub const PRESENT: [Self; 7] = [
        Self::Blocked,
        Self::Delayed,
        Self::Queued,
        Self::Leased,
        Self::Done,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Tells whether the task has ended.
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// What the engine keeps of one task: 40 bytes. Its argument is with its batch, its result in the
/// store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredTask", into = "StoredTask")]
pub struct Task {
    /// When it came into its state; for a delayed task when it is due; 0 means with its batch.
    pub at: WallMs,
    /// The counter of its current lease, or of its last one when it has ended, in 48 bits: at a
    /// million leases a second they last eight years of one master's life.
    lease_low: u32,
    lease_high: u16,
    /// How long its newest attempt took, as its worker measured it.
    pub took: Span,
    /// The epoch of its lease; 0 before the first.
    epoch: Epoch,
    /// Who holds or ran it.
    pub worker: WorkerId,
    /// The block with its newest result, plus one; 0 when there is none.
    pub block: u32,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: u16,
    /// Higher goes first.
    pub priority: i16,
    /// The exit code or the signal of the newest end.
    code: i16,
    /// How long it had waited in its queue when its newest attempt was sent.
    pub wait: Span,
    /// How the newest attempt ended in bits 0 to 2, times its worker vanished while it ran in bits
    /// 3 to 5, whether a cancel was asked for in bit 6.
    marks: u8,
    /// Its state.
    pub state: State,
    /// Charged failures.
    pub failures: u8,
    /// Times it was given back without having run.
    pub releases: u8,
}

const END_MASK: u8 = 0b111;
const LOST_SHIFT: u8 = 3;
const LOST_MASK: u8 = 0b111 << LOST_SHIFT;
const CANCEL_MARK: u8 = 1 << 6;

impl Task {
    /// Returns the record of a task that was just submitted.
    pub fn waiting(state: State, at: WallMs, priority: i16) -> Self {
        Self { state, at, priority, ..Self::default() }
    }

    /// Returns its current or last lease.
    pub const fn lease_id(&self) -> LeaseId {
        let counter = ((self.lease_high as u64) << 32) | self.lease_low as u64;
        LeaseId { epoch: self.epoch, counter }
    }

    /// Keeps its lease.
    pub const fn set_lease(&mut self, lease: LeaseId) {
        self.epoch = lease.epoch;
        self.lease_low = lease.counter as u32;
        self.lease_high = (lease.counter >> 32) as u16;
    }

    /// Returns how often its worker vanished while it ran.
    pub const fn lost(&self) -> u8 {
        (self.marks & LOST_MASK) >> LOST_SHIFT
    }

    /// Keeps how often its worker vanished while it ran; stays at 7, which is beyond the limit.
    pub fn set_lost(&mut self, lost: u8) {
        self.marks = (self.marks & !LOST_MASK) | (lost.min(7) << LOST_SHIFT);
    }

    /// Tells whether a cancel was asked for while it ran.
    pub const fn is_cancelling(&self) -> bool {
        self.marks & CANCEL_MARK != 0
    }

    /// Notes that a cancel was asked for.
    pub const fn ask_cancel(&mut self) {
        self.marks |= CANCEL_MARK;
    }

    /// Forgets that a cancel was asked for.
    pub const fn forget_cancel(&mut self) {
        self.marks &= !CANCEL_MARK;
    }

    /// Returns the block with its newest result.
    pub fn block_id(&self) -> Option<BlockId> {
        self.block.checked_sub(1).map(|id| BlockId::new(u64::from(id)))
    }

    /// Keeps where its newest result is.
    pub fn set_block(&mut self, block: Option<BlockId>) {
        let raw = block.map_or(0, |id| id.raw() + 1);
        self.block = u32::try_from(raw).expect("four thousand million blocks are never reached");
    }

    /// Returns how its newest attempt ended.
    pub fn outcome(&self) -> Option<Outcome> {
        let code = i32::from(self.code);
        Some(match self.marks & END_MASK {
            1 => Outcome::Done,
            2 => Outcome::Failed { code },
            3 => Outcome::Signalled { signal: code },
            4 => Outcome::TimedOut,
            5 => Outcome::Lost,
            6 => Outcome::Cancelled,
            7 => Outcome::Unfit,
            _ => return None,
        })
    }

    /// Keeps how its newest attempt ended. Codes beyond 16 bits are cut to the nearest.
    pub fn set_outcome(&mut self, outcome: Option<Outcome>) {
        let cut = |code: i32| code.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
        let (end, code) = match outcome {
            None => (0, 0),
            Some(Outcome::Done) => (1, 0),
            Some(Outcome::Failed { code }) => (2, cut(code)),
            Some(Outcome::Signalled { signal }) => (3, cut(signal)),
            Some(Outcome::TimedOut) => (4, 0),
            Some(Outcome::Lost) => (5, 0),
            Some(Outcome::Cancelled) => (6, 0),
            Some(Outcome::Unfit) => (7, 0),
        };
        self.set_end(end, code);
    }

    /// Returns how its newest attempt ended as a number, and its code.
    pub(crate) const fn end(&self) -> (u8, i16) {
        (self.marks & END_MASK, self.code)
    }

    /// Keeps what [`Task::end`] returned.
    pub(super) const fn set_end(&mut self, end: u8, code: i16) {
        self.marks = (self.marks & !END_MASK) | (end & END_MASK);
        self.code = code;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stays_small() {
        assert_eq!(size_of::<Task>(), 40);
    }
}
