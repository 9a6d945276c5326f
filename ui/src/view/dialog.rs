//! Small dialogs: questions, the quick line, the filter line.

use ratatui::layout::{Position, Rect};

use super::centred;
use super::pen::Pen;
use crate::layout::Frame;
use crate::model::Model;
use crate::model::field::Line;
use crate::model::overlay::{Button, Confirm, FilterLine, Overlay};
use crate::text::{clean, cut, grouped, width, wrap};
use crate::theme::Role;

/// Writes a typed line so that its cursor is seen; returns where that is.
pub(super) fn typed(pen: &mut Pen<'_>, (x, y): (u16, u16), columns: u16, line: &Line) -> Position {
    let before = clean(&line.before_cursor());
    let columns = usize::from(columns.max(2));
    let skip = width(&before).saturating_sub(columns - 1);
    let mut skipped = 0;
    let shown: String = clean(line.text())
        .chars()
        .skip_while(|c| {
            let skip = skipped < skip;
            skipped += width(c.encode_utf8(&mut [0; 4]));
            skip
        })
        .collect();
    pen.put(x, y, &cut(&shown, columns), Role::Strong);
    Position { x: x + (width(&before) - skip) as u16, y }
}

/// The filter of a list with how much it leaves.
pub(super) fn filter(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let Some(list) = model.list() else { return };
    let editing = model.overlays.iter().find_map(|overlay| match overlay {
        Overlay::Filter(line) => Some(line),
        Overlay::Help(_)
        | Overlay::Quick(_)
        | Overlay::Inject
        | Overlay::Confirm(_)
        | Overlay::Join(_)
        | Overlay::Details(_)
        | Overlay::Worker(_)
        | Overlay::Note(_) => None,
    });
    let y = area.y;
    pen.put(area.x + 1, y, "/", Role::Key);
    let text = editing.map_or(list.filter_text.as_str(), |line| line.line.text());
    let total = model.picture.as_ref().map_or(0, |picture| picture.master.counts.total());
    let of = format!("{} of {}", grouped(list.total), grouped(total));
    let (said, role) = match editing.and_then(|line| line.error.as_ref()) {
        Some(fault) => (format!("✗ {}", fault.text), Role::Bad),
        None => (of, Role::Dim),
    };
    let columns = area.width.saturating_sub(6);
    match editing {
        Some(line) => drop(typed(pen, (area.x + 3, y), columns, &line.line)),
        None => drop(pen.put_cut((area.x + 3, y), &clean(text), columns, Role::Strong)),
    }
    if let Some(fault) = editing.and_then(|line| line.error.as_ref()) {
        let at = fault.at.min(text.len());
        let before = text.get(..at).map_or(0, width) as u16;
        let rest = text.get(at..).map_or(0, width).max(1) as u16;
        pen.tint(Rect { x: area.x + 3 + before, y, width: rest, height: 1 }, Role::Bad);
    }
    let x = area.x + 3 + (width(text) as u16).min(columns) + 3;
    let room = area.right().saturating_sub(x + 1);
    if room > 10 {
        pen.put_cut((x, y), &said, room, role);
    }
}

pub(super) fn filter_cursor(area: Rect, line: &FilterLine) -> Position {
    let columns = area.width.saturating_sub(7);
    let before = width(&clean(&line.line.before_cursor())) as u16;
    Position { x: area.x + 3 + before.min(columns), y: area.y }
}

/// The quick add line, at the bottom.
pub(super) fn quick(pen: &mut Pen<'_>, frame: &Frame, line: &Line) -> Position {
    let area = if frame.toast.height > 0 { frame.toast } else { frame.footer };
    let mut pen = pen.within(area);
    pen.clear(Role::Text);
    let x = pen.put(area.x + 1, area.y, "add ", Role::Key);
    if line.text().is_empty() {
        let hint = " a shell line, or a number to square";
        pen.put_cut((x + 1, area.y), hint, area.width.saturating_sub(x + 2), Role::Dim);
    }
    typed(&mut pen, (x, area.y), area.width.saturating_sub(x + 1), line)
}

/// A question. Cancel stands first and is focused when it opens.
pub(super) fn confirm(pen: &mut Pen<'_>, frame: &Frame, question: &Confirm) -> Option<Position> {
    let columns = usize::from(frame.body.width.min(68).saturating_sub(4));
    let mut lines: Vec<String> = Vec::new();
    for line in &question.lines {
        lines.extend(wrap(&clean(line), columns));
    }
    let height = lines.len() as u16 + 5 + u16::from(question.typed.is_some());
    let area = centred(pen.area, columns as u16 + 4, height);
    pen.within(area).clear(Role::Text);
    let inner = pen.frame(area, &question.title, &[], Role::Bad);
    let mut pen = pen.within(inner);
    let mut y = inner.y + 1;
    for line in lines {
        pen.put(inner.x + 1, y, &line, Role::Text);
        y += 1;
    }
    let mut cursor = None;
    if let Some(wanted) = &question.typed {
        let ask = format!("Type {} to confirm: ", wanted.expected);
        let x = pen.put(inner.x + 1, y, &ask, Role::Note);
        let room = inner.right().saturating_sub(x + 1);
        cursor = Some(typed(&mut pen, (x, y), room, &wanted.line));
        y += 1;
    }
    y = (y + 1).min(inner.bottom().saturating_sub(1));
    let ready = question.typed.as_ref().is_none_or(|wanted| wanted.fits());
    let buttons = match question.typed {
        Some(_) => {
            [("Cancel (Esc)".to_owned(), !ready), (question.verb.clone() + " (Enter)", ready)]
        }
        None => [
            ("Cancel (n)".to_owned(), question.focus == Button::Cancel),
            (question.verb.clone() + " (y)", question.focus == Button::Go),
        ],
    };
    let mut x = inner.x + 1;
    for (word, focused) in buttons {
        let role = match focused {
            true => Role::Choice,
            false if !ready => Role::Dim,
            false => Role::Text,
        };
        x = pen.put(x, y, &format!(" {word} "), role) + 2;
    }
    cursor
}
