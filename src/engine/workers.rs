//! What workers say: beating, starting, reporting, giving back. A report counts only with
//! the current lease; whatever else comes is answered as stale and changes nothing.

use std::collections::BTreeSet;

use ganger_proto::limits::HOLD_TASKS_MAX;
use ganger_proto::limits::{INLINE_BYTES_MAX, TEXT_BYTES_MAX};
use ganger_proto::message::{LeaseRun, Report};
use ganger_proto::{BlockId, Ended, LeaseId, Outcome, SessionId, WorkerId};

use super::Engine;
use super::event::{Charge, Event, Move, Next};
use super::input::{Drain, Effect, Said};
use super::results::{Block, StoredEnd};
use super::retry;
use super::roster::{missing, term_clock};
use super::runs::TaskRun;
use super::span::Span;
use crate::clock::Now;

impl Engine {
    pub(super) fn worker_said(&mut self, now: Now, session: SessionId, said: Said) {
        let Some(live) = self.soft.live.get_mut(&session) else { return };
        live.heard_ms = now.mono_ms;
        live.deadline_ms = term_clock(now) + self.settings.term_ms;
        let was_silent = std::mem::take(&mut live.silent);
        let deadline = live.deadline_ms;
        if was_silent {
            self.soft.deadlines.insert((deadline, session));
            self.feed(session);
        }
        match said {
            Said::Heartbeat(load) => {
                if let Some(live) = self.soft.live.get_mut(&session) {
                    live.load = load;
                    let (theirs, ours) = (i128::from(load.clock.0), i128::from(now.wall.0));
                    let ahead = i64::try_from(theirs - ours).ok();
                    live.clock_ahead_ms = ahead.filter(|_| load.clock.0 > 0);
                }
            }
            Said::Hold(tasks) => {
                if let Some(live) = self.soft.live.get_mut(&session) {
                    live.hold = tasks.at_most(HOLD_TASKS_MAX);
                }
                self.feed(session);
            }
            Said::Started(leases) => self.started(now, session, &leases),
            Said::Report(report) => self.reported(now, session, report),
            Said::Release(leases) => {
                self.soft.asked.answered(session);
                self.give_back(now, session, &leases);
                self.feed(session);
            }
            Said::Draining(drain) => {
                if let Some(live) = self.soft.live.get_mut(&session) {
                    live.draining = drain == Drain::On;
                }
                self.look_again();
                self.feed(session);
            }
        }
    }

    fn started(&mut self, now: Now, session: SessionId, leases: &[LeaseRun]) {
        self.soft.changes += 1;
        // Told together: a message for each would fill the outbox of a worker that comes back late.
        let mut stale = Vec::new();
        for run in leases {
            let Some(known) = self.ledger.sessions.get(&session) else { return };
            let found = known.find(*run);
            stale.extend(missing(*run, &found));
            for (_, tasks) in &found {
                self.note_started(now, *tasks);
            }
        }
        if !stale.is_empty() {
            self.out.effects.push(Effect::Stale { session, leases: stale });
        }
    }

    fn reported(&mut self, now: Now, session: SessionId, mut report: Report) {
        let number = report.number;
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        if number <= known.reported {
            let acknowledged = known.reported;
            self.out.effects.push(Effect::Ack { session, report: acknowledged });
            return;
        }
        leave_out_repeats(&mut report);
        let mut turn = ReportTurn::default();
        for run in report.done {
            if run.took_us.len() != run.results.len() {
                continue;
            }
            let count = u32::try_from(run.results.len()).unwrap_or(u32::MAX);
            let leases = LeaseRun { first: run.first, count };
            let found = known.find(leases);
            turn.stale.extend(missing(leases, &found));
            turn.moves.extend(found.iter().map(|(first, run)| Move {
                leases: LeaseRun { first: *first, count: run.count as u32 },
                outcome: Outcome::Done,
                charge: Charge::Nothing,
                next: Next::Done,
            }));
            for (lease, tasks) in &found {
                let skip = (lease.counter - run.first.counter) as usize;
                let took = run.took_us[skip..skip + tasks.count as usize].iter();
                let us = took.clone().map(|us| u64::from(*us)).sum();
                if let Some((batch, _)) = self.ledger.batches.of_task(tasks.first) {
                    let spec = self.ledger.batches.known(batch).spec;
                    self.soft.short.took(spec, tasks.count, us);
                }
                turn.took.extend(took.map(|us| Span::of_us(u64::from(*us)).raw()));
            }
            turn.tasks.extend(found.iter().map(|(_, run)| *run));
            turn.block.add_run(run, &found);
        }
        turn.for_good = report.for_good;
        turn.for_good.sort_unstable();
        for ended in report.ended {
            self.judge(now, session, ended, &mut turn);
        }
        self.close_report(now, session, number, turn);
    }

