//! Searches: what a filter without an index matches, and lists sorted by anything but the id. A
//! search goes on in slices of a bounded number of steps; how many, and when, is the driver's
//! choice. What is shown of it is window.rs's concern.
//!
//! ```text
//!  aimed --> first pass, what it has found is shown --> answer
//!                                                        | ^
//!                 something changed, a second has passed | | the next pass is over
//!                                                        v |
//!                               answer, while the next pass is under way
//! ```

use std::collections::BTreeMap;

use ganger_proto::picture::{Direction, Sort, SortKey};
use ganger_proto::{Filter, TaskId, WorkerId};

use super::Engine;
use super::runs::{IdSet, TaskRun};
use super::sieve::{Look, Sieve, exit_of};
use super::sorted::{Row, Sorted};
use super::task::{State, Task};
use crate::clock::Now;

/// Rows that are sorted at most.
pub const SORT_ROWS_MAX: usize = 1_000_000;
/// Steps of a search that costs so little that it is done whenever it is shown.
pub(super) const SMALL_STEPS: u64 = 4_096;
/// Between two passes over the same tasks, in milliseconds.
const AGAIN_MS: u64 = 1_000;
/// How much longer than a pass the next one waits: a quarter of the time goes into searching.
const REST: u64 = 3;

/// Which tasks a window is about, beside its filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All.
    All,
    /// Those that have ended.
    Ended,
}

/// What a search looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// Which tasks.
    pub filter: Filter,
    /// In which order.
    pub sort: Sort,
    /// Among which.
    pub scope: Scope,
}

/// A search, and what it has found.
#[derive(Debug)]
pub struct Search {
    pub(super) aim: Aim,
    /// All terms, to check rows again when they are shown.
    pub(super) whole: Sieve,
    /// What the last whole pass found.
    pub(super) answer: Option<Found>,
    pass: Option<Box<Pass>>,
    /// What the rows shown last are sorted by, so that a row that stays in view is found again
    /// although it has changed.
    pub(super) shown: BTreeMap<TaskId, i64>,
    /// The engine's changes when the last pass began.
    changes: u64,
    /// Steps of the last pass.
    steps: u64,
    /// When the next pass may begin, on the monotonic clock.
    again_ms: u64,
}

/// What a pass found.
#[derive(Debug)]
pub(super) enum Found {
    /// In the order of ids, because that is asked for.
    Ids(IdSet),
    /// Sorted.
    Rows(Sorted),
    /// In the order of ids, because there are too many to sort.
    TooMany(IdSet),
}

impl Found {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Ids(ids) | Self::TooMany(ids) => ids.len(),
            Self::Rows(rows) => rows.len() as u64,
        }
    }
}

/// One walk over the candidates.
#[derive(Debug)]
struct Pass {
    sieve: Sieve,
    candidates: IdSet,
    /// The candidate that is next, and how many were looked at.
    at: TaskId,
    looked: u64,
    steps: u64,
    found: Found,
    began_ms: u64,
    /// Workers by name, as numbers.
    workers: BTreeMap<WorkerId, i64>,
}

/// What a slice left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slice {
    /// Nothing was to do.
    Idle,
    /// There is more.
    More,
    /// A pass is over: what is shown may be different.
    Over,
}

impl Aim {
    /// Tells whether indexes alone give the window.
    pub(super) fn is_direct(&self) -> bool {
        self.sort.key == SortKey::Id && self.filter.is_indexed()
    }
}

impl Search {
    /// Returns a search that has not begun.
    pub fn new(aim: Aim) -> Self {
        let whole = Sieve::whole(&aim.filter);
        Self {
            aim,
            whole,
            answer: None,
            pass: None,
            shown: BTreeMap::new(),
            changes: 0,
            steps: 0,
            again_ms: 0,
        }
    }

    /// Returns what can be shown, and how far the first pass has come, in thousandths.
    pub(super) fn state(&mut self) -> (Option<&mut Found>, Option<u16>) {
        if let Some(answer) = &mut self.answer {
            return (Some(answer), None);
        }
        let Some(pass) = self.pass.as_deref_mut() else { return (None, Some(0)) };
        let all = pass.candidates.len().max(1);
        let permille = (pass.looked.min(all) * 1_000 / all) as u16;
        (Some(&mut pass.found), Some(permille.min(999)))
    }

