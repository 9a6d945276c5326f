//! Row `latency`: single tasks sent one after the other to an idle master, from the submission to
//! the answer that it has ended.

use anyhow::Result;

use super::figure::{Figure, Report, Wanted};
use super::load::Load;
use super::{Bench, What, disk, ms, percentile};

/// Tasks when nobody says how many.
const TASKS: u64 = 2_000;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench
        .rig(async |rig| {
            let tasks = bench.tasks(TASKS);
            let conditions = vec![format!("{tasks} squares, one after the other")];
            let mut report = bench.report(What::Latency, rig, conditions)?;
            rig.add_workers(1, bench.args.slots).await?;
            let caller = rig.caller().await?;
            let single = Load::squares(1);
            single.singles(&caller, &bench.clock, 50).await?;
            let mut times = single.singles(&caller, &bench.clock, tasks).await?;
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
