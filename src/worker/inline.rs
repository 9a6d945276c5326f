//! The kinds that run in the worker's own process: the arithmetic of `square` and the argument of
//! `sleep`. PURE; the waiting itself is done by core.rs.

use std::io::Write as _;

use ganger_proto::message::{DoneRun, GrantRun};
use ganger_proto::{ArgList, Args, Ended, LeaseId, Outcome};

/// What a run of squares came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Squares {
    /// What went well, split where something did not.
    pub done: Vec<DoneRun>,
    /// What did not.
    pub ended: Vec<Ended>,
}

impl Squares {
    /// Writes down how long each took; the driver measures them together.
    pub(super) fn set_took_us(&mut self, each: u32) {
        for run in &mut self.done {
            run.took_us.fill(each);
        }
        for ended in &mut self.ended {
            ended.took_us = u64::from(each);
        }
    }
}

/// Answers `n * n = n²` for each task of a run.
pub fn squares(run: &GrantRun) -> Squares {
    let count = run.args.count();
    let mut answers = Answers::with_room(run);
    match &run.args {
        Args::Listed(list) => list.iter().for_each(|argument| answers.answer(argument)),
        Args::Range { .. } | Args::Repeat { .. } => {
            let mut text = Vec::new();
            for offset in 0..count {
                text.clear();
                run.args.write(offset, &mut text);
                answers.answer(&text);
            }
        }
    }
    answers.close(run.lease.plus(count));
    answers.all
}

/// Answers being gathered for one run of leases.
struct Answers {
    all: Squares,
    first: LeaseId,
    results: ArgList,
}

impl Answers {
    fn with_room(run: &GrantRun) -> Self {
        let count = usize::try_from(run.args.count().min(4_096)).expect("4096 fits");
        // An argument of `d` bytes has an answer of at most `4 d + 6`; those of a range are not
        // there yet.
        let bytes = match &run.args {
            Args::Listed(list) => list.total_bytes() * 4 + count * 6,
            Args::Range { .. } | Args::Repeat { .. } => count * 32,
        };
        let results = ArgList::with_capacity(count, bytes);
        Self { all: Squares::default(), first: run.lease, results }
    }

    /// Answers the next task.
    fn answer(&mut self, argument: &[u8]) {
        match square(argument) {
            Ok(number) => self.results.push_with(|out| number.write(out)),
            Err(message) => {
                let lease = self.first.plus(self.results.len() as u64);
                self.close(lease.plus(1));
                let mut ended = Ended::bare(lease, Outcome::Failed { code: 1 }, 0);
                ended.message = message;
                self.all.ended.push(ended);
            }
        }
    }

    /// Ends a stretch of tasks that went well; the next begins with the lease `next`.
    fn close(&mut self, next: LeaseId) {
        let results = std::mem::take(&mut self.results);
        let first = std::mem::replace(&mut self.first, next);
        if !results.is_empty() {
            self.all.done.push(DoneRun { first, took_us: vec![0; results.len()], results });
        }
    }
}

/// A number with its square.
#[derive(Clone, Copy, Debug)]
struct Square {
    negative: bool,
    magnitude: u128,
    square: u128,
}

impl Square {
    fn write(self, out: &mut Vec<u8>) {
        let root = out.len();
        if self.negative {
            out.push(b'-');
        }
        write_digits(self.magnitude, out);
        let end = out.len();
        out.extend_from_slice(b" * ");
        out.extend_from_within(root..end);
        out.extend_from_slice(b" = ");
        write_digits(self.square, out);
    }
}

fn square(argument: &[u8]) -> Result<Square, String> {
    let text = argument.trim_ascii();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let shown = || {
        let text = String::from_utf8_lossy(&text[..text.len().min(60)]);
        text.chars().filter(|c| !c.is_control()).take(48).collect::<String>()
    };
    let too_big = || format!("the square of {} does not fit in 128 bits", shown());
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(format!("`{}` is not a whole number; a square needs one", shown()));
    }
    let magnitude = magnitude(digits).ok_or_else(too_big)?;
    let square = magnitude.checked_mul(magnitude).ok_or_else(too_big)?;
    Ok(Square { negative: negative && magnitude != 0, magnitude, square })
}

/// Reads decimal digits; nothing when the number does not fit 128 bits.
fn magnitude(digits: &[u8]) -> Option<u128> {
    // So many fit 64 bits, whose arithmetic is much cheaper; nearly all numbers are that short.
    let (short, rest) = digits.split_at(digits.len().min(19));
    let short = short.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
    rest.iter().try_fold(u128::from(short), |sum, digit| {
        sum.checked_mul(10)?.checked_add(u128::from(digit - b'0'))
    })
}

/// Writes a number in decimal; far cheaper than `write!` for the small numbers that are common.
fn write_digits(number: u128, out: &mut Vec<u8>) {
    let Ok(mut rest) = u64::try_from(number) else {
        write!(out, "{number}").expect("writing to memory does not fail");
        return;
    };
    let mut digits = [0; 20];
    let mut start = digits.len();
    // Two digits a division.
    for pair in digits.rchunks_exact_mut(2) {
        pair.copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
        start -= 2;
        if rest == 0 {
            break;
        }
    }
    if digits[start] == b'0' {
        start += 1;
    }
    out.extend_from_slice(&digits[start..]);
}

