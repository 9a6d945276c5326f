//! The palette: the line, what fits it, and the commands used before.

use ratatui::layout::{Position, Rect};

use super::dialog::typed;
use super::pen::{Pen, piece};
use crate::layout::{Frame, Width};
use crate::model::Model;
use crate::model::palette::{Found, Palette};
use crate::text::{cut, width, wrap};
use crate::theme::Role;

/// Columns of the box where there is room.
const COLUMNS: u16 = 90;
/// Rows of the box where there is room; fixed, so that nothing jumps while words are typed.
const ROWS: u16 = 20;
/// Rows of it that are not for what was found.
const FRAME: u16 = 6;
/// Columns of the keys at the right.
const KEYS: u16 = 8;

pub(super) fn palette(
    pen: &mut Pen<'_>,
    frame: &Frame,
    model: &Model,
    palette: &Palette,
) -> Position {
    let whole = Rect { height: pen.area.height - frame.footer.height, ..pen.area };
    let area = place(whole, frame.width, palette);
    pen.within(area).clear(Role::Text);
    let title = palette.command.map_or_else(|| "Commands".to_owned(), |command| command.usage());
    let count = format!("{} of {}", palette.found.len(), palette.total);
    let inner = pen.frame(area, &title, &[piece(count, Role::Dim)], Role::BorderFocus);
    if inner.height == 0 {
        return Position { x: area.x, y: area.y };
    }
    let mut pen = pen.within(inner);
    let x = pen.put(inner.x + 1, inner.y, ":", Role::Key);
    let room = inner.width.saturating_sub(3);
    let cursor = typed(&mut pen, (x, inner.y), room, &palette.line);
    if palette.line.text().is_empty() {
        let hint = " a name, or a few letters of it";
        pen.put_cut((x + 1, inner.y), hint, room.saturating_sub(1), Role::Dim);
    }
    let roomy = inner.height >= 8;
    let above = 1 + u16::from(roomy);
    let has_error = !palette.error.is_empty() && !palette.found.is_empty();
    let below = if roomy { 2 } else { u16::from(has_error) };
    let rows = Rect {
        y: inner.y + above.min(inner.height),
        height: inner.height.saturating_sub(above + below),
        ..inner
    };
    if roomy {
        let line = "─".repeat(usize::from(inner.width));
        pen.put(inner.x, inner.y + 1, &line, Role::Border);
        pen.put(inner.x, rows.bottom(), &line, Role::Border);
    }
    list(&mut pen, rows, palette);
    if below > 0 {
        last_line(&mut pen, Rect { y: inner.bottom() - 1, height: 1, ..inner }, model, palette);
    }
    cursor
}

fn place(whole: Rect, width: Width, palette: &Palette) -> Rect {
    match width {
        Width::Tiny | Width::Small => whole,
        Width::Compact | Width::Full => {
            let columns = COLUMNS.min(whole.width.saturating_sub(4));
            let top = whole.height / 10;
            // Words are few, and what a theme does to the screen is to be seen.
            let rows = match palette.command {
                Some(_) => (palette.total as u16).clamp(4, ROWS - FRAME) + FRAME,
                None => ROWS,
            };
            Rect {
                x: (whole.width - columns) / 2,
                y: top,
                width: columns,
                height: rows.min(whole.height - top),
            }
        }
    }
}

fn list(pen: &mut Pen<'_>, area: Rect, palette: &Palette) {
    let rows = usize::from(area.height);
    let at = palette.selected.unwrap_or(0);
    let top = (at + 1).saturating_sub(rows);
    if palette.found.is_empty() {
        return nothing(pen, area, palette);
    }
    for (i, found) in palette.found.iter().enumerate().skip(top).take(rows) {
        let y = area.y + (i - top) as u16;
        row(pen, Rect { y, height: 1, ..area }, found);
        if palette.selected == Some(i) {
            pen.tint(Rect { y, height: 1, ..area }, Role::Selected);
            pen.put(area.x, y, "▌", Role::Mark);
            pen.tint(Rect { y, height: 1, width: 1, ..area }, Role::Selected);
        }
    }
}

/// Where no row stands there is room for the whole error.
fn nothing(pen: &mut Pen<'_>, area: Rect, palette: &Palette) {
    let (text, role) = match (palette.error.as_str(), palette.command) {
        ("", Some(_)) => ("type it, then Enter", Role::Dim),
        ("", None) => ("nothing is called so", Role::Dim),
        (error, _) => (error, Role::Text),
    };
    let columns = usize::from(area.width.saturating_sub(5));
    let lines = wrap(text, columns.max(1));
    for (y, line) in (area.y..area.bottom()).zip(lines) {
        pen.put(area.x + 4, y, &line, role);
    }
    if area.height > 0 && !palette.error.is_empty() {
        pen.put(area.x + 2, area.y, "✗", Role::Bad);
    }
}

/// A name with the letters that were typed, what it does or why it is off, and its key.
fn row(pen: &mut Pen<'_>, area: Rect, found: &Found) {
    let is_off = !found.off.is_empty();
    let role = if is_off { Role::Dim } else { Role::Text };
    let about = if is_off { &found.off } else { &found.about };
    let label_columns = match about.is_empty() {
        true => area.width.saturating_sub(2),
        false => (area.width * 3 / 10).clamp(12, 20),
    };
    let label = cut(&found.label, usize::from(label_columns.saturating_sub(1)));
    let mut x = area.x + 2;
    for (i, c) in label.chars().enumerate() {
        let hit = !is_off && found.hits.contains(&(i as u32));
        let role = if hit { Role::Key } else { role };
        x = pen.put(x, area.y, c.encode_utf8(&mut [0; 4]), role);
    }
    let keys = width(&found.keys) as u16;
    let x = area.x + 2 + label_columns;
    let keys_columns = if area.width >= 60 { KEYS } else { keys + 2 };
    let room = (area.right() - 1).saturating_sub(x + keys_columns);
    pen.put_cut((x, area.y), about, room, Role::Dim);
    let key = if is_off { Role::Dim } else { Role::Key };
    pen.put_right(area.right() - 1, area.y, &found.keys, key);
}

fn last_line(pen: &mut Pen<'_>, area: Rect, model: &Model, palette: &Palette) {
    if !palette.error.is_empty() && !palette.found.is_empty() {
        let x = pen.put(area.x + 1, area.y, "✗ ", Role::Bad);
        let room = area.right().saturating_sub(x + 1);
        pen.put_cut((x, area.y), &palette.error, room, Role::Text);
        return;
    }
    if let Some(command) = palette.command.filter(|_| palette.recalled.is_none()) {
        let room = area.width.saturating_sub(2);
        pen.put_cut((area.x + 1, area.y), command.about, room, Role::Dim);
        return;
    }
    if model.kept.commands.is_empty() {
        let x = pen.put(area.x + 1, area.y, "try", Role::Dim) + 2;
        let hint = ":filter state:failed  :theme nord  :goto 1  :join viewer";
        pen.put_cut((x, area.y), hint, area.right().saturating_sub(x + 1), Role::Text);
        return;
    }
    let mut x = pen.put(area.x + 1, area.y, "↑ recent", Role::Dim) + 2;
    for (back, command) in model.kept.commands.iter().enumerate() {
        let text = format!(":{}", crate::text::clean(command));
        if x + width(&text) as u16 + 1 > area.right() {
            break;
        }
        let role = if palette.recalled == Some(back) { Role::Choice } else { Role::Text };
        x = pen.put(x, area.y, &text, role) + 2;
    }
}
