//! `ganger ls`: tasks in id order or sorted, or batches.

use std::fmt::Write as _;

use ganger_net::client::Caller;
use ganger_proto::filter::KEYS;
use ganger_proto::limits::{PAGE_ROWS_MAX, WINDOW_ROWS_MAX};
use ganger_proto::picture::{Order, Search, Sort, Start, TaskRow, TaskWindow, Watch, Window};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{Filter, Reply, Request, TaskId, WallMs};

use crate::clock::Clock;

use super::error::{CliError, Result};
use super::out::Out;
use super::place::Place;
use super::table::{Table, number};
use super::{Exit, out, reach, select, status, text};

/// Flags of `ganger ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub(crate) struct Args {
    /// List batches, the newest first, instead of tasks
    #[arg(long, conflicts_with_all = ["filter", "sort"])]
    batches: bool,

    /// Rows at most; 0 for all [default: 100 on a terminal, else all]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,

    /// Sort by id, state, priority, kind, worker, tries, exit, took or since; the largest first
    /// with :desc [default: id]
    #[arg(long, value_name = "KEY[:desc]")]
    sort: Option<Sort>,

    /// Which tasks
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// Rows on a terminal when the person does not say how many.
const TERMINAL_ROWS: u64 = 100;

/// Teaches the filter language, from the table that the parser has.
fn help() -> String {
    let mut help = "\
FILTER is a list of terms that must all hold. A term is a text that is part of the command or of the
batch's name, or one of these:
"
    .to_owned();
    for (_, example, means) in KEYS {
        writeln!(help, "  {example:<24}{means}").expect("writing to memory does not fail");
    }
    help.push_str(
        "
A `-` before a term turns it around (-cmd:TEXT for a text), `|` is between alternatives, double
quotes keep blanks together. Lower case finds any case. Numbers and times take : > >= < <= and a..b,
times are written 250ms, 10s, 5m, 2h, 1d. The short words b12, 7 and 100..200 stand for batch:b12,
id:7 and id:100..200. Put quotes of the shell around words with > < | or blanks.

Examples:
  ganger ls b12 state:failed
  ganger ls 'exit:1|2' 'dur>10m' gzip
  ganger ls 'cmd:\"two words\"' -queue:mail
  ganger ls --sort took:desc -n 10 state:done
  ganger ls --json state:open | jq .task
  ganger ls --batches",
    );
    help
}

/// Prints the rows.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    let filter = select::parse_filter(&args.filter)?;
    let on_terminal = place.out().columns().is_some();
    let limit = match args.limit {
        Some(0) => u64::MAX,
        Some(limit) => limit,
        None if on_terminal => TERMINAL_ROWS,
        None => u64::MAX,
    };
    if args.batches {
        return batches(place, limit).await;
    }
    let caller = reach::connect(place).await?;
    let mut out = place.out();
    let now = Clock::start().wall();
    let mut list = Listing { out: &mut out, now, printed: 0, limit };
    let total = match args.sort.filter(|sort| *sort != Sort::default()) {
        None => list.in_id_order(&caller, filter).await?,
        Some(sort) => list.sorted(&caller, filter, sort).await?,
    };
    list.close(total);
    Ok(())
}

/// Rows on their way out.
struct Listing<'a> {
    out: &'a mut Out,
    now: WallMs,
    printed: u64,
    limit: u64,
}

/// What is known when all that was wanted is printed.
enum Total {
    /// So many match.
    Known(u64),
    /// More may match.
    More,
}

