//! Queues: named orders of tasks, numbered in the order they were made, and what is ready in them.
//! Decides which tasks go next; does not know who gets them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use ganger_proto::{BatchId, QueueName};

use super::batch::Tally;
use super::runs::{IdSet, TaskRun};

/// One grant in this many goes to a lower priority, so that nothing starves.
const LOWER_EVERY: u32 = 16;

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    /// Its name.
    pub name: QueueName,
    /// Whether it grants nothing.
    pub paused: bool,
    /// Its tasks by state.
    pub tally: Tally,
    /// All its tasks, for filters.
    pub tasks: IdSet,
    levels: BTreeMap<Reverse<i16>, Level>,
    ready: u64,
    picks: u32,
}

/// What is ready in a queue at one priority: a set per batch, and whose turn it is.
#[derive(Clone, Debug, Default)]
struct Level {
    sets: BTreeMap<BatchId, IdSet>,
    turns: VecDeque<BatchId>,
}

impl Queue {
    /// Returns an empty queue.
    pub fn new(name: QueueName) -> Self {
        Self {
            name,
            paused: false,
            tally: Tally::default(),
            tasks: IdSet::default(),
            levels: BTreeMap::new(),
            ready: 0,
            picks: 0,
        }
    }

    /// Adds queued tasks of one batch and priority.
    pub fn insert(&mut self, priority: i16, batch: BatchId, run: TaskRun) {
        let level = self.levels.entry(Reverse(priority)).or_default();
        let set = level.sets.entry(batch).or_insert_with(|| {
            level.turns.push_back(batch);
            IdSet::default()
        });
        let before = set.len();
        set.insert(run);
        self.ready += set.len() - before;
    }

    /// Removes tasks that are queued no more.
    pub fn remove(&mut self, priority: i16, batch: BatchId, run: TaskRun) {
        let Some(level) = self.levels.get_mut(&Reverse(priority)) else { return };
        let Some(set) = level.sets.get_mut(&batch) else { return };
        let before = set.len();
        set.remove(run);
        self.ready -= before - set.len();
        if set.is_empty() {
            level.sets.remove(&batch);
            level.turns.retain(|turn| *turn != batch);
            if level.sets.is_empty() {
                self.levels.remove(&Reverse(priority));
            }
        }
    }

    /// Returns how many tasks are ready.
    pub const fn ready(&self) -> u64 {
        self.ready
    }

    /// Returns up to `count` tasks of the batch whose turn it is, and gives the turn to the next
    /// one. The tasks stay until they are removed.
    pub fn pick(&mut self, count: u64) -> Option<(BatchId, Vec<TaskRun>)> {
        if self.paused {
            return None;
        }
        self.picks = self.picks.wrapping_add(1);
        let lower = self.picks.is_multiple_of(LOWER_EVERY) && self.levels.len() > 1;
        let level = if lower {
            let oldest = self.levels.iter().skip(1).min_by_key(|(_, level)| level.oldest());
            let priority = *oldest?.0;
            self.levels.get_mut(&priority)?
        } else {
            self.levels.values_mut().next()?
        };
        let batch = level.turns.pop_front()?;
        level.turns.push_back(batch);
        let turns = level.turns.len() as u64;
        let share = if turns == 1 { count } else { count.div_ceil(turns) };
        Some((batch, level.sets.get(&batch)?.front(share)))
    }

    /// Returns the first `count` tasks in the order of priority and id, for a screen.
    pub fn upcoming(&self, count: u64) -> Vec<TaskRun> {
        let mut runs = Vec::new();
        let mut left = count;
        for set in self.levels.values().flat_map(|level| level.sets.values()) {
            if left == 0 {
                break;
            }
            let front = set.front(left);
            left -= front.iter().map(|run| run.count).sum::<u64>();
            runs.extend(front);
        }
        runs
    }

    /// Iterates over everything that is ready, with its priority and batch.
    pub fn ready_sets(&self) -> impl Iterator<Item = (i16, BatchId, &IdSet)> {
        self.levels.iter().flat_map(|(priority, level)| {
            level.sets.iter().map(move |(batch, set)| (priority.0, *batch, set))
        })
    }
}

impl Level {
    fn oldest(&self) -> Option<u64> {
        self.sets.values().filter_map(IdSet::first).map(|id| id.raw()).min()
    }
}
