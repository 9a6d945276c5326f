//! Lists of results: on the overview and on their screen.

use std::borrow::Cow;

use ganger_proto::picture::{ResultRow, SortKey};
use ganger_proto::time::HumanMicros;
use ganger_proto::{Outcome, TaskState};
use ratatui::layout::Rect;

use super::pen::{Pen, piece};
use super::table::{self, Align, Column, Placed};
use super::tasks::{looks, nothing, position};
use super::{edge, sign};
use crate::layout::{Frame, Width};
use crate::model::list::List;
use crate::model::{Model, Pane, Screen};
use crate::mouse::Hit;
use crate::text::{grouped, kind_word};
use crate::theme::Role;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Time,
    Id,
    Worker,
    Took,
    Kind,
    Batch,
    Result,
}

const fn column(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Left, priority }
}

const fn number(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Right, priority }
}

const COLUMNS: [Column<Key>; 7] = [
    column(Key::Time, "TIME", 11, 60),
    number(Key::Id, "ID", 9, 98),
    column(Key::Worker, "WORKER", 9, 70),
    column(Key::Batch, "BATCH", 6, 20),
    column(Key::Kind, "KIND", 7, 30),
    number(Key::Took, "TOOK", 6, 80),
    column(Key::Result, "RESULT", 0, 99),
];

const BOX: [Column<Key>; 5] = [
    column(Key::Time, "TIME", 8, 60),
    number(Key::Id, "ID", 7, 90),
    column(Key::Worker, "WORKER", 7, 70),
    number(Key::Took, "TOOK", 5, 50),
    column(Key::Result, "RESULT", 0, 99),
];

pub(super) fn list(pen: &mut Pen<'_>, frame: &Frame, area: Rect, model: &Model, list: &List) {
    let on_screen = model.screen == Screen::Results;
    let inner = if frame.width >= Width::Compact {
        let mut right = looks(list, "newest first");
        if list.is_live() && list.selected.is_none() && model.view.frozen.is_none() {
            right[0] = piece("▼ live", Role::Good);
        }
        let edge = if on_screen { Role::BorderFocus } else { edge(model, Pane::Results) };
        pen.frame(area, "Results", &right, edge)
    } else {
        area
    };
    let columns = match frame.width {
        Width::Full | Width::Compact if on_screen => table::shown(&COLUMNS, model, "results"),
        Width::Full | Width::Compact | Width::Small | Width::Tiny => BOX.to_vec(),
    };
    let mut inside = pen.within(inner);
    rows(&mut inside, frame, model, (list, &columns));
    let answered = model.picture.as_ref().is_some_and(|picture| picture.results.is_some());
    if answered && model.result_rows().is_empty() {
        let y = inner.y + u16::from(frame.width == Width::Full);
        let pieces = match on_screen {
            true => nothing(model, list),
            false => vec![piece("results appear here as tasks end", Role::Dim)],
        };
        inside.put_all(inner.x + 1, y, &pieces);
    }
    if frame.width >= Width::Compact {
        position(pen, area, list);
    }
}

/// Returns the words of the columns that can be hidden.
pub(super) fn columns() -> Vec<&'static str> {
    COLUMNS.iter().filter_map(table::word).collect()
}

fn sort_key(key: Key) -> Option<SortKey> {
    match key {
        Key::Time => Some(SortKey::Since),
        Key::Id => Some(SortKey::Id),
        Key::Worker => Some(SortKey::Worker),
        Key::Took => Some(SortKey::Took),
        Key::Kind => Some(SortKey::Kind),
        Key::Batch | Key::Result => None,
    }
}

