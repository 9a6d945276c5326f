//! Why nothing happens: when no task runs for a while, the master is asked, and what it says is
//! told once.

use std::time::Duration;

use ganger_proto::filter::{Filter, Test};
use ganger_proto::picture::BatchRow;
use ganger_proto::{BatchId, Reply, Request, TaskId, TaskState};
use tokio::time::Instant;

use super::super::error::Result;
use super::super::{out, reach, text};
use super::link::Link;

/// How long nothing may happen, at first and at most; doubled each time that it was said.
const PATIENCE: Duration = Duration::from_secs(2);
const PATIENCE_MAX: Duration = Duration::from_secs(120);

/// Since when nothing happens, and what was said about it.
pub(crate) struct Waits {
    since: Instant,
    patience: Duration,
    said: Vec<String>,
}

impl Waits {
    /// Begins to watch.
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), patience: PATIENCE, said: Vec::new() }
    }

    /// Something happened.
    pub(crate) fn moved(&mut self) {
        self.since = Instant::now();
    }

    /// Asks why nothing happens, when it is time.
    ///
    /// # Errors
    /// When the master refuses, or stays away.
    pub(crate) async fn look(&mut self, link: &Link, row: &BatchRow) -> Result<()> {
        let waits = row.counts.queued + row.counts.blocked + row.counts.delayed > 0;
        if row.counts.sent + row.counts.running > 0 || !waits {
            self.moved();
        }
        if self.since.elapsed() < self.patience {
            return Ok(());
        }
        self.moved();
        let Some(task) = first_waiting(link, row.batch).await? else { return Ok(()) };
        let Reply::Why(why) = link.call(Request::Why { task }).await? else {
            return Err(reach::unexpected());
        };
        let reasons: Vec<String> =
            why.reasons.iter().map(|reason| text::line(&reason.to_string())).collect();
        if reasons.is_empty() || reasons == self.said {
            return Ok(());
        }
        out::note(&format!(
            "ganger: {} of {} tasks of {} wait, none runs: {} (Ctrl-C stops waiting)",
            row.counts.open(),
            row.counts.total(),
            row.batch,
            reasons.join("; ")
        ));
        self.said = reasons;
        self.patience = (self.patience * 2).min(PATIENCE_MAX);
        Ok(())
    }
}

async fn first_waiting(link: &Link, batch: BatchId) -> Result<Option<TaskId>> {
    let mut filter = Filter::of(Test::Batch(vec![batch]));
    let states = vec![TaskState::Blocked, TaskState::Delayed, TaskState::Queued];
    filter.terms.extend(Filter::of(Test::State(states)).terms);
    let request = Request::List { filter, after: TaskId::new(0), rows: 1 };
    let Reply::Tasks { rows, .. } = link.call(request).await? else {
        return Err(reach::unexpected());
    };
    Ok(rows.first().map(|row| row.task))
}
