//! Answers to questions about workers: a row for each, and all of them in numbers.

use std::collections::BTreeSet;

use ganger_proto::gang::What;
use ganger_proto::picture::{Gang, WorkerRow, WorkerState};
use ganger_proto::{Lane, Name, PerLane, SessionId, WallMs, WorkerId};

use super::Engine;
use super::class::Used;
use super::roster::{Live, Session, Worker};
use crate::clock::Now;

/// A worker in a list, with the session that its row tells of, if one is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The worker.
    pub worker: WorkerId,
    /// Its session; a worker that comes back while an older life's leases last has two.
    pub session: Option<SessionId>,
}

impl Engine {
    /// Returns all workers that the journal knows, the connected ones first, then by name.
    pub fn workers_in_order(&self) -> Vec<Member> {
        let mut all: Vec<(WorkerState, &Name, Member)> = Vec::new();
        let mut here = BTreeSet::new();
        for (id, live) in &self.soft.live {
            let Some(session) = self.ledger.sessions.get(id) else { continue };
            let Some(worker) = self.ledger.workers.get(&session.worker) else { continue };
            here.insert(session.worker);
            let member = Member { worker: session.worker, session: Some(*id) };
            all.push((state_of(live, worker), &worker.name, member));
        }
        for (id, worker) in self.ledger.workers.iter().filter(|(id, _)| !here.contains(*id)) {
            let state = self.soft.gone.get(id).map_or(WorkerState::Gone, |gone| gone.state);
            all.push((state, &worker.name, Member { worker: *id, session: None }));
        }
        all.sort_by_key(|(state, name, _)| (*state as u8, *name));
        all.into_iter().map(|(_, _, member)| member).collect()
    }

    /// Returns a worker's row; address and round trip are the driver's to add.
    pub fn worker_row(&self, now: Now, member: Member) -> Option<WorkerRow> {
        match member.session {
            Some(session) => self.live_row(now, session),
            None => self.gone_row(member.worker),
        }
    }

    fn gone_row(&self, id: WorkerId) -> Option<WorkerRow> {
        let mut row = blank_row(self.ledger.workers.get(&id)?);
        if let Some(gone) = self.soft.gone.get(&id) {
            row.state = gone.state;
            row.since = gone.since;
            row.version.clone_from(&gone.version);
            row.policy.clone_from(&gone.policy);
            row.labels.clone_from(&gone.labels);
        }
        Some(row)
    }

    fn live_row(&self, now: Now, id: SessionId) -> Option<WorkerRow> {
        let live = self.soft.live.get(&id)?;
        let session = self.ledger.sessions.get(&id)?;
        let worker = self.ledger.workers.get(&session.worker)?;
        let mut row = blank_row(worker);
        row.state = state_of(live, worker);
        row.since = live.since;
        row.version.clone_from(&live.version);
        row.policy.clone_from(&live.policy);
        row.labels.clone_from(&live.profile.labels);
        row.slots = live.profile.slots.cpu;
        row.io_slots = live.profile.slots.io;
        let (running, busy) = self.running_on(session, live);
        row.busy = busy;
        row.running = u32::try_from(running).unwrap_or(u32::MAX).max(live.load.running);
        let waiting = session.holds().saturating_sub(running);
        row.waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        row.io_running = self.running_in_io(live, session).min(row.running);
        row.cpu_permille = live.load.cpu_permille;
        row.memory_permille = live.load.memory_permille;
        row.done_per_s = live.recent.per_s(now.mono_ms);
        row.beat_ms = now.mono_ms.saturating_sub(live.heard_ms);
        Some(row)
    }

