//! Row `output`: a task that writes as fast as it can. Alone, with its output cut as usual;
//! followed by one `ganger logs -f`; and kept whole, with small tasks and questions beside it,
//! every byte read back and compared.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail, ensure};
use ganger_net::client::Caller;
use ganger_proto::command::{Stream, Submit, SubmitHead};
use ganger_proto::{
    Args, BatchId, BatchOptions, Cwd, Filter, Key, Kind, Reply, Request, Spec, TaskId, Template,
};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use super::figure::{Figure, Report, Wanted};
use super::load::Load;
use super::rig::Rig;
use super::{Bench, What, mib, ms, percentile, probe, seconds};
use crate::clock::Clock;

/// What the task writes, again and again.
const PATTERN: &[u8; 16] = b"0123456789abcde\n";
/// Single tasks in a row between two looks at the flood.
const ROW: u32 = 5;

/// Bytes that the task writes alone and followed.
const BYTES: u64 = 2 << 30;
/// Bytes that are kept whole.
const KEPT_BYTES: u64 = 1 << 30;
/// Single tasks before the flood.
const SINGLES: u32 = 200;

pub(super) async fn measure(bench: &Bench) -> Result<Report> {
    ensure!(bench.args.slots > 1, "small tasks run beside the flood; choose --slots 2 or more");
    let mut report = bench.rig(async |rig| cut(bench, rig).await).await?;
    report.figures.extend(bench.rig(async |rig| kept(bench, rig).await).await?);
    Ok(report)
}

/// A task alone, and one that is followed. Both keep the start and the end of what they write.
async fn cut(bench: &Bench, rig: &mut Rig) -> Result<Report> {
    let conditions = vec![
        format!("a task that writes {} MiB of lines", BYTES >> 20),
        format!("kept whole {} MiB", KEPT_BYTES >> 20),
    ];
    let mut report = bench.report(What::Output, rig, conditions)?;
    rig.add_workers(1, bench.args.slots).await?;
    let caller = rig.caller().await?;
    let bare = bare(bench).await?;
    let batch = submit(&caller, BYTES, 0).await?;
    caller.call(Request::Wait { batches: vec![batch] }).await?;
    let (_, process_us) = task_of(&caller, batch).await?;
    let alone = rate(BYTES, process_us);
    let batch = submit(&caller, BYTES, 0).await?;
    let (arrived, skipped) = follow(rig, &caller, batch).await?;
    let (_, process_us) = task_of(&caller, batch).await?;
    ensure!(arrived + skipped == BYTES, "{arrived} came, {skipped} are said to be skipped");
    report
        .conditions
        .push(format!("of the followed output {skipped} bytes were said to be skipped"));
    report.figures = vec![
        Figure::new("output read from a task, nobody following", alone, "MiB/s")
            .wanted(Wanted::more(200.0, 500.0))
            .beside("the same into a bare pipe", bare),
        Figure::new("output arriving at one `logs -f`", rate(arrived, process_us), "MiB/s")
            .wanted(Wanted::more(100.0, 200.0)),
        Figure::new("read from the task meanwhile", rate(BYTES, process_us), "MiB/s"),
        Figure::new("peak memory of the master", mib(probe::peak_kib(rig.master_pid())), "MiB"),
    ];
    Ok(report)
}

/// Reads what the task writes from a bare pipe; returns MiB a second.
async fn bare(bench: &Bench) -> Result<f64> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(line(BYTES)).stdout(Stdio::piped()).kill_on_drop(true);
    let began = bench.clock.micros();
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take().context("its output is a pipe")?;
    let bytes = count(&mut stdout).await?;
    child.wait().await?;
    ensure!(bytes == BYTES, "{bytes} of {BYTES} bytes came");
    Ok(rate(BYTES, bench.clock.micros() - began))
}

async fn count(from: &mut (impl AsyncRead + Unpin)) -> Result<u64> {
    let (mut bytes, mut buffer) = (0, vec![0; 256 << 10]);
    loop {
        match from.read(&mut buffer).await? {
            0 => return Ok(bytes),
            read => bytes += read as u64,
        }
    }
}

