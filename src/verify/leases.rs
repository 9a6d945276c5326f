//! Who holds which leases, as runs of consecutive leases of consecutive tasks. Does not know
//! whether a lease may end; see moves.rs.

use std::collections::BTreeMap;

use ganger_proto::message::LeaseRun;
use ganger_proto::{LeaseId, SessionId, TaskId};

use crate::engine::runs::TaskRun;

/// Consecutive leases of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// The first lease; the others follow it as their tasks do.
    pub(super) first: LeaseId,
    /// Their tasks.
    pub(super) tasks: TaskRun,
    /// Who holds them.
    pub(super) session: SessionId,
}

/// All leases that are held.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    runs: BTreeMap<LeaseId, Held>,
    count: u64,
}

impl Leases {
    /// Adds leases that were just granted.
    pub(super) fn grant(&mut self, held: Held) {
        self.count += held.tasks.count;
        self.runs.insert(held.first, held);
    }

    /// Returns how many leases are held.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Takes leases away; returns those that were held, and the runs that nobody held.
    pub(super) fn take(&mut self, run: LeaseRun) -> (Vec<Held>, Vec<LeaseRun>) {
        let (mut taken, mut missing) = (Vec::new(), Vec::new());
        let (epoch, mut at) = (run.first.epoch, run.first.counter);
        let end = at.saturating_add(u64::from(run.count));
        while at < end {
            let lease = LeaseId { epoch, counter: at };
            let next = self.runs.range(..=lease).next_back().map(|(_, held)| *held);
            match next.filter(|held| held.first.epoch == epoch && at < end_of(held)) {
                Some(held) => {
                    let count = end_of(&held).min(end) - at;
                    taken.push(self.cut(held, at, count));
                    at += count;
                }
                None => {
                    let until = LeaseId { epoch, counter: end };
                    let next = self.runs.range(lease..until).next();
                    let to = next.map_or(end, |(first, _)| first.counter);
                    missing.push(LeaseRun { first: lease, count: (to - at) as u32 });
                    at = to;
                }
            }
        }
        (taken, missing)
    }

    /// Iterates over what is held, neighbours joined: two that hold the same give the same.
    pub(super) fn joined(&self) -> Vec<Held> {
        let mut all: Vec<Held> = Vec::new();
        for held in self.runs.values() {
            match all.last_mut() {
                Some(last)
                    if last.session == held.session
                        && last.first.plus(last.tasks.count) == held.first
                        && last.tasks.end() == held.tasks.first.raw() =>
                {
                    last.tasks.count += held.tasks.count;
                }
                _ => all.push(*held),
            }
        }
        all
    }

    /// Cuts `count` leases from `at` on out of a run that has them.
    fn cut(&mut self, held: Held, at: u64, count: u64) -> Held {
        self.runs.remove(&held.first);
        self.count -= count;
        let part = |from: u64, to: u64| Held {
            first: LeaseId { counter: from, ..held.first },
            tasks: TaskRun {
                first: TaskId::new(held.tasks.first.raw() + (from - held.first.counter)),
                count: to - from,
            },
            session: held.session,
        };
        for (from, to) in [(held.first.counter, at), (at + count, end_of(&held))] {
            if from < to {
                let rest = part(from, to);
                self.runs.insert(rest.first, rest);
            }
        }
        part(at, at + count)
    }
}

fn end_of(held: &Held) -> u64 {
    held.first.counter.saturating_add(held.tasks.count)
}

#[cfg(test)]
mod tests {
    use ganger_proto::Epoch;

    use super::*;

    fn held(epoch: u32, counter: u64, task: u64, count: u64) -> Held {
        Held {
            first: LeaseId { epoch: Epoch::new(epoch), counter },
            tasks: TaskRun { first: TaskId::new(task), count },
            session: SessionId::new(1),
        }
    }

    #[test]
    fn leases_are_taken_in_pieces_and_what_is_missing_is_said() {
        let mut leases = Leases::default();
        leases.grant(held(1, 1, 100, 10));
        leases.grant(held(1, 20, 500, 5));
        leases.grant(held(2, 1, 700, 4));
        let run =
            |epoch, counter, count| LeaseRun { first: held(epoch, counter, 0, 0).first, count };
        let (taken, missing) = leases.take(run(1, 4, 18));
        assert_eq!(taken, [held(1, 4, 103, 7), held(1, 20, 500, 2)]);
        assert_eq!(missing, [run(1, 11, 9)]);
        assert_eq!(leases.joined(), [held(1, 1, 100, 3), held(1, 22, 502, 3), held(2, 1, 700, 4)]);
        assert_eq!(leases.take(run(1, 4, 3)), (vec![], vec![run(1, 4, 3)]));
        assert_eq!(leases.take(run(2, 2, 1)).0, [held(2, 2, 701, 1)]);
        assert_eq!(leases.count(), 9);
        let far = LeaseRun { first: held(1, u64::MAX - 1, 0, 0).first, count: u32::MAX };
        assert_eq!(leases.take(far).0, []);
    }
}
