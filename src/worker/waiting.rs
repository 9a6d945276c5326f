//! Granted tasks that wait for a slot, kept as the runs they came in. PURE. Starts nothing; see
//! core.rs.

use std::collections::VecDeque;

use ganger_proto::message::{GrantRun, LeaseRun};
use ganger_proto::{LeaseId, SpecId};

/// Runs of granted tasks in the order they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    runs: VecDeque<Run>,
    tasks: u64,
}

/// A run of which the first tasks may be gone.
#[derive(Debug)]
struct Run {
    grant: GrantRun,
    gone: u64,
}

impl Waiting {
    /// Adds a run at the end.
    pub(super) fn push(&mut self, grant: GrantRun) {
        self.tasks += grant.args.count();
        if grant.args.count() > 0 {
            self.runs.push_back(Run { grant, gone: 0 });
        }
    }

    /// Adds a run that was taken before, among the others where its leases have it.
    pub(super) fn put_back(&mut self, grant: GrantRun) {
        self.tasks += grant.args.count();
        if grant.args.count() > 0 {
            let later = self.runs.iter().position(|run| run.lease() > grant.lease);
            self.runs.insert(later.unwrap_or(self.runs.len()), Run { grant, gone: 0 });
        }
    }

    /// Returns how many tasks wait.
    pub(super) fn tasks(&self) -> u64 {
        self.tasks
    }

    /// Returns the spec of the next task.
    pub(super) fn next_spec(&self) -> Option<SpecId> {
        self.runs.front().map(|run| run.grant.spec)
    }

    /// Takes the next task and up to `most` of its own run with it.
    pub(super) fn take(&mut self, most: u64) -> Option<GrantRun> {
        let run = self.runs.front_mut()?;
        let count = run.left().min(most);
        let part = run.part(0, count);
        run.gone += count;
        self.tasks -= count;
        if run.left() == 0 {
            self.runs.pop_front();
        }
        Some(part)
    }

    /// Takes out the tasks of these leases wherever they wait, in one pass, and returns which were
    /// there.
    pub(super) fn remove(&mut self, leases: &[LeaseRun]) -> Vec<LeaseRun> {
        let asked = ranges(leases);
        let mut removed = Vec::new();
        let mut kept = VecDeque::with_capacity(self.runs.len());
        for run in self.runs.drain(..) {
            let own = run.lease();
            let passed = |range: &Range| (range.first.epoch, range.end) <= (own.epoch, own.counter);
            let mut at = 0;
            for range in &asked[asked.partition_point(passed)..] {
                let (start, end) = run.overlap(range);
                if start >= end {
                    break;
                }
                if start > at {
                    kept.push_back(Run { grant: run.part(at, start - at), gone: 0 });
                }
                removed.push(run_of(own.plus(start), end - start));
                at = end;
            }
            match run.left() - at {
                0 => {}
                _ if at == 0 => kept.push_back(run),
                left => kept.push_back(Run { grant: run.part(at, left), gone: 0 }),
            }
        }
        self.runs = kept;
        self.tasks -= removed.iter().map(|run| u64::from(run.count)).sum::<u64>();
        removed
    }

    /// Returns the leases of all that wait.
    pub(super) fn leases(&self) -> Vec<LeaseRun> {
        self.runs.iter().map(|run| run_of(run.lease(), run.left())).collect()
    }

    /// Takes out everything.
    pub(super) fn clear(&mut self) -> Vec<LeaseRun> {
        let leases = self.leases();
        *self = Self::default();
        leases
    }
}

impl Run {
    fn left(&self) -> u64 {
        self.grant.args.count() - self.gone
    }

    fn lease(&self) -> LeaseId {
        self.grant.lease.plus(self.gone)
    }

    /// Returns `count` of the tasks that are left, from the `skip`th on.
    fn part(&self, skip: u64, count: u64) -> GrantRun {
        part(&self.grant, self.gone + skip, count)
    }

    /// Returns which of the tasks that are left have these leases, as a half-open range.
    fn overlap(&self, leases: &Range) -> (u64, u64) {
        let own = self.lease();
        if own.epoch != leases.first.epoch {
            return (0, 0);
        }
        let start = leases.first.counter.saturating_sub(own.counter);
        (start, leases.end.saturating_sub(own.counter).min(self.left()))
    }
}

/// Returns `count` tasks of a run, from the `skip`th on.
pub(super) fn part(run: &GrantRun, skip: u64, count: u64) -> GrantRun {
    GrantRun {
        lease: run.lease.plus(skip),
        task: run.task.plus(skip),
        batch: run.batch,
        index: run.index.saturating_add(skip),
        attempt: run.attempt,
        spec: run.spec,
        args: run.args.slice(skip, count),
    }
}

/// Leases of one epoch, up to before the counter `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    first: LeaseId,
    end: u64,
}

