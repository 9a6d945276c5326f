//! The filter: which tasks a listing, a window or a bulk command is about. Parsed here once, for
//! the screen and the command line; evaluated by the engine. Knows no task.
//!
//! A filter is a list of terms that all must hold:
//!
//! ```text
//! filter = [ term { blank term } ]
//! term   = [ "-" ] ( text | key ":" values | key op value )      "-": it must not hold
//! values = value { "|" value }                                   one of them
//! op     = ">" | ">=" | "<" | "<=" | "="                         = is the same as :
//! ```
//! Double quotes keep blanks, bars and everything else together and from being read as a key or a
//! sign; within them `\"` is a quote and `\\` a backslash. `key:a..b` includes both ends.

mod error;
mod read;
mod show;
#[cfg(test)]
mod tests;
mod value;
mod words;

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, TaskId};
use crate::limits::TEXT_BYTES_MAX;
use crate::picture::TaskState;

pub use error::{FilterError, TooMuch};
pub use value::{Bound, Length, Unit};

/// A checked filter; the empty one matches every task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Filter {
    /// All of these must hold.
    pub terms: Vec<Term>,
}

/// A filter as it comes from a peer, before its size is checked.
#[derive(Deserialize)]
struct Unchecked {
    terms: Vec<Term>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Whether the condition must not hold.
    pub negated: bool,
    /// The condition.
    pub test: Test,
}

/// What a term looks at. Those up to `Priority` have an index: any number of tasks costs a few
/// operations on bitmaps. The others are looked for task by task, among those that the first ones
/// leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// `state:` one of these states.
    State(Vec<TaskState>),
    /// `batch:b12` of one of these batches.
    Batch(Vec<BatchId>),
    /// `batch:nightly` of a batch that has exactly one of these names.
    BatchName(Vec<String>),
    /// `queue:` in one of these queues.
    Queue(Vec<String>),
    /// `kind:` of one of these kinds.
    Kind(Vec<String>),
    /// `worker:` held or last run by one of these workers.
    Worker(Vec<String>),
    /// `label:` of a batch with this label.
    Label {
        /// The label's key.
        key: String,
        /// One of these values; any value when there are none.
        values: Vec<String>,
    },
    /// `id:` an id from the first to the second, both included.
    Id(TaskId, TaskId),
    /// `prio` the priority that it has, also when it has ended.
    Priority(Bound<i64>),
    /// `tries` the number of the attempt that runs or ran last; 0 before the first.
    Tries(Bound<i64>),
    /// `exit` the exit code of its newest attempt, 0 when that ended well. An attempt that a
    /// signal, a time limit, a cancel or a lost worker ended has none, and neither has one that
    /// goes on.
    Exit(Bound<i64>),
    /// `dur` how long its newest attempt took, as its worker measured it, to one part in 2,000; for
    /// a task that a worker holds, how long ago it was sent there. A task without an attempt has
    /// none, nor one whose newest attempt was lost or fenced.
    Took(Bound<Length>),
    /// `wait` for a queued task, how long it has been in its queue since it came there last; for
    /// one that was sent, how long it had been there before its newest attempt was sent. A delayed
    /// task that was never sent has none.
    Wait(Bound<Length>),
    /// `age` how long ago its batch was submitted.
    Age(Bound<Length>),
    /// `cmd:` one of these texts is part of its command: its words with their replacement strings
    /// filled in, joined by blanks; `n=` and the number for a square.
    Command(Vec<String>),
    /// A text that is part of its command or of its batch's name.
    Word(String),
}

/// Terms of one filter.
pub const FILTER_TERMS_MAX: usize = 32;
/// Alternatives of one term.
pub const ALTERNATIVES_MAX: usize = 64;

