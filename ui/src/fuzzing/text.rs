//! The sanitiser and the widths: clean text stays clean, moves nothing on a terminal, and what is
//! cut or wrapped fits where it goes.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::text::{
    MARKS_MAX, bytes, chunks, clean, clean_in_place, cut, grouped, is_hidden, rate, short, width,
    wrap,
};

/// Cleans the bytes as text, cuts and wraps it, and shows numbers made of them.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(foreign: &[u8]) {
    let text = String::from_utf8_lossy(foreign);
    let cleaned = clean(&text);
    assert!(!cleaned.chars().any(is_hidden), "{cleaned:?}");
    assert_eq!(clean(&cleaned), cleaned);
    assert!(cleaned.len() <= text.len());
    let mut in_place = text.clone().into_owned();
    clean_in_place(&mut in_place);
    assert_eq!(in_place, cleaned);
    check_marks(&cleaned);
    let widest = cleaned.graphemes(true).map(width).max().unwrap_or(0);
    for columns in [0, 1, 2, 9, 40] {
        let short = cut(&cleaned, columns);
        assert!(width(&short) <= columns, "{short:?} in {columns} columns");
        let most = columns.max(1).max(widest);
        let lines = wrap(&cleaned, columns);
        assert!(lines.iter().all(|line| width(line) <= most), "{lines:?} in {columns} columns");
        let held: usize = lines.iter().map(String::len).sum();
        assert!(held <= cleaned.len(), "{cleaned:?} became {lines:?}");
        let pieces = chunks(&cleaned, columns);
        assert!(pieces.iter().all(|piece| width(piece) <= most), "{pieces:?} in {columns}");
        assert_eq!(pieces.concat(), cleaned.replace('\u{a0}', " "));
    }
    if let Some(number) = foreign.first_chunk::<8>() {
        check_numbers(u64::from_le_bytes(*number));
    }
}

/// A character carries so many marks that it cannot reach into other lines.
fn check_marks(text: &str) {
    let mut marks = 0;
    for c in text.chars() {
        marks = if width(c.encode_utf8(&mut [0; 4])) > 0 { 0 } else { marks + 1 };
        assert!(marks <= MARKS_MAX, "{text:?}");
    }
}

fn check_numbers(number: u64) {
    let digits: String = grouped(number).split(' ').collect();
    assert_eq!(digits, number.to_string());
    if number < 1_000_000_000_000 {
        let shown = short(number);
        assert!(shown.len() <= 5, "{number} is shown as {shown}");
    }
    let per_s = f32::from_bits(u32::try_from(number >> 32).unwrap_or_default());
    assert!(!rate(per_s).is_empty() && !bytes(number).is_empty());
}
