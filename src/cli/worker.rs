//! `ganger-worker`: joins, keeps its flags, and runs the worker. What a worker does, and what
//! `worker.toml` may say, is in `crate::worker`.

mod keep;

use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use ganger_net::client::DialSocket;
use ganger_proto::label::LABELS_MAX;
use ganger_proto::place::{Need, OFFERS_MAX};
use ganger_proto::{Label, Name, Role};

use crate::clock::Clock;
use crate::config;
use crate::logs::{self, Ring};
use crate::worker::{
    Handler, Permission, Policy, WorkerError, WorkerOptions, add_resource, own_launcher,
    roots_objection,
};

use self::keep::keep;
use super::error::{CliError, Result, with_causes};
use super::place::with_port;
use super::{Exit, keyring, out};

#[derive(Debug, Parser)]
#[command(
    name = "ganger-worker",
    version,
    about = "Takes tasks from a ganger master and runs them on this machine",
    after_help = "\
Examples:
  ganger-worker join TOKEN               joins, keeps the flags, runs; the same line again just runs
  ganger-worker join TOKEN --slots 4 --allow-shell
  ganger-worker join TOKEN --io-slots 200 --resource gpu=1 --resource mem=8G
  ganger-worker join TOKEN --handler resize='python3 resize.py'
  ganger-worker                          runs with the identity joined before

`ganger invite` on the master prints the line with the token. SIGTERM or Ctrl-C lets running tasks
end first; a second one stops at once. Flags beat GANGER_SLOTS, GANGER_IO_SLOTS and
GANGER_ALLOW_SHELL, which beat worker.toml beside the identity, in worker/CLUSTER/NAME of the home
folder.",
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

    /// Tasks at once in the lane cpu; kept for the next start [default: one a core]
    #[arg(long, global = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=SLOTS_MAX))]
    slots: Option<u32>,

    /// Tasks at once in the lane io, for work that mostly waits; kept for the next start [default:
    /// 64]
    #[arg(long, global = true, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=SLOTS_MAX))]
    io_slots: Option<u32>,

    /// What this worker has for tasks that need it, such as gpu=1; kept for the next start; may be
    /// repeated [default: mem, the machine's memory]
    #[arg(long = "resource", global = true, value_name = "NAME=AMOUNT", value_parser = Need::parse)]
    resources: Vec<Need>,

    /// What this worker says of itself, such as gpu=a100; kept for the next start; may be repeated
    #[arg(long = "label", global = true, value_name = "KEY=VALUE")]
    labels: Vec<Label>,

    /// Offer a warm handler, a command split into words as a shell does, run where this is typed;
    /// kept for the next start; may be repeated
    #[arg(long = "handler", global = true, value_name = "NAME=CMD", value_parser = handler)]
    handlers: Vec<(Name, Handler)>,

    /// Run shell lines too; kept for the next start
    #[arg(long, global = true)]
    allow_shell: bool,

    /// A folder below which tasks may be about files (`ganger submit --paths`); kept for the next
    /// start; may be repeated
    #[arg(long = "root", global = true, value_name = "DIR")]
    roots: Vec<PathBuf>,

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

/// Reads `NAME=CMD`. The command is meant from the directory in which it is typed.
fn handler(text: &str) -> std::result::Result<(Name, Handler), String> {
    let (name, command) =
        text.split_once('=').ok_or("write NAME=CMD, such as resize='python3 resize.py'")?;
    let name = Name::parse(name).map_err(|error| error.to_string())?;
    let words = shlex::split(command).ok_or("its command has a quote that is not closed")?;
    let cwd =
        std::env::current_dir().map_err(|error| format!("this directory is gone: {error}"))?;
    let handler = Handler::of(words, Some(cwd)).map_err(|_| "its command is empty")?;
    Ok((name, handler))
}

/// Tasks at once at most, as in `worker.toml`.
const SLOTS_MAX: i64 = 1_024;

