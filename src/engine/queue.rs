//! Queues: named orders of tasks, numbered in the order they were made, and what is ready in them.
//! Decides which tasks go next; does not know who gets them.
//!
//! Within a queue higher priorities go first; within a priority batches take turns. What is ready
//! is kept by class as well, so that a worker passes over what it may not have a class at a time,
//! however many batches that is. A batch that may not go at the moment rests: it has no turn.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::{BatchId, QueueName};

use super::batch::Tally;
use super::class::ClassId;
use super::runs::{IdSet, TaskRun};
use crate::bug::{self, Bug};

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
    turn: u64,
    resting: BTreeSet<BatchId>,
    /// Rises when something becomes ready.
    news: u64,
}

/// What is ready in a queue at one priority.
#[derive(Clone, Debug, Default)]
struct Level {
    classes: BTreeMap<ClassId, Share>,
    /// Whose turn it is: each class that has a batch awake, by the turn of its first one.
    turns: BTreeMap<u64, ClassId>,
    /// Batches that are awake.
    awake: u64,
}

/// What is ready of one class: a set per batch, and whose turn it is.
#[derive(Clone, Debug, Default)]
struct Share {
    sets: BTreeMap<BatchId, Ready>,
    turns: BTreeMap<u64, BatchId>,
    /// Tasks in all sets.
    ready: u64,
}

#[derive(Clone, Debug, Default)]
struct Ready {
    tasks: IdSet,
    /// None while the batch rests.
    turn: Option<u64>,
}

/// Where tasks of a batch are ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Their priority.
    pub priority: i16,
    /// Their class.
    pub class: ClassId,
    /// Their batch.
    pub batch: BatchId,
}

