//! `--timeout` of a run: a time, or a part of the median of the tasks before. Says who has run for
//! too long; does not stop anybody.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use ganger_proto::TaskId;
use tokio::time::Instant;

/// How long a task may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// This long; the worker sees to it.
    Time(Duration),
    /// This many percent of the median.
    Percent(u32),
}

/// Reads seconds (`5`, `0.5`) or a time with its unit (`500ms`, `10m`).
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(time) => Ok(time),
        None => super::super::duration(text),
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_suffix('%') {
            None => time(text).map(Self::Time),
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| *percent > 0)
                .map(Self::Percent)
                .ok_or_else(|| "write a part of the median as 200%".to_owned()),
        }
    }
}

/// Tasks whose times make a median.
const MEDIAN_OF_MIN: usize = 3;
/// Times kept; what comes later hardly moves their median.
const TIMES_MAX: usize = 10_000;

/// How long tasks took, and since when others run.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// In microseconds, sorted.
    times: Vec<u64>,
    running: BTreeMap<TaskId, Instant>,
}

impl Pace {
    /// Counts a task that ended well.
    pub(crate) fn ended(&mut self, took_us: u64) {
        if self.times.len() < TIMES_MAX {
            let at = self.times.partition_point(|time| *time < took_us);
            self.times.insert(at, took_us);
        }
    }

    /// Returns how long a task may run; nothing before enough of them have ended.
    fn limit(&self, percent: u32) -> Option<Duration> {
        let enough = self.times.len() >= MEDIAN_OF_MIN;
        let median = self.times.get(self.times.len() / 2).filter(|_| enough)?;
        Some(Duration::from_micros(median.saturating_mul(u64::from(percent)) / 100))
    }

    /// Takes in who runs now; returns those who have for too long, once each.
    pub(crate) fn over(&mut self, now: Instant, ids: &[TaskId], percent: u32) -> Vec<TaskId> {
        let before = std::mem::take(&mut self.running);
        let since = |id: &TaskId| (*id, before.get(id).copied().unwrap_or(now));
        self.running = ids.iter().map(since).collect();
        let Some(limit) = self.limit(percent) else { return Vec::new() };
        let over = |since: &Instant| now.saturating_duration_since(*since) > limit;
        let found: Vec<TaskId> =
            self.running.iter().filter(|(_, since)| over(since)).map(|(id, _)| *id).collect();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let check = |text: &str, limit: Limit| assert_eq!(text.parse(), Ok(limit), "{text}");
        check("5", Limit::Time(Duration::from_secs(5)));
        check("0.5", Limit::Time(Duration::from_millis(500)));
        check("2m", Limit::Time(Duration::from_secs(120)));
        check("200%", Limit::Percent(200));
        for text in ["", "x", "-1", "0%", "x%"] {
            assert!(text.parse::<Limit>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_runs_longer_than_a_part_of_the_median_is_named() {
        let mut pace = Pace::default();
        let (slow, new) = (TaskId::new(7), TaskId::new(8));
        let begin = Instant::now();
        assert!(pace.over(begin, &[slow], 200).is_empty());
        pace.ended(100_000);
        pace.ended(900_000);
        assert!(pace.over(begin + Duration::from_secs(9), &[slow], 200).is_empty(), "only two");
        pace.ended(200_000);
        let later = begin + Duration::from_secs(10);
        assert_eq!(pace.over(later, &[slow, new], 200), [slow]);
        assert!(pace.over(later + Duration::from_millis(400), &[new], 200).is_empty());
        assert_eq!(pace.over(later + Duration::from_millis(401), &[new], 200), [new]);
    }
}
