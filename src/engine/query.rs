//! Answers to questions: rows of tasks, batches and queues. Changes nothing.

use ganger_proto::command::TaskDetail;
use ganger_proto::picture::{BatchRow, Counts, QueueRow, TaskRow};
use ganger_proto::{Actor, Args, BatchId, BlockId, Role, TaskId, TaskState, WallMs, WorkerId};

use super::Engine;
use super::batch::Tally;
use super::ledger::Past;
use super::runs::{IdSet, TaskRun};
use super::sieve::{Place, write_command};
use super::task::{State, Task};
use crate::clock::Now;

/// Characters of a command shown in a row.
const COMMAND_CHARS_MAX: usize = 256;

impl Engine {
    /// Returns all tasks by state, running ones apart from sent ones.
    pub fn counts(&self) -> Counts {
        let mut counts = counts_of(&self.ledger.tally);
        counts.running = self.soft.running.len();
        counts.sent = counts.sent.saturating_sub(counts.running);
        counts
    }

    /// Returns a batch on one line.
    pub fn batch_row(&self, id: BatchId) -> Option<BatchRow> {
        let batch = self.ledger.batches.all.get(&id)?;
        let ended = batch.complete && batch.tally.open() == 0;
        Some(BatchRow {
            batch: id,
            name: batch.options.name.clone(),
            kind: self.ledger.batches.spec_of(id).kind.to_string(),
            queue: batch.options.queue.clone(),
            owner: batch.owner.to_string(),
            submitted: batch.submitted,
            ended: ended.then_some(batch.newest_end.max(batch.submitted)),
            complete: batch.complete,
            eta_ms: eta_ms(batch),
            after: self.open_before(id).into_iter().collect(),
            counts: counts_of(&batch.tally),
        })
    }

    /// Returns up to `rows` batches before `before`, the newest first; a submitter sees its own.
    pub fn batch_rows(&self, actor: &Actor, before: Option<BatchId>, rows: usize) -> Vec<BatchRow> {
        let end = before.map_or(BatchId::new(u64::MAX), |before| before);
        let all = self.ledger.batches.all.range(..end).rev();
        let seen = all.filter(|(_, batch)| actor.role != Role::Submitter || batch.owner == *actor);
        seen.take(rows).filter_map(|(id, _)| self.batch_row(*id)).collect()
    }

    /// Returns the newest batch; a submitter's own newest.
    pub fn newest_batch(&self, actor: &Actor) -> Option<BatchId> {
        self.batch_rows(actor, None, 1).first().map(|row| row.batch)
    }

    /// Tells whether an actor may see a batch.
    pub fn may_see(&self, actor: &Actor, batch: BatchId) -> bool {
        let known = self.ledger.batches.all.get(&batch);
        actor.role != Role::Submitter || known.is_some_and(|known| known.owner == *actor)
    }

    /// Returns all queues on a line each.
    pub fn queue_rows(&self) -> Vec<QueueRow> {
        let row = |queue: &super::queue::Queue| QueueRow {
            name: queue.name.clone(),
            paused: queue.paused,
            counts: counts_of(&queue.tally),
        };
        self.ledger.queues.iter().map(row).collect()
    }

    /// Returns the ended tasks of a batch after `after`, with where their results are.
    pub fn ended_of(&self, batch: BatchId, after: TaskId, rows: usize) -> Vec<(TaskId, u64, Task)> {
        let mut found = Vec::new();
        for run in self.ledger.batches.runs_of(batch) {
            if run.end() - 1 <= after.raw() {
                continue;
            }
            let Some((_, extent)) = self.ledger.batches.of_task(run.first) else { continue };
            let from = run.first.max(after.plus(1));
            let ids = self.ended_between(from, run.end(), rows - found.len());
            found.extend(ids.into_iter().map(|id| {
                (id, extent.index + id.raw() - extent.first.raw(), self.ledger.task(id))
            }));
            if found.len() >= rows {
                break;
            }
        }
        found
    }

