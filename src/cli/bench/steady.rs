//! Row `steady`: a load that goes on, with snapshots and the removal of old tasks under it: whether
//! memory, store and latency stay what they are.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use ganger_net::client::Caller;
use ganger_proto::{Name, Reply, Request};
use tokio::task::JoinHandle;

use super::figure::{Figure, Report, Series, Wanted, number};
use super::load::Load;
use super::rig::Rig;
use super::{Bench, What, mib, ms, percentile, probe, seconds};
use crate::clock::Clock;

/// How long it lasts when nobody says how long.
const LASTS: Duration = Duration::from_secs(3_600);
/// Submissions a second.
const PARTS_PER_S: u64 = 10;
/// Points of the series at most.
const POINTS: u32 = 240;
/// Least time of a point.
const POINT_MIN: Duration = Duration::from_secs(5);
/// Between two single tasks whose latency is measured.
const SINGLE_EVERY: Duration = Duration::from_millis(50);
/// Submissions that may be unanswered before the load waits.
const UNANSWERED_MAX: u64 = 50;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let conditions = vec![
        format!(
            "{} squares a second, listed, for {} s",
            bench.args.rate,
            bench.lasts(LASTS).as_secs()
        ),
        "a single task every 50 ms beside them, from another client".to_owned(),
    ];
    let mut report = bench.report(What::Steady, rig, conditions)?;
    rig.add_workers(1, bench.args.slots).await?;
    let flow = Flow(tokio::spawn(flow(rig.caller().await?, bench.args.rate / PARTS_PER_S)));
    let points = watch(bench, rig).await?;
    ensure!(!flow.0.is_finished(), "the load ended early");
    drop(flow);
    report.figures = figures(bench, &points);
    report.series.push(Series { axis: TIME.to_owned(), points });
    Ok(report)
}

const TIME: &str = "s";
const RATE: &str = "tasks/s";
const P50: &str = "p50 ms";
const P99: &str = "p99 ms";
const MASTER: &str = "master MiB";
const STORE: &str = "store MiB";

/// The load; ends with this.
struct Flow(JoinHandle<Result<()>>);

impl Drop for Flow {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Submits parts at an even pace. What an answer is late for is submitted later, not left out.
async fn flow(caller: Caller, tasks: u64) -> Result<()> {
    let queue = Name::from_lossy("flow");
    let mut tick = tokio::time::interval(Duration::from_millis(1_000 / PARTS_PER_S));
    let mut submitted = tokio::task::JoinSet::new();
    loop {
        tick.tick().await;
        let (caller, queue) = (caller.clone(), queue.clone());
        submitted.spawn(async move { Load::squares(tasks).submit(&caller, &queue).await });
        while submitted.len() as u64 > UNANSWERED_MAX
            && let Some(answer) = submitted.join_next().await
        {
            answer??;
        }
        while let Some(answer) = submitted.try_join_next() {
            answer??;
        }
    }
}

/// Measures singles all the time; returns a point for each stretch.
async fn watch(bench: &Bench, rig: &Rig) -> Result<Vec<BTreeMap<String, f64>>> {
    let caller = rig.caller().await?;
    let clock: &Clock = &bench.clock;
    let stretch = (bench.lasts(LASTS) / POINTS).max(POINT_MIN);
    let until = clock.micros() + u64::try_from(bench.lasts(LASTS).as_micros())?;
    let mut points = Vec::new();
    let began = clock.micros();
    while clock.micros() < until {
        let (from, before) = (clock.micros(), done(&caller).await?);
        let mut times = Vec::new();
        while clock.micros() - from < u64::try_from(stretch.as_micros())? {
            times.extend(Load::squares(1).singles(&caller, clock, 1).await?);
            tokio::time::sleep(SINGLE_EVERY).await;
        }
        let ended = done(&caller).await? - before;
        let now = clock.micros();
        points.push(BTreeMap::from(
            [
                (TIME, seconds(now - began)),
                (RATE, ended as f64 / seconds(now - from)),
                (P50, ms(percentile(&mut times, 50))),
                (P99, ms(percentile(&mut times, 99))),
                (MASTER, mib(probe::resident_kib(rig.master_pid()))),
                (STORE, probe::disk_bytes(rig.home()) as f64 / f64::from(1 << 20)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        ));
    }
    Ok(points)
}

/// Compares the last quarter with the one before: by then old tasks go as new ones come.
fn figures(bench: &Bench, points: &[BTreeMap<String, f64>]) -> Vec<Figure> {
    let (rest, last) = points.split_at(points.len() - points.len() / 4);
    let before = &rest[rest.len() - rest.len() / 3..];
    let mean = |points: &[BTreeMap<String, f64>], name: &str| {
        points.iter().map(|point| point[name]).sum::<f64>() / points.len().max(1) as f64
    };
    let rate = mean(points, RATE);
    let load = format!("steady {}/s", number(bench.args.rate as f64));
    let latency = |name: &str| {
        Figure::new(format!("{load}: latency of one task, mean {name}"), mean(points, name), "ms")
    };
    let flat = |what: &str, name: &str| {
        let what = format!("{load}: {what}, last quarter over the one before");
        Figure::new(what, mean(last, name) / mean(before, name), "×").wanted(Wanted::less(1.3, 1.1))
    };
    vec![
        Figure::new(format!("{load}: squares ended"), rate, "tasks/s")
            .beside("what was submitted", bench.args.rate as f64),
        latency(P50),
        latency(P99),
        flat("p99", P99),
        flat("the master's memory", MASTER),
        flat("the store", STORE),
    ]
}

/// Returns how many tasks the workers have ended well, also those that are gone by now.
async fn done(caller: &Caller) -> Result<u64> {
    let Reply::Status(status) = caller.call(Request::Status).await? else {
        anyhow::bail!("a request for the status was answered with something else");
    };
    Ok(status.workers.iter().map(|worker| worker.done).sum())
}
