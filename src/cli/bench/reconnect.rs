//! Row `reconnect`: a master is killed and started again under a worker that runs tasks; how long
//! until that worker ends tasks of the new life.

use std::time::Duration;

use anyhow::{Result, bail};
use ganger_proto::{BatchId, Name, Reply, Request};
use rustix::process::Signal;

use super::figure::{Figure, Report, Wanted};
use super::load::Load;
use super::rig::{self, Rig};
use super::{Bench, What, ms, percentile};

/// Kills a run.
const KILLS_A_RUN: u32 = 5;
/// How long a worker is waited for.
const LOOKS_MAX: u32 = 6_000;
const LOOK: Duration = Duration::from_millis(5);

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let kills = bench.args.runs * KILLS_A_RUN;
    let conditions = vec![format!("{kills} kills at random moments, the master started at once")];
    let mut report = bench.report(What::Reconnect, rig, conditions)?;
    rig.add_workers(1, bench.args.slots).await?;
    let mut times = Vec::new();
    for _ in 0..kills {
        rig::connected(&rig.caller().await?, 1).await?;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(200..3_000))).await;
        rig.end_master(Signal::KILL).await;
        let began = bench.clock.micros();
        rig.start_master().await?;
        first_end(rig).await?;
        times.push(bench.clock.micros() - began);
    }
    let figure = |what: &str, us: u64| {
        Figure::new(what, ms(us) / 1_000.0, "s").wanted(Wanted::less(6.0, 2.0))
    };
    report.figures = vec![
        figure("worker back after kill -9 of the master, p50", percentile(&mut times, 50)),
        figure("worker back after kill -9 of the master, longest", percentile(&mut times, 100)),
    ];
    Ok(report)
}

/// Waits until a worker has ended a task of this life.
async fn first_end(rig: &Rig) -> Result<()> {
    let caller = rig.caller().await?;
    let batch = Load::squares(1).submit(&caller, &Name::from_lossy("default")).await?;
    for _ in 0..LOOKS_MAX {
        let before = Some(BatchId::new(batch.raw() + 1));
        let Reply::Batches(rows) = caller.call(Request::Batches { before, rows: 1 }).await? else {
            bail!("a question for batches was answered with something else");
        };
        if rows.first().is_some_and(|row| row.batch == batch && row.counts.done == 1) {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("the worker did not come back");
}
