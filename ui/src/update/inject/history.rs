//! Forms from before: those that were sent, the draft, and templates.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ganger_proto::command::TaskDetail;
use ganger_proto::form::Columns;
use ganger_proto::{Cwd, Kind, Template};

use super::super::{menu, save};
use crate::keep::KeptForm;
use crate::keymap::Action;
use crate::model::form::{ArgKind, Field, Form, FormKind, History, Source};
use crate::model::kept_form::clean_lines;
use crate::model::menu::{Item, Menu, MenuThen};
use crate::model::overlay::Overlay;
use crate::model::parse::duration_text;
use crate::model::save::SaveThen;
use crate::model::{Model, Tone};

/// Forms that are remembered.
const FORMS_MAX: usize = 100;
/// Templates that are kept: as many as have a letter.
const TEMPLATES_MAX: usize = 26;

/// `↑ ↓` on the kinds and in an empty command step through the forms that were sent; tells whether
/// the key did.
pub(super) fn stepped(model: &mut Model, key: KeyEvent) -> bool {
    let form = &model.form;
    let here = form.focus == Field::Kind
        || form.history.stepped
        || (form.focus == Field::Command && form.text(Field::Command).is_empty());
    if !here || key.modifiers != KeyModifiers::NONE {
        return false;
    }
    let at = form.history.at;
    if key.code == KeyCode::Up && model.kept.forms.len() > at {
        step(model, Action::Older);
        true
    } else if key.code == KeyCode::Down && at > 0 {
        step(model, Action::Newer);
        true
    } else {
        // On the oldest one, the key has nowhere to go.
        key.code == KeyCode::Up && at > 0
    }
}

/// Shows the form before, or the one after.
pub(super) fn step(model: &mut Model, action: Action) {
    let at = model.form.history.at;
    let to = if action == Action::Older { at + 1 } else { at.saturating_sub(1) };
    if to > model.kept.forms.len() {
        let hint = match at {
            0 => "no form has been sent yet",
            _ => "this is the oldest form that is kept",
        };
        return model.say(Tone::Note, hint);
    }
    if to == at {
        return;
    }
    let mut form = std::mem::take(&mut model.form);
    let focus = form.focus;
    let own = match form.history.own.take() {
        Some(own) => own,
        None => Box::new(form.clone()),
    };
    let (draw, clock, newest) = (form.draw, form.clock, form.newest);
    model.form = match to.checked_sub(1).and_then(|at| model.kept.forms.get(at)) {
        Some(kept) => Form { draw, clock, newest, ..Form::recalled(kept) },
        None => Form { draw, clock, newest, ..(*own).clone() },
    };
    model.form.history = History { at: to, own: (to > 0).then_some(own), stepped: true };
    model.form.focus = focus;
    model.form.check();
    say_list_is_gone(model);
}

/// Says that a form came back without its list, which is kept only while it is short.
fn say_list_is_gone(model: &mut Model) {
    let form = &model.form;
    if form.source == Source::List && form.list.filled().next().is_none() {
        model.say(Tone::Note, "its list was too long to be kept; paste it again");
    }
}

/// Remembers a form that was just sent, the newest first.
pub(super) fn remember(model: &mut Model, kept: KeptForm) {
    let forms = &mut model.kept.forms;
    forms.retain(|other| *other != kept);
    forms.insert(0, kept);
    forms.truncate(FORMS_MAX);
}

/// Esc: what was typed is kept for the next time.
pub(crate) fn leave(model: &mut Model) {
    let kept = model.form.kept();
    model.kept.draft = (!kept.is_empty()).then_some(kept);
    model.form.reading.forget_submit();
}

/// A form that nobody touched takes up the draft of the last run.
pub(super) fn take_draft(model: &mut Model) {
    if let Some(draft) = &model.kept.draft
        && model.form.kept().is_empty()
    {
        model.form = Form { draw: model.form.draw, ..Form::recalled(draft) };
    }
}

pub(super) fn templates(model: &mut Model) {
    let items: Vec<Item> = ('a'..='z')
        .zip(&model.kept.templates)
        .map(|(letter, (name, kept))| {
            let note = gist(kept);
            Item { key: Some(letter), text: name.clone(), note, marked: false }
        })
        .collect();
    if items.is_empty() {
        return model.say(Tone::Note, "there are no templates yet; Ctrl-S saves this form as one");
    }
    menu::open(model, Menu::new("Templates".to_owned(), items, MenuThen::Template));
}

/// Returns what a form is about, on one line.
fn gist(kept: &KeptForm) -> String {
    let of = |field: Field| kept.get(field.word()).map_or(field.unset(), String::as_str);
    let kind = kept.get(Field::Kind.word()).map_or(FormKind::default().word(), String::as_str);
    let source = kept.get(Field::Source.word()).map_or("", String::as_str);
    let what = if kind == FormKind::Handler.word() { Field::Handler } else { Field::Command };
    [kind, of(what), source].join(" ").trim_end().to_owned()
}

pub(super) fn save_template(model: &mut Model) {
    save::open(model, "Save the form as a template", "", SaveThen::Template);
}

