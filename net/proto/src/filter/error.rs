//! Why a text is no filter: where, why, and what to write.

use super::{ALTERNATIVES_MAX, FILTER_TERMS_MAX};
use crate::limits::TEXT_BYTES_MAX;

/// The text is not a filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} (at character {column})")]
pub struct FilterError {
    /// The byte where the unreadable term begins.
    pub at: usize,
    /// The byte after the term.
    pub end: usize,
    column: usize,
    why: String,
    finished: Finished,
}

/// Whether what was written can become right by writing on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finished {
    /// It is wrong.
    Yes,
    /// It may be on its way to something right.
    NotYet,
}

/// What is wrong with one term, before its place is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    why: String,
    finished: Finished,
}

impl Wrong {
    /// Writing on cannot mend it.
    pub(super) fn term(why: impl Into<String>) -> Self {
        Self { why: why.into(), finished: Finished::Yes }
    }

    /// It is merely unfinished.
    pub(super) fn unfinished(why: impl Into<String>) -> Self {
        Self { why: why.into(), finished: Finished::NotYet }
    }

    /// Says where in the text it is.
    pub(super) fn at(self, text: &str, at: usize, end: usize) -> FilterError {
        let column = text.get(..at).map_or(0, |before| before.chars().count()) + 1;
        FilterError { at, end, column, why: self.why, finished: self.finished }
    }
}

impl FilterError {
    /// Tells whether the term is merely unfinished, such as `state:`, `dur>1` or an open quote: a
    /// screen that shows a filter as it is typed need not complain about it.
    pub fn is_unfinished(&self) -> bool {
        self.finished == Finished::NotYet
    }

    /// Returns what is wrong and what to write, without the place.
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// A filter is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Terms.
    #[error("a filter has at most {FILTER_TERMS_MAX} terms")]
    Terms,
    /// Alternatives of a term.
    #[error("a term has at most {ALTERNATIVES_MAX} alternatives")]
    Alternatives,
    /// Text.
    #[error("the texts of a filter have at most {TEXT_BYTES_MAX} bytes")]
    Text,
}

impl From<TooMuch> for Wrong {
    fn from(too_much: TooMuch) -> Self {
        Self::term(too_much.to_string())
    }
}
