//! What is done to tasks from a list or their details: marks, retry, cancel, priority, copies; and
//! the queue they wait in.

use std::collections::BTreeMap;

use ganger_proto::{Request, Select, TaskId, TaskState};

use super::ask;
use crate::model::command_line::command_line;
use crate::model::field::Line;
use crate::model::list::Marked;
use crate::model::overlay::{Button, Confirm, Overlay, Then, Typed};
use crate::model::{Asked, Model, Tone, WelcomeToken};
use crate::msg::Effect;
use crate::text::{counted, grouped};
use ganger_proto::Role;

/// Tasks that are cancelled without a question when none of them runs.
const UNASKED_MAX: usize = 100;
/// Running tasks above which a cancel wants their number typed.
const TYPE_ABOVE: usize = 1_000;

/// Returns what an action is about: the open details' task, else the marked ones, else the one
/// under the cursor.
fn targets(model: &Model) -> BTreeMap<TaskId, Marked> {
    if let Some(Overlay::Details(details)) = model.overlays.last() {
        let seen = details
            .detail
            .as_ref()
            .map(|detail| Marked { state: detail.row.state, priority: detail.row.priority });
        return seen.into_iter().map(|seen| (details.task, seen)).collect();
    }
    let Some(list) = model.list() else { return BTreeMap::new() };
    if !list.marks.is_empty() {
        return list.marks.clone();
    }
    let seen = list.cursor().and_then(|task| Some((task, seen(model, task)?)));
    seen.into_iter().collect()
}

/// Returns what the rows in view say about a task.
fn seen(model: &Model, task: TaskId) -> Option<Marked> {
    let of_task = model.task_rows().iter().find(|row| row.task == task);
    let of_result = model.result_rows().iter().find(|row| row.task == task);
    let in_tasks = of_task.map(|row| Marked { state: row.state, priority: row.priority });
    in_tasks.or_else(|| of_result.map(|row| Marked { state: row.state, priority: 0 }))
}

pub(super) fn mark(model: &mut Model) {
    let Some(task) = model.list().and_then(|list| list.cursor()) else { return };
    let Some(seen) = seen(model, task) else { return };
    if let Some(list) = model.list_mut() {
        list.toggle_mark(task, seen);
        list.selected = Some(task);
        list.move_by(1);
    }
}

fn unmark(model: &mut Model) {
    if let Some(list) = model.list_mut() {
        list.marks.clear();
    }
}

pub(super) fn retry(model: &mut Model, out: &mut Vec<Effect>) {
    let tasks = targets(model);
    let ids: Vec<TaskId> = tasks
        .iter()
        .filter(|(_, seen)| {
            matches!(seen.state, TaskState::Failed | TaskState::Cancelled | TaskState::Delayed)
        })
        .map(|(task, _)| *task)
        .collect();
    if ids.is_empty() {
        let text = "only failed, cancelled or delayed tasks can be retried";
        return model.say(Tone::Note, text);
    }
    unmark(model);
    ask(model, Request::Retry { select: Select::Tasks(ids) }, Asked::Retry, out);
}

/// `c`: what waits is cancelled at once, up to a hundred; killing what runs is asked first.
pub(super) fn cancel(model: &mut Model, out: &mut Vec<Effect>) {
    let tasks = targets(model);
    let open: BTreeMap<_, _> = tasks.iter().filter(|(_, seen)| !seen.state.is_end()).collect();
    if open.is_empty() {
        return model.say(Tone::Note, "it has ended; only open tasks can be cancelled");
    }
    let leased = [TaskState::Sent, TaskState::Running];
    let running = open.values().filter(|seen| leased.contains(&seen.state)).count();
    let ids: Vec<TaskId> = open.keys().map(|task| **task).collect();
    let count = ids.len();
    unmark(model);
    let request = Request::Cancel { select: Select::Tasks(ids.clone()), now: false };
    if running == 0 && count <= UNASKED_MAX {
        return ask(model, request, Asked::Cancel, out);
    }
    let title = match ids.as_slice() {
        [task] => format!("Cancel task {}", grouped(task.raw())),
        _ => format!("Cancel {}", counted(count as u64, "task", "tasks")),
    };
    let waiting = count - running;
    let mut lines = Vec::new();
    if running > 0 {
        let what = counted(running as u64, "running task gets", "running tasks get");
        lines.push(format!("{what} TERM, then KILL; the work so far is lost."));
    }
    if waiting > 0 {
        let what = counted(waiting as u64, "waiting task leaves", "waiting tasks leave");
        lines.push(format!("{what} the queue."));
    }
    let typed = (running > TYPE_ABOVE)
        .then(|| Typed { expected: count.to_string(), line: Line::default() });
    model.overlays.push(Overlay::Confirm(Box::new(Confirm {
        title,
        lines,
        verb: "Stop".to_owned(),
        focus: Button::Cancel,
        then: Then::Send(vec![(request, Asked::Cancel)]),
        typed,
    })));
}

/// `+ -`: tasks with different priorities keep their distance.
pub(super) fn priority(model: &mut Model, by: i16, out: &mut Vec<Effect>) {
    let mut groups: BTreeMap<i16, Vec<TaskId>> = BTreeMap::new();
    for (task, seen) in targets(model) {
        if !seen.state.is_end() {
            groups.entry(seen.priority.saturating_add(by)).or_default().push(task);
        }
    }
    if groups.is_empty() {
        return model.say(Tone::Note, "it has ended; its priority does not matter any more");
    }
    for (priority, ids) in groups {
        for task in &ids {
            if let Some(mark) = model.list_mut().and_then(|list| list.marks.get_mut(task)) {
                mark.priority = priority;
            }
        }
        let request = Request::SetPriority { select: Select::Tasks(ids), priority };
        ask(model, request, Asked::Priority(priority), out);
    }
}

/// `P`: pauses or resumes the queue of the selected task, else `default`.
pub(super) fn pause(model: &mut Model, out: &mut Vec<Effect>) {
    let queue = model.queue();
    if model.is_paused(&queue) {
        ask(model, Request::Resume { queue: queue.clone() }, Asked::Resume(queue), out);
    } else {
        ask(model, Request::Pause { queue: queue.clone() }, Asked::Pause(queue), out);
    }
}

/// Returns what `y` puts on the clipboard.
pub(super) fn to_copy(model: &Model) -> Option<String> {
    match model.overlays.last() {
        Some(Overlay::Inject) => return Some(command_line(&model.form).join(" ")),
        Some(Overlay::Join(dialog)) => {
            return dialog.minted.as_ref().map(|minted| minted.line(dialog.role));
        }
        Some(Overlay::Details(_)) => return Some(crate::view::details_text(model)),
        Some(Overlay::Worker(_)) => return Some(crate::view::worker_text(model)),
        Some(Overlay::Note(note)) => return Some(note.reasons.join("\n")),
        Some(Overlay::Help(_) | Overlay::Filter(_) | Overlay::Quick(_) | Overlay::Confirm(_))
        | None => {}
    }
    if model.is_welcome() {
        return match &model.welcome {
            WelcomeToken::Minted(minted) => Some(minted.line(Role::Worker)),
            WelcomeToken::Unasked | WelcomeToken::Asked | WelcomeToken::Refused(_) => None,
        };
    }
    let Some(list) = model.list() else { return Some(model.worker_row()?.name.to_string()) };
    let task = list.cursor()?;
    let command = model.task_rows().iter().find(|row| row.task == task).map(|row| &row.command);
    let text = model.result_rows().iter().find(|row| row.task == task).map(|row| &row.text);
    command.or(text).cloned()
}
