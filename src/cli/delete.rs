//! `ganger delete`: removes ended tasks with their results.

use ganger_proto::Request;

use super::error::Result;
use super::place::Place;
use super::{change, select};

/// Flags of `ganger delete`.
#[derive(Debug, clap::Args)]
#[command(after_help = select::HELP)]
pub(crate) struct Args {
    /// The tasks
    #[arg(required = true, value_name = "TASKS")]
    tasks: Vec<String>,
}

/// Removes the tasks.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let selects = select::parse(&args.tasks)?;
    change::run(place, selects, "deleted", |select| Request::Delete { select }).await
}
