//! How fast batches may go: so many tasks at once, so many starts in a time, over all workers; and
//! what leases take of a session's room. Soft: a restart counts anew.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::spec::Rate;
use ganger_proto::{BatchId, Lane, SessionId, TaskId};

use super::Engine;
use super::class::Used;
use super::event::{Charge, Event, Move, Next};
use super::queue::Spot;
use super::runs::TaskRun;
use super::task::State;
use crate::clock::Now;

/// A batch that was slower than its rate may make up for so long, in milliseconds.
const BURST_MS: u64 = 50;
/// For so long a task that failed is kept from the worker where it did, in milliseconds, when
/// another one may have it.
const ELSEWHERE_MS: u64 = 2_000;

/// Starts that a batch may make: a bucket of tokens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// What has run in: `rate.per_ms` is one start, each millisecond brings `rate.starts`.
    credit: u64,
    filled_ms: u64,
}

impl Bucket {
    /// Returns a bucket with one start in it.
    const fn new(rate: Rate, now_ms: u64) -> Self {
        Self { rate, credit: rate.per_ms as u64, filled_ms: now_ms }
    }

    fn fill(&mut self, now_ms: u64) {
        let came = now_ms.saturating_sub(self.filled_ms).saturating_mul(self.rate.starts.into());
        let most = u64::from(self.rate.per_ms).max(u64::from(self.rate.starts) * BURST_MS);
        self.credit = self.credit.saturating_add(came).min(most);
        self.filled_ms = now_ms;
    }

    fn starts(&self) -> u64 {
        self.credit / u64::from(self.rate.per_ms)
    }

    fn take(&mut self, starts: u64) {
        self.credit = self.credit.saturating_sub(starts * u64::from(self.rate.per_ms));
    }

    /// Returns when there is a start in it.
    fn ready_ms(&self) -> u64 {
        let missing = u64::from(self.rate.per_ms).saturating_sub(self.credit);
        self.filled_ms + missing.div_ceil(self.rate.starts.into())
    }
}

/// The batches with a rate, and when those that rest go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    buckets: BTreeMap<BatchId, Bucket>,
    naps: BTreeSet<(u64, BatchId)>,
}

impl Pace {
    /// Returns when a batch goes on, on the monotonic clock.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.naps.first().map(|(at, _)| *at)
    }

    /// Returns when a batch that its rate holds back goes on.
    pub(super) fn nap_of(&self, batch: BatchId) -> Option<u64> {
        self.naps.iter().find(|(_, id)| *id == batch).map(|(at, _)| *at)
    }
}

/// Tasks that failed and had better run elsewhere, for a while.
#[derive(Clone, Debug, Default)]
pub(super) struct Again {
    until_ms: BTreeMap<TaskId, u64>,
    due: BTreeSet<(u64, TaskId)>,
}

impl Again {
    /// Returns how many there are.
    pub(super) fn len(&self) -> usize {
        self.until_ms.len()
    }

    /// Tells whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.until_ms.is_empty()
    }

    /// Tells whether a task still waits for another worker.
    pub(super) fn waits(&self, now: Now, task: TaskId) -> bool {
        self.until_ms.get(&task).is_some_and(|until| *until > now.mono_ms)
    }

    /// Returns when one no longer does, on the monotonic clock.
    pub(super) fn wake_at(&self) -> Option<u64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Forgets tasks that somebody has.
    pub(super) fn leased(&mut self, runs: &[TaskRun]) {
        if self.is_empty() {
            return;
        }
        for id in runs.iter().flat_map(|run| run.ids()) {
            self.forget(id);
        }
    }

    fn forget(&mut self, id: TaskId) {
        if let Some(until) = self.until_ms.remove(&id) {
            self.due.remove(&(until, id));
        }
    }

    fn keep(&mut self, id: TaskId, until: u64) {
        self.forget(id);
        self.until_ms.insert(id, until);
        self.due.insert((until, id));
    }

    /// Forgets what has waited long enough; tells whether there was any.
    fn expire(&mut self, now_ms: u64) -> bool {
        let mut any = false;
        while let Some((at, id)) = self.due.first().copied() {
            if at > now_ms {
                break;
            }
            self.forget(id);
            any = true;
        }
        any
    }
}

impl Engine {
    /// Returns how many tasks of a batch may start now.
    pub(super) fn may_start(&mut self, now: Now, batch: BatchId) -> u64 {
        let known = self.ledger.batches.known(batch);
        if let Some(rate) = known.options.rate {
            let fresh = || Bucket::new(rate, now.mono_ms);
            self.soft.pace.buckets.entry(batch).or_insert_with(fresh).fill(now.mono_ms);
        }
        let by_jobs = match known.options.jobs_max {
            0 => u64::MAX,
            most => u64::from(most).saturating_sub(known.tally.of(State::Leased)),
        };
        let by_rate = match known.options.rate {
            None => u64::MAX,
            Some(_) => self.soft.pace.buckets.get(&batch).map_or(0, Bucket::starts),
        };
        by_jobs.min(by_rate)
    }

    /// Gives a batch no turns until it may start something.
    pub(super) fn rest(&mut self, now: Now, spot: Spot) {
        let queue = self.ledger.queue_of(spot.batch);
        self.ledger.queues[queue].rest(spot.batch, spot.class);
        if let Some(bucket) = self.soft.pace.buckets.get(&spot.batch)
            && bucket.starts() == 0
        {
            let at = bucket.ready_ms().max(now.mono_ms + 1);
            self.soft.pace.naps.insert((at, spot.batch));
        }
    }