fn rows(pen: &mut Pen<'_>, frame: &Frame, model: &Model, (list, columns): (&List, &[Column<Key>])) {
    let inner = pen.area;
    let titles = u16::from(frame.width == Width::Full);
    let area = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let columns = table::place(columns, area);
    if titles > 0 {
        let sort = list.sorted_by();
        let arrow = |key| sort.filter(|s| sort_key(key) == Some(s.key)).map(|s| s.direction);
        table::sorted_titles(pen, &columns, inner.y, arrow);
    }
    let focused = model.screen == Screen::Results || model.pane_in_view() == Pane::Results;
    let cursor = list.cursor().filter(|_| focused);
    let shown = model.result_rows().iter().skip(list.top()).take(list.height);
    for (y, row) in (inner.y + titles..).zip(shown) {
        pen.hit(Rect { y, height: 1, ..inner }, Hit::Task(row.task));
        if frame.width < Width::Compact {
            short_row(pen, y, list, row);
        } else {
            columns.iter().for_each(|column| cell(pen, column, y, (model, row)));
        }
        if list.marks.has(row.task) {
            pen.put(inner.x, y, "◆", Role::Mark);
        }
        if cursor == Some(row.task) {
            table::select(pen, Rect { y, height: 1, ..inner });
        }
    }
}

fn cell(pen: &mut Pen<'_>, at: &Placed<Key>, y: u16, (model, row): (&Model, &ResultRow)) {
    let (text, role): (Cow<'_, str>, Role) = match at.key {
        Key::Time => (time(model, row, usize::from(at.width)).into(), Role::Dim),
        // A narrow column shows the digits whole rather than grouped and cut.
        Key::Id if row.task.raw() >= 1_000_000 && at.width < 9 => {
            (row.task.to_string().into(), Role::Text)
        }
        Key::Id => (grouped(row.task.raw()).into(), Role::Text),
        Key::Worker if row.worker.is_empty() => ("—".into(), Role::Dim),
        Key::Worker => ((&row.worker).into(), Role::Text),
        Key::Took if row.outcome.is_none() => ("—".into(), Role::Dim),
        Key::Took => (HumanMicros(row.took_us).to_string().into(), Role::Text),
        Key::Kind => (kind_word(&row.kind).into(), Role::Text),
        Key::Batch => (row.batch.to_string().into(), Role::Dim),
        Key::Result => {
            let (text, role) = result(row);
            (text.into(), role)
        }
    };
    table::put(pen, at, y, &text, role);
}

/// Returns the time to hundredths; narrow columns leave the hour out.
fn time(model: &Model, row: &ResultRow, columns: usize) -> String {
    let clock = super::clock(row.at, Some(model.utc_offset_min.unwrap_or(0)));
    let text = format!("{clock}.{:02}", row.at.0 % 1_000 / 10);
    text[text.len().saturating_sub(columns)..].to_owned()
}

/// Returns what the attempt answered, printed or complained about, with its sign.
fn result(row: &ResultRow) -> (String, Role) {
    let (glyph, mut role) = sign::outcome(row.outcome, row.state);
    let again = matches!(row.state, TaskState::Delayed | TaskState::Queued);
    let said = match row.outcome {
        None if row.state == TaskState::Failed => {
            "not run: an earlier batch did not end well".to_owned()
        }
        None => "cancelled before it ran".to_owned(),
        Some(Outcome::Done) if row.text.is_empty() => "done".to_owned(),
        Some(Outcome::Done) => row.text.clone(),
        Some(outcome) if row.text.is_empty() => outcome.to_string(),
        Some(outcome) => format!("{outcome}: {}", row.text),
    };
    let glyph = if again { "↻" } else { glyph };
    if again {
        role = Role::Delayed;
    }
    let more = if again { format!(" (attempt {}, again)", row.attempt) } else { String::new() };
    (format!("{glyph} {said}{more}"), role)
}

fn short_row(pen: &mut Pen<'_>, y: u16, list: &List, row: &ResultRow) {
    let (text, role) = result(row);
    let id = row.task.to_string();
    let x = pen.put(pen.area.x + 1, y, &id, Role::Dim);
    let room = pen.area.right().saturating_sub(x + 2);
    pen.put_cut((x + 1, y), &text, room, role);
    if list.marks.has(row.task) {
        pen.put(pen.area.x, y, "◆", Role::Mark);
    }
}
