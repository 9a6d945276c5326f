//! The sentences of reasons: what holds a task, and what to do about it.

use std::fmt;

use super::{Missing, Reason};
use crate::id::{BatchId, Name, QueueName, TaskId};
use crate::outcome::Outcome;
use crate::time::HumanMs;

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused { queue } => {
                write!(f, "queue {queue} is paused; `ganger resume {queue}` lets it go on")
            }
            Self::HeldBack => f.write_str(
                "the master grants nothing: it is stopping, or its disk is full; free space, or \
                 start it again",
            ),
            Self::BacksOff { task, attempt, attempts_max, in_ms } => write!(
                f,
                "attempt {attempt} of {attempts_max} failed and the next begins in {}; `ganger \
                 retry {task}` begins it at once",
                HumanMs(*in_ms)
            ),
            Self::NotBefore { task, in_ms } => write!(
                f,
                "it was submitted to begin in {}; `ganger retry {task}` lets it begin at once",
                HumanMs(*in_ms)
            ),
            Self::NotOffered { missing, nearest, has, workers } => {
                not_offered(f, missing, (nearest.as_str(), has), *workers)
            }
            Self::Blocked { .. } | Self::Jobs { .. } | Self::Rate { .. } | Self::Missed { .. } => {
                self.of_batches(f)
            }
            Self::NoWorker { .. }
            | Self::NotAllowed { .. }
            | Self::Unfit { .. }
            | Self::Draining { .. }
            | Self::Busy { .. } => self.of_workers(f),
            Self::Behind { queue, higher, older, eta_ms } => {
                behind(f, queue, (*higher, *older), *eta_ms)
            }
            Self::Next => f.write_str("nothing holds it back; a worker gets it in a moment"),
            Self::Sent { worker, for_ms } => write!(
                f,
                "{worker} has had it for {} and begins it when one of its slots is free",
                HumanMs(*for_ms)
            ),
            Self::Runs { worker, for_ms, attempt, attempts_max } => write!(
                f,
                "it runs on {worker}, for {}, attempt {attempt} of {attempts_max}",
                HumanMs(*for_ms)
            ),
            Self::Cancelling => f.write_str(
                "a cancel was asked for; it is given a grace, then killed (`ganger cancel --now` \
                 does not wait)",
            ),
            Self::Ended { task, outcome, worker, ago_ms, attempt } => {
                ended(f, *task, (*outcome, worker), (*ago_ms, *attempt))
            }
        }
    }
}

impl Reason {
    /// Says which batch is in the way; nothing for other reasons.
    fn of_batches(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked { by, open, total } => blocked(f, by, (*open, *total)),
            Self::Jobs { batch, jobs_max } => write!(
                f,
                "{} of {batch} at once were asked for, and so many run; it begins when one ends",
                count(u64::from(*jobs_max), "task", "tasks")
            ),
            Self::Rate { batch, rate, in_ms } => write!(
                f,
                "{batch} starts {rate} at most, over all workers; the next one starts in {}",
                HumanMs(*in_ms)
            ),
            Self::Missed { task, ago_ms } => write!(
                f,
                "it failed {} ago before it ran: a batch that it waited for did not end well; \
                 `ganger retry {task}` runs it all the same",
                HumanMs(*ago_ms)
            ),
            Self::Paused { .. }
            | Self::HeldBack
            | Self::BacksOff { .. }
            | Self::NotBefore { .. }
            | Self::NoWorker { .. }
            | Self::NotAllowed { .. }
            | Self::NotOffered { .. }
            | Self::Unfit { .. }
            | Self::Draining { .. }
            | Self::Busy { .. }
            | Self::Behind { .. }
            | Self::Next
            | Self::Sent { .. }
            | Self::Runs { .. }
            | Self::Cancelling
            | Self::Ended { .. } => Ok(()),
        }
    }

    /// Says what is in the way at the workers; nothing for other reasons.
    fn of_workers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorker { lost: 0 } => f.write_str(
                "no worker is connected; `ganger invite` prints the line that brings one in",
            ),
            Self::NoWorker { lost } => write!(
                f,
                "no worker is connected, {} lost; start `ganger-worker` there again, or bring \
                 another in with `ganger invite`",
                count(u64::from(*lost), "is", "are")
            ),
            Self::NotAllowed { kind, nearest, policy, workers } => {
                not_allowed(f, (kind, *workers), (nearest.as_str(), policy))
            }
            Self::Unfit { workers } => write!(
                f,
                "{} said that it cannot run there; `ganger show` has the reason, and a worker on \
                 another machine may have what it lacks",
                names(workers)
            ),
            Self::Draining { workers } => write!(
                f,
                "{} could run it but {}; `ganger undrain {}` lets it take work again",
                names(workers),
                if workers.len() == 1 { "drains" } else { "drain" },
                workers.first().map_or("NAME", Name::as_str)
            ),
            Self::Busy { workers, slots } => write!(
                f,
                "{} on {} {} busy; it begins when a task there ends, or sooner with more slots \
                 (`ganger slots WORKER N`) or another worker (`ganger invite`)",
                count(u64::from(*slots), "slot", "slots"),
                count(u64::from(*workers), "worker", "workers"),
                if *slots == 1 { "is" } else { "are" }
            ),
            Self::Blocked { .. }
            | Self::Jobs { .. }
            | Self::Rate { .. }
            | Self::NotOffered { .. }
            | Self::Missed { .. }
            | Self::Paused { .. }
            | Self::HeldBack
            | Self::BacksOff { .. }
            | Self::NotBefore { .. }
            | Self::Behind { .. }
            | Self::Next
            | Self::Sent { .. }
            | Self::Runs { .. }
            | Self::Cancelling
            | Self::Ended { .. } => Ok(()),
        }
    }
}

