//! Text at the border: the sanitiser for everything that came from a task, a worker or a peer, and
//! widths, cuts and numbers as the screen shows them. Draws nothing.

use ganger_proto::spec::After;
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Combining marks kept on one base character.
pub(crate) const MARKS_MAX: usize = 4;

/// Returns `b12`, `b12 and b13`, or `b12, b13 and 4 more`; nothing when there are none.
pub(crate) fn batches(after: &[After]) -> Option<String> {
    let names: Vec<String> = after.iter().map(|after| after.batch.to_string()).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [one, two] => Some(format!("{one} and {two}")),
        [one, two, more @ ..] => Some(format!("{one}, {two} and {} more", more.len())),
    }
}

/// Returns a kind without the name of its handler, which begins the command.
pub(crate) fn kind_word(kind: &str) -> &str {
    kind.split_once(':').map_or(kind, |(word, _)| word)
}

/// Returns `text` on one line and harmless: no control, bidi, zero-width or tag characters, at most
/// four combining marks on a base. Line breaks and tabs become spaces.
pub(crate) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = MARKS_MAX;
    for c in text.chars() {
        if matches!(c, '\n' | '\r' | '\t') {
            out.push(' ');
            marks = MARKS_MAX;
        } else if is_hidden(c) {
        } else if c.width().unwrap_or(0) > 0 {
            out.push(c);
            marks = 0;
        } else if marks < MARKS_MAX {
            out.push(c);
            marks += 1;
        }
    }
    out
}

/// Cleans in place, without a copy when there is nothing to remove.
pub(crate) fn clean_in_place(text: &mut String) {
    if !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        *text = clean(text);
    }
}

/// Tells whether a character has no business in a cell: it moves, hides or reorders others.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns how many columns the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Returns a duration in whole seconds where it is longer than one: `16s`, `1m04`.
pub(crate) fn seconds(ms: u64) -> String {
    let whole = if ms >= 1_000 { ms / 1_000 * 1_000 } else { ms };
    ganger_proto::time::HumanMs(whole).to_string().replace(".0s", "s")
}

/// Breaks `text` into pieces of at most `columns`, wherever that is.
pub(crate) fn chunks(text: &str, columns: usize) -> Vec<String> {
    wrap(&text.replace(' ', "\u{a0}"), columns)
        .into_iter()
        .map(|piece| piece.replace('\u{a0}', " "))
        .collect()
}

/// Returns `text` in at most `columns`; what does not fit ends with an ellipsis.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let more = grapheme.width();
        if used + more + 1 > columns {
            break;
        }
        out.push_str(grapheme);
        used += more;
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// Breaks `text` into lines of at most `columns`, between words where it can.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for grapheme in word.graphemes(true) {
            if width(&line) + grapheme.width() > columns {
                lines.push(std::mem::take(&mut line));
            }
            line.push_str(grapheme);
        }
    }
    lines.push(line);
    lines
}

/// Returns a number with its digits in groups of three: `12 431`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Returns a number in at most five columns: `999`, `12.4k`, `3.0M`.
pub(crate) fn short(number: u64) -> String {
    let scaled = |unit: u64, sign: char| {
        let tenths = number / (unit / 10);
        match tenths {
            0..1_000 => format!("{}.{}{sign}", tenths / 10, tenths % 10),
            _ => format!("{}{sign}", tenths / 10),
        }
    };
    match number {
        0..1_000 => number.to_string(),
        1_000..1_000_000 => scaled(1_000, 'k'),
        1_000_000..1_000_000_000 => scaled(1_000_000, 'M'),
        _ => scaled(1_000_000_000, 'G'),
    }
}

/// Returns a rate in at most five columns: `0.4`, `12`, `1.2k`.
pub(crate) fn rate(per_s: f32) -> String {
    if !per_s.is_finite() || per_s <= 0.0 {
        "0".to_owned()
    } else if per_s < 9.95 {
        format!("{per_s:.1}")
    } else {
        short(per_s.round() as u64)
    }
}

/// Returns a size as people read it: `812 B`, `41 KiB`, `3.1 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_024 => format!("{count} B"),
        1_024..1_048_576 => format!("{} KiB", count.div_ceil(1_024)),
        _ => format!("{}.{} MiB", count >> 20, ((count & 0xf_ffff) * 10) >> 20),
    }
}

/// Returns `1 task`, `2 tasks`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_becomes_harmless() {
        let check = |text: &str, expected: &str| assert_eq!(clean(text), expected, "{text:?}");
        check("a\u{1b}[2Jb", "a[2Jb");
        check("a\nb\tc", "a b c");
        check("x\u{202e}y\u{200b}z\u{2066}", "xyz");
        check("\u{e0041}tag\u{feff}", "tag");
        check("\u{9b}31mred\u{7f}", "31mred");
        check("e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}", "e\u{301}\u{301}\u{301}\u{301}");
        check("\u{301}a", "a");
        check("日本", "日本");
    }

    #[test]
    fn numbers_fit_their_columns() {
        assert_eq!([grouped(7), grouped(12_431), grouped(1_000_000)], ["7", "12 431", "1 000 000"]);
        assert_eq!([short(999), short(12_431), short(3_000_000)], ["999", "12.4k", "3.0M"]);
        assert_eq!([short(999_999), short(150_000)], ["999k", "150k"]);
        assert_eq!([rate(0.0), rate(0.44), rate(812.3), rate(f32::NAN)], ["0", "0.4", "812", "0"]);
        assert_eq!([bytes(812), bytes(41_000), bytes(3_300_000)], ["812 B", "41 KiB", "3.1 MiB"]);
    }

    #[test]
    fn cuts_and_wraps_count_columns() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
    }
}
