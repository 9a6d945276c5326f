//! Counts by state: of a batch, of a queue, of all, and the sums that the journal's digest is made
//! of. Follows what it is told; whether that may happen is the model's concern.

use std::collections::BTreeMap;

use ganger_proto::spec::{After, Then};
use ganger_proto::{BatchId, BatchOptions, Key, QueueName, SpecId, TaskId, WallMs};

use super::Counts;
use crate::engine::runs::TaskRun;
use crate::engine::task::State;

/// Tasks by state, the absent ones left at 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ByState([u64; State::COUNT]);

impl ByState {
    /// Returns how many are in a state.
    pub(super) const fn of(&self, state: State) -> u64 {
        self.0[state as usize]
    }

    /// Returns how many have not ended.
    pub(super) fn open(&self) -> u64 {
        self.sum(|state| !state.is_end())
    }

    /// Returns how many are there.
    pub(super) fn present(&self) -> u64 {
        self.sum(|_| true)
    }

    /// Adds tasks.
    pub(super) const fn add(&mut self, state: State, count: u64) {
        self.0[state as usize] += count;
    }

    fn sum(&self, which: impl Fn(State) -> bool) -> u64 {
        State::PRESENT.iter().filter(|state| which(**state)).map(|state| self.of(*state)).sum()
    }

    fn shift(&mut self, count: u64, from: State, to: State) {
        if from != State::Absent {
            self.0[from as usize] = self.0[from as usize].saturating_sub(count);
        }
        if to != State::Absent {
            self.add(to, count);
        }
    }

    /// Returns them as they are reported.
    pub(super) const fn counts(&self) -> Counts {
        Counts {
            blocked: self.of(State::Blocked),
            delayed: self.of(State::Delayed),
            queued: self.of(State::Queued),
            leased: self.of(State::Leased),
            done: self.of(State::Done),
            failed: self.of(State::Failed),
            cancelled: self.of(State::Cancelled),
        }
    }
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lot {
    pub(super) key: Key,
    pub(super) spec: SpecId,
    /// The place of its queue.
    pub(super) queue: usize,
    pub(super) retries: u8,
    pub(super) jobs_max: u32,
    pub(super) after: Vec<After>,
    pub(super) not_before: Option<WallMs>,
    pub(super) submitted: WallMs,
    pub(super) parts: u32,
    pub(super) complete: bool,
    /// Tasks submitted, also those that were removed.
    pub(super) tasks: u64,
    pub(super) by_state: ByState,
    /// The first tasks of its extents.
    pub(super) firsts: Vec<TaskId>,
}

impl Lot {
    /// Returns a batch without tasks.
    pub(super) fn new((key, spec): (Key, SpecId), queue: usize, submitted: WallMs) -> Self {
        Self {
            key,
            spec,
            queue,
            retries: 0,
            jobs_max: 0,
            after: Vec::new(),
            not_before: None,
            submitted,
            parts: 0,
            complete: false,
            tasks: 0,
            by_state: ByState::default(),
            firsts: Vec::new(),
        }
    }

    /// Keeps what counts of its options.
    pub(super) fn set_options(&mut self, options: &BatchOptions) {
        self.retries = options.retries;
        self.jobs_max = options.jobs_max;
        self.after.clone_from(&options.after);
        self.not_before = options.not_before;
    }
}

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: QueueName,
    pub(super) paused: bool,
    pub(super) by_state: ByState,
}

/// What has become of the batches that one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Open,
    Met,
    Missed,
}

/// All counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Accounts {
    pub(super) lots: BTreeMap<BatchId, Lot>,
    pub(super) lines: Vec<Line>,
    pub(super) all: ByState,
    /// For each state the sums of its tasks' ids and of their squares.
    sums: [(u128, u128); State::COUNT],
}

impl Accounts {
    /// Returns the place of a queue, which it makes when there is none.
    pub(super) fn line(&mut self, name: &QueueName) -> usize {
        self.lines.iter().position(|line| line.name == *name).unwrap_or_else(|| {
            let by_state = ByState::default();
            self.lines.push(Line { name: name.clone(), paused: false, by_state });
            self.lines.len() - 1
        })
    }

    /// Returns the queue of a batch.
    pub(super) fn line_of(&self, batch: BatchId) -> Option<&Line> {
        self.lines.get(self.lots.get(&batch)?.queue)
    }

