//! The reference: what the engine should do, as plainly as it can be said. One vector of tasks,
//! every question a walk over it. Who gets which task is the engine's choice; the model checks that
//! the choice was allowed. Commands of people are in commands.rs, what
//! workers say and what time brings in workers.rs.

use std::collections::{BTreeMap, BTreeSet};

use ganger::clock::Now;
use ganger_proto::limits::{LOST_MAX, RELEASES_MAX};
use ganger_proto::message::{Grant, LeaseRun};
use ganger_proto::spec::{After, Then};
use ganger_proto::{Actor, BatchId, Key, LeaseId, Outcome, SessionId, TaskState, WallMs};

/// Settings that both sides know.
pub(crate) const TERM_MS: u64 = 1_000;
/// For so long a task that failed is kept from the worker where it did, when another takes work.
pub(crate) const ELSEWHERE_MS: u64 = 2_000;
/// How long a session may take to give back what it was asked for.
pub(crate) const ANSWER_MS: u64 = 500;
pub(crate) const SLACK_MS: u64 = 500;
pub(crate) const KEEP_DONE_MS: u64 = 20_000;
pub(crate) const KEEP_FAILED_MS: u64 = 90_000;
pub(crate) const KEEP_LEAST_MS: u64 = 5_000;
pub(crate) const KEEP_TASKS: u64 = 30;
pub(crate) const TASKS_MAX: u64 = 120;
pub(crate) const RETENTION_EVERY_MS: u64 = 60_000;

/// What is known of one task.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: u64,
    pub(crate) batch: BatchId,
    pub(crate) argument: Vec<u8>,
    pub(crate) command: String,
    pub(crate) place: u64,
    /// Sent and running are told apart here, as people see them.
    pub(crate) state: TaskState,
    pub(crate) due: WallMs,
    /// A wait that the engine has drawn: at most so long from now.
    pub(crate) draws_ms: Option<u64>,
    /// Until when it had better run on another worker; 0 once a tick has found that over.
    pub(crate) elsewhere_ms: u64,
    pub(crate) priority: i16,
    pub(crate) attempt: u32,
    pub(crate) failures: u32,
    pub(crate) lost: u8,
    pub(crate) releases: u8,
    pub(crate) cancelling: bool,
    pub(crate) session: Option<SessionId>,
    pub(crate) lease: LeaseId,
    pub(crate) worker: Option<usize>,
    pub(crate) unfit: BTreeSet<usize>,
    pub(crate) answer: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) key: Key,
    pub(crate) owner: Actor,
    pub(crate) queue: usize,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) retries: u32,
    pub(crate) backoff: (u64, u64),
    pub(crate) limit_ms: u64,
    pub(crate) submitted: WallMs,
    pub(crate) newest_end: WallMs,
    pub(crate) parts: u32,
    pub(crate) complete: bool,
    pub(crate) tasks: u64,
    pub(crate) priority: i16,
    pub(crate) not_before: Option<WallMs>,
    pub(crate) after: Vec<After>,
    pub(crate) jobs_max: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) worker: usize,
    pub(crate) connected: bool,
    pub(crate) silent: bool,
    pub(crate) hold: u64,
    pub(crate) draining: bool,
    pub(crate) deadline_ms: u64,
    pub(crate) reported: u64,
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: Now,
    pub(crate) tasks: Vec<Task>,
    pub(crate) batches: Vec<Batch>,
    pub(crate) queues: Vec<(String, Paused)>,
    pub(crate) drained: [Paused; 4],
    /// Workers that joined once.
    pub(crate) named: [bool; 4],
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) timeouts: Vec<(u64, u64, LeaseId)>,
    pub(crate) retention_ms: u64,
    pub(crate) next_task: u64,
    pub(crate) next_batch: u64,
    /// Effects that the engine must give in this step, in words, but for grants.
    pub(crate) said: Vec<String>,
    pub(crate) stale: BTreeMap<SessionId, BTreeSet<LeaseId>>,
    pub(crate) stop: BTreeMap<SessionId, BTreeSet<LeaseId>>,
    /// Leases that the engine asked back, and until when the session may answer.
    pub(crate) asked_back: BTreeMap<SessionId, (u64, BTreeSet<LeaseId>)>,
    /// Batches that had an end in this step.
    pub(crate) touched: BTreeSet<BatchId>,
    /// Grants that had a choice of priorities, and those of them that did not take the highest.
    pub(crate) choices: (u64, u64),
}

