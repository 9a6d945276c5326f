//! Runs of consecutive task ids, and sets of ids made for them. Knows nothing of tasks.

use ganger_proto::TaskId;
use roaring::RoaringTreemap;
use serde::{Deserialize, Serialize};

/// Consecutive task ids: the first and how many; never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskRun {
    /// The first id.
    pub first: TaskId,
    /// How many ids.
    pub count: u64,
}

impl TaskRun {
    /// Returns a run of one task.
    pub const fn one(task: TaskId) -> Self {
        Self { first: task, count: 1 }
    }

    /// Returns the first id after the run.
    pub const fn end(self) -> u64 {
        self.first.raw() + self.count
    }

    /// Iterates over the ids.
    pub fn ids(self) -> impl Iterator<Item = TaskId> {
        (self.first.raw()..self.end()).map(TaskId::new)
    }

    /// Cuts the run at each multiple of `tasks`.
    pub fn cut(self, tasks: u64) -> impl Iterator<Item = Self> {
        let mut at = self.first.raw();
        std::iter::from_fn(move || {
            let count = (tasks - at % tasks).min(self.end() - at);
            let first = TaskId::new(at);
            at += count;
            (count > 0).then_some(Self { first, count })
        })
    }
}

/// Ids that a bitmap keeps together.
const TOGETHER: u64 = 1 << 16;

/// A set of task ids: a roaring bitmap (Lemire et al., 2016) with its size kept beside it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdSet {
    map: RoaringTreemap,
    len: u64,
}

impl IdSet {
    /// Adds a run.
    pub fn insert(&mut self, run: TaskRun) {
        self.len += self.map.insert_range(run.first.raw()..run.end());
        // The bitmap keeps 65,536 ids together in one of three ways. When the first that came are
        // one or two, it never changes to intervals by itself, and those are much the cheapest for
        // long runs. That is the rule and no exception: ids begin with 1, so parts of 4,096 tasks
        // end one beyond such a border.
        let place = run.first.raw() % TOGETHER;
        if (1..=2).contains(&place) && run.count > 2 {
            self.map.optimize();
        }
    }

    /// Removes a run.
    pub fn remove(&mut self, run: TaskRun) {
        self.len -= self.map.remove_range(run.first.raw()..run.end());
    }

    /// Returns how many ids there are.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Tells whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tells whether `task` is among them.
    pub fn contains(&self, task: TaskId) -> bool {
        self.map.contains(task.raw())
    }

    /// Returns how many ids of a run are among them.
    pub fn count_in(&self, run: TaskRun) -> u64 {
        self.map.range_cardinality(run.first.raw()..run.end())
    }

    /// Returns the smallest id.
    pub fn first(&self) -> Option<TaskId> {
        self.map.min().map(TaskId::new)
    }

    /// Returns how many ids are smaller than `task`.
    pub fn rank(&self, task: TaskId) -> u64 {
        task.raw().checked_sub(1).map_or(0, |before| self.map.rank(before))
    }

    /// Returns the `place`th id, from 0.
    pub fn select(&self, place: u64) -> Option<TaskId> {
        self.map.select(place).map(TaskId::new)
    }

    /// Iterates over the ids from `from` on, as runs.
    pub fn runs_from(&self, from: TaskId) -> impl Iterator<Item = TaskRun> {
        let high = (from.raw() >> 32) as u32;
        let low = from.raw() as u32;
        self.map.bitmaps().filter(move |(at, _)| *at >= high).flat_map(move |(at, bitmap)| {
            let mut ids = bitmap.iter();
            if at == high {
                ids.advance_to(low);
            }
            std::iter::from_fn(move || ids.next_range()).map(move |range| {
                let first = (u64::from(at) << 32) | u64::from(*range.start());
                let count = u64::from(*range.end() - *range.start()) + 1;
                TaskRun { first: TaskId::new(first), count }
            })
        })
    }

    /// Iterates over all ids, as runs.
    pub fn runs(&self) -> impl Iterator<Item = TaskRun> {
        self.runs_from(TaskId::new(0))
    }

    /// Returns the first `count` ids as runs, without removing them.
    pub fn front(&self, count: u64) -> Vec<TaskRun> {
        let mut left = count;
        let mut runs = Vec::new();
        for mut run in self.runs() {
            if left == 0 {
                break;
            }
            run.count = run.count.min(left);
            left -= run.count;
            runs.push(run);
        }
        runs
    }

