//! Batches and where their tasks and arguments are. Does not know the tasks' states, only their
//! counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use ganger_proto::spec::Then;
use ganger_proto::{Actor, Args, BatchId, BatchOptions, Key, Spec, SpecId, TaskId, WallMs};
use serde::{Deserialize, Serialize};

use super::class::{Class, ClassId, Classes};
use super::runs::TaskRun;
use super::task::State;

/// Tasks by durable state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally([u64; State::COUNT]);

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
        self.of(State::Blocked)
            + self.of(State::Delayed)
            + self.of(State::Queued)
            + self.of(State::Leased)
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
    /// Returns the memory that it takes, about.
    pub fn bytes(&self) -> u64 {
        args_bytes(&self.args)
    }

    /// Returns the tasks.
    pub fn run(&self) -> TaskRun {
        TaskRun { first: self.first, count: self.args.count() }
    }
}

/// Memory of an extent without listed arguments, about.
const EXTENT_BYTES: u64 = 128;
/// Memory of a batch for each that it waits for, about.
const AFTER_BYTES: u64 = 64;
/// Memory of a batch without its texts and arguments, about.
const BATCH_BYTES: u64 = 1_024;

/// Returns the memory that a part's arguments take, about: a list has them and where each ends.
pub fn args_bytes(args: &Args) -> u64 {
    EXTENT_BYTES
        + match args {
            Args::Listed(list) => {
                list.total_bytes() as u64 + (list.len() * size_of::<u32>()) as u64
            }
            Args::Range { .. } | Args::Repeat { .. } => 0,
        }
}

/// Returns the memory that a batch's options take, about.
fn options_bytes(options: &BatchOptions) -> u64 {
    let labels = options.labels.iter().map(|(key, value)| key.len() + value.len());
    let texts = options.name.len() + labels.sum::<usize>();
    BATCH_BYTES + AFTER_BYTES * options.after.len() as u64 + texts as u64
}

/// Tasks submitted together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The submission's key.
    pub key: Key,
    /// The number of its spec.
    pub spec: SpecId,
    /// How its tasks are queued and retried; a snapshot keeps beside it what format 1 had not.
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
    /// Where its tasks may run; derived, given anew on a restore.
    #[serde(skip)]
    pub class: ClassId,
    /// The first tasks of its extents; derived, rebuilt on a restore.
    #[serde(skip)]
    pub firsts: Vec<TaskId>,
    /// Memory that it takes with its arguments, about; derived, rebuilt on a restore.
    #[serde(skip)]
    pub bytes: u64,
}

impl Batch {
    /// Tells whether all its tasks have come and have ended.
    pub const fn is_finished(&self) -> bool {
        self.complete && self.tally.open() == 0
    }

    /// Returns its tasks once it is finished, and none before.
    pub const fn finished(&self) -> u64 {
        if self.is_finished() { self.tally.ended() } else { 0 }
    }
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
    /// Where their tasks may run.
    pub classes: Classes,
    /// Memory of all batches, specs and arguments, about.
    pub bytes: u64,
    /// For each batch that is there or was, the batches there that wait for it.
    waiting_for: BTreeMap<BatchId, BTreeSet<BatchId>>,
}

/// What has become of the batches that one waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// One has not ended.
    Open,
    /// All came to what they must.
    Met,
    /// One ended otherwise.
    Missed,
}

impl Batches {
    /// Adds a batch; `spec` is given when its number is used for the first time.
    pub fn open(&mut self, id: BatchId, mut batch: Batch, spec: Option<Arc<Spec>>) {
        if let Some(spec) = spec {
            self.bytes += spec.payload_bytes() as u64;
            self.numbers.insert(spec.clone(), batch.spec);
            if let Some((other, _)) = self.specs.insert(batch.spec, (spec, 0)) {
                self.bytes -= other.payload_bytes() as u64;
            }
        }
        if let Some((spec, users)) = self.specs.get_mut(&batch.spec) {
            *users += 1;
            batch.class = self.classes.join(Class::of(spec));
        }
        for after in &batch.options.after {
            self.waiting_for.entry(after.batch).or_default().insert(id);
        }
        batch.bytes = options_bytes(&batch.options);
        self.bytes += batch.bytes;
        self.keys.insert(batch.key, id);
        if let Some(other) = self.all.insert(id, batch) {
            self.bytes -= other.bytes;
        }
    }

