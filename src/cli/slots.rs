//! `ganger slots`: how many tasks a worker runs at once in its lane `cpu`.

use ganger_proto::gang::SLOTS_MAX;
use ganger_proto::{Request, WorkerName};

use super::ask;
use super::error::Result;
use super::place::Place;

/// Flags of `ganger slots`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It lasts as long as the worker's process; nothing that runs is stopped. `ganger-worker --slots N`
is kept for good. `ganger workers` names the workers.")]
pub(crate) struct Args {
    /// The worker
    worker: WorkerName,

    /// Tasks at once in the lane cpu; those of the lane io are the worker's own to say
    #[arg(value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(SLOTS_MAX)))]
    slots: u32,
}

/// Changes the slots.
pub(crate) async fn run(place: &Place, Args { worker, slots }: Args) -> Result<()> {
    let done = format!("{worker} runs up to {slots} at once, as long as its process lives");
    ask::run(place, Request::SetSlots { worker, slots }, &done).await
}