impl Listing<'_> {
    async fn in_id_order(&mut self, caller: &Caller, filter: Filter) -> Result<Total> {
        let mut after = TaskId::new(0);
        loop {
            let rows = rows_wanted(self.limit - self.printed);
            let request = Request::List { filter: filter.clone(), after, rows };
            let Reply::Tasks { rows, total, next } = caller.call(request).await? else {
                return Err(reach::unexpected());
            };
            self.print(&rows)?;
            let Some(next) = next else {
                return Ok(Total::Known(total.unwrap_or(self.printed)));
            };
            if self.printed >= self.limit {
                return Ok(total.map_or(Total::More, Total::Known));
            }
            after = next;
        }
    }

    /// Sorting is a window's business: pages are windows that follow one another.
    async fn sorted(&mut self, caller: &Caller, filter: Filter, sort: Sort) -> Result<Total> {
        let mut watch = Watch::default();
        let mut start = Start::First;
        loop {
            watch.number += 1;
            let rows = rows_wanted(self.limit - self.printed).min(WINDOW_ROWS_MAX);
            let order = Order::By(sort);
            watch.tasks = Some(TaskWindow { filter: filter.clone(), order, start, rows });
            caller.watch(watch.clone()).await?;
            let page = found(caller, watch.number).await?;
            self.print(&page.rows)?;
            // The last window begins so that it is full: rows that were printed are in it again.
            let Some(last) = page.rows.last() else { return Ok(Total::Known(page.total)) };
            let end = page.start + page.rows.len() as u64;
            if self.printed >= self.limit || end >= page.total {
                return Ok(Total::Known(page.total));
            }
            let left = page.total - end;
            let next = rows_wanted(self.limit - self.printed).min(WINDOW_ROWS_MAX);
            if left < u64::from(next) {
                self.limit = self.printed + left;
            }
            start = Start::Task { task: last.task, offset: 1 };
        }
    }

    fn print(&mut self, rows: &[TaskRow]) -> Result<()> {
        self.printed += rows.len() as u64;
        if self.out.is_json() {
            for row in rows {
                self.out.json(row)?;
            }
        } else if !rows.is_empty() {
            // Each page is a table of its own: a list of any length takes the memory of one page.
            table(rows, self.now).print(self.out)?;
        }
        self.out.flush()
    }

    fn close(&self, total: Total) {
        match total {
            Total::Known(all) if self.printed < all => out::note(&format!(
                "{} of {} tasks; `-n 0` lists all",
                number(self.printed),
                number(all)
            )),
            Total::More => {
                let printed = number(self.printed);
                out::note(&format!("the first {printed} that match; `-n 0` lists all"));
            }
            Total::Known(_) if self.printed == 0 && !self.out.is_json() => {
                out::note("no task matches");
            }
            Total::Known(_) => {}
        }
    }
}

/// Waits for the picture that answers a watch and has everything that matches.
async fn found(caller: &Caller, number: u64) -> Result<Window<TaskRow>> {
    loop {
        let picture = caller.next_picture().await?;
        let Some(window) = picture.tasks.filter(|_| picture.watch == number) else { continue };
        match window.search {
            Search::Complete => return Ok(window),
            Search::Running { .. } => {}
            Search::Refused(why) => return Err(CliError::new(Exit::Refused, text::line(&why))),
        }
    }
}

async fn batches(place: &Place, limit: u64) -> Result<()> {
    let caller = reach::connect(place).await?;
    let now = Clock::start().wall();
    let mut out = place.out();
    let (mut before, mut printed) = (None, 0);
    while printed < limit {
        let request = Request::Batches { before, rows: rows_wanted(limit - printed) };
        let Reply::Batches(page) = caller.call(request).await? else {
            return Err(reach::unexpected());
        };
        let Some(last) = page.last() else { break };
        before = Some(last.batch);
        printed += page.len() as u64;
        if out.is_json() {
            for row in &page {
                out.json(row)?;
            }
        } else {
            status::batches(&page, now).print(&mut out)?;
        }
        out.flush()?;
    }
    Ok(())
}

fn rows_wanted(left: u64) -> u32 {
    u32::try_from(left).unwrap_or(PAGE_ROWS_MAX).min(PAGE_ROWS_MAX)
}

fn table(rows: &[TaskRow], now: WallMs) -> Table {
    let mut table = Table::new(&[
        ">ID", "BATCH", "STATE", ">PRIO", ">TRY", ">TOOK", ">SINCE", "WORKER", "OUTCOME", "COMMAND",
    ]);
    for row in rows {
        let state = if row.cancelling { "cancelling" } else { row.state.word() };
        table.row(vec![
            row.task.to_string(),
            row.batch.to_string(),
            state.to_owned(),
            row.priority.to_string(),
            format!("{}/{}", row.attempt, row.attempts_max),
            row.took_us.map_or_else(String::new, |us| HumanMicros(us).to_string()),
            HumanMs(now.since(row.since)).to_string(),
            row.worker.clone(),
            row.outcome.map_or_else(String::new, |outcome| outcome.to_string()),
            row.command.clone(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_keep_to_the_limits() {
        assert_eq!(rows_wanted(7), 7);
        assert_eq!(rows_wanted(u64::MAX), PAGE_ROWS_MAX);
        assert_eq!(rows_wanted(u64::from(PAGE_ROWS_MAX) + 1), PAGE_ROWS_MAX);
    }
}
