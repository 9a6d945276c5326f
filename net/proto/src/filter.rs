//! The filter: which tasks a listing, a window or a bulk command is about. Parsed here once, for
//! the screen and the command line; evaluated by the engine over its indexes.
//!
//! A filter is a list of terms that all must hold: `state:failed|cancelled batch:b12 queue:mail
//! kind:exec worker:alpha id:100..200`; a `-` before a term negates it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{BatchId, TaskId};
use crate::picture::TaskState;

/// A checked filter; the empty one matches every task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// All of these must hold.
    pub terms: Vec<Term>,
}

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// Whether the condition must not hold.
    pub negated: bool,
    /// The condition.
    pub test: Test,
}

/// What a term looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// One of these states.
    State(Vec<TaskState>),
    /// One of these batches.
    Batch(Vec<BatchId>),
    /// One of these queues.
    Queue(Vec<String>),
    /// One of these kinds.
    Kind(Vec<String>),
    /// Held or last run by one of these workers.
    Worker(Vec<String>),
    /// An id from the first to the second, both included.
    Id(TaskId, TaskId),
}

/// Terms of one filter.
pub const FILTER_TERMS_MAX: usize = 32;
/// Alternatives of one term.
const ALTERNATIVES_MAX: usize = 64;

impl Filter {
    /// Returns a filter of one term.
    pub fn of(test: Test) -> Self {
        Self { terms: vec![Term { negated: false, test }] }
    }

    /// Tells whether it matches every task.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Reads a filter.
    ///
    /// # Errors
    /// Names the term that cannot be read, where it begins, and what to write.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let mut terms = Vec::new();
        let mut at = 0;
        for word in text.split(' ') {
            if !word.is_empty() {
                terms.push(term(word).map_err(|why| FilterError { at, why })?);
            }
            if terms.len() > FILTER_TERMS_MAX {
                let why = format!("a filter has at most {FILTER_TERMS_MAX} terms");
                return Err(FilterError { at, why });
            }
            at += word.len() + 1;
        }
        Ok(Self { terms })
    }
}

fn term(word: &str) -> Result<Term, String> {
    let (negated, body) = match word.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, word),
    };
    let Some((key, value)) = body.split_once(':') else {
        return Err(format!("`{}` has no key; {KEYS}", shown(word)));
    };
    let test = match key {
        "state" => Test::State(states(value)?),
        "batch" => Test::Batch(alternatives(value, |v| v.parse().map_err(|e| format!("{e}")))?),
        "queue" => Test::Queue(alternatives(value, |v| Ok(v.to_owned()))?),
        "kind" => Test::Kind(alternatives(value, kind)?),
        "worker" => Test::Worker(alternatives(value, |v| Ok(v.to_owned()))?),
        "id" => {
            let (from, to) = ids(value)?;
            Test::Id(from, to)
        }
        _ => return Err(format!("`{}` is not a key; {KEYS}", shown(key))),
    };
    Ok(Term { negated, test })
}

const KEYS: &str = "the keys are state: batch: queue: kind: worker: id:";

fn states(value: &str) -> Result<Vec<TaskState>, String> {
    let mut found = Vec::new();
    for word in alternatives(value, |v| Ok(v.to_owned()))? {
        match word.as_str() {
            "leased" => found.extend([TaskState::Sent, TaskState::Running]),
            "open" => found.extend(TaskState::ALL.into_iter().filter(|s| !s.is_end())),
            "ended" => found.extend(TaskState::ALL.into_iter().filter(|s| s.is_end())),
            _ => match TaskState::ALL.into_iter().find(|s| s.word() == word) {
                Some(state) => found.push(state),
                None => {
                    let words = TaskState::ALL.map(TaskState::word).join(" ");
                    return Err(format!(
                        "`{}` is not a state; the states are {words}, and leased, open, ended",
                        shown(&word)
                    ));
                }
            },
        }
    }
    Ok(found)
}

fn kind(word: &str) -> Result<String, String> {
    if ["square", "sleep", "exec", "shell"].contains(&word) {
        Ok(word.to_owned())
    } else {
        Err(format!("`{}` is not a kind; the kinds are square sleep exec shell", shown(word)))
    }
}

fn ids(value: &str) -> Result<(TaskId, TaskId), String> {
    let read = |text: &str| text.parse::<TaskId>().map_err(|e| e.to_string());
    match value.split_once("..") {
        None => read(value).map(|id| (id, id)),
        Some(("", to)) => Ok((TaskId::new(0), read(to)?)),
        Some((from, "")) => Ok((read(from)?, TaskId::new(u64::MAX))),
        Some((from, to)) => Ok((read(from)?, read(to)?)),
    }
}

fn alternatives<T>(
    value: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    let words: Vec<&str> = value.split('|').filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return Err("a value is missing after the colon".to_owned());
    }
    if words.len() > ALTERNATIVES_MAX {
        return Err(format!("a term has at most {ALTERNATIVES_MAX} alternatives"));
    }
    words.into_iter().map(read).collect()
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            let sign = if term.negated { "-" } else { "" };
            write!(f, "{space}{sign}{}", term.test)?;
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(states) => {
                write!(f, "state:{}", states.iter().map(|s| s.word()).collect::<Vec<_>>().join("|"))
            }
            Self::Batch(ids) => {
                write!(
                    f,
                    "batch:{}",
                    ids.iter().map(|b| b.to_string()).collect::<Vec<_>>().join("|")
                )
            }
            Self::Queue(names) => write!(f, "queue:{}", names.join("|")),
            Self::Kind(kinds) => write!(f, "kind:{}", kinds.join("|")),
            Self::Worker(names) => write!(f, "worker:{}", names.join("|")),
            Self::Id(from, to) if from == to => write!(f, "id:{from}"),
            Self::Id(from, to) if to.raw() == u64::MAX => write!(f, "id:{from}.."),
            Self::Id(from, to) => write!(f, "id:{from}..{to}"),
        }
    }
}

/// The text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (at character {})", at + 1)]
pub struct FilterError {
    /// The byte where the unreadable term begins.
    pub at: usize,
    why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_shown_alike() {
        for text in [
            "",
            "state:failed|cancelled",
            "batch:b12 -kind:exec",
            "id:5..9 worker:a|b",
            "id:7",
            "id:7..",
        ] {
            assert_eq!(Filter::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Filter::parse("state:leased").unwrap().to_string(), "state:sent|running");
    }

    #[test]
    fn bad_terms_say_what_to_write() {
        let check = |text: &str, part: &str| {
            let error = Filter::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check("failed", "has no key");
        check("state:x", "the states are");
        check("batch:", "missing");
        check("kind:exec colour:red", "the keys are");
        check("id:a..b", "is not a TaskId");
    }
}
