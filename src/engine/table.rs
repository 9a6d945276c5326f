//! All records of tasks, in pages. What a record is, and its states, is in task.rs.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use ganger_proto::TaskId;
use serde::{Deserialize, Serialize};

use super::runs::TaskRun;
use super::span::Span;
use super::task::{State, Task};

/// Tasks of one page.
pub const PAGE_TASKS: u64 = 1_024;

/// Consecutive records. A page whose records are all alike costs nothing but its one record: that
/// is how a range of any length is free until its tasks are leased.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Page {
    /// All records are this one.
    Alike(Task),
    /// Each has its own; shared with a snapshot that is being written.
    Each(#[serde(with = "super::snapshot::shared")] Arc<Vec<Task>>),
}

impl Page {
    /// Tells whether all its tasks are absent.
    fn is_gone(&self) -> bool {
        match self {
            Self::Alike(record) => record.state == State::Absent,
            Self::Each(records) => records.iter().all(|record| record.state == State::Absent),
        }
    }

    /// Returns the spans of its tasks as numbers; nothing when no task has any.
    pub(super) fn spans(&self) -> Vec<(u16, u16)> {
        let records = match self {
            Self::Alike(record) => std::slice::from_ref(record),
            Self::Each(records) => records,
        };
        let spans = records.iter().map(|t| (t.took.raw(), t.wait.raw()));
        if spans.clone().all(|spans| spans == (0, 0)) { Vec::new() } else { spans.collect() }
    }

    /// Sets what [`Page::spans`] returned.
    pub(super) fn set_spans(&mut self, spans: &[(u16, u16)]) {
        let set = |record: &mut Task, (took, wait): &(u16, u16)| {
            (record.took, record.wait) = (Span::from_raw(*took), Span::from_raw(*wait));
        };
        match self {
            Self::Alike(record) => spans.iter().take(1).for_each(|spans| set(record, spans)),
            Self::Each(records) => {
                let records = Arc::make_mut(records).iter_mut();
                records.zip(spans).for_each(|(record, spans)| set(record, spans));
            }
        }
    }
}

/// All records, in pages from the oldest task that is still there.
#[derive(Clone, Debug, Default)]
pub struct Table {
    base: u64,
    pages: VecDeque<Page>,
}

impl Table {
    /// Returns a task's record, an absent one when there is none.
    pub fn get(&self, task: TaskId) -> Task {
        let Some(page) = self.page_of(task.raw()) else { return Task::default() };
        match page {
            Page::Alike(record) => *record,
            Page::Each(records) => records[(task.raw() % PAGE_TASKS) as usize],
        }
    }

    /// Returns for how many tasks from `task` on the record is known to be the same: the rest of a
    /// page that is alike, else one.
    pub fn alike_from(&self, task: TaskId) -> u64 {
        match self.page_of(task.raw()) {
            Some(Page::Alike(_)) => PAGE_TASKS - task.raw() % PAGE_TASKS,
            Some(Page::Each(_)) | None => 1,
        }
    }

    /// Changes the records of a run and calls `shifted` for each stretch of neighbours whose
    /// records were alike in what `key` looks at, before and after.
    pub fn change<K: PartialEq + Copy>(
        &mut self,
        run: TaskRun,
        change: impl Fn(u64, &mut Task),
        key: impl Fn(&Task) -> K,
        shifted: impl FnMut(TaskRun, K, K),
    ) {
        let mut shifts = Shifts { open: None, shifted };
        for part in run.cut(PAGE_TASKS) {
            let change = |id: u64, record: &mut Task| change(id - run.first.raw(), record);
            self.change_part(part, change, &key, &mut shifts);
        }
        shifts.end();
    }

    /// Changes what no index looks at in the records of a run.
    pub fn touch(&mut self, run: TaskRun, mut touch: impl FnMut(&mut Task)) {
        let mut at = run.first.raw();
        while at < run.end() {
            let count = (PAGE_TASKS - at % PAGE_TASKS).min(run.end() - at);
            self.records(at, count).iter_mut().for_each(&mut touch);
            at += count;
        }
    }

