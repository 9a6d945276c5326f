//! What is done to workers: drain, revoke, start one here.

use ganger_proto::picture::WorkerState;
use ganger_proto::{Request, Role};

use super::ask;
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

pub(super) fn act(_model: &mut Model, _action: crate::keymap::Action, _out: &mut Vec<Effect>) {}
