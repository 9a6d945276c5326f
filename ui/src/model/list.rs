//! A list over any number of tasks of which only a window is here: the cursor and moves that leave
//! the window. Selection is by id. Does not hold the rows; see model/mod.rs.

mod asked;

use ganger_proto::limits::WINDOW_ROWS_MAX;
use ganger_proto::picture::{Direction, Order, Search, Sort, SortKey, Start, TaskWindow};
use ganger_proto::{Filter, TaskId};

use super::answer::Answer;
use super::marks::{Marked, Marks};

/// The order of a list that is sorted by nothing else.
pub(crate) const BY_ID: Order = Order::By(Sort { key: SortKey::Id, direction: Direction::Rising });

/// A list's filter, order, cursor, window and marks.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The order when none was chosen.
    natural: Order,
    sort: Option<Sort>,
    /// Whether the cursor has left the newest rows of a list that moves by itself.
    walks: bool,
    pub(crate) filter: Filter,
    pub(crate) filter_text: String,
    /// Filters set before, the newest first.
    pub(crate) earlier: Vec<String>,
    /// The row under the cursor; none while a live list is followed.
    pub(crate) selected: Option<TaskId>,
    start: Start,
    jump: Option<Jump>,
    /// Where on the screen the selected row was last.
    cursor_row: usize,
    /// The place of the selected row in the whole list when it was last seen.
    place: u64,
    pub(crate) height: usize,
    pub(crate) ids: Vec<TaskId>,
    /// The place of the first id in the whole list.
    pub(crate) first: u64,
    pub(crate) total: u64,
    /// How far the master's search for the rows has come.
    pub(crate) search: Search,
    pub(crate) marks: Marks,
    /// Where a range of marks begins.
    pub(crate) anchor: Option<TaskId>,
    answer: Answer,
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
            sort: None,
            walks: false,
            filter: Filter::default(),
            filter_text: String::new(),
            earlier: Vec::new(),
            selected: None,
            start: Start::First,
            jump: None,
            cursor_row: 0,
            place: 0,
            height: 1,
            ids: Vec::new(),
            first: 0,
            total: 0,
            search: Search::Complete,
            marks: Marks::default(),
            anchor: None,
            answer: Answer::default(),
        }
    }

    /// Returns the window to watch.
    pub(crate) fn window(&self) -> TaskWindow {
        TaskWindow {
            filter: self.filter.clone(),
            order: self.order(),
            start: self.start,
            rows: self.rows_wanted() as u32,
        }
    }

    fn rows_wanted(&self) -> usize {
        (self.height.max(4) * 3).min(WINDOW_ROWS_MAX as usize)
    }

    /// Tells whether rows move by themselves, so that no row is selected until a key selects one.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.order(), Order::By(_))
    }

    /// Leaves the newest rows for the older ones, which only a sorted list has.
    fn walk(&mut self) {
        let here = self.first + self.ids.len() as u64;
        if self.order() == Order::Latest && self.total > here {
            self.walks = true;
        }
    }

    /// Returns the place after the last row that can be reached; live lists end with their window.
    fn end(&self) -> u64 {
        let here = self.first + self.ids.len() as u64;
        if self.is_live() { here } else { self.total.max(here) }
    }

    /// Notes that a watch asks for this list.
    pub(crate) fn watched(&mut self, number: u64) {
        let now = (self.filter.clone(), self.order());
        self.answer.ask(number, now);
    }

    /// Notes that a watch asks for other lists only.
    pub(crate) fn unwatched(&mut self) {
        self.answer = Answer::Unasked;
    }

    /// Tells whether a picture that answers this watch has rows for this list.
    pub(crate) fn takes(&self, watch: u64) -> bool {
        self.answer.takes(watch)
    }

    /// Tells whether the rows here are another filter's or order's.
    pub(crate) fn is_stale(&self) -> bool {
        !self.answer.is_of(&self.filter, self.order())
    }

    /// Returns the task that a key is about.
    pub(crate) fn cursor(&self) -> Option<TaskId> {
        match self.selected {
            _ if self.is_stale() => None,
            Some(task) => self.ids.contains(&task).then_some(task),
            None if self.is_live() => None,
            None => self.ids.get(self.top()).copied(),
        }
    }

    /// Returns the first row of the window that is shown.
    pub(crate) fn top(&self) -> usize {
        let top = match (self.selected_at(), self.selected) {
            (Some(at), _) => at.saturating_sub(self.cursor_row),
            // The row has gone; what was around it stays where it was.
            (None, Some(_)) => self.place_here().saturating_sub(self.cursor_row),
            (None, None) => 0,
        };
        top.min(self.ids.len().saturating_sub(self.height))
    }

    fn selected_at(&self) -> Option<usize> {
        let task = self.selected?;
        self.ids.iter().position(|id| *id == task)
    }

    /// Returns the selected row's last place among the rows here.
    fn place_here(&self) -> usize {
        let last = self.ids.len().saturating_sub(1) as u64;
        self.place.saturating_sub(self.first).min(last) as usize
    }

    fn note_place(&mut self) {
        if let Some(at) = self.selected_at() {
            self.place = self.first + at as u64;
        }
    }

    /// Takes the rows of a picture.
    pub(crate) fn take(&mut self, ids: impl Iterator<Item = TaskId>, first: u64, total: u64) {
        self.ids.clear();
        self.ids.extend(ids);
        self.first = first;
        self.total = total;
        self.answer.take();
        self.note_place();
        let Some(jump) = self.jump else { return self.prefetch() };
        let last = self.ids.len().saturating_sub(1);
        let below = self.first + self.ids.len() as u64 >= self.end();
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
        self.note_place();
        self.prefetch();
    }

    /// Asks for a window around the cursor when it comes near an edge that has more behind it.
    fn prefetch(&mut self) {
        let (Some(at), Some(task)) = (self.selected_at(), self.selected) else { return };
        let more_above = self.first > 0 && at < self.height;
        let more_below =
            self.first + (self.ids.len() as u64) < self.end() && at + self.height >= self.ids.len();
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
            // The next row has come into the place of the one that has gone.
            None if self.selected.is_some() => self.place_here() as i64 - i64::from(rows > 0),
            None if self.is_live() => top as i64 - 1,
            None => top as i64,
        };
        let target = at + rows;
        let last = self.ids.len() as i64 - 1;
        if target > last {
            self.walk();
        }
        if last < 0 {
        } else if target < 0 && self.first > 0 {
            self.reach(self.ids[0], target);
        } else if target > last && self.first + (last as u64 + 1) < self.end() {
            self.reach(self.ids[last as usize], target - last);
        } else {
            let target = target.clamp(0, last) as usize;
            let bottom = top + self.height.saturating_sub(1);
            self.cursor_row = target.clamp(top, bottom.max(top)) - top;
            self.selected = Some(self.ids[target]);
            self.note_place();
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
        self.walks = false;
        self.jump = Some(Jump::First);
        if self.is_live() {
            self.jump = None;
            self.selected = None;
        } else if self.first == 0 && !self.ids.is_empty() {
            self.land(0);
        }
    }

    pub(crate) fn go_last(&mut self) {
        self.walk();
        self.start = Start::Last;
        self.cursor_row = self.height.saturating_sub(1);
        self.jump = Some(Jump::Last);
        if self.first + self.ids.len() as u64 >= self.end() && !self.ids.is_empty() {
            self.land(self.ids.len() - 1);
        }
    }

    /// Puts the cursor on a task in the middle of the list, or on the next one there is.
    pub(crate) fn go_to(&mut self, task: TaskId) {
        self.reach(task, 0);
        self.cursor_row = self.height / 2;
    }

    pub(crate) fn page(&self) -> i64 {
        self.height.max(2) as i64 - 1
    }

    /// Tells whether the rows asked for are still on their way.
    pub(crate) fn is_waiting(&self) -> bool {
        self.jump.is_some()
    }

    /// Marks the task, or takes its mark away; a range begins here.
    pub(crate) fn toggle_mark(&mut self, task: TaskId, seen: Marked) {
        self.marks.toggle(task, seen);
        self.anchor = Some(task);
    }
}

