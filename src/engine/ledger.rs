//! The durable state: everything that a replay of the journal must give again. Only apply.rs
//! changes it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ganger_proto::{
    BatchId, BlockId, Epoch, Kind, LeaseId, Outcome, QueueName, SessionId, TaskId, WallMs,
    WorkerId, WorkerName,
};
use serde::{Deserialize, Serialize};

use super::batch::{Batches, Tally};
use super::index::{ByLabel, ByPriority};
use super::queue::Queue;
use super::roster::{Session, Worker};
use super::runs::{IdSet, TaskRun};
use super::table::Table;
use super::task::{State, Task};

/// The place of a queue in [`Ledger::queues`].
pub type QueueAt = usize;

/// Everything durable.
#[derive(Debug, Default)]
pub struct Ledger {
    /// The newest master's life.
    pub epoch: Epoch,
    /// The id that the next task gets.
    pub next_task: u64,
    /// The id that the next batch gets.
    pub next_batch: u64,
    /// The number that the next spec gets.
    pub next_spec: u32,
    /// The id that the next block of results gets.
    pub next_block: u64,
    /// Leases granted in this epoch.
    pub leases: u64,
    /// The tasks' records.
    pub table: Table,
    /// All tasks by state.
    pub tally: Tally,
    /// Tasks of finished batches.
    pub finished: u64,
    /// Tasks by state; the one of absent tasks stays empty.
    pub by_state: [IdSet; State::COUNT],
    /// Tasks by kind, in the order of [`kind_index`].
    pub by_kind: [IdSet; 5],
    /// Tasks by priority.
    pub by_priority: ByPriority,
    /// Tasks by label.
    pub by_label: ByLabel,
    /// Batches, extents, specs.
    pub batches: Batches,
    /// Queues in the order they were made.
    pub queues: Vec<Queue>,
    /// Workers by number.
    pub workers: BTreeMap<WorkerId, Worker>,
    /// Workers by name.
    pub worker_names: BTreeMap<WorkerName, WorkerId>,
    /// Sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// Delayed tasks by when they are due; entries of tasks that are not delayed any more are
    /// passed over.
    pub due: BTreeSet<(WallMs, TaskRun)>,
    /// Earlier attempts of tasks that had more than one, the oldest first.
    pub history: BTreeMap<TaskId, Vec<Past>>,
    /// Workers that cannot run a task, as they said.
    pub unfit: BTreeMap<TaskId, BTreeSet<WorkerId>>,
    /// Blocks of results and how many attempts' results in them are still wanted.
    pub blocks: BTreeMap<BlockId, u32>,
    /// Tasks with output in the store.
    pub outputs: IdSet,
    /// The newest ends, the newest last; not journaled on its own.
    pub latest: VecDeque<TaskId>,
    /// Sums over ids by state: two runs of events that gave different states differ here.
    pub digest: Digest,
    /// What apply noticed for the driver; drained by it.
    pub noticed: Noticed,
}

/// What `apply` noticed on the way.
#[derive(Debug, Default)]
pub struct Noticed {
    /// Batches whose last open task ended.
    pub batches_ended: Vec<BatchId>,
    /// Blocks that nobody wants any more.
    pub blocks: Vec<BlockId>,
    /// Tasks whose outputs nobody wants any more.
    pub outputs: Vec<TaskId>,
    /// Tasks that ended well, and otherwise.
    pub ended: (u64, u64),
}

/// An earlier attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// Its number.
    pub attempt: u16,
    /// Who ran it.
    pub worker: WorkerId,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When.
    pub at: WallMs,
    /// Where its result is.
    pub block: Option<BlockId>,
}

/// Earlier attempts kept of one task.
pub const HISTORY_MAX: usize = 16;
/// Newest ends kept for the live list.
pub const LATEST_MAX: usize = 256;

/// Reports and specs that a store numbers, with room for what runs when they are used up.
const NUMBERS_MAX: u64 = u32::MAX as u64 - (1 << 24);

impl Ledger {
    /// Tells whether the numbers of reports or specs, which are 32 bits in the store, come to their
    /// end: then nothing new begins, and what runs can still be told.
    pub fn is_used_up(&self) -> bool {
        self.next_block > NUMBERS_MAX || u64::from(self.next_spec) > NUMBERS_MAX
    }

    /// Returns an empty state.
    pub fn new() -> Self {
        let mut ledger =
            Self { next_task: 1, next_batch: 1, next_spec: 1, next_block: 1, ..Self::default() };
        ledger.queue_named(&QueueName::from_lossy("default"));
        ledger
    }

    /// Returns a task's record; absent when there is none.
    pub fn task(&self, task: TaskId) -> Task {
        let given = 1..self.next_task;
        if given.contains(&task.raw()) { self.table.get(task) } else { Task::default() }
    }

