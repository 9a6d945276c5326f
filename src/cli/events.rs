//! `ganger events`: what happened, as the journal has it.

use std::time::Duration;

use ganger_net::client::Caller;
use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::picture::EventRow;
use ganger_proto::{Reply, Request};

use super::error::Result;
use super::place::Place;
use super::{reach, text, when};

/// Flags of `ganger events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line has the journal's sequence number, the time in UTC, the event's word and what it is about.

Examples:
  ganger events --last 100
  ganger events --after 12000
  ganger events -f                     from now on, and the ten numbers before
  ganger events -f --json | jq 'select(.word == \"closed\")'

Each JSON line has seq, at (milliseconds since 1970), word and text. `ganger audit` shows who asked
for what.")]
pub(crate) struct Args {
    /// Only events after this sequence number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,

    /// Only those of the newest N sequence numbers [default: all; with --follow: 10]
    #[arg(short = 'n', long, value_name = "N", conflicts_with = "after")]
    last: Option<u64>,

    /// Go on with what happens next, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

/// Sequence numbers that one who follows sees of what was before.
const BEFORE: u64 = 10;

/// How often a follower asks for more.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Prints the events.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    let mut out = place.out();
    let last = args.last.or_else(|| (args.follow && args.after.is_none()).then_some(BEFORE));
    let mut after = match last {
        Some(last) => newest(&caller).await?.saturating_sub(last),
        None => args.after.unwrap_or_default(),
    };
    loop {
        let rows = page(&caller, after, PAGE_ROWS_MAX).await?;
        for row in &rows {
            if out.is_json() {
                out.json(row)?;
            } else {
                let (word, rest) = (text::line(&row.word), text::line(&row.text));
                out.line(&format!("{:>8}  {}  {word:<12} {rest}", row.seq, when(row.at)))?;
            }
        }
        out.flush()?;
        // One batch of the journal holds many events, so a page may end within the same number.
        let newest = rows.last().map_or(after, |row| row.seq);
        if newest > after {
            after = newest;
        } else if args.follow {
            tokio::time::sleep(ASK_EVERY).await;
        } else {
            return Ok(());
        }
    }
}

async fn page(caller: &Caller, after: u64, rows: u32) -> Result<Vec<EventRow>> {
    let Reply::Events(rows) = caller.call(Request::Events { after, rows }).await? else {
        return Err(reach::unexpected());
    };
    Ok(rows)
}

/// Returns the newest sequence number. No question asks for it: it is the smallest after which
/// nothing comes, found by doubling and then halving.
async fn newest(caller: &Caller) -> Result<u64> {
    let (mut before, mut at_most) = (0, 1);
    while !page(caller, at_most, 1).await?.is_empty() {
        (before, at_most) = (at_most, at_most * 2);
    }
    while before + 1 < at_most {
        let middle = u64::midpoint(before, at_most);
        if page(caller, middle, 1).await?.is_empty() {
            at_most = middle;
        } else {
            before = middle;
        }
    }
    Ok(at_most)
}
