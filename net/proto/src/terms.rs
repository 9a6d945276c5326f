//! How people write on what terms a batch runs: after which others, how often, in which lane, with
//! what; the same on the command line and in the screen's form. What the terms mean is in spec.rs
//! and place.rs.

use std::fmt;

use crate::id::IdError;
use crate::label::{Label, LabelError};
use crate::place::{Lane, Need, NeedError};
use crate::spec::{After, Rate, Then};

/// The text is no batch to wait for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AfterError {
    /// The batch is none.
    #[error(transparent)]
    Batch(#[from] IdError),
    /// What stands behind the colon is not `any`.
    #[error("write b12, or b12:any when it may have failed")]
    Then,
}

impl After {
    /// Reads `b12`, or `b12:any`.
    ///
    /// # Errors
    /// Says how to write it.
    pub fn parse(text: &str) -> Result<Self, AfterError> {
        let (batch, then) = match text.split_once(':') {
            None => (text, Then::Done),
            Some((batch, "any")) => (batch, Then::Any),
            Some(_) => return Err(AfterError::Then),
        };
        Ok(Self { batch: batch.parse()?, then })
    }

    /// Reads several, with commas or blanks between them.
    ///
    /// # Errors
    /// Says how to write the first that is none.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, AfterError> {
        words(text).map(Self::parse).collect()
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.then {
            Then::Done => write!(f, "{}", self.batch),
            Then::Any => write!(f, "{}:any", self.batch),
        }
    }
}

/// The text is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write how many may start in what time, as 10/s, 90/m or 5/10s")]
pub struct RateError;

impl Rate {
    /// Reads `10/s`, `90/m`, `5/10s`, `1/500ms`.
    ///
    /// # Errors
    /// Says how to write one.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (starts, per) = text.split_once('/').ok_or(RateError)?;
        let unit = per.trim_start_matches(|c: char| c.is_ascii_digit());
        let count = match &per[..per.len() - unit.len()] {
            "" => 1,
            digits => digits.parse::<u32>().map_err(|_| RateError)?,
        };
        let unit_ms = UNITS.iter().find(|(_, word)| *word == unit).ok_or(RateError)?.0;
        let per_ms = count.checked_mul(unit_ms).filter(|ms| *ms > 0).ok_or(RateError)?;
        let starts = starts.parse().ok().filter(|starts| *starts > 0).ok_or(RateError)?;
        Ok(Self { starts, per_ms })
    }
}

/// Times in which something may start, the longest first, in milliseconds.
const UNITS: [(u32, &str); 5] =
    [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];

/// The rate as [`Rate::parse`] reads it.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(unit_ms, _): &&(u32, &str)| self.per_ms.is_multiple_of(*unit_ms);
        let (unit_ms, unit) = UNITS.iter().find(whole).unwrap_or(&(1, "ms"));
        match self.per_ms / unit_ms {
            1 if *unit_ms > 1 => write!(f, "{}/{unit}", self.starts),
            count => write!(f, "{}/{count}{unit}", self.starts),
        }
    }
}

/// The text is no lane.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write cpu or io")]
pub struct LaneError;

impl Lane {
    /// Reads `cpu` or `io`.
    ///
    /// # Errors
    /// Names the lanes there are.
    pub fn parse(text: &str) -> Result<Self, LaneError> {
        Self::ALL.into_iter().find(|lane| lane.word() == text).ok_or(LaneError)
    }
}

impl Need {
    /// Reads `cpu=2,mem=4G`, with commas or blanks between them.
    ///
    /// # Errors
    /// Says what a need is where one is none.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, NeedError> {
        words(text).map(Self::parse).collect()
    }
}

impl Label {
    /// Reads `gpu=a100 zone=eu-west`, with commas or blanks between them.
    ///
    /// # Errors
    /// Says what a label is where one is none.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, LabelError> {
        words(text).map(Self::parse).collect()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_to_wait_for_are_read_and_shown() {
        let check = |text: &str, shown: &str| {
            let after: Vec<String> =
                After::parse_all(text).unwrap().iter().map(ToString::to_string).collect();
            assert_eq!(after.join(" "), shown, "{text}");
        };
        check("b12", "b12");
        check("12:any", "b12:any");
        check(" b12, b13:any  b14,", "b12 b13:any b14");
        check("", "");
        for (text, part) in
            [("b12:done", "b12:any"), ("bx", "`bx` is not"), ("b1 b2:", "b12:any"), (":any", "``")]
        {
            let error = After::parse_all(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn rates_are_read_and_shown() {
        let check = |text: &str, starts, per_ms, shown: &str| {
            let rate = Rate::parse(text).unwrap();
            assert_eq!(rate, Rate { starts, per_ms }, "{text}");
            assert_eq!(rate.to_string(), shown);
            assert_eq!(Rate::parse(shown), Ok(rate));
        };
        check("10/s", 10, 1_000, "10/s");
        check("90/m", 90, 60_000, "90/m");
        check("5/10s", 5, 10_000, "5/10s");
        check("1/500ms", 1, 500, "1/500ms");
        check("3/1ms", 3, 1, "3/1ms");
        check("7/120s", 7, 120_000, "7/2m");
        check("1/1d", 1, 86_400_000, "1/d");
        for text in ["", "10", "10/", "0/s", "/s", "1/0s", "1/x", "-1/s", "1/99d9", "1/999d", "1/5"]
        {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lanes_needs_and_labels_are_lists_of_words() {
        assert_eq!(Lane::parse("io"), Ok(Lane::Io));
        assert!(Lane::parse("gpu").is_err());
        let needs = Need::parse_all("cpu=2, mem=4G gpu=1").unwrap();
        let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
        assert_eq!(needs, ["cpu=2", "mem=4G", "gpu=1"]);
        assert!(Need::parse_all("cpu=2,gpu").is_err());
        assert_eq!(Label::parse_all("gpu=a100,zone=eu").unwrap().len(), 2);
        assert!(Label::parse_all("gpu").is_err());
    }
}
