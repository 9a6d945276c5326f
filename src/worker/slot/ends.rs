//! What is reported of an attempt's end.

use ganger_proto::message::OutputHeader;
use ganger_proto::{Ended, LeaseId, Outcome};

use super::OWN_FAULT;
use crate::worker::core::AttemptEnded;
use crate::worker::order::{End, Finished, Stopped};

pub(in crate::worker) fn bare(lease: LeaseId, outcome: Outcome, message: String) -> AttemptEnded {
    AttemptEnded { ended: Ended { message, ..Ended::bare(lease, outcome, 0) }, output: None }
}

/// Makes what is reported of a child's end.
pub(in crate::worker) fn end_of(lease: LeaseId, finished: Finished) -> AttemptEnded {
    let Finished { end, stopped, usage, took_us, stdout, stderr, note, .. } = finished;
    let mut message = note;
    let outcome = match (end, stopped) {
        (End::Answered { outcome, message: said }, _) => {
            message = if message.is_empty() { said } else { message };
            outcome
        }
        (End::NotStarted { outcome, message: why }, _) => {
            message = why;
            outcome
        }
        (_, Some(Stopped::Asked)) => Outcome::Cancelled,
        (_, Some(Stopped::TimedOut)) => Outcome::TimedOut,
        (End::Exit { code: 0 }, None) => Outcome::Done,
        (End::Exit { code }, None) => Outcome::Failed { code },
        (End::Signal { signal }, None) => Outcome::Signalled { signal },
    };
    let cut = [&stdout.cut, &stderr.cut].into_iter().find(|cut| !cut.is_empty());
    let outcome = match (outcome, cut) {
        (Outcome::Done, Some(_)) => Outcome::Failed { code: OWN_FAULT },
        (outcome, Some(_) | None) => outcome,
    };
    if let Some(cut) = cut.filter(|_| message.is_empty()) {
        message.clone_from(cut);
    }
    let ended = Ended {
        lease,
        outcome,
        took_us,
        usage,
        stdout: stdout.inline().to_vec(),
        stderr: stderr.inline().to_vec(),
        has_output: false,
        message,
    };
    let output = (stdout.is_long() || stderr.is_long()).then(|| {
        let header = OutputHeader { lease, stdout: stdout.kept(), stderr: stderr.kept() };
        (header, [stdout.head, stdout.tail, stderr.head, stderr.tail].concat())
    });
    AttemptEnded { ended, output }
}
