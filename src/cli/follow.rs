//! `ganger logs -f ID`: prints what a task writes as it writes it. Comes back when the connection
//! is lost, and prints nothing twice.

use std::time::Duration;

use ganger_net::client::{Backoff, CallError, Caller, Follow};
use ganger_proto::command::Stream;
use ganger_proto::follow::{Cursor, Followed, Piece};
use ganger_proto::{Outcome, TaskId};
use serde_json::json;

use super::error::{CliError, Result, is_final};
use super::out::{self, Sink};
use super::place::Place;
use super::{reach, text};

/// What is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) task: TaskId,
    /// One attempt; the newest one and those after it when not said.
    pub(crate) attempt: Option<u32>,
    /// One stream, on standard output; both, each where it belongs, when not said.
    pub(crate) stream: Option<Stream>,
}

/// How long a task may be silent before it is said that it has not started.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often a lost master is dialled before that is an error; half a minute, about.
const DIALS_MAX: u32 = 16;

/// Prints until the task has ended, or the one attempt.
///
/// # Errors
/// When the master cannot be reached, refuses, or stays away.
pub(crate) async fn run(place: &Place, wanted: Wanted) -> Result<()> {
    let mut printer = Printer::new(place, wanted);
    let mut caller = reach::connect(place).await?;
    loop {
        let error = match follow(&caller, &mut printer).await? {
            None => return Ok(()),
            Some(error) if is_final(&error) || !matches!(error, CallError::Lost(_)) => {
                return Err(error.into());
            }
            Some(error) => error,
        };
        out::note(&format!("{}; dialling again", text::line(&error.to_string())));
        caller = dial_again(place).await?;
    }
}

async fn dial_again(place: &Place) -> Result<Caller> {
    let mut backoff = Backoff::default();
    let mut last = None;
    for _ in 0..DIALS_MAX {
        tokio::time::sleep(backoff.next_wait()).await;
        match reach::connect(place).await {
            Ok(caller) => return Ok(caller),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| CliError::unreachable("the master stays away")))
}

/// Prints what comes on one connection; returns why it ended too early, if it did.
async fn follow(caller: &Caller, printer: &mut Printer) -> Result<Option<CallError>> {
    let Wanted { task, attempt, .. } = printer.wanted;
    let mut follow = match caller.follow(task, attempt).await {
        Ok(follow) => follow,
        Err(error) => return Ok(Some(error)),
    };
    let mut next = first(&mut follow, task).await;
    while let Some(came) = next {
        match came {
            Ok(followed) => printer.print(followed)?,
            Err(error) => return Ok(Some(error)),
        }
        next = follow.next().await;
    }
    Ok(None)
}

async fn first(follow: &mut Follow, task: TaskId) -> Option<Result<Followed, CallError>> {
    if let Ok(came) = tokio::time::timeout(PATIENCE, follow.next()).await {
        return came;
    }
    out::note(&format!("task {task} has not started; its output comes when it does"));
    follow.next().await
}

struct Printer {
    wanted: Wanted,
    /// The attempt that is printed; 0 before the first.
    attempt: u32,
    cursor: Cursor,
    form: Form,
}

enum Form {
    Json(out::Out),
    Text { stdout: Sink, stderr: Sink },
}

impl Printer {
    fn new(place: &Place, wanted: Wanted) -> Self {
        let out = place.out();
        let form = if out.is_json() {
            Form::Json(out)
        } else {
            Form::Text { stdout: Sink::stdout(), stderr: Sink::stderr() }
        };
        Self { wanted, attempt: 0, cursor: Cursor::default(), form }
    }

    fn print(&mut self, followed: Followed) -> Result<()> {
        match followed {
            // The same again after a lost connection: what was printed comes again first.
            Followed::Attempt { attempt, .. } if attempt == self.attempt => Ok(()),
            Followed::Attempt { attempt, worker } => self.begin(attempt, &worker),
            Followed::Piece(piece) => match self.cursor.take(piece) {
                Some(piece) if self.wanted.stream.is_none_or(|one| one == piece.stream) => {
                    self.piece(&piece)
                }
                Some(_) | None => Ok(()),
            },
            Followed::Ended { outcome } => self.end(outcome),
        }
    }

    fn begin(&mut self, attempt: u32, worker: &str) -> Result<()> {
        self.attempt = attempt;
        self.cursor = Cursor::default();
        match &mut self.form {
            Form::Json(out) => {
                out.json(&json!({ "attempt": attempt, "worker": text::line(worker) }))?;
                out.flush()
            }
            Form::Text { .. } => {
                if attempt > 1 && self.wanted.attempt.is_none() {
                    out::note(&format!("attempt {attempt} on {}", text::line(worker)));
                }
                Ok(())
            }
        }
    }

    fn piece(&mut self, piece: &Piece) -> Result<()> {
        let word = match piece.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        match &mut self.form {
            Form::Json(out) => {
                out.json(&json!({
                    "stream": word,
                    "offset": piece.offset,
                    "skipped": piece.skipped,
                    "at": (piece.at.0 > 0).then_some(piece.at.0),
                    "text": String::from_utf8_lossy(&piece.bytes),
                }))?;
                out.flush()
            }
            Form::Text { stdout, stderr } => {
                let to = match piece.stream {
                    Stream::Stderr if self.wanted.stream.is_none() => stderr,
                    Stream::Stdout | Stream::Stderr => stdout,
                };
                if piece.skipped > 0 {
                    to.cut(&format!("{} bytes of {word} were not kept", piece.skipped))?;
                }
                to.write(&piece.bytes)
            }
        }
    }

    fn end(&mut self, outcome: Option<Outcome>) -> Result<()> {
        let how = outcome.map_or_else(|| "cancelled".to_owned(), |outcome| outcome.to_string());
        match &mut self.form {
            Form::Json(out) => {
                out.json(&json!({ "attempt": self.attempt, "ended": how }))?;
                out.flush()
            }
            Form::Text { stdout, stderr } => {
                stdout.end()?;
                stderr.end()?;
                if outcome != Some(Outcome::Done) {
                    out::note(&format!("task {}: {how}", self.wanted.task));
                }
                Ok(())
            }
        }
    }
}
