//! The screen's stand-in where none can be drawn: a line for each event and a summary every ten
//! seconds, until Ctrl-C. What is new is told by news.rs.

mod news;

use std::time::Duration;

use ganger_net::client::{Backoff, CallError, Caller};
use ganger_proto::picture::{Order, RowWindow, Start, TaskWindow};
use ganger_proto::{Filter, Picture, Reply, Request, WallMs, Watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};

use self::news::{Event, News};
use super::error::{Result, is_final};
use super::out::Out;
use super::place::Place;
use super::{Exit, out, reach, when};
use crate::clock::Clock;

/// Between two looks for news.
const LOOK: Duration = Duration::from_secs(1);
const SUMMARY: Duration = Duration::from_secs(10);
/// Rows of batches, results and workers at one look.
const ROWS: u32 = 200;

/// Prints what happens until the person has enough.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let caller = reach::connect_or_start(place).await?;
    let mut printer = Printer { out: place.out(), clock: Clock::start() };
    let told = tokio::select! {
        told = tell(place, caller, &mut printer) => told,
        pressed = tokio::signal::ctrl_c() => pressed.map_err(Into::into),
    };
    told?;
    out::note("the master keeps running; `ganger` to return, `ganger stop` to stop it");
    Ok(())
}

struct Printer {
    out: Out,
    clock: Clock,
}

impl Printer {
    fn now(&self) -> WallMs {
        self.clock.wall()
    }

    fn print(&mut self, events: &[Event]) -> Result<()> {
        let at = when(self.now());
        for event in events {
            if self.out.is_json() {
                self.out.json(&json(&at, event)?)?;
            } else {
                self.out.line(&format!("{at}  {}", event.line()))?;
            }
        }
        self.out.flush()
    }
}

/// Returns an event with its time, as one object.
fn json(at: &str, event: &Event) -> Result<serde_json::Value> {
    let mut value = serde_json::to_value(event).map_err(std::io::Error::from)?;
    if let serde_json::Value::Object(fields) = &mut value {
        fields.insert("at".to_owned(), at.into());
    }
    Ok(value)
}

/// Tells what happens; dials again when the connection is lost.
async fn tell(place: &Place, first: Caller, printer: &mut Printer) -> Result<()> {
    let mut news = News::default();
    let mut caller = first;
    loop {
        let cluster = caller.welcome().cluster.clone();
        let address = caller.session().remote().to_string();
        printer.print(&[Event::Connected { cluster, address }])?;
        let lost = match follow(&caller, &mut news, printer).await? {
            Some(error @ CallError::Refused(_)) => return Err(error.into()),
            Some(error) if is_final(&error) => return Err(error.into()),
            Some(error) => error,
            None => return Err(reach::unexpected()),
        };
        printer.print(&[Event::Lost { why: lost.to_string() }])?;
        caller = redial(place).await?;
    }
}

/// Dials until the master answers, or says that it never will.
async fn redial(place: &Place) -> Result<Caller> {
    let mut backoff = Backoff::default();
    loop {
        tokio::time::sleep(backoff.next_wait()).await;
        match reach::connect(place).await {
            Ok(caller) => return Ok(caller),
            Err(error) if error.exit == Exit::Unreachable => {}
            Err(error) => return Err(error),
        }
    }
}

/// Follows one connection; returns why it ended, or nothing when the master talks nonsense.
async fn follow(
    caller: &Caller,
    news: &mut News,
    printer: &mut Printer,
) -> Result<Option<CallError>> {
    if let Err(error) = caller.watch(watch()).await {
        return Ok(Some(error));
    }
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut summaries = interval_at(Instant::now() + LOOK, SUMMARY);
    summaries.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut newest: Option<Box<Picture>> = None;
    // A picture is taken once a look; the ones between replace each other at their source.
    let mut wants_picture = true;
    loop {
        tokio::select! {
            picture = caller.next_picture(), if wants_picture => match picture {
                Ok(picture) => {
                    wants_picture = false;
                    printer.print(&news.picture(&picture))?;
                    newest = Some(picture);
                }
                Err(error) => return Ok(Some(error)),
            },
            _ = looks.tick() => {
                wants_picture = true;
                match caller.call(Request::Batches { before: None, rows: ROWS }).await {
                    Ok(Reply::Batches(rows)) => {
                        let events = news.batches(&rows, printer.now());
                        printer.print(&events)?;
                    }
                    Ok(_) => return Ok(None),
                    Err(error) => return Ok(Some(error)),
                }
            }
            _ = summaries.tick() => {
                if let Some(picture) = &newest {
                    let master = Box::new(picture.master.clone());
                    printer.print(&[Event::Summary { master }])?;
                }
            }
        }
    }
}

/// What a look needs: the latest results, the workers.
fn watch() -> Watch {
    let results = TaskWindow {
        filter: Filter::default(),
        order: Order::Latest,
        start: Start::First,
        rows: ROWS,
    };
    let workers = RowWindow { start: 0, rows: ROWS };
    Watch { results: Some(results), workers: Some(workers), ..Watch::default() }
}