    /// Iterates over a run a page at a time, up to the first that is not there: its tasks of that
    /// page and their records, a single one when all are alike.
    pub fn stretches(&self, run: TaskRun) -> impl Iterator<Item = (TaskRun, &[Task])> {
        let mut at = run.first.raw();
        std::iter::from_fn(move || {
            let page = if at < run.end() { self.page_of(at)? } else { return None };
            let part = TaskRun {
                first: TaskId::new(at),
                count: (PAGE_TASKS - at % PAGE_TASKS).min(run.end() - at),
            };
            let start = (at % PAGE_TASKS) as usize;
            at = part.end();
            Some(match page {
                Page::Alike(record) => (part, std::slice::from_ref(record)),
                Page::Each(records) => (part, &records[start..start + part.count as usize]),
            })
        })
    }

    /// As [`Table::change`] where `change` does the same to every record: whole pages that are
    /// alike stay alike.
    pub fn change_alike<K: PartialEq + Copy>(
        &mut self,
        run: TaskRun,
        change: impl Fn(&mut Task),
        key: impl Fn(&Task) -> K,
        shifted: impl FnMut(TaskRun, K, K),
    ) {
        let mut shifts = Shifts { open: None, shifted };
        for part in run.cut(PAGE_TASKS) {
            self.grow(part.first.raw());
            let index = self.index(part.first.raw()).expect("the table was grown to hold it");
            match &mut self.pages[index] {
                Page::Alike(record) if part.count == PAGE_TASKS => {
                    let from = key(record);
                    change(record);
                    shifts.push(part, from, key(record));
                }
                Page::Alike(_) | Page::Each(_) => {
                    self.change_part(part, |_, record| change(record), &key, &mut shifts);
                }
            }
        }
        shifts.end();
    }

    /// Takes the records of a run away; says what it changed as [`Table::change`] does. A page of
    /// which nothing is left costs no more than one that is alike, whatever stays before it.
    pub fn clear<K: PartialEq + Copy>(
        &mut self,
        run: TaskRun,
        key: impl Fn(&Task) -> K,
        shifted: impl FnMut(TaskRun, K, K),
    ) {
        let absent = Task::default();
        let mut shifts = Shifts { open: None, shifted };
        for part in run.cut(PAGE_TASKS) {
            let index = self.index(part.first.raw());
            let Some(index) = index.filter(|index| *index < self.pages.len()) else { continue };
            if self.pages[index].is_gone() {
                self.pages[index] = Page::Alike(absent);
                continue;
            }
            match &self.pages[index] {
                Page::Alike(record) if part.count == PAGE_TASKS => {
                    shifts.push(part, key(record), key(&absent));
                }
                Page::Each(records) if part.count == PAGE_TASKS => {
                    for (id, record) in part.ids().zip(records.iter()) {
                        shifts.push(TaskRun::one(id), key(record), key(&absent));
                    }
                }
                Page::Alike(_) | Page::Each(_) => {
                    self.change_part(part, |_, record| *record = absent, &key, &mut shifts);
                }
            }
            if part.count == PAGE_TASKS || self.pages[index].is_gone() {
                self.pages[index] = Page::Alike(absent);
            }
        }
        shifts.end();
    }

    /// Puts the same record for every task of a run that is not there yet.
    pub fn fill(&mut self, run: TaskRun, record: Task) {
        let mut at = run.first.raw();
        while at < run.end() {
            let count = (PAGE_TASKS - at % PAGE_TASKS).min(run.end() - at);
            let fresh = self.page_of(at).is_none();
            self.grow(at);
            let index = self.index(at).expect("the table was grown to hold it");
            match &mut self.pages[index] {
                // Ids beyond the run are not there yet, so what their record says is never read.
                page @ Page::Alike(_) if fresh || count == PAGE_TASKS => {
                    *page = Page::Alike(record)
                }
                Page::Alike(alike) if *alike == record => {}
                Page::Alike(_) | Page::Each(_) => {
                    self.records(at, count).fill(record);
                }
            }
            at += count;
        }
    }

