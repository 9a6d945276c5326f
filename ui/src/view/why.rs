//! Why a task is where it is: a box of sentences, each with what can be done.

use ratatui::layout::Rect;

use super::centred;
use super::pen::{Pen, Piece, piece};
use super::sign;
use crate::layout::{Frame, frame};
use crate::model::Model;
use crate::model::overlay::{Note, Overlay};
use crate::text::{grouped, wrap};
use crate::theme::Role;

/// Columns of the box at most: sentences are read, not scanned.
const COLUMNS_MAX: u16 = 84;

/// Returns how many lines the open box has.
pub(crate) fn lines_count(model: &Model) -> usize {
    match model.overlays.last() {
        Some(Overlay::Note(note)) => lines(note, columns(&frame(model.size))).len(),
        _ => 0,
    }
}

pub(super) fn note(pen: &mut Pen<'_>, frame: &Frame, note: &Note) {
    let columns = columns(frame);
    let lines = lines(note, columns);
    let room = Rect { height: pen.area.height - frame.footer.height, ..pen.area };
    let area = centred(room, columns as u16 + 4, lines.len() as u16 + 2);
    pen.within(area).clear(Role::Text);
    let state = note.state.map(|state| {
        let (glyph, role) = sign::task(state);
        piece(format!("{glyph} {}", state.word()), role)
    });
    let title = format!("Why task {}", grouped(note.task.raw()));
    let inner = pen.frame(area, &title, state.as_slice(), Role::BorderFocus);
    let rows = usize::from(inner.height);
    let top = note.scroll.0.min(lines.len().saturating_sub(rows));
    let mut inside = pen.within(inner);
    for (y, line) in (inner.y..).zip(lines.iter().skip(top).take(rows)) {
        inside.put_all(inner.x + 1, y, line);
    }
    if lines.len() > rows {
        let text = format!("{}–{} of {}", top + 1, (top + rows).min(lines.len()), lines.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}

fn columns(frame: &Frame) -> usize {
    usize::from(frame.body.width.min(COLUMNS_MAX).saturating_sub(4)).max(16)
}

type Line = Vec<Piece>;

/// The reason stands out; what can be done about it stands below.
fn lines(note: &Note, columns: usize) -> Vec<Line> {
    if note.reasons.is_empty() {
        return vec![vec![piece("asking the master …", Role::Dim)]];
    }
    let mut lines = Vec::new();
    for reason in &note.reasons {
        if !lines.is_empty() {
            lines.push(Line::new());
        }
        let mut parts = reason.split("; ");
        let said = parts.next().unwrap_or_default();
        for (at, text) in wrap(said, columns.saturating_sub(2)).into_iter().enumerate() {
            let mark = if at == 0 { "● " } else { "  " };
            lines.push(vec![piece(mark, Role::Note), piece(text, Role::Strong)]);
        }
        for part in parts {
            for (at, text) in wrap(part, columns.saturating_sub(4)).into_iter().enumerate() {
                let mark = if at == 0 { "  · " } else { "    " };
                lines.push(vec![piece(mark, Role::Dim), piece(text, Role::Text)]);
            }
        }
    }
    lines
}
