//! Batches and where their tasks and arguments are. Does not know the tasks' states, only their
//! counts.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ganger_proto::{Actor, Args, BatchId, BatchOptions, Key, Spec, SpecId, TaskId, WallMs};
use serde::{Deserialize, Serialize};

use super::runs::TaskRun;
use super::task::State;

/// Tasks by durable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally([u64; 7]);

impl Tally {
    /// Returns how many are in one state.
    pub const fn of(&self, state: State) -> u64 {
        self.0[state as usize]
    }

    /// Counts `count` tasks that went from one state to another.
    pub const fn shift(&mut self, from: State, to: State, count: u64) {
        self.0[from as usize] = self.0[from as usize].wrapping_sub(count);
        self.0[to as usize] = self.0[to as usize].wrapping_add(count);
    }

    /// Returns the tasks that have not ended.
    pub const fn open(&self) -> u64 {
        self.of(State::Delayed) + self.of(State::Queued) + self.of(State::Leased)
    }

    /// Returns the tasks that have ended.
    pub const fn ended(&self) -> u64 {
        self.of(State::Done) + self.of(State::Failed) + self.of(State::Cancelled)
    }
}

/// Tasks of a batch with consecutive ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// The first task.
    pub first: TaskId,
    /// The first task's place in the batch, from 0.
    pub index: u64,
    /// Their arguments; says how many there are.
    #[serde(with = "super::snapshot::shared")]
    pub args: Arc<Args>,
}

impl Extent {
    /// Returns the tasks.
    pub fn run(&self) -> TaskRun {
        TaskRun { first: self.first, count: self.args.count() }
    }
}

/// Tasks submitted together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The submission's key.
    pub key: Key,
    /// The number of its spec.
    pub spec: SpecId,
    /// How its tasks are queued and retried; a snapshot keeps its labels beside it.
    #[serde(with = "super::stored::options")]
    pub options: BatchOptions,
    /// Who submitted it.
    pub owner: Actor,
    /// When its first part came.
    pub submitted: WallMs,
    /// When its newest task ended.
    pub newest_end: WallMs,
    /// Parts that have come.
    pub parts: u32,
    /// Whether the last part has come.
    pub complete: bool,
    /// Tasks submitted so far, also ones removed since.
    pub tasks: u64,
    /// Its tasks by state; derived, rebuilt on a restore.
    #[serde(skip)]
    pub tally: Tally,
    /// The first tasks of its extents; derived, rebuilt on a restore.
    #[serde(skip)]
    pub firsts: Vec<TaskId>,
}

/// All batches, their extents and specs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batches {
    /// By id.
    pub all: BTreeMap<BatchId, Batch>,
    /// By the submission's key.
    pub keys: BTreeMap<Key, BatchId>,
    /// By number: the spec and how many batches have it.
    specs: BTreeMap<SpecId, (Arc<Spec>, u32)>,
    /// The numbers of the specs above; looked up, never iterated over.
    numbers: HashMap<Arc<Spec>, SpecId>,
    /// By first task: the batch and its tasks there.
    extents: BTreeMap<TaskId, (BatchId, Extent)>,
}

impl Batches {
    /// Adds a batch; `spec` is given when its number is used for the first time.
    pub fn open(&mut self, id: BatchId, batch: Batch, spec: Option<Arc<Spec>>) {
        if let Some(spec) = spec {
            self.numbers.insert(spec.clone(), batch.spec);
            self.specs.insert(batch.spec, (spec, 0));
        }
        if let Some((_, users)) = self.specs.get_mut(&batch.spec) {
            *users += 1;
        }
        self.keys.insert(batch.key, id);
        self.all.insert(id, batch);
    }

    /// Returns the number of a spec that some batch has.
    pub fn number_of(&self, spec: &Spec) -> Option<SpecId> {
        self.numbers.get(spec).copied()
    }

    /// Returns the spec with a number.
    pub fn spec(&self, number: SpecId) -> Option<&Arc<Spec>> {
        self.specs.get(&number).map(|(spec, _)| spec)
    }

    /// Adds consecutive tasks to a batch.
    pub fn extend(&mut self, batch: BatchId, extent: Extent) {
        if let Some(known) = self.all.get_mut(&batch) {
            known.firsts.push(extent.first);
        }
        self.extents.insert(extent.first, (batch, extent));
    }

    /// Returns the batch and extent of a task that was submitted and not removed with its extent.
    pub fn of_task(&self, task: TaskId) -> Option<(BatchId, &Extent)> {
        let (_, (batch, extent)) = self.extents.range(..=task).next_back()?;
        (task.raw() < extent.run().end()).then_some((*batch, extent))
    }

    /// Returns a batch that is known to be there.
    pub fn known(&self, batch: BatchId) -> &Batch {
        self.all.get(&batch).expect("a task's batch stays until all its tasks are gone")
    }

    /// Returns the spec of a batch that is known to be there.
    pub fn spec_of(&self, batch: BatchId) -> &Arc<Spec> {
        self.spec(self.known(batch).spec).expect("a batch's spec stays as long as the batch")
    }

    /// Splits a run where its tasks' extents end; tasks of no extent are left out.
    pub fn split(&self, run: TaskRun) -> Vec<(BatchId, TaskRun)> {
        let mut parts = Vec::new();
        let mut at = run.first.raw();
        while at < run.end() {
            let Some((batch, extent)) = self.of_task(TaskId::new(at)) else {
                match self.extents.range(TaskId::new(at)..).next() {
                    Some((next, _)) if next.raw() < run.end() => at = next.raw(),
                    _ => break,
                }
                continue;
            };
            let end = run.end().min(extent.run().end());
            parts.push((batch, TaskRun { first: TaskId::new(at), count: end - at }));
            at = end;
        }
        parts
    }

    /// Iterates over the extents from the oldest task on.
    pub fn extents(&self) -> impl Iterator<Item = (BatchId, &Extent)> {
        self.extents.values().map(|(batch, extent)| (*batch, extent))
    }

    /// Iterates over a batch's tasks, in id order.
    pub fn runs_of(&self, batch: BatchId) -> impl Iterator<Item = TaskRun> {
        let firsts = self.all.get(&batch).map_or(&[][..], |known| &known.firsts);
        firsts.iter().filter_map(|first| self.extents.get(first)).map(|(_, extent)| extent.run())
    }

    /// Forgets a batch, its extents, and its spec when nobody else has it.
    pub fn forget(&mut self, batch: BatchId) {
        let Some(gone) = self.all.remove(&batch) else { return };
        for first in &gone.firsts {
            self.extents.remove(first);
        }
        self.keys.remove(&gone.key);
        if let Some((spec, users)) = self.specs.get_mut(&gone.spec) {
            *users -= 1;
            if *users == 0 {
                self.numbers.remove(spec);
                self.specs.remove(&gone.spec);
            }
        }
    }

    /// Returns the first task of the oldest extent.
    pub fn first_task(&self) -> Option<TaskId> {
        self.extents.keys().next().copied()
    }
}
