//! What workers say: joining, beating, reporting, giving back, leaving. A report counts only with
//! the current lease; whatever else comes is answered as stale and changes nothing.

use ganger_proto::limits::HOLD_TASKS_MAX;
use ganger_proto::message::{LeaseRun, Report, WorkerHello};
use ganger_proto::picture::WorkerState;
use ganger_proto::{BlockId, Ended, Epoch, LeaseId, Outcome, SessionId, WorkerId, WorkerName};

use super::Engine;
use super::event::{Charge, Event, Move, Next};
use super::input::{Drain, Effect, Said};
use super::results::{Block, StoredEnd};
use super::retry;
use super::roster::{Gone, Live, lease_runs};
use super::runs::TaskRun;
use crate::clock::Now;

impl Engine {
    pub(super) fn began(&mut self, now: Now, epoch: Epoch) {
        self.commit(Event::Began { epoch });
        // Workers get twice the term to come back with what they hold.
        let deadline_ms = now.mono_ms + 2 * self.settings.term_ms;
        for id in self.ledger.sessions.keys() {
            self.soft.live.insert(*id, Live::away(now, deadline_ms));
            self.soft.deadlines.insert((deadline_ms, *id));
        }
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
        let foreign =
            self.ledger.sessions.get(&session).is_some_and(|known| known.worker != worker);
        if foreign {
            // A session id is drawn at random from 64 bits; a repeat is somebody's lie.
            let leases = hello.holding.iter().map(|held| held.leases).collect();
            self.out.effects.push(Effect::Stale { session, leases });
            return;
        }
        if !self.ledger.sessions.contains_key(&session) {
            self.commit(Event::SessionBegan { session, worker });
        }
        let stale = self.reconcile(now, hello);
        let known = self.ledger.sessions.get(&session);
        let acknowledged = known.map_or(0, |known| known.reported);
        let mut live = Live::joined(now, self.settings.term_ms, version, hello);
        live.hungry = self.soft.live.get(&session).is_some_and(|before| before.hungry);
        self.soft.live.insert(session, live);
        self.soft.deadlines.insert((now.mono_ms + self.settings.term_ms, session));
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
        let asked = leases.filter(|(_, id)| self.ledger.task(*id).cancelling);
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
        let Some(session) = self.ledger.sessions.get(&hello.session) else { return stale };
        for held in &hello.holding {
            let found = session.find(held.leases);
            stale.extend(missing(held.leases, &found));
            if held.started {
                for (_, run) in &found {
                    self.soft.running.insert(*run);
                }
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
        for held in hello.holding.iter().filter(|held| held.started) {
            self.watch_timeouts(now, hello.session, held.leases);
        }
        stale
    }

    pub(super) fn worker_said(&mut self, now: Now, session: SessionId, said: Said) {
        let Some(live) = self.soft.live.get_mut(&session) else { return };
        live.heard_ms = now.mono_ms;
        live.deadline_ms = now.mono_ms + self.settings.term_ms;
        let was_silent = std::mem::take(&mut live.silent);
        let deadline = live.deadline_ms;
        if was_silent {
            self.soft.deadlines.insert((deadline, session));
            self.feed(session);
        }
        match said {
            Said::Heartbeat(load) => {
                if let Some(live) = self.soft.live.get_mut(&session) {
                    live.load = load;
                }
            }
            Said::Hold(tasks) => {
                if let Some(live) = self.soft.live.get_mut(&session) {
                    live.hold = tasks.min(HOLD_TASKS_MAX);
                }
                self.feed(session);
            }
            Said::Started(leases) => {
                for run in leases {
                    self.started(now, session, run);
                }
            }
            Said::Report(report) => self.reported(now, session, report),
            Said::Release(leases) => {
                self.give_back(now, session, &leases);
                self.feed(session);
            }
            Said::Draining(drain) => {
                if let Some(live) = self.soft.live.get_mut(&session) {
                    live.draining = drain == Drain::On;
                }
                self.feed(session);
            }
        }
    }

    fn started(&mut self, now: Now, session: SessionId, run: LeaseRun) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let found = known.find(run);
        let stale: Vec<LeaseRun> = missing(run, &found).collect();
        for (_, tasks) in &found {
            self.soft.running.insert(*tasks);
        }
        self.watch_timeouts(now, session, run);
        if !stale.is_empty() {
            self.out.effects.push(Effect::Stale { session, leases: stale });
        }
    }

    fn reported(&mut self, now: Now, session: SessionId, report: Report) {
        let number = report.number;
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        if number <= known.reported {
            let acknowledged = known.reported;
            self.out.effects.push(Effect::Ack { session, report: acknowledged });
            return;
        }
        let mut turn = ReportTurn::default();
        for run in report.done {
            if run.took_us.len() != run.results.len() {
                continue;
            }
            let count = u32::try_from(run.results.len()).unwrap_or(u32::MAX);
            let leases = LeaseRun { first: run.first, count };
            let found = known.find(leases);
            turn.stale.extend(missing(leases, &found));
            turn.moves.extend(found.iter().map(|(first, run)| Move {
                leases: LeaseRun { first: *first, count: run.count as u32 },
                outcome: Outcome::Done,
                charge: Charge::Nothing,
                next: Next::Done,
            }));
            turn.tasks.extend(found.iter().map(|(_, run)| *run));
            turn.block.add_run(run, &found);
        }
        for ended in report.ended {
            self.judge(now, session, ended, &mut turn);
        }
        self.close_report(now, session, number, turn);
    }

    /// Decides what follows one reported end.
    fn judge(&mut self, now: Now, session: SessionId, ended: Ended, turn: &mut ReportTurn) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let leases = LeaseRun { first: ended.lease, count: 1 };
        let found = known.find(leases);
        let Some((_, run)) = found.first().copied() else {
            turn.stale.push(leases);
            return;
        };
        let task = self.ledger.task(run.first);
        let worker = known.worker;
        let Some((batch, _)) = self.ledger.batches.of_task(run.first) else { return };
        let options = &self.ledger.batches.known(batch).options;
        let outcome = ended.outcome;
        let (charge, mut next) =
            retry::after_report(&task, outcome, options, now.wall, &mut self.soft.rng);
        if outcome == Outcome::Unfit && next == Next::Queued && !self.fits_elsewhere(run, worker) {
            next = Next::Failed;
        }
        turn.moves.push(Move { leases, outcome, charge, next });
        turn.tasks.push(run);
        turn.block.ended.push(StoredEnd { task: run.first, ended });
    }

