//! Workers and their sessions: what they hold, and when they were heard. Does not decide who gets
//! what.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::message::{LeaseRun, Load};
use ganger_proto::picture::WorkerState;
use ganger_proto::{Label, LeaseId, PerLane, SpecId, TaskId, WallMs, WorkerId, WorkerName};
use serde::{Deserialize, Serialize};

use super::class::{Profile, Used};
use super::pulse::Recent;
use super::runs::{IdSet, TaskRun};
use crate::bug::{self, Bug};
use crate::clock::Now;

/// A worker as the journal knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worker {
    /// Its name.
    pub name: WorkerName,
    /// Whether an operator told it to drain.
    pub drained: bool,
    /// Attempts that it ended well.
    pub done: u64,
    /// Attempts that it ended otherwise.
    pub failed: u64,
    /// Tasks that it holds or ran last, for filters; derived, rebuilt on a restore.
    #[serde(skip)]
    pub tasks: IdSet,
}

/// A session as the journal knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Its worker.
    pub worker: WorkerId,
    /// The newest report that is journaled.
    pub reported: u64,
    /// What it holds: runs of consecutive leases of consecutive tasks, by first lease.
    held: BTreeMap<LeaseId, TaskRun>,
    /// How many leases that is.
    holds: u64,
}

impl Session {
    /// Returns a session that holds nothing.
    pub const fn new(worker: WorkerId) -> Self {
        Self { worker, reported: 0, held: BTreeMap::new(), holds: 0 }
    }

    /// Returns how many leases it holds.
    pub const fn holds(&self) -> u64 {
        self.holds
    }

    /// Iterates over what it holds, as runs of leases with their tasks.
    pub fn held(&self) -> impl Iterator<Item = (LeaseId, TaskRun)> {
        self.held.iter().map(|(lease, tasks)| (*lease, *tasks))
    }

    /// Adds a run of leases.
    pub fn hold(&mut self, first: LeaseId, tasks: TaskRun) {
        self.holds += tasks.count;
        self.held.insert(first, tasks);
    }

    /// Returns the tasks of those leases of `run` that it holds, as runs with their first lease.
    pub fn find(&self, run: LeaseRun) -> Vec<(LeaseId, TaskRun)> {
        self.found(run).collect()
    }

    /// As [`Session::find`], one after the other.
    pub fn found(&self, run: LeaseRun) -> impl Iterator<Item = (LeaseId, TaskRun)> {
        let end = run.first.plus(u64::from(run.count));
        let before = self.held.range(..=run.first).next_back();
        let within =
            self.held.range(run.first..end).skip_while(move |(lease, _)| **lease == run.first);
        before.into_iter().chain(within).filter_map(move |(first, tasks)| {
            let held_end = first.counter + tasks.count;
            let from = first.counter.max(run.first.counter);
            let to = held_end.min(end.counter);
            let task = tasks.first.plus(from.saturating_sub(first.counter));
            let lease = LeaseId { epoch: first.epoch, counter: from };
            let epoch = first.epoch == run.first.epoch || bug::is(Bug::EpochIgnored);
            let holds = epoch && from < to;
            holds.then(|| (lease, TaskRun { first: task, count: to - from }))
        })
    }

    /// Drops a run of leases that `find` returned.
    pub fn drop_run(&mut self, first: LeaseId, tasks: TaskRun) {
        let Some((start, whole)) = self.held.range(..=first).next_back().map(|(l, t)| (*l, *t))
        else {
            return;
        };
        self.held.remove(&start);
        self.holds -= tasks.count;
        let before = first.counter - start.counter;
        if before > 0 {
            self.held.insert(start, TaskRun { first: whole.first, count: before });
        }
        let after = whole.count - before - tasks.count;
        if after > 0 {
            let task = TaskId::new(tasks.end());
            self.held.insert(first.plus(tasks.count), TaskRun { first: task, count: after });
        }
    }
}

/// What is known of a session that the journal does not keep.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its connection; none while it is away.
    pub connected: bool,
    /// When it was heard last, on the monotonic clock.
    pub heard_ms: u64,
    /// When its leases end if it stays silent, on the monotonic clock.
    pub deadline_ms: u64,
    /// Whether its leases ended because it was silent; it gets nothing until it is heard.
    pub silent: bool,
    /// What it offers.
    pub profile: Profile,
    /// Slots' worth of tasks it would hold.
    pub hold: PerLane,
    /// What its leases take of that.
    pub used: Used,
    /// Whether it drains by its own wish.
    pub draining: bool,
    /// How busy its machine is.
    pub load: Load,
    /// What its policy allows; untrusted text.
    pub policy: String,
    /// How far its clock is ahead, in milliseconds; none before it said.
    pub clock_ahead_ms: Option<i64>,
    /// Its release; untrusted text.
    pub version: String,
    /// When it connected.
    pub since: WallMs,
    /// Specs that were sent over its present connection.
    pub specs: BTreeSet<SpecId>,
    /// What it ended well lately.
    pub(super) recent: Recent,
    /// Whether it stands in the line of sessions with room.
    pub hungry: bool,
    /// The news of all queues when it found nothing that fits.
    pub found_nothing: Option<u64>,
}

/// A worker that was here in this life of the master and is not now.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Why.
    pub state: WorkerState,
    /// Since when.
    pub since: WallMs,
    /// Its release; untrusted text.
    pub version: String,
    /// What its policy allows; untrusted text.
    pub policy: String,
    /// What it says of itself.
    pub labels: Vec<Label>,
}

/// Returns the clock on which terms run, in milliseconds: the one that nobody can set.
pub(super) fn term_clock(now: Now) -> u64 {
    if bug::is(Bug::TermOnWallClock) { now.wall.0 } else { now.mono_ms }
}

/// Joins leases into runs.
pub fn lease_runs(leases: impl IntoIterator<Item = (LeaseId, u64)>) -> Vec<LeaseRun> {
    let mut runs: Vec<LeaseRun> = Vec::new();
    for (first, count) in leases {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match runs.last_mut() {
            Some(run) if run.first.plus(u64::from(run.count)) == first => run.count += count,
            _ => runs.push(LeaseRun { first, count }),
        }
    }
    runs
}

/// Returns the parts of a run of leases that were not found.
pub fn missing(run: LeaseRun, found: &[(LeaseId, TaskRun)]) -> impl Iterator<Item = LeaseRun> {
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

#[cfg(test)]
mod tests {
    use ganger_proto::Epoch;

    use super::*;

    fn lease(counter: u64) -> LeaseId {
        LeaseId { epoch: Epoch::new(1), counter }
    }

    fn tasks(first: u64, count: u64) -> TaskRun {
        TaskRun { first: TaskId::new(first), count }
    }

    #[test]
    fn held_runs_are_found_and_split() {
        let mut session = Session::new(WorkerId::new(1));
        session.hold(lease(1), tasks(100, 10));
        session.hold(lease(20), tasks(500, 5));
        let found = session.find(LeaseRun { first: lease(4), count: 18 });
        assert_eq!(found, [(lease(4), tasks(103, 7)), (lease(20), tasks(500, 2))]);
        for (first, run) in found {
            session.drop_run(first, run);
        }
        let held: Vec<_> = session.held().collect();
        assert_eq!(held, [(lease(1), tasks(100, 3)), (lease(22), tasks(502, 3))]);
        assert_eq!(session.holds(), 6);
        assert!(session.find(LeaseRun { first: lease(4), count: 3 }).is_empty());
        session.drop_run(lease(2), tasks(101, 1));
        assert_eq!(session.held().count(), 3);
    }
}