/// Returns runs of leases in rising order, joined where they touch or overlap.
fn ranges(leases: &[LeaseRun]) -> Vec<Range> {
    let some = leases.iter().filter(|run| run.count > 0);
    let end = |run: &LeaseRun| run.first.counter.saturating_add(run.count.into());
    let mut all: Vec<Range> = some.map(|run| Range { first: run.first, end: end(run) }).collect();
    all.sort_unstable();
    all.dedup_by(|next, range| {
        let touches = next.first.epoch == range.first.epoch && next.first.counter <= range.end;
        if touches {
            range.end = range.end.max(next.end);
        }
        touches
    });
    all
}

fn run_of(first: LeaseId, count: u64) -> LeaseRun {
    let count = u32::try_from(count).expect("a worker holds at most HOLD_TASKS_MAX tasks");
    LeaseRun { first, count }
}

/// Returns the last lease of a run; the first when it is empty.
pub(super) fn last_of(run: LeaseRun) -> LeaseId {
    run.first.plus(u64::from(run.count.saturating_sub(1)))
}

/// Joins leases in rising order to runs.
pub(super) fn join(leases: impl IntoIterator<Item = LeaseId>) -> Vec<LeaseRun> {
    let mut runs: Vec<LeaseRun> = Vec::new();
    for lease in leases {
        match runs.last_mut() {
            Some(run) if run.first.plus(run.count.into()) == lease => run.count += 1,
            Some(_) | None => runs.push(LeaseRun { first: lease, count: 1 }),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Args, BatchId, Epoch, TaskId};

    use super::*;

    fn lease(counter: u64) -> LeaseId {
        LeaseId { epoch: Epoch::new(1), counter }
    }

    fn run_at(counter: u64, count: u32) -> LeaseRun {
        LeaseRun { first: lease(counter), count }
    }

    fn grant(first: u64, count: u64) -> GrantRun {
        GrantRun {
            lease: lease(first),
            task: TaskId::new(first * 10),
            batch: BatchId::new(1),
            index: 0,
            attempt: 1,
            spec: SpecId::new(1),
            args: Args::Range { first: 100, step: 1, count },
        }
    }

    fn text(runs: &[LeaseRun]) -> String {
        let each = runs.iter().map(|r| format!("{}+{}", r.first.counter, r.count));
        each.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tasks_are_taken_in_order() {
        let mut waiting = Waiting::default();
        waiting.push(grant(1, 3));
        waiting.push(grant(9, 0));
        waiting.push(grant(20, 2));
        let one = waiting.take(1).unwrap();
        assert_eq!((one.lease, one.task.raw(), one.args.count()), (lease(1), 10, 1));
        let rest = waiting.take(512).unwrap();
        assert_eq!((rest.lease, rest.task.raw(), rest.index), (lease(2), 11, 1));
        assert_eq!(rest.args, Args::Range { first: 101, step: 1, count: 2 });
        assert_eq!(text(&waiting.leases()), "20+2");
        assert_eq!(waiting.tasks(), 2);
    }

    #[test]
    fn leases_are_removed_wherever_they_are() {
        type Asked<'a> = &'a [(u64, u32)];
        let cases: [(Asked<'_>, &str, &str); 11] = [
            (&[(1, 2)], "1+2", "3+4 20+2"),
            (&[(3, 1)], "3+1", "1+2 4+3 20+2"),
            (&[(5, 100)], "5+2 20+2", "1+4"),
            (&[(0, 1)], "", "1+6 20+2"),
            (&[(7, 5)], "", "1+6 20+2"),
            (&[(0, u32::MAX)], "1+6 20+2", ""),
            (&[(21, 1), (5, 1), (2, 1)], "2+1 5+1 21+1", "1+1 3+2 6+1 20+1"),
            (&[(2, 3), (3, 1), (4, 2), (99, 1)], "2+4", "1+1 6+1 20+2"),
            (&[(1, 3), (4, 3)], "1+6", "20+2"),
            (&[(2, 0), (u64::MAX, 9)], "", "1+6 20+2"),
            (&[], "", "1+6 20+2"),
        ];
        for (asked, removed, left) in cases {
            let mut waiting = Waiting::default();
            waiting.push(grant(1, 6));
            waiting.push(grant(20, 2));
            let asked: Vec<LeaseRun> = asked.iter().map(|(at, n)| run_at(*at, *n)).collect();
            let gone = waiting.remove(&asked);
            assert_eq!((text(&gone).as_str(), text(&waiting.leases()).as_str()), (removed, left));
            let tasks: u64 = waiting.leases().iter().map(|r| u64::from(r.count)).sum();
            assert_eq!(tasks, waiting.tasks());
        }
        let mut waiting = Waiting::default();
        waiting.push(grant(1, 6));
        waiting.take(2);
        let other = LeaseId { epoch: Epoch::new(2), counter: 1 };
        let gone = waiting.remove(&[LeaseRun { first: other, count: 6 }, run_at(1, 3)]);
        assert_eq!((text(&gone).as_str(), text(&waiting.leases()).as_str()), ("3+1", "4+3"));
        assert_eq!(waiting.take(1).unwrap().args, Args::Range { first: 103, step: 1, count: 1 });
    }

    #[test]
    fn neighbours_become_runs() {
        assert_eq!(text(&join([1, 2, 3, 5, 7, 8].map(lease))), "1+3 5+1 7+2");
    }
}