/// Every key with an example and what it looks at, for help and completion.
pub const KEYS: [(&str, &str, &str); 14] = [
    (
        "state",
        "state:failed|cancelled",
        "delayed queued sent running done failed cancelled, or open ended leased",
    ),
    ("kind", "kind:exec", "square sleep exec shell"),
    ("queue", "queue:mail", "its queue"),
    ("worker", "worker:alpha", "the worker that holds it or ran it last"),
    ("batch", "batch:b12", "its batch, by id or exact name"),
    ("label", "label:stage=prod", "a label of its batch; label:stage for any value"),
    ("id", "id:100..200", "its id; both ends are included"),
    ("prio", "prio>5", "its priority"),
    ("tries", "tries>=2", "the attempt that runs or ran last"),
    ("exit", "exit:1|2", "the exit code of its newest attempt"),
    ("dur", "dur>10s", "how long its newest attempt took, or runs so far"),
    ("wait", "wait>1m", "how long it waits, or waited, in its queue"),
    ("age", "age<1h", "how long ago its batch was submitted"),
    ("cmd", "cmd:gzip", "a text within its command"),
];

impl Filter {
    /// Returns a filter of one term.
    pub fn of(test: Test) -> Self {
        Self { terms: vec![Term { negated: false, test }] }
    }

    /// Tells whether it matches every task.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Tells whether indexes alone answer it.
    pub fn is_indexed(&self) -> bool {
        self.terms.iter().all(|term| term.test.is_indexed())
    }

    /// Reads a filter.
    ///
    /// # Errors
    /// Names the term that cannot be read, where it is, and what to write.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        read::filter(text)
    }

    fn check(&self) -> Result<(), TooMuch> {
        if self.terms.len() > FILTER_TERMS_MAX {
            return Err(TooMuch::Terms);
        }
        if self.terms.iter().any(|term| term.test.alternatives() > ALTERNATIVES_MAX) {
            return Err(TooMuch::Alternatives);
        }
        let bytes: usize = self.terms.iter().map(|term| term.test.text_bytes()).sum();
        if bytes > TEXT_BYTES_MAX { Err(TooMuch::Text) } else { Ok(()) }
    }
}

impl TryFrom<Unchecked> for Filter {
    type Error = TooMuch;

    fn try_from(raw: Unchecked) -> Result<Self, TooMuch> {
        let filter = Self { terms: raw.terms };
        filter.check().map(|()| filter)
    }
}

impl Test {
    /// Tells whether an index answers it.
    pub const fn is_indexed(&self) -> bool {
        match self {
            Self::State(_)
            | Self::Batch(_)
            | Self::BatchName(_)
            | Self::Queue(_)
            | Self::Kind(_)
            | Self::Worker(_)
            | Self::Label { .. }
            | Self::Id(..)
            | Self::Priority(_) => true,
            Self::Tries(_)
            | Self::Exit(_)
            | Self::Took(_)
            | Self::Wait(_)
            | Self::Age(_)
            | Self::Command(_)
            | Self::Word(_) => false,
        }
    }

    /// Tells whether time alone changes what it matches.
    pub const fn is_of_time(&self) -> bool {
        matches!(self, Self::Took(_) | Self::Wait(_) | Self::Age(_))
    }

    fn texts(&self) -> &[String] {
        match self {
            Self::BatchName(texts)
            | Self::Queue(texts)
            | Self::Kind(texts)
            | Self::Worker(texts)
            | Self::Label { values: texts, .. }
            | Self::Command(texts) => texts,
            Self::Word(text) => std::slice::from_ref(text),
            Self::State(_)
            | Self::Batch(_)
            | Self::Id(..)
            | Self::Priority(_)
            | Self::Tries(_)
            | Self::Exit(_)
            | Self::Took(_)
            | Self::Wait(_)
            | Self::Age(_) => &[],
        }
    }

    fn text_bytes(&self) -> usize {
        let key = if let Self::Label { key, .. } = self { key.len() } else { 0 };
        key + self.texts().iter().map(String::len).sum::<usize>()
    }

    fn alternatives(&self) -> usize {
        match self {
            Self::State(states) => states.len(),
            Self::Batch(ids) => ids.len(),
            Self::Priority(bound) | Self::Tries(bound) | Self::Exit(bound) => bound.alternatives(),
            Self::Took(bound) | Self::Wait(bound) | Self::Age(bound) => bound.alternatives(),
            Self::Id(..) => 1,
            Self::BatchName(_)
            | Self::Queue(_)
            | Self::Kind(_)
            | Self::Worker(_)
            | Self::Label { .. }
            | Self::Command(_)
            | Self::Word(_) => self.texts().len(),
        }
    }
}