    fn wake(&mut self, batch: BatchId) {
        if let Some(known) = self.ledger.batches.all.get(&batch) {
            let class = known.class;
            let queue = self.ledger.queue_of(batch);
            self.ledger.queues[queue].wake(batch, class);
        }
    }

    /// Lets go on what rested long enough.
    pub(super) fn wake_due(&mut self, now: Now) {
        while let Some((at, batch)) = self.soft.pace.naps.first().copied() {
            if at > now.mono_ms {
                break;
            }
            self.soft.pace.naps.pop_first();
            self.wake(batch);
        }
        if self.soft.again.expire(now.mono_ms) {
            self.ledger.queues.iter_mut().for_each(super::queue::Queue::tell_news);
        }
    }

    /// A worker takes no more work: tasks that waited for it need not.
    pub(super) fn look_again(&mut self) {
        if !self.soft.again.is_empty() {
            self.ledger.queues.iter_mut().for_each(super::queue::Queue::tell_news);
        }
    }

    /// Forgets what was known of batches that are gone.
    pub(super) fn trim_pace(&mut self) {
        let all = &self.ledger.batches.all;
        self.soft.pace.buckets.retain(|batch, _| all.contains_key(batch));
        let batches = &self.ledger.batches;
        self.soft.short.retain(|spec| batches.spec(spec).is_some());
    }

    /// Takes note of tasks that a session was just granted.
    pub(super) fn take_room(&mut self, session: SessionId, spot: Spot, count: u64) {
        let class = self.ledger.batches.classes.get(spot.class);
        if let Some(live) = self.soft.live.get_mut(&session) {
            let lane = lane_of(live.profile.takes(class));
            live.used.add(class, lane, count);
        }
        if let Some(bucket) = self.soft.pace.buckets.get_mut(&spot.batch) {
            bucket.take(count);
        }
    }

    /// Takes note of leases that are about to end.
    pub(super) fn give_room(&mut self, now: Now, session: SessionId, moves: &[Move]) {
        let mut rested = BTreeSet::new();
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let batches = &self.ledger.batches;
        for step in moves {
            for (_, run) in known.found(step.leases) {
                for (batch, part) in batches.parts(run) {
                    let known = batches.known(batch);
                    if let Some(live) = self.soft.live.get_mut(&session) {
                        live.found_nothing = None;
                        let class = batches.classes.get(known.class);
                        let lane = lane_of(live.profile.takes(class));
                        live.used.sub(class, lane, part.count);
                    }
                    if known.options.jobs_max > 0 {
                        rested.insert(batch);
                    }
                }
                if let Some(until) = elsewhere_until(now, step) {
                    run.ids().for_each(|id| self.soft.again.keep(id, until));
                }
            }
        }
        rested.into_iter().for_each(|batch| self.wake(batch));
    }

    /// Counts anew what a session holds: it has just presented itself.
    pub(super) fn recount(&mut self, session: SessionId) {
        let Some(known) = self.ledger.sessions.get(&session) else { return };
        let Some(live) = self.soft.live.get_mut(&session) else { return };
        live.used = Used::default();
        let batches = &self.ledger.batches;
        for (_, run) in known.held() {
            for (batch, part) in batches.parts(run) {
                let class = batches.classes.get(batches.known(batch).class);
                live.used.add(class, lane_of(live.profile.takes(class)), part.count);
            }
        }
    }

    /// Commits an event that ends leases.
    pub(super) fn commit_closed(&mut self, now: Now, event: Event) {
        if let Event::Closed { session, moves, .. } = &event {
            self.give_room(now, *session, moves);
        }
        self.commit(event);
    }
}

/// The lane in which a task counts on a worker that does not take its class any more.
fn lane_of(taken: Result<Lane, super::class::Miss>) -> Lane {
    taken.unwrap_or_default()
}

fn elsewhere_until(now: Now, step: &Move) -> Option<u64> {
    let charged = matches!(step.charge, Charge::Failure | Charge::Loss);
    let from = match step.next {
        Next::Queued => 0,
        Next::Delayed(due) => due.since(now.wall),
        Next::Done | Next::Failed | Next::Cancelled => return None,
    };
    charged.then(|| now.mono_ms + from + ELSEWHERE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_its_rate() {
        let check =
            |starts, per_ms, step_ms: u64, for_ms: u64, expected: std::ops::RangeInclusive<u64>| {
                let mut bucket = Bucket::new(Rate { starts, per_ms }, 0);
                let mut count = 0;
                for at in (0..=for_ms).step_by(step_ms as usize) {
                    bucket.fill(at);
                    count += bucket.starts();
                    bucket.take(bucket.starts());
                }
                assert!(expected.contains(&count), "{starts}/{per_ms} every {step_ms}: {count}");
            };
        check(100, 1_000, 1, 30_000, 3_000..=3_001);
        check(100, 1_000, 37, 30_000, 2_990..=3_001);
        check(1, 60_000, 10, 600_000, 10..=11);
        check(100_000, 1_000, 1, 1_000, 100_000..=100_001);
        check(7, 1_000, 3, 10_000, 69..=71);
    }

    #[test]
    fn it_says_when_the_next_start_is_there() {
        let mut bucket = Bucket::new(Rate { starts: 4, per_ms: 1_000 }, 100);
        bucket.take(1);
        assert_eq!(bucket.ready_ms(), 350);
        bucket.fill(349);
        assert_eq!(bucket.starts(), 0);
        bucket.fill(350);
        assert_eq!(bucket.starts(), 1);
        bucket.fill(90_000);
        assert_eq!(bucket.starts(), 1, "what was not used is not saved up");
    }
}
