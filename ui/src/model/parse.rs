//! How the fields of a form are read: ranges, random draws, durations. Every refusal is a sentence
//! that says what to write.

use ganger_proto::limits::BATCH_TASKS_MAX;
use ganger_proto::{ArgList, Args};

/// Random values that are drawn here; more belong in a file for `ganger submit -a`.
const RANDOM_MAX: u64 = 1_000_000;

/// Reads `1..500` or `1..500:5`; both ends are included.
pub(crate) fn range(text: &str) -> Result<Args, String> {
    let (ends, step) = match text.trim().split_once(':') {
        Some((ends, step)) => (ends, number(step, "the step")?),
        None => (text.trim(), 1),
    };
    let Some((from, to)) = ends.split_once("..") else {
        return Err("write a range as 1..500, or 1..500:5 for every fifth".to_owned());
    };
    let (from, to) = (number(from, "the first number")?, number(to, "the last number")?);
    if step == 0 {
        return Err("a step of 0 never arrives; write 1 or more".to_owned());
    }
    if (to > from) != (step > 0) && to != from {
        return Err(format!("from {from} to {to} needs a step of {}", step.saturating_neg()));
    }
    let count = (i128::from(to) - i128::from(from)) / i128::from(step) + 1;
    match u64::try_from(count) {
        Ok(count) if count <= BATCH_TASKS_MAX => Ok(Args::Range { first: from, step, count }),
        _ => Err(format!("{count} tasks are more than the {BATCH_TASKS_MAX} of one batch")),
    }
}

/// What `10:0..10000` or `10:0..10000:42` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Random {
    pub(crate) count: u64,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) seed: Option<u64>,
}

impl Random {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.trim().splitn(3, ':');
        let shape = "write N:MIN..MAX, such as 10:0..10000; a seed may follow";
        let (Some(count), Some(ends)) = (parts.next(), parts.next()) else {
            return Err(shape.to_owned());
        };
        let (min, max) = ends.split_once("..").ok_or(shape)?;
        let count = whole(count, "the count")?;
        let (min, max) = (number(min, "the smallest")?, number(max, "the largest")?);
        let seed = parts.next().map(|seed| whole(seed, "the seed")).transpose()?;
        if max < min {
            return Err(format!("the largest, {max}, is below the smallest, {min}"));
        }
        if !(1..=RANDOM_MAX).contains(&count) {
            return Err(format!("{count} values are not 1 to {RANDOM_MAX}"));
        }
        Ok(Self { count, min, max, seed })
    }

    /// Draws the values; `draw` is the seed when none was given.
    pub(crate) fn draw(&self, draw: u64) -> Args {
        let mut state = self.seed.unwrap_or(draw);
        let span = self.max.abs_diff(self.min);
        let mut list = ArgList::new();
        for _ in 0..self.count {
            let value = next(&mut state);
            let offset = match span.checked_add(1) {
                Some(span) => ((u128::from(value) * u128::from(span)) >> 64) as u64,
                None => value,
            };
            list.push(self.min.wrapping_add_unsigned(offset).to_string().as_bytes());
        }
        Args::Listed(list)
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Reads a duration: `30s`, `5m`, `1.5h`, `200ms`; a number alone is seconds. In milliseconds.
pub(crate) fn duration_ms(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1.0,
        "" | "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return Err("write a duration as 30s, 5m, 2h or 200ms".to_owned()),
    };
    match digits.parse::<f64>() {
        Ok(value) if (0.0..=1e9).contains(&value) => Ok((value * unit).round() as u64),
        _ => Err("write a duration as 30s, 5m, 2h or 200ms".to_owned()),
    }
}

fn number(text: &str, what: &str) -> Result<i64, String> {
    let text = text.trim();
    text.parse().map_err(|_| match text.is_empty() {
        true => format!("{what} is missing"),
        false => format!("{what}, `{}`, is not a whole number", shown(text)),
    })
}

/// Reads a whole number from 0 up.
pub(crate) fn whole(text: &str, what: &str) -> Result<u64, String> {
    let value = number(text, what)?;
    u64::try_from(value).map_err(|_| format!("{what} is below 0"))
}

fn shown(text: &str) -> String {
    crate::text::cut(&crate::text::clean(text), 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_both_ends() {
        let check = |text: &str, first, step, count| {
            assert_eq!(range(text), Ok(Args::Range { first, step, count }), "{text}");
        };
        check("1..500", 1, 1, 500);
        check("1..10:3", 1, 3, 4);
        check("5..1:-2", 5, -2, 3);
        check(" -3..-3 ", -3, 1, 1);
        let refused = |text: &str, part: &str| {
            let error = range(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        refused("", "write a range");
        refused("1..", "the last number is missing");
        refused("1..5:0", "step of 0");
        refused("5..1", "needs a step of -1");
        refused("1..9x", "`9x`");
        refused("-9223372036854775808..9223372036854775807", "more than");
        assert!(range("1..5:-9223372036854775808").is_err());
    }

    #[test]
    fn random_values_stay_within_and_repeat_with_their_seed() {
        let random = Random::parse("200:-5..5:42").unwrap();
        let Args::Listed(list) = random.draw(1) else { panic!("values are listed") };
        assert_eq!(random.draw(2), Args::Listed(list.clone()));
        let values: Vec<i64> =
            list.iter().map(|v| std::str::from_utf8(v).unwrap().parse().unwrap()).collect();
        assert!(values.iter().all(|v| (-5..=5).contains(v)));
        assert!((-5..=5).all(|v| values.contains(&v)));
        let all = Random::parse("3:-9223372036854775808..9223372036854775807").unwrap();
        assert_eq!(all.draw(1).count(), 3);
        for bad in ["", "10", "10:5", "0:1..2", "9:2..1", "2000000:1..2", "-1:1..2", "x:1..2"] {
            assert!(Random::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_read() {
        let check = |text: &str, ms| assert_eq!(duration_ms(text), Ok(ms), "{text}");
        check("30s", 30_000);
        check("1.5h", 5_400_000);
        check("200ms", 200);
        check("90", 90_000);
        for bad in ["", "s", "5x", "-1s", "1e99", "nan", "inf"] {
            assert!(duration_ms(bad).is_err(), "{bad}");
        }
    }
}
