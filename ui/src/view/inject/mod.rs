//! The injection form: its box, the fields as far as there is room, scrolled so that the one that
//! is typed in is seen, and the preview below. Which lines there are is in rows.rs.

mod hints;
mod preview;
mod rows;

use ratatui::layout::{Position, Rect};

use super::centred;
use super::pen::{Pen, Piece, piece};
use crate::layout::Frame;
use crate::model::Model;
use crate::model::field::Line;
use crate::model::form::{Field, Form, Source, lane_word};
use crate::text::{clean, cut, width};
use crate::theme::Role;
use rows::{Cell, LABEL, Room, Row, WIDE};

/// Columns and rows that the form takes at the most.
const COLUMNS: u16 = 92;
const ROWS: u16 = 29;
/// Rows from which the preview has a rule and the fields a hint.
const ROOMY: u16 = 13;

pub(super) fn form(pen: &mut Pen<'_>, frame: &Frame, model: &Model) -> Option<Position> {
    let whole = pen.area;
    let above_footer = Rect { height: whole.height - frame.footer.height, ..whole };
    let more = if model.form.source == Source::List { 5 } else { 0 };
    let area = centred(above_footer, COLUMNS, ROWS + more);
    pen.within(area).clear(Role::Text);
    let title = if model.is_up() { "Inject tasks" } else { "Inject tasks · no connection" };
    let inner = pen.frame(area, title, &history(model), Role::BorderFocus);
    let inner = if inner.height == 0 { area } else { inner };
    let cursor = inside(&mut pen.within(inner), model);
    let keys: Vec<Piece> = [
        ("F5/Alt-Enter", " inject · "),
        ("Alt-↑", " history · "),
        ("Ctrl-E", " $EDITOR · "),
        ("Esc", " close, keep"),
    ]
    .into_iter()
    .flat_map(|(key, text)| [piece(key, Role::Key), piece(text, Role::Text)])
    .collect();
    pen.foot(area, &keys);
    cursor
}

/// Returns where one is among the forms that were sent.
fn history(model: &Model) -> Vec<Piece> {
    let (at, count) = (model.form.history.at, model.kept.forms.len());
    let text = match (at, count) {
        (_, 0) => return Vec::new(),
        (0, _) => format!("history ↑ {count}"),
        (_, _) => format!("history ↑ {at}/{count}"),
    };
    vec![piece(text, if at > 0 { Role::Strong } else { Role::Dim })]
}

fn inside(pen: &mut Pen<'_>, model: &Model) -> Option<Position> {
    let area = pen.area;
    let room = Room { columns: area.width.saturating_sub(2), rows: area.height };
    let rows = rows::rows(model, room);
    let is_roomy = area.height >= ROOMY;
    let below = match (is_roomy, &model.form.checked) {
        (true, _) => 5,
        (false, Ok(_)) => (area.height / 3).min(2),
        (false, Err(_)) => u16::from(area.height > 6),
    };
    let hint = u16::from(is_roomy);
    let shown = (rows.len() as u16).min(area.height - below.min(area.height));
    let top = top(&rows, model.form.focus, &model.form, usize::from(shown));
    let mut sheet = Sheet { pen: pen.within(area), y: area.y, form: &model.form, cursor: None };
    for row in rows.iter().skip(top).take(usize::from(shown)) {
        sheet.row(row);
        sheet.y += 1;
    }
    if top > 0 {
        sheet.pen.put(area.right() - 1, area.y, "↑", Role::Dim);
    }
    if top + usize::from(shown) < rows.len() {
        let y = area.y + shown.saturating_sub(1);
        sheet.pen.put(area.right() - 1, y, "↓", Role::Dim);
    }
    let cursor = sheet.cursor;
    let y = area.y + shown;
    if hint > 0 {
        let mut pen =
            pen.within(Rect { x: area.x, y, width: area.width.saturating_sub(1), height: 1 });
        let indent = if room.columns >= WIDE { LABEL } else { 0 };
        pen.put_all(area.x + 1 + indent, y, &hints::hint(model));
    }
    let y = (y + hint).min(area.bottom());
    let shown = top..top + usize::from(shown);
    let unseen = rows.iter().enumerate().find_map(|(at, row)| match row.error() {
        Some(why) if !shown.contains(&at) => Some(why),
        Some(_) | None => None,
    });
    let below = Rect { y, height: area.bottom() - y, ..area };
    preview::draw(&mut pen.within(below), model, unseen);
    cursor
}

