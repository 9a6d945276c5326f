//! The master's own recent log lines.

use super::pen::{Pen, piece};
use super::reader;
use crate::layout::{self, Frame, Width};
use crate::model::Model;
use crate::text::counted;
use crate::theme::Role;

pub(super) fn log(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let area = frame.body;
    let log = &model.log;
    if frame.width >= Width::Compact {
        let right = match log.text.is_followed() {
            true => piece("▼ live", Role::Good),
            false => piece("stands still; f follows", Role::Note),
        };
        pen.frame(area, "Log of the master", &[right], Role::BorderFocus);
    }
    let inner = layout::log(frame);
    if log.text.is_empty() {
        let x = inner.x + 1;
        pen.within(inner).put(x, inner.y, "the log is empty so far", Role::Dim);
        return;
    }
    reader::text(pen, inner, model, (&log.text, log.look));
    if frame.width >= Width::Compact {
        let unseen = below(model);
        let what = match unseen {
            0 => String::new(),
            _ => format!("{} below", counted(unseen, "line", "lines")),
        };
        pen.foot(area, &reader::foot(&log.text, log.look, &what, area.width));
    }
}

/// Lines below the last one in view.
fn below(model: &Model) -> u64 {
    let text = &model.log.text;
    let fit = text.fit(model.log.look, layout::log(&layout::frame(model.size)));
    let last = text.window(fit).last().map_or(0, |row| row.line + 1);
    text.end().saturating_sub(last)
}