#[cfg(test)]
mod tests {
    use super::asked::BY_END;
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
        list.watched(1);
        list.take((first + 1..=total.min(first + rows)).map(TaskId::new), first, total);
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
        list.watched(1);
        list.take((1..=9).rev().map(TaskId::new), 0, 9);
        assert_eq!(list.cursor(), None, "a live list is followed until a key selects");
        list.move_by(1);
        list.move_by(1);
        assert_eq!(list.cursor(), Some(TaskId::new(8)));
        list.take((1..=12).rev().map(TaskId::new), 0, 12);
        assert_eq!(list.cursor(), Some(TaskId::new(8)));
        list.take([TaskId::new(99)].into_iter(), 0, 1);
        assert_eq!(list.cursor(), None, "no other task slips under the cursor");
        list.go_first();
        assert_eq!(list.selected, None);
    }

    #[test]
    fn rows_of_another_filter_are_not_acted_on() {
        let mut list = list(100);
        assert_eq!(list.cursor(), Some(TaskId::new(1)));
        list.set_filter(Filter::parse("state:failed").unwrap(), "state:failed".to_owned());
        assert_eq!(list.cursor(), None, "the rows here are those of no filter");
        list.watched(2);
        assert!(!list.takes(1) && list.takes(2));
        list.watched(3);
        assert!(list.takes(2), "a watch of other rows of the same list");
        list.take([TaskId::new(7)].into_iter(), 0, 1);
        assert_eq!(list.cursor(), Some(TaskId::new(7)));
        list.set_sort(Some(Sort { key: SortKey::Took, direction: Direction::Falling }));
        assert_eq!(list.cursor(), None);
        list.unwatched();
        assert!(!list.takes(9));
    }

    #[test]
    fn the_view_stays_when_the_selected_row_goes() {
        let mut list = list(1_000);
        list.move_by(30);
        assert_eq!(shown(&list), (31, 12, 31));
        list.take(list.ids.clone().into_iter().filter(|id| id.raw() != 31), 0, 999);
        assert_eq!((list.cursor(), list.top()), (None, 11), "nothing jumps");
        list.move_by(1);
        assert_eq!(list.cursor(), Some(TaskId::new(32)));
        list.take(list.ids.clone().into_iter().filter(|id| id.raw() != 32), 0, 998);
        list.move_by(-1);
        assert_eq!(list.cursor(), Some(TaskId::new(30)));
    }

    #[test]
    fn what_is_next_ends_with_its_window() {
        let mut list = List::new(Order::Next);
        list.height = 5;
        list.watched(1);
        list.take((1..=9).map(TaskId::new), 0, 48_000);
        list.go_last();
        assert!(!list.is_waiting());
        assert_eq!(list.cursor(), Some(TaskId::new(9)));
        list.move_by(5);
        assert_eq!(list.cursor(), Some(TaskId::new(9)));
    }

    #[test]
    fn results_are_walked_beyond_the_newest() {
        let mut list = List::new(Order::Latest);
        list.height = 5;
        list.watched(1);
        list.take((992..=1_000).rev().map(TaskId::new), 0, 1_000);
        list.move_by(9);
        assert_eq!((list.order(), list.cursor()), (Order::Latest, Some(TaskId::new(992))));
        list.move_by(1);
        assert_eq!(list.order(), BY_END, "older ones are in a sorted list only");
        list.watched(2);
        list.take((980..=1_000).rev().map(TaskId::new), 0, 1_000);
        assert_eq!(list.cursor(), Some(TaskId::new(991)));
        list.go_first();
        assert!(list.is_live() && list.selected.is_none(), "the first row is followed again");
        list.watched(3);
        list.take((992..=1_000).rev().map(TaskId::new), 0, 1_000);
        list.go_last();
        list.watched(4);
        list.take((1..=15).rev().map(TaskId::new), 985, 1_000);
        assert_eq!(list.cursor(), Some(TaskId::new(1)));
        list.set_filter(Filter::parse("kind:exec").unwrap(), "kind:exec".to_owned());
        assert_eq!(list.order(), BY_END, "with a filter it is sorted and can be walked through");
        assert!(list.is_newest_first() && !list.is_live());
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
