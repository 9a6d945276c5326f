//! Row `growth`: what a task costs as the queue, the workers, the batches, their labels and their
//! classes grow. A million squares a step, on a master of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::ValueEnum;
use ganger_net::client::Caller;
use ganger_proto::command::SubmitHead;
use ganger_proto::place::Need;
use ganger_proto::{BatchOptions, Kind, Name, Request, Spec};

use super::super::flight::Flight;
use super::figure::{Figure, Report, Series, Wanted};
use super::load::{self, Load};
use super::rig::Rig;
use super::{Bench, What, crowd, median, mib, probe, seconds};

/// Tasks of a step when nobody says how many.
const TASKS: u64 = 1_000_000;
/// Batches whose submission is under way at once.
const UNDER_WAY: usize = 64;
/// How long the tasks of a step are waited for.
const LOOKS_MAX: u32 = 30_000;
const LOOK: Duration = Duration::from_millis(10);

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Axis {
    /// Listed tasks that wait in the same queue, at a lower priority
    Queue,
    /// Connected workers
    Workers,
    /// Batches that the tasks come in
    Batches,
    /// Batches, each with a label of its own
    Labels,
    /// Batches, each with needs of its own
    Classes,
}

impl Axis {
    const fn steps(self) -> &'static [u64] {
        match self {
            Self::Queue => &[1_000, 10_000, 100_000, 1_000_000, 10_000_000],
            Self::Workers => &[1, 10, 100, 1_000, 10_000],
            Self::Batches => &[1, 10, 100, 1_000, 10_000, 100_000],
            Self::Labels | Self::Classes => &[1, 10, 100, 1_000],
        }
    }

    /// Returns up to which step the cost is compared with the smallest one, and what it should be.
    const fn flat(self) -> (u64, Wanted) {
        const FLAT: Wanted = Wanted::less(1.3, 1.1);
        match self {
            Self::Queue => (10_000_000, FLAT),
            // Beyond, a task's share of a batch's own submission is what grows.
            Self::Workers | Self::Batches | Self::Labels | Self::Classes => (1_000, FLAT),
        }
    }

    const fn plural(self) -> &'static str {
        match self {
            Self::Queue => "tasks that wait",
            Self::Workers => "workers",
            Self::Batches => "batches",
            Self::Labels => "labels",
            Self::Classes => "classes",
        }
    }

    fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// What a task cost in one run.
struct Cost {
    tasks_per_second: f64,
    master_us: f64,
}

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    let axes = match bench.args.axis.as_slice() {
        [] => Axis::value_variants(),
        asked => asked,
    };
    let conditions = vec![
        format!("{} squares a step, listed one by one", bench.tasks(TASKS)),
        "a master of its own a step".to_owned(),
        format!("the median of {} runs", bench.args.runs),
    ];
    let mut report = bench.rig(async |rig| bench.report(What::Growth, rig, conditions)).await?;
    for axis in axes {
        let mut points = Vec::new();
        let most = match axis {
            Axis::Workers => u64::from(bench.workers(u32::MAX)),
            Axis::Queue | Axis::Batches | Axis::Labels | Axis::Classes => u64::MAX,
        };
        for step in axis.steps().iter().filter(|step| **step <= most) {
            super::super::out::note(&format!("{} {step}", axis.word()));
            points.push(point(bench, *axis, *step).await?);
        }
        report.figures.push(flatness(*axis, &points));
        report.series.push(Series { axis: axis.word(), points });
    }
    Ok(report)
}

/// Returns the largest cost of a task over that of the first step.
fn flatness(axis: Axis, points: &[BTreeMap<String, f64>]) -> Figure {
    let (up_to, wanted) = axis.flat();
    let compared = points.iter().filter(|point| point[&axis.word()] <= up_to as f64);
    let costs: Vec<f64> = compared.map(|point| point[MASTER_US]).collect();
    let most = costs.iter().copied().fold(0.0, f64::max);
    let first = costs.first().copied().unwrap_or_default();
    let what = format!(
        "the master's time a task as {} grow to {}: most over first",
        axis.plural(),
        super::figure::number(up_to as f64)
    );
    Figure::new(what, most / first, "×").wanted(wanted)
}

const RATE: &str = "tasks/s";
const MASTER_US: &str = "master µs a task";
const MEMORY: &str = "master MiB";

