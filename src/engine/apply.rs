//! Events become state. The live path and a replay use this same code; nothing here refuses, looks
//! at a clock or draws at random.

use std::sync::Arc;

use ganger_proto::{
    Actor, Args, BatchId, BatchOptions, BlockId, Epoch, Key, SessionId, Spec, SpecId, TaskId,
    WallMs,
};

use super::batch::{Batch, Before, Extent, Tally};
use super::class::ClassId;
use super::event::{Change, Event};
use super::ledger::{Ledger, kind_index};
use super::queue::Spot;
use super::roster::{Session, Worker};
use super::runs::{IdSet, TaskRun};
use super::span::Span;
use super::task::{State, Task};
use crate::bug::{self, Bug};

impl Ledger {
    /// Changes the state as the event says.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Began { epoch } => {
                if !bug::is(Bug::LeaseIdsReused) || self.epoch == Epoch::default() {
                    self.epoch = *epoch;
                }
                self.leases = 0;
            }
            Event::Opened { batch, key, spec, new_spec, options, owner, at }
            | Event::OpenedBefore3 { batch, key, spec, new_spec, options, owner, at } => {
                let opening = Opening { batch: *batch, key: *key, spec: *spec, at: *at };
                self.open(&opening, new_spec.as_ref(), options, owner);
            }
            Event::Added { batch, args, last, .. } => self.add(*batch, args, *last),
            Event::WorkerNamed { worker, name } => {
                let known = Worker {
                    name: name.clone(),
                    drained: false,
                    done: 0,
                    failed: 0,
                    tasks: IdSet::default(),
                };
                self.workers.insert(*worker, known);
                self.worker_names.insert(name.clone(), *worker);
            }
            Event::SessionBegan { session, worker } => {
                self.sessions.insert(*session, Session::new(*worker));
            }
            Event::SessionEnded { session } => {
                self.sessions.remove(session);
            }
            Event::Leased { session, tasks, at } => self.lease(*session, tasks, *at),
            Event::Closed { session, report, moves, at } => {
                self.close(*session, *report, moves, *at);
            }
            Event::Set { tasks, to, at } => {
                for run in tasks {
                    self.set(*run, *to, *at);
                }
            }
            Event::Removed { tasks } => self.remove(tasks),
            Event::OutputKept { task } => self.outputs.insert(TaskRun::one(*task)),
            Event::Labelled { batch, labels } => {
                self.batches.set_labels(*batch, labels.clone());
            }
            Event::Timed { tasks, took } => self.time(tasks, took),
            Event::Asked { .. } => {}
            Event::Paused { queue, on } => {
                let at = self.queue_named(queue);
                self.queues[at].paused = *on;
                self.queues[at].tell_news();
            }
            Event::Drained { worker, on } => {
                if let Some(known) = self.workers.get_mut(worker) {
                    known.drained = *on;
                }
            }
        }
    }

    fn open(&mut self, new: &Opening, spec: Option<&Spec>, options: &BatchOptions, owner: &Actor) {
        self.queue_named(&options.queue);
        let batch = Batch {
            key: new.key,
            spec: new.spec,
            options: options.clone(),
            owner: owner.clone(),
            submitted: new.at,
            newest_end: WallMs(0),
            parts: 0,
            complete: false,
            tasks: 0,
            tally: Tally::default(),
            class: ClassId::default(),
            firsts: Vec::new(),
            bytes: 0,
        };
        self.batches.open(new.batch, batch, spec.cloned().map(Arc::new));
        self.next_batch = self.next_batch.max(new.batch.raw() + 1);
        self.next_spec = self.next_spec.max(new.spec.raw() + 1);
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "it is a field of the event")]
    fn add(&mut self, id: BatchId, args: &Arc<Args>, last: bool) {
        let count = args.count();
        let run = TaskRun { first: TaskId::new(self.next_task), count };
        let Some(batch) = self.batches.all.get_mut(&id) else { return };
        let index = batch.tasks;
        batch.tasks += count;
        batch.parts += 1;
        let finished = batch.finished();
        batch.complete |= last;
        self.finished += batch.finished() - finished;
        let (priority, due) = (batch.options.priority, batch.options.not_before);
        let submitted = batch.submitted;
        if count > 0 {
            self.batches.extend(id, Extent { first: run.first, index, args: Arc::clone(args) });
            self.next_task += count;
            let before = self.batches.before(id);
            let (state, at) = match due {
                _ if before != Before::Met => (State::Blocked, WallMs(0)),
                Some(due) if due > submitted => (State::Delayed, due),
                _ => (State::Queued, WallMs(0)),
            };
            self.table.fill(run, Task::waiting(state, at, priority));
            let kind = kind_index(&self.batches.spec_of(id).kind);
            self.by_kind[kind].insert(run);
            self.by_label.insert(&self.batches.known(id).options.labels, run);
            let queue = self.queue_of(id);
            self.queues[queue].tasks.insert(run);
            if state == State::Delayed {
                self.due.insert((at, run));
            }
            self.count(id, run, (State::Absent, priority), (state, priority));
        }
        self.notice_end(id);
    }

    fn lease(&mut self, session: SessionId, tasks: &[TaskRun], at: WallMs) {
        let Some(worker) = self.sessions.get(&session).map(|known| known.worker) else { return };
        for run in tasks {
            self.remember(*run);
            let first = self.next_lease();
            self.leases += run.count;
            for (batch, part) in self.batches.split(*run) {
                let submitted = self.batches.known(batch).submitted;
                let skip = part.first.raw() - run.first.raw();
                self.change(part, |place, task| {
                    let waited_ms = at.since(task.at.max(submitted));
                    task.wait = Span::of_us(waited_ms.saturating_mul(1_000));
                    task.state = State::Leased;
                    task.at = at;
                    task.set_lease(first.plus(skip + place));
                    task.worker = worker;
                    task.attempt = task.attempt.saturating_add(1);
                    task.set_block(None);
                    task.set_outcome(None);
                    task.took = Span::NONE;
                });
            }
            if let Some(known) = self.sessions.get_mut(&session) {
                known.hold(first, *run);
            }
            if let Some(known) = self.workers.get_mut(&worker) {
                known.tasks.insert(*run);
            }
        }
    }

    /// Keeps how long attempts took.
    fn time(&mut self, tasks: &[TaskRun], took: &[u16]) {
        let mut took = took.iter();
        for run in tasks {
            self.table.touch(*run, |task| {
                task.took = Span::from_raw(took.next().copied().unwrap_or_default());
            });
        }
    }

    fn set(&mut self, run: TaskRun, to: Change, at: WallMs) {
        let change = |task: &mut Task| match to {
            Change::Cancelled => {
                task.state = State::Cancelled;
                task.at = at;
                task.forget_cancel();
            }
            Change::Retried => {
                task.state = State::Queued;
                task.at = at;
                (task.failures, task.releases) = (0, 0);
                task.set_lost(0);
            }
            Change::Due => {
                task.state = State::Queued;
                task.at = at;
            }
            Change::Priority(priority) => task.priority = priority,
            Change::Cancelling => task.ask_cancel(),
            Change::Delayed(due) => {
                task.state = State::Delayed;
                task.at = due;
            }
            Change::Missed => {
                task.state = State::Failed;
                task.at = at;
            }
        };
        if let Change::Delayed(due) = to {
            self.due.insert((due, run));
        }
        if to == Change::Retried && !self.unfit.is_empty() {
            for id in run.ids() {
                self.unfit.remove(&id);
            }
        }
        for (batch, part) in self.batches.split(run) {
            let mut shifts = Vec::new();
            self.table
                .change_alike(part, change, key, |run, from, to| shifts.push((run, from, to)));
            for (run, from, to) in shifts {
                self.count(batch, run, from, to);
            }
            self.after(batch, part, at);
        }
    }

    pub(super) fn release_block(&mut self, block: BlockId, count: u32) {
        let Some(wanted) = self.blocks.get_mut(&block) else { return };
        *wanted = wanted.saturating_sub(count);
        if *wanted == 0 {
            self.blocks.remove(&block);
            self.noticed.blocks.push(block);
        }
    }

    /// Changes records one by one and follows them in all indexes.
    pub(super) fn change(&mut self, run: TaskRun, change: impl Fn(u64, &mut Task)) {
        for (batch, part) in self.batches.split(run) {
            let skip = part.first.raw() - run.first.raw();
            let mut shifts = Vec::new();
            let shifted = |run, from, to| shifts.push((run, from, to));
            self.table.change(part, |place, task| change(skip + place, task), key, shifted);
            for (run, from, to) in shifts {
                self.count(batch, run, from, to);
            }
            let at = self.table.get(part.first).at;
            self.after(batch, part, at);
        }
    }

    /// Follows a run of one batch from one state and priority to another in all indexes.
    pub(super) fn count(
        &mut self,
        batch: BatchId,
        run: TaskRun,
        from: (State, i16),
        to: (State, i16),
    ) {
        let queue = self.queue_of(batch);
        let class = self.batches.known(batch).class;
        let queue = &mut self.queues[queue];
        if from.0 == State::Queued && from != to {
            queue.remove(Spot { priority: from.1, class, batch }, run);
        }
        let returned = bug::is(Bug::ReturnedNotReady) && from.0 == State::Leased;
        if to.0 == State::Queued && from != to && !returned {
            queue.insert(Spot { priority: to.1, class, batch }, run);
        }
        if from.0 == State::Absent || to.0 == State::Absent || from.1 != to.1 {
            self.by_priority.shift(run, of_key(from), of_key(to));
        }
        if from.0 == to.0 {
            return;
        }
        let missed = u64::from(bug::is(Bug::CountOffByOne) && run.count > 2);
        queue.tally.shift(from.0, to.0, run.count - missed);
        self.tally.shift(from.0, to.0, run.count);
        self.digest.shift(run, from.0, to.0);
        if from.0 != State::Absent {
            self.by_state[from.0 as usize].remove(run);
        }
        if to.0 != State::Absent {
            self.by_state[to.0 as usize].insert(run);
        }
        if let Some(known) = self.batches.all.get_mut(&batch) {
            let finished = known.finished();
            known.tally.shift(from.0, to.0, run.count);
            self.finished = self.finished.wrapping_sub(finished).wrapping_add(known.finished());
        }
        match to.0 {
            State::Done => self.noticed.ended.0 += run.count,
            State::Failed | State::Cancelled => self.noticed.ended.1 += run.count,
            State::Absent | State::Blocked | State::Delayed | State::Queued | State::Leased => {}
        }
    }

    /// Notes a batch's newest end, and whether it was its last.
    fn after(&mut self, batch: BatchId, run: TaskRun, at: WallMs) {
        if !self.table.get(run.first).state.is_end() {
            return;
        }
        if let Some(known) = self.batches.all.get_mut(&batch) {
            known.newest_end = known.newest_end.max(at);
        }
        self.notice_end(batch);
    }

    fn notice_end(&mut self, batch: BatchId) {
        let known = self.batches.all.get(&batch);
        if known.is_some_and(Batch::is_finished) {
            self.noticed.batches_ended.push(batch);
        }
    }
}

/// What indexes look at in a record.
pub(super) fn key(task: &Task) -> (State, i16) {
    (task.state, task.priority)
}

/// The priority of a task that is there.
fn of_key((state, priority): (State, i16)) -> Option<i16> {
    (state != State::Absent).then_some(priority)
}

/// The numbers of a batch that is being opened.
struct Opening {
    batch: BatchId,
    key: Key,
    spec: SpecId,
    at: WallMs,
}
