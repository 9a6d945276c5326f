//! Blocks of results: what the tasks of one report answered, as the store keeps it. Built and read
//! here; kept by the store.

use ganger_proto::message::DoneRun;
use ganger_proto::{ArgList, Ended, LeaseId, Outcome, TaskId};
use serde::{Deserialize, Serialize};

use super::runs::TaskRun;

/// The results of one report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Runs of in-process tasks that ended well.
    pub done: Vec<StoredRun>,
    /// Everything else, in the order it was reported.
    pub ended: Vec<StoredEnd>,
}

/// Consecutive tasks that ended well with a short answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredRun {
    /// The first task.
    pub first: TaskId,
    /// Its lease; the others follow it.
    pub lease: LeaseId,
    /// How long each took, in microseconds.
    pub took_us: Vec<u32>,
    /// What each answered.
    pub results: ArgList,
}

/// One attempt's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEnd {
    /// The task.
    pub task: TaskId,
    /// The end.
    pub ended: Ended,
}

impl Block {
    /// Adds the tasks of a reported run whose leases were found; copies only when not all were.
    pub fn add_run(&mut self, run: DoneRun, found: &[(LeaseId, TaskRun)]) {
        let whole = run.results.len() as u64;
        if let [(lease, tasks)] = found
            && tasks.count == whole
        {
            let DoneRun { took_us, results, .. } = run;
            self.done.push(StoredRun { first: tasks.first, lease: *lease, took_us, results });
            return;
        }
        for (lease, tasks) in found {
            let skip = (lease.counter - run.first.counter) as usize;
            let count = tasks.count as usize;
            let mut results = ArgList::with_capacity(count, run.results.bytes_of(skip, count));
            results.extend_from(&run.results, skip, count);
            let took_us = run.took_us[skip..skip + count].to_vec();
            self.done.push(StoredRun { first: tasks.first, lease: *lease, took_us, results });
        }
    }

    /// Tells whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty() && self.ended.is_empty()
    }

    /// Encodes the block.
    ///
    /// # Panics
    /// Never: postcard fails only on types that do not know their length.
    pub fn encode(&self) -> Vec<u8> {
        let done = self.done.iter().map(|run| run.results.total_bytes() + 5 * run.results.len());
        let ended = self.ended.iter().map(|StoredEnd { ended, .. }| {
            ended.stdout.len() + ended.stderr.len() + ended.message.len() + 32
        });
        super::encode::encode(self, done.chain(ended).sum::<usize>() + 64)
    }

    /// Decodes a block.
    ///
    /// # Errors
    /// When the bytes are not a block of this version, or more than that.
    pub fn decode(data: &[u8]) -> Result<Self, postcard::Error> {
        super::encode::decode(data)
    }

    /// Returns how a task ended, when it is in here.
    pub fn find(&self, task: TaskId) -> Option<Ended> {
        if let Some(end) = self.ended.iter().rev().find(|end| end.task == task) {
            return Some(end.ended.clone());
        }
        let run = self.done.iter().find(|run| {
            let end = run.first.raw().saturating_add(run.results.len() as u64);
            (run.first.raw()..end).contains(&task.raw())
        })?;
        let place = (task.raw() - run.first.raw()) as usize;
        let took = run.took_us.get(place).copied().unwrap_or_default();
        let lease = run.lease.plus(place as u64);
        let mut ended = Ended::bare(lease, Outcome::Done, u64::from(took));
        ended.stdout = run.results.get(place).unwrap_or_default().to_vec();
        Some(ended)
    }
}