    /// Decides what follows one reported end.
    fn judge(&mut self, now: Now, session: SessionId, mut ended: Ended, turn: &mut ReportTurn) {
        // A worker that keeps to the limits is not touched by this; one that lies is cut.
        ended.stdout.truncate(INLINE_BYTES_MAX);
        ended.stderr.truncate(INLINE_BYTES_MAX);
        if ended.message.len() > TEXT_BYTES_MAX {
            ended.message = ended.message.chars().take(TEXT_BYTES_MAX / 4).collect();
        }
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let leases = LeaseRun { first: ended.lease, count: 1 };
        let found = known.find(leases);
        let Some((_, run)) = found.first().copied() else {
            turn.stale.push(leases);
            return;
        };
        let task = self.ledger.task(run.first);
        let worker = known.worker;
        let Some((batch, _)) = self.ledger.batches.of_task(run.first) else { return };
        let options = &self.ledger.batches.known(batch).options;
        let outcome = ended.outcome;
        let (charge, mut next) =
            retry::after_report(&task, outcome, options, now.wall, &mut self.soft.rng);
        if outcome == Outcome::Unfit && next == Next::Queued && !self.fits_elsewhere(run, worker) {
            next = Next::Failed;
        }
        if turn.for_good.binary_search(&ended.lease).is_ok() {
            next = retry::for_good(next);
        }
        turn.moves.push(Move { leases, outcome, charge, next });
        turn.tasks.push(run);
        turn.took.push(Span::of_us(ended.took_us).raw());
        turn.block.ended.push(StoredEnd { task: run.first, ended });
    }

    /// Tells whether another connected worker takes the task's class and has not said that it
    /// cannot run it.
    fn fits_elsewhere(&self, run: TaskRun, but: WorkerId) -> bool {
        let Some((batch, _)) = self.ledger.batches.of_task(run.first) else { return false };
        let class = self.ledger.batches.classes.get(self.ledger.batches.known(batch).class);
        let unfit = self.ledger.unfit.get(&run.first);
        let here = self.soft.live.iter().filter(|(_, live)| live.connected);
        here.filter(|(_, live)| live.profile.takes(class).is_ok()).any(|(id, _)| {
            let worker = self.ledger.sessions.get(id).map(|known| known.worker);
            worker.is_some_and(|w| w != but && !unfit.is_some_and(|unfit| unfit.contains(&w)))
        })
    }

    fn close_report(&mut self, now: Now, session: SessionId, number: u64, turn: ReportTurn) {
        let mut block = None;
        if !turn.block.is_empty() {
            let id = BlockId::new(self.ledger.next_block);
            self.out.blocks.push((id, turn.block.encode()));
            block = Some(id);
        }
        let report = Some((number, block));
        let done = turn.moves.iter().filter(|step| step.outcome == Outcome::Done);
        let done = done.map(|step| u64::from(step.leases.count)).sum();
        if let Some(live) = self.soft.live.get_mut(&session) {
            live.recent.add(now.mono_ms, done);
        }
        self.commit_closed(now, Event::Closed { session, report, moves: turn.moves, at: now.wall });
        if !turn.took.is_empty() {
            let tasks = turn.tasks.clone();
            self.commit(Event::Timed { tasks, took: turn.took });
        }
        for run in turn.tasks {
            self.soft.running.remove(run);
        }
        self.out.effects.push(Effect::Ack { session, report: number });
        if !turn.stale.is_empty() {
            self.out.effects.push(Effect::Stale { session, leases: turn.stale });
        }
        self.feed(session);
    }