/// Tasks that may go next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pick {
    /// Where they are ready.
    pub spot: Spot,
    /// The tasks.
    pub runs: Vec<TaskRun>,
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
            turn: 0,
            resting: BTreeSet::new(),
            news: 1,
        }
    }

    /// Adds queued tasks.
    pub fn insert(&mut self, spot: Spot, run: TaskRun) {
        let level = self.levels.entry(Reverse(spot.priority)).or_default();
        let share = level.classes.entry(spot.class).or_default();
        let ready = share.sets.entry(spot.batch).or_default();
        self.news += 1;
        let before = ready.tasks.len();
        ready.tasks.insert(run);
        let more = ready.tasks.len() - before;
        self.ready += more;
        share.ready += more;
        let waits = ready.turn.is_none();
        if waits && !self.resting.contains(&spot.batch) {
            self.turn += 1;
            level.set_turn(spot, Some(self.turn));
        }
    }

    /// Removes tasks that are queued no more.
    pub fn remove(&mut self, spot: Spot, run: TaskRun) {
        let Some(level) = self.levels.get_mut(&Reverse(spot.priority)) else { return };
        let Some(share) = level.classes.get_mut(&spot.class) else { return };
        let Some(ready) = share.sets.get_mut(&spot.batch) else { return };
        let before = ready.tasks.len();
        ready.tasks.remove(run);
        let fewer = before - ready.tasks.len();
        self.ready -= fewer;
        share.ready -= fewer;
        if ready.tasks.is_empty() {
            level.set_turn(spot, None);
            if let Some(share) = level.classes.get_mut(&spot.class) {
                share.sets.remove(&spot.batch);
                if share.sets.is_empty() {
                    level.classes.remove(&spot.class);
                }
            }
            if level.classes.is_empty() {
                self.levels.remove(&Reverse(spot.priority));
            }
        }
    }

    /// Returns how many tasks are ready.
    pub const fn ready(&self) -> u64 {
        self.ready
    }

    /// Tells whether something is ready of a batch that does not rest.
    pub fn is_awake(&self) -> bool {
        self.levels.values().any(|level| level.awake > 0)
    }

    /// Returns a number that rises when something may be ready for a worker that found nothing.
    pub const fn news(&self) -> u64 {
        self.news
    }

    /// Gives a batch no more turns.
    pub fn rest(&mut self, batch: BatchId, class: ClassId) {
        if self.resting.insert(batch) {
            for (priority, level) in &mut self.levels {
                level.set_turn(Spot { priority: priority.0, class, batch }, None);
            }
        }
    }

    /// Gives a batch turns again.
    pub fn wake(&mut self, batch: BatchId, class: ClassId) {
        if self.resting.remove(&batch) {
            self.news += 1;
            for (priority, level) in &mut self.levels {
                self.turn += 1;
                level.set_turn(Spot { priority: priority.0, class, batch }, Some(self.turn));
            }
        }
    }

    /// Tells whether a batch has no turns.
    pub fn rests(&self, batch: BatchId) -> bool {
        self.resting.contains(&batch)
    }

    /// Returns tasks of the batch whose turn it is among the classes for which `room` has room, and
    /// gives the turn to the next one: its share of `want`, or what `least` says of the batch when
    /// that is more. The tasks stay until they are removed.
    pub fn pick(
        &mut self,
        want: u64,
        least: impl Fn(BatchId) -> u64,
        mut room: impl FnMut(ClassId) -> u64,
    ) -> Option<Pick> {
        if self.paused && !bug::is(Bug::PauseIgnored) {
            return None;
        }
        self.picks = self.picks.wrapping_add(1);
        let lower = self.picks.is_multiple_of(LOWER_EVERY) && self.levels.len() > 1;
        let first = lower.then(|| {
            let below = self.levels.iter().skip(1);
            below.min_by_key(|(_, level)| level.oldest()).map(|(priority, _)| *priority)
        });
        let first = first.flatten();
        let mut order: Vec<Reverse<i16>> =
            first.into_iter().chain(self.levels.keys().copied()).collect();
        if bug::is(Bug::PrioritiesIgnored) {
            order.reverse();
        }
        order.into_iter().find_map(|priority| {
            let level = self.levels.get_mut(&priority)?;
            let (class, room) = level.turns.values().find_map(|class| match room(*class) {
                0 => None,
                room => Some((*class, room)),
            })?;
            let batch = *level.classes.get(&class)?.turns.values().next()?;
            let spot = Spot { priority: priority.0, class, batch };
            self.turn += 1;
            level.set_turn(spot, Some(self.turn));
            let share = want.div_ceil(level.awake.max(1)).max(least(batch)).min(room);
            Some(Pick { spot, runs: level.ready_mut(spot)?.tasks.front(share) })
        })
    }

    /// Returns the first `count` tasks in the order of priority and id, for a screen.
    pub fn upcoming(&self, count: u64) -> Vec<TaskRun> {
        let mut runs = Vec::new();
        let mut left = count;
        for level in self.levels.values() {
            let mut sets: Vec<_> =
                level.classes.values().flat_map(|share| share.sets.iter()).collect();
            sets.sort_by_key(|(batch, _)| **batch);
            for (_, ready) in sets {
                if left == 0 {
                    return runs;
                }
                let front = ready.tasks.front(left);
                left -= front.iter().map(|run| run.count).sum::<u64>();
                runs.extend(front);
            }
        }
        runs
    }

    /// Iterates over everything that is ready.
    pub fn ready_sets(&self) -> impl Iterator<Item = (Spot, &IdSet)> {
        self.levels.iter().flat_map(|(priority, level)| {
            level.classes.iter().flat_map(move |(class, share)| {
                share.sets.iter().map(move |(batch, ready)| {
                    let spot = Spot { priority: priority.0, class: *class, batch: *batch };
                    (spot, &ready.tasks)
                })
            })
        })
    }

    /// Returns what is ready at one spot.
    pub fn ready_at(&self, spot: Spot) -> Option<&IdSet> {
        let level = self.levels.get(&Reverse(spot.priority))?;
        Some(&level.classes.get(&spot.class)?.sets.get(&spot.batch)?.tasks)
    }

    /// Lets workers that found nothing look again.
    pub fn tell_news(&mut self) {
        self.news += 1;
    }

    /// Iterates over the classes of which something is ready, with how many tasks at one priority.
    pub fn ready_classes(&self) -> impl Iterator<Item = (ClassId, u64)> {
        self.levels
            .values()
            .flat_map(|level| level.classes.iter().map(|(class, share)| (*class, share.ready)))
    }
}

impl Level {
    fn oldest(&self) -> Option<u64> {
        let sets = self.classes.values().flat_map(|share| share.sets.values());
        sets.filter_map(|ready| ready.tasks.first()).map(|id| id.raw()).min()
    }

    fn ready_mut(&mut self, spot: Spot) -> Option<&mut Ready> {
        self.classes.get_mut(&spot.class)?.sets.get_mut(&spot.batch)
    }

    /// Gives a batch another turn, or none; keeps the turn of its class in step.
    fn set_turn(&mut self, spot: Spot, turn: Option<u64>) {
        let Some(share) = self.classes.get_mut(&spot.class) else { return };
        let Some(ready) = share.sets.get_mut(&spot.batch) else { return };
        let before = std::mem::replace(&mut ready.turn, turn);
        if let Some(front) = share.turns.keys().next() {
            self.turns.remove(front);
        }
        if let Some(before) = before {
            share.turns.remove(&before);
            self.awake -= 1;
        }
        if let Some(turn) = turn {
            share.turns.insert(turn, spot.batch);
            self.awake += 1;
        }
        if let Some(front) = share.turns.keys().next() {
            self.turns.insert(*front, spot.class);
        }
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Kind, Name, Spec, TaskId};

