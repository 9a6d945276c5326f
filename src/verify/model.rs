//! The replay's own idea of a store: tasks, leases, batches, sessions, fed by the stored events one
//! after another. Says what cannot have happened and goes on as if it had. Shares the types of what
//! is stored with the engine, and nothing of what the engine makes of them. What leases and ends do
//! is in moves.rs.

use std::collections::{BTreeMap, VecDeque};

use ganger_proto::limits::{BATCH_TASKS_MAX, TASKS_MAX};
use ganger_proto::{
    BatchId, BatchOptions, Epoch, Key, LeaseId, QueueName, SessionId, SpecId, TaskId, WallMs,
    WorkerId, WorkerName,
};

use super::accounts::{Accounts, Before, Lot};
use super::leases::Leases;
use super::report::{Counts, Findings};
use super::tasks::{End, Record, Tasks};
use crate::engine::event::Event;
use crate::engine::runs::{IdSet, TaskRun};
use crate::engine::task::State;

/// What the events so far have made.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) epoch: Epoch,
    /// Leases granted in this epoch.
    pub(super) granted: u64,
    pub(super) next_task: u64,
    pub(super) next_batch: u64,
    pub(super) next_spec: u32,
    pub(super) next_block: u64,
    pub(super) tasks: Tasks,
    pub(super) leases: Leases,
    /// By first task: the batch and how many tasks it has there.
    pub(super) extents: BTreeMap<TaskId, (BatchId, u64)>,
    pub(super) accounts: Accounts,
    pub(super) keys: BTreeMap<Key, BatchId>,
    /// How many batches have a spec.
    pub(super) specs: BTreeMap<SpecId, u32>,
    pub(super) workers: BTreeMap<WorkerId, WorkerName>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    /// Earlier attempts of tasks that had more than one, the oldest first.
    pub(super) past: BTreeMap<TaskId, VecDeque<Past>>,
    /// Tasks that have had output.
    pub(super) outputs: IdSet,
    pub(super) removed: u64,
    pub(super) seen: Seen,
    pub(super) findings: Findings,
}

/// What was gone through.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) events: u64,
    pub(super) leases: u64,
    pub(super) ends: u64,
}

/// A session of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Session {
    pub(super) worker: WorkerId,
    pub(super) reported: u64,
    pub(super) holds: u64,
}

/// An earlier attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Past {
    pub(super) attempt: u16,
    pub(super) end: End,
    pub(super) block: Option<u64>,
    /// A snapshot does not keep it.
    pub(super) lease: Option<LeaseId>,
}

/// Earlier attempts of one task whose results are kept; older ones are let go.
pub(super) const PAST_MAX: usize = 16;

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            epoch: Epoch::default(),
            granted: 0,
            next_task: 1,
            next_batch: 1,
            next_spec: 1,
            next_block: 1,
            tasks: Tasks::default(),
            leases: Leases::default(),
            extents: BTreeMap::new(),
            accounts: Accounts::default(),
            keys: BTreeMap::new(),
            specs: BTreeMap::new(),
            workers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            past: BTreeMap::new(),
            outputs: IdSet::default(),
            removed: 0,
            seen: Seen::default(),
            findings: Findings::default(),
        };
        model.accounts.line(&QueueName::from_lossy("default"));
        model
    }
}

impl Model {
    /// Returns the model of a store in which nothing has happened.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the events of one batch of the journal, written by the master of `epoch`.
    pub fn take(&mut self, seq: u64, epoch: Epoch, events: &[Event]) {
        self.findings.at(seq);
        for event in events {
            self.seen.events += 1;
            self.event(event);
        }
        if epoch != self.epoch {
            let begun = self.epoch;
            self.findings
                .add(format!("master {epoch} wrote it, but {begun} was the last to begin"));
        }
    }

    /// Returns the digest that the engine has of such a state.
    pub fn digest(&self) -> [u8; 16] {
        self.accounts.digest(&[
            self.next_task,
            self.next_batch,
            self.granted,
            u64::from(self.epoch.raw()),
            self.accounts.lots.len() as u64,
            self.leases.count(),
        ])
    }

    /// Returns the tasks by state.
    pub fn counts(&self) -> Counts {
        self.accounts.all.counts()
    }