/// Whether a queue or a worker takes part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Paused {
    #[default]
    No,
    Yes,
}

/// What became of the batches that one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Yes,
    No,
}

/// How a lease ends.
pub(crate) enum End {
    Reported(Outcome),
    Released,
    Lost,
    Fenced,
}

impl Model {
    pub(crate) fn new(now: Now) -> Self {
        let queues = vec![("default".to_owned(), Paused::No)];
        Self { now, queues, next_task: 1, next_batch: 1, ..Self::default() }
    }

    pub(crate) fn batch(&self, id: BatchId) -> &Batch {
        self.batches.iter().find(|b| b.id == id).expect("a task's batch is there")
    }

    /// Returns the tasks of those leases of a run that a session holds.
    pub(crate) fn found(&self, session: SessionId, run: LeaseRun) -> Vec<(LeaseId, Option<usize>)> {
        let leases = (0..u64::from(run.count)).map(|i| run.first.plus(i));
        let at = |lease| {
            let held = |t: &Task| t.session == Some(session) && t.lease == lease;
            (lease, self.tasks.iter().position(held))
        };
        leases.map(at).collect()
    }

    pub(crate) fn held(&self, session: SessionId) -> Vec<usize> {
        let held = |at: &usize| self.tasks[*at].session == Some(session);
        (0..self.tasks.len()).filter(held).collect()
    }

    /// Ends the lease of a task.
    pub(crate) fn end(&mut self, at: usize, end: End) {
        let task = &self.tasks[at];
        let worker = task.worker.expect("a leased task has a worker");
        let (retries, backoff) = {
            let batch = self.batch(task.batch);
            (batch.retries, batch.backoff)
        };
        let elsewhere = self.fits_elsewhere(task, worker);
        let wall = self.now.wall;
        let task = &mut self.tasks[at];
        task.session = None;
        let cancel = std::mem::take(&mut task.cancelling);
        let waits = |state| if cancel { TaskState::Cancelled } else { state };
        task.state = match end {
            End::Fenced => TaskState::Cancelled,
            End::Reported(Outcome::Done) => TaskState::Done,
            End::Released | End::Reported(Outcome::Unfit) => {
                task.releases += 1;
                task.attempt -= 1;
                let unfit = matches!(end, End::Reported(_));
                if unfit {
                    task.unfit.insert(worker);
                }
                match task.releases >= RELEASES_MAX || (unfit && !elsewhere) {
                    true => waits(TaskState::Failed),
                    false => waits(TaskState::Queued),
                }
            }
            End::Reported(
                Outcome::Failed { .. } | Outcome::Signalled { .. } | Outcome::TimedOut,
            ) if cancel => TaskState::Cancelled,
            End::Reported(
                Outcome::Failed { .. } | Outcome::Signalled { .. } | Outcome::TimedOut,
            ) => {
                task.failures += 1;
                if task.failures > retries {
                    TaskState::Failed
                } else {
                    let doubled = backoff.0 << (task.failures - 1);
                    task.draws_ms = Some(doubled.min(backoff.1));
                    TaskState::Delayed
                }
            }
            End::Reported(Outcome::Cancelled) if cancel => TaskState::Cancelled,
            End::Lost | End::Reported(Outcome::Lost | Outcome::Cancelled) => {
                task.lost += 1;
                task.elsewhere_ms = self.now.mono_ms + ELSEWHERE_MS;
                waits(if task.lost >= LOST_MAX { TaskState::Failed } else { TaskState::Queued })
            }
        };
        if matches!(end, End::Released) && task.state == TaskState::Queued {
            task.worker = None;
        }
        if task.state.is_end() {
            self.ended(at, wall);
        }
    }

