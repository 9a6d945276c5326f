//! Themes: which style each role has, read from TOML. Views name roles, never colours.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use toml::Spanned;

macro_rules! roles {
    ($($(#[$doc:meta])* $role:ident = $word:literal,)*) => {
        /// What a piece of the screen means; the theme says how it looks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Role { $($(#[$doc])* $role,)* }

        impl Role {
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$role, $word),)*];
        }
    };
}

roles! {
    Text = "text",
    Strong = "strong",
    Dim = "dim",
    Border = "border",
    BorderFocus = "border-focus",
    Title = "title",
    Header = "header",
    HeaderTrouble = "header-trouble",
    Tab = "tab",
    TabActive = "tab-active",
    Key = "key",
    Queued = "queued",
    Sent = "sent",
    Running = "running",
    Delayed = "delayed",
    Done = "done",
    Failed = "failed",
    Cancelled = "cancelled",
    MeterLow = "meter-low",
    MeterMiddle = "meter-middle",
    MeterHigh = "meter-high",
    MeterRest = "meter-rest",
    Progress = "progress",
    ProgressRest = "progress-rest",
    Slot = "slot",
    SlotFree = "slot-free",
    Chart = "chart",
    ChartFailed = "chart-failed",
    Selected = "selected",
    Mark = "mark",
    Good = "good",
    Note = "note",
    Bad = "bad",
    Choice = "choice",
    Replaced = "replaced",
    Token = "token",
    Backdrop = "backdrop",
}

/// A style for every role.
#[derive(Clone, Debug, PartialEq)]
pub struct Theme {
    styles: Vec<Style>,
}

/// A theme that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ThemeError {
    /// No theme is called so.
    #[error("there is no theme `{name}`; the themes are {}", Theme::names().join(" "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A line of the theme's text makes no sense.
    #[error("line {line} of the theme: {why}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it and what may stand there.
        why: String,
    },
}

const BUILT_IN: [(&str, &str); 4] = [
    ("ansi16", include_str!("../../assets/themes/ansi16.toml")),
    ("mono", include_str!("../../assets/themes/mono.toml")),
    ("high-contrast", include_str!("../../assets/themes/high-contrast.toml")),
    ("nord", include_str!("../../assets/themes/nord.toml")),
];

impl Theme {
    /// Returns the names of the themes that need no file.
    pub fn names() -> Vec<&'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).collect()
    }

    /// Returns a theme by its name.
    ///
    /// # Errors
    /// Names the themes there are when this is none of them.
    pub fn named(name: &str) -> Result<Self, ThemeError> {
        match BUILT_IN.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text),
            None => Err(ThemeError::Unknown { name: crate::text::clean(name) }),
        }
    }

    /// Reads a theme. Roles that it does not name look as in `ansi16`.
    ///
    /// # Errors
    /// Names the line with an unknown key or a style that cannot be read.
    pub fn parse(text: &str) -> Result<Self, ThemeError> {
        let file: File = toml::from_str(text).map_err(|error| ThemeError::Line {
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            why: crate::text::clean(error.message()),
        })?;
        let mut styles = match text == BUILT_IN[0].1 {
            true => vec![Style::reset(); Role::ALL.len()],
            false => Self::named("ansi16")?.styles,
        };
        for (key, value) in &file.roles {
            let at = |position| line_at(text, position);
            let Some((role, _)) = Role::ALL.iter().find(|(_, word)| word == key.get_ref()) else {
                let words: Vec<_> = Role::ALL.iter().map(|(_, word)| *word).collect();
                let shown = crate::text::clean(key.get_ref());
                let why = format!("`{shown}` is not a role; the roles are {}", words.join(" "));
                return Err(ThemeError::Line { line: at(key.span().start), why });
            };
            let line = at(value.span().start);
            styles[*role as usize] =
                style(value.get_ref()).map_err(|why| ThemeError::Line { line, why })?;
        }
        Ok(Self { styles })
    }

    /// Tells whether no role has a colour; then what programs print is shown without colours too.
    pub(crate) fn is_colourless(&self) -> bool {
        let is_plain = |colour: Option<Color>| matches!(colour, None | Some(Color::Reset));
        self.styles.iter().all(|style| is_plain(style.fg) && is_plain(style.bg))
    }

    pub(crate) fn style(&self, role: Role) -> Style {
        self.styles[role as usize]
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    roles: BTreeMap<Spanned<String>, Spanned<String>>,
}