    /// Returns the first `count` ended tasks from `from` to before `end`; reads indexes alone, so
    /// that tasks that have not ended cost nothing.
    fn ended_between(&self, from: TaskId, end: u64, count: usize) -> Vec<TaskId> {
        let mut found: Vec<TaskId> = Vec::new();
        for state in [State::Done, State::Failed, State::Cancelled] {
            let ids = self.ledger.in_state(state).runs_from(from).flat_map(TaskRun::ids);
            found.extend(ids.take_while(|id| id.raw() < end).take(count));
        }
        found.sort_unstable();
        found.truncate(count);
        found
    }

    /// Returns the tasks of a batch that are in runs.
    pub fn within(&self, batch: BatchId, runs: impl Iterator<Item = TaskRun>) -> IdSet {
        let all: IdSet = self.ledger.batches.runs_of(batch).collect();
        let Some(oldest) = all.first() else { return IdSet::default() };
        // What lies outside would cost memory before it is left out.
        let clipped = runs.filter_map(|run| {
            let first = run.first.max(oldest);
            let end = run.end().min(self.ledger.next_task);
            let count = end.checked_sub(first.raw()).filter(|count| *count > 0)?;
            Some(TaskRun { first, count })
        });
        clipped.collect::<IdSet>().and(&all)
    }

    /// Returns up to `rows` ended tasks of a batch that are not in `told`, the oldest ends first.
    pub fn ended_besides(
        &self,
        batch: BatchId,
        told: &IdSet,
        rows: usize,
    ) -> Vec<(TaskId, u64, Task)> {
        let all: IdSet = self.ledger.batches.runs_of(batch).collect();
        let mut ended = IdSet::default();
        for state in [State::Done, State::Failed, State::Cancelled] {
            ended.extend(&self.ledger.in_state(state).and(&all));
        }
        let left = ended.minus(told).front(rows as u64);
        let row = |id: TaskId| {
            let (_, extent) = self.ledger.batches.of_task(id)?;
            Some((id, extent.index + id.raw() - extent.first.raw(), self.ledger.task(id)))
        };
        let mut found: Vec<_> = left.into_iter().flat_map(TaskRun::ids).filter_map(row).collect();
        found.sort_by_key(|(id, _, task)| (task.at, *id));
        found
    }

    /// Returns a task's argument; nothing when it has none.
    pub fn argument_of(&self, id: TaskId) -> Option<Vec<u8>> {
        let (_, extent) = self.ledger.batches.of_task(id)?;
        match extent.args.as_ref() {
            Args::Repeat { .. } => None,
            args @ (Args::Listed(_) | Args::Range { .. }) => {
                let mut argument = Vec::new();
                args.write(id.raw() - extent.first.raw(), &mut argument);
                Some(argument)
            }
        }
    }

    /// Returns a task on one line.
    pub fn task_row(&self, now: Now, id: TaskId) -> Option<TaskRow> {
        let task = self.ledger.task(id);
        if task.state == State::Absent {
            return None;
        }
        let place = self.place_of(id)?;
        let (batch_id, batch) = (place.id, place.batch);
        let since = if task.at == WallMs(0) { batch.submitted } else { task.at };
        let delayed = task.state == State::Delayed;
        Some(TaskRow {
            task: id,
            batch: batch_id,
            state: self.shown_state(id, &task),
            priority: task.priority,
            queue: batch.options.queue.clone(),
            kind: place.kind.to_string(),
            command: command_text(&place, id),
            attempt: u32::from(task.attempt),
            attempts_max: u32::from(batch.options.retries) + 1,
            worker: self.worker_of(&task),
            outcome: task.outcome(),
            took_us: task.took.us(),
            since: if delayed { now.wall } else { since },
            submitted: batch.submitted,
            due: delayed.then_some(task.at),
            cancelling: task.is_cancelling(),
        })
    }

