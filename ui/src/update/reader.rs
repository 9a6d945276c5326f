//! What keys do to the text that is read: a task's output or the log. Tabs and tasks are changed
//! here too; what is asked about them is in details.rs.

use crossterm::event::KeyEvent;

use super::details;
use super::keys::Step;
use super::scroll::Move;
use crate::keymap::Action;
use crate::layout;
use crate::model::details::{Keys, Reading, Tab};
use crate::model::overlay::Overlay;
use crate::model::reader::{Fit, Hop, Look, Switch, Text, WIDE};
use crate::model::{Model, Tone};
use crate::msg::Effect;
use crate::save::FileName;

#[expect(clippy::wildcard_enum_match_arm, reason = "keys.rs sends the actions of this room only")]
pub(super) fn act(model: &mut Model, action: Action, out: &mut Vec<Effect>) {
    use Action as A;
    match action {
        A::DetailsPane => details::toggle_pane(model),
        A::NextTab => tab(model, Step::Next),
        A::PreviousTab => tab(model, Step::Previous),
        A::PreviousTask => details::step(model, -1),
        A::NextTask => details::step(model, 1),
        A::Wrap => wrap(model),
        A::Times => times(model),
        A::Streams => streams(model),
        A::Search => open_search(model),
        A::NextMatch => hop(model, Text::find_next),
        A::PreviousMatch => hop(model, Text::find_previous),
        A::Follow => follow(model),
        A::SaveOutput => save(model, out),
        _ => {}
    }
}

/// The text that keys are about, how it is shown and the room for it.
fn reading(model: &mut Model) -> Option<(&mut Text, &mut Look, Fit)> {
    let area = layout::reading(model)?;
    let in_pane = model.pane_has_keys();
    let Model { overlays, reading, log, .. } = model;
    let Reading { below, look, .. } = reading;
    let details = match below {
        Some(below) if in_pane => below.details.as_deref_mut(),
        Some(_) | None => overlays.last_mut().and_then(Overlay::details_mut),
    };
    let (text, look) = match details {
        Some(details) => (&mut details.output.text, look),
        None => (&mut log.text, &mut log.look),
    };
    let fit = text.fit(*look, area);
    Some((text, look, fit))
}

fn tab(model: &mut Model, step: Step) {
    let by = match step {
        Step::Next => 1,
        Step::Previous => Tab::ALL.len() - 1,
    };
    let Some(details) = model.details_mut() else { return };
    let at = Tab::ALL.iter().position(|tab| *tab == details.tab).unwrap_or(0);
    details.tab = Tab::ALL[(at + by) % Tab::ALL.len()];
    details.scroll.0 = 0;
    details.row = usize::MAX;
    details::keep_within(model);
}

/// Tab in the details: the next tab, or from the pane back to its list.
pub(super) fn next_pane(model: &mut Model, step: Step) {
    if model.pane_has_keys() {
        if let Some(below) = &mut model.reading.below {
            below.keys = Keys::List;
        }
    } else {
        tab(model, step);
    }
}

/// Gives the keys to the pane, when there is one.
pub(super) fn enter_pane(model: &mut Model) {
    let has_pane = model.has_pane();
    if let Some(below) = &mut model.reading.below
        && has_pane
        && below.details.is_some()
    {
        below.keys = Keys::Pane;
    }
}

/// Takes the keys from the pane, or closes it; tells whether there was one.
pub(super) fn leave_pane(model: &mut Model) -> bool {
    let (had_keys, was_seen) = (model.pane_has_keys(), model.has_pane());
    match &mut model.reading.below {
        Some(below) if had_keys => below.keys = Keys::List,
        Some(_) if was_seen => model.reading.below = None,
        Some(_) | None => {}
    }
    was_seen
}

fn look(model: &mut Model, change: impl Fn(&mut Look)) {
    if let Some((_, look, _)) = reading(model) {
        change(look);
    }
}

fn wrap(model: &mut Model) {
    look(model, |look| look.wrap = look.wrap.other());
    let wrapped = reading(model).map(|(_, look, _)| look.wrap);
    match wrapped {
        Some(Switch::On) => model.say(Tone::Note, "long lines are wrapped"),
        Some(Switch::Off) => model.say(Tone::Note, "long lines are cut"),
        None => {}
    }
}

fn times(model: &mut Model) {
    look(model, |look| look.times = look.times.other());
    if reading(model).is_some_and(|(text, _, _)| !text.is_timed && !text.is_empty()) {
        model.say(Tone::Note, "when these lines came is not known any more");
    } else if model.size.0 < WIDE {
        model.say(Tone::Note, "times are shown where the terminal is wider");
    }
}

