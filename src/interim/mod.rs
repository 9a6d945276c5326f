//! Stand-ins with the shapes of rooms that are joined in elsewhere; each says that it is missing.
//! Holds no behaviour of its own.

/// Takes the place of `crate::master`.
pub mod master {
    use std::net::SocketAddr;
    use std::path::PathBuf;

    use crate::clock::Clock;
    use crate::logs::Ring;
    use crate::store::OpenError;

    /// Where events are kept.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum StoreChoice {
        /// In an SQLite file.
        Sqlite(PathBuf),
        /// In memory alone.
        Memory,
    }

    /// What a master needs to run.
    #[derive(Debug)]
    pub struct MasterOptions {
        /// The home folder.
        pub home: PathBuf,
        /// Where to listen.
        pub listen: Option<SocketAddr>,
        /// Hosts that join tokens name.
        pub advertise: Vec<String>,
        /// Where events are kept.
        pub store: StoreChoice,
        /// Slots of the local worker; 0 starts none.
        pub local_worker_slots: Option<u32>,
        /// The clock.
        pub clock: Clock,
        /// The newest log lines.
        pub log_ring: Ring,
    }

    /// The master cannot run.
    #[derive(Debug, thiserror::Error)]
    pub enum MasterError {
        /// The store cannot be opened.
        #[error(transparent)]
        Store(#[from] OpenError),
        /// This program has no master.
        #[error("this program was built without a master")]
        Missing,
    }

    /// Runs a master until it is stopped.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the shape of the room that comes")]
    pub async fn run(_options: MasterOptions) -> Result<(), MasterError> {
        Err(MasterError::Missing)
    }
}

/// Takes the place of `crate::worker`.
pub mod worker {
    use std::path::PathBuf;
    use std::process::ExitCode;

    use crate::clock::Clock;

    /// What a worker needs to run.
    #[derive(Debug)]
    pub struct WorkerOptions {
        /// Its own folder: identity, `worker.toml`, run directory.
        pub home: PathBuf,
        /// Where to dial instead of where the identity says.
        pub addresses: Vec<String>,
        /// Tasks at once instead of what `worker.toml` says.
        pub slots: Option<u32>,
        /// Whether shell lines are run, instead of what `worker.toml` says.
        pub allow_shell: Option<bool>,
        /// Whether it may run as root.
        pub allow_root: bool,
        /// The clock.
        pub clock: Clock,
    }

    /// The worker cannot run.
    #[derive(Debug, thiserror::Error)]
    pub enum WorkerError {
        /// This program has no worker.
        #[error("this program was built without a worker")]
        Missing,
    }

    /// Runs a worker until it is stopped.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the shape of the room that comes")]
    pub async fn run(_options: WorkerOptions) -> Result<(), WorkerError> {
        Err(WorkerError::Missing)
    }

    /// Runs the launcher.
    pub fn launcher_main() -> ExitCode {
        ExitCode::FAILURE
    }
}

/// Takes the place of `crate::store::fsck`.
pub mod fsck {
    use std::path::Path;

    use crate::store::OpenError;

    /// What a check found.
    #[derive(Debug, serde::Serialize)]
    pub struct Verdict {}

    impl std::fmt::Display for Verdict {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("nothing was checked")
        }
    }

    /// Checks a store.
    ///
    /// # Errors
    /// Always.
    pub fn fsck(dir: &Path) -> Result<Verdict, OpenError> {
        let path = dir.display();
        Err(OpenError::Unusable(format!("this program cannot check {path}")))
    }
}

/// Takes the place of `ganger_ui`'s loop.
#[cfg(feature = "screen")]
pub mod ui {
    use ganger_ui::link::Link;

    /// How the screen looks.
    #[derive(Debug)]
    pub struct Options {
        /// The home folder, for people.
        pub home: String,
        /// The clock.
        pub clock: crate::clock::Clock,
    }

    /// The screen cannot run.
    #[derive(Debug, thiserror::Error)]
    #[error("this program was built without a screen; `ganger --plain` shows a summary")]
    pub struct ScreenError;

    /// Shows the screen until the person leaves it.
    ///
    /// # Errors
    /// Always.
    #[expect(clippy::unused_async, reason = "the shape of the room that comes")]
    pub async fn run(link: Link, options: Options) -> Result<(), ScreenError> {
        drop((link, options));
        Err(ScreenError)
    }
}

/// Takes the place of `crate::cli::bench`.
pub mod bench {
    use crate::cli::error::{CliError, Result};

    /// Flags of the benchmark.
    #[derive(Debug, clap::Args)]
    pub(crate) struct Args {
        /// What to measure
        words: Vec<String>,
    }

    /// Says that there is none.
    #[expect(clippy::unused_async, reason = "the shape of the room that comes")]
    pub(crate) async fn run(args: Args) -> Result<()> {
        let what = args.words.join(" ");
        Err(CliError::failed(format!("this program was built without the benchmark {what}")))
    }
}