/// The numbers below 100, two digits each.
static PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// Reads how long to sleep, in microseconds: seconds such as `1.5`, or with a unit `20ms`, `2m`,
/// `1h`; no argument waits not at all.
///
/// # Errors
/// Says what can be written when the argument is no duration, or is over a year.
pub(super) fn sleep_us(argument: &[u8]) -> Result<u64, String> {
    const YEAR_US: f64 = 366.0 * 86_400.0 * 1e6;
    let text = String::from_utf8_lossy(&argument[..argument.len().min(64)]).trim().to_owned();
    if text.is_empty() {
        return Ok(0);
    }
    let split = text.find(|c: char| c.is_ascii_alphabetic() || c == 'µ').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "us" | "µs" => 1.0,
        "ms" => 1e3,
        "" | "s" => 1e6,
        "m" | "min" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => f64::NAN,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let us = number.parse::<f64>().ok().filter(|_| plain).map_or(f64::NAN, |n| n * scale);
    if !(0.0..=YEAR_US).contains(&us) {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(48).collect();
        return Err(format!("`{shown}` is no time to sleep; write 1.5 (seconds), 20ms, 2m or 1h"));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to lie between 0 and a year"
    )]
    let whole = us.round() as u64;
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use ganger_proto::{BatchId, Epoch, SpecId, TaskId};

    use super::*;

    fn run(args: Args) -> GrantRun {
        GrantRun {
            lease: LeaseId { epoch: Epoch::new(1), counter: 10 },
            task: TaskId::new(1),
            batch: BatchId::new(1),
            index: 0,
            attempt: 1,
            spec: SpecId::new(1),
            args,
        }
    }

    fn check(argument: &str, expected: &str) {
        let list = [argument.as_bytes()].into_iter().collect();
        let all = squares(&run(Args::Listed(list)));
        let text = match (all.done.first(), all.ended.first()) {
            (Some(done), None) => String::from_utf8(done.results.get(0).unwrap().into()).unwrap(),
            (None, Some(ended)) => {
                assert_eq!(ended.outcome, Outcome::Failed { code: 1 });
                ended.message.clone()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn squares_of_all_sizes() {
        check("0", "0 * 0 = 0");
        check("7", "7 * 7 = 49");
        check(" -12\n", "-12 * -12 = 144");
        check("+3", "3 * 3 = 9");
        check("-0", "0 * 0 = 0");
        check("10", "10 * 10 = 100");
        check("00099", "99 * 99 = 9801");
        check("-4294967296", "-4294967296 * -4294967296 = 18446744073709551616");
        check(
            "9999999999999999999",
            "9999999999999999999 * 9999999999999999999 = 99999999999999999980000000000000000001",
        );
        check(
            "10000000000000000000",
            "10000000000000000000 * 10000000000000000000 = 100000000000000000000000000000000000000",
        );
        check(
            "18446744073709551615",
            "18446744073709551615 * 18446744073709551615 = \
             340282366920938463426481119284349108225",
        );
        check(
            "18446744073709551616",
            "the square of 18446744073709551616 does not fit in 128 bits",
        );
        check("x\u{1b}", "`x` is not a whole number; a square needs one");
        check("", "`` is not a whole number; a square needs one");
        check("1 2", "`1 2` is not a whole number; a square needs one");
        check("-", "`-` is not a whole number; a square needs one");
    }

    #[test]
    fn a_run_is_split_where_a_square_fails() {
        let list = [&b"1"[..], b"2", b"x", b"y", b"3"].into_iter().collect();
        let mut all = squares(&run(Args::Listed(list)));
        all.set_took_us(5);
        let done: Vec<_> = all.done.iter().map(|d| (d.first.counter, d.took_us.len())).collect();
        assert_eq!(done, [(10, 2), (14, 1)]);
        let ended: Vec<_> = all.ended.iter().map(|e| (e.lease.counter, e.took_us)).collect();
        assert_eq!(ended, [(12, 5), (13, 5)]);
    }

    #[test]
    fn ranges_are_squared_without_a_list() {
        let all = squares(&run(Args::Range { first: -1, step: 2, count: 3 }));
        let lines: Vec<_> = all.done[0].results.iter().map(<[u8]>::to_vec).collect();
        assert_eq!(lines, [&b"-1 * -1 = 1"[..], b"1 * 1 = 1", b"3 * 3 = 9"]);
    }

    #[test]
    fn durations_are_read() {
        for (text, us) in [
            ("", 0),
            ("0", 0),
            ("1.5", 1_500_000),
            ("20ms", 20_000),
            ("7us", 7),
            ("2m", 120_000_000),
            ("1h", 3_600_000_000),
            (" 3s\n", 3_000_000),
        ] {
            assert_eq!(sleep_us(text.as_bytes()), Ok(us), "{text:?}");
        }
        for text in ["-1", "x", "1y", "inf", "nan", "1e3", "400d", "1 2", "\u{1b}[2J"] {
            let message = sleep_us(text.as_bytes()).unwrap_err();
            assert!(message.contains("20ms") && !message.contains('\u{1b}'), "{message}");
        }
    }
}
