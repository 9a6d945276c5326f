//! Signs of states: a glyph, a word and a role for each, so that nothing rests on colour alone.

use ganger_proto::picture::WorkerState;
use ganger_proto::{Outcome, TaskState};

use crate::theme::Role;

/// Returns a task state's glyph and role.
pub(super) const fn task(state: TaskState) -> (&'static str, Role) {
    match state {
        TaskState::Blocked => ("◌", Role::Blocked),
        TaskState::Delayed => ("↻", Role::Delayed),
        TaskState::Queued => ("○", Role::Queued),
        TaskState::Sent => ("◔", Role::Sent),
        TaskState::Running => ("▸", Role::Running),
        TaskState::Done => ("✓", Role::Done),
        TaskState::Failed => ("✗", Role::Failed),
        TaskState::Cancelled => ("⊘", Role::Cancelled),
    }
}

/// Returns an ended attempt's glyph and role.
pub(super) const fn outcome(outcome: Option<Outcome>, state: TaskState) -> (&'static str, Role) {
    match outcome {
        Some(Outcome::TimedOut) => ("◷", Role::Failed),
        Some(Outcome::Lost) => ("⇄", Role::Delayed),
        _ => task(state),
    }
}

/// Returns a worker state's glyph, word and role.
pub(super) const fn worker(state: WorkerState) -> (&'static str, &'static str, Role) {
    match state {
        WorkerState::Up => ("●", "up", Role::Good),
        WorkerState::Draining => ("◐", "drain", Role::Note),
        WorkerState::Away => ("○", "away", Role::Note),
        WorkerState::Lost => ("✗", "lost", Role::Bad),
        WorkerState::Gone => ("⊘", "gone", Role::Dim),
        WorkerState::Revoked => ("⊘", "revoked", Role::Bad),
    }
}
