//! Putting tasks in: the form, `I`, and taking them back with `u`. Typing in the form is in
//! edit.rs.

mod edit;
mod history;
mod quick;
mod reading;

use ganger_proto::command::{Changed, SubmitHead};
use ganger_proto::filter::{Term, Test};
use ganger_proto::{
    Args, BatchId, BatchOptions, Filter, Key, Kind, Refusal, Request, Select, Spec, TaskState,
};

use super::ask;
use crate::keymap::Action;
use crate::model::field::Line;
use crate::model::form::{Field, History, Source};
use crate::model::overlay::{Button, Confirm, Overlay, Then, Typed};
use crate::model::parse::Random;
use crate::model::submission::{Batch, Submission};
use crate::model::{Asked, LastBatch, Model, SUBMISSIONS_MAX, TOAST_MS, Tone, Undo, UndoOf};
use crate::msg::Effect;
use crate::text::{batches, counted, grouped};

pub(super) use edit::{edited, field, paste, typed};
pub(crate) use history::prefill;
pub(super) use history::{leave, load, save_as};
pub(super) use quick::accept as accept_quick;
pub(crate) use quick::meaning as quick_meaning;
pub(super) use reading::{read, read_when_left, was_read};

/// Tasks above which a submission asks once.
const ASK_ABOVE: u64 = 10_000;
/// Tasks above which a submission wants their number typed.
const TYPE_ABOVE: u64 = 1_000_000;
/// What `I` puts in the first time.
const FIRST_AGAIN: Random = Random { count: 10, min: 0, max: 10_000, seed: None };

pub(super) fn open(model: &mut Model) {
    history::take_draft(model);
    show(model);
}

/// Puts the form on the screen as it is.
fn show(model: &mut Model) {
    if model.form.draw == 0 {
        model.form.draw = model.now.draw as u64 | 1;
    }
    set_clock(model);
    model.overlays.push(Overlay::Inject);
}

/// Reads the form with the present time, which waits count from, and with the newest batch.
fn set_clock(model: &mut Model) {
    model.form.clock = (model.now.wall, model.utc_offset_min);
    model.form.newest = model.picture.as_ref().and_then(|picture| picture.master.newest_batch);
    model.form.check();
}

pub(super) fn act(model: &mut Model, action: Action, out: &mut Vec<Effect>) {
    match (action, model.overlays.last()) {
        (Action::Older | Action::Newer, Some(Overlay::Quick(_))) => quick::step(model, action),
        (Action::Older | Action::Newer, _) => history::step(model, action),
        (Action::SaveTemplate, _) => history::save_template(model),
        (Action::LoadTemplate, _) => history::templates(model),
        (Action::Editor, _) => edit::editor(model, out),
        (_, _) => {}
    }
}

/// Checks the form, asks when it is much, and sends. A file is read again first.
pub(super) fn submit(model: &mut Model, out: &mut Vec<Effect>) {
    set_clock(model);
    if !reading::read_to_submit(model, out) {
        submit_checked(model);
    }
}

fn submit_checked(model: &mut Model) {
    let batch = match &model.form.checked {
        Ok(batch) => batch.clone(),
        Err(errors) => {
            let Some((field, why)) = errors.first().cloned() else { return };
            model.form.focus = field;
            if let Some(line) = why.strip_prefix("line ").filter(|_| field == Field::List) {
                let number = line.split(':').next().and_then(|number| number.parse().ok());
                model.form.list.go_to(number.unwrap_or(1usize).saturating_sub(1));
            }
            return model.say(Tone::Bad, why);
        }
    };
    let count = batch.args.count();
    if count <= ASK_ABOVE {
        return send_form(model, batch);
    }
    let typed =
        (count > TYPE_ABOVE).then(|| Typed { expected: count.to_string(), line: Line::default() });
    model.overlays.push(Overlay::Confirm(Box::new(Confirm {
        title: "Inject".to_owned(),
        lines: vec![format!("{} tasks will be created at once.", grouped(count))],
        verb: "Inject".to_owned(),
        focus: Button::Cancel,
        then: Then::Submit(Box::new(batch)),
        typed,
    })));
}

/// Sends what the form holds, closes it and remembers it.
pub(super) fn send_form(model: &mut Model, batch: Batch) {
    let random = match model.form.source {
        Source::Random => Random::parse(model.form.text(Field::Random)).ok(),
        Source::One
        | Source::List
        | Source::Range
        | Source::Repeat
        | Source::File
        | Source::Glob => None,
    };
    if send(model, batch) {
        model.overlays.pop();
        model.form.draw = 0;
        let kept = model.form.kept();
        history::remember(model, kept);
        model.kept.draft = None;
        model.form.history = History::default();
        if let Some(last) = &mut model.last_batch {
            last.random = random.filter(|random| random.seed.is_none());
        }
    }
}

/// Puts a batch in line to be sent; tells whether there was room.
fn send(model: &mut Model, batch: Batch) -> bool {
    if model.submissions.len() >= SUBMISSIONS_MAX {
        model.say(Tone::Note, "too many batches wait to be sent; try again in a moment");
        return false;
    }
    model.last_batch = Some(LastBatch { batch: batch.clone(), random: None });
    queue(model, batch);
    true
}

