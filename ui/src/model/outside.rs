//! What the model knows of the terminal around the screen: who has the mouse, what was clicked last.

use crate::mouse::{Capture, Hit};

/// The terminal around the screen.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) capture: Capture,
    /// The last click, on the monotonic clock: a second one soon after opens.
    pub(crate) clicked: Option<(u64, Hit)>,
}
