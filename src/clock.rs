//! The only reader of the machine's clocks. Does not decide what a time means.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ganger_proto::WallMs;

/// A moment, read once per turn of a loop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Milliseconds on a clock that only goes forward; its zero means nothing.
    pub mono_ms: u64,
    /// Milliseconds since the Unix epoch; never goes back within a process.
    pub wall: WallMs,
}

/// Reads both clocks.
#[derive(Clone, Debug)]
pub struct Clock {
    start: Instant,
    wall_newest: Arc<AtomicU64>,
}

impl Clock {
    /// Starts a clock; its monotonic zero is this moment.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn start() -> Self {
        Self { start: Instant::now(), wall_newest: Arc::new(AtomicU64::new(0)) }
    }

    /// Returns this moment. The wall time stands still when the system's clock is set back.
    pub fn now(&self) -> Now {
        Now { mono_ms: self.micros() / 1_000, wall: self.wall() }
    }

    /// Returns microseconds since the clock was started.
    pub fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Returns the wall time; it stands still when the system's clock is set back.
    pub fn wall(&self) -> WallMs {
        let WallMs(read) = system();
        WallMs(self.wall_newest.fetch_max(read, Ordering::Relaxed).max(read))
    }

    /// Returns the system's clock in the form that `ganger-net` takes. It may go back: certificates
    /// go by what the clock says now, or a moment in which it was ahead would shut out everybody
    /// until the master is started again.
    pub fn as_wall_clock(&self) -> ganger_net::WallClock {
        Arc::new(system)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
fn system() -> WallMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
