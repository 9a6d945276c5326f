//! A run from its first task to its exit code: one loop takes what comes from the feeder, the
//! follower, signals and time, and decides when it is over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::command::{EndRow, Select};
use ganger_proto::filter::{Filter, Test};
use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::picture::BatchRow;
use ganger_proto::template::Values;
use ganger_proto::{ArgForm, BatchId, Outcome, Reply, Request, TaskId, TaskState};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::error::{CliError, Result};
use super::super::place::Place;
use super::super::progress::{Progress, Style};
use super::super::submit::send::random_key;
use super::super::table::number;
use super::super::{out, reach};
use super::feeder::{Feeder, Food, Wanted};
use super::halt::{End, Ends, Halt, OWN_ERROR, When};
use super::joblog::{Entry, JobLog};
use super::line::Line;
use super::link::Link;
use super::pace::{Limit, Pace};
use super::plan::Plan;
use super::print::Printer;
use super::stops::{Stop, Stops};
use super::waits::Waits;
use super::{Args, broken_pipe, follower};

/// What the loop hears; when it is full the feeder and the follower wait.
const EVENTS_MAX: usize = 16;
/// How often it looks at time: who runs for too long, why nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After TERM for `--halt now`: as long as GNU parallel waits before KILL.
const TERM_FOR: Duration = Duration::from_millis(400);

/// What happened.
pub(crate) enum Event {
    /// The batch is there; more of it may come.
    Begun(BatchId),
    /// All of it is there: so many tasks.
    Whole(u64),
    /// Tasks ended; and how far the batch is.
    Rows(Vec<EndRow>, Box<BatchRow>),
    /// How far the batch is.
    Progress(Box<BatchRow>),
    /// All tasks have ended and were told.
    Over,
    /// Something cannot go on.
    Broken(CliError),
}

/// Whether the loop goes on.
enum Next {
    Go,
    End,
}

/// Why no more tasks start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// They do.
    Starting,
    /// `--halt`, a signal, or an error stopped it; what runs is waited for.
    Waiting,
    /// What runs is being cancelled.
    Cancelling,
}

struct Drive<'a> {
    args: &'a Args,
    link: Arc<Link>,
    line: Line,
    form: ArgForm,
    printer: Printer<'a>,
    log: Option<JobLog>,
    bar: Progress,
    events: mpsc::Sender<Event>,
    wanted: watch::Sender<Wanted>,
    tasks: Vec<JoinHandle<()>>,
    batch: Option<BatchId>,
    /// How far the batch is, as it was heard last.
    row: Option<Box<BatchRow>>,
    /// Whether all of the batch is there.
    fed: bool,
    ends: Ends,
    /// The exit code, once it is settled.
    exit: Option<u8>,
    phase: Phase,
    /// How often an end was asked for.
    asked: u32,
    leaving: bool,
    kill_at: Option<Instant>,
    pace: Pace,
    /// Tasks that were stopped because they ran for too long.
    timed_out: HashSet<TaskId>,
    waits: Waits,
    /// Tasks that did not run, or not to their end, because the run was stopped.
    cut_short: u64,
    broken: Option<CliError>,
}

/// Runs the plan; returns the exit code.
///
/// # Errors
/// When the master cannot be reached or refuses, arguments cannot be read, or output cannot be
/// written.
pub(crate) async fn run(place: &Place, args: &Args, plan: Plan) -> Result<u8> {
    let Plan { line, head, mut fitting, total, log, look } = plan;
    // Nothing to do needs no master. Signals are not ours yet: Ctrl-C ends a wait for input.
    if !fitting.peek()? {
        return Ok(0);
    }
    let mut stops = Stops::new()?;
    let link = Arc::new(Link::open(place).await?);
    let (events, mut inbox) = mpsc::channel(EVENTS_MAX);
    let (wanted, more) = watch::channel(Wanted::More);
    let form = head.spec.form.clone();
    let feeder = Feeder {
        link: Arc::clone(&link),
        key: random_key()?,
        head,
        wanted: more,
        events: events.clone(),
    };
    let food = Food::begin(fitting)?;
    let failed = events.clone();
    let feeding = tokio::spawn(async move {
        if let Err(error) = feeder.feed(food).await {
            failed.send(Event::Broken(error)).await.unwrap_or_default();
        }
    });
    let style = if args.eta { Style::Eta } else { Style::Bar };
    let printer_link = Arc::clone(&link);
    let mut drive = Drive {
        args,
        line,
        printer: Printer::new(place, &printer_link, &form, look),
        link,
        form,
        log,
        bar: Progress::styled("running", total, style),
        events,
        wanted,
        tasks: vec![feeding],
        batch: None,
        row: None,
        fed: false,
        ends: Ends::default(),
        exit: None,
        phase: Phase::Starting,
        asked: 0,
        leaving: false,
        kill_at: None,
        pace: Pace::default(),
        timed_out: HashSet::new(),
        waits: Waits::new(),
        cut_short: 0,
        broken: None,
    };
    let done = drive.work(&mut inbox, &mut stops).await;
    drive.bar.finish();
    for task in &drive.tasks {
        task.abort();
    }
    if let Err(error) = done {
        return drive.fail(error).await;
    }
    drive.verdict()
}