    /// Returns a task's state as people see it.
    pub fn shown_state(&self, id: TaskId, task: &Task) -> TaskState {
        match task.state {
            State::Blocked => TaskState::Blocked,
            State::Delayed => TaskState::Delayed,
            State::Leased if self.soft.running.contains(id) => TaskState::Running,
            State::Leased => TaskState::Sent,
            State::Done => TaskState::Done,
            State::Failed => TaskState::Failed,
            State::Cancelled => TaskState::Cancelled,
            State::Queued | State::Absent => TaskState::Queued,
        }
    }

    /// Returns the name of the worker that holds or ran a task; empty when none did.
    pub fn worker_of(&self, task: &Task) -> String {
        if task.worker == WorkerId::default() {
            return String::new();
        }
        self.ledger.worker_name(task.worker).to_owned()
    }

    /// Returns everything about a task but its attempts, and its attempts with where their results
    /// are, the oldest first. Values of the environment are masked for those who may not see them.
    pub fn detail(&self, now: Now, actor: &Actor, id: TaskId) -> Option<(TaskDetail, Vec<Past>)> {
        let row = self.task_row(now, id)?;
        let task = self.ledger.task(id);
        let (batch_id, extent) = self.ledger.batches.of_task(id)?;
        let batch = self.ledger.batches.known(batch_id);
        let mut spec = self.ledger.batches.spec_of(batch_id).as_ref().clone();
        if batch.owner != *actor && actor.role != Role::Operator {
            for (_, value) in &mut spec.env {
                "***".clone_into(value);
            }
        }
        let place = id.raw() - extent.first.raw();
        let mut argument = Vec::new();
        extent.args.write(place, &mut argument);
        let mut pasts = self.ledger.history.get(&id).cloned().unwrap_or_default();
        if task.outcome().is_some() {
            pasts.push(Past {
                attempt: task.attempt,
                worker: task.worker,
                outcome: task.outcome(),
                at: if task.state == State::Delayed { now.wall } else { task.at },
                block: task.block_id(),
            });
        }
        let detail = TaskDetail {
            row,
            index: extent.index + place,
            spec,
            options: batch.options.clone(),
            argument,
            owner: batch.owner.to_string(),
            failures: u32::from(task.failures),
            lost: u32::from(task.lost()),
            attempts: Vec::new(),
        };
        Some((detail, pasts))
    }

    /// Returns the block with a task's newest result.
    pub fn block_of(&self, id: TaskId) -> Option<BlockId> {
        self.ledger.task(id).block_id()
    }
}

/// The mean time between two ends so far, as often as tasks are open.
fn eta_ms(batch: &super::batch::Batch) -> Option<u64> {
    let (open, ended) = (batch.tally.open(), batch.tally.ended());
    let took = batch.newest_end.since(batch.submitted);
    let all = u128::from(took) * u128::from(open);
    let known = open > 0 && ended > 0 && took > 0;
    known.then(|| u64::try_from(all / u128::from(ended)).unwrap_or(u64::MAX))
}

fn counts_of(tally: &Tally) -> Counts {
    Counts {
        blocked: tally.of(State::Blocked),
        delayed: tally.of(State::Delayed),
        queued: tally.of(State::Queued),
        sent: tally.of(State::Leased),
        running: 0,
        done: tally.of(State::Done),
        failed: tally.of(State::Failed),
        cancelled: tally.of(State::Cancelled),
    }
}

/// Returns what a task runs, for people.
fn command_text(place: &Place<'_>, id: TaskId) -> String {
    let (mut argument, mut bytes) = (Vec::new(), Vec::new());
    write_command(place, id, &mut argument, &mut bytes);
    let cut = &bytes[..bytes.len().min(4 * COMMAND_CHARS_MAX)];
    String::from_utf8_lossy(cut).chars().take(COMMAND_CHARS_MAX).collect()
}
