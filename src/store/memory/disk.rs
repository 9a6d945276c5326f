//! The imagined disk of a store in memory: its state, and what a crash would leave of it. Does not
//! decide what fails; see the parent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ganger_proto::{BlockId, Epoch, TaskId, WallMs};

use super::super::{
    AppendError, Batch, Logged, OUTPUT_BYTES_KEPT_MAX, Output, OutputKey, Seq, Term, stream_code,
};
use super::{Fault, Syncing};

#[derive(Debug, Default)]
pub(super) struct Disk {
    /// As the running master sees it.
    pub(super) state: State,
    /// The state before each append since the last sync.
    pub(super) unsynced: Vec<State>,
    pub(super) syncing: Syncing,
    pub(super) epoch: Epoch,
    /// The epoch whose append was ambiguous; it may not write again.
    pub(super) stopped: Option<Epoch>,
    pub(super) faults: VecDeque<Fault>,
}

/// Bodies are shared, so that the copies kept for a crash cost pointers.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) last: Seq,
    pub(super) log: BTreeMap<Seq, Arc<Logged>>,
    pub(super) snapshots: BTreeMap<Seq, Vec<Arc<[u8]>>>,
    pub(super) writing: BTreeMap<(Seq, u32), Arc<[u8]>>,
    pub(super) blocks: BTreeMap<BlockId, Arc<[u8]>>,
    /// By task, attempt and stream, with its age.
    pub(super) outputs: BTreeMap<(TaskId, u32, u8), (u64, Arc<Output>)>,
    pub(super) parts: BTreeMap<(OutputKey, u32), Arc<[u8]>>,
    pub(super) by_age: BTreeMap<u64, (TaskId, u32, u8)>,
    pub(super) output_bytes: u64,
    pub(super) age: u64,
}

impl Disk {
    pub(super) fn check(&self, term: &Term) -> Result<(), AppendError> {
        if term.epoch != self.epoch {
            return Err(AppendError::Fenced);
        }
        if self.stopped == Some(term.epoch) {
            let what = "an earlier append had no answer".to_owned();
            return Err(AppendError::Ambiguous(what));
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, epoch: Epoch, now: WallMs, batches: &[Batch]) {
        match self.syncing {
            Syncing::EachAppend => self.unsynced.clear(),
            Syncing::ByHand => self.unsynced.push(self.state.clone()),
        }
        for batch in batches {
            self.state.apply(epoch, now, batch);
        }
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn synced_seq(&self) -> Seq {
        self.unsynced.first().map_or(self.state.last, |before| before.last)
    }
}

impl State {
    pub(super) fn apply(&mut self, epoch: Epoch, at: WallMs, batch: &Batch) {
        let durable = self.last;
        self.last = durable.next();
        let (data, digest) = (batch.data.clone(), batch.digest);
        let row = Logged { seq: self.last, epoch, at, data, digest, durable };
        self.log.insert(self.last, Arc::new(row));
        for (id, data) in &batch.blocks {
            self.blocks.insert(*id, data.as_slice().into());
        }
        for output in &batch.outputs {
            self.put_output(output);
        }
        for id in &batch.drop_blocks {
            self.blocks.remove(id);
        }
        for task in &batch.drop_outputs {
            let all = (*task, 0, 0)..=(*task, u32::MAX, u8::MAX);
            let keys: Vec<_> = self.outputs.range(all).map(|(key, _)| *key).collect();
            for key in keys {
                self.drop_output(key);
            }
        }
        while self.output_bytes > OUTPUT_BYTES_KEPT_MAX {
            let Some(oldest) = self.by_age.values().next().copied() else { break };
            self.drop_output(oldest);
        }
    }

    pub(super) fn put_output(&mut self, output: &Output) {
        let key = (output.task, output.attempt, stream_code(output.stream));
        let known = self.forget_output(key);
        if known.is_some_and(|known| known.is_in_parts()) && !output.is_in_parts() {
            self.drop_parts(output.key());
        }
        self.age += 1;
        self.output_bytes += output.kept();
        self.by_age.insert(self.age, key);
        self.outputs.insert(key, (self.age, Arc::new(output.clone())));
    }

    pub(super) fn drop_output(&mut self, key: (TaskId, u32, u8)) {
        if let Some(output) = self.forget_output(key) {
            self.drop_parts(output.key());
        }
    }

    pub(super) fn forget_output(&mut self, key: (TaskId, u32, u8)) -> Option<Arc<Output>> {
        let (age, output) = self.outputs.remove(&key)?;
        self.by_age.remove(&age);
        self.output_bytes -= output.kept();
        Some(output)
    }

    /// Drops parts of outputs whose transfer was never finished.
    pub(super) fn drop_needless(&mut self) {
        let outputs = &self.outputs;
        self.parts.retain(|(of, _), _| {
            let known = outputs.get(&(of.task, of.attempt, stream_code(of.stream)));
            known.is_some_and(|(_, output)| output.is_in_parts())
        });
    }

    pub(super) fn drop_parts(&mut self, of: OutputKey) {
        let parts: Vec<_> = self.parts.range((of, 0)..=(of, u32::MAX)).map(|(k, _)| *k).collect();
        for part in parts {
            self.parts.remove(&part);
        }
    }
}
