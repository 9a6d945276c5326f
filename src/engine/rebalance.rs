//! Takes leases back from workers that have not started them, while another worker idles. Only what
//! the worker confirms as not started is queued again; without an answer the leases end here, and
//! their fence keeps results single. Soft: a restart forgets what was asked for.

use std::collections::BTreeMap;

use ganger_proto::message::LeaseRun;
use ganger_proto::{LeaseId, SessionId};

use super::Engine;
use super::input::Effect;
use super::roster::lease_runs;
use super::runs::TaskRun;
use super::task::State;
use crate::clock::Now;

/// A lease that has waited for less than this is left where it is, in milliseconds.
const WAITED_MS: u64 = 50;
/// How long a worker may take to answer, in milliseconds.
const ANSWER_MS: u64 = 500;

/// What was asked back.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    /// When idle workers are looked for next, on the monotonic clock.
    look_ms: Option<u64>,
    /// By session: until when it may answer, and for which leases.
    from: BTreeMap<SessionId, (u64, Vec<LeaseRun>)>,
}

impl Asked {
    /// Returns when something is to be done, on the monotonic clock.
    pub(super) fn wake_at(&self) -> Option<u64> {
        let answers = self.from.values().map(|(until, _)| *until).min();
        self.look_ms.into_iter().chain(answers).min()
    }

    /// A session gave something back, or is gone: it has answered.
    pub(super) fn answered(&mut self, session: SessionId) {
        self.from.remove(&session);
    }
}

impl Engine {
    /// Looks again a little later when a worker idles while others hold what has not started.
    pub(super) fn look_for_idle(&mut self, now: Now) {
        let unstarted = self.ledger.tally.of(State::Leased) > self.soft.running.len();
        if self.soft.asked.look_ms.is_none() && unstarted && self.idle().is_some() {
            self.soft.asked.look_ms = Some(now.mono_ms + WAITED_MS);
        }
    }

    /// Asks for leases back, and ends those for which no answer came.
    pub(super) fn rebalance(&mut self, now: Now) {
        let mut ended = false;
        while let Some((session, leases)) = self.unanswered(now) {
            ended = true;
            self.soft.asked.answered(session);
            let leases = self.not_started(session, &leases);
            if !leases.is_empty() {
                self.give_back(now, session, &leases);
                self.out.effects.push(Effect::Stale { session, leases });
                self.feed(session);
            }
        }
        if self.soft.asked.look_ms.is_some_and(|at| at <= now.mono_ms) {
            self.soft.asked.look_ms = None;
            // What was just ended goes to the idle one first.
            if !ended
                && let Some(idle) = self.idle()
                && let Some((session, leases)) = self.waits_most(now, idle)
            {
                let until = now.mono_ms + ANSWER_MS;
                self.soft.asked.from.insert(session, (until, leases.clone()));
                self.out.effects.push(Effect::TakeBack { session, leases });
            }
        }
    }

    fn unanswered(&self, now: Now) -> Option<(SessionId, Vec<LeaseRun>)> {
        let mut late = self.soft.asked.from.iter().filter(|(_, (until, _))| *until <= now.mono_ms);
        late.next().map(|(session, (_, leases))| (*session, leases.clone()))
    }

    /// Returns a session that has room and holds nothing.
    fn idle(&self) -> Option<SessionId> {
        self.soft.hungry.iter().copied().find(|id| {
            let holds = self.ledger.sessions.get(id).map_or(1, super::roster::Session::holds);
            holds == 0 && self.room(*id).sum() > 0
        })
    }

    /// Returns the session with most leases that have waited and that `idle` would take, and the
    /// newest half of them.
    fn waits_most(&self, now: Now, idle: SessionId) -> Option<(SessionId, Vec<LeaseRun>)> {
        let busy = self.soft.live.iter().filter(|(id, live)| {
            **id != idle && live.connected && !self.soft.asked.from.contains_key(*id)
        });
        let waiting = busy.map(|(id, _)| (*id, self.waiting_on(now, *id, idle)));
        let (session, leases) = waiting.max_by_key(|(_, leases)| leases.len())?;
        let half = &leases[leases.len() / 2..];
        (!half.is_empty()).then(|| (session, lease_runs(half.iter().map(|lease| (*lease, 1)))))
    }

    fn waiting_on(&self, now: Now, session: SessionId, idle: SessionId) -> Vec<LeaseId> {
        let Some(known) = self.ledger.sessions.get(&session) else { return Vec::new() };
        let Some(other) = self.soft.live.get(&idle) else { return Vec::new() };
        let batches = &self.ledger.batches;
        let mut waiting = Vec::new();
        for (first, run) in known.held() {
            let takes = batches.of_task(run.first).is_some_and(|(batch, _)| {
                let class = batches.classes.get(batches.known(batch).class);
                other.profile.takes(class).is_ok()
            });
            let old = |id| now.wall.since(self.ledger.task(id).at) >= WAITED_MS;
            if takes {
                let leases =
                    run.ids().enumerate().filter(|(_, id)| !self.soft.running.contains(*id));
                let leases = leases.filter(|(_, id)| old(*id));
                waiting.extend(leases.map(|(place, _)| first.plus(place as u64)));
            }
        }
        waiting
    }

    fn not_started(&self, session: SessionId, leases: &[LeaseRun]) -> Vec<LeaseRun> {
        let Some(known) = self.ledger.sessions.get(&session) else { return Vec::new() };
        let found = leases.iter().flat_map(|run| known.find(*run));
        let single = found.flat_map(|(first, run): (LeaseId, TaskRun)| {
            run.ids().enumerate().map(move |(place, id)| (first.plus(place as u64), id))
        });
        let waiting = single.filter(|(_, id)| !self.soft.running.contains(*id));
        lease_runs(waiting.map(|(lease, _)| (lease, 1)))
    }
}