    /// Takes back leases that have not started.
    pub(super) fn give_back(&mut self, now: Now, session: SessionId, leases: &[LeaseRun]) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        // A worker may name a lease twice; only what is still there is given back.
        let (mut left, mut found) = (known.clone(), Vec::new());
        for run in leases {
            for (lease, tasks) in left.find(*run) {
                left.drop_run(lease, tasks);
                found.push((lease, tasks));
            }
        }
        self.end_leases(now, session, found, |task, _| retry::after_release(task));
    }

    /// Ends all leases of a session that was silent past its term.
    pub(super) fn expire(&mut self, now: Now, session: SessionId) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let held: Vec<_> = known.held().collect();
        self.end_leases(now, session, held, |task, started| {
            if started { retry::after_loss(task) } else { retry::after_release(task) }
        });
    }

    fn end_leases(
        &mut self,
        now: Now,
        session: SessionId,
        held: Vec<(LeaseId, TaskRun)>,
        follow: impl Fn(&super::task::Task, bool) -> (Charge, Next),
    ) {
        let mut moves: Vec<Move> = Vec::new();
        for (lease, run) in &held {
            for (place, id) in run.ids().enumerate() {
                let started = self.soft.running.contains(id);
                let (charge, next) = follow(&self.ledger.task(id), started);
                let first = lease.plus(place as u64);
                match moves.last_mut() {
                    Some(open)
                        if (open.charge, open.next) == (charge, next)
                            && open.leases.first.plus(u64::from(open.leases.count)) == first =>
                    {
                        open.leases.count += 1;
                    }
                    _ => {
                        let leases = LeaseRun { first, count: 1 };
                        moves.push(Move { leases, outcome: Outcome::Lost, charge, next });
                    }
                }
            }
        }
        if !moves.is_empty() {
            self.commit_closed(now, Event::Closed { session, report: None, moves, at: now.wall });
        }
        for (_, run) in held {
            self.soft.running.remove(run);
        }
    }

    pub(super) fn output_came(&mut self, session: SessionId, lease: LeaseId) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        if let Some((_, run)) = known.find(LeaseRun { first: lease, count: 1 }).first().copied() {
            self.commit(Event::OutputKept { task: run.first });
        }
        self.out.effects.push(Effect::OutputStored { session, lease });
    }

    /// Returns the task and attempt that a session runs under a lease.
    pub fn attempt_of(
        &self,
        session: SessionId,
        lease: LeaseId,
    ) -> Option<(ganger_proto::TaskId, u32)> {
        let known = self.ledger.sessions.get(&session)?;
        let (_, run) = known.find(LeaseRun { first: lease, count: 1 }).first().copied()?;
        Some((run.first, u32::from(self.ledger.task(run.first).attempt)))
    }
}

/// Leaves out what a report says of a lease a second time: a lease has one end, and a worker that
/// keeps to the protocol says one.
fn leave_out_repeats(report: &mut Report) {
    let runs = report.done.iter().map(|run| (run.first, run.results.len() as u64));
    let named = runs.chain(report.ended.iter().map(|ended| (ended.lease, 1)));
    let apart = |a: &(LeaseId, u64), b: &(LeaseId, u64)| a.0.plus(a.1) <= b.0;
    if named.clone().is_sorted_by(apart) {
        return;
    }
    let mut all: Vec<(LeaseId, u64)> = named.collect();
    all.sort_unstable();
    if all.is_sorted_by(apart) {
        return;
    }
    let mut seen = BTreeSet::new();
    report.done.retain(|run| {
        let leases = (0..run.results.len() as u64).map(|place| run.first.plus(place));
        let is_news = leases.clone().all(|lease| !seen.contains(&lease));
        if is_news {
            seen.extend(leases);
        }
        is_news
    });
    report.ended.retain(|ended| seen.insert(ended.lease));
}

/// What one report gives.
#[derive(Default)]
struct ReportTurn {
    moves: Vec<Move>,
    tasks: Vec<TaskRun>,
    /// How long each of these tasks took.
    took: Vec<u16>,
    block: Block,
    stale: Vec<LeaseRun>,
    /// Leases that are not to be tried again, in rising order.
    for_good: Vec<LeaseId>,
}

#[cfg(test)]
mod tests {
    use ganger_proto::Epoch;
    use ganger_proto::message::DoneRun;

    use super::*;

    /// Says what is left of a report of runs and single ends, by the counters of their leases.
    fn check(done: &[(u64, usize)], ended: &[u64], left: &str) {
        let lease = |counter| LeaseId { epoch: Epoch::new(1), counter };
        let run = |&(first, count): &(u64, usize)| DoneRun {
            first: lease(first),
            took_us: vec![1; count],
            results: std::iter::repeat_n(&b"a"[..], count).collect(),
        };
        let end = |&counter: &u64| Ended::bare(lease(counter), Outcome::TimedOut, 1);
        let mut report = Report {
            done: done.iter().map(run).collect(),
            ended: ended.iter().map(end).collect(),
            ..Report::default()
        };
        leave_out_repeats(&mut report);
        let done = report.done.iter().map(|run| (run.first.counter, run.results.len()));
        let ended = report.ended.iter().map(|ended| ended.lease.counter);
        assert_eq!(format!("{:?} {:?}", Vec::from_iter(done), Vec::from_iter(ended)), left);
    }

    #[test]
    fn a_report_says_one_thing_of_a_lease() {
        check(&[(1, 3), (4, 2)], &[9, 7, 8], "[(1, 3), (4, 2)] [9, 7, 8]");
        check(&[(4, 2), (1, 3)], &[], "[(4, 2), (1, 3)] []");
        check(&[(1, 3), (3, 2), (5, 1)], &[2, 4, 5], "[(1, 3), (5, 1)] [4]");
        check(&[], &[7, 8, 7], "[] [7, 8]");
        check(&[(u64::MAX, 2)], &[1], "[(18446744073709551615, 2)] [1]");
    }
}
