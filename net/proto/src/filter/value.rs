//! What a term compares with: numbers, lengths of time, and their bounds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::Wrong;

/// A condition on a number or a length of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound<T> {
    /// One of these.
    OneOf(Vec<T>),
    /// From the first to the second, both included.
    Between(T, T),
    /// More than this.
    Above(T),
    /// This or more.
    AtLeast(T),
    /// Less than this.
    Below(T),
    /// This or less.
    AtMost(T),
}

impl<T> Bound<T> {
    pub(super) const fn alternatives(&self) -> usize {
        match self {
            Self::OneOf(all) => all.len(),
            Self::Between(..)
            | Self::Above(_)
            | Self::AtLeast(_)
            | Self::Below(_)
            | Self::AtMost(_) => 1,
        }
    }
}

impl Bound<i64> {
    /// Tells whether a number is within.
    pub fn holds(&self, number: i64) -> bool {
        match self {
            Self::OneOf(all) => all.contains(&number),
            Self::Between(from, to) => (*from..=*to).contains(&number),
            Self::Above(than) => number > *than,
            Self::AtLeast(least) => number >= *least,
            Self::Below(than) => number < *than,
            Self::AtMost(most) => number <= *most,
        }
    }
}

impl Bound<Length> {
    /// Tells whether a length in microseconds is within. A length without a sign, as in `dur:10s`,
    /// holds for what is shown as it when cut to its unit: 10 s and anything below 11 s.
    pub fn holds(&self, us: u64) -> bool {
        match self {
            Self::OneOf(all) => all.iter().any(|length| us / length.unit.us() == length.count),
            Self::Between(from, to) => (from.us()..=to.us()).contains(&us),
            Self::Above(than) => us > than.us(),
            Self::AtLeast(least) => us >= least.us(),
            Self::Below(than) => us < than.us(),
            Self::AtMost(most) => us <= most.us(),
        }
    }
}

/// A length of time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    count: u64,
    unit: Unit,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Millionths of a second.
    Micros,
    /// Thousandths of a second.
    Millis,
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
    /// Days of 24 hours.
    Days,
}

impl Unit {
    const ALL: [Self; 6] =
        [Self::Days, Self::Hours, Self::Minutes, Self::Seconds, Self::Millis, Self::Micros];

    const fn us(self) -> u64 {
        match self {
            Self::Micros => 1,
            Self::Millis => 1_000,
            Self::Seconds => 1_000_000,
            Self::Minutes => 60_000_000,
            Self::Hours => 3_600_000_000,
            Self::Days => 86_400_000_000,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Micros => "us",
            Self::Millis => "ms",
            Self::Seconds => "s",
            Self::Minutes => "m",
            Self::Hours => "h",
            Self::Days => "d",
        }
    }

    fn read(word: &str) -> Option<Self> {
        if word == "µs" {
            return Some(Self::Micros);
        }
        Self::ALL.into_iter().find(|unit| unit.word() == word)
    }
}

impl Length {
    /// Returns it in microseconds; saturates.
    pub const fn us(self) -> u64 {
        self.count.saturating_mul(self.unit.us())
    }

    /// Reads `10s`, `1.5s`, `250ms`, `1h30m`.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let bad = || {
            let shown = super::read::shown(text);
            Wrong::term(format!(
                "`{shown}` is not a length of time; write 250ms, 10s, 5m, 2h or 1d"
            ))
        };
        let mut total: u64 = 0;
        let mut smallest = Unit::Days;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            if number.is_empty() {
                return Err(bad());
            }
            let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
            let (word, after) = after.split_at(letters);
            if word.is_empty() && after.is_empty() {
                return Err(Wrong::unfinished(format!(
                    "`{}` has no unit; write {number}s, {number}m, {number}h or {number}d",
                    super::read::shown(text)
                )));
            }
            let unit = Unit::read(word).ok_or_else(bad)?;
            let us = part_us(number, unit).ok_or_else(bad)?;
            total = total.checked_add(us).ok_or_else(bad)?;
            if unit.us() < smallest.us() {
                smallest = unit;
            }
            rest = after;
        }
        // A decimal part is written in the next smaller unit that has none.
        let exact = |unit: &Unit| unit.us() <= smallest.us() && total.is_multiple_of(unit.us());
        let unit = Unit::ALL.into_iter().find(exact).unwrap_or(Unit::Micros);
        Ok(Self { count: total / unit.us(), unit })
    }
}

/// Returns a number with its unit in microseconds; digits below a microsecond are cut.
fn part_us(number: &str, unit: Unit) -> Option<u64> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if part.contains('.') || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let us = whole.checked_mul(unit.us())?;
    let part = part.get(..part.len().min(9))?;
    let scale = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let digits: u128 = if part.is_empty() { 0 } else { part.parse().ok()? };
    let part_us = u128::from(unit.us()) * digits / scale;
    us.checked_add(u64::try_from(part_us).ok()?)
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit.word())
    }
}
