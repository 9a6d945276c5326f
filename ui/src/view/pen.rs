//! The only way a view puts text into cells: clipped to a rectangle, styled by role.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::{Color, Style};

use crate::mouse::{Hit, Hits};
use crate::text;
use crate::theme::{Role, Theme};

/// Draws within a rectangle of a buffer.
pub(super) struct Pen<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    hits: &'a mut Hits,
    pub(super) area: Rect,
}

/// A piece of text with its meaning.
pub(super) type Piece = (String, Role);

/// Returns a piece.
pub(super) fn piece(text: impl Into<String>, role: Role) -> Piece {
    (text.into(), role)
}

/// Returns how many columns pieces take.
pub(super) fn pieces_width(pieces: &[Piece]) -> u16 {
    pieces.iter().map(|(text, _)| text::width(text) as u16).sum()
}

impl<'a> Pen<'a> {
    pub(super) fn new(buffer: &'a mut Buffer, theme: &'a Theme, hits: &'a mut Hits) -> Self {
        let area = buffer.area;
        Self { buffer, theme, hits, area }
    }

    /// Returns a pen for a part of this one's rectangle.
    pub(super) fn within(&mut self, area: Rect) -> Pen<'_> {
        let area = self.area.intersection(area);
        Pen { buffer: self.buffer, theme: self.theme, hits: self.hits, area }
    }

    /// Notes what the mouse finds in `area`.
    pub(super) fn hit(&mut self, area: Rect, hit: Hit) {
        self.hits.note(self.area.intersection(area), hit);
    }

    /// Writes at a column and row of the terminal; returns the column after the text.
    pub(super) fn put(&mut self, x: u16, y: u16, text: &str, role: Role) -> u16 {
        let inside = (self.area.top()..self.area.bottom()).contains(&y);
        if !inside || x < self.area.left() || x >= self.area.right() {
            return x;
        }
        let room = usize::from(self.area.right() - x);
        self.buffer.set_stringn(x, y, text, room, self.theme.style(role)).0
    }

    /// Writes text that has a look of its own, over that of `role`. A theme without colours shows
    /// none of it.
    pub(super) fn put_look(
        &mut self,
        (x, y): (u16, u16),
        text: &str,
        look: Style,
        role: Role,
    ) -> u16 {
        let end = self.put(x, y, text, role);
        if self.area.contains(Position { x, y }) && look != Style::new() {
            let look = if self.theme.is_colourless() {
                Style { fg: None, bg: None, ..look }
            } else {
                look
            };
            for x in x..end {
                self.buffer[(x, y)].set_style(look);
            }
        }
        end
    }

    /// Writes `text` cut to `columns`.
    pub(super) fn put_cut(
        &mut self,
        (x, y): (u16, u16),
        text: &str,
        columns: u16,
        role: Role,
    ) -> u16 {
        self.put(x, y, &text::cut(text, usize::from(columns)), role)
    }

    /// Writes pieces one after the other; returns the column after them.
    pub(super) fn put_all(&mut self, mut x: u16, y: u16, pieces: &[Piece]) -> u16 {
        for (text, role) in pieces {
            x = self.put(x, y, text, *role);
        }
        x
    }

    /// Writes so that the text ends before column `right`.
    pub(super) fn put_right(&mut self, right: u16, y: u16, text: &str, role: Role) {
        let x = right.saturating_sub(text::width(text) as u16);
        self.put(x, y, text, role);
    }

    /// Fills the rectangle with spaces.
    pub(super) fn clear(&mut self, role: Role) {
        let style = self.theme.style(role);
        for y in self.area.rows().map(|row| row.y) {
            for x in self.area.left()..self.area.right() {
                self.buffer[(x, y)].reset();
                self.buffer[(x, y)].set_style(style);
            }
        }
    }

    /// Gives what is drawn in `area` the look of `role`, colours of its own kept where they can
    /// still be read.
    pub(super) fn tint(&mut self, area: Rect, role: Role) {
        let style = self.theme.style(role);
        for position in self.area.intersection(area).positions() {
            let cell = &mut self.buffer[position];
            let keep = matches!(style.fg, None | Some(Color::Reset)) && Some(cell.fg) != style.bg;
            let (fg, modifier) = (cell.fg, cell.modifier);
            cell.set_style(style);
            cell.modifier |= modifier;
            if keep {
                cell.fg = fg;
            }
        }
    }

    /// Gives everything in the rectangle one look, whatever was drawn.
    pub(super) fn wash(&mut self, role: Role) {
        let style = self.theme.style(role);
        for position in self.area.positions() {
            let cell = &mut self.buffer[position];
            cell.modifier = ratatui::style::Modifier::empty();
            cell.set_style(style);
        }
    }

    /// Draws a box with a title at the left and pieces at the right of its upper edge; returns the
    /// rectangle inside.
    pub(super) fn frame(&mut self, area: Rect, title: &str, right: &[Piece], edge: Role) -> Rect {
        let area = self.area.intersection(area);
        if area.width < 2 || area.height < 2 {
            return Rect { width: 0, height: 0, ..area };
        }
        let (left, end, bottom) = (area.left(), area.right() - 1, area.bottom() - 1);
        let line = "─".repeat(usize::from(area.width - 2));
        self.put(left, area.y, &format!("╭{line}╮"), edge);
        self.put(left, bottom, &format!("╰{line}╯"), edge);
        for y in area.y + 1..bottom {
            self.put(left, y, "│", edge);
            self.put(end, y, "│", edge);
        }
        let title = text::cut(title, usize::from(area.width.saturating_sub(6)));
        let mut used = left + 2;
        if !title.is_empty() {
            used = self.put(left + 2, area.y, &format!(" {title} "), Role::Title);
        }
        let width = pieces_width(right) + 2;
        if !right.is_empty() && used + width < end {
            let x = self.put(end - 1 - width, area.y, " ", edge);
            let x = self.put_all(x, area.y, right);
            self.put(x, area.y, " ", edge);
        }
        Rect { x: left + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
    }

    /// Writes pieces at the right of a box's lower edge.
    pub(super) fn foot(&mut self, area: Rect, pieces: &[Piece]) {
        let width = pieces_width(pieces) + 2;
        if area.height >= 2 && width + 4 <= area.width {
            let y = area.bottom() - 1;
            let x = self.put(area.right() - 2 - width, y, " ", Role::Border);
            let x = self.put_all(x, y, pieces);
            self.put(x, y, " ", Role::Border);
        }
    }
}
