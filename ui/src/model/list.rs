//! A list over any number of tasks of which only a window is here: the cursor, moves that leave the
//! window, marks. Selection is by id. Does not hold the rows; see model/mod.rs.

use std::collections::BTreeMap;

use ganger_proto::limits::WINDOW_ROWS_MAX;
use ganger_proto::picture::{Direction, Order, Sort, SortKey, Start, TaskWindow};
use ganger_proto::{Filter, TaskId, TaskState};

/// The order of a list that is sorted by nothing else.
pub(crate) const BY_ID: Order = Order::By(Sort { key: SortKey::Id, direction: Direction::Rising });

/// A list's cursor, window and marks.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// What is listed when no filter is set.
    natural: Order,
    pub(crate) filter: Filter,
    pub(crate) filter_text: String,
    /// The row under the cursor; none while a live list is followed.
    pub(crate) selected: Option<TaskId>,
    start: Start,
    jump: Option<Jump>,
    /// Where on the screen the selected row was last.
    cursor_row: usize,
    pub(crate) height: usize,
    pub(crate) ids: Vec<TaskId>,
    /// The place of the first id in the whole list.
    pub(crate) first: u64,
    pub(crate) total: u64,
    pub(crate) marks: BTreeMap<TaskId, Marked>,
}

/// What was known of a task when it was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) state: TaskState,
    pub(crate) priority: i16,
}

/// A move that waits for its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jump {
    First,
    Last,
    By { from: TaskId, rows: i64 },
}

impl List {
    pub(crate) fn new(natural: Order) -> Self {
        Self {
            natural,
            filter: Filter::default(),
            filter_text: String::new(),
            selected: None,
            start: Start::First,
            jump: None,
            cursor_row: 0,
            height: 1,
            ids: Vec::new(),
            first: 0,
            total: 0,
            marks: BTreeMap::new(),
        }
    }

    /// Returns the window to watch.
    pub(crate) fn window(&self) -> TaskWindow {
        let order = if self.filter.is_everything() { self.natural } else { BY_ID };
        TaskWindow {
            filter: self.filter.clone(),
            order,
            start: self.start,
            rows: self.rows_wanted() as u32,
        }
    }

    fn rows_wanted(&self) -> usize {
        (self.height.max(4) * 3).min(WINDOW_ROWS_MAX as usize)
    }

    /// Tells whether rows move by themselves, so that no row is selected until a key selects one.
    pub(crate) fn is_live(&self) -> bool {
        self.filter.is_everything() && !matches!(self.natural, Order::By(_))
    }

    /// Returns the task that a key is about.
    pub(crate) fn cursor(&self) -> Option<TaskId> {
        match self.selected {
            Some(task) => self.ids.contains(&task).then_some(task),
            None if self.is_live() => None,
            None => self.ids.get(self.top()).copied(),
        }
    }

    /// Returns the first row of the window that is shown.
    pub(crate) fn top(&self) -> usize {
        let top = match self.selected_at() {
            Some(at) => at.saturating_sub(self.cursor_row),
            None => 0,
        };
        top.min(self.ids.len().saturating_sub(self.height))
    }

    fn selected_at(&self) -> Option<usize> {
        let task = self.selected?;
        self.ids.iter().position(|id| *id == task)
    }

    /// Takes the rows of a picture.
    pub(crate) fn take(&mut self, ids: Vec<TaskId>, first: u64, total: u64) {
        self.ids = ids;
        self.first = first;
        self.total = total;
        let Some(jump) = self.jump else { return };
        let last = self.ids.len().saturating_sub(1);
        let below = self.first + self.ids.len() as u64 >= self.total;
        match jump {
            Jump::First if self.first == 0 => self.land(0),
            Jump::Last if below => self.land(last),
            Jump::By { from, rows } => {
                let Some(at) = self.ids.iter().position(|id| *id == from) else {
                    return self.land_near(rows);
                };
                let target = at as i64 + rows;
                let within = (0..self.ids.len() as i64).contains(&target);
                if within || (target < 0 && self.first == 0) || (target > 0 && below) {
                    self.land(target.clamp(0, last as i64) as usize);
                }
            }
            Jump::First | Jump::Last => {}
        }
    }

