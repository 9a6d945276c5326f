//! `ganger events`: what happened, as the journal has it.

use std::time::Duration;

use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::{Reply, Request};

use super::error::Result;
use super::place::Place;
use super::{reach, text, when};

/// Flags of `ganger events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line has the journal's sequence number, the time in UTC, the event's word and what it is about.

Examples:
  ganger events --after 12000
  ganger events -f --json | jq 'select(.word == \"closed\")'

Each JSON line has seq, at (milliseconds since 1970), word and text. `ganger audit` shows who asked
for what.")]
pub(crate) struct Args {
    /// Only events after this sequence number
    #[arg(long, default_value_t = 0, value_name = "SEQ")]
    after: u64,

    /// Go on with what happens next, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
}

/// How often a follower asks for more.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// Prints the events.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    let mut out = place.out();
    let mut after = args.after;
    loop {
        let request = Request::Events { after, rows: PAGE_ROWS_MAX };
        let Reply::Events(rows) = caller.call(request).await? else {
            return Err(reach::unexpected());
        };
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
