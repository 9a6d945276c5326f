//! Rates and counts of the last minutes, a sample a second. Soft: a restart begins again.

use std::collections::VecDeque;

use ganger_proto::picture::{Counts, History};

/// Seconds of rates kept.
const RATE_SECONDS: usize = 300;
/// Seconds of counts kept.
const COUNT_SECONDS: usize = 60;

/// Rates and counts; the last sample is of the second that has not ended.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    second: u64,
    rates: VecDeque<(u32, u32)>,
    counts: VecDeque<Counts>,
    first: Option<u64>,
}

impl Pulse {
    /// Counts tasks that ended well and otherwise at a moment of the monotonic clock.
    pub(super) fn count(&mut self, mono_ms: u64, ended: (u64, u64)) {
        if ended == (0, 0) {
            return;
        }
        self.turn(mono_ms, Counts::default());
        self.first.get_or_insert(mono_ms);
        if let Some(last) = self.rates.back_mut() {
            last.0 = last.0.saturating_add(u32::try_from(ended.0).unwrap_or(u32::MAX));
            last.1 = last.1.saturating_add(u32::try_from(ended.1).unwrap_or(u32::MAX));
        }
    }

    /// Keeps the counts of a moment.
    pub(super) fn sample(&mut self, mono_ms: u64, counts: Counts) {
        self.turn(mono_ms, counts);
        if let Some(last) = self.counts.back_mut() {
            *last = counts;
        }
    }

    /// Returns the samples, the oldest first.
    pub(super) fn history(&self) -> History {
        History {
            done: self.rates.iter().map(|(done, _)| *done).collect(),
            failed: self.rates.iter().map(|(_, failed)| *failed).collect(),
            counts: self.counts.iter().copied().collect(),
        }
    }

    /// Returns tasks that ended well a second: over the last five whole seconds, and over the last
    /// five minutes or since the first.
    pub(super) fn rates(&self, mono_ms: u64) -> (f32, f32) {
        let idle = (mono_ms / 1_000).saturating_sub(self.second) as usize;
        let part = (mono_ms % 1_000) as f32 / 1_000.0;
        let newest = self.rates.iter().rev().take(6_usize.saturating_sub(idle));
        let recent: u64 = newest.map(|(done, _)| u64::from(*done)).sum();
        let since = self.first.map_or(0, |first| mono_ms.saturating_sub(first));
        let span = (since as f32 / 1_000.0).min(5.0 + part).max(1.0);
        let all: u64 = self.rates.iter().map(|(done, _)| u64::from(*done)).sum();
        let long = (since as f32 / 1_000.0).min(RATE_SECONDS as f32).max(1.0);
        (recent as f32 / span, all as f32 / long)
    }

    fn turn(&mut self, mono_ms: u64, counts: Counts) {
        let second = mono_ms / 1_000;
        if self.rates.is_empty() {
            self.second = second;
            self.rates.push_back((0, 0));
            self.counts.push_back(counts);
        }
        let missed = second.saturating_sub(self.second).min(RATE_SECONDS as u64);
        for _ in 0..missed {
            let last = self.counts.back().copied().unwrap_or_default();
            self.rates.push_back((0, 0));
            self.counts.push_back(last);
        }
        self.second = self.second.max(second);
        self.rates.drain(..self.rates.len().saturating_sub(RATE_SECONDS));
        self.counts.drain(..self.counts.len().saturating_sub(COUNT_SECONDS));
    }
}

/// What one worker ended well in the last seconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recent {
    second: u64,
    counts: [u64; RECENT_SECONDS],
}

/// The second that goes on, and the five before it.
const RECENT_SECONDS: usize = 6;

impl Recent {
    /// Counts tasks at a moment of the monotonic clock.
    pub(super) fn add(&mut self, mono_ms: u64, count: u64) {
        self.turn(mono_ms);
        self.counts[0] += count;
    }

    /// Returns tasks a second over the last five whole seconds and the present one.
    pub(super) fn per_s(mut self, mono_ms: u64) -> f32 {
        self.turn(mono_ms);
        let span = 5.0 + (mono_ms % 1_000) as f32 / 1_000.0;
        self.counts.iter().sum::<u64>() as f32 / span
    }

    fn turn(&mut self, mono_ms: u64) {
        let passed = (mono_ms / 1_000).saturating_sub(self.second);
        self.second += passed;
        let passed = usize::try_from(passed).unwrap_or(RECENT_SECONDS).min(RECENT_SECONDS);
        self.counts.rotate_right(passed % RECENT_SECONDS);
        self.counts[..passed].fill(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workers_rate_falls_to_nothing() {
        let mut recent = Recent::default();
        for second in 10..16 {
            recent.add(second * 1_000, 50);
        }
        assert!((recent.per_s(15_999) - 50.0).abs() < 1.0, "{}", recent.per_s(15_999));
        assert!(recent.per_s(18_000) < 40.0);
        assert_eq!(recent.per_s(22_000), 0.0);
    }

    #[test]
    fn rates_are_of_the_last_seconds() {
        let mut pulse = Pulse::default();
        for second in 0..10 {
            pulse.count(second * 1_000 + 10, (100, 0));
        }
        let (now, mean) = pulse.rates(9_990);
        assert!((90.0..=110.0).contains(&now), "{now}");
        assert!((90.0..=110.0).contains(&mean), "{mean}");
        assert_eq!(pulse.rates(60_000).0, 0.0);
        pulse.sample(20_000, Counts { queued: 7, ..Counts::default() });
        assert_eq!(pulse.history().counts.last().unwrap().queued, 7);
        assert_eq!(pulse.history().done.len(), 21);
    }
}