    /// The row a move began at has left the list: the middle of what came is the nearest there is.
    fn land_near(&mut self, rows: i64) {
        if rows < 0 { self.land(0) } else { self.land(self.ids.len() / 2) }
    }

    fn land(&mut self, at: usize) {
        self.jump = None;
        let from_top = at.saturating_sub(self.ids.len().saturating_sub(self.height));
        self.cursor_row = self.cursor_row.max(from_top).min(self.height.saturating_sub(1)).min(at);
        self.selected = self.ids.get(at).copied().or(self.selected);
        self.prefetch();
    }

    /// Asks for a window around the cursor when it comes near an edge that has more behind it.
    fn prefetch(&mut self) {
        let (Some(at), Some(task)) = (self.selected_at(), self.selected) else { return };
        let more_above = self.first > 0 && at < self.height;
        let more_below =
            self.first + (self.ids.len() as u64) < self.total && at + self.height >= self.ids.len();
        if more_above || more_below {
            self.start = Start::Task { task, offset: -(self.rows_wanted() as i64 / 2) };
        }
    }

    /// Moves the cursor; what lies outside the window comes with the next picture, and until then
    /// the old rows stay.
    pub(crate) fn move_by(&mut self, rows: i64) {
        if let Some(Jump::By { from, rows: before }) = self.jump {
            return self.reach(from, before + rows);
        }
        let top = self.top();
        let at = match self.selected_at() {
            Some(at) => at as i64,
            None if self.is_live() => top as i64 - 1,
            None => top as i64,
        };
        let target = at + rows;
        let last = self.ids.len() as i64 - 1;
        if last < 0 {
        } else if target < 0 && self.first > 0 {
            self.reach(self.ids[0], target);
        } else if target > last && self.first + (last as u64 + 1) < self.total {
            self.reach(self.ids[last as usize], target - last);
        } else {
            let target = target.clamp(0, last) as usize;
            let bottom = top + self.height.saturating_sub(1);
            self.cursor_row = target.clamp(top, bottom.max(top)) - top;
            self.selected = Some(self.ids[target]);
            self.prefetch();
        }
    }

    /// Moves cursor and rows together, so that the cursor keeps its place on the screen.
    pub(crate) fn scroll_by(&mut self, rows: i64) {
        let row = self.cursor_row;
        let at_top = self.first == 0 && self.selected_at().unwrap_or(0) == 0;
        if rows < 0 && at_top {
            // Scrolled to its first row, a live list is followed again.
            return if self.is_live() { self.go_first() } else { self.move_by(rows) };
        }
        self.move_by(rows);
        if self.jump.is_none() {
            self.cursor_row = row.min(self.height.saturating_sub(1));
        }
    }

    /// Selects a row that is seen; no row moves.
    pub(crate) fn select(&mut self, task: TaskId) {
        if let Some(at) = self.ids.iter().position(|id| *id == task) {
            self.cursor_row = at.saturating_sub(self.top());
            self.jump = None;
            self.selected = Some(task);
            self.prefetch();
        }
    }

    fn reach(&mut self, from: TaskId, rows: i64) {
        self.selected = Some(from);
        self.cursor_row = if rows < 0 { 0 } else { self.height.saturating_sub(1) };
        self.jump = Some(Jump::By { from, rows });
        self.start = Start::Task { task: from, offset: rows - self.rows_wanted() as i64 / 2 };
    }

    pub(crate) fn go_first(&mut self) {
        self.start = Start::First;
        self.cursor_row = 0;
        self.jump = Some(Jump::First);
        if self.is_live() {
            self.jump = None;
            self.selected = None;
        } else if self.first == 0 && !self.ids.is_empty() {
            self.land(0);
        }
    }

    pub(crate) fn go_last(&mut self) {
        self.start = Start::Last;
        self.cursor_row = self.height.saturating_sub(1);
        self.jump = Some(Jump::Last);
        if self.first + self.ids.len() as u64 >= self.total && !self.ids.is_empty() {
            self.land(self.ids.len() - 1);
        }
    }

    pub(crate) fn page(&self) -> i64 {
        self.height.max(2) as i64 - 1
    }

    /// Tells whether the rows asked for are still on their way.
    pub(crate) fn is_waiting(&self) -> bool {
        self.jump.is_some()
    }

