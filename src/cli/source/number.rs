//! Ranges and random numbers as people write them: `1..500`, `10..0:-5`, `10:0..99:7`. Pure text.

use ganger_proto::Args;
use ganger_proto::limits::BATCH_TASKS_MAX;

use super::super::error::{CliError, Result};
use super::super::text;

/// Numbers drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Random {
    /// How many.
    pub(crate) count: u64,
    /// The smallest.
    pub(crate) low: i64,
    /// The largest.
    pub(crate) high: i64,
    /// The same seed gives the same numbers; drawn when none.
    pub(crate) seed: Option<u64>,
}

/// Reads `FIRST..LAST[:STEP]`; both ends are included.
pub(crate) fn range(given: &str) -> Result<Args> {
    let wrong = || wrong(given, "a range", "1..500, or 0..100:5 with a step");
    let (ends, step) = match given.split_once(':') {
        Some((ends, step)) => (ends, step.parse::<i64>().map_err(|_| wrong())?),
        None => (given, 1),
    };
    let (first, last) = span(ends).ok_or_else(wrong)?;
    if step == 0 {
        return Err(usage(given, "has the step 0; give a step that goes somewhere"));
    }
    let steps = (i128::from(last) - i128::from(first)) / i128::from(step);
    if (last > first && step < 0) || (last < first && step > 0) {
        return Err(usage(
            given,
            "is empty; write the smaller number first, or a step with the other sign, as 9..0:-1",
        ));
    }
    let count = u64::try_from(steps + 1).unwrap_or(u64::MAX);
    check_count(given, count)?;
    Ok(Args::Range { first, step, count })
}

/// Reads `COUNT:MIN..MAX[:SEED]`; both ends are included.
pub(crate) fn random(given: &str) -> Result<Random> {
    let wrong =
        || wrong(given, "a number of random numbers", "10:0..9999, or 10:0..9999:7 with a seed");
    let mut fields = given.splitn(3, ':');
    let count = fields.next().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
    let (low, high) = fields.next().and_then(span).ok_or_else(wrong)?;
    let seed = match fields.next() {
        Some(text) => Some(text.parse().map_err(|_| wrong())?),
        None => None,
    };
    if low > high {
        return Err(usage(given, "holds no number; write the smaller end first, as 10:0..9999"));
    }
    check_count(given, count)?;
    Ok(Random { count, low, high, seed })
}

/// Checks how often a command is repeated.
pub(crate) fn repeat(count: u64) -> Result<Args> {
    check_count(&count.to_string(), count)?;
    Ok(Args::Repeat { count })
}

fn span(text: &str) -> Option<(i64, i64)> {
    let (from, to) = text.split_once("..")?;
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn check_count(given: &str, count: u64) -> Result<()> {
    match count {
        0 => Err(usage(given, "makes no task; ask for at least one")),
        1..=BATCH_TASKS_MAX => Ok(()),
        _ => Err(usage(
            given,
            &format!(
                "makes over {BATCH_TASKS_MAX} tasks, the limit of a batch; submit it in pieces"
            ),
        )),
    }
}

fn wrong(given: &str, what: &str, example: &str) -> CliError {
    usage(given, &format!("is not {what}; write {example}"))
}

fn usage(given: &str, why: &str) -> CliError {
    CliError::usage(format!("`{}` {why}", text::cut(&text::line(given), 60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let check = |text: &str, first, step, count| {
            assert_eq!(range(text).unwrap(), Args::Range { first, step, count }, "{text}");
        };
        check("1..500", 1, 1, 500);
        check("7..7", 7, 1, 1);
        check("0..100:25", 0, 25, 5);
        check("0..99:25", 0, 25, 4);
        check("-5..5", -5, 1, 11);
        check("9..0:-3", 9, -3, 4);
        let ends = format!("{}..{}:{}", i64::MIN, i64::MAX, i64::MAX);
        check(&ends, i64::MIN, i64::MAX, 3);
        assert!(range(&ends).unwrap().is_sound());
    }

    #[test]
    fn bad_ranges_have_a_sentence() {
        let check = |text: &str, part: &str| {
            let error = range(text).unwrap_err().sentence;
            assert!(error.contains(part), "{text}: {error}");
        };
        for text in
            ["", "5", "1..", "..5", "a..b", "1..5:", "1..5:x", "1...5", "1..99999999999999999999"]
        {
            check(text, "is not a range; write 1..500");
        }
        check("1..5:0", "step 0");
        check("5..1", "is empty");
        check("1..5:-1", "is empty");
        check("1..100000001", "limit of a batch");
        check(&format!("{}..{}", i64::MIN, i64::MAX), "limit of a batch");
    }

    #[test]
    fn random_numbers_are_read() {
        let check = |text: &str, count, low, high, seed| {
            assert_eq!(random(text).unwrap(), Random { count, low, high, seed }, "{text}");
        };
        check("10:0..9999", 10, 0, 9_999, None);
        check("1:-5..-5:7", 1, -5, -5, Some(7));
        let wrong = |text: &str, part: &str| {
            let error = random(text).unwrap_err().sentence;
            assert!(error.contains(part), "{text}: {error}");
        };
        for text in ["10", "x:0..9", "10:0", "10:0..9:", "10:0..9:x", "10:0..9:1:2", "-1:0..9"] {
            wrong(text, "10:0..9999");
        }
        wrong("10:9..0", "smaller end first");
        wrong("0:0..9", "makes no task");
        wrong("100000001:0..9", "limit of a batch");
    }

    #[test]
    fn repeats_are_bounded() {
        assert_eq!(repeat(3).unwrap(), Args::Repeat { count: 3 });
        assert!(repeat(0).unwrap_err().sentence.contains("at least one"));
        assert!(repeat(u64::MAX).is_err());
    }
}
