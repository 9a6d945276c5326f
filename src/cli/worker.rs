//! `ganger-worker`: joins, keeps its flags, and runs the worker. What a worker does, and what
//! `worker.toml` may say, is in `crate::worker`.

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ganger_proto::{Name, Role};

use crate::clock::Clock;
use crate::config;
use crate::logs::{self, Ring};
use crate::worker::{Permission, Policy, WorkerOptions, own_launcher};

use super::error::{CliError, Result, with_causes};
use super::{Exit, identities, out};

#[derive(Debug, Parser)]
#[command(
    name = "ganger-worker",
    version,
    about = "Takes tasks from a ganger master and runs them on this machine",
    after_help = "\
Examples:
  ganger-worker join TOKEN               joins, keeps the flags, runs; the same line again just runs
  ganger-worker join TOKEN --slots 4 --allow-shell
  ganger-worker                          runs with the identity joined before

`ganger invite` on the master prints the line with the token. SIGTERM or Ctrl-C lets running tasks
end first; a second one stops at once. Flags beat GANGER_SLOTS and GANGER_ALLOW_SHELL, which beat
worker.toml beside the identity, in worker/CLUSTER/NAME of the home folder.",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Join a master with a token, then run
    Join {
        /// The token; - reads it from standard input, @FILE from a file [default: GANGER_TOKEN]
        token: Option<String>,
    },
}

#[derive(Debug, Default, clap::Args)]
struct Flags {
    /// The home folder [default: GANGER_HOME, else `ganger` in the XDG data folder]
    #[arg(long, global = true, value_name = "DIR")]
    home: Option<PathBuf>,

    /// Tasks at once; kept for the next start [default: one a core]
    #[arg(long, global = true, env = "GANGER_SLOTS", value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4_096))]
    slots: Option<u32>,

    /// Run shell lines too; kept for the next start
    #[arg(long, global = true, env = "GANGER_ALLOW_SHELL", value_parser = clap::builder::FalseyValueParser::new())]
    allow_shell: bool,

    /// Run tasks although this is root
    #[arg(long, global = true)]
    allow_root: bool,

    /// Which worker to run when several joined here; when joining, the name to ask for
    #[arg(long, global = true, value_name = "NAME")]
    name: Option<Name>,

    /// The master's address instead of the ones in the identity; may be repeated
    #[arg(long, global = true, env = "GANGER_MASTER", value_name = "HOST:PORT")]
    master: Vec<String>,
}

/// With what a worker runs.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Its folder: identity, `worker.toml`, run directory.
    pub(crate) folder: PathBuf,
    /// Where to dial; where the identity says when empty.
    pub(crate) addresses: Vec<String>,
    /// Tasks at once; what `worker.toml` says when none.
    pub(crate) slots: Option<u32>,
    /// What holds where `worker.toml` says nothing.
    pub(crate) policy: Policy,
    /// Whether shell lines are run; what `worker.toml` says when none.
    pub(crate) shell: Option<Permission>,
    /// Whether it may run as root; what `worker.toml` says when none.
    pub(crate) root: Option<Permission>,
}

/// Runs `ganger-worker` with the process's arguments.
pub fn main() -> ExitCode {
    if super::is_launcher() {
        return crate::worker::launcher_main();
    }
    let cli = Cli::parse();
    super::finish(super::block_on(Box::pin(run(cli))))
}

async fn run(cli: Cli) -> Result<()> {
    let flags = cli.flags;
    let home = config::home_folder(flags.home.as_deref(), &config::process_env)?;
    config::make_folder(&home)?;
    logs::start(&home, "worker", Ring::new())?;
    let folder = match cli.command {
        Some(Command::Join { token }) => {
            let folder = join(&home, token.as_deref(), flags.name.as_ref()).await?;
            keep(&folder.join("worker.toml"), flags.slots, flags.allow_shell.then_some(true))?;
            folder
        }
        None => choose(&home, flags.name.as_ref())?,
    };
    work(Settings {
        folder,
        addresses: flags.master,
        slots: flags.slots,
        policy: Policy::default(),
        shell: flags.allow_shell.then_some(Permission::Allowed),
        root: flags.allow_root.then_some(Permission::Allowed),
    })
    .await
}

/// Runs the worker in this process until it is stopped.
pub(crate) async fn work(settings: Settings) -> Result<()> {
    let policy = settings.policy.load(&settings.folder.join("worker.toml"));
    let mut policy = policy.map_err(|error| CliError::usage(with_causes(&error)))?;
    if let Some(slots) = settings.slots.and_then(NonZeroU32::new) {
        policy.slots = Some(slots);
    }
    policy.shell = settings.shell.unwrap_or(policy.shell);
    policy.root = settings.root.unwrap_or(policy.root);
    let options = WorkerOptions {
        home: settings.folder,
        addresses: settings.addresses,
        policy,
        clock: Clock::start(),
        launcher: own_launcher(),
    };
    Box::pin(crate::worker::run(options)).await.map_err(|error| {
        let exit = match error.exit_code() {
            2 => Exit::Usage,
            3 => Exit::Refused,
            4 => Exit::Unreachable,
            _ => Exit::Failed,
        };
        CliError::new(exit, with_causes(&error))
    })
}

