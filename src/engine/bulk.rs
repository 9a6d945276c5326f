//! Commands about many tasks at once, and about queues and workers. Each says honestly what it
//! changed and what it could not.

use std::collections::BTreeMap;

use ganger_proto::command::Changed;
use ganger_proto::gang::What;
use ganger_proto::message::LeaseRun;
use ganger_proto::{
    Actor, Outcome, QueueName, Refusal, Reply, Request, Select, SessionId, WallMs, WorkerName,
};

use super::Engine;
use super::event::{Change, Charge, Event, Move, Next};
use super::input::{Drain, Effect};
use super::roster::lease_runs;
use super::runs::IdSet;
use super::task::State;
use crate::clock::Now;

impl Engine {
    /// Does what a command asks to the tasks that were chosen.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the callers hand in nothing else")]
    pub(super) fn change(
        &mut self,
        now: Now,
        request: &Request,
        chosen: &IdSet,
    ) -> Result<Reply, Refusal> {
        Ok(Reply::Changed(match request {
            Request::Cancel { now: false, .. } => self.cancel(now, chosen),
            Request::Cancel { now: true, .. } => self.kill(now, chosen),
            Request::Retry { .. } => self.retry(now, chosen),
            Request::Delete { .. } => self.delete(chosen),
            Request::SetPriority { priority, .. } => self.set_priority(now, chosen, *priority),
            other => return Err(Refusal::Invalid(format!("{other:?} changes no chosen tasks"))),
        }))
    }

    /// Does what a command asks to those tasks that a search found for it.
    pub(super) fn change_found(
        &mut self,
        now: Now,
        actor: &Actor,
        request: &Request,
        found: &IdSet,
    ) -> Result<Reply, Refusal> {
        let Some(Select::Matching(filter)) = request.select() else {
            return Err(Refusal::Invalid(format!("{request:?} has no filter")));
        };
        let chosen = self.found(now, actor, filter, found);
        self.change(now, request, &chosen)
    }

    fn cancel(&mut self, now: Now, chosen: &IdSet) -> Changed {
        let mut changed = self.cancel_waiting(now, chosen);
        let leased = chosen.and(self.ledger.in_state(State::Leased));
        let running = leased.and(&self.soft.running);
        let sent = leased.minus(&running);
        changed.changed += self.fence(now, &sent);
        changed.asked = running.len();
        if !running.is_empty() {
            self.set(now.wall, &running, Change::Cancelling);
            for (session, leases) in self.by_session(&running) {
                self.out.effects.push(Effect::Cancel { session, leases });
            }
        }
        changed
    }

    fn kill(&mut self, now: Now, chosen: &IdSet) -> Changed {
        let mut changed = self.cancel_waiting(now, chosen);
        let leased = chosen.and(self.ledger.in_state(State::Leased));
        changed.changed += self.fence(now, &leased);
        changed
    }

    /// Cancels what waits, and counts what has ended.
    fn cancel_waiting(&mut self, now: Now, chosen: &IdSet) -> Changed {
        let mut changed = Changed::default();
        for state in [State::Done, State::Failed, State::Cancelled] {
            changed.ended += chosen.and(self.ledger.in_state(state)).len();
        }
        for state in [State::Queued, State::Delayed, State::Blocked] {
            let waiting = chosen.and(self.ledger.in_state(state));
            changed.changed += waiting.len();
            self.set(now.wall, &waiting, Change::Cancelled);
        }
        changed
    }

    /// Cancels leased tasks at once: their leases end here, their workers are told to stop.
    fn fence(&mut self, now: Now, leased: &IdSet) -> u64 {
        for (session, leases) in self.by_session(leased) {
            let moves = leases.iter().map(|leases| Move {
                leases: *leases,
                outcome: Outcome::Cancelled,
                charge: Charge::Nothing,
                next: Next::Cancelled,
            });
            let moves = moves.collect();
            self.commit_closed(now, Event::Closed { session, report: None, moves, at: now.wall });
            self.out.effects.push(Effect::Stale { session, leases });
            self.feed(session);
        }
        for run in leased.runs() {
            self.soft.running.remove(run);
        }
        leased.len()
    }

