//! What is searched for in text that is read, where it is, and how keys go from one place to the
//! next. Which lines there are is the text's concern.

use std::collections::VecDeque;

use super::{Fit, Place, Row, Streams, Text};

/// A search within the text: an empty one finds nothing.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) needle: String,
    /// Lines that have it, in order.
    pub(super) lines: VecDeque<u64>,
    /// The one gone to last.
    pub(super) at: Option<u64>,
}

impl Text {
    pub(crate) fn needle(&self) -> &str {
        &self.found.needle
    }

    /// Searches for other words.
    pub(crate) fn search(&mut self, needle: &str) {
        let numbered = (self.dropped..).zip(&self.entries);
        let lines = numbered.filter(|(_, entry)| find(&entry.line.text, needle).is_some());
        let lines = lines.map(|(line, _)| line).collect();
        self.found = Found { needle: needle.to_owned(), lines, at: None };
    }

    /// Returns how many lines have what is searched for, and which of them was gone to last.
    pub(crate) fn found(&self, streams: Streams) -> (usize, Option<usize>) {
        let shown = |line: &&u64| self.get(**line).is_some_and(|e| streams.shows(e.from));
        let lines = || self.found.lines.iter().filter(shown);
        let at = self.found.at.and_then(|at| lines().position(|line| *line == at));
        (lines().count(), at)
    }

    /// Tells whether this is the line that was gone to last.
    pub(crate) fn is_found(&self, line: u64) -> bool {
        self.found.at == Some(line)
    }

    /// Goes to the first line that has it, at or below what is shown; without moving while one is
    /// in view.
    pub(crate) fn find_near(&mut self, fit: Fit) {
        let from = self.window(fit).first().map_or(0, |row| row.line);
        let near = self.matching(fit).find(|line| *line >= from);
        let near = near.or_else(|| self.matching(fit).next_back());
        if let Some(line) = near {
            self.go_to(line, fit);
        }
    }

    /// Goes to the next line that has it; tells how that went.
    pub(crate) fn find_next(&mut self, fit: Fit) -> Hop {
        let from = self.found.at.or_else(|| self.window(fit).first()?.line.checked_sub(1));
        let after = self.matching(fit).find(|line| from.is_none_or(|from| *line > from));
        let first = self.matching(fit).next();
        self.hop(after, first, fit)
    }

    /// Goes to the line before that has it.
    pub(crate) fn find_previous(&mut self, fit: Fit) -> Hop {
        let from = self.found.at.or_else(|| Some(self.window(fit).last()?.line + 1));
        let before = self.matching(fit).rfind(|line| from.is_none_or(|from| *line < from));
        let last = self.matching(fit).next_back();
        self.hop(before, last, fit)
    }

    fn hop(&mut self, near: Option<u64>, around: Option<u64>, fit: Fit) -> Hop {
        let Some(line) = near.or(around) else { return Hop::Nowhere };
        self.go_to(line, fit);
        if near.is_some() { Hop::Near } else { Hop::Around }
    }

    fn matching(&self, fit: Fit) -> impl DoubleEndedIterator<Item = u64> {
        let shown = move |line: &u64| self.get(*line).is_some_and(|e| fit.streams.shows(e.from));
        self.found.lines.iter().copied().filter(shown)
    }

    fn go_to(&mut self, line: u64, fit: Fit) {
        self.found.at = Some(line);
        if !self.window(fit).iter().any(|row| row.line == line) {
            let row = Row { line, row: 0 };
            let top = self.up_from(row, fit).take(fit.rows / 3).last();
            self.place = Place::From(top.unwrap_or(row));
        }
    }
}

/// How a hop to a line that has what is searched for went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    Near,
    /// It went on at the other end.
    Around,
    Nowhere,
}

/// Finds `needle` in `text`: as it is written when it has a capital, else whatever the case of
/// ASCII letters. An empty one is nowhere.
pub(crate) fn find(text: &str, needle: &str) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    if needle.chars().any(char::is_uppercase) {
        return text.find(needle);
    }
    let (text, needle) = (text.as_bytes(), needle.as_bytes());
    text.windows(needle.len()).position(|window| window.eq_ignore_ascii_case(needle))
}
