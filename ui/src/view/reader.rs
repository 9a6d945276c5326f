//! Text that is read, an output or the log: the lines in view, with numbers and times beside them.
//! Formats only what is seen, however much there is.

use ratatui::layout::Rect;
use ratatui::style::Style;

use super::pen::{Pen, Piece, piece, pieces_width};
use crate::lines::Line;
use crate::model::Model;
use crate::model::reader::{Entry, Gutter, Level, Look, Origin, Switch, Text, find};
use crate::text::{counted, grouped};
use crate::theme::Role;

/// Draws the lines in view.
pub(super) fn text(pen: &mut Pen<'_>, area: Rect, model: &Model, (text, look): (&Text, Look)) {
    let gutter = text.gutter(look, area.width);
    let fit = text.fit(look, area);
    let mut pen = pen.within(area);
    for (y, row) in (area.y..area.bottom()).zip(text.window(fit)) {
        let Some(entry) = text.get(row.line) else { continue };
        let mut x = area.x + 1;
        if row.row == 0 {
            let number = (row.line + 1, text.is_found(row.line));
            beside(&mut pen, (x, y), gutter, model, (entry, number));
        }
        x += gutter.width();
        let line = &entry.line;
        let part = line.row(fit.columns, row.row);
        let is_cut = look.wrap == Switch::Off && part.end < line.text.len();
        let part = if is_cut { line.row(fit.columns.saturating_sub(1), 0) } else { part };
        for (found, piece, style) in pieces(line, part, text.needle()) {
            let role = if found { Role::Choice } else { role(entry.from) };
            let style = if found { Style::new() } else { style };
            x = pen.put_look((x, y), piece, style, role);
        }
        if is_cut {
            pen.put(x, y, "…", Role::Dim);
        }
    }
}

/// What stands at the left of a line's first row.
fn beside(
    pen: &mut Pen<'_>,
    (x, y): (u16, u16),
    gutter: Gutter,
    model: &Model,
    (entry, (number, is_found)): (&Entry, (u64, bool)),
) {
    if gutter.number > 0 {
        let role = if is_found { Role::Mark } else { Role::Dim };
        pen.put_right(x + gutter.number - 1, y, &number.to_string(), role);
    }
    if gutter.time > 0 && entry.at.0 > 0 {
        let at = super::clock_ms(entry.at, model.utc_offset_min);
        pen.put(x + gutter.number, y, &at, Role::Dim);
    }
    let x = x + gutter.number + gutter.time;
    match entry.from {
        Origin::Stderr => drop(pen.put(x, y, "E", Role::Failed)),
        Origin::Log(level) => {
            let word = if gutter.mark > 2 { word(level) } else { &word(level)[..1] };
            pen.put(x, y, word, role(entry.from));
        }
        Origin::Stdout | Origin::Ganger => {}
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Trace => "TRACE",
        Level::Debug => "DEBUG",
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    }
}

const fn role(from: Origin) -> Role {
    match from {
        Origin::Stdout | Origin::Stderr | Origin::Log(Level::Info) => Role::Text,
        Origin::Log(Level::Error) => Role::Bad,
        Origin::Log(Level::Warn) => Role::Note,
        Origin::Ganger | Origin::Log(Level::Debug | Level::Trace) => Role::Dim,
    }
}

/// Returns a part of a line in pieces of one look, and whether each is what was searched for.
fn pieces<'a>(
    line: &'a Line,
    part: std::ops::Range<usize>,
    needle: &str,
) -> Vec<(bool, &'a str, Style)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = line.text.get(at..).and_then(|rest| find(rest, needle)) {
        found.push(at + next..at + next + needle.len());
        at += next + needle.len();
    }
    let mut pieces = Vec::new();
    for (begin, text, style) in line.spans(part) {
        let mut at = begin;
        let end = begin + text.len();
        for hit in found.iter().filter(|hit| hit.end > begin && hit.start < end) {
            let (from, to) = (hit.start.max(at), hit.end.min(end));
            pieces.push((false, &line.text[at..from], style));
            pieces.push((true, &line.text[from..to], style));
            at = to;
        }
        pieces.push((false, &line.text[at..end], style));
    }
    pieces.retain(|(_, text, _)| !text.is_empty());
    pieces
}

/// Returns what the lower edge of the box says, as much of it as fits; the most telling first.
pub(super) fn foot(text: &Text, look: Look, what: &str, columns: u16) -> Vec<Piece> {
    let lines = text.end();
    let follow = if text.is_followed() { "on" } else { "off" };
    let (count, at) = text.found(look.streams);
    let mut parts: Vec<Piece> = Vec::new();
    let mut add = |text: String, role: Role| parts.push(piece(text, role));
    if !text.needle().is_empty() {
        let place = at.map_or(String::new(), |at| format!("{} of ", at + 1));
        let lines = counted(count as u64, "line", "lines");
        let needle = crate::text::cut(text.needle(), 24);
        let role = if count == 0 { Role::Note } else { Role::Mark };
        add(format!("{place}{lines} with “{needle}”"), role);
    }
    add(counted(lines, "line", "lines"), Role::Dim);
    add(format!("follow {follow}"), if text.is_followed() { Role::Good } else { Role::Note });
    add(format!("wrap {}", look.wrap.word()), Role::Dim);
    if !what.is_empty() {
        add(what.to_owned(), Role::Dim);
    }
    if text.dropped > 0 {
        let dropped = format!("the first {} are not held here", grouped(text.dropped));
        parts.insert(1, piece(dropped, Role::Note));
    }
    let mut fitting: Vec<Piece> = Vec::new();
    for part in parts {
        let separator = if fitting.is_empty() { "" } else { " · " };
        let used = pieces_width(&fitting) + crate::text::width(separator) as u16;
        if used + pieces_width(std::slice::from_ref(&part)) + 6 <= columns {
            fitting.push(piece(separator, Role::Dim));
            fitting.push(part);
        }
    }
    fitting
}