/// Returns the definition of the command line, for its manual page and completions.
pub(crate) fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs `ganger-worker` with the process's arguments.
pub fn main() -> ExitCode {
    if super::is_launcher() {
        return crate::worker::launcher_main();
    }
    let cli = Cli::parse();
    if let Some(Command::Join { token }) = &cli.command {
        keyring::hide_token(token.as_deref());
    }
    super::finish(super::runtime::block_on_one_thread(Box::pin(run(cli))))
}

async fn run(cli: Cli) -> Result<()> {
    let mut flags = cli.flags;
    flags.roots = whole_roots(&flags.roots)?;
    check_labels(&flags.labels)?;
    check_resources(&flags.resources)?;
    check_handlers(&flags.handlers)?;
    let home = config::home_folder(flags.home.as_deref(), &config::process_env)?;
    config::make_folder(&home)?;
    let folder = match cli.command {
        Some(Command::Join { token }) => {
            let folder = join(&home, token.as_deref(), flags.name.as_ref()).await?;
            keep(&folder.join("worker.toml"), &flags)?;
            folder
        }
        None => choose(&home, flags.name.as_ref())?,
    };
    let mut policy = policy_in(&folder, Policy::default())?;
    let asked = Asked::resolve(&flags, &config::process_env)?;
    policy.slots = asked.slots.or(policy.slots);
    policy.io_slots = asked.io_slots.or(policy.io_slots);
    policy.shell = asked.shell.unwrap_or(policy.shell);
    if !flags.labels.is_empty() {
        policy.labels.clone_from(&flags.labels);
    }
    for has in &flags.resources {
        add_resource(&mut policy.resources, has.clone()).map_err(CliError::usage)?;
    }
    if !flags.roots.is_empty() {
        policy.roots.clone_from(&flags.roots);
    }
    for (name, asked) in &flags.handlers {
        policy
            .handlers
            .entry(name.clone())
            .and_modify(|known| {
                known.command.clone_from(&asked.command);
                known.cwd.clone_from(&asked.cwd);
            })
            .or_insert_with(|| asked.clone());
    }
    if flags.allow_root {
        policy.root = Permission::Allowed;
    }
    // Several workers may share a home, and each has a log of its own.
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let log = format!("worker-{name}");
    logs::start(&home, &log, Ring::new())?;
    out::note(&format!(
        "the worker {name} runs, its log is {}; Ctrl-C lets running tasks end first",
        home.join("logs").join(format!("{log}.log")).display()
    ));
    let addresses = flags.master.iter().map(|address| with_port(address)).collect();
    work(folder, addresses, policy).await
}

/// What flags and environment say over `worker.toml`.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    slots: Option<NonZeroU32>,
    io_slots: Option<u32>,
    shell: Option<Permission>,
}

impl Asked {
    fn resolve(flags: &Flags, env: &config::Env) -> Result<Self> {
        let slots = slots_of(flags.slots, env, ("GANGER_SLOTS", 1))?;
        let io_slots = slots_of(flags.io_slots, env, ("GANGER_IO_SLOTS", 0))?;
        let shell = match env("GANGER_ALLOW_SHELL").as_deref().and_then(|text| text.to_str()) {
            _ if flags.allow_shell => Some(Permission::Allowed),
            Some("1" | "true" | "yes") => Some(Permission::Allowed),
            Some("0" | "false" | "no") => Some(Permission::Refused),
            None => None,
            Some(text) => {
                return Err(CliError::usage(format!(
                    "GANGER_ALLOW_SHELL is `{}`; give 1 or 0",
                    super::text::line(text)
                )));
            }
        };
        Ok(Self { slots: slots.and_then(NonZeroU32::new), io_slots, shell })
    }
}

