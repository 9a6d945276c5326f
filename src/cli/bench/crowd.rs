//! Many workers in one process, each the real one with an identity and a connection of its own:
//! what a master bears is measured with them. The hidden word `__bench-crowd` runs them.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use ganger_net::client::DialSocket;
use ganger_net::pki::authority::Authority;
use ganger_proto::{Actor, Name, Role};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::worker::{Permission, Policy, WorkerOptions, own_launcher};

/// Slots of each.
const SLOTS: u32 = 2;
/// Workers on one socket: each socket has buffers of three MiB.
const ON_A_SOCKET: u32 = 50;
/// Between two that begin: a master takes so many handshakes of one address at once.
const BETWEEN: Duration = Duration::from_millis(2);

/// Flags of a crowd.
#[derive(Debug, clap::Args)]
pub(crate) struct CrowdArgs {
    /// The folder with a folder for each worker
    folder: PathBuf,
    /// The master's address
    address: String,
    /// The first worker
    first: u32,
    /// The one after the last
    end: u32,
}

/// Makes identities for `count` workers of a home whose master does not run, each in a folder of
/// its own below `folder`. The home's authority signs them, as it signs that of the local worker.
pub(super) fn issue(home: &Path, folder: &Path, count: u32) -> Result<()> {
    let trust = home.join("trust");
    let authority = Authority::open(&trust, "bench", Clock::start().as_wall_clock())?;
    for number in 0..count {
        let name = Name::from_lossy(&format!("crowd-{number}"));
        let actor = Actor { role: Role::Worker, name, admin: false };
        let made = authority.issue_local(&folder.join(number.to_string()), &actor, &[]);
        made.context("a worker gets no identity")?;
    }
    Ok(())
}

/// Runs the workers until the process is told to end.
pub(crate) async fn run(args: CrowdArgs) -> super::super::error::Result<()> {
    let failed = |error: anyhow::Error| super::CliError::failed(format!("{error:#}"));
    let mut policy = Policy::local();
    policy.slots = NonZeroU32::new(SLOTS);
    policy.root = Permission::Allowed;
    let clock = Clock::start();
    let mut workers = JoinSet::new();
    let mut socket = None;
    for number in args.first..args.end {
        if number % ON_A_SOCKET == 0 || socket.is_none() {
            socket = Some(DialSocket::open().map_err(|error| failed(error.into()))?);
        }
        let Some(socket) = socket.clone() else { break };
        workers.spawn(crate::worker::run(WorkerOptions {
            home: args.folder.join(number.to_string()),
            addresses: vec![args.address.clone()],
            policy: policy.clone(),
            socket,
            clock: clock.clone(),
            launcher: own_launcher(),
        }));
        tokio::time::sleep(BETWEEN).await;
    }
    while let Some(ended) = workers.join_next().await {
        ended.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
    }
    Ok(())
}
