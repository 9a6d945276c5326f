//! The view: one file for each box on the screen. Changes nothing, knows no terminal; it fills a
//! buffer of cells.

mod ascii;
mod chart;
mod details;
mod dialog;
mod filter;
mod footer;
mod graph;
mod header;
mod help;
mod identities;
mod inject;
mod join;
mod log;
mod lost;
mod menu;
mod palette;
mod pen;
mod queue;
mod reader;
mod results;
mod sign;
mod table;
mod tasks;
mod title;
mod welcome;
mod why;
mod worker;
mod workers;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::Glyphs;
use crate::layout::{self, Frame, Width};
use crate::model::overlay::Overlay;
use crate::model::{LinkState, Model, Pane, Screen};
use crate::mouse::{Hit, Hits};
use crate::theme::{Role, Theme};
use pen::Pen;

pub(crate) use details::{lines_count as details_lines, text as details_text};
pub(crate) use help::lines_count as help_lines;
pub(crate) use title::title;
pub(crate) use why::lines_count as why_lines;
pub(crate) use worker::{lines as worker_lines, text as worker_text};

/// Returns the columns of a list that can be hidden, by the list's word.
pub(crate) fn columns(list: &str) -> Vec<&'static str> {
    if list == "results" { results::columns() } else { tasks::columns() }
}

/// What was drawn, besides the cells.
#[derive(Debug, Default)]
pub(crate) struct Drawn {
    /// Where text is typed.
    pub(crate) cursor: Option<Position>,
    /// What the mouse finds where.
    pub(crate) hits: Hits,
}

/// Draws the whole screen.
pub(crate) fn view(model: &Model, theme: &Theme, glyphs: Glyphs, buffer: &mut Buffer) -> Drawn {
    let frame = layout::frame((buffer.area.width, buffer.area.height));
    let buffer_area = buffer.area;
    let mut hits = Hits::default();
    let mut pen = Pen::new(buffer, theme, &mut hits);
    pen.clear(Role::Text);
    header::header(&mut pen, &frame, model);
    if frame.width >= Width::Compact {
        header::tabs(&mut pen.within(frame.tabs), &frame, model);
    } else {
        header::counters(&mut pen.within(frame.tabs), frame.tabs, model);
    }
    body(&mut pen, &frame, model);
    footer::toast(&mut pen, &frame, model);
    footer::footer(&mut pen, &frame, model);
    if !model.is_up() && model.picture.is_some() {
        pen.within(frame.body).wash(Role::Backdrop);
    }
    let covers = |overlay: &Overlay| match overlay {
        Overlay::Inject
        | Overlay::Confirm(_)
        | Overlay::Join(_)
        | Overlay::Help(_)
        | Overlay::Menu(_)
        | Overlay::Save(_)
        | Overlay::Note(_) => true,
        // While a theme is chosen the screen is what is looked at.
        Overlay::Palette(open) => open.command.is_none(),
        Overlay::Filter(_)
        | Overlay::Quick(_)
        | Overlay::Details(_)
        | Overlay::Worker(_)
        | Overlay::Identities(_) => false,
    };
    let mut cursor = None;
    for overlay in &model.overlays {
        if covers(overlay) {
            let height = pen.area.height - frame.footer.height;
            pen.within(Rect { height, ..buffer_area }).wash(Role::Backdrop);
            pen.hit(Rect { height, ..buffer_area }, Hit::Overlay);
        } else if !matches!(overlay, Overlay::Filter(_) | Overlay::Quick(_)) {
            pen.hit(frame.body, Hit::Overlay);
        }
        cursor = overlay_box(&mut pen, &frame, model, overlay);
    }
    if let Some(line) = &model.reading.search_line {
        cursor = Some(footer::search(&mut pen, &frame, line));
    }
    if model.overlays.is_empty() && !model.is_up() {
        pen.hit(frame.body, Hit::Overlay);
        lost::dialog(&mut pen, &frame, model);
    }
    if glyphs == Glyphs::Ascii {
        ascii::fold(buffer);
    }
    Drawn { cursor: cursor.filter(|position| buffer_area.contains(*position)), hits }
}