impl Drive<'_> {
    async fn work(&mut self, inbox: &mut mpsc::Receiver<Event>, stops: &mut Stops) -> Result<()> {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let kill_at = self.kill_at;
            let next = tokio::select! {
                event = inbox.recv() => match event {
                    Some(event) => self.take(event).await?,
                    None => Next::End,
                },
                stop = stops.next() => self.stopped(stop).await?,
                _ = looks.tick() => self.look().await?,
                () = at(kill_at) => {
                    self.kill_at = None;
                    self.cancel_all(Force::Kill).await?;
                    Next::Go
                }
            };
            if matches!(next, Next::End) {
                return self.printer.finish().await;
            }
        }
    }

    async fn take(&mut self, event: Event) -> Result<Next> {
        match event {
            Event::Begun(batch) => {
                self.batch = Some(batch);
                let (link, events) = (Arc::clone(&self.link), self.events.clone());
                let failed = events.clone();
                self.tasks.push(tokio::spawn(async move {
                    if let Err(error) = follower::follow(link, batch, events).await {
                        failed.send(Event::Broken(error)).await.unwrap_or_default();
                    }
                }));
            }
            Event::Whole(tasks) => {
                self.fed = true;
                self.ends.set_total(tasks);
                if tasks == 0 || self.leaving {
                    return self.gone();
                }
                self.judge().await?;
                if self.phase != Phase::Starting {
                    // What was sent after the first cancel.
                    self.cancel_waiting().await?;
                }
            }
            Event::Rows(rows, row) => {
                self.row = Some(row);
                self.waits.moved();
                self.bar.clear();
                for row in rows {
                    self.ended(row).await?;
                }
                self.printer.flush()?;
                self.show();
            }
            Event::Progress(row) => {
                self.row = Some(row);
                self.show();
            }
            Event::Over => return Ok(Next::End),
            Event::Broken(error) => {
                // Arguments that cannot be read are no reason to leave what runs alone.
                if self.batch.is_none() || self.broken.is_some() || self.fed {
                    return Err(error);
                }
                out::note(&format!("error: {}", error.sentence));
                self.broken = Some(CliError::quiet(error.exit));
                self.fed = true;
                self.stop(When::Soon).await?;
            }
        }
        Ok(Next::Go)
    }

    fn show(&mut self) {
        let Some(row) = &self.row else { return };
        let total = self.fed.then(|| row.counts.total());
        self.bar.set(row.counts.ended(), total);
    }

    /// Takes the end of one task.
    async fn ended(&mut self, row: EndRow) -> Result<()> {
        let stopped = row.line.state == TaskState::Cancelled;
        if stopped && self.phase != Phase::Starting {
            self.cut_short += 1;
            return self.printer.pass_over(row).await;
        }
        if self.phase == Phase::Cancelling && self.exit.is_some() {
            // `--halt now` has settled everything: what ended since counts for nothing.
            return self.printer.pass_over(row).await;
        }
        let end = self.end_of(&row);
        if let Some(ended) = row.line.ended.as_ref().filter(|_| !end.is_failure()) {
            self.pace.ended(ended.took_us);
        }
        self.write_log(&row, end).await?;
        self.ends.count(end);
        let command = self.said(&row);
        self.printer.take(row).await?;
        self.judge_one(end, &command).await
    }

    fn end_of(&self, row: &EndRow) -> End {
        let stopped = End { code: -1, signal: 15 };
        let never = End { code: -1, signal: 0 };
        match (row.line.state, row.line.ended.as_ref().map(|ended| ended.outcome)) {
            (TaskState::Done, _) => End::default(),
            (_, Some(Outcome::Failed { code })) => End { code, signal: 0 },
            (_, Some(Outcome::Signalled { signal })) => End { code: 0, signal },
            (_, Some(Outcome::TimedOut | Outcome::Cancelled)) => stopped,
            (TaskState::Cancelled, None) => stopped,
            (_, Some(Outcome::Done | Outcome::Lost | Outcome::Unfit) | None) => never,
        }
    }

    fn said(&self, row: &EndRow) -> Vec<u8> {
        let values = Values::new(&self.form, row.argument.as_deref(), row.line.index + 1);
        self.line.shown(&values)
    }

    async fn write_log(&mut self, row: &EndRow, end: End) -> Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        let command = self.said(row);
        let values = Values::new(&self.form, row.argument.as_deref(), row.line.index + 1);
        let number = values.number();
        let received = self.printer.received(row).await?;
        let Some(log) = &mut self.log else { return Ok(()) };
        let took_ms = row.line.ended.as_ref().map_or(0, |ended| ended.took_us / 1_000);
        log.write(&Entry {
            number,
            host: row.line.worker.clone(),
            began_ms: row.at.0.saturating_sub(took_ms),
            took_ms,
            received,
            end,
            command,
        })
    }

    /// Sees whether a task's end stops the run, and says so as GNU parallel does.
    async fn judge_one(&mut self, end: End, command: &[u8]) -> Result<()> {
        if let Halt::When { of, .. } = self.args.halt
            && let Some(what) = of.told(end)
        {
            let command = super::super::text::line(&String::from_utf8_lossy(command));
            out::note(&format!("ganger: This job {what}: {command}"));
        }
        self.judge().await
    }

    async fn judge(&mut self) -> Result<()> {
        if self.exit.is_some() {
            return Ok(());
        }
        if let Some((when, exit)) = self.args.halt.verdict(&self.ends) {
            self.exit = Some(exit);
            self.stop(when).await?;
        }
        Ok(())
    }

    /// Starts no more tasks, or ends those that run.
    async fn stop(&mut self, when: When) -> Result<()> {
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

    async fn cancel_waiting(&self) -> Result<()> {
        let Some(batch) = self.batch else { return Ok(()) };
        let mut filter = Filter::of(Test::Batch(vec![batch]));
        let waiting =
            vec![TaskState::Blocked, TaskState::Delayed, TaskState::Queued, TaskState::Sent];
        filter.terms.extend(Filter::of(Test::State(waiting)).terms);
        self.change(Request::Cancel { select: Select::Matching(filter), now: false }).await
    }

    async fn cancel_all(&self, force: Force) -> Result<()> {
        let Some(batch) = self.batch else { return Ok(()) };
        let now = force == Force::Kill;
        self.change(Request::Cancel { select: Select::Batch(batch), now }).await
    }

    async fn change(&self, request: Request) -> Result<()> {
        match self.link.call(request).await? {
            Reply::Changed(_) => Ok(()),
            _ => Err(reach::unexpected()),
        }
    }

    async fn stopped(&mut self, stop: Stop) -> Result<Next> {
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
    fn gone(&mut self) -> Result<Next> {
        if let Some(batch) = self.batch.filter(|_| self.leaving) {
            out::note(&format!(
                "\nganger: {batch} goes on without this command; `ganger wait {batch}` waits for it, \
                 `ganger results {batch}` prints what it printed"
            ));
            self.exit = Some(OWN_ERROR);
        }
        Ok(Next::End)
    }

    /// Looks at time.
    async fn look(&mut self) -> Result<Next> {
        if let (Some(Limit::Percent(percent)), Some(batch)) = (self.args.timeout, self.batch) {
            self.stop_slow(batch, percent).await?;
        }
        if let Some(row) = self.row.clone()
            && self.phase == Phase::Starting
        {
            self.waits.look(&self.link, &row).await?;
        }
        Ok(Next::Go)
    }

    /// Stops tasks that run for longer than a part of the median.
    async fn stop_slow(&mut self, batch: BatchId, percent: u32) -> Result<()> {
        let mut filter = Filter::of(Test::Batch(vec![batch]));
        filter.terms.extend(Filter::of(Test::State(vec![TaskState::Running])).terms);
        let request = Request::List { filter, after: TaskId::new(0), rows: PAGE_ROWS_MAX };
        let Reply::Tasks { rows, .. } = self.link.call(request).await? else {
            return Err(reach::unexpected());
        };
        let ids: Vec<TaskId> = rows.iter().map(|row| row.task).collect();
        let mut over = self.pace.over(Instant::now(), &ids, percent);
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

    /// What cannot go on: nobody reads the output any more, or the master is out of reach.
    async fn fail(&mut self, error: CliError) -> Result<u8> {
        if let Some(batch) = self.batch {
            if broken_pipe(&error) {
                // As a program that is killed because nobody reads what it prints.
                self.cancel_all(Force::Kill).await?;
                return Ok(OWN_ERROR);
            }
            out::note(&format!(
                "ganger: {batch} goes on without this command; `ganger wait {batch}` waits for it"
            ));
        }
        Err(error)
    }

    fn verdict(&mut self) -> Result<u8> {
        if self.cut_short > 0
            && let Some(batch) = self.batch
        {
            out::note(&format!(
                "ganger: {} tasks of {batch} did not run to their end; `ganger retry {batch}` runs \
                 them",
                number(self.cut_short)
            ));
        }
        if let Some(error) = self.broken.take() {
            return Err(error);
        }
        if !self.printer.cut.is_empty() {
            let shown: Vec<String> =
                self.printer.cut.iter().take(20).map(ToString::to_string).collect();
            return Err(CliError::failed(format!(
                "not all of the output was kept of {} tasks ({}); let them write files, or print \
                 less than --output-max",
                self.printer.cut.len(),
                shown.join(", ")
            )));
        }
        Ok(self.exit.unwrap_or_else(|| self.ends.exit(self.args.halt)))
    }
}

/// How running tasks are ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Force {
    /// TERM, a grace, then KILL.
    Ask,
    /// At once.
    Kill,
}

/// Waits for a moment, or for ever when there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
