//! A task's life as spans of time: what it waited for and when it ran. Draws nothing.

use ganger_proto::command::TaskDetail;
use ganger_proto::{Outcome, TaskState, WallMs};

/// A part of a task's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) what: Doing,
    pub(crate) from: WallMs,
    pub(crate) to: WallMs,
}

/// What happens in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// Waits for a worker, or for its time to come.
    Wait,
    /// Waits for other batches.
    Blocked,
    /// Waits after a failure.
    Backoff,
    /// Runs; none while it has not ended.
    Run { attempt: u32, worker: String, outcome: Option<Outcome> },
}

/// Returns the spans from the submission to the end, or to now.
pub(crate) fn spans(detail: &TaskDetail, now: WallMs) -> Vec<Span> {
    let row = &detail.row;
    let mut spans = Vec::new();
    let mut at = row.submitted;
    let mut pause = Doing::Wait;
    if !detail.options.after.is_empty() && row.state == TaskState::Queued && row.attempt == 0 {
        push(&mut spans, Doing::Blocked, at, row.since);
        at = row.since.max(at);
    }
    for attempt in &detail.attempts {
        let outcome = attempt.ended.outcome;
        let started = WallMs(attempt.at.0.saturating_sub(attempt.ended.took_us / 1_000)).max(at);
        push(&mut spans, pause.clone(), at, started);
        let worker = attempt.worker.clone();
        let what = Doing::Run { attempt: attempt.attempt, worker, outcome: Some(outcome) };
        spans.push(Span { what, from: started, to: attempt.at.max(started) });
        at = attempt.at.max(started);
        pause = match outcome {
            Outcome::Failed { .. } | Outcome::Signalled { .. } | Outcome::TimedOut => {
                Doing::Backoff
            }
            Outcome::Done | Outcome::Lost | Outcome::Cancelled | Outcome::Unfit => Doing::Wait,
        };
    }
    match row.state {
        TaskState::Delayed => push(&mut spans, pause, at, row.due.unwrap_or(now).max(now)),
        TaskState::Blocked => push(&mut spans, Doing::Blocked, at, now),
        TaskState::Queued | TaskState::Sent => push(&mut spans, pause, at, now),
        TaskState::Running => {
            push(&mut spans, pause, at, row.since);
            let worker = row.worker.clone();
            let what = Doing::Run { attempt: row.attempt, worker, outcome: None };
            spans.push(Span { what, from: row.since.max(at), to: now.max(row.since) });
        }
        TaskState::Cancelled => push(&mut spans, pause, at, row.since),
        // It never ran: a batch that it waited for did not end well.
        TaskState::Failed if row.outcome.is_none() => {
            push(&mut spans, Doing::Blocked, at, row.since);
        }
        TaskState::Done | TaskState::Failed => {}
    }
    spans
}

fn push(spans: &mut Vec<Span>, what: Doing, from: WallMs, to: WallMs) {
    if to > from {
        spans.push(Span { what, from, to });
    }
}

/// Returns the milliseconds waited and run.
pub(crate) fn sums(spans: &[Span]) -> (u64, u64) {
    let runs = |span: &&Span| matches!(span.what, Doing::Run { .. });
    let all: u64 = spans.iter().map(|span| span.to.since(span.from)).sum();
    let run = spans.iter().filter(runs).map(|span| span.to.since(span.from)).sum();
    (all - run, run)
}
