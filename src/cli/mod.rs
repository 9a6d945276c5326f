//! The command line: its words, its exit codes, and which file runs which subcommand. What a
//! subcommand does is in the file of its name.

mod ask;
mod audit;
mod authority;
mod bench;
mod cancel;
mod change;
#[cfg(feature = "screen")]
pub mod chaos;
mod completions;
mod delete;
mod disk;
mod doctor;
mod drain;
pub(crate) mod error;
mod events;
mod flight;
mod follow;
mod fsck;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod identities;
mod invite;
mod join;
mod keyring;
mod local_worker;
mod logs;
#[cfg(feature = "screen")]
mod looks;
mod ls;
mod man;
mod master;
mod metrics;
mod out;
mod pause;
mod place;
mod plain;
mod priority;
mod progress;
mod queues;
mod reach;
mod results;
mod retry;
mod revoke;
mod run;
mod runtime;
#[cfg(feature = "screen")]
mod screen;
mod select;
mod show;
mod slots;
mod source;
mod start;
mod status;
mod stop;
mod submit;
mod table;
mod text;
mod trial;
mod verify;
mod wait;
mod why;
pub mod worker;
mod workers;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use error::Result;
use place::{Globals, Place};
use runtime::{block_on, block_on_one_thread};

/// How a process ends; the one table of exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// It was tried and failed, or tasks waited for failed.
    Failed = 1,
    /// Wrong usage; clap's own errors end with it too.
    Usage = 2,
    /// Refused for role, state or quota.
    Refused = 3,
    /// The master cannot be reached.
    Unreachable = 4,
    /// The store is damaged.
    Damaged = 5,
}

impl Exit {
    /// Returns the row of the table with this code; other codes say no more than that it failed.
    pub(crate) const fn of(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Refused,
            4 => Self::Unreachable,
            5 => Self::Damaged,
            _ => Self::Failed,
        }
    }

    /// Returns the code as the system takes it.
    pub fn code(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

const ABOUT: &str = "A task queue run from a terminal: durable queues on a live screen, workers \
that prove who they are";

const AFTER: &str = "\
First steps:
  ganger                                        the screen; starts a master here if none runs
  ganger submit -- echo hi                      one task; prints its batch, b1
  ganger submit --range 1..100 -- echo hi {}    a hundred tasks
  ganger results                                what they printed
  ganger invite                                 the line that brings another machine in

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused (role, state, quota),
4 cannot reach the master, 5 store damaged.";

#[derive(Debug, Parser)]
#[command(
    name = "ganger",
    version,
    about = ABOUT,
    after_help = AFTER,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,

    /// Print a line for each event and a summary every ten seconds instead of drawing the screen;
    /// so does --json, as JSON lines
    #[arg(long)]
    plain: bool,

    #[command(flatten)]
    screen: ScreenFlags,

    #[command(subcommand)]
    command: Option<Command>,
}

/// The flags of the screen.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ScreenFlags {
    /// The screen's theme [default: GANGER_THEME, else the one chosen last, else ansi16]
    #[arg(long, value_name = "NAME")]
    theme: Option<String>,

    /// Show the screen and change nothing from it
    #[arg(long)]
    read_only: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the master here, without a screen
    Master(master::Args),
    /// Stop the master: when its running tasks have ended, or at once
    Stop(stop::Args),
    /// Show master, counts, queues, workers and newest batches on one page
    Status,
    /// Make a token with which another machine or person joins
    Invite(invite::Args),
    /// Join a master as a person, with a token from `ganger invite`
    Join(join::Args),
    /// Submit a batch of tasks and print its id
    Submit(Box<submit::Args>),
    /// Run a command for each argument and print what they print, as GNU parallel does
    Run(Box<run::Args>),
    /// List tasks, or batches
    Ls(ls::Args),
    /// Show everything about one task
    Show(show::Args),
    /// Print what one task printed
    Logs(logs::Args),
    /// Print what each task of a batch answered or printed, in id order
    Results(results::Args),
    /// Wait until batches have ended
    Wait(wait::Args),
    /// Cancel tasks
    Cancel(cancel::Args),
    /// Put failed, cancelled or delayed tasks back in the queue
    Retry(retry::Args),
    /// Delete ended tasks with their results
    Delete(delete::Args),
    /// Change the priority of tasks that have not ended
    Priority(priority::Args),
    /// Grant no more tasks from a queue
    Pause(pause::Args),
    /// Grant tasks from a queue again
    Resume(pause::Args),
    /// List the queues
    Queues,
    /// Say why a task waits, or where it is, and what can be done
    Why(why::Args),
    /// List the workers, or show everything about one
    Workers(workers::Args),
    /// Change how many tasks a worker runs at once
    Slots(slots::Args),
    /// Let a worker finish what it runs and take nothing new
    Drain(drain::Args),
    /// Let a worker take tasks again
    Undrain(drain::Args),
    /// Revoke a worker's or a person's certificate and end its connections at once
    Revoke(revoke::Args),
    /// List the identities that the master knows: workers and people
    Identities(identities::Args),
    /// Show the authority that certificates rest on, or change it
    Authority(authority::Args),
    /// Print what happened, as the journal has it
    Events(events::Args),
    /// Show who was admitted and who asked for what
    Audit(audit::Args),
    /// Look at everything that ganger needs here and say what to do about what is wrong
    #[command(after_help = doctor::AFTER)]
    Doctor,
    /// Print the master's figures for Prometheus, or serve them on a loopback port
    Metrics(metrics::Args),
    /// Check a store without changing it
    Fsck(fsck::Args),
    /// Replay a store and prove that nothing was lost, and nothing ended twice
    Verify(verify::Args),
    /// Kill workers and master and lose packets under a load, and prove that nothing was lost
    #[cfg(feature = "screen")]
    Chaos(chaos::Args),
    /// Measure ganger on this machine, beside the machine's limits and other tools
    #[cfg(feature = "screen")]
    Bench(bench::BenchArgs),
    /// Print a manual page, or write all of them
    Man(man::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Run the worker that a master starts on its own machine
    #[command(name = "__local-worker", hide = true)]
    LocalWorker(local_worker::Args),
    /// Run the workers of a benchmark
    #[cfg(feature = "screen")]
    #[command(name = "__bench-crowd", hide = true)]
    BenchCrowd(bench::crowd::CrowdArgs),
}

