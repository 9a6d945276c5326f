//! Why an action is off at the moment, for the footer and for the key that tries it all the same.

use ganger_proto::Role;
use ganger_proto::picture::WorkerState;

use super::{LinkState, Model};
use crate::keymap::Action;

/// Who may do it, at the least.
enum Needs {
    Nothing,
    Submitter,
    Operator,
}

/// Returns why `action` is off; nothing when it may be tried.
pub(crate) fn reason(model: &Model, action: Action) -> Option<&'static str> {
    match (needs(action), &model.link) {
        (Needs::Nothing, _) => {}
        (_, LinkState::Dialling | LinkState::Lost { .. } | LinkState::Refused(_)) => {
            return Some("there is no connection; actions are off until it is back");
        }
        (Needs::Submitter, LinkState::Up(connection)) => {
            if matches!(connection.you.role, Role::Viewer | Role::Worker) {
                return Some("a viewer changes nothing; ask an operator for another certificate");
            }
        }
        (Needs::Operator, LinkState::Up(connection)) => {
            if connection.you.role != Role::Operator {
                return Some("only an operator may do this; ask one of this master");
            }
        }
    }
    use Action as A;
    let on_tasks = [A::Mark, A::Open, A::Retry, A::Cancel, A::PriorityUp, A::PriorityDown, A::Why];
    if action == A::Undo && model.undo.is_none() {
        Some("there is nothing to take back")
    } else if on_tasks.contains(&action) && has_no_target(model, action) {
        Some("no task is selected; choose one with ↑ ↓ first")
    } else {
        on_worker(model, action)
    }
}

fn on_worker(model: &Model, action: Action) -> Option<&'static str> {
    use Action as A;
    let actions = [A::Drain, A::Revoke, A::OpenWorker, A::MoreSlots, A::FewerSlots];
    if !actions.contains(&action) {
        return None;
    }
    let Some(row) = model.worker_row() else {
        return Some("no worker is selected; J prints the line that brings one in");
    };
    let is_here = matches!(row.state, WorkerState::Up | WorkerState::Draining);
    let on_slots = matches!(action, A::MoreSlots | A::FewerSlots);
    if on_slots && !is_here {
        Some("it is not connected; its slots can be changed while it is")
    } else if action == A::FewerSlots && row.slots <= 1 {
        Some("one slot is the least; D lets it take nothing")
    } else if action == A::Drain && !is_here && row.state != WorkerState::Away {
        Some("it is not connected; there is nothing to drain")
    } else if action == A::Revoke && row.state == WorkerState::Revoked {
        Some("it is revoked already")
    } else {
        None
    }
}

fn has_no_target(model: &Model, action: Action) -> bool {
    if !model.overlays.is_empty() {
        return false;
    }
    let Some(list) = model.list() else { return true };
    let by_marks =
        !matches!(action, Action::Mark | Action::Open | Action::Why) && !list.marks.is_empty();
    // Enter on a list that is followed opens its first row.
    let opens = matches!(action, Action::Open | Action::Why);
    let by_first = opens && list.is_live() && !list.ids.is_empty();
    list.cursor().is_none() && !by_marks && !by_first
}

fn needs(action: Action) -> Needs {
    use Action as A;
    const SUBMITTER: [A; 10] = [
        A::Inject,
        A::Again,
        A::Quick,
        A::Undo,
        A::Retry,
        A::RetryAll,
        A::Cancel,
        A::Delete,
        A::EditCopy,
        A::Submit,
    ];
    const OPERATOR: [A; 9] = [
        A::PriorityUp,
        A::PriorityDown,
        A::PauseQueue,
        A::JoinDialog,
        A::StartWorker,
        A::Drain,
        A::Revoke,
        A::MoreSlots,
        A::FewerSlots,
    ];
    if SUBMITTER.contains(&action) {
        Needs::Submitter
    } else if OPERATOR.contains(&action) {
        Needs::Operator
    } else {
        Needs::Nothing
    }
}
