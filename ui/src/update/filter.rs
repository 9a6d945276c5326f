//! The filter line: read on every key; while it is no filter, the last good one stays.

use ganger_proto::Filter;

use crate::model::field::Line;
use crate::model::overlay::{FilterFault, FilterLine, Overlay};
use crate::model::{Focus, Model, Screen};

pub(super) fn open(model: &mut Model) {
    // The overview's lists take no filter; their screens do.
    match model.focus() {
        Some(Focus::Next) => model.screen = Screen::Tasks,
        Some(Focus::Latest) => model.screen = Screen::Results,
        Some(Focus::Tasks | Focus::Results | Focus::Workers) | None => {}
    }
    if let Some(list) = model.list() {
        let line = Line::of(&list.filter_text);
        model.overlays.push(Overlay::Filter(FilterLine { line, error: None }));
    }
}

pub(super) fn typed(model: &mut Model) {
    let Some(Overlay::Filter(line)) = model.overlays.last_mut() else { return };
    let text = line.line.text().to_owned();
    match Filter::parse(&text) {
        Ok(filter) => {
            line.error = None;
            if let Some(list) = model.list_mut() {
                list.set_filter(filter, text);
            }
        }
        Err(error) => {
            let text = crate::text::clean(&error.to_string());
            line.error = Some(FilterFault { at: error.at, text });
        }
    }
}

/// Closes the line; it stays open while what it holds is no filter.
pub(super) fn accept(model: &mut Model) {
    if matches!(model.overlays.last(), Some(Overlay::Filter(line)) if line.error.is_none()) {
        model.overlays.pop();
    }
}

pub(super) fn clear(model: &mut Model) {
    if let Some(list) = model.list_mut() {
        list.set_filter(Filter::default(), String::new());
    }
}
