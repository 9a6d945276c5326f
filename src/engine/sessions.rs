//! Sessions that begin, come back and leave: what a worker presents is compared with what its
//! session holds. What workers say in between is in workers.rs.

use std::collections::BTreeMap;

use ganger_proto::gang::What;
use ganger_proto::label::LABELS_MAX;
use ganger_proto::limits::{HOLD_TASKS_MAX, POLICY_BYTES_MAX, VERSION_BYTES_MAX};
use ganger_proto::message::{LeaseRun, WorkerHello};
use ganger_proto::picture::WorkerState;
use ganger_proto::place::OFFERS_MAX;
use ganger_proto::{Epoch, LeaseId, PerLane, SessionId, WorkerId, WorkerName};

use super::Engine;
use super::class::{Profile, Used};
use super::event::Event;
use super::input::{Drain, Effect};
use super::ledger::Ledger;
use super::pulse::Recent;
use super::roster::{Gone, Live, lease_runs, missing, term_clock};
use super::runs::TaskRun;
use crate::bug::{self, Bug};
use crate::clock::Now;

impl Engine {
    pub(super) fn began(&mut self, now: Now, epoch: Epoch) {
        self.commit(Event::Began { epoch });
        // Workers get twice the term to come back with what they hold.
        let deadline_ms = term_clock(now) + 2 * self.settings.term_ms;
        for id in self.ledger.sessions.keys() {
            self.soft.live.insert(*id, Live::away(now, deadline_ms));
            self.soft.deadlines.insert((deadline_ms, *id));
        }
    }

    /// Tells whether a session is another worker's: its id is drawn at random from 64 bits, so a
    /// repeat is somebody's lie, and the driver must not take its connection for the session's.
    pub fn is_anothers(&self, session: SessionId, name: &WorkerName) -> bool {
        let known = self.ledger.sessions.get(&session);
        known.is_some_and(|known| self.ledger.worker_names.get(name) != Some(&known.worker))
    }

    /// Tells whether nothing was heard of a session for as long as its leases last.
    pub fn is_silent(&self, session: SessionId) -> bool {
        self.soft.live.get(&session).is_some_and(|live| live.silent)
    }

    pub(super) fn worker_joined(
        &mut self,
        now: Now,
        name: &WorkerName,
        version: String,
        hello: &WorkerHello,
    ) {
        let worker = self.worker_named(name);
        for older in self.sessions_of(worker).into_iter().filter(|id| *id != hello.session) {
            self.expire(now, older);
            self.end_session(older);
        }
        self.soft.gone.remove(&worker);
        let session = hello.session;
        if self.is_anothers(session, name) {
            let leases = hello.holding.iter().map(|held| held.leases).collect();
            self.out.effects.push(Effect::Stale { session, leases });
            return;
        }
        if !self.ledger.sessions.contains_key(&session) {
            self.commit(Event::SessionBegan { session, worker });
            self.soft.sessions_of.entry(worker).or_default().push(session);
        }
        let before = self.soft.live.get(&session).filter(|before| !before.connected);
        let away_ms = before.map(|before| now.wall.since(before.since));
        let what = away_ms.map_or(What::Came, |away_ms| What::Back { away_ms });
        self.note(now, worker, what);
        let stale = self.reconcile(now, hello);
        let known = self.ledger.sessions.get(&session);
        let mut acknowledged = known.map_or(0, |known| known.reported);
        if bug::is(Bug::ReportsTakenOnTrust) {
            acknowledged = hello.reported;
        }
        let mut live = Live::joined(now, self.settings.term_ms, version, hello);
        live.hungry = self.soft.live.get(&session).is_some_and(|before| before.hungry);
        self.soft.live.insert(session, live);
        self.soft.asked.answered(session);
        self.recount(session);
        self.look_again();
        self.soft.deadlines.insert((term_clock(now) + self.settings.term_ms, session));
        self.out.effects.push(Effect::Welcome { session, stale, acknowledged });
        if self.ledger.workers.get(&worker).is_some_and(|known| known.drained) {
            self.out.effects.push(Effect::Drain { session, drain: Drain::On });
        }
        self.repeat_cancels(session);
        self.feed(session);
    }

