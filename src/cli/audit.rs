//! `ganger audit`: who was admitted and who asked for what, from the trust log and the journal, in
//! time order.

use std::collections::VecDeque;

use ganger_net::client::CallError;
use ganger_proto::audit::{AuditLog, AuditPlace, AuditRow, TrustChecked};
use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::{Refusal, Reply, Request};

use super::error::{CliError, Result};
use super::place::Place;
use super::{Exit, out, reach, text, when};

/// Flags of `ganger audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line has the time in UTC, what happened in one word, and the whole of it: invites, joins,
certificates and revocations from the trust log; submissions and the commands that changed
something from the journal. For operators only.

Examples:
  ganger audit -n 20
  ganger audit --json | jq 'select(.actor == \"operator@ann\")'
  ganger audit --verify               follows the trust log's chain of hashes")]
pub(crate) struct Args {
    /// The newest entries, this many
    #[arg(short = 'n', long = "lines", default_value_t = 100, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=LINES_MAX))]
    lines: u32,

    /// Check the trust log's chain instead; ends with 5 when it is broken
    #[arg(long)]
    verify: bool,
}

/// Lines at most: all of them are held.
const LINES_MAX: i64 = 1_000_000;

/// Prints the audit, or checks the trust log.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    if args.verify {
        return verify(place).await;
    }
    let caller = reach::connect(place).await?;
    let mut newest = Newest::of(args.lines as usize);
    let mut after = Some(AuditPlace::default());
    while let Some(place) = after {
        let request = Request::Audit { after: place, rows: PAGE_ROWS_MAX };
        let Reply::Audit(page) = caller.call(request).await? else {
            return Err(reach::unexpected());
        };
        if let Some(at) = page.journal_begins {
            out::note(&format!(
                "the journal begins {}; what was asked for before is not kept, the trust log is",
                when(at)
            ));
        }
        page.rows.into_iter().for_each(|row| newest.take(row));
        after = page.next;
        if after == Some(place) {
            return Err(reach::unexpected());
        }
    }
    let mut out = place.out();
    for row in newest.in_order() {
        if out.is_json() {
            out.json(&row)?;
        } else {
            let (word, rest) = (text::line(&row.word), text::line(&row.text));
            out.line(&format!("{}  {word:<12} {rest}", when(row.at)))?;
        }
    }
    out.flush()
}

async fn verify(place: &Place) -> Result<()> {
    let caller = reach::connect(place).await?;
    let checked = match caller.call(Request::CheckTrust).await {
        Ok(Reply::TrustChecked(checked)) => checked,
        Ok(_) => return Err(reach::unexpected()),
        Err(CallError::Refused(Refusal::State(why))) => {
            return Err(CliError::new(Exit::Damaged, text::line(&why)));
        }
        Err(error) => return Err(error.into()),
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&checked)?;
    } else {
        let TrustChecked { entries, hash } = checked;
        let hash = text::line(&hash);
        out.line(&format!("the chain of {entries} entries holds; the newest has the hash {hash}"))?;
    }
    out.flush()
}

/// The newest entries of each log.
struct Newest {
    room: usize,
    trust: VecDeque<AuditRow>,
    journal: VecDeque<AuditRow>,
}

impl Newest {
    const fn of(room: usize) -> Self {
        Self { room, trust: VecDeque::new(), journal: VecDeque::new() }
    }

    fn take(&mut self, row: AuditRow) {
        let rows = match row.log {
            AuditLog::Trust => &mut self.trust,
            AuditLog::Journal => &mut self.journal,
        };
        if rows.len() == self.room {
            rows.pop_front();
        }
        rows.push_back(row);
    }

    /// Returns the newest of both, by time; each log keeps its own order, whatever the clock did.
    fn in_order(mut self) -> Vec<AuditRow> {
        let mut rows = Vec::new();
        loop {
            let trust_first = match (self.trust.front(), self.journal.front()) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(trust), Some(journal)) => trust.at <= journal.at,
            };
            let from = if trust_first { &mut self.trust } else { &mut self.journal };
            rows.extend(from.pop_front());
        }
        rows.split_off(rows.len().saturating_sub(self.room))
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::WallMs;

    use super::*;

    fn row(log: AuditLog, at: u64) -> AuditRow {
        let (actor, word, text) = (String::new(), String::new(), String::new());
        AuditRow { at: WallMs(at), log, number: at, actor, word, text }
    }

    #[test]
    fn the_newest_of_both_logs_come_in_order() {
        let check = |room: usize, expected: &[u64]| {
            let mut newest = Newest::of(room);
            [1, 4, 5].into_iter().for_each(|at| newest.take(row(AuditLog::Trust, at)));
            [2, 3, 4, 9].into_iter().for_each(|at| newest.take(row(AuditLog::Journal, at)));
            let at: Vec<u64> = newest.in_order().iter().map(|row| row.at.0).collect();
            assert_eq!(at, expected);
        };
        check(100, &[1, 2, 3, 4, 4, 5, 9]);
        check(2, &[5, 9]);
        check(3, &[4, 5, 9]);
    }
}
