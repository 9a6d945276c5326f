//! What is done to the program around the lists, and the commands that are typed with their
//! arguments. How they are found and completed is in palette.rs and found.rs.

use ganger_proto::{Name, QueueName, Request, Role, TaskId};

use super::{ask, bulk, details, files, inject, join, lists, mouse, palette, workers};
use crate::keymap::Action;
use crate::model::bulk::Bulk;
use crate::model::field::Line;
use crate::model::overlay::{Overlay, QuickLine};
use crate::model::palette::{Argument, Command};
use crate::model::{Asked, Model};
use crate::mouse::Capture;
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

/// What lists are sorted by.
const SORTS: &[&str] =
    &["id", "state", "priority", "kind", "worker", "tries", "exit", "took", "since"];
const ORDERS: &[&str] = &["rising", "falling"];

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
        name: "sort",
        arguments: &[Argument::Word("KEY", SORTS), Argument::Word("ORDER", ORDERS)],
        least: 1,
        about: "sort the list, rising or falling",
        right: None,
        run: sort,
    },
    Command {
        name: "column",
        arguments: &[Argument::Text],
        least: 1,
        about: "hide a column, or show it again",
        right: None,
        run: column,
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
        name: "slots",
        arguments: &[Argument::Worker, Argument::Number],
        least: 2,
        about: "how many tasks it runs at once",
        right: Some(Action::MoreSlots),
        run: slots,
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
        name: "export",
        arguments: &[Argument::Word("HOW", &["csv", "json"]), Argument::File],
        least: 1,
        about: "the list's rows into a file",
        right: None,
        run: files::export,
    },
    Command {
        name: "screenshot",
        arguments: &[Argument::Word("HOW", &["svg", "ansi", "text"]), Argument::File],
        least: 1,
        about: "the screen as it is into a file",
        right: None,
        run: files::screenshot,
    },
    Command {
        name: "mouse",
        arguments: &[Argument::Word("ON", &["on", "off"])],
        least: 1,
        about: "clicks here, or text selection",
        right: None,
        run: mouse_to,
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

/// Returns terms as they are typed, or those saved under that name.
fn terms(model: &Model, words: &[&str]) -> String {
    let typed = words.concat();
    model.kept.filters.get(&typed).cloned().unwrap_or(typed)
}

fn filter(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    let text = terms(model, words);
    model.overlays.clear();
    lists::apply_filter(model, &text)
}

fn sort(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    lists::sort_by(model, &words.join(" "))
}

fn column(model: &mut Model, words: &[&str], _out: &mut Vec<Effect>) -> Done {
    lists::toggle_column(model, words.concat().trim())
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

/// Asks about all that match; everything is never meant by an empty filter.
fn begin(model: &mut Model, bulk: Bulk, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let text = terms(model, words);
    if text.trim().is_empty() {
        return Err("say which tasks, such as state:queued; an empty filter is all of them".into());
    }
    bulk::begin(model, bulk, &text, out)
}

fn retry(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    begin(model, Bulk::Retry, words, out)
}

fn priority(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let (number, rest) = words.split_first().unwrap_or((&"", &[]));
    let priority = number.parse::<i16>().map_err(|_| {
        let told = crate::text::clean(number);
        format!("`{told}` is not a priority; it is a number from -32768 to 32767")
    })?;
    begin(model, Bulk::Priority(priority), rest, out)
}

fn cancel(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    begin(model, Bulk::Cancel, words, out)
}

fn delete(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    begin(model, Bulk::Delete, words, out)
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

fn slots(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let (worker, number) = words.split_first().unwrap_or((&"", &[]));
    let number = number.concat();
    let slots = number
        .trim()
        .parse::<u32>()
        .map_err(|_| format!("`{}` is not a number of slots", crate::text::clean(number.trim())))?;
    select_worker(model, &[worker])?;
    workers::set_slots(model, slots, out)
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

fn mouse_to(model: &mut Model, words: &[&str], out: &mut Vec<Effect>) -> Done {
    let capture = match words.concat().as_str() {
        "on" => Capture::Screen,
        "off" => Capture::Terminal,
        _ => return Err("say mouse on, for clicks, or mouse off, to select text".to_owned()),
    };
    mouse::set_mouse(model, capture, out);
    Ok(())
}

fn quit(_model: &mut Model, _words: &[&str], out: &mut Vec<Effect>) -> Done {
    out.push(Effect::Leave);
    Ok(())
}

#[cfg(test)]
mod tests;
