//! Snapshots: the ledger as parts of bytes, and back. Pages and arguments are shared with the live
//! ledger, so taking one costs little; writing it is another thread's work. What can be derived
//! (indexes, counts) is left out and rebuilt.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ganger_proto::{
    BatchId, BatchOptions, BlockId, Epoch, QueueName, SessionId, Spec, SpecId, TaskId, WorkerId,
};
use serde::{Deserialize, Serialize};

use super::batch::{Batch, Extent};
use super::encode::decode;
use super::ledger::{Ledger, Past, kind_index};
use super::roster::{Session, Worker};
use super::runs::{IdSet, TaskRun};
use super::stored::StoredSpec;
use super::table::{PAGE_TASKS, Page, Table};
use super::task::{State, Task};
use crate::bug::{self, Bug};

/// Pages of one part.
const PAGES_A_PART: usize = 16;
/// Batches, extents, blocks or histories of one part.
const ITEMS_A_PART: usize = 1_024;
/// Argument bytes of one part.
const ARGS_BYTES_A_PART: usize = 1 << 20;

/// A piece of a snapshot. Parts come in the order of these variants, but that options follow the
/// batches that they belong to, and that whole specs and pages with spans stand in the place of
/// those without.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Part {
    Head(Head),
    /// Of formats 1 and 2; is read and never made.
    Specs(Vec<(SpecId, StoredSpec)>),
    Batches(Vec<(BatchId, Batch)>),
    Extents(Vec<(BatchId, Extent)>),
    Pages {
        first: u64,
        pages: Vec<Page>,
    },
    Blocks(Vec<(BlockId, u32)>),
    History(Vec<(TaskId, Vec<Past>)>),
    /// The labels of batches that have some. Of format 2; is read and never made.
    Labels(Vec<(BatchId, Vec<(String, String)>)>),
    /// Pages, and for each the two spans of each of its tasks; nothing for a page without any.
    /// Since format 2.
    Timed {
        first: u64,
        pages: Vec<Page>,
        spans: Vec<Vec<(u16, u16)>>,
    },
    /// Whole specs. Since format 3, as what follows.
    WholeSpecs(Vec<(SpecId, Spec)>),
    /// The options of batches for which it is not enough what format 1 knew.
    Options(Vec<(BatchId, BatchOptions)>),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Head {
    pub(crate) epoch: Epoch,
    pub(crate) next_task: u64,
    pub(crate) next_batch: u64,
    pub(crate) next_spec: u32,
    pub(crate) next_block: u64,
    pub(crate) leases: u64,
    pub(crate) queues: Vec<(QueueName, bool)>,
    pub(crate) workers: Vec<(WorkerId, Worker)>,
    pub(crate) sessions: Vec<(SessionId, Session)>,
    pub(crate) unfit: BTreeMap<TaskId, BTreeSet<WorkerId>>,
    pub(crate) outputs: Vec<TaskRun>,
    pub(crate) digest: [u8; 16],
}

impl Part {
    /// Decodes a part.
    ///
    /// # Errors
    /// When it is not one of this version.
    pub(crate) fn decode(data: &[u8]) -> Result<Self, postcard::Error> {
        decode(data)
    }

    /// Puts the spans of pages beside them. Called when the part is encoded, in another thread.
    fn with_spans(self) -> Self {
        if let Self::Pages { first, pages } = self {
            let spans = pages.iter().map(Page::spans).collect();
            return Self::Timed { first, pages, spans };
        }
        self
    }
}