    /// Takes what was found.
    pub fn into_ids(self) -> IdSet {
        match self.answer {
            Some(Found::Ids(ids) | Found::TooMany(ids)) => ids,
            Some(Found::Rows(rows)) => rows.from(0).map(|(_, id)| id).collect(),
            None => IdSet::default(),
        }
    }

    /// Tells whether the first pass goes on.
    pub const fn is_first(&self) -> bool {
        self.answer.is_none()
    }

    fn has(&self, row: Row) -> bool {
        let going = self.pass.as_deref().map(|pass| &pass.found);
        match self.answer.as_ref().or(going) {
            Some(Found::Rows(rows)) => rows.contains(row),
            Some(Found::Ids(_) | Found::TooMany(_)) => true,
            None => false,
        }
    }

    fn is_of_time(&self) -> bool {
        self.aim.filter.terms.iter().any(|term| term.test.is_of_time())
    }
}

impl Engine {
    /// Goes on with a search for about so many steps: a step is a task that is looked at, or 128
    /// bytes of its text. Begins the next pass when something has changed and its time has come.
    pub fn search(&self, now: Now, search: &mut Search, steps: u64) -> Slice {
        if search.pass.is_none() {
            if !self.is_due(now, search) {
                return Slice::Idle;
            }
            self.begin(now, search);
        }
        let Some(pass) = search.pass.as_deref_mut() else { return Slice::Idle };
        let end = pass.steps.saturating_add(steps);
        while pass.steps < end {
            if !self.look(now, &search.aim, pass, end) {
                let rest = now.mono_ms.saturating_sub(pass.began_ms).saturating_mul(REST);
                search.again_ms = now.mono_ms.saturating_add(rest.max(AGAIN_MS));
                search.steps = pass.steps;
                search.answer = search.pass.take().map(|pass| pass.found);
                return Slice::Over;
            }
        }
        Slice::More
    }

    /// Does a search that costs little at once, so that what is shown is of this moment.
    pub(super) fn refresh(&self, now: Now, search: &mut Search) {
        let small = search.pass.is_none() && search.steps <= SMALL_STEPS;
        if small && search.answer.is_some() && search.changes != self.soft.changes {
            search.again_ms = now.mono_ms;
        }
        if small && self.search(now, search, SMALL_STEPS) == Slice::More && search.answer.is_some()
        {
            // It has grown; from here on it takes its turn.
            search.steps = SMALL_STEPS + 1;
        }
    }

    fn is_due(&self, now: Now, search: &Search) -> bool {
        if search.answer.is_none() {
            return true;
        }
        let moved = search.changes != self.soft.changes || search.is_of_time();
        moved && now.mono_ms >= search.again_ms
    }

    fn begin(&self, now: Now, search: &mut Search) {
        let mut candidates = self.narrowed(&search.aim.filter).into_owned();
        if search.aim.scope == Scope::Ended {
            candidates = candidates.and(&self.ledger.ended_tasks());
        }
        let sieve = Sieve::unindexed(&search.aim.filter);
        search.changes = self.soft.changes;
        let sorted = search.aim.sort.key != SortKey::Id;
        if sieve.is_open() && (!sorted || candidates.len() > SORT_ROWS_MAX as u64) {
            // There is nothing to look at: the indexes know.
            search.again_ms = now.mono_ms + AGAIN_MS;
            search.steps = 0;
            search.answer =
                Some(if sorted { Found::TooMany(candidates) } else { Found::Ids(candidates) });
            return;
        }
        let found =
            if sorted { Found::Rows(Sorted::default()) } else { Found::Ids(IdSet::default()) };
        let workers = if search.aim.sort.key == SortKey::Worker {
            let names = self.ledger.worker_names.values();
            names.zip(0..).map(|(worker, place)| (*worker, place)).collect()
        } else {
            BTreeMap::new()
        };
        search.pass = Some(Box::new(Pass {
            sieve,
            at: candidates.first().unwrap_or_default(),
            candidates,
            looked: 0,
            steps: 0,
            found,
            began_ms: now.mono_ms,
            workers,
        }));
    }