    use super::super::class::{Class, Classes};
    use super::*;

    fn run(first: u64, count: u64) -> TaskRun {
        TaskRun { first: TaskId::new(first), count }
    }

    fn classes() -> [ClassId; 2] {
        let mut classes = Classes::default();
        let exec = Kind::Exec { argv: Vec::new() };
        [Kind::Square, exec].map(|kind| classes.join(Class::of(&Spec::of(kind))))
    }

    fn picked(queue: &mut Queue, room: impl FnMut(ClassId) -> u64) -> Option<(u64, u64, u64)> {
        let Pick { spot, runs } = queue.pick(4, |batch| u64::from(batch.raw() == 7) * 3, room)?;
        let (first, count) = (runs[0].first.raw(), runs.iter().map(|run| run.count).sum());
        runs.iter().for_each(|run| queue.remove(spot, *run));
        Some((spot.batch.raw(), first, count))
    }

    #[test]
    fn batches_of_equal_priority_take_turns_whatever_their_class() {
        let [a, b] = classes();
        let mut queue = Queue::new(Name::from_lossy("q"));
        for (batch, class, first) in [(1, a, 100), (2, b, 200), (3, a, 300)] {
            let spot = Spot { priority: 0, class, batch: BatchId::new(batch) };
            queue.insert(spot, run(first, 4));
        }
        assert_eq!(picked(&mut queue, |_| 9), Some((1, 100, 2)));
        assert_eq!(picked(&mut queue, |_| 9), Some((2, 200, 2)));
        assert_eq!(picked(&mut queue, |_| 9), Some((3, 300, 2)));
        assert_eq!(picked(&mut queue, |class| u64::from(class == b)), Some((2, 202, 1)));
        assert_eq!(picked(&mut queue, |class| if class == a { 9 } else { 0 }), Some((1, 102, 2)));
        assert_eq!(picked(&mut queue, |_| 0), None);
        assert_eq!(queue.ready(), 3);
    }

    #[test]
    fn a_batch_of_short_tasks_gets_more_than_its_share() {
        let [a, _] = classes();
        let mut queue = Queue::new(Name::from_lossy("q"));
        for (batch, first) in [(1, 100), (2, 200), (7, 300), (8, 400)] {
            queue.insert(Spot { priority: 0, class: a, batch: BatchId::new(batch) }, run(first, 9));
        }
        let all: Vec<_> = (0..4).filter_map(|_| picked(&mut queue, |_| 9)).collect();
        assert_eq!(all, [(1, 100, 1), (2, 200, 1), (7, 300, 3), (8, 400, 1)]);
        for _ in 0..2 {
            picked(&mut queue, |_| 2);
        }
        assert_eq!(
            picked(&mut queue, |_| 2),
            Some((7, 303, 2)),
            "never more than there is room for"
        );
    }

    #[test]
    fn a_batch_that_rests_has_no_turn() {
        let [a, _] = classes();
        let mut queue = Queue::new(Name::from_lossy("q"));
        let spot = |batch| Spot { priority: 0, class: a, batch: BatchId::new(batch) };
        queue.insert(spot(1), run(1, 2));
        queue.rest(BatchId::new(1), a);
        queue.insert(spot(1), run(3, 2));
        assert!(!queue.is_awake() && queue.ready() == 4);
        assert_eq!(picked(&mut queue, |_| 9), None);
        queue.insert(spot(2), run(10, 1));
        assert_eq!(picked(&mut queue, |_| 9), Some((2, 10, 1)));
        let news = queue.news();
        queue.wake(BatchId::new(1), a);
        assert!(queue.news() > news);
        assert_eq!(picked(&mut queue, |_| 9), Some((1, 1, 4)));
        assert!(queue.levels.is_empty() && queue.ready() == 0);
    }

    #[test]
    fn higher_priorities_go_first_and_lower_ones_do_not_starve() {
        let [a, b] = classes();
        let mut queue = Queue::new(Name::from_lossy("q"));
        let spot = |priority, class| Spot { priority, class, batch: BatchId::new(1) };
        queue.insert(spot(5, a), run(1_000, 1_000));
        queue.insert(spot(0, a), run(1, 100));
        let first: Vec<u64> =
            (0..16).filter_map(|_| picked(&mut queue, |_| 1)).map(|(_, first, _)| first).collect();
        assert!(first[..15].iter().all(|first| *first >= 1_000));
        assert_eq!(first[15], 1);
        queue.insert(spot(9, b), run(5_000, 1));
        let only_a = |class| u64::from(class == a);
        assert!(picked(&mut queue, only_a).unwrap().1 < 5_000, "a class is passed over");
    }
}