    /// Returns the place of a queue, making it when there is none.
    pub fn queue_named(&mut self, name: &QueueName) -> QueueAt {
        self.find_queue(name).unwrap_or_else(|| {
            self.queues.push(Queue::new(name.clone()));
            self.queues.len() - 1
        })
    }

    /// Returns the place of a queue.
    pub fn find_queue(&self, name: &QueueName) -> Option<QueueAt> {
        self.queues.iter().position(|queue| queue.name == *name)
    }

    /// Returns the place of a batch's queue.
    pub fn queue_of(&self, batch: BatchId) -> QueueAt {
        let name = &self.batches.known(batch).options.queue;
        self.find_queue(name).expect("a batch's queue was made when the batch was opened")
    }

    /// Returns the tasks in one state.
    pub fn in_state(&self, state: State) -> &IdSet {
        &self.by_state[state as usize]
    }

    /// Returns all tasks that are there.
    pub fn all_tasks(&self) -> IdSet {
        let mut all = IdSet::default();
        for state in State::PRESENT {
            all.extend(self.in_state(state));
        }
        all
    }

    /// Returns all tasks that have ended.
    pub fn ended_tasks(&self) -> IdSet {
        let mut ended = self.in_state(State::Done).clone();
        ended.extend(self.in_state(State::Failed));
        ended.extend(self.in_state(State::Cancelled));
        ended
    }

    /// Returns a worker's name; `?` for one that the journal does not know.
    pub fn worker_name(&self, worker: WorkerId) -> &str {
        self.workers.get(&worker).map_or("?", |known| known.name.as_str())
    }

    /// Returns the session that holds a task's current lease.
    pub fn holder(&self, task: &Task) -> Option<SessionId> {
        let run = ganger_proto::message::LeaseRun { first: task.lease_id(), count: 1 };
        let of_worker = |s: &&Session| s.worker == task.worker;
        let mut sessions = self.sessions.iter().filter(|(_, session)| of_worker(session));
        sessions.find(|(_, session)| !session.find(run).is_empty()).map(|(id, _)| *id)
    }

    /// Returns the lease after the newest one.
    pub const fn next_lease(&self) -> LeaseId {
        LeaseId { epoch: self.epoch, counter: self.leases + 1 }
    }
}

/// Returns a kind's place in [`Ledger::by_kind`].
pub const fn kind_index(kind: &Kind) -> usize {
    match kind {
        Kind::Square => 0,
        Kind::Sleep => 1,
        Kind::Exec { .. } => 2,
        Kind::Shell { .. } => 3,
        Kind::Handler { .. } => 4,
    }
}

/// The kinds' words in the order of [`kind_index`].
pub const KIND_WORDS: [&str; 5] = ["square", "sleep", "exec", "shell", "handler"];

/// For each state the sum of its tasks' ids and of their squares, in closed form for a run, so that
/// keeping it costs nothing per task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest([(u128, u128); State::COUNT]);

impl Digest {
    /// Follows a run from one state to another.
    pub fn shift(&mut self, run: TaskRun, from: State, to: State) {
        let (n, a) = (u128::from(run.count), u128::from(run.first.raw()));
        let sum = n * (2 * a + n - 1) / 2;
        let squares = n * a * a + a * n * (n - 1) + (n - 1) * n * (2 * n - 1) / 6;
        let (from, to) = (from as usize, to as usize);
        self.0[from].0 = self.0[from].0.wrapping_sub(sum);
        self.0[from].1 = self.0[from].1.wrapping_sub(squares);
        self.0[to].0 = self.0[to].0.wrapping_add(sum);
        self.0[to].1 = self.0[to].1.wrapping_add(squares);
    }

    /// Returns the digest as bytes, together with the counters given.
    pub fn bytes(&self, counters: &[u64]) -> [u8; 16] {
        const ODD: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;
        // What no task is in counts for nothing, so that a state that a format adds does not change
        // the digest of what formats before it kept.
        let blocked = self.0[State::Blocked as usize];
        let last = if blocked == (0, 0) { State::Blocked as usize } else { State::COUNT };
        let sums = self.0[1..last].iter().flat_map(|(sum, squares)| [*sum, *squares]);
        let all = sums.chain(counters.iter().map(|c| u128::from(*c)));
        let mix = |acc: u128, value: u128| (acc ^ value).wrapping_mul(ODD).rotate_left(41);
        all.fold(ODD, mix).to_le_bytes()
    }
}

impl Ledger {
    /// Returns the digest of the state: equal for equal states.
    pub fn digest(&self) -> [u8; 16] {
        let counters = [
            self.next_task,
            self.next_batch,
            self.leases,
            u64::from(self.epoch.raw()),
            self.batches.all.len() as u64,
            self.sessions.values().map(Session::holds).sum(),
        ];
        self.digest.bytes(&counters)
    }
}