async fn point(bench: &Bench, axis: Axis, step: u64) -> Result<BTreeMap<String, f64>> {
    let crowd_of = if axis == Axis::Workers { u32::try_from(step)? } else { 0 };
    let prepare = |home: &std::path::Path| match crowd_of {
        0 => Ok(()),
        count => crowd::issue(home, &home.join("crowd"), count),
    };
    bench
        .rig_with(prepare, async |rig| {
            let caller = rig.caller().await?;
            if axis == Axis::Queue {
                hold(&caller, step).await?;
            }
            if crowd_of > 0 {
                let folder = rig.home().join("crowd");
                rig.add_crowd(&folder, crowd_of).await?;
            } else {
                rig.add_workers(1, bench.args.slots).await?;
            }
            let (mut rates, mut costs) = (Vec::new(), Vec::new());
            for _ in 0..bench.args.runs {
                let cost = cost(bench, rig, &caller, (axis, step)).await?;
                rates.push(cost.tasks_per_second);
                costs.push(cost.master_us);
            }
            let memory = mib(probe::peak_kib(rig.master_pid()));
            let values = [
                (axis.word(), step as f64),
                (RATE.to_owned(), median(&mut rates)),
                (MASTER_US.to_owned(), median(&mut costs)),
                (MEMORY.to_owned(), memory),
            ];
            Ok(values.into())
        })
        .await
}

/// Submits tasks that wait behind all others, in a queue that is paused but for the runs. A few of
/// them run then: nothing starves.
async fn hold(caller: &Caller, tasks: u64) -> Result<()> {
    let options = BatchOptions { priority: -1, ..BatchOptions::default() };
    let queue = options.queue.clone();
    let head = SubmitHead { spec: Spec::of(Kind::Square), options };
    // A queue is there, and can be paused, from its first task on.
    Load::squares(1).submit_as(caller, &head).await?;
    caller.call(Request::Pause { queue }).await?;
    Load::squares(tasks).submit_as(caller, &head).await?;
    Ok(())
}

/// Runs a step's tasks once.
async fn cost(
    bench: &Bench,
    rig: &Rig,
    caller: &Caller,
    (axis, step): (Axis, u64),
) -> Result<Cost> {
    let batches = match axis {
        Axis::Queue | Axis::Workers => 1,
        Axis::Batches | Axis::Labels | Axis::Classes => step,
    };
    let tasks = bench.tasks(TASKS).max(batches);
    let (before, cpu) = (load::done(caller).await?, probe::cpu_us(rig.master_pid()));
    let queue = Name::from_lossy("default");
    let began = bench.clock.micros();
    if axis == Axis::Queue {
        caller.call(Request::Resume { queue: queue.clone() }).await?;
    }
    let mut under_way = Flight::default();
    for batch in 0..batches {
        let share = tasks / batches + u64::from(batch < tasks % batches);
        let head = head(axis, batch);
        let load = Load::squares(share);
        under_way.push(Box::pin(async move { load.submit_as(caller, &head).await })).await;
        while under_way.len() >= UNDER_WAY
            && let Some(submitted) = under_way.next().await
        {
            submitted?;
        }
    }
    while let Some(submitted) = under_way.next().await {
        let batch = submitted?;
        if batches == 1 {
            caller.call(Request::Wait { batches: vec![batch] }).await?;
        }
    }
    if axis == Axis::Queue {
        caller.call(Request::Pause { queue }).await?;
    }
    for _ in 0..LOOKS_MAX {
        // Of those that wait behind these a few end too; each counts as what it is.
        let ended = load::done(caller).await? - before;
        if ended >= tasks {
            let (took, cpu) =
                (bench.clock.micros() - began, probe::cpu_us(rig.master_pid()).since(cpu).own);
            return Ok(Cost {
                tasks_per_second: ended as f64 / seconds(took),
                master_us: cpu as f64 / ended as f64,
            });
        }
        tokio::time::sleep(LOOK).await;
    }
    bail!("the tasks did not come to an end");
}

fn head(axis: Axis, batch: u64) -> SubmitHead {
    let mut head = SubmitHead { spec: Spec::of(Kind::Square), options: BatchOptions::default() };
    match axis {
        Axis::Queue | Axis::Workers | Axis::Batches => {}
        Axis::Labels => head.options.labels.push(("stage".to_owned(), format!("s{batch}"))),
        Axis::Classes => {
            head.spec.place.needs.push(Need { name: Name::from_lossy("mem"), amount: batch + 1 });
        }
    }
    head
}
