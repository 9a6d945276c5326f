//! How the fields of a form are read: ranges, random draws, durations, moments, variables. Every
//! refusal is a sentence that says what to write.

use ganger_proto::limits::BATCH_TASKS_MAX;
use ganger_proto::{ArgList, Args, Backoff, WallMs};

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

    /// Draws the values; `draw` is the seed when none was given. The same seed gives the same
    /// numbers as `ganger submit --random`, which draws with the same library.
    pub(crate) fn draw(&self, draw: u64) -> Args {
        let mut rng = fastrand::Rng::with_seed(self.seed.unwrap_or(draw));
        let mut list = ArgList::new();
        for _ in 0..self.count {
            list.push(rng.i64(self.min..=self.max).to_string().as_bytes());
        }
        Args::Listed(list)
    }
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

/// Returns a duration as `ganger submit` reads it: `90s`, `500ms`.
pub(crate) fn duration_text(ms: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match UNITS.into_iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// Reads `1s..10m`, or one duration for both: the first and the longest wait between tries.
pub(crate) fn backoff(text: &str) -> Result<Backoff, String> {
    let text = text.trim();
    let (base, cap) = text.split_once("..").unwrap_or((text, text));
    let ms = |text| duration_ms(text).map_err(|_| "write the waits as 1s..10m, or as 30s");
    let backoff = Backoff { base_ms: ms(base)?, cap_ms: ms(cap)? };
    match backoff.base_ms > backoff.cap_ms {
        true => {
            Err("the first wait is longer than the longest; write the shorter first".to_owned())
        }
        false => Ok(backoff),
    }
}

/// Reads `10m` from `now`, the next `22:00`, or a moment in UTC; nothing is at once.
pub(crate) fn moment(
    text: &str,
    now: WallMs,
    offset_min: Option<i32>,
) -> Result<Option<WallMs>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(wait) = duration_ms(text) {
        return Ok(Some(now.plus(wait)));
    }
    if let Some(of_day) = time_of_day(text) {
        let offset = i64::from(offset_min.unwrap_or(0)) * 60;
        let local = now.0 as i64 / 1_000 + offset;
        let wait = (of_day - local.rem_euclid(86_400)).rem_euclid(86_400);
        let since = (now.0 % 1_000).min(if wait == 0 { 0 } else { 999 });
        return Ok(Some(now.plus((wait * 1_000) as u64 - since)));
    }
    let moment = humantime::parse_rfc3339_weak(text).ok();
    let since = moment.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    match since.and_then(|since| u64::try_from(since.as_millis()).ok()) {
        Some(ms) => Ok(Some(WallMs(ms))),
        None => Err("write 10m from now, 22:00, or 2026-11-24T22:00:00Z".to_owned()),
    }
}

/// Returns a moment as `ganger submit` reads it.
pub(crate) fn moment_text(at: WallMs) -> String {
    // No year of five digits can be written; no master waits that long.
    let at = std::time::Duration::from_secs((at.0 / 1_000).min(253_402_300_799));
    humantime::format_rfc3339_seconds(std::time::UNIX_EPOCH + at).to_string()
}

/// Reads `22:00` or `22:00:30`, in seconds.
fn time_of_day(text: &str) -> Option<i64> {
    let mut parts = text.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    let fits = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    (fits && parts.next().is_none()).then_some(hour * 3_600 + minute * 60 + second)
}

/// What stands for a value that is not remembered.
pub(crate) const MASK: &str = "***";

/// Reads `K=V K2='two words'`.
pub(crate) fn variables(text: &str) -> Result<Vec<(String, String)>, String> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some(("", _)) | None => {
                Err(format!("`{}` is no variable; write NAME=VALUE", shown(word)))
            }
            Some((name, MASK)) => {
                Err(format!("type the value of {} again; values are not kept", shown(name)))
            }
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        })
        .collect()
}

/// Reads `stage=prod job='two words'`.
pub(crate) fn labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let words = shlex::split(text).ok_or("a quote is not closed")?;
    let label = |word: &String| match word.split_once('=') {
        Some(("", _)) | None => Err(format!("`{}` is no label; write stage=prod", shown(word))),
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
    };
    words.iter().map(label).collect()
}