/// Follows the task of a batch with `ganger logs -f`; returns the bytes that came and those that it
/// says were skipped.
async fn follow(rig: &Rig, caller: &Caller, batch: BatchId) -> Result<(u64, u64)> {
    let request = Request::List {
        filter: Filter::parse(&format!("batch:{batch}"))?,
        after: TaskId::new(0),
        rows: 1,
    };
    let Reply::Tasks { rows, .. } = caller.call(request).await? else {
        bail!("a question for tasks was answered with something else");
    };
    let task = rows.first().context("the task is not listed")?.task;
    let mut command = Command::new("/proc/self/exe");
    command.arg("logs").arg("--home").arg(rig.home()).arg(task.raw().to_string()).arg("-f");
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().context("`ganger logs` does not start")?;
    let mut stdout = child.stdout.take().context("its output is a pipe")?;
    let (arrived, output) = tokio::join!(count(&mut stdout), child.wait_with_output());
    Ok((arrived?, skipped_in(&String::from_utf8_lossy(&output?.stderr))))
}

fn rate(bytes: u64, us: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20) / seconds(us)
}

/// A flood that is kept whole, and what is beside it.
async fn kept(bench: &Bench, rig: &mut Rig) -> Result<Vec<Figure>> {
    let clock = &bench.clock;
    rig.add_workers(1, bench.args.slots).await?;
    let caller = rig.caller().await?;
    let mut before = Times::default();
    for _ in 0..SINGLES.div_ceil(ROW) {
        before.row(&caller, clock).await?;
    }
    let began = clock.micros();
    let batch = submit(&caller, KEPT_BYTES, KEPT_BYTES).await?;
    let mut meanwhile = Times::default();
    while !has_ended(&caller, batch).await? {
        meanwhile.row(&caller, clock).await?;
    }
    let total = clock.micros() - began;
    let worker = rig.worker_pids().next().unwrap_or_default();
    let launchers = probe::children(worker).into_iter().map(probe::peak_kib);
    let launcher_kib = launchers.max().unwrap_or_default();
    let (task, _) = task_of(&caller, batch).await?;
    let began = clock.micros();
    read_back(&caller, task, KEPT_BYTES).await?;
    let read = clock.micros() - began;
    let single = |what: &str, us: u64, beside: u64| {
        Figure::new(what, ms(us), "ms").beside("before the flood", ms(beside))
    };
    let [p50, p99] = [50, 99].map(|percent| {
        (percentile(&mut meanwhile.singles, percent), percentile(&mut before.singles, percent))
    });
    Ok(vec![
        Figure::new("output kept whole, submitted to stored", rate(KEPT_BYTES, total), "MiB/s"),
        Figure::new("the same read back and compared", rate(KEPT_BYTES, read), "MiB/s"),
        single("one square beside it, p50", p50.0, p50.1),
        single("one square beside it, p99", p99.0, p99.1),
        Figure::new(
            "longest question for the status",
            ms(percentile(&mut meanwhile.questions, 100)),
            "ms",
        ),
        Figure::new(
            "peak memory of the master, output kept",
            mib(probe::peak_kib(rig.master_pid())),
            "MiB",
        ),
        Figure::new("peak memory of the worker", mib(probe::peak_kib(worker)), "MiB"),
        Figure::new("peak memory of its launcher", mib(launcher_kib), "MiB"),
    ])
}

/// What the task is: a line for a shell.
fn line(bytes: u64) -> String {
    format!("yes {} | head -c {bytes}", String::from_utf8_lossy(&PATTERN[..15]))
}

/// Returns how many bytes `logs -f` says that it skipped.
fn skipped_in(notes: &str) -> u64 {
    let ends = notes.lines().filter_map(|line| line.split_once(" bytes of stdout were not kept"));
    ends.filter_map(|(before, _)| before.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Submits a task that writes so many bytes, of which so many are kept whole, or the usual ends.
async fn submit(caller: &Caller, bytes: u64, keep: u64) -> Result<BatchId> {
    let mut spec = Spec::of(Kind::Shell { line: Template::from_text(&line(bytes))? });
    spec.cwd = Cwd::Scratch;
    if keep > 0 {
        spec.output_bytes_max = keep;
    }
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
        let load = Load::squares(1);
        self.singles.extend(load.singles(caller, clock, u64::from(ROW)).await?);
        let began = clock.micros();
        caller.call(Request::Status).await?;
        self.questions.push(clock.micros() - began);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skipped_bytes_are_read_from_the_notes() {
        let notes =
            "ganger: 12 bytes of stdout were not kept\nother\n7 bytes of stdout were not kept\n";
        assert_eq!(skipped_in(notes), 19);
    }
}