    /// Drops pages from the front whose tasks are all absent, up to the first id in use.
    pub fn trim(&mut self, first_in_use: u64) {
        while !self.pages.is_empty() && self.base + PAGE_TASKS <= first_in_use {
            self.pages.pop_front();
            self.base += PAGE_TASKS;
        }
    }

    /// Returns the first id of the first page, and the pages, shared.
    pub fn pages(&self) -> (u64, impl ExactSizeIterator<Item = Page>) {
        (self.base, self.pages.iter().cloned())
    }

    /// Returns a table of pages that begin at task `base`.
    pub fn from_pages(base: u64, pages: impl IntoIterator<Item = Page>) -> Self {
        Self { base: base - base % PAGE_TASKS, pages: pages.into_iter().collect() }
    }

    /// Returns how many pages keep each record on its own.
    #[cfg(test)]
    pub(super) fn pages_each(&self) -> usize {
        self.pages.iter().filter(|page| matches!(page, Page::Each(_))).count()
    }

    /// Returns the ids that have records; none when a page is not one, or they pass the largest id.
    pub(super) fn covered(&self) -> Option<Range<u64>> {
        let whole = |page: &Page| match page {
            Page::Alike(_) => true,
            Page::Each(records) => records.len() as u64 == PAGE_TASKS,
        };
        let tasks = (self.pages.len() as u64).checked_mul(PAGE_TASKS)?;
        let end = self.base.checked_add(tasks)?;
        self.pages.iter().all(whole).then_some(self.base..end)
    }

    /// Changes records of one page, each on its own, by their ids.
    fn change_part<K: PartialEq + Copy>(
        &mut self,
        part: TaskRun,
        change: impl Fn(u64, &mut Task),
        key: &impl Fn(&Task) -> K,
        shifts: &mut Shifts<K, impl FnMut(TaskRun, K, K)>,
    ) {
        let first = part.first.raw();
        for (record, id) in self.records(first, part.count).iter_mut().zip(first..) {
            let from = key(record);
            change(id, record);
            shifts.push(TaskRun::one(TaskId::new(id)), from, key(record));
        }
    }

    fn index(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.base)? / PAGE_TASKS).ok()
    }

    fn page_of(&self, id: u64) -> Option<&Page> {
        self.pages.get(self.index(id)?)
    }

    fn grow(&mut self, id: u64) {
        if self.pages.is_empty() {
            self.base = id - id % PAGE_TASKS;
        }
        let index = self.index(id).expect("ids below the base are never written");
        while self.pages.len() <= index {
            self.pages.push_back(Page::Alike(Task::default()));
        }
    }

    /// Returns the records of `count` tasks within one page, to be changed each on its own.
    fn records(&mut self, id: u64, count: u64) -> &mut [Task] {
        self.grow(id);
        let index = self.index(id).expect("the table was grown to hold it");
        let page = &mut self.pages[index];
        if let Page::Alike(record) = page {
            *page = Page::Each(Arc::new(vec![*record; PAGE_TASKS as usize]));
        }
        let start = (id % PAGE_TASKS) as usize;
        match page {
            Page::Each(records) => &mut Arc::make_mut(records)[start..start + count as usize],
            Page::Alike(_) => unreachable!("the page was just made"),
        }
    }
}

/// Neighbours that changed alike, told of together.
struct Shifts<K, F> {
    open: Option<(TaskRun, K, K)>,
    shifted: F,
}

impl<K: PartialEq + Copy, F: FnMut(TaskRun, K, K)> Shifts<K, F> {
    fn push(&mut self, part: TaskRun, from: K, to: K) {
        match &mut self.open {
            Some((run, f, t)) if *f == from && *t == to => run.count += part.count,
            other => {
                if let Some((run, f, t)) = other.replace((part, from, to)) {
                    (self.shifted)(run, f, t);
                }
            }
        }
    }

