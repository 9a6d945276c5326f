//! `ganger bench --screen`: how fast the screen answers a key over a full master, how often it
//! draws, and what it costs the master. Looks at the real screen in a pseudo-terminal.

use std::time::Duration;

use anyhow::{Result, bail};
use ganger_net::client::Caller;
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::{Args, BatchOptions, Key, Kind, Name, QueueName, Reply, Request, Spec};
use serde::Serialize;

use super::eye::{Eye, SIZE};
use super::load::Load;
use super::rig::Rig;
use super::{BenchArgs, BenchKind, mib, percentile, probe};
use crate::clock::Clock;

/// Of the held tasks, one in this many is listed one by one; the others are a range.
const LISTED_ONE_IN: u64 = 10;
/// Results a second while keys are timed.
const FLOW_PER_S: u64 = 50_000;
/// Submissions a second that make them.
const FLOW_PARTS_PER_S: u64 = 20;
/// Keys of each kind that are timed.
const KEYS: usize = 300;
/// How long frames are counted.
const COUNTED: Duration = Duration::from_secs(5);
/// Tasks of each run that compares the throughput with and without a screen.
const RUN_TASKS: u64 = 2_000_000;
/// Runs of each.
const RUNS: usize = 5;

/// What a run found; times in microseconds.
#[derive(Debug, Serialize)]
pub(super) struct ScreenReport {
    columns: u16,
    rows: u16,
    tasks_held: u64,
    tasks_listed: u64,
    results_per_second: f64,
    local_key_p50_us: u64,
    local_key_p99_us: u64,
    jump_key_p50_us: u64,
    jump_key_p99_us: u64,
    filter_key_p50_us: u64,
    filter_key_p99_us: u64,
    draws_per_second_busy: f64,
    draws_in_5_s_idle: usize,
    draws_in_5_s_with_ages: usize,
    screen_peak_kib: u64,
    tasks_per_second_alone: f64,
    tasks_per_second_watched: f64,
    ratio: f64,
}

/// Measures with the rig's master, which must be fresh and without workers.
pub(super) async fn measure(
    args: &BenchArgs,
    clock: &Clock,
    rig: &mut Rig,
) -> Result<ScreenReport> {
    let caller = rig.caller().await?;
    rig.add_workers(args.workers, args.slots).await?;
    let mut eye = Eye::open(rig.home(), clock)?;
    let idle = count_frames(&mut eye, "3").await;
    eye.close();
    let listed = hold(args.tasks, &caller).await?;
    let mut eye = Eye::open(rig.home(), clock)?;
    let looked = look(args.tasks, clock, rig, &mut eye).await;
    let screen_peak_kib = probe::peak_kib(eye.pid());
    eye.close();
    let looked = looked?;
    let (alone, watched) = throughput(rig, clock, &caller).await?;
    let (columns, rows) = SIZE;
    let Keys { local, jump, filter } = looked.keys;
    Ok(ScreenReport {
        columns: columns.get(),
        rows: rows.get(),
        tasks_held: args.tasks,
        tasks_listed: listed,
        results_per_second: looked.results_per_second,
        local_key_p50_us: percentile(&local, 50),
        local_key_p99_us: percentile(&local, 99),
        jump_key_p50_us: percentile(&jump, 50),
        jump_key_p99_us: percentile(&jump, 99),
        filter_key_p50_us: percentile(&filter, 50),
        filter_key_p99_us: percentile(&filter, 99),
        draws_per_second_busy: looked.busy as f64 / COUNTED.as_secs_f64(),
        draws_in_5_s_idle: idle?,
        draws_in_5_s_with_ages: looked.ages,
        screen_peak_kib,
        tasks_per_second_alone: alone,
        tasks_per_second_watched: watched,
        ratio: watched / alone,
    })
}

/// Submits tasks that stay queued; returns how many of them were listed.
async fn hold(tasks: u64, caller: &Caller) -> Result<u64> {
    let hold = queue("hold");
    let listed = tasks / LISTED_ONE_IN;
    let submit = async |tasks, listed| {
        Load { kind: BenchKind::Square, tasks, listed }.submit(caller, &hold).await
    };
    // A queue is there, and can be paused, from its first task on.
    let scout = submit(1, true).await?;
    caller.call(Request::Wait { batches: vec![scout] }).await?;
    caller.call(Request::Pause { queue: hold.clone() }).await?;
    submit(listed, true).await?;
    submit(tasks - listed, false).await?;
    Ok(listed)
}

