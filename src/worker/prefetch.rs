//! How many slots' worth of tasks of one lane to hold, running and waiting together, so that no
//! slot idles for a round trip. PURE.

use ganger_proto::limits::HOLD_TASKS_MAX;

/// Watches how long tasks take.
#[derive(Debug)]
pub(super) struct Prefetch {
    slots: u32,
    /// The moving average of durations, in microseconds; none before the first end.
    average_us: Option<f64>,
    round_trip_us: u64,
    /// What the master was told last.
    told: u32,
}

/// Tasks that wait beyond those that run, at most.
const WAITING_MAX: u32 = 4_096;
/// Tasks longer than this are not fetched ahead.
const LONG_US: f64 = 1e6;
/// What gathering reports, the master, and the disk take besides the round trip.
const MASTER_US: f64 = 30_000.0;
/// The weight of what was known before one more task ended.
const MEMORY: f64 = 0.9;

impl Prefetch {
    /// Begins without knowing anything about the tasks.
    pub(super) fn new(slots: u32) -> Self {
        Self { slots, average_us: None, round_trip_us: 0, told: 0 }
    }

    /// Takes note of another number of slots.
    pub(super) fn set_slots(&mut self, slots: u32) {
        self.slots = slots;
    }

    /// Takes note of `count` tasks that took this long each.
    pub(super) fn took(&mut self, each_us: u64, count: u32) {
        let each = (each_us.max(1)) as f64;
        let old = MEMORY.powi(i32::try_from(count).unwrap_or(i32::MAX));
        self.average_us = Some(self.average_us.map_or(each, |us| us * old + each * (1.0 - old)));
    }

    /// Takes note of the round trip to the master.
    pub(super) fn round_trip(&mut self, us: u64) {
        self.round_trip_us = us;
    }

    /// Returns how many tasks to hold.
    pub(super) fn hold(&self) -> u32 {
        let ahead = match self.average_us {
            None => self.slots,
            Some(us) if us > LONG_US => 0,
            Some(us) => {
                let rate = f64::from(self.slots) / us;
                let ahead = rate * (self.round_trip_us as f64 + MASTER_US);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped to a small positive range"
                )]
                let ahead = ahead.clamp(0.0, f64::from(WAITING_MAX)) as u32;
                ahead
            }
        };
        self.slots.saturating_add(ahead).min(HOLD_TASKS_MAX)
    }

    /// Tells whether it is worth telling that so many are to be held: it changed by a third, or to
    /// or from the extremes.
    pub(super) fn is_news(&self, wanted: u32) -> bool {
        let (old, new) = (u64::from(self.told), u64::from(wanted));
        let extreme = |n: u64| n <= u64::from(self.slots);
        let far = new * 3 >= old * 4 || new * 4 <= old * 3;
        old != new && (far || extreme(old) || extreme(new))
    }

    /// Takes note of what the master was told.
    pub(super) fn told(&mut self, hold: u32) {
        self.told = hold;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(slots: u32, took_us: &[u64], round_trip_ms: u64, hold: u32) {
        let mut prefetch = Prefetch::new(slots);
        prefetch.round_trip(round_trip_ms * 1_000);
        for us in took_us {
            prefetch.took(*us, 50);
        }
        assert_eq!(prefetch.hold(), hold, "{slots} slots, {took_us:?}");
    }

    #[test]
    fn short_tasks_are_fetched_ahead_and_long_ones_not() {
        check(2, &[], 0, 4);
        check(2, &[1_000], 0, 2 + 60);
        check(2, &[1_000], 80, 2 + 220);
        check(2, &[0], 0, 2 + 4_096);
        check(8, &[1_500_000], 500, 8);
        check(1, &[500_000], 0, 1);
        check(8_192, &[1], 0, HOLD_TASKS_MAX);
        check(2, &[1, 3_000_000], 0, 2);
    }

    #[test]
    fn small_changes_are_not_told() {
        let mut prefetch = Prefetch::new(2);
        prefetch.told(40);
        for (wanted, told) in [
            (41, false),
            (50, false),
            (54, true),
            (54, false),
            (44, false),
            (40, true),
            (2, true),
            (3, true),
            (0, true),
            (0, false),
        ] {
            assert_eq!(prefetch.is_news(wanted), told, "{wanted}");
            if told {
                prefetch.told(wanted);
            }
        }
    }
}
