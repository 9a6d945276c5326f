//! The injection form: fields with their errors, a preview of what will be created, and the command
//! line that does the same.

use ratatui::layout::{Position, Rect};

use super::centred;
use super::pen::{Pen, piece};
use crate::layout::Frame;
use crate::model::command_line::command_line;
use crate::model::field::Line;
use crate::model::form::{Field, Form, FormKind, Source, preview};
use crate::model::submission::Batch;
use crate::model::{LinkState, Model};
use crate::text::{bytes, clean, cut, grouped, seconds, width};
use crate::theme::Role;

/// Columns of the labels.
const LABEL: u16 = 12;
/// Lines of the list that are shown.
const LIST_ROWS: usize = 5;

pub(super) fn form(pen: &mut Pen<'_>, frame: &Frame, model: &Model) -> Option<Position> {
    let whole = pen.area;
    let above_footer = Rect { height: whole.height - frame.footer.height, ..whole };
    let height = if model.form.source == Source::List { 27 } else { 23 };
    let area = centred(above_footer, 92, height);
    pen.within(area).clear(Role::Text);
    let title = if model.is_up() { "Inject tasks" } else { "Inject tasks · no connection" };
    let inner = pen.frame(area, title, &[], Role::BorderFocus);
    let inner = if inner.height == 0 { area } else { inner };
    let mut sheet = Sheet { pen: pen.within(inner), y: inner.y, model, cursor: None };
    sheet.fields();
    sheet.preview();
    sheet.same_as();
    let cursor = sheet.cursor;
    let keys = [
        piece("F5/Alt-Enter", Role::Key),
        piece(" inject · ", Role::Text),
        piece("←→", Role::Key),
        piece(" choose · ", Role::Text),
        piece("Tab", Role::Key),
        piece(" next · ", Role::Text),
        piece("Esc", Role::Key),
        piece(" close, keep", Role::Text),
    ];
    pen.foot(area, &keys);
    cursor
}

/// Lines written from the top of the form down.
struct Sheet<'a, 'b> {
    pen: Pen<'a>,
    y: u16,
    model: &'b Model,
    cursor: Option<Position>,
}

