//! `--halt`: when a run stops early, and with which exit code it ends; as GNU parallel's manual has
//! it ("--halt-on-error", "EXIT STATUS"). Stops nothing itself.

use std::str::FromStr;

/// What was asked for with `--halt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Halt {
    /// It is not stopped.
    Never,
    /// It is.
    When {
        /// What becomes of tasks that run.
        when: When,
        /// Which ends count.
        of: Of,
        /// How many of them.
        bound: Bound,
    },
}

/// What becomes of tasks that run when it stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// They are waited for.
    Soon,
    /// They are cancelled.
    Now,
}

/// Which ends count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Fail,
    Success,
    Done,
}

/// How many ends it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// This many; at least 1.
    Count(u64),
    /// This part of all tasks, from 1 to 100 percent.
    Percent(u64),
}

/// How one task ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// Its exit code; -1 when it has none because it was stopped.
    pub(crate) code: i32,
    /// The signal that ended it; 0 for none.
    pub(crate) signal: i32,
}

impl End {
    /// Tells whether it failed.
    pub(crate) const fn is_failure(self) -> bool {
        self.code != 0 || self.signal != 0
    }

    /// Returns what a shell would say.
    fn status(self) -> u8 {
        let status = match (self.code, self.signal) {
            (0, 0) => 0,
            (0, signal) => signal.saturating_add(128),
            (code, _) => code,
        };
        // -1 is what was stopped.
        u8::try_from(status & 0xff).unwrap_or(u8::MAX)
    }
}

/// The ends so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ends {
    failed: u64,
    ended: u64,
    /// How many tasks there are, once that is known.
    total: Option<u64>,
    last: End,
}

/// A failed task more than this many is no more counted in the exit code.
const COUNTED_MAX: u64 = 101;
/// The code of ganger's own errors.
pub(crate) const OWN_ERROR: u8 = 255;

impl Of {
    /// Says what happened to a task whose end counts.
    pub(crate) const fn told(self, end: End) -> Option<&'static str> {
        match (self, end.is_failure()) {
            (Self::Fail, true) => Some("failed"),
            (Self::Success, false) => Some("succeeded"),
            (Self::Done, _) => Some("finished"),
            (Self::Fail, false) | (Self::Success, true) => None,
        }
    }
}

impl FromStr for Halt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write never, or now or soon with what must happen: now,fail=1 soon,success=3 \
             soon,done=50%"
                .to_owned()
        };
        let long = match text {
            "0" | "never" => return Ok(Self::Never),
            "1" => "soon,fail=1",
            "2" => "now,fail=1",
            "-1" => "soon,success=1",
            "-2" => "now,success=1",
            other => other,
        };
        let (when, what) = match long.split_once(',') {
            Some(("now", what)) => (When::Now, what),
            Some(("soon", what)) => (When::Soon, what),
            None if long.ends_with('%') => (When::Soon, long),
            Some(_) | None => return Err(wrong()),
        };
        let (of, bound) = match what.split_once('=') {
            Some(("fail", bound)) => (Of::Fail, bound),
            Some(("success", bound)) => (Of::Success, bound),
            Some(("done", bound)) => (Of::Done, bound),
            None if what.ends_with('%') => (Of::Fail, what),
            Some(_) | None => return Err(wrong()),
        };
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
        let bound = match bound.strip_suffix('%') {
            Some(text) => number(text).filter(|number| *number <= 100).map(Bound::Percent),
            None => number(bound).map(Bound::Count),
        };
        Ok(Self::When { when, of, bound: bound.ok_or_else(wrong)? })
    }
}

impl Ends {
    /// Counts an end.
    pub(crate) const fn count(&mut self, end: End) {
        self.ended += 1;
        self.failed += end.is_failure() as u64;
        self.last = end;
    }

