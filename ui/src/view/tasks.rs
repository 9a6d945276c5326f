//! Lists of tasks: what runs next, on the overview, and all of them in any order, on their screen.

use std::borrow::Cow;

use ganger_proto::picture::{Search, SortKey, TaskRow};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{Outcome, TaskState};
use ratatui::layout::Rect;

use super::pen::{Pen, Piece, piece};
use super::table::{self, Align, Column, Placed};
use super::{edge, sign};
use crate::layout::{Frame, Width};
use crate::model::list::List;
use crate::model::marks::{Marks, Matching};
use crate::model::sorting;
use crate::model::{Model, Pane};
use crate::mouse::Hit;
use crate::text::{grouped, kind_word, seconds};
use crate::theme::Role;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Mark,
    Id,
    State,
    StateLong,
    Priority,
    Kind,
    Command,
    Wait,
    Worker,
    Tries,
    Exit,
    Took,
    Batch,
}

const fn column(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Left, priority }
}

const fn number(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Right, priority }
}

const NEXT: [Column<Key>; 8] = [
    column(Key::Mark, "", 1, 96),
    number(Key::Id, "ID", 6, 99),
    column(Key::State, "STATE", 6, 90),
    number(Key::Priority, "PRI", 4, 20),
    column(Key::Kind, "KIND", 7, 30),
    column(Key::Command, "ARGS", 0, 95),
    number(Key::Wait, "WAIT", 6, 50),
    column(Key::Worker, "WORKER", 8, 60),
];

const ALL: [Column<Key>; 12] = [
    column(Key::Mark, "", 1, 96),
    number(Key::Id, "ID", 10, 99),
    column(Key::StateLong, " STATE", 12, 94),
    number(Key::Priority, "PRI", 5, 30),
    column(Key::Kind, " KIND", 8, 35),
    column(Key::Command, "COMMAND", 0, 97),
    column(Key::Worker, "WORKER", 9, 60),
    number(Key::Tries, "TRIES", 6, 40),
    number(Key::Exit, "EXIT", 6, 50),
    number(Key::Took, "TOOK", 7, 47),
    column(Key::Batch, " BATCH", 7, 20),
    number(Key::Wait, "SINCE", 7, 45),
];

pub(super) fn next(pen: &mut Pen<'_>, frame: &Frame, area: Rect, model: &Model) {
    let right = [piece("what runs, then what is next ▼", Role::Dim)];
    let edge = edge(model, Pane::Tasks);
    let inner = pen.frame(area, "Task queue", &right, edge);
    let focused = model.pane_in_view() == Pane::Tasks;
    let mut columns = NEXT;
    let widest = model.task_rows().iter().map(|row| crate::text::width(&grouped(row.task.raw())));
    for column in columns.iter_mut().filter(|column| column.key == Key::Id) {
        column.width = column.width.max(widest.clone().max().unwrap_or(0) as u16);
    }
    rows(&mut pen.within(inner), frame, model, (&model.next, &columns, focused));
    if has_rows(model) && model.task_rows().is_empty() {
        pen.within(inner).put(inner.x + 1, inner.y + 1, "nothing waits", Role::Dim);
    }
    position(pen, area, &model.next);
}

pub(super) fn screen(pen: &mut Pen<'_>, frame: &Frame, area: Rect, model: &Model) {
    let list = &model.tasks;
    let inner = if frame.width >= Width::Compact {
        pen.frame(area, "Tasks", &looks(list, "by id"), Role::BorderFocus)
    } else {
        area
    };
    let columns = table::shown(&ALL, model, "tasks");
    rows(&mut pen.within(inner), frame, model, (list, &columns, true));
    if has_rows(model) && model.task_rows().is_empty() {
        let y = inner.y + u16::from(frame.width == Width::Full);
        pen.within(inner).put_all(inner.x + 1, y, &nothing(model, list));
    }
    if frame.width >= Width::Compact {
        position(pen, area, list);
    }
}

/// Returns the words of the columns that can be hidden.
pub(super) fn columns() -> Vec<&'static str> {
    ALL.iter().filter_map(table::word).collect()
}

fn sort_key(key: Key) -> Option<SortKey> {
    match key {
        Key::Id => Some(SortKey::Id),
        Key::State | Key::StateLong => Some(SortKey::State),
        Key::Priority => Some(SortKey::Priority),
        Key::Kind => Some(SortKey::Kind),
        Key::Worker => Some(SortKey::Worker),
        Key::Tries => Some(SortKey::Tries),
        Key::Exit => Some(SortKey::Exit),
        Key::Took => Some(SortKey::Took),
        Key::Wait => Some(SortKey::Since),
        Key::Mark | Key::Command | Key::Batch => None,
    }
}

