//! The lines of the form from the top: which fields stand side by side, their labels, errors and
//! hints. Draws nothing; see mod.rs.

use crate::model::form::{Field, Form, FormKind, Reading, Source};
use crate::model::form_read::READING;
use crate::model::{Model, form};
use crate::text::{clean, counted, width, wrap};

/// Columns from which fields stand side by side.
pub(super) const WIDE: u16 = 74;
/// Columns of the labels at the left.
pub(super) const LABEL: u16 = 12;
/// Columns of the labels where there is one field a line.
const LABEL_NARROW: u16 = 10;
/// Lines of the list that are shown at the most.
const LIST_ROWS: usize = 5;

/// One line of the form.
pub(super) enum Row {
    Choices(Field, &'static str, Vec<(&'static str, bool)>),
    Cells(Vec<Cell>),
    /// What is said of the list, beside its label.
    List(String),
    /// A line of the list, from 0.
    ListLine(usize),
    /// A rule below the command, where there is room for beauty.
    Rule,
    Blank,
    Error(Field, String),
    /// Not wrong, but not done either.
    Missing(Field, String),
}

/// A field with its place on its line.
pub(super) struct Cell {
    pub(super) field: Field,
    pub(super) label: &'static str,
    /// Columns from the left edge to the label, from the label to the value, and of the value; 0
    /// takes what is left.
    pub(super) x: u16,
    pub(super) label_columns: u16,
    pub(super) columns: u16,
    /// A second field that shares the label.
    pub(super) second: Option<Field>,
    pub(super) note: String,
}

impl Row {
    /// Tells whether the row belongs to the field.
    pub(super) fn is_of(&self, field: Field) -> bool {
        match self {
            Self::Choices(own, ..) | Self::Error(own, _) | Self::Missing(own, _) => *own == field,
            Self::Cells(cells) => {
                cells.iter().any(|cell| cell.field == field || cell.second == Some(field))
            }
            Self::List(_) | Self::ListLine(_) => field == Field::List,
            Self::Rule | Self::Blank => false,
        }
    }

    /// Returns what is wrong, on a line that says so.
    pub(super) fn error(&self) -> Option<&str> {
        match self {
            Self::Error(_, why) => Some(why),
            Self::Choices(..)
            | Self::Cells(_)
            | Self::List(_)
            | Self::ListLine(_)
            | Self::Rule
            | Self::Blank
            | Self::Missing(..) => None,
        }
    }

    /// Returns which line of the list it is.
    pub(super) const fn list_line(&self) -> Option<usize> {
        match self {
            Self::ListLine(at) => Some(*at),
            Self::Choices(..)
            | Self::Cells(_)
            | Self::List(_)
            | Self::Rule
            | Self::Blank
            | Self::Error(..)
            | Self::Missing(..) => None,
        }
    }
}

/// How much room there is.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// Returns all lines of the form.
pub(super) fn rows(model: &Model, room: Room) -> Vec<Row> {
    let form = &model.form;
    let wide = room.columns >= WIDE;
    let mut rows = vec![
        Row::Choices(Field::Kind, "Kind", FormKind::ALL.map(|k| (k.word(), k == form.kind)).into()),
        Row::Choices(
            Field::Source,
            "Source",
            Source::ALL.map(|s| (s.word(), s == form.source)).into(),
        ),
    ];
    let label = if wide { LABEL } else { LABEL_NARROW };
    let line = |field, label_text, note: String| {
        let (x, columns, second) = (0, 0, None);
        Row::Cells(vec![Cell {
            field,
            label: label_text,
            x,
            label_columns: label,
            columns,
            second,
            note,
        }])
    };
    if form.kind.has_command() {
        rows.push(line(Field::Command, "Command", String::new()));
        rows.extend((room.rows >= 24).then_some(Row::Rule));
        errors(form, &[Field::Command], room, &mut rows);
    }
    if wide {
        grid(form, &HANDLER, room, &mut rows);
    } else {
        HANDLER.iter().for_each(|place| single(form, place, room, &mut rows));
    }
    match form.source_field() {
        None => errors(form, &[Field::Source], room, &mut rows),
        Some(Field::List) => {
            list(form, room, &mut rows);
            errors(form, &[Field::List], room, &mut rows);
        }
        Some(field) => {
            rows.push(line(field, source_label(form, field), source_note(model, field)));
            errors(form, &[field], room, &mut rows);
        }
    }
    if wide && room.rows >= 18 {
        rows.push(Row::Blank);
    }
    let groups: &[&[Place]] = if wide { &GRID } else { &[] };
    for group in groups {
        grid(form, group, room, &mut rows);
    }
    if !wide {
        for place in GRID.iter().flat_map(|group| group.iter()) {
            single(form, place, room, &mut rows);
        }
    }
    rows
}