    fn ended(&mut self, at: usize, wall: WallMs) {
        let id = self.tasks[at].batch;
        self.touched.insert(id);
        let batch = self.batches.iter_mut().find(|b| b.id == id).expect("it is there");
        batch.newest_end = batch.newest_end.max(wall);
    }

    fn fits_elsewhere(&self, task: &Task, but: usize) -> bool {
        let mut here = self.sessions.values().filter(|s| s.connected);
        here.any(|s| s.worker != but && !task.unfit.contains(&s.worker))
    }

    /// Cancels a task that waits.
    pub(crate) fn cancel_waiting(&mut self, at: usize) {
        self.tasks[at].state = TaskState::Cancelled;
        self.ended(at, self.now.wall);
    }

    /// Cancels a leased task at once.
    pub(crate) fn fence(&mut self, at: usize) {
        let (session, lease) = (self.tasks[at].session, self.tasks[at].lease);
        self.stale.entry(session.expect("it is leased")).or_default().insert(lease);
        self.end(at, End::Fenced);
    }

    pub(crate) fn expire(&mut self, session: SessionId) {
        for at in self.held(session) {
            let ran = self.tasks[at].state == TaskState::Running;
            self.end(at, if ran { End::Lost } else { End::Released });
        }
    }

    /// Takes in what the engine chose to lease.
    ///
    /// # Errors
    /// Says what of it was not allowed.
    pub(crate) fn granted(&mut self, id: SessionId, grant: &Grant) -> Result<(), String> {
        for run in &grant.runs {
            for place in 0..run.args.count() {
                let task = run.task.plus(place).raw();
                let Some(at) = self.tasks.iter().position(|t| t.id == task) else {
                    return Err(format!("task {task} was granted and is not there"));
                };
                let worker = self.session_with_room(id)?;
                if self.is_at_most(self.tasks[at].batch) {
                    return Err(format!("task {task} is one too many of its batch at once"));
                }
                let batch = self.batch(self.tasks[at].batch);
                let open = self.queues[batch.queue].1 == Paused::No;
                let task = &mut self.tasks[at];
                let mut argument = Vec::new();
                run.args.write(place, &mut argument);
                task.elsewhere_ms = 0;
                let fits = task.state == TaskState::Queued
                    && open
                    && !task.unfit.contains(&worker)
                    && task.batch == run.batch
                    && task.place == run.index + place
                    && task.argument == argument
                    && task.attempt + 1 == run.attempt
                    && task.lease < run.lease.plus(place);
                if !fits {
                    return Err(format!("{run:?} does not fit {task:?}"));
                }
                task.attempt += 1;
                task.state = TaskState::Sent;
                task.lease = run.lease.plus(place);
                task.session = Some(id);
                task.worker = Some(worker);
                task.answer = None;
            }
        }
        Ok(())
    }

    fn session_with_room(&self, id: SessionId) -> Result<usize, String> {
        let session = self.sessions.get(&id).ok_or("a grant to nobody")?;
        let room = session.hold.saturating_sub(self.held(id).len() as u64);
        let takes = session.connected && !session.silent && !session.draining;
        if room == 0 || !takes || self.drained[session.worker] == Paused::Yes {
            return Err(format!("{id} has no room: {session:?}"));
        }
        Ok(session.worker)
    }

    /// Tells whether as many tasks of a batch are leased as may be.
    fn is_at_most(&self, id: BatchId) -> bool {
        let most = self.batch(id).jobs_max as usize;
        let leased =
            |t: &&Task| t.batch == id && matches!(t.state, TaskState::Sent | TaskState::Running);
        most > 0 && self.tasks.iter().filter(leased).count() >= most
    }