fn blocked(f: &mut fmt::Formatter<'_>, by: &[BatchId], (open, total): (u64, u64)) -> fmt::Result {
    let ids: Vec<String> = by.iter().map(BatchId::to_string).collect();
    write!(
        f,
        "it waits for {}, of which {open} of {} have not ended; `ganger wait {}` shows how far",
        ids.join(", "),
        count(total, "task", "tasks"),
        ids.join(" ")
    )
}

fn not_offered(
    f: &mut fmt::Formatter<'_>,
    missing: &Missing,
    (nearest, has): (&str, &str),
    workers: u32,
) -> fmt::Result {
    match workers {
        1 => write!(f, "the one connected worker, {nearest}, ")?,
        n => write!(f, "none of {n} connected workers fits: the nearest, {nearest}, ")?,
    }
    match missing {
        Missing::Handler(name) => write!(f, "has no handler {name}")?,
        Missing::Label(label) => write!(f, "lacks the label {label}")?,
        Missing::Need(need) => write!(f, "lacks {need}")?,
        Missing::Lane(lane) => write!(f, "has no slot in the lane {lane}")?,
    }
    match missing {
        Missing::Lane(_) => {}
        Missing::Handler(_) | Missing::Label(_) | Missing::Need(_) if has.is_empty() => {
            f.write_str(" (it has none)")?;
        }
        Missing::Handler(_) | Missing::Label(_) | Missing::Need(_) => {
            write!(f, " (it has {has})")?;
        }
    }
    match missing {
        Missing::Handler(name) => write!(
            f,
            "; start one with `ganger-worker --handler {name}=COMMAND`, or write it in a \
             worker.toml"
        ),
        Missing::Label(label) => {
            write!(f, "; start one with `ganger-worker --label {label}`, or submit without `--on`")
        }
        Missing::Need(need) if need.name.as_str() == "cpu" => {
            f.write_str("; `ganger slots` gives it more, or submit with fewer")
        }
        Missing::Need(need) => {
            write!(f, "; start one with `ganger-worker --resource {need}`, or submit with less")
        }
        Missing::Lane(_) => {
            f.write_str("; start one with `--io-slots`, or submit without `--lane`")
        }
    }
}

fn not_allowed(
    f: &mut fmt::Formatter<'_>,
    (kind, workers): (&str, u32),
    (nearest, policy): (&str, &str),
) -> fmt::Result {
    match workers {
        1 => write!(f, "the one connected worker, {nearest}, does not allow {kind}")?,
        n => write!(f, "none of {n} connected workers allows {kind}; the nearest is {nearest}")?,
    }
    if !policy.is_empty() {
        write!(f, " ({policy})")?;
    }
    match kind {
        "shell" => f.write_str("; start one with --allow-shell, or submit without a shell"),
        "exec" => f.write_str("; set `exec = \"any\"` or an allow-list in a worker.toml"),
        _ => f.write_str("; bring in another worker with `ganger invite`"),
    }
}

fn behind(
    f: &mut fmt::Formatter<'_>,
    queue: &QueueName,
    (higher, older): (u64, u64),
    eta_ms: Option<u64>,
) -> fmt::Result {
    let goes = if higher + older == 1 { "goes" } else { "go" };
    let first = count(higher, "task of a higher priority", "tasks of a higher priority");
    match (higher, older) {
        (0, older) => f.write_str(&count(older, "older task", "older tasks"))?,
        (_, 0) => f.write_str(&first)?,
        (_, older) => write!(f, "{first} and {}", count(older, "older one", "older ones"))?,
    }
    write!(f, " {goes} first in queue {queue}")?;
    if let Some(ms) = eta_ms {
        write!(f, "; at the present rate its turn comes in about {}", HumanMs(ms))?;
    }
    f.write_str("; `ganger priority` moves it forward")
}

fn ended(
    f: &mut fmt::Formatter<'_>,
    task: TaskId,
    (outcome, worker): (Option<Outcome>, &str),
    (ago_ms, attempt): (u64, u32),
) -> fmt::Result {
    let Some(outcome) = outcome else {
        return write!(
            f,
            "it was cancelled {} ago before it ran; `ganger retry {task}` puts it back",
            HumanMs(ago_ms)
        );
    };
    write!(f, "it ended {} ago: {outcome}", HumanMs(ago_ms))?;
    if !worker.is_empty() {
        write!(f, ", attempt {attempt}, on {worker}")?;
    }
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Failed { .. }
        | Outcome::Signalled { .. }
        | Outcome::TimedOut
        | Outcome::Lost
        | Outcome::Cancelled
        | Outcome::Unfit => write!(
            f,
            "; `ganger logs {task}` shows what it printed, `ganger retry {task}` runs it again"
        ),
    }
}

fn names(workers: &[Name]) -> String {
    workers.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

fn count(n: u64, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
