//! What a replay found, for people and for programs. Finds nothing itself.

use std::fmt;
use std::path::PathBuf;

use ganger_proto::TaskId;
use serde::{Deserialize, Serialize};

use crate::engine::task::State;

/// Findings that are kept; more are counted.
pub const FINDINGS_MAX: usize = 1_000;

/// What was proven of a store, and what was found that cannot be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The database file.
    pub file: PathBuf,
    /// The replay began at the end of this batch: 0 at the very beginning, else where the oldest
    /// whole snapshot stands. What was before it counts as that snapshot says.
    pub begins_after: u64,
    /// The last batch that was replayed.
    pub last: u64,
    /// Batches that were replayed, each tied to the one before by its hash.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Leases that they granted.
    pub leases: u64,
    /// Ends that they gave to tasks.
    pub ends: u64,
    /// The newest acknowledged batch, when that is known.
    pub acknowledged: Option<u64>,
    /// Digests of the engine that were compared with the replay's.
    pub digests: u64,
    /// Later snapshots that were compared with the replay, task by task.
    pub snapshots: Vec<u64>,
    /// Tasks that were ever submitted; their ids are 1 to this.
    pub submitted: u64,
    /// Tasks that were removed by hand or after their retention.
    pub removed: u64,
    /// Tasks that are there, by state.
    pub tasks: Counts,
    /// Batches of tasks that are there.
    pub batches_of_tasks: u64,
    /// Tasks that are there, by queue and state.
    pub queues: Vec<QueueCounts>,
    /// Results whose block is whole and whose lease was their task's.
    pub results: u64,
    /// Blocks of results that were read.
    pub blocks: u64,
    /// What is odd and does no harm.
    pub odd: Vec<String>,
    /// What cannot be; empty when all is well. At most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub findings_more: u64,
}

/// Tasks by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Wait for another batch.
    pub blocked: u64,
    /// Wait for a moment.
    pub delayed: u64,
    /// Wait for a worker.
    pub queued: u64,
    /// Are held by a session.
    pub leased: u64,
    /// Ended well.
    pub done: u64,
    /// Out of tries.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl Counts {
    /// Returns the tasks that have not ended.
    pub const fn open(&self) -> u64 {
        self.blocked + self.delayed + self.queued + self.leased
    }

    /// Returns the tasks that have ended.
    pub const fn ended(&self) -> u64 {
        self.done + self.failed + self.cancelled
    }
}

/// The tasks of one queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueCounts {
    /// Its name.
    pub queue: String,
    /// By state.
    pub tasks: Counts,
}

/// Something that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The batch of the journal that says so.
    pub batch: Option<u64>,
    /// The first task concerned.
    pub task: Option<u64>,
    /// A sentence.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.batch {
            Some(batch) => write!(f, "batch {batch}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// Findings as they come.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    batch: Option<u64>,
    list: Vec<Finding>,
    more: u64,
}

impl Findings {
    /// What is found from here on is said by this batch.
    pub(super) const fn at(&mut self, batch: u64) {
        self.batch = Some(batch);
    }

    /// What is found from here on is said by no batch.
    pub(super) const fn at_end(&mut self) {
        self.batch = None;
    }

    /// Adds a sentence.
    pub(super) fn add(&mut self, what: String) {
        self.push(Finding { batch: self.batch, task: None, what });
    }

    /// Adds a sentence that begins with a task.
    pub(super) fn of(&mut self, task: TaskId, what: impl fmt::Display) {
        let what = format!("task {task} {what}");
        self.push(Finding { batch: self.batch, task: Some(task.raw()), what });
    }

    /// Returns what was found and kept.
    pub(super) fn list(&self) -> &[Finding] {
        &self.list
    }

    /// Returns what was found, and how many were not kept.
    pub(super) fn into_parts(self) -> (Vec<Finding>, u64) {
        (self.list, self.more)
    }

    fn push(&mut self, finding: Finding) {
        if self.list.len() < FINDINGS_MAX {
            self.list.push(finding);
        } else {
            self.more += 1;
        }
    }
}

impl Report {
    /// Tells whether nothing was found that cannot be.
    pub const fn is_proven(&self) -> bool {
        self.findings.is_empty()
    }

    fn write_counts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { submitted, removed, tasks, .. } = self;
        let (open, ended) = (tasks.open(), tasks.ended());
        let sign = if *submitted == open + ended + removed { "=" } else { "≠" };
        writeln!(
            f,
            "tasks        {submitted} submitted {sign} {open} open + {ended} ended + {removed} removed"
        )?;
        let Counts { blocked, delayed, queued, leased, done, failed, cancelled } = tasks;
        writeln!(
            f,
            "open         {blocked} blocked, {delayed} delayed, {queued} queued, {leased} leased"
        )?;
        writeln!(f, "ended        {done} done, {failed} failed, {cancelled} cancelled")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_proven() { "proven" } else { "NOT PROVEN" };
        writeln!(f, "{}: {verdict}", self.file.display())?;
        match (self.batches, self.begins_after) {
            (0, 0) => writeln!(f, "range        nothing was ever written")?,
            (0, after) => writeln!(f, "range        the snapshot at batch {after} alone")?,
            (_, 0) => writeln!(f, "range        batches 1 to {}, from the very first", self.last)?,
            (_, after) => writeln!(
                f,
                "range        batches {} to {}; what was before counts as the snapshot at {after} says",
                after + 1,
                self.last
            )?,
        }
        match self.acknowledged {
            Some(seq) => writeln!(f, "acknowledged up to batch {seq}, all there")?,
            None => writeln!(f, "acknowledged not known")?,
        }
        self.write_counts(f)?;
        writeln!(
            f,
            "replayed     {} events, {} leases, none twice, {} ends",
            self.events, self.leases, self.ends
        )?;
        writeln!(f, "results      {} in {} blocks", self.results, self.blocks)?;
        let snapshots = self.snapshots.len();
        write!(f, "compared     {} digests, {snapshots} snapshots", self.digests)?;
        for one in &self.odd {
            write!(f, "\nodd          {one}")?;
        }
        for one in &self.findings {
            write!(f, "\nfinding      {one}")?;
        }
        if self.findings_more > 0 {
            write!(f, "\n             and {} more findings", self.findings_more)?;
        }
        Ok(())
    }
}

/// Returns a state's word.
pub(super) const fn word(state: State) -> &'static str {
    match state {
        State::Absent => "not there",
        State::Blocked => "blocked",
        State::Delayed => "delayed",
        State::Queued => "queued",
        State::Leased => "leased",
        State::Done => "done",
        State::Failed => "failed",
        State::Cancelled => "cancelled",
    }
}
