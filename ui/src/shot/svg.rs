//! A frame as SVG. Every run of letters has its place and its length, so that columns hold whatever
//! font a browser takes; lines, blocks and dots are drawn as shapes, since fonts leave gaps there.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use super::{Paint, cells, paint};
use crate::text::width;

/// A cell, in the drawing's units.
const W: f32 = 8.4;
const H: f32 = 18.0;
/// Where letters stand, from the cell's top.
const BASE: f32 = 13.6;
const MARGIN: f32 = 12.0;
/// The bar above, as windows have one.
const BAR: f32 = 30.0;
const FONT: &str = "'JetBrains Mono','Cascadia Mono','SF Mono',Menlo,Consolas,'DejaVu Sans Mono',\
                    'Liberation Mono',monospace";
const BACKGROUND: &str = "#14161b";
const FOREGROUND: &str = "#d3d7de";
const SIXTEEN: [&str; 16] = [
    "#1c1f26", "#e0616b", "#8fc46f", "#e2bd6c", "#5fa3e8", "#c586d9", "#56b9c2", "#c3c9d3",
    "#6f7885", "#f07f88", "#a8d988", "#f2d28b", "#82bdf7", "#d9a3ea", "#77d2da", "#ffffff",
];

/// Returns a frame as a drawing.
pub(crate) fn svg(frame: &Buffer) -> String {
    let columns = f32::from(frame.area.width) * W + 2.0 * MARGIN;
    let rows = f32::from(frame.area.height) * H + MARGIN + BAR;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{columns:.0}\" height=\"{rows:.0}\" \
         viewBox=\"0 0 {columns:.1} {rows:.1}\" font-family=\"{FONT}\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (i, colour) in ["#e0616b", "#e2bd6c", "#8fc46f"].into_iter().enumerate() {
        let x = 20.0 + 18.0 * i as f32;
        let _infallible =
            writeln!(out, "<circle cx=\"{x}\" cy=\"15\" r=\"5.5\" fill=\"{colour}\"/>");
    }
    let _infallible =
        writeln!(out, "<g transform=\"translate({MARGIN} {BAR})\" xml:space=\"preserve\">");
    for row in frame.area.rows() {
        let top = f32::from(row.y) * H;
        let cells: Vec<(u16, &Cell)> = cells(frame, row.y).collect();
        backgrounds(&mut out, top, &cells);
        letters(&mut out, top, &cells);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

/// How a cell looks, with reversed colours put right.
#[derive(Clone, PartialEq)]
struct Look {
    ink: String,
    paper: Option<String>,
    modifier: Modifier,
}

fn look(cell: &Cell) -> Look {
    let (ink, paper) = (hex(cell.fg), hex(cell.bg));
    let (ink, paper) = match cell.modifier.contains(Modifier::REVERSED) {
        true => (paper.or(Some(BACKGROUND.into())), ink.or(Some(FOREGROUND.into()))),
        false => (ink, paper),
    };
    let ink = ink.unwrap_or_else(|| FOREGROUND.into());
    Look { ink, paper, modifier: cell.modifier }
}

fn hex(colour: Color) -> Option<String> {
    Some(match paint(colour)? {
        Paint::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        Paint::Indexed(index) => indexed(index),
        Paint::Named(index) => SIXTEEN[usize::from(index)].to_owned(),
    })
}

/// The sixteen, a cube of six steps a side, and greys: as xterm has them.
fn indexed(index: u8) -> String {
    let step = |n: u8| if n == 0 { 0 } else { 55 + 40 * n };
    match index {
        0..16 => SIXTEEN[usize::from(index)].to_owned(),
        16..232 => {
            let n = index - 16;
            format!("#{:02x}{:02x}{:02x}", step(n / 36), step(n / 6 % 6), step(n % 6))
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
    }
}

fn columns(cell: &Cell) -> u16 {
    width(cell.symbol()).max(1) as u16
}

fn backgrounds(out: &mut String, top: f32, cells: &[(u16, &Cell)]) {
    let same = |a: &(u16, &Cell), b: &(u16, &Cell)| look(a.1).paper == look(b.1).paper;
    for run in cells.chunk_by(same) {
        let (Some((first, cell)), Some((last, end))) = (run.first(), run.last()) else { continue };
        if let Some(paper) = look(cell).paper {
            let x = f32::from(*first) * W;
            let w = f32::from(*last + columns(end) - *first) * W;
            let _infallible = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{w:.1}\" height=\"{H}\" \
                 fill=\"{paper}\"/>"
            );
        }
    }
}

fn letters(out: &mut String, top: f32, cells: &[(u16, &Cell)]) {
    // Letters of one look go together, and so does a line; any other sign has its own place.
    let is_plain = |cell: &Cell| cell.symbol().bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let goes_on = |a: &Cell, b: &Cell| a.symbol() == b.symbol() && "─━█░".contains(a.symbol());
    let together = |a: &(u16, &Cell), b: &(u16, &Cell)| {
        (is_plain(a.1) && is_plain(b.1) || goes_on(a.1, b.1)) && look(a.1) == look(b.1)
    };
    for run in cells.chunk_by(together) {
        let Some((x, cell)) = run.first() else { continue };
        let look = look(cell);
        let left = f32::from(*x) * W;
        if shape(out, (left, top, run.len()), cell, &look) {
            continue;
        }
        let text: String = run.iter().map(|(_, cell)| cell.symbol()).collect();
        if look.modifier.contains(Modifier::UNDERLINED) || !text.is_ascii() {
            put(out, (left, top + BASE), &text, &look);
            continue;
        }
        // Programs differ in what they make of spaces in a row, so none are left to them.
        let mut at = left;
        for word in text.split("  ") {
            let body = word.trim_start_matches(' ');
            let x = at + (word.len() - body.len()) as f32 * W;
            let body = body.trim_end_matches(' ');
            if !body.is_empty() {
                put(out, (x, top + BASE), body, &look);
            }
            at += (word.len() + 2) as f32 * W;
        }
    }
}

fn put(out: &mut String, (x, y): (f32, f32), text: &str, look: &Look) {
    let length = width(text) as f32 * W;
    let _infallible = write!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" fill=\"{}\"", look.ink);
    // One character is not stretched: a sign that is narrow in a font stays so.
    if text.is_ascii() {
        let _infallible = write!(out, " textLength=\"{length:.1}\"");
    }
    out.push_str(&attributes(look.modifier));
    out.push('>');
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // XML has no word for these, and no cell holds one.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out.push_str("</text>\n");
}

