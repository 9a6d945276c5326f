//! The load of `ganger chaos`: batches of squares, sleeps and processes, submitted again until they
//! are acknowledged, whatever is killed meanwhile; and what became of every one of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use ganger_net::client::{CallError, Caller};
use ganger_proto::command::{ResultLine, Submit, SubmitHead};
use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::{
    ArgList, Args, BatchId, BatchOptions, Key, Kind, Outcome, Refusal, Reply, Request, Spec,
    TaskId, TaskState, Template,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::report::Report;
use crate::cli::trial::rig::Dial;

/// Submissions a second.
const PARTS_PER_S: u64 = 10;
/// Submissions that may be unanswered before the load waits.
const UNANSWERED_MAX: usize = 64;
/// One in so many submissions brings processes, another one sleeps.
const OTHERS_ONE_IN: u64 = 5;
/// Tasks of such a one.
const OTHERS: u64 = 4;
/// One in so many acknowledged submissions is sent again.
const REPEATED_ONE_IN: u64 = 20;
/// Between two tries to reach a master that is away.
const AGAIN: Duration = Duration::from_millis(50);

/// What the tasks of a submission do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// n * n, in the worker.
    Squares,
    /// Wait some time, in the worker.
    Sleeps,
    /// A process that waits and prints n.
    Processes,
}

/// A submission that was acknowledged: `count` tasks with the numbers from `first` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acknowledged {
    pub(super) batch: BatchId,
    pub(super) sort: Sort,
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) sent: Sent,
}

/// How often a submission is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Until it is acknowledged.
    Once,
    /// And then again: the answer must be the same batch.
    Twice,
}

/// The load as it runs.
pub(super) struct Flow {
    stop: watch::Sender<bool>,
    work: JoinHandle<Result<Vec<Acknowledged>>>,
    why: Arc<Mutex<Option<String>>>,
}

impl Flow {
    /// Starts a load of so many tasks a second. Processes carry `mark` as a word.
    pub(super) fn start(dial: Dial, rate: u64, mark: String) -> Self {
        let (stop, stopped) = watch::channel(false);
        let why = Arc::new(Mutex::new(None));
        let client = Arc::new(Client { dial, caller: tokio::sync::Mutex::new(None), mark });
        let work = tokio::spawn(flow(client, rate, stopped, why.clone()));
        Self { stop, work, why }
    }

    /// Says why it ended early, if it did.
    pub(super) fn failed(&self) -> Option<String> {
        self.why.lock().ok()?.clone()
    }

    /// Submits no more, waits until all is acknowledged, and returns it.
    pub(super) async fn finish(self) -> Result<Vec<Acknowledged>> {
        self.stop.send_replace(true);
        self.work.await.context("the load broke off")?
    }
}

async fn flow(
    client: Arc<Client>,
    rate: u64,
    mut stop: watch::Receiver<bool>,
    why: Arc<Mutex<Option<String>>>,
) -> Result<Vec<Acknowledged>> {
    let mut tick = tokio::time::interval(Duration::from_millis(1_000 / PARTS_PER_S));
    let room = Arc::new(Semaphore::new(UNANSWERED_MAX));
    let (mut answers, mut done) = (JoinSet::new(), Vec::new());
    let mut first = 1;
    for number in 0_u64.. {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.wait_for(|stop| *stop) => break,
        }
        let (sort, count) = match number % OTHERS_ONE_IN {
            1 => (Sort::Sleeps, OTHERS),
            3 => (Sort::Processes, OTHERS),
            _ => (Sort::Squares, (rate / PARTS_PER_S).max(1)),
        };
        // While the master is away the load waits, and then catches up.
        let permit = room.clone().acquire_owned().await?;
        let client = client.clone();
        let again = number.is_multiple_of(REPEATED_ONE_IN);
        let sent = if again { Sent::Twice } else { Sent::Once };
        answers.spawn(async move {
            let answer = client.submit((sort, first, count), sent).await;
            drop(permit);
            answer
        });
        first += count;
        while let Some(answer) = answers.try_join_next() {
            done.push(told(answer?, &why)?);
        }
    }
    while let Some(answer) = answers.join_next().await {
        done.push(told(answer?, &why)?);
    }
    Ok(done)
}

fn told(answer: Result<Acknowledged>, why: &Mutex<Option<String>>) -> Result<Acknowledged> {
    answer.inspect_err(|error| {
        if let Ok(mut why) = why.lock() {
            *why = Some(format!("{error:#}"));
        }
    })
}

/// A client that dials again when its master is gone.
struct Client {
    dial: Dial,
    caller: tokio::sync::Mutex<Option<Caller>>,
    mark: String,
}

impl Client {
    /// Submits until it is acknowledged, with one key.
    async fn submit(&self, what: (Sort, u64, u64), sent: Sent) -> Result<Acknowledged> {
        let (sort, first, count) = what;
        let key = Key::new(fastrand::u128(..));
        let batch = self.until_acknowledged(key, what).await?;
        if sent == Sent::Twice {
            let again = self.until_acknowledged(key, what).await?;
            ensure!(again == batch, "{again} was the answer to what had made {batch}");
        }
        Ok(Acknowledged { batch, sort, first, count, sent })
    }

