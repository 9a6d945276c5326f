//! Actions on many tasks: the question says how many of each state it is about and what is lost.
//! Tasks that only the master knows are counted by it first. Tasks in view: see tasks.rs.

use ganger_proto::command::Changed;
use ganger_proto::picture::Search;
use ganger_proto::{Filter, Refusal, Request, Select, TaskId, TaskState};

use super::ask;
use super::inbound::outcome;
use crate::model::bulk::{Breakdown, Bulk, Tally};
use crate::model::field::Line;
use crate::model::overlay::{Button, Confirm, Overlay, Then, Typed};
use crate::model::{Asked, Model, Tone};
use crate::msg::Effect;
use crate::text::{counted, grouped};

/// Running tasks above which a cancel wants the number typed.
const TYPE_ABOVE: u64 = 1_000;

/// Opens the question whether that shall be done to all that match. Where the master has an index,
/// it counts them by state first, and the question can be answered when it has; where it would have
/// to look at each task, the question says so.
pub(crate) fn begin(
    model: &mut Model,
    bulk: Bulk,
    text: &str,
    out: &mut Vec<Effect>,
) -> Result<(), String> {
    let states = bulk.states();
    let words: Vec<_> = states.iter().map(|state| state.word()).collect();
    let filter = and(text, &format!("state:{}", words.join("|")))?;
    let which = match text.trim() {
        "" => "All tasks there are.".to_owned(),
        "state:ended" => "All ended tasks.".to_owned(),
        text => format!("All that match {text}"),
    };
    if !filter.is_indexed() {
        let question = uncounted(model, bulk, which, filter);
        model.overlays.push(Overlay::Confirm(Box::new(question)));
        return Ok(());
    }
    let mut parts = Vec::new();
    for state in states {
        parts.push((*state, and(text, &format!("state:{}", state.word()))?));
    }
    let number = model.tag + 1;
    let left = states.iter().copied().collect();
    let counts = Breakdown::default();
    model.tally = Some(Tally { number, bulk, filter, which: which.clone(), counts, left });
    model.overlays.push(Overlay::Confirm(Box::new(Confirm {
        title: format!("{} all that match", bulk.verb()),
        lines: vec![which, "The master counts them …".to_owned()],
        verb: bulk.button().to_owned(),
        focus: Button::Cancel,
        then: Then::Counted(number),
        typed: None,
    })));
    for (state, filter) in parts {
        let request = Request::List { filter, after: TaskId::new(0), rows: 0 };
        ask(model, request, Asked::Count { number, state }, out);
    }
    Ok(())
}

/// Returns the question about tasks that nobody counts before it is done to them. What may be lost
/// wants a word typed, as a large number does.
fn uncounted(model: &Model, bulk: Bulk, which: String, filter: Filter) -> Confirm {
    let mut lines = vec![which];
    let found = model.list().filter(|list| list.search == Search::Complete && !list.is_stale());
    lines.push(match found.and_then(|list| list.marks.count(list.total)) {
        Some(most) if most > 0 => format!("At most {}.", counted(most, "task", "tasks")),
        Some(_) | None => "How many takes a search, which is part of doing it.".to_owned(),
    });
    let (loss, word) = match bulk {
        Bulk::Cancel => (
            "Those that wait leave the queue; those that run get TERM, then KILL, and the work \
              so far is lost.",
            Some("stop"),
        ),
        Bulk::Delete => (
            "Only ended ones; their results and output are lost, there is no way back.",
            Some("delete"),
        ),
        Bulk::Retry => ("Those that failed, were cancelled or back off go to the queue.", None),
        Bulk::Priority(_) => ("Only those that have not ended.", None),
    };
    lines.push(loss.to_owned());
    let asked = Asked::Bulk(bulk, 0);
    Confirm {
        title: format!("{} all that match", bulk.verb()),
        lines,
        verb: bulk.button().to_owned(),
        focus: Button::Cancel,
        then: Then::Send(vec![(bulk.request(Select::Matching(filter)), asked)]),
        typed: word.map(|word| Typed { expected: word.to_owned(), line: Line::default() }),
    }
}

/// Returns the filter of that text with one more term.
pub(super) fn and(text: &str, term: &str) -> Result<Filter, String> {
    Filter::parse(&format!("{text} {term}")).map_err(|error| error.to_string())
}

