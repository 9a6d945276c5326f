//! The filter line: read on every key; while it is no filter, the last good one stays. And what
//! else changes a filter: the state chip, earlier filters, the words that Tab completes.

use crossterm::event::{KeyCode, KeyEvent};
use ganger_proto::{Filter, TaskState};

use crate::model::field::Line;
use crate::model::filter_line::{FilterFault, FilterLine, Offers, Turn, terms};
use crate::model::list::List;
use crate::model::overlay::Overlay;
use crate::model::{Focus, Model, Screen, Tone};

/// Keys of the filter language, each with a term that has it.
const KEYS: [(&str, &str); 17] = [
    ("state:", "state:failed"),
    ("kind:", "kind:exec"),
    ("queue:", "queue:mail"),
    ("worker:", "worker:alpha"),
    ("batch:", "batch:b12"),
    ("id:", "id:1..9"),
    ("label:", "label:k=v"),
    ("cmd:", "cmd:x"),
    ("exit:", "exit:0"),
    ("prio>", "prio>5"),
    ("prio<", "prio<5"),
    ("tries>=", "tries>=2"),
    ("dur>", "dur>10s"),
    ("dur<", "dur<10s"),
    ("wait>", "wait>1m"),
    ("age<", "age<1h"),
    ("age>", "age>1h"),
];
const KINDS: [&str; 5] = ["square", "sleep", "exec", "shell", "handler"];
/// States that `.` goes through, those of tasks and those of results.
const TASK_CHIPS: [TaskState; 7] = [
    TaskState::Queued,
    TaskState::Running,
    TaskState::Failed,
    TaskState::Done,
    TaskState::Delayed,
    TaskState::Blocked,
    TaskState::Cancelled,
];
const RESULT_CHIPS: [TaskState; 3] = [TaskState::Failed, TaskState::Done, TaskState::Cancelled];

/// The overview's lists take no filter, sort or columns; their screens do.
pub(super) fn to_screen(model: &mut Model) {
    match model.focus() {
        Some(Focus::Next) => super::keys::show(model, Screen::Tasks),
        Some(Focus::Latest) => super::keys::show(model, Screen::Results),
        Some(Focus::Tasks | Focus::Results | Focus::Workers) | None => {}
    }
}

pub(super) fn open(model: &mut Model) {
    to_screen(model);
    if let Some(list) = model.list() {
        let line = Box::new(FilterLine::of(&list.filter_text));
        model.overlays.push(Overlay::Filter(line));
        typed(model);
    }
}

/// A key that edits the line. Backspace on an empty line leaves it.
pub(super) fn key(model: &mut Model, key: KeyEvent) {
    let Some(Overlay::Filter(line)) = model.overlays.last_mut() else { return };
    if key.code == KeyCode::Backspace && line.line.text().is_empty() {
        model.overlays.pop();
        return;
    }
    line.line.key(key);
    typed(model);
}

/// What the line holds changed.
pub(super) fn typed(model: &mut Model) {
    let offers = match model.overlays.last() {
        Some(Overlay::Filter(line)) => offers(model, &line.line),
        _ => return,
    };
    if let Some(Overlay::Filter(line)) = model.overlays.last_mut() {
        line.offers = offers;
    }
    read(model);
}

/// Reads the line. A last word that may become a key is not looked for yet: the way to `kind:exec`
/// would lead over an empty list.
fn read(model: &mut Model) {
    let Some(Overlay::Filter(line)) = model.overlays.last_mut() else { return };
    let text = line.line.text().to_owned();
    match Filter::parse(&text) {
        Ok(whole) => {
            line.error = None;
            let before = line.before_key();
            let before = before.and_then(|text| Some((Filter::parse(text).ok()?, text.to_owned())));
            let (filter, text) = before.unwrap_or((whole, text));
            if let Some(list) = model.list_mut() {
                list.set_filter(filter, text);
            }
        }
        Err(error) => {
            let is_unfinished = error.is_unfinished();
            let text = crate::text::clean(error.why());
            line.error = Some(FilterFault { at: error.at, end: error.end, is_unfinished, text });
        }
    }
}

/// Tab: what could stand at the cursor, one after the other. A word that is the only one is
/// followed by what can come after it.
pub(super) fn complete(model: &mut Model, turn: Turn) {
    if let Some(Overlay::Filter(line)) = model.overlays.last()
        && line.offers.words.is_empty()
    {
        typed(model);
    }
    let Some(Overlay::Filter(line)) = model.overlays.last_mut() else { return };
    let is_only = line.offers.words.len() == 1;
    if !line.complete(turn) {
        return model.say(Tone::Note, "nothing known begins like this");
    }
    if is_only { typed(model) } else { read(model) }
}

