//! `ganger drain` and `ganger undrain`: whether a worker takes tasks.

use ganger_proto::{Request, WorkerName};

use super::ask;
use super::error::Result;
use super::place::Place;

/// Flags of both.
#[derive(Debug, clap::Args)]
#[command(after_help = "`ganger workers` names the workers.")]
pub(crate) struct Args {
    /// The worker
    worker: WorkerName,
}

/// Lets the worker finish what it runs.
pub(crate) async fn drain(place: &Place, Args { worker }: Args) -> Result<()> {
    let done = format!(
        "{worker} finishes what it runs; `ganger undrain {worker}` lets it take tasks again"
    );
    ask::run(place, Request::Drain { worker }, &done).await
}

/// Lets the worker take tasks again.
pub(crate) async fn undrain(place: &Place, Args { worker }: Args) -> Result<()> {
    let done = format!("{worker} takes tasks again");
    ask::run(place, Request::Undrain { worker }, &done).await
}
