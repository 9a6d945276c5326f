//! Row `memory`: what listed tasks of 40 bytes cost the master, at one and at ten million, in its
//! peak resident size; and what a range costs, which is nothing.

use anyhow::Result;
use ganger_proto::command::SubmitHead;
use ganger_proto::{BatchOptions, Kind, Name, Request, Spec};

use super::figure::{Figure, Report, Wanted};
use super::load::Load;
use super::rig::Rig;
use super::{Bench, What, mib, ms, probe};

/// Listed tasks when nobody says how many: the first and the last figure.
const TASKS: [u64; 2] = [1_000_000, 10_000_000];
/// Tasks of the range.
const RANGE_TASKS: u64 = 1_000_000;
/// Digits of an argument.
const WIDTH: usize = 40;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    let sizes = bench.args.tasks.map_or(TASKS.to_vec(), |tasks| vec![tasks]);
    let mut report = bench.rig(async |rig| range(bench, rig).await).await?;
    for tasks in sizes {
        let figures = bench.rig(async |rig| listed(bench, rig, tasks).await).await?;
        report.figures.extend(figures);
    }
    Ok(report)
}

/// Submits one range; nothing runs.
async fn range(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let conditions = vec![format!("arguments of {WIDTH} bytes"), "no worker".to_owned()];
    let mut report = bench.report(What::Memory, rig, conditions)?;
    let caller = rig.caller().await?;
    let queue = Name::from_lossy("default");
    // What is made once is made by the first.
    Load::range(1).submit(&caller, &queue).await?;
    let mut best = (u64::MAX, u64::MAX);
    for _ in 0..bench.args.runs {
        let before = probe::resident_kib(rig.master_pid());
        let began = bench.clock.micros();
        Load::range(RANGE_TASKS).submit(&caller, &queue).await?;
        let took = bench.clock.micros() - began;
        let grew = probe::resident_kib(rig.master_pid()).saturating_sub(before);
        best = (best.0.min(took), best.1.min(grew));
    }
    report.figures = vec![
        Figure::new("submit of a range of a million", ms(best.0), "ms")
            .wanted(Wanted::ceiling(50.0)),
        Figure::new("memory of such a range", mib(best.1), "MiB").wanted(Wanted::ceiling(1.0)),
    ];
    Ok(report)
}

/// Submits listed tasks to a fresh master; nothing runs.
async fn listed(bench: &Bench, rig: &mut Rig, tasks: u64) -> Result<Vec<Figure>> {
    let caller = rig.caller().await?;
    let head = SubmitHead { spec: Spec::of(Kind::Square), options: BatchOptions::default() };
    let load = Load { width: WIDTH, ..Load::squares(tasks) };
    let began = bench.clock.micros();
    load.submit_as(&caller, &head).await?;
    let took = super::seconds(bench.clock.micros() - began);
    // The answer to a question comes when all before it was done.
    caller.call(Request::Status).await?;
    let each = probe::peak_kib(rig.master_pid()) as f64 * 1_024.0 / tasks as f64;
    let what = super::figure::number(tasks as f64);
    Ok(vec![
        Figure::new(format!("memory of a listed task, {what} queued"), each, "B")
            .wanted(Wanted::less(200.0, 100.0)),
        Figure::new(format!("submit of {what} listed tasks"), tasks as f64 / took, "tasks/s"),
    ])
}
