//! Filters over the indexes: every term that has one is a set or a range, so that it costs a few
//! bitmap operations whatever the number of tasks. Terms without one are looked for by sieve.rs.

use std::borrow::Cow;

use ganger_proto::filter::Test;
use ganger_proto::limits::SELECT_IDS_MAX;
use ganger_proto::picture::{Sort, TaskRow};
use ganger_proto::{Actor, Filter, Refusal, Role, Select, TaskId, TaskState};

use super::Engine;
use super::ledger::{KIND_WORDS, Ledger};
use super::runs::{IdSet, TaskRun};
use super::search::{Aim, Scope, Search, Slice};
use super::sieve::{Look, Place, Sieve};
use super::task::State;
use crate::clock::Now;

/// A page of a listing.
#[derive(Debug)]
pub struct Listed {
    /// The rows.
    pub rows: Vec<TaskRow>,
    /// How many match in all; none when that takes a search.
    pub total: Option<u64>,
    /// Where the next page goes on; none at the end.
    pub next: Option<TaskId>,
}

/// Steps that one page of a listing takes at most; see [`Engine::search`].
const PAGE_STEPS: u64 = 8_192;

impl Engine {
    /// Returns the tasks that the terms with an index leave.
    pub fn narrowed(&self, filter: &Filter) -> Cow<'_, IdSet> {
        let mut found: Option<Cow<'_, IdSet>> = None;
        let indexed = || filter.terms.iter().filter(|term| term.test.is_indexed());
        for term in indexed().filter(|term| !term.negated) {
            let these = self.of_test(&term.test);
            found = Some(match found {
                None => these,
                Some(before) => Cow::Owned(before.and(&these)),
            });
        }
        let mut found = found.unwrap_or_else(|| Cow::Owned(self.ledger.all_tasks()));
        for term in indexed().filter(|term| term.negated) {
            found = Cow::Owned(found.minus(&self.of_test(&term.test)));
        }
        found
    }

    /// Returns the tasks that match, however long it takes. A driver whose loop must go on has the
    /// tasks of a filter without an index found in slices; see [`Engine::search`].
    pub fn matching(&self, now: Now, filter: &Filter) -> IdSet {
        if filter.is_indexed() {
            return self.narrowed(filter).into_owned();
        }
        let mut search = Self::hunt(filter.clone());
        while self.search(now, &mut search, u64::MAX) == Slice::More {}
        search.into_ids()
    }

    /// Returns a search for everything that matches.
    pub fn hunt(filter: Filter) -> Search {
        Search::new(Aim { filter, sort: Sort::default(), scope: Scope::All })
    }

    /// Returns tasks after `after` that match, in id order. Looks at a bounded number of tasks.
    pub fn list(&self, now: Now, filter: &Filter, after: TaskId, rows: usize) -> Listed {
        let found = self.narrowed(filter);
        let mut sieve = Sieve::unindexed(filter);
        let total = sieve.is_open().then(|| found.len());
        let mut listed = Listed { rows: Vec::new(), total, next: None };
        let ids = found.runs_from(after.plus(1)).flat_map(TaskRun::ids);
        let (mut steps, mut near) = (0, None::<Place<'_>>);
        for id in ids {
            if listed.rows.len() >= rows || steps >= PAGE_STEPS {
                break;
            }
            listed.next = Some(id);
            near = near.filter(|place| place.has(id)).or_else(|| self.place_of(id));
            let Some(place) = near else { continue };
            let at = Look { engine: self, now, place };
            let passes = sieve.passes(&at, id, &self.ledger.task(id));
            steps += sieve.steps();
            if passes {
                listed.rows.extend(self.task_row(now, id));
            }
        }
        let over = |last: &TaskId| found.runs_from(last.plus(1)).next().is_none();
        listed.next = listed.next.filter(|last| !over(last));
        listed
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the sieve looks at what has no index")]
    fn of_test(&self, test: &Test) -> Cow<'_, IdSet> {
        let ledger = &self.ledger;
        match test {
            Test::State(states) => self.of_states(states),
            Test::Batch(ids) => {
                let runs = ids.iter().flat_map(|id| ledger.batches.runs_of(*id));
                Cow::Owned(present(ledger, runs))
            }
            Test::BatchName(names) => {
                let named = ledger.batches.all.iter();
                let named = named.filter(|(_, batch)| names.contains(&batch.options.name));
                let runs = named.flat_map(|(id, _)| ledger.batches.runs_of(*id));
                Cow::Owned(present(ledger, runs))
            }
            Test::Label { key, values } => union(
                ledger
                    .by_label
                    .values(key)
                    .filter(|(value, _)| values.is_empty() || values.iter().any(|v| v == value)),
                |(_, set)| set,
            ),
            Test::Priority(bound) => union(
                ledger.by_priority.iter().filter(|(p, _)| bound.holds(i64::from(*p))),
                |(_, set)| set,
            ),
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
            _ => Cow::Owned(ledger.all_tasks()),
        }
    }

    fn of_states(&self, states: &[TaskState]) -> Cow<'_, IdSet> {
        let whole = |state| Cow::Borrowed(self.ledger.in_state(state));
        let leased = self.ledger.in_state(State::Leased);
        let mut sets = states.iter().map(|state| match state {
            TaskState::Blocked => whole(State::Blocked),
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
    pub(super) fn selected(
        &self,
        now: Now,
        actor: &Actor,
        select: &Select,
    ) -> Result<IdSet, Refusal> {
        let found = match select {
            Select::Tasks(ids) if ids.len() > SELECT_IDS_MAX => {
                let text = format!("a command names at most {SELECT_IDS_MAX} tasks; name a batch");
                return Err(Refusal::Invalid(text));
            }
            Select::Tasks(ids) => {
                // First: a set cannot hold the largest number there is, which no task has.
                let gone = ids.iter().find(|id| self.ledger.task(**id).state == State::Absent);
                if let Some(gone) = gone {
                    return Err(Refusal::NoTask(*gone));
                }
                ids.iter().copied().collect()
            }
            Select::Batch(id) => {
                if !self.ledger.batches.all.contains_key(id) {
                    return Err(Refusal::NoBatch(*id));
                }
                present(&self.ledger, self.ledger.batches.runs_of(*id))
            }
            Select::Matching(filter) => self.matching(now, filter),
        };
        let own = self.own(actor, &found);
        if own.len() < found.len() && !matches!(select, Select::Matching(_)) {
            let operation = "change the tasks of somebody else".to_owned();
            return Err(Refusal::Forbidden { operation, role: actor.role });
        }
        Ok(own)
    }

    /// Returns those tasks that an actor's commands reach.
    fn own(&self, actor: &Actor, found: &IdSet) -> IdSet {
        if actor.role != Role::Submitter {
            return found.clone();
        }
        let all = self.ledger.batches.all.iter();
        let own = all.filter(|(_, batch)| batch.owner == *actor).map(|(id, _)| *id);
        let own: IdSet = own.flat_map(|id| self.ledger.batches.runs_of(id)).collect();
        found.and(&own)
    }

    /// Returns those of the tasks that a search found that match at this moment, and that an
    /// actor's commands reach.
    pub(super) fn found(&self, now: Now, actor: &Actor, filter: &Filter, found: &IdSet) -> IdSet {
        let aim = Aim { filter: filter.clone(), sort: Sort::default(), scope: Scope::All };
        let mut whole = Sieve::whole(filter);
        let ids = found.runs().flat_map(TaskRun::ids);
        let still = super::runs::coalesce(ids.filter(|id| self.still(now, &aim, &mut whole, *id)));
        self.own(actor, &still.into_iter().collect())
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
