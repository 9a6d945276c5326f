//! `ganger bench`: how fast this machine's ganger is, end to end. Each row starts a master and
//! workers of its own on a temp home, measures, and checks what it was answered; or it fails. What
//! a row measures is in the file of its name; how figures are written is in figure.rs.

#![cfg(feature = "screen")]

pub(super) mod crowd;

mod beside;
mod exec;
mod eye;
mod figure;
mod flood;
mod growth;
mod handler;
mod latency;
mod load;
mod memory;
mod output;
mod reconnect;
mod restart;
mod screen;
mod squares;
mod steady;
mod workers;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use super::disk;
use super::error::CliError;
use super::out::Form;
use super::place::Place;
use super::trial::{TrialStore, percentile, probe, rig};
use crate::clock::Clock;
use figure::{Document, Report};
use rig::Rig;

/// Measure a master and workers of its own beside the limits and peers that this machine has.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ganger bench                          tasks a second and latency, beside the Python tutorial
  ganger bench exec                     a process per task (`true`), beside a bare loop, xargs and
                                        GNU parallel
  ganger bench memory --tasks 1000000   bytes a task
  ganger bench all --json > all.json    every row but those three: about ten minutes
  ganger bench --from all.json --table  the same as a table in Markdown, without measuring
  ganger bench growth --axis workers    tasks a second as workers come
  ganger bench steady --for 10m         a load for a time: memory, store and latency over it
  ganger bench flood                    what strangers that flood the port cost an honest client

Figures come with what is wanted of them: ✓✓ is what was hoped for, ✓ enough, ✗ too little; and with
what was measured beside them in the same run. Where tasks give values, the master is restarted and
every value is read back; a missing or wrong one fails the run.")]
pub(crate) struct BenchArgs {
    /// What is measured [default: squares latency]
    #[arg(value_enum, value_name = "WHAT")]
    what: Vec<What>,

    /// How many tasks, where that is not the point of the row [default: the row's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    tasks: Option<u64>,

    /// How many workers, each a process; in `workers` and `growth` thousands share a few processes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16_000))]
    workers: Option<u32>,

    /// Tasks that each worker runs at once
    #[arg(long, default_value_t = 2, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_024))]
    slots: u32,

    /// Runs of which the median counts
    #[arg(long, default_value_t = 3, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=99))]
    runs: u32,

    /// Where the journal is kept
    #[arg(long, value_enum, default_value_t = TrialStore::Sqlite)]
    store: TrialStore,

    /// How long `steady` and the flood of `flood` last [default: 1h, 1m]
    #[arg(long = "for", value_name = "TIME", value_parser = super::duration)]
    time: Option<Duration>,

    /// Tasks a second in `steady`
    #[arg(long, default_value_t = 20_000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    rate: u64,

    /// What grows in `growth` [default: all]
    #[arg(long, value_enum, value_name = "AXIS")]
    axis: Vec<growth::Axis>,

    /// Where the temp home is made; the filesystem matters [default: the system's temp folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Measure nothing; show what an earlier run wrote with --json
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    from: Option<PathBuf>,

    /// Print a table in Markdown
    #[arg(long)]
    table: bool,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Squares a second, listed and as a range, beside the Python tutorial
    Squares,
    /// One task on an idle master, submit to result, beside a sync of the disk
    Latency,
    /// A process per task, beside a bare loop, xargs and GNU parallel
    Exec,
    /// A warm Python handler, beside the same program fed through a bare pipe
    Handler,
    /// Bytes of a listed task of 40 bytes at 1 and 10 million, and what a range costs
    Memory,
    /// Thousands of connected workers, idle and at work
    Workers,
    /// Back to serving with ten million tasks in the store, half of them done
    Restart,
    /// Workers back after a kill of the master and its restart
    Reconnect,
    /// A task that writes as fast as it can: alone, followed, and kept whole
    Output,
    /// From a key to the frame that shows what it did, over ten million tasks
    Screen,
    /// Tasks a second as the queue, workers, batches, labels and classes grow
    Growth,
    /// A load for a time: memory, store and latency over it
    Steady,
    /// An honest client beside strangers that flood the port, and how soon a revoked worker is gone
    Flood,
    /// Every row but growth, steady and flood
    All,
}

impl What {
    const ROWS: [Self; 10] = [
        Self::Squares,
        Self::Latency,
        Self::Exec,
        Self::Handler,
        Self::Memory,
        Self::Workers,
        Self::Restart,
        Self::Reconnect,
        Self::Output,
        Self::Screen,
    ];