    /// Looks at candidates of one run of one extent; tells whether there was one.
    fn look(&self, now: Now, aim: &Aim, pass: &mut Pass, end: u64) -> bool {
        let Some(run) = pass.candidates.runs_from(pass.at).next() else { return false };
        let Some(place) = self.place_of(run.first) else {
            // It was removed since the pass began.
            pass.at = TaskId::new(run.first.raw() + 1);
            (pass.steps, pass.looked) = (pass.steps + 1, pass.looked + 1);
            return true;
        };
        let stop = run.end().min(place.extent.run().end());
        let at = Look { engine: self, now, place };
        let mut id = run.first;
        while id.raw() < stop && pass.steps < end {
            let task = self.ledger.task(id);
            // Tasks of a page that is alike differ in nothing but their texts.
            let alike = match pass.sieve.is_of_text() {
                true => 1,
                false => self.ledger.table.alike_from(id).min(stop - id.raw()),
            };
            let part = TaskRun { first: id, count: alike };
            if task.state != State::Absent && pass.sieve.passes(&at, id, &task) {
                let key = at.sort_key(aim.sort, id, &task, &pass.workers);
                pass.steps += pass.found.add(part, key);
            }
            pass.steps += pass.sieve.steps();
            pass.looked += alike;
            id = TaskId::new(part.end());
        }
        pass.at = id;
        true
    }

    /// Returns the row of a task that stays in view: where it was shown last, if it is still there.
    pub(super) fn anchor_row(&self, now: Now, search: &Search, id: TaskId) -> Row {
        if let Some(row) = search.shown.get(&id).map(|key| (*key, id))
            && search.has(row)
        {
            return row;
        }
        let Some(place) = self.place_of(id) else { return (i64::MAX, id) };
        let at = Look { engine: self, now, place };
        let names = self.ledger.worker_names.values();
        let workers = names.zip(0..).map(|(worker, place)| (*worker, place)).collect();
        let task = self.ledger.task(id);
        (at.sort_key(search.aim.sort, id, &task, &workers), id)
    }

    /// Tells whether a task still matches.
    pub(super) fn still(&self, now: Now, aim: &Aim, whole: &mut Sieve, id: TaskId) -> bool {
        let task = self.ledger.task(id);
        let there = match aim.scope {
            Scope::All => task.state != State::Absent,
            Scope::Ended => task.state.is_end(),
        };
        let Some(place) = self.place_of(id).filter(|_| there) else { return false };
        whole.passes(&Look { engine: self, now, place }, id, &task)
    }
}

impl Look<'_> {
    /// Returns what a task is sorted by: smaller comes first, what has nothing to compare last.
    fn sort_key(
        &self,
        sort: Sort,
        id: TaskId,
        task: &Task,
        workers: &BTreeMap<WorkerId, i64>,
    ) -> i64 {
        let value = match sort.key {
            SortKey::Id => Some(0),
            SortKey::State => Some(self.engine.shown_state(id, task) as i64),
            SortKey::Priority => Some(i64::from(task.priority)),
            SortKey::Kind => {
                let mut word = [0; 8];
                word.iter_mut().zip(self.place.kind.word().bytes()).for_each(|(to, b)| *to = b);
                Some(i64::from_be_bytes(word))
            }
            SortKey::Worker => workers.get(&task.worker).copied(),
            SortKey::Tries => Some(i64::from(task.attempt)),
            SortKey::Exit => exit_of(task),
            SortKey::Took => task.took.us().and_then(|us| i64::try_from(us).ok()),
            SortKey::Since => {
                let delayed = task.state == State::Delayed;
                let came = task.at.max(self.place.batch.submitted);
                i64::try_from(if delayed { self.now.wall.0 } else { came.0 }).ok()
            }
        };
        match (value, sort.direction) {
            (None, _) => i64::MAX,
            (Some(value), Direction::Rising) => value.min(i64::MAX - 1),
            (Some(value), Direction::Falling) => -value.max(-i64::MAX + 1),
        }
    }
}

impl Found {
    /// Adds tasks that are sorted alike; returns what it cost, in steps.
    fn add(&mut self, run: TaskRun, key: i64) -> u64 {
        if let Self::Rows(rows) = self
            && rows.len() + run.count as usize > SORT_ROWS_MAX
        {
            *self = Self::TooMany(rows.from(0).map(|(_, id)| id).collect());
        }
        match self {
            Self::Ids(ids) | Self::TooMany(ids) => {
                ids.insert(run);
                0
            }
            Self::Rows(rows) => {
                run.ids().for_each(|id| rows.insert((key, id)));
                run.count
            }
        }
    }

    /// Removes a task that does not match any more.
    pub(super) fn remove(&mut self, (key, id): Row) {
        match self {
            Self::Ids(ids) | Self::TooMany(ids) => ids.remove(TaskRun::one(id)),
            Self::Rows(rows) => rows.remove((key, id)),
        }
    }
}
