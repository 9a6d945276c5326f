//! The line model of a program's output: bytes in, lines of styled text out. Colours and a few
//! looks are kept, what moves within its line is done, everything else is dropped. Does not know
//! where lines are kept or how they are drawn.
//!
//! Bytes may be cut anywhere: the lines are the same. Nothing that a program prints makes a line
//! hold a control, bidi, zero-width or tag character, or more than [`LINE_BYTES_MAX`] of its bytes.

mod cells;
mod sgr;

use std::fmt;
use std::ops::Range;

use ratatui::style::{Modifier, Style};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;
use vte::Parser;

use crate::text;
use cells::Cells;

/// Bytes of one line that are looked at, and columns it may have; the rest is counted.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 10;
const ESCAPE: u8 = 0x1b;
const BELL: u8 = 0x07;
/// Ends any sequence that is under way; never part of one.
const CANCEL: u8 = 0x18;

/// One line of output, harmless.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) text: String,
    /// Where each look ends; none for a line without looks.
    runs: Vec<Run>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    /// The byte after its last one.
    end: usize,
    style: Style,
}

impl Line {
    /// Returns a line without looks; `text` must be clean.
    pub(crate) fn plain(text: String) -> Self {
        Self { text, runs: Vec::new() }
    }

    /// Returns about how much memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.runs.len() * size_of::<Run>()
    }

    /// Returns the looks of a part of the text, in order, with the byte where each begins.
    pub(crate) fn spans(&self, part: Range<usize>) -> Vec<(usize, &str, Style)> {
        let mut spans = Vec::new();
        let mut at = 0;
        let rest = Run { end: self.text.len(), style: Style::new() };
        for run in self.runs.iter().chain([&rest]) {
            let (from, to) = (at.max(part.start), run.end.min(part.end));
            if from < to {
                spans.push((from, &self.text[from..to], run.style));
            }
            at = at.max(run.end);
        }
        spans
    }

    /// Returns how many rows of that many columns it takes; at least one.
    pub(crate) fn rows(&self, columns: usize) -> usize {
        let columns = columns.max(2);
        match self.text.is_ascii() {
            true => self.text.len().div_ceil(columns).max(1),
            false => self.breaks(columns).len() + 1,
        }
    }

    /// Returns the bytes of one of its rows.
    pub(crate) fn row(&self, columns: usize, row: usize) -> Range<usize> {
        let columns = columns.max(2);
        let length = self.text.len();
        if self.text.is_ascii() {
            return (row * columns).min(length)..((row + 1) * columns).min(length);
        }
        let breaks = self.breaks(columns);
        let from = if row == 0 { Some(&0) } else { breaks.get(row - 1) };
        from.map_or(length..length, |from| *from..breaks.get(row).copied().unwrap_or(length))
    }

    /// Returns the bytes where rows after the first begin.
    fn breaks(&self, columns: usize) -> Vec<usize> {
        let mut breaks = Vec::new();
        let mut used = 0;
        for (at, grapheme) in self.text.grapheme_indices(true) {
            let width = grapheme.width();
            if used + width > columns {
                breaks.push(at);
                used = 0;
            }
            used += width;
        }
        breaks
    }
}

/// Makes lines of one stream's bytes.
#[derive(Default)]
pub(crate) struct Liner {
    parser: Parser,
    cells: Cells,
    /// Bytes of this line since its beginning or its last carriage return.
    taken: usize,
    /// Bytes beyond the limit, which were not looked at.
    beyond: usize,
    within: Within,
    /// The beginning of a character whose other bytes have not come.
    begun: Vec<u8>,
}

/// What the next byte belongs to, as far as the parser does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Within {
    #[default]
    Text,
    /// An escape was the last byte.
    Escape,
    /// A string that a bell or a string terminator ends.
    String,
}

impl fmt::Debug for Liner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Liner").field("cells", &self.cells).finish_non_exhaustive()
    }
}