fn line_at(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|b| *b == b'\n').count()
}

/// Reads `bold cyan on black`.
fn style(text: &str) -> Result<Style, String> {
    let mut style = Style::reset();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let modifier = match word {
            "bold" => Modifier::BOLD,
            "dim" => Modifier::DIM,
            "italic" => Modifier::ITALIC,
            "underline" => Modifier::UNDERLINED,
            "reverse" => Modifier::REVERSED,
            "on" => {
                let word = words.next().ok_or("a colour is missing after `on`")?;
                style = style.bg(colour(word)?);
                continue;
            }
            _ => {
                style = style.fg(colour(word)?);
                continue;
            }
        };
        style = style.add_modifier(modifier);
    }
    Ok(style)
}

fn colour(word: &str) -> Result<Color, String> {
    const NAMES: [(&str, Color); 17] = [
        ("default", Color::Reset),
        ("black", Color::Black),
        ("red", Color::Red),
        ("green", Color::Green),
        ("yellow", Color::Yellow),
        ("blue", Color::Blue),
        ("magenta", Color::Magenta),
        ("cyan", Color::Cyan),
        ("white", Color::Gray),
        ("bright-black", Color::DarkGray),
        ("bright-red", Color::LightRed),
        ("bright-green", Color::LightGreen),
        ("bright-yellow", Color::LightYellow),
        ("bright-blue", Color::LightBlue),
        ("bright-magenta", Color::LightMagenta),
        ("bright-cyan", Color::LightCyan),
        ("bright-white", Color::White),
    ];
    if let Some((_, colour)) = NAMES.iter().find(|(name, _)| *name == word) {
        return Ok(*colour);
    }
    let hex = word.strip_prefix('#').filter(|hex| hex.len() == 6 && hex.is_ascii());
    if let Some(rgb) = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
        let [_, r, g, b] = rgb.to_be_bytes();
        return Ok(Color::Rgb(r, g, b));
    }
    let names = NAMES.map(|(name, _)| name).join(" ");
    word.parse::<u8>().map(Color::Indexed).map_err(|_| {
        format!(
            "`{}` is not a colour; write #rrggbb, 0 to 255, or one of {names}; \
             besides bold dim italic underline reverse",
            crate::text::clean(word)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_themes_name_every_role() {
        for (name, text) in BUILT_IN {
            let file: File = toml::from_str(text).unwrap();
            assert!(Theme::named(name).is_ok(), "{name}: {:?}", Theme::named(name));
            for (_, word) in Role::ALL {
                assert!(file.roles.keys().any(|key| key.get_ref() == word), "{name} lacks {word}");
            }
        }
    }

    #[test]
    fn the_mono_theme_has_no_colour() {
        for style in Theme::named("mono").unwrap().styles {
            assert_eq!((style.fg, style.bg), (Some(Color::Reset), Some(Color::Reset)));
        }
    }

    #[test]
    fn errors_name_their_line() {
        let check = |text: &str, expected: &[&str]| {
            let error = Theme::parse(text).unwrap_err().to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        };
        check("[roles]\ntext = \"bold\"\ntxet = \"\"", &["line 3", "`txet` is not a role"]);
        check("[roles]\n\ntext = \"purplish\"", &["line 3", "`purplish` is not a colour"]);
        check("[roles]\ntext = \"on\"", &["line 2", "missing after `on`"]);
        check("[rolls]\n", &["line 1", "rolls"]);
        check("[roles]\ntext = 5", &["line 2"]);
        check("[roles\n", &["line 1"]);
        assert!(Theme::named("solar").unwrap_err().to_string().contains("high-contrast"));
    }
}
