//! One run of `ganger chaos`: a master and workers of its own, a load, and faults while it runs;
//! then everything that was acknowledged is looked for.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ganger_net::client::Caller;
use ganger_proto::{Reply, Request, WallMs};
use rustix::process::Signal;

use super::load::{Acknowledged, Flow, check};
use super::report::{Back, Kills, Report};
use super::{ChaosArgs, Faults};
use crate::cli::chaos::proxy::{Proxy, Weather};
use crate::cli::progress::Progress;
use crate::cli::trial::rig::Rig;
use crate::cli::trial::{TrialStore, percentile, probe};
use crate::clock::Clock;

/// Between two looks at the master.
const LOOK: Duration = Duration::from_millis(20);
/// How long after the last fault everything must have ended, in microseconds.
const END_US: u64 = 180_000_000;
/// How long workers may take to be back after a kill where no packet is lost, in microseconds.
const BACK_US: u64 = 6_000_000;
/// Of so many kills one is the master's, where both are killed.
const MASTER_ONE_IN: u32 = 4;

/// Runs, and says what came of it.
pub(super) async fn run(args: &ChaosArgs, faults: Faults) -> Result<Report> {
    let base = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let keep_all = |home: &std::path::Path| {
        std::fs::write(home.join("ganger.toml"), "keep_log = \"all\"\n")
            .context("cannot write ganger.toml")
    };
    let mut rig = Rig::start(&base, TrialStore::Sqlite, keep_all).await?;
    let result = with(args, faults, &mut rig).await;
    if args.keep {
        let home = rig.leave().await;
        crate::cli::out::note(&format!("the home is left in {}", home.display()));
    } else {
        rig.stop().await;
    }
    result
}

async fn with(args: &ChaosArgs, faults: Faults, rig: &mut Rig) -> Result<Report> {
    let clock = Clock::start();
    let began = clock.micros();
    let master = rig.caller().await?.session().remote();
    let weather = Weather { lost_percent: args.loss, ..if args.loss > 0 { ROUGH } else { CLEAR } };
    let road = Proxy::start(master, weather, args.seed()).context("no proxy can be started")?;
    let via = (args.loss > 0).then(|| road.address().to_string());
    rig.add_workers_via(args.workers, args.slots, via.as_deref()).await?;
    let flow = Flow::start(rig.dial()?, args.rate, args.mark());
    let mut kills = Chaos { rig, clock: &clock, args, faults, kills: Kills::default() };
    let until = began + u64::try_from(args.time.as_micros())?;
    kills.until(until, &flow).await?;
    let kills = kills.kills;
    let counts = road.counts().await.context("the proxy ended")?;
    road.change(CLEAR).await.context("the proxy ended")?;
    let done = flow.finish().await?;
    let caller = rig.caller().await?;
    all_ended(&caller, &clock, &done).await?;
    let mut report = Report {
        version: format!("ganger {}", env!("CARGO_PKG_VERSION")),
        date: crate::cli::when(clock.wall()),
        machine: probe::machine(),
        command: args.line(),
        workers: args.workers,
        packets_passed: counts.passed,
        packets_lost: counts.lost,
        ..Report::default()
    };
    report.seconds = (clock.micros() - began) / 1_000_000;
    // Where packets are lost nobody can say how long a handshake takes.
    report.took(kills, if args.loss == 0 { BACK_US } else { u64::MAX });
    check(&caller, &done, &mut report).await?;
    drop(caller);
    rig.end_workers().await;
    report.orphans = orphans(&args.mark()).await;
    rig.end_master(Signal::TERM).await;
    let mut bar = Progress::new("verifying", Some(0));
    let verified = crate::verify::verify(rig.home(), |at| bar.set(at.done, Some(at.total)));
    bar.finish();
    report.verify = verified.context("the store cannot be verified")?;
    report.conclude();
    Ok(report)
}

const CLEAR: Weather = Weather::CLEAR;
/// What goes with lost packets: some come late, some twice.
const ROUGH: Weather = Weather {
    lost_percent: 0,
    repeated_percent: 2,
    late_percent: 5,
    late_max: Duration::from_millis(30),
    delay: Duration::ZERO,
};

/// The faults as they happen.
struct Chaos<'a> {
    rig: &'a mut Rig,
    clock: &'a Clock,
    args: &'a ChaosArgs,
    faults: Faults,
    kills: Kills,
}

