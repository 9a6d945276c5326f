//! Tasks of warm handlers: how many a slot is given at once, and what it says of them. PURE.

use std::collections::BTreeMap;
use std::sync::Arc;

use ganger_proto::message::{DoneRun, GrantRun};
use ganger_proto::{Ended, LeaseId, Outcome, Spec, SpecId};

use super::in_lane;
use super::{Attempt, AttemptEnded, Effect, Fate, Start, Work, WorkerCore};
use crate::worker::waiting::part;

/// Tasks given to a handler at once: one that it has, the others behind it.
pub(in crate::worker) const GIVE_TASKS_MAX: u32 = 64;

/// What became of tasks that a slot was given at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WarmEnds {
    /// Their spec.
    pub spec: SpecId,
    /// Those that ended well with a short answer.
    pub done: Vec<DoneRun>,
    /// Those that ended in another way.
    pub ended: Vec<AttemptEnded>,
    /// Leases among those whose tasks are not to be tried again.
    pub for_good: Vec<LeaseId>,
    /// Those that have not begun, and may begin in another slot.
    pub returned: Vec<GrantRun>,
}

impl WarmEnds {
    /// Returns that nothing became of them.
    pub(in crate::worker) fn of(spec: SpecId) -> Self {
        let (done, ended, for_good) = (Vec::new(), Vec::new(), Vec::new());
        Self { spec, done, ended, for_good, returned: Vec::new() }
    }

    /// Tells whether something became of some.
    pub(in crate::worker) fn is_something(&self) -> bool {
        !(self.done.is_empty() && self.ended.is_empty() && self.returned.is_empty())
    }
}

/// What is known of handlers and of slots with more than one task.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The moving average of durations, in microseconds.
    each_us: BTreeMap<SpecId, u64>,
    /// Slots with more than one task, and how many.
    crowded: BTreeMap<u32, u32>,
    /// All tasks of those beyond the first.
    tasks: usize,
}

/// The time that the tasks given at once may take together.
const GIVE_US: u64 = 4_000;
/// The weight of what was known before, in eighths.
const MEMORY: u64 = 6;

impl Ahead {
    /// Returns how many tasks to give at once.
    fn give(&self, spec: SpecId) -> u64 {
        let each_us = self.each_us.get(&spec).copied();
        each_us.map_or(1, |us| (GIVE_US / us.max(1)).clamp(1, u64::from(GIVE_TASKS_MAX)))
    }

    fn took(&mut self, spec: SpecId, each_us: u64) {
        let average = self.each_us.entry(spec).or_insert(each_us);
        *average = (*average * MEMORY + each_us.min(u64::from(u32::MAX)) * (8 - MEMORY)) / 8;
    }

    fn entered(&mut self, slot: u32, count: u32) {
        if count > 1 {
            self.crowded.insert(slot, count);
            self.tasks += count as usize - 1;
        }
    }

    /// A task leaves a slot; tells whether it was the only one.
    pub(super) fn left(&mut self, slot: u32) -> bool {
        let Some(count) = self.crowded.get_mut(&slot) else { return true };
        *count -= 1;
        self.tasks -= 1;
        if *count == 1 {
            self.crowded.remove(&slot);
        }
        false
    }
}

impl WorkerCore {
    /// Returns how many slots have a task, or more than one.
    pub(super) fn slots_busy(&self) -> usize {
        self.running.len() - self.ahead.tasks
    }

    /// Starts the next task of a handler, with others behind it when they are short. None is put
    /// behind another while a slot is free for it.
    pub(super) fn start_warm(&mut self, now_us: u64, slot: u32, id: SpecId, spec: Arc<Spec>) {
        let (lane, _) = in_lane(slot);
        let free = u64::from(self.lanes.free(lane).max(1));
        let share = self.lanes.waiting_in(lane).div_ceil(free);
        let most = self.ahead.give(id).min(share);
        let Some(run) = self.lanes.take(lane, most) else { return };
        if self.has_running(&run) {
            return;
        }
        let (count, at) = (run.args.count(), Attempt { lease: run.lease, slot });
        self.enter(now_us, at, Arc::clone(&spec), Work::Child);
        for place in 1..count {
            let behind = Attempt { lease: run.lease.plus(place), slot };
            self.begin(now_us, behind, Arc::clone(&spec), Work::Child);
        }
        self.ahead.entered(slot, u32::try_from(count).unwrap_or(u32::MAX));
        self.effects.push(Effect::Start(Box::new(Start { at, run, spec })));
    }

    /// A slot says what became of tasks of a handler.
    pub fn handle_warm(&mut self, now_us: u64, ends: WarmEnds) {
        let WarmEnds { spec, done, ended, for_good, returned } = ends;
        for run in done {
            self.warm_done(spec, run);
        }
        for lease in for_good {
            self.reports.for_good(lease);
        }
        for end in ended {
            if end.ended.outcome != Outcome::Unfit {
                self.ahead.took(spec, end.ended.took_us);
            }
            self.end_child(end);
        }
        for run in returned.into_iter().rev() {
            self.warm_returned(&run);
        }
        self.release_waiting();
        self.start_what_can(now_us);
    }

    fn warm_done(&mut self, spec: SpecId, run: DoneRun) {
        let total_us: u64 = run.took_us.iter().map(|us| u64::from(*us)).sum();
        let count = u32::try_from(run.took_us.len()).unwrap_or(u32::MAX).max(1);
        let each_us = total_us / u64::from(count);
        self.ahead.took(spec, each_us);
        let (mut dropped, mut lane) = (Vec::new(), None);
        for at in 0..u64::from(count) {
            let lease = run.first.plus(at);
            let running = self.leave(lease);
            let slot = running.as_ref().map(|running| running.slot);
            lane = slot.map(|slot| in_lane(slot).0).or(lane);
            if running.map(|running| running.fate) != Some(Fate::Report) {
                dropped.push(lease);
            }
            self.clean(lease);
        }
        if let Some(lane) = lane {
            self.lanes.took(lane, each_us, count);
        }
        if dropped.is_empty() {
            return self.reports.done(run);
        }
        for (at, (took_us, answer)) in run.took_us.iter().zip(run.results.iter()).enumerate() {
            let lease = run.first.plus(at as u64);
            if !dropped.contains(&lease) {
                let mut ended = Ended::bare(lease, Outcome::Done, u64::from(*took_us));
                ended.stdout = answer.to_vec();
                self.reports.ended(ended);
            }
        }
    }

    /// Puts tasks that have not begun in front of those that wait.
    fn warm_returned(&mut self, run: &GrantRun) {
        for at in (0..run.args.count()).rev() {
            let lease = run.lease.plus(at);
            let Some(running) = self.leave(lease) else { continue };
            if running.fate == Fate::Report {
                let (lane, _) = in_lane(running.slot);
                self.lanes.put_back(lane, part(run, at, 1));
            }
        }
    }
}
