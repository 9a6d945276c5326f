//! Pictures of the screen for other programs: a frame of cells as text, as text with colours, or as
//! SVG. Pure; who writes the file is save.rs.

mod svg;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

pub(crate) use svg::svg;

use crate::text::width;

/// How a picture of the screen is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShotFormat {
    /// Characters only.
    Text,
    /// Characters with the escape sequences of their colours: `cat` shows it.
    Ansi,
    /// A drawing, for a browser or a document.
    Svg,
}

impl ShotFormat {
    /// Returns the end of a file's name.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Ansi => "ansi",
            Self::Svg => "svg",
        }
    }

    /// Writes a frame.
    pub(crate) fn write(self, frame: &Buffer) -> String {
        match self {
            Self::Text => text(frame),
            Self::Ansi => ansi(frame),
            Self::Svg => svg(frame),
        }
    }
}

/// Returns the characters, without the spaces at the end of a line.
fn text(frame: &Buffer) -> String {
    let mut out = String::new();
    for row in frame.area.rows() {
        cells(frame, row.y).for_each(|(_, cell)| out.push_str(cell.symbol()));
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

/// Returns the characters with their colours; every line begins and ends without any.
fn ansi(frame: &Buffer) -> String {
    let mut out = String::new();
    for row in frame.area.rows() {
        let mut look = String::new();
        for (_, cell) in cells(frame, row.y) {
            let wanted = sequence(cell);
            if wanted != look {
                out.push_str(&wanted);
                look = wanted;
            }
            out.push_str(cell.symbol());
        }
        out.push_str("\u{1b}[0m\n");
    }
    out
}

/// Returns the cells of a row with their columns, leaving out what wide characters cover.
fn cells(frame: &Buffer, y: u16) -> impl Iterator<Item = (u16, &Cell)> {
    let mut next = frame.area.left();
    (frame.area.left()..frame.area.right()).filter_map(move |x| {
        let cell = &frame[(x, y)];
        let is_seen = x >= next;
        if is_seen {
            next = x.saturating_add(width(cell.symbol()).max(1) as u16);
        }
        is_seen.then_some((x, cell))
    })
}

fn sequence(cell: &Cell) -> String {
    let mut codes = vec!["0".to_owned()];
    for (modifier, code) in [
        (Modifier::BOLD, "1"),
        (Modifier::DIM, "2"),
        (Modifier::ITALIC, "3"),
        (Modifier::UNDERLINED, "4"),
        (Modifier::REVERSED, "7"),
    ] {
        if cell.modifier.contains(modifier) {
            codes.push(code.to_owned());
        }
    }
    codes.extend(colour(cell.fg, 30));
    codes.extend(colour(cell.bg, 40));
    format!("\u{1b}[{}m", codes.join(";"))
}

/// Returns the code of a colour; `base` is 30 for what is written and 40 for what lies below.
fn colour(colour: Color, base: u8) -> Option<String> {
    Some(match paint(colour)? {
        Paint::Rgb(r, g, b) => format!("{};2;{r};{g};{b}", base + 8),
        Paint::Indexed(index) => format!("{};5;{index}", base + 8),
        Paint::Named(index) if index < 8 => (base + index).to_string(),
        Paint::Named(index) => (base + 52 + index).to_string(),
    })
}

/// A colour that is not the terminal's own.
enum Paint {
    Rgb(u8, u8, u8),
    Indexed(u8),
    /// One of the sixteen, by its place.
    Named(u8),
}

const fn paint(colour: Color) -> Option<Paint> {
    Some(Paint::Named(match colour {
        Color::Reset => return None,
        Color::Rgb(r, g, b) => return Some(Paint::Rgb(r, g, b)),
        Color::Indexed(index) => return Some(Paint::Indexed(index)),
        Color::Black => 0,
        Color::Red => 1,
        Color::Green => 2,
        Color::Yellow => 3,
        Color::Blue => 4,
        Color::Magenta => 5,
        Color::Cyan => 6,
        Color::Gray => 7,
        Color::DarkGray => 8,
        Color::LightRed => 9,
        Color::LightGreen => 10,
        Color::LightYellow => 11,
        Color::LightBlue => 12,
        Color::LightMagenta => 13,
        Color::LightCyan => 14,
        Color::White => 15,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Glyphs;
    use crate::sample::{busy, showing};
    use crate::view::tests::draw;

    fn frame() -> Buffer {
        draw(&showing((80, 24), busy()), "ansi16", Glyphs::Unicode)
    }

    #[test]
    fn text_is_what_is_seen() {
        let shot = text(&frame());
        assert_eq!(shot.lines().count(), 24);
        assert!(shot.contains("ganger") && shot.contains("Results"), "{shot}");
        assert!(!shot.lines().any(|line| line.ends_with(' ') || width(line) > 80), "{shot}");
    }

    /// A terminal that reads the coloured text holds the same cells.
    #[test]
    fn coloured_text_draws_the_same_screen() {
        let frame = draw(&showing((120, 36), busy()), "nord", Glyphs::Unicode);
        let mut terminal = vt100::Parser::new(36.try_into().unwrap(), 121.try_into().unwrap(), 0);
        terminal.process(ansi(&frame).trim_end().replace('\n', "\r\n").as_bytes());
        let screen = terminal.screen();
        for y in 0..36 {
            for (x, cell) in cells(&frame, y) {
                let seen = screen.cell(y, x).unwrap();
                let symbol = if seen.contents().is_empty() { " " } else { seen.contents() };
                assert_eq!(symbol, cell.symbol(), "{x} {y}");
                assert_eq!(seen.bold(), cell.modifier.contains(Modifier::BOLD), "{x} {y}");
                if let Color::Rgb(r, g, b) = cell.fg {
                    assert_eq!(seen.fgcolor(), vt100::Color::Rgb(r, g, b), "{x} {y}");
                }
            }
        }
    }

    #[test]
    fn colours_have_their_codes() {
        let check = |of, base, code: Option<&str>| {
            assert_eq!(colour(of, base).as_deref(), code, "{of:?}");
        };
        check(Color::Reset, 30, None);
        check(Color::Red, 30, Some("31"));
        check(Color::White, 40, Some("107"));
        check(Color::DarkGray, 30, Some("90"));
        check(Color::Indexed(200), 40, Some("48;5;200"));
        check(Color::Rgb(1, 2, 3), 30, Some("38;2;1;2;3"));
    }
}