impl Chaos<'_> {
    /// Kills at random moments until the time is over, or enough were killed.
    async fn until(&mut self, until_us: u64, flow: &Flow) -> Result<()> {
        let mut bar = Progress::new("chaos", Some(self.args.time.as_secs()));
        let began = self.clock.micros();
        while self.clock.micros() < until_us {
            bar.set((self.clock.micros() - began) / 1_000_000, None);
            if let Some(why) = flow.failed() {
                bail!("the load ended early: {why}");
            }
            let enough = self.args.kills.is_some_and(|most| self.kills.all() >= most);
            if enough || !(self.faults.workers || self.faults.master) {
                tokio::time::sleep(LOOK * 10).await;
                continue;
            }
            // A kill at a moment that nobody chose, about one in the time asked for.
            let wait = self.args.every.mul_f64(fastrand::f64() * 2.0);
            tokio::time::sleep(wait.min(self.left(until_us))).await;
            if self.clock.micros() >= until_us {
                break;
            }
            self.kill().await?;
        }
        bar.finish();
        Ok(())
    }

    fn left(&self, until_us: u64) -> Duration {
        Duration::from_micros(until_us.saturating_sub(self.clock.micros()))
    }

    async fn kill(&mut self) -> Result<()> {
        let caller = self.rig.caller().await?;
        let before = tally(&caller).await?;
        // One counts only while there is work to lose.
        let counts = before.open > 0 && before.ended > 0;
        drop(caller);
        let both = self.faults.workers && self.faults.master;
        let masters = if both { fastrand::u32(..MASTER_ONE_IN) == 0 } else { self.faults.master };
        let (began, killed) = (self.clock.micros(), self.clock.wall());
        let fresh = if masters { self.args.workers } else { 1 };
        if masters {
            self.rig.end_master(Signal::KILL).await;
            self.rig.start_master().await?;
        } else {
            self.rig.kill_worker(fastrand::usize(..self.args.workers as usize)).await?;
        }
        let us = self.back_after(began, (fresh, killed)).await?;
        let kills = &mut self.kills;
        let backs = if masters { &mut kills.masters } else { &mut kills.workers };
        backs.push(Back { us, counts });
        Ok(())
    }

    /// Waits until all workers are connected, so many of them since a moment; returns how long that
    /// took. One that was killed counts as connected until it is missed. What takes too long is a
    /// finding; what does not come at all ends the run.
    async fn back_after(&self, began: u64, (fresh, since): (u32, WallMs)) -> Result<u64> {
        let caller = self.rig.caller().await?;
        loop {
            let Reply::Status(status) = caller.call(Request::Status).await? else {
                bail!("a request for the status was answered with something else");
            };
            let came = status.workers.iter().filter(|row| row.since >= since).count();
            if status.gang.up >= self.args.workers && came >= fresh as usize {
                return Ok(self.clock.micros() - began);
            }
            if self.clock.micros() - began > END_US {
                bail!("a worker did not come back within {} s", END_US / 1_000_000);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What the master says of all tasks.
struct Tally {
    open: u64,
    ended: u64,
}

async fn tally(caller: &Caller) -> Result<Tally> {
    let Reply::Status(status) = caller.call(Request::Status).await? else {
        bail!("a request for the status was answered with something else");
    };
    let counts = &status.master.counts;
    let open = counts.queued + counts.blocked + counts.delayed + counts.sent + counts.running;
    let ended = counts.done + counts.failed + counts.cancelled;
    Ok(Tally { open, ended })
}

/// Waits until every task has ended.
async fn all_ended(caller: &Caller, clock: &Clock, done: &[Acknowledged]) -> Result<()> {
    let began = clock.micros();
    let mut bar = Progress::new("waiting for", Some(done.iter().map(|one| one.count).sum()));
    loop {
        let tally = tally(caller).await?;
        bar.set(tally.ended, None);
        if tally.open == 0 {
            return Ok(());
        }
        if clock.micros() - began > END_US {
            // The check tells which.
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Counts processes of tasks that are left a second after their workers' end.
async fn orphans(mark: &str) -> u64 {
    tokio::time::sleep(Duration::from_secs(1)).await;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    // Each word of a command line ends with a zero (proc(5)).
    let marked = entries.filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
    });
    marked.count() as u64
}

impl Report {
    /// Takes in how long workers took to be back; longer than this is a finding.
    fn took(&mut self, mut kills: Kills, back_us_max: u64) {
        for (what, backs, line) in [
            ("a worker", &mut kills.workers, &mut self.worker_kills),
            ("the master", &mut kills.masters, &mut self.master_kills),
        ] {
            line.kills = backs.len() as u64;
            line.under_work = backs.iter().filter(|back| back.counts).count() as u64;
            let mut times: Vec<u64> = backs.iter().map(|back| back.us).collect();
            line.back_p50_ms = percentile(&mut times, 50) / 1_000;
            line.back_p99_ms = percentile(&mut times, 99) / 1_000;
            let longest = percentile(&mut times, 100);
            line.back_longest_ms = longest / 1_000;
            if longest > back_us_max {
                self.findings.push(format!(
                    "after a kill of {what} all workers were back only after {} ms",
                    longest / 1_000
                ));
            }
        }
    }
}
