//! `ganger logs ID`: what one attempt of a task printed, as far as it was kept; follow.rs goes on
//! as it prints. Also reads kept output for results.rs.

use ganger_net::client::Caller;
use ganger_proto::command::{AttemptRow, Stream, TaskDetail};
use ganger_proto::{Refusal, Reply, Request, TaskId};

use super::error::{CliError, Result};
use super::out::Out;
use super::place::Place;
use super::{follow, out, reach};

/// Flags of `ganger logs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Bytes are printed as they are, but cleaned when a terminal shows them. Of a long stream its start
and its end are kept, or all of it when the task was to keep it whole; what was left out is said on
standard error.

With -f the output comes as the task writes it, its standard error on standard error, and goes on
with the next attempt when one fails, until the task has ended; then the exit code is 0. Ctrl-C ends
the following, not the task.

Examples:
  ganger logs 17
  ganger logs 17 -f
  ganger logs 17 -f --stderr | grep -i warn")]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "ID")]
    task: TaskId,

    /// Go on as it writes, until it has ended
    #[arg(long, short)]
    follow: bool,

    /// Print its standard output alone [default, without --follow]
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,

    /// Print its standard error alone
    #[arg(long)]
    stderr: bool,

    /// Which attempt [default: the newest]
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
}

/// Prints the output.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    if args.follow {
        let stream = match (args.stdout, args.stderr) {
            (true, _) => Some(Stream::Stdout),
            (false, true) => Some(Stream::Stderr),
            (false, false) => None,
        };
        let wanted = follow::Wanted { task: args.task, attempt: args.attempt, stream };
        return follow::run(place, wanted).await;
    }
    let caller = reach::connect(place).await?;
    let stream = if args.stderr { Stream::Stderr } else { Stream::Stdout };
    let Reply::Task(detail) = caller.call(Request::Show { task: args.task }).await? else {
        return Err(reach::unexpected());
    };
    let row = attempt_of(&detail, args.attempt)?;
    let mut out = place.out();
    let attempt = Some(row.attempt);
    if out.is_json() {
        let whole = if row.ended.has_output {
            kept(&caller, args.task, attempt, stream).await?
        } else {
            inline(row, stream).to_vec()
        };
        out.json(&serde_json::json!({
            "task": args.task,
            "attempt": row.attempt,
            "outcome": row.ended.outcome.to_string(),
            "message": row.ended.message,
            "text": String::from_utf8_lossy(&whole),
        }))?;
        return out.flush();
    }
    if row.ended.has_output {
        print_kept(&caller, args.task, attempt, stream, &mut out).await?;
    } else {
        print(&mut out, inline(row, stream))?;
    }
    if !row.ended.message.is_empty() {
        out.flush()?;
        out::note(&super::text::line(&row.ended.message));
    }
    out.flush()
}

/// Writes output, with a line end at its end.
pub(crate) fn print(out: &mut Out, bytes: &[u8]) -> Result<()> {
    out.output(bytes)?;
    if !bytes.is_empty() && bytes.last() != Some(&b'\n') {
        out.line("")?;
    }
    Ok(())
}

fn attempt_of(detail: &TaskDetail, wanted: Option<u32>) -> Result<&AttemptRow> {
    let task = detail.row.task;
    let found = match wanted {
        Some(number) => detail.attempts.iter().find(|row| row.attempt == number),
        None => detail.attempts.last(),
    };
    found.ok_or_else(|| match wanted {
        Some(number) if !detail.attempts.is_empty() => {
            let kept: Vec<String> =
                detail.attempts.iter().map(|row| row.attempt.to_string()).collect();
            CliError::new(
                super::Exit::Refused,
                format!(
                    "attempt {number} of task {task} is not kept; kept are {}",
                    kept.join(", ")
                ),
            )
        }
        Some(_) | None => CliError::from(Refusal::NoOutput(task)),
    })
}

fn inline(row: &AttemptRow, stream: Stream) -> &[u8] {
    match stream {
        Stream::Stdout => &row.ended.stdout,
        Stream::Stderr => &row.ended.stderr,
    }
}

/// Reads all that was kept of a stream, page by page; says what was left out, in place.
///
/// # Errors
/// When the master refuses, or its pages do not fit together.
pub(crate) async fn kept(
    caller: &Caller,
    task: TaskId,
    attempt: Option<u32>,
    stream: Stream,
) -> Result<Vec<u8>> {
    let mut whole = Vec::new();
    let mut pages = Pages { task, attempt, stream, read: 0, end: End::Ahead };
    while let Some(bytes) = pages.next(caller).await? {
        whole.extend_from_slice(&bytes);
    }
    Ok(whole)
}

/// As [`kept`], but prints each page as it comes, so that nothing need hold the whole.
///
/// # Errors
/// As [`kept`], and when nobody reads what is printed.
pub(crate) async fn print_kept(
    caller: &Caller,
    task: TaskId,
    attempt: Option<u32>,
    stream: Stream,
    out: &mut Out,
) -> Result<()> {
    let mut pages = Pages { task, attempt, stream, read: 0, end: End::Ahead };
    let mut last = None;
    while let Some(bytes) = pages.next(caller).await? {
        last = bytes.last().copied().or(last);
        out.output(&bytes)?;
    }
    if last.is_some_and(|last| last != b'\n') {
        out.line("")?;
    }
    Ok(())
}

/// How far a stream was read.
struct Pages {
    task: TaskId,
    attempt: Option<u32>,
    stream: Stream,
    read: u64,
    end: End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    Reached,
}

impl Pages {
    /// Returns the next bytes; none at the end.
    async fn next(&mut self, caller: &Caller) -> Result<Option<Vec<u8>>> {
        let Self { task, attempt, stream, read: offset, end } = *self;
        if end == End::Reached {
            return Ok(None);
        }
        let request = Request::Output { task, attempt, stream, offset };
        let page = match caller.call(request).await {
            Ok(Reply::Output(page)) => page,
            // A stream that printed nothing is not kept, though the other one is.
            Err(ganger_net::client::CallError::Refused(Refusal::NoOutput(_))) if offset == 0 => {
                return Ok(None);
            }
            Ok(_) => return Err(reach::unexpected()),
            Err(error) => return Err(error.into()),
        };
        self.attempt = Some(page.attempt);
        self.read += page.bytes.len() as u64;
        if page.bytes.is_empty() || self.read >= page.kept {
            self.end = End::Reached;
            let (at, skipped) = (page.skipped_at, page.skipped);
            if skipped > 0 {
                let what = format!("{skipped} bytes were not kept after the first {at}");
                out::note(&format!("task {task}: {what}"));
            }
        }
        Ok(Some(page.bytes))
    }
}
