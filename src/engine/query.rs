//! Answers to questions: rows of tasks, batches, queues and workers. Changes nothing.

use std::collections::BTreeSet;

use ganger_proto::command::TaskDetail;
use ganger_proto::gang::What;
use ganger_proto::picture::{BatchRow, Counts, Gang, QueueRow, TaskRow, WorkerRow, WorkerState};
use ganger_proto::{
    Actor, Args, BatchId, BlockId, Lane, PerLane, Role, SessionId, TaskId, TaskState, WallMs,
    WorkerId,
};

use super::Engine;
use super::batch::Tally;
use super::class::Used;
use super::ledger::Past;
use super::roster::{Live, Session};
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

    /// Returns all workers that the journal knows, the connected ones first, each with its session;
    /// addresses and round trips are the driver's to add.
    pub fn worker_rows(&self, now: Now) -> Vec<(Option<SessionId>, WorkerRow)> {
        let mut rows = Vec::new();
        let mut here = BTreeSet::new();
        for id in self.soft.live.keys() {
            if let Some((worker, row)) = self.live_row(now, *id) {
                here.insert(worker);
                rows.push((Some(*id), row));
            }
        }
        for (id, worker) in self.ledger.workers.iter().filter(|(id, _)| !here.contains(*id)) {
            let mut row = blank_row(worker);
            if let Some(gone) = self.soft.gone.get(id) {
                row.state = gone.state;
                row.since = gone.since;
                row.version.clone_from(&gone.version);
                row.policy.clone_from(&gone.policy);
                row.labels.clone_from(&gone.labels);
            }
            rows.push((None, row));
        }
        rows.sort_by(|(_, a), (_, b)| (a.state as u8, &a.name).cmp(&(b.state as u8, &b.name)));
        rows
    }

    fn live_row(&self, now: Now, id: SessionId) -> Option<(WorkerId, WorkerRow)> {
        let live = self.soft.live.get(&id)?;
        let session = self.ledger.sessions.get(&id)?;
        let worker = self.ledger.workers.get(&session.worker)?;
        let mut row = blank_row(worker);
        row.state = match (live.connected, live.draining || worker.drained) {
            (true, _) if live.silent => WorkerState::Away,
            (true, true) => WorkerState::Draining,
            (true, false) => WorkerState::Up,
            (false, _) => WorkerState::Away,
        };
        row.since = live.since;
        row.version.clone_from(&live.version);
        row.policy.clone_from(&live.policy);
        row.labels.clone_from(&live.profile.labels);
        row.slots = live.profile.slots.cpu;
        row.io_slots = live.profile.slots.io;
        let (running, busy) = self.running_on(session, live);
        row.busy = busy;
        row.running = u32::try_from(running).unwrap_or(u32::MAX).max(live.load.running);
        let waiting = session.holds().saturating_sub(running);
        row.waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        row.io_running = self.running_in_io(live, session).min(row.running);
        row.cpu_permille = live.load.cpu_permille;
        row.memory_permille = live.load.memory_permille;
        row.done_per_s = live.recent.per_s(now.mono_ms);
        row.beat_ms = now.mono_ms.saturating_sub(live.heard_ms);
        Some((session.worker, row))
    }

    /// Returns how many tasks run in the lane for those that mostly wait.
    fn running_in_io(&self, live: &Live, session: &Session) -> u32 {
        // Most workers have none there, and are not looked through.
        if live.used.slots.io == 0 {
            return 0;
        }
        let batches = &self.ledger.batches;
        let parts = session.held().flat_map(|(_, run)| batches.parts(run));
        let in_io = parts.filter(|(batch, _)| {
            let class = batches.classes.get(batches.known(*batch).class);
            live.profile.takes(class) == Ok(Lane::Io)
        });
        let running: u64 = in_io.map(|(_, part)| self.soft.running.count_in(part)).sum();
        u32::try_from(running).unwrap_or(u32::MAX)
    }

    /// Returns how many tasks a session runs, and how many slots they take. Short tasks are never
    /// said to have started, but the worker counts them when it beats: those are taken to run in
    /// the lane that has leases for them.
    fn running_on(&self, session: &Session, live: &Live) -> (u64, PerLane) {
        let batches = &self.ledger.batches;
        let (mut running, mut used) = (0, Used::default());
        for (_, run) in session.held().filter(|(_, run)| self.soft.running.count_in(*run) > 0) {
            for (batch, part) in batches.parts(run) {
                let class = batches.classes.get(batches.known(batch).class);
                let count = self.soft.running.count_in(part);
                used.add(class, live.profile.takes(class).unwrap_or_default(), count);
                running += count;
            }
        }
        let mut busy = used.slots;
        let mut unsaid =
            live.load.running.saturating_sub(u32::try_from(running).unwrap_or(u32::MAX));
        for lane in Lane::ALL {
            let most = live.profile.slots.of(lane).min(live.used.slots.of(lane));
            let more = unsaid.min(most.saturating_sub(busy.of(lane)));
            *busy.of_mut(lane) += more;
            unsaid -= more;
        }
        (running, busy)
    }

    /// Returns all workers in numbers.
    pub fn gang(&self, now: Now) -> Gang {
        let mut gang = Gang::default();
        for (_, row) in self.worker_rows(now) {
            match row.state {
                WorkerState::Up | WorkerState::Draining => {
                    gang.up += 1;
                    gang.draining += u32::from(row.state == WorkerState::Draining);
                    gang.slots += row.slots;
                    gang.busy += row.busy.cpu.min(row.slots);
                }
                WorkerState::Away | WorkerState::Lost => gang.lost += 1,
                WorkerState::Gone | WorkerState::Revoked => {}
            }
        }
        gang
    }

    /// Marks a worker's leaving as what it was, for the screen.
    pub fn note_revoked(&mut self, now: Now, name: &ganger_proto::Name) {
        let Some(worker) = self.ledger.worker_names.get(name).copied() else { return };
        let sessions = self.sessions_of(worker);
        let holds = sessions.iter().filter_map(|id| self.ledger.sessions.get(id));
        let holds = holds.map(Session::holds).sum();
        self.note(now, worker, What::Revoked { holds });
        if let Some(gone) = self.soft.gone.get_mut(&worker) {
            gone.state = WorkerState::Revoked;
        }
        for session in sessions {
            self.expire(now, session);
            self.say_gone(now, session, WorkerState::Revoked);
            self.end_session(session);
        }
    }
}

fn blank_row(worker: &super::roster::Worker) -> WorkerRow {
    WorkerRow {
        name: worker.name.clone(),
        state: WorkerState::Gone,
        since: WallMs(0),
        address: String::new(),
        version: String::new(),
        policy: String::new(),
        labels: Vec::new(),
        slots: 0,
        io_slots: 0,
        busy: PerLane::default(),
        running: 0,
        io_running: 0,
        waiting: 0,
        cpu_permille: 0,
        memory_permille: 0,
        rtt_us: 0,
        beat_ms: 0,
        done: worker.done,
        failed: worker.failed,
        done_per_s: 0.0,
        certificate_ends: None,
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