/// Returns what stands at the right of a list's title: its order, and how many are marked.
pub(super) fn looks(list: &List, natural: &str) -> Vec<Piece> {
    let mut pieces = match list.sorted_by().filter(|_| !list.is_natural()) {
        Some(sort) => {
            let (word, arrow) = (sort.key.word(), sorting::arrow(sort.direction));
            vec![piece(format!("sorted by {word} {arrow}"), Role::Text)]
        }
        None => vec![piece(natural, Role::Dim)],
    };
    if let (Search::Running { permille }, true) = (&list.search, list.filter_text.is_empty()) {
        pieces.push(piece(format!(" · searching {} %", permille / 10), Role::Note));
    }
    if !list.marks.is_empty() {
        let count = list.marks.count(list.total).map_or("range".to_owned(), grouped);
        let all = matches!(&list.marks, Marks::Matching(m) if *m == Matching::default());
        let all = if all { "all " } else { "" };
        pieces.push(piece(format!("   {all}{count} marked"), Role::Mark));
    }
    pieces
}

/// Tells whether the picture answers for tasks at all.
fn has_rows(model: &Model) -> bool {
    model.picture.as_ref().is_some_and(|picture| picture.tasks.is_some())
}

/// Says why a list is empty and what to do.
pub(super) fn nothing(model: &Model, list: &List) -> Vec<Piece> {
    let counts = model.picture.as_ref().map(|picture| picture.master.counts).unwrap_or_default();
    let total = if list.is_of_ended() { counts.ended() } else { counts.total() };
    if list.filter_text.is_empty() {
        vec![
            piece("nothing here yet; ", Role::Dim),
            piece("i", Role::Key),
            piece(" puts work in, ", Role::Dim),
            piece("I", Role::Key),
            piece(" ten random numbers", Role::Dim),
        ]
    } else {
        vec![
            piece(format!("0 of {}; ", grouped(total)), Role::Text),
            piece("Esc", Role::Key),
            piece(" clears", Role::Dim),
        ]
    }
}

/// Writes which rows are shown of how many, and how many came in above them.
pub(super) fn position(pen: &mut Pen<'_>, area: Rect, list: &List) {
    let shown = list.height.min(list.ids.len() - list.top().min(list.ids.len()));
    if shown == 0 || (list.is_live() && list.selected.is_none()) {
        return;
    }
    let above = list.above();
    let (from, to) = (grouped(above + 1), grouped(above + shown as u64));
    let mut text = format!("{from}–{to} of {}", grouped(list.total));
    if above > 0 && list.is_newest_first() {
        text.push_str(&format!(" · {} newer above", grouped(above)));
    }
    if list.is_waiting() || list.is_stale() {
        text.push_str(" …");
    }
    pen.foot(area, &[piece(text, Role::Dim)]);
}

type Listing<'a> = (&'a List, &'a [Column<Key>], bool);

fn rows(pen: &mut Pen<'_>, frame: &Frame, model: &Model, (list, columns, focused): Listing<'_>) {
    let inner = pen.area;
    let is_short = frame.width < Width::Compact;
    let titles = u16::from(frame.width == Width::Full);
    let area = Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner };
    let columns = table::place(columns, area);
    if titles > 0 {
        let sort = list.sorted_by();
        let arrow = |key| sort.filter(|s| sort_key(key) == Some(s.key)).map(|s| s.direction);
        table::sorted_titles(pen, &columns, inner.y, arrow);
    }
    let cursor = list.cursor().filter(|_| focused);
    let shown = model.task_rows().iter().skip(list.top()).take(list.height);
    for (y, row) in (inner.y + titles..).zip(shown) {
        pen.hit(Rect { y, height: 1, ..inner }, Hit::Task(row.task));
        if is_short {
            short_row(pen, y, model, row);
        } else {
            columns.iter().for_each(|column| cell(pen, column, y, (model, list, row)));
        }
        if cursor == Some(row.task) {
            table::select(pen, Rect { y, height: 1, ..inner });
        }
    }
}

