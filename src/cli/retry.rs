//! `ganger retry`: puts failed, cancelled or delayed tasks back in the queue.

use ganger_proto::Request;

use super::error::Result;
use super::place::Place;
use super::{change, select};

/// Flags of `ganger retry`.
#[derive(Debug, clap::Args)]
#[command(after_help = select::HELP)]
pub(crate) struct Args {
    /// The tasks
    #[arg(required = true, value_name = "TASKS")]
    tasks: Vec<String>,
}

/// Puts the tasks back.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let selects = select::parse(&args.tasks)?;
    change::run(place, selects, "queued again", |select| Request::Retry { select }).await
}
