//! Every invariant as one function. Used after each step of tests and simulations; slow.
//!
//! I1 each task is in exactly one state · I2 at most one current lease per task, ids never reused ·
//! I3 one end per task, under the lease that was current · I4 counts add up · I5 ready index,
//! timers and sessions agree with the records · I6 tries and losses stay within their limits · I9
//! sessions hold no more than they asked for · I10 a paused queue grants nothing (checked by the
//! model).

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::limits::LOST_MAX;
use ganger_proto::{LeaseId, TaskId};

use super::Engine;
use super::batch::{Batch, Tally};
use super::class::Used;
use super::ledger::Ledger;
use super::queue::Spot;
use super::runs::{IdSet, TaskRun};
use super::sessions::by_worker;
use super::task::State;

impl Engine {
    /// Checks every invariant.
    ///
    /// # Errors
    /// Says which one does not hold, and where.
    pub fn audit(&self) -> Result<(), String> {
        audit_records(&self.ledger)?;
        audit_ready(&self.ledger)?;
        audit_leases(&self.ledger)?;
        self.audit_room()?;
        let mut kept = self.soft.sessions_of.clone();
        kept.retain(|_, sessions| !sessions.is_empty());
        kept.values_mut().for_each(|sessions| sessions.sort_unstable());
        if kept != by_worker(&self.ledger) {
            return Err("I5: the sessions of a worker are not those of the journal".to_owned());
        }
        let strays = self.soft.running.minus(self.ledger.in_state(State::Leased));
        if let Some(stray) = strays.first() {
            return Err(format!("I5: task {stray} runs and is not leased"));
        }
        Ok(())
    }
}

impl Engine {
    /// I9, of connected sessions: what is counted against their room is what they hold.
    fn audit_room(&self) -> Result<(), String> {
        for (session, live) in self.soft.live.iter().filter(|(_, live)| live.connected) {
            let Some(known) = self.ledger.sessions.get(session) else { continue };
            let mut used = Used::default();
            for (_, run) in known.held() {
                for (batch, part) in self.ledger.batches.parts(run) {
                    let batches = &self.ledger.batches;
                    let class = batches.classes.get(batches.known(batch).class);
                    let lane = live.profile.takes(class).unwrap_or_default();
                    used.add(class, lane, part.count);
                }
            }
            if used.slots != live.used.slots {
                return Err(format!("I9: {session} holds {:?}, not {:?}", used, live.used));
            }
        }
        Ok(())
    }
}

fn audit_records(ledger: &Ledger) -> Result<(), String> {
    let mut tally = Tally::default();
    let mut of_batch = BTreeMap::new();
    for (batch, extent) in ledger.batches.extents() {
        let options = &ledger.batches.known(batch).options;
        let counts: &mut Tally = of_batch.entry(batch).or_default();
        for id in extent.run().ids() {
            let task = ledger.task(id);
            counts.shift(State::Absent, task.state, 1);
            tally.shift(State::Absent, task.state, 1);
            let listed: Vec<State> = State::PRESENT
                .into_iter()
                .filter(|state| ledger.in_state(*state).contains(id))
                .collect();
            let expected: &[State] = if task.state == State::Absent { &[] } else { &[task.state] };
            if listed != expected {
                return Err(format!("I1: task {id} is {:?}, indexes say {listed:?}", task.state));
            }
            if task.failures > options.retries.saturating_add(1) || task.lost() > LOST_MAX {
                return Err(format!("I6: task {id} has {} failures", task.failures));
            }
            if task.state == State::Done && task.block_id().is_none() {
                return Err(format!("I3: task {id} is done and has no result"));
            }
        }
    }
    let finished: u64 = ledger.batches.all.values().map(Batch::finished).sum();
    if finished != ledger.finished {
        return Err(format!("I4: finished batches have {finished}, not {}", ledger.finished));
    }
    if ledger.batches.count_bytes() != Some(ledger.batches.bytes) {
        return Err("I4: the memory of batches is miscounted".to_owned());
    }
    for state in State::PRESENT {
        if tally.of(state) != ledger.tally.of(state)
            || tally.of(state) != ledger.in_state(state).len()
        {
            return Err(format!("I4: {state:?} counts {} differ", tally.of(state)));
        }
        let queues: u64 = ledger.queues.iter().map(|queue| queue.tally.of(state)).sum();
        if queues != tally.of(state) {
            return Err(format!("I4: queues count {queues} as {state:?}"));
        }
        for (batch, counts) in &of_batch {
            if ledger.batches.known(*batch).tally.of(state) != counts.of(state) {
                return Err(format!("I4: {batch} miscounts {state:?}"));
            }
        }
    }
    Ok(())
}

fn audit_ready(ledger: &Ledger) -> Result<(), String> {
    let mut ready = IdSet::default();
    for queue in &ledger.queues {
        let mut count = 0;
        for (Spot { priority, class, batch }, set) in queue.ready_sets() {
            count += set.len();
            ready.extend(set);
            for id in set.runs().flat_map(TaskRun::ids) {
                let task = ledger.task(id);
                let of = ledger.batches.of_task(id).map(|(batch, _)| batch);
                let known = ledger.batches.known(batch);
                if task.priority != priority || of != Some(batch) || known.class != class {
                    return Err(format!("I5: task {id} is ready in the wrong place"));
                }
            }
        }
        if count != queue.ready() {
            return Err(format!("I5: queue {} counts {} ready", queue.name, queue.ready()));
        }
    }
    if ready != *ledger.in_state(State::Queued) {
        return Err("I5: the ready sets are not the queued tasks".to_owned());
    }
    let timed: IdSet = ledger.due.iter().map(|(_, run)| *run).collect();
    match ledger.in_state(State::Delayed).minus(&timed).first() {
        Some(id) => Err(format!("I5: delayed task {id} has no timer")),
        None => Ok(()),
    }
}

fn audit_leases(ledger: &Ledger) -> Result<(), String> {
    let mut leases: BTreeSet<LeaseId> = BTreeSet::new();
    let mut held = IdSet::default();
    for (session, known) in &ledger.sessions {
        let mut holds = 0;
        for (first, run) in known.held() {
            holds += run.count;
            for (place, id) in run.ids().enumerate() {
                let lease = first.plus(place as u64);
                let task = ledger.task(id);
                if !leases.insert(lease) || held.contains(id) {
                    return Err(format!("I2: task {id} has two leases"));
                }
                if task.lease_id() != lease || task.worker != known.worker {
                    return Err(format!("I2: task {id} is not under lease {lease} of {session}"));
                }
                if lease.epoch > ledger.epoch
                    || (lease.epoch == ledger.epoch && lease.counter > ledger.leases)
                {
                    return Err(format!("I2: lease {lease} was never granted"));
                }
                held.insert(TaskRun::one(id));
            }
        }
        if holds != known.holds() {
            return Err(format!("I9: {session} miscounts what it holds"));
        }
    }
    if held != *ledger.in_state(State::Leased) {
        let stray: Option<TaskId> = ledger.in_state(State::Leased).minus(&held).first();
        return Err(format!("I5: leased tasks and sessions differ, first {stray:?}"));
    }
    Ok(())
}
