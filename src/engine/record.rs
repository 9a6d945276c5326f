//! What became of each worker in this life of the master, one worker in full, and its slots.
//! Soft: a restart begins again. Rows of workers are in query.rs.

use ganger_proto::gang::{MOMENTS_MAX, Moment, SLOTS_MAX, What, WorkerDetail};
use ganger_proto::{Refusal, Reply, SessionId, WorkerId, WorkerName};

use super::Engine;
use super::input::Effect;
use super::runs::{IdSet, TaskRun};
use crate::clock::Now;

/// Tasks shown of what a worker holds.
const HOLDS_SHOWN: u64 = 100;

impl Engine {
    /// Remembers what became of a worker.
    pub(super) fn note(&mut self, now: Now, worker: WorkerId, what: What) {
        let moments = self.soft.moments.entry(worker).or_default();
        moments.push_front(Moment { at: now.wall, what });
        moments.truncate(MOMENTS_MAX);
    }

    /// Remembers what became of a session's worker.
    pub(super) fn note_of(&mut self, now: Now, session: SessionId, what: What) {
        if let Some(worker) = self.ledger.sessions.get(&session).map(|known| known.worker) {
            self.note(now, worker, what);
        }
    }

    /// Remembers that a session's worker came to another network, and went on as before.
    pub fn note_moved(&mut self, now: Now, session: SessionId) {
        self.note_of(now, session, What::Moved);
    }

    /// Returns one worker in full with its session; what only the driver knows is its to add.
    pub fn worker_detail(
        &self,
        now: Now,
        name: &WorkerName,
    ) -> Option<(Option<SessionId>, WorkerDetail)> {
        let worker = *self.ledger.worker_names.get(name)?;
        let mut all = self.workers_in_order().into_iter();
        let member = all.find(|member| member.worker == worker)?;
        let (session, row) = (member.session, self.worker_row(now, member)?);
        let mut held = IdSet::default();
        for id in self.sessions_of(worker) {
            let session = self.ledger.sessions.get(&id).into_iter();
            session.flat_map(|known| known.held()).for_each(|(_, run)| held.insert(run));
        }
        let running = held.and(&self.soft.running);
        let mut runs = running.front(HOLDS_SHOWN);
        let left = HOLDS_SHOWN.saturating_sub(running.len());
        runs.extend(held.minus_front(&running, left));
        let shown = runs.into_iter().flat_map(TaskRun::ids);
        let live = session.and_then(|id| self.soft.live.get(&id));
        let moments = self.soft.moments.get(&worker);
        let profile = live.map(|live| live.profile.clone()).unwrap_or_default();
        let detail = WorkerDetail {
            row,
            certificate: None,
            handlers: profile.handlers,
            resources: profile.resources,
            clock_ahead_ms: live.and_then(|live| live.clock_ahead_ms),
            holds: shown.filter_map(|id| self.task_row(now, id)).collect(),
            holds_total: held.len(),
            moments: moments.map(|all| all.iter().copied().collect()).unwrap_or_default(),
        };
        Some((session, detail))
    }

    /// Tells a connected worker how many tasks to run at once.
    pub(super) fn set_slots(
        &mut self,
        now: Now,
        name: &WorkerName,
        slots: u32,
    ) -> Result<Reply, Refusal> {
        let Some(worker) = self.ledger.worker_names.get(name).copied() else {
            return Err(Refusal::NoWorker(name.clone()));
        };
        if !(1..=SLOTS_MAX).contains(&slots) {
            return Err(Refusal::Invalid(format!(
                "a worker has 1 to {SLOTS_MAX} slots; `ganger drain {name}` lets it take nothing"
            )));
        }
        let here = |id: &SessionId| self.soft.live.get(id).is_some_and(|live| live.connected);
        let Some(session) = self.sessions_of(worker).into_iter().find(here) else {
            return Err(Refusal::State(format!(
                "{name} is not connected, and its slots last only as long as its process; start \
                 it with --slots {slots} instead"
            )));
        };
        if let Some(live) = self.soft.live.get_mut(&session) {
            live.profile.slots.cpu = slots;
            live.found_nothing = None;
        }
        self.note(now, worker, What::Slots(slots));
        self.out.effects.push(Effect::Slots { session, slots });
        Ok(Reply::Ok)
    }
}
