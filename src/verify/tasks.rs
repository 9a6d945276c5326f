//! What the replay keeps of each task: 24 bytes, in pages; a page whose tasks are all alike costs
//! no more than one. Shares nothing with the engine's table, which it is there to check.

use std::collections::VecDeque;
use std::fmt;

use ganger_proto::{Epoch, LeaseId, Outcome, TaskId};

use super::report::word;
use crate::engine::runs::TaskRun;
use crate::engine::task::State;

/// Tasks of one page.
const PAGE_TASKS: u64 = 1_024;

/// One task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    counter_low: u32,
    epoch: u32,
    /// The block with its newest result, plus one; 0 when there is none.
    block: u32,
    counter_high: u16,
    /// The attempt that runs or ran last.
    pub(super) attempt: u16,
    end_code: i16,
    end_kind: u8,
    /// Its state; absent before it was submitted and after it was removed.
    pub(super) state: State,
    /// Charged failures.
    pub(super) failures: u8,
    /// Times its worker vanished while it ran.
    pub(super) lost: u8,
    /// Times it was given back.
    pub(super) releases: u8,
    /// Whether a cancel was asked for while it runs: 0 or 1.
    cancelling: u8,
}

/// How an attempt ended, as a number with its exit code or signal; 0 when it has not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    code: i16,
    kind: u8,
}

impl End {
    /// Returns what is kept of an outcome: codes beyond 16 bits are cut to the nearest.
    pub(super) fn of(outcome: Outcome) -> Self {
        let cut =
            |code: i32| i16::try_from(code).unwrap_or(if code < 0 { i16::MIN } else { i16::MAX });
        let (kind, code) = match outcome {
            Outcome::Done => (1, 0),
            Outcome::Failed { code } => (2, cut(code)),
            Outcome::Signalled { signal } => (3, cut(signal)),
            Outcome::TimedOut => (4, 0),
            Outcome::Lost => (5, 0),
            Outcome::Cancelled => (6, 0),
            Outcome::Unfit => (7, 0),
        };
        Self { code, kind }
    }

    /// Reads what a snapshot keeps of it.
    pub(super) const fn stored(kind: u8, code: i16) -> Self {
        Self { code, kind }
    }

    /// Tells whether there is one.
    pub(super) const fn is_some(self) -> bool {
        self.kind > 0
    }

    /// Returns the outcome that it was kept of.
    pub(super) fn outcome(self) -> Option<Outcome> {
        let code = i32::from(self.code);
        Some(match self.kind {
            1 => Outcome::Done,
            2 => Outcome::Failed { code },
            3 => Outcome::Signalled { signal: code },
            4 => Outcome::TimedOut,
            5 => Outcome::Lost,
            6 => Outcome::Cancelled,
            7 => Outcome::Unfit,
            _ => return None,
        })
    }
}

impl Record {
    /// Returns a task that was just submitted.
    pub(super) fn waiting(state: State) -> Self {
        Self { state, ..Self::default() }
    }

    /// Returns its current lease, or its last one.
    pub(super) const fn lease(&self) -> LeaseId {
        let counter = ((self.counter_high as u64) << 32) | self.counter_low as u64;
        LeaseId { epoch: Epoch::new(self.epoch), counter }
    }

    /// Keeps its lease; of the counter 48 bits, as a snapshot does.
    pub(super) const fn set_lease(&mut self, lease: LeaseId) {
        self.epoch = lease.epoch.raw();
        self.counter_low = lease.counter as u32;
        self.counter_high = (lease.counter >> 32) as u16;
    }

    /// Returns the number of the block with its newest result.
    pub(super) fn block(&self) -> Option<u64> {
        self.block.checked_sub(1).map(u64::from)
    }

    /// Keeps where its newest result is; a number that no store reaches counts as none.
    pub(super) fn set_block(&mut self, block: Option<u64>) {
        let place = block.and_then(|id| u32::try_from(id).ok()?.checked_add(1));
        self.block = place.unwrap_or_default();
    }

    /// Returns how its newest attempt ended.
    pub(super) const fn end(&self) -> End {
        End { code: self.end_code, kind: self.end_kind }
    }

    /// Keeps how its newest attempt ended, or that it has not.
    pub(super) const fn set_end(&mut self, end: End) {
        (self.end_code, self.end_kind) = (end.code, end.kind);
    }

