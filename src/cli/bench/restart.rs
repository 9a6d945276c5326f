//! Row `restart`: from the start of a process to its first answer, with millions of tasks in the
//! store and half of them done; after a peaceful end and after a kill.

use anyhow::Result;
use ganger_proto::{Name, Request};
use rustix::process::Signal;

use super::figure::{Figure, Report, Wanted, number};
use super::load::Load;
use super::rig::Rig;
use super::{Bench, What, mib, probe, seconds};

/// Tasks when nobody says how many.
const TASKS: u64 = 10_000_000;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let tasks = bench.tasks(TASKS);
    let conditions = vec![format!("{tasks} listed squares, half of them done")];
    let mut report = bench.report(What::Restart, rig, conditions)?;
    rig.add_workers(1, bench.args.slots).await?;
    let caller = rig.caller().await?;
    let half = Load::squares(tasks.div_ceil(2));
    let done = half.run(&caller, &bench.clock).await?;
    let queue = Name::from_lossy("default");
    caller.call(Request::Pause { queue: queue.clone() }).await?;
    Load::squares(tasks / 2).submit(&caller, &queue).await?;
    drop(caller);
    rig.end_workers().await;
    let peak = mib(probe::peak_kib(rig.master_pid()));
    let wanted = Wanted::less(5.0, 2.0);
    let mut figures = Vec::new();
    for (signal, what) in [(Signal::KILL, "kill -9"), (Signal::TERM, "a peaceful end")] {
        let what = format!("serving again after {what}, {} tasks", number(tasks as f64));
        rig.end_master(signal).await;
        let began = bench.clock.micros();
        rig.start_master().await?;
        let took = seconds(bench.clock.micros() - began);
        figures.push(Figure::new(what, took, "s").wanted(wanted));
    }
    figures.push(Figure::new("peak memory of the master before it", peak, "MiB"));
    let after = mib(probe::peak_kib(rig.master_pid()));
    figures.push(Figure::new("peak memory of the restarted master", after, "MiB"));
    let store = probe::disk_bytes(rig.home()) as f64 / f64::from(1 << 20);
    figures.push(Figure::new("store on the disk", store, "MiB"));
    let caller = rig.caller().await?;
    let checked = half.check(&caller, done.batch).await?;
    report.conditions.push(format!("{checked} values read back afterwards, all right"));
    report.figures = figures;
    Ok(report)
}
