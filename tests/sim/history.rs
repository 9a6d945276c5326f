//! What became durable and what was said, and whether it may be so. Follows the events on its own,
//! knowing nothing of the ledger.

use std::collections::{BTreeMap, BTreeSet};

use ganger::engine::event::{Change, Charge, Event, Next, decode};
use ganger::engine::ledger::Ledger;
use ganger_proto::limits::LOST_MAX;
use ganger_proto::message::Grant;
use ganger_proto::{BatchId, Epoch, Key, LeaseId, Outcome, TaskId};

use crate::gang::answer;
use crate::rig::{Rig, same};

#[derive(Default)]
pub(crate) struct History {
    journal: Vec<Vec<u8>>,
    epoch: Epoch,
    counter: u64,
    tasks: BTreeMap<TaskId, Known>,
    of_lease: BTreeMap<LeaseId, TaskId>,
    retries: BTreeMap<BatchId, u32>,
    batch_of: Vec<BatchId>,
    /// Leases whose grants left the master.
    granted: BTreeSet<LeaseId>,
    /// Batches by the key of an acknowledged submission, and how many tasks were acknowledged.
    acknowledged: BTreeMap<Key, (BatchId, u64)>,
    /// Tasks whose cancel was acknowledged while they waited, and that nobody retried.
    cancelled: BTreeSet<TaskId>,
}

#[derive(Default)]
struct Known {
    lease: Option<LeaseId>,
    failures: u32,
    lost: u8,
    end: Option<(Next, LeaseId)>,
}