/// Returns variables without their values, as they are remembered.
pub(crate) fn masked(text: &str) -> String {
    match variables(text) {
        Ok(list) => {
            let names = list.iter().map(|(name, _)| format!("{name}={MASK}"));
            names.collect::<Vec<_>>().join(" ")
        }
        // What is no list of variables may hold a secret all the same.
        Err(_) => text.split_whitespace().map(masked_word).collect::<Vec<_>>().join(" "),
    }
}

fn masked_word(word: &str) -> String {
    let name: String =
        word.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    match word.strip_prefix(&name).is_some_and(|rest| rest.starts_with('=')) && !name.is_empty() {
        true => format!("{name}={MASK}"),
        false => MASK.to_owned(),
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

pub(super) fn shown(text: &str) -> String {
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

    #[test]
    fn durations_are_written_as_the_command_line_reads_them() {
        for (text, written) in [("90", "90s"), ("1.5h", "90m"), ("48h", "2d"), ("0.2", "200ms")] {
            assert_eq!(duration_text(duration_ms(text).unwrap()), written, "{text}");
        }
        assert_eq!(duration_text(0), "0ms");
    }

    #[test]
    fn waits_between_tries_are_read() {
        assert_eq!(backoff("2s..1m"), Ok(Backoff { base_ms: 2_000, cap_ms: 60_000 }));
        assert_eq!(backoff(" 5s "), Ok(Backoff { base_ms: 5_000, cap_ms: 5_000 }));
        assert!(backoff("1m..2s").unwrap_err().contains("shorter first"));
        assert!(backoff("soon").unwrap_err().contains("1s..10m"));
    }

    #[test]
    fn moments_are_from_now_or_of_a_day() {
        // 2026-11-24T14:32:07.910Z
        let now = WallMs(1_795_530_727_910);
        let check = |text: &str, offset, at: &str| {
            let read = moment(text, now, offset).unwrap().unwrap();
            assert_eq!(moment_text(read), at, "{text}");
        };
        check("10m", None, "2026-11-24T14:42:07Z");
        check("22:00", Some(0), "2026-11-24T22:00:00Z");
        check("22:00", Some(60), "2026-11-24T21:00:00Z");
        check("14:00:30", Some(0), "2026-11-25T14:00:30Z");
        check("01:00", Some(-300), "2026-11-25T06:00:00Z");
        check("2026-12-01T00:00:00Z", Some(60), "2026-12-01T00:00:00Z");
        assert_eq!(moment("22:00", now, Some(0)).unwrap().unwrap().0 % 1_000, 0);
        assert_eq!(moment(" ", now, None), Ok(None));
        for bad in ["noon", "24:00", "1:2:3:4", "22:60", "-5m"] {
            assert!(moment(bad, now, None).unwrap_err().contains("22:00"), "{bad}");
        }
    }

    #[test]
    fn labels_have_a_key_and_a_value() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let read = labels("stage=prod url=a=b note='two words'").unwrap();
        assert_eq!(read, [pair("stage", "prod"), pair("url", "a=b"), pair("note", "two words")]);
        assert!(labels("stage").unwrap_err().contains("write stage=prod"));
        assert_eq!(labels("").unwrap(), []);
    }

    #[test]
    fn variables_are_read_and_their_values_forgotten() {
        let list = variables("A=1 B='two words' C=a=b D=").unwrap();
        let list: Vec<_> = list.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        assert_eq!(list, ["A:1", "B:two words", "C:a=b", "D:"]);
        assert_eq!(masked("TOKEN=s3cret B='two words'"), "TOKEN=*** B=***");
        assert!(variables("TOKEN=***").unwrap_err().contains("value of TOKEN again"));
        assert!(variables("just").unwrap_err().contains("NAME=VALUE"));
        for open in ["TOKEN='s3cret", "TOKEN='s3 cret", "'TOKEN=s3cret", "s3cret"] {
            assert!(!masked(open).contains("cret"), "{open}: {}", masked(open));
        }
    }
}
