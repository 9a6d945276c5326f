//! `ganger verify [DIR]`: replays a store and says what that proves. How is in `crate::verify`.

use std::path::PathBuf;

use crate::verify::verify;

use super::Exit;
use super::error::{CliError, Result};
use super::place::Place;
use super::progress::Progress;

/// Flags of `ganger verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It reads and changes nothing, also while a master runs: then up to the newest batch of the moment.
The events are replayed by rules written down a second time, apart from those that the master uses,
and what comes out is compared with the master's own digests and snapshots. Proven is then
  that each task that was acknowledged has one end, or is open and counted as what it is,
  that each result was given under the lease that was its task's at that time, and is kept whole,
  that no lease id was used twice, no limit of failures, losses or numbers at once was passed,
  that no batch of events is missing, changed, or acknowledged without being there,
  that submitted = open + ended + removed, for each batch, each queue, and all.
The proof begins with the first batch that is kept; what was trimmed before it counts as the oldest
snapshot says. `keep_log = \"all\"` in ganger.toml keeps all. Outputs are not part of it: `ganger fsck`
checks their sums.

Examples:
  ganger verify
  ganger verify --json | jq '.findings[] | [.batch, .task, .what]'

Exit code 0: proven. 5: something was found that cannot be; each finding has its batch and task.")]
pub(crate) struct Args {
    /// The folder that holds the store [default: the home folder]
    dir: Option<PathBuf>,
}

/// Replays the store and prints the report.
pub(crate) fn run(place: &Place, args: &Args) -> Result<()> {
    let dir = args.dir.as_deref().unwrap_or(&place.home);
    let mut bar = Progress::new("verifying", Some(0));
    let report = verify(dir, |at| bar.set(at.done, Some(at.total)));
    bar.finish();
    let report = report?;
    let mut out = place.out();
    out.report(&report)?;
    out.flush()?;
    if report.is_proven() { Ok(()) } else { Err(CliError::quiet(Exit::Damaged)) }
}
