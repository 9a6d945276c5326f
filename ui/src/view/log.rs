//! The master's own recent log lines.

use super::pen::{Pen, piece};
use crate::layout::{Frame, Width};
use crate::model::Model;
use crate::text::grouped;
use crate::theme::Role;

pub(super) fn log(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let Some(picture) = &model.picture else { return };
    let area = frame.body;
    let lines = &picture.log;
    let inner = if frame.width >= Width::Compact {
        let right = match model.log_from_end {
            0 => piece("▼ live", Role::Good),
            below => piece(format!("{} newer below", grouped(below as u64)), Role::Note),
        };
        pen.frame(area, "Log of the master", &[right], Role::BorderFocus)
    } else {
        area
    };
    let shown = usize::from(inner.height);
    let end = lines.len() - model.log_from_end.min(lines.len());
    let start = end.saturating_sub(shown);
    let end = (start + shown).min(lines.len());
    let mut inside = pen.within(inner);
    if lines.is_empty() {
        inside.put(inner.x + 1, inner.y, "the log is empty so far", Role::Dim);
    }
    for (y, line) in (inner.y..).zip(&lines[start..end]) {
        let room = inner.width.saturating_sub(2);
        inside.put_cut((inner.x + 1, y), line, room, role(line));
    }
    if lines.len() > shown && frame.width >= Width::Compact {
        let text = format!("{}–{} of {}", start + 1, end, grouped(lines.len() as u64));
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}

fn role(line: &str) -> Role {
    let has = |word: &str| line.split_whitespace().take(4).any(|found| found == word);
    if has("ERROR") {
        Role::Bad
    } else if has("WARN") {
        Role::Note
    } else if has("DEBUG") || has("TRACE") {
        Role::Dim
    } else {
        Role::Text
    }
}
