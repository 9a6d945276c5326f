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
and its end are kept; what was left out is said on standard error.

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
    let whole = if row.ended.has_output {
        kept(&caller, args.task, Some(row.attempt), stream).await?
    } else {
        inline(row, stream).to_vec()
    };
    if out.is_json() {
        out.json(&serde_json::json!({
            "task": args.task,
            "attempt": row.attempt,
            "outcome": row.ended.outcome.to_string(),
            "message": row.ended.message,
            "text": String::from_utf8_lossy(&whole),
        }))?;
    } else {
        print(&mut out, &whole)?;
        if !row.ended.message.is_empty() {
            out::note(&super::text::line(&row.ended.message));
        }
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
    let mut attempt = attempt;
    loop {
        let request = Request::Output { task, attempt, stream, offset: whole.len() as u64 };
        let page = match caller.call(request).await {
            Ok(Reply::Output(page)) => page,
            // A stream that printed nothing is not kept, though the other one is.
            Err(ganger_net::client::CallError::Refused(Refusal::NoOutput(_)))
                if whole.is_empty() =>
            {
                return Ok(whole);
            }
            Ok(_) => return Err(reach::unexpected()),
            Err(error) => return Err(error.into()),
        };
        attempt = Some(page.attempt);
        whole.extend_from_slice(&page.bytes);
        if !page.bytes.is_empty() && (whole.len() as u64) < page.kept {
            continue;
        }
        if page.skipped > 0 {
            let (at, skipped) = (page.skipped_at, page.skipped);
            out::note(&format!("task {task}: {skipped} bytes were not kept after the first {at}"));
        }
        return Ok(whole);
    }
}
