//! `ganger ls`: tasks in id order, or batches.

use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::picture::TaskRow;
use ganger_proto::time::HumanMs;
use ganger_proto::{Filter, Reply, Request, TaskId, WallMs};

use crate::clock::Clock;

use super::error::Result;
use super::place::Place;
use super::table::{Table, number};
use super::{out, reach, select, status};

/// Flags of `ganger ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
FILTER is a list of terms that must all hold: state:failed|cancelled batch:b12 queue:mail kind:exec
worker:alpha id:100..200, and -TERM for its opposite. The short words b12, 7 and 100..200 stand for
batch:b12, id:7 and id:100..200. More states: open, ended, leased.

Examples:
  ganger ls b12 state:failed
  ganger ls --json state:open | jq .task
  ganger ls --batches")]
pub(crate) struct Args {
    /// List batches, the newest first, instead of tasks
    #[arg(long, conflicts_with = "filter")]
    batches: bool,

    /// Rows at most; 0 for all [default: 100 on a terminal, else all]
    #[arg(short = 'n', long, value_name = "N")]
    limit: Option<u64>,

    /// Which tasks
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
}

/// Rows on a terminal when the person does not say how many.
const TERMINAL_ROWS: u64 = 100;

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
    if args.batches { batches(place, limit).await } else { tasks(place, filter, limit).await }
}

async fn tasks(place: &Place, filter: Filter, limit: u64) -> Result<()> {
    let caller = reach::connect(place).await?;
    let now = Clock::start().wall();
    let mut out = place.out();
    let (mut after, mut printed) = (TaskId::new(0), 0);
    let matching = loop {
        let rows = rows_wanted(limit - printed);
        let request = Request::List { filter: filter.clone(), after, rows };
        let Reply::Tasks { rows: page, total } = caller.call(request).await? else {
            return Err(reach::unexpected());
        };
        let Some(last) = page.last() else { break total };
        after = last.task;
        printed += page.len() as u64;
        if out.is_json() {
            for row in &page {
                out.json(row)?;
            }
        } else {
            // Each page is a table of its own: a list of any length takes the memory of one page.
            table(&page, now).print(&mut out)?;
        }
        out.flush()?;
        if printed >= limit {
            break total;
        }
    };
    if printed < matching {
        out::note(&format!("{} of {} tasks; `-n 0` lists all", number(printed), number(matching)));
    } else if printed == 0 && !out.is_json() {
        out::note("no task matches");
    }
    Ok(())
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
        ">ID", "BATCH", "STATE", ">PRIO", ">TRY", ">SINCE", "WORKER", "OUTCOME", "COMMAND",
    ]);
    for row in rows {
        let state = if row.cancelling { "cancelling" } else { row.state.word() };
        table.row(vec![
            row.task.to_string(),
            row.batch.to_string(),
            state.to_owned(),
            row.priority.to_string(),
            format!("{}/{}", row.attempt, row.attempts_max),
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