fn body(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    if model.picture.is_none() {
        return;
    }
    match model.screen {
        Screen::Overview if model.is_welcome() => welcome::welcome(pen, frame, model),
        Screen::Overview => overview(pen, frame, model),
        Screen::Tasks => {
            let area = filter_line(pen, frame, model);
            tasks::screen(pen, frame, area, model);
            details::pane(pen, frame, model);
        }
        Screen::Results => {
            let area = filter_line(pen, frame, model);
            results::list(pen, frame, area, model, &model.results);
            details::pane(pen, frame, model);
        }
        Screen::Workers => workers::list(pen, frame, frame.body, model),
        Screen::Log => log::log(pen, frame, model),
    }
}

fn overview(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let boxes = layout::overview(frame, model.worker_rows().len(), model.view.zoomed);
    let is_shown = |area: Rect| area.height > 0 && area.width > 0;
    pen.hit(boxes.workers, Hit::Pane(Pane::Workers));
    pen.hit(boxes.tasks, Hit::Pane(Pane::Tasks));
    pen.hit(boxes.results, Hit::Pane(Pane::Results));
    if is_shown(boxes.chart) {
        chart::chart(pen, boxes.chart, model);
        queue::queue(pen, boxes.queue, model);
    }
    if is_shown(boxes.sparks) {
        queue::sparks(&mut pen.within(boxes.sparks), boxes.sparks, model);
    }
    if is_shown(boxes.workers) {
        workers::list(pen, frame, boxes.workers, model);
    }
    if is_shown(boxes.tasks) {
        tasks::next(pen, frame, boxes.tasks, model);
    }
    if is_shown(boxes.results) {
        results::list(pen, frame, boxes.results, model, &model.latest);
    }
}

fn filter_line(pen: &mut Pen<'_>, frame: &Frame, model: &Model) -> Rect {
    let (line, rest) = layout::list_screen(frame, model);
    if let Some(line) = line {
        filter::line(&mut pen.within(line), line, model);
    }
    rest
}

fn overlay_box(
    pen: &mut Pen<'_>,
    frame: &Frame,
    model: &Model,
    overlay: &Overlay,
) -> Option<Position> {
    match overlay {
        Overlay::Help(open) => return help::help(pen, frame, model, open),
        Overlay::Palette(open) => return Some(palette::palette(pen, frame, model, open)),
        Overlay::Filter(line) => {
            let (at, _) = layout::list_screen(frame, model);
            return at.map(|at| filter::hint(pen, at, model, line));
        }
        Overlay::Quick(quick) => return Some(dialog::quick(pen, frame, &quick.line)),
        Overlay::Inject => return inject::form(pen, frame, model),
        Overlay::Confirm(question) => return dialog::confirm(pen, frame, question),
        Overlay::Join(dialog) => return join::join(pen, model, dialog),
        Overlay::Details(open) => details::details(pen, frame, model, open),
        Overlay::Menu(menu) => menu::menu(pen, frame, menu),
        Overlay::Save(save) => return menu::save(pen, frame, save),
        Overlay::Worker(page) => worker::page(pen, frame, model, page),
        Overlay::Identities(page) => identities::page(pen, frame, model, page),
        Overlay::Note(note) => why::note(pen, frame, note),
    }
    None
}

/// Returns the role of a box's edge.
fn edge(model: &Model, pane: Pane) -> Role {
    let focused = model.screen == Screen::Overview && model.pane_in_view() == pane;
    if focused { Role::BorderFocus } else { Role::Border }
}

/// Returns the rectangle of that size in the middle of `area`, as far as it fits.
fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}

/// Returns a time of day, `14:32:07`, with a Z when the local time is unknown.
fn clock(at: ganger_proto::WallMs, offset_min: Option<i32>) -> String {
    let minutes = i64::from(offset_min.unwrap_or(0));
    let second = (at.0 as i64 / 1_000 + minutes * 60).rem_euclid(86_400);
    let zone = if offset_min.is_none() { "Z" } else { "" };
    format!("{:02}:{:02}:{:02}{zone}", second / 3_600, second / 60 % 60, second % 60)
}

/// Returns a time of day to the millisecond, `14:32:07.910`.
fn clock_ms(at: ganger_proto::WallMs, offset_min: Option<i32>) -> String {
    format!("{}.{:03}", clock(at, Some(offset_min.unwrap_or(0))), at.0 % 1_000)
}

fn is_refused(model: &Model) -> bool {
    matches!(model.link, LinkState::Refused(_))
}

#[cfg(test)]
pub(crate) mod form_tests;
#[cfg(test)]
mod gang_tests;
#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod shell_tests;
#[cfg(test)]
mod terms_tests;
#[cfg(test)]
pub(crate) mod tests;
