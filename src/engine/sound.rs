//! Whether what was put together from stored parts holds together. Sums say that bytes are as they
//! were written, not that they make sense; what is found here would fail much later, or fill the
//! memory. Looks before indexes are made, and once after; mends nothing.

use std::ops::Range;

use ganger_proto::LeaseId;

use super::batch::{Batch, Extent};
use super::class::ClassId;
use super::ledger::Ledger;
use super::roster::Session;
use super::runs::{IdSet, TaskRun};
use super::task::State;

/// Ids and counters stay below: nothing counts so far, and no sum of some passes 64 bits.
const COUNT_MAX: u64 = 1 << 48;

type Checked = Result<(), &'static str>;

impl Ledger {
    /// Checks all that indexes are made of; `outputs` are the tasks with output in the store.
    pub(super) fn check_parts(&self, outputs: &[TaskRun]) -> Checked {
        let covered = self.table.covered().ok_or("a page of records is not whole")?;
        let counters = [self.next_task, self.next_batch, self.leases];
        let specs_left = self.next_spec < u32::MAX && self.next_block < u64::from(u32::MAX);
        let newest = self.workers.keys().next_back().map_or(0, |worker| worker.raw());
        if counters.iter().any(|count| *count >= COUNT_MAX) || !specs_left || newest == u32::MAX {
            return Err("a counter is beyond all that can be counted");
        }
        if !outputs.iter().all(|run| within(*run, &covered)) {
            return Err("an output is of a task that has no record");
        }
        self.check_batches()?;
        self.check_extents(&covered)?;
        self.sessions.values().try_for_each(|session| self.check_session(session, &covered))
    }

    fn check_batches(&self) -> Checked {
        let batches = &self.batches;
        let sound = |batch: &Batch| {
            let rate = batch.options.rate.is_none_or(|rate| rate.starts > 0 && rate.per_ms > 0);
            let known = batches.spec(batch.spec).is_some()
                && batch.class != ClassId::default()
                && self.find_queue(&batch.options.queue).is_some();
            known && rate && batch.tasks < COUNT_MAX && batch.parts < u32::MAX
        };
        if batches.all.len() != batches.keys.len() {
            return Err("two batches have one key, or one has two");
        }
        let newest = batches.all.keys().next_back().map_or(0, |newest| newest.raw());
        if newest >= self.next_batch || !batches.all.values().all(sound) {
            return Err("a batch has no spec, no queue, or a rate or number that is none");
        }
        Ok(())
    }

    /// Stretches of tasks belong to batches, have records, and come one after another.
    fn check_extents(&self, covered: &Range<u64>) -> Checked {
        let (mut count, mut end) = (0, covered.start);
        for (id, extent) in self.batches.extents() {
            let Extent { first, index, args } = extent;
            let batch = self.batches.all.get(&id).ok_or("tasks belong to no batch")?;
            let run = TaskRun { first: *first, count: args.count() };
            let fits = first.raw() >= end
                && within(run, &(covered.start..covered.end.min(self.next_task)))
                && args.is_sound()
                && index.checked_add(run.count).is_some_and(|after| after <= batch.tasks);
            if !fits {
                return Err("tasks have no records, or belong to two batches");
            }
            end = run.end();
            count += 1;
        }
        let firsts: usize = self.batches.all.values().map(|batch| batch.firsts.len()).sum();
        if firsts == count { Ok(()) } else { Err("tasks belong to two batches") }
    }

    /// What a session holds is leased to it.
    fn check_session(&self, session: &Session, covered: &Range<u64>) -> Checked {
        let mut holds = 0_u64;
        for (first, run) in session.held() {
            if !within(run, covered) || !self.was_granted(first, run.count) {
                return Err("a session holds tasks that have no record, or a lease of no master");
            }
            let leased = run.ids().enumerate().all(|(place, id)| {
                let task = self.task(id);
                task.state == State::Leased
                    && task.lease_id() == first.plus(place as u64)
                    && task.worker == session.worker
                    && self.batches.of_task(id).is_some()
            });
            if !leased {
                return Err("a session holds tasks that are not leased to it");
            }
            holds += run.count;
        }
        if holds == session.holds() { Ok(()) } else { Err("a session miscounts what it holds") }
    }

    fn was_granted(&self, first: LeaseId, count: u64) -> bool {
        let last = first.counter.checked_add(count - 1);
        let newest = if first.epoch < self.epoch { COUNT_MAX } else { self.leases };
        first.epoch <= self.epoch && last.is_some_and(|last| last <= newest)
    }

    /// Checks, once there are indexes, that every leased task is held, and once, under a lease of
    /// its own.
    pub(super) fn check_leases(&self) -> Checked {
        let held = self.sessions.values().flat_map(Session::held);
        let mut leases: Vec<(LeaseId, TaskRun)> = held.collect();
        leases.sort_unstable_by_key(|(lease, _)| *lease);
        let apart = leases.windows(2).all(|two| match two {
            [(first, run), (next, _)] => {
                first.epoch < next.epoch || first.counter + run.count <= next.counter
            }
            _ => true,
        });
        let holds: u64 = self.sessions.values().map(Session::holds).sum();
        let held: IdSet = leases.into_iter().map(|(_, run)| run).collect();
        if apart && held.len() == holds && held == *self.in_state(State::Leased) {
            return Ok(());
        }
        Err("a leased task is held by nobody, or twice")
    }
}

/// Tells whether a run has tasks, and only such.
fn within(run: TaskRun, ids: &Range<u64>) -> bool {
    let end = run.first.raw().checked_add(run.count);
    run.count > 0 && run.first.raw() >= ids.start && end.is_some_and(|end| end <= ids.end)
}
