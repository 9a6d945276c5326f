//! A line while it is written: what stands in each column, and what sequences do to it. Where lines
//! begin and end is not known here.

use std::ops::Range;

use ratatui::style::Style;
use unicode_width::UnicodeWidthChar as _;
use vte::{Params, Perform};

use super::{LINE_BYTES_MAX, Line, Run, sgr, stub_style};
use crate::text;

/// Columns from one tab stop to the next.
const TAB: usize = 8;

/// A line while it is written: what stands in each column, and where the next character goes.
#[derive(Debug, Default)]
pub(super) struct Cells {
    cells: Vec<Cell>,
    pub(super) column: usize,
    style: Style,
}

#[derive(Clone, Debug, Default)]
struct Cell {
    /// The character; none in the second column of a wide one.
    base: Option<char>,
    marks: String,
    style: Style,
}

impl Cell {
    fn blank() -> Self {
        Self { base: Some(' '), ..Self::default() }
    }
}

impl Cells {
    fn put(&mut self, c: char) {
        let width = c.width().unwrap_or(0);
        if width == 0 {
            return self.mark(c);
        }
        let end = self.column + width;
        if end > LINE_BYTES_MAX {
            return;
        }
        if self.cells.len() < end {
            self.cells.resize_with(end, Cell::blank);
        }
        self.split(self.column);
        self.split(end);
        let style = self.style;
        self.cells[self.column] = Cell { base: Some(c), marks: String::new(), style };
        for cell in &mut self.cells[self.column + 1..end] {
            *cell = Cell { base: None, marks: String::new(), style };
        }
        self.column = end;
    }

    /// Makes blanks of a wide character that lies across this column.
    fn split(&mut self, column: usize) {
        let crosses = self.cells.get(column).is_some_and(|cell| cell.base.is_none());
        if crosses && column > 0 {
            self.cells[column - 1] = Cell::blank();
            self.cells[column] = Cell::blank();
        }
    }

    /// Puts a combining mark on the character before.
    fn mark(&mut self, c: char) {
        let end = self.column.min(self.cells.len());
        if let Some(cell) = self.cells[..end].iter_mut().rev().find(|cell| cell.base.is_some())
            && cell.marks.chars().count() < text::MARKS_MAX
        {
            cell.marks.push(c);
        }
    }

    /// Shows that something was removed here.
    pub(super) fn stub(&mut self, what: &str) {
        let style = std::mem::replace(&mut self.style, stub_style());
        format!("␛{what}…").chars().for_each(|c| self.put(c));
        self.style = style;
    }

    fn erase(&mut self, columns: Range<usize>) {
        let to = columns.end.min(self.cells.len());
        let from = columns.start.min(to);
        self.split(from);
        self.split(to);
        self.cells[from..to].fill(Cell::blank());
    }

    pub(super) fn line(&self) -> Line {
        let is_blank = |cell: &&Cell| {
            cell.base == Some(' ') && cell.marks.is_empty() && cell.style == Style::new()
        };
        let length = self.cells.len() - self.cells.iter().rev().take_while(is_blank).count();
        let mut line = Line::default();
        for cell in &self.cells[..length] {
            let Some(base) = cell.base else { continue };
            line.text.push(base);
            line.text.push_str(&cell.marks);
            let end = line.text.len();
            match line.runs.last_mut() {
                Some(run) if run.style == cell.style => run.end = end,
                _ => line.runs.push(Run { end, style: cell.style }),
            }
        }
        if line.runs.iter().all(|run| run.style == Style::new()) {
            line.runs.clear();
        }
        line.runs.shrink_to_fit();
        line
    }
}

impl Perform for Cells {
    fn print(&mut self, c: char) {
        if !text::is_hidden(c) {
            self.put(c);
        }
    }

    fn execute(&mut self, byte: u8) {
        match byte {
            0x08 => self.column = self.column.saturating_sub(1),
            b'\t' => {
                for _ in 0..TAB - self.column % TAB {
                    self.put(' ');
                }
            }
            _ => {}
        }
    }

    fn osc_dispatch(&mut self, params: &[&[u8]], _: bool) {
        let number = params.first().copied().unwrap_or_default();
        // Links are only addresses behind text that stays.
        if number != b"8" {
            let digits = number.iter().take(4).take_while(|byte| byte.is_ascii_digit());
            let digits: String = digits.map(|byte| char::from(*byte)).collect();
            self.stub(&format!("]{digits}"));
        }
    }

    fn csi_dispatch(&mut self, params: &Params, intermediates: &[u8], ignore: bool, action: char) {
        if ignore || !intermediates.is_empty() {
            return;
        }
        let first = params.iter().next().and_then(|param| param.first()).copied().unwrap_or(0);
        match (action, first) {
            ('m', _) => self.style = sgr::apply(self.style, params),
            ('K', 0) => self.erase(self.column..usize::MAX),
            ('K', 1) => self.erase(0..self.column + 1),
            ('K', 2) => self.erase(0..usize::MAX),
            // The carriage return of many a progress bar.
            ('G', column) => {
                let column = usize::from(column.saturating_sub(1));
                self.column = column.min(self.cells.len());
            }
            _ => {}
        }
    }
}
