//! Whether what a worker names keeps to what it can hold. Framing and its limits live in
//! `ganger-net`; whether a lease is the worker's own is the engine's to say.

use crate::limits::{INLINE_BYTES_MAX, NAMED_LEASES_MAX, REPORT_RUNS_MAX};
use crate::message::{LeaseRun, Report, WorkerHello, WorkerMessage};

impl WorkerHello {
    /// Tells whether it names at most [`NAMED_LEASES_MAX`] leases.
    pub fn is_bounded(&self) -> bool {
        named(self.holding.iter().map(|held| &held.leases)) <= NAMED_LEASES_MAX
    }
}

impl WorkerMessage {
    /// Tells whether it names at most [`NAMED_LEASES_MAX`] leases, and a report at most
    /// [`REPORT_RUNS_MAX`] runs, whose answers have at most [`INLINE_BYTES_MAX`] bytes each. Longer
    /// texts of other ends are cut where they are kept.
    pub fn is_bounded(&self) -> bool {
        match self {
            Self::Started { leases } | Self::Release { leases } => {
                named(leases) <= NAMED_LEASES_MAX
            }
            Self::Report(report) => report.is_bounded(),
            Self::Hold { .. } | Self::Heartbeat { .. } | Self::Draining { .. } => true,
        }
    }
}

impl Report {
    fn is_bounded(&self) -> bool {
        let runs = self.done.len() + self.ended.len() + self.for_good.len();
        let tasks: usize = self.done.iter().map(|run| run.results.len()).sum();
        let mut answers = self.done.iter().flat_map(|run| run.results.iter());
        runs <= REPORT_RUNS_MAX
            && tasks as u64 <= NAMED_LEASES_MAX
            && answers.all(|answer| answer.len() <= INLINE_BYTES_MAX)
    }
}

/// Counts leases; a run of none costs a look too, and counts as one.
fn named<'a>(runs: impl IntoIterator<Item = &'a LeaseRun>) -> u64 {
    runs.into_iter().map(|run| u64::from(run.count.max(1))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::DoneRun;
    use crate::{ArgList, Ended, Epoch, LeaseId, Outcome};

    fn run(counter: u64, count: u32) -> LeaseRun {
        LeaseRun { first: LeaseId { epoch: Epoch::new(1), counter }, count }
    }

    fn report(done: usize, of_each: usize, ended: usize) -> WorkerMessage {
        answered(done, of_each, ended, b"x")
    }

    fn answered(done: usize, of_each: usize, ended: usize, answer: &[u8]) -> WorkerMessage {
        let lease = run(1, 1).first;
        let results: ArgList = std::iter::repeat_n(answer, of_each).collect();
        let one = DoneRun { first: lease, took_us: vec![1; of_each], results };
        WorkerMessage::Report(Report {
            number: 1,
            done: vec![one; done],
            ended: vec![Ended::bare(lease, Outcome::Done, u64::MAX); ended],
            for_good: Vec::new(),
        })
    }

    #[test]
    fn what_is_named_is_bounded_in_leases_and_in_runs() {
        let most = usize::try_from(NAMED_LEASES_MAX).unwrap();
        let started = |leases| WorkerMessage::Started { leases };
        let check = |message: WorkerMessage, bounded| {
            assert_eq!(message.is_bounded(), bounded);
        };
        check(started(vec![run(1, 512); most / 512]), true);
        check(started(vec![run(1, u32::MAX)]), false);
        check(started(vec![run(u64::MAX, 0); most]), true);
        check(started(vec![run(u64::MAX, 0); most + 1]), false);
        check(WorkerMessage::Release { leases: vec![run(1, 2); most] }, false);
        check(report(REPORT_RUNS_MAX, 1, 0), true);
        check(report(REPORT_RUNS_MAX, 1, 1), false);
        check(report(1, most, 0), true);
        check(report(1, most + 1, 0), false);
        check(report(0, 0, REPORT_RUNS_MAX + 1), false);
        check(answered(2, 2, 0, &[b'x'; INLINE_BYTES_MAX]), true);
        check(answered(2, 2, 0, &[b'x'; INLINE_BYTES_MAX + 1]), false);
    }
}
