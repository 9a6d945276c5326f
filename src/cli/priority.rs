//! `ganger priority N`: changes the priority of tasks that have not ended.

use ganger_proto::Request;

use super::error::Result;
use super::place::Place;
use super::{change, select};

/// Flags of `ganger priority`.
#[derive(Debug, clap::Args)]
#[command(after_help = select::HELP)]
pub(crate) struct Args {
    /// The priority; higher goes first, 0 is the default, it may be negative
    #[arg(value_name = "N", allow_negative_numbers = true)]
    priority: i16,

    /// The tasks
    #[arg(required = true, value_name = "TASKS")]
    tasks: Vec<String>,
}

/// Changes the tasks.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let selects = select::parse(&args.tasks)?;
    let priority = args.priority;
    let done = format!("at priority {priority}");
    change::run(place, selects, &done, |select| Request::SetPriority { select, priority }).await
}
