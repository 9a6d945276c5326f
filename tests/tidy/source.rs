//! Rust text as the layout rules read it: code, comments and strings apart, and where the tests
//! begin. Does not parse, and knows no rule.

use std::ops::Range;

/// What a piece of Rust text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Code,
    Comment,
    Text,
}

/// Cuts Rust text into code, comments and strings.
pub(crate) fn pieces(source: &str) -> Vec<(Piece, &str)> {
    let mut pieces = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(next) = source[at..].chars().next() {
        match special(&source[at..], source[..at].chars().next_back()) {
            Some((piece, length)) => {
                pieces.push((Piece::Code, &source[from..at]));
                pieces.push((piece, &source[at..at + length]));
                at += length;
                from = at;
            }
            None => at += next.len_utf8(),
        }
    }
    pieces.push((Piece::Code, &source[from..]));
    pieces
}

/// Joins the pieces again, of the unwanted ones only the line ends.
pub(crate) fn without(pieces: &[(Piece, &str)], unwanted: &[Piece]) -> String {
    let mut joined = String::new();
    for (piece, text) in pieces {
        if unwanted.contains(piece) {
            joined.extend(text.chars().filter(|c| *c == '\n'));
        } else {
            joined.push_str(text);
        }
    }
    joined
}

/// Returns the lines of the inner test module, from 0; an empty range at the end without one.
pub(crate) fn tests_of(code: &str) -> Range<usize> {
    let lines: Vec<&str> = code.lines().collect();
    let opens = |at: &usize| {
        lines[*at] == "#[cfg(test)]"
            && lines[at + 1..]
                .iter()
                .find(|line| !line.starts_with("#["))
                .is_some_and(|line| line.contains("mod ") && line.ends_with('{'))
    };
    let start = (0..lines.len()).find(opens).unwrap_or(lines.len());
    let closes = lines[start..].iter().position(|line| *line == "}" || line.ends_with("{}"));
    start..closes.map_or(lines.len(), |length| start + length + 1)
}

/// Tells whether a word stands in a line by itself, not as a part of a longer name.
pub(crate) fn has_word(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let after = line[at + word.len()..].chars().next();
        !line[..at].ends_with(part) && (word.ends_with(':') || !after.is_some_and(part))
    })
}

/// Returns the comment or string that starts here and its length.
fn special(rest: &str, before: Option<char>) -> Option<(Piece, usize)> {
    if rest.starts_with("//") {
        return Some((Piece::Comment, rest.find('\n').unwrap_or(rest.len())));
    }
    if rest.starts_with("/*") {
        return Some((Piece::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2)));
    }
    if rest.starts_with('"') {
        return Some((Piece::Text, quoted(rest, '"')));
    }
    if rest.starts_with('\'') {
        // A quote that is not closed after one character begins a lifetime.
        let closed = rest.chars().nth(2) == Some('\'') || rest.starts_with("'\\");
        return closed.then(|| (Piece::Text, quoted(rest, '\'')));
    }
    let inner = rest.strip_prefix('r')?;
    let name_goes_on = before.is_some_and(|c| c.is_alphanumeric() && c != 'b' && c != 'c');
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"').filter(|_| !name_goes_on)?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |end| end + close.len());
    Some((Piece::Text, rest.len() - body.len() + end))
}

/// Returns the length of a quoted text, its quotes included.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}
