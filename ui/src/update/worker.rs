//! One worker in full: asked for when it is opened, and again each second; the cursor among what
//! it holds.

use ganger_proto::gang::WorkerDetail;
use ganger_proto::{Name, Request};

use super::{ask, details};
use crate::model::overlay::{Overlay, WorkerPage};
use crate::model::{Asked, Model, Tone};
use crate::msg::Effect;
use crate::text::{clean, clean_in_place};

pub(super) fn open(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(name) = model.worker_row().map(|row| row.name.clone()) else { return };
    // What is done from here is done to this worker, however the list is sorted meanwhile.
    model.worker = Some(name.clone());
    let page = WorkerPage::new(name.clone());
    model.overlays.push(Overlay::Worker(Box::new(page)));
    ask(model, Request::Worker { name: name.clone() }, Asked::Worker(name), out);
}

pub(super) fn refresh(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Worker(page)) = model.overlays.last() else { return };
    let name = page.worker.clone();
    let asked = Asked::Worker(name.clone());
    let under_way = model.asked.values().any(|other| *other == asked);
    if model.is_up() && !under_way && page.error.is_empty() {
        ask(model, Request::Worker { name }, asked, out);
    }
}

pub(super) fn take(model: &mut Model, name: &Name, mut detail: Box<WorkerDetail>) {
    super::inbound::clean_worker(&mut detail.row);
    detail.holds.iter_mut().for_each(super::inbound::clean_task);
    if let Some(facts) = &mut detail.certificate {
        clean_in_place(&mut facts.serial);
        clean_in_place(&mut facts.fingerprint);
    }
    let mut is_first = false;
    for page in pages(model, name) {
        page.error.clear();
        is_first = page.detail.replace(detail.clone()).is_none();
    }
    if is_first {
        begin(model);
    } else {
        follow(model);
    }
}

pub(super) fn refused(model: &mut Model, name: &Name, why: &str) {
    for page in pages(model, name) {
        page.error = clean(why);
    }
}

fn pages<'a>(model: &'a mut Model, name: &'a Name) -> impl Iterator<Item = &'a mut WorkerPage> {
    model.overlays.iter_mut().filter_map(move |overlay| {
        let Overlay::Worker(page) = overlay else { return None };
        (page.worker == *name).then_some(page.as_mut())
    })
}

/// Puts the cursor on the first task, where that is seen without scrolling away what stands above.
fn begin(model: &mut Model) {
    let lines = crate::view::worker_lines(model);
    let seen = usize::from(crate::layout::frame(model.size).body.height).saturating_sub(6);
    let first = lines.iter().position(Option::is_some).filter(|line| *line < seen);
    go_to(model, first.unwrap_or(0));
}

/// Keeps the cursor on its task wherever that stands now.
fn follow(model: &mut Model) {
    let lines = crate::view::worker_lines(model);
    let Some(Overlay::Worker(page)) = model.overlays.last() else { return };
    let of = |task| lines.iter().position(|line| *line == Some(task));
    let line = page.task.and_then(of).unwrap_or(page.line);
    go_to(model, line);
}

/// Moves the cursor to a line; the view keeps it in sight.
pub(super) fn go_to(model: &mut Model, line: usize) {
    let lines = crate::view::worker_lines(model);
    let Some(Overlay::Worker(page)) = model.overlays.last_mut() else { return };
    page.line = line.min(lines.len().saturating_sub(1));
    page.task = lines.get(page.line).copied().flatten();
}

/// Enter: the task under the cursor in full.
pub(super) fn open_task(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Worker(page)) = model.overlays.last() else { return };
    match page.task {
        Some(task) => details::show(model, task, out),
        None => model.say(Tone::Note, "move to a task that it holds, then press Enter"),
    }
}
