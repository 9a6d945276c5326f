//! How a person who looks elsewhere is told, and the bytes that do it. What is worth telling is in
//! update/alarm.rs.

use crate::text::clean;

/// Characters of a notification or a title.
const CHARACTERS_MAX: usize = 200;

/// How the screen calls for a person who looks elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Notify {
    /// It rings the terminal's bell.
    #[default]
    Bell,
    /// It asks the terminal for a notification, by OSC 9: iTerm2, WezTerm, kitty, foot, Windows.
    Osc9,
    /// It asks the terminal for a notification, by OSC 777: rxvt and terminals built on VTE.
    Osc777,
    /// It does not.
    Off,
}

/// Returns the bytes that tell `text`.
pub(crate) fn notification(how: Notify, text: &str) -> String {
    match how {
        Notify::Bell => "\u{7}".to_owned(),
        Notify::Osc9 => format!("\u{1b}]9;ganger: {}\u{1b}\\", harmless(text)),
        Notify::Osc777 => format!("\u{1b}]777;notify;ganger;{}\u{1b}\\", harmless(text)),
        Notify::Off => String::new(),
    }
}

/// Returns the bytes that set the title of the terminal's window.
pub(crate) fn title(text: &str) -> String {
    format!("\u{1b}]2;{}\u{1b}\\", harmless(text))
}

/// Remembers the title that the window has.
pub(crate) const KEEP_TITLE: &str = "\u{1b}[22;2t";
/// Gives the window the title that it had.
pub(crate) const GIVE_TITLE_BACK: &str = "\u{1b}[23;2t";

/// A semicolon would begin another field, and nothing that controls a terminal may be inside.
fn harmless(text: &str) -> String {
    clean(text).replace(';', ",").chars().take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_its_sequence() {
        let evil = "a\u{7}b\u{1b}\\c\u{9c}d;e\u{1b}]52;c;ZXZpbA==\u{7}\u{202e}f\n";
        let told = notification(Notify::Osc9, evil);
        assert_eq!(told, "\u{1b}]9;ganger: ab\\cd,e]52,c,ZXZpbA==f \u{1b}\\");
        let told = notification(Notify::Osc777, evil);
        assert_eq!(told.matches(';').count(), 3);
        let told = title(&evil.repeat(100));
        assert!(told.ends_with("\u{1b}\\") && told.len() < 1_000);
        assert_eq!(told.chars().filter(|c| c.is_control()).count(), 2);
        assert_eq!(notification(Notify::Bell, evil), "\u{7}");
        assert_eq!(notification(Notify::Off, evil), "");
    }
}
