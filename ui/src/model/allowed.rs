//! Why an action is off at the moment, for the footer and for the key that tries it all the same.

use ganger_proto::Role;

use super::overlay::Overlay;
use super::{LinkState, Model};
use crate::keymap::Action;

/// Whether this screen may change anything, whatever its certificate allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// What the certificate allows.
    #[default]
    Full,
    /// Nothing.
    ReadOnly,
}

/// Who may do it, at the least.
enum Needs {
    Nothing,
    Submitter,
    Operator,
}

/// Returns why `action` is off; nothing when it may be tried.
pub(crate) fn reason(model: &Model, action: Action) -> Option<&'static str> {
    no_right(model, action).or_else(|| no_object(model, action))
}

/// What is said wherever a screen that may only look is asked for more.
pub(crate) const READ_ONLY: &str = "this screen is read-only (--read-only)";

/// Returns why nobody here may do it, whatever is selected.
pub(crate) fn no_right(model: &Model, action: Action) -> Option<&'static str> {
    match (needs(action), &model.link) {
        (Needs::Nothing, _) => None,
        (Needs::Submitter | Needs::Operator, _) if model.access == Access::ReadOnly => {
            Some(READ_ONLY)
        }
        (_, LinkState::Dialling | LinkState::Lost { .. } | LinkState::Refused(_)) => {
            Some("there is no connection; actions are off until it is back")
        }
        (Needs::Submitter, LinkState::Up(connection)) => {
            matches!(connection.you.role, Role::Viewer | Role::Worker)
                .then_some("a viewer changes nothing; ask an operator for another certificate")
        }
        (Needs::Operator, LinkState::Up(connection)) => {
            let may = connection.you.role == Role::Operator;
            (!may).then_some("only an operator may do this; ask one of this master")
        }
    }
}

/// Returns why there is nothing to do it to.
fn no_object(model: &Model, action: Action) -> Option<&'static str> {
    use Action as A;
    let on_tasks = [A::Mark, A::Open, A::Retry, A::Cancel, A::PriorityUp, A::PriorityDown];
    if action == A::Undo && model.undo.is_none() {
        Some("there is nothing to take back")
    } else if on_tasks.contains(&action) && has_no_target(model, action) {
        Some("no task is selected; choose one with ↑ ↓ first")
    } else if [A::Drain, A::Revoke].contains(&action) && model.worker_row().is_none() {
        Some("no worker is selected")
    } else {
        None
    }
}

fn has_no_target(model: &Model, action: Action) -> bool {
    let covered = |overlay: &Overlay| !matches!(overlay, Overlay::Palette(_) | Overlay::Help(_));
    if model.overlays.iter().any(covered) {
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
