//! Reports: ends of attempts gathered, numbered, and kept until the master says that they are
//! durable. PURE. Sends nothing; see core.rs.

use std::collections::{BTreeSet, VecDeque};

use ganger_proto::message::{DoneRun, LeaseRun, Report};
use ganger_proto::{Ended, LeaseId};

use super::waiting::join;
use crate::bug::{self, Bug};

/// Ends of attempts that no acknowledgement has covered.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// Gathered, without a number.
    open: Report,
    open_tasks: usize,
    open_bytes: usize,
    /// Leases that are not to be tried again and whose ends are still to come.
    for_good: BTreeSet<LeaseId>,
    /// Numbered, not acknowledged; numbers rise by one.
    closed: VecDeque<Report>,
    /// How many of `closed`, counted from the end, this connection has not sent.
    unsent: usize,
    /// The newest number.
    number: u64,
    /// When what gathers goes, although more tasks wait to run.
    due_us: Option<u64>,
}

/// Whether the worker has something else to run, so that nobody waits for its reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// Tasks wait for the slots that ends free.
    Yes,
    /// What ends is waited for.
    No,
}

/// A report of this many tasks or bytes goes without waiting for the one before it.
const FULL_TASKS: usize = 512;
const FULL_BYTES: usize = 256 << 10;
/// How long ends of children gather while more tasks wait to run. Each report costs a packet, a
/// turn of the master, and a commit; well below what a worker holds in advance.
const GATHER_US: u64 = 10_000;

impl Reports {
    /// Adds a run that ended well.
    pub(super) fn done(&mut self, run: DoneRun) {
        self.open_tasks += run.results.len();
        self.open_bytes += run.results.total_bytes() + 10 * run.results.len() + 32;
        self.open.done.push(run);
        self.close_if_full();
    }

    /// Takes note that the task of an end that is still to come is not to be tried again.
    pub(super) fn for_good(&mut self, lease: LeaseId) {
        self.for_good.insert(lease);
    }

    /// Adds any other end.
    pub(super) fn ended(&mut self, ended: Ended) {
        if self.for_good.remove(&ended.lease) {
            self.open.for_good.push(ended.lease);
        }
        self.open_tasks += 1;
        self.open_bytes += ended.stdout.len() + ended.stderr.len() + ended.message.len() + 96;
        self.open.ended.push(ended);
        self.close_if_full();
    }

    /// Returns the next report to send. When none is on its way it goes at once, or, if the worker
    /// has more to run, after a moment; else when it is full.
    pub(super) fn next_to_send(&mut self, now_us: u64, busy: Busy) -> Option<Report> {
        if self.closed.is_empty() && self.open_tasks > 0 {
            let gathers = busy == Busy::Yes && self.open.done.is_empty();
            let due_us = *self.due_us.get_or_insert(now_us.saturating_add(GATHER_US));
            if !gathers || due_us <= now_us {
                self.close();
            }
        }
        let at = self.closed.len().checked_sub(self.unsent)?;
        let report = self.closed.get(at)?;
        self.unsent -= 1;
        Some(report.clone())
    }

    /// Returns when something that gathers goes.
    pub(super) fn due_us(&self) -> Option<u64> {
        self.due_us
    }

    /// Forgets what is durable, and returns it.
    pub(super) fn acknowledge(&mut self, number: u64) -> Vec<Report> {
        let durable = self.closed.partition_point(|report| report.number <= number);
        self.unsent = self.unsent.min(self.closed.len() - durable);
        self.closed.drain(..durable).collect()
    }

    /// Sends all again: a connection begins.
    pub(super) fn begin_again(&mut self) {
        if !bug::is(Bug::ReportsNotRepeated) {
            self.unsent = self.closed.len();
        }
    }

    /// Returns the newest number; 0 before the first report.
    pub(super) fn newest(&self) -> u64 {
        self.number
    }

    /// Tells whether everything that ended is durable.
    pub(super) fn is_empty(&self) -> bool {
        self.closed.is_empty() && self.open_tasks == 0
    }