/// A snapshot cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// A part is not one of this version.
    #[error("a part of the snapshot cannot be read")]
    Malformed(#[from] postcard::Error),
    /// The parts do not give the state that was snapshotted.
    #[error("the snapshot does not give the state that it was taken of")]
    Digest,
    /// The first part is missing.
    #[error("the snapshot has no first part")]
    NoHead,
    /// The parts do not fit together.
    #[error("the snapshot contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl Ledger {
    /// Takes a snapshot: parts that encode themselves when they are asked for.
    pub fn snapshot(&self) -> impl Iterator<Item = Vec<u8>> + Send + use<> {
        let mut parts = vec![Part::Head(self.head())];
        let mut specs = BTreeMap::new();
        for batch in self.batches.all.values() {
            if let Some(spec) = self.batches.spec(batch.spec) {
                specs.insert(batch.spec, spec.clone());
            }
        }
        let specs: Vec<_> = specs.into_iter().map(|(id, spec)| (id, (*spec).clone())).collect();
        parts.extend(specs.chunks(64).map(|some| Part::WholeSpecs(some.to_vec())));
        let batches: Vec<_> = self.batches.all.iter().map(|(id, b)| (*id, b.clone())).collect();
        parts.extend(batches.chunks(ITEMS_A_PART).map(|some| Part::Batches(some.to_vec())));
        let options = batches.into_iter().map(|(id, batch)| (id, batch.options));
        let more: Vec<_> = options.filter(|(_, options)| needs_format_3(options)).collect();
        parts.extend(more.chunks(ITEMS_A_PART).map(|some| Part::Options(some.to_vec())));
        parts.extend(self.extent_parts());
        let (base, pages) = self.table.pages();
        let pages: Vec<Page> = pages.collect();
        let mut first = base;
        for some in pages.chunks(PAGES_A_PART) {
            parts.push(Part::Pages { first, pages: some.to_vec() });
            first += some.len() as u64 * PAGE_TASKS;
        }
        let blocks: Vec<_> = self.blocks.iter().map(|(id, count)| (*id, *count)).collect();
        parts.extend(blocks.chunks(8 * ITEMS_A_PART).map(|some| Part::Blocks(some.to_vec())));
        let history: Vec<_> = self.history.iter().map(|(id, past)| (*id, past.clone())).collect();
        parts.extend(history.chunks(ITEMS_A_PART).map(|some| Part::History(some.to_vec())));
        let parts = parts.into_iter().map(Part::with_spans);
        parts.map(|part| postcard::to_allocvec(&part).expect("parts always encode"))
    }

    fn extent_parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut open = Vec::new();
        let mut bytes = 0;
        for (batch, extent) in self.batches.extents() {
            bytes += extent.args.bytes_of(0, extent.args.count());
            open.push((batch, extent.clone()));
            if bytes >= ARGS_BYTES_A_PART || open.len() >= ITEMS_A_PART {
                parts.push(Part::Extents(std::mem::take(&mut open)));
                bytes = 0;
            }
        }
        parts.push(Part::Extents(open));
        parts
    }

    fn head(&self) -> Head {
        Head {
            epoch: self.epoch,
            next_task: self.next_task,
            next_batch: self.next_batch,
            next_spec: self.next_spec,
            next_block: self.next_block,
            leases: self.leases,
            queues: self.queues.iter().map(|q| (q.name.clone(), q.paused)).collect(),
            workers: self.workers.iter().map(|(id, worker)| (*id, worker.clone())).collect(),
            sessions: self.sessions.iter().map(|(id, session)| (*id, session.clone())).collect(),
            unfit: self.unfit.clone(),
            outputs: self.outputs.runs().collect(),
            digest: self.digest(),
        }
    }

    /// Loads a snapshot.
    ///
    /// # Errors
    /// When a part cannot be read or the parts do not give the state they were taken of.
    #[expect(clippy::too_many_lines, reason = "an arm for each kind of part")]
    pub fn restore(parts: impl IntoIterator<Item = Vec<u8>>) -> Result<Self, RestoreError> {
        let mut ledger = Self::new();
        let mut digest = None;
        let mut specs: BTreeMap<SpecId, Arc<Spec>> = BTreeMap::new();
        let mut pages: Vec<Page> = Vec::new();
        let (mut base, mut outputs) = (None, Vec::new());
        for bytes in parts {
            match Part::decode(&bytes)? {
                Part::Head(mut head) => {
                    outputs = std::mem::take(&mut head.outputs);
                    digest = Some(ledger.take_head(head));
                }
                Part::Specs(some) => {
                    let whole = some.into_iter().map(|(id, spec)| (id, Arc::new(spec.into())));
                    specs.extend(whole);
                }
                Part::WholeSpecs(some) => {
                    specs.extend(some.into_iter().map(|(id, spec)| (id, Arc::new(spec))));
                }
                Part::Options(some) => {
                    for (id, options) in some {
                        ledger.batches.set_options(id, options);
                    }
                }
                Part::Batches(some) => {
                    for (id, batch) in some {
                        let spec = specs.remove(&batch.spec);
                        ledger.batches.open(id, batch, spec);
                    }
                }
                Part::Labels(some) => {
                    for (id, labels) in some {
                        ledger.batches.set_labels(id, labels);
                    }
                }
                Part::Timed { first, pages: mut some, spans } => {
                    some.iter_mut().zip(&spans).for_each(|(page, spans)| page.set_spans(spans));
                    base.get_or_insert(first);
                    pages.extend(some);
                }
                Part::Extents(some) => {
                    for (batch, extent) in some {
                        ledger.batches.extend(batch, extent);
                    }
                }
                Part::Pages { first, pages: some } => {
                    base.get_or_insert(first);
                    pages.extend(some);
                }
                Part::Blocks(some) => ledger.blocks.extend(some),
                Part::History(some) => ledger.history.extend(some),
            }
        }
        ledger.table = Table::from_pages(base.unwrap_or_default(), pages);
        ledger.check_parts(&outputs).map_err(RestoreError::Contradiction)?;
        ledger.outputs = outputs.into_iter().collect();
        ledger.derive();
        ledger.check_leases().map_err(RestoreError::Contradiction)?;
        match digest {
            None => Err(RestoreError::NoHead),
            Some(digest) if digest == ledger.digest() => Ok(ledger),
            Some(_) => Err(RestoreError::Digest),
        }
    }

    fn take_head(&mut self, head: Head) -> [u8; 16] {
        self.epoch = head.epoch;
        self.next_task = head.next_task;
        self.next_batch = head.next_batch;
        self.next_spec = head.next_spec;
        self.next_block = head.next_block;
        self.leases = head.leases;
        for (name, paused) in head.queues {
            let at = self.queue_named(&name);
            self.queues[at].paused = paused;
        }
        self.worker_names =
            head.workers.iter().map(|(id, worker)| (worker.name.clone(), *id)).collect();
        self.workers = head.workers.into_iter().collect();
        self.sessions = head.sessions.into_iter().collect();
        self.unfit = head.unfit;
        head.digest
    }

    /// Rebuilds indexes and counts from the records.
    fn derive(&mut self) {
        let extents: Vec<_> = self.batches.extents().map(|(b, e)| (b, e.run())).collect();
        for (batch, run) in extents {
            let kind = kind_index(&self.batches.spec_of(batch).kind);
            let queue = self.queue_of(batch);
            for (part, task) in self.alike_runs(run) {
                if task.state == State::Absent {
                    continue;
                }
                self.by_kind[kind].insert(part);
                self.by_label.insert(&self.batches.known(batch).options.labels, part);
                self.queues[queue].tasks.insert(part);
                if task.state == State::Delayed && !bug::is(Bug::TimersForgotten) {
                    self.due.insert((task.at, part));
                }
                let priority = task.priority;
                self.count(batch, part, (State::Absent, priority), (task.state, priority));
                if let Some(worker) = self.workers.get_mut(&task.worker) {
                    worker.tasks.insert(part);
                }
            }
        }
        if bug::is(Bug::KeysForgotten) {
            self.batches.keys.clear();
        }
        self.noticed = super::ledger::Noticed::default();
        let ended: IdSet = [State::Done, State::Failed]
            .iter()
            .flat_map(|state| self.in_state(*state).runs())
            .collect();
        let skip = ended.len().saturating_sub(super::ledger::LATEST_MAX as u64);
        if let Some(from) = ended.select(skip) {
            self.latest = ended.runs_from(from).flat_map(TaskRun::ids).collect();
        }
    }

    /// Splits a run where what the indexes look at changes.
    fn alike_runs(&self, run: TaskRun) -> Vec<(TaskRun, Task)> {
        let mut runs: Vec<(TaskRun, Task)> = Vec::new();
        let look = |t: &Task| {
            let due = if t.state == State::Delayed { t.at.0 } else { 0 };
            (t.state, t.priority, t.worker, due)
        };
        let mut at = run.first.raw();
        while at < run.end() {
            let id = TaskId::new(at);
            let task = self.table.get(id);
            let count = self.table.alike_from(id).min(run.end() - at);
            match runs.last_mut() {
                Some((part, same)) if look(same) == look(&task) => part.count += count,
                _ => runs.push((TaskRun { first: id, count }, task)),
            }
            at += count;
        }
        runs
    }
}

/// Tells whether options hold what format 1 did not know.
fn needs_format_3(options: &BatchOptions) -> bool {
    let BatchOptions { labels, after, jobs_max, rate, .. } = options;
    !labels.is_empty() || !after.is_empty() || *jobs_max > 0 || rate.is_some()
}

/// Encodes what an `Arc` points at; sharing is not kept. (serde's own `rc` feature does the same
/// for the whole program.)
pub(super) mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in super::super) fn serialize<T: Serialize, S: Serializer>(
        value: &Arc<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(to)
    }

    pub(in super::super) fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<T>, D::Error> {
        T::deserialize(from).map(Arc::new)
    }
}