impl<'b> Sheet<'_, 'b> {
    fn form(&self) -> &'b Form {
        &self.model.form
    }

    fn x(&self) -> u16 {
        self.pen.area.x + 1
    }

    /// Returns the lines that are left.
    fn room(&self) -> u16 {
        self.pen.area.bottom().saturating_sub(self.y)
    }

    fn fields(&mut self) {
        let form = self.form();
        self.choices(Field::Kind, "Kind", &FormKind::ALL.map(|k| (k.word(), k == form.kind)));
        self.choices(Field::Source, "Source", &Source::ALL.map(|s| (s.word(), s == form.source)));
        if form.kind.has_command() {
            self.line(Field::Command, "Command", "");
            self.error(Field::Command);
        }
        match form.source_field() {
            None => self.error(Field::Source),
            Some(Field::List) => {
                self.list();
                self.error(Field::List);
            }
            Some(field) => {
                let (label, hint) = source_label(form, field);
                self.line(field, label, hint);
                self.error(field);
            }
        }
        if self.room() > 8 {
            self.y += 1;
        }
        self.row(&[
            (Field::Priority, "Priority", 6, "higher first"),
            (Field::Timeout, "Timeout", 8, "none"),
            (Field::Retries, "Retries", 4, ""),
        ]);
        self.row(&[(Field::Queue, "Queue", 16, ""), (Field::Name, "Name", 30, "of the batch")]);
    }

    fn label(&mut self, x: u16, field: Field, text: &str) {
        let role = if self.form().focus == field { Role::Key } else { Role::Dim };
        self.pen.put(x, self.y, text, role);
    }

    fn choices(&mut self, field: Field, label: &str, choices: &[(&str, bool)]) {
        let mut x = self.x();
        self.label(x, field, label);
        let focused = self.form().focus == field;
        x += LABEL;
        x = self.pen.put(x, self.y, if focused { "‹" } else { " " }, Role::Key);
        for (word, chosen) in choices {
            let role = if *chosen { Role::Choice } else { Role::Text };
            x = self.pen.put(x, self.y, &format!(" {word} "), role) + 1;
        }
        self.pen.put(x.saturating_sub(1), self.y, if focused { "›" } else { " " }, Role::Key);
        self.y += 1;
    }

    fn line(&mut self, field: Field, label: &str, hint: &str) {
        let x = self.x();
        self.label(x, field, label);
        let columns = self.pen.area.right().saturating_sub(x + LABEL + 1);
        if let Some(line) = self.form().line(field) {
            let end = self.value(x + LABEL, columns, field, line);
            let hint_x = (end + 3).max(x + LABEL + 14);
            let room = self.pen.area.right().saturating_sub(hint_x + 1);
            if usize::from(room) >= width(hint) {
                self.pen.put(hint_x, self.y, hint, Role::Dim);
            }
        }
        self.y += 1;
    }

    /// Writes what was typed, scrolled so that the cursor is seen; returns the column after it.
    fn value(&mut self, x: u16, columns: u16, field: Field, line: &Line) -> u16 {
        let focused = self.form().focus == field;
        let before = clean(&line.before_cursor());
        let all = clean(line.text());
        let columns = usize::from(columns.max(1));
        let skip = if focused { width(&before).saturating_sub(columns - 1) } else { 0 };
        let text = skip_columns(&all, skip);
        let text = cut(&text, columns);
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

    fn list(&mut self) {
        let form = self.form();
        let x = self.x();
        self.label(x, Field::List, "Arguments");
        let count = form.list.filled().count();
        let hint = match count {
            0 => "one a line; paste works".to_owned(),
            _ => format!("{} lines", grouped(count as u64)),
        };
        self.pen.put(x + LABEL, self.y, &hint, Role::Dim);
        self.y += 1;
        let first = form.list.row().saturating_sub(LIST_ROWS - 1);
        let columns = self.pen.area.right().saturating_sub(x + LABEL + 1);
        let rows = usize::from(self.room().saturating_sub(6)).clamp(1, LIST_ROWS);
        let first = first.max(form.list.row().saturating_sub(rows - 1));
        for (at, line) in form.list.window(first, rows).into_iter().enumerate() {
            let number = (first + at + 1).to_string();
            self.pen.put_right(x + LABEL - 1, self.y, &number, Role::Dim);
            if first + at == form.list.row() {
                self.value(x + LABEL, columns, Field::List, form.list.line());
            } else {
                self.pen.put_cut((x + LABEL, self.y), &clean(line), columns, Role::Strong);
            }
            self.y += 1;
        }
    }

    /// Several short fields on one line.
    fn row(&mut self, fields: &[(Field, &str, u16, &str)]) {
        let mut x = self.x();
        for (i, (field, label, columns, unset)) in fields.iter().enumerate() {
            self.label(x, *field, label);
            let value_x = if i == 0 { x + LABEL } else { x + width(label) as u16 + 1 };
            let Some(line) = self.form().line(*field) else { continue };
            let end = self.value(value_x, *columns, *field, line);
            if line.text().is_empty() {
                self.pen.put(value_x + 1, self.y, unset, Role::Dim);
            } else if *field == Field::Priority {
                self.pen.put(end + 2, self.y, unset, Role::Dim);
            }
            x = value_x + columns.max(&(width(unset) as u16 + 4)) + 4;
        }
        self.y += 1;
        for (field, ..) in fields {
            self.error(*field);
        }
    }

    /// Writes the error of a field below it. A field that was left empty is not yet wrong.
    fn error(&mut self, field: Field) {
        let Err(errors) = &self.form().checked else { return };
        for (_, why) in errors.iter().filter(|(at, _)| *at == field) {
            let x = self.x() + LABEL;
            let columns = self.pen.area.right().saturating_sub(x + 1);
            let role = if is_untouched(self.form(), field) { Role::Dim } else { Role::Bad };
            let sign = if role == Role::Bad { "✗ " } else { "" };
            self.pen.put_cut((x, self.y), &format!("{sign}{}", clean(why)), columns, role);
            self.y += 1;
        }
    }

    fn preview(&mut self) {
        let columns = self.pen.area.width.saturating_sub(2);
        if self.room() > 0 {
            let line = "─".repeat(usize::from(columns));
            self.pen.put(self.x(), self.y, &line, Role::Border);
            self.pen.put(self.x() + 2, self.y, " Preview ", Role::Title);
            self.y += 1;
        }
        let Ok(batch) = &self.form().checked else {
            self.pen.put(self.x(), self.y, "nothing to create yet", Role::Dim);
            self.y += 2;
            return;
        };
        let count = batch.args.count();
        let first = count.min(u64::from(self.room().saturating_sub(4)).clamp(1, 4));
        for index in 0..first {
            self.sample(batch, index);
        }
        if count > first + 1 {
            let text = format!("{} more", grouped(count - first - 1));
            self.pen.put_right(self.x() + 7, self.y, "…", Role::Dim);
            self.pen.put(self.x() + 9, self.y, &text, Role::Dim);
            self.y += 1;
        }
        if count > first {
            self.sample(batch, count - 1);
        }
        if self.room() > 4 {
            self.y += 1;
        }
        self.total(batch, count);
    }

    fn sample(&mut self, batch: &Batch, index: u64) {
        let x = self.x();
        self.pen.put_right(x + 7, self.y, &grouped(index + 1), Role::Dim);
        let columns = self.pen.area.right().saturating_sub(x + 10);
        self.pen.put_cut((x + 9, self.y), &preview(batch, index), columns, Role::Text);
        self.y += 1;
    }

    fn total(&mut self, batch: &Batch, count: u64) {
        let tasks = if count == 1 { " task will be created" } else { " tasks will be created" };
        let size = size(batch) as u64;
        let mut pieces = vec![
            piece(grouped(count), Role::Strong),
            piece(format!("{tasks} · ≈ {}", bytes(size)), Role::Text),
        ];
        if let (Some(picture), LinkState::Up(_)) = (&self.model.picture, &self.model.link) {
            let rate = picture.master.done_per_s;
            if rate >= 0.1 {
                let ms = (count as f64 / f64::from(rate) * 1_000.0) as u64;
                let eta = seconds(ms + 1_000);
                pieces.push(piece(format!(" · at {}/s ≈ ", crate::text::rate(rate)), Role::Text));
                pieces.push(piece(eta, Role::Strong));
            }
            let gang = picture.gang;
            pieces.push(piece(format!(" · {}/{} slots busy", gang.busy, gang.slots), Role::Text));
        }
        self.pen.put_all(self.x(), self.y, &pieces);
        self.y += 2;
    }

    fn same_as(&mut self) {
        if self.form().checked.is_err() || self.room() == 0 {
            return;
        }
        let columns = usize::from(self.pen.area.width.saturating_sub(12));
        let mut lines = vec![String::new()];
        for word in command_line(self.form()) {
            let line = lines.last_mut().expect("there is a first line");
            if !line.is_empty() && width(line) + 1 + width(&word) + 2 > columns {
                line.push_str(" \\");
                lines.push(format!("  {word}"));
            } else {
                let space = if line.is_empty() { "" } else { " " };
                line.push_str(space);
                line.push_str(&word);
            }
        }
        self.pen.put(self.x(), self.y, "same as", Role::Dim);
        for line in lines {
            let columns = columns as u16;
            self.pen.put_cut((self.x() + 9, self.y), &line, columns, Role::Text);
            self.y += 1;
        }
    }
}