impl History {
    /// Takes in events that became durable together.
    pub(crate) fn durable(&mut self, journal: &[u8]) -> Result<(), String> {
        if journal.is_empty() {
            return Ok(());
        }
        self.journal.push(journal.to_vec());
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
            Event::Opened { batch, options, .. } | Event::OpenedBefore3 { batch, options, .. } => {
                self.retries.insert(*batch, u32::from(options.retries));
            }
            Event::Added { batch, args, .. } => {
                let first = self.batch_of.len() as u64 + 1;
                self.batch_of.extend((0..args.count()).map(|_| *batch));
                let ids = (first..first + args.count()).map(TaskId::new);
                self.tasks.extend(ids.map(|id| (id, Known::default())));
            }
            Event::Leased { tasks, .. } => {
                for id in tasks.iter().flat_map(|run| run.ids()) {
                    self.counter += 1;
                    let lease = LeaseId { epoch: self.epoch, counter: self.counter };
                    let known = self.tasks.get_mut(&id).ok_or("a task that never was is leased")?;
                    if known.lease.is_some() || known.end.is_some() {
                        return Err(format!("{id} is leased again without having come back"));
                    }
                    known.lease = Some(lease);
                    self.of_lease.insert(lease, id);
                }
            }
            Event::Closed { moves, .. } => {
                for step in moves {
                    for place in 0..u64::from(step.leases.count) {
                        let lease = step.leases.first.plus(place);
                        self.closed(lease, step.charge, step.next, step.outcome)?;
                    }
                }
            }
            Event::Set { tasks, to, .. } => {
                for id in tasks.iter().flat_map(|run| run.ids()) {
                    self.set(id, *to)?;
                }
            }
            Event::Removed { .. } => return Err("nothing is removed in this world".to_owned()),
            Event::WorkerNamed { .. }
            | Event::SessionBegan { .. }
            | Event::SessionEnded { .. }
            | Event::OutputKept { .. }
            | Event::Paused { .. }
            | Event::Drained { .. }
            | Event::Labelled { .. }
            | Event::Timed { .. }
            | Event::Asked { .. } => {}
        }
        Ok(())
    }

    fn closed(
        &mut self,
        lease: LeaseId,
        charge: Charge,
        next: Next,
        outcome: Outcome,
    ) -> Result<(), String> {
        let id = *self.of_lease.get(&lease).ok_or(format!("{lease} was never granted"))?;
        let batch = self.batch_of[id.raw() as usize - 1];
        let known = self.tasks.get_mut(&id).ok_or("a lease has a task")?;
        if known.lease.take() != Some(lease) {
            return Err(format!("{lease} of {id} ended and was not the current one"));
        }
        known.failures += u32::from(charge == Charge::Failure);
        known.lost += u8::from(charge == Charge::Loss);
        if known.failures > self.retries[&batch] + 1 || known.lost > LOST_MAX {
            return Err(format!("{id} had {} failures, {} losses", known.failures, known.lost));
        }
        if (outcome == Outcome::Done) != (next == Next::Done) {
            return Err(format!("{id}: {outcome:?} became {next:?}"));
        }
        if matches!(next, Next::Done | Next::Failed | Next::Cancelled)
            && known.end.replace((next, lease)).is_some()
        {
            return Err(format!("{id} ended twice"));
        }
        Ok(())
    }

    fn set(&mut self, id: TaskId, to: Change) -> Result<(), String> {
        let known = self.tasks.get_mut(&id).ok_or("a task that never was is changed")?;
        match to {
            Change::Cancelled => {
                if known.lease.is_some() || known.end.is_some() {
                    return Err(format!("{id} is cancelled and does not wait"));
                }
                known.end = Some((Next::Cancelled, LeaseId::default()));
            }
            Change::Retried => {
                if known.end.take().is_none_or(|(end, _)| end == Next::Done) {
                    return Err(format!("{id} is retried and has not failed"));
                }
                (known.failures, known.lost) = (0, 0);
                self.cancelled.remove(&id);
            }
            Change::Missed => {
                if known.lease.is_some() || known.end.is_some() {
                    return Err(format!("{id} fails unrun and does not wait"));
                }
                known.end = Some((Next::Failed, LeaseId::default()));
            }
            Change::Due | Change::Delayed(_) | Change::Priority(_) | Change::Cancelling => {}
        }
        Ok(())
    }

    /// A grant leaves the master.
    pub(crate) fn grant_left(&mut self, grant: &Grant) -> Result<(), String> {
        for run in &grant.runs {
            for place in 0..run.args.count() {
                let (lease, id) = (run.lease.plus(place), run.task.plus(place));
                if self.of_lease.get(&lease) != Some(&id) {
                    return Err(format!("{lease} of {id} left before it was durable"));
                }
                if !self.granted.insert(lease) {
                    return Err(format!("{lease} was used twice"));
                }
                if self.cancelled.contains(&id) {
                    return Err(format!("{id} was granted after its cancel was acknowledged"));
                }
            }
        }
        Ok(())
    }

    /// A submission was acknowledged.
    pub(crate) fn submitted(&mut self, key: Key, batch: BatchId, tasks: u64) -> Result<(), String> {
        let before = self.acknowledged.insert(key, (batch, tasks));
        match before {
            Some((first, count)) if first != batch || count > tasks => {
                Err(format!("{key} was {first} with {count} tasks, then {batch} with {tasks}"))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The cancel of a task that waited was acknowledged.
    pub(crate) fn cancelled(&mut self, id: TaskId) {
        let ended = self.tasks.get(&id).and_then(|known| known.end);
        if ended.is_some_and(|(end, _)| end == Next::Cancelled) {
            self.cancelled.insert(id);
        }
    }

    /// Tells how many events became durable, about.
    pub(crate) fn turns(&self) -> usize {
        self.journal.len()
    }

    /// Checks the end of the world: nothing is open and everything that was said is so.
    pub(crate) fn close(&self, rig: &Rig) -> Result<(), String> {
        rig.audit()?;
        let mut replay = Ledger::new();
        for journal in &self.journal {
            for event in decode(journal).map_err(|e| e.to_string())? {
                replay.apply(&event);
            }
        }
        same(rig.engine.ledger(), &replay)?;
        for (key, (batch, tasks)) in &self.acknowledged {
            let kept = replay.batches.all.get(batch);
            if !kept.is_some_and(|kept| kept.key == *key && kept.tasks >= *tasks) {
                return Err(format!("{batch} was acknowledged and is {kept:?}"));
            }
        }
        for (id, known) in &self.tasks {
            let state = replay.task(*id).state;
            let Some((end, lease)) = known.end else {
                return Err(format!("{id} has not ended, it is {state:?}"));
            };
            let result = rig.result(*id);
            if end != Next::Done {
                continue;
            }
            let said = result.map(|ended| (ended.lease, ended.stdout));
            if said != Some((lease, answer(*id, lease).into_bytes())) {
                return Err(format!("{id} ended under {lease} and its result is {said:?}"));
            }
            if !self.granted.contains(&lease) {
                return Err(format!("{id} ended under {lease}, which nobody was given"));
            }
        }
        Ok(())
    }
}
