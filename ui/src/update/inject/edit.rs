//! Typing in the form: keys, pastes, choices, and what an editor gives back.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::keys::Step;
use super::history;
use crate::model::field::Pasted;
use crate::model::form::{ArgKind, Field, Form, FormKind, LANES, Source};
use crate::model::overlay::Overlay;
use crate::model::{Model, Tone};
use crate::msg::Effect;

/// Bytes that an editor may give back.
const EDITED_BYTES_MAX: usize = crate::model::field::FIELD_BYTES_MAX;

pub(crate) fn typed(model: &mut Model, key: KeyEvent) {
    if !history::stepped(model, key) {
        let form = &mut model.form;
        form.history.stepped = false;
        form.reading.forget_submit();
        put(form, key);
        form.check();
    }
}

fn put(form: &mut Form, key: KeyEvent) {
    let plain = key.modifiers == KeyModifiers::NONE;
    match (form.focus, key.code) {
        (Field::List, _) => form.list.key(key),
        (field, KeyCode::Left) if field.is_choice() => choose(form, Step::Previous),
        (field, KeyCode::Right | KeyCode::Char(' ')) if field.is_choice() => {
            choose(form, Step::Next);
        }
        (_, KeyCode::Up) => field(form, Step::Previous),
        (_, KeyCode::Down | KeyCode::Enter) => field(form, Step::Next),
        (Field::Priority, KeyCode::Char('+')) if priority(form, 1) => {}
        (Field::Priority, KeyCode::Char('-')) if plain && priority(form, -1) => {}
        (focus, _) => {
            if let Some(line) = form.line_mut(focus) {
                line.key(key);
            }
        }
    }
}

/// Steps a priority that is a number; tells whether it is one.
fn priority(form: &mut Form, by: i16) -> bool {
    let Ok(priority) = form.trimmed(Field::Priority).parse::<i16>() else { return false };
    form.set(Field::Priority, &priority.saturating_add(by).to_string());
    true
}

/// Many lines become a list of arguments; one line goes where the cursor is.
pub(crate) fn paste(model: &mut Model, text: &str) {
    let form = &mut model.form;
    form.history.stepped = false;
    form.reading.forget_submit();
    let text = text.trim_end_matches(['\n', '\r']);
    let mut pasted = Pasted::Whole;
    if form.focus == Field::List || text.contains(['\n', '\r']) {
        form.source = Source::List;
        form.focus = Field::List;
        pasted = form.list.paste(text);
    } else if let Some(line) = form.line_mut(form.focus) {
        line.paste(text);
    }
    form.check();
    if pasted == Pasted::InPart {
        let hint = "only the first 8 MiB fit; save the lines and choose the source from file";
        model.say(Tone::Bad, hint);
    }
}

fn choose(form: &mut Form, step: Step) {
    if form.focus == Field::Kind {
        form.kind = other(&FormKind::ALL, form.kind, step);
    } else if form.focus == Field::Source {
        form.source = other(&Source::ALL, form.source, step);
    } else if form.focus == Field::Form {
        form.args = other(&ArgKind::ALL, form.args, step);
    } else {
        form.lane = other(&LANES, form.lane, step);
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

pub(crate) fn field(form: &mut Form, step: Step) {
    form.focus = other(&form.fields(), form.focus, step);
}

/// Ctrl-E: the list, or the line under the cursor, in an editor.
pub(super) fn editor(model: &mut Model, out: &mut Vec<Effect>) {
    let form = &mut model.form;
    if form.focus.is_choice() {
        form.focus = match form.source {
            Source::List => Field::List,
            Source::One
            | Source::Range
            | Source::Random
            | Source::Repeat
            | Source::File
            | Source::Glob
                if form.kind.has_command() =>
            {
                Field::Command
            }
            Source::One
            | Source::Range
            | Source::Random
            | Source::Repeat
            | Source::File
            | Source::Glob => form.source_field().unwrap_or_default(),
        };
    }
    let text = match form.focus == Field::List {
        true => form.list.text(),
        false => form.text(form.focus).to_owned(),
    };
    out.push(Effect::Edit(text));
}

/// Takes what the editor left.
pub(crate) fn edited(model: &mut Model, result: Result<String, String>) {
    let text = match result {
        Ok(text) => text,
        Err(why) => return model.say(Tone::Bad, why),
    };
    if !matches!(model.overlays.last(), Some(Overlay::Inject)) {
        return;
    }
    if text.len() > EDITED_BYTES_MAX {
        let hint = "the text is over 8 MiB; save it to a file and choose the source from file";
        return model.say(Tone::Bad, hint);
    }
    let form = &mut model.form;
    let text = text.trim_end_matches(['\n', '\r']);
    if form.focus == Field::List {
        form.list = crate::model::field::Lines::of(text);
    } else if form.focus == Field::Command && form.kind.has_command() {
        // A shell takes lines; for words of a program a line break is a space.
        form.set(Field::Command, text);
    } else {
        form.set(form.focus, &text.replace(['\n', '\r'], " "));
    }
    form.history.stepped = false;
    form.check();
}
