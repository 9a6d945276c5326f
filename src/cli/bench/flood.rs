//! One task writes a flood that is kept whole: how fast it goes, what it costs, and whether small
//! tasks and questions beside it notice. Reads every byte back and compares it.

use anyhow::{Result, bail, ensure};
use ganger_net::client::Caller;
use ganger_proto::command::{Stream, Submit, SubmitHead};
use ganger_proto::limits::OUTPUT_BYTES_MAX;
use ganger_proto::{
    Args, BatchId, BatchOptions, Cwd, Key, Kind, Reply, Request, Spec, TaskId, Template,
};
use serde::Serialize;

use super::load::Load;
use super::rig::Rig;
use super::{BenchArgs, BenchKind, mib, percentile, probe, seconds};
use crate::clock::Clock;

/// What the task writes, again and again.
const PATTERN: &[u8; 16] = b"0123456789abcde\n";
/// Single tasks in a row between two looks at the flood.
const ROW: u32 = 5;

/// What a run found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    bytes: u64,
    /// From submission to its end, stored and reported.
    seconds: f64,
    /// As the worker measured the process.
    process_seconds: f64,
    /// All pages read back, one after the other.
    read_seconds: f64,
    before: Beside,
    meanwhile: Beside,
    master_peak_kib: u64,
    worker_peak_kib: u64,
    launcher_peak_kib: u64,
    submitter_peak_kib: u64,
}

/// Small things beside the flood, in microseconds.
#[derive(Debug, Default, Serialize)]
struct Beside {
    singles: usize,
    single_p50_us: u64,
    single_p99_us: u64,
    single_max_us: u64,
    question_max_us: u64,
}

/// Measures one flood of `bytes`.
pub(super) async fn measure(
    args: &BenchArgs,
    bytes: u64,
    clock: &Clock,
    rig: &mut Rig,
) -> Result<Report> {
    ensure!(bytes <= OUTPUT_BYTES_MAX, "--output is at most {OUTPUT_BYTES_MAX}");
    ensure!(args.slots > 1, "--slots must be at least 2, so that small tasks run beside the flood");
    rig.add_workers(1, args.slots).await?;
    let caller = rig.caller().await?;
    let mut before = Times::default();
    for _ in 0..args.singles.div_ceil(ROW) {
        before.row(&caller, clock).await?;
    }
    let began = clock.micros();
    let batch = submit(&caller, bytes).await?;
    let mut meanwhile = Times::default();
    while !has_ended(&caller, batch).await? {
        meanwhile.row(&caller, clock).await?;
    }
    let total = seconds(clock.micros() - began);
    let worker = rig.worker_pids().next().unwrap_or_default();
    let launchers = probe::children(worker).into_iter().map(probe::peak_kib);
    let launcher_peak_kib = launchers.max().unwrap_or_default();
    let (task, process_us) = task_of(&caller, batch).await?;
    let began = clock.micros();
    read_back(&caller, task, bytes).await?;
    Ok(Report {
        bytes,
        seconds: total,
        process_seconds: seconds(process_us),
        read_seconds: seconds(clock.micros() - began),
        before: before.end(),
        meanwhile: meanwhile.end(),
        master_peak_kib: probe::peak_kib(rig.master_pid()),
        worker_peak_kib: probe::peak_kib(worker),
        launcher_peak_kib,
        submitter_peak_kib: probe::peak_kib(std::process::id()),
    })
}

async fn submit(caller: &Caller, bytes: u64) -> Result<BatchId> {
    let line = format!("yes {} | head -c {bytes}", String::from_utf8_lossy(&PATTERN[..15]));
    let mut spec = Spec::of(Kind::Shell { line: Template::from_text(&line)? });
    (spec.output_bytes_max, spec.cwd) = (bytes, Cwd::Scratch);
    let head = Some(SubmitHead { spec, options: BatchOptions::default() });
    let key = Key::new(fastrand::u128(..));
    let submit = Submit {
        key,
        part: 0,
        last: true,
        head: head.map(Box::new),
        args: Args::Repeat { count: 1 },
    };
    let Reply::Submitted { batch, .. } = caller.call(Request::Submit(submit)).await? else {
        bail!("a submission was answered with something else");
    };
    Ok(batch)
}

