//! Forms from before: those that were sent, the draft, and templates.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ganger_proto::command::TaskDetail;
use ganger_proto::{Cwd, Kind, Template};

use super::super::{menu, save};
use crate::keep::KeptForm;
use crate::keymap::Action;
use crate::model::form::{Field, Form, FormKind, History, Source};
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
    let (draw, clock) = (form.draw, form.clock);
    model.form = match to.checked_sub(1).and_then(|at| model.kept.forms.get(at)) {
        Some(kept) => Form { draw, clock, ..Form::recalled(kept) },
        None => Form { draw, clock, ..(*own).clone() },
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
    [kind, of(Field::Command), source].join(" ").trim_end().to_owned()
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
    let (draw, clock) = (model.form.draw, model.form.clock);
    model.form = Form { draw, clock, ..Form::recalled(kept) };
    model.form.check();
    say_list_is_gone(model);
}

/// Opens the form with a copy of a task: what it ran, its argument, how it was queued.
pub(crate) fn prefill(model: &mut Model, detail: &TaskDetail) {
    let (spec, options) = (&detail.spec, &detail.options);
    let mut form = Form::default();
    let (kind, command) = match &spec.kind {
        Kind::Square => (FormKind::Square, String::new()),
        Kind::Sleep => (FormKind::Sleep, String::new()),
        Kind::Handler { .. } => (FormKind::Exec, String::new()),
        Kind::Shell { line } => (FormKind::Shell, source(line)),
        Kind::Exec { argv } => {
            let words: Vec<String> = argv.iter().map(source).collect();
            let line = shlex::try_join(words.iter().map(String::as_str)).unwrap_or_default();
            (FormKind::Exec, line)
        }
    };
    form.kind = kind;
    let argument = String::from_utf8_lossy(&detail.argument);
    let backoff = options.backoff;
    let waits = [backoff.base_ms, backoff.cap_ms].map(duration_text).join("..");
    let cwd = match &spec.cwd {
        Cwd::Unset => "worker".to_owned(),
        Cwd::Scratch => "scratch".to_owned(),
        Cwd::Directory(path) => String::from_utf8_lossy(path).into_owned(),
    };
    let env = spec.env.iter().map(|(name, value)| format!("{name}={value}"));
    let env: Vec<String> = env.collect();
    let labels = options.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let labels: Vec<String> = labels.collect();
    let timeout = match spec.timeout_ms {
        0 => String::new(),
        ms => duration_text(ms),
    };
    for (field, text) in [
        (Field::Command, command.as_str()),
        (Field::Value, &argument),
        (Field::Priority, &options.priority.to_string()),
        (Field::Timeout, &timeout),
        (Field::Retries, &options.retries.to_string()),
        (Field::Backoff, &waits),
        (Field::Queue, options.queue.as_str()),
        (Field::Env, &shlex::try_join(env.iter().map(String::as_str)).unwrap_or_default()),
        (Field::Cwd, &cwd),
        (Field::Name, &options.name),
        (Field::Labels, &shlex::try_join(labels.iter().map(String::as_str)).unwrap_or_default()),
    ] {
        form.set(field, &clean_lines(text));
    }
    form.focus = if kind.has_command() { Field::Command } else { Field::Value };
    model.form = form;
    super::show(model);
    if str::from_utf8(&detail.argument).is_err() || *argument != *model.form.text(Field::Value) {
        let hint = "the argument has bytes that cannot be typed; look at it before it is sent";
        model.say(Tone::Note, hint);
    }
}

fn source(template: &Template) -> String {
    String::from_utf8_lossy(template.source()).into_owned()
}

/// Tells whether the form is open, whatever lies over it.
pub(super) fn is_open(model: &Model) -> bool {
    model.overlays.iter().any(|overlay| matches!(overlay, Overlay::Inject))
}
