//! What became durable and what was said, and whether it may be so. Follows the events on its own,
//! knowing nothing of the ledger. What is checked when all is over is in verdict.rs, what workers
//! reported and what they were answered in claims.rs.

use std::collections::{BTreeMap, BTreeSet};

use ganger::engine::event::{Change, Charge, Event, Move, Next, decode};
use ganger::engine::runs::TaskRun;
use ganger_proto::limits::{LOST_MAX, RELEASES_MAX};
use ganger_proto::message::{Grant, LeaseRun};
use ganger_proto::{BatchId, Epoch, Key, LeaseId, Outcome, QueueName, SessionId, TaskId};

use crate::claims::Claims;
use crate::gang::granted;

#[derive(Default)]
pub(crate) struct History {
    pub(crate) journal: Vec<Vec<u8>>,
    epoch: Epoch,
    counter: u64,
    pub(crate) tasks: BTreeMap<TaskId, Known>,
    of_lease: BTreeMap<LeaseId, TaskId>,
    pub(crate) batches: BTreeMap<BatchId, OfBatch>,
    paused: BTreeSet<QueueName>,
    /// Leases whose grants left the master, and to whom.
    pub(crate) granted: BTreeMap<LeaseId, SessionId>,
    /// Batches by the key of an acknowledged submission, and how many tasks were acknowledged.
    pub(crate) acknowledged: BTreeMap<Key, (BatchId, u64)>,
    /// Tasks whose cancel was acknowledged before they ended, and that nobody retried.
    cancelled: BTreeSet<TaskId>,
    pub(crate) claims: Claims,
}

/// A task as its events tell it.
pub(crate) struct Known {
    pub(crate) batch: BatchId,
    lease: Option<(LeaseId, SessionId)>,
    failures: u32,
    lost: u8,
    releases: u8,
    /// A cancel was asked for while it ran.
    stops: Stops,
    pub(crate) end: Option<End>,
    pub(crate) there: There,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stops {
    No,
    Asked,
}

/// How a task ended, under which lease, and by which report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) next: Next,
    pub(crate) lease: LeaseId,
    pub(crate) report: Option<(SessionId, u64)>,
}

/// Whether a task was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum There {
    Yes,
    Removed,
}

pub(crate) struct OfBatch {
    pub(crate) key: Key,
    queue: QueueName,
    retries: u32,
    pub(crate) tasks: u64,
    pub(crate) removed: u64,
}

impl OfBatch {
    fn is_gone(&self) -> bool {
        self.tasks == self.removed
    }
}

fn ids(runs: &[TaskRun]) -> impl Iterator<Item = TaskId> {
    runs.iter().flat_map(|run| run.ids())
}

impl History {
    /// Takes in events that became durable together.
    pub(crate) fn durable(&mut self, journal: &[u8]) -> Result<(), String> {
        self.journal.push(journal.to_vec());
        if journal.is_empty() {
            return Ok(());
        }
        for event in decode(journal).map_err(|e| e.to_string())? {
            self.event(&event)?;
        }
        Ok(())
    }

    fn event(&mut self, event: &Event) -> Result<(), String> {
        match event {
            Event::Began { epoch } => {
                if *epoch <= self.epoch {
                    return Err(format!("{epoch} began after {}", self.epoch));
                }
                (self.epoch, self.counter) = (*epoch, 0);
            }
            Event::Opened { batch, key, options, .. }
            | Event::OpenedBefore3 { batch, key, options, .. } => {
                let (queue, retries) = (options.queue.clone(), u32::from(options.retries));
                let known = OfBatch { key: *key, queue, retries, tasks: 0, removed: 0 };
                if self.batches.insert(*batch, known).is_some() {
                    return Err(format!("{batch} is opened again"));
                }
            }
            Event::Added { batch, args, .. } => self.added(*batch, args.count())?,
            Event::Leased { session, tasks, .. } => {
                for id in ids(tasks) {
                    self.leased(*session, id)?;
                }
            }
            Event::Closed { session, report, moves, .. } => {
                let report = report.map(|(number, _)| (*session, number));
                if let Some((session, number)) = report {
                    self.claims.journaled(session, number);
                }
                for step in moves {
                    self.closed(step, *session, report)?;
                }
            }
            Event::Set { tasks, to, .. } => {
                for id in ids(tasks) {
                    self.set(id, *to)?;
                }
            }
            Event::Removed { tasks } => {
                for id in ids(tasks) {
                    self.removed(id)?;
                }
            }
            Event::Paused { queue, on: true } => {
                self.paused.insert(queue.clone());
            }
            Event::Paused { queue, on: false } => {
                self.paused.remove(queue);
            }
            Event::WorkerNamed { .. }
            | Event::SessionBegan { .. }
            | Event::SessionEnded { .. }
            | Event::OutputKept { .. }
            | Event::Drained { .. }
            | Event::Labelled { .. }
            | Event::Timed { .. }
            | Event::Asked { .. } => {}
        }
        Ok(())
    }

