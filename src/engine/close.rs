//! Leases that end become state: what is charged, what the task is next, what is remembered of the
//! attempt. Part of `apply`: refuses nothing, looks at no clock. What follows is decided in
//! retry.rs.

use ganger_proto::{BlockId, Outcome, SessionId, TaskId, WallMs, WorkerId};

use super::event::{Charge, Move, Next};
use super::ledger::{HISTORY_MAX, LATEST_MAX, Ledger, Past};
use super::runs::TaskRun;
use super::task::{State, Task};
use crate::bug::{self, Bug};

impl Ledger {
    /// Puts the newest attempt of tasks that get another one into their history.
    pub(super) fn remember(&mut self, run: TaskRun) {
        let mut ended: Vec<(TaskId, Task)> = Vec::new();
        for (part, records) in self.table.stretches(run) {
            // Nearly all tasks run for the first time.
            if records.iter().any(|task| task.outcome().is_some()) {
                let all = part.ids().map(|id| (id, self.table.get(id)));
                ended.extend(all.filter(|(_, task)| task.outcome().is_some()));
            }
        }
        for (id, task) in ended {
            let past = Past {
                attempt: task.attempt,
                worker: task.worker,
                outcome: task.outcome(),
                at: task.at,
                block: task.block_id(),
            };
            let history = self.history.entry(id).or_default();
            history.push(past);
            let oldest = (history.len() > HISTORY_MAX).then(|| history.remove(0));
            if let Some(block) = oldest.and_then(|past| past.block) {
                self.release_block(block, 1);
            }
            if let Some(known) = self.workers.get_mut(&task.worker) {
                known.tasks.remove(TaskRun::one(id));
            }
        }
    }

    pub(super) fn close(
        &mut self,
        session: SessionId,
        report: Option<(u64, Option<BlockId>)>,
        moves: &[Move],
        at: WallMs,
    ) {
        let block = report.and_then(|(_, block)| block);
        if let Some(block) = block {
            self.next_block = self.next_block.max(block.raw() + 1);
        }
        for step in moves {
            let Some(known) = self.sessions.get_mut(&session) else { return };
            let worker = known.worker;
            let found = known.find(step.leases);
            for (lease, run) in &found {
                if step.charge != Charge::Loss || !bug::is(Bug::FenceMissing) {
                    known.drop_run(*lease, *run);
                }
            }
            for (_, run) in found {
                self.finish(step, Finish { worker, run, block, at });
            }
        }
        if let (Some((number, _)), Some(known)) = (report, self.sessions.get_mut(&session)) {
            known.reported = known.reported.max(number);
        }
    }

    fn finish(&mut self, step: &Move, end: Finish) {
        let Finish { worker, run, block, at } = end;
        if let Some(block) = block {
            *self.blocks.entry(block).or_default() += run.count as u32;
        }
        let (state, when) = match step.next {
            Next::Done => (State::Done, at),
            Next::Failed => (State::Failed, at),
            Next::Cancelled => (State::Cancelled, at),
            Next::Queued => (State::Queued, at),
            Next::Delayed(due) => (State::Delayed, due),
        };
        if state == State::Delayed {
            self.due.insert((when, run));
        }
        let untried =
            step.charge == Charge::Release && step.next == Next::Queued && block.is_none();
        self.change(run, |_, task| {
            task.state = state;
            task.at = when;
            task.forget_cancel();
            task.set_block(block);
            match step.charge {
                Charge::Nothing => task.set_outcome(Some(step.outcome)),
                Charge::Failure => {
                    task.set_outcome(Some(step.outcome));
                    task.failures = task.failures.saturating_add(1);
                }
                Charge::Loss => {
                    task.set_outcome(Some(step.outcome));
                    task.set_lost(task.lost() + 1);
                }
                Charge::Release => {
                    task.releases = task.releases.saturating_add(1);
                    task.attempt = task.attempt.saturating_sub(1);
                    if untried {
                        task.worker = WorkerId::default();
                    } else {
                        task.set_outcome(Some(step.outcome));
                    }
                }
            }
        });
        if step.outcome == Outcome::Unfit {
            for id in run.ids() {
                self.unfit.entry(id).or_default().insert(worker);
            }
        }
        if let Some(known) = self.workers.get_mut(&worker) {
            match (step.outcome, step.charge) {
                (Outcome::Done, _) => known.done += run.count,
                (_, Charge::Release) if untried => known.tasks.remove(run),
                (_, Charge::Release) => {}
                _ => known.failed += run.count,
            }
        }
        self.note_latest(run, step.charge);
    }

    /// Keeps the newest ends for the live list, also of attempts that are followed by another.
    fn note_latest(&mut self, run: TaskRun, charge: Charge) {
        if charge == Charge::Release {
            return;
        }
        let skip = run.count.saturating_sub(LATEST_MAX as u64);
        self.latest.extend(run.ids().skip(skip as usize));
        let over = self.latest.len().saturating_sub(LATEST_MAX);
        self.latest.drain(..over);
    }
}

/// Leases of one worker that end together.
struct Finish {
    worker: WorkerId,
    run: TaskRun,
    block: Option<BlockId>,
    at: WallMs,
}
