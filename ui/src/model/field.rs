//! What is typed: one line of text, or many. Knows keys that edit; what the text means is its
//! owner's business.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use tui_input::Input;
use tui_input::backend::crossterm::to_input_request;

/// Bytes of all that can be typed or pasted into one field.
pub(crate) const FIELD_BYTES_MAX: usize = 8 << 20;

/// One line of text with a cursor.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line(Input);

impl Line {
    pub(crate) fn of(text: &str) -> Self {
        Self(Input::new(text.to_owned()))
    }

    /// Returns a line with its cursor between two texts.
    pub(crate) fn around(before: &str, after: &str) -> Self {
        Self(Input::new(format!("{before}{after}")).with_cursor(before.chars().count()))
    }

    pub(crate) fn text(&self) -> &str {
        self.0.value()
    }

    /// Returns the characters before the cursor.
    pub(crate) fn before_cursor(&self) -> String {
        self.text().chars().take(self.0.cursor()).collect()
    }

    pub(crate) fn key(&mut self, key: KeyEvent) {
        if let Some(request) = to_input_request(&Event::Key(key)) {
            self.0.handle(request);
        }
    }

    /// Puts text in at the cursor; line breaks become spaces.
    pub(crate) fn paste(&mut self, text: &str) {
        let room = FIELD_BYTES_MAX.saturating_sub(self.text().len());
        let line: String =
            text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(room).collect();
        let before = self.before_cursor();
        let after = self.text()[before.len()..].to_owned();
        let cursor = before.chars().count() + line.chars().count();
        self.0 = Input::new(before + &line + &after).with_cursor(cursor);
    }
}

/// Whether all of a text went in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pasted {
    Whole,
    InPart,
}

/// Many lines; the one under the cursor is edited.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    above: Vec<String>,
    line: Line,
    /// The next line last, so that both ends are cheap.
    below: Vec<String>,
    bytes: usize,
}

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        let mut lines = Self::default();
        // What is over the bound was over it when it was kept.
        let _: Pasted = lines.paste(text);
        lines
    }

    /// Returns all of it as one text.
    pub(crate) fn text(&self) -> String {
        self.all().collect::<Vec<_>>().join("\n")
    }

    /// Returns the lines that hold something, in order, each with its number from 1.
    pub(crate) fn filled(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.all().enumerate().map(|(at, line)| (at + 1, line));
        numbered.filter(|(_, line)| !line.trim().is_empty())
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let above = self.above.iter().map(String::as_str);
        above.chain([self.line.text()]).chain(self.below.iter().rev().map(String::as_str))
    }

    /// Returns the number of the cursor's line, from 0.
    pub(crate) fn row(&self) -> usize {
        self.above.len()
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Returns `count` lines from `first` on.
    pub(crate) fn window(&self, first: usize, count: usize) -> Vec<&str> {
        self.all().skip(first).take(count).collect()
    }

    pub(crate) fn key(&mut self, key: KeyEvent) {
        match (key.code, key.modifiers) {
            (KeyCode::Enter, KeyModifiers::NONE) => self.split(),
            (KeyCode::Up, _) => self.up(),
            (KeyCode::Down, _) => self.down(),
            (KeyCode::Backspace, KeyModifiers::NONE) if self.line.before_cursor().is_empty() => {
                self.join();
            }
            _ => self.line.key(key),
        }
    }

    /// Puts lines in at the cursor. What is over the bound stays out, whole lines at a time.
    pub(crate) fn paste(&mut self, text: &str) -> Pasted {
        let mut room = FIELD_BYTES_MAX.saturating_sub(self.bytes).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        let pasted = if room < text.len() { Pasted::InPart } else { Pasted::Whole };
        let fits = match pasted {
            Pasted::Whole => text,
            Pasted::InPart => text[..room].rfind('\n').map_or("", |end| &text[..end]),
        };
        self.bytes += fits.len();
        let mut pieces = fits.split('\n').map(|piece| piece.strip_suffix('\r').unwrap_or(piece));
        self.line.paste(pieces.next().unwrap_or_default());
        for piece in pieces {
            self.split();
            self.line.paste(piece);
        }
        pasted
    }

    /// Puts the cursor on a line, counted from 0.
    pub(crate) fn go_to(&mut self, row: usize) {
        while self.row() > row && !self.above.is_empty() {
            self.up();
        }
        while self.row() < row && !self.below.is_empty() {
            self.down();
        }
    }

    fn split(&mut self) {
        let before = self.line.before_cursor();
        let after = self.line.text()[before.len()..].to_owned();
        self.above.push(before);
        self.line = Line(Input::new(after).with_cursor(0));
    }

    fn join(&mut self) {
        if let Some(above) = self.above.pop() {
            let cursor = above.chars().count();
            self.line = Line(Input::new(above + self.line.text()).with_cursor(cursor));
        }
    }

    fn up(&mut self) {
        if let Some(above) = self.above.pop() {
            let left = std::mem::replace(&mut self.line, Line::of(&above));
            self.below.push(left.text().to_owned());
        }
    }

    fn down(&mut self) {
        if let Some(below) = self.below.pop() {
            let left = std::mem::replace(&mut self.line, Line::of(&below));
            self.above.push(left.text().to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_lines_stay_lines() {
        let mut lines = Lines::default();
        lines.paste("one\r\ntwo\nthree\u{1b}");
        assert_eq!(lines.filled().collect::<Vec<_>>(), [(1, "one"), (2, "two"), (3, "three ")]);
        lines.key(KeyEvent::from(KeyCode::Up));
        assert_eq!(lines.line().text(), "two");
        lines.key(KeyEvent::from(KeyCode::Home));
        lines.key(KeyEvent::from(KeyCode::Backspace));
        assert_eq!(lines.filled().collect::<Vec<_>>(), [(1, "onetwo"), (2, "three ")]);
    }

    #[test]
    fn a_paste_over_the_bound_ends_with_a_whole_line() {
        let mut lines = Lines::default();
        let line = "x".repeat(1_000_000);
        let text = [line.as_str(); 9].join("\n");
        assert_eq!(lines.paste(&text), Pasted::InPart);
        assert_eq!(lines.filled().count(), 8);
        assert!(lines.filled().all(|(_, line)| line.len() == 1_000_000));
        assert_eq!(lines.paste(&text), Pasted::InPart);
        assert_eq!(lines.filled().count(), 8, "nothing more fits");
    }

    #[test]
    fn the_cursor_goes_to_a_line() {
        let mut lines = Lines::of("one\ntwo\nthree");
        lines.go_to(0);
        assert_eq!(lines.line().text(), "one");
        lines.go_to(9);
        assert_eq!((lines.row(), lines.line().text()), (2, "three"));
    }

    #[test]
    fn text_goes_in_at_the_cursor() {
        let mut line = Line::of("ad");
        line.key(KeyEvent::from(KeyCode::Left));
        line.paste("b\nc");
        assert_eq!((line.text(), line.before_cursor().as_str()), ("ab cd", "ab c"));
    }
}