    fn added(&mut self, batch: BatchId, count: u64) -> Result<(), String> {
        let known = self.batches.get_mut(&batch).ok_or("a batch that never was grows")?;
        known.tasks += count;
        let first = self.tasks.len() as u64 + 1;
        let ids = (first..first + count).map(TaskId::new);
        self.tasks.extend(ids.map(|id| (id, Known::new(batch))));
        Ok(())
    }

    fn leased(&mut self, session: SessionId, id: TaskId) -> Result<(), String> {
        self.counter += 1;
        let lease = LeaseId { epoch: self.epoch, counter: self.counter };
        let known = self.tasks.get_mut(&id).ok_or("a task that never was is leased")?;
        if known.lease.is_some() || known.end.is_some() {
            return Err(format!("{id} is leased again without having come back"));
        }
        let queue = &self.batches[&known.batch].queue;
        if self.paused.contains(queue) {
            return Err(format!("{id} is leased while its queue {queue} is paused"));
        }
        known.lease = Some((lease, session));
        self.of_lease.insert(lease, id);
        Ok(())
    }

    fn closed(
        &mut self,
        step: &Move,
        session: SessionId,
        report: Option<(SessionId, u64)>,
    ) -> Result<(), String> {
        for place in 0..u64::from(step.leases.count) {
            let lease = step.leases.first.plus(place);
            let id = *self.of_lease.get(&lease).ok_or(format!("{lease} was never granted"))?;
            let known = self.tasks.get_mut(&id).ok_or("a lease has a task")?;
            if known.lease.take() != Some((lease, session)) {
                return Err(format!("{lease} of {id} ended and was not the current one"));
            }
            known.stops = Stops::No;
            known.charge(step);
            let most = self.batches[&known.batch].retries + 1;
            if known.failures > most || known.lost > LOST_MAX || known.releases > RELEASES_MAX {
                let Known { failures, lost, releases, .. } = known;
                return Err(format!(
                    "{id} failed {failures} times of {most}, was lost {lost} times and given back \
                     {releases} times"
                ));
            }
            if (step.outcome == Outcome::Done) != (step.next == Next::Done) {
                return Err(format!("{id}: {:?} became {:?}", step.outcome, step.next));
            }
            let end = End { next: step.next, lease, report };
            if matches!(step.next, Next::Done | Next::Failed | Next::Cancelled)
                && known.end.replace(end).is_some()
            {
                return Err(format!("{id} ended twice"));
            }
        }
        Ok(())
    }

    fn set(&mut self, id: TaskId, to: Change) -> Result<(), String> {
        let known = self.tasks.get_mut(&id).ok_or("a task that never was is changed")?;
        let waits = known.lease.is_none() && known.end.is_none();
        let end = |next| End { next, lease: LeaseId::default(), report: None };
        match to {
            Change::Cancelled | Change::Missed if !waits => {
                return Err(format!("{id} is {to:?} and does not wait"));
            }
            Change::Cancelled => known.end = Some(end(Next::Cancelled)),
            Change::Missed => known.end = Some(end(Next::Failed)),
            Change::Retried => {
                if known.end.take().is_none_or(|end| end.next == Next::Done) {
                    return Err(format!("{id} is retried and has not failed"));
                }
                (known.failures, known.lost, known.releases) = (0, 0, 0);
                self.cancelled.remove(&id);
            }
            Change::Cancelling => known.stops = Stops::Asked,
            Change::Due | Change::Delayed(_) | Change::Priority(_) => {}
        }
        Ok(())
    }

