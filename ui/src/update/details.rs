//! One task in full, over the screen or below its list: which task it is, what is asked about it,
//! and its output, which is followed while it is seen. What keys do to the text is in reader.rs.

use ganger_proto::command::TaskDetail;
use ganger_proto::follow::Followed;
use ganger_proto::{Refusal, Request, TaskId};

use super::ask;
use crate::link::Outbound;
use crate::model::details::{Below, Details, Keys, Tab};
use crate::model::list::List;
use crate::model::overlay::Overlay;
use crate::model::{Asked, Model, Tone};
use crate::msg::Effect;

/// Seconds between two questions about a task that has ended: it may have been retried.
const ENDED_S: u64 = 4;

/// `Enter`: opens the task of the list; from the attempts, the output of the chosen one; from the
/// pane, its task in full.
pub(super) fn open(model: &mut Model, out: &mut Vec<Effect>) {
    let in_pane = model.pane_has_keys();
    match model.details_mut() {
        Some(details) if details.tab == Tab::Attempts => {
            let chosen = details.detail.as_ref().and_then(|d| d.attempts.get(details.row));
            let newest = details.detail.as_ref().map_or(0, |detail| detail.row.attempt);
            let chosen = chosen.map(|attempt| attempt.attempt);
            details.attempt = chosen.filter(|attempt| *attempt != newest);
            details.output = Default::default();
            details.followed = None;
            details.tab = Tab::Output;
        }
        Some(details) if in_pane => {
            let (task, tab) = (details.task, details.tab);
            open_task(model, task, tab, out);
        }
        Some(_) => {}
        None => {
            if let Some(task) = model.list().and_then(under_cursor) {
                open_task(model, task, Tab::Output, out);
            }
        }
    }
}

/// Opens a task that need not be in any list.
pub(super) fn show(model: &mut Model, task: TaskId, out: &mut Vec<Effect>) {
    open_task(model, task, Tab::Output, out);
}

fn open_task(model: &mut Model, task: TaskId, tab: Tab, out: &mut Vec<Effect>) {
    model.overlays.push(Overlay::Details(Box::new(Details::new(task, tab))));
    ask(model, Request::Show { task }, Asked::Show(task), out);
}

/// The task under the cursor; of a list that is followed, its first.
fn under_cursor(list: &List) -> Option<TaskId> {
    list.cursor().or_else(|| list.ids.first().copied().filter(|_| list.is_live()))
}

/// `o`: opens and closes the pane below the list.
pub(super) fn toggle_pane(model: &mut Model) {
    model.reading.below = match model.reading.below {
        Some(_) => None,
        None => Some(Below { details: None, keys: Keys::List }),
    };
}

/// `{` and `}`: the neighbour in the list. It may lie in a window that has not come.
pub(super) fn step(model: &mut Model, rows: i64) {
    let Some(task) = model.details().map(|details| details.task) else { return };
    let Some(list) = model.list_mut() else {
        return model.say(Tone::Note, "there is no list behind this task");
    };
    list.selected = Some(task);
    list.move_by(rows);
    model.reading.stepping = Some(task);
}

/// What follows from the list's cursor and from what is seen.
pub(super) fn settle(model: &mut Model, out: &mut Vec<Effect>) {
    finish_step(model, out);
    follow_cursor(model, out);
    follow_output(model, out);
}

fn finish_step(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(from) = model.reading.stepping else { return };
    let Some(list) = model.list().filter(|list| !list.is_waiting()) else { return };
    let to = list.cursor();
    model.reading.stepping = None;
    match (to, model.details_mut()) {
        (Some(to), Some(details)) if to != from => {
            *details = Details::new(to, details.tab);
            ask(model, Request::Show { task: to }, Asked::Show(to), out);
        }
        (_, Some(_)) => model.say(Tone::Note, "the list ends here"),
        (_, None) => {}
    }
}

