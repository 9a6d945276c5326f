//! What the model knows of the terminal around the screen: who has the mouse, whether somebody
//! looks, and what of the pictures was worth calling them for.

use crate::mouse::{Capture, Hit};

/// The terminal around the screen.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) capture: Capture,
    /// The last click, on the monotonic clock: a second one soon after opens.
    pub(crate) clicked: Option<(u64, Hit)>,
    pub(crate) attention: Attention,
    pub(crate) alarm: Alarm,
}

/// Whether the person looks at the terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Attention {
    /// The terminal has not said.
    #[default]
    Unknown,
    /// It has the focus.
    Here,
    /// It lost the focus.
    Away,
}

/// What the last picture said, to see what the next one changes.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    pub(crate) before: Option<Seen>,
    /// When the queue began to have open tasks, with the counts of that moment.
    pub(crate) busy: Option<Busy>,
    /// Whether a failure was told since the queue was last empty or the last batch came.
    pub(crate) failure_told: bool,
    /// What waits to be told, the newest only.
    pub(crate) waiting: Option<String>,
    /// When something was told last, on the monotonic clock.
    pub(crate) told_ms: Option<u64>,
}

/// What a picture said of the things that are worth a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) picture: u64,
    pub(crate) failed: u64,
    pub(crate) workers_up: u32,
    pub(crate) in_trouble: bool,
    pub(crate) newest_batch: u64,
}

/// A stretch of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Busy {
    pub(crate) since_ms: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
}
