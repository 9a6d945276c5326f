//! `ganger bench`: how fast this machine's ganger is, end to end. Starts its own master and workers
//! on a temp home, submits, waits, restarts the master, and checks every value; or it fails.

mod beside;
mod eye;
mod flood;
mod load;
mod probe;
mod rig;
mod screen;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::disk;
use super::error::CliError;
use super::out::Form;
use super::place::Place;
use crate::clock::Clock;
use beside::Beside;
use load::Load;
use probe::CpuUs;
use rig::Rig;

/// Measure tasks per second, latency and memory of a master and workers of its own.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  ganger bench                                   200,000 squares, listed one by one, durable
  ganger bench --range --tasks 1000000           the same as one range
  ganger bench --kind exec --tasks 20000         a process per task (`true`), beside a bare loop,
                                                 xargs and GNU parallel in the same run
  ganger bench --store memory --json             without a disk, as JSON
  ganger bench --output 1073741824               one task that writes 1 GiB, kept whole
  ganger bench --screen                          key to frame over 10 million tasks

The figure counts from the first submission to the answer that all have ended. Afterwards the master
is restarted and every value is read back and checked; a missing or wrong one fails the run.")]
pub(crate) struct BenchArgs {
    /// What runs: square, exec (`true`), shell (`true`) or sleep (0 s).
    #[arg(long, value_enum, default_value_t = BenchKind::Square)]
    kind: BenchKind,
    /// How many tasks.
    #[arg(
        long,
        default_value_t = 200_000,
        default_value_if("screen", "true", "10000000"),
        value_name = "N"
    )]
    tasks: u64,
    /// How many workers, each a process.
    #[arg(long, default_value_t = 1, value_name = "N")]
    workers: u32,
    /// Tasks that each worker runs at once.
    #[arg(long, default_value_t = 2, value_name = "N")]
    slots: u32,
    /// Where the journal is kept.
    #[arg(long, value_enum, default_value_t = BenchStore::Sqlite)]
    store: BenchStore,
    /// Submit one range instead of listing the tasks.
    #[arg(long, conflicts_with = "listed")]
    range: bool,
    /// List the tasks one by one (the default).
    #[arg(long)]
    listed: bool,
    /// Single tasks sent one after the other to an idle master, for the latency.
    #[arg(long, default_value_t = 200, value_name = "N")]
    singles: u32,
    /// Measure the screen instead: from a key to the frame that shows what it did, with that many
    /// tasks held and 50,000 results a second flowing; draws; memory; the master's throughput.
    #[arg(long, conflicts_with_all = ["kind", "range", "listed", "singles"])]
    screen: bool,
    /// Measure one task instead that writes so many bytes, all kept, and what is beside it.
    #[arg(long, value_name = "BYTES")]
    #[arg(conflicts_with_all = ["kind", "range", "listed", "screen"])]
    output: Option<u64>,
    /// Where the temp home is made; the filesystem matters.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BenchKind {
    /// n * n.
    Square,
    /// `true`.
    Exec,
    /// `true` through a shell.
    Shell,
    /// 0 seconds.
    Sleep,
}

/// Where the journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum BenchStore {
    /// In an SQLite file.
    Sqlite,
    /// In memory.
    Memory,
}

/// Everything that a run found.
#[derive(Debug, Serialize)]
struct Report {
    kind: BenchKind,
    tasks: u64,
    listed: bool,
    workers: u32,
    slots: u32,
    store: BenchStore,
    durable: bool,
    filesystem: String,
    sync_p50_us: u64,
    tasks_per_second: f64,
    submit_seconds: f64,
    seconds: f64,
    commits: u64,
    latency_p50_us: u64,
    latency_p99_us: u64,
    restart_seconds: f64,
    master_peak_kib: u64,
    master_grew_kib: u64,
    worker_peak_kib: Vec<u64>,
    submitter_peak_kib: u64,
    checked: u64,
    /// For processes: what else starts them, and what each part of ganger costs.
    exec: Option<Exec>,
}

/// Processor time of a task by process, in microseconds, and the others.
#[derive(Debug, Serialize)]
struct Exec {
    ganger: beside::Rate,
    master_us: f64,
    worker_us: f64,
    launchers_us: f64,
    children_us: f64,
    ratio_spawn_loop: f64,
    ratio_xargs: Option<f64>,
    ratio_parallel: Option<f64>,
    beside: Beside,
}

/// Runs the benchmark and prints what it found; fails when a process cannot be started, dies, or
/// gives a wrong result.
pub(crate) async fn run(place: &Place, args: BenchArgs) -> super::error::Result<()> {
    let form = if place.out().is_json() { Form::Json } else { Form::Text };
    bench(args, form).await.map_err(|error| CliError::failed(format!("{error:#}")))
}