/// Returns the first row that is drawn, so that the field that is typed in is seen with its error.
fn top(rows: &[Row], focus: Field, form: &Form, shown: usize) -> usize {
    let is_cursor = |row: &Row| match row.list_line() {
        Some(at) => focus == Field::List && at == form.list.row(),
        None => focus != Field::List && row.is_of(focus),
    };
    let first = rows.iter().position(is_cursor).unwrap_or(0);
    let last = rows.iter().rposition(is_cursor).unwrap_or(first);
    // Where only one of them fits, the field goes before its error.
    (last + 1).saturating_sub(shown).min(first)
}

/// Rows written from the top down.
struct Sheet<'a, 'b> {
    pen: Pen<'a>,
    y: u16,
    form: &'b Form,
    cursor: Option<Position>,
}

impl Sheet<'_, '_> {
    fn x(&self) -> u16 {
        self.pen.area.x + 1
    }

    fn end(&self) -> u16 {
        self.pen.area.right().saturating_sub(1)
    }

    fn is_wide(&self) -> bool {
        self.pen.area.width >= WIDE + 2
    }

    fn value_x(&self) -> u16 {
        self.x() + if self.is_wide() { LABEL } else { 10 }
    }

    fn row(&mut self, row: &Row) {
        match row {
            Row::Choices(field, label, choices) => self.choices(*field, label, choices),
            Row::Cells(cells) => cells.iter().for_each(|cell| self.cell(cell)),
            Row::List(said) => {
                self.label(self.x(), &[Field::List], "Arguments");
                self.pen.put(self.value_x(), self.y, said, Role::Dim);
            }
            Row::ListLine(at) => self.list_line(*at),
            Row::Rule => {
                let columns = self.end().saturating_sub(self.value_x());
                let line = "╌".repeat(usize::from(columns));
                self.pen.put(self.value_x(), self.y, &line, Role::Border);
            }
            Row::Blank => {}
            Row::Error(_, why) => self.error(why, Role::Bad),
            Row::Missing(_, why) => self.error(why, Role::Dim),
        }
    }

    fn error(&mut self, why: &str, role: Role) {
        let x = if self.is_wide() { self.value_x() } else { self.x() };
        self.pen.put_cut((x, self.y), why, self.end().saturating_sub(x), role);
    }

    fn label(&mut self, x: u16, fields: &[Field], text: &str) {
        let role = if fields.contains(&self.form.focus) { Role::Key } else { Role::Dim };
        self.pen.put(x, self.y, text, role);
    }

    fn choices(&mut self, field: Field, label: &str, choices: &[(&str, bool)]) {
        self.label(self.x(), &[field], label);
        let focused = self.form.focus == field;
        let mut x = self.value_x();
        let wanted: usize = choices.iter().map(|(word, _)| width(word) + 2).sum::<usize>() + 2;
        let fits = wanted <= usize::from(self.end().saturating_sub(x));
        let (open, close) = if focused { ("‹", "›") } else { (" ", " ") };
        if !fits {
            let at = choices.iter().position(|(_, chosen)| *chosen).unwrap_or(0);
            let word = choices.get(at).map_or("", |(word, _)| word);
            x = self.pen.put(x, self.y, "‹", Role::Key);
            x = self.pen.put(x, self.y, &format!(" {word} "), Role::Choice);
            x = self.pen.put(x, self.y, "›", Role::Key);
            let text = format!("  {} of {}", at + 1, choices.len());
            self.pen.put_cut((x, self.y), &text, self.end().saturating_sub(x), Role::Dim);
            return;
        }
        x = self.pen.put(x, self.y, open, Role::Key);
        for (word, chosen) in choices {
            let role = if *chosen { Role::Choice } else { Role::Text };
            x = self.pen.put(x, self.y, &format!(" {word} "), role);
        }
        x = self.pen.put(x, self.y, close, Role::Key);
        if focused {
            let hint = "  ←→ choose";
            if usize::from(self.end().saturating_sub(x)) >= width(hint) {
                self.pen.put(x, self.y, hint, Role::Dim);
            }
        }
    }

