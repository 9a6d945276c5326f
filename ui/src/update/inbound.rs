//! What comes from the master: the connection's state, pictures, replies. Everything that a task, a
//! worker or a peer wrote is cleaned here, once, before the model holds it.

use ganger_proto::command::Changed;
use ganger_proto::picture::{ResultRow, Search, TaskRow, WorkerRow};
use ganger_proto::{Picture, Refusal, Reply};

use super::inject::Duplicate;
use super::{
    bulk, details, files, identities, inject, join, lists, marks, tasks, why, worker, workers,
};
use crate::link::{Connection, Inbound};
use crate::model::log::Looked;
use crate::model::{Asked, LinkState, Model, Screen, Tone, WelcomeToken};
use crate::text::{clean, clean_in_place, counted};

pub(super) fn inbound(model: &mut Model, inbound: Inbound) {
    match inbound {
        Inbound::Connected(connection) => connected(model, connection),
        Inbound::Picture(mut picture) => {
            clean_picture(&mut picture);
            let waits = model.list().is_some_and(|list| list.is_waiting() || list.is_stale());
            if model.view.frozen.is_some() && !waits {
                model.held = Some(picture);
            } else {
                take_picture(model, picture);
            }
        }
        Inbound::Reply { tag, result } => {
            if let Some(asked) = model.asked.remove(&tag) {
                match result {
                    Ok(reply) => replied(model, asked, reply),
                    Err(refusal) => refused(model, asked, &refusal),
                }
            }
        }
        Inbound::Followed { tag, result } => details::followed(model, tag, result),
        Inbound::Lost { reason, tries, retry_in_ms } => {
            let retry_at_ms = model.now.mono_ms + retry_in_ms;
            disconnected(model);
            model.link = LinkState::Lost { reason: clean(&reason), tries, retry_at_ms };
        }
        Inbound::Refused { sentence } => {
            disconnected(model);
            model.link = LinkState::Refused(clean(&sentence));
        }
    }
}

fn connected(model: &mut Model, mut connection: Connection) {
    if matches!(model.link, LinkState::Lost { .. }) {
        model.say(Tone::Good, "connected again");
    }
    clean_in_place(&mut connection.address);
    clean_in_place(&mut connection.version);
    model.link = LinkState::Up(connection);
    model.watch_sent = None;
    if matches!(model.welcome, WelcomeToken::Refused(_)) {
        model.welcome = WelcomeToken::Unasked;
    }
}

/// Requests under way are forgotten, since nobody knows whether they were heard; parts of a
/// submission carry a key and are sent again.
fn disconnected(model: &mut Model) {
    let lost = model.asked.values().filter(|asked| is_change(asked)).count();
    if lost > 0 {
        model.say(Tone::Note, "it is not known whether the last action was done; look again");
    }
    model.asked.clear();
    bulk::forget(model);
    details::disconnected(model);
    if model.welcome == WelcomeToken::Asked {
        model.welcome = WelcomeToken::Unasked;
    }
}

fn is_change(asked: &Asked) -> bool {
    match asked {
        Asked::Part
        | Asked::Welcome
        | Asked::Join
        | Asked::Show(_)
        | Asked::EditCopy(_)
        | Asked::Count { .. }
        | Asked::CountRange(_)
        | Asked::Export
        | Asked::Worker(_)
        | Asked::Identities
        | Asked::Why(_) => false,
        Asked::Cancel
        | Asked::CancelWaiting(_)
        | Asked::Delete
        | Asked::Bulk(..)
        | Asked::Undo { .. }
        | Asked::Retry
        | Asked::Priority(_)
        | Asked::Pause(_)
        | Asked::Resume(_)
        | Asked::Drain(_)
        | Asked::Undrain(_)
        | Asked::Revoke(_)
        | Asked::Slots { .. }
        | Asked::StartWorker => true,
    }
}

