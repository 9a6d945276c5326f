//! Actions on all tasks that match a filter: what they do, to tasks of which states, and the count
//! that is taken before anybody is asked. Sends nothing; see update/bulk.rs.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::{Filter, Request, Select, TaskState};

use crate::text::grouped;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    Retry,
    Cancel,
    Delete,
    Priority(i16),
}

impl Bulk {
    /// Returns the states of the tasks that it changes.
    pub(crate) const fn states(self) -> &'static [TaskState] {
        use TaskState as S;
        match self {
            Self::Retry => &[S::Failed, S::Cancelled, S::Delayed],
            Self::Cancel | Self::Priority(_) => {
                &[S::Queued, S::Delayed, S::Blocked, S::Sent, S::Running]
            }
            Self::Delete => &[S::Done, S::Failed, S::Cancelled],
        }
    }

    /// Returns the word for it, as a button has it.
    pub(crate) const fn verb(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::Cancel => "Cancel",
            Self::Delete => "Delete",
            Self::Priority(_) => "Set the priority of",
        }
    }

    /// Returns the word on the button that does it.
    pub(crate) const fn button(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::Cancel => "Stop",
            Self::Delete => "Delete",
            Self::Priority(_) => "Set",
        }
    }

    /// Returns what is asked of the master.
    pub(crate) fn request(self, select: Select) -> Request {
        match self {
            Self::Retry => Request::Retry { select },
            Self::Cancel => Request::Cancel { select, now: false },
            Self::Delete => Request::Delete { select },
            Self::Priority(priority) => Request::SetPriority { select, priority },
        }
    }
}

/// Tasks by state, as far as an action is about them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Breakdown(pub(crate) BTreeMap<TaskState, u64>);

impl Breakdown {
    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    pub(crate) fn of(&self, states: &[TaskState]) -> u64 {
        states.iter().filter_map(|state| self.0.get(state)).sum()
    }

    /// Returns `12 queued, 3 running`; states without tasks are left out.
    pub(crate) fn words(&self) -> String {
        let some = self.0.iter().filter(|(_, count)| **count > 0);
        let words: Vec<_> =
            some.map(|(state, count)| format!("{} {}", grouped(*count), state.word())).collect();
        words.join(", ")
    }
}

/// A bulk action whose question is open while the master counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tells this count from earlier ones.
    pub(crate) number: u64,
    pub(crate) bulk: Bulk,
    /// The tasks; only the states that the action is about.
    pub(crate) filter: Filter,
    /// What a person calls them.
    pub(crate) which: String,
    pub(crate) counts: Breakdown,
    /// States whose count has not come.
    pub(crate) left: BTreeSet<TaskState>,
}
