//! The work of a benchmark: submitted in parts, waited for, read back and checked value by value.

use anyhow::{Context, Result, bail, ensure};
use ganger_net::client::{CallError, Caller};
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::limits::{PAGE_ROWS_MAX, SUBMIT_TASKS_MAX};
use ganger_proto::{
    ArgList, Args, BatchId, BatchOptions, Key, Kind, Name, QueueName, Reply, Request, Spec, TaskId,
    TaskState, Template,
};

use super::super::flight::Flight;
use crate::clock::Clock;

/// Parts that are under way at once.
const PARTS_UNDER_WAY: usize = 8;

/// What is submitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) kind: LoadKind,
    pub(super) tasks: u64,
    /// One by one; else as one range.
    pub(super) listed: bool,
    /// Digits that a listed argument has at least.
    pub(super) width: usize,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoadKind {
    /// n * n.
    Square,
    /// `true`.
    Exec,
    /// The handler [`HANDLER`], which answers with its argument.
    Handler,
}

/// The name of the handler that is measured.
pub(super) const HANDLER: &str = "echo";

/// How a run went.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) batch: BatchId,
    pub(super) total_us: u64,
}

impl Load {
    /// Returns squares, listed one by one.
    pub(super) const fn squares(tasks: u64) -> Self {
        Self { kind: LoadKind::Square, tasks, listed: true, width: 0 }
    }

    /// Returns squares as one range.
    pub(super) const fn range(tasks: u64) -> Self {
        Self { listed: false, ..Self::squares(tasks) }
    }

    /// Submits everything and waits until all has ended.
    pub(super) async fn run(self, caller: &Caller, clock: &Clock) -> Result<Run> {
        let began = clock.micros();
        let batch = self.submit(caller, &Name::from_lossy("default")).await?;
        let reply = caller.call(Request::Wait { batches: vec![batch] }).await?;
        let total_us = clock.micros() - began;
        let Reply::Ended { batches } = reply else { bail!("a wait was not answered with an end") };
        let done: u64 = batches.iter().map(|row| row.counts.done).sum();
        ensure!(done == self.tasks, "{done} of {} tasks ended well", self.tasks);
        Ok(Run { batch, total_us })
    }

    /// Submits everything to a queue.
    pub(super) async fn submit(self, caller: &Caller, queue: &QueueName) -> Result<BatchId> {
        let options = BatchOptions { queue: queue.clone(), ..BatchOptions::default() };
        self.submit_as(caller, &SubmitHead { spec: self.spec(), options }).await
    }

    /// Submits everything with a head of its own.
    pub(super) async fn submit_as(self, caller: &Caller, head: &SubmitHead) -> Result<BatchId> {
        let key = Key::new(fastrand::u128(..));
        let mut under_way = Flight::default();
        let mut batch = None;
        for (part, args) in self.parts().enumerate() {
            let first = part == 0;
            let head = first.then(|| Box::new(head.clone()));
            let last = self.is_last(part as u64);
            let submit = Submit { key, part: part as u32, last, head, args };
            under_way.push(Box::pin(caller.call(Request::Submit(submit)))).await;
            // The first part makes the batch that the others join.
            let keep = if first { 0 } else { PARTS_UNDER_WAY };
            while under_way.len() > keep
                && let Some(reply) = under_way.next().await
            {
                batch = Some(batch_of(reply)?);
            }
        }
        while let Some(reply) = under_way.next().await {
            batch = Some(batch_of(reply)?);
        }
        batch.context("there was nothing to submit")
    }

    fn parts(self) -> impl Iterator<Item = Args> {
        let a_part = SUBMIT_TASKS_MAX as u64;
        let parts = if self.listed { self.tasks.div_ceil(a_part) } else { 1 };
        (0..parts).map(move |part| {
            if !self.listed {
                return Args::Range { first: 1, step: 1, count: self.tasks };
            }
            let first = part * a_part + 1;
            let last = (first + a_part - 1).min(self.tasks);
            let mut list = ArgList::with_capacity(SUBMIT_TASKS_MAX, SUBMIT_TASKS_MAX * 8);
            for n in first..=last {
                list.push(format!("{n:0>width$}", width = self.width).as_bytes());
            }
            Args::Listed(list)
        })
    }

    fn is_last(self, part: u64) -> bool {
        !self.listed || (part + 1) * SUBMIT_TASKS_MAX as u64 >= self.tasks
    }

    fn spec(self) -> Spec {
        let word = |text: &str| Template::from_text(text).expect("a plain word is a template");
        Spec::of(match self.kind {
            LoadKind::Square => Kind::Square,
            LoadKind::Exec => Kind::Exec { argv: vec![word("true")] },
            LoadKind::Handler => Kind::Handler { name: Name::from_lossy(HANDLER) },
        })
    }

    /// Sends single tasks one after the other; returns how long each took, in microseconds.
    pub(super) async fn singles(
        self,
        caller: &Caller,
        clock: &Clock,
        count: u64,
    ) -> Result<Vec<u64>> {
        let single = Self { tasks: 1, listed: true, ..self };
        let mut times = Vec::with_capacity(1_024);
        for _ in 0..count {
            times.push(single.run(caller, clock).await?.total_us);
        }
        Ok(times)
    }

    /// Reads every result of a batch and checks it; returns how many there were.
    pub(super) async fn check(self, caller: &Caller, batch: BatchId) -> Result<u64> {
        let mut after = TaskId::new(0);
        let mut checked = 0;
        loop {
            let request = Request::Results { batch: Some(batch), after, rows: PAGE_ROWS_MAX };
            let Reply::Results(page) = caller.call(request).await? else {
                bail!("a request for results was not answered with results");
            };
            for row in &page.rows {
                ensure!(row.index == checked, "task {} is missing", checked + 1);
                ensure!(row.state == TaskState::Done, "task {} is not done", row.task);
                let ended = row.ended.as_ref().context("a result is not kept any more")?;
                let n = u128::from(row.index + 1);
                let expected = match self.kind {
                    LoadKind::Square => format!("{n} * {n} = {}", n * n),
                    LoadKind::Handler => n.to_string(),
                    LoadKind::Exec => String::new(),
                };
                ensure!(
                    ended.stdout == expected.as_bytes(),
                    "task {} answered {:?}, not {expected:?}",
                    row.task,
                    String::from_utf8_lossy(&ended.stdout)
                );
                checked += 1;
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        ensure!(checked == self.tasks, "{checked} of {} results came back", self.tasks);
        Ok(checked)
    }
}

/// Returns how often the master has committed so far.
pub(super) async fn commits(caller: &Caller) -> Result<u64> {
    let Reply::Status(status) = caller.call(Request::Status).await? else {
        bail!("a request for the status was answered with something else");
    };
    Ok(status.master.commits)
}

/// Returns how many tasks are done, of those that the master still has.
pub(super) async fn done(caller: &Caller) -> Result<u64> {
    let Reply::Status(status) = caller.call(Request::Status).await? else {
        bail!("a request for the status was answered with something else");
    };
    Ok(status.master.counts.done)
}

fn batch_of(reply: Result<Reply, CallError>) -> Result<BatchId> {
    let Reply::Submitted { batch, .. } = reply? else {
        bail!("a submission was answered with something else");
    };
    Ok(batch)
}