    /// Keeps how many tasks there are.
    pub(crate) const fn set_total(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Returns the exit code when nothing stopped the run.
    pub(crate) fn exit(&self, halt: Halt) -> u8 {
        match halt {
            Halt::When { bound: Bound::Percent(_), .. } => self.percent(self.ended),
            Halt::Never | Halt::When { bound: Bound::Count(_), .. } => self.counted(),
        }
    }

    fn counted(&self) -> u8 {
        u8::try_from(self.failed.min(COUNTED_MAX)).unwrap_or(OWN_ERROR)
    }

    fn percent(&self, of: u64) -> u8 {
        let percent = (self.failed * 100).div_ceil(of.max(1));
        u8::try_from(percent.min(100)).unwrap_or(OWN_ERROR)
    }
}

impl Halt {
    /// Says whether the ends so far stop the run, with which exit code.
    pub(crate) fn verdict(self, ends: &Ends) -> Option<(When, u8)> {
        let Self::When { when, of, bound } = self else { return None };
        let count = match of {
            Of::Fail => ends.failed,
            Of::Success => ends.ended - ends.failed,
            Of::Done => ends.ended,
        };
        // What counts must have happened last, or be all that there is.
        let (reached, single, percent_of) = match (bound, ends.total) {
            (Bound::Count(bound), _) => (count >= bound, bound == 1, None),
            (Bound::Percent(_), None) => return None,
            (Bound::Percent(bound), Some(total)) => {
                let needed = total * bound;
                (count > 0 && count * 100 >= needed, needed == 100, Some(total))
            }
        };
        if !reached {
            return None;
        }
        let exit = match (of, single, percent_of) {
            (Of::Success, ..) => 0,
            (Of::Fail | Of::Done, true, _) => ends.last.status(),
            (Of::Fail | Of::Done, false, Some(total)) => ends.percent(total),
            (Of::Fail | Of::Done, false, None) => ends.counted(),
        };
        Some((when, exit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Codes of tasks in the order of their ends; what stops the run after how many, and the code.
    fn check(halt: &str, codes: &[i32], expected: &str) {
        let halt: Halt = halt.parse().unwrap();
        let mut ends = Ends::default();
        ends.set_total(codes.len() as u64);
        for (place, code) in codes.iter().enumerate() {
            let signal = if *code > 128 { code - 128 } else { 0 };
            ends.count(End { code: if signal > 0 { 0 } else { *code }, signal });
            if let Some((when, exit)) = halt.verdict(&ends) {
                assert_eq!(format!("{when:?} after {} with {exit}", place + 1), expected);
                return;
            }
        }
        assert_eq!(format!("with {}", ends.exit(halt)), expected, "{codes:?}");
    }

    /// Each line was run through GNU parallel 20221122.
    #[test]
    fn runs_stop_as_gnu_parallels() {
        check("now,fail=1", &[0, 3, 0], "Now after 2 with 3");
        check("now,fail=1", &[137], "Now after 1 with 137");
        check("2", &[0, 3, 0], "Now after 2 with 3");
        check("-1", &[3, 0, 3], "Soon after 2 with 0");
        check("soon,fail=2", &[0, 3, 0, 4, 0], "Soon after 4 with 2");
        check("now,success=1", &[1, 0, 3], "Now after 2 with 0");
        check("now,done=2", &[1, 0, 3], "Now after 2 with 1");
        check("now,fail=50%", &[1, 0, 3, 0, 5, 0], "Now after 5 with 50");
        check("soon,fail=30%", &[1, 0, 3, 0, 5, 0], "Soon after 3 with 34");
        check("50%", &[3, 0, 3], "Soon after 3 with 67");
        check("soon,success=3", &[3, 0, 3], "with 2");
        check("never", &[1, 1, 1], "with 3");
        check("soon,fail=50%", &[1, 0, 0, 0], "with 25");
    }

    #[test]
    fn many_failures_are_one_code() {
        check("never", &[1; 100], "with 100");
        check("never", &[1; 150], "with 101");
    }

    #[test]
    fn words_that_are_no_halt_are_refused() {
        for text in ["", "now", "fail=1", "now,fail", "now,fail=0", "now,fail=101%", "later,fail=1"]
        {
            assert!(text.parse::<Halt>().unwrap_err().contains("now,fail=1"), "{text}");
        }
    }
}