    /// Notes that a cancel was asked for.
    pub(super) const fn ask_cancel(&mut self) {
        self.cancelling = 1;
    }

    /// Forgets that a cancel was asked for.
    pub(super) const fn forget_cancel(&mut self) {
        self.cancelling = 0;
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, failures, lost, releases, cancelling, .. } = self;
        let (state, lease, ended) = (word(self.state), self.lease(), self.end().outcome());
        write!(f, "{state} under {lease}, attempt {attempt} ended as {ended:?} in block ")?;
        write!(f, "{:?}, {failures} failures, {lost} losses, {releases} releases, ", self.block())?;
        write!(f, "{cancelling} cancels")
    }
}

/// Consecutive tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// All are this one.
    Alike(Record),
    /// Each has its own.
    Each(Box<[Record]>),
}

impl Page {
    /// Returns a page of records of a snapshot; what is missing is absent.
    pub(super) fn of(records: impl Iterator<Item = Record>) -> Self {
        let mut all: Vec<Record> = records.take(PAGE_TASKS as usize).collect();
        all.resize(PAGE_TASKS as usize, Record::default());
        Self::Each(all.into_boxed_slice())
    }

    fn each(&mut self) -> &mut [Record] {
        if let Self::Alike(record) = self {
            *self = Self::Each(vec![*record; PAGE_TASKS as usize].into_boxed_slice());
        }
        match self {
            Self::Each(records) => records,
            Self::Alike(_) => unreachable!("it was just made"),
        }
    }
}

/// All tasks from the oldest that is still there. Runs given to it lie within what was added.
#[derive(Clone, Debug, Default)]
pub(super) struct Tasks {
    base: u64,
    pages: VecDeque<Page>,
}

impl Tasks {
    /// Returns the pages of a snapshot, which begin at task `first`.
    pub(super) fn from_pages(first: u64, pages: impl IntoIterator<Item = Page>) -> Self {
        Self { base: first - first % PAGE_TASKS, pages: pages.into_iter().collect() }
    }

    /// Returns a task; an absent one when it is not there.
    pub(super) fn get(&self, id: TaskId) -> Record {
        match self.index(id.raw()).and_then(|index| self.pages.get(index)) {
            Some(Page::Alike(record)) => *record,
            Some(Page::Each(records)) => records[(id.raw() % PAGE_TASKS) as usize],
            None => Record::default(),
        }
    }

    /// Adds tasks that are all alike, behind all that are there.
    pub(super) fn add(&mut self, run: TaskRun, record: Record) {
        for part in pieces(run) {
            let fresh = self.grow(part.first.raw());
            let Some(page) = self.page(part) else { continue };
            let alike = matches!(page, Page::Alike(same) if *same == record);
            if fresh {
                // What is behind the run comes later, and is written then.
                *page = Page::Alike(record);
            } else if !alike {
                page.each()[within(part)].fill(record);
            }
        }
    }

    /// Changes tasks one by one.
    pub(super) fn each(&mut self, run: TaskRun, mut change: impl FnMut(TaskId, &mut Record)) {
        for part in pieces(run) {
            let Some(page) = self.page(part) else { continue };
            let records = &mut page.each()[within(part)];
            part.ids().zip(records).for_each(|(id, record)| change(id, record));
        }
    }

    /// Changes tasks, alike ones together.
    pub(super) fn alike(&mut self, run: TaskRun, mut change: impl FnMut(TaskRun, &mut Record)) {
        for part in pieces(run) {
            match self.page(part) {
                Some(Page::Alike(record)) if part.count == PAGE_TASKS => change(part, record),
                Some(page) => {
                    let records = &mut page.each()[within(part)];
                    let ids = part.ids().map(TaskRun::one);
                    ids.zip(records.iter_mut()).for_each(|(id, record)| change(id, record));
                    let first = records[0];
                    if part.count == PAGE_TASKS && records.iter().all(|record| *record == first) {
                        *page = Page::Alike(first);
                    }
                }
                None => {}
            }
        }
    }

    /// Looks at tasks, alike ones together.
    pub(super) fn look(&self, run: TaskRun, mut look: impl FnMut(TaskRun, &Record)) {
        for part in pieces(run) {
            let page = self.index(part.first.raw()).and_then(|index| self.pages.get(index));
            match page {
                Some(Page::Alike(record)) => look(part, record),
                Some(Page::Each(records)) => {
                    let ids = part.ids().map(TaskRun::one);
                    ids.zip(&records[within(part)]).for_each(|(id, record)| look(id, record));
                }
                None => look(part, &Record::default()),
            }
        }
    }