pub(super) fn recall(model: &mut Model, turn: Turn) {
    let earlier = model.list().map(|list| list.earlier.clone()).unwrap_or_default();
    if let Some(Overlay::Filter(line)) = model.overlays.last_mut() {
        line.recall(&earlier, turn);
        line.offers = Offers::default();
        read(model);
    }
}

/// Closes the line; it stays open while what it holds is no filter.
pub(super) fn accept(model: &mut Model) {
    let text = match model.overlays.last() {
        Some(Overlay::Filter(line)) if line.error.is_none() => line.line.text().to_owned(),
        Some(_) | None => return,
    };
    model.overlays.pop();
    if let Some(Err(why)) = model.list_mut().map(|list| set(list, text)) {
        model.say(Tone::Bad, why);
    }
}

pub(super) fn clear(model: &mut Model) {
    if let Some(list) = model.list_mut() {
        list.remember_filter();
        list.set_filter(Filter::default(), String::new());
    }
}

/// `.`: the next state alone, after the last one all of them again.
pub(super) fn next_state(model: &mut Model) {
    to_screen(model);
    let Some(list) = model.list_mut() else { return };
    let states: &[TaskState] = if list.is_of_ended() { &RESULT_CHIPS } else { &TASK_CHIPS };
    let mut words = terms(&list.filter_text);
    let at = words.iter().position(|term| term.starts_with("state:"));
    let present = at.and_then(|at| words[at].strip_prefix("state:"));
    let present = states.iter().position(|state| Some(state.word()) == present);
    let next = match (at, present) {
        (None, _) | (Some(_), None) => states.first(),
        (Some(_), Some(present)) => states.get(present + 1),
    };
    let term = next.map(|state| format!("state:{}", state.word()));
    match (at, &term) {
        (Some(at), Some(term)) => words[at] = term,
        (Some(at), None) => drop(words.remove(at)),
        (None, Some(term)) => words.insert(0, term),
        (None, None) => {}
    }
    let text = words.join(" ");
    if let Err(why) = set(list, text) {
        model.say(Tone::Bad, why);
    }
}

/// Sets a list's filter from its text.
pub(super) fn set(list: &mut List, text: String) -> Result<(), String> {
    let filter = Filter::parse(&text).map_err(|error| error.to_string())?;
    list.set_filter(filter, text);
    list.remember_filter();
    Ok(())
}

/// Returns what could stand at the cursor: a key, or a value known from the picture.
fn offers(model: &Model, line: &Line) -> Offers {
    let before = line.before_cursor();
    let begin = before.rfind(' ').map_or(0, |space| space + 1);
    let begin = begin + usize::from(before[begin..].starts_with('-'));
    let word = &before[begin..];
    if word.is_empty() && !before.trim().is_empty() {
        return Offers::default();
    }
    let (at, all) = match word.split_once(':') {
        None => (begin, keys()),
        Some((key, values)) => {
            let alternative = values.rfind('|').map_or(0, |bar| bar + 1);
            (begin + key.len() + 1 + alternative, values_of(model, key))
        }
    };
    let typed = &before[at..];
    let mut words: Vec<String> = all.into_iter().filter(|word| word.starts_with(typed)).collect();
    if words.iter().any(|word| word == typed) {
        words.clear();
    }
    Offers { at, words, chosen: None }
}

/// Returns the keys that this build of the language reads.
fn keys() -> Vec<String> {
    let known = KEYS.iter().filter(|(_, term)| Filter::parse(term).is_ok());
    known.map(|(key, _)| (*key).to_owned()).collect()
}

fn values_of(model: &Model, key: &str) -> Vec<String> {
    let picture = model.picture.as_ref();
    let mut values: Vec<String> = match key {
        "state" => {
            let words = TaskState::ALL.iter().map(|state| state.word());
            return words.chain(["leased", "open", "ended"]).map(str::to_owned).collect();
        }
        "kind" => KINDS.iter().map(|kind| (*kind).to_owned()).collect(),
        "queue" => picture
            .iter()
            .flat_map(|picture| &picture.queues)
            .map(|queue| queue.name.to_string())
            .collect(),
        "worker" => model.worker_rows().iter().map(|row| row.name.to_string()).collect(),
        "batch" => {
            let newest = picture.and_then(|picture| picture.master.newest_batch);
            let of_tasks = model.task_rows().iter().map(|row| row.batch);
            let of_results = model.result_rows().iter().map(|row| row.batch);
            let all = newest.into_iter().chain(of_tasks).chain(of_results);
            all.map(|batch| batch.to_string()).collect()
        }
        _ => Vec::new(),
    };
    values.sort_unstable();
    values.dedup();
    values
}