    /// Asks again for the ends that were asked for before: the order may have been lost with the
    /// connection, or with the master before this one.
    fn repeat_cancels(&mut self, session: SessionId) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let leases = known.held().flat_map(|(first, run)| {
            run.ids().enumerate().map(move |(place, id)| (first.plus(place as u64), id))
        });
        let asked = leases.filter(|(_, id)| self.ledger.task(*id).is_cancelling());
        let leases = lease_runs(asked.map(|(lease, _)| (lease, 1)));
        if !leases.is_empty() {
            self.out.effects.push(Effect::Cancel { session, leases });
        }
    }

    /// Compares what a worker presents with what its session holds: says what is stale, takes back
    /// what was granted and never arrived.
    fn reconcile(&mut self, now: Now, hello: &WorkerHello) -> Vec<LeaseRun> {
        let mut stale = Vec::new();
        let mut presented: Vec<(LeaseId, TaskRun)> = Vec::new();
        let mut started: Vec<TaskRun> = Vec::new();
        let Some(session) = self.ledger.sessions.get(&hello.session) else { return stale };
        for held in &hello.holding {
            let found = session.find(held.leases);
            stale.extend(missing(held.leases, &found));
            if held.started {
                started.extend(found.iter().map(|(_, run)| *run));
            }
            presented.extend(found);
        }
        let mut lost = session.clone();
        for (first, run) in presented {
            // A worker may present a lease twice; only what is still there is dropped.
            let count = u32::try_from(run.count).unwrap_or(u32::MAX);
            for (lease, run) in lost.find(LeaseRun { first, count }) {
                lost.drop_run(lease, run);
            }
        }
        let lost = lease_runs(lost.held().map(|(lease, run)| (lease, run.count)));
        self.give_back(now, hello.session, &lost);
        for tasks in started {
            self.note_started(now, tasks);
        }
        stale
    }

    pub(super) fn worker_left(&mut self, now: Now, session: SessionId) {
        let Some(live) = self.soft.live.get_mut(&session) else { return };
        live.connected = false;
        live.since = now.wall;
        live.deadline_ms = live.deadline_ms.min(term_clock(now) + self.settings.term_ms);
        let deadline = live.deadline_ms;
        self.soft.deadlines.insert((deadline, session));
        let draining = live.draining;
        self.look_again();
        let holds = self.ledger.sessions.get(&session).map_or(0, super::roster::Session::holds);
        if draining && holds == 0 {
            self.note_of(now, session, What::Gone);
            self.say_gone(now, session, WorkerState::Gone);
            self.end_session(session);
        } else {
            self.note_of(now, session, What::Away { holds });
        }
    }

    /// Remembers, for the screen, why a worker is not here.
    pub(super) fn say_gone(&mut self, now: Now, session: SessionId, state: WorkerState) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let live = self.soft.live.get(&session);
        let gone = Gone {
            state,
            since: now.wall,
            version: live.map(|live| live.version.clone()).unwrap_or_default(),
            policy: live.map(|live| live.policy.clone()).unwrap_or_default(),
            labels: live.map(|live| live.profile.labels.clone()).unwrap_or_default(),
        };
        self.soft.gone.insert(known.worker, gone);
    }

    pub(super) fn end_session(&mut self, session: SessionId) {
        self.soft.asked.answered(session);
        self.look_again();
        if self.soft.live.remove(&session).is_some_and(|live| live.hungry) {
            self.soft.hungry.retain(|waiting| *waiting != session);
        }
        if let Some(known) = self.ledger.sessions.get(&session) {
            if let Some(all) = self.soft.sessions_of.get_mut(&known.worker) {
                all.retain(|other| *other != session);
            }
            self.commit(Event::SessionEnded { session });
        }
    }

    /// Returns the sessions of a worker that the journal knows.
    pub(super) fn sessions_of(&self, worker: WorkerId) -> Vec<SessionId> {
        self.soft.sessions_of.get(&worker).cloned().unwrap_or_default()
    }

    fn worker_named(&mut self, name: &WorkerName) -> WorkerId {
        if let Some(known) = self.ledger.worker_names.get(name) {
            return *known;
        }
        let newest = self.ledger.workers.keys().next_back();
        let worker = WorkerId::new(newest.map_or(1, |newest| newest.raw() + 1));
        self.commit(Event::WorkerNamed { worker, name: name.clone() });
        worker
    }
}

