//! `ganger run`: a command for each argument, in the foreground, with GNU parallel's habits. What
//! is done comes from plan.rs; drive.rs does it. Where it differs on purpose is written down in
//! `assets/docs/gnu-parallel.md`.

mod control;
mod drive;
mod feeder;
mod follower;
mod halt;
mod joblog;
mod line;
mod link;
mod live;
mod pace;
mod plan;
mod preview;
mod print;
mod saved;
mod settle;
mod stops;
mod waits;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use ganger_proto::place::Need;

use super::error::{CliError, Result};
use super::place::Place;
use super::submit::spec;
use super::{out, source};
pub(crate) use halt::OWN_ERROR;

use halt::Halt;
use pace::Limit;
use plan::Plan;

/// Flags of `ganger run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The words make one shell line for each argument; arguments are quoted in it. A line in which nothing
is for a shell runs without one. Options go before the command. Without a source, arguments are read
from standard input, one a line.

  :::  WORD…   words          ::::  FILE…   lines of files; - is standard input
  :::+ WORD…   linked to the source before instead of crossed      ::::+ FILE…   the same

Replacement strings:
  {} the argument   {.} without extension   {/} base name   {//} directory   {/.} both
  {1} {2.} {-1}     the same of one column, of the last one     {name} {name/} …  with --header :
  {#} number of the task   {%} number of the slot   {n:04} padded with zeros

Examples:
  ls *.log | ganger run gzip -9 {}
  ganger run 'sort {} | uniq > {.}.u' ::: a.txt b.txt
  ganger run echo {1}-{2} ::: A B ::: 1 2                 A-1 A-2 B-1 B-2
  ganger run -k --tag --header : ./fit {rate} {seed} ::: rate 0.1 0.5 ::: seed 1 2
  ganger run --csv --header : -a users.csv ./mail {name} {address}
  ganger run --joblog log --halt soon,fail=1 ./step {} ::: 1..1000
  ganger run --joblog log --resume ./step {} ::: 1..1000
  ganger run --timeout 200% --retries 2 --results out ./job :::: list

Exit code: 0 when all is well, 1 to 100 the number of failed tasks, 101 more than a hundred, 255
ganger's own errors; with --halt as in GNU parallel. What differs from GNU parallel, and why, is in
assets/docs/gnu-parallel.md.

Ctrl-C once starts no more tasks and waits for those that run; twice cancels them. Ctrl-\\ leaves the
batch to the workers: `ganger wait` waits for it, `ganger results` prints what it printed.")]
pub(crate) struct Args {
    #[command(flatten)]
    from: source::From,

    #[command(flatten)]
    ground: spec::Ground,

    #[command(flatten)]
    batching: spec::Batching,

    /// Run no command but what the worker does itself with each argument: square, sleep, or
    /// handler:NAME (a warm process of the worker's own)
    #[arg(long, value_name = "KIND", value_parser = spec::word)]
    kind: Option<spec::Word>,

    /// Print outputs in the order of the arguments
    #[arg(short, long)]
    keep_order: bool,

    /// Begin each line of output with the task's arguments and a tab
    #[arg(long)]
    tag: bool,

    /// Begin each line of output with this and a tab; replacement strings are replaced
    #[arg(long, value_name = "TEXT", conflicts_with = "tag")]
    tagstring: Option<String>,

    /// Print the lines of a running task as they come, lines of several tasks mixed; of at most 12
    /// tasks at once, those of others when they end
    #[arg(short = 'u', long, visible_aliases = ["lb", "ungroup"])]
    #[arg(conflicts_with_all = ["keep_order", "results"])]
    line_buffer: bool,

    /// Show a progress bar; where standard error is a terminal it comes by itself
    #[arg(long)]
    bar: bool,

    /// Show how long it will take, instead of the bar
    #[arg(long)]
    eta: bool,

    /// Write a line for each ended task, in GNU parallel's nine columns
    #[arg(long, value_name = "FILE")]
    joblog: Option<PathBuf>,

    /// Leave out the tasks that the job log names, and go on writing it
    #[arg(long, requires = "joblog", group = "again")]
    resume: bool,

    /// Leave out the tasks that ended well according to the job log
    #[arg(long, requires = "joblog", group = "again")]
    resume_failed: bool,

    /// Run the commands again that failed according to the job log; no command is given
    #[arg(long, requires = "joblog", group = "again")]
    retry_failed: bool,

    /// When to stop early: now or soon, and on what: now,fail=1 soon,success=3 soon,done=50%
    #[arg(long, value_name = "WHEN", default_value = "never", hide_default_value = true)]
    #[arg(allow_hyphen_values = true)]
    halt: Halt,

    /// Keep what each task prints in files below this folder
    #[arg(long, value_name = "DIR")]
    results: Option<PathBuf>,

    /// Print the commands and run none
    #[arg(long)]
    dry_run: bool,

    /// How long one attempt may run: seconds, a time (10m), or a part of the median of those that
    /// ended well (200%)
    #[arg(long, value_name = "TIME")]
    timeout: Option<Limit>,

    /// The time between two starts, over all workers: seconds or a time (500ms)
    #[arg(long, value_name = "TIME", value_parser = pace::time, conflicts_with = "rate")]
    delay: Option<Duration>,

    /// Run the tasks in a random order
    #[arg(long)]
    shuf: bool,

    /// Bytes that a task may print on each stream; more is an error
    #[arg(long, value_name = "SIZE", default_value = "1G")]
    output_max: Bytes,

    /// The command and its words; `:::` or `::::` begins the arguments
    #[arg(value_name = "WORDS", trailing_var_arg = true)]
    words: Vec<OsString>,
}

/// A number of bytes, as 64M or 1G.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(u64);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let need = Need::parse(&format!("bytes={text}")).ok();
        let bytes = need.map(|need| need.amount).filter(|bytes| *bytes > 0);
        bytes.map(Self).ok_or_else(|| "write a number of bytes, as 64M or 1G".to_owned())
    }
}

