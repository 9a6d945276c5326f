//! Labels: what a worker says of itself, `key=value`. Does not know what is placed by them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::Name;

/// Labels of one worker at most.
pub const LABELS_MAX: usize = 16;
/// Characters of a label's value at most.
const VALUE_CHARS_MAX: usize = 63;

/// A checked label: a name, and a value of at most 63 characters of `[A-Za-z0-9._:/+-]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label {
    key: Name,
    value: Box<str>,
}

/// The text was not a label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no label; write KEY=VALUE, the key in small letters and digits, the value at most \
     63 letters, digits or . _ : / + -"
)]
pub struct LabelError {
    text: String,
}

impl Label {
    /// Checks `text`, such as `gpu=a100`, and keeps it.
    ///
    /// # Errors
    /// Says what a label is when `text` is none.
    pub fn parse(text: &str) -> Result<Self, LabelError> {
        let fits = |value: &str| {
            let known = |b: u8| b.is_ascii_alphanumeric() || b"._:/+-".contains(&b);
            value.len() <= VALUE_CHARS_MAX && value.bytes().all(known)
        };
        let found = text.split_once('=').and_then(|(key, value)| {
            let key = Name::parse(key).ok()?;
            fits(value).then(|| Self { key, value: value.into() })
        });
        found.ok_or_else(|| LabelError {
            text: text.chars().filter(|c| !c.is_control()).take(80).collect(),
        })
    }

    /// Returns what it is about.
    pub fn key(&self) -> &str {
        self.key.as_str()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

impl std::str::FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Label {
    type Error = LabelError;

    fn try_from(text: String) -> Result<Self, LabelError> {
        Self::parse(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short_words() {
        let check = |text: &str, fits: bool| {
            assert_eq!(Label::parse(text).is_ok(), fits, "{text}");
        };
        check("gpu=a100", true);
        check("zone=Eu-West/1", true);
        check("spot=", true);
        check("gpu", false);
        check("=x", false);
        check("GPU=x", false);
        check("gpu=a b", false);
        check("gpu=\u{1b}[2J", false);
        check(&format!("k={}", "x".repeat(63)), true);
        check(&format!("k={}", "x".repeat(64)), false);
        assert!(!Label::parse("\u{1b}[2J").unwrap_err().to_string().contains('\u{1b}'));
        let bytes = postcard::to_allocvec("gpu=\u{202e}").unwrap();
        assert!(postcard::from_bytes::<Label>(&bytes).is_err());
    }
}