impl Liner {
    /// Takes the next bytes and hands on each line that they end.
    ///
    /// The parser loses characters where a piece ends within one, so it only gets whole ones.
    pub(crate) fn take(&mut self, bytes: &[u8], mut ended: impl FnMut(Line)) {
        let mut joined = std::mem::take(&mut self.begun);
        let bytes = if joined.is_empty() {
            bytes
        } else {
            joined.extend_from_slice(bytes);
            &joined
        };
        let (mut bytes, begun) = bytes.split_at(bytes.len() - begun_bytes(bytes));
        self.begun = begun.to_vec();
        while let Some(at) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            self.within_line(&bytes[..at]);
            self.end_sequence();
            if bytes[at] == b'\n' {
                ended(self.finish());
            } else {
                self.cells.column = 0;
                self.taken = 0;
                self.beyond = 0;
            }
            bytes = &bytes[at + 1..];
        }
        self.within_line(bytes);
    }

    /// Returns what stands after the last line break, as it looks so far.
    pub(crate) fn rest(&self) -> Option<Line> {
        let line = self.line();
        (!line.text.is_empty()).then_some(line)
    }

    /// Ends the last line, when there is one.
    pub(crate) fn end(&mut self) -> Option<Line> {
        let begun = std::mem::take(&mut self.begun);
        self.within_line(&begun);
        self.end_sequence();
        let line = self.finish();
        (!line.text.is_empty()).then_some(line)
    }

    fn finish(&mut self) -> Line {
        let line = self.line();
        self.cells = Cells::default();
        self.taken = 0;
        self.beyond = 0;
        line
    }

    fn line(&self) -> Line {
        let mut line = self.cells.line();
        if self.beyond > 0 {
            let end = line.text.len();
            if line.runs.last().map_or(0, |run| run.end) < end {
                line.runs.push(Run { end, style: Style::new() });
            }
            let more = text::bytes(self.beyond as u64);
            line.text.push_str(&format!(" … {more} more not shown"));
            line.runs.push(Run { end: line.text.len(), style: stub_style() });
        }
        line
    }

    fn end_sequence(&mut self) {
        self.parser.advance(&mut self.cells, &[CANCEL]);
        self.within = Within::Text;
    }

    /// Takes bytes without a line break, up to the limit.
    fn within_line(&mut self, bytes: &[u8]) {
        let kept = bytes.len().min(LINE_BYTES_MAX - self.taken);
        self.taken += kept;
        self.beyond += bytes.len() - kept;
        let mut rest = &bytes[..kept];
        while !rest.is_empty() {
            let taken = self.step(rest);
            rest = &rest[taken..];
        }
    }

    /// Takes at least one byte. The parser knows nothing of strings that a bell ends, and says
    /// nothing of most of what it drops; so both are seen to here.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let length = match self.within {
            Within::Text => {
                bytes.iter().position(|b| *b == ESCAPE).map_or(bytes.len(), |at| at + 1)
            }
            Within::Escape => 1,
            Within::String => {
                let is_end = |b: &u8| matches!(*b, ESCAPE | BELL | CANCEL | 0x1a);
                bytes.iter().position(is_end).map_or(bytes.len(), |at| at + 1)
            }
        };
        let last = bytes[length - 1];
        self.parser.advance(&mut self.cells, &bytes[..length]);
        match (self.within, last) {
            (_, ESCAPE) => self.within = Within::Escape,
            (Within::Escape, b'P' | b'X' | b'^' | b'_') => {
                self.cells.stub(&char::from(last).to_string());
                self.within = Within::String;
            }
            (Within::Escape, _) => self.within = Within::Text,
            (Within::String, BELL | CANCEL | 0x1a) => self.end_sequence(),
            (Within::String | Within::Text, _) => {}
        }
        length
    }
}

/// Returns how many bytes at the end begin a character that needs more.
fn begun_bytes(bytes: &[u8]) -> usize {
    let is_lead = |byte: &u8| !(0x80..0xc0).contains(byte);
    let from_end = bytes.iter().rev().take(3).position(is_lead);
    let length = from_end.map_or(0, |at| at + 1);
    let needs_more = |error: std::str::Utf8Error| error.error_len().is_none();
    match std::str::from_utf8(&bytes[bytes.len() - length..]) {
        Err(error) if needs_more(error) => length,
        Ok(_) | Err(_) => 0,
    }
}

fn stub_style() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests;
