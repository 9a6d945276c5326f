//! What is done to tasks from a list or their details: retry, cancel, delete, priority; and the
//! queue they wait in. What the master must count first is in bulk.rs.

use std::collections::BTreeMap;

use ganger_proto::command::Changed;
use ganger_proto::{Request, Role, Select, TaskId, TaskState};

use super::inbound::outcome;
use super::marks::seen;
use super::{ask, bulk, save};
use crate::model::bulk::{Breakdown, Bulk};
use crate::model::command_line::command_line;
use crate::model::details::Tab;
use crate::model::marks::{Marked, Marks};
use crate::model::overlay::{Overlay, Then};
use crate::model::save::SaveThen;
use crate::model::{Asked, Model, Screen, TOAST_MS, Tone, Undo, UndoOf, WelcomeToken};
use crate::msg::Effect;
use crate::text::grouped;

/// Tasks that are cancelled without a question when none of them runs.
const UNASKED_MAX: usize = 100;

/// What an action is about.
enum Target {
    /// Tasks whose rows were seen.
    Tasks(BTreeMap<TaskId, Marked>),
    /// All that match the filter of that text.
    Matching(String),
}

/// Returns what an action is about: the open details' task, else the marked ones, else the one
/// under the cursor.
fn target(model: &Model) -> Target {
    if let Some(details) = model.details() {
        let seen = details
            .detail
            .as_ref()
            .map(|detail| Marked { state: detail.row.state, priority: detail.row.priority });
        return Target::Tasks(seen.into_iter().map(|seen| (details.task, seen)).collect());
    }
    let Some(list) = model.list() else { return Target::Tasks(BTreeMap::new()) };
    match &list.marks {
        Marks::Matching(marks) => Target::Matching(list.matching(marks)),
        Marks::Tasks(tasks) if !tasks.is_empty() => Target::Tasks(tasks.clone()),
        Marks::Tasks(_) => {
            let seen = list.cursor().and_then(|task| Some((task, seen(model, task)?)));
            Target::Tasks(seen.into_iter().collect())
        }
    }
}

/// Marks were about what was done; it is done.
pub(super) fn unmark(model: &mut Model) {
    if let Some(list) = model.list_mut() {
        list.marks.clear();
    }
}

fn begin(model: &mut Model, bulk: Bulk, text: &str, out: &mut Vec<Effect>) {
    if let Err(why) = bulk::begin(model, bulk, text, out) {
        model.say(Tone::Note, why);
    }
}

/// Returns the tasks that an action changes, with how many they are by state.
fn changed_by(bulk: Bulk, tasks: &BTreeMap<TaskId, Marked>) -> (Vec<TaskId>, Breakdown) {
    let mut counts = Breakdown::default();
    let mut ids = Vec::new();
    for (task, seen) in tasks.iter().filter(|(_, seen)| bulk.states().contains(&seen.state)) {
        *counts.0.entry(seen.state).or_default() += 1;
        ids.push(*task);
    }
    (ids, counts)
}

fn ask_about(model: &mut Model, bulk: Bulk, ids: Vec<TaskId>, counts: &Breakdown, asked: Asked) {
    let ended = model.picture.as_ref().map(|picture| picture.master.counts.ended());
    let mut question = bulk::question(bulk, counts, ended);
    if let [task] = ids.as_slice() {
        question.title = format!("{} task {}", bulk.verb(), grouped(task.raw()));
    }
    question.then = Then::Send(vec![(bulk.request(Select::Tasks(ids)), asked)]);
    model.overlays.push(Overlay::Confirm(Box::new(question)));
}

pub(super) fn retry(model: &mut Model, out: &mut Vec<Effect>) {
    let tasks = match target(model) {
        Target::Tasks(tasks) => tasks,
        Target::Matching(text) => return begin(model, Bulk::Retry, &text, out),
    };
    let (ids, counts) = changed_by(Bulk::Retry, &tasks);
    if ids.is_empty() {
        let text = "only failed, cancelled or delayed tasks can be retried";
        return model.say(Tone::Note, text);
    }
    if ids.len() > UNASKED_MAX {
        return ask_about(model, Bulk::Retry, ids, &counts, Asked::Retry);
    }
    unmark(model);
    ask(model, Request::Retry { select: Select::Tasks(ids) }, Asked::Retry, out);
}

/// `R`: all failed ones that the filter leaves.
pub(super) fn retry_all(model: &mut Model, out: &mut Vec<Effect>) {
    let text = model.list().map(|list| list.filter.to_string()).unwrap_or_default();
    begin(model, Bulk::Retry, format!("{text} state:failed").trim_start(), out);
}

/// `c`: what waits is cancelled at once, up to a hundred; killing what runs is asked first.
pub(super) fn cancel(model: &mut Model, out: &mut Vec<Effect>) {
    let tasks = match target(model) {
        Target::Tasks(tasks) => tasks,
        Target::Matching(text) => return begin(model, Bulk::Cancel, &text, out),
    };
    let (ids, counts) = changed_by(Bulk::Cancel, &tasks);
    if ids.is_empty() {
        return model.say(Tone::Note, "it has ended; only open tasks can be cancelled");
    }
    let running = counts.of(&[TaskState::Sent, TaskState::Running]);
    if running > 0 || ids.len() > UNASKED_MAX {
        return ask_about(model, Bulk::Cancel, ids, &counts, Asked::Cancel);
    }
    unmark(model);
    let request = Request::Cancel { select: Select::Tasks(ids.clone()), now: false };
    // A retry would let what waits for others, or for its time, begin at once.
    let early = counts.of(&[TaskState::Blocked, TaskState::Delayed]) > 0;
    let asked = if early { Asked::Cancel } else { Asked::CancelWaiting(ids) };
    ask(model, request, asked, out);
}

