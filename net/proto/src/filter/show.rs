//! Filters as text that reads as the same filter.

use std::fmt;

use super::value::Bound;
use super::{Filter, Term, Test, read};
use crate::id::BatchId;

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, term) in self.terms.iter().enumerate() {
            let space = if i == 0 { "" } else { " " };
            write!(f, "{space}{term}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negated { "-" } else { "" };
        write!(f, "{sign}{}", self.test)
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(states) => write!(f, "state:{}", bars(states.iter().map(|s| s.word()))),
            Self::Batch(ids) => write!(f, "batch:{}", bars(ids.iter())),
            Self::BatchName(names) => {
                // A name that looks like an id is told apart by its quotes.
                let name = |name: &String| match name.parse::<BatchId>() {
                    Ok(_) => quoted(name),
                    Err(_) => value(name),
                };
                write!(f, "batch:{}", bars(names.iter().map(name)))
            }
            Self::Queue(names) => write!(f, "queue:{}", bars(names.iter().map(value))),
            Self::Kind(kinds) => write!(f, "kind:{}", bars(kinds.iter().map(value))),
            Self::Worker(names) => write!(f, "worker:{}", bars(names.iter().map(value))),
            Self::Label { key, values } if values.is_empty() => write!(f, "label:{}", value(key)),
            Self::Label { key, values } => {
                write!(f, "label:{}={}", value(key), bars(values.iter().map(value)))
            }
            Self::Id(from, to) if from == to => write!(f, "id:{from}"),
            Self::Id(from, to) if to.raw() == u64::MAX => write!(f, "id:{from}.."),
            Self::Id(from, to) => write!(f, "id:{from}..{to}"),
            Self::Priority(bound) => write!(f, "prio{bound}"),
            Self::Tries(bound) => write!(f, "tries{bound}"),
            Self::Exit(bound) => write!(f, "exit{bound}"),
            Self::Took(bound) => write!(f, "dur{bound}"),
            Self::Wait(bound) => write!(f, "wait{bound}"),
            Self::Age(bound) => write!(f, "age{bound}"),
            Self::Command(texts) => write!(f, "cmd:{}", bars(texts.iter().map(value))),
            Self::Word(text) => f.write_str(&word(text)),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Bound<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(all) => write!(f, ":{}", bars(all.iter())),
            Self::Between(from, to) => write!(f, ":{from}..{to}"),
            Self::Above(than) => write!(f, ">{than}"),
            Self::AtLeast(least) => write!(f, ">={least}"),
            Self::Below(than) => write!(f, "<{than}"),
            Self::AtMost(most) => write!(f, "<={most}"),
        }
    }
}

fn bars(values: impl Iterator<Item: fmt::Display>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join("|")
}

/// Quotes a value that would be read otherwise without.
fn value(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let sign = |c: char| c.is_whitespace() || matches!(c, '"' | '|' | '=' | '<' | '>');
    if text.is_empty() || text.contains(sign) { quoted(text) } else { text.to_owned() }
}

/// Quotes a text that would not be read as itself without.
fn word(text: &str) -> String {
    let plain = match read::one(text) {
        Ok(Term { negated: false, test: Test::Word(same) }) => same == text,
        Ok(_) | Err(_) => false,
    };
    if plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}
