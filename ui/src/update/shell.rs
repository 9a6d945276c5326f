//! What is done to the program around the lists, and the commands that are typed with their
//! arguments. How they are found and completed is in palette.rs and found.rs.

use ganger_proto::{Filter, Name, QueueName, Request, Role, Select, TaskId};

use super::{ask, details, inject, join, palette, workers};
use crate::keymap::Action;
use crate::model::field::Line;
use crate::model::overlay::{Button, Confirm, Overlay, QuickLine, Then, Typed};
use crate::model::palette::{Argument, Command};
use crate::model::{Asked, Model, Screen};
use crate::msg::Effect;

pub(super) fn act(model: &mut Model, action: Action, _out: &mut Vec<Effect>) {
    if action == Action::Palette {
        palette::open(model);
    } else if action == Action::Complete {
        palette::complete(model);
    }
}

/// Roles of a certificate, as the join dialog names them.
const ROLES: &[&str] = &["worker", "submitter", "viewer", "operator"];

/// Every command there is, in the order of the palette.
pub(crate) static COMMANDS: &[Command] = &[
    Command {
        name: "goto",
        arguments: &[Argument::Task],
        least: 1,
        about: "open a task by its id",
        right: None,
        run: goto,
    },
    Command {
        name: "filter",
        arguments: &[Argument::Filter],
        least: 1,
        about: "show what matches, or a saved one",
        right: None,
        run: filter,
    },
    Command {
        name: "theme",
        arguments: &[Argument::Theme],
        least: 1,
        about: "colours, seen while you choose",
        right: None,
        run: theme,
    },
    Command {
        name: "add",
        arguments: &[Argument::Text],
        least: 1,
        about: "a shell line, or a number to square",
        right: Some(Action::Quick),
        run: add,
    },
    Command {
        name: "cancel",
        arguments: &[Argument::Filter],
        least: 1,
        about: "cancel what matches; asks first",
        right: Some(Action::Cancel),
        run: cancel,
    },
    Command {
        name: "retry",
        arguments: &[Argument::Filter],
        least: 1,
        about: "retry failed ones that match",
        right: Some(Action::Retry),
        run: retry,
    },
    Command {
        name: "delete",
        arguments: &[Argument::Filter],
        least: 1,
        about: "forget ended ones; asks first",
        right: Some(Action::Delete),
        run: delete,
    },
    Command {
        name: "priority",
        arguments: &[Argument::Number, Argument::Filter],
        least: 2,
        about: "for all that match; higher is first",
        right: Some(Action::PriorityUp),
        run: priority,
    },
    Command {
        name: "pause",
        arguments: &[Argument::Queue],
        least: 1,
        about: "grant nothing more from a queue",
        right: Some(Action::PauseQueue),
        run: pause,
    },
    Command {
        name: "resume",
        arguments: &[Argument::Queue],
        least: 1,
        about: "grant from a queue again",
        right: Some(Action::PauseQueue),
        run: resume,
    },
    Command {
        name: "drain",
        arguments: &[Argument::Worker],
        least: 1,
        about: "let a worker finish, take no more",
        right: Some(Action::Drain),
        run: drain,
    },
    Command {
        name: "undrain",
        arguments: &[Argument::Worker],
        least: 1,
        about: "let a worker take work again",
        right: Some(Action::Drain),
        run: undrain,
    },
    Command {
        name: "revoke",
        arguments: &[Argument::Worker],
        least: 1,
        about: "refuse it for good; asks first",
        right: Some(Action::Revoke),
        run: revoke,
    },
    Command {
        name: "join",
        arguments: &[Argument::Word("ROLE", ROLES)],
        least: 0,
        about: "bring another machine or person in",
        right: Some(Action::JoinDialog),
        run: join_line,
    },
    Command {
        name: "quit",
        arguments: &[],
        least: 0,
        about: "leave at once; the master goes on",
        right: None,
        run: quit,
    },
];

type Done = Result<(), String>;

fn goto(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let digits = words.concat().trim_start_matches('#').to_owned();
    let task = digits.parse::<TaskId>().map_err(|_| {
        format!(
            "`{}` is not a task's id; it is a number, such as 60498",
            crate::text::clean(&digits)
        )
    })?;
    if !model.is_up() {
        return Err("there is no connection; try again when it is back".to_owned());
    }
    details::show(model, task, out);
    Ok(())
}

/// Reads terms, or takes those saved under that name.
fn terms(model: &Model, words: &[&str]) -> Result<(Filter, String), String> {
    let typed = words.concat();
    let text = model.kept.filters.get(&typed).cloned().unwrap_or(typed);
    match Filter::parse(&text) {
        Ok(filter) => Ok((filter, text)),
        Err(error) => Err(error.to_string()),
    }
}

fn filter(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let (filter, text) = terms(model, words)?;
    model.overlays.clear();
    if model.screen != Screen::Results {
        super::keys::show(model, Screen::Tasks);
    }
    if let Some(list) = model.list_mut() {
        list.set_filter(filter, text);
    }
    Ok(())
}

fn theme(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let name = words.concat();
    model.looks.choose(&name)?;
    model.kept.theme = Some(name);
    Ok(())
}

