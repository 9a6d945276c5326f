//! Short tasks: how many of them are worth a message, and a worker. Work is spread over all workers
//! with room, but no thinner than this: a thousand workers that get four squares each cost the
//! master more than a few that get thousands, and nobody is done sooner. Soft: a restart learns
//! anew.

use std::collections::BTreeMap;

use ganger_proto::SpecId;
use ganger_proto::limits::HOLD_TASKS_MAX;

/// What a worker gets at least, in microseconds of work.
const WORTH_US: u64 = 1_000;
/// Tasks that one grant is made to have at most for that.
const LEAST_MAX: u64 = 256;

/// How long tasks take, by what they run, as far as workers answered for them in runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Short {
    /// The mean so far, in sixteenths of a microsecond; newer tasks weigh more.
    mean: BTreeMap<SpecId, u64>,
}

impl Short {
    /// Takes note of `count` tasks that took `us` together.
    pub(super) fn took(&mut self, spec: SpecId, count: u64, us: u64) {
        let new = us.saturating_mul(16) / count.max(1);
        let mean = self.mean.entry(spec).or_insert(new);
        *mean = mean.saturating_mul(3).saturating_add(new) / 4;
    }

    /// Returns how many tasks a worker should hold before another one gets some; one when nothing
    /// is known.
    pub(super) fn worth(&self, spec: SpecId) -> u64 {
        let mean = self.mean.get(&spec).map(|mean| mean.max(&1));
        mean.map_or(1, |mean| (WORTH_US * 16 / mean).clamp(1, u64::from(HOLD_TASKS_MAX)))
    }

    /// Returns how many tasks one grant should have at least.
    pub(super) fn least(&self, spec: SpecId) -> u64 {
        self.worth(spec).min(LEAST_MAX)
    }

    /// Forgets what no batch runs any more.
    pub(super) fn retain(&mut self, is_known: impl Fn(SpecId) -> bool) {
        self.mean.retain(|spec, _| is_known(*spec));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_gets_a_millisecond_of_work() {
        let mut short = Short::default();
        let (squares, calls) = (SpecId::new(1), SpecId::new(2));
        assert_eq!(short.least(squares), 1, "nothing is known yet");
        short.took(squares, 100, 0);
        assert_eq!((short.least(squares), short.worth(squares)), (256, 8_192));
        short.took(calls, 10, 1_000);
        assert_eq!(short.least(calls), 10);
        for _ in 0..40 {
            short.took(calls, 1, 1_000_000);
        }
        assert_eq!(short.least(calls), 1, "they have become long");
        short.retain(|spec| spec == calls);
        assert_eq!(short.least(squares), 1);
    }
}
