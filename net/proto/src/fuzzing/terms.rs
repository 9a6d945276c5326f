//! The short texts on whose terms a batch runs and by which things are called: what is read reads
//! back as it is shown, and what is refused is refused with a sentence fit for a terminal.

use std::fmt::Display;

use crate::id::{BatchId, Name, TaskId};
use crate::label::Label;
use crate::place::{Lane, Need};
use crate::sort::Sort;
use crate::spec::{After, Rate};

/// Reads the bytes as each of the terms there are.
///
/// # Panics
/// When one is not read as it is shown, or a refusal holds a control character.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same(text, str::parse::<BatchId>);
    same(text, str::parse::<TaskId>);
    same(text, str::parse::<Sort>);
    same(text, Name::parse);
    same(text, Lane::parse);
    same(text, Rate::parse);
    same(text, Label::parse);
    same(text, Need::parse);
    same(text, After::parse);
    all_same(text, After::parse_all);
    all_same(text, Need::parse_all);
    all_same(text, Label::parse_all);
    let nearest = Name::from_lossy(text);
    assert_eq!(Name::parse(nearest.as_str()).as_ref(), Ok(&nearest), "{text:?}");
}

fn same<T: Display + PartialEq, E: Display>(text: &str, read: impl Fn(&str) -> Result<T, E>) {
    match read(text) {
        Ok(term) => {
            let shown = term.to_string();
            assert!(read(&shown).is_ok_and(|again| again == term), "{text:?} is shown as {shown}");
        }
        Err(error) => harmless(&error),
    }
}

fn all_same<T: Display + PartialEq, E: Display>(
    text: &str,
    read: impl Fn(&str) -> Result<Vec<T>, E>,
) {
    match read(text) {
        Ok(terms) => {
            assert!(terms.len() <= text.len().div_ceil(2), "{} of {text:?}", terms.len());
            let shown: Vec<String> = terms.iter().map(T::to_string).collect();
            let again = read(&shown.join(" "));
            assert!(again.is_ok_and(|again| again == terms), "{text:?} is shown as {shown:?}");
        }
        Err(error) => harmless(&error),
    }
}

fn harmless(error: &impl Display) {
    let sentence = error.to_string();
    assert!(!sentence.contains(char::is_control), "{sentence:?}");
    assert!(sentence.len() < 1_024, "{sentence:?}");
}
