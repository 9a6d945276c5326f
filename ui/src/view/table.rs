//! Columns of a list: which fit a width, where they lie. Columns drop from the lowest priority.

use ganger_proto::picture::Direction;
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::model::Model;
use crate::model::sorting::arrow;
use crate::mouse::Hit;
use crate::theme::Role;

/// A column as asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<K> {
    pub(super) key: K,
    pub(super) title: &'static str,
    /// Columns it takes; one column with 0 takes what is left, at least eight.
    pub(super) width: u16,
    pub(super) align: Align,
    /// Higher stays longer.
    pub(super) priority: u8,
}

/// Where text lies in its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A column with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<K> {
    pub(super) key: K,
    pub(super) title: &'static str,
    pub(super) x: u16,
    pub(super) width: u16,
    pub(super) align: Align,
}

const FLEXIBLE_MIN: u16 = 8;
/// Columns of this priority are what a row is about; they are never hidden by choice.
pub(super) const ALWAYS: u8 = 95;

/// Places the columns that fit into `area`, one space between neighbours.
pub(super) fn place<K: Copy>(columns: &[Column<K>], area: Rect) -> Vec<Placed<K>> {
    let mut kept: Vec<Column<K>> = columns.to_vec();
    let least = |c: &Column<K>| if c.width == 0 { FLEXIBLE_MIN } else { c.width };
    let needed = |kept: &[Column<K>]| kept.iter().map(|c| least(c) + 1).sum::<u16>();
    while kept.len() > 1 && needed(&kept) > area.width + 1 {
        let lowest = kept.iter().enumerate().min_by_key(|(_, column)| column.priority);
        let at = lowest.map_or(0, |(at, _)| at);
        kept.remove(at);
    }
    let fixed: u16 = kept.iter().map(|column| column.width + 1).sum::<u16>().saturating_sub(1);
    let flexible = area.width.saturating_sub(fixed);
    let mut x = area.x;
    let mut placed = Vec::with_capacity(kept.len());
    for column in kept {
        let width = if column.width == 0 { flexible } else { column.width };
        let Column { key, title, align, .. } = column;
        placed.push(Placed { key, title, x, width, align });
        x += width + 1;
    }
    placed
}

/// Writes the titles.
pub(super) fn titles<K: Copy>(pen: &mut Pen<'_>, columns: &[Placed<K>], y: u16) {
    for column in columns {
        put(pen, column, y, column.title, Role::Dim);
        let area = Rect { x: column.x, y, width: column.width, height: 1 };
        pen.hit(area, Hit::Title(column.title));
    }
}

/// Writes the titles, with an arrow at the column that the rows are sorted by.
pub(super) fn sorted_titles<K: Copy>(
    pen: &mut Pen<'_>,
    columns: &[Placed<K>],
    y: u16,
    sort: impl Fn(K) -> Option<Direction>,
) {
    for column in columns {
        let area = Rect { x: column.x, y, width: column.width, height: 1 };
        pen.hit(area, Hit::Title(column.title));
        match sort(column.key) {
            Some(direction) => {
                let arrow = arrow(direction);
                let spaced = format!("{} {arrow}", column.title);
                let fits = crate::text::width(&spaced) <= usize::from(column.width).max(1);
                let text = if fits { spaced } else { format!("{}{arrow}", column.title.trim()) };
                put(pen, column, y, &text, Role::Strong);
            }
            None => put(pen, column, y, column.title, Role::Dim),
        }
    }
}

/// Returns the word by which a column is hidden; columns without one are always shown.
pub(super) fn word<K>(column: &Column<K>) -> Option<&'static str> {
    (column.width > 0 && column.priority < ALWAYS).then_some(column.title.trim())
}

/// Returns the columns that are not hidden.
pub(super) fn shown<K: Copy>(columns: &[Column<K>], model: &Model, list: &str) -> Vec<Column<K>> {
    let hidden = model.kept.lists.get(list).map(|kept| kept.hidden.as_slice()).unwrap_or_default();
    let is_hidden = |column: &&Column<K>| {
        word(column).is_some_and(|word| hidden.iter().any(|h| h.eq_ignore_ascii_case(word)))
    };
    columns.iter().filter(|column| !is_hidden(column)).copied().collect()
}

/// Writes one cell, cut to its column.
pub(super) fn put<K: Copy>(pen: &mut Pen<'_>, at: &Placed<K>, y: u16, text: &str, role: Role) {
    let columns = usize::from(at.width);
    let cut;
    let text = if crate::text::width(text) <= columns {
        text
    } else {
        cut = crate::text::cut(text, columns);
        &cut
    };
    match at.align {
        Align::Left => drop(pen.put(at.x, y, text, role)),
        Align::Right => pen.put_right(at.x + at.width, y, text, role),
    };
}

/// Marks the row under the cursor.
pub(super) fn select(pen: &mut Pen<'_>, row: Rect) {
    pen.tint(row, Role::Selected);
    pen.put(row.x, row.y, "▌", Role::Key);
    let first = Rect { width: 1, ..row };
    pen.tint(first, Role::Selected);
}
