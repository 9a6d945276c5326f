//! What a list asks for: its filter, its order, and the filter that says the same as marks on all
//! that match. Where its window begins is in list.rs.

use ganger_proto::Filter;
use ganger_proto::picture::{Direction, Order, Sort, SortKey, Start};

use super::List;
use crate::model::filter_line::EARLIER_MAX;
use crate::model::marks::{Marks, Matching};

/// What ended last, first.
pub(super) const BY_END: Order =
    Order::By(Sort { key: SortKey::Since, direction: Direction::Falling });

impl List {
    /// Returns the order of the rows. What ends moves by itself while all of it is listed and the
    /// cursor is among the newest.
    pub(crate) fn order(&self) -> Order {
        match (self.sort, self.natural) {
            (Some(sort), _) => Order::By(sort),
            (None, Order::Latest) if self.walks || !self.filter.is_everything() => BY_END,
            (None, natural) => natural,
        }
    }

    /// Tells whether the list is of ended tasks only.
    pub(crate) fn is_of_ended(&self) -> bool {
        self.natural == Order::Latest
    }

    /// Tells whether the rows are in the list's own order.
    pub(crate) fn is_natural(&self) -> bool {
        self.sort.is_none()
    }

    /// Tells whether the rows would move by themselves if no filter were set.
    pub(crate) fn is_live_when_whole(&self) -> bool {
        self.sort.is_none() && !matches!(self.natural, Order::By(_))
    }

    /// Tells whether new rows come in at the top.
    pub(crate) fn is_newest_first(&self) -> bool {
        match self.order() {
            Order::By(_) => self.order() == BY_END,
            Order::Next => false,
            Order::Latest => true,
        }
    }

    /// Returns how many rows lie above the first one shown.
    pub(crate) fn above(&self) -> u64 {
        self.first + self.top() as u64
    }

    /// Tells whether its first row is followed when the cursor goes there.
    pub(crate) fn can_be_live(&self) -> bool {
        self.is_live_when_whole() && (self.natural == Order::Next || self.filter.is_everything())
    }

    /// Sets the filter and begins at its first row. Marks on all that matched go with the filter
    /// that they were about.
    pub(crate) fn set_filter(&mut self, filter: Filter, text: String) {
        self.filter_text = text;
        if self.filter != filter {
            self.filter = filter;
            if matches!(self.marks, Marks::Matching(_)) {
                self.marks.clear();
            }
            self.begin();
        }
    }

    /// Remembers the filter as one that can be recalled.
    pub(crate) fn remember_filter(&mut self) {
        let text = self.filter_text.trim().to_owned();
        if !text.is_empty() {
            self.earlier.retain(|earlier| *earlier != text);
            self.earlier.insert(0, text);
            self.earlier.truncate(EARLIER_MAX);
        }
    }

    /// Sorts, or goes back to the natural order, and begins at the first row.
    pub(crate) fn set_sort(&mut self, sort: Option<Sort>) {
        if self.sort != sort {
            self.sort = sort;
            self.begin();
        }
    }

    /// Returns what the rows are sorted by; none for a live order.
    pub(crate) fn sorted_by(&self) -> Option<Sort> {
        match self.order() {
            Order::By(sort) => Some(sort),
            Order::Next | Order::Latest => None,
        }
    }

    fn begin(&mut self) {
        self.selected = None;
        self.walks = false;
        self.jump = None;
        self.start = Start::First;
        self.cursor_row = 0;
        self.anchor = None;
    }

    /// Returns the text of the filter that says the same as marks on all that match.
    pub(crate) fn matching(&self, marks: &Matching) -> String {
        let ended = if self.is_of_ended() { " state:ended" } else { "" };
        let text = format!("{}{}{ended}", self.filter, marks.terms());
        text.trim_start().to_owned()
    }
}