fn queue(model: &mut Model, batch: Batch) {
    let count = counted(batch.args.count(), "task", "tasks");
    model.say(Tone::Note, format!("sending {count}"));
    model.submissions.push_back(Submission::new(Key::new(model.now.draw), batch));
}

/// `I`: the last batch again, or ten random squares.
pub(super) fn again(model: &mut Model) {
    if model.submissions.len() >= SUBMISSIONS_MAX {
        return model.say(Tone::Note, "too many batches wait to be sent; try again in a moment");
    }
    let last = model.last_batch.get_or_insert_with(|| {
        let head = SubmitHead { spec: Spec::of(Kind::Square), options: BatchOptions::default() };
        let args = Args::Repeat { count: FIRST_AGAIN.count };
        let batch = Batch { head, args, key: None };
        LastBatch { batch, random: Some(FIRST_AGAIN) }
    });
    if let Some(random) = last.random {
        last.batch.args = random.draw(model.now.draw as u64);
    }
    // With the key of before it would be the batch of before.
    let batch = Batch { key: None, ..last.batch.clone() };
    queue(model, batch);
}

/// Returns what `I` would put in, for the footer.
pub(crate) fn again_label(model: &Model) -> String {
    match &model.last_batch {
        None => "again: square ×10 random".to_owned(),
        Some(last) => {
            let random = if last.random.is_some() { " random" } else { "" };
            let count = crate::text::short(last.batch.args.count());
            format!("again: {} ×{count}{random}", last.batch.head.spec.kind)
        }
    }
}

/// Sends the next part of the first batch in line, one at a time.
pub(super) fn pump(model: &mut Model, out: &mut Vec<Effect>) {
    let busy = model.asked.values().any(|asked| *asked == Asked::Part);
    if busy || !model.is_up() {
        return;
    }
    let Some(submission) = model.submissions.front_mut() else { return };
    if submission.again_at_ms.is_some_and(|at| at > model.now.mono_ms) {
        return;
    }
    let part = submission.part();
    ask(model, Request::Submit(part), Asked::Part, out);
}

pub(super) fn accepted(model: &mut Model, batch: BatchId, duplicate: Duplicate) {
    let Some(submission) = model.submissions.front_mut() else { return };
    if duplicate == Duplicate::Yes && submission.was_there_before() {
        model.submissions.pop_front();
        let text = format!("this key was used before, for batch {batch}; nothing was added");
        return model.say(Tone::Note, text);
    }
    let done = submission.accept(batch);
    let (accepted, total) = (submission.accepted, submission.batch.args.count());
    if !done {
        let text = format!("sending {} of {} tasks", grouped(accepted), grouped(total));
        return model.say(Tone::Note, text);
    }
    let SubmitHead { spec, options } = &submission.batch.head;
    let mut text = format!("queued {} × {} (batch {batch})", grouped(total), spec.kind);
    if let Some(others) = batches(&options.after) {
        text.push_str(&format!(", after {others}"));
    }
    model.submissions.pop_front();
    model.say(Tone::Good, text);
    let until_ms = model.now.mono_ms + TOAST_MS;
    model.undo = Some(Undo { of: UndoOf::Batch(batch), tasks: total, until_ms });
}

/// Whether the master had a part before.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Duplicate {
    Yes,
    No,
}

pub(super) fn refused(model: &mut Model, refusal: &Refusal) {
    let now = model.now.mono_ms;
    if let (Refusal::Busy { retry_after_ms }, Some(submission)) =
        (refusal, model.submissions.front_mut())
    {
        submission.again_at_ms = Some(now + retry_after_ms);
        return model.say(Tone::Note, "the master is busy; the batch is sent again in a moment");
    }
    let accepted = model.submissions.pop_front().map_or(0, |submission| submission.accepted);
    let text = match accepted {
        0 => format!("nothing was queued: {refusal}"),
        _ => format!("only the first {} were queued: {refusal}", grouped(accepted)),
    };
    model.say(Tone::Bad, text);
}

/// `u`: cancels what has not started of the batch just put in, or retries what was cancelled.
pub(super) fn undo(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(undo) = model.undo.take() else { return };
    let batch = match undo.of {
        UndoOf::Batch(batch) => batch,
        UndoOf::Cancel(ids) => {
            let request = Request::Retry { select: Select::Tasks(ids) };
            return ask(model, request, Asked::Retry, out);
        }
    };
    let term = |test| Term { negated: false, test };
    let filter = Filter {
        terms: vec![
            term(Test::Batch(vec![batch])),
            term(Test::State(vec![TaskState::Queued, TaskState::Delayed, TaskState::Blocked])),
        ],
    };
    let request = Request::Cancel { select: Select::Matching(filter), now: false };
    ask(model, request, Asked::Undo { tasks: undo.tasks }, out);
}

pub(super) fn undone(model: &mut Model, tasks: u64, changed: &Changed) {
    let taken = changed.changed;
    let text = match tasks.saturating_sub(taken) {
        0 => format!("took back all {}", grouped(tasks)),
        started => format!(
            "took back {} of {}; {} had started",
            grouped(taken),
            grouped(tasks),
            grouped(started)
        ),
    };
    model.say(Tone::Good, text);
}