    /// Tells whether another connected worker has not said that it cannot run the task.
    fn fits_elsewhere(&self, run: TaskRun, but: WorkerId) -> bool {
        let unfit = self.ledger.unfit.get(&run.first);
        self.soft.live.iter().filter(|(_, live)| live.connected).any(|(id, _)| {
            let worker = self.ledger.sessions.get(id).map(|known| known.worker);
            worker.is_some_and(|w| w != but && !unfit.is_some_and(|unfit| unfit.contains(&w)))
        })
    }

    fn close_report(&mut self, now: Now, session: SessionId, number: u64, turn: ReportTurn) {
        let mut block = None;
        if !turn.block.is_empty() {
            let id = BlockId::new(self.ledger.next_block);
            self.out.blocks.push((id, turn.block.encode()));
            block = Some(id);
        }
        let report = Some((number, block));
        self.commit(Event::Closed { session, report, moves: turn.moves, at: now.wall });
        for run in turn.tasks {
            self.soft.running.remove(run);
        }
        self.out.effects.push(Effect::Ack { session, report: number });
        if !turn.stale.is_empty() {
            self.out.effects.push(Effect::Stale { session, leases: turn.stale });
        }
        self.feed(session);
    }

    /// Takes back leases that have not started.
    fn give_back(&mut self, now: Now, session: SessionId, leases: &[LeaseRun]) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let found: Vec<_> = leases.iter().flat_map(|run| known.find(*run)).collect();
        self.end_leases(now, session, found, |task, _| retry::after_release(task));
    }

    /// Ends all leases of a session that was silent past its term.
    pub(super) fn expire(&mut self, now: Now, session: SessionId) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let held: Vec<_> = known.held().collect();
        self.end_leases(now, session, held, |task, started| {
            if started { retry::after_loss(task) } else { retry::after_release(task) }
        });
    }

    fn end_leases(
        &mut self,
        now: Now,
        session: SessionId,
        held: Vec<(LeaseId, TaskRun)>,
        follow: impl Fn(&super::task::Task, bool) -> (Charge, Next),
    ) {
        let mut moves: Vec<Move> = Vec::new();
        for (lease, run) in &held {
            for (place, id) in run.ids().enumerate() {
                let started = self.soft.running.contains(id);
                let (charge, next) = follow(&self.ledger.task(id), started);
                let first = lease.plus(place as u64);
                match moves.last_mut() {
                    Some(open)
                        if (open.charge, open.next) == (charge, next)
                            && open.leases.first.plus(u64::from(open.leases.count)) == first =>
                    {
                        open.leases.count += 1;
                    }
                    _ => {
                        let leases = LeaseRun { first, count: 1 };
                        moves.push(Move { leases, outcome: Outcome::Lost, charge, next });
                    }
                }
            }
        }
        if !moves.is_empty() {
            self.commit(Event::Closed { session, report: None, moves, at: now.wall });
        }
        for (_, run) in held {
            self.soft.running.remove(run);
        }
    }

    pub(super) fn worker_left(&mut self, now: Now, session: SessionId) {
        let Some(live) = self.soft.live.get_mut(&session) else { return };
        live.connected = false;
        live.since = now.wall;
        live.deadline_ms = live.deadline_ms.min(now.mono_ms + self.settings.term_ms);
        let deadline = live.deadline_ms;
        self.soft.deadlines.insert((deadline, session));
        let holds = self.ledger.sessions.get(&session).map_or(0, super::roster::Session::holds);
        if live.draining && holds == 0 {
            self.say_gone(now, session, WorkerState::Gone);
            self.end_session(session);
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
        };
        self.soft.gone.insert(known.worker, gone);
    }

    pub(super) fn end_session(&mut self, session: SessionId) {
        if self.soft.live.remove(&session).is_some_and(|live| live.hungry) {
            self.soft.hungry.retain(|waiting| *waiting != session);
        }
        if self.ledger.sessions.contains_key(&session) {
            self.commit(Event::SessionEnded { session });
        }
    }

    pub(super) fn output_came(&mut self, session: SessionId, lease: LeaseId) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        if let Some((_, run)) = known.find(LeaseRun { first: lease, count: 1 }).first().copied() {
            self.commit(Event::OutputKept { task: run.first });
        }
        self.out.effects.push(Effect::OutputStored { session, lease });
    }

    /// Returns the task and attempt that a session runs under a lease.
    pub fn attempt_of(
        &self,
        session: SessionId,
        lease: LeaseId,
    ) -> Option<(ganger_proto::TaskId, u32)> {
        let known = self.ledger.sessions.get(&session)?;
        let (_, run) = known.find(LeaseRun { first: lease, count: 1 }).first().copied()?;
        Some((run.first, u32::from(self.ledger.task(run.first).attempt)))
    }

    /// Returns the sessions of a worker that the journal knows.
    pub(super) fn sessions_of(&self, worker: WorkerId) -> Vec<SessionId> {
        let sessions = self.ledger.sessions.iter();
        sessions.filter(|(_, known)| known.worker == worker).map(|(id, _)| *id).collect()
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

/// What one report gives.
#[derive(Default)]
struct ReportTurn {
    moves: Vec<Move>,
    tasks: Vec<TaskRun>,
    block: Block,
    stale: Vec<LeaseRun>,
}

/// Returns the parts of a run of leases that were not found.
fn missing(run: LeaseRun, found: &[(LeaseId, TaskRun)]) -> impl Iterator<Item = LeaseRun> {
    let mut gaps = Vec::new();
    let mut at = run.first.counter;
    let end = run.first.counter.saturating_add(u64::from(run.count));
    let mut gap = |from: u64, to: u64| {
        if from < to {
            let first = LeaseId { epoch: run.first.epoch, counter: from };
            gaps.push(LeaseRun { first, count: (to - from) as u32 });
        }
    };
    for (lease, tasks) in found {
        gap(at, lease.counter);
        at = lease.counter + tasks.count;
    }
    gap(at, end);
    gaps.into_iter()
}

impl Live {
    /// Returns a session of the journal that has not been heard in this life.
    fn away(now: Now, deadline_ms: u64) -> Self {
        Self {
            connected: false,
            heard_ms: now.mono_ms,
            deadline_ms,
            silent: false,
            slots: 0,
            hold: 0,
            draining: false,
            load: ganger_proto::message::Load::default(),
            policy: String::new(),
            version: String::new(),
            since: now.wall,
            specs: std::collections::BTreeSet::new(),
            hungry: false,
        }
    }

    fn joined(now: Now, term_ms: u64, version: String, hello: &WorkerHello) -> Self {
        Self {
            connected: true,
            slots: hello.slots.min(HOLD_TASKS_MAX),
            hold: hello.hold.min(HOLD_TASKS_MAX),
            draining: hello.draining,
            policy: hello.policy.clone(),
            version,
            ..Self::away(now, now.mono_ms + term_ms)
        }
    }
}
