//! Who gets what: sessions with room take turns, queues take turns, priorities and batches as
//! queue.rs says. Costs nothing per idle worker and next to nothing per task of a run.

use std::collections::BTreeSet;

use ganger_proto::gang::Allows;
use ganger_proto::limits::{GRANT_BYTES_MAX, GRANT_TASKS_MAX};
use ganger_proto::message::{Grant, GrantRun};
use ganger_proto::{BatchId, LeaseId, SessionId, SpecId, WorkerId};

use super::Engine;
use super::event::Event;
use super::input::Effect;
use super::runs::TaskRun;
use crate::clock::Now;

/// Tasks looked past at most for a worker that has said it cannot run them.
const UNFIT_LOOK_PAST: u64 = 256;

impl Engine {
    /// Puts a session in the line of those with room, if it has any.
    pub(super) fn feed(&mut self, session: SessionId) {
        if self.room(session) == 0 {
            return;
        }
        if let Some(live) = self.soft.live.get_mut(&session)
            && !live.hungry
        {
            live.hungry = true;
            self.soft.hungry.push_back(session);
        }
    }

    /// Returns how many tasks a session would take now.
    pub(super) fn room(&self, session: SessionId) -> u64 {
        let Some(live) = self.soft.live.get(&session) else { return 0 };
        let Some(known) = self.ledger.sessions.get(&session) else { return 0 };
        let drained = self.ledger.workers.get(&known.worker).is_some_and(|worker| worker.drained);
        if !live.connected || live.silent || live.draining || drained {
            return 0;
        }
        u64::from(live.hold).saturating_sub(known.holds())
    }

    /// Leases what is ready to sessions with room, until one of them runs out.
    pub(super) fn schedule(&mut self, now: Now) {
        // A round passes over sessions for which nothing fits; a whole round of those ends it.
        let mut passed = 0;
        // What is not there for one policy is not there for the next worker with the same one.
        let mut barren = BTreeSet::new();
        while !self.soft.hold_back && passed <= self.soft.hungry.len() {
            let ready: u64 =
                self.ledger.queues.iter().filter(|q| !q.paused).map(|queue| queue.ready()).sum();
            if ready == 0 {
                return;
            }
            let Some(session) = self.soft.hungry.pop_front() else { return };
            let room = self.room(session);
            let waiting = self.soft.hungry.len() as u64 + 1;
            let share = ready.div_ceil(waiting).clamp(1, u64::from(GRANT_TASKS_MAX));
            if let Some(live) = self.soft.live.get_mut(&session) {
                live.hungry = false;
            }
            if room == 0 {
                // It leaves the line, so it is not one that was passed over.
                continue;
            }
            let allows = self.allows(session);
            let granted = match barren.contains(&allows) {
                true => 0,
                false => self.grant(now, session, room.min(share)),
            };
            if granted == 0 && self.ledger.unfit.is_empty() {
                barren.insert(allows);
            }
            passed = if granted == 0 { passed + 1 } else { 0 };
            if room > granted {
                self.feed(session);
            }
        }
    }

    /// Leases up to `want` tasks of the queue whose turn it is; returns how many.
    fn grant(&mut self, now: Now, session: SessionId, want: u64) -> u64 {
        let Some(worker) = self.ledger.sessions.get(&session).map(|known| known.worker) else {
            return 0;
        };
        let allows = self.allows(session);
        let queues = self.ledger.queues.len();
        for _ in 0..queues {
            self.soft.queue_turn = (self.soft.queue_turn + 1) % queues;
            let queue = &mut self.ledger.queues[self.soft.queue_turn];
            if queue.ready() == 0 {
                continue;
            }
            let look_past = (self.ledger.unfit.len() as u64).min(UNFIT_LOOK_PAST);
            let Some((batch, runs)) = queue.pick(want + look_past) else { continue };
            let runs = match self.is_allowed(batch, allows) {
                true => self.fitting(worker, runs, want),
                false => Vec::new(),
            };
            let other = runs.is_empty().then(|| self.fitting_of_any(worker, allows, want));
            let picked = other.flatten();
            let (batch, runs) = picked.unwrap_or((batch, runs));
            let runs = self.within_bytes(runs);
            if runs.is_empty() {
                continue;
            }
            let first = self.ledger.next_lease();
            let count = runs.iter().map(|run| run.count).sum();
            self.commit(Event::Leased { session, tasks: runs.clone(), at: now.wall });
            let grant = self.grant_message(session, batch, first, &runs);
            self.out.effects.push(Effect::Grant { session, grant });
            return count;
        }
        0
    }