/// Runs `ganger` with the process's arguments.
pub fn main() -> ExitCode {
    if is_launcher() {
        return crate::worker::launcher_main();
    }
    let arguments = select::shield(std::env::args_os());
    match Cli::try_parse_from(&arguments) {
        Ok(cli) => run(cli).unwrap_or_else(|error| finish(Err(error))),
        Err(error) if error.use_stderr() && run::is_meant(&arguments, Cli::command()) => {
            // Nobody hears it when it cannot be written.
            error.print().unwrap_or_default();
            ExitCode::from(run::OWN_ERROR)
        }
        Err(error) => error.exit(),
    }
}

/// Tells whether this process is a worker's launcher: the running program, called again.
pub(crate) fn is_launcher() -> bool {
    std::env::args_os().nth(1).is_some_and(|word| word == crate::worker::LAUNCHER_WORD)
}

/// Says what went wrong and returns the exit code.
pub(crate) fn finish(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => Exit::Done.code(),
        Err(error) => {
            if !error.sentence.is_empty() {
                out::note(&format!("error: {}", error.sentence));
            }
            error.exit.code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let place = Place::of(&cli.globals)?;
    let for_screen = cli.screen.theme.is_some() || cli.screen.read_only;
    if for_screen && (cli.command.is_some() || cli.plain) {
        return Err(error::CliError::usage(
            "--theme and --read-only are for the screen; give them to `ganger` alone",
        ));
    }
    let done = match cli.command {
        // These two need no runtime and no master.
        Some(Command::Completions(args)) => completions::run(&args, &mut Cli::command()),
        Some(Command::Fsck(args)) => fsck::run(&place, &args),
        Some(Command::Verify(args)) => verify::run(&place, &args),
        Some(Command::Man(args)) => man::run(&args, Cli::command()),
        Some(Command::LocalWorker(args)) => {
            block_on_one_thread(Box::pin(local_worker::run(&place, args)))
        }
        #[cfg(feature = "screen")]
        Some(Command::BenchCrowd(args)) => block_on_one_thread(Box::pin(bench::crowd::run(args))),
        Some(command) => return block_on(Box::pin(dispatch(place, command))),
        None if cli.plain || place.form == out::Form::Json => block_on(plain::run(&place)),
        None => block_on(Box::pin(no_command(place, cli.screen))),
    };
    done.map(|()| Exit::Done.code())
}

#[cfg(feature = "screen")]
async fn no_command(place: Place, flags: ScreenFlags) -> Result<()> {
    if screen::is_possible() { screen::run(place, flags).await } else { plain::run(&place).await }
}

#[cfg(not(feature = "screen"))]
async fn no_command(place: Place, _flags: ScreenFlags) -> Result<()> {
    plain::run(&place).await
}

async fn dispatch(place: Place, command: Command) -> Result<ExitCode> {
    let place = &place;
    let done = match command {
        Command::Master(args) => master::run(place, args).await,
        Command::Stop(args) => stop::run(place, &args).await,
        Command::Status => status::run(place).await,
        Command::Invite(args) => invite::run(place, args).await,
        Command::Join(args) => join::run(place, args).await,
        Command::Submit(args) => submit::run(place, *args).await,
        Command::Run(args) => return Ok(run::main(place, *args).await),
        Command::Ls(args) => ls::run(place, args).await,
        Command::Show(args) => show::run(place, &args).await,
        Command::Logs(args) => logs::run(place, &args).await,
        Command::Results(args) => results::run(place, args).await,
        Command::Wait(args) => wait::run(place, args).await,
        Command::Cancel(args) => cancel::run(place, &args).await,
        Command::Retry(args) => retry::run(place, &args).await,
        Command::Delete(args) => delete::run(place, &args).await,
        Command::Priority(args) => priority::run(place, &args).await,
        Command::Pause(args) => pause::pause(place, args).await,
        Command::Resume(args) => pause::resume(place, args).await,
        Command::Queues => queues::run(place).await,
        Command::Why(args) => why::run(place, &args).await,
        Command::Workers(args) => workers::run(place, args).await,
        Command::Slots(args) => slots::run(place, args).await,
        Command::Drain(args) => drain::drain(place, args).await,
        Command::Undrain(args) => drain::undrain(place, args).await,
        Command::Revoke(args) => revoke::run(place, args).await,
        Command::Identities(args) => identities::run(place, &args).await,
        Command::Authority(args) => authority::run(place, &args).await,
        Command::Events(args) => events::run(place, &args).await,
        Command::Audit(args) => audit::run(place, &args).await,
        #[cfg(feature = "screen")]
        Command::Bench(args) => bench::run(place, args).await,
        #[cfg(feature = "screen")]
        Command::Chaos(args) => chaos::run(place, args).await,
        Command::LocalWorker(args) => local_worker::run(place, args).await,
        #[cfg(feature = "screen")]
        Command::BenchCrowd(args) => bench::crowd::run(args).await,
        Command::Completions(args) => completions::run(&args, &mut Cli::command()),
        Command::Fsck(args) => fsck::run(place, &args),
        Command::Verify(args) => verify::run(place, &args),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Doctor => doctor::run(place).await,
        Command::Metrics(args) => metrics::run(place, &args).await,
    };
    done.map(|()| Exit::Done.code())
}

/// Reads a duration with its unit.
pub(crate) fn duration(text: &str) -> std::result::Result<std::time::Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("`{}` is no duration; write 500ms, 30s, 10m or 2h", text::line(text)))
}

