//! `ganger wait`: waits until batches have ended, and says how.

use std::collections::BTreeMap;
use std::time::Duration;

use ganger_net::client::Caller;
use ganger_proto::picture::{BatchRow, Counts};
use ganger_proto::{BatchId, Reply, Request};

use super::error::{CliError, Result};
use super::place::Place;
use super::progress::Progress;
use super::table::number;
use super::{Exit, duration, reach, select};

/// Flags of `ganger wait`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with 0 when every task is done, with 1 when one failed or was cancelled.

Examples:
  ganger wait b12
  ganger wait \"$(ganger submit --range 1..100 -- ./step {})\" --timeout 1h")]
pub(crate) struct Args {
    /// The batches
    #[arg(required = true, value_name = "BATCH")]
    batches: Vec<String>,

    /// How long to wait at most; the batches go on
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

/// Waits and prints a line a batch.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    let batches: Vec<BatchId> =
        args.batches.iter().map(|word| select::parse_batch(word)).collect::<Result<_>>()?;
    let caller = reach::connect(place).await?;
    let ended = match args.timeout {
        Some(limit) => tokio::time::timeout(limit, until_ended(&caller, batches))
            .await
            .map_err(|_| CliError::failed("the time is up and not all tasks have ended"))??,
        None => until_ended(&caller, batches).await?,
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&ended)?;
    } else {
        for row in &ended {
            out.line(&format!("{}: {}", row.batch, counted(&row.counts)))?;
        }
    }
    out.flush()?;
    verdict(&ended)
}

/// Waits until the batches have ended, with a bar.
pub(crate) async fn until_ended(caller: &Caller, batches: Vec<BatchId>) -> Result<Vec<BatchRow>> {
    let mut bar = Progress::new("waiting", Some(0));
    let mut seen: BTreeMap<BatchId, Counts> = BTreeMap::new();
    let progress = |row: BatchRow| {
        seen.insert(row.batch, row.counts);
        let (ended, total) = seen.values().fold((0, 0), |(ended, total), counts| {
            (ended + counts.ended(), total + counts.total())
        });
        bar.set(ended, Some(total));
    };
    let reply = caller.call_with_progress(Request::Wait { batches }, progress).await?;
    let Reply::Ended { batches } = reply else { return Err(reach::unexpected()) };
    Ok(batches)
}

/// Returns an error when a task failed or was cancelled.
pub(crate) fn verdict(batches: &[BatchRow]) -> Result<()> {
    let failed: u64 = batches.iter().map(|row| row.counts.failed).sum();
    let cancelled: u64 = batches.iter().map(|row| row.counts.cancelled).sum();
    if failed + cancelled == 0 {
        return Ok(());
    }
    let total: u64 = batches.iter().map(|row| row.counts.total()).sum();
    let what = match (failed, cancelled) {
        (failed, 0) => format!("{} of {} tasks failed", number(failed), number(total)),
        (0, cancelled) => {
            format!("{} of {} tasks were cancelled", number(cancelled), number(total))
        }
        (failed, cancelled) => format!(
            "{} of {} tasks failed and {} were cancelled",
            number(failed),
            number(total),
            number(cancelled)
        ),
    };
    let bad = batches.iter().filter(|row| row.counts.failed + row.counts.cancelled > 0);
    let ids: Vec<String> = bad.map(|row| row.batch.to_string()).collect();
    Err(CliError::new(
        Exit::Failed,
        format!(
            "{what}; `ganger ls 'batch:{}' 'state:failed|cancelled'` names them",
            ids.join("|")
        ),
    ))
}

fn counted(counts: &Counts) -> String {
    let mut text = format!("{} done", number(counts.done));
    for (count, word) in [(counts.failed, "failed"), (counts.cancelled, "cancelled")] {
        if count > 0 {
            text.push_str(&format!(", {} {word}", number(count)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Name, WallMs};

    use super::*;

    fn row(batch: u64, done: u64, failed: u64, cancelled: u64) -> BatchRow {
        BatchRow {
            batch: BatchId::new(batch),
            name: String::new(),
            kind: "exec".into(),
            queue: Name::from_lossy("default"),
            owner: "a".into(),
            submitted: WallMs(0),
            ended: Some(WallMs(1)),
            complete: true,
            eta_ms: None,
            after: Vec::new(),
            counts: Counts { done, failed, cancelled, ..Counts::default() },
        }
    }

    #[test]
    fn the_verdict_names_what_went_wrong() {
        verdict(&[row(1, 5, 0, 0)]).unwrap();
        let check = |rows: &[BatchRow], expected: &str| {
            let error = verdict(rows).unwrap_err();
            assert_eq!(error.exit, Exit::Failed);
            assert!(error.sentence.starts_with(expected), "{error}");
        };
        check(&[row(1, 3, 2, 0)], "2 of 5 tasks failed; `ganger ls 'batch:b1'");
        check(&[row(1, 3, 0, 1)], "1 of 4 tasks were cancelled;");
        check(
            &[row(1, 1, 0, 0), row(2, 0, 1, 1), row(3, 0, 1, 0)],
            "2 of 4 tasks failed and 1 were cancelled; `ganger ls 'batch:b2|b3'",
        );
        assert_eq!(counted(&row(1, 3, 2, 0).counts), "3 done, 2 failed");
    }
}