/// Keeps the form under a name.
pub(crate) fn save_as(model: &mut Model, name: String) {
    let known = model.kept.templates.contains_key(&name);
    if !known && model.kept.templates.len() >= TEMPLATES_MAX {
        let hint =
            format!("{TEMPLATES_MAX} templates are all there may be; replace one by its name");
        return model.say(Tone::Bad, hint);
    }
    let verb = if known { "replaced" } else { "saved" };
    model.say(Tone::Good, format!("{verb} the template {name}; Ctrl-O lists them"));
    model.kept.templates.insert(name, model.form.kept());
}

/// Fills the form with the template of that name.
pub(crate) fn load(model: &mut Model, name: &str) {
    let Some(kept) = model.kept.templates.get(name) else { return };
    let Form { draw, clock, newest, .. } = model.form;
    model.form = Form { draw, clock, newest, ..Form::recalled(kept) };
    model.form.check();
    say_list_is_gone(model);
}

/// Opens the form with a copy of a task: what it ran, its argument, how it was queued.
pub(crate) fn prefill(model: &mut Model, detail: &TaskDetail) {
    let mut form = Form::default();
    let (kind, what) = what(&mut form, detail);
    form.kind = kind;
    form.args = match detail.spec.form.columns {
        Columns::Json => ArgKind::Json,
        Columns::Text | Columns::Many { .. } => ArgKind::Text,
    };
    form.lane = detail.spec.place.lane;
    for (field, text) in queued(detail).into_iter().chain(placed(detail)) {
        form.set(field, &clean_lines(&text));
    }
    form.focus = what;
    model.form = form;
    super::show(model);
    let plain = detail.spec.form.is_plain();
    let typed = detail.argument.as_slice() == model.form.text(Field::Value).as_bytes();
    if !plain {
        let hint = "its argument has several columns; they are written out in the command";
        model.say(Tone::Note, hint);
    } else if !typed {
        let hint = "the argument has bytes that cannot be typed; look at it before it is sent";
        model.say(Tone::Note, hint);
    }
}

/// Fills in what a task runs; returns the kind, and the field that one changes first.
fn what(form: &mut Form, detail: &TaskDetail) -> (FormKind, Field) {
    let argument = String::from_utf8_lossy(&detail.argument);
    // A form has one argument a task; several columns have their places in the command.
    let plain = detail.spec.form.is_plain();
    if plain {
        form.set(Field::Value, &clean_lines(&argument));
    }
    let expanded = || crate::model::preview::command(detail);
    match &detail.spec.kind {
        Kind::Square => (FormKind::Square, Field::Value),
        Kind::Sleep => (FormKind::Sleep, Field::Value),
        Kind::Handler { name } => {
            form.set(Field::Handler, name.as_str());
            (FormKind::Handler, Field::Value)
        }
        Kind::Shell { line } => {
            let line = if plain { source(line) } else { expanded() };
            form.set(Field::Command, &clean_lines(&line));
            (FormKind::Shell, Field::Command)
        }
        Kind::Exec { argv } => {
            let words: Vec<String> = argv.iter().map(source).collect();
            let line = match plain {
                true => joined(&words),
                false => expanded(),
            };
            form.set(Field::Command, &clean_lines(&line));
            (FormKind::Exec, Field::Command)
        }
    }
}

/// How a task is queued and retried, within which limits.
fn queued(detail: &TaskDetail) -> [(Field, String); 9] {
    let (spec, options) = (&detail.spec, &detail.options);
    let backoff = options.backoff;
    let waits = [backoff.base_ms, backoff.cap_ms].map(duration_text).join("..");
    let cwd = match &spec.cwd {
        Cwd::Unset => "worker".to_owned(),
        Cwd::Scratch => "scratch".to_owned(),
        Cwd::Directory(path) => String::from_utf8_lossy(path).into_owned(),
    };
    let pairs = |pairs: &[(String, String)]| {
        let words: Vec<String> =
            pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        joined(&words)
    };
    let timeout = match spec.timeout_ms {
        0 => String::new(),
        ms => duration_text(ms),
    };
    [
        (Field::Priority, options.priority.to_string()),
        (Field::Timeout, timeout),
        (Field::Retries, options.retries.to_string()),
        (Field::Backoff, waits),
        (Field::Queue, options.queue.to_string()),
        (Field::Env, pairs(&spec.env)),
        (Field::Cwd, cwd),
        (Field::Name, options.name.clone()),
        (Field::Labels, pairs(&options.labels)),
    ]
}

/// What a task needs of its worker, and on what terms its batch runs.
fn placed(detail: &TaskDetail) -> [(Field, String); 5] {
    fn listed<T: ToString>(items: &[T], between: &str) -> String {
        items.iter().map(T::to_string).collect::<Vec<_>>().join(between)
    }
    let (place, options) = (&detail.spec.place, &detail.options);
    let jobs = match options.jobs_max {
        0 => String::new(),
        jobs => jobs.to_string(),
    };
    [
        (Field::Needs, listed(&place.needs, ",")),
        (Field::On, listed(&place.on, " ")),
        (Field::After, listed(&options.after, " ")),
        (Field::Jobs, jobs),
        (Field::Rate, options.rate.map(|rate| rate.to_string()).unwrap_or_default()),
    ]
}

fn joined(words: &[String]) -> String {
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default()
}

fn source(template: &Template) -> String {
    String::from_utf8_lossy(template.source()).into_owned()
}

/// Tells whether the form is open, whatever lies over it.
pub(super) fn is_open(model: &Model) -> bool {
    model.overlays.iter().any(|overlay| matches!(overlay, Overlay::Inject))
}
