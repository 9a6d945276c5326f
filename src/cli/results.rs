//! `ganger results`: what each task of a batch answered or printed, in id order.

use ganger_net::client::Caller;
use ganger_proto::command::{ResultLine, Stream};
use ganger_proto::limits::PAGE_ROWS_MAX;
use ganger_proto::{Ended, Outcome, Reply, Request, TaskId, TaskState};
use serde::Serialize;

use super::error::Result;
use super::out::Out;
use super::place::Place;
use super::table::number;
use super::{logs, out, reach, select, text};

/// Flags of `ganger results`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Bytes are printed as they are, but cleaned when standard output is a terminal; output without a line
end at its end gets one. Tasks that did not end well have a line each on standard error.

Examples:
  ganger results                the newest batch
  ganger results b12 > all.txt
  ganger results b12 --jsonl | jq -r 'select(.state == \"failed\") | .stderr'")]
pub(crate) struct Args {
    /// The batch [default: the newest]
    batch: Option<String>,

    /// Print one JSON object a task, with its output as text
    #[arg(long)]
    jsonl: bool,
}

/// One task as a line of JSON.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Line<'a> {
    task: TaskId,
    index: u64,
    state: TaskState,
    outcome: Option<String>,
    /// The exit code, when there was one.
    code: Option<i32>,
    attempt: u32,
    worker: &'a str,
    took_us: u64,
    message: &'a str,
    stdout: String,
    stderr: String,
}

/// Prints the results.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    let mut batch = args.batch.as_deref().map(select::parse_batch).transpose()?;
    let caller = reach::connect(place).await?;
    let mut out = place.out();
    let json = args.jsonl || out.is_json();
    let mut after = TaskId::new(0);
    loop {
        let request = Request::Results { batch, after, rows: PAGE_ROWS_MAX };
        let Reply::Results(page) = caller.call(request).await? else {
            return Err(reach::unexpected());
        };
        // Later pages are of the same batch, also when a newer one was submitted meanwhile.
        batch = Some(page.batch);
        for row in &page.rows {
            if json {
                print_json(&caller, row, &mut out).await?;
            } else {
                print_text(&caller, row, &mut out).await?;
            }
        }
        // Output and notes are in order for a person who sees both.
        out.flush()?;
        match page.next {
            Some(next) if next > after => after = next,
            Some(_) | None => {
                if page.open > 0 {
                    let (open, batch) = (number(page.open), page.batch);
                    out::note(&format!(
                        "{open} tasks of {batch} have not ended yet; `ganger wait {batch}` waits \
                         for them"
                    ));
                }
                return Ok(());
            }
        }
    }
}

async fn print_text(caller: &Caller, row: &ResultLine, out: &mut Out) -> Result<()> {
    let Some(ended) = &row.ended else {
        out.flush()?;
        let why = match row.state {
            TaskState::Cancelled => "cancelled before it ran",
            TaskState::Failed => {
                "failed before it ran: a batch that it waited for did not end well"
            }
            TaskState::Blocked
            | TaskState::Delayed
            | TaskState::Queued
            | TaskState::Sent
            | TaskState::Running
            | TaskState::Done => "its result is not kept any more",
        };
        out::note(&format!("task {}: {why}", row.task));
        return Ok(());
    };
    if ended.has_output {
        logs::print_kept(caller, row.task, Some(row.attempt), Stream::Stdout, out).await?;
    } else {
        logs::print(out, &ended.stdout)?;
    }
    if ended.outcome != Outcome::Done {
        out.flush()?;
        out::note(&complaint(row.task, ended));
    }
    Ok(())
}

/// Returns the one line about a task that did not end well.
fn complaint(task: TaskId, ended: &Ended) -> String {
    let why = if ended.message.is_empty() {
        text::first_line(&ended.stderr, 200)
    } else {
        text::line(&ended.message)
    };
    let colon = if why.is_empty() { "" } else { ": " };
    format!("task {task}: {}{colon}{why}", ended.outcome)
}

async fn print_json(caller: &Caller, row: &ResultLine, out: &mut Out) -> Result<()> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    if let Some(ended) = &row.ended {
        if ended.has_output {
            stdout = logs::kept(caller, row.task, Some(row.attempt), Stream::Stdout).await?;
            stderr = logs::kept(caller, row.task, Some(row.attempt), Stream::Stderr).await?;
        } else {
            stdout.clone_from(&ended.stdout);
            stderr.clone_from(&ended.stderr);
        }
    }
    out.json(&json_line(row, &stdout, &stderr))
}

pub(crate) fn json_line<'a>(row: &'a ResultLine, stdout: &[u8], stderr: &[u8]) -> Line<'a> {
    let ended = row.ended.as_ref();
    let code = ended.and_then(|ended| match ended.outcome {
        Outcome::Done => Some(0),
        Outcome::Failed { code } => Some(code),
        Outcome::Signalled { .. }
        | Outcome::TimedOut
        | Outcome::Lost
        | Outcome::Cancelled
        | Outcome::Unfit => None,
    });
    Line {
        task: row.task,
        index: row.index,
        state: row.state,
        outcome: ended.map(|ended| ended.outcome.to_string()),
        code,
        attempt: row.attempt,
        worker: &row.worker,
        took_us: ended.map_or(0, |ended| ended.took_us),
        message: ended.map_or("", |ended| &ended.message),
        stdout: String::from_utf8_lossy(stdout).into_owned(),
        stderr: String::from_utf8_lossy(stderr).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::LeaseId;

    use super::*;

    fn ended(outcome: Outcome, stderr: &str, message: &str) -> Ended {
        let bare = Ended::bare(LeaseId::default(), outcome, 5);
        Ended { stderr: stderr.into(), message: message.into(), ..bare }
    }

    #[test]
    fn a_task_that_did_not_end_well_has_one_line() {
        let check = |ended: Ended, expected: &str| {
            assert_eq!(complaint(TaskId::new(12), &ended), expected);
        };
        let failed = Outcome::Failed { code: 2 };
        check(ended(failed, "no such\nfile", ""), "task 12: exit 2: no such");
        check(ended(failed, "", ""), "task 12: exit 2");
        check(ended(Outcome::Signalled { signal: 9 }, "", ""), "task 12: signal 9");
        check(
            ended(Outcome::Unfit, "x", "no shell\u{1b}[2J here"),
            "task 12: unfit: no shell here",
        );
    }

    #[test]
    fn a_line_of_json_has_text_and_code() {
        let row = ResultLine {
            task: TaskId::new(3),
            index: 0,
            attempt: 1,
            worker: "local".into(),
            ended: Some(ended(Outcome::Failed { code: 2 }, "", "")),
            state: TaskState::Failed,
        };
        let json = serde_json::to_value(json_line(&row, b"a\xff", b"")).unwrap();
        assert_eq!(json["task"], 3);
        assert_eq!(json["state"], "failed");
        assert_eq!(json["code"], 2);
        assert_eq!(json["stdout"], "a\u{fffd}");
        let cancelled = ResultLine { ended: None, state: TaskState::Cancelled, ..row };
        let json = serde_json::to_value(json_line(&cancelled, b"", b"")).unwrap();
        assert_eq!(json["code"], serde_json::Value::Null);
    }
}
