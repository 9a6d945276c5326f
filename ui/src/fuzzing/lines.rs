//! The line model of what programs print: whatever the bytes and however they come, the same lines
//! come out, harmless and no longer than they may be, and their rows hold all of them.

use crate::lines::{LINE_BYTES_MAX, Line, Liner};
use crate::text;

/// Columns that a line has beyond its limit, for the words that say what is not shown.
const NOTE_COLUMNS: usize = 40;
/// Rows of one line that are looked at.
const ROWS_MAX: usize = 24;

/// Takes the first byte for how many come at a time, and the others for output.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let whole = lines(bytes, bytes.len().max(1));
    let pieces = lines(bytes, usize::from(*step % 16) + 1);
    assert!(pieces == whole, "{bytes:?} in pieces make other lines");
    let mut held = 0;
    for line in &whole {
        check_line(line);
        held += line.text.len();
    }
    // A tab is eight blanks, a removed sequence of two bytes a sign of seven.
    let most = 8 * bytes.len() + NOTE_COLUMNS * whole.len();
    assert!(held <= most, "{} bytes became {held}", bytes.len());
    assert!(whole.len() <= bytes.iter().filter(|byte| **byte == b'\n').count() + 1);
}

fn lines(bytes: &[u8], step: usize) -> Vec<Line> {
    let mut found = Vec::new();
    let mut liner = Liner::default();
    for (place, piece) in bytes.chunks(step).enumerate() {
        liner.take(piece, |line| found.push(line));
        if place % 7 == 3 {
            // What is looked at in between changes nothing.
            liner.rest().iter().for_each(check_line);
        }
    }
    found.extend(liner.end());
    found
}

fn check_line(line: &Line) {
    assert_eq!(text::clean(&line.text), line.text, "a line is clean");
    assert!(text::width(&line.text) <= LINE_BYTES_MAX + NOTE_COLUMNS);
    let spans = line.spans(0..line.text.len());
    let said: String = spans.iter().map(|(_, text, _)| *text).collect();
    assert_eq!(said, line.text, "looks cover the line");
    assert!(spans.iter().all(|(at, text, _)| line.text[*at..].starts_with(*text)));
    for columns in [0, 7, 80] {
        let rows = line.rows(columns);
        let mut at = 0;
        for row in 0..rows.min(ROWS_MAX) {
            let part = line.row(columns, row);
            assert_eq!(part.start, at, "row {row} of {:?}", line.text);
            at = part.end;
            let shown = &line.text[part];
            assert!(text::width(shown) <= columns.max(2), "{shown:?} in {columns} columns");
        }
        assert!(rows > ROWS_MAX || at == line.text.len());
        assert!(line.row(columns, rows).is_empty());
    }
}
