//! The filter line of a list: what is typed with its hint below, or the terms that hold; and how
//! much they leave.

use ganger_proto::picture::Search;
use ratatui::layout::{Position, Rect};

use super::dialog::typed;
use super::pen::{Pen, Piece, piece, pieces_width};
use crate::layout;
use crate::model::Model;
use crate::model::filter_line::{FilterLine, terms};
use crate::model::list::List;
use crate::model::overlay::Overlay;
use crate::text::{clean, cut, grouped, width};
use crate::theme::Role;

/// Columns before the text.
const LEFT: u16 = 3;

/// Draws the line.
pub(super) fn line(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let Some(list) = model.list() else { return };
    let said = said(model, list);
    match editing(model) {
        Some(line) => edited(pen, area, (list, line), &said),
        None => {
            let mut y = area.y;
            if !list.filter_text.is_empty() {
                settled(pen, area, list, &said);
                y += 1;
            }
            for line in layout::refusal(area.width, model) {
                pen.put(area.x + 1, y, &line, Role::Note);
                y += 1;
            }
        }
    }
}

fn editing(model: &Model) -> Option<&FilterLine> {
    model
        .overlays
        .iter()
        .find_map(|overlay| if let Overlay::Filter(line) = overlay { Some(&**line) } else { None })
}

/// The terms that hold, a chip for each, and what they leave.
fn settled(pen: &mut Pen<'_>, area: Rect, list: &List, said: &[Piece]) {
    let y = area.y;
    let mut x = pen.put(area.x + 1, y, "/", Role::Key) + 1;
    let chips: Vec<_> = terms(&list.filter_text)
        .into_iter()
        .map(|term| (format!(" {} ", clean(term)), look(term)))
        .collect();
    let wanted: u16 = chips.iter().map(|(chip, _)| width(chip) as u16 + 1).sum();
    // On a narrow line the number alone stays.
    let more = if matches!(list.search, Search::Running { .. }) { " …" } else { "" };
    let number = [piece(grouped(list.total) + more, Role::Text)];
    let all = pieces_width(said);
    let fits = x + wanted + all + 3 <= area.right();
    let said = if fits { said } else { &number };
    let room = area.right().saturating_sub(pieces_width(said).min(area.width / 2) + 3);
    for (chip, role) in chips {
        if x + width(&chip) as u16 > room {
            x = pen.put(x, y, "…", Role::Dim) + 1;
            break;
        }
        x = chip_at(pen, (x, y), &chip, role) + 1;
    }
    after(pen, (x, y), area, said);
}

/// The text as it is typed, what it leaves, and the terms that hold so far.
fn edited(pen: &mut Pen<'_>, area: Rect, (list, line): (&List, &FilterLine), said: &[Piece]) {
    let y = area.y;
    pen.put(area.x + 1, y, "/", Role::Key);
    let columns = columns(area, said);
    typed(pen, (area.x + LEFT, y), columns, &line.line);
    let text = line.line.text();
    if let Some(fault) = &line.error {
        let at = fault.at.min(text.len());
        let before = text.get(..at).map_or(0, width) as u16;
        let wrong = text.get(at..fault.end).map_or(1, width).max(1) as u16;
        let role = if fault.is_unfinished { Role::Note } else { Role::Bad };
        if before + wrong <= columns {
            let place = Rect { x: area.x + LEFT + before, y, width: wrong, height: 1 };
            pen.tint(place, role);
        }
    }
    let mut x = area.x + LEFT + (width(text) as u16).min(columns) + 1;
    x = after(pen, (x, y), area, said) + 2;
    for term in terms(&list.filter_text) {
        let chip = format!(" {} ", clean(&short(term)));
        if x + width(&chip) as u16 >= area.right() {
            break;
        }
        x = chip_at(pen, (x, y), &chip, look(term)) + 1;
    }
}

fn after(pen: &mut Pen<'_>, (x, y): (u16, u16), area: Rect, said: &[Piece]) -> u16 {
    if x + 3 + pieces_width(said) <= area.right() {
        let x = pen.put(x, y, "│ ", Role::Border);
        pen.put_all(x, y, said)
    } else {
        area.right()
    }
}

