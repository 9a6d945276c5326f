//! One task in full: asked for when it is opened, and again while the task has not ended.

use ganger_proto::command::TaskDetail;
use ganger_proto::{Request, TaskId};

use super::ask;
use crate::model::overlay::{Details, Overlay, Scroll};
use crate::model::{Asked, Model};
use crate::msg::Effect;

pub(super) fn open(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(list) = model.list() else { return };
    let Some(task) = list.cursor().or_else(|| list.ids.first().copied()) else { return };
    open_task(model, task, out);
}

/// Opens one task, whatever list is behind.
pub(super) fn open_task(model: &mut Model, task: TaskId, out: &mut Vec<Effect>) {
    model.overlays.push(Overlay::Details(Box::new(Details {
        task,
        detail: None,
        error: String::new(),
        scroll: Scroll::default(),
    })));
    ask(model, Request::Show { task }, Asked::Show(task), out);
}

pub(super) fn refresh(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Details(details)) = model.overlays.last() else { return };
    let task = details.task;
    let ended = details.detail.as_ref().is_some_and(|detail| detail.row.state.is_end());
    let under_way = model.asked.values().any(|asked| *asked == Asked::Show(task));
    if model.is_up() && !ended && !under_way && details.error.is_empty() {
        ask(model, Request::Show { task }, Asked::Show(task), out);
    }
}

pub(super) fn take(model: &mut Model, task: TaskId, mut detail: Box<TaskDetail>) {
    clean(&mut detail);
    for overlay in &mut model.overlays {
        if let Overlay::Details(details) = overlay
            && details.task == task
        {
            details.error.clear();
            details.detail = Some(detail.clone());
        }
    }
    keep_within(model);
}

pub(super) fn refused(model: &mut Model, task: TaskId, why: &str) {
    for overlay in &mut model.overlays {
        if let Overlay::Details(details) = overlay
            && details.task == task
        {
            details.error = crate::text::clean(why);
        }
    }
}

/// Holds the scrolled place within the text.
pub(super) fn keep_within(model: &mut Model) {
    let lines = crate::view::details_lines(model);
    if let Some(Overlay::Details(details)) = model.overlays.last_mut() {
        details.scroll.0 = details.scroll.0.min(lines.saturating_sub(1));
    }
}

fn clean(detail: &mut TaskDetail) {
    super::inbound::clean_task(&mut detail.row);
    crate::text::clean_in_place(&mut detail.owner);
    crate::text::clean_in_place(&mut detail.options.name);
    for attempt in &mut detail.attempts {
        crate::text::clean_in_place(&mut attempt.worker);
        crate::text::clean_in_place(&mut attempt.ended.message);
    }
}
