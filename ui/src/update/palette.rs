//! The palette's keys: what is typed is looked up, completed, run, and kept for the next time. What
//! there is to find is in found.rs, what a command does in shell.rs.

use super::{found, keys};
use crate::model::Model;
use crate::model::field::Line;
use crate::model::overlay::Overlay;
use crate::model::palette::{Argument, Command, Found, Palette, What};
use crate::msg::Effect;

/// Commands that are remembered.
const COMMANDS_MAX: usize = 50;

pub(super) fn open(model: &mut Model) {
    model.overlays.push(Overlay::Palette(Box::default()));
    look_up(model);
}

fn palette_mut(model: &mut Model) -> Option<&mut Palette> {
    match model.overlays.last_mut() {
        Some(Overlay::Palette(palette)) => Some(palette),
        _ => None,
    }
}

fn palette(model: &Model) -> Option<&Palette> {
    match model.overlays.last() {
        Some(Overlay::Palette(palette)) => Some(palette),
        _ => None,
    }
}

/// Finds what fits the line after it changed.
pub(super) fn look_up(model: &mut Model) {
    let Some(palette) = palette(model) else { return };
    let text = palette.line.text().to_owned();
    let all = found::found(model, &text);
    let Some(palette) = palette_mut(model) else { return };
    palette.error.clear();
    palette.total = all.total;
    palette.command = all.command;
    palette.selected = all.first.filter(|_| !all.rows.is_empty());
    palette.found = all.rows;
}

pub(super) fn typed(model: &mut Model, edit: impl FnOnce(&mut Line)) {
    let Some(palette) = palette_mut(model) else { return };
    let before = palette.line.text().to_owned();
    edit(&mut palette.line);
    if palette.line.text() != before {
        palette.recalled = None;
        look_up(model);
    }
}

/// Moves among the rows; above the first are the commands used before.
pub(super) fn move_by(model: &mut Model, rows: i64) {
    let kept = model.kept.commands.len();
    let Some(palette) = palette_mut(model) else { return };
    let last = palette.found.len().saturating_sub(1);
    let at_top = palette.selected.is_none_or(|at| at == 0);
    match palette.recalled {
        Some(back) if rows < 0 => recall(model, Some((back + 1).min(kept.saturating_sub(1)))),
        Some(back) => recall(model, back.checked_sub(1)),
        None if rows == -1 && at_top && kept > 0 => recall(model, Some(0)),
        None => {
            let from = palette.selected.map_or(-1, |at| at as i64);
            let to = from.saturating_add(rows).clamp(0, last as i64) as usize;
            palette.selected = (!palette.found.is_empty()).then_some(to);
        }
    }
}

fn recall(model: &mut Model, back: Option<usize>) {
    let text = back.and_then(|back| model.kept.commands.get(back)).cloned().unwrap_or_default();
    let Some(palette) = palette_mut(model) else { return };
    palette.line = Line::of(&text);
    palette.recalled = back;
    look_up(model);
}

/// Tab: fills in the row that is selected, else the first one.
pub(super) fn complete(model: &mut Model) {
    let Some(palette) = palette(model) else { return };
    let Some(row) = palette.chosen().or_else(|| palette.found.first()) else { return };
    let text = match &row.what {
        What::Action(_, id) => (*id).to_owned(),
        What::Command(command) => filled(command),
        What::Word(word) => {
            let mut text = replaced(palette.line.text(), word);
            let more = palette
                .command
                .is_some_and(|command| text.split_whitespace().count() <= command.arguments.len());
            if more && !word.ends_with(':') {
                text.push(' ');
            }
            text
        }
    };
    typed(model, |line| *line = Line::of(&text));
}

/// Returns a command's name, ready for its arguments.
fn filled(command: &Command) -> String {
    let space = if command.arguments.is_empty() { "" } else { " " };
    format!("{}{space}", command.name)
}

/// Returns the line with its last word replaced.
fn replaced(text: &str, word: &str) -> String {
    let kept = text.rfind(' ').map_or(0, |at| at + 1);
    format!("{}{word}", &text[..kept])
}

/// Enter: runs what is selected, or the line as it stands.
pub(super) fn accept(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(palette) = palette(model) else { return };
    let line = palette.line.text().trim().to_owned();
    let chosen = palette.chosen().cloned();
    match (chosen, palette.command) {
        (Some(Found { off, .. }), _) if !off.is_empty() => say(model, off),
        (Some(Found { what: What::Action(action, id), .. }), _) => {
            model.overlays.pop();
            remember(model, id);
            keys::act(model, action, out);
        }
        (Some(Found { what: What::Command(command), .. }), _) if command.least > 0 => {
            typed(model, |line| *line = Line::of(&filled(command)));
        }
        (Some(Found { what: What::Command(command), .. }), _) => {
            run(model, command, command.name, out);
        }
        (Some(Found { what: What::Word(word), .. }), Some(command)) => {
            let text = palette.line.text();
            let line = replaced(text, &word);
            run(model, command, &line, out);
        }
        (None, Some(command)) => run(model, command, &line, out),
        (Some(Found { what: What::Word(_), .. }) | None, None) => {
            say(model, "nothing is called so; Esc leaves".to_owned());
        }
    }
}

fn say(model: &mut Model, why: String) {
    if let Some(palette) = palette_mut(model) {
        palette.error = crate::text::clean(&why);
    }
}

/// Runs a line that begins with the command's name; the palette stays open when it cannot be done.
fn run(model: &mut Model, command: &'static Command, line: &str, out: &mut Vec<Effect>) {
    let off = found::off(model, command);
    if !off.is_empty() {
        return say(model, off);
    }
    let words = match arguments(command, line) {
        Ok(words) => words,
        Err(why) => return say(model, why),
    };
    let Some(open) = model.overlays.pop() else { return };
    match (command.run)(model, &words, out) {
        Ok(()) => remember(model, line.trim()),
        Err(why) => {
            model.overlays.push(open);
            say(model, why);
        }
    }
}

/// Cuts a line into its arguments; the last one may take all that is left.
fn arguments<'a>(command: &Command, line: &'a str) -> Result<Vec<&'a str>, String> {
    let mut rest = line.trim().strip_prefix(command.name).unwrap_or("").trim();
    let mut words = Vec::new();
    for argument in command.arguments {
        if rest.is_empty() {
            break;
        }
        let end = if argument.is_rest() { None } else { rest.find(char::is_whitespace) };
        let (word, left) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(word);
        rest = left.trim_start();
    }
    if words.len() < command.least {
        let missing = command.arguments.get(words.len()).map_or("", |a: &Argument| a.word());
        return Err(format!("{missing} is missing: {}", command.usage()));
    }
    if !rest.is_empty() {
        let told = crate::text::clean(rest);
        return Err(format!("`{told}` is too much: {}", command.usage()));
    }
    Ok(words)
}

fn remember(model: &mut Model, line: &str) {
    let commands = &mut model.kept.commands;
    commands.retain(|kept| kept != line);
    commands.insert(0, line.to_owned());
    commands.truncate(COMMANDS_MAX);
}
