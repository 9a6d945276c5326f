//! What a benchmark says: figures with what is wanted and what was measured beside them, and how
//! they are written, for people, as JSON and as a table. Does not measure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// All that one command found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    /// The program and its version.
    pub(super) version: String,
    /// When, in UTC.
    pub(super) date: String,
    /// Processors and memory.
    pub(super) machine: String,
    /// What was measured, in order.
    pub(super) reports: Vec<Report>,
}

/// What one row found.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// The command that measures it again.
    pub(super) command: String,
    /// Under which conditions.
    pub(super) conditions: Vec<String>,
    /// What was found.
    pub(super) figures: Vec<Figure>,
    /// What was found along an axis, for plots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) series: Vec<Series>,
}

/// One figure.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Figure {
    what: String,
    value: f64,
    unit: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    beside: Vec<Other>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    better: Better,
    at_least: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ambition: Option<f64>,
}

/// In which direction a figure gets better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Better {
    Higher,
    Lower,
}

/// A limit or a peer, measured in the same run.
#[derive(Debug, Serialize, Deserialize)]
struct Other {
    what: String,
    value: f64,
    /// The figure divided by this one.
    ratio: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
}

/// Figures along an axis; each point names what it holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Series {
    /// What grows.
    pub(super) axis: String,
    /// One map a step, the axis among its keys.
    pub(super) points: Vec<BTreeMap<String, f64>>,
}

impl Wanted {
    /// At least so much, better so much.
    pub(super) const fn more(at_least: f64, ambition: f64) -> Self {
        Self { better: Better::Higher, at_least, ambition: Some(ambition) }
    }

    /// At most so much, better so little.
    pub(super) const fn less(at_most: f64, ambition: f64) -> Self {
        Self { better: Better::Lower, at_least: at_most, ambition: Some(ambition) }
    }

    /// At least so much.
    pub(super) const fn floor(at_least: f64) -> Self {
        Self { better: Better::Higher, at_least, ambition: None }
    }

    /// At most so much.
    pub(super) const fn ceiling(at_most: f64) -> Self {
        Self { better: Better::Lower, at_least: at_most, ambition: None }
    }

    fn is_met(self, value: f64, bound: f64) -> bool {
        match self.better {
            Better::Higher => value >= bound,
            Better::Lower => value <= bound,
        }
    }

    /// Says what is wanted, and whether the value is it.
    fn verdict(self, value: f64) -> String {
        let sign = if self.better == Better::Higher { '≥' } else { '≤' };
        let ambition = self.ambition.map(|bound| (bound, self.is_met(value, bound)));
        let (at_least, reached) = (number(self.at_least), self.is_met(value, self.at_least));
        match (reached, ambition) {
            (true, Some((bound, true))) => format!("✓✓ {sign} {}", number(bound)),
            (true, Some((bound, false))) => {
                format!("✓ {sign} {at_least}, hoped {}", number(bound))
            }
            (true, None) => format!("✓ {sign} {at_least}"),
            (false, _) => format!("✗ {sign} {at_least}"),
        }
    }
}

impl Figure {
    /// Returns a figure with its unit.
    pub(super) fn new(what: impl Into<String>, value: f64, unit: &str) -> Self {
        let (what, unit) = (what.into(), unit.to_owned());
        Self { what, value, unit, wanted: None, beside: Vec::new() }
    }

    /// Says what it should be.
    pub(super) const fn wanted(mut self, wanted: Wanted) -> Self {
        self.wanted = Some(wanted);
        self
    }

    /// Adds what was measured beside it, in the same unit.
    pub(super) fn beside(self, what: impl Into<String>, value: f64) -> Self {
        self.compared(what.into(), value, None)
    }

    /// Adds what was measured beside it, and what the figure divided by it should be.
    pub(super) fn beside_wanted(self, what: impl Into<String>, value: f64, wanted: Wanted) -> Self {
        self.compared(what.into(), value, Some(wanted))
    }

    fn compared(mut self, what: String, value: f64, wanted: Option<Wanted>) -> Self {
        self.beside.push(Other { what, value, ratio: self.value / value, wanted });
        self
    }

    fn is_wanted(&self) -> bool {
        self.wanted.is_some() || self.beside.iter().any(|other| other.wanted.is_some())
    }

    fn shown(&self) -> String {
        format!("{} {}", number(self.value), self.unit).trim_end().to_owned()
    }
}

impl Document {
    /// Returns the document for people.
    pub(super) fn text(&self) -> String {
        let mut out = format!("{} · {} · {}\n", self.version, self.date, self.machine);
        for report in &self.reports {
            let _ok = writeln!(out, "\n{}", report.command);
            for condition in &report.conditions {
                let _ok = writeln!(out, "  {condition}");
            }
            for figure in &report.figures {
                let verdict = figure.wanted.map(|wanted| wanted.verdict(figure.value));
                let verdict = verdict.unwrap_or_default();
                let line = format!("  {:<50} {:>24}  {verdict}", figure.what, figure.shown());
                let _ok = writeln!(out, "{}", line.trim_end());
                for other in &figure.beside {
                    let (value, ratio) = (number(other.value), number(other.ratio));
                    let verdict = other.wanted.map(|wanted| wanted.verdict(other.ratio));
                    let verdict = verdict.map(|verdict| format!("  {verdict}")).unwrap_or_default();
                    let what = &other.what;
                    let unit = &figure.unit;
                    let _ok =
                        writeln!(out, "    beside {what}: {value} {unit}, × {ratio}{verdict}");
                }
            }
            for series in &report.series {
                series.write(&mut out);
            }
        }
        out
    }

