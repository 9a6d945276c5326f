//! Wall time as a number, and durations as people read them. Reads no clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct WallMs(pub u64);

impl WallMs {
    /// Returns the milliseconds from `earlier` to this, 0 when `earlier` is later.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Returns this moment plus `ms` milliseconds.
    pub const fn plus(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }
}

/// A duration in microseconds, shown in at most six columns: `87µs`, `1.2ms`, `43ms`, `3.2s`,
/// `1m04`, `2h14m`, `9d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanMicros(pub u64);

impl fmt::Display for HumanMicros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = self.0;
        let ms = us / 1_000;
        let s = ms / 1_000;
        let text = match us {
            0..1_000 => format!("{us}µs"),
            1_000..10_000 => format!("{}.{}ms", ms, us % 1_000 / 100),
            10_000..1_000_000 => format!("{ms}ms"),
            1_000_000..60_000_000 => format!("{}.{}s", s, ms % 1_000 / 100),
            60_000_000..3_600_000_000 => format!("{}m{:02}", s / 60, s % 60),
            3_600_000_000..172_800_000_000 => format!("{}h{:02}m", s / 3_600, s / 60 % 60),
            _ => format!("{}d", s / 86_400),
        };
        f.pad(&text)
    }
}

/// A duration in milliseconds, shown as [`HumanMicros`] shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanMs(pub u64);

impl fmt::Display for HumanMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&HumanMicros(self.0.saturating_mul(1_000)), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let check = |us: u64, text: &str| assert_eq!(HumanMicros(us).to_string(), text);
        check(87, "87µs");
        check(1_234, "1.2ms");
        check(43_210, "43ms");
        check(3_210_000, "3.2s");
        check(64_000_000, "1m04");
        check(8_040_000_000, "2h14m");
        check(800_000_000_000, "9d");
    }
}