/// Returns a duration in milliseconds; centuries are as good as forever.
pub(crate) fn as_ms(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns a moment as people write it, in UTC.
pub(crate) fn when(at: ganger_proto::WallMs) -> String {
    // Beyond the year 9999 there is no such form; no master writes such a moment.
    let seconds = (at.0 / 1_000).min(253_402_300_799);
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Returns text as it was given on the command line.
pub(crate) fn utf8(word: OsString, what: &str) -> Result<String> {
    word.into_string().map_err(|word| {
        let shown = text::line(&word.to_string_lossy());
        error::CliError::usage(format!("{what} `{shown}` is not UTF-8 text"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_subcommand_explains_itself() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                let shown = argument.get_help().is_some() || argument.is_hide_set();
                assert!(shown, "{name} {}", argument.get_id());
            }
        }
    }

    #[test]
    fn exit_codes_are_the_documented_ones() {
        let codes = [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Refused,
            Exit::Unreachable,
            Exit::Damaged,
        ];
        assert_eq!(codes.map(|exit| exit as u8), [0, 1, 2, 3, 4, 5]);
        assert_eq!(codes.map(|exit| Exit::of(exit as u8)), codes);
        let wrong = Cli::try_parse_from(["ganger", "--wrong"]).unwrap_err();
        assert_eq!(wrong.exit_code(), 2);
    }

    #[test]
    fn negated_terms_and_flags_are_told_apart() {
        let check = |line: &str, expected: &str| {
            let words = select::shield(line.split(' ').map(OsString::from));
            let cli = Cli::try_parse_from(words).unwrap();
            let command = format!("{:?} json={}", cli.command.unwrap(), cli.globals.is_json());
            assert!(command.contains(expected), "{line}: {command}");
        };
        let cancel = "now: true, tasks: [\"b1\", \" -kind:exec\"] }) json=true";
        check("ganger cancel --json --now b1 -kind:exec", cancel);
        check("ganger cancel b1 --now -kind:exec --json", cancel);
        check("ganger ls -dur>1m --sort id", "filter: [\" -dur>1m\"]");
        check("ganger delete -exit:0 b1", "tasks: [\" -exit:0\", \"b1\"]");
        check(
            "ganger ls -state:done -n 5",
            "limit: Some(5), sort: None, filter: [\" -state:done\"]",
        );
        check("ganger retry -- -state:done", "tasks: [\" -state:done\"]");
        check("ganger priority -5 b1 --json", "priority: -5, tasks: [\"b1\"] }) json=true");
        check("ganger --json submit -- echo --json", "words: [\"echo\", \"--json\"]");
        check("ganger --home ls submit echo -id:5", "words: [\"echo\", \"-id:5\"]");
        check("ganger --home submit ls -id:5", "filter: [\" -id:5\"]");
    }

    #[test]
    fn moments_and_durations() {
        assert_eq!(when(ganger_proto::WallMs(1_700_000_000_999)), "2023-11-14T22:13:20Z");
        assert!(when(ganger_proto::WallMs(u64::MAX)).starts_with("9999"));
        assert_eq!(as_ms(duration("1m 30s").unwrap()), 90_000);
        assert!(duration("5").unwrap_err().contains("30s"));
    }
}