/// A count has come; the last one makes the question whole.
pub(super) fn take(model: &mut Model, number: u64, state: TaskState, count: u64) {
    let Some(tally) = model.tally.as_mut().filter(|tally| tally.number == number) else { return };
    tally.counts.0.insert(state, count);
    tally.left.remove(&state);
    if !tally.left.is_empty() {
        return;
    }
    let Some(tally) = model.tally.take() else { return };
    let at = model.overlays.iter().position(|overlay| is_about(overlay, number));
    let Some(at) = at else { return };
    let total = tally.counts.total();
    if total == 0 {
        model.overlays.remove(at);
        let words: Vec<_> = tally.bulk.states().iter().map(|state| state.word()).collect();
        return model.say(Tone::Note, format!("none of them is {}", words.join(", ")));
    }
    let ended = model.picture.as_ref().map_or(0, |picture| picture.master.counts.ended());
    let mut question = question(tally.bulk, &tally.counts, Some(ended));
    question.lines.insert(0, tally.which);
    let select = Select::Matching(tally.filter);
    question.then = Then::Send(vec![(tally.bulk.request(select), Asked::Bulk(tally.bulk, total))]);
    model.overlays[at] = Overlay::Confirm(Box::new(question));
}

fn is_about(overlay: &Overlay, number: u64) -> bool {
    matches!(overlay, Overlay::Confirm(question)
        if matches!(question.then, Then::Counted(counted) if counted == number))
}

/// The connection is lost: nobody counts any more, so the question goes.
pub(super) fn forget(model: &mut Model) {
    if let Some(tally) = model.tally.take() {
        model.overlays.retain(|overlay| !is_about(overlay, tally.number));
    }
}

/// The master could not count.
pub(super) fn refused(model: &mut Model, number: u64, refusal: &Refusal) {
    model.tally.take_if(|tally| tally.number == number);
    model.overlays.retain(|overlay| !is_about(overlay, number));
    model.say(Tone::Note, refusal.to_string());
}

/// Returns the question before an action on that many tasks. `history` is how many ended tasks
/// there are, when the action could be about all of them.
pub(super) fn question(bulk: Bulk, counts: &Breakdown, history: Option<u64>) -> Confirm {
    let total = counts.total();
    let running = counts.of(&[TaskState::Running, TaskState::Sent]);
    let waiting = counts.of(&WAITING);
    let mut title = format!("{} {}", bulk.verb(), counted(total, "task", "tasks"));
    let mut lines = Vec::new();
    let mut typed = false;
    match bulk {
        Bulk::Cancel => {
            if running > 0 {
                let what = counted(running, "running task gets", "running tasks get");
                lines.push(format!("{what} TERM, then KILL; the work so far is lost."));
            }
            if waiting > 0 {
                let what = counted(waiting, "waiting task leaves", "waiting tasks leave");
                lines.push(format!("{what} the queue ({}).", waiting_words(counts)));
            }
            typed = running > TYPE_ABOVE;
        }
        Bulk::Delete => {
            lines.push(format!("They are {}.", counts.words()));
            lines.push("Their results and output are lost; there is no way back.".to_owned());
            if history == Some(total) {
                lines.push("That is the whole history.".to_owned());
                typed = true;
            }
        }
        Bulk::Retry => {
            lines.push(format!("They are {}, and go back to the queue.", counts.words()));
        }
        Bulk::Priority(priority) => {
            title.push_str(&format!(" to {priority}"));
            lines.push(format!("They are {}.", counts.words()));
        }
    }
    Confirm {
        title,
        lines,
        verb: bulk.button().to_owned(),
        focus: Button::Cancel,
        then: Then::Send(Vec::new()),
        typed: typed.then(|| Typed { expected: total.to_string(), line: Line::default() }),
    }
}

/// States of tasks that no worker has.
const WAITING: [TaskState; 3] = [TaskState::Blocked, TaskState::Queued, TaskState::Delayed];

fn waiting_words(counts: &Breakdown) -> String {
    let some = counts.0.iter().filter(|(state, _)| WAITING.contains(state));
    Breakdown(some.map(|(state, count)| (*state, *count)).collect()).words()
}

/// Says what came of it; tasks that left the state meanwhile were not touched.
pub(super) fn done(model: &mut Model, bulk: Bulk, expected: u64, changed: &Changed) {
    let (what, ended) = match bulk {
        Bulk::Retry => ("run again".to_owned(), "ended otherwise and stay"),
        Bulk::Cancel => ("cancelled".to_owned(), "had finished"),
        Bulk::Delete => ("deleted".to_owned(), "had gone"),
        Bulk::Priority(priority) => (format!("have priority {priority}"), "had finished"),
    };
    let mut text = outcome(changed, &what, ended);
    let reached = changed.changed + changed.asked + changed.ended + changed.refused;
    if let Some(missed) = expected.checked_sub(reached).filter(|missed| *missed > 0) {
        let verb = if bulk == Bulk::Cancel { "had finished meanwhile" } else { "had moved on" };
        text.push_str(&format!(", {} {verb}", grouped(missed)));
    }
    model.say(Tone::Good, text);
}