/// Returns how many slots the flag says, else the variable, which says at least `least`.
fn slots_of(
    flag: Option<u32>,
    env: &config::Env,
    (variable, least): (&str, i64),
) -> Result<Option<u32>> {
    let (None, Some(text)) = (flag, env(variable)) else { return Ok(flag) };
    let text = super::utf8(text, &format!("the number in {variable}"))?;
    let slots = text.parse().ok().filter(|slots| (least..=SLOTS_MAX).contains(slots));
    let slots = slots.and_then(|slots| u32::try_from(slots).ok());
    slots.map(Some).ok_or_else(|| {
        CliError::usage(format!(
            "{variable} is `{}`; give a number from {least} to {SLOTS_MAX}",
            super::text::line(&text)
        ))
    })
}

/// Reads `worker.toml` beside an identity over `defaults`.
pub(crate) fn policy_in(folder: &Path, defaults: Policy) -> Result<Policy> {
    let policy = defaults.load(&folder.join("worker.toml"));
    policy.map_err(|error| CliError::usage(with_causes(&error)))
}

/// Runs the worker in this process until it is stopped.
pub(crate) async fn work(home: PathBuf, addresses: Vec<String>, policy: Policy) -> Result<()> {
    let failed = |error: WorkerError| {
        let exit = Exit::of(error.exit_code());
        CliError::new(exit, with_causes(&error))
    };
    let options = WorkerOptions {
        home,
        addresses,
        policy,
        socket: DialSocket::open().map_err(|error| failed(error.into()))?,
        clock: Clock::start(),
        launcher: own_launcher(),
    };
    Box::pin(crate::worker::run(options)).await.map_err(failed)
}

