//! Batches that wait for others: what becomes of their blocked tasks when those have ended.

use std::collections::BTreeSet;

use ganger_proto::BatchId;

use super::Engine;
use super::batch::Before;
use super::event::{Change, Event};
use super::runs::IdSet;
use super::task::State;
use crate::clock::Now;

impl Engine {
    /// Settles everything that waits for batches that have ended, and for those that end by that.
    pub(super) fn settle_after(&mut self, now: Now) {
        let mut seen = 0;
        while let Some(ended) = self.ledger.noticed.batches_ended.get(seen).copied() {
            seen += 1;
            for waiting in self.ledger.batches.waiting_for(ended) {
                self.settle(now, waiting);
            }
        }
    }

    /// Lets a batch's blocked tasks go on, or fails them, when those it waits for have ended.
    pub(super) fn settle(&mut self, now: Now, batch: BatchId) {
        let Some(known) = self.ledger.batches.all.get(&batch) else { return };
        if known.tally.of(State::Blocked) == 0 {
            return;
        }
        let to = match (self.ledger.batches.before(batch), known.options.not_before) {
            (Before::Open, _) => return,
            (Before::Missed, _) => Change::Missed,
            (Before::Met, Some(due)) if due > now.wall => Change::Delayed(due),
            (Before::Met, _) => Change::Due,
        };
        let blocked = self.ledger.in_state(State::Blocked);
        let of_batch: IdSet = self.ledger.batches.runs_of(batch).collect();
        let tasks = blocked.and(&of_batch).runs().collect();
        self.commit(Event::Set { tasks, to, at: now.wall });
    }

    /// Returns the batches that one waits for and that have not ended.
    pub(super) fn open_before(&self, batch: BatchId) -> BTreeSet<BatchId> {
        let batches = &self.ledger.batches;
        let after = batches.all.get(&batch).map_or(&[][..], |known| &known.options.after);
        let open = |id: &BatchId| batches.all.get(id).is_some_and(|known| !known.is_finished());
        after.iter().map(|after| after.batch).filter(open).collect()
    }
}
