//! Tables with aligned columns. Cells are cleaned here, so that no caller forgets it.

use super::error::Result;
use super::out::Out;
use super::text;

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Returns a table; a title that begins with `>` stands on the right, and so do its cells.
    pub(crate) fn new(titles: &[&'static str]) -> Self {
        let column = |title: &&'static str| match title.strip_prefix('>') {
            Some(title) => (title, Align::Right),
            None => (*title, Align::Left),
        };
        Self { columns: titles.iter().map(column).collect(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells.iter().map(|cell| text::line(cell)).collect());
    }

    /// Writes the table; lines are cut to the width of a terminal.
    pub(crate) fn print(&self, out: &mut Out) -> Result<()> {
        for line in self.lines(out.columns()) {
            out.line(&line)?;
        }
        Ok(())
    }

    fn lines(&self, columns: Option<usize>) -> Vec<String> {
        let titles: Vec<String> =
            self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let widths: Vec<usize> = (0..titles.len())
            .map(|i| {
                let cells = self.rows.iter().map(|row| text::width(&row[i]));
                cells.max().unwrap_or(0).max(text::width(&titles[i]))
            })
            .collect();
        let laid_out = std::iter::once(&titles).chain(&self.rows).map(|row| {
            let mut line = String::new();
            for (i, cell) in row.iter().enumerate() {
                if i > 0 {
                    line.push_str("  ");
                }
                let pad = " ".repeat(widths[i] - text::width(cell));
                match self.columns[i].1 {
                    Align::Left => line.extend([cell.as_str(), &pad]),
                    Align::Right => line.extend([&pad, cell.as_str()]),
                }
            }
            let line = line.trim_end();
            columns.map_or_else(|| line.to_owned(), |columns| text::cut(line, columns))
        });
        laid_out.collect()
    }
}

/// Returns a number with a thin space every three digits, as in `12 431`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 2);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_are_cut() {
        let mut table = Table::new(&[">ID", "STATE", "COMMAND"]);
        table.row(vec!["9".into(), "done".into(), "echo \x1b[31mhi".into()]);
        table.row(vec!["100".into(), "日本".into(), "x".into()]);
        assert_eq!(
            table.lines(None),
            [" ID  STATE  COMMAND", "  9  done   echo hi", "100  日本   x"]
        );
        assert_eq!(table.lines(Some(14))[1], "  9  done   e…");
    }

    #[test]
    fn numbers_are_grouped() {
        for (value, text) in [(0, "0"), (999, "999"), (12_431, "12 431"), (1_000_000, "1 000 000")]
        {
            assert_eq!(number(value).replace('\u{202f}', " "), text);
        }
    }
}