/// A field's label and its share of a line, in twelfths.
struct Place {
    field: Field,
    label: &'static str,
    second: Option<(Field, &'static str)>,
    from: u16,
    to: u16,
}

const fn place(field: Field, label: &'static str, from: u16, to: u16) -> Place {
    Place { field, label, second: None, from, to }
}

const HANDLER: [Place; 2] =
    [place(Field::Handler, "Handler", 0, 7), place(Field::Form, "Read as", 7, 12)];

const GRID: [&[Place]; 7] = [
    &[
        place(Field::Priority, "Priority", 0, 4),
        place(Field::Timeout, "Timeout", 4, 7),
        Place {
            second: Some((Field::Backoff, "Backoff")),
            ..place(Field::Retries, "Retries", 7, 12)
        },
    ],
    &[
        place(Field::Queue, "Queue", 0, 4),
        place(Field::Key, "Key", 4, 7),
        place(Field::NotBefore, "Not before", 7, 12),
    ],
    &[
        place(Field::Lane, "Lane", 0, 4),
        place(Field::On, "On", 4, 7),
        place(Field::Needs, "Needs", 7, 12),
    ],
    &[
        place(Field::Jobs, "At once", 0, 4),
        place(Field::Rate, "Rate", 4, 7),
        place(Field::After, "After", 7, 12),
    ],
    &[place(Field::Env, "Env", 0, 12)],
    &[place(Field::Labels, "Labels", 0, 12)],
    &[place(Field::Cwd, "Directory", 0, 7), place(Field::Name, "Name", 7, 12)],
];

fn grid(form: &Form, group: &[Place], room: Room, rows: &mut Vec<Row>) {
    let open = form.fields();
    let mut cells = Vec::new();
    let mut shown = Vec::new();
    for place in group.iter().filter(|place| open.contains(&place.field)) {
        let at = |twelfths: u16| room.columns * twelfths / 12;
        let x = if cells.is_empty() { 0 } else { at(place.from) };
        let label_columns = match place.from {
            0 => LABEL,
            _ if cells.is_empty() => LABEL,
            7 => 11,
            _ => place.label.len() as u16 + 1,
        };
        let columns = if place.to == 12 { 0 } else { at(place.to) - x - label_columns - 2 };
        let (field, label) = (place.field, place.label);
        let second = place.second.map(|(field, _)| field);
        cells.push(Cell { field, label, x, label_columns, columns, second, note: String::new() });
        shown.push(field);
        shown.extend(second);
    }
    if !cells.is_empty() {
        rows.push(Row::Cells(cells));
        errors(form, &shown, room, rows);
    }
}

fn single(form: &Form, place: &Place, room: Room, rows: &mut Vec<Row>) {
    if !form.fields().contains(&place.field) {
        return;
    }
    for (field, label) in [(place.field, place.label)].into_iter().chain(place.second) {
        let label = if field == Field::NotBefore { "Start at" } else { label };
        let cell = Cell {
            field,
            label,
            x: 0,
            label_columns: LABEL_NARROW,
            columns: 0,
            second: None,
            note: String::new(),
        };
        rows.push(Row::Cells(vec![cell]));
        errors(form, &[field], room, rows);
    }
}

fn list(form: &Form, room: Room, rows: &mut Vec<Row>) {
    let count = form.list.filled().count() as u64;
    rows.push(Row::List(match count {
        0 => "one a line; paste works".to_owned(),
        _ => counted(count, "line", "lines"),
    }));
    let shown = usize::from(room.rows / 5).clamp(1, LIST_ROWS);
    let first = form.list.row().saturating_sub(shown - 1);
    let there = form.list.window(first, shown).len();
    rows.extend((first..first + there).map(Row::ListLine));
}

/// Adds the errors of fields below them. A field that was left empty is not yet wrong.
fn errors(form: &Form, fields: &[Field], room: Room, rows: &mut Vec<Row>) {
    let Err(errors) = &form.checked else { return };
    for (field, why) in errors.iter().filter(|(at, _)| fields.contains(at)) {
        let why = clean(why);
        let is_untouched = if *field == Field::List {
            form.list.filled().next().is_none()
        } else if field.is_choice() {
            false
        } else {
            why == READING || form.trimmed(*field).is_empty()
        };
        let indent = if room.columns >= WIDE { LABEL } else { 0 };
        let columns = usize::from(room.columns - indent);
        rows.extend(match is_untouched {
            true => said(&why, columns, "", |line| Row::Missing(*field, line)),
            false => said(&why, columns, "✗ ", |line| Row::Error(*field, line)),
        });
    }
}

/// Breaks a sentence into rows; the first begins with a sign, the others are indented as much.
fn said(why: &str, columns: usize, sign: &str, row: impl Fn(String) -> Row) -> Vec<Row> {
    let indent = width(sign);
    let lines = wrap(why, columns.saturating_sub(indent)).into_iter().enumerate();
    let line = |(at, line): (usize, String)| match at {
        0 => format!("{sign}{line}"),
        _ => format!("{:indent$}{line}", ""),
    };
    lines.map(|numbered| row(line(numbered))).collect()
}

fn source_label(form: &Form, field: Field) -> &'static str {
    if field == Field::Range {
        "Range n"
    } else if field == Field::Random {
        "Random n"
    } else if field == Field::Repeat {
        "Times"
    } else if field == Field::File {
        "File"
    } else if field == Field::Glob {
        "Names"
    } else if form.kind == FormKind::Sleep {
        "Duration"
    } else if form.kind == FormKind::Square {
        "Number n"
    } else {
        "Argument"
    }
}

/// Returns what stands beside the field: its shape, or what was read.
fn source_note(model: &Model, field: Field) -> String {
    let form = &model.form;
    match (&form.reading, form.wanted()) {
        (Reading::Read { wanted, at, list }, Some(own)) if *wanted == own => {
            let count = list.len() as u64;
            let count = match own {
                form::Wanted::File(_) => counted(count, "line", "lines"),
                form::Wanted::Glob(_) => counted(count, "name", "names"),
            };
            let at = super::super::clock(*at, model.utc_offset_min);
            return format!("{count}, read {at} and again when sent");
        }
        (_, _) => {}
    }
    let note = if field == Field::Range {
        "1..500, or 1..500:5 for every fifth"
    } else if field == Field::Random {
        "count:smallest..largest[:seed]"
    } else if field == Field::Repeat {
        "{#} is the number of the task"
    } else if form.kind == FormKind::Sleep {
        "20ms, 1.5s, 2m"
    } else if form.kind == FormKind::Square && field == Field::Value {
        "workers answer n * n = n²"
    } else {
        ""
    };
    note.to_owned()
}