    /// Drops what is before the oldest task in use.
    pub(super) fn trim(&mut self, first_in_use: u64) {
        while !self.pages.is_empty() && self.base + PAGE_TASKS <= first_in_use {
            self.pages.pop_front();
            self.base += PAGE_TASKS;
        }
    }

    fn index(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.base)? / PAGE_TASKS).ok()
    }

    fn page(&mut self, part: TaskRun) -> Option<&mut Page> {
        let index = self.index(part.first.raw())?;
        self.pages.get_mut(index)
    }

    /// Makes room for a task; tells whether its page is a new one.
    fn grow(&mut self, id: u64) -> bool {
        if self.pages.is_empty() {
            self.base = id - id % PAGE_TASKS;
        }
        let Some(index) = self.index(id) else { return false };
        let fresh = self.pages.len() <= index;
        while self.pages.len() <= index {
            self.pages.push_back(Page::Alike(Record::default()));
        }
        fresh
    }
}

/// Cuts a run where pages end.
fn pieces(run: TaskRun) -> impl Iterator<Item = TaskRun> {
    let mut at = run.first.raw();
    std::iter::from_fn(move || {
        let count = (PAGE_TASKS - at % PAGE_TASKS).min(run.end().checked_sub(at)?);
        let part = TaskRun { first: TaskId::new(at), count };
        at += count;
        (count > 0).then_some(part)
    })
}

fn within(part: TaskRun) -> std::ops::Range<usize> {
    let from = (part.first.raw() % PAGE_TASKS) as usize;
    from..from + part.count as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(first: u64, count: u64) -> TaskRun {
        TaskRun { first: TaskId::new(first), count }
    }

    #[test]
    fn a_task_costs_24_bytes_and_a_range_next_to_nothing() {
        assert_eq!(size_of::<Record>(), 24);
        let mut tasks = Tasks::default();
        tasks.add(run(1, 1_000_000), Record::waiting(State::Queued));
        assert!(tasks.pages.iter().all(|page| matches!(page, Page::Alike(_))));
        tasks.each(run(1_020, 10), |id, record| record.attempt = id.raw() as u16);
        assert_eq!(tasks.get(TaskId::new(1_029)).attempt, 1_029);
        assert_eq!(tasks.get(TaskId::new(1_030)).attempt, 0);
        let (mut seen, mut parts) = (0, 0);
        tasks.look(run(1, 1_000_000), |part, record| {
            assert_eq!(record.state, State::Queued);
            (seen, parts) = (seen + part.count, parts + 1);
        });
        assert_eq!((seen, parts), (1_000_000, 1_023 + 1_024 + 975));
        tasks.alike(run(1_024, 1_024), |_, record| *record = Record::default());
        assert!(matches!(tasks.pages[1], Page::Alike(_)), "what was removed costs nothing");
        tasks.trim(2_048);
        assert_eq!(tasks.get(TaskId::new(2_048)).state, State::Queued);
        assert_eq!(tasks.get(TaskId::new(2_047)), Record::default());
        tasks.add(run(1_000_001, 3), Record::waiting(State::Blocked));
        assert_eq!(tasks.get(TaskId::new(1_000_000)).state, State::Queued);
        assert_eq!(tasks.get(TaskId::new(1_000_003)).state, State::Blocked);
    }

    #[test]
    fn leases_blocks_and_ends_come_back_as_they_were_kept() {
        let mut record = Record::default();
        assert_eq!((record.block(), record.end().outcome()), (None, None));
        let lease = LeaseId { epoch: Epoch::new(7), counter: (1 << 40) + 3 };
        record.set_lease(lease);
        record.set_block(Some(0));
        assert_eq!((record.lease(), record.block()), (lease, Some(0)));
        record.set_block(Some(u64::MAX));
        assert_eq!(record.block(), None);
        for outcome in [Outcome::Done, Outcome::Failed { code: -3 }, Outcome::Lost, Outcome::Unfit]
        {
            assert_eq!(End::of(outcome).outcome(), Some(outcome));
        }
        let cut = Outcome::Failed { code: i32::from(i16::MAX) };
        assert_eq!(End::of(Outcome::Failed { code: i32::MAX }).outcome(), Some(cut));
    }
}
