//! Keys as a person writes them, `ctrl-d` or `g g`, and as terminals send them. Does not know what
//! they do.

use crokey::KeyCombination;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Keys of one chord: more are not waited for.
const KEYS_MAX: usize = 2;

/// Terminals differ in whether they report Shift with signs; only letters keep it.
pub(super) fn combination(mut event: KeyEvent) -> KeyCombination {
    if let KeyCode::Char(c) = event.code
        && !c.is_alphabetic()
    {
        event.modifiers.remove(KeyModifiers::SHIFT);
    }
    KeyCombination::from(event)
}

/// Reads one or two keys. The error says what to write instead.
pub(super) fn parse(chord: &str) -> Result<Vec<KeyCombination>, String> {
    let words: Vec<&str> = chord.split(' ').collect();
    if words.len() > KEYS_MAX {
        return Err(format!(
            "`{}` has more than two keys; write one, or two with a space",
            told(chord)
        ));
    }
    words.into_iter().map(one).collect()
}

/// Reads one key. A capital means Shift; crokey alone would read it as the small letter.
fn one(word: &str) -> Result<KeyCombination, String> {
    let unreadable = || {
        format!(
            "`{}` is not a key; write a sign as it is, a capital for Shift, ctrl-d, alt-x, f5, \
             enter, esc, tab, backtab, space, up, pagedown and so on, or two keys as `g g`",
            told(word)
        )
    };
    if word.contains(char::is_control) {
        return Err(unreadable());
    }
    let mut letters = word.chars();
    if let (Some(c), None) = (letters.next(), letters.next())
        && !c.is_ascii()
    {
        let shift = if c.is_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE };
        return Ok(combination(KeyEvent::new(KeyCode::Char(c), shift)));
    }
    let shifted = match word.as_bytes() {
        [c] if c.is_ascii_uppercase() => format!("shift-{}", word.to_ascii_lowercase()),
        _ => word.to_owned(),
    };
    let parsed = crokey::parse(&shifted).map_err(|_| unreadable())?.normalized();
    let Some(event) = event(parsed) else { return Err(unreadable()) };
    match same_to_a_terminal(event) {
        Some(other) => Err(format!("`{}` and {other} are the same key to a terminal", told(word))),
        None => Ok(combination(event)),
    }
}

/// Returns the event of a combination of a single key: no more arrive at once from a terminal.
fn event(parsed: KeyCombination) -> Option<KeyEvent> {
    match parsed.codes {
        crokey::OneToThree::One(code) => Some(KeyEvent::new(code, parsed.modifiers)),
        crokey::OneToThree::Two(..) | crokey::OneToThree::Three(..) => None,
    }
}

/// Terminals send the same byte for these as for another key.
fn same_to_a_terminal(event: KeyEvent) -> Option<&'static str> {
    if event.modifiers != KeyModifiers::CONTROL {
        return None;
    }
    const SAME: [(KeyCode, &str); 5] = [
        (KeyCode::Char('i'), "tab"),
        (KeyCode::Char('m'), "enter"),
        (KeyCode::Enter, "enter"),
        (KeyCode::Char('['), "esc"),
        (KeyCode::Char('h'), "backspace"),
    ];
    SAME.iter().find(|(code, _)| *code == event.code).map(|(_, other)| *other)
}

/// Tells whether a chord begins with a key that types a letter.
pub(super) fn types_text(chord: &[KeyCombination]) -> bool {
    let held = KeyModifiers::CONTROL | KeyModifiers::ALT;
    chord.first().copied().and_then(event).is_some_and(|event| {
        matches!(event.code, KeyCode::Char(_)) && !event.modifiers.intersects(held)
    })
}

fn told(text: &str) -> String {
    crate::text::cut(&crate::text::clean(text), 40)
}

/// Returns a chord as the footer and the help write it.
pub(crate) fn shown(chord: &str) -> String {
    chord.split(' ').map(key_shown).collect()
}

fn key_shown(word: &str) -> String {
    let plain = match word {
        "space" => "Space",
        "tab" => "Tab",
        "backtab" => "S-Tab",
        "enter" => "Enter",
        "esc" => "Esc",
        "pageup" => "PgUp",
        "pagedown" => "PgDn",
        "home" => "Home",
        "end" => "End",
        "up" => "↑",
        "down" => "↓",
        "left" => "←",
        "right" => "→",
        "alt-enter" => "Alt-Enter",
        _ => "",
    };
    if !plain.is_empty() {
        return plain.to_owned();
    }
    for (written, seen) in [("ctrl-", "Ctrl-"), ("alt-", "Alt-"), ("shift-", "Shift-")] {
        if let Some(rest) = word.strip_prefix(written) {
            return match written {
                "ctrl-" => format!("{seen}{}", rest.to_uppercase()),
                _ => format!("{seen}{}", key_shown(rest)),
            };
        }
    }
    if word.chars().count() > 1 { word.to_uppercase() } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chords_are_read_as_terminals_send_them() {
        let check = |written: &str, code: KeyCode, modifiers: KeyModifiers| {
            let parsed = parse(written).unwrap_or_else(|why| panic!("{written}: {why}"));
            assert_eq!(parsed, [combination(KeyEvent::new(code, modifiers))], "{written}");
        };
        check("G", KeyCode::Char('G'), KeyModifiers::SHIFT);
        check("g", KeyCode::Char('g'), KeyModifiers::NONE);
        check("shift-?", KeyCode::Char('?'), KeyModifiers::NONE);
        check("-", KeyCode::Char('-'), KeyModifiers::NONE);
        check("ctrl-D", KeyCode::Char('d'), KeyModifiers::CONTROL);
        check("backtab", KeyCode::BackTab, KeyModifiers::SHIFT);
        check("ä", KeyCode::Char('ä'), KeyModifiers::NONE);
        check("Ä", KeyCode::Char('Ä'), KeyModifiers::SHIFT);
        assert_eq!(parse("g g").map(|keys| keys.len()), Ok(2));
    }

    #[test]
    fn unreadable_chords_say_what_to_write() {
        let check = |written: &str, expected: &str| {
            let why = parse(written).unwrap_err();
            assert!(why.contains(expected), "{written}: {why}");
        };
        check("hyper-x", "is not a key; write");
        check("", "is not a key");
        check("a-b", "is not a key");
        check("g g g", "more than two keys");
        // Found by fuzzing: a control character stood for itself, and for nothing that is pressed.
        check("g \u{1c}", "is not a key");
        check("\u{85}", "is not a key");
        check("ctrl-i", "`ctrl-i` and tab are the same key");
        check("ctrl-m", "enter");
        check("ctrl-enter", "enter");
        check("\u{202e}xx", "`xx` is not a key");
    }

    #[test]
    fn chords_are_shown_short() {
        let check = |written: &str, expected: &str| assert_eq!(shown(written), expected);
        check("g g", "gg");
        check("ctrl-d", "Ctrl-D");
        check("alt-enter", "Alt-Enter");
        check("alt-x", "Alt-x");
        check("f5", "F5");
        check("pagedown", "PgDn");
        check("G", "G");
    }
}