    fn retry(&mut self, now: Now, chosen: &IdSet) -> Changed {
        let mut changed = Changed::default();
        for (state, to) in [
            (State::Failed, Change::Retried),
            (State::Cancelled, Change::Retried),
            (State::Delayed, Change::Due),
        ] {
            let these = chosen.and(self.ledger.in_state(state));
            changed.changed += these.len();
            self.set(now.wall, &these, to);
        }
        changed.ended = chosen.and(self.ledger.in_state(State::Done)).len();
        for state in [State::Leased, State::Blocked] {
            changed.refused += chosen.and(self.ledger.in_state(state)).len();
        }
        changed
    }

    fn delete(&mut self, chosen: &IdSet) -> Changed {
        let mut changed = Changed::default();
        let mut ended = IdSet::default();
        for state in State::PRESENT {
            let these = chosen.and(self.ledger.in_state(state));
            if state.is_end() {
                ended.extend(&these);
            } else {
                changed.refused += these.len();
            }
        }
        changed.changed = ended.len();
        if !ended.is_empty() {
            self.commit(Event::Removed { tasks: ended.runs().collect() });
        }
        changed
    }

    fn set_priority(&mut self, now: Now, chosen: &IdSet, priority: i16) -> Changed {
        let mut changed = Changed::default();
        for state in State::PRESENT {
            let these = chosen.and(self.ledger.in_state(state));
            if state.is_end() {
                changed.ended += these.len();
            } else {
                changed.changed += these.len();
                self.set(now.wall, &these, Change::Priority(priority));
            }
        }
        changed
    }

    pub(super) fn pause(&mut self, queue: QueueName, drain: Drain) -> Result<Reply, Refusal> {
        if self.ledger.find_queue(&queue).is_none() {
            return Err(Refusal::NoQueue(queue));
        }
        self.commit(Event::Paused { queue, on: drain == Drain::On });
        Ok(Reply::Ok)
    }

    pub(super) fn drain_worker(
        &mut self,
        now: Now,
        name: &WorkerName,
        drain: Drain,
    ) -> Result<Reply, Refusal> {
        let Some(worker) = self.ledger.worker_names.get(name).copied() else {
            return Err(Refusal::NoWorker(name.clone()));
        };
        self.commit(Event::Drained { worker, on: drain == Drain::On });
        self.look_again();
        let what = if drain == Drain::On { What::Drained } else { What::Undrained };
        self.note(now, worker, what);
        let sessions: Vec<SessionId> = self.sessions_of(worker);
        for session in sessions {
            self.out.effects.push(Effect::Drain { session, drain });
            self.feed(session);
        }
        Ok(Reply::Ok)
    }

    fn set(&mut self, at: WallMs, tasks: &IdSet, to: Change) {
        if !tasks.is_empty() {
            self.commit(Event::Set { tasks: tasks.runs().collect(), to, at });
        }
    }

    /// Returns the current leases of tasks, by the session that holds them.
    fn by_session(&self, tasks: &IdSet) -> BTreeMap<SessionId, Vec<LeaseRun>> {
        let mut found = BTreeMap::new();
        if tasks.is_empty() {
            return found;
        }
        for (id, session) in &self.ledger.sessions {
            let leases = session.held().flat_map(|(lease, run)| {
                let end = run.end();
                let these = tasks.runs_from(run.first).take_while(move |r| r.first.raw() < end);
                these.map(move |these| {
                    let count = these.end().min(end) - these.first.raw();
                    (lease.plus(these.first.raw() - run.first.raw()), count)
                })
            });
            let leases = lease_runs(leases);
            if !leases.is_empty() {
                found.insert(*id, leases);
            }
        }
        found
    }
}
