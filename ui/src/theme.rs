//! Themes: which style each role has, read from TOML. Views name roles, never colours.

use std::collections::BTreeMap;
use std::sync::LazyLock;

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
    Blocked = "blocked",
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

const BUILT_IN: [(&str, &str); 7] = [
    ("ansi16", include_str!("../../assets/themes/ansi16.toml")),
    ("mono", include_str!("../../assets/themes/mono.toml")),
    ("high-contrast", include_str!("../../assets/themes/high-contrast.toml")),
    ("nord", include_str!("../../assets/themes/nord.toml")),
    ("gruvbox-dark", include_str!("../../assets/themes/gruvbox-dark.toml")),
    ("catppuccin-mocha", include_str!("../../assets/themes/catppuccin-mocha.toml")),
    ("solarized-light", include_str!("../../assets/themes/solarized-light.toml")),
];

/// The theme of roles that another does not name; the first of the built-in ones.
const PLAIN: &str = "ansi16";

/// The built-in themes, read once.
static PARSED: LazyLock<Vec<(&str, Result<Theme, ThemeError>)>> = LazyLock::new(|| {
    let bare = Theme { styles: vec![Style::reset(); Role::ALL.len()] };
    let plain = Theme::over(BUILT_IN[0].1, bare.clone()).unwrap_or(bare);
    let read = |(name, text)| (name, Theme::over(text, plain.clone()));
    BUILT_IN.into_iter().map(read).collect()
});

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
        match PARSED.iter().find(|(known, _)| *known == name) {
            Some((_, theme)) => theme.clone(),
            None => Err(ThemeError::Unknown { name: crate::text::clean(name) }),
        }
    }

    /// Reads a theme. Roles that it does not name look as in `ansi16`.
    ///
    /// # Errors
    /// Names the line with an unknown key or a style that cannot be read.
    pub fn parse(text: &str) -> Result<Self, ThemeError> {
        Self::over(text, Self::named(PLAIN)?)
    }

    /// Reads a theme over the look that roles have which it does not name.
    fn over(text: &str, under: Self) -> Result<Self, ThemeError> {
        let file: File = toml::from_str(text).map_err(|error| ThemeError::Line {
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            why: crate::text::clean(error.message()),
        })?;
        let mut styles = under.styles;
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

    /// Brings the colours down to those that a terminal has: to the nearest of 256, or to the look
    /// of `ansi16` where there are sixteen only, since the nearest of those is whatever a person
    /// chose it to be.
    pub(crate) fn reduce(&mut self, depth: Depth) {
        let Ok(plain) = Self::named(PLAIN) else { return };
        for (style, plain) in self.styles.iter_mut().zip(plain.styles) {
            let colours = [style.fg, style.bg];
            let has = |found: fn(&Color) -> bool| colours.iter().flatten().any(found);
            match depth {
                Depth::Full => {}
                Depth::Indexed => {
                    style.fg = style.fg.map(nearest);
                    style.bg = style.bg.map(nearest);
                }
                Depth::Sixteen if has(|colour| !is_basic(*colour)) => *style = plain,
                Depth::Sixteen => {}
            }
        }
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

/// How many colours the terminal shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// 24 bits.
    #[default]
    Full,
    /// 256.
    Indexed,
    /// The basic ones.
    Sixteen,
}

fn is_basic(colour: Color) -> bool {
    !matches!(colour, Color::Rgb(..) | Color::Indexed(16..))
}

/// Returns the nearest colour of the 6 × 6 × 6 cube or of the 24 greys.
fn nearest(colour: Color) -> Color {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let Color::Rgb(r, g, b) = colour else { return colour };
    let far = |x: [u8; 3]| -> u32 {
        let squares = x.into_iter().zip([r, g, b]).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2));
        squares.sum()
    };
    let cube = (0..216u8).map(|at| {
        let step = |by: u8| STEPS[usize::from(at / by % 6)];
        (16 + at, [step(36), step(6), step(1)])
    });
    let greys = (0..24u8).map(|at| (232 + at, [8 + 10 * at; 3]));
    let found = cube.chain(greys).min_by_key(|(_, rgb)| far(*rgb));
    found.map_or(colour, |(index, _)| Color::Indexed(index))
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
    fn themes_come_down_to_the_colours_of_the_terminal() {
        for name in Theme::names() {
            let mut theme = Theme::named(name).unwrap();
            theme.reduce(Depth::Indexed);
            let rgb = |style: &Style| {
                [style.fg, style.bg].iter().flatten().any(|c| matches!(c, Color::Rgb(..)))
            };
            assert!(!theme.styles.iter().any(rgb), "{name}");
            theme.reduce(Depth::Sixteen);
            let basic = |style: &Style| [style.fg, style.bg].into_iter().flatten().all(is_basic);
            assert!(theme.styles.iter().all(basic), "{name}");
        }
        let mut nord = Theme::named("nord").unwrap();
        nord.reduce(Depth::Sixteen);
        assert_eq!(nord, Theme::named("ansi16").unwrap());
        assert_eq!(nearest(Color::Rgb(255, 0, 0)), Color::Indexed(196));
        assert_eq!(nearest(Color::Rgb(8, 8, 8)), Color::Indexed(232));
        assert_eq!(nearest(Color::Cyan), Color::Cyan);
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
