//! Heartbeats: when the next one is due. The master sets the pace of idle ones, within bounds.

use super::{Effect, Link, WorkerCore};

impl WorkerCore {
    /// Beats at this pace from now on while nothing is held.
    pub(super) fn beat_at(&mut self, beat_ms: u32) {
        let beat_ms = beat_ms.clamp(*BEAT_MS.start(), *BEAT_MS.end());
        self.beat_idle_us = u64::from(beat_ms) * 1_000;
    }

    /// Beats when it is due.
    pub(super) fn beat(&mut self, now_us: u64, beat_us: u64) {
        let Link::Up { started_us, .. } = self.link else { return };
        // A heartbeat that was put off for an idle worker comes forward when work arrives.
        let idle = self.beat_idle_us;
        let every = if self.holds_nothing() { idle } else { idle.min(BEAT_HOLDING_US) };
        let due_us = beat_us.min(now_us.saturating_add(every));
        let next_us = if due_us > now_us {
            due_us
        } else {
            let running = u32::try_from(self.slots_busy()).unwrap_or(u32::MAX);
            self.effects.push(Effect::Beat(running));
            now_us.saturating_add(every)
        };
        self.link = Link::Up { beat_us: next_us, started_us };
    }
}

/// The longest time between heartbeats while leases are held.
const BEAT_HOLDING_US: u64 = 2_000_000;
/// The shortest and the longest time between heartbeats that a master can ask for.
const BEAT_MS: std::ops::RangeInclusive<u32> = 200..=7_000;
/// The pace of idle beats until a master says another, in microseconds.
pub(super) const IDLE_US: u64 = *BEAT_MS.end() as u64 * 1_000;