impl Args {
    /// Tells whether the job log of a run before goes on.
    const fn keeps_log(&self) -> bool {
        self.resume || self.resume_failed || self.retry_failed
    }
}

/// Runs the tasks; says what went wrong and returns the exit code.
pub(crate) async fn main(place: &Place, args: Args) -> ExitCode {
    let code = match run(place, args).await {
        Ok(code) => code,
        Err(error) => {
            if !error.sentence.is_empty() {
                out::note(&format!("error: {}", error.sentence));
            }
            OWN_ERROR
        }
    };
    ExitCode::from(code)
}

async fn run(place: &Place, args: Args) -> Result<u8> {
    // Files are read here, and a pipe may be slow; nothing else runs yet.
    let plan = Plan::of(&args)?;
    if args.dry_run {
        preview::print(place, plan)?;
        return Ok(0);
    }
    drive::run(place, &args, plan).await
}

/// Tells whether the command line is one of `run`, whose errors end with its own code.
pub(crate) fn is_meant(arguments: &[OsString], command: clap::Command) -> bool {
    let command = command.ignore_errors(true);
    let matches = command.try_get_matches_from(arguments);
    matches.is_ok_and(|matches| matches.subcommand_name() == Some("run"))
}

/// Nothing is left to be said but the code.
fn broken_pipe(error: &CliError) -> bool {
    error.sentence.is_empty()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(line: &str) -> std::result::Result<Args, clap::Error> {
        let words = ["run"].into_iter().chain(line.split(' ').filter(|word| !word.is_empty()));
        Line::try_parse_from(words).map(|line| line.args)
    }

    #[test]
    fn options_of_gnu_parallel_are_read() {
        let args =
            read("-k -j2 --tag --halt -1 --delay 0.1 --timeout 5 -n2 echo -j ::: -a").unwrap();
        assert!(args.keep_order && args.tag);
        assert_eq!(args.words, ["echo", "-j", ":::", "-a"]);
        assert_eq!(args.timeout, Some(Limit::Time(Duration::from_secs(5))));
        assert_eq!(args.output_max, Bytes(1 << 30));
        assert_eq!(read("-N2 --header : --csv x").unwrap().words, ["x"]);
        for wrong in ["--resume x", "--tag --tagstring x y", "--halt x y", "--delay 1 --rate 1/s x"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!("64M".parse(), Ok(Bytes(64 << 20)));
        assert!("x".parse::<Bytes>().is_err());
        assert!("0".parse::<Bytes>().is_err());
    }
}
