//! The hidden subcommand behind the master's local worker: the same worker code, with the identity
//! that the master made in `HOME/local-worker`. It allows exec and shell: it runs as you, for you.

use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::config;
use crate::logs::{self, Ring};
use crate::worker::Policy;

use super::error::Result;
use super::place::Place;
use super::worker;

/// Flags of the local worker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks at once [default: one a core]
    #[arg(long, value_name = "N")]
    slots: Option<u32>,

    /// Its folder [default: local-worker in the home folder]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,

    /// Where the master is dialled [default: where it was last seen]
    #[arg(long, value_name = "HOST:PORT")]
    address: Vec<String>,
}

/// Runs the local worker until it is stopped.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    // It outlives a master that is killed, so it leaves the master's session; a process that leads
    // its group already, as one started by hand does, stays where it is.
    rustix::process::setsid().ok();
    logs::start(&place.home, "local-worker", Ring::new())?;
    let folder = args.folder.unwrap_or_else(|| place.home.join("local-worker"));
    // For the master that is told to stop: it stops this worker too.
    config::replace_file(&folder.join("pid"), std::process::id().to_string().as_bytes())?;
    let mut policy = worker::policy_in(&folder, Policy::local())?;
    policy.slots = args.slots.and_then(NonZeroU32::new).or(policy.slots);
    worker::work(folder, args.address, policy).await
}
