//! The hidden subcommand behind the master's local worker: the same worker code, with the identity
//! that the master made in `HOME/local-worker`. It allows exec and shell: it runs as you, for you.

use crate::logs::{self, Ring};

use super::error::Result;
use super::place::Place;
use super::worker::{self, Settings};

/// Flags of the local worker.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Tasks at once [default: one a core]
    #[arg(long, value_name = "N")]
    slots: Option<u32>,
}

/// Runs the local worker until it is stopped.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    // It outlives a master that is killed, so it leaves the master's session; a process that leads
    // its group already, as one started by hand does, stays where it is.
    rustix::process::setsid().ok();
    logs::start(&place.home, "local-worker", Ring::new())?;
    let settings = Settings {
        folder: place.home.join("local-worker"),
        addresses: Vec::new(),
        slots: args.slots.filter(|slots| *slots > 0),
        shell: Some(true),
        root: worker::Root::Allowed,
    };
    worker::work(settings).await
}