async fn has_ended(caller: &Caller, batch: BatchId) -> Result<bool> {
    let request = Request::Batches { before: Some(BatchId::new(batch.raw() + 1)), rows: 1 };
    let Reply::Batches(rows) = caller.call(request).await? else {
        bail!("a question for batches was answered with something else");
    };
    let row = rows.first().filter(|row| row.batch == batch);
    Ok(row.is_some_and(|row| row.counts.done + row.counts.failed + row.counts.cancelled > 0))
}

/// Returns the flood's task, and how long its process ran.
async fn task_of(caller: &Caller, batch: BatchId) -> Result<(TaskId, u64)> {
    let request = Request::Results { batch: Some(batch), after: TaskId::new(0), rows: 1 };
    let Reply::Results(page) = caller.call(request).await? else {
        bail!("a request for results was not answered with results");
    };
    let row = page.rows.first();
    let Some((task, ended)) = row.and_then(|row| Some((row.task, row.ended.as_ref()?))) else {
        bail!("the flood left no result");
    };
    ensure!(ended.outcome == ganger_proto::Outcome::Done, "{}: {}", ended.outcome, ended.message);
    Ok((task, ended.took_us))
}

async fn read_back(caller: &Caller, task: TaskId, bytes: u64) -> Result<()> {
    let mut offset = 0;
    while offset < bytes {
        let request = Request::Output { task, attempt: None, stream: Stream::Stdout, offset };
        let Reply::Output(page) = caller.call(request).await? else {
            bail!("a request for output was not answered with output");
        };
        ensure!(page.kept == bytes && page.skipped == 0, "{} of {bytes} were kept", page.kept);
        ensure!(!page.bytes.is_empty(), "the output ends at {offset} of {bytes}");
        let skip = usize::try_from(offset % PATTERN.len() as u64)?;
        let expected = PATTERN.iter().cycle().skip(skip);
        ensure!(page.bytes.iter().eq(expected.take(page.bytes.len())), "other bytes at {offset}");
        offset += page.bytes.len() as u64;
    }
    Ok(())
}

/// Small things and how long they took.
#[derive(Default)]
struct Times {
    singles: Vec<u64>,
    questions: Vec<u64>,
}

impl Times {
    /// Runs single squares one after the other, and asks for the status once.
    async fn row(&mut self, caller: &Caller, clock: &Clock) -> Result<()> {
        let load = Load { kind: BenchKind::Square, tasks: 1, listed: true };
        self.singles.extend(load.singles(caller, clock, ROW).await?);
        let began = clock.micros();
        caller.call(Request::Status).await?;
        self.questions.push(clock.micros() - began);
        Ok(())
    }

    fn end(mut self) -> Beside {
        self.singles.sort_unstable();
        Beside {
            singles: self.singles.len(),
            single_p50_us: percentile(&self.singles, 50),
            single_p99_us: percentile(&self.singles, 99),
            single_max_us: self.singles.last().copied().unwrap_or_default(),
            question_max_us: self.questions.iter().max().copied().unwrap_or_default(),
        }
    }
}

/// Returns the report as lines for people.
pub(super) fn rows(report: &Report) -> Vec<(&'static str, String)> {
    let rate = |time: f64| format!("{:.0} MiB/s", report.bytes as f64 / f64::from(1 << 20) / time);
    let ms = |us: u64| us as f64 / 1_000.0;
    let beside = |one: &Beside| {
        format!(
            "{} squares p50 {:.2} ms, p99 {:.2} ms, longest {:.1} ms; longest question {:.1} ms",
            one.singles,
            ms(one.single_p50_us),
            ms(one.single_p99_us),
            ms(one.single_max_us),
            ms(one.question_max_us)
        )
    };
    vec![
        ("kept whole", format!("{} bytes, every one right", report.bytes)),
        ("read from the process", rate(report.process_seconds)),
        ("submitted to stored", format!("{:.2} s, {}", report.seconds, rate(report.seconds))),
        ("pages read back", format!("{:.2} s, {}", report.read_seconds, rate(report.read_seconds))),
        ("before", beside(&report.before)),
        ("meanwhile", beside(&report.meanwhile)),
        (
            "peak memory",
            format!(
                "master {}, worker {}, launcher {}, submitter {}",
                mib(report.master_peak_kib),
                mib(report.worker_peak_kib),
                mib(report.launcher_peak_kib),
                mib(report.submitter_peak_kib)
            ),
        ),
    ]
}
