//! How long to wait between dials. Waits for nothing itself.

use std::time::Duration;

const FIRST_MS: u64 = 100;
const MAX_MS: u64 = 5_000;

/// Waits between dials: doubles from 100 ms to 5 s, with full jitter.
#[derive(Debug, Default)]
pub struct Backoff {
    waits: u32,
}

impl Backoff {
    /// Returns the next wait.
    pub fn next_wait(&mut self) -> Duration {
        let bound = FIRST_MS.saturating_mul(1 << self.waits.min(16)).min(MAX_MS);
        self.waits = self.waits.saturating_add(1);
        Duration::from_millis(fastrand::u64(0..=bound))
    }

    /// Begins again at the shortest wait, after a welcome.
    pub fn reset(&mut self) {
        self.waits = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_bound() {
        let mut backoff = Backoff::default();
        for bound in [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000] {
            assert!(backoff.next_wait() <= Duration::from_millis(bound));
        }
        let longest = (0..1_000).map(|_| backoff.next_wait()).max().unwrap();
        assert!(longest > Duration::from_secs(4) && longest <= Duration::from_secs(5));
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }
}