fn attributes(modifier: Modifier) -> String {
    [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::ITALIC, " font-style=\"italic\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::DIM, " opacity=\"0.6\""),
    ]
    .into_iter()
    .filter(|(which, _)| modifier.contains(*which))
    .map(|(_, attribute)| attribute)
    .collect()
}

/// Draws a line, block or pattern of dots, `count` in a row; tells whether it was one.
fn shape(out: &mut String, (x, y, count): (f32, f32, usize), cell: &Cell, look: &Look) -> bool {
    let Some(c) = cell.symbol().chars().next() else { return false };
    let dim = attributes(look.modifier & Modifier::DIM);
    let rect = |(x, y, w, h): (f32, f32, f32, f32)| {
        format!(
            "<rect x=\"{x:.1}\" y=\"{y:.2}\" width=\"{w:.1}\" height=\"{h:.2}\" fill=\"{}\"{dim}/>\n",
            look.ink
        )
    };
    let eighth = |n: u32| n as f32 / 8.0;
    match c {
        '▁'..='█' => {
            let h = H * eighth(c as u32 - '▀' as u32);
            out.push_str(&rect((x, y + H - h, W * count as f32, h)));
        }
        '▉'..='▏' => {
            let w = W * eighth('▐' as u32 - c as u32);
            out.push_str(&rect((x, y, w, H)));
        }
        '▐' => out.push_str(&rect((x + W / 2.0, y, W / 2.0, H))),
        '\u{2801}'..='\u{28ff}' => dots(out, (x, y), c as u32 - 0x2800, look),
        '─' | '━' => {
            let h = if c == '━' { 2.2 } else { 1.1 };
            out.push_str(&rect((x, y + (H - h) / 2.0, W * count as f32, h)));
        }
        _ => match arms(c) {
            Some(path) => {
                let _infallible = writeln!(
                    out,
                    "<path transform=\"translate({x:.1} {y:.1})\" d=\"{path}\" fill=\"none\" \
                     stroke=\"{}\" stroke-width=\"1.1\"{dim}/>",
                    look.ink
                );
            }
            None => return false,
        },
    }
    true
}

