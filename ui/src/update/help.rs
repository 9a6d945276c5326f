//! The help's keys: it scrolls, and shows only the lines that hold the words typed after `/`.

use crate::model::Model;
use crate::model::field::Line;
use crate::model::overlay::{Help, HelpSearch, Overlay};

pub(super) fn open(model: &mut Model) {
    model.overlays.push(Overlay::Help(Box::default()));
}

pub(super) fn is_open(model: &Model) -> bool {
    matches!(model.overlays.last(), Some(Overlay::Help(_)))
}

/// `/`: words are typed.
pub(super) fn find(model: &mut Model) {
    if let Some(Overlay::Help(help)) = model.overlays.last_mut() {
        help.search = HelpSearch::Typed;
    }
}

/// Holds the scrolled place within the text.
pub(super) fn keep_within(model: &mut Model) {
    let (lines, rows) = crate::view::help_lines(model);
    if let Some(Overlay::Help(help)) = model.overlays.last_mut() {
        help.scroll.0 = help.scroll.0.min(lines.saturating_sub(rows));
    }
}

pub(super) fn typed(help: &mut Help, edit: impl FnOnce(&mut Line)) {
    if help.search == HelpSearch::Typed {
        edit(&mut help.words);
        help.scroll.0 = 0;
    }
}

/// Enter: the words stay, the keys read the rest again.
pub(super) fn accept(model: &mut Model) {
    let Some(Overlay::Help(help)) = model.overlays.last_mut() else { return };
    help.search = match help.words.text().trim() {
        "" => HelpSearch::Off,
        _ => HelpSearch::Kept,
    };
}

/// Esc: takes the words away first, then closes.
pub(super) fn back(model: &mut Model) {
    let Some(Overlay::Help(help)) = model.overlays.last_mut() else { return };
    match help.search {
        HelpSearch::Off => drop(model.overlays.pop()),
        HelpSearch::Typed | HelpSearch::Kept => {
            help.search = HelpSearch::Off;
            help.words = Line::default();
            help.scroll.0 = 0;
        }
    }
}
