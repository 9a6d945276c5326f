//! A run from its first task to its exit code: one loop takes what comes from the feeder, the
//! follower, signals and time, and decides when it is over.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::ends::EndRow;
use ganger_proto::follow::Followed;
use ganger_proto::picture::BatchRow;
use ganger_proto::{ArgForm, BatchId, TaskId};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::error::{CliError, Result};
use super::super::out;
use super::super::place::Place;
use super::super::progress::{Progress, Style};
use super::super::submit::send::random_key;
use super::super::table::number;

use super::control::Force;
use super::feeder::{Feeder, Food, Wanted};
use super::halt::{Ends, OWN_ERROR, When};
use super::joblog::JobLog;
use super::line::Line;
use super::link::Link;
use super::pace::{Limit, Pace};
use super::plan::Plan;
use super::print::Printer;
use super::stops::Stops;
use super::waits::Waits;
use super::{Args, broken_pipe, follower};

/// What the loop hears; when it is full the feeder and the follower wait.
const EVENTS_MAX: usize = 16;
/// How often it looks at time: who runs for too long, why nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// After TERM for `--halt now`: as long as GNU parallel waits before KILL.
pub(super) const TERM_FOR: Duration = Duration::from_millis(400);

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
    /// What a running task prints.
    Live(TaskId, Followed),
    /// An argument cannot be read, so none comes after it.
    Unread(CliError),
    /// Something cannot go on.
    Broken(CliError),
}

/// Whether the loop goes on.
pub(super) enum Next {
    Go,
    End,
}

/// Why no more tasks start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// They do.
    Starting,
    /// `--halt`, a signal, or an error stopped it; what runs is waited for.
    Waiting,
    /// What runs is being cancelled.
    Cancelling,
}

/// A run that goes on.
pub(super) struct Drive<'a> {
    pub(super) args: &'a Args,
    pub(super) link: Arc<Link>,
    pub(super) line: Line,
    pub(super) form: ArgForm,
    pub(super) printer: Printer<'a>,
    pub(super) log: Option<JobLog>,
    pub(super) bar: Progress,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) wanted: watch::Sender<Wanted>,
    pub(super) tasks: Vec<JoinHandle<()>>,
    pub(super) batch: Option<BatchId>,
    /// How far the batch is, as it was heard last.
    pub(super) row: Option<Box<BatchRow>>,
    /// Whether all of the batch is there.
    pub(super) fed: bool,
    pub(super) ends: Ends,
    /// The exit code, once it is settled.
    pub(super) exit: Option<u8>,
    pub(super) phase: Phase,
    /// How often an end was asked for.
    pub(super) asked: u32,
    pub(super) leaving: bool,
    pub(super) kill_at: Option<Instant>,
    pub(super) pace: Pace,
    /// Tasks that were stopped because they ran for too long.
    pub(super) timed_out: HashSet<TaskId>,
    pub(super) waits: Waits,
    /// Tasks that did not run, or not to their end, because the run was stopped.
    pub(super) cut_short: u64,
    pub(super) broken: Option<CliError>,
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
    let feeding = begin(feeder, Food::begin(fitting)?);
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

fn begin(feeder: Feeder, food: Food) -> JoinHandle<()> {
    let failed = feeder.events.clone();
    tokio::spawn(async move {
        if let Err(error) = feeder.feed(food).await {
            // Nobody hears it when the run has ended.
            failed.send(Event::Broken(error)).await.unwrap_or_default();
        }
    })
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
            Event::Live(task, followed) => {
                self.bar.clear();
                self.printer.live(task, followed)?;
                self.show();
            }
            Event::Over => return Ok(Next::End),
            Event::Unread(error) => {
                // What runs is waited for; the end says no more than the code.
                out::note(&format!("error: {}", error.sentence));
                self.broken = Some(CliError::quiet(error.exit));
                self.stop(When::Soon).await?;
            }
            Event::Broken(error) => return Err(error),
        }
        Ok(Next::Go)
    }

    fn show(&mut self) {
        let Some(row) = &self.row else { return };
        let total = self.fed.then(|| row.counts.total());
        self.bar.set(row.counts.ended(), total);
    }

    /// Looks at time.
    async fn look(&mut self) -> Result<Next> {
        if let Some(batch) = self.batch {
            self.look_at_running(batch).await?;
        }
        if let Some(row) = self.row.clone()
            && self.phase == Phase::Starting
        {
            self.waits.look(&self.link, &row).await?;
        }
        Ok(Next::Go)
    }

    async fn look_at_running(&mut self, batch: BatchId) -> Result<()> {
        let percent = match self.args.timeout {
            Some(Limit::Percent(percent)) => Some(percent),
            Some(Limit::Time(_)) | None => None,
        };
        if percent.is_none() && !self.args.line_buffer {
            return Ok(());
        }
        let running = self.running(batch).await?;
        if self.args.line_buffer {
            self.printer.lives.follow(&self.link, &running, &self.events).await?;
        }
        if let Some(percent) = percent {
            self.stop_slow(&running, percent).await?;
        }
        Ok(())
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
            let (tasks, their, them) = match self.cut_short {
                1 => ("task", "its", "it"),
                _ => ("tasks", "their", "them"),
            };
            out::note(&format!(
                "ganger: {} {tasks} of {batch} did not run to {their} end; `ganger retry {batch}` \
                 runs {them}",
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

/// Waits for a moment, or for ever when there is none.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