    /// Returns how many tasks run in the lane for those that mostly wait.
    fn running_in_io(&self, live: &Live, session: &Session) -> u32 {
        // Most workers have none there, and are not looked through.
        if live.used.slots.io == 0 {
            return 0;
        }
        let batches = &self.ledger.batches;
        let parts = session.held().flat_map(|(_, run)| batches.parts(run));
        let in_io = parts.filter(|(batch, _)| {
            let class = batches.classes.get(batches.known(*batch).class);
            live.profile.takes(class) == Ok(Lane::Io)
        });
        let running: u64 = in_io.map(|(_, part)| self.soft.running.count_in(part)).sum();
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    /// Returns how many tasks a session runs, and how many slots they take. Short tasks are never
    /// said to have started, but the worker counts them when it beats: those are taken to run in
    /// the lane that has leases for them.
    fn running_on(&self, session: &Session, live: &Live) -> (u64, PerLane) {
        let batches = &self.ledger.batches;
        let (mut running, mut used) = (0, Used::default());
        for (_, run) in session.held().filter(|(_, run)| self.soft.running.count_in(*run) > 0) {
            for (batch, part) in batches.parts(run) {
                let class = batches.classes.get(batches.known(batch).class);
                let count = self.soft.running.count_in(part);
                used.add(class, live.profile.takes(class).unwrap_or_default(), count);
                running += count;
            }
        }
        let mut busy = used.slots;
        let mut unsaid =
            live.load.running.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX));
        for lane in Lane::ALL {
            let most = live.profile.slots.of(lane).min(live.used.slots.of(lane));
            let more = unsaid.min(most.saturating_sub(busy.of(lane)));
            *busy.of_mut(lane) += more;
            unsaid -= more;
        }
        (running, busy)
    }

    /// Returns all workers in numbers.
    pub fn gang(&self) -> Gang {
        let (mut gang, mut here) = (Gang::default(), BTreeSet::new());
        for (id, live) in &self.soft.live {
            let Some(session) = self.ledger.sessions.get(id) else { continue };
            let Some(worker) = self.ledger.workers.get(&session.worker) else { continue };
            here.insert(session.worker);
            match state_of(live, worker) {
                state @ (WorkerState::Up | WorkerState::Draining) => {
                    let slots = live.profile.slots.cpu;
                    gang.up += 1;
                    gang.draining += u32::from(state == WorkerState::Draining);
                    gang.slots += slots;
                    gang.busy += self.running_on(session, live).1.cpu.min(slots);
                }
                WorkerState::Away
                | WorkerState::Lost
                | WorkerState::Gone
                | WorkerState::Revoked => gang.lost += 1,
            }
        }
        let gone = self.soft.gone.iter().filter(|(id, _)| !here.contains(*id));
        let lost = gone.filter(|(_, gone)| gone.state == WorkerState::Lost).count();
        gang.lost += u32::try_from(lost).unwrap_or(u32::MAX);
        gang
    }

    /// Marks a worker's leaving as what it was, for the screen.
    pub fn note_revoked(&mut self, now: Now, name: &Name) {
        let Some(worker) = self.ledger.worker_names.get(name).copied() else { return };
        let sessions = self.sessions_of(worker);
        let holds = sessions.iter().filter_map(|id| self.ledger.sessions.get(id));
        let holds = holds.map(Session::holds).sum();
        self.note(now, worker, What::Revoked { holds });
        if let Some(gone) = self.soft.gone.get_mut(&worker) {
            gone.state = WorkerState::Revoked;
        }
        for session in sessions {
            self.expire(now, session);
            self.say_gone(now, session, WorkerState::Revoked);
            self.end_session(session);
        }
    }
}

const fn state_of(live: &Live, worker: &Worker) -> WorkerState {
    match (live.connected, live.draining || worker.drained) {
        (true, _) if live.silent => WorkerState::Away,
        (true, true) => WorkerState::Draining,
        (true, false) => WorkerState::Up,
        (false, _) => WorkerState::Away,
    }
}

fn blank_row(worker: &Worker) -> WorkerRow {
    WorkerRow {
        name: worker.name.clone(),
        state: WorkerState::Gone,
        since: WallMs(0),
        address: String::new(),
        version: String::new(),
        policy: String::new(),
        labels: Vec::new(),
        slots: 0,
        io_slots: 0,
        busy: PerLane::default(),
        running: 0,
        io_running: 0,
        waiting: 0,
        cpu_permille: 0,
        memory_permille: 0,
        rtt_us: 0,
        beat_ms: 0,
        done: worker.done,
        failed: worker.failed,
        done_per_s: 0.0,
        certificate_ends: None,
    }
}