    /// Returns what cannot have happened and did, as sentences; empty when all is well.
    pub fn sentences(&self) -> Vec<String> {
        self.findings.list().iter().map(ToString::to_string).collect()
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Began { epoch } => self.began(*epoch),
            Event::Opened { batch, key, spec, new_spec, options, at, .. }
            | Event::OpenedBefore3 { batch, key, spec, new_spec, options, at, .. } => {
                let spec = (*spec, new_spec.is_some());
                self.opened(*batch, *key, spec, (options, *at));
            }
            Event::Added { batch, args, last, .. } => self.added(*batch, args.count(), *last),
            Event::WorkerNamed { worker, name } => self.worker_named(*worker, name),
            Event::SessionBegan { session, worker } => self.session_began(*session, *worker),
            Event::SessionEnded { session } => self.session_ended(*session),
            Event::Leased { session, tasks, .. } => self.leased(*session, tasks),
            Event::Closed { session, report, moves, .. } => self.closed(*session, *report, moves),
            Event::Set { tasks, to, .. } => self.set(tasks, *to),
            Event::Removed { tasks } => self.remove(tasks),
            Event::OutputKept { task } => self.output_kept(*task),
            Event::Paused { queue, on } => {
                let line = self.accounts.line(queue);
                self.accounts.lines[line].paused = *on;
            }
            Event::Drained { worker, .. } => {
                if !self.workers.contains_key(worker) {
                    self.findings.add(format!("{worker} drains and was never named"));
                }
            }
            Event::Labelled { batch, .. } => {
                if !self.accounts.lots.contains_key(batch) {
                    self.findings.add(format!("{batch} gets labels and is not there"));
                }
            }
            Event::Timed { tasks, took } => self.timed(tasks, took.len()),
            Event::Asked { .. } => {}
        }
    }

    fn began(&mut self, epoch: Epoch) {
        if epoch <= self.epoch {
            let before = self.epoch;
            self.findings.add(format!(
                "master {epoch} begins after {before}: its lease ids would be used twice"
            ));
        }
        (self.epoch, self.granted) = (epoch, 0);
    }

    fn opened(
        &mut self,
        batch: BatchId,
        key: Key,
        (spec, is_new): (SpecId, bool),
        (options, at): (&BatchOptions, WallMs),
    ) {
        if batch.raw() != self.next_batch {
            let next = BatchId::new(self.next_batch);
            self.findings.add(format!("{batch} is opened, {next} is next"));
        }
        if let Some(first) = self.keys.insert(key, batch) {
            self.findings.add(format!("{batch} has the key of {first}: it was submitted twice"));
        }
        if is_new == self.specs.contains_key(&spec) {
            let what = if is_new { "is there already" } else { "was never given" };
            self.findings.add(format!("{batch} is opened with {spec}, which {what}"));
        }
        if let Some(later) = options.after.iter().find(|after| after.batch >= batch) {
            let later = later.batch;
            self.findings.add(format!("{batch} waits for {later}, which is not older"));
        }
        *self.specs.entry(spec).or_default() += 1;
        let queue = self.accounts.line(&options.queue);
        let mut lot = Lot::new((key, spec), queue, at);
        lot.set_options(options);
        self.accounts.lots.insert(batch, lot);
        self.next_batch = self.next_batch.max(batch.raw().saturating_add(1));
        self.next_spec = self.next_spec.max(spec.raw().saturating_add(1));
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "it is a field of the event")]
    fn added(&mut self, batch: BatchId, count: u64, last: bool) {
        let first = TaskId::new(self.next_task);
        let here = self.accounts.all.present();
        let Some(lot) = self.accounts.lots.get_mut(&batch) else {
            return self.findings.add(format!("{count} tasks join {batch}, which is not there"));
        };
        if lot.complete {
            self.findings.add(format!("{count} tasks join {batch}, which was complete"));
        }
        lot.parts = lot.parts.saturating_add(1);
        lot.complete |= last;
        let too_many = lot.tasks.checked_add(count).is_none_or(|tasks| tasks > BATCH_TASKS_MAX)
            || here.saturating_add(count) > TASKS_MAX;
        if too_many {
            return self
                .findings
                .add(format!("{count} tasks join {batch}: more than there may be"));
        }
        lot.tasks += count;
        if count == 0 {
            return;
        }
        lot.firsts.push(first);
        let due = lot.not_before.filter(|due| *due > lot.submitted);
        let state = match (self.accounts.before(batch), due) {
            (Before::Open | Before::Missed, _) => State::Blocked,
            (Before::Met, Some(_)) => State::Delayed,
            (Before::Met, None) => State::Queued,
        };
        let run = TaskRun { first, count };
        self.extents.insert(first, (batch, count));
        self.next_task = run.end();
        self.tasks.add(run, Record::waiting(state));
        self.accounts.shift(batch, run, State::Absent, state);
    }

    fn worker_named(&mut self, worker: WorkerId, name: &WorkerName) {
        if self.workers.values().any(|known| known == name) {
            self.findings.add(format!("the worker {name} is named twice"));
        }
        if let Some(known) = self.workers.insert(worker, name.clone()) {
            self.findings.add(format!("{worker} is named {name} and was {known}"));
        }
    }

    fn session_began(&mut self, session: SessionId, worker: WorkerId) {
        if !self.workers.contains_key(&worker) {
            self.findings.add(format!("{session} begins for {worker}, which was never named"));
        }
        let fresh = Session { worker, reported: 0, holds: 0 };
        if self.sessions.insert(session, fresh).is_some() {
            self.findings.add(format!("{session} begins twice"));
        }
    }

    fn session_ended(&mut self, session: SessionId) {
        match self.sessions.remove(&session) {
            Some(Session { holds: 0, .. }) => {}
            Some(Session { holds, .. }) => {
                self.findings.add(format!("{session} ends and still holds {holds} leases"));
            }
            None => self.findings.add(format!("{session} ends and was not there")),
        }
    }

    fn output_kept(&mut self, task: TaskId) {
        if self.tasks.get(task).state != State::Leased {
            self.findings.of(task, "has output and is not leased".to_owned());
        }
        self.outputs.insert(TaskRun::one(task));
    }

    fn timed(&mut self, tasks: &[TaskRun], lengths: usize) {
        let mut count = 0_u64;
        for run in tasks {
            count = count.saturating_add(run.count);
            if let Some(run) = self.within(*run, "took a time") {
                self.parts(run, "took a time");
            }
        }
        if count != lengths as u64 {
            self.findings.add(format!("{lengths} lengths of time are given for {count} tasks"));
        }
    }

    /// Cuts a run to what was ever submitted, and says what was not.
    pub(super) fn within(&mut self, run: TaskRun, what: &str) -> Option<TaskRun> {
        let first = run.first.raw();
        let end = first.saturating_add(run.count);
        if first == 0 || run.count == 0 || end > self.next_task {
            let first = run.first;
            self.findings.add(format!("{} tasks from {first} {what}, not all were", run.count));
        }
        let cut = end.min(self.next_task).saturating_sub(first.max(1));
        (cut > 0).then(|| TaskRun { first: TaskId::new(first.max(1)), count: cut })
    }

    /// Cuts a run where extents end, and says what belongs to none.
    pub(super) fn parts(&mut self, run: TaskRun, what: &str) -> Vec<(BatchId, TaskRun)> {
        let (parts, gone) = self.cut(run);
        for task in gone {
            self.findings.of(task, format!("{what} and its batch is gone"));
        }
        parts
    }

    /// Cuts a run where extents end; returns the first task of each part that belongs to none too.
    pub(super) fn cut(&self, run: TaskRun) -> (Vec<(BatchId, TaskRun)>, Vec<TaskId>) {
        let (mut parts, mut gone) = (Vec::new(), Vec::new());
        let mut at = run.first.raw();
        while at < run.end() {
            let before = self.extents.range(..=TaskId::new(at)).next_back();
            let found = before.map(|(first, (batch, count))| (*batch, first.raw() + count));
            if let Some((batch, end)) = found.filter(|(_, end)| at < *end) {
                let count = end.min(run.end()) - at;
                parts.push((batch, TaskRun { first: TaskId::new(at), count }));
                at += count;
                continue;
            }
            let next = self.extents.range(TaskId::new(at)..).next().map(|(first, _)| first.raw());
            gone.push(TaskId::new(at));
            at = next.unwrap_or(u64::MAX).min(run.end());
        }
        (parts, gone)
    }

    /// Forgets a batch whose tasks are all gone.
    pub(super) fn forget(&mut self, batch: BatchId) {
        let Some(lot) = self.accounts.lots.remove(&batch) else { return };
        for first in &lot.firsts {
            self.extents.remove(first);
        }
        if self.keys.get(&lot.key) == Some(&batch) {
            self.keys.remove(&lot.key);
        }
        if let Some(users) = self.specs.get_mut(&lot.spec) {
            *users -= 1;
            if *users == 0 {
                self.specs.remove(&lot.spec);
            }
        }
    }
}