    /// Returns the first `count` ids that are not in `other`, as runs.
    pub fn minus_front(&self, other: &Self, count: u64) -> Vec<TaskRun> {
        let ids = self.runs().flat_map(TaskRun::ids);
        coalesce(ids.filter(|id| !other.contains(*id)).take(count as usize))
    }

    /// Returns the ids that are also in `other`.
    pub fn and(&self, other: &Self) -> Self {
        Self::of(&self.map & &other.map)
    }

    /// Returns the ids that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        Self::of(&self.map - &other.map)
    }

    /// Adds all ids of `other`.
    pub fn extend(&mut self, other: &Self) {
        self.map |= &other.map;
        self.len = self.map.len();
    }

    fn of(map: RoaringTreemap) -> Self {
        let len = map.len();
        Self { map, len }
    }
}

impl FromIterator<TaskRun> for IdSet {
    fn from_iter<I: IntoIterator<Item = TaskRun>>(runs: I) -> Self {
        let mut set = Self::default();
        for run in runs {
            set.insert(run);
        }
        set
    }
}

impl FromIterator<TaskId> for IdSet {
    fn from_iter<I: IntoIterator<Item = TaskId>>(ids: I) -> Self {
        ids.into_iter().map(TaskRun::one).collect()
    }
}

/// Returns the first `count` ids of runs.
pub fn first_of(mut runs: Vec<TaskRun>, count: u64) -> Vec<TaskRun> {
    let mut left = count;
    for at in 0..runs.len() {
        if runs[at].count >= left {
            runs[at].count = left;
            runs.truncate(at + usize::from(left > 0));
            break;
        }
        left -= runs[at].count;
    }
    runs
}

/// Joins ids that come one by one into runs.
pub fn coalesce(ids: impl IntoIterator<Item = TaskId>) -> Vec<TaskRun> {
    let mut runs: Vec<TaskRun> = Vec::new();
    for id in ids {
        match runs.last_mut() {
            Some(run) if run.end() == id.raw() => run.count += 1,
            _ => runs.push(TaskRun::one(id)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u64, count: u64) -> TaskRun {
        TaskRun { first: TaskId::new(first), count }
    }

    #[test]
    fn long_runs_are_kept_as_intervals_wherever_parts_end() {
        let mut set = IdSet::default();
        for part in 0..40 {
            set.insert(run(1 + part * 4_096, 4_096));
        }
        let kept = set.map.bitmaps().map(|(_, bitmap)| bitmap.statistics());
        let kept: Vec<_> = kept.map(|all| (all.n_containers, all.n_run_containers)).collect();
        assert_eq!(kept, [(3, 3)]);
    }

    #[test]
    fn sets_speak_in_runs() {
        let mut set: IdSet = [run(5, 10), run(20, 1), run((1 << 32) - 2, 4)].into_iter().collect();
        assert_eq!(set.len(), 15);
        set.remove(run(7, 2));
        let runs: Vec<_> = set.runs().collect();
        assert_eq!(runs[..3], [run(5, 2), run(9, 6), run(20, 1)]);
        assert_eq!(runs[3..].iter().map(|r| r.count).sum::<u64>(), 4);
        assert_eq!(set.front(4), [run(5, 2), run(9, 2)]);
        assert_eq!(set.runs_from(TaskId::new(10)).next(), Some(run(10, 5)));
        assert_eq!(set.select(2), Some(TaskId::new(9)));
        assert_eq!(set.rank(TaskId::new(9)), 2);
        assert_eq!(first_of(vec![run(1, 3), run(9, 4)], 5), [run(1, 3), run(9, 2)]);
        assert_eq!(first_of(vec![run(1, 3), run(9, 4)], 3), [run(1, 3)]);
        assert_eq!(first_of(vec![run(1, 3)], 9), [run(1, 3)]);
        assert_eq!(run(7, 9).cut(8).collect::<Vec<_>>(), [run(7, 1), run(8, 8)]);
        assert_eq!(run(3, 2).cut(8).collect::<Vec<_>>(), [run(3, 2)]);
        assert_eq!(coalesce([1, 2, 3, 5].map(TaskId::new)), [run(1, 3), run(5, 1)]);
    }
}
