//! Who gets what: sessions with room take turns, queues take turns, priorities and batches as
//! queue.rs says, classes as class.rs says, short tasks in the numbers that short.rs says. Costs
//! nothing per idle worker and next to nothing per task of a run.

use std::collections::BTreeSet;

use ganger_proto::limits::{GRANT_BYTES_MAX, GRANT_TASKS_MAX};
use ganger_proto::message::{Grant, GrantRun};
use ganger_proto::{BatchId, LeaseId, PerLane, SessionId, SpecId, WorkerId};

use super::Engine;
use super::event::Event;
use super::input::Effect;
use super::queue::{Pick, Spot};
use super::roster::Live;
use super::runs::TaskRun;
use crate::clock::Now;

/// Tasks looked past at most for a worker that cannot run them, or had better not.
const UNFIT_LOOK_PAST: u64 = 256;

impl Engine {
    /// Puts a session in the line of those with room, if it has any. Called when something about
    /// it has changed, so that it looks again where it found nothing.
    pub(super) fn feed(&mut self, session: SessionId) {
        if let Some(live) = self.soft.live.get_mut(&session) {
            live.found_nothing = None;
        }
        self.line_up(session);
    }

    fn line_up(&mut self, session: SessionId) {
        if self.room(session).sum() == 0 {
            return;
        }
        if let Some(live) = self.soft.live.get_mut(&session)
            && !live.hungry
        {
            live.hungry = true;
            self.soft.hungry.push_back(session);
        }
    }

    /// Lines up a session that was just granted something: first again, as long as what it holds is
    /// less than short tasks should come in, else last.
    fn line_up_again(&mut self, session: SessionId, spec: SpecId) {
        let held = self.soft.live.get(&session).map_or(0, |live| live.used.slots.sum());
        let first = u64::from(held) < self.soft.short.worth(spec);
        self.line_up(session);
        if first && self.soft.hungry.back() == Some(&session) {
            self.soft.hungry.pop_back();
            self.soft.hungry.push_front(session);
        }
    }

    /// Returns how many slots' worth of tasks a session would take now.
    pub(super) fn room(&self, session: SessionId) -> PerLane {
        let Some(live) = self.soft.live.get(&session) else { return PerLane::default() };
        let Some(known) = self.ledger.sessions.get(&session) else { return PerLane::default() };
        let drained = self.ledger.workers.get(&known.worker).is_some_and(|worker| worker.drained);
        if !live.connected || live.silent || live.draining || drained {
            return PerLane::default();
        }
        let left = |hold: u32, used: u32| hold.saturating_sub(used);
        let (hold, used) = (live.hold, live.used.slots);
        PerLane { cpu: left(hold.cpu, used.cpu), io: left(hold.io, used.io) }
    }

    /// Leases what is ready to sessions with room, until one of them runs out.
    pub(super) fn schedule(&mut self, now: Now) {
        // A round passes over sessions for which nothing fits; a whole round of those ends it.
        let mut passed = 0;
        let holds_back = self.soft.hold_back || self.ledger.is_used_up();
        while !holds_back && passed <= self.soft.hungry.len() {
            let open = self.ledger.queues.iter().filter(|queue| !queue.paused && queue.is_awake());
            let ready: u64 = open.map(|queue| queue.ready()).sum();
            if ready == 0 {
                break;
            }
            let Some(session) = self.soft.hungry.pop_front() else { break };
            let room = u64::from(self.room(session).sum());
            let waiting = self.soft.hungry.len() as u64 + 1;
            let share = ready.div_ceil(waiting).clamp(1, u64::from(GRANT_TASKS_MAX));
            let news = self.ledger.queues.iter().map(super::queue::Queue::news).sum();
            let Some(live) = self.soft.live.get_mut(&session) else { continue };
            live.hungry = false;
            if room == 0 {
                // It leaves the line, so it is not one that was passed over.
                continue;
            }
            let granted = match live.found_nothing == Some(news) {
                true => None,
                false => self.grant(now, session, room.min(share)),
            };
            if let Some(live) = self.soft.live.get_mut(&session) {
                live.found_nothing = granted.is_none().then_some(news);
            }
            match granted {
                Some(spec) => {
                    passed = 0;
                    self.line_up_again(session, spec);
                }
                None => {
                    passed += 1;
                    self.line_up(session);
                }
            }
        }
        self.look_for_idle(now);
    }

    /// Leases up to `want` tasks of the queue whose turn it is, or more of short ones; returns what
    /// they run, if there are any.
    fn grant(&mut self, now: Now, session: SessionId, want: u64) -> Option<SpecId> {
        let worker = self.ledger.sessions.get(&session)?.worker;
        let queues = self.ledger.queues.len();
        for _ in 0..queues {
            self.soft.queue_turn = (self.soft.queue_turn + 1) % queues;
            let Some((spot, runs)) = self.choose(now, session, worker, want) else { continue };
            let runs = self.within_bytes(runs);
            if runs.is_empty() {
                continue;
            }
            let first = self.ledger.next_lease();
            let count = runs.iter().map(|run| run.count).sum();
            self.commit(Event::Leased { session, tasks: runs.clone(), at: now.wall });
            self.take_room(session, spot, count);
            self.soft.again.leased(&runs);
            let grant = self.grant_message(session, spot.batch, first, &runs);
            self.out.effects.push(Effect::Grant { session, grant });
            return Some(self.ledger.batches.known(spot.batch).spec);
        }
        None
    }

