//! `ganger workers`: the workers, one a line, or everything about one.

use ganger_net::client::Caller;
use ganger_proto::gang::WorkerDetail;
use ganger_proto::picture::{WorkerRow, WorkerState};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{Reply, Request, WallMs, WorkerName};

use crate::clock::Clock;

use super::error::Result;
use super::out::Out;
use super::place::Place;
use super::table::{Table, number};
use super::{reach, text, when};

/// Flags of `ganger workers`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Show everything about this worker
    #[arg(value_name = "NAME")]
    worker: Option<WorkerName>,
}

/// Prints the workers, or one of them.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    if let Some(name) = args.worker {
        let Reply::Worker(detail) = caller.call(Request::Worker { name }).await? else {
            return Err(reach::unexpected());
        };
        let mut out = place.out();
        if out.is_json() {
            out.json(&detail)?;
        } else {
            page(&detail, Clock::start().wall(), &mut out)?;
        }
        return out.flush();
    }
    let rows = all(&caller).await?;
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

/// Asks for all workers, page by page; the connected ones come first, then by name.
pub(super) async fn all(caller: &Caller) -> Result<Vec<WorkerRow>> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let Reply::Workers { rows, next } = caller.call(Request::Workers { after }).await? else {
            return Err(reach::unexpected());
        };
        all.extend(rows);
        if next.is_none() {
            all.sort_by(|a, b| (a.state as u8, &a.name).cmp(&(b.state as u8, &b.name)));
            return Ok(all);
        }
        after = next;
    }
}

fn page(detail: &WorkerDetail, now: WallMs, out: &mut Out) -> Result<()> {
    for (title, value) in facts(detail, now).into_iter().filter(|(_, value)| !value.is_empty()) {
        out.line(&format!("{title:<11} {}", text::line(&value)))?;
    }
    if detail.holds_total > 0 {
        out.line("")?;
        let mut table = Table::new(&[">TASK", "STATE", ">FOR", ">TRY", "COMMAND"]);
        for row in &detail.holds {
            table.row(vec![
                row.task.to_string(),
                row.state.word().to_owned(),
                HumanMs(now.since(row.since)).to_string(),
                format!("{}/{}", row.attempt, row.attempts_max),
                format!("{} {}", row.kind, row.command),
            ]);
        }
        table.print(out)?;
    }
    if !detail.moments.is_empty() {
        out.line("")?;
        for moment in &detail.moments {
            out.line(&format!("{}  {}", when(moment.at), moment.what))?;
        }
    }
    Ok(())
}

fn facts(detail: &WorkerDetail, now: WallMs) -> Vec<(&'static str, String)> {
    let row = &detail.row;
    let or_empty = |is_there: bool, value: String| if is_there { value } else { String::new() };
    let since = or_empty(row.since.0 > 0, format!(" since {}", when(row.since)));
    let permille = |part: u16| part / 10;
    let certificate = detail.certificate.as_ref();
    vec![
        ("worker", row.name.to_string()),
        ("state", format!("{}{since}", word(row.state))),
        ("address", row.address.clone()),
        ("version", row.version.clone()),
        ("labels", joined(&row.labels)),
        ("policy", row.policy.clone()),
        ("slots", slots_line(row)),
        ("tasks", format!("{} running, {} waiting", row.running, row.waiting)),
        (
            "handlers",
            joined(detail.handlers.iter().map(|one| format!("{} ({})", one.name, one.lane))),
        ),
        ("resources", joined(&detail.resources)),
        ("ended", format!("{} done, {} failed", number(row.done), number(row.failed))),
        (
            "machine",
            or_empty(
                row.rtt_us > 0,
                format!(
                    "cpu {}%, memory {}%, round trip {}, heard {} ago",
                    permille(row.cpu_permille),
                    permille(row.memory_permille),
                    HumanMicros(row.rtt_us),
                    HumanMs(row.beat_ms)
                ),
            ),
        ),
        ("clock", detail.clock_ahead_ms.map(clock).unwrap_or_default()),
        (
            "certificate",
            certificate.map_or_else(String::new, |facts| {
                let left = match (facts.revoked, facts.ends <= now) {
                    (true, _) => "revoked".to_owned(),
                    (false, true) => "ended".to_owned(),
                    (false, false) => format!("{} left", HumanMs(facts.ends.since(now))),
                };
                format!("{left}; from {} until {}", when(facts.issued), when(facts.ends))
            }),
        ),
        ("serial", certificate.map_or_else(String::new, |facts| facts.serial.clone())),
        ("key sha256", certificate.map_or_else(String::new, |facts| facts.fingerprint.clone())),
    ]
}

fn slots_line(row: &WorkerRow) -> String {
    let (cpu, io) = (row.busy.cpu, row.busy.io);
    format!("cpu {}, {cpu} busy; io {}, {io} busy", row.slots, row.io_slots)
}

fn joined<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(" ")
}

/// Says how far a clock is from the master's; what a slow network may be is not told apart.
fn clock(ahead_ms: i64) -> String {
    let off = ahead_ms.unsigned_abs();
    match ahead_ms {
        _ if off < 1_000 => "agrees with the master's".to_owned(),
        1.. => format!("{} ahead of the master's", HumanMs(off)),
        _ => format!("{} behind the master's", HumanMs(off)),
    }
}

/// Lays workers out.
pub(crate) fn table(rows: &[WorkerRow], now: WallMs) -> Table {
    let mut table = Table::new(&[
        "WORKER", "STATE", ">SINCE", ">SLOTS", ">IO", ">RUN", ">WAIT", ">DONE", ">FAILED",
        ">RATE/s", ">RTT", ">CERT", "ADDRESS", "POLICY", "LABELS",
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
            number(row.io_slots.into()),
            number(row.running.into()),
            number(row.waiting.into()),
            number(row.done),
            number(row.failed),
            format!("{:.1}", row.done_per_s),
            rtt,
            certificate,
            row.address.clone(),
            row.policy.clone(),
            joined(&row.labels),
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