async fn bench(args: BenchArgs, form: Form) -> Result<()> {
    ensure!(args.tasks > 0, "--tasks must be at least 1");
    ensure!(args.workers > 0, "--workers must be at least 1");
    ensure!(args.slots > 0, "--slots must be at least 1");
    let clock = Clock::start();
    let base = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let mut rig = Rig::start(&base, args.store).await?;
    if args.screen {
        let result = screen::measure(&args, &clock, &mut rig).await;
        rig.stop().await;
        let report = result?;
        return print(&report, &screen::rows(&report), form);
    }
    if let Some(bytes) = args.output {
        let result = flood::measure(&args, bytes, &clock, &mut rig).await;
        rig.stop().await;
        let report = result?;
        return print(&report, &flood::rows(&report), form);
    }
    let result = measure(&args, &clock, &mut rig).await;
    rig.stop().await;
    let report = result?;
    let mut lines = rows(&report);
    lines.extend(report.exec.iter().flat_map(exec_rows));
    print(&report, &lines, form)
}

async fn measure(args: &BenchArgs, clock: &Clock, rig: &mut Rig) -> Result<Report> {
    let filesystem = disk::filesystem(rig.home())?;
    let sync_p50_us = disk::sync_p50_us(rig.home(), clock)?;
    rig.add_workers(args.workers, args.slots).await?;
    let caller = rig.caller().await?;
    let load = Load { kind: args.kind, tasks: args.tasks, listed: !args.range };
    let before_kib = probe::peak_kib(rig.master_pid());
    let commits_before = load::commits(&caller).await?;
    let before = Costs::of(rig);
    let other_tasks = if args.kind == BenchKind::Exec { args.tasks.div_ceil(2) } else { 0 };
    let others = beside(clock, other_tasks, args).await?;
    let run = load.run(&caller, clock).await?;
    let costs = Costs::of(rig);
    let exec = match (others, beside(clock, other_tasks, args).await?) {
        (Some(one), Some(two)) => Some(costs.since(&before, &run, args.tasks, one.and(two))),
        (_, _) => None,
    };
    let master_peak_kib = probe::peak_kib(rig.master_pid());
    let commits = load::commits(&caller).await?.saturating_sub(commits_before);
    let mut singles = load.singles(&caller, clock, args.singles).await?;
    singles.sort_unstable();
    let worker_peak_kib = rig.worker_pids().map(probe::peak_kib).collect();
    drop(caller);
    let durable = args.store == BenchStore::Sqlite && filesystem != "tmpfs";
    let restarted = clock.micros();
    if args.store == BenchStore::Sqlite {
        rig.restart().await.context("the master did not come back")?;
    }
    let caller = rig.caller().await?;
    let restart_seconds = seconds(clock.micros() - restarted);
    let checked = load.check(&caller, run.batch).await?;
    Ok(Report {
        kind: args.kind,
        tasks: args.tasks,
        listed: !args.range,
        workers: args.workers,
        slots: args.slots,
        store: args.store,
        durable,
        filesystem,
        sync_p50_us,
        tasks_per_second: args.tasks as f64 / seconds(run.total_us),
        submit_seconds: seconds(run.submit_us),
        seconds: seconds(run.total_us),
        commits,
        latency_p50_us: percentile(&singles, 50),
        latency_p99_us: percentile(&singles, 99),
        restart_seconds,
        master_peak_kib,
        master_grew_kib: master_peak_kib.saturating_sub(before_kib),
        worker_peak_kib,
        submitter_peak_kib: probe::peak_kib(std::process::id()),
        checked,
        exec,
    })
}

/// Measures the others, before and after ganger: such machines are not equally quiet all the time.
async fn beside(clock: &Clock, tasks: u64, args: &BenchArgs) -> Result<Option<Beside>> {
    if tasks == 0 {
        return Ok(None);
    }
    Beside::measure(clock, tasks, args.slots * args.workers).await.map(Some)
}

/// The processor time of ganger's processes so far.
struct Costs {
    master: CpuUs,
    worker: CpuUs,
    launchers: CpuUs,
}

impl Costs {
    fn of(rig: &Rig) -> Self {
        let sum = |pids: &[u32]| {
            pids.iter().map(|pid| probe::cpu_us(*pid)).fold(CpuUs::default(), CpuUs::and)
        };
        let workers: Vec<u32> = rig.worker_pids().collect();
        let launchers: Vec<u32> = workers.iter().flat_map(|pid| probe::children(*pid)).collect();
        let master = probe::cpu_us(rig.master_pid());
        Self { master, worker: sum(&workers), launchers: sum(&launchers) }
    }