/// Returns the path of a line of a box within its cell of 8.4 by 18.
const fn arms(c: char) -> Option<&'static str> {
    match c {
        '│' => Some("M4.2 0V18"),
        '╭' => Some("M8.4 9Q4.2 9 4.2 13.5V18"),
        '╮' => Some("M0 9Q4.2 9 4.2 13.5V18"),
        '╰' => Some("M8.4 9Q4.2 9 4.2 4.5V0"),
        '╯' => Some("M0 9Q4.2 9 4.2 4.5V0"),
        '┌' => Some("M8.4 9H4.2V18"),
        '┐' => Some("M0 9H4.2V18"),
        '└' => Some("M8.4 9H4.2V0"),
        '┘' => Some("M0 9H4.2V0"),
        '├' => Some("M4.2 0V18M4.2 9H8.4"),
        '┤' => Some("M4.2 0V18M4.2 9H0"),
        '┬' => Some("M0 9H8.4M4.2 9V18"),
        '┴' => Some("M0 9H8.4M4.2 9V0"),
        '┼' => Some("M0 9H8.4M4.2 0V18"),
        '╌' => Some("M0.6 9H3.6M4.8 9H7.8"),
        _ => None,
    }
}

/// Braille: two columns of four dots, in the order of their bits.
fn dots(out: &mut String, (x, y): (f32, f32), bits: u32, look: &Look) {
    const PLACES: [(f32, f32); 8] = [
        (0.0, 0.0),
        (0.0, 1.0),
        (0.0, 2.0),
        (1.0, 0.0),
        (1.0, 1.0),
        (1.0, 2.0),
        (0.0, 3.0),
        (1.0, 3.0),
    ];
    let _infallible = write!(out, "<path d=\"");
    for (i, (column, row)) in PLACES.into_iter().enumerate() {
        if bits & (1 << i) != 0 {
            let (left, top) = (x + W * (0.12 + column / 2.0), y + H * (0.06 + row / 4.0));
            let _infallible = write!(out, "M{left:.1} {top:.1}h2.2v2.4h-2.2z");
        }
    }
    let dim = attributes(look.modifier & Modifier::DIM);
    let _infallible = writeln!(out, "\" fill=\"{}\"{dim}/>", look.ink);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Glyphs;
    use crate::sample::{busy, hostile, showing};
    use crate::view::tests::draw;

    #[test]
    fn a_drawing_has_every_word_at_its_column() {
        let frame = draw(&showing((120, 36), busy()), "ansi16", Glyphs::Unicode);
        let drawing = svg(&frame);
        assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
        assert!(drawing.contains("Overview</text>"), "{drawing}");
        let widest = f32::from(frame.area.width) * W;
        let places = drawing.split("<text x=\"").skip(1);
        for place in places {
            let x: f32 = place.split('"').next().unwrap().parse().unwrap();
            let column = x / W;
            assert!(x < widest && (column - column.round()).abs() < 0.02, "{x} is no column");
        }
        assert!(drawing.len() < 200_000, "{} bytes", drawing.len());
    }

    /// What a peer wrote stays text: each tag is one of ours, and each is closed.
    #[test]
    fn foreign_text_adds_no_tag() {
        let mut picture = hostile();
        for row in picture.results.iter_mut().flat_map(|window| &mut window.rows) {
            row.text = "</text><script>alert(1)</script>&amp;\"'".to_owned();
        }
        let frame = draw(&showing((120, 36), picture), "ansi16", Glyphs::Unicode);
        let drawing = svg(&frame);
        assert!(drawing.contains("&lt;script&gt;"), "{drawing}");
        let tags = drawing.split('<').skip(1).map(|tag| tag.split([' ', '>']).next().unwrap());
        for tag in tags {
            let ours = ["svg", "rect", "circle", "g", "text", "/text", "path", "/g", "/svg"];
            assert!(ours.contains(&tag), "{tag}");
        }
        assert!(!drawing.contains(|c: char| c.is_control() && c != '\n'));
    }

    #[test]
    fn the_cube_and_the_greys_are_those_of_xterm() {
        assert_eq!(indexed(196), "#ff0000");
        assert_eq!(indexed(16), "#000000");
        assert_eq!(indexed(67), "#5f87af");
        assert_eq!(indexed(255), "#eeeeee");
        assert_eq!(indexed(1), SIXTEEN[1]);
    }
}
