//! `ganger why ID`: why a task waits, or where it is, and what can be done.

use ganger_proto::{Reply, Request, TaskId};

use super::error::Result;
use super::place::Place;
use super::{reach, text};

/// Flags of `ganger why`.
#[derive(Debug, clap::Args)]
#[command(after_help = "`ganger show ID` prints everything about the task.")]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "ID")]
    task: TaskId,
}

/// Prints the reasons.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    let Reply::Why(why) = caller.call(Request::Why { task: args.task }).await? else {
        return Err(reach::unexpected());
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&why)?;
    } else {
        out.line(&format!("task {} is {}:", why.task, why.state.word()))?;
        for reason in &why.reasons {
            out.line(&format!("  {}", text::line(&reason.to_string())))?;
        }
    }
    out.flush()
}
