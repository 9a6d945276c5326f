//! Row `handler`: a warm Python handler that answers with its argument, beside the same program fed
//! through bare pipes.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use super::figure::{Figure, Report, Wanted};
use super::load::{HANDLER, Load, LoadKind};
use super::rig::Rig;
use super::{Bench, What, median, seconds};

/// Tasks when nobody says how many.
const TASKS: u64 = 100_000;
/// The handler and the loop that it imports.
const FILES: [(&str, &str); 2] = [
    ("echo.py", include_str!("../../../assets/bench/warm/echo.py")),
    ("ganger_handler.py", include_str!("../../../assets/handlers/ganger_handler.py")),
];

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let (tasks, slots) = (bench.tasks(TASKS), bench.args.slots);
    let conditions = vec![format!("{tasks} tasks, JSON lines"), format!("{slots} slots")];
    let mut report = bench.report(What::Handler, rig, conditions)?;
    let folder = rig.home().join("handler");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text)?;
    }
    let Some(python) = python().await? else {
        report.conditions.push("nothing was measured: python3 is not installed".to_owned());
        return Ok(report);
    };
    let toml = format!(
        "[handlers.{HANDLER}]\ncommand = [{:?}, {:?}]\nenv = {{ HANDLERS = {:?} }}\n",
        python,
        folder.join("echo.py"),
        folder
    );
    rig.add_workers_as(1, slots, &toml).await?;
    let caller = rig.caller().await?;
    let load = Load { kind: LoadKind::Handler, ..Load::squares(tasks) };
    // The handlers start with the first tasks.
    Load { tasks: u64::from(slots) * 4, ..load }.run(&caller, &bench.clock).await?;
    let (mut rates, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..bench.args.runs {
        bare.push(piped(bench, &python, &folder, tasks).await?);
        let run = load.run(&caller, &bench.clock).await?;
        rates.push(tasks as f64 / seconds(run.total_us));
        load.check(&caller, run.batch).await?;
    }
    let figure = Figure::new("a warm Python handler", median(&mut rates), "tasks/s")
        .wanted(Wanted::more(20_000.0, 50_000.0))
        .beside("the same program fed through bare pipes", median(&mut bare));
    report.figures = vec![figure];
    Ok(report)
}

/// Returns the interpreter itself: a shim that looks for it costs more than it does.
async fn python() -> Result<Option<PathBuf>> {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    match asked.await {
        Ok(output) if output.status.success() => {
            Ok(Some(PathBuf::from(String::from_utf8(output.stdout)?.trim())))
        }
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("python3 does not start"),
    }
}

/// Feeds the handler all tasks at once, a process a slot; returns the answers a second.
async fn piped(bench: &Bench, python: &Path, folder: &Path, tasks: u64) -> Result<f64> {
    let slots = u64::from(bench.args.slots);
    let mut running = JoinSet::new();
    let mut all = Vec::new();
    for slot in 0..slots {
        let mut command = Command::new(python);
        command.arg(folder.join("echo.py")).env("HANDLERS", folder).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take().context("its input is a pipe")?;
        let mut stdout =
            BufReader::new(child.stdout.take().context("its output is a pipe")?).lines();
        // The first answer comes when the interpreter has started.
        let mut feed = Feed { stdin, share: tasks / slots + u64::from(slot < tasks % slots) };
        feed.stdin.write_all(line(0).as_bytes()).await?;
        ensure!(stdout.next_line().await?.is_some(), "the handler answered nothing");
        all.push((child, feed, stdout));
    }
    let began = bench.clock.micros();
    for (mut child, feed, mut stdout) in all {
        running.spawn(async move {
            let share = feed.share;
            let fed = tokio::spawn(feed.run());
            for _ in 0..share {
                ensure!(stdout.next_line().await?.is_some(), "the handler ended early");
            }
            fed.await??;
            child.wait().await?;
            Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(tasks as f64 / seconds(bench.clock.micros() - began))
}

struct Feed {
    stdin: tokio::process::ChildStdin,
    share: u64,
}

impl Feed {
    async fn run(mut self) -> Result<()> {
        let lines: String = (1..=self.share).map(line).collect();
        self.stdin.write_all(lines.as_bytes()).await?;
        Ok(())
    }
}

/// Returns a task as a worker writes it to a handler.
fn line(n: u64) -> String {
    format!(
        "{{\"task\":{n},\"attempt\":1,\"batch\":\"b1\",\"index\":{n},\"args\":\"{n}\",\"env\":{{}}}}\n"
    )
}
