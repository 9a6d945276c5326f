//! What is new since the last look: batches, workers, failures, the store. Pure; who asks and
//! prints is plain.rs.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::picture::{BatchRow, Counts, MasterLine, ResultRow, WorkerState};
use ganger_proto::time::HumanMs;
use ganger_proto::{BatchId, Name, Picture, TaskId, TaskState, WallMs};
use serde::Serialize;

use super::super::{status, text};

/// Failures that are told one by one at each look.
const FAILURES_MAX: usize = 20;

/// Something that happened, a line each. The field `event` names it in JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    /// The master answers.
    Connected { cluster: Name, address: String },
    /// It does not any more; it is dialled again.
    Lost { why: String },
    /// A batch was submitted.
    Submitted { batch: BatchId, name: String, kind: String, tasks: u64, owner: String },
    /// The last task of a batch has ended.
    Ended { batch: BatchId, name: String, done: u64, failed: u64, cancelled: u64, took_ms: u64 },
    /// A task failed for good.
    Failed { task: TaskId, batch: BatchId, worker: String, outcome: String, text: String },
    /// So many more failed than are told one by one.
    More { failed: u64 },
    /// A worker is in another state.
    Worker { name: Name, state: WorkerState },
    /// The last connected worker is gone.
    Alone { open: u64 },
    /// The store is in trouble.
    Trouble { why: String },
    /// The store's trouble is over.
    Recovered,
    /// How it stands.
    Summary { master: Box<MasterLine> },
}

impl Event {
    /// Returns the line for people, after its time.
    pub(super) fn line(&self) -> String {
        let line = match self {
            Self::Connected { cluster, address } => format!("connected to {cluster} at {address}"),
            Self::Lost { why } => format!("connection lost: {why}; dialling again"),
            Self::Submitted { batch, name, kind, tasks, owner } => {
                format!("{batch}{} submitted by {owner}: {tasks} × {kind}", named(name))
            }
            Self::Ended { batch, name, done, failed, cancelled, took_ms } => {
                let mut line = format!("{batch}{} ended: {done} done", named(name));
                for (count, word) in [(failed, "failed"), (cancelled, "cancelled")] {
                    if *count > 0 {
                        line.push_str(&format!(", {count} {word}"));
                    }
                }
                format!("{line}, in {}", HumanMs(*took_ms))
            }
            Self::Failed { task, batch, worker, outcome, text } => {
                let on = if worker.is_empty() { String::new() } else { format!(" on {worker}") };
                let colon = if text.is_empty() { "" } else { ": " };
                format!("task {task} of {batch} failed{on}: {outcome}{colon}{text}")
            }
            Self::More { failed } => format!("{failed} more failed; `ganger ls state:failed`"),
            Self::Worker { name, state } => format!("worker {name} {}", word(*state)),
            Self::Alone { open } => {
                format!("no worker is left; {open} open tasks are safe in the queue")
            }
            Self::Trouble { why } => format!("! {why}"),
            Self::Recovered => "the store is well again".to_owned(),
            Self::Summary { master } => status::summary(master),
        };
        text::line(&line)
    }
}

fn named(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!(" ({name})") }
}

const fn word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Up => "is up",
        WorkerState::Draining => "drains",
        WorkerState::Away => "is away; its tasks stay with it while their leases last",
        WorkerState::Lost => "is lost; its tasks are in the queue again",
        WorkerState::Gone => "said goodbye",
        WorkerState::Revoked => "is revoked",
    }
}

/// What the last look found; nothing before the first.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Batches that were looked at, with whether they had ended.
    batches: Option<BTreeMap<BatchId, Ended>>,
    workers: BTreeMap<Name, WorkerState>,
    counts: Option<Counts>,
    /// Ended tasks with the attempt that ended them.
    results: BTreeSet<(TaskId, u32)>,
    in_trouble: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Yes,
    No,
}

