//! `ganger cancel`: cancels tasks.

use ganger_proto::Request;

use super::error::Result;
use super::place::Place;
use super::{change, select};

/// Flags of `ganger cancel`.
#[derive(Debug, clap::Args)]
#[command(after_help = select::HELP)]
pub(crate) struct Args {
    /// Fence running tasks off and kill them at once, without the signal TERM and its grace
    #[arg(long)]
    now: bool,

    /// The tasks
    #[arg(required = true, value_name = "TASKS")]
    tasks: Vec<String>,
}

/// Cancels the tasks.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let selects = select::parse(&args.tasks)?;
    let now = args.now;
    change::run(place, selects, "cancelled", |select| Request::Cancel { select, now }).await
}