/// Joins, or finds the identity that the same token made before.
async fn join(home: &Path, token: Option<&str>, wish: Option<&Name>) -> Result<PathBuf> {
    let token = keyring::token_text(token)?;
    if let Some(folder) = keyring::made_by(home, &token) {
        return Ok(folder);
    }
    let (identity, folder) = keyring::join(home, &token, wish).await?;
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
    let mut folders = keyring::joined_workers(home);
    if let Some(name) = name {
        folders.retain(|folder| folder.file_name().is_some_and(|file| file == name.as_str()));
    }
    if folders.len() > 1 {
        let names: Vec<String> = folders
            .iter()
            .filter_map(|folder| Some(folder.strip_prefix(home).ok()?.display().to_string()))
            .collect();
        return Err(CliError::usage(format!(
            "several workers joined from here ({}); say which one with --name, or use a home \
             folder for each",
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

/// Labels are few, and each key has one value.
fn check_labels(labels: &[Label]) -> Result<()> {
    if labels.len() > LABELS_MAX {
        return Err(CliError::usage(format!("a worker has at most {LABELS_MAX} labels")));
    }
    for (at, label) in labels.iter().enumerate() {
        if labels[..at].iter().any(|other| other.key() == label.key()) {
            let key = label.key();
            return Err(CliError::usage(format!("the label `{key}` is given twice; keep one")));
        }
    }
    Ok(())
}

/// Each resource has one amount, and none is what slots count.
fn check_resources(resources: &[Need]) -> Result<()> {
    let mut all: Vec<Need> = Vec::new();
    for has in resources {
        if all.iter().any(|other| other.name == has.name) {
            let name = &has.name;
            return Err(CliError::usage(format!("the resource `{name}` is given twice; keep one")));
        }
        add_resource(&mut all, has.clone()).map_err(CliError::usage)?;
    }
    Ok(())
}

/// Each handler is given once.
fn check_handlers(handlers: &[(Name, Handler)]) -> Result<()> {
    if handlers.len() > OFFERS_MAX {
        return Err(CliError::usage(format!("a worker has at most {OFFERS_MAX} handlers")));
    }
    for (at, (name, _)) in handlers.iter().enumerate() {
        if handlers[..at].iter().any(|(other, _)| other == name) {
            return Err(CliError::usage(format!("the handler {name} is given twice; keep one")));
        }
    }
    Ok(())
}

/// Makes roots absolute paths that a file can keep.
fn whole_roots(roots: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let whole = |root: &PathBuf| {
        let path = std::path::absolute(root);
        path.map_err(|error| {
            CliError::io("this directory cannot be named; write --root whole", &error)
        })
    };
    let roots = roots.iter().map(whole).collect::<Result<Vec<_>>>()?;
    if let Some(root) = roots.iter().find(|root| root.to_str().is_none()) {
        return Err(CliError::usage(format!(
            "the root {} is not UTF-8, and worker.toml cannot keep it; name a folder above it",
            super::text::line(&root.to_string_lossy())
        )));
    }
    roots_objection(&roots).map_or(Ok(roots), |why| Err(CliError::usage(why)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["ganger-worker", "join", "T", "--slots", "4"]).unwrap();
        assert_eq!(cli.flags.slots, Some(4));
        assert!(matches!(cli.command, Some(Command::Join { token: Some(t) }) if t == "T"));
        assert!(Cli::try_parse_from(["ganger-worker", "--slots", "0"]).is_err());
        let words = ["ganger-worker", "--io-slots", "0", "--resource", "gpu=1"];
        let cli = Cli::try_parse_from(words.iter().chain(&["--resource", "mem=8G"])).unwrap();
        assert_eq!((cli.flags.io_slots, cli.flags.resources.len()), (Some(0), 2));
        assert!(Cli::try_parse_from(["ganger-worker", "--resource", "gpu"]).is_err());
    }

    #[test]
    fn flags_beat_the_environment() {
        let env = |name: &str| match name {
            "GANGER_SLOTS" => Some("3".into()),
            "GANGER_IO_SLOTS" => Some("0".into()),
            "GANGER_ALLOW_SHELL" => Some("0".into()),
            _ => None,
        };
        let none = |_: &str| None;
        let asked = |flags: &Flags, env: &config::Env| {
            let asked = Asked::resolve(flags, env).unwrap();
            (asked.slots.map(NonZeroU32::get), asked.io_slots, asked.shell)
        };
        let (slots, io_slots) = (Some(5), Some(9));
        let flags = Flags { slots, io_slots, allow_shell: true, ..Flags::default() };
        assert_eq!(asked(&flags, &env), (slots, io_slots, Some(Permission::Allowed)));
        assert_eq!(asked(&Flags::default(), &env), (Some(3), Some(0), Some(Permission::Refused)));
        assert_eq!(asked(&Flags::default(), &none), (None, None, None));
        for (name, value) in
            [("GANGER_SLOTS", "0"), ("GANGER_IO_SLOTS", "1025"), ("GANGER_ALLOW_SHELL", "maybe")]
        {
            let env = move |asked: &str| (asked == name).then(|| value.into());
            let error = Asked::resolve(&Flags::default(), &env).unwrap_err();
            assert!(error.sentence.contains(name), "{error}");
        }
    }

    #[test]
    fn flags_are_kept_beside_what_the_owner_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        let none = Flags::default();
        keep(&path, &none).unwrap();
        assert!(!path.exists());
        let before = "grace_s = 3\nslots = 1\n[resources]\ntpu = 4\ngpu = 9\n";
        std::fs::write(&path, before).unwrap();
        let labels = vec![Label::parse("gpu=a100").unwrap()];
        let resources = ["gpu=2", "mem=8G"].map(|text| Need::parse(text).unwrap()).to_vec();
        let roots = whole_roots(&[PathBuf::from("/data/in")]).unwrap();
        let flags = Flags {
            slots: Some(8),
            io_slots: Some(0),
            allow_shell: true,
            labels,
            resources,
            roots,
            ..Flags::default()
        };
        keep(&path, &flags).unwrap();
        let policy = policy_in(folder.path(), Policy::default()).unwrap();
        let has: Vec<String> = policy.resources.iter().map(Need::to_string).collect();
        assert_eq!((has.join(" ").as_str(), policy.io_slots), ("gpu=2 mem=8G tpu=4", Some(0)));
        let kept: toml::Table = config::read_toml(&path).unwrap().unwrap();
        assert_eq!(kept["grace_s"].as_integer(), Some(3));
        assert_eq!(kept["slots"].as_integer(), Some(8));
        assert_eq!(kept["allow_shell"].as_bool(), Some(true));
        std::fs::write(&path, "slots = \n").unwrap();
        assert_eq!(kept["roots"][0].as_str(), Some("/data/in"));
        assert_eq!(kept["labels"].as_array().map(Vec::len), Some(1));
        assert!(keep(&path, &flags).unwrap_err().sentence.contains("line 1"));
    }

    #[test]
    fn roots_are_whole_paths() {
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            whole_roots(&["in".into(), "/a".into()]).unwrap(),
            [here.join("in"), "/a".into()]
        );
        let error = whole_roots(&["/a/../b".into()]).unwrap_err();
        assert!(error.sentence.contains("without `..`"), "{error}");
        let odd = std::ffi::OsString::from_vec(b"/a\xff".to_vec());
        assert!(whole_roots(&[odd.into()]).unwrap_err().sentence.contains("not UTF-8"));
    }

    #[test]
    fn handlers_are_read_and_kept_beside_what_the_owner_wrote_of_them() {
        let words = ["ganger-worker", "join", "T", "--handler", "resize=python3 'my file.py' -v"];
        let flags = Cli::try_parse_from(words).unwrap().flags;
        let here = std::env::current_dir().unwrap();
        let (name, handler) = &flags.handlers[0];
        assert_eq!((name.as_str(), handler.cwd.as_ref()), ("resize", Some(&here)));
        assert_eq!(handler.command, ["python3", "my file.py", "-v"]);
        for bad in ["resize", "=x", "a b=x", "a=", "a='x"] {
            assert!(Cli::try_parse_from(["ganger-worker", "--handler", bad]).is_err(), "{bad}");
        }
        let twice = [flags.handlers.clone(), flags.handlers.clone()].concat();
        assert!(check_handlers(&twice).unwrap_err().sentence.contains("resize is given twice"));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.toml");
        let text = "labels = [\"a=1\"]\n[handlers.resize]\ncommand = [\"old\"]\nlane = \"io\"\n\
                    [handlers.other]\ncommand = [\"other\"]\n";
        std::fs::write(&path, text).unwrap();
        keep(&path, &flags).unwrap();
        let policy = Policy::default().load(&path).unwrap();
        let resize = &policy.handlers[name];
        assert_eq!((resize.lane, resize.command.len()), (ganger_proto::Lane::Io, 3));
        assert_eq!(resize.cwd.as_ref(), Some(&here));
        assert_eq!((policy.handlers.len(), policy.labels.len()), (2, 1));
    }

    #[test]
    fn labels_are_few_and_say_one_thing() {
        let label = |text: &str| Label::parse(text).unwrap();
        assert!(check_labels(&[label("a=1"), label("b=1")]).is_ok());
        let twice = check_labels(&[label("a=1"), label("a=2")]).unwrap_err();
        assert!(twice.sentence.contains("`a` is given twice"), "{twice}");
        let many: Vec<Label> = (0..17).map(|n| label(&format!("k{n}=v"))).collect();
        assert!(check_labels(&many).unwrap_err().sentence.contains("at most 16"));
    }

    #[test]
    fn resources_are_few_and_say_one_thing() {
        let check = |texts: &[&str], expected: &str| {
            let needs: Vec<Need> = texts.iter().map(|text| Need::parse(text).unwrap()).collect();
            let said = check_resources(&needs).err().map(|error| error.sentence);
            assert_eq!(said.unwrap_or_default(), expected);
        };
        check(&["gpu=1", "mem=8G"], "");
        check(&["gpu=1", "gpu=2"], "the resource `gpu` is given twice; keep one");
        check(&["cpu=1"], "`cpu` is what slots count; set `slots` for it");
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
