//! The replacement strings of templates, one by one: what is between two braces, and which piece of
//! a value it means. Does not expand; see mod.rs.

use super::TemplateError;

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// As it is.
    Text(Vec<u8>),
    /// All columns.
    All(Piece),
    /// One column, counted from 1, or from the end when negative.
    At(i16, Piece),
    /// The column with this name; text when there is none.
    Named {
        name: String,
        piece: Piece,
        shown: Vec<u8>,
    },
    Number,
    Slot,
    Padded(usize),
}

/// What of a value is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    Whole,
    NoExtension,
    Base,
    Directory,
    BaseNoExtension,
}

/// Bytes of a column's name in a template.
const NAME_BYTES_MAX: usize = 256;

/// Reads one replacement string at the start of `rest`, with its length.
pub(super) fn replacement(rest: &[u8]) -> Result<Option<(Part, usize)>, TemplateError> {
    let Some(end) = rest.iter().position(|b| *b == b'}') else { return Ok(None) };
    let (inner, length) = (&rest[1..end], end + 1);
    if let Some(width) = inner.strip_prefix(b"n:") {
        let width = std::str::from_utf8(width).ok().and_then(|text| text.parse().ok());
        return match width {
            Some(width @ 1..=64) => Ok(Some((Part::Padded(width), length))),
            _ => {
                let shown = String::from_utf8_lossy(&rest[..length.min(40)]);
                let shown = shown.chars().filter(|c| !c.is_control()).collect();
                Err(TemplateError::Width { shown })
            }
        };
    }
    let part = match inner {
        b"#" => Part::Number,
        b"%" => Part::Slot,
        _ => {
            let (name, piece) = Piece::cut(inner);
            let Some(part) = of_name(name, piece, &rest[..length]) else { return Ok(None) };
            part
        }
    };
    Ok(Some((part, length)))
}

/// Reads which columns are meant.
fn of_name(name: &[u8], piece: Piece, shown: &[u8]) -> Option<Part> {
    if name.is_empty() {
        return Some(Part::All(piece));
    }
    if name.contains(&b'{') || name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?;
    let digits = name.strip_prefix('-').unwrap_or(name);
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Some(place) = name.parse::<i16>().ok().filter(|place| *place != 0)
    {
        return Some(Part::At(place, piece));
    }
    Some(Part::Named { name: name.to_owned(), piece, shown: shown.to_vec() })
}

impl Piece {
    /// Cuts the sign of a piece off a replacement string.
    fn cut(inner: &[u8]) -> (&[u8], Self) {
        const SIGNS: [(&[u8], Piece); 4] = [
            (b"/.", Piece::BaseNoExtension),
            (b"//", Piece::Directory),
            (b"/", Piece::Base),
            (b".", Piece::NoExtension),
        ];
        let found =
            SIGNS.iter().find_map(|(sign, piece)| Some((inner.strip_suffix(*sign)?, *piece)));
        found.unwrap_or((inner, Self::Whole))
    }

    /// Returns the piece of a value.
    pub(super) fn of(self, argument: &[u8]) -> &[u8] {
        match self {
            Self::Whole => argument,
            Self::NoExtension => without_extension(argument),
            Self::Base => base(argument),
            Self::BaseNoExtension => without_extension(base(argument)),
            Self::Directory => match argument.iter().rposition(|b| *b == b'/') {
                Some(0) => b"/",
                Some(at) => &argument[..at],
                None => b".",
            },
        }
    }
}

fn base(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(path, |at| &path[at + 1..])
}

/// A dot counts only within the base name, as in GNU parallel.
fn without_extension(path: &[u8]) -> &[u8] {
    let name_at = path.len() - base(path).len();
    match path[name_at..].iter().rposition(|b| *b == b'.') {
        Some(dot) => &path[..name_at + dot],
        None => path,
    }
}
