//! Moves of the cursor and of what is read, in whatever has the keys.

use super::{filter, help, identities, palette, reader, why, worker};
use crate::model::filter_line::Turn;
use crate::model::overlay::Overlay;
use crate::model::{Focus, Model};

/// Rows of half a page of the palette.
const PALETTE_PAGE: i64 = 4;

#[derive(Clone, Copy)]
pub(super) enum Move {
    Rows(i64),
    /// In halves of a page.
    Pages(i64),
    First,
    Last,
}

impl Move {
    /// Returns it in rows, where half a page has that many.
    const fn in_rows(self, half_page: i64) -> i64 {
        match self {
            Self::Rows(rows) => rows,
            Self::Pages(halves) => halves * half_page,
            Self::First => i64::MIN / 2,
            Self::Last => i64::MAX / 2,
        }
    }
}

pub(super) fn scroll(model: &mut Model, by: Move) {
    if reader::scroll(model, by) {
        return;
    }
    let page = i64::from(model.size.1.saturating_sub(8)).max(2);
    let lines = |from: usize| match by {
        Move::Rows(rows) => from.saturating_add_signed(rows as isize),
        Move::Pages(halves) => from.saturating_add_signed((halves * page / 2) as isize),
        Move::First => 0,
        Move::Last => usize::MAX / 2,
    };
    match model.overlays.last_mut() {
        Some(Overlay::Help(help)) => {
            help.scroll.0 = lines(help.scroll.0);
            return help::keep_within(model);
        }
        Some(Overlay::Palette(_)) => {
            return palette::move_by(model, by.in_rows(PALETTE_PAGE));
        }
        Some(Overlay::Filter(_)) => {
            let back = matches!(by, Move::Rows(rows) if rows < 0);
            return filter::recall(model, if back { Turn::Back } else { Turn::Forward });
        }
        Some(Overlay::Menu(menu)) => {
            return menu.move_by(by.in_rows(page / 2));
        }
        Some(Overlay::Worker(page)) => {
            let to = lines(page.line);
            return worker::go_to(model, to);
        }
        Some(Overlay::Identities(page)) => {
            let to = lines(page.at);
            return identities::go_to(model, to);
        }
        Some(Overlay::Note(note)) => {
            note.scroll.0 = lines(note.scroll.0);
            return why::keep_within(model);
        }
        _ => {}
    }
    scroll_list(model, by, lines);
}

fn scroll_list(model: &mut Model, by: Move, lines: impl Fn(usize) -> usize) {
    if let Some(list) = model.list_mut() {
        match by {
            Move::Rows(rows) => list.move_by(rows),
            Move::Pages(halves) => list.move_by(halves * list.page() / 2),
            Move::First => list.go_first(),
            Move::Last => list.go_last(),
        }
    } else if model.focus() == Some(Focus::Workers) {
        let rows = model.worker_rows();
        let at = model.worker_row().and_then(|w| rows.iter().position(|row| row.name == w.name));
        let to = lines(at.unwrap_or(0)).min(rows.len().saturating_sub(1));
        model.worker = rows.get(to).map(|row| row.name.clone()).or_else(|| model.worker.clone());
    }
}
