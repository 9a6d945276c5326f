//! Tasks that are removed, and all that is kept of them beside their records. Part of `apply`:
//! refuses nothing, looks at no clock. Which tasks go is decided in timers.rs and bulk.rs.

use ganger_proto::{BatchId, BlockId, TaskId, WorkerId};

use super::apply::key;
use super::ledger::{Ledger, kind_index};
use super::runs::TaskRun;
use super::task::Task;

/// Tasks looked at together: what is noted of them on the way stays small.
const PIECE_TASKS: u64 = 1 << 20;

impl Ledger {
    pub(super) fn remove(&mut self, tasks: &[TaskRun]) {
        for run in tasks {
            for (batch, part) in self.batches.split(*run) {
                for piece in part.cut(PIECE_TASKS) {
                    self.forget_attempts(piece);
                    self.forget_beside(piece);
                    self.clear(batch, piece);
                }
                let kind = kind_index(&self.batches.spec_of(batch).kind);
                self.by_kind[kind].remove(part);
                self.by_label.remove(&self.batches.known(batch).options.labels, part);
                let queue = self.queue_of(batch);
                self.queues[queue].tasks.remove(part);
                let known = self.batches.known(batch);
                if known.complete && known.tally.open() + known.tally.ended() == 0 {
                    self.batches.forget(batch);
                }
            }
        }
        let first = self.batches.first_task().map_or(self.next_task, TaskId::raw);
        self.table.trim(first);
    }

    /// Takes records away and follows them in all indexes.
    fn clear(&mut self, batch: BatchId, run: TaskRun) {
        let mut shifts = Vec::new();
        self.table.clear(run, key, |run, from, to| shifts.push((run, from, to)));
        for (run, from, to) in shifts {
            self.count(batch, run, from, to);
        }
    }

    /// Forgets who ran tasks last, and their newest results; a page whose tasks never ran at a
    /// glance.
    fn forget_attempts(&mut self, run: TaskRun) {
        let mut ran: Vec<(WorkerId, TaskRun)> = Vec::new();
        let mut blocks: Vec<(BlockId, u64)> = Vec::new();
        let mut note = |run: TaskRun, task: &Task| {
            match ran.last_mut() {
                Some((same, open)) if *same == task.worker && open.end() == run.first.raw() => {
                    open.count += run.count;
                }
                _ if task.worker == WorkerId::default() => {}
                _ => ran.push((task.worker, run)),
            }
            match (task.block_id(), blocks.last_mut()) {
                (Some(block), Some((same, count))) if *same == block => *count += run.count,
                (Some(block), _) => blocks.push((block, run.count)),
                (None, _) => {}
            }
        };
        for (part, records) in self.table.stretches(run) {
            match records {
                [alike] => note(part, alike),
                each => part.ids().zip(each).for_each(|(id, task)| note(TaskRun::one(id), task)),
            }
        }
        for (worker, run) in ran {
            if let Some(known) = self.workers.get_mut(&worker) {
                known.tasks.remove(run);
            }
        }
        for (block, count) in blocks {
            self.release_block(block, u32::try_from(count).unwrap_or(u32::MAX));
        }
    }

    /// Forgets earlier attempts, outputs, and who cannot run tasks: what few of them have.
    fn forget_beside(&mut self, run: TaskRun) {
        let ids = run.first..TaskId::new(run.end());
        let tried: Vec<TaskId> = self.history.range(ids.clone()).map(|(id, _)| *id).collect();
        for id in tried {
            let past = self.history.remove(&id).unwrap_or_default();
            for block in past.into_iter().filter_map(|past| past.block) {
                self.release_block(block, 1);
            }
        }
        let unfit: Vec<TaskId> = self.unfit.range(ids).map(|(id, _)| *id).collect();
        for id in unfit {
            self.unfit.remove(&id);
        }
        if self.outputs.count_in(run) > 0 {
            let all = self.outputs.runs_from(run.first).flat_map(TaskRun::ids);
            self.noticed.outputs.extend(all.take_while(|id| id.raw() < run.end()));
            self.outputs.remove(run);
        }
    }
}
