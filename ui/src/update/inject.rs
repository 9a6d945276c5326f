//! Putting tasks in: the form, `I`, the quick line, and taking them back with `u`.

use crossterm::event::{KeyCode, KeyEvent};
use ganger_proto::command::{Changed, SubmitHead};
use ganger_proto::filter::{Term, Test};
use ganger_proto::{
    Args, BatchId, BatchOptions, Filter, Key, Kind, Refusal, Request, Select, Spec, TaskState,
    Template,
};

use super::{ask, keys::Step, menu, save};
use crate::keep::KeptForm;
use crate::keymap::Action;
use crate::model::field::Line;
use crate::model::form::{Field, Form, FormKind, Source};
use crate::model::menu::{Item, Menu, MenuThen};
use crate::model::overlay::{Button, Confirm, Overlay, Then, Typed};
use crate::model::parse::Random;
use crate::model::save::SaveThen;
use crate::model::submission::{Batch, Submission};
use crate::model::{Asked, LastBatch, Model, SUBMISSIONS_MAX, TOAST_MS, Tone, Undo, UndoOf};
use crate::msg::Effect;
use crate::text::{counted, grouped};

/// Tasks above which a submission asks once.
const ASK_ABOVE: u64 = 10_000;
/// Tasks above which a submission wants their number typed.
const TYPE_ABOVE: u64 = 1_000_000;
/// Templates that are kept; as many as have a letter.
const TEMPLATES_MAX: usize = 26;
/// What `I` puts in the first time.
const FIRST_AGAIN: Random = Random { count: 10, min: 0, max: 10_000, seed: None };

pub(super) fn open(model: &mut Model) {
    if model.form.draw == 0 {
        model.form.draw = model.now.draw as u64 | 1;
    }
    model.form.check();
    model.overlays.push(Overlay::Inject);
}

pub(super) fn typed(form: &mut Form, key: KeyEvent) {
    match (form.focus, key.code) {
        (Field::List, _) => form.list.key(key),
        (Field::Kind | Field::Source, KeyCode::Left) => choose(form, Step::Previous),
        (Field::Kind | Field::Source, KeyCode::Right | KeyCode::Char(' ')) => {
            choose(form, Step::Next);
        }
        (_, KeyCode::Up) => field(form, Step::Previous),
        (_, KeyCode::Down | KeyCode::Enter) => field(form, Step::Next),
        (Field::Priority, KeyCode::Char('+')) => priority(form, 1),
        (focus, _) => {
            if let Some(line) = form.line_mut(focus) {
                line.key(key);
            }
        }
    }
    form.check();
}

fn priority(form: &mut Form, by: i16) {
    if let Ok(priority) = form.priority.text().trim().parse::<i16>() {
        form.priority = Line::of(&priority.saturating_add(by).to_string());
    }
}

/// Many lines become a list of arguments; one line goes where the cursor is.
pub(super) fn paste(form: &mut Form, text: &str) {
    if form.focus == Field::List || text.trim_end().contains(['\n', '\r']) {
        form.source = Source::List;
        form.focus = Field::List;
        form.list.paste(text.trim_end_matches(['\n', '\r']));
    } else if let Some(line) = form.line_mut(form.focus) {
        line.paste(text.trim_end_matches(['\n', '\r']));
    }
    form.check();
}

fn choose(form: &mut Form, step: Step) {
    if form.focus == Field::Kind {
        form.kind = other(&FormKind::ALL, form.kind, step);
    } else {
        form.source = other(&Source::ALL, form.source, step);
    }
}

fn other<T: Copy + PartialEq>(all: &[T], now: T, step: Step) -> T {
    let at = all.iter().position(|item| *item == now).unwrap_or(0);
    let by = match step {
        Step::Next => 1,
        Step::Previous => all.len() - 1,
    };
    all[(at + by) % all.len()]
}

pub(super) fn field(form: &mut Form, step: Step) {
    form.focus = other(&form.fields(), form.focus, step);
}

/// Checks the form, asks when it is much, and sends.
pub(super) fn submit(model: &mut Model) {
    let batch = match &model.form.checked {
        Ok(batch) => batch.clone(),
        Err(errors) => {
            let Some((field, why)) = errors.first().cloned() else { return };
            model.form.focus = field;
            return model.say(Tone::Bad, why);
        }
    };
    let count = batch.args.count();
    if count <= ASK_ABOVE {
        return send(model, batch);
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

/// Puts a batch in line to be sent.
pub(super) fn send(model: &mut Model, batch: Batch) {
    if model.submissions.len() >= SUBMISSIONS_MAX {
        return model.say(Tone::Note, "too many batches wait to be sent; try again in a moment");
    }
    let random = match model.overlays.last() {
        Some(Overlay::Inject) if model.form.source == Source::Random => {
            Random::parse(model.form.random.text()).ok().filter(|random| random.seed.is_none())
        }
        _ => None,
    };
    if matches!(model.overlays.last(), Some(Overlay::Inject)) {
        model.overlays.pop();
        model.form.draw = 0;
    }
    model.last_batch = Some(LastBatch { batch: batch.clone(), random });
    queue(model, batch);
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
        let batch = Batch { head, args: Args::Repeat { count: FIRST_AGAIN.count } };
        LastBatch { batch, random: Some(FIRST_AGAIN) }
    });
    if let Some(random) = last.random {
        last.batch.args = random.draw(model.now.draw as u64);
    }
    let batch = last.batch.clone();
    queue(model, batch);
}

