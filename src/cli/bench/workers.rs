//! Row `workers`: thousands of workers over connections of their own, their heartbeats running:
//! what they cost the master when idle, how fast they work, and how soon all are back after a kill.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::figure::{Figure, Report, Wanted, number};
use super::load::Load;
use super::rig::{self, Rig};
use super::{Bench, What, crowd, median, mib, probe, seconds};

/// Workers when nobody says how many.
const WORKERS: u32 = 10_000;
/// Tasks that they run.
const TASKS: u64 = 1_000_000;
/// How long they settle, and how long they are looked at.
const SETTLE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_secs(30);

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    let count = bench.workers(WORKERS);
    bench
        .rig_with(
            |home| crowd::issue(home, &home.join("crowd"), count),
            async |rig| with(bench, rig, count).await,
        )
        .await
}

async fn with(bench: &Bench, rig: &mut Rig, count: u32) -> Result<Report> {
    let conditions = vec![
        format!(
            "{count} workers × 2 slots in a few processes, each with its certificate, fifty on a socket"
        ),
        format!("{} squares for them", bench.tasks(TASKS)),
    ];
    let mut report = bench.report(What::Workers, rig, conditions)?;
    let began = bench.clock.micros();
    let folder = rig.home().join("crowd");
    rig.add_crowd(&folder, count).await?;
    let joined = seconds(bench.clock.micros() - began);
    tokio::time::sleep(SETTLE).await;
    let cpu = probe::cpu_us(rig.master_pid());
    tokio::time::sleep(LOOK).await;
    let idle = probe::cpu_us(rig.master_pid()).since(cpu).own as f64 / LOOK.as_micros() as f64;
    let memory = mib(probe::peak_kib(rig.master_pid()));
    let caller = rig.caller().await?;
    let load = Load::squares(bench.tasks(TASKS));
    let mut rates = Vec::new();
    let cpu = probe::cpu_us(rig.master_pid());
    for _ in 0..bench.args.runs {
        let run = load.run(&caller, &bench.clock).await?;
        rates.push(load.tasks as f64 / seconds(run.total_us));
    }
    let cpu = probe::cpu_us(rig.master_pid()).since(cpu).own as f64;
    let busy = mib(probe::peak_kib(rig.master_pid()));
    drop(caller);
    rig.end_master(Signal::KILL).await;
    let began = bench.clock.micros();
    rig.start_master().await?;
    rig::connected(&rig.caller().await?, count as usize).await?;
    let back = seconds(bench.clock.micros() - began);
    let what = |text: &str| format!("{} workers: {text}", number(f64::from(count)));
    report.figures = vec![
        Figure::new(what("connected, from nothing"), joined, "s"),
        Figure::new(what("the master's peak memory, idle"), memory, "MiB")
            .wanted(Wanted::less(512.0, 350.0)),
        Figure::new(what("the master's processor time, idle"), idle * 100.0, "% of a core")
            .wanted(Wanted::less(10.0, 5.0)),
        Figure::new(what("squares, listed one by one"), median(&mut rates), "tasks/s"),
        Figure::new(
            what("the master's processor time a task"),
            cpu / (load.tasks * u64::from(bench.args.runs)) as f64,
            "µs",
        ),
        Figure::new(what("the master's peak memory, at work"), busy, "MiB"),
        Figure::new(what("all back after kill -9 of the master"), back, "s"),
    ];
    Ok(report)
}
