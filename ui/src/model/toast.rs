//! Sentences that go away by themselves, and what can be taken back meanwhile.

use ganger_proto::{BatchId, TaskId};

use super::Model;

/// How long a toast stays and `u` works, in milliseconds.
pub(crate) const TOAST_MS: u64 = 8_000;

/// A sentence that goes away by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) tone: Tone,
    pub(crate) until_ms: u64,
}

/// How a sentence is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Note,
    Bad,
}

/// What `u` takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Undo {
    pub(crate) of: UndoOf,
    pub(crate) tasks: u64,
    pub(crate) until_ms: u64,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum UndoOf {
    /// This batch was put in.
    Batch(BatchId),
    /// These tasks, which all waited, were cancelled.
    Cancel(Vec<TaskId>),
}

impl Model {
    pub(crate) fn say(&mut self, tone: Tone, text: impl Into<String>) {
        let text = crate::text::clean(&text.into());
        self.toast = Some(Toast { text, tone, until_ms: self.now.mono_ms + TOAST_MS });
    }
}
