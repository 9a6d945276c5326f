//! Marks: which tasks of a list an action is about, when it is not the one under the cursor. Either
//! tasks one by one, or all that match on the master. Sends nothing; see update/bulk.rs.

use std::collections::BTreeMap;

use ganger_proto::{TaskId, TaskState};

/// What was known of a task when it was marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marked {
    pub(crate) state: TaskState,
    pub(crate) priority: i16,
}

/// The marks of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marks {
    /// These.
    Tasks(BTreeMap<TaskId, Marked>),
    /// All that the list's filter leaves, wherever they are.
    Matching(Matching),
}

/// Tasks that the master knows and the screen does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matching {
    /// Only these ids, when a range was marked.
    pub(crate) range: Option<Range>,
    /// These are left out.
    pub(crate) except: BTreeMap<TaskId, Marked>,
}

/// Ids from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: TaskId,
    pub(crate) to: TaskId,
    /// How many of the list are in it; none until the master has counted them, and where that
    /// would take a search.
    pub(crate) count: Option<u64>,
}

impl Default for Marks {
    fn default() -> Self {
        Self::Tasks(BTreeMap::new())
    }
}

impl Marks {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Tasks(tasks) if tasks.is_empty())
    }

    /// Returns how many are marked in a list of `total`; none while that is not known.
    pub(crate) fn count(&self, total: u64) -> Option<u64> {
        match self {
            Self::Tasks(tasks) => Some(tasks.len() as u64),
            Self::Matching(matching) => {
                let all = match matching.range {
                    Some(range) => range.count?,
                    None => total,
                };
                Some(all.saturating_sub(matching.except.len() as u64))
            }
        }
    }

    /// Tells whether a task of the list is marked.
    pub(crate) fn has(&self, task: TaskId) -> bool {
        match self {
            Self::Tasks(tasks) => tasks.contains_key(&task),
            Self::Matching(matching) => {
                let inside = matching.range.is_none_or(|r| (r.from..=r.to).contains(&task));
                inside && !matching.except.contains_key(&task)
            }
        }
    }

    /// Marks the task, or takes its mark away.
    pub(crate) fn toggle(&mut self, task: TaskId, seen: Marked) {
        let is_outside = !self.has(task);
        match self {
            Self::Matching(matching) if is_outside && !matching.except.contains_key(&task) => {
                // Beyond a range there is nothing that a mark could be taken from.
            }
            Self::Tasks(tasks) | Self::Matching(Matching { except: tasks, .. }) => {
                if tasks.remove(&task).is_none() {
                    tasks.insert(task, seen);
                }
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Marks what is not marked and the other way round.
    ///
    /// # Errors
    /// A range beside everything else cannot be said to the master.
    pub(crate) fn invert(&mut self) -> Result<(), &'static str> {
        match std::mem::take(self) {
            Self::Tasks(except) => *self = Self::Matching(Matching { range: None, except }),
            Self::Matching(Matching { range: None, except }) => *self = Self::Tasks(except),
            Self::Matching(with_range) => {
                *self = Self::Matching(with_range);
                return Err("a range cannot be inverted; Esc takes the marks away");
            }
        }
        Ok(())
    }
}

impl Matching {
    /// Returns the terms that, beside the list's filter, say the same to the master. Neighbouring
    /// ids that are left out share a term.
    pub(crate) fn terms(&self) -> String {
        let mut terms = String::new();
        if let Some(Range { from, to, .. }) = self.range {
            terms.push_str(&format!(" id:{from}..{to}"));
        }
        let mut run: Option<(TaskId, TaskId)> = None;
        for task in self.except.keys() {
            match &mut run {
                Some((_, last)) if last.raw() + 1 == task.raw() => *last = *task,
                _ => {
                    left_out(&mut terms, run);
                    run = Some((*task, *task));
                }
            }
        }
        left_out(&mut terms, run);
        terms
    }
}

fn left_out(terms: &mut String, run: Option<(TaskId, TaskId)>) {
    match run {
        Some((first, last)) if first == last => terms.push_str(&format!(" -id:{first}")),
        Some((first, last)) => terms.push_str(&format!(" -id:{first}..{last}")),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Marked = Marked { state: TaskState::Queued, priority: 0 };

    fn of(ids: &[u64]) -> BTreeMap<TaskId, Marked> {
        ids.iter().map(|id| (TaskId::new(*id), SEEN)).collect()
    }

    #[test]
    fn all_but_some_is_said_in_few_terms() {
        let check = |range: Option<(u64, u64)>, except: &[u64], expected: &str| {
            let range = range.map(|(from, to)| Range {
                from: TaskId::new(from),
                to: TaskId::new(to),
                count: None,
            });
            assert_eq!(Matching { range, except: of(except) }.terms(), expected);
        };
        check(None, &[], "");
        check(None, &[7], " -id:7");
        check(None, &[7, 8, 9, 12], " -id:7..9 -id:12");
        check(Some((5, 900)), &[6, 7], " id:5..900 -id:6..7");
    }

    #[test]
    fn inverting_twice_changes_nothing() {
        let mut marks = Marks::Tasks(of(&[3, 5]));
        marks.invert().unwrap();
        assert!(marks.has(TaskId::new(4)) && !marks.has(TaskId::new(5)));
        assert_eq!(marks.count(100), Some(98));
        marks.toggle(TaskId::new(5), SEEN);
        assert_eq!(marks.count(100), Some(99));
        marks.invert().unwrap();
        assert_eq!(marks, Marks::Tasks(of(&[3])));
    }

    #[test]
    fn a_range_is_marked_within_and_counted_by_the_master() {
        let range = Range { from: TaskId::new(5), to: TaskId::new(9), count: None };
        let mut marks = Marks::Matching(Matching { range: Some(range), ..Matching::default() });
        assert!(marks.has(TaskId::new(9)) && !marks.has(TaskId::new(10)));
        assert_eq!(marks.count(100), None);
        marks.toggle(TaskId::new(50), SEEN);
        assert!(!marks.has(TaskId::new(50)));
        assert!(marks.invert().is_err() && marks.has(TaskId::new(5)));
    }
}