    /// Returns the leases of everything that is not known to be durable.
    pub(super) fn leases(&self) -> Vec<LeaseRun> {
        let mut runs = Vec::new();
        for report in self.closed.iter().chain([&self.open]) {
            runs.extend(report.done.iter().map(|run| LeaseRun {
                first: run.first,
                count: u32::try_from(run.results.len()).expect("a run is at most a grant long"),
            }));
            let mut single: Vec<LeaseId> = report.ended.iter().map(|ended| ended.lease).collect();
            single.sort_unstable();
            runs.extend(join(single));
        }
        runs
    }

    fn close_if_full(&mut self) {
        if self.open_tasks >= FULL_TASKS || self.open_bytes >= FULL_BYTES {
            self.close();
        }
    }

    fn close(&mut self) {
        self.number += 1;
        let mut report = std::mem::take(&mut self.open);
        report.number = self.number;
        (self.open_tasks, self.open_bytes, self.due_us) = (0, 0, None);
        self.closed.push_back(report);
        self.unsent += 1;
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Epoch, Outcome};

    use super::*;

    fn end(reports: &mut Reports, counters: std::ops::Range<u64>) {
        for counter in counters {
            let lease = LeaseId { epoch: Epoch::new(1), counter };
            reports.ended(Ended::bare(lease, Outcome::Done, 1));
        }
    }

    fn sent(reports: &mut Reports) -> Vec<(u64, usize)> {
        let next = || reports.next_to_send(0, Busy::No);
        std::iter::from_fn(next).map(|report| (report.number, report.ended.len())).collect()
    }

    #[test]
    fn one_goes_at_once_and_the_next_gathers_meanwhile() {
        let mut reports = Reports::default();
        assert_eq!(sent(&mut reports), []);
        end(&mut reports, 1..2);
        assert_eq!(sent(&mut reports), [(1, 1)]);
        end(&mut reports, 2..12);
        assert_eq!(sent(&mut reports), []);
        assert_eq!(reports.acknowledge(1).len(), 1);
        assert_eq!(sent(&mut reports), [(2, 10)]);
        end(&mut reports, 20..20 + 1_100);
        assert_eq!(sent(&mut reports), [(3, 512), (4, 512)], "full ones do not wait");
        reports.acknowledge(4);
        assert_eq!(sent(&mut reports), [(5, 76)]);
        assert!(!reports.is_empty());
        reports.acknowledge(99);
        assert!(reports.is_empty());
        assert_eq!(reports.newest(), 5);
    }

    #[test]
    fn ends_gather_for_a_moment_while_more_tasks_wait() {
        let mut reports = Reports::default();
        end(&mut reports, 1..2);
        assert_eq!(reports.next_to_send(1_000, Busy::Yes), None);
        end(&mut reports, 2..4);
        assert_eq!(reports.next_to_send(3_000, Busy::Yes), None, "the first one's moment counts");
        assert_eq!(reports.due_us(), Some(1_000 + GATHER_US));
        let report = reports.next_to_send(1_000 + GATHER_US, Busy::Yes).unwrap();
        assert_eq!((report.ended.len(), reports.due_us()), (3, None));
        reports.acknowledge(1);
        end(&mut reports, 4..5);
        assert_eq!(reports.next_to_send(9_000, Busy::Yes), None);
        let report = reports.next_to_send(9_001, Busy::No).unwrap();
        assert_eq!(report.ended.len(), 1, "nothing else to run: it is waited for");
        // What gathers behind a report on its way has no moment of its own yet.
        end(&mut reports, 5..6);
        assert_eq!((reports.next_to_send(9_002, Busy::Yes), reports.due_us()), (None, None));
    }

    #[test]
    fn a_new_connection_gets_what_is_not_durable() {
        let mut reports = Reports::default();
        end(&mut reports, 1..1_500);
        assert_eq!(sent(&mut reports), [(1, 512), (2, 512)]);
        let held: u32 = reports.leases().iter().map(|run| run.count).sum();
        assert_eq!(held, 1_499);
        reports.acknowledge(1);
        reports.begin_again();
        assert_eq!(sent(&mut reports), [(2, 512)]);
        assert_eq!(reports.acknowledge(1).len(), 0, "an old acknowledgement changes nothing");
        reports.acknowledge(2);
        assert_eq!(sent(&mut reports), [(3, 475)]);
    }
}
