//! How a run is stopped: what is asked of the master for `--halt`, for signals, for tasks that run
//! for too long. When, is decided in drive.rs and settle.rs.

use ganger_proto::command::Select;
use ganger_proto::filter::{Filter, Test};
use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::{BatchId, Reply, Request, TaskId, TaskState};
use tokio::time::Instant;

use super::super::error::Result;
use super::super::{out, reach};
use super::drive::{Drive, Next, Phase, TERM_FOR};
use super::feeder::Wanted;
use super::halt::{OWN_ERROR, When};
use super::stops::Stop;

/// How running tasks are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// TERM, a grace, then KILL.
    Ask,
    /// At once.
    Kill,
}

impl Drive<'_> {
    /// Starts no more tasks, or ends those that run.
    pub(super) async fn stop(&mut self, when: When) -> Result<()> {
        self.wanted.send_replace(Wanted::Enough);
        match when {
            When::Soon => {
                if self.phase == Phase::Starting {
                    self.phase = Phase::Waiting;
                }
                self.cancel_waiting().await
            }
            When::Now => {
                self.phase = Phase::Cancelling;
                self.kill_at = Some(Instant::now() + TERM_FOR);
                self.cancel_all(Force::Ask).await
            }
        }
    }

    pub(super) async fn cancel_waiting(&self) -> Result<()> {
        let Some(batch) = self.batch else { return Ok(()) };
        let mut filter = Filter::of(Test::Batch(vec![batch]));
        let waiting =
            vec![TaskState::Blocked, TaskState::Delayed, TaskState::Queued, TaskState::Sent];
        filter.terms.extend(Filter::of(Test::State(waiting)).terms);
        self.change(Request::Cancel { select: Select::Matching(filter), now: false }).await
    }

    pub(super) async fn cancel_all(&self, force: Force) -> Result<()> {
        let Some(batch) = self.batch else { return Ok(()) };
        let now = force == Force::Kill;
        self.change(Request::Cancel { select: Select::Batch(batch), now }).await
    }

    async fn change(&self, request: Request) -> Result<()> {
        let Reply::Changed(_) = self.link.call(request).await? else {
            return Err(reach::unexpected());
        };
        Ok(())
    }

    pub(super) async fn stopped(&mut self, stop: Stop) -> Result<Next> {
        self.bar.clear();
        if stop == Stop::Leave {
            self.leaving = true;
            self.wanted.send_replace(Wanted::Enough);
            return if self.fed || self.batch.is_none() { self.gone() } else { Ok(Next::Go) };
        }
        self.asked += 1;
        self.exit = Some(OWN_ERROR);
        let Some(batch) = self.batch else {
            self.wanted.send_replace(Wanted::Enough);
            return Ok(Next::Go);
        };
        match self.asked {
            1 => {
                self.stop(When::Soon).await?;
                out::note(&format!(
                    "\nganger: no more tasks of {batch} start, those that run are waited for; \
                     Ctrl-C again cancels them, Ctrl-\\ leaves them to the workers (`ganger wait \
                     {batch}` waits for them, `ganger retry {batch}` goes on with the others)"
                ));
            }
            2 => {
                self.phase = Phase::Cancelling;
                self.cancel_all(Force::Ask).await?;
                out::note(&format!(
                    "\nganger: the running tasks of {batch} are being cancelled; Ctrl-C again kills \
                     them at once"
                ));
            }
            _ => self.cancel_all(Force::Kill).await?,
        }
        Ok(Next::Go)
    }

    /// Leaves the batch to the workers.
    pub(super) fn gone(&mut self) -> Result<Next> {
        if let Some(batch) = self.batch.filter(|_| self.leaving) {
            out::note(&format!(
                "\nganger: {batch} goes on without this command; `ganger wait {batch}` waits for it, \
                 `ganger results {batch}` prints what it printed"
            ));
            self.exit = Some(OWN_ERROR);
        }
        Ok(Next::End)
    }

    /// Returns the tasks of the batch that run, as far as a page goes.
    pub(super) async fn running(&self, batch: BatchId) -> Result<Vec<TaskId>> {
        let mut filter = Filter::of(Test::Batch(vec![batch]));
        filter.terms.extend(Filter::of(Test::State(vec![TaskState::Running])).terms);
        let request = Request::List { filter, after: TaskId::new(0), rows: PAGE_ROWS_MAX };
        let Reply::Tasks { rows, .. } = self.link.call(request).await? else {
            return Err(reach::unexpected());
        };
        Ok(rows.iter().map(|row| row.task).collect())
    }

    /// Stops tasks that run for longer than a part of the median.
    pub(super) async fn stop_slow(&mut self, running: &[TaskId], percent: u32) -> Result<()> {
        let mut over = self.pace.over(Instant::now(), running, percent);
        over.retain(|id| self.timed_out.insert(*id));
        if over.is_empty() {
            return Ok(());
        }
        for id in &over {
            out::note(&format!(
                "ganger: task {id} runs for over {percent}% of the median and is stopped"
            ));
        }
        self.change(Request::Cancel { select: Select::Tasks(over), now: false }).await
    }
}