    /// Sets the filter and begins at its first row.
    pub(crate) fn set_filter(&mut self, filter: Filter, text: String) {
        self.filter_text = text;
        if self.filter != filter {
            self.filter = filter;
            self.selected = None;
            self.jump = None;
            self.start = Start::First;
            self.cursor_row = 0;
        }
    }

    /// Marks the task, or takes its mark away, and moves on.
    pub(crate) fn toggle_mark(&mut self, task: TaskId, seen: Marked) {
        if self.marks.remove(&task).is_none() {
            self.marks.insert(task, seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A master with the tasks 1 to `total`, all in id order.
    fn answer(list: &mut List, total: u64) {
        let window = list.window();
        let rows = u64::from(window.rows);
        let last_first = total.saturating_sub(rows);
        let first = match window.start {
            Start::First => 0,
            Start::Last => last_first,
            Start::Task { task, offset } => {
                (task.raw() as i64 - 1 + offset).clamp(0, last_first as i64) as u64
            }
        };
        let ids = (first + 1..=total.min(first + rows)).map(TaskId::new).collect();
        list.take(ids, first, total);
    }

    fn list(total: u64) -> List {
        let mut list = List::new(BY_ID);
        list.height = 20;
        answer(&mut list, total);
        list
    }

    fn shown(list: &List) -> (u64, u64, u64) {
        let top = list.first + list.top() as u64 + 1;
        (list.cursor().map_or(0, TaskId::raw), top, top + list.height as u64 - 1)
    }

    #[test]
    fn a_million_rows_are_reached_by_windows() {
        let mut list = list(1_000_000);
        assert_eq!(shown(&list), (1, 1, 20));
        list.move_by(1);
        assert_eq!(shown(&list), (2, 1, 20));
        for _ in 0..100 {
            list.move_by(19);
            answer(&mut list, 1_000_000);
        }
        assert_eq!(shown(&list), (1_902, 1_883, 1_902));
        list.go_last();
        assert!(list.is_waiting());
        assert_eq!(list.cursor(), Some(TaskId::new(1_902)), "the old rows stay until the answer");
        answer(&mut list, 1_000_000);
        assert_eq!(shown(&list), (1_000_000, 999_981, 1_000_000));
        list.move_by(-30);
        answer(&mut list, 1_000_000);
        assert_eq!(list.cursor(), Some(TaskId::new(999_970)));
        list.go_first();
        answer(&mut list, 1_000_000);
        assert_eq!(shown(&list), (1, 1, 20));
    }

    #[test]
    fn keys_typed_before_the_answer_add_up() {
        let mut list = list(10_000);
        for _ in 0..10 {
            list.move_by(50);
        }
        answer(&mut list, 10_000);
        assert_eq!(list.cursor(), Some(TaskId::new(501)));
        answer(&mut list, 10_000);
        assert_eq!(list.cursor(), Some(TaskId::new(501)));
    }

    #[test]
    fn the_cursor_stays_on_its_task_when_rows_move() {
        let mut list = List::new(Order::Latest);
        list.height = 5;
        list.take((1..=9).rev().map(TaskId::new).collect(), 0, 9);
        assert_eq!(list.cursor(), None, "a live list is followed until a key selects");
        list.move_by(1);
        list.move_by(1);
        assert_eq!(list.cursor(), Some(TaskId::new(8)));
        list.take((1..=12).rev().map(TaskId::new).collect(), 0, 12);
        assert_eq!(list.cursor(), Some(TaskId::new(8)));
        list.take(vec![TaskId::new(99)], 0, 1);
        assert_eq!(list.cursor(), None, "no other task slips under the cursor");
        list.go_first();
        assert_eq!(list.selected, None);
    }

    #[test]
    fn short_and_empty_lists_hold_still() {
        let mut list = list(0);
        list.move_by(5);
        list.go_last();
        list.go_first();
        assert_eq!(list.cursor(), None);
        answer(&mut list, 3);
        list.move_by(100);
        assert_eq!(list.cursor(), Some(TaskId::new(3)));
        list.move_by(-100);
        assert_eq!(list.cursor(), Some(TaskId::new(1)));
    }
}