/// Returns what `I` would put in, for the footer.
pub(crate) fn again_label(model: &Model) -> String {
    match &model.last_batch {
        None => "again: square ×10 random".to_owned(),
        Some(last) => {
            let random = if last.random.is_some() { " random" } else { "" };
            let count = crate::text::short(last.batch.args.count());
            format!("again: {} ×{count}{random}", last.batch.head.spec.kind.word())
        }
    }
}

/// The quick add line: a number is squared, anything else is a shell line.
pub(super) fn quick(model: &mut Model) {
    let Some(Overlay::Quick(line)) = model.overlays.last() else { return };
    let text = line.text().trim().to_owned();
    if text.is_empty() {
        model.overlays.pop();
        return;
    }
    let (kind, args) = if text.parse::<i64>().is_ok() {
        (Kind::Square, Args::Listed([text.as_bytes()].into_iter().collect()))
    } else {
        match Template::from_text(&text) {
            Ok(line) => (Kind::Shell { line }, Args::Repeat { count: 1 }),
            Err(error) => return model.say(Tone::Bad, error.to_string()),
        }
    };
    let spec = Spec::of(kind);
    if let Err(error) = spec.check() {
        return model.say(Tone::Bad, error.to_string());
    }
    model.overlays.pop();
    let head = SubmitHead { spec, options: BatchOptions::default() };
    send(model, Batch { head, args });
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

pub(super) fn accepted(model: &mut Model, batch: BatchId) {
    let Some(submission) = model.submissions.front_mut() else { return };
    let done = submission.accept(batch);
    let (accepted, total) = (submission.accepted, submission.batch.args.count());
    if !done {
        let text = format!("sending {} of {} tasks", grouped(accepted), grouped(total));
        return model.say(Tone::Note, text);
    }
    let kind = submission.batch.head.spec.kind.word();
    let text = format!("queued {} × {kind} (batch {batch})", grouped(total));
    model.submissions.pop_front();
    model.say(Tone::Good, text);
    let until_ms = model.now.mono_ms + TOAST_MS;
    model.undo = Some(Undo { of: UndoOf::Batch(batch), tasks: total, until_ms });
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
            term(Test::State(vec![TaskState::Queued, TaskState::Delayed])),
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

pub(super) fn act(model: &mut Model, action: Action, _out: &mut Vec<Effect>) {
    if action == Action::SaveTemplate {
        save::open(model, "Save the form as a template", "", SaveThen::Template);
    } else if action == Action::LoadTemplate {
        templates(model);
    }
}

fn templates(model: &mut Model) {
    let note = |kept: &KeptForm| kept.get(Field::Command.word()).cloned().unwrap_or_default();
    let items: Vec<Item> = ('a'..='z')
        .zip(&model.kept.templates)
        .map(|(letter, (name, kept))| Item {
            key: Some(letter),
            text: name.clone(),
            note: note(kept),
            marked: false,
        })
        .collect();
    if items.is_empty() {
        return model.say(Tone::Note, "there are no templates yet; Ctrl-S saves this form as one");
    }
    menu::open(model, Menu::new("Templates".to_owned(), items, MenuThen::Template));
}

/// Keeps the form under a name.
pub(super) fn save(model: &mut Model, name: String) {
    let known = model.kept.templates.contains_key(&name);
    if !known && model.kept.templates.len() >= TEMPLATES_MAX {
        return model.say(Tone::Bad, "there are as many templates as fit; save under a known name");
    }
    let verb = if known { "replaced" } else { "saved" };
    model.say(Tone::Good, format!("{verb} the template {name}; Ctrl-O lists them"));
    model.kept.templates.insert(name, model.form.kept());
}

/// Fills the form with the template of that name.
pub(super) fn load(model: &mut Model, name: &str) {
    let Some(kept) = model.kept.templates.get(name) else { return };
    let form = Form { draw: model.form.draw, ..Form::recalled(kept) };
    model.form = form;
    model.form.check();
}

/// Opens the form with a copy of a task.
pub(super) fn prefill(model: &mut Model, _detail: &ganger_proto::command::TaskDetail) {
    open(model);
}