/// The pane shows the task under the cursor. While one question is under way no other is asked:
/// a cursor that runs along the list asks only where it rests.
fn follow_cursor(model: &mut Model, out: &mut Vec<Effect>) {
    let asking = model.asked.values().any(|asked| matches!(asked, Asked::Show(_)));
    let covered = !model.overlays.is_empty();
    if asking || covered || !model.is_up() || !model.has_pane() || model.pane_has_keys() {
        return;
    }
    let Some(task) = model.list().and_then(under_cursor) else { return };
    let Some(below) = &mut model.reading.below else { return };
    if below.details.as_ref().is_none_or(|details| details.task != task) {
        let tab = below.details.as_ref().map_or(Tab::Output, |details| details.tab);
        below.details = Some(Box::new(Details::new(task, tab)));
        ask(model, Request::Show { task }, Asked::Show(task), out);
    }
}

/// Follows the output of the task that is seen, and no other.
fn follow_output(model: &mut Model, out: &mut Vec<Effect>) {
    if !model.is_up() {
        return;
    }
    let following = model.reading.following;
    let tag = model.tag + 1;
    let seen = model.details_seen();
    if seen.as_ref().map(|details| details.followed) == following.map(Some) {
        return;
    }
    if let Some(tag) = following {
        out.push(Effect::Send(Outbound::Unfollow { tag }));
    }
    let follow = seen.map(|details| {
        details.output.will_begin_again();
        details.followed = Some(tag);
        Outbound::Follow { tag, task: details.task, attempt: details.attempt }
    });
    model.reading.following = follow.is_some().then_some(tag);
    model.tag += u64::from(follow.is_some());
    out.extend(follow.map(Effect::Send));
}

/// The connection is gone, and what was followed with it.
pub(super) fn disconnected(model: &mut Model) {
    model.reading.following = None;
}

pub(super) fn followed(model: &mut Model, tag: u64, result: Result<Followed, Refusal>) {
    let mut all = model.all_details();
    let Some(details) = all.find(|details| details.followed == Some(tag)) else { return };
    match result {
        Ok(followed) => details.output.take(followed),
        Err(refusal) => {
            let attempts = details.detail.as_ref().map_or(&[][..], |detail| &detail.attempts);
            details.output.refuse(&refusal.to_string(), attempts);
        }
    }
}

/// Asks again about the task that is seen.
pub(super) fn refresh(model: &mut Model, out: &mut Vec<Effect>) {
    let second = model.now.mono_ms / 1_000;
    let Some(details) = model.details_seen() else { return };
    let task = details.task;
    let is_due = !details.has_ended() || second.is_multiple_of(ENDED_S);
    let is_refused = !details.error.is_empty();
    let under_way = model.asked.values().any(|asked| *asked == Asked::Show(task));
    if model.is_up() && is_due && !is_refused && !under_way {
        ask(model, Request::Show { task }, Asked::Show(task), out);
    }
}

pub(super) fn take(model: &mut Model, task: TaskId, mut detail: Box<TaskDetail>) {
    clean(&mut detail);
    let mut runs_again = false;
    for details in model.all_details().filter(|details| details.task == task) {
        runs_again |= details.has_ended() && !detail.row.state.is_end();
        details.error.clear();
        details.detail = Some(detail.clone());
    }
    if runs_again {
        model.reading.following = None;
    }
    keep_within(model);
}

pub(super) fn refused(model: &mut Model, task: TaskId, why: &str) {
    for details in model.all_details().filter(|details| details.task == task) {
        details.error = crate::text::clean(why);
    }
}

/// Holds the scrolled place within the text.
pub(super) fn keep_within(model: &mut Model) {
    let lines = crate::view::details_lines(model);
    if let Some(details) = model.details_mut().filter(|details| details.detail.is_some()) {
        details.scroll.0 = details.scroll.0.min(lines.saturating_sub(1));
        details.row = details.row.min(details.attempts().saturating_sub(1));
    }
}

fn clean(detail: &mut TaskDetail) {
    super::inbound::clean_task(&mut detail.row);
    crate::text::clean_in_place(&mut detail.owner);
    crate::text::clean_in_place(&mut detail.options.name);
    for (key, value) in detail.spec.env.iter_mut().chain(&mut detail.options.labels) {
        crate::text::clean_in_place(key);
        crate::text::clean_in_place(value);
    }
    for attempt in &mut detail.attempts {
        crate::text::clean_in_place(&mut attempt.worker);
        crate::text::clean_in_place(&mut attempt.ended.message);
    }
}
