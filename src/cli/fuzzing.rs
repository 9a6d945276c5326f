//! Output of tasks on a terminal: nothing that a terminal obeys is left of it, in one piece or bit
//! by bit, and what is cut fits; see `src/fuzzing/mod.rs`.

use super::text::{Cleaner, cut, first_line, line, output, width};

/// Takes the first byte for how many come at a time, and the others for output.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((step, bytes)) = bytes.split_first() else { return };
    let whole = output(bytes);
    assert_harmless(&whole);
    assert_eq!(output(whole.as_bytes()), whole, "clean text stays as it is");
    let mut cleaner = Cleaner::default();
    let mut text = String::new();
    for piece in bytes.chunks(usize::from(*step) + 1) {
        text.push_str(&cleaner.clean(piece));
    }
    text.push_str(&cleaner.rest());
    assert_harmless(&text);
    assert!(bytes.len() >= SEQUENCE_BYTES || text == whole, "{text:?} is not {whole:?}");
    let one = line(&whole);
    assert!(!one.contains(['\n', '\t']));
    assert_harmless(&one);
    for columns in [0, 1, 5, 80] {
        assert!(width(&cut(&one, columns)) <= columns, "{one:?} in {columns} columns");
    }
    assert!(first_line(bytes, 60).chars().count() <= 60);
}

/// Bytes of an escape sequence that is surely held back as a whole.
const SEQUENCE_BYTES: usize = 200;

fn assert_harmless(text: &str) {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let hidden = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}');
    assert!(!text.contains(obeyed) && !text.contains(hidden), "{text:?}");
}
