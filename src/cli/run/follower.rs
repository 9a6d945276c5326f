//! Hears of the ends of a run's tasks, each once, also over several connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use ganger_proto::ends::IdRun;
use ganger_proto::limits::TOLD_RUNS_MAX;
use ganger_proto::{BatchId, Reply, Request, TaskId};
use tokio::sync::mpsc;

use super::super::error::Result;
use super::super::reach;
use super::drive::Event;
use super::link::{Answer, Link};

/// Ends taken at once.
const ROWS: u32 = 1_024;

/// Tasks that were heard of, as runs: the first id and the one after the last.
#[derive(Debug, Default)]
struct Told(BTreeMap<u64, u64>);

impl Told {
    /// Adds a task; tells whether it is new.
    fn add(&mut self, task: TaskId) -> bool {
        let id = task.raw();
        let before = self.0.range(..=id).next_back().map(|(first, end)| (*first, *end));
        let first = match before {
            Some((_, end)) if id < end => return false,
            Some((first, end)) if id == end => first,
            Some(_) | None => id,
        };
        let end = self.0.remove(&(id + 1)).unwrap_or(id + 1);
        self.0.insert(first, end);
        true
    }

    fn runs(&self) -> Vec<IdRun> {
        let run =
            |(first, end): (&u64, &u64)| IdRun { first: TaskId::new(*first), count: end - first };
        self.0.iter().map(run).collect()
    }
}

/// Follows a batch to its end. Whoever hears the ends may take its time; of progress only what
/// finds room is said.
///
/// # Errors
/// When the master refuses, or stays away.
pub(crate) async fn follow(
    link: Arc<Link>,
    batch: BatchId,
    events: mpsc::Sender<Event>,
) -> Result<()> {
    let (mut all, mut newest) = (Told::default(), Told::default());
    let mut number = 0;
    loop {
        let connection = link.current().await;
        if connection.number != number {
            // A connection that was just made knows nothing.
            number = connection.number;
            newest = Told::default();
            for told in all.runs().chunks(TOLD_RUNS_MAX) {
                let request = Request::Ends { batch, told: told.to_vec(), rows: 0 };
                link.ask(&connection, request, |_| {}).await?;
            }
        }
        let request = Request::Ends { batch, told: newest.runs(), rows: ROWS };
        let progress = |row| {
            let _full = events.try_send(Event::Progress(Box::new(row)));
        };
        let reply = match link.ask(&connection, request, progress).await? {
            Answer::Reply(reply) => *reply,
            Answer::Again => continue,
        };
        let Reply::Ends(page) = reply else { return Err(reach::unexpected()) };
        newest = Told::default();
        let over = page.rows.is_empty() && page.batch.ended.is_some();
        let mut rows = page.rows;
        rows.retain(|row| {
            newest.add(row.line.task);
            all.add(row.line.task)
        });
        if over {
            events.send(Event::Over).await.unwrap_or_default();
            return Ok(());
        }
        if events.send(Event::Rows(rows, Box::new(page.batch))).await.is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_task_is_new_once() {
        let mut told = Told::default();
        let mut check = |id: u64, new: bool, runs: &[(u64, u64)]| {
            assert_eq!(told.add(TaskId::new(id)), new, "{id}");
            let got: Vec<_> = told.runs().iter().map(|r| (r.first.raw(), r.count)).collect();
            assert_eq!(got, runs, "{id}");
        };
        check(5, true, &[(5, 1)]);
        check(7, true, &[(5, 1), (7, 1)]);
        check(6, true, &[(5, 3)]);
        check(6, false, &[(5, 3)]);
        check(4, true, &[(4, 4)]);
        check(8, true, &[(4, 5)]);
        check(4, false, &[(4, 5)]);
        check(1, true, &[(1, 1), (4, 5)]);
    }
}
