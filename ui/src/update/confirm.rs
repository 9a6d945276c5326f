//! Questions: Cancel is focused, and what they are about was fixed when they opened.

use super::{ask, inject, tasks};
use crate::model::overlay::{Button, Confirm, Overlay, Then};
use crate::model::{Asked, Model, Tone};
use crate::msg::Effect;

pub(super) fn other_button(question: &mut Confirm) {
    question.focus = match question.focus {
        Button::Cancel => Button::Go,
        Button::Go => Button::Cancel,
    };
}

/// Enter: what the focused button says. Where a word must be typed, the word is the answer.
pub(super) fn accept(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(question)) = model.overlays.last() else { return };
    match (&question.typed, question.focus) {
        (Some(_), _) | (None, Button::Go) => yes(model, out),
        (None, Button::Cancel) => drop(model.overlays.pop()),
    }
}

pub(super) fn yes(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(question)) = model.overlays.last() else { return };
    if question.typed.as_ref().is_some_and(|typed| !typed.fits()) {
        return;
    }
    if !model.is_up() && matches!(question.then, Then::Send(_)) {
        return model.say(Tone::Note, "there is no connection; nothing was done");
    }
    if matches!(question.then, Then::Counted(_)) {
        return model.say(Tone::Note, "the master still counts; in a moment");
    }
    let Some(Overlay::Confirm(question)) = model.overlays.pop() else { return };
    match question.then {
        Then::Counted(_) => {}
        Then::Send(requests) => {
            if requests.iter().any(|(_, asked)| is_about_tasks(asked)) {
                tasks::unmark(model);
            }
            for (request, asked) in requests {
                ask(model, request, asked, out);
            }
        }
        Then::Submit(batch) => inject::send_form(model, *batch),
    }
}

fn is_about_tasks(asked: &Asked) -> bool {
    matches!(asked, Asked::Cancel | Asked::Retry | Asked::Delete | Asked::Bulk(..))
}
