//! Small dialogs: questions, the quick line.

use ratatui::layout::{Position, Rect};

use super::centred;
use super::pen::Pen;
use crate::keymap::Action;
use crate::layout::Frame;
use crate::model::field::Line;
use crate::model::overlay::{Button, Confirm};
use crate::mouse::Hit;
use crate::text::{clean, cut, width, wrap};
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

/// The quick add line, at the bottom.
pub(super) fn quick(pen: &mut Pen<'_>, frame: &Frame, line: &Line) -> Position {
    let area = if frame.toast.height > 0 { frame.toast } else { frame.footer };
    let mut pen = pen.within(area);
    pen.clear(Role::Text);
    let x = pen.put(area.x + 1, area.y, "add ", Role::Key);
    let room = area.width.saturating_sub(x + 1);
    let (said, role) = match crate::update::quick_meaning(line.text()) {
        _ if line.text().trim().is_empty() => {
            (" a shell line, or a number to square".to_owned(), Role::Dim)
        }
        Ok(said) => (format!("→ {said}"), Role::Dim),
        Err(why) => (format!("✗ {}", clean(&why)), Role::Bad),
    };
    let used = (width(&clean(line.text())) as u16).min(room);
    let said_x = x + used + if used > 0 { 3 } else { 0 };
    let left = area.right().saturating_sub(said_x + 1);
    if left >= 12 {
        pen.put_cut((said_x, area.y), &said, left, role);
    }
    typed(&mut pen, (x, area.y), room, line)
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
            let verb = question.verb.clone() + " (Enter)";
            [("Cancel (Esc)".to_owned(), !ready, Action::Back), (verb, ready, Action::Accept)]
        }
        None => [
            ("Cancel (n)".to_owned(), question.focus == Button::Cancel, Action::No),
            (question.verb.clone() + " (y)", question.focus == Button::Go, Action::Yes),
        ],
    };
    let mut x = inner.x + 1;
    for (word, focused, action) in buttons {
        let role = match focused {
            true => Role::Choice,
            false if !ready => Role::Dim,
            false => Role::Text,
        };
        let end = pen.put(x, y, &format!(" {word} "), role);
        pen.hit(Rect { x, y, width: end - x, height: 1 }, Hit::Key(action));
        x = end + 2;
    }
    cursor
}