    fn end(mut self) {
        if let Some((run, from, to)) = self.open {
            (self.shifted)(run, from, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_costs_a_record_a_page() {
        let mut table = Table::default();
        let queued = Task::waiting(State::Queued, ganger_proto::WallMs(0), 0);
        let run = TaskRun { first: TaskId::new(1), count: 1_000_000 };
        table.fill(run, queued);
        assert!(table.pages.iter().all(|page| matches!(page, Page::Alike(_))));
        let mut seen = Vec::new();
        let states = |table: &Table, first: u64, count: u64| -> Vec<(u64, u64, Vec<State>)> {
            let run = TaskRun { first: TaskId::new(first), count };
            let all = table.stretches(run).map(|(part, records)| {
                let states = records.iter().map(|task| task.state).collect();
                (part.first.raw(), part.count, states)
            });
            all.collect()
        };
        let part = TaskRun { first: TaskId::new(1_020), count: 10 };
        table.change(part, |_, t| t.state = State::Leased, |t| t.state, |run, _, _| seen.push(run));
        assert_eq!(seen, [part]);
        assert_eq!(table.get(TaskId::new(1_029)).state, State::Leased);
        assert_eq!(table.get(TaskId::new(1_030)).state, State::Queued);
        let (queued, leased) = (State::Queued, State::Leased);
        assert_eq!(
            states(&table, 1_022, 3_000),
            [
                (1_022, 2, vec![leased; 2]),
                (1_024, 1_024, [[leased; 6].as_slice(), &[queued; 1_018]].concat()),
                (2_048, 1_024, vec![queued]),
                (3_072, 950, vec![queued]),
            ]
        );
        table.change_alike(run, |t| t.state = State::Cancelled, |t| t.state, |_, _, _| {});
        assert_eq!(table.get(TaskId::new(1_030)).state, State::Cancelled);
        let each = table.pages.iter().filter(|page| matches!(page, Page::Each(_))).count();
        assert_eq!(each, 3, "two that were leased from, and the last one, which is not full");
    }

    #[test]
    fn what_is_gone_is_given_back_behind_what_stays() {
        let mut table = Table::default();
        let run = TaskRun { first: TaskId::new(1), count: 5_000 };
        table.fill(run, Task::waiting(State::Queued, ganger_proto::WallMs(0), 0));
        table.change(run, |place, t| t.attempt = place as u16, |t| t.state, |_, _, _| {});
        assert_eq!(table.pages_each(), 5);
        let (first, middle, last) = (1_500, 2_048, 4_096);
        let mut seen = Vec::new();
        for (from, to) in [(first, middle), (middle, last + 1), (last + 1, 5_001), (first, 1_600)] {
            let gone = TaskRun { first: TaskId::new(from), count: to - from };
            table.clear(gone, |t| t.state, |run, from, to| seen.push((run, from, to)));
        }
        let part = |first: u64, end: u64, from| {
            let run = TaskRun { first: TaskId::new(first), count: end - first };
            (run, from, State::Absent)
        };
        let queued = State::Queued;
        let whole = [part(1_500, 2_048, queued), part(2_048, 4_097, queued)];
        assert_eq!(seen[..2], whole);
        assert_eq!(seen[2..], [part(4_097, 5_001, queued), part(1_500, 1_600, State::Absent)]);
        assert_eq!(table.get(TaskId::new(1_499)).attempt, 1_498);
        assert_eq!(table.get(TaskId::new(1_500)), Task::default());
        // The first two pages have tasks, the last one has records of tasks to come.
        assert_eq!(table.pages_each(), 3);
        table.clear(TaskRun { first: TaskId::new(1_024), count: 476 }, |t| t.state, |_, _, _| {});
        assert_eq!(table.pages_each(), 2);
        assert_eq!(table.get(TaskId::new(1_023)).attempt, 1_022);
    }
}