    /// Chooses tasks of the queue whose turn it is that a session may have.
    fn choose(
        &mut self,
        now: Now,
        session: SessionId,
        worker: WorkerId,
        want: u64,
    ) -> Option<(Spot, Vec<TaskRun>)> {
        let choosy = self.ledger.unfit.len() + self.soft.again.len();
        let look_past = (choosy as u64).min(UNFIT_LOOK_PAST);
        loop {
            let Pick { spot, runs } = self.pick(session, want + look_past)?;
            let known = self.ledger.batches.known(spot.batch);
            let least = self.soft.short.least(known.spec);
            let most = self.may_start(now, spot.batch).min(want.max(least));
            if most == 0 {
                self.rest(now, spot);
                continue;
            }
            let runs = self.fitting(now, (session, worker, spot), runs, most);
            if !runs.is_empty() {
                return Some((spot, runs));
            }
            return self.fitting_of_any(now, session, worker, want);
        }
    }

    fn pick(&mut self, session: SessionId, want: u64) -> Option<Pick> {
        let live = self.soft.live.get(&session)?;
        let batches = &self.ledger.batches;
        let least = |batch| self.soft.short.least(batches.known(batch).spec);
        let queue = &mut self.ledger.queues[self.soft.queue_turn];
        queue.pick(want, least, |class| room_for(live, batches.classes.get(class)))
    }

    /// Leaves out tasks that the worker has said it cannot run, and those that it has just failed
    /// while another worker may have them.
    fn fitting(
        &self,
        now: Now,
        (session, worker, spot): (SessionId, WorkerId, Spot),
        runs: Vec<TaskRun>,
        want: u64,
    ) -> Vec<TaskRun> {
        let again = !self.soft.again.is_empty() && self.has_another(session, worker, spot);
        if self.ledger.unfit.is_empty() && !again {
            return super::runs::first_of(runs, want);
        }
        let unfit = |id| self.ledger.unfit.get(&id).is_some_and(|who| who.contains(&worker));
        let failed_here =
            |id| again && self.soft.again.waits(now, id) && self.ledger.task(id).worker == worker;
        let ids = runs.into_iter().flat_map(TaskRun::ids);
        super::runs::coalesce(ids.filter(|id| !unfit(*id) && !failed_here(*id)).take(want as usize))
    }

    /// Tells whether another connected worker takes the tasks of a spot.
    fn has_another(&self, but: SessionId, worker: WorkerId, spot: Spot) -> bool {
        let class = self.ledger.batches.classes.get(spot.class);
        let mut others =
            self.soft.live.iter().filter(|(id, live)| {
                **id != but && live.connected && !live.silent && !live.draining
            });
        others.any(|(id, live)| {
            let other = self.ledger.sessions.get(id).map(|known| known.worker);
            other.is_some_and(|other| {
                let drained = self.ledger.workers.get(&other).is_some_and(|known| known.drained);
                other != worker && !drained && live.profile.takes(class).is_ok()
            })
        })
    }

    /// Looks in all batches of the queue whose turn it is for tasks that the worker can run, so
    /// that tasks it cannot run do not keep it from others.
    fn fitting_of_any(
        &mut self,
        now: Now,
        session: SessionId,
        worker: WorkerId,
        want: u64,
    ) -> Option<(Spot, Vec<TaskRun>)> {
        let live = self.soft.live.get(&session)?;
        let queue = &self.ledger.queues[self.soft.queue_turn];
        if queue.paused {
            return None;
        }
        let sets = queue.ready_sets().filter(|(spot, _)| {
            !queue.rests(spot.batch)
                && room_for(live, self.ledger.batches.classes.get(spot.class)) > 0
        });
        let mut spots: BTreeSet<_> = sets
            .map(|(spot, set)| (std::cmp::Reverse(spot.priority), set.first(), spot.batch.raw()))
            .collect();
        while let Some((priority, _, batch)) = spots.pop_first() {
            let batch = BatchId::new(batch);
            let class = self.ledger.batches.known(batch).class;
            let spot = Spot { priority: priority.0, class, batch };
            let may_start = self.may_start(now, batch);
            if may_start == 0 {
                self.rest(now, spot);
                continue;
            }
            let live = self.soft.live.get(&session)?;
            let room = room_for(live, self.ledger.batches.classes.get(class));
            let most = may_start.min(want).min(room);
            let queue = &self.ledger.queues[self.soft.queue_turn];
            let ready = queue.ready_at(spot).map(|set| set.front(most + UNFIT_LOOK_PAST));
            let runs = self.fitting(now, (session, worker, spot), ready.unwrap_or_default(), most);
            if !runs.is_empty() {
                return Some((spot, runs));
            }
        }
        None
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
        let mut same = 0;
        let run = TaskRun { count: within, ..run };
        for (part, records) in self.ledger.table.stretches(run) {
            match records.iter().position(|task| task.attempt != attempt) {
                None => same += part.count,
                Some(other) => {
                    same += other as u64;
                    break;
                }
            }
        }
        same.max(1)
    }
}

/// Returns how many tasks of a class a session would take now.
fn room_for(live: &Live, class: &super::class::Class) -> u64 {
    match live.profile.takes(class) {
        Ok(lane) => live.used.room(&live.profile, live.hold, class, lane),
        Err(_) => 0,
    }
}
