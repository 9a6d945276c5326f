//! Why a task is where it is: asked when the box is opened, and again while it is looked at.

use ganger_proto::why::Why;
use ganger_proto::{Request, TaskId};

use super::ask;
use crate::model::overlay::{Note, Overlay, Scroll};
use crate::model::{Asked, Model, Tone};
use crate::msg::Effect;
use crate::text::clean;

/// Opens the box about the open details' task, the one under the cursor, or the first one.
pub(super) fn open(model: &mut Model, out: &mut Vec<Effect>) {
    let of_list = || {
        let list = model.list()?;
        list.cursor().or_else(|| list.ids.first().copied())
    };
    let task = match model.overlays.last() {
        Some(Overlay::Details(details)) => Some(details.task),
        _ => of_list(),
    };
    let Some(task) = task else { return model.say(Tone::Note, "no task is selected") };
    let note = Note { task, state: None, reasons: Vec::new(), scroll: Scroll::default() };
    model.overlays.push(Overlay::Note(Box::new(note)));
    ask(model, Request::Why { task }, Asked::Why(task), out);
}

pub(super) fn refresh(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Note(note)) = model.overlays.last() else { return };
    let task = note.task;
    let under_way = model.asked.values().any(|asked| *asked == Asked::Why(task));
    if model.is_up() && !under_way && note.state.is_some_and(|state| !state.is_end()) {
        ask(model, Request::Why { task }, Asked::Why(task), out);
    }
}

pub(super) fn take(model: &mut Model, why: &Why) {
    for note in notes(model, why.task) {
        note.state = Some(why.state);
        note.reasons = why.reasons.iter().map(|reason| clean(&reason.to_string())).collect();
    }
}

pub(super) fn refused(model: &mut Model, task: TaskId, why: &str) {
    for note in notes(model, task) {
        note.state = None;
        note.reasons = vec![clean(why)];
    }
}

fn notes(model: &mut Model, task: TaskId) -> impl Iterator<Item = &mut Note> {
    model.overlays.iter_mut().filter_map(move |overlay| {
        let Overlay::Note(note) = overlay else { return None };
        (note.task == task).then_some(note.as_mut())
    })
}

/// Holds the scrolled place within the text.
pub(super) fn keep_within(model: &mut Model) {
    let lines = crate::view::why_lines(model);
    if let Some(Overlay::Note(note)) = model.overlays.last_mut() {
        note.scroll.0 = note.scroll.0.min(lines.saturating_sub(1));
    }
}