/// Takes a picture. Rows that answer an earlier question than the one a list asks now are left
/// out; the list keeps what it has until its answer comes.
pub(super) fn take_picture(model: &mut Model, mut picture: Box<Picture>) {
    let (tasks, results) = match model.screen {
        Screen::Overview => (Some(&mut model.next), Some(&mut model.latest)),
        Screen::Tasks => (Some(&mut model.tasks), None),
        Screen::Results => (None, Some(&mut model.results)),
        Screen::Workers | Screen::Log => (None, None),
    };
    let watch = picture.watch;
    let before = model.picture.take();
    let (tasks_before, results_before) =
        before.map_or((None, None), |before| (before.tasks, before.results));
    match (tasks.filter(|list| list.takes(watch)), &picture.tasks) {
        (Some(list), Some(window)) => {
            list.take(window.rows.iter().map(|row| row.task), window.start, window.total);
            list.search = clean_search(&window.search);
        }
        (Some(_), None) => {}
        (None, _) => picture.tasks = tasks_before,
    }
    match (results.filter(|list| list.takes(watch)), &picture.results) {
        (Some(list), Some(window)) => {
            list.take(window.rows.iter().map(|row| row.task), window.start, window.total);
            list.search = clean_search(&window.search);
        }
        (Some(_), None) => {}
        (None, _) => picture.results = results_before,
    }
    let looked = if model.screen == Screen::Log { Looked::At } else { Looked::Away };
    model.log.take(&picture.log, looked);
    model.picture_ms = model.now.mono_ms;
    model.picture = Some(picture);
}

fn clean_search(search: &Search) -> Search {
    match search {
        Search::Refused(why) => Search::Refused(clean(why)),
        Search::Complete | Search::Running { .. } => search.clone(),
    }
}

fn replied(model: &mut Model, asked: Asked, reply: Reply) {
    match (asked, reply) {
        (Asked::Part, Reply::Submitted { batch, duplicate, .. }) => {
            let duplicate = if duplicate { Duplicate::Yes } else { Duplicate::No };
            inject::accepted(model, batch, duplicate);
        }
        (Asked::Welcome, Reply::Invited { token, id, expires }) => {
            join::minted_for_welcome(model, clean(&token), id, expires);
        }
        (Asked::Join, Reply::Invited { token, id, expires }) => {
            join::minted(model, clean(&token), id, expires);
        }
        (Asked::Export, Reply::Tasks { rows, total, next }) => {
            files::took(model, rows, total, next);
        }
        (Asked::Show(task), Reply::Task(detail)) => details::take(model, task, detail),
        (Asked::EditCopy(_), Reply::Task(detail)) => lists::edit(model, detail),
        (Asked::Count { number, state }, Reply::Tasks { total: Some(total), .. }) => {
            bulk::take(model, number, state, total);
        }
        (Asked::CountRange(focus), Reply::Tasks { total: Some(total), .. }) => {
            marks::counted(model, focus, total);
        }
        (Asked::Worker(name), Reply::Worker(detail)) => worker::take(model, &name, detail),
        (Asked::Identities, Reply::Identities(rows)) => identities::take(model, rows),
        (Asked::Why(_), Reply::Why(why)) => why::take(model, &why),
        (asked, Reply::Changed(changed)) => tasks_changed(model, asked, &changed),
        (asked, _) => done(model, asked),
    }
}

/// Says what became of tasks.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else changes no tasks")]
fn tasks_changed(model: &mut Model, asked: Asked, changed: &Changed) {
    match asked {
        Asked::Cancel => model.say(Tone::Good, outcome(changed, "cancelled", "had finished")),
        Asked::CancelWaiting(ids) => tasks::cancelled(model, ids, changed),
        Asked::Delete => model.say(Tone::Good, outcome(changed, "deleted", "had gone")),
        Asked::Bulk(bulk, expected) => bulk::done(model, bulk, expected, changed),
        Asked::Retry => {
            model.say(Tone::Good, outcome(changed, "run again", "ended otherwise and stay"));
        }
        Asked::Undo { tasks } => inject::undone(model, tasks, changed),
        Asked::Priority(priority) => {
            let done = format!("have priority {priority}");
            model.say(Tone::Good, outcome(changed, &done, "had finished"));
        }
        other => unfit(model, &other),
    }
}

