//! What leases, ends, changes by hand and removals do to tasks, and when they may. Part of the
//! replay's own model; the rules are written down again here, from the table of states.

use ganger_proto::limits::{LOST_MAX, RELEASES_MAX};
use ganger_proto::{BlockId, LeaseId, Outcome, SessionId, TaskId};

use super::accounts::{Before, Shifts};
use super::leases::Held;
use super::model::{Model, PAST_MAX, Past};
use super::report::word;
use super::tasks::{End, Record};
use crate::engine::event::{Change, Charge, Move, Next};
use crate::engine::runs::TaskRun;
use crate::engine::task::State;

impl Model {
    /// Queued tasks are leased to a session; counters follow the newest one.
    pub(super) fn leased(&mut self, session: SessionId, runs: &[TaskRun]) {
        if !self.sessions.contains_key(&session) {
            self.findings.add(format!("{session} gets tasks and is not there"));
        }
        for run in runs {
            let first = LeaseId { epoch: self.epoch, counter: self.granted.saturating_add(1) };
            self.granted = self.granted.saturating_add(run.count);
            let Some(run) = self.within(*run, "are leased") else { continue };
            self.seen.leases += run.count;
            for (batch, part) in self.parts(run, "is leased") {
                if let Some(line) = self.accounts.line_of(batch).filter(|line| line.paused) {
                    let name = &line.name;
                    self.findings
                        .of(part.first, format!("is leased and its queue {name} is paused"));
                }
                let Self { tasks, past, findings, .. } = self;
                let mut shifts = Shifts::default();
                tasks.each(part, |id, record| {
                    if record.state != State::Queued {
                        findings.of(id, format!("is leased and is {}", word(record.state)));
                    }
                    if record.end().is_some() {
                        let all = past.entry(id).or_default();
                        all.push_back(Past::of(record));
                        all.drain(..all.len().saturating_sub(PAST_MAX));
                    }
                    shifts.push(TaskRun::one(id), record.state, State::Leased);
                    record.state = State::Leased;
                    record.attempt = record.attempt.saturating_add(1);
                    record.set_lease(first.plus(id.raw() - run.first.raw()));
                    record.set_block(None);
                    record.set_end(End::default());
                });
                shifts.follow(batch, &mut self.accounts);
                self.check_jobs(batch, part.first);
            }
            if let Some(known) = self.sessions.get_mut(&session) {
                known.holds += run.count;
            }
            self.leases.grant(Held { first, tasks: run, session });
        }
    }

    fn check_jobs(&mut self, batch: ganger_proto::BatchId, task: TaskId) {
        let Some(lot) = self.accounts.lots.get(&batch) else { return };
        let (most, here) = (u64::from(lot.jobs_max), lot.by_state.of(State::Leased));
        if most > 0 && here > most {
            let what = format!("is leased as one of {here} of {batch}, which may have {most}");
            self.findings.of(task, what);
        }
    }

    /// Leases of a session end.
    pub(super) fn closed(
        &mut self,
        session: SessionId,
        report: Option<(u64, Option<BlockId>)>,
        moves: &[Move],
    ) {
        let block = report.and_then(|(_, block)| block);
        if let Some(block) = block {
            if block.raw() != self.next_block {
                let next = self.next_block;
                self.findings.add(format!("its results are in {block}, blk{next} is next"));
            }
            self.next_block = self.next_block.max(block.raw().saturating_add(1));
        }
        match (self.sessions.get_mut(&session), report) {
            (None, _) => self.findings.add(format!("leases of {session} end, which is not there")),
            (Some(known), Some((number, _))) => {
                if number <= known.reported {
                    let newest = known.reported;
                    let what = format!("{session} reports {number} after {newest}: counted twice");
                    self.findings.add(what);
                }
                known.reported = known.reported.max(number);
            }
            (Some(_), None) => {}
        }
        for step in moves {
            let (taken, missing) = self.leases.take(step.leases);
            for run in missing {
                let (first, count) = (run.first, run.count);
                self.findings.add(format!("{count} leases from {first} end and nobody holds them"));
            }
            for held in taken {
                self.finish(session, step, held, block);
            }
        }
    }

