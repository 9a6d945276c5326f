//! Rows of tasks for other programs: CSV for spreadsheets, JSON lines for scripts. Pure.

use std::fmt::Write as _;

use ganger_proto::picture::TaskRow;
use ganger_proto::{Outcome, WallMs};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFormat {
    /// RFC 4180, with a line of titles.
    Csv,
    /// One JSON object a line.
    Json,
}

const TITLES: &str = "task,batch,queue,state,outcome,exit,priority,kind,command,attempt,\
                      attempts_max,worker,submitted,since,due\r\n";

impl RowFormat {
    /// Returns the end of a file's name.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "jsonl",
        }
    }

    /// Returns what stands before the first row.
    pub(crate) const fn head(self) -> &'static str {
        match self {
            Self::Csv => TITLES,
            Self::Json => "",
        }
    }

    /// Writes a row whose text was cleaned.
    pub(crate) fn write(self, out: &mut String, row: &TaskRow) {
        match self {
            Self::Csv => csv(out, row),
            Self::Json => {
                out.push_str(&serde_json::to_string(row).expect("a row is numbers and text"));
                out.push('\n');
            }
        }
    }
}

fn csv(out: &mut String, row: &TaskRow) {
    let outcome = row.outcome.map(|outcome| outcome.to_string()).unwrap_or_default();
    let exit = match row.outcome {
        Some(Outcome::Done) => "0".to_owned(),
        Some(Outcome::Failed { code }) => code.to_string(),
        Some(
            Outcome::Signalled { .. }
            | Outcome::TimedOut
            | Outcome::Lost
            | Outcome::Cancelled
            | Outcome::Unfit,
        )
        | None => String::new(),
    };
    let fields = [
        row.task.to_string(),
        row.batch.to_string(),
        field(row.queue.as_str()),
        row.state.word().to_owned(),
        field(&outcome),
        exit,
        row.priority.to_string(),
        field(&row.kind),
        field(&row.command),
        row.attempt.to_string(),
        row.attempts_max.to_string(),
        field(&row.worker),
        moment(row.submitted),
        moment(row.since),
        row.due.map(moment).unwrap_or_default(),
    ];
    out.push_str(&fields.join(","));
    out.push_str("\r\n");
}

/// Quotes what has a meaning in CSV. A text that a spreadsheet would take for a formula gets an
/// apostrophe before it.
fn field(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let shown = if formula { format!("'{text}") } else { text.to_owned() };
    match shown.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", shown.replace('"', "\"\"")),
        false => shown,
    }
}

/// Returns a moment in UTC as RFC 3339 writes it.
fn moment(at: WallMs) -> String {
    let (date, second) = date(at, 0);
    let (year, month, day) = date;
    let ms = at.0 % 1_000;
    let (h, m, s) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z")
}

/// Returns a moment for a file's name, in local time: `20260314-143207`.
pub(crate) fn stamp(at: WallMs, offset_min: Option<i32>) -> String {
    let ((year, month, day), second) = date(at, offset_min.unwrap_or(0));
    let mut out = format!("{year:04}{month:02}{day:02}-");
    let (h, m, s) = (second / 3_600, second / 60 % 60, second % 60);
    let _infallible = write!(out, "{h:02}{m:02}{s:02}");
    out
}

/// Returns year, month and day with the second of that day: days are counted from the first of
/// March of the year 0, so that a leap day is the last of its year.
fn date(at: WallMs, offset_min: i32) -> ((i64, i64, i64), i64) {
    let seconds = (at.0 / 1_000) as i64 + i64::from(offset_min) * 60;
    let days = seconds.div_euclid(86_400) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    ((era * 400 + year + next, month, day), seconds.rem_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use ganger_proto::TaskState;

    use super::*;
    use crate::sample::task;

    #[test]
    fn a_spreadsheet_takes_nothing_for_a_formula() {
        let check = |text: &str, expected: &str| assert_eq!(field(text), expected, "{text}");
        check("=1+1", "'=1+1");
        check("-rf /", "'-rf /");
        check("@SUM(A1)", "'@SUM(A1)");
        check("+1", "'+1");
        check("echo \"a, b\"", "\"echo \"\"a, b\"\"\"");
        check("=cmd|'/c calc'!A0,", "\"'=cmd|'/c calc'!A0,\"");
        check("make", "make");
    }

    #[test]
    fn a_row_has_as_many_fields_as_titles() {
        let mut row = task(7, TaskState::Failed);
        row.outcome = Some(Outcome::Failed { code: 2 });
        row.priority = -5;
        let mut out = RowFormat::Csv.head().to_owned();
        RowFormat::Csv.write(&mut out, &row);
        let mut lines = out.split("\r\n");
        let titles = lines.next().unwrap();
        let line = lines.next().unwrap();
        assert_eq!(titles.split(',').count(), line.split(',').count());
        assert!(line.starts_with("7,b812,default,failed,exit 2,2,-5,square,4096,1,3,,"), "{line}");
        let mut out = String::new();
        RowFormat::Json.write(&mut out, &row);
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&json["task"], &json["state"]), (&7.into(), &"failed".into()));
    }

    #[test]
    fn moments_are_dates() {
        let check = |ms: u64, expected: &str| assert_eq!(moment(WallMs(ms)), expected);
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_400_123, "2000-02-29T00:00:00.123Z");
        check(1_709_251_199_000, "2024-02-29T23:59:59.000Z");
        check(1_798_761_599_999, "2026-12-31T23:59:59.999Z");
        assert_eq!(stamp(WallMs(1_798_761_599_999), Some(60)), "20270101-005959");
        assert_eq!(stamp(WallMs(0), Some(-60)), "19691231-230000");
    }
}
