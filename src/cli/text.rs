//! Makes text from tasks, workers and peers fit for a terminal. Does not lay it out; see table.rs.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Returns text as one line: no control, bidi or zero-width characters, no escape sequences; line
/// ends and tabs become spaces.
pub(crate) fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    clean_into(text, &mut out, |c| if matches!(c, '\n' | '\t') { Some(' ') } else { None });
    out
}

/// Returns output as text for a terminal: line ends and tabs stay, a lone carriage return becomes a
/// line end, bytes that are not UTF-8 become U+FFFD, and everything else that a terminal would obey
/// goes.
pub(crate) fn output(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: Cow<'_, str> = if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text
    };
    let mut out = String::with_capacity(text.len());
    clean_into(&text, &mut out, |c| matches!(c, '\n' | '\t').then_some(c));
    out
}

/// Cleans output that comes bit by bit, as [`output`] does: the start of a character, of a line end
/// or of an escape sequence is held back until the rest has come.
#[derive(Debug, Default)]
pub(crate) struct Cleaner {
    held: Vec<u8>,
}

/// Bytes after an escape character that are held back at most; a sequence is shorter.
const SEQUENCE_BYTES_MAX: usize = 256;

impl Cleaner {
    /// Takes the next bytes; returns what can be shown.
    pub(crate) fn clean(&mut self, bytes: &[u8]) -> String {
        self.held.extend_from_slice(bytes);
        let rest = self.held.split_off(whole(&self.held));
        let text = output(&self.held);
        self.held = rest;
        text
    }

    /// Returns what was held back, at the end.
    pub(crate) fn rest(&mut self) -> String {
        output(&std::mem::take(&mut self.held))
    }
}

/// Returns how many bytes can be shown without knowing what follows.
fn whole(bytes: &[u8]) -> usize {
    let near = bytes.len().saturating_sub(SEQUENCE_BYTES_MAX);
    let line = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let from = near.max(line);
    if let Some(at) = bytes[from..].iter().position(|byte| *byte == 0x1b) {
        return from + at;
    }
    let end = bytes.len() - usize::from(bytes.last() == Some(&b'\r'));
    // A character has at most four bytes; garbage is no reason to wait.
    let begun = (end.saturating_sub(3)..end).rev().find(|at| bytes[*at] >= 0xc0);
    match begun.map(|at| (at, std::str::from_utf8(&bytes[at..end]))) {
        Some((at, Err(error))) if error.error_len().is_none() => at,
        Some(_) | None => end,
    }
}

/// Returns the first line that is not blank, cleaned and cut to `chars_max` characters.
pub(crate) fn first_line(bytes: &[u8], chars_max: usize) -> String {
    let text = output(bytes);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line(first).chars().take(chars_max).collect()
}

/// Returns the columns that text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// Returns as much of the text's start as fits into `columns`, ending in `…` when it was cut.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut used = 0;
    let room = columns.saturating_sub(1);
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        short.push('…');
    }
    short
}

/// Copies what a terminal only shows; `keep` says what becomes of a control character.
fn clean_into(text: &str, out: &mut String, keep: impl Fn(char) -> Option<char>) {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_sequence(&mut chars),
            _ if c.is_control() => out.extend(keep(c)),
            _ if is_hidden(c) => {}
            _ => out.push(c),
        }
    }
}

/// Skips the rest of an escape sequence (ECMA-48): a control sequence ends at a byte from `@` to
/// `~`; a string ends at BEL or ST, and at the line end when it has neither.
fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    let Some(&kind) = chars.peek() else { return };
    match kind {
        '[' => {
            chars.next();
            while let Some(&c) = chars.peek() {
                if !(' '..='~').contains(&c) {
                    return;
                }
                chars.next();
                if ('@'..='~').contains(&c) {
                    return;
                }
            }
        }
        ']' | 'P' | 'X' | '^' | '_' => {
            while let Some(&c) = chars.peek() {
                if c == '\n' {
                    return;
                }
                chars.next();
                if c == '\u{7}' {
                    return;
                }
                if c == '\u{1b}' && chars.next_if_eq(&'\\').is_some() {
                    return;
                }
            }
        }
        ' '..='~' => {
            chars.next();
        }
        _ => {}
    }
}

/// Bidi controls, zero-width characters and tags: they change what is seen without being seen.
const fn is_hidden(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        let check = |text: &str, expected: &str| assert_eq!(line(text), expected, "{text:?}");
        check("plain ü 日本", "plain ü 日本");
        check("a\x1b[31mred\x1b[0mb", "aredb");
        check("a\x1b]0;title\x07b", "ab");
        check("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb");
        check("a\x1b]52;c;evil\nb", "a b");
        check("a\x1bPq#0\x1b\\b", "ab");
        check("a\x1b", "a");
        check("a\x1bcb", "ab");
        check("a\u{9b}2Jb", "a2Jb");
        check("a\u{202e}b\u{200b}c\u{e0041}d", "abcd");
        check("a\tb\nc\rd", "a b cd");
    }

    #[test]
    fn output_keeps_its_lines() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(output(bytes), expected);
        check(b"a\r\nb\tc\n", "a\nb\tc\n");
        check(b"10%\r20%\n", "10%\n20%\n");
        check(b"\xff\x07\x1b[2Jx\x7f", "\u{fffd}x");
        assert_eq!(first_line(b"\n  \n why\nnot", 60), "why");
        assert_eq!(first_line(b"abcdef", 3), "abc");
    }

    #[test]
    fn output_in_bits_is_cleaned_as_in_one() {
        let all = "ü\x1b[31mred\x1b[0m 日本\r\nlone\rtwo\x1b]0;title\x07 end\n".as_bytes();
        let long = [b"x\x1b]0;".as_slice(), &[b'a'; 600], b"\n"].concat();
        for whole in [all, &long, b"\xff\xfe\xc3", b"10%\r"] {
            for size in 1..whole.len() {
                let mut cleaner = Cleaner::default();
                let mut text: String =
                    whole.chunks(size).map(|bytes| cleaner.clean(bytes)).collect();
                text.push_str(&cleaner.rest());
                assert!(!text.contains(['\u{1b}', '\u{7}', '\r']), "{text:?}");
                if whole.len() < 100 {
                    assert_eq!(text, output(whole), "by {size}");
                }
            }
        }
        let mut cleaner = Cleaner::default();
        assert_eq!(cleaner.clean(b"a dot."), "a dot.", "nothing waits for a line end");
    }

    #[test]
    fn text_is_cut_by_columns() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
    }
}
