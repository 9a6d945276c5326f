//! What is done to workers: drain, revoke, slots, start one here.

use ganger_proto::gang::SLOTS_MAX;
use ganger_proto::picture::WorkerState;
use ganger_proto::{Name, Request, Role};

use super::keys::Step;
use super::{ask, why, worker};
use crate::keymap::Action;
use crate::model::field::Line;
use crate::model::overlay::{Button, Confirm, Overlay, Then, Typed};
use crate::model::{Asked, Model, Tone};
use crate::msg::Effect;
use crate::text::counted;

/// `D`: drains, or takes the drain back.
pub(super) fn drain(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(row) = model.worker_row() else { return };
    let (worker, running) = (row.name.clone(), row.running + row.waiting);
    match row.state {
        WorkerState::Draining => {
            let request = Request::Undrain { worker: worker.clone() };
            ask(model, request, Asked::Undrain(worker), out);
        }
        WorkerState::Up | WorkerState::Away if running == 0 => {
            ask(model, Request::Drain { worker: worker.clone() }, Asked::Drain(worker), out);
        }
        WorkerState::Up | WorkerState::Away => {
            let holds = counted(u64::from(running), "task", "tasks");
            let request = Request::Drain { worker: worker.clone() };
            model.overlays.push(Overlay::Confirm(Box::new(Confirm {
                title: format!("Drain {worker}"),
                lines: vec![
                    format!("It finishes the {holds} it holds and takes nothing new."),
                    "Nothing is lost; D takes the drain back.".to_owned(),
                ],
                verb: "Drain".to_owned(),
                focus: Button::Cancel,
                then: Then::Send(vec![(request, Asked::Drain(worker))]),
                typed: None,
            })));
        }
        WorkerState::Lost | WorkerState::Gone | WorkerState::Revoked => {
            model.say(Tone::Note, format!("{worker} is not connected; there is nothing to drain"));
        }
    }
}

/// `X`: revokes for good, once the worker's name is typed.
pub(super) fn revoke(model: &mut Model) {
    let Some(row) = model.worker_row() else { return };
    let name = row.name.clone();
    if row.state == WorkerState::Revoked {
        return model.say(Tone::Note, format!("{name} is revoked already"));
    }
    let holds = counted(u64::from(row.running + row.waiting), "task", "tasks");
    let request = Request::Revoke {
        name: name.clone(),
        role: Role::Worker,
        reason: "revoked from the screen".to_owned(),
    };
    model.overlays.push(Overlay::Confirm(Box::new(Confirm {
        title: format!("Revoke {name}"),
        lines: vec![
            "Its certificate is refused at once and its connections end.".to_owned(),
            format!("It holds {holds}; they go back to the queue."),
            "This cannot be undone; to come back it needs another token.".to_owned(),
        ],
        verb: "Revoke".to_owned(),
        focus: Button::Cancel,
        typed: Some(Typed { expected: name.to_string(), line: Line::default() }),
        then: Then::Send(vec![(request, Asked::Revoke(name))]),
    })));
}

/// `W`: a worker on the master's own machine. While workers are up this is said, since one of them
/// may be it.
pub(super) fn start_local(model: &mut Model, out: &mut Vec<Effect>) {
    if model.is_welcome() && model.picture.as_ref().is_some_and(|picture| picture.gang.up > 0) {
        return model.say(Tone::Note, "a worker is up already; press I to give it work");
    }
    ask(model, Request::StartLocalWorker { slots: 0 }, Asked::StartWorker, out);
}

/// What keys do to workers, and the question why a task waits for one.
pub(super) fn act(model: &mut Model, action: Action, out: &mut Vec<Effect>) {
    if action == Action::OpenWorker {
        worker::open(model, out);
    } else if action == Action::MoreSlots {
        slots(model, Step::Next, out);
    } else if action == Action::FewerSlots {
        slots(model, Step::Previous, out);
    } else if action == Action::Why {
        why::open(model, out);
    }
}

/// `+ -`: one slot more or less than the worker has, or was asked to have a moment ago.
fn slots(model: &mut Model, step: Step, out: &mut Vec<Effect>) {
    let Some(row) = model.worker_row() else { return };
    let worker = row.name.clone();
    let asked = model.asked.values().rev().find_map(|asked| {
        let Asked::Slots { worker: other, slots } = asked else { return None };
        (*other == worker).then_some(*slots)
    });
    let now = asked.unwrap_or(row.slots);
    let slots = match step {
        Step::Next => now.saturating_add(1).min(SLOTS_MAX),
        Step::Previous => now.saturating_sub(1).max(1),
    };
    if slots == now {
        return model.say(Tone::Note, format!("{worker} has 1 to {SLOTS_MAX} slots; D drains it"));
    }
    ask_for_slots(model, worker, slots, out);
}

/// `slots WORKER N`: as many as are named.
pub(super) fn set_slots(
    model: &mut Model,
    slots: u32,
    out: &mut Vec<Effect>,
) -> Result<(), String> {
    let Some(worker) = model.worker_row().map(|row| row.name.clone()) else {
        return Err("no worker is selected".to_owned());
    };
    if !(1..=SLOTS_MAX).contains(&slots) {
        return Err(format!("a worker has 1 to {SLOTS_MAX} slots; drain {worker} to give it none"));
    }
    ask_for_slots(model, worker, slots, out);
    Ok(())
}

fn ask_for_slots(model: &mut Model, worker: Name, slots: u32, out: &mut Vec<Effect>) {
    let request = Request::SetSlots { worker: worker.clone(), slots };
    ask(model, request, Asked::Slots { worker, slots }, out);
}

/// The next picture says the same; until it comes, another `+` counts from here.
pub(super) fn slots_set(model: &mut Model, worker: &Name, slots: u32) {
    let rows = model.picture.iter_mut().flat_map(|picture| &mut picture.workers);
    for row in rows.flat_map(|window| &mut window.rows).filter(|row| row.name == *worker) {
        row.slots = slots;
    }
    let runs = counted(u64::from(slots), "task", "tasks");
    let text =
        format!("{worker} runs up to {runs} at once, until its process ends; none is stopped");
    model.say(Tone::Good, text);
}