    fn finish(&mut self, by: SessionId, step: &Move, held: Held, block: Option<BlockId>) {
        let Held { first, tasks: run, session } = held;
        if session != by {
            let what = format!("ends by {by}, but {session} holds its lease {first}");
            self.findings.of(run.first, what);
        }
        if let Some(known) = self.sessions.get_mut(&session) {
            known.holds = known.holds.saturating_sub(run.count);
        }
        let block = block.map(BlockId::raw);
        for (batch, part) in self.parts(run, "ends") {
            let retries = self.accounts.lots.get(&batch).map_or(0, |lot| lot.retries);
            let Self { tasks, findings, seen, .. } = self;
            let mut shifts = Shifts::default();
            tasks.each(part, |id, record| {
                let lease = first.plus(id.raw() - run.first.raw());
                if record.state != State::Leased || record.lease() != lease {
                    let (now, newest) = (word(record.state), record.lease());
                    let what = format!("ends under lease {lease} and is {now} under {newest}");
                    return findings.of(id, what);
                }
                if let Some(wrong) = wrong_end(record, step, retries, block) {
                    findings.of(id, wrong);
                }
                let from = record.state;
                end(record, step, block);
                seen.ends += u64::from(record.state.is_end());
                shifts.push(TaskRun::one(id), from, record.state);
            });
            shifts.follow(batch, &mut self.accounts);
        }
    }

    /// Tasks change without a lease.
    pub(super) fn set(&mut self, runs: &[TaskRun], to: Change) {
        for run in runs {
            let Some(run) = self.within(*run, "are changed") else { continue };
            for (batch, part) in self.parts(run, "is changed") {
                let before = self.accounts.before(batch);
                let Self { tasks, findings, seen, .. } = self;
                let mut shifts = Shifts::default();
                tasks.alike(part, |part, record| {
                    let from = record.state;
                    if !may_change(from, to, before) {
                        let what = format!("is {} and becomes {to:?}", word(from));
                        findings.of(part.first, what);
                    }
                    change(record, to);
                    if record.state != from && record.state.is_end() {
                        seen.ends += part.count;
                    }
                    shifts.push(part, from, record.state);
                });
                shifts.follow(batch, &mut self.accounts);
            }
        }
    }

    /// Ended tasks are removed; among them may be some that were removed before.
    pub(super) fn remove(&mut self, runs: &[TaskRun]) {
        for run in runs {
            let Some(run) = self.within(*run, "are removed") else { continue };
            // A stretch that is removed may hold tasks that went before, as the engine takes it.
            for (batch, part) in self.cut(run).0 {
                let Self { tasks, findings, removed, .. } = self;
                let mut shifts = Shifts::default();
                tasks.alike(part, |part, record| {
                    let from = record.state;
                    if from != State::Absent {
                        *removed += part.count;
                        shifts.push(part, from, State::Absent);
                    }
                    if from != State::Absent && !from.is_end() {
                        findings.of(part.first, format!("is removed and is {}", word(from)));
                    }
                    *record = Record::default();
                });
                shifts.follow(batch, &mut self.accounts);
                let ids: Vec<TaskId> = self
                    .past
                    .range(part.first..TaskId::new(part.end()))
                    .map(|(id, _)| *id)
                    .collect();
                for id in ids {
                    self.past.remove(&id);
                }
                self.outputs.remove(part);
                let lot = self.accounts.lots.get(&batch);
                if lot.is_some_and(|lot| lot.complete && lot.by_state.present() == 0) {
                    self.forget(batch);
                }
            }
        }
        let first = self.extents.keys().next().map_or(self.next_task, |first| first.raw());
        self.tasks.trim(first);
    }
}

impl Past {
    fn of(record: &Record) -> Self {
        let (attempt, end, block) = (record.attempt, record.end(), record.block());
        Self { attempt, end, block, lease: Some(record.lease()) }
    }
}