fn source_label(form: &Form, field: Field) -> (&'static str, &'static str) {
    if field == Field::Range {
        ("Range n", "1..500, or 1..500:5 for every fifth")
    } else if field == Field::Random {
        ("Random n", "count:smallest..largest[:seed]")
    } else if field == Field::Repeat {
        ("Times", "{#} is the number of the task")
    } else if form.kind == FormKind::Sleep {
        ("Duration", "20ms, 1.5s, 2m")
    } else {
        ("Number n", "workers answer n * n = n²")
    }
}

fn is_untouched(form: &Form, field: Field) -> bool {
    match field {
        Field::List => form.list.filled().next().is_none(),
        Field::Kind | Field::Source => false,
        Field::Command
        | Field::Value
        | Field::Range
        | Field::Random
        | Field::Repeat
        | Field::Priority
        | Field::Timeout
        | Field::Retries
        | Field::Queue
        | Field::Name => form.line(field).is_some_and(|line| line.text().trim().is_empty()),
    }
}

fn size(batch: &Batch) -> usize {
    use ganger_proto::{Args, Kind};
    let spec = match &batch.head.spec.kind {
        Kind::Square | Kind::Sleep => 8,
        Kind::Shell { line } => line.source().len(),
        Kind::Exec { argv } => argv.iter().map(|word| word.source().len() + 1).sum(),
    };
    let args = match &batch.args {
        Args::Listed(list) => list.total_bytes() + 2 * list.len(),
        Args::Range { .. } | Args::Repeat { .. } => 24,
    };
    64 + spec + args + batch.head.options.name.len()
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