fn cell(
    pen: &mut Pen<'_>,
    at: &Placed<Key>,
    y: u16,
    (model, list, row): (&Model, &List, &TaskRow),
) {
    let (text, role): (Cow<'_, str>, Role) = match at.key {
        Key::Mark if list.marks.has(row.task) => ("◆".into(), Role::Mark),
        Key::Mark => return,
        Key::Id => (grouped(row.task.raw()).into(), Role::Text),
        Key::State => owned(state(row, Width::Compact)),
        Key::StateLong => {
            let (text, role) = state(row, Width::Full);
            (format!(" {text}").into(), role)
        }
        Key::Priority => (row.priority.to_string().into(), Role::Text),
        Key::Kind if at.width > 7 => (format!(" {}", kind_word(&row.kind)).into(), Role::Text),
        Key::Kind => (kind_word(&row.kind).into(), Role::Text),
        Key::Command => ((&row.command).into(), Role::Text),
        Key::Wait => (since(model, row).into(), Role::Dim),
        Key::Worker if row.worker.is_empty() => ("—".into(), Role::Dim),
        Key::Worker => ((&row.worker).into(), Role::Text),
        Key::Tries => (format!("{}/{}", row.attempt, row.attempts_max).into(), Role::Text),
        Key::Exit => owned(exit(row)),
        Key::Took => match row.took_us {
            Some(took) => (HumanMicros(took).to_string().into(), Role::Text),
            None => ("—".into(), Role::Dim),
        },
        Key::Batch => (format!(" {}", row.batch).into(), Role::Dim),
    };
    table::put(pen, at, y, &text, role);
}

fn owned<'a>((text, role): (String, Role)) -> (Cow<'a, str>, Role) {
    (text.into(), role)
}

fn state(row: &TaskRow, width: Width) -> (String, Role) {
    let (glyph, role) = sign::outcome(row.outcome, row.state);
    let long = width == Width::Full;
    let word = match row.state {
        _ if row.cancelling => "stopping",
        TaskState::Delayed if row.attempt > 0 && !long => {
            return (format!("{glyph} {}/{}", row.attempt, row.attempts_max), role);
        }
        TaskState::Delayed if row.attempt > 0 => "retry",
        TaskState::Failed if row.outcome == Some(Outcome::TimedOut) && long => "timed out",
        // A batch that it waited for did not end well.
        TaskState::Failed if row.outcome.is_none() && long => "not run",
        TaskState::Blocked
        | TaskState::Delayed
        | TaskState::Queued
        | TaskState::Sent
        | TaskState::Running
        | TaskState::Done
        | TaskState::Failed
        | TaskState::Cancelled => row.state.word(),
    };
    let word = match word {
        word if long => word,
        "running" => "run",
        "queued" => "que",
        word => word.get(..4).unwrap_or(word),
    };
    (format!("{glyph} {word}"), role)
}

/// How long in this state; of a delayed task, how long until it is due.
fn since(model: &Model, row: &TaskRow) -> String {
    let now = model.master_now();
    let ms = match row.due {
        Some(due) if row.state == TaskState::Delayed => due.since(now),
        _ => now.since(row.since),
    };
    if ms < 10_000 { HumanMs(ms).to_string().replace(".0s", "s") } else { seconds(ms) }
}

fn exit(row: &TaskRow) -> (String, Role) {
    match row.outcome {
        None => ("—".to_owned(), Role::Dim),
        Some(Outcome::Done) => ("0".to_owned(), Role::Text),
        Some(Outcome::Failed { code }) => (code.to_string(), Role::Failed),
        Some(Outcome::Signalled { signal }) => (format!("sig{signal}"), Role::Failed),
        Some(Outcome::TimedOut) => ("time".to_owned(), Role::Failed),
        Some(Outcome::Lost) => ("lost".to_owned(), Role::Delayed),
        Some(Outcome::Cancelled | Outcome::Unfit) => ("—".to_owned(), Role::Dim),
    }
}

/// A row of a narrow terminal: sign, id, command.
fn short_row(pen: &mut Pen<'_>, y: u16, model: &Model, row: &TaskRow) {
    let (glyph, role) = sign::outcome(row.outcome, row.state);
    let marked = model.list().is_some_and(|list| list.marks.has(row.task));
    let (glyph, role) = if marked { ("◆", Role::Mark) } else { (glyph, role) };
    let x = pen.put(pen.area.x + 1, y, glyph, role);
    let x = pen.put(x + 1, y, &row.task.to_string(), Role::Dim);
    let room = pen.area.right().saturating_sub(x + 2);
    pen.put_cut((x + 1, y), &row.command, room, Role::Text);
}
