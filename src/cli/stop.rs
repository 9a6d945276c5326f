//! `ganger stop`: stops the master and waits until it is gone.

use std::time::Duration;

use ganger_net::client::{CallError, Caller};
use ganger_proto::Request;

use crate::config::MasterFile;

use super::error::Result;
use super::place::Place;
use super::{out, reach};

/// Flags of `ganger stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is lost: tasks that wait are there again when `ganger` starts the master. With --now,
running tasks are left to their workers, which present them when the master is back.")]
pub(crate) struct Args {
    /// Do not wait for running tasks
    #[arg(long)]
    now: bool,
}

/// How often the process table is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Stops the master.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    let file = if place.master.is_some() { None } else { MasterFile::read(&place.home) };
    match caller.call(Request::Stop { now: args.now }).await {
        // A master that stops may be gone before its answer arrives.
        Ok(_) | Err(CallError::Lost(_)) => {}
        Err(error) => return Err(error.into()),
    }
    if !args.now {
        out::note("the master stops when its running tasks have ended; Ctrl-C leaves it to that");
    }
    gone(&caller, file).await;
    let mut out = place.out();
    if out.is_json() {
        out.json(&serde_json::json!({ "stopped": true }))?;
    } else {
        out.line("the master has stopped")?;
    }
    out.flush()
}

/// Waits until the process is gone when it is on this host, else until the connection is.
async fn gone(caller: &Caller, file: Option<MasterFile>) {
    match file.filter(MasterFile::is_alive) {
        Some(file) => {
            while file.is_alive() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        None => {
            caller.session().closed().await;
        }
    }
}
