//! Blocks of results beside the replay: each that a task mentions is there and whole, and holds
//! that task's result under the lease that was its current one. What a result says is its owner's
//! concern.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::{BlockId, LeaseId, Outcome, TaskId};

use super::model::{Model, PAST_MAX};
use super::report::Findings;
use super::tasks::End;
use crate::engine::results::Block;
use crate::engine::runs::{IdSet, TaskRun};
use crate::engine::task::State;

/// Blocks as they are read, beside a model that has come to the journal's end.
pub(super) struct Bodies<'a> {
    model: &'a Model,
    wanted: BTreeMap<u64, u64>,
    findings: Findings,
    blocks: u64,
    results: u64,
    stray: u64,
    /// Tasks whose newest result was found.
    found: IdSet,
    /// Earlier results that were found, with their blocks.
    found_past: BTreeSet<(TaskId, u64)>,
    /// Blocks that are there but cannot be used.
    bad: BTreeSet<u64>,
}

/// A result that a task has and that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) task: TaskId,
    /// Where it should be.
    pub(super) block: u64,
    /// Its lease; unknown for an earlier attempt of which only a snapshot tells.
    pub(super) lease: Option<LeaseId>,
    pub(super) end: End,
}

/// What was found.
pub(super) struct Found {
    pub(super) findings: Findings,
    pub(super) blocks: u64,
    pub(super) results: u64,
    /// Blocks that no task mentions.
    pub(super) stray: u64,
    pub(super) lost: Vec<Lost>,
}

impl<'a> Bodies<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        Self {
            model,
            wanted: model.wanted(),
            findings: Findings::default(),
            blocks: 0,
            results: 0,
            stray: 0,
            found: IdSet::default(),
            found_past: BTreeSet::new(),
            bad: BTreeSet::new(),
        }
    }

    /// Takes in a block; without its bytes when they do not match their sum.
    pub(super) fn take(&mut self, id: BlockId, data: Option<&[u8]>) {
        self.blocks += 1;
        if !self.wanted.contains_key(&id.raw()) {
            self.stray += 1;
            return;
        }
        match data.map(Block::decode) {
            None => self.bad(id, "do not match their sum"),
            Some(Err(_)) => self.bad(id, "are no block of results"),
            Some(Ok(block)) => self.block(id, &block),
        }
    }

    /// Looks for what no block held.
    pub(super) fn finish(mut self) -> Found {
        let lost = self.lost();
        for one in &lost {
            let block = BlockId::new(one.block);
            let why = if self.bad.contains(&one.block) { "cannot be read" } else { "lacks it" };
            let kept = self.bad.contains(&one.block) || self.found_in(one.block);
            let why = if kept { why } else { "is not there" };
            self.findings.of(one.task, format!("has a result in {block}, which {why}"));
        }
        let Self { findings, blocks, results, stray, .. } = self;
        Found { findings, blocks, results, stray, lost }
    }

    fn found_in(&self, block: u64) -> bool {
        // Blocks that were read whole were taken off the list of those that are wanted.
        !self.wanted.contains_key(&block)
    }

    fn bad(&mut self, id: BlockId, what: &str) {
        self.bad.insert(id.raw());
        let results = self.wanted.get(&id.raw()).copied().unwrap_or_default();
        self.findings.add(format!("the bytes of {id} {what}: {results} results are lost"));
    }

    fn block(&mut self, id: BlockId, block: &Block) {
        for run in &block.done {
            if run.took_us.len() != run.results.len() {
                self.findings.add(format!("{id} has results without the time they took"));
            }
            for place in 0..run.results.len() as u64 {
                self.result(id, run.first.plus(place), run.lease.plus(place), Outcome::Done);
            }
        }
        for one in &block.ended {
            self.result(id, one.task, one.ended.lease, one.ended.outcome);
        }
        self.wanted.remove(&id.raw());
    }

    fn result(&mut self, id: BlockId, task: TaskId, lease: LeaseId, outcome: Outcome) {
        let (record, end) = (self.model.tasks.get(task), End::of(outcome));
        if record.state == State::Absent {
            // Others in the block keep it.
            return;
        }
        if record.block() == Some(id.raw()) {
            if record.lease() != lease || record.end() != end {
                let newest = record.lease();
                let ended = record.end().outcome();
                let what = format!(
                    "ended as {ended:?} under {newest}, but {id} has a result of {lease}, {outcome:?}"
                );
                return self.findings.of(task, what);
            }
            if self.found.contains(task) {
                return self.findings.of(task, format!("has two results in {id}"));
            }
            self.results += 1;
            return self.found.insert(TaskRun::one(task));
        }
        let past = self.model.past.get(&task);
        let known = past.into_iter().flatten().find(|past| past.block == Some(id.raw()));
        match known {
            Some(past) => {
                if past.end != end || past.lease.is_some_and(|known| known != lease) {
                    let what = format!("has a result of {lease}, {outcome:?} in {id} that differs");
                    return self.findings.of(task, what);
                }
                self.results += 1;
                self.found_past.insert((task, id.raw()));
            }
            // What is older was let go.
            None if past.is_some_and(|past| past.len() >= PAST_MAX) => {}
            None => {
                let what =
                    format!("has a result in {id} under {lease}, under which it never ended");
                self.findings.of(task, what);
            }
        }
    }

    fn lost(&self) -> Vec<Lost> {
        let mut lost = Vec::new();
        for (first, (_, count)) in &self.model.extents {
            let run = TaskRun { first: *first, count: *count };
            self.model.tasks.look(run, |part, record| {
                let Some(block) = record.block() else { return };
                for task in part.ids().filter(|task| !self.found.contains(*task)) {
                    let (lease, end) = (Some(record.lease()), record.end());
                    lost.push(Lost { task, block, lease, end });
                }
            });
        }
        for (task, all) in &self.model.past {
            for past in all {
                let Some(block) = past.block else { continue };
                if !self.found_past.contains(&(*task, block)) {
                    lost.push(Lost { task: *task, block, lease: past.lease, end: past.end });
                }
            }
        }
        lost
    }
}
