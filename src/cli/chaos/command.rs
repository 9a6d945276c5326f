//! `ganger chaos`: a load on a cluster of its own, under kills and loss, and the proof that nothing
//! was lost. The run itself is in run.rs, the load in load.rs.

mod load;
mod report;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use crate::cli::error::{CliError, Result};
use crate::cli::place::Place;
use crate::cli::{Exit, duration};

/// Flags of `ganger chaos`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It starts a master and workers of its own on a temp home, puts tasks in without a pause, and kills,
and loses packets, at random moments. A client submits again until it is answered, with one key.
Then the faults end, all tasks must, and every acknowledged one must have exactly one result, the
right one; no process may be left; and `ganger verify` replays the whole store, of which nothing was
trimmed. Without a flag that names a fault there are all three, with 10% of packets lost.

Examples:
  ganger chaos                                       two minutes of everything
  ganger chaos --for 2m --kill-workers --kill-master --loss 10
  ganger chaos --for 30m --kill-workers --kill-master --every 1s --kills 1000 --json > proof.json

Exit code 0: nothing was found. 1: something was, or the run could not be made.")]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    chaos: ChaosArgs,
}

/// What is asked for.
#[derive(Clone, Debug, clap::Args)]
pub(in crate::cli) struct ChaosArgs {
    /// How long tasks come and faults happen
    #[arg(long = "for", default_value = "2m", value_name = "TIME", value_parser = duration)]
    time: Duration,

    /// Kill workers with SIGKILL and start them again at once
    #[arg(long)]
    kill_workers: bool,

    /// Kill the master with SIGKILL and start it again at once
    #[arg(long)]
    kill_master: bool,

    /// Of a hundred packets between workers and master, lose this many; others come late or twice
    #[arg(long, default_value_t = 0, value_name = "PERCENT")]
    #[arg(value_parser = clap::value_parser!(u8).range(0..=50))]
    loss: u8,

    /// About how long from one kill to the next
    #[arg(long, default_value = "2s", value_name = "TIME", value_parser = duration)]
    every: Duration,

    /// Kill no more after so many
    #[arg(long, value_name = "N")]
    kills: Option<u64>,

    /// Tasks a second
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(10..=40_000))]
    rate: u64,

    /// How many workers, each a process
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,

    /// Tasks that each worker runs at once
    #[arg(long, default_value_t = 8, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=256))]
    slots: u32,

    /// Where the temp home is made [default: the system's temp folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Leave the temp home, to be looked at
    #[arg(long)]
    keep: bool,
}

/// What goes wrong, beside packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Faults {
    workers: bool,
    master: bool,
}

impl ChaosArgs {
    /// Without a flag that names a fault there are all.
    fn settle(mut self) -> (Self, Faults) {
        if !self.kill_workers && !self.kill_master && self.loss == 0 {
            (self.kill_workers, self.kill_master, self.loss) = (true, true, 10);
        }
        let faults = Faults { workers: self.kill_workers, master: self.kill_master };
        (self, faults)
    }

    /// Returns a word that the processes of this run's tasks carry.
    fn mark(&self) -> String {
        format!("ganger-chaos-{}", std::process::id())
    }

    fn seed(&self) -> u64 {
        u64::from(std::process::id())
    }

    /// Returns the line that does this again.
    fn line(&self) -> String {
        let mut line = format!("ganger chaos --for {}", humantime::format_duration(self.time));
        let flags = [(self.kill_workers, " --kill-workers"), (self.kill_master, " --kill-master")];
        line.extend(flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag));
        if self.loss > 0 {
            line.push_str(&format!(" --loss {}", self.loss));
        }
        line.push_str(&format!(" --every {}", humantime::format_duration(self.every)));
        if let Some(kills) = self.kills {
            line.push_str(&format!(" --kills {kills}"));
        }
        let Self { rate, workers, slots, .. } = self;
        line.push_str(&format!(" --rate {rate} --workers {workers} --slots {slots}"));
        line
    }
}

/// Runs, and prints the report.
pub(in crate::cli) async fn run(place: &Place, args: Args) -> Result<()> {
    let (args, faults) = args.chaos.settle();
    let report = run::run(&args, faults).await;
    let report = report.map_err(|error| CliError::failed(format!("{error:#}")))?;
    let mut out = place.out();
    out.report(&report)?;
    out.flush()?;
    if report.passed { Ok(()) } else { Err(CliError::quiet(Exit::Failed)) }
}
