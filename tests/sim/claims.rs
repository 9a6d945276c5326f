//! What workers reported, and what the master answered: an acknowledgement says that a report is
//! durable, and that each end in it counts unless its lease was called stale.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::message::{LeaseRun, Report};
use ganger_proto::{LeaseId, Outcome, SessionId, TaskId};

use crate::gang::{ends, is_among};
use crate::history::{History, Known};

/// What one report says of each of its leases; a liar may say more than one thing.
type Ends = Vec<(LeaseId, Outcome, Vec<u8>)>;

#[derive(Default)]
pub(crate) struct Claims {
    /// By session and number.
    reports: BTreeMap<(SessionId, u64), Ends>,
    /// Leases that a session was told are not its own any more.
    stale: BTreeMap<SessionId, Vec<LeaseRun>>,
    /// The newest durable report of each session.
    durable: BTreeMap<SessionId, u64>,
    /// Reports that became durable and are to be acknowledged in the same turn.
    first: BTreeSet<(SessionId, u64)>,
    /// Reports whose first acknowledgement has left in this turn.
    fresh: Vec<(SessionId, u64)>,
    /// Sessions of liars.
    liars: BTreeSet<SessionId>,
    /// For each task the lease of the end that was acknowledged.
    complete: BTreeMap<TaskId, LeaseId>,
}

impl Claims {
    pub(crate) fn note_liar(&mut self, session: SessionId) {
        self.liars.insert(session);
    }

    /// A worker sends a report.
    pub(crate) fn sent(&mut self, session: SessionId, report: &Report) {
        let known = self.reports.entry((session, report.number)).or_default();
        for end in ends(report) {
            if !known.contains(&end) {
                known.push(end);
            }
        }
    }

    /// A report became durable.
    pub(crate) fn journaled(&mut self, session: SessionId, number: u64) {
        self.durable.insert(session, number);
        self.first.insert((session, number));
    }

    pub(crate) fn told_stale(&mut self, session: SessionId, leases: &[LeaseRun]) {
        self.stale.entry(session).or_default().extend(leases);
    }

    pub(crate) fn master_died(&mut self) {
        self.first.clear();
        self.fresh.clear();
    }

    /// Tells whether a report said that a lease ended well, with this answer.
    pub(crate) fn said_done(&self, report: (SessionId, u64), lease: LeaseId, text: &[u8]) -> bool {
        let mut ends = self.reports.get(&report).into_iter().flatten();
        ends.any(|(of, outcome, answer)| {
            (*of, *outcome, answer.as_slice()) == (lease, Outcome::Done, text)
        })
    }
}

impl History {
    /// An acknowledgement leaves.
    pub(crate) fn acknowledged(&mut self, session: SessionId, number: u64) -> Result<(), String> {
        let claims = &mut self.claims;
        let durable = claims.durable.get(&session).copied().unwrap_or_default();
        if number > durable {
            return Err(format!(
                "report {number} of {session} was acknowledged, {durable} is durable"
            ));
        }
        if claims.first.remove(&(session, number)) {
            claims.fresh.push((session, number));
        }
        Ok(())
    }

    /// A turn's effects have left: each end that was acknowledged counts, or was called stale.
    pub(crate) fn settle_acks(&mut self) -> Result<(), String> {
        for report in std::mem::take(&mut self.claims.fresh) {
            if self.claims.liars.contains(&report.0) {
                continue;
            }
            let ends = self.claims.reports.get(&report);
            let ends = ends.ok_or(format!("report {} of {} was never sent", report.1, report.0))?;
            for (lease, outcome, _) in ends.clone() {
                let stale = self.claims.stale.get(&report.0);
                if stale.is_some_and(|stale| is_among(lease, stale)) {
                    continue;
                }
                self.counts(lease, outcome, report)?;
            }
        }
        Ok(())
    }

    /// Checks an end that was acknowledged and not called stale.
    fn counts(
        &mut self,
        lease: LeaseId,
        outcome: Outcome,
        report: (SessionId, u64),
    ) -> Result<(), String> {
        let task = *self.of_lease(lease).ok_or(format!("{lease} was never granted"))?;
        let known: &Known = &self.tasks[&task];
        if outcome != Outcome::Done {
            return Ok(());
        }
        let by_it = known.end.is_some_and(|end| end.lease == lease && end.report == Some(report));
        if !by_it {
            let end = known.end;
            return Err(format!("{task} under {lease} was acknowledged as done and is {end:?}"));
        }
        match self.claims.complete.insert(task, lease) {
            Some(before) if before != lease => {
                Err(format!("{task} was acknowledged as done under {before} and under {lease}"))
            }
            Some(_) | None => Ok(()),
        }
    }
}