    /// Returns which kinds a session's policy lets run.
    fn allows(&self, session: SessionId) -> Allows {
        self.soft.live.get(&session).map_or(Allows::default(), |live| live.allows)
    }

    /// A task that a policy does not let run is not sent there: it waits for a worker that may.
    fn is_allowed(&self, batch: BatchId, allows: Allows) -> bool {
        allows.has(Allows::needed_by(&self.ledger.batches.spec_of(batch).kind))
    }

    /// Leaves out tasks that the worker has said it cannot run.
    fn fitting(&self, worker: WorkerId, runs: Vec<TaskRun>, want: u64) -> Vec<TaskRun> {
        if self.ledger.unfit.is_empty() {
            return runs;
        }
        let unfit = |id| self.ledger.unfit.get(&id).is_some_and(|who| who.contains(&worker));
        let ids = runs.into_iter().flat_map(TaskRun::ids).filter(|id| !unfit(*id));
        super::runs::coalesce(ids.take(want as usize))
    }

    /// Looks in all batches of the queue whose turn it is for tasks that the worker can run, so
    /// that tasks it cannot run do not keep it from others.
    fn fitting_of_any(
        &self,
        worker: WorkerId,
        allows: Allows,
        want: u64,
    ) -> Option<(BatchId, Vec<TaskRun>)> {
        let queue = &self.ledger.queues[self.soft.queue_turn];
        let mut sets = queue.ready_sets().filter(|(_, batch, _)| self.is_allowed(*batch, allows));
        sets.find_map(|(_, batch, set)| {
            let runs = self.fitting(worker, set.front(want + UNFIT_LOOK_PAST), want);
            (!runs.is_empty()).then_some((batch, runs))
        })
    }

    /// Cuts runs so that their arguments fit one grant; at least one task stays.
    fn within_bytes(&self, mut runs: Vec<TaskRun>) -> Vec<TaskRun> {
        let mut left = GRANT_BYTES_MAX;
        for at in 0..runs.len() {
            let run = runs[at];
            let Some((_, extent)) = self.ledger.batches.of_task(run.first) else { continue };
            let skip = run.first.raw() - extent.first.raw();
            let within = run.count.min(extent.args.count() - skip);
            let mut fits = within;
            while fits > 0 && extent.args.bytes_of(skip, fits) > left {
                fits = if fits == 1 { 0 } else { fits.div_ceil(2) };
            }
            if fits == 0 && at == 0 {
                fits = 1;
            }
            left = left.saturating_sub(extent.args.bytes_of(skip, fits));
            if fits < run.count {
                runs[at].count = fits;
                runs.truncate(at + usize::from(fits > 0));
                return runs;
            }
        }
        runs
    }

    /// Builds the message for tasks that were just leased, the first under `lease`.
    fn grant_message(
        &mut self,
        session: SessionId,
        batch: BatchId,
        mut lease: LeaseId,
        runs: &[TaskRun],
    ) -> Grant {
        let spec: SpecId = self.ledger.batches.known(batch).spec;
        let mut grant = Grant::default();
        if let Some(live) = self.soft.live.get_mut(&session)
            && live.specs.insert(spec)
            && let Some(known) = self.ledger.batches.spec(spec)
        {
            grant.specs.push((spec, known.as_ref().clone()));
        }
        for run in runs {
            let mut at = *run;
            while at.count > 0 {
                let alike = self.alike(at);
                let Some((_, extent)) = self.ledger.batches.of_task(at.first) else { break };
                let skip = at.first.raw() - extent.first.raw();
                grant.runs.push(GrantRun {
                    lease,
                    task: at.first,
                    batch,
                    index: extent.index + skip,
                    attempt: u32::from(self.ledger.task(at.first).attempt),
                    spec,
                    args: extent.args.slice(skip, alike),
                });
                lease = lease.plus(alike);
                at = TaskRun { first: at.first.plus(alike), count: at.count - alike };
            }
        }
        grant
    }

    /// Returns how many tasks at the start of a run have the same attempt and extent.
    fn alike(&self, run: TaskRun) -> u64 {
        let attempt = self.ledger.task(run.first).attempt;
        let end = self.ledger.batches.of_task(run.first).map_or(0, |(_, e)| e.run().end());
        let within = run.count.min(end.saturating_sub(run.first.raw())).max(1);
        let same = run.ids().take(within as usize);
        same.take_while(|id| self.ledger.task(*id).attempt == attempt).count().max(1) as u64
    }
}