fn chip_at(pen: &mut Pen<'_>, (x, y): (u16, u16), chip: &str, role: Role) -> u16 {
    let end = pen.put(x, y, chip, role);
    pen.tint(Rect { x, y, width: end.saturating_sub(x), height: 1 }, Role::Selected);
    end
}

fn look(term: &str) -> Role {
    if term.starts_with('-') { Role::Note } else { Role::Text }
}

/// Returns a term without the key where its value says enough.
fn short(term: &str) -> String {
    let (sign, body) = match term.strip_prefix('-') {
        Some(body) => ("-", body),
        None => ("", term),
    };
    let value = ["state:", "kind:", "batch:", "label:", "dur"]
        .iter()
        .find_map(|key| body.strip_prefix(key))
        .unwrap_or(body);
    format!("{sign}{value}")
}

/// Returns how much of the line is for what is typed.
fn columns(area: Rect, said: &[Piece]) -> u16 {
    let all = area.width.saturating_sub(LEFT + 1);
    let beside = all.saturating_sub(pieces_width(said) + 4);
    if beside >= 30 { beside } else { all }
}

/// Returns how many rows there are of how many, or how far the search has come.
fn said(model: &Model, list: &List) -> Vec<Piece> {
    let counts = model.picture.as_ref().map(|picture| picture.master.counts).unwrap_or_default();
    let of = if list.is_of_ended() { counts.ended() } else { counts.total() };
    let waits = if list.is_stale() || list.is_waiting() { " …" } else { "" };
    match &list.search {
        Search::Complete | Search::Refused(_) => {
            let text = format!("{} of {}{waits}", grouped(list.total), grouped(of));
            vec![piece(text, Role::Text)]
        }
        Search::Running { permille } => vec![
            piece(format!("{} so far", grouped(list.total)), Role::Text),
            piece(format!(" · searching {} %", permille / 10), Role::Dim),
        ],
    }
}

/// Draws what Tab would put in, or why the line is no filter, below the cursor; returns where the
/// cursor is.
pub(super) fn hint(pen: &mut Pen<'_>, area: Rect, model: &Model, line: &FilterLine) -> Position {
    let columns = model.list().map_or(0, |list| columns(area, &said(model, list)));
    let before = width(&clean(&line.line.before_cursor())) as u16;
    let cursor = Position { x: area.x + LEFT + before.min(columns.saturating_sub(1)), y: area.y };
    let (at, pieces) = match (&line.error, line.offers.words.is_empty()) {
        (None, true) => return cursor,
        (Some(fault), true) => {
            let text = line.line.text().get(..fault.at).map_or(0, width) as u16;
            let (sign, role) =
                if fault.is_unfinished { ("… ", Role::Note) } else { ("✗ ", Role::Bad) };
            (text, vec![piece(sign, role), piece(fault.text.clone(), Role::Text)])
        }
        (_, false) => {
            (line.line.text().get(..line.offers.at).map_or(0, width) as u16, offers(line))
        }
    };
    let room = area.width.saturating_sub(2);
    let wanted = pieces_width(&pieces).min(room) + 2;
    let x = (area.x + LEFT + at.min(columns))
        .saturating_sub(1)
        .min(area.right() - wanted.min(area.width));
    let place = Rect { x, y: area.y + 1, width: wanted, height: 1 };
    let mut pen = pen.within(place);
    pen.clear(Role::Text);
    let mut at = x + 1;
    for (text, role) in &pieces {
        at = pen.put(at, place.y, &cut(text, usize::from(place.right().saturating_sub(at))), *role);
    }
    pen.tint(place, Role::Selected);
    cursor
}

fn offers(line: &FilterLine) -> Vec<Piece> {
    let mut pieces = vec![piece("Tab", Role::Key)];
    for (i, word) in line.offers.words.iter().enumerate() {
        let role = if line.offers.chosen == Some(i) { Role::Strong } else { Role::Text };
        pieces.push(piece(format!(" {}", clean(word)), role));
    }
    pieces
}
