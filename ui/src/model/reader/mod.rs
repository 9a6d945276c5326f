//! Text that is read: a bounded run of lines that grows at its end, the place that is shown, and
//! what was searched for. Used for outputs and for the log; does not know where lines come from.

mod search;

use std::collections::VecDeque;

use ganger_proto::WallMs;
use ratatui::layout::Rect;

use crate::lines::Line;
use search::Found;
pub(crate) use search::{Hop, find};

/// Lines kept; the oldest go first.
pub(crate) const LINES_MAX: usize = 20_000;
/// Memory that the lines kept may take.
pub(crate) const BYTES_MAX: usize = 8 << 20;

/// Columns from which numbers and times stand beside the text.
pub(crate) const WIDE: u16 = 60;

/// A line with where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// When it came; 0 when that is not known.
    pub(crate) at: WallMs,
    pub(crate) from: Origin,
    pub(crate) line: Line,
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Stdout,
    Stderr,
    /// ganger itself: what was left out, which attempt comes next.
    Ganger,
    /// The master's log.
    Log(Level),
}

/// How grave a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Which lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Streams {
    #[default]
    Both,
    Stdout,
    Stderr,
}

impl Streams {
    pub(crate) const fn next(self) -> Self {
        match self {
            Self::Both => Self::Stdout,
            Self::Stdout => Self::Stderr,
            Self::Stderr => Self::Both,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Both => "stdout+stderr",
            Self::Stdout => "stdout only",
            Self::Stderr => "stderr only",
        }
    }

    const fn shows(self, from: Origin) -> bool {
        match (self, from) {
            (Self::Both, _) | (_, Origin::Ganger | Origin::Log(_)) => true,
            (Self::Stdout, from) => matches!(from, Origin::Stdout),
            (Self::Stderr, from) => matches!(from, Origin::Stderr),
        }
    }
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Switch {
    #[default]
    Off,
    On,
}

impl Switch {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Off => Self::On,
            Self::On => Self::Off,
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

/// How text is shown; stays when another task is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) wrap: Switch,
    pub(crate) times: Switch,
    pub(crate) streams: Streams,
}

impl Default for Look {
    fn default() -> Self {
        Self { wrap: Switch::Off, times: Switch::On, streams: Streams::Both }
    }
}

/// The room that text is shown in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// Columns of the text itself.
    pub(crate) columns: usize,
    pub(crate) rows: usize,
    pub(crate) wrap: Switch,
    pub(crate) streams: Streams,
}

/// Columns at the left of the text, with the spaces after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gutter {
    pub(crate) number: u16,
    pub(crate) time: u16,
    /// The level of a line of the log, or the sign of stderr.
    pub(crate) mark: u16,
}

impl Gutter {
    pub(crate) const fn width(self) -> u16 {
        self.number + self.time + self.mark
    }
}

/// One row of the screen: a line by its number from 0, and which of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) line: u64,
    pub(crate) row: usize,
}

/// What is shown first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// The end, wherever it moves.
    #[default]
    Followed,
    From(Row),
}

/// Lines that grow at their end.
#[derive(Debug, Default)]
pub(crate) struct Text {
    entries: VecDeque<Entry>,
    /// Lines that have not ended; they are replaced as they grow.
    open: Vec<Entry>,
    bytes: usize,
    /// Lines that were let go; the number of the first one kept.
    pub(crate) dropped: u64,
    /// Whether any line has a time.
    pub(crate) is_timed: bool,
    place: Place,
    found: Found,
}

impl Text {
    /// Begins anew, with the same search.
    pub(crate) fn clear(&mut self) {
        let needle = std::mem::take(&mut self.found.needle);
        *self = Self { found: Found { needle, ..Found::default() }, ..Self::default() };
    }

