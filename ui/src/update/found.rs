//! What the palette finds: actions and commands by their names, or the words that the argument
//! being typed may be. Runs nothing.

use ganger_proto::TaskState;
use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::shell::COMMANDS;
use crate::keymap::{Action, Context, about};
use crate::model::palette::{Argument, Command, Found, What, places};
use crate::model::{Model, allowed};

/// What fits a line.
pub(super) struct All {
    pub(super) rows: Vec<Found>,
    /// Of how many.
    pub(super) total: usize,
    /// The row that Enter is about before a key moves; none when it is about the line itself.
    pub(super) first: Option<usize>,
    /// The command whose arguments are typed.
    pub(super) command: Option<&'static Command>,
}

/// Actions that move, or answer what is open: of no use from a palette.
const NOT_LISTED: [Action; 16] = [
    Action::Up,
    Action::Down,
    Action::PageUp,
    Action::PageDown,
    Action::HalfUp,
    Action::HalfDown,
    Action::First,
    Action::Last,
    Action::Back,
    Action::Accept,
    Action::Yes,
    Action::No,
    Action::NextField,
    Action::PreviousField,
    Action::Palette,
    Action::Complete,
];

/// Terms offered where a filter is typed.
pub(super) fn found(model: &Model, text: &str) -> All {
    let name = text.split(' ').next().unwrap_or("");
    let command = COMMANDS.iter().find(|command| command.name == name);
    match command.filter(|command| text.contains(' ') && !command.arguments.is_empty()) {
        Some(command) => words(model, command, &text[name.len()..]),
        None => names(model, text),
    }
}

fn names(model: &Model, text: &str) -> All {
    let mut rows = actions(model);
    for command in COMMANDS {
        rows.push(Found {
            what: What::Command(command),
            label: command.usage(),
            about: command.about.to_owned(),
            keys: String::new(),
            off: off(model, command),
            hits: Vec::new(),
        });
    }
    let total = rows.len();
    if text.trim().is_empty() {
        rows.sort_by_key(|row| !row.off.is_empty());
    } else {
        rows = ranked(rows, text);
    }
    All { rows, total, first: Some(0), command: None }
}

/// Returns the actions, the ones of this place first, each once.
fn actions(model: &Model) -> Vec<Found> {
    let places = places(model);
    let rows = model.keymap.rows();
    let here = places.iter().flat_map(|place| rows.iter().filter(|row| row.context == *place));
    let others = rows.iter().filter(|row| !places.contains(&row.context));
    let mut seen: Vec<Action> = NOT_LISTED.to_vec();
    let mut found = Vec::new();
    for row in here.chain(others) {
        let action = row.binding.action;
        if seen.contains(&action) {
            continue;
        }
        seen.push(action);
        let off = match allowed::reason(model, action) {
            Some(reason) => reason.to_owned(),
            None if places.contains(&row.context) => String::new(),
            None => elsewhere(model, row.context),
        };
        found.push(Found {
            what: What::Action(action, row.binding.id),
            label: row.binding.label.to_owned(),
            about: about(action).to_owned(),
            keys: row.shown().first().map_or_else(String::new, |keys| (*keys).to_owned()),
            off,
            hits: Vec::new(),
        });
    }
    found
}

fn elsewhere(model: &Model, place: Context) -> String {
    if place == Context::Lost {
        "the connection is up".to_owned()
    } else if place != Context::Screen {
        format!("only in: {}", place.title().to_lowercase())
    } else if model.is_up() {
        "close what is open first".to_owned()
    } else {
        "there is no connection".to_owned()
    }
}

/// Returns why a command is off; nothing when it may be tried.
pub(super) fn off(model: &Model, command: &Command) -> String {
    let reason = command.right.and_then(|action| allowed::no_right(model, action));
    reason.unwrap_or_default().to_owned()
}

/// Returns what may stand where the last word of the arguments is typed.
fn words(model: &Model, command: &'static Command, typed: &str) -> All {
    let before = typed.split_whitespace().count();
    let part = if typed.ends_with(' ') { "" } else { typed.rsplit(' ').next().unwrap_or("") };
    let at = before.saturating_sub(usize::from(!part.is_empty()));
    let last = command.arguments.last().filter(|argument| argument.is_rest());
    let argument = command.arguments.get(at).or(last).copied();
    let all = argument.map_or_else(Vec::new, |argument| candidates(model, argument, part));
    let total = all.len();
    let is_exact = all.iter().any(|row| row.label == part);
    let begins = |row: &Found| row.label.starts_with(part);
    let rows = match part {
        "" => all,
        _ if part.contains(':') => all.into_iter().filter(begins).collect(),
        _ => ranked(all, part),
    };
    let closed = argument.is_some_and(Argument::is_closed);
    let first = (closed && !part.is_empty() || is_exact).then_some(0);
    All { rows, total, first, command: Some(command) }
}

