//! The filter as it is typed: the line, why it is no filter yet, what could complete its last word,
//! and the filters that were set before. What the words mean is the protocol's.

use super::field::Line;

/// Filters of one list that can be recalled.
pub(crate) const EARLIER_MAX: usize = 50;

/// The filter line while it is open.
#[derive(Debug, Default)]
pub(crate) struct FilterLine {
    pub(crate) line: Line,
    pub(crate) error: Option<FilterFault>,
    pub(crate) offers: Offers,
    /// Which earlier filter is shown, the newest first; none while the line is one's own.
    recalled: Option<usize>,
    /// What was typed before an earlier filter was recalled.
    own: String,
}

/// Why what was typed is no filter yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterFault {
    /// The byte where the unreadable term begins.
    pub(crate) at: usize,
    /// The byte after the term.
    pub(crate) end: usize,
    /// Whether writing on may mend it.
    pub(crate) is_unfinished: bool,
    pub(crate) text: String,
}

/// Words that could stand where the cursor is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers {
    /// The byte where they would begin.
    pub(crate) at: usize,
    pub(crate) words: Vec<String>,
    /// The one that was put in last.
    pub(crate) chosen: Option<usize>,
}

impl FilterLine {
    pub(crate) fn of(text: &str) -> Self {
        Self { line: Line::of(text), ..Self::default() }
    }

    /// Returns what stands before the last word, while that may become a key.
    pub(crate) fn before_key(&self) -> Option<&str> {
        let text = self.line.text();
        let word = text.get(self.offers.at..)?;
        let may_become = |offer: &String| offer.starts_with(word);
        let is_key = !word.is_empty() && !word.contains([':', '"']);
        let begins_here = text[..self.offers.at].ends_with([' ', '-']) || self.offers.at == 0;
        let some = self.offers.words.iter().any(may_become);
        (is_key && begins_here && some).then(|| text[..self.offers.at].trim_end_matches('-'))
    }

    /// Puts the next offer where the last one was; tells whether there was one.
    pub(crate) fn complete(&mut self, turn: Turn) -> bool {
        let count = self.offers.words.len();
        let next = match (self.offers.chosen, turn) {
            (_, _) if count == 0 => return false,
            (None, Turn::Forward) => 0,
            (None, Turn::Back) => count - 1,
            (Some(at), Turn::Forward) => (at + 1) % count,
            (Some(at), Turn::Back) => (at + count - 1) % count,
        };
        let text = self.line.text().to_owned();
        let cursor = self.line.before_cursor().len();
        let Some(kept) = text.get(..self.offers.at) else { return false };
        let before = format!("{kept}{}", self.offers.words[next]);
        self.line = Line::around(&before, &text[cursor..]);
        self.offers.chosen = Some(next);
        true
    }

    /// Shows the filter set before, or the one after it; beyond the newest is what was typed.
    pub(crate) fn recall(&mut self, earlier: &[String], turn: Turn) {
        let next = match (self.recalled, turn) {
            (None, Turn::Back) => Some(0),
            (Some(at), Turn::Back) => Some(at + 1),
            (Some(0) | None, Turn::Forward) => None,
            (Some(at), Turn::Forward) => Some(at - 1),
        };
        if self.recalled.is_none() {
            self.own = self.line.text().to_owned();
        }
        match next {
            None => self.line = Line::of(&self.own),
            Some(at) => match earlier.get(at) {
                Some(text) => self.line = Line::of(text),
                None => return,
            },
        }
        self.recalled = next;
    }
}

/// To the next one or the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Forward,
    Back,
}

/// Returns the terms of a filter's text; a quoted one may hold spaces.
pub(crate) fn terms(text: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut begin = None;
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        quoted ^= c == '"' && !escaped;
        escaped = quoted && c == '\\' && !escaped;
        if c == ' ' && !quoted {
            terms.extend(begin.take().map(|from: usize| &text[from..at]));
        } else if begin.is_none() {
            begin = Some(at);
        }
    }
    terms.extend(begin.map(|from| &text[from..]));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_terms_keep_their_spaces() {
        assert_eq!(terms(r#"a  "b c" -x:"d e" f"#), ["a", r#""b c""#, r#"-x:"d e""#, "f"]);
        assert_eq!(terms(r#" "open quote"#), [r#""open quote"#]);
        assert_eq!(terms(r#""a \" b" c"#), [r#""a \" b""#, "c"]);
        assert!(terms("").is_empty());
    }

    #[test]
    fn offers_take_turns_at_the_cursor() {
        let mut line = FilterLine::of("state:fa kind:x");
        line.line = Line::around("state:fa", " kind:x");
        line.offers = Offers { at: 6, words: vec!["failed".into(), "fast".into()], chosen: None };
        let mut shown = || {
            assert!(line.complete(Turn::Forward));
            line.line.text().to_owned()
        };
        assert_eq!(shown(), "state:failed kind:x");
        assert_eq!(shown(), "state:fast kind:x");
        assert_eq!(shown(), "state:failed kind:x");
        assert_eq!(line.line.before_cursor(), "state:failed");
    }

    #[test]
    fn earlier_filters_come_back_and_so_does_what_was_typed() {
        let earlier = ["newest".to_owned(), "oldest".to_owned()];
        let mut line = FilterLine::of("mine");
        let mut recall = |turn| {
            line.recall(&earlier, turn);
            line.line.text().to_owned()
        };
        assert_eq!(recall(Turn::Back), "newest");
        assert_eq!(recall(Turn::Back), "oldest");
        assert_eq!(recall(Turn::Back), "oldest");
        assert_eq!(recall(Turn::Forward), "newest");
        assert_eq!(recall(Turn::Forward), "mine");
    }
}
