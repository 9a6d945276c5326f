//! The worker: dials a master, runs the tasks it is granted, reports how they ended. This file is
//! the front door; `driver.rs` owns the core, which decides, and does what that says.
//!
//! | file | lives there |
//! | --- | --- |
//! | `core.rs`, `lanes.rs`, `waiting.rs`, `reports.rs`, `prefetch.rs`, `inline.rs` | PURE: decisions |
//! | `driver.rs`, `link.rs`, `send.rs`, `slot.rs` | the loop, the connection, kept output, a slot |
//! | `launcher.rs`, `running.rs`, `find.rs`, `roots.rs` | the launcher process, its child |
//! | `pipe.rs`, `output.rs`, `spool.rs` | what children write |
//! | `handlers.rs`, `warm.rs` | warm handlers: what the owner says, and a slot's side of them |
//! | `prepare.rs`, `policy.rs`, `home.rs`, `process.rs` | orders, policy, the folder, `/proc` |
//! | `caps.rs`, `entry.rs`, `group.rs` | what a task may take, and how it is held to it |
//! | `allow.rs`, `diversion.rs` | a list of programs, and what would make them run others |
//!
//! `core` and `inline` are open so that the cluster simulation in `tests/sim` runs these decisions
//! themselves, in a driver of its own.

mod allow;
mod caps;
pub mod core;
mod diversion;
mod driver;
mod entry;
mod find;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod group;
mod handlers;
mod home;
pub mod inline;
mod lanes;
mod launcher;
mod link;
mod order;
mod output;
mod pipe;
mod policy;
mod prefetch;
mod prepare;
mod process;
mod reports;
mod roots;
mod running;
mod send;
mod slot;
mod spool;
mod waiting;
mod warm;

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;

use ganger_net::client::{DialError, DialSocket};
use ganger_net::pki::identity::IdentityError;
use ganger_proto::gang::SLOTS_MAX;
use ganger_proto::place::Need;
use ganger_proto::{Name, PerLane};

pub use caps::Caps;
pub use group::OwnGroup;
pub use handlers::{Handler, HandlerError};
pub use home::HomeError;
pub use launcher::launcher_main;
pub use order::LAUNCHER_WORD;
pub use policy::{ExecPolicy, Permission, Policy, PolicyError};
pub(crate) use policy::{add_resource, roots_objection};

use crate::clock::Clock;

/// Slots of the lane `io` when nobody says how many.
const IO_SLOTS: u32 = 64;

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The folder with its identity; its lock and its run directory are made there.
    pub home: PathBuf,
    /// Where to dial, `host:port`; empty means where the identity last saw the master.
    pub addresses: Vec<String>,
    /// What it allows, and how many slots it has.
    pub policy: Policy,
    /// What it dials from; the workers of one process may share it.
    pub socket: DialSocket,
    /// The process's clock.
    pub clock: Clock,
    /// The command that is the launcher; see [`own_launcher`].
    pub launcher: Vec<OsString>,
}

/// Returns the command for a launcher that is the running program itself; its `main` must call
/// [`launcher_main`] when its first argument is [`LAUNCHER_WORD`].
pub fn own_launcher() -> Vec<OsString> {
    vec!["/proc/self/exe".into(), LAUNCHER_WORD.into()]
}

/// A worker cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// It runs as root and its policy does not allow that.
    #[error(
        "this worker runs as root, and so would every task; run it as another user, or set \
         `allow_root = true` in its worker.toml or pass --allow-root"
    )]
    Root,
    /// Its folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Its identity cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The master refuses it; dialling again cannot help.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The master ended the connection for good.
    #[error("the master ended this worker's connection: {0}")]
    Ended(String),
    /// The system refuses something that the worker needs.
    #[error("cannot {what}; look at the limits of this user")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

impl WorkerError {
    /// Returns the exit code for this error: 1 failed, 2 wrong usage, 3 refused, 4 no master.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Root | Self::Ended(_) | Self::Home(HomeError::Locked { .. }) => 3,
            Self::Identity(IdentityError::Missing { .. }) => 2,
            Self::Dial(error) if error.is_final() => 3,
            Self::Dial(_) => 4,
            Self::Home(HomeError::Io { .. }) | Self::Identity(_) | Self::System { .. } => 1,
        }
    }
}

/// Runs a worker until it is told to end: a first SIGTERM or SIGINT drains it, a second ends it at
/// once.
///
/// # Errors
/// When it cannot start, or the master refuses it for good.
pub async fn run(options: WorkerOptions) -> Result<(), WorkerError> {
    crate::heap::keep_free();
    driver::Driver::begin(options)?.run().await
}

/// Returns how many slots a worker with this policy has in each lane.
fn slots_of(policy: &Policy) -> PerLane {
    let processors = std::thread::available_parallelism().map_or(1, |n| n.get());
    let processors = u32::try_from(processors).unwrap_or(u32::MAX);
    let cpu = policy.slots.map_or(processors, NonZeroU32::get).min(SLOTS_MAX);
    PerLane { cpu, io: policy.io_slots.unwrap_or(IO_SLOTS) }
}

/// Returns what a worker with this policy has beside slots: what the policy says, and the machine's
/// memory, in whole MiB, when it does not say `mem`.
fn resources_of(policy: &Policy) -> Vec<Need> {
    let mut resources = policy.resources.clone();
    let mem = Name::from_lossy("mem");
    if resources.iter().all(|has| has.name != mem)
        && let Some(amount) = process::memory_total().map(|bytes| bytes >> 20 << 20)
        && amount > 0
    {
        resources.push(Need { name: mem, amount });
    }
    resources
}