/// Says what is wrong with an end, if anything is.
fn wrong_end(record: &Record, step: &Move, retries: u8, block: Option<u64>) -> Option<String> {
    let Move { outcome, charge, next, .. } = *step;
    let done = outcome == Outcome::Done;
    let (failures, lost, releases) = (record.failures, record.lost, record.releases);
    if done != (next == Next::Done) || (done && charge != Charge::Nothing) {
        return Some(format!("ends as {outcome:?} and becomes {next:?}, charged {charge:?}"));
    }
    if done && block.is_none() {
        return Some("is done without a result".to_owned());
    }
    let over = match charge {
        Charge::Nothing => false,
        Charge::Failure => failures > retries,
        Charge::Loss => lost >= LOST_MAX,
        Charge::Release => releases >= RELEASES_MAX,
    };
    if over {
        return Some(format!(
            "is charged {charge:?} after {failures} failures, {lost} losses and {releases} \
             releases: more than the limits allow"
        ));
    }
    let fits = match (next, charge) {
        (Next::Done | Next::Cancelled, _) => true,
        (Next::Delayed(_), charge) => charge == Charge::Failure && failures < retries,
        // A handler may say that another try cannot help.
        (Next::Failed, Charge::Failure) => true,
        (Next::Failed, Charge::Loss) => lost + 1 >= LOST_MAX,
        (Next::Failed, Charge::Release) => {
            releases + 1 >= RELEASES_MAX || outcome == Outcome::Unfit
        }
        (Next::Failed | Next::Queued, Charge::Nothing) | (Next::Queued, Charge::Failure) => false,
        (Next::Queued, Charge::Loss) => lost + 1 < LOST_MAX,
        (Next::Queued, Charge::Release) => releases + 1 < RELEASES_MAX,
    };
    (!fits).then(|| {
        format!(
            "becomes {next:?} when {outcome:?} is charged {charge:?} after {failures} failures of \
             {retries} retries, {lost} losses and {releases} releases"
        )
    })
}

/// Ends an attempt.
fn end(record: &mut Record, step: &Move, block: Option<u64>) {
    let untried = step.charge == Charge::Release && step.next == Next::Queued && block.is_none();
    record.state = match step.next {
        Next::Done => State::Done,
        Next::Failed => State::Failed,
        Next::Cancelled => State::Cancelled,
        Next::Queued => State::Queued,
        Next::Delayed(_) => State::Delayed,
    };
    record.forget_cancel();
    record.set_block(block);
    if !untried {
        record.set_end(End::of(step.outcome));
    }
    match step.charge {
        Charge::Nothing => {}
        Charge::Failure => record.failures = record.failures.saturating_add(1),
        Charge::Loss => record.lost = record.lost.saturating_add(1),
        Charge::Release => {
            record.releases = record.releases.saturating_add(1);
            record.attempt = record.attempt.saturating_sub(1);
        }
    }
}

/// Tells whether a task in a state may change so, `before` being what its batch waits for.
fn may_change(from: State, to: Change, before: Before) -> bool {
    let waits = matches!(from, State::Blocked | State::Delayed | State::Queued);
    match to {
        Change::Cancelled => waits,
        Change::Retried => matches!(from, State::Failed | State::Cancelled),
        Change::Due => from == State::Delayed || (from == State::Blocked && before == Before::Met),
        Change::Priority(_) => waits || from == State::Leased,
        Change::Cancelling => from == State::Leased,
        Change::Delayed(_) => from == State::Blocked && before == Before::Met,
        Change::Missed => from == State::Blocked && before == Before::Missed,
    }
}

/// Changes a task.
fn change(record: &mut Record, to: Change) {
    match to {
        Change::Cancelled => {
            record.state = State::Cancelled;
            record.forget_cancel();
        }
        Change::Retried => {
            record.state = State::Queued;
            (record.failures, record.lost, record.releases) = (0, 0, 0);
        }
        Change::Due => record.state = State::Queued,
        Change::Priority(_) => {}
        Change::Cancelling => record.ask_cancel(),
        Change::Delayed(_) => record.state = State::Delayed,
        Change::Missed => record.state = State::Failed,
    }
}