fn add(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let line = Line::of(&words.concat());
    model.overlays.push(Overlay::Quick(Box::new(QuickLine { line, ..QuickLine::default() })));
    inject::accept_quick(model);
    Ok(())
}

/// Returns the filter of an action on all that match; everything is never meant by an empty one.
fn matching(model: &Model, words: &[&str]) -> Result<(Select, String), String> {
    let (filter, text) = terms(model, words)?;
    if filter.is_everything() {
        return Err("say which tasks, such as state:queued; an empty filter is all of them".into());
    }
    Ok((Select::Matching(filter), text))
}

fn retry(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let (select, _) = matching(model, words)?;
    ask(model, Request::Retry { select }, Asked::Retry, out);
    Ok(())
}

fn priority(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let (number, rest) = words.split_first().unwrap_or((&"", &[]));
    let priority = number.parse::<i16>().map_err(|_| {
        let told = crate::text::clean(number);
        format!("`{told}` is not a priority; it is a number from -32768 to 32767")
    })?;
    let (select, _) = matching(model, rest)?;
    ask(model, Request::SetPriority { select, priority }, Asked::Priority(priority), out);
    Ok(())
}

fn cancel(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let (select, text) = matching(model, words)?;
    let lines = vec![
        format!("All open tasks that match `{text}` leave the queue."),
        "Running ones get TERM, then KILL; their work so far is lost.".to_owned(),
        "Tasks that come to match before you answer are meant too.".to_owned(),
    ];
    let request = Request::Cancel { select, now: false };
    question(model, "Cancel", lines, (request, Asked::Cancel));
    Ok(())
}

fn delete(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let (select, text) = matching(model, words)?;
    let lines = vec![
        format!("All ended tasks that match `{text}` are forgotten, with their results."),
        "This cannot be undone.".to_owned(),
    ];
    question(model, "Delete", lines, (Request::Delete { select }, Asked::Delete));
    Ok(())
}

/// Asks before something is done to a number of tasks that nobody knows yet: the word is typed.
fn question(model: &mut Model, verb: &str, lines: Vec<String>, then: (Request, Asked)) {
    let expected = verb.to_lowercase();
    model.overlays.push(Overlay::Confirm(Box::new(Confirm {
        title: format!("{verb} all that match"),
        lines,
        verb: verb.to_owned(),
        focus: Button::Cancel,
        then: Then::Send(vec![then]),
        typed: Some(Typed { expected, line: Line::default() }),
    })));
}

fn queue(model: &Model, words: &[&str]) -> Result<QueueName, String> {
    let name = words.concat();
    let queues = model.picture.as_ref().map_or(&[][..], |picture| &picture.queues);
    match queues.iter().find(|row| row.name.as_str() == name) {
        Some(row) => Ok(row.name.clone()),
        None => {
            let names: Vec<_> = queues.iter().map(|row| row.name.as_str()).collect();
            let told = crate::text::clean(&name);
            Err(format!("there is no queue `{told}`; the queues are {}", names.join(" ")))
        }
    }
}

fn pause(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let queue = queue(model, words)?;
    ask(model, Request::Pause { queue: queue.clone() }, Asked::Pause(queue), out);
    Ok(())
}

fn resume(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let queue = queue(model, words)?;
    ask(model, Request::Resume { queue: queue.clone() }, Asked::Resume(queue), out);
    Ok(())
}

/// Puts the cursor on a worker, so that its keys are about it.
fn select_worker(model: &mut Model, words: &[&str]) -> Result<Name, String> {
    let name = words.concat();
    let found = model.worker_rows().iter().find(|row| row.name.as_str() == name);
    let Some(name) = found.map(|row| row.name.clone()) else {
        let told = crate::text::clean(&name);
        return Err(format!("no worker is called `{told}`; screen 4 shows all of them"));
    };
    model.worker = Some(name.clone());
    Ok(name)
}

fn is_draining(model: &Model) -> bool {
    use ganger_proto::picture::WorkerState;
    model.worker_row().is_some_and(|row| row.state == WorkerState::Draining)
}

fn drain(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let name = select_worker(model, words)?;
    if is_draining(model) {
        return Err(format!("{name} drains already; undrain {name} lets it take work again"));
    }
    workers::drain(model, out);
    Ok(())
}

fn undrain(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let name = select_worker(model, words)?;
    if !is_draining(model) {
        return Err(format!("{name} is not draining"));
    }
    workers::drain(model, out);
    Ok(())
}

fn revoke(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    select_worker(model, words)?;
    workers::revoke(model);
    Ok(())
}

fn join_line(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let wished = words.concat();
    let role = Role::ALL.into_iter().find(|role| role.word() == wished);
    if role.is_none() && !wished.is_empty() {
        let told = crate::text::clean(&wished);
        return Err(format!("`{told}` is not a role; the roles are {}", ROLES.join(" ")));
    }
    join::open(model);
    if let (Some(Overlay::Join(dialog)), Some(role)) = (model.overlays.last_mut(), role) {
        dialog.role = role;
    }
    Ok(())
}

fn quit(_model: &mut Model, _words: &[&str], out: &mut Vec<Effect>) -> Done {
    out.push(Effect::Leave);
    Ok(())
}

#[cfg(test)]
mod tests;
