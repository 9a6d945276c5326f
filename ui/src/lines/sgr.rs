//! Looks that a program asks for by "select graphic rendition" (ECMA-48 8.3.117): which are kept
//! and what they become. Blinking and hiding are not kept.

use ratatui::style::{Color, Modifier, Style};
use vte::{Params, ParamsIter};

const NAMED: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

/// Returns `style` as these parameters change it.
pub(super) fn apply(mut style: Style, params: &Params) -> Style {
    let mut rest = params.iter();
    while let Some(param) = rest.next() {
        let code = param.first().copied().unwrap_or(0);
        match code {
            0 => style = Style::new(),
            1 => style.add_modifier |= Modifier::BOLD,
            2 => style.add_modifier |= Modifier::DIM,
            3 => style.add_modifier |= Modifier::ITALIC,
            4 if param.get(1) == Some(&0) => style.add_modifier -= Modifier::UNDERLINED,
            4 | 21 => style.add_modifier |= Modifier::UNDERLINED,
            7 => style.add_modifier |= Modifier::REVERSED,
            9 => style.add_modifier |= Modifier::CROSSED_OUT,
            22 => style.add_modifier -= Modifier::BOLD | Modifier::DIM,
            23 => style.add_modifier -= Modifier::ITALIC,
            24 => style.add_modifier -= Modifier::UNDERLINED,
            27 => style.add_modifier -= Modifier::REVERSED,
            29 => style.add_modifier -= Modifier::CROSSED_OUT,
            30..=37 => style.fg = named(code - 30),
            38 => style.fg = extended(param, &mut rest).or(style.fg),
            39 => style.fg = None,
            40..=47 => style.bg = named(code - 40),
            48 => style.bg = extended(param, &mut rest).or(style.bg),
            49 => style.bg = None,
            90..=97 => style.fg = named(code - 82),
            100..=107 => style.bg = named(code - 92),
            _ => {}
        }
    }
    style
}

fn named(index: u16) -> Option<Color> {
    NAMED.get(usize::from(index)).copied()
}

/// Reads one of 256 colours or red, green and blue: after colons in the same parameter, where a
/// colour space may stand before them, or as the parameters that follow.
fn extended(param: &[u16], rest: &mut ParamsIter<'_>) -> Option<Color> {
    let mut following = || rest.next().and_then(|param| param.first()).copied();
    let byte = |value: Option<u16>| value.and_then(|value| u8::try_from(value).ok());
    match param {
        [_, 5, index, ..] => Some(Color::Indexed(byte(Some(*index))?)),
        [_, 2, r, g, b] | [_, 2, _, r, g, b, ..] => {
            Some(Color::Rgb(byte(Some(*r))?, byte(Some(*g))?, byte(Some(*b))?))
        }
        [_, _, ..] => None,
        _ => match following()? {
            5 => byte(following()).map(Color::Indexed),
            2 => {
                let [r, g, b] = [following(), following(), following()];
                Some(Color::Rgb(byte(r)?, byte(g)?, byte(b)?))
            }
            _ => None,
        },
    }
}
