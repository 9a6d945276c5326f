//! The quick add line: a number is squared, anything else is a shell line.

use ganger_proto::Spec;

use crate::keymap::Action;
use crate::model::form::{Field, Form, FormKind, Source};
use crate::model::overlay::{Overlay, QuickLine};
use crate::model::{Model, Tone};

/// Returns the form that a quick line stands for.
pub(crate) fn form_of(text: &str) -> Form {
    let text = text.trim();
    let mut form = Form::default();
    if text.parse::<i64>().is_ok() {
        form.kind = FormKind::Square;
        form.set(Field::Value, text);
    } else {
        form.set(Field::Command, text);
    }
    form.check();
    form
}

pub(crate) fn accept(model: &mut Model) {
    let Some(Overlay::Quick(quick)) = model.overlays.last() else { return };
    let text = quick.line.text().trim().to_owned();
    if text.is_empty() {
        model.overlays.pop();
        return;
    }
    let form = form_of(&text);
    match form.checked.clone() {
        Ok(batch) => {
            model.overlays.pop();
            if super::send(model, batch) {
                super::history::remember(model, form.kept());
            }
        }
        Err(errors) => {
            let why = errors.into_iter().next().map_or(String::new(), |(_, why)| why);
            model.say(Tone::Bad, why);
        }
    }
}

/// `↑ ↓`: lines from before.
pub(super) fn step(model: &mut Model, action: Action) {
    let lines: Vec<String> = model.kept.forms.iter().filter_map(line_of).collect();
    let Some(Overlay::Quick(quick)) = model.overlays.last_mut() else { return };
    let QuickLine { line, at, own } = &mut **quick;
    let to = if action == Action::Older { *at + 1 } else { at.saturating_sub(1) };
    if to > lines.len() {
        return model.say(Tone::Note, "there is no line before this one");
    }
    if *at == 0 {
        line.text().clone_into(own);
    }
    *at = to;
    let text = to.checked_sub(1).and_then(|at| lines.get(at)).unwrap_or(own);
    *line = crate::model::field::Line::of(text);
}

/// Returns the quick line that makes this form, if one does.
fn line_of(kept: &crate::keep::KeptForm) -> Option<String> {
    let form = Form::recalled(kept);
    let text = match form.kind {
        FormKind::Square => form.text(Field::Value),
        FormKind::Shell => form.text(Field::Command),
        FormKind::Exec | FormKind::Sleep | FormKind::Handler => return None,
    };
    let is_it = form.source == Source::One && !text.contains('\n') && form_of(text).kept() == *kept;
    is_it.then(|| text.to_owned())
}

/// Returns what the line will do, or why it cannot.
pub(crate) fn meaning(text: &str) -> Result<String, String> {
    let form = form_of(text);
    match form.checked {
        Ok(batch) => {
            let Spec { kind, .. } = &batch.head.spec;
            Ok(match form.kind {
                FormKind::Square => "squares it, as one task".to_owned(),
                FormKind::Shell | FormKind::Exec | FormKind::Sleep | FormKind::Handler => {
                    format!("one {} task", kind.word())
                }
            })
        }
        Err(errors) => Err(errors.into_iter().next().map_or(String::new(), |(_, why)| why)),
    }
}
