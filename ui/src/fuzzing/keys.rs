//! Keys of a person's own: any changes give a table in which a key means one thing, or a fault that
//! names its line and is fit for a terminal.
//!
//! A line of the text is a change: the place, the action, then its keys, with tabs between them.

use crate::keymap::{CustomKey, Keymap};

/// Reads the bytes as changes of the table.
///
/// # Panics
/// When a fault names no line of the text, or holds a control character.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut custom = Vec::new();
    for (line, change) in (1..).zip(text.lines()) {
        let mut words = change.split('\t').map(str::to_owned);
        let (Some(place), Some(action)) = (words.next(), words.next()) else { continue };
        custom.push(CustomKey { place, action, chords: words.collect(), line });
    }
    match Keymap::with(&custom) {
        Ok(map) => {
            let changed = map.rows().iter().filter(|row| row.is_custom()).count();
            assert!(changed <= custom.len() && (changed > 0 || custom.is_empty()));
        }
        Err(fault) => {
            assert!(!fault.to_string().contains(char::is_control), "{fault}");
            assert!(custom.iter().any(|key| key.line == fault.line), "{fault:?}");
        }
    }
}
