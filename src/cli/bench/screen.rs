//! Row `screen`: how fast the screen answers a key over a full master, how often it draws, and what
//! it costs the master. Looks at the real screen in a pseudo-terminal.

use std::time::Duration;

use anyhow::{Result, bail};
use ganger_net::client::Caller;
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::{Args, BatchOptions, Key, Kind, Name, QueueName, Reply, Request, Spec};

use super::eye::{Eye, SIZE};
use super::figure::{Figure, Report, Wanted, number as shown};
use super::load::{self, Load};
use super::rig::Rig;
use super::{Bench, What, mib, ms, percentile, probe};
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

/// Tasks held when nobody says how many.
const TASKS: u64 = 10_000_000;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    bench.rig(async |rig| with(bench, rig).await).await
}

async fn with(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let (tasks, clock) = (bench.tasks(TASKS), &bench.clock);
    let caller = rig.caller().await?;
    rig.add_workers(bench.workers(1), bench.args.slots).await?;
    let mut eye = Eye::open(rig.home(), clock)?;
    let idle = count_frames(&mut eye, "3").await;
    eye.close();
    let listed = hold(tasks, &caller).await?;
    let mut eye = Eye::open(rig.home(), clock)?;
    let looked = look(tasks, clock, rig, &mut eye).await;
    let peak_kib = probe::peak_kib(eye.pid());
    eye.close();
    let mut looked = looked?;
    let (alone, watched) = throughput(rig, clock, &caller).await?;
    let (columns, rows) = SIZE;
    let conditions = vec![
        format!("{columns}×{rows}"),
        format!(
            "{} tasks held, {} of them listed, a filter on",
            shown(tasks as f64),
            shown(listed as f64)
        ),
        format!("{:.0} results a second flowing", looked.results_per_second),
        format!("{KEYS} keys of each sort"),
    ];
    let mut report = bench.report(What::Screen, rig, conditions)?;
    let p99 = |what: &str, times: &mut [u64], wanted| {
        Figure::new(what, ms(percentile(times, 99)), "ms").wanted(wanted)
    };
    let Keys { local, jump, filter } = &mut looked.keys;
    let away = Wanted::less(50.0, 20.0);
    report.figures =
        vec![
            p99("key to frame within the window, p99", local, Wanted::less(16.0, 5.0)),
            p99("key to frame at the other end (`G`, `gg`), p99", jump, away),
            p99("key to frame of a filter's letter, p99", filter, away),
            Figure::new(
                "draws a second while results flow",
                looked.busy as f64 / COUNTED.as_secs_f64(),
                "",
            )
            .wanted(Wanted::ceiling(30.0)),
            Figure::new("draws of an idle screen in 5 s", idle? as f64, "")
                .wanted(Wanted::ceiling(1.0)),
            Figure::new("the same where ages are shown", looked.ages as f64, "")
                .wanted(Wanted::ceiling(6.0)),
            Figure::new("peak memory of the screen", mib(peak_kib), "MiB")
                .wanted(Wanted::ceiling(50.0)),
            Figure::new("squares, listed, with a screen attached", watched, "tasks/s")
                .beside_wanted("the same without a screen", alone, Wanted::more(0.95, 0.98)),
        ];
    Ok(report)
}

/// Submits tasks that stay queued; returns how many of them were listed.
async fn hold(tasks: u64, caller: &Caller) -> Result<u64> {
    let hold = queue("hold");
    let listed = tasks / LISTED_ONE_IN;
    let submit =
        async |tasks, listed| Load { listed, ..Load::squares(tasks) }.submit(caller, &hold).await;
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

/// How long keys took to the frame that shows what they did.
#[derive(Default)]
struct Keys {
    local: Vec<u64>,
    jump: Vec<u64>,
    filter: Vec<u64>,
}

async fn look(tasks: u64, clock: &Clock, rig: &Rig, eye: &mut Eye) -> Result<Looked> {
    eye.wait("its first picture", |text| text.contains("? help")).await?;
    let caller = rig.caller().await?;
    let before = load::done(&caller).await?;
    let began = clock.micros();
    let flow = tokio::spawn(flow(rig.caller().await?));
    let keys = time_keys(tasks, eye).await;
    let busy = match &keys {
        Ok(_) => count_frames(eye, "1").await,
        Err(_) => Ok(0),
    };
    flow.abort();
    let spent = super::seconds(clock.micros() - began);
    let results_per_second = (load::done(&caller).await? - before) as f64 / spent;
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
    let load = Load::squares(RUN_TASKS);
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
    let per_second =
        |mut times: Vec<u64>| RUN_TASKS as f64 / super::seconds(percentile(&mut times, 50));
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