    /// Returns the figures of which something is wanted as a table in Markdown.
    pub(super) fn table(&self) -> String {
        let mut out = "| what | figure | wanted | beside it, in the same run |\n".to_owned();
        out.push_str("| --- | --- | --- | --- |\n");
        let figures = self.reports.iter().flat_map(|report| &report.figures);
        for figure in figures.filter(|figure| figure.is_wanted()) {
            let verdict = figure.wanted.map(|wanted| wanted.verdict(figure.value));
            let beside = figure.beside.iter().map(|other| {
                let verdict = other.wanted.map(|wanted| wanted.verdict(other.ratio));
                let verdict = verdict.map(|verdict| format!(" ({verdict})")).unwrap_or_default();
                format!(
                    "× {}{verdict} of {}: {}",
                    number(other.ratio),
                    other.what,
                    number(other.value)
                )
            });
            let beside: Vec<String> = beside.collect();
            let _ok = writeln!(
                out,
                "| {} | {} | {} | {} |",
                figure.what,
                figure.shown(),
                verdict.unwrap_or_default(),
                beside.join("; ")
            );
        }
        out
    }
}

impl Series {
    fn write(&self, out: &mut String) {
        let Some(first) = self.points.first() else { return };
        let mut names: Vec<&String> = first.keys().filter(|name| **name != self.axis).collect();
        names.insert(0, &self.axis);
        let head: Vec<String> = names.iter().map(|name| format!("{name:>22}")).collect();
        let _ok = writeln!(out, "  {}", head.join(" "));
        for point in &self.points {
            let cell = |name: &&String| point.get(*name).map(|value| number(*value));
            let cells = names.iter().map(|name| format!("{:>22}", cell(name).unwrap_or_default()));
            let _ok = writeln!(out, "  {}", cells.collect::<Vec<_>>().join(" "));
        }
    }
}

/// Returns a number with as many digits as one measures, thousands apart.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 100.0 || value.fract() == 0.0 {
        return grouped(value);
    }
    match size {
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", &*digits), |rest| ("-", rest));
    let mut out = sign.to_owned();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> Document {
        let rate = Figure::new("squares", 1_539_125.4, "tasks/s")
            .wanted(Wanted::more(200_000.0, 600_000.0))
            .beside("the tutorial", 4_310.0);
        let exec = Figure::new("exec", 1_804.0, "tasks/s").beside_wanted(
            "a bare loop",
            1_980.0,
            Wanted::more(0.9, 0.97),
        );
        let slow = Figure::new("restart", 6.5, "s").wanted(Wanted::less(5.0, 2.0));
        let plain = Figure::new("store", 292.0, "MiB");
        let point = [("tasks".to_owned(), 1_000.0), ("µs".to_owned(), 0.5)];
        let series = Series { axis: "tasks".to_owned(), points: vec![point.into()] };
        Document {
            version: "ganger 1".to_owned(),
            date: "today".to_owned(),
            machine: "2 cores".to_owned(),
            reports: vec![Report {
                command: "ganger bench squares".to_owned(),
                conditions: vec!["durable".to_owned()],
                figures: vec![rate, exec, slow, plain],
                series: vec![series],
            }],
        }
    }

    #[test]
    fn people_read_figures_with_what_is_wanted_and_what_was_beside() {
        let text = document().text();
        assert!(text.contains("1,539,125 tasks/s  ✓✓ ≥ 600,000"), "{text}");
        assert!(text.contains("beside the tutorial: 4,310 tasks/s, × 357"), "{text}");
        assert!(text.contains("× 0.91  ✓ ≥ 0.90, hoped 0.97"), "{text}");
        assert!(text.contains("6.50 s  ✗ ≤ 5"), "{text}");
        assert!(text.lines().last().unwrap().ends_with("1,000                   0.50"), "{text}");
    }

    #[test]
    fn a_document_is_read_back_as_it_was_written() {
        let json = serde_json::to_string(&document()).unwrap();
        let again: Document = serde_json::from_str(&json).unwrap();
        assert_eq!(again.table(), document().table());
        assert!(again.table().lines().all(|line| line.matches('|').count() == 5));
        assert_eq!(again.table().lines().count(), 5, "what nobody wants is left out");
    }

    #[test]
    fn numbers_have_the_digits_that_one_measures() {
        let check = |value: f64, expected: &str| assert_eq!(number(value), expected);
        check(1_234_567.8, "1,234,568");
        check(-1_000.0, "-1,000");
        check(7.0, "7");
        check(12.34, "12.3");
        check(1.234, "1.23");
        check(0.01234, "0.0123");
    }
}