    async fn until_acknowledged(&self, key: Key, what: (Sort, u64, u64)) -> Result<BatchId> {
        loop {
            let caller = self.caller().await;
            let request = Request::Submit(self.part(key, what)?);
            match caller.call(request).await {
                Ok(Reply::Submitted { batch, tasks, .. }) => {
                    ensure!(tasks == what.2, "{tasks} of {} tasks were acknowledged", what.2);
                    return Ok(batch);
                }
                Ok(other) => bail!("a submission was answered with {other:?}"),
                Err(CallError::Lost(_)) => self.forget(&caller).await,
                Err(CallError::Refused(
                    Refusal::Busy { .. } | Refusal::QueueFull { .. } | Refusal::StorageFull,
                )) => {
                    tokio::time::sleep(AGAIN).await;
                }
                Err(other) => return Err(anyhow!(other).context("a submission was refused")),
            }
        }
    }

    fn part(&self, key: Key, (sort, first, count): (Sort, u64, u64)) -> Result<Submit> {
        let mut args = ArgList::with_capacity(count as usize, count as usize * 8);
        for n in first..first + count {
            let text = match sort {
                Sort::Squares | Sort::Processes => n.to_string(),
                // So long that some task is open at nearly every kill.
                Sort::Sleeps => format!("{}ms", 20 + n % 1_480),
            };
            args.push(text.as_bytes());
        }
        let word = |text: &str| Template::from_text(text).context("a word is no template");
        let spec = Spec::of(match sort {
            Sort::Squares => Kind::Square,
            Sort::Sleeps => Kind::Sleep,
            Sort::Processes => Kind::Exec {
                argv: vec![
                    word("sh")?,
                    word("-c")?,
                    word("sleep 0.05; echo {}")?,
                    word(&self.mark)?,
                ],
            },
        });
        let head = Some(Box::new(SubmitHead { spec, options: BatchOptions::default() }));
        Ok(Submit { key, part: 0, last: true, head, args: Args::Listed(args) })
    }

    /// Returns a connection; dials until there is one.
    async fn caller(&self) -> Caller {
        let mut kept = self.caller.lock().await;
        loop {
            if let Some(caller) = &*kept {
                return caller.clone();
            }
            match self.dial.caller().await {
                Ok(caller) => *kept = Some(caller),
                Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// Lets a connection go that is lost, unless another has its place already.
    async fn forget(&self, lost: &Caller) {
        let mut kept = self.caller.lock().await;
        if kept.as_ref().is_some_and(|caller| caller.is_same(lost)) {
            *kept = None;
        }
        drop(kept);
        tokio::time::sleep(AGAIN).await;
    }
}

/// Looks for every acknowledged task's one result.
pub(super) async fn check(
    caller: &Caller,
    done: &[Acknowledged],
    report: &mut Report,
) -> Result<()> {
    report.submissions = done.len() as u64;
    report.repeated = done.iter().filter(|one| one.sent == Sent::Twice).count() as u64;
    for one in done {
        let mut next = one.first;
        let mut after = TaskId::new(0);
        loop {
            let request = Request::Results { batch: Some(one.batch), after, rows: PAGE_ROWS_MAX };
            let page = match caller.call(request).await {
                Ok(Reply::Results(page)) => page,
                Ok(other) => bail!("a request for results was answered with {other:?}"),
                Err(CallError::Refused(refusal)) => {
                    report.findings.push(format!("{} is not there: {refusal}", one.batch));
                    break;
                }
                Err(lost) => return Err(lost.into()),
            };
            for row in &page.rows {
                match verdict(one, row, next) {
                    Verdict::Right => report.tasks.right += 1,
                    Verdict::Poisoned => report.tasks.poisoned += 1,
                    Verdict::Wrong => report.tasks.wrong += 1,
                }
                next += 1;
            }
            let Some(more) = page.next else { break };
            after = more;
        }
        report.tasks.acknowledged += one.count;
        report.tasks.wrong += (one.first + one.count).saturating_sub(next);
    }
    Ok(())
}

/// What a result is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    Poisoned,
    Wrong,
}

fn verdict(one: &Acknowledged, row: &ResultLine, n: u64) -> Verdict {
    if row.index != n - one.first {
        return Verdict::Wrong;
    }
    let Some(ended) = &row.ended else {
        // Nothing was ever reported of it: its workers were killed under it, time after time.
        return if row.state == TaskState::Failed { Verdict::Poisoned } else { Verdict::Wrong };
    };
    let expected = match one.sort {
        Sort::Squares => format!("{n} * {n} = {}", u128::from(n) * u128::from(n)),
        Sort::Sleeps => String::new(),
        Sort::Processes => format!("{n}\n"),
    };
    let right = row.state == TaskState::Done
        && ended.outcome == Outcome::Done
        && ended.stdout == expected.as_bytes();
    if right { Verdict::Right } else { Verdict::Wrong }
}