/// What was seen on the screen.
struct Looked {
    keys: Keys,
    results_per_second: f64,
    busy: usize,
    ages: usize,
}

/// How long keys took to the frame that shows what they did, sorted.
#[derive(Default)]
struct Keys {
    local: Vec<u64>,
    jump: Vec<u64>,
    filter: Vec<u64>,
}

async fn look(tasks: u64, clock: &Clock, rig: &Rig, eye: &mut Eye) -> Result<Looked> {
    eye.wait("its first picture", |text| text.contains("? help")).await?;
    let caller = rig.caller().await?;
    let before = done(&caller).await?;
    let began = clock.micros();
    let flow = tokio::spawn(flow(rig.caller().await?));
    let keys = time_keys(tasks, eye).await;
    let busy = match &keys {
        Ok(_) => count_frames(eye, "1").await,
        Err(_) => Ok(0),
    };
    flow.abort();
    let spent = super::seconds(clock.micros() - began);
    let results_per_second = (done(&caller).await? - before) as f64 / spent;
    let (keys, busy) = (keys?, busy?);
    quiet(&caller).await?;
    let ages = count_frames(eye, "2").await?;
    Ok(Looked { keys, results_per_second, busy, ages })
}

/// Times keys on the list of tasks under a filter that all held tasks match.
async fn time_keys(tasks: u64, eye: &mut Eye) -> Result<Keys> {
    let mut keys = Keys::default();
    // The first task made the queue and has ended.
    let (first, last) = (2, tasks + 1);
    eye.press("2/queue:hold state:queued\r")?;
    eye.wait("all held tasks", |text| total(text) == Some(tasks)).await?;
    for round in 0..KEYS as u64 {
        pause().await;
        eye.take();
        let step = round % 20;
        let (key, to) = if step < 10 { ("j", step + 1) } else { ("k", 19 - step) };
        let pressed = eye.press(key)?;
        let seen = eye.wait("the next row", |text| marked(text) == Some(first + to)).await?;
        keys.local.push(seen.saturating_sub(pressed));
    }
    for round in 0..KEYS {
        pause().await;
        eye.take();
        let (key, to) = if round % 2 == 0 { ("G", last) } else { ("gg", first) };
        let pressed = eye.press(key)?;
        let seen = eye.wait("the other end", |text| marked(text) == Some(to)).await?;
        keys.jump.push(seen.saturating_sub(pressed));
    }
    eye.press(&format!("/ id:{first}..{first}5"))?;
    eye.wait("a few tasks", |text| total(text) == Some(24)).await?;
    for round in 0..KEYS {
        pause().await;
        eye.take();
        // The last digit is taken away, so that one task matches, and typed again.
        let (key, to) = if round % 2 == 0 { ("\x7f", 1) } else { ("5", 24) };
        let pressed = eye.press(key)?;
        let seen = eye.wait("what the filter finds", |text| total(text) == Some(to)).await?;
        keys.filter.push(seen.saturating_sub(pressed));
    }
    eye.press("\x1b")?;
    for times in [&mut keys.local, &mut keys.jump, &mut keys.filter] {
        times.sort_unstable();
    }
    Ok(keys)
}

/// Counts the frames that a screen draws by itself.
async fn count_frames(eye: &mut Eye, screen: &str) -> Result<usize> {
    eye.press(screen)?;
    // The rates of the last five seconds must have come to rest.
    tokio::time::sleep(Duration::from_secs(7)).await;
    eye.take();
    tokio::time::sleep(COUNTED).await;
    Ok(eye.take().0)
}

/// Compares the same work without and with a screen, in turns; returns the medians.
async fn throughput(rig: &Rig, clock: &Clock, caller: &Caller) -> Result<(f64, f64)> {
    let load = Load { kind: BenchKind::Square, tasks: RUN_TASKS, listed: true };
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        alone.push(load.run(caller, clock).await?.total_us);
        let mut eye = Eye::open(rig.home(), clock)?;
        let shown = eye.wait("its first picture", |text| text.contains("? help")).await;
        let run = match shown {
            Ok(_) => load.run(caller, clock).await,
            Err(error) => Err(error),
        };
        eye.close();
        watched.push(run?.total_us);
    }
    let per_second = |mut times: Vec<u64>| {
        times.sort_unstable();
        RUN_TASKS as f64 / super::seconds(percentile(&times, 50))
    };
    Ok((per_second(alone), per_second(watched)))
}

