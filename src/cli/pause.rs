//! `ganger pause` and `ganger resume`: whether a queue grants tasks.

use ganger_proto::{QueueName, Request};

use super::ask;
use super::error::Result;
use super::place::Place;

/// Flags of both.
#[derive(Debug, clap::Args)]
#[command(after_help = "Running tasks go on. `ganger queues` names the queues.")]
pub(crate) struct Args {
    /// The queue
    #[arg(default_value = "default")]
    queue: QueueName,
}

/// Lets the queue grant nothing.
pub(crate) async fn pause(place: &Place, Args { queue }: Args) -> Result<()> {
    let done = format!("{queue} is paused; `ganger resume {queue}` lets it go on");
    ask::run(place, Request::Pause { queue }, &done).await
}

/// Lets the queue grant again.
pub(crate) async fn resume(place: &Place, Args { queue }: Args) -> Result<()> {
    let done = format!("{queue} grants tasks again");
    ask::run(place, Request::Resume { queue }, &done).await
}