/// Says what was done where the master's word for it is all there is.
#[expect(clippy::wildcard_enum_match_arm, reason = "all else has an answer of its own")]
fn done(model: &mut Model, asked: Asked) {
    let text = match asked {
        Asked::Pause(queue) => format!("queue {queue} is paused; what runs goes on, P resumes"),
        Asked::Resume(queue) => format!("queue {queue} goes on"),
        Asked::Drain(worker) => {
            format!("{worker} finishes what it holds and takes nothing new; D undoes")
        }
        Asked::Undrain(worker) => format!("{worker} takes work again"),
        Asked::Revoke(worker) => format!("{worker} is revoked; its tasks go back to the queue"),
        Asked::Slots { worker, slots } => return workers::slots_set(model, &worker, slots),
        Asked::StartWorker => {
            "a worker starts on the master's machine; its row comes in a moment".to_owned()
        }
        other => return unfit(model, &other),
    };
    model.say(Tone::Good, text);
}

fn unfit(model: &mut Model, asked: &Asked) {
    let text = format!("the master gave an answer that fits no {asked:?}; update ganger");
    model.say(Tone::Bad, text);
}

fn refused(model: &mut Model, asked: Asked, refusal: &Refusal) {
    let said = refusal.to_string();
    match asked {
        Asked::Part => inject::refused(model, refusal),
        Asked::Welcome => model.welcome = WelcomeToken::Refused(clean(&said)),
        Asked::Join => join::refused(model, &said),
        Asked::Export => {
            model.export = None;
            model.say(Tone::Note, format!("nothing was exported: {said}"));
        }
        Asked::Show(task) => details::refused(model, task, &said),
        Asked::Count { number, .. } => bulk::refused(model, number, refusal),
        Asked::CountRange(_) => tasks::unmark(model),
        Asked::Worker(name) => worker::refused(model, &name, &said),
        Asked::Identities => identities::refused(model, &said),
        Asked::Why(task) => why::refused(model, task, &said),
        Asked::Cancel
        | Asked::CancelWaiting(_)
        | Asked::Undo { .. }
        | Asked::Retry
        | Asked::Delete
        | Asked::Bulk(..)
        | Asked::EditCopy(_)
        | Asked::Priority(_)
        | Asked::Pause(_)
        | Asked::Resume(_)
        | Asked::Drain(_)
        | Asked::Undrain(_)
        | Asked::Revoke(_)
        | Asked::Slots { .. }
        | Asked::StartWorker => model.say(Tone::Note, said),
    }
}

/// Says honestly what a bulk command did: `30 cancelled, 7 had finished`.
pub(super) fn outcome(changed: &Changed, done: &str, ended: &str) -> String {
    let mut parts = Vec::new();
    let mut part = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{} {what}", crate::text::grouped(count)));
        }
    };
    part(changed.changed, done);
    part(changed.asked, "asked to stop");
    part(changed.ended, ended);
    part(changed.refused, "not possible in their state");
    match parts.is_empty() {
        true => format!("{}: nothing to change", counted(0, "task", "tasks")),
        false => parts.join(", "),
    }
}

fn clean_picture(picture: &mut Picture) {
    let master = &mut picture.master;
    for text in [
        &mut master.version,
        &mut master.address,
        &mut master.home,
        &mut master.trouble,
        &mut master.stuck,
        &mut master.refused,
    ] {
        clean_in_place(text);
    }
    picture.tasks.iter_mut().flat_map(|window| &mut window.rows).for_each(clean_task);
    picture.results.iter_mut().flat_map(|window| &mut window.rows).for_each(clean_result);
    picture.workers.iter_mut().flat_map(|window| &mut window.rows).for_each(clean_worker);
    picture.log.iter_mut().for_each(clean_in_place);
}

pub(super) fn clean_task(row: &mut TaskRow) {
    clean_in_place(&mut row.kind);
    clean_in_place(&mut row.command);
    clean_in_place(&mut row.worker);
}

fn clean_result(row: &mut ResultRow) {
    clean_in_place(&mut row.kind);
    clean_in_place(&mut row.worker);
    clean_in_place(&mut row.text);
}

pub(super) fn clean_worker(row: &mut WorkerRow) {
    clean_in_place(&mut row.address);
    clean_in_place(&mut row.version);
    clean_in_place(&mut row.policy);
}