    fn removed(&mut self, id: TaskId) -> Result<(), String> {
        let known = self.tasks.get_mut(&id).ok_or("a task that never was is removed")?;
        // Tasks that were removed before may be named again with those around them.
        if known.there == There::Removed {
            return Ok(());
        }
        if known.end.is_none() {
            return Err(format!("{id} is removed and has not ended"));
        }
        known.there = There::Removed;
        self.batches.get_mut(&known.batch).ok_or("a task has a batch")?.removed += 1;
        Ok(())
    }

    /// A grant leaves the master.
    pub(crate) fn grant_left(&mut self, to: SessionId, grant: &Grant) -> Result<(), String> {
        for (lease, id) in granted(grant) {
            if self.of_lease.get(&lease) != Some(&id) {
                return Err(format!("{lease} of {id} left before it was durable"));
            }
            if self.granted.insert(lease, to).is_some() {
                return Err(format!("{lease} was used twice"));
            }
            if self.cancelled.contains(&id) {
                return Err(format!("{id} was granted after its cancel was acknowledged"));
            }
        }
        Ok(())
    }

    /// A submission was acknowledged.
    pub(crate) fn submitted(&mut self, key: Key, batch: BatchId, tasks: u64) -> Result<(), String> {
        if self.batches.get(&batch).is_none_or(|known| known.tasks < tasks || known.key != key) {
            return Err(format!(
                "{batch} was acknowledged with {tasks} tasks before it was durable"
            ));
        }
        match self.acknowledged.insert(key, (batch, tasks)) {
            Some((first, _)) if first != batch && !self.batches[&first].is_gone() => {
                Err(format!("{key} was {first} and is {batch}"))
            }
            Some((first, count)) if first == batch && count > tasks => {
                Err(format!("{batch} had {count} tasks and has {tasks}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The cancel of one task was acknowledged: it has ended by that, or will without another try.
    pub(crate) fn cancelled(&mut self, id: TaskId) {
        let Some(known) = self.tasks.get(&id) else { return };
        // Somebody may have had it retried in the same turn.
        let ended = known.end.is_some_and(|end| end.next == Next::Cancelled);
        if ended || known.stops == Stops::Asked {
            self.cancelled.insert(id);
        }
    }

    pub(crate) fn told_stale(&mut self, session: SessionId, leases: &[LeaseRun]) {
        self.claims.told_stale(session, leases);
    }

    /// Returns the task of a durable lease.
    pub(crate) fn of_lease(&self, lease: LeaseId) -> Option<&TaskId> {
        self.of_lease.get(&lease)
    }

    pub(crate) fn master_died(&mut self) {
        self.claims.master_died();
    }
}

impl Known {
    fn new(batch: BatchId) -> Self {
        let (lease, stops, end, there) = (None, Stops::No, None, There::Yes);
        Self { batch, lease, failures: 0, lost: 0, releases: 0, stops, end, there }
    }

    /// Counts what happened by its outcome, whatever the engine charged.
    fn charge(&mut self, step: &Move) {
        match (step.outcome, step.next) {
            (_, Next::Done | Next::Cancelled) => {}
            (Outcome::Failed { .. } | Outcome::Signalled { .. } | Outcome::TimedOut, _) => {
                self.failures += 1;
            }
            (Outcome::Unfit, _) => self.releases += 1,
            (Outcome::Lost | Outcome::Cancelled | Outcome::Done, _) => {
                self.lost += u8::from(step.charge == Charge::Loss);
                self.releases += u8::from(step.charge == Charge::Release);
            }
        }
    }
}