/// Lets results flow until it is stopped.
async fn flow(caller: Caller) {
    let mut tick = tokio::time::interval(Duration::from_millis(1_000 / FLOW_PARTS_PER_S));
    loop {
        tick.tick().await;
        let head = SubmitHead {
            spec: Spec::of(Kind::Square),
            options: BatchOptions { queue: queue("flow"), ..BatchOptions::default() },
        };
        let submit = Submit {
            key: Key::new(u128::from(fastrand::u64(..)) << 64 | u128::from(fastrand::u64(..))),
            part: 0,
            last: true,
            head: Some(Box::new(head)),
            args: Args::Range { first: 1, step: 1, count: FLOW_PER_S / FLOW_PARTS_PER_S },
        };
        if caller.call(Request::Submit(submit)).await.is_err() {
            return;
        }
    }
}

/// Waits until nothing but the held tasks is open.
async fn quiet(caller: &Caller) -> Result<()> {
    for _ in 0..600 {
        let Reply::Queues(queues) = caller.call(Request::Queues).await? else {
            bail!("a request for the queues was answered with something else");
        };
        if queues.iter().all(|queue| queue.paused || queue.counts.open() == 0) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("the flowing tasks did not come to an end");
}

async fn done(caller: &Caller) -> Result<u64> {
    let Reply::Status(status) = caller.call(Request::Status).await? else {
        bail!("a request for the status was answered with something else");
    };
    Ok(status.master.counts.done)
}

/// Keys come at moments that have nothing to do with the screen's frames.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(15..60))).await;
}

fn queue(name: &str) -> QueueName {
    Name::from_lossy(name)
}

/// Returns the id in the row under the cursor.
fn marked(text: &str) -> Option<u64> {
    let row = text.lines().find_map(|line| line.split_once('▌'))?.1;
    number(row.trim_start_matches(|c: char| !c.is_ascii_digit()))
}

/// Returns how many rows the list has, as its lower edge says: `1–30 of 10 000 000`.
fn total(text: &str) -> Option<u64> {
    let edge = text.lines().rev().find(|line| line.starts_with('╰') && line.contains(" of "))?;
    number(edge.rsplit_once(" of ")?.1)
}

/// Reads a number whose thousands may be set apart.
fn number(text: &str) -> Option<u64> {
    let mut digits = String::new();
    let mut spaces = 0;
    for c in text.chars() {
        match c {
            '0'..='9' => (digits.push(c), spaces = 0).1,
            ' ' | ',' if spaces == 0 => spaces += 1,
            _ => break,
        }
    }
    digits.parse().ok()
}

/// Lists the figures for people.
pub(super) fn rows(report: &ScreenReport) -> Vec<(&'static str, String)> {
    let times = |p50: u64, p99: u64| {
        format!("p50 {:.1} ms, p99 {:.1} ms", p50 as f64 / 1_000.0, p99 as f64 / 1_000.0)
    };
    vec![
        ("tasks held", format!("{}, {} of them listed", report.tasks_held, report.tasks_listed)),
        ("results flowing", format!("{:.0}/s", report.results_per_second)),
        ("key in the window", times(report.local_key_p50_us, report.local_key_p99_us)),
        ("G, g g", times(report.jump_key_p50_us, report.jump_key_p99_us)),
        ("a filter's letter", times(report.filter_key_p50_us, report.filter_key_p99_us)),
        ("draws, busy", format!("{:.1}/s", report.draws_per_second_busy)),
        (
            "draws, idle",
            format!(
                "{} in 5 s, {} where ages of waiting tasks are shown",
                report.draws_in_5_s_idle, report.draws_in_5_s_with_ages
            ),
        ),
        ("screen's peak memory", mib(report.screen_peak_kib)),
        (
            "tasks per second",
            format!(
                "{:.0} alone, {:.0} with a screen: {:.3}",
                report.tasks_per_second_alone, report.tasks_per_second_watched, report.ratio
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_is_read_as_a_person_reads_it() {
        let text = "│ ▌◆   60 498  ✗ failed  5 │\n╰──── 1–11 of 10 000 000 · 2 newer above ─╯";
        assert_eq!(marked(text), Some(60_498));
        assert_eq!(total(text), Some(10_000_000));
        assert_eq!(marked("nothing"), None);
    }
}