    fn cell(&mut self, cell: &Cell) {
        let x = self.x() + cell.x;
        let fields: Vec<Field> = [cell.field].into_iter().chain(cell.second).collect();
        self.label(x, &fields, cell.label);
        let mut x = x + cell.label_columns;
        if cell.field.is_choice() {
            return self.small_choice(x, cell.field);
        }
        let room = self.end().saturating_sub(x);
        let room = if cell.columns == 0 { room } else { cell.columns.min(room) };
        let edges = cell.field == Field::Priority;
        let focused = self.form.focus == cell.field;
        let edge = if focused { Role::Key } else { Role::Dim };
        if edges {
            x = self.pen.put(x, self.y, "− ", edge);
        }
        let first = if cell.second.is_some() { room.min(4) } else { room };
        let mut end = self.value(x, first, cell.field);
        if edges {
            self.pen.put(end, self.y, " +", edge);
        }
        if let Some(second) = cell.second {
            end = self.pen.put(end, self.y, " × ", Role::Dim);
            let left = self.end().saturating_sub(end);
            self.value(end, left, second);
        }
        if !cell.note.is_empty() {
            let x = (end + 3).max(x + 14);
            let room = self.end().saturating_sub(x);
            if usize::from(room) >= width(&cell.note) {
                self.pen.put(x, self.y, &cell.note, Role::Dim);
            }
        }
    }

    /// Writes the word that is chosen where there is no room for the others.
    fn small_choice(&mut self, x: u16, field: Field) {
        let word = match field == Field::Form {
            true => self.form.args.word(),
            false => lane_word(self.form.lane),
        };
        let focused = self.form.focus == field;
        let (edge, role) = match focused {
            true => (Role::Key, Role::Choice),
            false => (Role::Dim, Role::Strong),
        };
        let x = self.pen.put(x, self.y, "‹", edge);
        let x = self.pen.put(x, self.y, &format!(" {word} "), role);
        self.pen.put(x, self.y, "›", edge);
    }

    /// Writes what a field holds, or what it means while it is empty.
    fn value(&mut self, x: u16, columns: u16, field: Field) -> u16 {
        let form = self.form;
        let Some(line) = form.line(field) else { return x };
        let end = self.text((x, columns), field, line);
        if line.text().is_empty() {
            let x = x + u16::from(form.focus == field);
            let columns = columns.saturating_sub(1);
            let unset = match field == Field::Value && !form.kind.has_command() {
                true => "",
                false => hints::unset(field),
            };
            return self.pen.put_cut((x, self.y), unset, columns, Role::Dim);
        }
        end
    }

    /// Writes what was typed, scrolled so that the cursor is seen; returns the column after it.
    fn text(&mut self, (x, columns): (u16, u16), field: Field, line: &Line) -> u16 {
        let focused = self.form.focus == field;
        let before = clean(&line.before_cursor());
        let all = clean(line.text());
        let columns = usize::from(columns.max(1));
        let skip = if focused { width(&before).saturating_sub(columns - 1) } else { 0 };
        let text = cut(&skip_columns(&all, skip), columns);
        let mut end = x;
        for (part, is_template) in template_parts(&text) {
            let role = if is_template { Role::Replaced } else { Role::Strong };
            end = self.pen.put(end, self.y, part, role);
        }
        if focused {
            let at = x + (width(&before) - skip) as u16;
            self.cursor = Some(Position { x: at, y: self.y });
        }
        end
    }

    fn list_line(&mut self, at: usize) {
        let list = &self.form.list;
        let x = self.value_x();
        self.pen.put_right(x - 1, self.y, &(at + 1).to_string(), Role::Dim);
        let columns = self.end().saturating_sub(x);
        if at == list.row() {
            self.text((x, columns), Field::List, list.line());
        } else if let Some(line) = list.window(at, 1).first() {
            self.pen.put_cut((x, self.y), &clean(line), columns, Role::Strong);
        }
    }
}

/// Returns the text without its first `columns` columns.
fn skip_columns(text: &str, columns: usize) -> String {
    let mut skipped = 0;
    text.chars()
        .skip_while(|c| {
            let skip = skipped < columns;
            skipped += width(c.encode_utf8(&mut [0; 4]));
            skip
        })
        .collect()
}

/// Splits at replacement strings, which are shown in their own look.
fn template_parts(text: &str) -> Vec<(&str, bool)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let Some(length) = rest[open..].find('}') else { break };
        let inside = &rest[open + 1..open + length];
        let known = matches!(inside, "" | "n" | "." | "/" | "//" | "/." | "#")
            || inside.strip_prefix("n:").is_some_and(|digits| digits.parse::<u8>().is_ok());
        let end = if known { open + length + 1 } else { open + 1 };
        parts.push((&rest[..open], false));
        parts.push((&rest[open..end], known));
        rest = &rest[end..];
    }
    parts.push((rest, false));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacement_strings_stand_out() {
        let parts: Vec<_> =
            template_parts("a {n:04} {x} {").into_iter().filter(|(_, known)| *known).collect();
        assert_eq!(parts, [("{n:04}", true)]);
        let whole: String = template_parts("a {} b{").into_iter().map(|(part, _)| part).collect();
        assert_eq!(whole, "a {} b{");
    }
}
