//! What time brings: sessions that stay silent, tasks that come due, attempts past their limit,
//! batches past their retention.

use ganger_proto::gang::What;
use ganger_proto::message::LeaseRun;
use ganger_proto::picture::WorkerState;
use ganger_proto::{BatchId, LeaseId, Outcome, TaskId};

use super::Engine;
use super::event::{Change, Event, Move};
use super::input::Effect;
use super::retry;
use super::roster::{lease_runs, term_clock};
use super::runs::{IdSet, TaskRun, coalesce};
use super::task::State;
use crate::clock::Now;

/// How often old batches are looked for, in milliseconds.
const RETENTION_EVERY_MS: u64 = 60_000;
/// How soon more of them are removed when there are many, in milliseconds.
const RETENTION_SLICE_MS: u64 = 50;
/// Tasks removed at once, about: whole batches, until there are so many. Everybody waits meanwhile.
const RETENTION_TASKS: u64 = 20_000;
/// Times of ended attempts that are kept until they come, at most, beside as many as run.
const TIMEOUTS_SPARE: u64 = 1_024;

/// Whether everything past its retention is gone.
enum Retained {
    /// It is.
    All,
    /// More is to be removed.
    Part,
}

impl Engine {
    /// Returns when [`Input::Tick`](super::Input::Tick) is due, on the monotonic clock.
    pub fn wake_at(&self, now: Now) -> u64 {
        let due = self.ledger.due.first().map(|(at, _)| now.mono_ms + at.since(now.wall));
        let deadline = self.soft.deadlines.first().map(|(at, _)| *at);
        let timeout = self.soft.timeouts.first().map(|(at, ..)| *at);
        let pace = self.soft.pace.wake_at();
        let (again, asked) = (self.soft.again.wake_at(), self.soft.asked.wake_at());
        let times = [due, deadline, timeout, pace, again, asked, Some(self.soft.retention_ms)];
        times.into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    pub(super) fn tick(&mut self, now: Now) {
        self.due(now);
        self.silent(now);
        self.overdue(now);
        self.wake_due(now);
        self.rebalance(now);
        if now.mono_ms >= self.soft.retention_ms {
            let next = match self.retain(now) {
                Retained::All => RETENTION_EVERY_MS,
                Retained::Part => RETENTION_SLICE_MS,
            };
            self.soft.retention_ms = now.mono_ms + next;
        }
    }

    fn due(&mut self, now: Now) {
        let mut due = IdSet::default();
        while let Some((at, run)) = self.ledger.due.first().copied() {
            if at > now.wall {
                break;
            }
            self.ledger.due.pop_first();
            let delayed = [run].into_iter().collect::<IdSet>();
            let delayed = delayed.and(self.ledger.in_state(State::Delayed));
            let ids = delayed.runs().flat_map(TaskRun::ids);
            for run in coalesce(ids.filter(|id| self.ledger.task(*id).at == at)) {
                due.insert(run);
            }
        }
        if !due.is_empty() {
            let tasks = due.runs().collect();
            self.commit(Event::Set { tasks, to: Change::Due, at: now.wall });
        }
    }

    fn silent(&mut self, now: Now) {
        while let Some((at, session)) = self.soft.deadlines.first().copied() {
            if at > term_clock(now) {
                break;
            }
            self.soft.deadlines.pop_first();
            let Some(live) = self.soft.live.get_mut(&session) else { continue };
            if live.deadline_ms > term_clock(now) {
                self.soft.deadlines.insert((live.deadline_ms, session));
                continue;
            }
            live.silent = true;
            let connected = live.connected;
            self.look_again();
            let held = self
                .ledger
                .sessions
                .get(&session)
                .map(|known| lease_runs(known.held().map(|(lease, run)| (lease, run.count))));
            self.expire(now, session);
            let runs = held.iter().flatten();
            let holds = runs.map(|run| u64::from(run.count)).sum();
            self.note_of(now, session, What::Lost { holds });
            if connected {
                // It is still there: when it hears this, it stops what is not its own any more.
                if let Some(leases) = held.filter(|leases| !leases.is_empty()) {
                    self.out.effects.push(Effect::Stale { session, leases });
                }
            } else {
                self.say_gone(now, session, WorkerState::Lost);
                self.end_session(session);
            }
        }
    }

    /// Notes that attempts have started, and when those with a time limit must have ended: once,
    /// however often their worker says it.
    pub(super) fn note_started(&mut self, now: Now, tasks: TaskRun) {
        for (batch, part) in self.ledger.batches.parts(tasks) {
            let limit = self.ledger.batches.spec_of(batch).timeout_ms;
            if limit == 0 {
                continue;
            }
            let at =
                now.mono_ms.saturating_add(limit).saturating_add(self.settings.timeout_slack_ms);
            let fresh = part.ids().filter(|id| !self.soft.running.contains(*id));
            let leased = fresh.map(|id| (at, id, self.ledger.task(id).lease_id()));
            self.soft.timeouts.extend(leased);
        }
        self.soft.running.insert(tasks);
        self.sweep_timeouts();
    }

    /// Forgets the times of attempts that have ended, when most of them have: they would stay until
    /// then.
    fn sweep_timeouts(&mut self) {
        let Self { ledger, soft, .. } = self;
        if soft.timeouts.len() as u64 > 2 * soft.running.len() + TIMEOUTS_SPARE {
            let running = &soft.running;
            soft.timeouts.retain(|(_, id, lease)| {
                running.contains(*id) && ledger.task(*id).lease_id() == *lease
            });
        }
    }

    /// Gives up attempts whose worker should have ended them and did not.
    fn overdue(&mut self, now: Now) {
        while let Some((at, id, lease)) = self.soft.timeouts.first().copied() {
            if at > now.mono_ms {
                break;
            }
            self.soft.timeouts.pop_first();
            if self.soft.running.contains(id) && self.ledger.task(id).lease_id() == lease {
                self.give_up(now, id);
            }
        }
    }

    fn give_up(&mut self, now: Now, id: TaskId) {
        let task = self.ledger.task(id);
        let Some(session) = self.ledger.holder(&task) else { return };
        let Some((batch, _)) = self.ledger.batches.of_task(id) else { return };
        let first: LeaseId = task.lease_id();
        let leases = LeaseRun { first, count: 1 };
        let outcome = Outcome::TimedOut;
        let options = &self.ledger.batches.known(batch).options;
        let (charge, next) =
            retry::after_report(&task, outcome, options, now.wall, &mut self.soft.rng);
        let moves = vec![Move { leases, outcome, charge, next }];
        self.commit_closed(now, Event::Closed { session, report: None, moves, at: now.wall });
        self.soft.running.remove(TaskRun::one(id));
        self.out.effects.push(Effect::Stale { session, leases: vec![leases] });
        self.feed(session);
    }

    /// Removes whole ended batches past their retention, the oldest first, a slice of them. What
    /// has ended of a batch that has not counts for nothing: it cannot be removed.
    fn retain(&mut self, now: Now) -> Retained {
        self.trim_pace();
        let finished = self.ledger.finished;
        let mut over = finished.saturating_sub(self.settings.keep_tasks);
        let mut full = finished.saturating_sub(self.settings.tasks_max / 2);
        let mut old: Vec<BatchId> = Vec::new();
        let (mut tasks, mut retained) = (0, Retained::All);
        for (id, batch) in &self.ledger.batches.all {
            if !batch.is_finished() {
                continue;
            }
            let age = now.wall.since(batch.newest_end.max(batch.submitted));
            let keep = if batch.tally.of(State::Failed) > 0 {
                self.settings.keep_failed_ms
            } else {
                self.settings.keep_done_ms
            };
            let many = full > 0 || (over > 0 && age > self.settings.keep_least_ms);
            if many || age > keep {
                if tasks >= RETENTION_TASKS {
                    retained = Retained::Part;
                    break;
                }
                tasks += batch.tally.ended();
                over = over.saturating_sub(batch.tally.ended());
                full = full.saturating_sub(batch.tally.ended());
                old.push(*id);
            }
        }
        for id in old {
            let tasks: Vec<TaskRun> = self.ledger.batches.runs_of(id).collect();
            self.commit(Event::Removed { tasks });
        }
        retained
    }
}