/// Joins, or finds the identity that the same token made before.
async fn join(home: &Path, token: Option<&str>, wish: Option<&Name>) -> Result<PathBuf> {
    let token = identities::token_text(token)?;
    if let Some(folder) = identities::made_by(home, &token) {
        return Ok(folder);
    }
    let (identity, folder) = identities::join(home, &token, wish).await?;
    if identity.role != Role::Worker {
        return Err(CliError::usage(format!(
            "this token was for a person, not for a worker; the {} identity is kept in {}, use it \
             with `ganger`",
            identity.role,
            folder.display()
        )));
    }
    out::note(&format!("joined {} as the worker {}", identity.cluster, identity.name));
    Ok(folder)
}

/// Returns the folder of the one worker that joined here, or of the one named.
fn choose(home: &Path, name: Option<&Name>) -> Result<PathBuf> {
    let mut folders = identities::joined_workers(home);
    if let Some(name) = name {
        folders.retain(|folder| folder.file_name().is_some_and(|file| file == name.as_str()));
    }
    if folders.len() > 1 {
        let names: Vec<String> = folders
            .iter()
            .filter_map(|folder| Some(folder.strip_prefix(home).ok()?.display().to_string()))
            .collect();
        return Err(CliError::usage(format!(
            "several workers joined from here ({}); say which one with --name, or use a home folder \
             for each",
            names.join(", ")
        )));
    }
    folders.pop().ok_or_else(|| {
        let whose = name.map_or_else(String::new, |name| format!(" called {name}"));
        CliError::usage(format!(
            "no worker{whose} has joined from {}; run `ganger invite` on the master and paste the \
             line that it prints",
            home.display()
        ))
    })
}

/// Keeps flags in `worker.toml`; what it says besides, it keeps saying.
fn keep(path: &Path, slots: Option<u32>, shell: Option<bool>) -> Result<()> {
    if slots.is_none() && shell.is_none() {
        return Ok(());
    }
    let mut settings: toml::Table = config::read_toml(path)?.unwrap_or_default();
    if let Some(slots) = slots {
        settings.insert("slots".to_owned(), i64::from(slots).into());
    }
    if let Some(shell) = shell {
        settings.insert("allow_shell".to_owned(), shell.into());
    }
    let text = toml::to_string(&settings).expect("a table that was read or made can be written");
    Ok(config::replace_file(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["ganger-worker", "join", "T", "--slots", "4"]).unwrap();
        assert_eq!(cli.flags.slots, Some(4));
        assert!(matches!(cli.command, Some(Command::Join { token: Some(t) }) if t == "T"));
        assert!(Cli::try_parse_from(["ganger-worker", "--slots", "0"]).is_err());
    }

    #[test]
    fn flags_are_kept_beside_what_the_owner_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        keep(&path, None, None).unwrap();
        assert!(!path.exists());
        std::fs::write(&path, "grace_s = 3\nslots = 1\n").unwrap();
        keep(&path, Some(8), Some(true)).unwrap();
        let kept: toml::Table = config::read_toml(&path).unwrap().unwrap();
        assert_eq!(kept["grace_s"].as_integer(), Some(3));
        assert_eq!(kept["slots"].as_integer(), Some(8));
        assert_eq!(kept["allow_shell"].as_bool(), Some(true));
        std::fs::write(&path, "slots = \n").unwrap();
        assert!(keep(&path, Some(8), None).unwrap_err().sentence.contains("line 1"));
    }

    #[test]
    fn the_worker_to_run_is_the_only_one_or_the_named_one() {
        let home = tempfile::tempdir().unwrap();
        let none = choose(home.path(), None).unwrap_err();
        assert!(none.sentence.contains("ganger invite"), "{none}");
        for name in ["alpha", "beta"] {
            std::fs::create_dir_all(home.path().join("worker/den-1").join(name)).unwrap();
        }
        let several = choose(home.path(), None).unwrap_err();
        assert!(several.sentence.contains("worker/den-1/alpha"), "{several}");
        let beta = Name::parse("beta").unwrap();
        assert!(choose(home.path(), Some(&beta)).unwrap().ends_with("den-1/beta"));
        let gamma = Name::parse("gamma").unwrap();
        assert!(choose(home.path(), Some(&gamma)).unwrap_err().sentence.contains("called gamma"));
    }
}
