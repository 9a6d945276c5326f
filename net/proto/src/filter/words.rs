//! A filter's text as words: cut at blanks, quotes taken off but not forgotten. Knows no key.

use super::error::{FilterError, Wrong};

/// One word of the text.
#[derive(Clone, Debug)]
pub(super) struct Word {
    /// Where it begins in the text, in bytes.
    pub(super) at: usize,
    /// Where it ends.
    pub(super) end: usize,
    /// Its characters.
    pub(super) letters: Vec<Letter>,
}

/// A character, and whether quotes stood around it: then it is no sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) c: char,
    pub(super) quoted: bool,
}

impl Letter {
    /// Tells whether it is this sign of the language.
    pub(super) fn is(self, sign: char) -> bool {
        !self.quoted && self.c == sign
    }
}

/// Returns letters as text.
pub(super) fn text_of(letters: &[Letter]) -> String {
    letters.iter().map(|letter| letter.c).collect()
}

/// Cuts a text at its blanks.
///
/// # Errors
/// When a quote stays open.
pub(super) fn words(text: &str) -> Result<Vec<Word>, FilterError> {
    let mut words = Vec::new();
    let mut open: Option<Word> = None;
    let mut quote: Option<usize> = None;
    let mut letters = text.char_indices().peekable();
    while let Some((at, c)) = letters.next() {
        if quote.is_none() && c.is_whitespace() {
            words.extend(open.take());
            continue;
        }
        let word = open.get_or_insert_with(|| Word { at, end: at, letters: Vec::new() });
        word.end = at + c.len_utf8();
        match (c, quote) {
            ('"', None) => quote = Some(at),
            ('"', Some(_)) => quote = None,
            ('\\', Some(_)) => match letters.next_if(|(_, c)| matches!(c, '"' | '\\')) {
                Some((at, c)) => {
                    word.end = at + 1;
                    word.letters.push(Letter { c, quoted: true });
                }
                None => word.letters.push(Letter { c, quoted: true }),
            },
            _ => word.letters.push(Letter { c, quoted: quote.is_some() }),
        }
    }
    if let (Some(word), Some(_)) = (&open, quote) {
        let wrong = Wrong::unfinished("the quote is not closed; write another `\"` after the text");
        return Err(wrong.at(text, word.at, word.end));
    }
    words.extend(open);
    Ok(words)
}
