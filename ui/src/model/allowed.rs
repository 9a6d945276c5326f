//! Why an action is off at the moment, for the footer and for the key that tries it all the same.

use ganger_proto::Role;
use ganger_proto::picture::WorkerState;

use super::details::Details;
use super::list::List;
use super::overlay::Overlay;
use super::{Focus, LinkState, Model, Screen};
use crate::keymap::Action;
use crate::layout;

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
    let on_tasks = [
        A::Mark,
        A::MarkRange,
        A::Open,
        A::Retry,
        A::Cancel,
        A::Delete,
        A::PriorityUp,
        A::PriorityDown,
        A::EditCopy,
        A::GoWorker,
        A::GoBatch,
        A::CopyJson,
        A::Why,
    ];
    let on_screens = matches!(model.focus(), Some(Focus::Next | Focus::Latest));
    if action == A::Undo && model.undo.is_none() {
        Some("there is nothing to take back")
    } else if [A::MarkAll, A::MarkInvert, A::RetryAll].contains(&action) && on_screens {
        Some("only the newest are here; press 2 or 3 for the list of all, then do it there")
    } else if on_tasks.contains(&action) && has_no_target(model, action) {
        if model.list().is_some_and(List::is_stale) {
            return Some("the list is on its way; try again in a moment");
        }
        Some("no task is selected; choose one with ↑ ↓ first")
    } else if action == A::Cancel && model.details().is_some_and(Details::has_ended) {
        Some("it has ended; only open tasks can be cancelled")
    } else if action == A::DetailsPane && !matches!(model.screen, Screen::Tasks | Screen::Results) {
        Some("the pane opens on screens 2 and 3; Enter opens the task here")
    } else if action == A::DetailsPane && !layout::has_room_for_pane(&layout::frame(model.size)) {
        Some("the terminal is too small for a pane; Enter opens the task instead")
    } else if action == A::Streams && model.details().is_none() {
        Some("the log has no streams")
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
    let covered = |overlay: &Overlay| !matches!(overlay, Overlay::Palette(_) | Overlay::Help(_));
    if model.overlays.iter().any(covered) || model.details().is_some() {
        return false;
    }
    use Action as A;
    let Some(list) = model.list() else { return true };
    let of_marks = [A::Retry, A::Cancel, A::Delete, A::PriorityUp, A::PriorityDown];
    let by_marks = of_marks.contains(&action) && !list.marks.is_empty();
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
    const OPERATOR: [A; 10] = [
        A::Identities,
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
