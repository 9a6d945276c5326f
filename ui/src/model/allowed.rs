//! Why an action is off at the moment, for the footer and for the key that tries it all the same.

use ganger_proto::Role;

use super::details::Details;
use super::{LinkState, Model, Screen};
use crate::keymap::Action;
use crate::layout;

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
    let on_tasks = [A::Mark, A::Open, A::Retry, A::Cancel, A::PriorityUp, A::PriorityDown];
    if action == A::Undo && model.undo.is_none() {
        Some("there is nothing to take back")
    } else if on_tasks.contains(&action) && has_no_target(model, action) {
        Some("no task is selected; choose one with ↑ ↓ first")
    } else if action == A::Cancel && model.details().is_some_and(Details::has_ended) {
        Some("it has ended; only open tasks can be cancelled")
    } else if action == A::DetailsPane && !matches!(model.screen, Screen::Tasks | Screen::Results) {
        Some("the pane opens on screens 2 and 3; Enter opens the task here")
    } else if action == A::DetailsPane && !layout::has_room_for_pane(&layout::frame(model.size)) {
        Some("the terminal is too small for a pane; Enter opens the task instead")
    } else if action == A::Streams && model.details().is_none() {
        Some("the log has no streams")
    } else if [A::Drain, A::Revoke].contains(&action) && model.worker_row().is_none() {
        Some("no worker is selected")
    } else {
        None
    }
}

fn has_no_target(model: &Model, action: Action) -> bool {
    if !model.overlays.is_empty() || model.details().is_some() {
        return false;
    }
    let Some(list) = model.list() else { return true };
    let by_marks = !matches!(action, Action::Mark | Action::Open) && !list.marks.is_empty();
    // Enter on a list that is followed opens its first row.
    let by_first = action == Action::Open && list.is_live() && !list.ids.is_empty();
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
