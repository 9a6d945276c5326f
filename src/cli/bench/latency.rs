//! Row `latency`: single tasks sent one after the other to an idle master, from the submission to
//! the answer that it has ended. The client has one thread, as one that waits for one thing has.

use anyhow::Result;

use super::figure::{Figure, Report, Wanted};
use super::load::Load;
use super::rig::Rig;
use super::{Bench, What, disk, ms, percentile};

/// Tasks when nobody says how many.
const TASKS: u64 = 2_000;
/// Tasks before them that are not counted.
const WARM_UP: u64 = 50;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench
        .rig(async |rig| {
            let tasks = bench.tasks(TASKS);
            let conditions = vec![format!("{tasks} squares, one after the other")];
            let mut report = bench.report(What::Latency, rig, conditions)?;
            rig.add_workers(1, bench.args.slots).await?;
            let mut times = singles(bench, rig, tasks).await?;
            let sync = ms(disk::sync_p50_us(rig.home(), &bench.clock)?);
            let figure = |what: &str, us: u64, wanted| {
                Figure::new(what, ms(us), "ms").wanted(wanted).beside("a sync of 100 bytes", sync)
            };
            report.figures = vec![
                figure("one idle task, p50", percentile(&mut times, 50), Wanted::less(1.0, 0.6)),
                figure("one idle task, p99", percentile(&mut times, 99), Wanted::ceiling(3.0)),
            ];
            Ok(report)
        })
        .await
}

/// Sends singles from a thread and a runtime of their own; returns how long each took.
async fn singles(bench: &Bench, rig: &Rig, count: u64) -> Result<Vec<u64>> {
    let dial = rig.dial()?;
    let clock = bench.clock.clone();
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let caller = dial.caller().await?;
            let single = Load::squares(1);
            single.singles(&caller, &clock, WARM_UP).await?;
            single.singles(&caller, &clock, count).await
        })
    };
    tokio::task::spawn_blocking(work).await?
}