/// All of them waited and all are cancelled: then a retry is the way back.
pub(super) fn cancelled(model: &mut Model, ids: Vec<TaskId>, changed: &Changed) {
    model.say(Tone::Good, outcome(changed, "cancelled", "had finished"));
    let tasks = ids.len() as u64;
    if *changed == (Changed { changed: tasks, ..Changed::default() }) {
        let until_ms = model.now.mono_ms + TOAST_MS;
        model.undo = Some(Undo { of: UndoOf::Cancel(ids), tasks, until_ms });
    }
}

/// `d`: ended tasks go for good, so it is always asked.
pub(super) fn delete(model: &mut Model, out: &mut Vec<Effect>) {
    let tasks = match target(model) {
        Target::Tasks(tasks) => tasks,
        Target::Matching(text) => return begin(model, Bulk::Delete, &text, out),
    };
    let (ids, counts) = changed_by(Bulk::Delete, &tasks);
    if ids.is_empty() {
        return model.say(Tone::Note, "only ended tasks can be deleted; c cancels open ones");
    }
    ask_about(model, Bulk::Delete, ids, &counts, Asked::Delete);
}

/// `+ -`: tasks with different priorities keep their distance; all that match get the one typed.
pub(super) fn priority(model: &mut Model, by: i16, out: &mut Vec<Effect>) {
    let tasks = match target(model) {
        Target::Tasks(tasks) => tasks,
        Target::Matching(_) => {
            return save::open(model, "Priority of all marked", "", SaveThen::Priority);
        }
    };
    let mut groups: BTreeMap<i16, Vec<TaskId>> = BTreeMap::new();
    for (task, seen) in tasks {
        if !seen.state.is_end() {
            groups.entry(seen.priority.saturating_add(by)).or_default().push(task);
        }
    }
    if groups.is_empty() {
        return model.say(Tone::Note, "it has ended; its priority does not matter any more");
    }
    for (priority, ids) in groups {
        if let Some(Marks::Tasks(marks)) = model.list_mut().map(|list| &mut list.marks) {
            for task in &ids {
                if let Some(mark) = marks.get_mut(task) {
                    mark.priority = priority;
                }
            }
        }
        let request = Request::SetPriority { select: Select::Tasks(ids), priority };
        ask(model, request, Asked::Priority(priority), out);
    }
}

/// The priority of all that match was typed.
pub(super) fn priority_typed(model: &mut Model, text: &str, out: &mut Vec<Effect>) {
    let Ok(priority) = text.parse::<i16>() else {
        let why =
            format!("`{text}` is no priority; write a whole number, {} to {}", i16::MIN, i16::MAX);
        return model.say(Tone::Bad, why);
    };
    if let Target::Matching(text) = target(model) {
        begin(model, Bulk::Priority(priority), &text, out);
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
    if let Some(details) = model.details() {
        return match details.tab {
            Tab::Output => Some(super::reader::plain(model)).filter(|text| !text.is_empty()),
            Tab::Spec | Tab::Attempts | Tab::Timeline => crate::view::details_text(model),
        };
    }
    match model.overlays.last() {
        Some(Overlay::Inject) => return Some(command_line(&model.form).join(" ")),
        Some(Overlay::Join(dialog)) => {
            return dialog.minted.as_ref().map(|minted| minted.line(dialog.role));
        }
        Some(Overlay::Worker(_)) => return Some(crate::view::worker_text(model)),
        Some(Overlay::Note(note)) => return Some(note.reasons.join("\n")),
        Some(Overlay::Identities(page)) => {
            let row = page.rows.as_ref()?.get(page.at)?;
            return Some(format!("{} {}", row.actor, row.certificate.fingerprint));
        }
        Some(
            Overlay::Details(_)
            | Overlay::Help(_)
            | Overlay::Filter(_)
            | Overlay::Quick(_)
            | Overlay::Confirm(_)
            | Overlay::Menu(_)
            | Overlay::Save(_)
            | Overlay::Palette(_),
        )
        | None => {}
    }
    if model.is_welcome() {
        return match &model.welcome {
            WelcomeToken::Minted(minted) => Some(minted.line(Role::Worker)),
            WelcomeToken::Unasked | WelcomeToken::Asked | WelcomeToken::Refused(_) => None,
        };
    }
    if model.screen == Screen::Log {
        return Some(super::reader::plain(model)).filter(|text| !text.is_empty());
    }
    let Some(list) = model.list() else { return Some(model.worker_row()?.name.to_string()) };
    let task = list.cursor()?;
    let command = model.task_rows().iter().find(|row| row.task == task).map(|row| &row.command);
    let text = model.result_rows().iter().find(|row| row.task == task).map(|row| &row.text);
    command.or(text).cloned()
}
