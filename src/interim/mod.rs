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
    use std::ffi::OsString;
    use std::io;
    use std::num::NonZeroU32;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;

    use crate::clock::Clock;

    /// The first argument of a launcher.
    pub const LAUNCHER_WORD: &str = "__launcher";

    /// Whether something may be done.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Permission {
        /// It may.
        Allowed,
        /// It may not.
        Refused,
    }

    /// What a worker allows.
    #[derive(Clone, Debug)]
    pub struct Policy {
        /// Whether shell lines may run.
        pub shell: Permission,
        /// Tasks at once; none means as many as there are processors.
        pub slots: Option<NonZeroU32>,
        /// Whether the worker may run as root.
        pub root: Permission,
    }

    /// A policy cannot be read.
    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {path}")]
    pub struct PolicyError {
        path: PathBuf,
        #[source]
        source: io::Error,
    }

    impl Default for Policy {
        fn default() -> Self {
            Self { shell: Permission::Refused, slots: None, root: Permission::Refused }
        }
    }

    impl Policy {
        /// Returns the policy of the worker that `ganger` starts for its own user.
        pub fn local() -> Self {
            Self { shell: Permission::Allowed, slots: None, root: Permission::Allowed }
        }

        /// Reads `worker.toml` over these defaults.
        ///
        /// # Errors
        /// When it cannot be read.
        pub fn load(self, path: &Path) -> Result<Self, PolicyError> {
            match std::fs::read(path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    Err(PolicyError { path: path.to_owned(), source })
                }
                Ok(_) | Err(_) => Ok(self),
            }
        }
    }

    /// What a worker is started with.
    #[derive(Clone, Debug)]
    pub struct WorkerOptions {
        /// The folder with its identity.
        pub home: PathBuf,
        /// Where to dial; empty means where the identity last saw the master.
        pub addresses: Vec<String>,
        /// What it allows.
        pub policy: Policy,
        /// The process's clock.
        pub clock: Clock,
        /// The command that is the launcher.
        pub launcher: Vec<OsString>,
    }

    /// Returns the command for a launcher that is the running program itself.
    pub fn own_launcher() -> Vec<OsString> {
        vec!["/proc/self/exe".into(), LAUNCHER_WORD.into()]
    }

    /// The worker cannot run.
    #[derive(Debug, thiserror::Error)]
    pub enum WorkerError {
        /// This program has no worker.
        #[error("this program was built without a worker")]
        Missing,
    }

    impl WorkerError {
        /// Returns the exit code for this error.
        pub const fn exit_code(&self) -> u8 {
            match self {
                Self::Missing => 1,
            }
        }
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

    impl Verdict {
        /// Whether a master opens this store.
        pub fn is_sound(&self) -> bool {
            false
        }
    }

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
    use std::sync::Arc;

    use ganger_proto::WallMs;
    use ganger_ui::link::Link;

    /// Milliseconds of a clock that only goes forward, and the wall time.
    pub type Clock = Arc<dyn Fn() -> (u64, WallMs) + Send + Sync>;

    /// How the screen looks and what it is given.
    pub struct Options {
        /// The colours.
        pub theme: ThemeChoice,
        /// The signs.
        pub glyphs: Glyphs,
        /// The home folder, for people.
        pub home: String,
        /// Minutes that the local time is ahead of UTC.
        pub utc_offset_min: Option<i32>,
        /// How a copy is made.
        pub clipboard: Clipboard,
        /// The time.
        pub clock: Clock,
        /// Draws random numbers for submission keys.
        pub key_source: Box<dyn FnMut() -> u128 + Send>,
    }

    /// A theme by name or as text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub enum ThemeChoice {
        /// A theme by its name.
        Named(String),
        /// A theme file's text.
        Text(String),
    }

    /// Which signs the terminal can show.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Glyphs {
        /// Box lines, braille, blocks.
        Unicode,
        /// Nothing beyond ASCII.
        Ascii,
    }

    /// What can take a copy.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Clipboard {
        /// The terminal.
        Terminal,
        /// tmux.
        Tmux,
    }

    /// How the person left.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Exit {
        /// By a key.
        Left,
        /// The terminal or the system asked the screen to end.
        Ended,
        /// The program around the screen closed the link.
        LinkClosed,
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
    pub async fn run(link: Link, options: Options) -> Result<Exit, ScreenError> {
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