/// Returns the sessions of each worker.
pub(super) fn by_worker(ledger: &Ledger) -> BTreeMap<WorkerId, Vec<SessionId>> {
    let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (session, known) in &ledger.sessions {
        all.entry(known.worker).or_default().push(*session);
    }
    all
}

impl Live {
    /// Returns a session of the journal that has not been heard in this life.
    fn away(now: Now, deadline_ms: u64) -> Self {
        Self {
            connected: false,
            heard_ms: now.mono_ms,
            deadline_ms,
            silent: false,
            profile: Profile::default(),
            hold: PerLane::default(),
            used: Used::default(),
            draining: false,
            load: ganger_proto::message::Load::default(),
            policy: String::new(),
            clock_ahead_ms: None,
            version: String::new(),
            since: now.wall,
            specs: std::collections::BTreeSet::new(),
            recent: Recent::default(),
            hungry: false,
            found_nothing: None,
        }
    }

    fn joined(now: Now, term_ms: u64, version: String, hello: &WorkerHello) -> Self {
        // Every picture of the workers has these texts: a liar's must not fill it.
        let cut = |text: &str, bytes: usize| text[..text.floor_char_boundary(bytes)].to_owned();
        Self {
            connected: true,
            profile: Profile {
                allows: hello.allows,
                handlers: hello.handlers.iter().take(OFFERS_MAX).cloned().collect(),
                labels: hello.labels.iter().take(LABELS_MAX).cloned().collect(),
                resources: hello.resources.iter().take(OFFERS_MAX).cloned().collect(),
                slots: hello.slots.at_most(HOLD_TASKS_MAX),
            },
            hold: hello.hold.at_most(HOLD_TASKS_MAX),
            draining: hello.draining,
            policy: cut(&hello.policy, POLICY_BYTES_MAX),
            version: cut(&version, VERSION_BYTES_MAX),
            ..Self::away(now, term_clock(now) + term_ms)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Settings;
    use crate::engine::input::Input;
    use ganger_proto::gang::Allows;

    #[test]
    fn a_session_cannot_be_taken_over_by_another_worker() {
        let mut engine = Engine::new(Settings::default());
        let now = Now::default();
        let join = |engine: &mut Engine, name: &WorkerName| {
            let hello = WorkerHello {
                session: SessionId::new(7),
                slots: PerLane { cpu: 1, io: 0 },
                hold: PerLane { cpu: 2, io: 0 },
                holding: Vec::new(),
                reported: 0,
                policy: String::new(),
                allows: Allows::ALL,
                labels: Vec::new(),
                handlers: Vec::new(),
                resources: Vec::new(),
                draining: false,
            };
            let (name, version) = (name.clone(), String::new());
            engine.handle(now, Input::WorkerJoined { name, version, hello });
            engine.drain(now).effects
        };
        let [alpha, mallory] = ["alpha", "mallory"].map(WorkerName::from_lossy);
        let welcomed =
            |effects: &[Effect]| effects.iter().any(|e| matches!(e, Effect::Welcome { .. }));
        assert!(!engine.is_anothers(SessionId::new(7), &alpha));
        assert!(welcomed(&join(&mut engine, &alpha)));
        assert!(engine.is_anothers(SessionId::new(7), &mallory));
        assert!(!welcomed(&join(&mut engine, &mallory)));
        assert!(welcomed(&join(&mut engine, &alpha)));
    }
}
