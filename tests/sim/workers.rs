//! What workers say and what time brings, on the reference model.

use std::collections::BTreeSet;

use ganger_proto::message::{LeaseRun, Report, WorkerHello};
use ganger_proto::{LeaseId, Outcome, SessionId, TaskState};

use crate::model::{
    End, KEEP_DONE_MS, KEEP_FAILED_MS, KEEP_LEAST_MS, KEEP_TASKS, Model, Paused,
    RETENTION_EVERY_MS, SLACK_MS, Session, TASKS_MAX, TERM_MS, Task,
};

impl Model {
    pub(crate) fn began(&mut self) {
        let deadline_ms = self.now.mono_ms + 2 * TERM_MS;
        for session in self.sessions.values_mut() {
            (session.connected, session.silent, session.draining) = (false, false, false);
            (session.hold, session.deadline_ms) = (0, deadline_ms);
        }
        for task in self.tasks.iter_mut().filter(|task| task.state == TaskState::Running) {
            task.state = TaskState::Sent;
        }
        self.timeouts.clear();
        self.asked_back.clear();
        self.retention_ms = 0;
    }

    pub(crate) fn joined(&mut self, worker: usize, hello: &WorkerHello) {
        self.named[worker] = true;
        let older =
            self.sessions.iter().filter(|(id, s)| s.worker == worker && **id != hello.session);
        for id in older.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.expire(id);
            self.sessions.remove(&id);
        }
        let id = hello.session;
        if self.sessions.get(&id).is_some_and(|known| known.worker != worker) {
            let leases = hello.holding.iter().flat_map(|held| self.found(id, held.leases));
            let leases = leases.map(|(lease, _)| lease).collect();
            self.stale.insert(id, leases);
            return;
        }
        self.asked_back.remove(&id);
        let mut stale = BTreeSet::new();
        let mut kept = BTreeSet::new();
        for held in &hello.holding {
            for (lease, at) in self.found(id, held.leases) {
                let Some(at) = at else {
                    stale.insert(lease);
                    continue;
                };
                kept.insert(at);
                if held.started {
                    self.tasks[at].state = TaskState::Running;
                    self.watch(at);
                }
            }
        }
        for at in self.held(id).into_iter().filter(|at| !kept.contains(at)) {
            self.end(at, End::Released);
        }
        let reported = self.sessions.get(&id).map_or(0, |known| known.reported);
        self.said.push(format!("welcome {id} stale {stale:?} acknowledged {reported}"));
        if self.drained[worker] == Paused::Yes {
            self.said.push(format!("drain {id} On"));
        }
        for at in self.held(id).into_iter().filter(|at| self.tasks[*at].cancelling) {
            self.stop.entry(id).or_default().insert(self.tasks[at].lease);
        }
        let session = Session {
            worker,
            connected: true,
            silent: false,
            hold: u64::from(hello.hold.cpu),
            draining: hello.draining,
            deadline_ms: self.now.mono_ms + TERM_MS,
            reported,
        };
        self.sessions.insert(id, session);
    }

    pub(crate) fn left(&mut self, id: SessionId) {
        let deadline_ms = self.now.mono_ms + TERM_MS;
        let holds = self.held(id).len();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.connected = false;
        session.deadline_ms = session.deadline_ms.min(deadline_ms);
        if session.draining && holds == 0 {
            self.sessions.remove(&id);
        }
    }

    /// Notes that a session was heard; false when nobody knows it.
    pub(crate) fn heard(&mut self, id: SessionId) -> Option<&mut Session> {
        let session = self.sessions.get_mut(&id)?;
        session.silent = false;
        session.deadline_ms = self.now.mono_ms + TERM_MS;
        Some(session)
    }

    pub(crate) fn started(&mut self, id: SessionId, run: LeaseRun) {
        for (lease, at) in self.found(id, run) {
            match at {
                Some(at) => {
                    self.tasks[at].state = TaskState::Running;
                    self.watch(at);
                }
                None => {
                    self.stale.entry(id).or_default().insert(lease);
                }
            }
        }
    }

    fn watch(&mut self, at: usize) {
        let task = &self.tasks[at];
        let limit = self.batch(task.batch).limit_ms;
        if limit > 0 {
            self.timeouts.push((self.now.mono_ms + limit + SLACK_MS, task.id, task.lease));
        }
    }

    pub(crate) fn released(&mut self, id: SessionId, run: LeaseRun) {
        for (_, at) in self.found(id, run) {
            if let Some(at) = at {
                self.end(at, End::Released);
            }
        }
    }

    pub(crate) fn reported(&mut self, id: SessionId, report: &Report) {
        let known = self.sessions.get_mut(&id).expect("it was heard");
        if report.number <= known.reported {
            self.said.push(format!("ack {id} {}", known.reported));
            return;
        }
        known.reported = report.number;
        self.said.push(format!("ack {id} {}", report.number));
        for run in &report.done {
            let leases = LeaseRun { first: run.first, count: run.results.len() as u32 };
            for (place, (lease, at)) in self.found(id, leases).into_iter().enumerate() {
                let answer = run.results.get(place).map(<[u8]>::to_vec);
                self.one_end(id, (lease, at), Outcome::Done, answer);
            }
        }
        for ended in &report.ended {
            let found = self.found(id, LeaseRun { first: ended.lease, count: 1 });
            self.one_end(id, found[0], ended.outcome, Some(ended.stdout.clone()));
        }
    }

    fn one_end(
        &mut self,
        id: SessionId,
        (lease, at): (LeaseId, Option<usize>),
        outcome: Outcome,
        answer: Option<Vec<u8>>,
    ) {
        match at {
            Some(at) => {
                self.tasks[at].answer = answer;
                self.end(at, End::Reported(outcome));
            }
            None => {
                self.stale.entry(id).or_default().insert(lease);
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        let now = self.now;
        for task in &mut self.tasks {
            if task.state == TaskState::Delayed && task.due <= now.wall {
                task.state = TaskState::Queued;
            }
            if task.elsewhere_ms <= now.mono_ms {
                task.elsewhere_ms = 0;
            }
        }
        let over = self
            .sessions
            .iter()
            .filter(|(_, s)| s.deadline_ms <= now.mono_ms && !(s.connected && s.silent));
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            let held: BTreeSet<_> = self.held(id).iter().map(|at| self.tasks[*at].lease).collect();
            self.expire(id);
            let session = self.sessions.get_mut(&id).expect("it is there");
            session.silent = true;
            if !session.connected {
                self.sessions.remove(&id);
            } else if !held.is_empty() {
                self.stale.insert(id, held);
            }
        }
        self.overdue();
        self.unanswered();
        if now.mono_ms >= self.retention_ms {
            self.retention_ms = now.mono_ms + RETENTION_EVERY_MS;
            self.retain();
        }
    }

    /// Ends what was asked back and neither started nor given back in time.
    fn unanswered(&mut self) {
        let now_ms = self.now.mono_ms;
        let late = self.asked_back.iter().filter(|(_, (until, _))| *until <= now_ms);
        for (id, leases) in late.map(|(id, (_, all))| (*id, all.clone())).collect::<Vec<_>>() {
            self.asked_back.remove(&id);
            for at in self.held(id) {
                let task = &self.tasks[at];
                if task.state == TaskState::Sent && leases.contains(&task.lease) {
                    self.stale.entry(id).or_default().insert(task.lease);
                    self.end(at, End::Released);
                }
            }
        }
    }

    fn overdue(&mut self) {
        let now = self.now.mono_ms;
        let mut due: Vec<_> = self.timeouts.iter().filter(|(at, ..)| *at <= now).copied().collect();
        self.timeouts.retain(|(at, ..)| *at > now);
        due.sort_unstable();
        for (_, id, lease) in due {
            let runs = |t: &Task| t.id == id && t.lease == lease && t.state == TaskState::Running;
            let Some(at) = self.tasks.iter().position(runs) else { continue };
            let session = self.tasks[at].session.expect("it runs");
            self.stale.entry(session).or_default().insert(lease);
            self.end(at, End::Reported(Outcome::TimedOut));
        }
    }

    fn retain(&mut self) {
        let is_open = |t: &Task| !t.state.is_end();
        let mut finished = self.batches.clone();
        finished
            .retain(|b| b.complete && !self.tasks.iter().any(|t| t.batch == b.id && is_open(t)));
        let of_one = |t: &&Task| finished.iter().any(|b| b.id == t.batch);
        let count = self.tasks.iter().filter(of_one).count() as u64;
        let mut over = count.saturating_sub(KEEP_TASKS);
        let mut full = count.saturating_sub(TASKS_MAX / 2);
        for batch in finished {
            let of_it: Vec<&Task> = self.tasks.iter().filter(|t| t.batch == batch.id).collect();
            let failed = of_it.iter().any(|t| t.state == TaskState::Failed);
            let keep = if failed { KEEP_FAILED_MS } else { KEEP_DONE_MS };
            let age = self.now.wall.since(batch.newest_end.max(batch.submitted));
            if full > 0 || (over > 0 && age > KEEP_LEAST_MS) || age > keep {
                full = full.saturating_sub(of_it.len() as u64);
                over = over.saturating_sub(of_it.len() as u64);
                self.tasks.retain(|t| t.batch != batch.id);
                self.batches.retain(|b| b.id != batch.id);
            }
        }
    }
}
