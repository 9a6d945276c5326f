//! `ganger status`: master, counts, queues, workers and newest batches on one page.

use ganger_proto::command::Status;
use ganger_proto::picture::{BatchRow, MasterLine};
use ganger_proto::time::HumanMs;
use ganger_proto::{Reply, Request, TaskState, WallMs};

use crate::clock::Clock;

use super::error::Result;
use super::out::Out;
use super::place::Place;
use super::table::{Table, number};
use super::{queues, reach, text, workers};

/// Workers on the page.
const WORKERS_SHOWN: usize = 40;

/// Prints the page.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let caller = reach::connect(place).await?;
    let Reply::Status(status) = caller.call(Request::Status).await? else {
        return Err(reach::unexpected());
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&status)?;
    } else {
        page(&status, Clock::start().wall(), &mut out)?;
    }
    out.flush()
}

fn page(status: &Status, now: WallMs, out: &mut Out) -> Result<()> {
    let master = &status.master;
    let up = HumanMs(now.since(master.started));
    out.line(&text::line(&format!(
        "{}  ganger {}  at {}  up {up}  home {}",
        master.cluster, master.version, master.address, master.home
    )))?;
    out.line(&summary(master))?;
    for trouble in [&master.trouble, &master.refused] {
        if !trouble.is_empty() {
            out.line(&format!("! {}", text::line(trouble)))?;
        }
    }
    out.line("")?;
    queues::table(&status.queues).print(out)?;
    out.line("")?;
    if status.workers.is_empty() {
        out.line("no worker is connected; `ganger invite` prints the line that brings one in")?;
    } else {
        let shown = &status.workers[..status.workers.len().min(WORKERS_SHOWN)];
        workers::table(shown, now).print(out)?;
        if status.workers.len() > WORKERS_SHOWN {
            let up = status.gang.up;
            out.line(&format!("… {up} are connected in all; `ganger workers` lists every one"))?;
        }
    }
    if !status.batches.is_empty() {
        out.line("")?;
        batches(&status.batches, now).print(out)?;
    }
    Ok(())
}

/// Returns counts, rate and the time that is left, on one line.
pub(crate) fn summary(master: &MasterLine) -> String {
    let mut parts: Vec<String> = TaskState::ALL
        .into_iter()
        .map(|state| (state, master.counts.of(state)))
        .filter(|(state, count)| *count > 0 || matches!(state, TaskState::Queued | TaskState::Done))
        .map(|(state, count)| format!("{} {state}", number(count), state = state.word()))
        .collect();
    parts.push(format!("{:.1}/s", master.done_per_s));
    if let Some(eta_ms) = master.eta_ms.filter(|_| master.counts.open() > 0) {
        parts.push(format!("{} left", HumanMs(eta_ms)));
    }
    parts.join(" · ")
}

/// Says how long a batch took, or about how long it still takes, or what it waits for.
fn took(row: &BatchRow) -> String {
    match (row.ended, row.eta_ms, row.after.first()) {
        (Some(ended), _, _) => HumanMs(ended.since(row.submitted)).to_string(),
        (None, _, _) if !row.complete => "incomplete".to_owned(),
        (None, _, Some(first)) => match row.after.len() {
            1 => format!("after {first}"),
            n => format!("after {first} and {} more", n - 1),
        },
        (None, Some(eta_ms), None) => format!("{} left", HumanMs(eta_ms)),
        (None, None, None) => "–".to_owned(),
    }
}

/// Lays batches out.
pub(crate) fn batches(rows: &[BatchRow], now: WallMs) -> Table {
    let mut table = Table::new(&[
        "BATCH",
        "KIND",
        "QUEUE",
        ">TASKS",
        ">OPEN",
        ">DONE",
        ">FAILED",
        ">CANCELLED",
        ">AGE",
        ">TOOK",
        "OWNER",
        "NAME",
    ]);
    for row in rows {
        let counts = row.counts;
        table.row(vec![
            row.batch.to_string(),
            row.kind.clone(),
            row.queue.to_string(),
            number(counts.total()),
            number(counts.open()),
            number(counts.done),
            number(counts.failed),
            number(counts.cancelled),
            HumanMs(now.since(row.submitted)).to_string(),
            took(row),
            row.owner.clone(),
            row.name.clone(),
        ]);
    }
    table
}