    fn since(self, before: &Self, run: &load::Run, tasks: u64, others: Beside) -> Exec {
        let [master, worker] = [self.master.since(before.master), self.worker.since(before.worker)];
        let launchers = self.launchers.since(before.launchers);
        let each = |us: u64| us as f64 / tasks as f64;
        let own = CpuUs { own: master.own + worker.own, children: launchers.all() };
        let ganger = beside::Rate::new(tasks, run.total_us, own);
        let ratio = |other: &beside::Rate| ganger.tasks_per_second / other.tasks_per_second;
        Exec {
            ganger,
            master_us: each(master.own),
            worker_us: each(worker.own),
            launchers_us: each(launchers.own),
            children_us: each(launchers.children),
            ratio_spawn_loop: ratio(&others.spawn_loop),
            ratio_xargs: others.xargs.as_ref().map(ratio),
            ratio_parallel: others.parallel.as_ref().map(ratio),
            beside: others,
        }
    }
}

fn exec_rows(exec: &Exec) -> Vec<(&'static str, String)> {
    let row = |rate: &beside::Rate, ratio: f64| {
        let (each, cpu) = (rate.tasks_per_second, rate.cpu_us_per_task);
        format!(
            "{each:.0}/s with {} tasks: ganger is {ratio:.2} of it; {cpu:.0} µs of CPU",
            rate.tasks
        )
    };
    let mut rows = vec![
        (
            "CPU of a task",
            format!(
                "{:.0} µs: master {:.0}, worker {:.0}, launchers {:.0}, the process itself {:.0}",
                exec.ganger.cpu_us_per_task,
                exec.master_us,
                exec.worker_us,
                exec.launchers_us,
                exec.children_us
            ),
        ),
        ("bare spawn loop", row(&exec.beside.spawn_loop, exec.ratio_spawn_loop)),
    ];
    let others = [
        ("xargs", &exec.beside.xargs, exec.ratio_xargs),
        ("GNU parallel", &exec.beside.parallel, exec.ratio_parallel),
    ];
    for (name, rate, ratio) in others {
        match (rate, ratio) {
            (Some(rate), Some(ratio)) => rows.push((name, row(rate, ratio))),
            (_, _) => rows.push((name, "not installed".to_owned())),
        }
    }
    rows
}

#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
fn print(report: &impl Serialize, rows: &[(&str, String)], form: Form) -> Result<()> {
    if form == Form::Json {
        println!("{}", serde_json::to_string_pretty(report)?);
        return Ok(());
    }
    for (name, value) in rows {
        println!("{name:<22} {value}");
    }
    Ok(())
}

fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let listed = if report.listed { "listed one by one" } else { "one range" };
    let durable = if report.durable { "durable" } else { "not durable" };
    let peaks = report.worker_peak_kib.iter().map(|kib| mib(*kib)).collect::<Vec<_>>().join(", ");
    vec![
        ("tasks", format!("{} × {:?}, {listed}", report.tasks, report.kind).to_lowercase()),
        ("tasks per second", format!("{:.0}", report.tasks_per_second)),
        ("submit, all", format!("{:.3} s, {:.3} s", report.submit_seconds, report.seconds)),
        (
            "latency of one, idle",
            format!(
                "p50 {:.2} ms, p99 {:.2} ms",
                report.latency_p50_us as f64 / 1_000.0,
                report.latency_p99_us as f64 / 1_000.0
            ),
        ),
        ("workers", format!("{} with {} slots", report.workers, report.slots)),
        ("store", format!("{:?} on {}: {durable}", report.store, report.filesystem)),
        ("sync p50, commits", format!("{} µs, {}", report.sync_p50_us, report.commits)),
        ("restart", format!("{:.2} s", report.restart_seconds)),
        (
            "peak memory",
            format!(
                "master {} ({:.0} bytes a task), workers {peaks}, submitter {}",
                mib(report.master_peak_kib),
                report.master_grew_kib as f64 * 1_024.0 / report.tasks as f64,
                mib(report.submitter_peak_kib)
            ),
        ),
        ("checked", format!("{} values, all right", report.checked)),
    ]
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1_000_000.0
}

fn mib(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1_024.0)
}

/// Returns the value below which `percent` of the sorted values lie (nearest rank).
fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<u64> = (1..=200).collect();
        assert_eq!(percentile(&values, 50), 100);
        assert_eq!(percentile(&values, 99), 198);
        assert_eq!(percentile(&[7], 99), 7);
        assert_eq!(percentile(&[], 50), 0);
    }
}
