//! The master's log as this screen has heard it: lines with their time and level, and how many
//! warnings came since a person looked. Lines come cleaned.

use ganger_proto::WallMs;

use super::reader::{Entry, Level, Look, Origin, Text};
use crate::lines::Line;

/// Lines that screen 5 asks for.
pub(super) const ROWS: u32 = 1_000;
/// Lines that the others ask for, to count the warnings among them.
pub(super) const ROWS_ASIDE: u32 = 32;

/// The log of the master.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) text: Text,
    pub(crate) look: Look,
    /// Warnings and errors since a person looked.
    pub(crate) unseen: u64,
    /// The newest line heard.
    heard: Option<String>,
    /// The newest line in the text.
    last: Option<String>,
}

/// Whether the log is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    At,
    Away,
}

impl Log {
    /// Takes the newest lines, the oldest first.
    pub(crate) fn take(&mut self, lines: &[String], looked: Looked) {
        let Some(newest) = lines.last() else { return };
        match looked {
            Looked::At => {
                self.unseen = 0;
                let fresh = match fresh(lines, self.last.as_ref()) {
                    Some(fresh) => fresh,
                    None => {
                        self.text.clear();
                        lines
                    }
                };
                fresh.iter().for_each(|line| self.text.push(entry(line)));
                self.last = Some(newest.clone());
            }
            Looked::Away if self.heard.is_some() => {
                let fresh = fresh(lines, self.heard.as_ref()).unwrap_or(lines);
                let grave = |line: &&String| parse(line).1 >= Level::Warn;
                self.unseen += fresh.iter().filter(grave).count() as u64;
            }
            Looked::Away => {}
        }
        self.heard = Some(newest.clone());
    }
}

/// Returns the lines after the one known; none when it is not among them.
fn fresh<'a>(lines: &'a [String], known: Option<&String>) -> Option<&'a [String]> {
    let at = lines.iter().rposition(|line| Some(line) == known)?;
    lines.get(at + 1..)
}

fn entry(line: &str) -> Entry {
    let (at, level, rest) = parse(line);
    Entry { at, from: Origin::Log(level), line: Line::plain(rest.to_owned()) }
}

/// Reads `2026-03-14T14:31:07.123Z  WARN master: text`; what is no time or level stays text.
fn parse(line: &str) -> (WallMs, Level, &str) {
    let (at, rest) = match line.split_once(' ') {
        Some((word, rest)) if time(word).is_some() => (time(word), rest.trim_start()),
        Some(_) | None => (None, line),
    };
    let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
    let level = match word {
        "ERROR" => Some(Level::Error),
        "WARN" => Some(Level::Warn),
        "INFO" => Some(Level::Info),
        "DEBUG" => Some(Level::Debug),
        "TRACE" => Some(Level::Trace),
        _ => None,
    };
    let rest = if level.is_some() { after.trim_start() } else { rest };
    (at.unwrap_or_default(), level.unwrap_or(Level::Info), rest)
}

/// Reads a time of RFC 3339 in UTC, to milliseconds.
fn time(word: &str) -> Option<WallMs> {
    let (date, clock) = word.strip_suffix('Z')?.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock, ':')?;
    let is_date = (1970..10_000).contains(&year) && (1..13).contains(&month) && day < 32;
    if !is_date || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let digits: String = fraction.chars().chain("00".chars()).take(3).collect();
    let ms: u64 = digits.parse().ok()?;
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(WallMs(seconds * 1_000 + ms))
}

fn numbers(text: &str, between: char) -> Option<[u64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse().ok());
    let found = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(found)
}

/// Returns the days from 1970-01-01 to a date after it, in the way of "days from civil": years
/// begin in March, so that a leap day is the last of one.
const fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let in_year = (153 * month + 2) / 5 + day;
    year * 365 + year / 4 - year / 100 + year / 400 + in_year - 719_469
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reader::Streams;

    fn lines(numbers: std::ops::Range<u64>) -> Vec<String> {
        let level = |n: u64| if n.is_multiple_of(4) { " WARN" } else { " INFO" };
        numbers.map(|n| format!("2026-03-14T14:31:07.{n:03}Z {} master: n={n}", level(n))).collect()
    }

    #[test]
    fn times_and_levels_are_read() {
        let at = WallMs(1_773_498_667_123);
        let check = |line: &str, expected: (WallMs, Level, &str)| {
            assert_eq!(parse(line), expected, "{line}");
        };
        check("2026-03-14T14:31:07.123456Z  WARN a: b", (at, Level::Warn, "a: b"));
        check("2026-03-14T14:31:07.123Z ERROR x", (at, Level::Error, "x"));
        check("DEBUG x", (WallMs(0), Level::Debug, "x"));
        check("no time here", (WallMs(0), Level::Info, "no time here"));
        check("2026-13-14T14:31:07Z x", (WallMs(0), Level::Info, "2026-13-14T14:31:07Z x"));
        check("", (WallMs(0), Level::Info, ""));
        assert_eq!(time("1970-01-01T00:00:00Z"), Some(WallMs(0)));
        assert_eq!(time("2024-02-29T00:00:00.5Z"), Some(WallMs(1_709_164_800_500)));
    }

    #[test]
    fn warnings_are_counted_until_a_person_looks() {
        let mut log = Log::default();
        log.take(&lines(0..20), Looked::Away);
        assert_eq!(log.unseen, 0, "what was there before counts for nothing");
        log.take(&lines(0..20), Looked::Away);
        log.take(&lines(10..30), Looked::Away);
        assert_eq!(log.unseen, 3, "20 24 28");
        log.take(&lines(100..108), Looked::Away);
        assert_eq!(log.unseen, 5, "what was missed is not guessed");
        log.take(&lines(0..108), Looked::At);
        assert_eq!(log.unseen, 0);
        log.take(&lines(50..110), Looked::At);
        assert_eq!(log.text.shown(Streams::Both).count(), 110, "it grows at its end");
        log.take(&lines(500..510), Looked::At);
        assert_eq!(log.text.shown(Streams::Both).count(), 10);
    }
}
