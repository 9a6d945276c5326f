//! Theme files: any text is a theme for every depth of colour, or an error that names its line and
//! is fit for a terminal.

use crate::theme::{Depth, Theme, ThemeError};

/// Reads the bytes as a theme.
///
/// # Panics
/// When an error names no line of the text, or holds a control character.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Theme::parse(text) {
        Ok(theme) => {
            for depth in [Depth::Full, Depth::Indexed, Depth::Sixteen] {
                let mut reduced = theme.clone();
                reduced.reduce(depth);
                let mut twice = reduced.clone();
                twice.reduce(depth);
                assert_eq!(twice, reduced, "{depth:?} of {text:?}");
                assert!(!theme.is_colourless() || reduced.is_colourless());
            }
        }
        Err(error) => {
            let sentence = error.to_string();
            assert!(!sentence.contains(char::is_control), "{sentence:?}");
            let ThemeError::Line { line, .. } = error else {
                panic!("a text has no name: {sentence}");
            };
            let lines = text.split('\n').count();
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
        }
    }
}