fn candidates(model: &Model, argument: Argument, part: &str) -> Vec<Found> {
    let picture = model.picture.as_deref();
    match argument {
        Argument::Task => {
            let task = model.list().and_then(|list| list.cursor());
            let task = task.map(|task| word(&task.raw().to_string(), "the selected task"));
            task.into_iter().collect()
        }
        Argument::Worker => {
            let rows = model.worker_rows().iter();
            let about = |busy: u32, slots: u32| format!("{busy} of {slots} slots busy");
            rows.map(|row| word(row.name.as_str(), &about(row.busy.cpu, row.slots))).collect()
        }
        Argument::Queue => {
            let queues = picture.map_or(&[][..], |picture| &picture.queues);
            let about = |paused: bool| if paused { "paused" } else { "running" };
            queues.iter().map(|row| word(row.name.as_str(), about(row.paused))).collect()
        }
        Argument::Theme => {
            let chosen = model.looks.chosen();
            let about = |name: &str| if name == chosen { "in use" } else { "" };
            model.looks.names().map(|name| word(name, about(name))).collect()
        }
        Argument::Filter => {
            let saved = model.kept.filters.iter();
            let saved = saved.map(|(name, text)| word(name, &format!("saved: {text}")));
            let values = values(model, part).into_iter().map(|term| word(&term, ""));
            let begin = |key: &str, example: &str| {
                let sign = example.get(key.len()..).and_then(|rest| rest.chars().next());
                format!("{key}{}", sign.unwrap_or(':'))
            };
            let keys = ganger_proto::filter::KEYS.iter();
            let terms = keys.map(|(key, example, about)| word(&begin(key, example), about));
            saved.chain(values).chain(terms).collect()
        }
        Argument::Word(_, words) => words.iter().map(|one| word(one, "")).collect(),
        Argument::Number | Argument::File | Argument::Text => Vec::new(),
    }
}

/// Returns the terms that a key with its colon may become.
fn values(model: &Model, part: &str) -> Vec<String> {
    let bare = part.trim_start_matches('-');
    let Some((key, _)) = bare.split_once(':') else { return Vec::new() };
    let minus = if bare == part { "" } else { "-" };
    let queues = model.picture.as_ref().map_or(&[][..], |picture| &picture.queues);
    let values: Vec<&str> = match key {
        "state" => TaskState::ALL.map(TaskState::word).to_vec(),
        "kind" => vec!["square", "sleep", "exec", "shell"],
        "worker" => model.worker_rows().iter().map(|row| row.name.as_str()).collect(),
        "queue" => queues.iter().map(|row| row.name.as_str()).collect(),
        _ => Vec::new(),
    };
    values.into_iter().map(|value| format!("{minus}{key}:{value}")).collect()
}

fn word(text: &str, about: &str) -> Found {
    Found {
        what: What::Word(text.to_owned()),
        label: crate::text::clean(text),
        about: crate::text::clean(about),
        keys: String::new(),
        off: String::new(),
        hits: Vec::new(),
    }
}

/// Returns the rows that fit, the best first. Names are matched by letters in order, descriptions
/// by whole words only: any letters are found in some sentence.
fn ranked(rows: Vec<Found>, text: &str) -> Vec<Found> {
    let text = text.trim();
    let pattern = |kind| Pattern::new(text, CaseMatching::Smart, Normalization::Smart, kind);
    let (by_letters, by_words) = (pattern(AtomKind::Fuzzy), pattern(AtomKind::Substring));
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut scored = Vec::new();
    let mut chars = Vec::new();
    let mut best = 0;
    for (place, mut row) in rows.into_iter().enumerate() {
        let (label, id) = match &row.what {
            What::Action(_, id) => (row.label.as_str(), *id),
            What::Command(command) => (command.name, command.name),
            What::Word(_) => (row.label.as_str(), ""),
        };
        let mut hits = Vec::new();
        let mut in_name = |name: &str, hits: &mut Vec<u32>| {
            by_letters.indices(Utf32Str::new(name, &mut chars), &mut matcher, hits)
        };
        let in_name = in_name(label, &mut hits).or_else(|| in_name(id, &mut Vec::new()));
        let in_about = || by_words.score(Utf32Str::new(&row.about, &mut chars), &mut matcher);
        let Some(score) = in_name.map(|score| 2 * score).or_else(in_about) else { continue };
        best = best.max(score);
        let exact = u32::from(id == text || row.label == text) * 10_000;
        let off = if row.off.is_empty() { 5 } else { 4 };
        hits.sort_unstable();
        hits.dedup();
        row.hits = hits;
        scored.push((score, u32::MAX - (score + exact) * off / 5, place, row));
    }
    // Letters far apart fit almost anything.
    scored.retain(|(score, ..)| score * 2 >= best);
    scored.sort_by_key(|(_, rank, place, _)| (*rank, *place));
    scored.into_iter().map(|(_, _, _, row)| row).collect()
}