impl News {
    /// Takes the newest batches, the newest first. The first look only remembers them.
    pub(super) fn batches(&mut self, rows: &[BatchRow], now: WallMs) -> Vec<Event> {
        let seen = rows
            .iter()
            .map(|row| (row.batch, if row.ended.is_some() { Ended::Yes } else { Ended::No }))
            .collect();
        let Some(before) = self.batches.replace(seen) else { return Vec::new() };
        let newest = before.last_key_value().map(|(batch, _)| *batch);
        let mut events = Vec::new();
        for row in rows.iter().rev() {
            let is_new = newest.is_none_or(|newest| row.batch > newest);
            if is_new {
                events.push(Event::Submitted {
                    batch: row.batch,
                    name: row.name.clone(),
                    kind: row.kind.clone(),
                    tasks: row.counts.total(),
                    owner: row.owner.clone(),
                });
            }
            let was_open = is_new || before.get(&row.batch) == Some(&Ended::No);
            if was_open && row.ended.is_some() {
                events.push(Event::Ended {
                    batch: row.batch,
                    name: row.name.clone(),
                    done: row.counts.done,
                    failed: row.counts.failed,
                    cancelled: row.counts.cancelled,
                    took_ms: row.ended.unwrap_or(now).since(row.submitted),
                });
            }
        }
        events
    }