    /// Follows tasks of one batch from one state to another.
    pub(super) fn shift(&mut self, batch: BatchId, run: TaskRun, from: State, to: State) {
        if from == to {
            return;
        }
        self.all.shift(run.count, from, to);
        if let Some(lot) = self.lots.get_mut(&batch) {
            lot.by_state.shift(run.count, from, to);
            if let Some(line) = self.lines.get_mut(lot.queue) {
                line.by_state.shift(run.count, from, to);
            }
        }
        let (ids, squares) = sums(run);
        let add = |at: &mut (u128, u128)| {
            *at = (at.0.wrapping_add(ids), at.1.wrapping_add(squares));
        };
        let take = |at: &mut (u128, u128)| {
            *at = (at.0.wrapping_sub(ids), at.1.wrapping_sub(squares));
        };
        take(&mut self.sums[from as usize]);
        add(&mut self.sums[to as usize]);
    }

    /// Tells what has become of the batches that one waits for. One that is gone had ended, and
    /// ended well as far as anybody knows.
    pub(super) fn before(&self, batch: BatchId) -> Before {
        let after = self.lots.get(&batch).map_or(&[][..], |lot| &lot.after);
        let known = after.iter().filter_map(|after| Some((after, self.lots.get(&after.batch)?)));
        let (mut open, mut missed) = (false, false);
        for (after, lot) in known {
            let ended = lot.complete && lot.by_state.open() == 0;
            let badly = lot.by_state.of(State::Failed) + lot.by_state.of(State::Cancelled) > 0;
            open |= !ended;
            missed |= ended && badly && after.then == Then::Done;
        }
        match (missed, open) {
            (true, _) => Before::Missed,
            (false, true) => Before::Open,
            (false, false) => Before::Met,
        }
    }

    /// Returns the digest that the journal has of such a state: FORMAT.md says how it is made.
    pub(super) fn digest(&self, counters: &[u64]) -> [u8; 16] {
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        let blocked = State::Blocked as usize;
        let states = if self.sums[blocked] == (0, 0) { blocked } else { State::COUNT };
        let mut digest = ODD;
        let mut mix = |value: u128| digest = (digest ^ value).wrapping_mul(ODD).rotate_left(41);
        for (ids, squares) in &self.sums[1..states] {
            mix(*ids);
            mix(*squares);
        }
        counters.iter().for_each(|counter| mix(u128::from(*counter)));
        digest.to_le_bytes()
    }
}

/// Returns the sum of a run's ids and of their squares.
fn sums(run: TaskRun) -> (u128, u128) {
    // Below 2^63 tasks neither overflows; what a damaged journal says wraps.
    let up_to = |n: u128| {
        let ids = n.wrapping_mul(n + 1) / 2;
        (ids, ids.wrapping_mul(2 * n + 1) / 3)
    };
    let (last, before) = (u128::from(run.end()) - 1, u128::from(run.first.raw()) - 1);
    let ((ids, squares), (ids_before, squares_before)) = (up_to(last), up_to(before));
    (ids - ids_before, squares.wrapping_sub(squares_before))
}

/// Changes of neighbours that are followed together.
#[derive(Debug, Default)]
pub(super) struct Shifts(Vec<(TaskRun, State, State)>);

impl Shifts {
    /// Notes that tasks went from one state to another.
    pub(super) fn push(&mut self, run: TaskRun, from: State, to: State) {
        match self.0.last_mut() {
            Some((last, f, t)) if *f == from && *t == to && last.end() == run.first.raw() => {
                last.count += run.count;
            }
            _ => self.0.push((run, from, to)),
        }
    }

    /// Follows what was noted.
    pub(super) fn follow(self, batch: BatchId, accounts: &mut Accounts) {
        for (run, from, to) in self.0 {
            accounts.shift(batch, run, from, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_runs_are_those_of_their_ids() {
        for (first, count) in [(1, 1), (1, 10), (7, 1), (1_020, 2_050)] {
            let run = TaskRun { first: TaskId::new(first), count };
            let ids = run.ids().map(|id| u128::from(id.raw()));
            let expected = ids.fold((0, 0), |sums, id| (sums.0 + id, sums.1 + id * id));
            assert_eq!(sums(run), expected);
        }
    }
}
