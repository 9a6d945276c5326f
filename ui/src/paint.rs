//! The paint rule: a key draws at once; data draws at most 30 times a second and only when
//! something changed; an idle screen draws only where an age or a clock is shown, once a second.
//! Draws nothing itself.

use std::time::Duration;

use ganger_proto::Picture;
use tokio::time::Instant;

use crate::model::Model;

/// Time between two draws for data.
const FRAME: Duration = Duration::from_micros(33_334);

/// When the next draw for data is due.
#[derive(Default)]
pub(crate) struct Paint {
    pub(crate) last: Option<Instant>,
    pub(crate) due: Option<Instant>,
    /// The newest watch that a picture has answered: the first answer to a key is a part of what
    /// the key does, and is drawn at once.
    pub(crate) answered: u64,
    /// Seconds that the terminal has been the shell's.
    pub(crate) suspended_s: Option<u8>,
}

impl Paint {
    /// Asks for a draw, as soon as the rule allows.
    pub(crate) fn soon(&mut self) {
        let now = Instant::now();
        let earliest = self.last.map_or(now, |last| last + FRAME);
        self.due.get_or_insert(earliest.max(now));
    }
}

/// Tells whether a second changes what is seen.
pub(crate) fn shows_time(model: &Model) -> bool {
    let has_clock = model.size.0 >= 70;
    has_clock || !model.is_up() || model.toast.is_some() || !model.overlays.is_empty()
}

/// Tells whether a picture draws the same cells as the one before it.
pub(crate) fn same_look(before: Option<&Picture>, after: &Picture) -> bool {
    before.is_some_and(|before| {
        before.master == after.master
            && before.gang == after.gang
            && before.queues == after.queues
            && before.tasks == after.tasks
            && before.results == after.results
            && before.workers == after.workers
            && before.history == after.history
            && before.log == after.log
    })
}