    /// Takes a picture with the latest results and the workers.
    pub(super) fn picture(&mut self, picture: &Picture) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(window) = &picture.workers {
            let rows = window.rows.iter().map(|row| (row.name.clone(), row.state)).collect();
            let open = picture.master.counts.open();
            self.workers(rows, (picture.gang.up, open), &mut events);
        }
        if let Some(window) = &picture.results {
            self.results(&window.rows, &picture.master.counts, &mut events);
        }
        let why = &picture.master.trouble;
        match (self.in_trouble, !why.is_empty()) {
            (false, true) => events.push(Event::Trouble { why: why.clone() }),
            (true, false) => events.push(Event::Recovered),
            (true, true) | (false, false) => {}
        }
        self.in_trouble = !why.is_empty();
        events
    }

    fn workers(
        &mut self,
        rows: BTreeMap<Name, WorkerState>,
        (up, open): (u32, u64),
        events: &mut Vec<Event>,
    ) {
        let here = |state: &WorkerState| matches!(state, WorkerState::Up | WorkerState::Draining);
        let before = std::mem::replace(&mut self.workers, rows);
        for (name, state) in &self.workers {
            let known = before.get(name);
            // Who was gone before the first look is no news.
            if known != Some(state) && (known.is_some() || here(state)) {
                events.push(Event::Worker { name: name.clone(), state: *state });
            }
        }
        if before.values().any(here) && up == 0 && open > 0 {
            events.push(Event::Alone { open });
        }
    }

    fn results(&mut self, rows: &[ResultRow], counts: &Counts, events: &mut Vec<Event>) {
        let key = |row: &ResultRow| (row.task, row.attempt);
        let before = std::mem::replace(&mut self.results, rows.iter().map(key).collect());
        let Some(old) = self.counts.replace(*counts) else { return };
        let fresh =
            |row: &&ResultRow| row.state == TaskState::Failed && !before.contains(&key(row));
        // More of them may have ended since the last look than the window holds.
        let failed = counts.failed.saturating_sub(old.failed);
        let told: Vec<&ResultRow> = rows.iter().filter(fresh).take(FAILURES_MAX).collect();
        events.extend(told.iter().rev().map(|row| Event::Failed {
            task: row.task,
            batch: row.batch,
            worker: row.worker.clone(),
            outcome: row.outcome.map(|outcome| outcome.to_string()).unwrap_or_default(),
            text: row.text.clone(),
        }));
        let more = failed.saturating_sub(told.len() as u64);
        if more > 0 {
            events.push(Event::More { failed: more });
        }
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::Outcome;

    use super::*;

    fn batch(id: u64, done: u64, failed: u64, ended: Option<u64>) -> BatchRow {
        BatchRow {
            batch: BatchId::new(id),
            name: if id == 2 { "ni\u{1b}[2Jght".to_owned() } else { String::new() },
            kind: "square".to_owned(),
            queue: Name::from_lossy("default"),
            owner: "ada".to_owned(),
            submitted: WallMs(1_000),
            ended: ended.map(WallMs),
            complete: true,
            eta_ms: None,
            after: Vec::new(),
            counts: Counts { done, failed, ..Counts::default() },
        }
    }

    fn lines(events: &[Event]) -> Vec<String> {
        events.iter().map(Event::line).collect()
    }

    #[test]
    fn batches_come_and_end() {
        let mut news = News::default();
        let now = WallMs(9_000);
        let first = [batch(1, 3, 0, None), batch(0, 1, 0, Some(1_200))];
        assert_eq!(news.batches(&first, now), [], "what was there before is no news");
        let next = [batch(2, 4, 1, Some(4_500)), batch(1, 9, 0, Some(3_000))];
        let said = lines(&news.batches(&next, now));
        assert_eq!(
            said,
            [
                "b1 ended: 9 done, in 2.0s",
                "b2 (night) submitted by ada: 5 × square",
                "b2 (night) ended: 4 done, 1 failed, in 3.5s",
            ]
        );
        assert_eq!(news.batches(&next, now), []);
    }

    fn result(task: u64, state: TaskState) -> ResultRow {
        ResultRow {
            task: TaskId::new(task),
            batch: BatchId::new(1),
            kind: "exec".to_owned(),
            state,
            attempt: 1,
            worker: "alpha".to_owned(),
            outcome: Some(Outcome::Failed { code: 2 }),
            at: WallMs(0),
            took_us: 5,
            usage: Default::default(),
            text: "no such\u{202e} file".to_owned(),
        }
    }

    fn told(news: &mut News, rows: Vec<ResultRow>, failed: u64) -> Vec<String> {
        let counts = Counts { failed, ..Counts::default() };
        let mut events = Vec::new();
        news.results(&rows, &counts, &mut events);
        lines(&events)
    }

    #[test]
    fn failures_are_told_once_and_many_are_counted() {
        let mut news = News::default();
        assert_eq!(told(&mut news, vec![result(1, TaskState::Failed)], 1), [""; 0]);
        let both = vec![result(2, TaskState::Failed), result(1, TaskState::Failed)];
        let said = told(&mut news, both.clone(), 2);
        assert_eq!(said, ["task 2 of b1 failed on alpha: exit 2: no such file"]);
        assert_eq!(told(&mut news, both, 2), [""; 0]);
        let again = vec![result(3, TaskState::Delayed)];
        assert_eq!(told(&mut news, again, 2), [""; 0], "another attempt follows");
        let many = (10..100).map(|id| result(id, TaskState::Failed)).collect();
        let said = told(&mut news, many, 500);
        assert_eq!(said.len(), FAILURES_MAX + 1);
        assert_eq!(said[FAILURES_MAX], "478 more failed; `ganger ls state:failed`");
    }

    #[test]
    fn workers_come_and_go() {
        let mut news = News::default();
        let said = |news: &mut News, states: &[(&str, WorkerState)], open: u64| {
            let rows = states.iter().map(|(name, state)| (Name::from_lossy(name), *state));
            let up = states.iter().filter(|(_, state)| *state == WorkerState::Up).count() as u32;
            let mut events = Vec::new();
            news.workers(rows.collect(), (up, open), &mut events);
            lines(&events)
        };
        let (up, lost) = (WorkerState::Up, WorkerState::Lost);
        let first = said(&mut news, &[("a", up), ("b", lost)], 5);
        assert_eq!(first, ["worker a is up"], "b was lost before");
        assert_eq!(said(&mut news, &[("a", up), ("b", lost)], 5), [""; 0]);
        assert_eq!(
            said(&mut news, &[("a", lost), ("b", lost)], 5),
            [
                "worker a is lost; its tasks are in the queue again",
                "no worker is left; 5 open tasks are safe in the queue",
            ]
        );
    }
}
