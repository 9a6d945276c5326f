//! What else starts processes, in the same run: a bare loop of this program's own, xargs, GNU
//! parallel. Measures them; does not know how ganger did.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::task::JoinSet;

use super::probe::{self, CpuUs};
use super::seconds;
use crate::clock::Clock;

/// Processes that GNU parallel starts at most; it is slower, and its rate shows with fewer.
const PARALLEL_MAX: u64 = 2_000;

/// A rate, and what a task cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rate {
    pub(super) tasks: u64,
    pub(super) seconds: f64,
    pub(super) tasks_per_second: f64,
    /// Processor time of each task with all that started it, in microseconds.
    pub(super) cpu_us_per_task: f64,
}

/// How the others did.
#[derive(Debug, Default)]
pub(super) struct Beside {
    /// Processes started by tokio, so many at once, their output captured.
    pub(super) spawn_loop: Rate,
    /// `xargs -P -n1`; none when it is not installed.
    pub(super) xargs: Option<Rate>,
    /// `parallel -j`; none when it is not installed.
    pub(super) parallel: Option<Rate>,
}

impl Rate {
    pub(super) fn new(tasks: u64, us: u64, cpu: CpuUs) -> Self {
        let mut rate = Self { tasks, seconds: seconds(us), ..Self::default() };
        rate.cpu_us_per_task = cpu.all() as f64 / tasks.max(1) as f64;
        rate.tasks_per_second = tasks as f64 / rate.seconds;
        rate
    }

    /// Adds another run of the same.
    fn and(self, other: Self) -> Self {
        let tasks = self.tasks + other.tasks;
        let cpu_us =
            self.cpu_us_per_task * self.tasks as f64 + other.cpu_us_per_task * other.tasks as f64;
        let seconds = self.seconds + other.seconds;
        let tasks_per_second = tasks as f64 / seconds;
        let cpu_us_per_task = cpu_us / tasks.max(1) as f64;
        Self { tasks, seconds, tasks_per_second, cpu_us_per_task }
    }
}

impl Beside {
    /// Measures all of them with `tasks` processes.
    pub(super) async fn measure(clock: &Clock, tasks: u64, slots: u32) -> Result<Self> {
        let spawn_loop = timed(clock, tasks, spawn_loop(tasks, slots)).await?;
        let jobs = slots.to_string();
        let xargs = piped(clock, tasks, &["xargs", "-P", &jobs, "-n1", "true"]).await?;
        let fewer = tasks.min(PARALLEL_MAX);
        let parallel = piped(clock, fewer, &["parallel", "-j", &jobs, "true"]).await?;
        Ok(Self { spawn_loop, xargs, parallel })
    }

    /// Adds what was measured at another moment of the same run.
    pub(super) fn and(self, other: Self) -> Self {
        let both = |one: Option<Rate>, two: Option<Rate>| Some(one?.and(two?));
        Self {
            spawn_loop: self.spawn_loop.and(other.spawn_loop),
            xargs: both(self.xargs, other.xargs),
            parallel: both(self.parallel, other.parallel),
        }
    }
}

async fn timed(
    clock: &Clock,
    tasks: u64,
    work: impl Future<Output = Result<()>> + Send,
) -> Result<Rate> {
    let (began, before) = (clock.micros(), probe::cpu_us(std::process::id()));
    work.await?;
    let cpu = probe::cpu_us(std::process::id()).since(before);
    Ok(Rate::new(tasks, clock.micros() - began, cpu))
}

/// Starts `true` so many times, some at once, and reads what it writes.
async fn spawn_loop(tasks: u64, slots: u32) -> Result<()> {
    let mut running = JoinSet::new();
    let slots = u64::from(slots);
    for slot in 0..slots {
        let share = tasks / slots + u64::from(slot < tasks % slots);
        running.spawn(async move {
            for n in 0..share {
                // With an argument, as the others: it makes `true` look at its locale.
                let mut command = Command::new("true");
                let output = command.arg(n.to_string()).stdin(Stdio::null()).output().await?;
                ensure!(output.status.success(), "`true` failed");
            }
            Ok(())
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    Ok(())
}

/// Runs a command that reads a line for each process; none when it is not installed.
async fn piped(clock: &Clock, tasks: u64, words: &[&str]) -> Result<Option<Rate>> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut missing = false;
    let rate = timed(clock, tasks, async {
        let mut child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                missing = true;
                return Ok(());
            }
            spawned => spawned.with_context(|| format!("{} does not start", words[0]))?,
        };
        let mut stdin = child.stdin.take().context("its input is a pipe")?;
        let lines: String = (1..=tasks).map(|n| format!("{n}\n")).collect();
        stdin.write_all(lines.as_bytes()).await?;
        drop(stdin);
        let status = child.wait().await?;
        ensure!(status.success(), "{} ended with {status}", words[0]);
        Ok(())
    })
    .await?;
    Ok((!missing).then_some(rate))
}
