//! What a run of `ganger chaos` found, for people and as JSON. Finds nothing itself.

use std::fmt;

use serde::Serialize;

/// What came of a run.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// `ganger 0.1.0`.
    pub(super) version: String,
    /// When it ended.
    pub(super) date: String,
    /// Processor, cores, memory, kernel.
    pub(super) machine: String,
    /// The line that does it again.
    pub(super) command: String,
    /// Whether nothing was found.
    pub(super) passed: bool,
    /// How long the load ran, with the wait for its end.
    pub(super) seconds: u64,
    /// Workers, each a process.
    pub(super) workers: u32,
    /// Submissions that were acknowledged.
    pub(super) submissions: u64,
    /// Of those, how many were sent again with their key: the first batch must be the answer.
    pub(super) repeated: u64,
    /// Tasks of theirs, and how they ended.
    pub(super) tasks: Tasks,
    /// Kills of workers.
    pub(super) worker_kills: KillLine,
    /// Kills of the master.
    pub(super) master_kills: KillLine,
    /// Packets between workers and master that went through the bad network.
    pub(super) packets_passed: u64,
    /// Packets that it lost.
    pub(super) packets_lost: u64,
    /// Processes of tasks that outlived their workers by a second.
    pub(super) orphans: u64,
    /// What `ganger verify` says of the store, from its first batch on.
    pub(super) verify: crate::verify::Report,
    /// What must not be; empty when all is well.
    pub(super) findings: Vec<String>,
}

/// Tasks, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tasks {
    /// Acknowledged.
    pub(super) acknowledged: u64,
    /// Of those: exactly one result, and the right one.
    pub(super) right: u64,
    /// Their workers were killed under them four times: failed, and said so.
    pub(super) poisoned: u64,
    /// Not there, not ended, or with a wrong result.
    pub(super) wrong: u64,
}

/// Kills of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct KillLine {
    /// How many.
    pub(super) kills: u64,
    /// Of those, how many while tasks were open and others had ended.
    pub(super) under_work: u64,
    /// From the kill until all workers were connected, at the median.
    pub(super) back_p50_ms: u64,
    /// The same, for 99 of 100.
    pub(super) back_p99_ms: u64,
    /// The same, at the longest.
    pub(super) back_longest_ms: u64,
}

/// Kills as they happen.
#[derive(Debug, Default)]
pub(super) struct Kills {
    pub(super) workers: Vec<Back>,
    pub(super) masters: Vec<Back>,
}

/// A kill: how long until all workers were connected, and whether there was work to lose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Back {
    pub(super) us: u64,
    pub(super) counts: bool,
}

impl Kills {
    pub(super) fn all(&self) -> u64 {
        (self.workers.len() + self.masters.len()) as u64
    }
}

impl Report {
    /// Comes to a verdict.
    pub(super) fn conclude(&mut self) {
        let found = |count: u64, what: &str| (count > 0).then(|| format!("{count} {what}"));
        let wrong = found(self.tasks.wrong, "acknowledged tasks have not one right result");
        let orphans = found(self.orphans, "processes of tasks outlived their worker");
        self.findings.extend([wrong, orphans].into_iter().flatten());
        let acknowledged = self.tasks.acknowledged;
        if self.verify.submitted != acknowledged {
            let stored = self.verify.submitted;
            self.findings
                .push(format!("{acknowledged} tasks were acknowledged, {stored} are stored"));
        }
        if !self.verify.is_proven() {
            self.findings.push("`ganger verify` found what cannot be; see below".to_owned());
        }
        self.passed = self.findings.is_empty();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tasks { acknowledged, right, poisoned, wrong } = self.tasks;
        writeln!(f, "{}", if self.passed { "passed" } else { "FAILED" })?;
        for finding in &self.findings {
            writeln!(f, "  {finding}")?;
        }
        writeln!(
            f,
            "load      {acknowledged} tasks in {} submissions, {} s",
            self.submissions, self.seconds
        )?;
        writeln!(
            f,
            "results   {right} right, {poisoned} given up as told, {wrong} wrong or missing"
        )?;
        writeln!(f, "repeated  {} submissions, the first batch was the answer", self.repeated)?;
        for (what, line) in [("workers", self.worker_kills), ("master", self.master_kills)] {
            writeln!(
                f,
                "{what:<9} killed {} times, {} under work; all workers back after {} ms at the \
                 median, {} ms at the longest",
                line.kills, line.under_work, line.back_p50_ms, line.back_longest_ms
            )?;
        }
        if self.packets_lost > 0 {
            writeln!(
                f,
                "network   {} packets passed, {} lost",
                self.packets_passed, self.packets_lost
            )?;
        }
        writeln!(f, "orphans   {}", self.orphans)?;
        writeln!(f)?;
        write!(f, "{}", self.verify)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_task_fails_a_run() {
        let check = |change: fn(&mut Report), says: &str| {
            let mut report = Report::default();
            change(&mut report);
            report.conclude();
            assert_eq!(report.passed, says.is_empty());
            assert!(report.to_string().contains(says), "{report}");
        };
        check(|_| {}, "");
        check(|report| report.tasks.wrong = 1, "1 acknowledged tasks have not one right result");
        check(|report| report.orphans = 2, "2 processes of tasks outlived");
        check(|report| report.tasks.acknowledged = 1, "1 tasks were acknowledged, 0 are stored");
        check(|report| report.findings.push("late".to_owned()), "late");
    }
}