    /// Gives a batch the options that a snapshot keeps beside it.
    pub fn set_options(&mut self, id: BatchId, options: BatchOptions) {
        if !self.all.contains_key(&id) {
            return;
        }
        for after in &options.after {
            self.waiting_for.entry(after.batch).or_default().insert(id);
        }
        self.change_options(id, |known| *known = options);
    }

    /// Gives a batch labels.
    pub fn set_labels(&mut self, id: BatchId, labels: Vec<(String, String)>) {
        self.change_options(id, |known| known.labels = labels);
    }

    fn change_options(&mut self, id: BatchId, change: impl FnOnce(&mut BatchOptions)) {
        let Some(known) = self.all.get_mut(&id) else { return };
        let before = options_bytes(&known.options);
        change(&mut known.options);
        let after = options_bytes(&known.options);
        known.bytes = known.bytes - before + after;
        self.bytes = self.bytes - before + after;
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
            known.bytes += extent.bytes();
            self.bytes += extent.bytes();
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
        self.parts(run).collect()
    }

    /// As [`Batches::split`], one part after the other.
    pub fn parts(&self, run: TaskRun) -> impl Iterator<Item = (BatchId, TaskRun)> {
        let mut at = run.first.raw();
        std::iter::from_fn(move || {
            while at < run.end() {
                let Some((batch, extent)) = self.of_task(TaskId::new(at)) else {
                    let (next, _) = self.extents.range(TaskId::new(at)..).next()?;
                    at = next.raw();
                    continue;
                };
                let first = TaskId::new(at);
                at = run.end().min(extent.run().end());
                return Some((batch, TaskRun { first, count: at - first.raw() }));
            }
            None
        })
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
        self.bytes = self.bytes.saturating_sub(gone.bytes);
        self.keys.remove(&gone.key);
        self.classes.leave(gone.class);
        for after in &gone.options.after {
            if let Some(waiting) = self.waiting_for.get_mut(&after.batch) {
                waiting.remove(&batch);
                if waiting.is_empty() {
                    self.waiting_for.remove(&after.batch);
                }
            }
        }
        if let Some((spec, users)) = self.specs.get_mut(&gone.spec) {
            *users -= 1;
            if *users == 0 {
                self.bytes = self.bytes.saturating_sub(spec.payload_bytes() as u64);
                self.numbers.remove(spec);
                self.specs.remove(&gone.spec);
            }
        }
    }

    /// Returns the batches that wait for one.
    pub fn waiting_for(&self, batch: BatchId) -> Vec<BatchId> {
        self.waiting_for.get(&batch).into_iter().flatten().copied().collect()
    }

    /// Tells what has become of the batches that one waits for. One that is not there any more had
    /// ended, and ended well as far as anybody knows.
    pub fn before(&self, batch: BatchId) -> Before {
        let mut all = Before::Met;
        for after in self.all.get(&batch).iter().flat_map(|known| &known.options.after) {
            let Some(known) = self.all.get(&after.batch) else { continue };
            let missed = known.tally.of(State::Failed) + known.tally.of(State::Cancelled) > 0;
            match (known.is_finished(), after.then) {
                (false, _) => all = Before::Open,
                (true, Then::Done) if missed => return Before::Missed,
                (true, Then::Done | Then::Any) => {}
            }
        }
        all
    }

    /// Returns [`Batches::bytes`] counted anew, or nothing when a batch miscounts its own.
    pub(super) fn count_bytes(&self) -> Option<u64> {
        let mut bytes = 0;
        for known in self.all.values() {
            let extents = known.firsts.iter().filter_map(|first| self.extents.get(first));
            let args: u64 = extents.map(|(_, extent)| extent.bytes()).sum();
            bytes += known.bytes;
            if known.bytes != options_bytes(&known.options) + args {
                return None;
            }
        }
        let specs = self.specs.values().map(|(spec, _)| spec.payload_bytes() as u64);
        Some(bytes + specs.sum::<u64>())
    }

    /// Returns the first task of the oldest extent.
    pub fn first_task(&self) -> Option<TaskId> {
        self.extents.keys().next().copied()
    }
}
