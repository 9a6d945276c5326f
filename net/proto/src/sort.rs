//! Sorting: what a sorted window compares. The engine knows how.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A key to sort by, and which end comes first. Ties are in rising id order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    /// What is compared.
    pub key: SortKey,
    /// Which end comes first.
    pub direction: Direction,
}

/// What a sorted window compares. Tasks that have nothing to compare come last, whichever end comes
/// first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum SortKey {
    /// The id, which is also the order of submission.
    #[default]
    Id,
    /// The state, in the order of a task's life.
    State,
    /// The priority.
    Priority,
    /// The kind's word.
    Kind,
    /// The worker's name; tasks that none ran have nothing.
    Worker,
    /// The attempt that runs or ran last.
    Tries,
    /// The exit code of the newest attempt; see [`Test::Exit`](crate::filter::Test::Exit).
    Exit,
    /// How long the newest attempt took; one that goes on has nothing.
    Took,
    /// When it came into its state: for ended tasks, when they ended.
    Since,
}

/// Which end of a sorted list comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// The smallest first.
    #[default]
    Rising,
    /// The largest first.
    Falling,
}

impl SortKey {
    /// All keys, in the order in which they are offered.
    pub const ALL: [Self; 9] = [
        Self::Id,
        Self::State,
        Self::Priority,
        Self::Kind,
        Self::Worker,
        Self::Tries,
        Self::Exit,
        Self::Took,
        Self::Since,
    ];

    /// Returns the key's one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::State => "state",
            Self::Priority => "priority",
            Self::Kind => "kind",
            Self::Worker => "worker",
            Self::Tries => "tries",
            Self::Exit => "exit",
            Self::Took => "took",
            Self::Since => "since",
        }
    }
}

impl FromStr for Sort {
    type Err = SortError;

    /// Reads `KEY`, `KEY:asc` or `KEY:desc`.
    fn from_str(text: &str) -> Result<Self, SortError> {
        let (word, end) = text.split_once(':').unwrap_or((text, "asc"));
        let direction = match end {
            "asc" => Direction::Rising,
            "desc" => Direction::Falling,
            _ => return Err(SortError::Direction),
        };
        let key = SortKey::ALL.into_iter().find(|key| key.word() == word);
        Ok(Self { key: key.ok_or(SortError::Key)?, direction })
    }
}

impl fmt::Display for Sort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Rising => f.write_str(self.key.word()),
            Direction::Falling => write!(f, "{}:desc", self.key.word()),
        }
    }
}

/// The text names no way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SortError {
    /// No such key.
    #[error(
        "this is no key to sort by; write id, state, priority, kind, worker, tries, exit, took or \
         since, and :desc for the largest first"
    )]
    Key,
    /// No such end.
    #[error("the end that comes first is asc or desc, as in took:desc")]
    Direction,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_are_read_and_shown_alike() {
        for key in SortKey::ALL {
            for direction in [Direction::Rising, Direction::Falling] {
                let sort = Sort { key, direction };
                assert_eq!(sort.to_string().parse(), Ok(sort));
            }
            assert!(SortError::Key.to_string().contains(key.word()));
        }
        assert_eq!("colour".parse::<Sort>(), Err(SortError::Key));
        assert_eq!("id:down".parse::<Sort>(), Err(SortError::Direction));
    }
}
