//! Ids and names as types of their own. Does not know what the ids point at.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name($inner);

        impl $name {
            /// Wraps a raw number.
            pub const fn new(raw: $inner) -> Self {
                Self(raw)
            }

            /// Returns the raw number, for the wire, the disk and arithmetic on runs.
            pub const fn raw(self) -> $inner {
                self.0
            }

            /// Returns the id `offset` places after this one; saturates at the largest id.
            pub const fn plus(self, offset: $inner) -> Self {
                Self(self.0.saturating_add(offset))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let digits = text.strip_prefix($prefix).unwrap_or(text);
                digits.parse().map(Self).map_err(|_| IdError {
                    what: stringify!($name),
                    text: text.chars().filter(|c| !c.is_control()).take(32).collect(),
                })
            }
        }
    };
}

id!(
    /// One task. Dense, from 1, never reused.
    TaskId(u64), ""
);
id!(
    /// Tasks submitted together. Shown as `b12`.
    BatchId(u64), "b"
);
id!(
    /// One life of a worker process; drawn at random by the worker, presented on every reconnect.
    SessionId(u64), "s"
);
id!(
    /// A spec as numbered within one master's journal; crosses the wire once per session.
    SpecId(u32), "spec"
);
id!(
    /// A worker name as numbered within one master's journal.
    WorkerId(u32), "w"
);
id!(
    /// A block of results in the store; one per report batch.
    BlockId(u64), "blk"
);
id!(
    /// One life of a master. Rises by one, durably, at every start.
    Epoch(u32), "e"
);
id!(
    /// A client-made 128-bit key; a submission that repeats it gets the first batch.
    Key(u128), "k"
);

/// The text was not an id of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}; expected a number, a batch may be written b12")]
pub struct IdError {
    what: &'static str,
    text: String,
}

/// The right of one session to run one attempt of one task.
///
/// `epoch` is the life of the master that granted it, so an id is never reused even when an
/// unacknowledged tail of the journal was lost.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LeaseId {
    /// The life of the master that granted the lease.
    pub epoch: Epoch,
    /// Counts leases within the epoch, from 1.
    pub counter: u64,
}

impl LeaseId {
    /// Returns the lease `offset` places after this one in a run of consecutive leases.
    pub const fn plus(self, offset: u64) -> Self {
        Self { epoch: self.epoch, counter: self.counter.saturating_add(offset) }
    }
}

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch.raw(), self.counter)
    }
}

/// A checked name: 1 to 63 characters of `[a-z0-9._-]`, the first a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Box<str>);

/// A worker's name. The certificate carries it.
pub type WorkerName = Name;
/// A queue's name.
pub type QueueName = Name;

impl Name {
    /// Checks `text` and keeps it.
    ///
    /// # Errors
    /// Says what a name may hold when `text` is empty, too long or has another character.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bytes = text.as_bytes();
        let fits = (1..=63).contains(&bytes.len())
            && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
            && bytes.iter().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-')
            });
        if fits { Ok(Self(text.into())) } else { Err(NameError::new(text)) }
    }

    /// Makes the nearest valid name of `text`: lower case, other characters become `-`.
    pub fn from_lossy(text: &str) -> Self {
        let mut name: String = text
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(
                |c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' },
            )
            .skip_while(|c| !c.is_ascii_alphanumeric())
            .take(63)
            .collect();
        if name.is_empty() {
            name.push_str("unnamed");
        }
        Self(name.into())
    }

    /// Returns the name as text; safe to show, it holds only `[a-z0-9._-]`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0.into()
    }
}

/// The text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{shown}` is not a name; use 1 to 63 characters of a-z 0-9 . _ - and begin with a letter or digit"
)]
pub struct NameError {
    shown: String,
}

impl NameError {
    fn new(text: &str) -> Self {
        Self { shown: text.chars().filter(|c| !c.is_control()).take(64).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "build01", "a.b_c-d", "0"] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a b", "a/b", "ü", &"x".repeat(64), "a\u{1b}[2J"] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Name::from_lossy("My Host.local").as_str(), "my-host.local");
        assert_eq!(Name::from_lossy("___").as_str(), "unnamed");
    }

    #[test]
    fn ids_read_with_and_without_prefix() {
        assert_eq!("b12".parse::<BatchId>().unwrap(), BatchId::new(12));
        assert_eq!("12".parse::<BatchId>().unwrap().to_string(), "b12");
        assert!("x12".parse::<TaskId>().is_err());
    }
}