    /// Lets blocked tasks go on, or fails them, when what they wait for has ended.
    pub(crate) fn settle_blocked(&mut self) {
        let is_blocked = |t: &Task| t.state == TaskState::Blocked;
        while let Some((id, met)) = self.batches.iter().find_map(|batch| {
            let waits = self.tasks.iter().any(|t| is_blocked(t) && t.batch == batch.id);
            let met = self.before(batch).filter(|_| waits)?;
            Some((batch.id, met))
        }) {
            let due = self.batch(id).not_before.filter(|due| *due > self.now.wall);
            for at in 0..self.tasks.len() {
                if self.tasks[at].batch != id || !is_blocked(&self.tasks[at]) {
                    continue;
                }
                self.tasks[at].due = due.unwrap_or_default();
                self.tasks[at].state = match (met, due) {
                    (Met::No, _) => TaskState::Failed,
                    (Met::Yes, Some(_)) => TaskState::Delayed,
                    (Met::Yes, None) => TaskState::Queued,
                };
                if met == Met::No {
                    self.ended(at, self.now.wall);
                }
            }
        }
    }

    /// Tells whether what a batch waits for came to what it must; nothing while that is open.
    pub(crate) fn before(&self, batch: &Batch) -> Option<Met> {
        let mut all = Some(Met::Yes);
        for after in &batch.after {
            let Some(first) = self.batches.iter().find(|b| b.id == after.batch) else { continue };
            let mut tasks = self.tasks.iter().filter(|t| t.batch == first.id);
            if !first.complete || tasks.clone().any(|t| !t.state.is_end()) {
                all = None;
            } else if after.then == Then::Done && tasks.any(|t| t.state != TaskState::Done) {
                return Some(Met::No);
            }
        }
        all
    }

    /// Tells whether another worker takes work.
    fn has_another(&self, worker: usize) -> bool {
        self.sessions.values().any(|s| {
            s.worker != worker
                && s.connected
                && !s.silent
                && !s.draining
                && self.drained[s.worker] == Paused::No
        })
    }

    /// Tells whether a worker with room may have a task now.
    fn may_have(&self, worker: usize, task: &Task) -> bool {
        let elsewhere = task.worker == Some(worker) && task.elsewhere_ms > 0;
        task.state == TaskState::Queued
            && self.queues[self.batch(task.batch).queue].1 == Paused::No
            && !task.unfit.contains(&worker)
            && !self.is_at_most(task.batch)
            && !(elsewhere && self.has_another(worker))
    }

    /// Counts a grant that is about to be taken in, if tasks of other priorities could have gone in
    /// its place.
    pub(crate) fn note_choice(&mut self, id: SessionId, grant: &Grant) {
        let first = grant.runs.first().map(|run| run.task.raw());
        let first = self.tasks.iter().find(|task| Some(task.id) == first);
        let (Some(task), Some(session)) = (first, self.sessions.get(&id)) else { return };
        let queue = self.batch(task.batch).queue;
        let others = self.tasks.iter().filter(|other| {
            self.batch(other.batch).queue == queue && self.may_have(session.worker, other)
        });
        let (mut lowest, mut highest) = (task.priority, task.priority);
        for other in others {
            (lowest, highest) = (lowest.min(other.priority), highest.max(other.priority));
        }
        let lower = u64::from(task.priority < highest);
        if lowest < highest {
            self.choices = (self.choices.0 + 1, self.choices.1 + lower);
        }
    }

    /// Higher priorities go first but for one grant in sixteen, and a few more that find nothing
    /// else to do.
    pub(crate) fn check_choices(&self) -> Result<(), String> {
        let (all, lower) = self.choices;
        if lower * 5 > all + 20 {
            return Err(format!("lower priorities went first in {lower} of {all} grants"));
        }
        Ok(())
    }

    /// Tells whether somebody has room for something that waits: then the engine forgot it.
    pub(crate) fn idle_while_work_waits(&self) -> Option<String> {
        for id in self.sessions.keys() {
            let Ok(worker) = self.session_with_room(*id) else { continue };
            if let Some(task) = self.tasks.iter().find(|task| self.may_have(worker, task)) {
                return Some(format!("{id} has room and {task:?} waits"));
            }
        }
        None
    }
}