fn streams(model: &mut Model) {
    look(model, |look| look.streams = look.streams.next());
    let said = model.reading.look.streams.word();
    model.say(Tone::Note, format!("{said} is shown"));
}

fn follow(model: &mut Model) {
    let Some((text, _, fit)) = reading(model) else { return };
    text.toggle_follow(fit);
    let said = match text.is_followed() {
        true => "the end is followed",
        false => "this stands still; f follows the end again",
    };
    model.say(Tone::Note, said);
}

/// Moves the text, the chosen attempt or the tab's lines; tells whether there was any.
pub(super) fn scroll(model: &mut Model, by: Move) -> bool {
    if let Some((text, _, fit)) = reading(model) {
        let page = fit.rows.saturating_sub(1).max(1) as i64;
        match by {
            Move::Rows(rows) => text.scroll(rows, fit),
            Move::Pages(halves) => text.scroll(halves * page / 2, fit),
            Move::First => text.go_first(),
            Move::Last => text.go_last(),
        }
        return true;
    }
    let page = i64::from(model.size.1.saturating_sub(8)).max(2);
    let Some(details) = model.details_mut() else { return false };
    let at = if details.tab == Tab::Attempts { &mut details.row } else { &mut details.scroll.0 };
    *at = match by {
        Move::Rows(rows) => at.saturating_add_signed(rows as isize),
        Move::Pages(halves) => at.saturating_add_signed((halves * page / 2) as isize),
        Move::First => 0,
        Move::Last => usize::MAX / 2,
    };
    details::keep_within(model);
    true
}

fn open_search(model: &mut Model) {
    model.reading.search_line = Some(Default::default());
}

/// A key typed in the search line: the text goes along at once.
pub(super) fn search_key(model: &mut Model, key: KeyEvent) {
    if let Some(line) = &mut model.reading.search_line {
        line.key(key);
    }
    searched(model);
}

pub(super) fn search_paste(model: &mut Model, text: &str) {
    if let Some(line) = &mut model.reading.search_line {
        line.paste(text);
    }
    searched(model);
}

fn searched(model: &mut Model) {
    let Some(needle) = model.reading.search_line.as_ref().map(|line| line.text().to_owned()) else {
        return;
    };
    if let Some((text, _, fit)) = reading(model) {
        text.search(&needle);
        text.find_near(fit);
    }
}

/// Enter in the search line: the words stay.
pub(super) fn search_accept(model: &mut Model) {
    model.reading.search_line = None;
    let Some((text, look, _)) = reading(model) else { return };
    let needle = text.needle().to_owned();
    if !needle.is_empty() && text.found(look.streams).0 == 0 {
        model.say(Tone::Note, format!("“{needle}” is nowhere in what is here"));
    }
}

/// Esc in the search line, or after it: nothing is searched for. Tells whether anything was.
pub(super) fn search_leave(model: &mut Model) -> bool {
    let was_typed = model.reading.search_line.take().is_some();
    let Some((text, _, _)) = reading(model) else { return was_typed };
    let was_searched = !text.needle().is_empty();
    text.search("");
    was_typed || was_searched
}

fn hop(model: &mut Model, go: impl Fn(&mut Text, Fit) -> Hop) {
    let Some((text, _, fit)) = reading(model) else { return };
    let needle = text.needle().to_owned();
    match go(text, fit) {
        Hop::Near => {}
        Hop::Around => model.say(Tone::Note, "the search went on at the other end"),
        Hop::Nowhere if needle.is_empty() => {
            model.say(Tone::Note, "nothing is searched for; / begins a search");
        }
        Hop::Nowhere => {
            model.say(Tone::Note, format!("“{needle}” is nowhere in what is here"));
        }
    }
}

fn save(model: &mut Model, out: &mut Vec<Effect>) {
    let (stem, what) = match model.details() {
        Some(details) if details.output.attempt > 0 => {
            let (task, attempt) = (details.task, details.output.attempt);
            (format!("ganger-task-{task}-attempt-{attempt}"), "the output")
        }
        Some(details) => (format!("ganger-task-{}", details.task), "the output"),
        None => ("ganger-log".to_owned(), "the log"),
    };
    let text = plain(model);
    if text.is_empty() {
        return model.say(Tone::Note, "there is nothing to save yet");
    }
    let file = FileName::Free { stem, extension: "txt" };
    out.push(Effect::Save { file, text, what: what.to_owned() });
}

/// Returns the lines that are read as plain text, the same streams as on the screen.
pub(super) fn plain(model: &Model) -> String {
    let (text, look) = match model.details() {
        Some(details) => (&details.output.text, model.reading.look),
        None => (&model.log.text, model.log.look),
    };
    let mut plain = String::new();
    for entry in text.shown(look.streams) {
        plain.push_str(&entry.line.text);
        plain.push('\n');
    }
    plain
}
