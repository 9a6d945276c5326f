//! `ganger master`: runs the master in this process. What a master does is in `crate::master`.

use crate::clock::Clock;
use crate::config::{MasterConfig, MasterFile, MasterFlags, make_folder, process_env};
use crate::logs::{self, Ring};
use crate::master::{self, MasterError, MasterOptions};

use super::error::{CliError, Result, with_causes};
use super::out;
use super::place::Place;

/// Flags of `ganger master`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Flags beat GANGER_LISTEN, GANGER_ADVERTISE, GANGER_STORE, GANGER_KEEP_LOG and GANGER_LOCAL_WORKER,
which beat ganger.toml in the home folder. SIGTERM stops the master as `ganger stop` does.

Examples:
  ganger master
  ganger master --listen 0.0.0.0:7433 --advertise queue.example.org --local-worker 0")]
pub(crate) struct Args {
    /// Where to listen, UDP [default: the port used last, else the first free one of 7433 to 7499]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// A host that join lines name besides this machine's own addresses; may be repeated
    #[arg(long, value_name = "HOST")]
    advertise: Vec<String>,

    /// Where events are kept: sqlite:PATH or memory [default: store.db in the home folder]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,

    /// Events kept although a snapshot covers them: none, all, or an age such as 7d [default: none]
    #[arg(long, value_name = "AGE")]
    keep_log: Option<String>,

    /// Slots of the worker that is started here; 0 starts none [default: one a core]
    #[arg(long, value_name = "N")]
    local_worker: Option<u32>,

    /// Leave the terminal; used when `ganger` starts a master
    #[arg(long, hide = true)]
    background: bool,
}

/// Runs the master until it is stopped.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    if args.background {
        // Fails only for the leader of a process group, which a process just started is not.
        rustix::process::setsid()
            .map_err(|error| CliError::io("cannot leave the terminal", &error.into()))?;
    }
    make_folder(&place.home)?;
    let flags = MasterFlags {
        listen: args.listen,
        advertise: args.advertise,
        store: args.store,
        local_worker: args.local_worker,
        keep_log: args.keep_log,
    };
    let config = MasterConfig::resolve(&place.home, flags, &process_env)?;
    if let Some(file) = MasterFile::read(&place.home).filter(MasterFile::is_alive) {
        return Err(CliError::new(
            super::Exit::Refused,
            format!(
                "another master (process {}) runs for {} already; `ganger` attaches to it, `ganger \
                 stop` stops it",
                file.pid,
                place.home.display()
            ),
        ));
    }
    let log_ring = Ring::new();
    logs::start(&place.home, "master", log_ring.clone())?;
    if !args.background {
        let log = place.home.join("logs/master.log");
        out::note(&format!("the master's log is {}; `ganger stop` stops it", log.display()));
    }
    let options = MasterOptions {
        home: place.home.clone(),
        listen: config.listen,
        advertise: config.advertise,
        store: config.store,
        keep_log: config.keep_log,
        local_worker_slots: config.local_worker_slots,
        clock: Clock::start(),
        log_ring,
    };
    Box::pin(master::run(options)).await.map_err(told)
}

fn told(error: MasterError) -> CliError {
    match error {
        MasterError::Open(error) => error.into(),
        MasterError::Config(error) => error.into(),
        MasterError::Home(_)
        | MasterError::Authority(_)
        | MasterError::Bind(_)
        | MasterError::Store(_)
        | MasterError::System(_) => CliError::failed(with_causes(&error)),
    }
}