    async fn measure(self, bench: &Bench) -> Result<Vec<Report>> {
        let report = match self {
            Self::Squares => squares::measure(bench).await,
            Self::Latency => latency::measure(bench).await,
            Self::Exec => exec::measure(bench).await,
            Self::Handler => handler::measure(bench).await,
            Self::Memory => memory::measure(bench).await,
            Self::Workers => workers::measure(bench).await,
            Self::Restart => restart::measure(bench).await,
            Self::Reconnect => reconnect::measure(bench).await,
            Self::Output => output::measure(bench).await,
            Self::Screen => screen::measure(bench).await,
            Self::Growth => growth::measure(bench).await,
            Self::Steady => steady::measure(bench).await,
            Self::Flood => flood::measure(bench).await,
            Self::All => {
                let mut reports = Vec::new();
                for row in Self::ROWS {
                    super::out::note(&format!("measuring {}", row.word()));
                    reports.extend(Box::pin(row.measure(bench)).await?);
                }
                return Ok(reports);
            }
        };
        report.with_context(|| format!("`{}` came to no end", self.word())).map(|one| vec![one])
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What every row has.
struct Bench {
    clock: Clock,
    args: BenchArgs,
}

impl Bench {
    /// Returns how many tasks were asked for, or the row's own number.
    fn tasks(&self, own: u64) -> u64 {
        self.args.tasks.unwrap_or(own)
    }

    /// Returns how many workers were asked for, or the row's own number.
    fn workers(&self, own: u32) -> u32 {
        self.args.workers.unwrap_or(own)
    }

    /// Returns how long a row is to last, or the row's own time.
    fn lasts(&self, own: Duration) -> Duration {
        self.args.time.unwrap_or(own)
    }

    /// Starts a master, lets `work` use it, and stops what was started.
    async fn rig<T>(&self, work: impl AsyncFnOnce(&mut Rig) -> Result<T>) -> Result<T> {
        self.rig_with(|_| Ok(()), work).await
    }

    /// As [`Bench::rig`], on a home into which `prepare` puts things first.
    async fn rig_with<T>(
        &self,
        prepare: impl FnOnce(&std::path::Path) -> Result<()>,
        work: impl AsyncFnOnce(&mut Rig) -> Result<T>,
    ) -> Result<T> {
        let base = self.args.dir.clone().unwrap_or_else(std::env::temp_dir);
        let mut rig = Rig::start(&base, self.args.store, prepare).await?;
        let result = work(&mut rig).await;
        rig.stop().await;
        result
    }

    /// Returns a report without figures: its command and its conditions.
    fn report(&self, what: What, rig: &Rig, mut conditions: Vec<String>) -> Result<Report> {
        let filesystem = disk::filesystem(rig.home())?;
        let durable = self.args.store == TrialStore::Sqlite && filesystem != "tmpfs";
        let (store, durable) = match (self.args.store, durable) {
            (TrialStore::Sqlite, true) => ("SQLite", "durable"),
            (TrialStore::Sqlite, false) => ("SQLite", "not durable"),
            (TrialStore::Memory, _) => ("memory", "not durable"),
        };
        conditions.push(format!("{store} on {filesystem}: {durable}"));
        let sync_us = disk::sync_p50_us(rig.home(), &self.clock)?;
        conditions.push(format!("a sync of 100 bytes takes {sync_us} µs at the median"));
        let mut command = format!("ganger bench {}", what.word());
        let tasks = self.args.tasks.map(|n| format!(" --tasks {n}"));
        let workers = self.args.workers.map(|n| format!(" --workers {n}"));
        command.extend([tasks, workers].into_iter().flatten());
        Ok(Report { command, conditions, figures: Vec::new(), series: Vec::new() })
    }
}

/// Runs the benchmark and prints what it found; fails when a process cannot be started, dies, or
/// gives a wrong result.
pub(crate) async fn run(place: &Place, args: BenchArgs) -> super::error::Result<()> {
    let form = if place.out().is_json() { Form::Json } else { Form::Text };
    bench(args, form).await.map_err(|error| CliError::failed(format!("{error:#}")))
}

async fn bench(args: BenchArgs, form: Form) -> Result<()> {
    let shape = match (form, args.table) {
        (Form::Json, true) => bail!("choose --json or --table"),
        (Form::Json, false) => Shape::Json,
        (Form::Text, true) => Shape::Table,
        (Form::Text, false) => Shape::Text,
    };
    let document = match &args.from {
        Some(path) => {
            let json =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let read = serde_json::from_slice(&json);
            read.with_context(|| format!("{} is not what --json writes", path.display()))?
        }
        None => measure(Bench { clock: Clock::start(), args }).await?,
    };
    print(&document, shape)
}

async fn measure(bench: Bench) -> Result<Document> {
    let asked = match bench.args.what.as_slice() {
        [] => vec![What::Squares, What::Latency],
        asked => asked.to_vec(),
    };
    let mut reports = Vec::new();
    for what in asked {
        reports.extend(what.measure(&bench).await?);
    }
    Ok(Document {
        version: format!("ganger {}", env!("CARGO_PKG_VERSION")),
        date: super::when(bench.clock.wall()),
        machine: probe::machine(),
        reports,
    })
}

#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
fn print(document: &Document, shape: Shape) -> Result<()> {
    match shape {
        Shape::Json => println!("{}", serde_json::to_string_pretty(document)?),
        Shape::Table => print!("{}", document.table()),
        Shape::Text => print!("{}", document.text()),
    }
    Ok(())
}

/// How the document is printed.
#[derive(Clone, Copy)]
enum Shape {
    Text,
    Table,
    Json,
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}

fn ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1_024.0
}

/// Returns the median; of an even number of values the lower one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_the_lower_one() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 3.0, 1.0, 2.0]), 2.0);
    }
}
