//! Lists of results: on the overview and on their screen.

use ganger_proto::picture::ResultRow;
use ganger_proto::time::HumanMicros;
use ganger_proto::{Outcome, TaskState};
use ratatui::layout::Rect;

use super::pen::{Pen, piece};
use super::table::{self, Align, Column, Placed};
use super::tasks::{nothing, position};
use super::{edge, sign};
use crate::layout::{Frame, Width};
use crate::model::list::List;
use crate::model::{Model, Pane, Screen};
use crate::mouse::Hit;
use crate::text::grouped;
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
    number(Key::Id, "ID", 9, 90),
    column(Key::Worker, "WORKER", 9, 70),
    column(Key::Batch, "BATCH", 6, 20),
    column(Key::Kind, "KIND", 6, 30),
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
        let right = match (list.is_live(), list.selected) {
            (true, None) if model.view.frozen.is_none() => piece("▼ live", Role::Good),
            (true, _) => piece("newest first", Role::Dim),
            (false, _) => piece("by id", Role::Dim),
        };
        let edge = if on_screen { Role::BorderFocus } else { edge(model, Pane::Results) };
        pen.frame(area, "Results", &[right], edge)
    } else {
        area
    };
    let columns: &[Column<Key>] = match frame.width {
        Width::Full if on_screen => &COLUMNS,
        Width::Compact if on_screen => &COLUMNS,
        Width::Full | Width::Compact | Width::Small | Width::Tiny => &BOX,
    };
    let mut inside = pen.within(inner);
    rows(&mut inside, frame, model, (list, columns));
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

fn rows(pen: &mut Pen<'_>, frame: &Frame, model: &Model, (list, columns): (&List, &[Column<Key>])) {
    let inner = pen.area;
    let titles = u16::from(frame.width == Width::Full);
    let area = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let columns = table::place(columns, area);
    if titles > 0 {
        table::titles(pen, &columns, inner.y);
    }
    let focused = model.screen == Screen::Results || model.pane_in_view() == Pane::Results;
    let shown = model.result_rows().iter().skip(list.top()).take(list.height);
    for (y, row) in (inner.y + titles..).zip(shown) {
        pen.hit(Rect { y, height: 1, ..inner }, Hit::Task(row.task));
        if frame.width < Width::Compact {
            short_row(pen, y, list, row);
        } else {
            columns.iter().for_each(|column| cell(pen, column, y, (model, row)));
        }
        if list.marks.contains_key(&row.task) {
            pen.put(inner.x, y, "◆", Role::Mark);
        }
        if focused && list.cursor() == Some(row.task) {
            table::select(pen, Rect { y, height: 1, ..inner });
        }
    }
}

fn cell(pen: &mut Pen<'_>, at: &Placed<Key>, y: u16, (model, row): (&Model, &ResultRow)) {
    let (text, role) = match at.key {
        Key::Time => (time(model, row, usize::from(at.width)), Role::Dim),
        // A narrow column shows the digits whole rather than grouped and cut.
        Key::Id if row.task.raw() >= 1_000_000 && at.width < 9 => {
            (row.task.to_string(), Role::Text)
        }
        Key::Id => (grouped(row.task.raw()), Role::Text),
        Key::Worker if row.worker.is_empty() => ("—".to_owned(), Role::Dim),
        Key::Worker => (row.worker.clone(), Role::Text),
        Key::Took => (HumanMicros(row.took_us).to_string(), Role::Text),
        Key::Kind => (row.kind.clone(), Role::Text),
        Key::Batch => (row.batch.to_string(), Role::Dim),
        Key::Result => result(row),
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
    if list.marks.contains_key(&row.task) {
        pen.put(pen.area.x, y, "◆", Role::Mark);
    }
}
