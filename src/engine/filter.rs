//! Filters over the indexes: every term is a set or a range, so that a filter costs a few bitmap
//! operations whatever the number of tasks.

use std::borrow::Cow;

use ganger_proto::filter::Test;
use ganger_proto::{Actor, Filter, Refusal, Role, Select, TaskId, TaskState};

use super::Engine;
use super::ledger::{KIND_WORDS, Ledger};
use super::runs::{IdSet, TaskRun};
use super::task::State;

impl Engine {
    /// Returns the tasks that match.
    pub fn matching(&self, filter: &Filter) -> Cow<'_, IdSet> {
        let mut found: Option<Cow<'_, IdSet>> = None;
        for term in filter.terms.iter().filter(|term| !term.negated) {
            let these = self.of_test(&term.test);
            found = Some(match found {
                None => these,
                Some(before) => Cow::Owned(before.and(&these)),
            });
        }
        let mut found = found.unwrap_or_else(|| Cow::Owned(self.ledger.all_tasks()));
        for term in filter.terms.iter().filter(|term| term.negated) {
            found = Cow::Owned(found.minus(&self.of_test(&term.test)));
        }
        found
    }

    fn of_test(&self, test: &Test) -> Cow<'_, IdSet> {
        let ledger = &self.ledger;
        match test {
            Test::State(states) => self.of_states(states),
            Test::Batch(ids) => {
                let runs = ids.iter().flat_map(|id| ledger.batches.runs_of(*id));
                Cow::Owned(present(ledger, runs))
            }
            Test::Queue(names) => union(
                ledger.queues.iter().filter(|queue| names.iter().any(|n| n == queue.name.as_str())),
                |queue| &queue.tasks,
            ),
            Test::Kind(words) => {
                let kinds = KIND_WORDS.iter().zip(&ledger.by_kind);
                union(kinds.filter(|(word, _)| words.iter().any(|w| w == *word)), |(_, set)| set)
            }
            Test::Worker(names) => union(
                ledger.workers.values().filter(|w| names.iter().any(|n| n == w.name.as_str())),
                |worker| &worker.tasks,
            ),
            Test::Id(from, to) => {
                let end = to.raw().min(ledger.next_task.saturating_sub(1));
                let run = TaskRun { first: *from, count: (end + 1).saturating_sub(from.raw()) };
                Cow::Owned(present(ledger, (run.count > 0).then_some(run)))
            }
        }
    }

    fn of_states(&self, states: &[TaskState]) -> Cow<'_, IdSet> {
        let whole = |state| Cow::Borrowed(self.ledger.in_state(state));
        let leased = self.ledger.in_state(State::Leased);
        let mut sets = states.iter().map(|state| match state {
            TaskState::Delayed => whole(State::Delayed),
            TaskState::Queued => whole(State::Queued),
            TaskState::Sent => Cow::Owned(leased.minus(&self.soft.running)),
            TaskState::Running => Cow::Borrowed(&self.soft.running),
            TaskState::Done => whole(State::Done),
            TaskState::Failed => whole(State::Failed),
            TaskState::Cancelled => whole(State::Cancelled),
        });
        let Some(mut found) = sets.next() else { return Cow::Owned(IdSet::default()) };
        for set in sets {
            found.to_mut().extend(&set);
        }
        found
    }

    /// Returns the tasks that a command is about; a submitter's commands reach its own alone.
    pub(super) fn selected(&self, actor: &Actor, select: &Select) -> Result<IdSet, Refusal> {
        let found = match select {
            Select::Tasks(ids) => {
                let found: IdSet = ids.iter().copied().collect();
                let gone = ids.iter().find(|id| self.ledger.task(**id).state == State::Absent);
                if let Some(gone) = gone {
                    return Err(Refusal::NoTask(*gone));
                }
                found
            }
            Select::Batch(id) => {
                if !self.ledger.batches.all.contains_key(id) {
                    return Err(Refusal::NoBatch(*id));
                }
                present(&self.ledger, self.ledger.batches.runs_of(*id))
            }
            Select::Matching(filter) => self.matching(filter).into_owned(),
        };
        if actor.role == Role::Submitter {
            let all = self.ledger.batches.all.iter();
            let own = all.filter(|(_, batch)| batch.owner == *actor).map(|(id, _)| *id);
            let own: IdSet = own.flat_map(|id| self.ledger.batches.runs_of(id)).collect();
            let theirs = found.minus(&own);
            if !theirs.is_empty() && !matches!(select, Select::Matching(_)) {
                let operation = "change the tasks of somebody else".to_owned();
                return Err(Refusal::Forbidden { operation, role: actor.role });
            }
            return Ok(found.and(&own));
        }
        Ok(found)
    }
}

/// Returns those tasks of the runs that are there.
fn present(ledger: &Ledger, runs: impl IntoIterator<Item = TaskRun>) -> IdSet {
    let wanted: IdSet = runs.into_iter().collect();
    let mut found = IdSet::default();
    for state in State::PRESENT {
        found.extend(&wanted.and(ledger.in_state(state)));
    }
    found
}

/// Joins sets; one alone is not copied.
fn union<'a, T>(items: impl Iterator<Item = T>, set: impl Fn(T) -> &'a IdSet) -> Cow<'a, IdSet> {
    let mut sets = items.map(set);
    let Some(first) = sets.next() else { return Cow::Owned(IdSet::default()) };
    let mut found = Cow::Borrowed(first);
    for next in sets {
        found.to_mut().extend(next);
    }
    found
}

/// Returns a window's first row and its tasks: rows of `set` from `start` on.
pub(super) fn window(
    set: &IdSet,
    start: ganger_proto::picture::Start,
    rows: u32,
) -> (u64, Vec<TaskId>) {
    use ganger_proto::picture::Start;
    let rows = u64::from(rows);
    let last = set.len().saturating_sub(rows);
    let first = match start {
        Start::First => 0,
        Start::Last => last,
        Start::Task { task, offset } => {
            let place = set.rank(task).min(set.len().saturating_sub(1));
            place.saturating_add_signed(offset).min(last)
        }
    };
    let Some(from) = set.select(first) else { return (0, Vec::new()) };
    let ids = set.runs_from(from).flat_map(TaskRun::ids).take(rows as usize).collect();
    (first, ids)
}
