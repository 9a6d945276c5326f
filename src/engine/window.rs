//! Windows over tasks: which rows a screen sees of a list, straight from an index or from a search.
//! What a row says is query.rs's and picture.rs's concern.

use std::borrow::Cow;

use ganger_proto::picture::{Direction, Order, Search as Progress, Start, TaskWindow};
use ganger_proto::{Filter, TaskId};

use super::Engine;
use super::runs::{IdSet, TaskRun};
use super::search::{Aim, Found, SORT_ROWS_MAX, Scope, Search};
use super::sorted::{Row, Sorted};
use crate::clock::Now;

/// The searches of one client's windows; empty where indexes answer.
#[derive(Debug, Default)]
pub struct Searches {
    /// That of its tasks.
    pub tasks: Option<Search>,
    /// That of its results.
    pub results: Option<Search>,
}

/// A part of a list.
#[derive(Debug)]
pub(super) struct View {
    /// Rows in the whole list.
    pub(super) total: u64,
    /// The place of the first row.
    pub(super) start: u64,
    /// The rows.
    pub(super) ids: Vec<TaskId>,
    /// How far the search for them has come.
    pub(super) search: Progress,
}

impl View {
    /// A list whose first rows these are.
    pub(super) const fn whole(total: u64, ids: Vec<TaskId>) -> Self {
        Self { total, start: 0, ids, search: Progress::Complete }
    }
}

/// How often rows that do not match any more are replaced by the next ones; a list that loses
/// whole windows at once is shown shorter until the next pass.
const REPLACED_MAX: usize = 4;

impl Searches {
    /// Iterates over the searches that there are.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Search> {
        self.tasks.iter_mut().chain(self.results.iter_mut())
    }
}

impl Engine {
    /// Returns what a window shows. `search` is kept for the same window and made anew for another.
    pub(super) fn view(
        &self,
        now: Now,
        asked: &TaskWindow,
        scope: Scope,
        search: &mut Option<Search>,
    ) -> View {
        let Order::By(sort) = asked.order else {
            *search = None;
            return View::whole(0, Vec::new());
        };
        let aim = Aim { filter: asked.filter.clone(), sort, scope };
        if aim.is_direct() {
            *search = None;
            let set = self.direct(&aim.filter, scope);
            let list = List::Ids(&set, sort.direction);
            let (start, ids) = list.window(asked, |id| (0, id));
            return View { total: set.len(), start, ids: plain(ids), search: Progress::Complete };
        }
        if search.as_ref().is_none_or(|known| known.aim != aim) {
            *search = Some(Search::new(aim));
        }
        match search {
            Some(search) => self.searched(now, asked, search),
            None => View::whole(0, Vec::new()),
        }
    }

    fn direct(&self, filter: &Filter, scope: Scope) -> Cow<'_, IdSet> {
        match scope {
            Scope::All => self.narrowed(filter),
            Scope::Ended if filter.is_everything() => Cow::Owned(self.ledger.ended_tasks()),
            Scope::Ended => Cow::Owned(self.narrowed(filter).and(&self.ledger.ended_tasks())),
        }
    }

    fn searched(&self, now: Now, asked: &TaskWindow, search: &mut Search) -> View {
        self.refresh(now, search);
        let anchor = match asked.start {
            Start::Task { task, .. } => Some(self.anchor_row(now, search, task)),
            Start::First | Start::Last => None,
        };
        let (aim, mut whole) = (search.aim.clone(), std::mem::take(&mut search.whole));
        let (found, permille) = search.state();
        let mut rows = Vec::new();
        let mut view = View::whole(0, Vec::new());
        if let Some(found) = found {
            for _ in 0..REPLACED_MAX {
                let list = found.list(aim.sort.direction);
                (view.start, rows) = list.window(asked, |id| anchor.unwrap_or((0, id)));
                let mut gone = |row: &Row| !self.still(now, &aim, &mut whole, row.1);
                let gone: Vec<Row> = rows.extract_if(.., |row| gone(row)).collect();
                if gone.is_empty() {
                    break;
                }
                gone.into_iter().for_each(|row| found.remove(row));
            }
            view.total = found.len();
            view.search = progress(&aim, found, permille);
        } else {
            view.search = Progress::Running { permille: 0 };
        }
        search.whole = whole;
        search.shown = rows.iter().map(|(key, id)| (*id, *key)).collect();
        view.ids = plain(rows);
        view
    }
}

fn plain(rows: Vec<Row>) -> Vec<TaskId> {
    rows.into_iter().map(|(_, id)| id).collect()
}

fn progress(aim: &Aim, found: &Found, permille: Option<u16>) -> Progress {
    if let Some(permille) = permille {
        return Progress::Running { permille };
    }
    match found {
        Found::Ids(_) | Found::Rows(_) => Progress::Complete,
        Found::TooMany(ids) => Progress::Refused(format!(
            "sorting {} tasks by {} needs a filter that leaves at most {}",
            grouped(ids.len()),
            aim.sort.key.word(),
            grouped(SORT_ROWS_MAX as u64)
        )),
    }
}

/// Returns a number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl Found {
    const fn list(&self, direction: Direction) -> List<'_> {
        match self {
            Self::Ids(ids) => List::Ids(ids, direction),
            Self::TooMany(ids) => List::Ids(ids, Direction::Rising),
            Self::Rows(rows) => List::Rows(rows),
        }
    }
}

/// A list in its order.
enum List<'a> {
    Ids(&'a IdSet, Direction),
    Rows(&'a Sorted),
}

impl List<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Ids(ids, _) => ids.len(),
            Self::Rows(rows) => rows.len() as u64,
        }
    }

    /// Returns the place of a row, or of the next one when it is not there.
    fn place(&self, row: Row) -> u64 {
        match self {
            Self::Ids(ids, Direction::Rising) => ids.rank(row.1),
            Self::Ids(ids, Direction::Falling) => ids.len() - ids.rank(row.1.plus(1)),
            Self::Rows(rows) => rows.rank(row) as u64,
        }
    }

    fn rows(&self, first: u64, count: u64) -> Vec<Row> {
        let count = count.min(self.len().saturating_sub(first));
        match self {
            Self::Ids(ids, Direction::Rising) => ids_from(ids, first, count),
            Self::Ids(ids, Direction::Falling) => {
                let mut rows = ids_from(ids, ids.len() - first - count, count);
                rows.reverse();
                rows
            }
            Self::Rows(rows) => rows.from(first as usize).take(count as usize).collect(),
        }
    }

    /// Returns a window's first row and its rows.
    fn window(&self, asked: &TaskWindow, row_of: impl Fn(TaskId) -> Row) -> (u64, Vec<Row>) {
        let rows = u64::from(asked.rows.min(ganger_proto::limits::WINDOW_ROWS_MAX));
        let last = self.len().saturating_sub(rows);
        let first = match asked.start {
            Start::First => 0,
            Start::Last => last,
            Start::Task { task, offset } => {
                let place = self.place(row_of(task)).min(self.len().saturating_sub(1));
                place.saturating_add_signed(offset).min(last)
            }
        };
        (first, self.rows(first, rows))
    }
}

fn ids_from(ids: &IdSet, first: u64, count: u64) -> Vec<Row> {
    let Some(from) = ids.select(first) else { return Vec::new() };
    let ids = ids.runs_from(from).flat_map(TaskRun::ids).take(count as usize);
    ids.map(|id| (0, id)).collect()
}