    pub(crate) fn push(&mut self, entry: Entry) {
        self.is_timed |= entry.at.0 > 0;
        self.bytes += entry.line.bytes();
        if find(&entry.line.text, &self.found.needle).is_some() {
            self.found.lines.push_back(self.dropped + self.entries.len() as u64);
        }
        self.entries.push_back(entry);
        while self.entries.len() > LINES_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.entries.pop_front() else { break };
            self.bytes -= oldest.line.bytes();
            self.dropped += 1;
        }
        while self.found.lines.front().is_some_and(|line| *line < self.dropped) {
            self.found.lines.pop_front();
        }
    }

    /// Replaces the lines that have not ended.
    pub(crate) fn set_open(&mut self, open: Vec<Entry>) {
        self.open = open;
    }

    /// Returns the number after the last line.
    pub(crate) fn end(&self) -> u64 {
        self.dropped + (self.entries.len() + self.open.len()) as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.open.is_empty()
    }

    pub(crate) fn get(&self, line: u64) -> Option<&Entry> {
        let at = usize::try_from(line.checked_sub(self.dropped)?).ok()?;
        self.entries.get(at).or_else(|| self.open.get(at.checked_sub(self.entries.len())?))
    }

    /// Returns all lines of these streams.
    pub(crate) fn shown(&self, streams: Streams) -> impl Iterator<Item = &Entry> {
        let all = self.entries.iter().chain(&self.open);
        all.filter(move |entry| streams.shows(entry.from))
    }

    /// Returns what stands at the left in that many columns.
    pub(crate) fn gutter(&self, look: Look, columns: u16) -> Gutter {
        let is_wide = columns >= WIDE;
        let time = if look.times == Switch::On && self.is_timed && is_wide { 13 } else { 0 };
        match self.entries.front().map(|entry| entry.from) {
            Some(Origin::Log(_)) => Gutter { number: 0, time, mark: if is_wide { 6 } else { 2 } },
            Some(Origin::Stdout | Origin::Stderr | Origin::Ganger) | None => {
                let digits = self.end().to_string().len().max(4) as u16;
                Gutter { number: if is_wide { digits + 1 } else { 0 }, time, mark: 2 }
            }
        }
    }

    /// Returns the room of the text itself in `area`, without the columns at the left.
    pub(crate) fn fit(&self, look: Look, area: Rect) -> Fit {
        let columns = area.width.saturating_sub(self.gutter(look, area.width).width() + 2);
        Fit {
            columns: usize::from(columns),
            rows: usize::from(area.height),
            wrap: look.wrap,
            streams: look.streams,
        }
    }

    pub(crate) fn is_followed(&self) -> bool {
        self.place == Place::Followed
    }

    /// Stops following, or goes to the end and follows.
    pub(crate) fn toggle_follow(&mut self, fit: Fit) {
        self.place = match (self.place, self.window(fit).first()) {
            (Place::Followed, Some(first)) => Place::From(*first),
            (Place::Followed | Place::From(_), _) => Place::Followed,
        };
    }

    /// Returns the rows shown, the topmost first. Looks at no more lines than it has to.
    pub(crate) fn window(&self, fit: Fit) -> Vec<Row> {
        if let Place::From(first) = self.place {
            let first = first.max(Row { line: self.dropped, row: 0 });
            let rows: Vec<Row> = self.down_from(first, fit).take(fit.rows).collect();
            if rows.len() == fit.rows {
                return rows;
            }
        }
        let last = Row { line: self.end(), row: 0 };
        let mut rows: Vec<Row> = self.up_from(last, fit).take(fit.rows).collect();
        rows.reverse();
        rows
    }

    /// Rows from `first` on.
    fn down_from(&self, first: Row, fit: Fit) -> impl Iterator<Item = Row> {
        (first.line..self.end()).flat_map(move |line| {
            let from = if line == first.line { first.row } else { 0 };
            (from..self.rows_of(line, fit)).map(move |row| Row { line, row })
        })
    }

    /// Rows before `last`, the nearest first.
    fn up_from(&self, last: Row, fit: Fit) -> impl Iterator<Item = Row> {
        (self.dropped..=last.line).rev().flat_map(move |line| {
            let rows = self.rows_of(line, fit);
            let to = if line == last.line { last.row.min(rows) } else { rows };
            (0..to).rev().map(move |row| Row { line, row })
        })
    }

    /// Rows that a line takes; none when it is not shown.
    fn rows_of(&self, line: u64, fit: Fit) -> usize {
        match self.get(line) {
            Some(entry) if !fit.streams.shows(entry.from) => 0,
            Some(entry) if fit.wrap == Switch::On => entry.line.rows(fit.columns),
            Some(_) => 1,
            None => 0,
        }
    }

    /// Moves what is shown; at the end it follows again.
    pub(crate) fn scroll(&mut self, rows: i64, fit: Fit) {
        let Some(first) = self.window(fit).first().copied() else { return };
        let count = usize::try_from(rows.unsigned_abs()).unwrap_or(usize::MAX);
        if rows < 0 {
            let up = self.up_from(first, fit).take(count).last();
            let stays = up.is_none() && self.is_followed();
            if !stays {
                self.place = Place::From(up.unwrap_or(first));
            }
        } else if self.place != Place::Followed {
            let down = self.down_from(first, fit).nth(count);
            let has_more = |row: &Row| self.down_from(*row, fit).nth(fit.rows).is_some();
            self.place = down.filter(has_more).map_or(Place::Followed, Place::From);
        }
    }

    /// Shows the beginning.
    pub(crate) fn go_first(&mut self) {
        self.place = Place::From(Row { line: self.dropped, row: 0 });
    }

    /// Shows the end and follows it.
    pub(crate) fn go_last(&mut self) {
        self.place = Place::Followed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str, from: Origin) -> Entry {
        Entry { at: WallMs(0), from, line: Line::plain(text.to_owned()) }
    }

    fn text(lines: &[&str]) -> Text {
        let mut text = Text::default();
        lines.iter().for_each(|line| text.push(entry(line, Origin::Stdout)));
        text
    }

    const FIT: Fit = Fit { columns: 10, rows: 3, wrap: Switch::Off, streams: Streams::Both };

    fn shown(text: &Text, fit: Fit) -> Vec<(u64, usize)> {
        text.window(fit).into_iter().map(|row| (row.line, row.row)).collect()
    }

    #[test]
    fn the_end_is_followed_until_a_key_scrolls() {
        let mut text = text(&["a", "b", "c", "d"]);
        assert_eq!(shown(&text, FIT), [(1, 0), (2, 0), (3, 0)]);
        text.push(entry("e", Origin::Stdout));
        assert_eq!(shown(&text, FIT), [(2, 0), (3, 0), (4, 0)]);
        text.scroll(-1, FIT);
        text.push(entry("f", Origin::Stdout));
        assert_eq!(shown(&text, FIT), [(1, 0), (2, 0), (3, 0)]);
        assert!(!text.is_followed());
        text.scroll(9, FIT);
        assert!(text.is_followed(), "at the end it follows again");
        text.go_first();
        text.scroll(1, FIT);
        assert_eq!(shown(&text, FIT), [(1, 0), (2, 0), (3, 0)]);
        text.scroll(-7, FIT);
        assert_eq!(shown(&text, FIT)[0], (0, 0));
        text.toggle_follow(FIT);
        assert!(text.is_followed());
        text.toggle_follow(FIT);
        assert_eq!(shown(&text, FIT)[0], (3, 0), "it stays where it was");
    }

    #[test]
    fn a_wrapped_line_is_reached_row_by_row() {
        let long = "x".repeat(45);
        let mut text = text(&["a", &long, "b"]);
        let fit = Fit { wrap: Switch::On, ..FIT };
        assert_eq!(shown(&text, fit), [(1, 3), (1, 4), (2, 0)]);
        text.scroll(-2, fit);
        assert_eq!(shown(&text, fit), [(1, 1), (1, 2), (1, 3)]);
        text.scroll(-2, fit);
        assert_eq!(shown(&text, fit), [(0, 0), (1, 0), (1, 1)]);
    }

    #[test]
    fn one_stream_can_be_read_alone() {
        let mut text = Text::default();
        for line in 0..10 {
            let from = if line % 3 == 0 { Origin::Stderr } else { Origin::Stdout };
            text.push(entry("line", from));
        }
        let fit = Fit { streams: Streams::Stderr, ..FIT };
        assert_eq!(shown(&text, fit), [(3, 0), (6, 0), (9, 0)]);
        text.scroll(-1, fit);
        assert_eq!(shown(&text, fit), [(0, 0), (3, 0), (6, 0)]);
    }

    #[test]
    fn memory_is_bounded_and_the_place_stays_by_its_number() {
        let mut text = Text::default();
        for line in 0..LINES_MAX + 10 {
            text.push(entry(&line.to_string(), Origin::Stdout));
        }
        assert_eq!((text.dropped, text.end()), (10, LINES_MAX as u64 + 10));
        assert_eq!(text.get(10).unwrap().line.text, "10");
        text.go_first();
        text.scroll(5, FIT);
        text.push(entry("more", Origin::Stdout));
        assert_eq!(shown(&text, FIT)[0], (15, 0));
        let big = "x".repeat(1 << 20);
        (0..20).for_each(|_| text.push(entry(&big, Origin::Stdout)));
        assert!(text.bytes <= BYTES_MAX && text.end() - text.dropped < 9);
        assert_eq!(shown(&text, FIT).len(), 3);
    }

    #[test]
    fn a_search_finds_counts_and_goes_around() {
        let mut text = text(&["Error one", "fine", "fine", "fine", "fine", "an error", "fine"]);
        text.search("error");
        assert_eq!(text.found(Streams::Both), (2, None));
        text.find_near(FIT);
        assert_eq!(text.found(Streams::Both), (2, Some(1)));
        assert!(text.is_followed(), "it was in view");
        assert_eq!(text.find_previous(FIT), Hop::Near);
        assert_eq!(shown(&text, FIT)[0], (0, 0));
        assert_eq!(text.find_previous(FIT), Hop::Around);
        assert_eq!(text.find_next(FIT), Hop::Around);
        text.push(entry("error again", Origin::Stdout));
        assert_eq!(text.found(Streams::Both), (3, Some(0)));
        text.search("Error");
        assert_eq!(text.found(Streams::Both).0, 1, "a capital is meant");
        text.search("nothing");
        assert_eq!(text.find_next(FIT), Hop::Nowhere);
        assert_eq!(find("日本 ok", "OK"), None);
        assert_eq!(find("日本 Ok", "ok"), Some(7));
    }
}
