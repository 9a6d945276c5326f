//! Row `exec`: a process per task, `true` with a number as its argument, beside what else starts
//! processes; the others half before ganger and half after it.

use anyhow::Result;

use super::beside::{Beside, Rate};
use super::figure::{Figure, Report, Wanted};
use super::load::{Load, LoadKind};
use super::probe::{self, CpuUs};
use super::rig::Rig;
use super::{Bench, What};

/// Tasks when nobody says how many.
const TASKS: u64 = 20_000;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let (tasks, workers, slots) = (bench.tasks(TASKS), bench.workers(1), bench.args.slots);
    let conditions = vec![format!("{tasks} tasks"), format!("{workers} workers × {slots} slots")];
    let mut report = bench.report(What::Exec, rig, conditions)?;
    rig.add_workers(workers, slots).await?;
    let caller = rig.caller().await?;
    let (half, at_once) = (tasks.div_ceil(2), workers * slots);
    let others = Beside::measure(&bench.clock, half, at_once).await?;
    let load = Load { kind: LoadKind::Exec, ..Load::squares(tasks) };
    // The slots' launchers start with the first tasks.
    Load { tasks: u64::from(at_once) * 4, ..load }.run(&caller, &bench.clock).await?;
    let before = Costs::of(rig);
    let run = load.run(&caller, &bench.clock).await?;
    let costs = Costs::of(rig).since(&before);
    let others = others.and(Beside::measure(&bench.clock, half, at_once).await?);
    load.check(&caller, run.batch).await?;
    let own =
        CpuUs { own: costs.master + costs.worker, children: costs.launchers + costs.children };
    let ganger = Rate::new(tasks, run.total_us, own);
    let mut figure = Figure::new("a process per task", ganger.tasks_per_second, "tasks/s")
        .beside_wanted(
            "a bare tokio loop, output captured",
            others.spawn_loop.tasks_per_second,
            Wanted::more(0.9, 0.97),
        );
    let mut cpu = Figure::new("processor time of such a task", ganger.cpu_us_per_task, "µs")
        .beside("a bare tokio loop", others.spawn_loop.cpu_us_per_task);
    if let Some(xargs) = &others.xargs {
        let what = format!("xargs -P{at_once} -n1");
        figure = figure.beside_wanted(&*what, xargs.tasks_per_second, Wanted::floor(1.0));
        cpu = cpu.beside(what, xargs.cpu_us_per_task);
    }
    if let Some(parallel) = &others.parallel {
        let what = format!("GNU parallel -j{at_once}");
        figure = figure.beside(&*what, parallel.tasks_per_second);
        cpu = cpu.beside(what, parallel.cpu_us_per_task);
    }
    let each = |us: u64| us as f64 / tasks as f64;
    report.conditions.push(format!(
        "processor time a task: master {:.0} µs, worker {:.0}, launchers {:.0}, the process {:.0}",
        each(costs.master),
        each(costs.worker),
        each(costs.launchers),
        each(costs.children)
    ));
    report.figures = vec![figure, cpu];
    Ok(report)
}

/// The processor time of ganger's processes, in microseconds.
struct Costs {
    master: u64,
    worker: u64,
    launchers: u64,
    children: u64,
}

impl Costs {
    fn of(rig: &Rig) -> Self {
        let sum = |pids: &[u32]| {
            pids.iter().map(|pid| probe::cpu_us(*pid)).fold(CpuUs::default(), CpuUs::and)
        };
        let workers: Vec<u32> = rig.worker_pids().collect();
        let launchers: Vec<u32> = workers.iter().flat_map(|pid| probe::children(*pid)).collect();
        let launchers = sum(&launchers);
        Self {
            master: probe::cpu_us(rig.master_pid()).own,
            worker: sum(&workers).own,
            launchers: launchers.own,
            children: launchers.children,
        }
    }

    const fn since(self, before: &Self) -> Self {
        Self {
            master: self.master - before.master,
            worker: self.worker - before.worker,
            launchers: self.launchers - before.launchers,
            children: self.children - before.children,
        }
    }
}
