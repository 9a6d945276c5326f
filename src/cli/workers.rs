//! `ganger workers`: the workers, one a line.

use ganger_proto::picture::{WorkerRow, WorkerState};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{Reply, Request, WallMs};

use crate::clock::Clock;

use super::error::Result;
use super::place::Place;
use super::reach;
use super::table::{Table, number};

/// Prints the workers.
pub(crate) async fn run(place: &Place) -> Result<()> {
    let caller = reach::connect(place).await?;
    let Reply::Workers(rows) = caller.call(Request::Workers).await? else {
        return Err(reach::unexpected());
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&rows)?;
    } else if rows.is_empty() {
        out.line("no worker has joined yet; `ganger invite` prints the line that brings one in")?;
    } else {
        table(&rows, Clock::start().wall()).print(&mut out)?;
    }
    out.flush()
}

/// Lays workers out.
pub(crate) fn table(rows: &[WorkerRow], now: WallMs) -> Table {
    let mut table = Table::new(&[
        "WORKER", "STATE", ">SINCE", ">SLOTS", ">RUN", ">WAIT", ">DONE", ">FAILED", ">RATE/s",
        ">RTT", ">CERT", "ADDRESS", "POLICY",
    ]);
    for row in rows {
        let certificate = row.certificate_ends.map_or_else(
            || "–".to_owned(),
            |ends| {
                if ends <= now { "ended".to_owned() } else { HumanMs(ends.since(now)).to_string() }
            },
        );
        let rtt =
            if row.rtt_us == 0 { "–".to_owned() } else { HumanMicros(row.rtt_us).to_string() };
        table.row(vec![
            row.name.to_string(),
            word(row.state).to_owned(),
            HumanMs(now.since(row.since)).to_string(),
            number(row.slots.into()),
            number(row.running.into()),
            number(row.waiting.into()),
            number(row.done),
            number(row.failed),
            format!("{:.1}", row.done_per_s),
            rtt,
            certificate,
            row.address.clone(),
            row.policy.clone(),
        ]);
    }
    table
}

const fn word(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Up => "up",
        WorkerState::Draining => "draining",
        WorkerState::Away => "away",
        WorkerState::Lost => "lost",
        WorkerState::Gone => "gone",
        WorkerState::Revoked => "revoked",
    }
}
