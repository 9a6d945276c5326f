//! Row `squares`: tasks a second from the first submission to the answer that all have ended. Reads
//! every value back from a restarted master.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

use super::figure::{Figure, Report, Wanted};
use super::load::{self, Load};
use super::rig::Rig;
use super::{Bench, TrialStore, What, median, mib, probe, seconds};

/// Tasks when nobody says how many.
const TASKS: u64 = 1_000_000;
/// Tasks of the tutorial.
const TUTORIAL_TASKS: u64 = 10_000;
/// Its two scripts: a queue of tasks and one of results, published under a shared password.
const TUTORIAL: [(&str, &str); 2] = [
    ("master.py", include_str!("../../../assets/bench/tutorial/master.py")),
    ("worker.py", include_str!("../../../assets/bench/tutorial/worker.py")),
];

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let (tasks, workers, slots) = (bench.tasks(TASKS), bench.workers(1), bench.args.slots);
    let conditions = vec![format!("{tasks} tasks"), format!("{workers} workers × {slots} slots")];
    let mut report = bench.report(What::Squares, rig, conditions)?;
    let mut tutorial = Vec::from_iter(tutorial(bench, rig, workers).await?);
    rig.add_workers(workers, slots).await?;
    let caller = rig.caller().await?;
    let mut checks = Vec::new();
    for (load, what, wanted) in [
        (Load::squares(tasks), "squares, listed one by one", Wanted::more(200_000.0, 600_000.0)),
        (Load::range(tasks), "squares, as one range", Wanted::more(300_000.0, 1_000_000.0)),
    ] {
        let commits = load::commits(&caller).await?;
        let (mut rates, mut cpu) = (Vec::new(), 0);
        for _ in 0..bench.args.runs {
            let before = probe::cpu_us(rig.master_pid());
            let run = load.run(&caller, &bench.clock).await?;
            cpu += probe::cpu_us(rig.master_pid()).since(before).own;
            rates.push(tasks as f64 / seconds(run.total_us));
            checks.push((load, run.batch));
        }
        let all = tasks as f64 * f64::from(bench.args.runs);
        let commits = load::commits(&caller).await?.saturating_sub(commits);
        report.conditions.push(format!(
            "{what}: {commits} commits, {:.2} µs of the master's processor a task",
            cpu as f64 / all
        ));
        report.figures.push(Figure::new(what, median(&mut rates), "tasks/s").wanted(wanted));
    }
    report.figures.push(Figure::new(
        "peak memory of the master under squares",
        mib(probe::peak_kib(rig.master_pid())),
        "MiB",
    ));
    drop(caller);
    tutorial.extend(self::tutorial(bench, rig, workers).await?);
    if !tutorial.is_empty() {
        let each = median(&mut tutorial);
        let figures = report.figures.drain(..).enumerate().map(|(at, figure)| {
            if at < 2 { figure.beside("the Python tutorial", each) } else { figure }
        });
        report.figures = figures.collect();
    }
    if bench.args.store == TrialStore::Sqlite {
        rig.end_master(Signal::TERM).await;
        rig.start_master().await.context("the master did not come back")?;
    }
    let caller = rig.caller().await?;
    let mut checked = 0;
    for (load, batch) in checks {
        checked += load.check(&caller, batch).await?;
    }
    report
        .conditions
        .push(format!("{checked} values read back from a restarted master, all right"));
    Ok(report)
}

/// Runs the tutorial with as many workers; returns its tasks a second, or nothing without Python.
async fn tutorial(bench: &Bench, rig: &Rig, workers: u32) -> Result<Option<f64>> {
    let folder = rig.home().join("tutorial");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in TUTORIAL {
        std::fs::write(folder.join(name), text)?;
    }
    let python = |script: &str| {
        let mut command = Command::new("python3");
        command.arg(folder.join(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.kill_on_drop(true);
        command
    };
    let mut master = python("master.py");
    let mut master = match master.arg(TUTORIAL_TASKS.to_string()).arg(workers.to_string()).spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        spawned => spawned.context("the tutorial does not start")?,
    };
    let mut said = BufReader::new(master.stdout.take().context("its output is a pipe")?).lines();
    let port = said.next_line().await?.context("the tutorial did not say its port")?;
    let mut others: Vec<Child> = Vec::new();
    for _ in 0..workers {
        let mut worker = python("worker.py").arg(&port).spawn()?;
        let mut ready =
            BufReader::new(worker.stdout.take().context("its output is a pipe")?).lines();
        ensure!(ready.next_line().await?.is_some(), "a worker of the tutorial did not connect");
        others.push(worker);
    }
    let began = bench.clock.micros();
    let mut go = master.stdin.take().context("its input is a pipe")?;
    go.write_all(b"go\n").await?;
    let done = said.next_line().await?.context("the tutorial ended early")?;
    let took_us = bench.clock.micros() - began;
    ensure!(done == "done", "the tutorial said {done}");
    for mut process in others.into_iter().chain([master]) {
        process.wait().await?;
    }
    Ok(Some(TUTORIAL_TASKS as f64 / seconds(took_us)))
}
