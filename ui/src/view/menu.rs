//! A choice among a few, and the line that names what is saved.

use ratatui::layout::{Position, Rect};

use super::pen::{Pen, piece};
use super::{centred, dialog, table};
use crate::layout::Frame;
use crate::model::menu::{Item, Menu};
use crate::model::save::SaveLine;
use crate::text::{clean, width};
use crate::theme::Role;

/// Columns that a menu takes at the least, and a line for a name.
const COLUMNS_MIN: u16 = 36;
const COLUMNS_SAVE: u16 = 56;
/// Columns before an item's text: the cursor, the letter, the mark.
const BEFORE: u16 = 6;

pub(super) fn menu(pen: &mut Pen<'_>, frame: &Frame, menu: &Menu) {
    let above_footer = Rect { height: pen.area.height - frame.footer.height, ..pen.area };
    let widest = |of: fn(&Item) -> &str| {
        menu.items.iter().map(|item| width(&clean(of(item)))).max().unwrap_or(0) as u16
    };
    let (text, note) = (widest(|item| &item.text), widest(|item| &item.note));
    let wanted = (BEFORE + text + 3 + note + 3).max(COLUMNS_MIN);
    let columns = wanted.min(above_footer.width.saturating_sub(2).max(20));
    let height = (menu.items.len() as u16).saturating_add(2);
    let area = centred(above_footer, columns, height);
    pen.within(area).clear(Role::Text);
    let inner = pen.frame(area, &clean(&menu.title), &[], Role::BorderFocus);
    let mut inside = pen.within(inner);
    let rows = usize::from(inner.height).max(1);
    let top = (menu.cursor + 1).saturating_sub(rows);
    let note_x = inner.x + BEFORE + text + 3;
    for (y, (at, item)) in (inner.y..inner.bottom()).zip(menu.items.iter().enumerate().skip(top)) {
        row(&mut inside, (y, note_x), item);
        if at == menu.cursor {
            table::select(&mut inside, Rect { y, height: 1, ..inner });
        }
    }
    if menu.items.len() > rows {
        let text = format!("{} of {}", menu.cursor + 1, menu.items.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}

fn row(pen: &mut Pen<'_>, (y, note_x): (u16, u16), item: &Item) {
    let x = pen.area.x;
    if let Some(key) = item.key {
        pen.put(x + 2, y, &key.to_string(), Role::Key);
    }
    if item.marked {
        pen.put(x + 4, y, "✓", Role::Mark);
    }
    let room = pen.area.right().saturating_sub(x + BEFORE + 1);
    pen.put_cut((x + BEFORE, y), &clean(&item.text), room, Role::Strong);
    let room = pen.area.right().saturating_sub(note_x + 1);
    if room >= 8 {
        pen.put_cut((note_x, y), &clean(&item.note), room, Role::Dim);
    }
}

pub(super) fn save(pen: &mut Pen<'_>, frame: &Frame, save: &SaveLine) -> Option<Position> {
    let above_footer = Rect { height: pen.area.height - frame.footer.height, ..pen.area };
    let columns = COLUMNS_SAVE.min(above_footer.width.saturating_sub(2));
    let area = centred(above_footer, columns, 3);
    pen.within(area).clear(Role::Text);
    let inner = pen.frame(area, &clean(&save.title), &[], Role::BorderFocus);
    let mut pen = pen.within(inner);
    let x = pen.put(inner.x + 1, inner.y, save.then.label(), Role::Key) + 2;
    let room = inner.right().saturating_sub(x + 1);
    Some(dialog::typed(&mut pen, (x, inner.y), room, &save.line))
}
