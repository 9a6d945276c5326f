//! Where the boxes lie for a terminal's size. Used by the view to draw and by the update to know
//! how many rows a list shows. Draws nothing.

use ganger_proto::picture::Search;
use ratatui::layout::Rect;

use crate::model::details::{Details, Tab};
use crate::model::overlay::Overlay;
use crate::model::{Model, Pane, Screen};

/// How much a terminal's width allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Width {
    /// Counters only.
    Tiny,
    /// A list and one line of counters.
    Small,
    /// Boxes, short rows.
    Compact,
    /// Everything.
    Full,
}

/// The fixed lines and what lies between them. A line that does not fit has no height.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) width: Width,
    pub(crate) header: Rect,
    /// The tab line, or the line of counters.
    pub(crate) tabs: Rect,
    pub(crate) body: Rect,
    pub(crate) toast: Rect,
    pub(crate) footer: Rect,
}

/// The overview's boxes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Overview {
    pub(crate) chart: Rect,
    pub(crate) queue: Rect,
    /// Two lines of sparks and a meter, instead of chart and queue.
    pub(crate) sparks: Rect,
    pub(crate) workers: Rect,
    pub(crate) tasks: Rect,
    pub(crate) results: Rect,
}

/// Returns the frame for a size in columns and rows.
pub(crate) fn frame((columns, rows): (u16, u16)) -> Frame {
    let width = match columns {
        0..40 => Width::Tiny,
        _ if rows < 10 => Width::Small,
        40..70 => Width::Small,
        70..110 => Width::Compact,
        _ => Width::Full,
    };
    let line = |y: u16, height: u16| Rect { x: 0, y, width: columns, height };
    let tabs = u16::from(rows >= 2);
    let footer = u16::from(rows >= 4);
    let toast = u16::from(width >= Width::Compact);
    let body = rows.saturating_sub(1 + tabs + toast + footer);
    Frame {
        width,
        header: line(0, rows.min(1)),
        tabs: line(1, tabs),
        body: line(1 + tabs, body),
        toast: line(1 + tabs + body, toast),
        footer: line(1 + tabs + body + toast, footer),
    }
}

/// Returns the overview's boxes in `body` for that many workers.
pub(crate) fn overview(frame: &Frame, workers: usize, zoomed: Option<Pane>) -> Overview {
    let body = frame.body;
    let mut boxes = Overview::default();
    match zoomed {
        Some(Pane::Workers) => boxes.workers = body,
        Some(Pane::Tasks) => boxes.tasks = body,
        Some(Pane::Results) => boxes.results = body,
        None if frame.width == Width::Full && body.height >= 18 => full(body, workers, &mut boxes),
        None if frame.width >= Width::Compact => compact(body, workers, &mut boxes),
        None => boxes.results = body,
    }
    boxes
}

fn full(body: Rect, workers: usize, boxes: &mut Overview) {
    let chart_rows = (body.height * 3 / 8).clamp(7, 16);
    let left = body.height - chart_rows;
    let worker_rows = (workers.clamp(1, 200) as u16 + 3).min(left / 2);
    let [top, middle, bottom] = split_rows(body, chart_rows, worker_rows);
    [boxes.chart, boxes.queue] = split_columns(top, top.width - 42);
    boxes.workers = middle;
    [boxes.tasks, boxes.results] = split_columns(bottom, bottom.width / 2);
}

fn compact(body: Rect, workers: usize, boxes: &mut Overview) {
    let sparks = 2.min(body.height);
    let left = body.height - sparks;
    let wanted = workers.clamp(1, 200) as u16 + 2;
    let worker_rows = if left < 8 { 0 } else { wanted.min(left / 2) };
    let [top, middle, bottom] = split_rows(body, sparks, worker_rows);
    boxes.sparks = top;
    boxes.workers = middle;
    boxes.results = bottom;
}

fn split_rows(area: Rect, first: u16, second: u16) -> [Rect; 3] {
    let third = area.height.saturating_sub(first + second);
    [
        Rect { height: first, ..area },
        Rect { y: area.y + first, height: second, ..area },
        Rect { y: area.y + first + second, height: third, ..area },
    ]
}

fn split_columns(area: Rect, first: u16) -> [Rect; 2] {
    [Rect { width: first, ..area }, Rect { x: area.x + first, width: area.width - first, ..area }]
}

/// Returns the filter line, when there is one, and the rest of a list screen's body.
pub(crate) fn list_screen(frame: &Frame, model: &Model) -> (Option<Rect>, Rect) {
    let (line, rest) = below_filter(frame, model);
    let pane = details_pane(frame, model).map_or(0, |pane| pane.height);
    (line, Rect { height: rest.height - pane, ..rest })
}

/// Returns where the details below a list lie, when they are open and there is room.
pub(crate) fn details_pane(frame: &Frame, model: &Model) -> Option<Rect> {
    let on_list = matches!(model.screen, Screen::Tasks | Screen::Results);
    if model.reading.below.is_none() || !on_list || !has_room_for_pane(frame) {
        return None;
    }
    let (_, rest) = below_filter(frame, model);
    let list = (rest.height * 2 / 5).max(6);
    Some(Rect { y: rest.y + list, height: rest.height - list, ..rest })
}

/// Tells whether a list and details below it fit.
pub(crate) fn has_room_for_pane(frame: &Frame) -> bool {
    frame.width >= Width::Compact && frame.body.height >= 14
}

fn below_filter(frame: &Frame, model: &Model) -> (Option<Rect>, Rect) {
    let editing = model.overlays.iter().any(|overlay| matches!(overlay, Overlay::Filter(_)));
    let filtered = model.list().is_some_and(|list| {
        !list.filter_text.is_empty() || matches!(list.search, Search::Refused(_))
    });
    if (editing || filtered) && frame.body.height >= 2 {
        let wanted = if editing { 1 } else { filter_rows(frame, model) };
        let rows = wanted.min(frame.body.height - 1);
        let [line, rest, _] = split_rows(frame.body, rows, frame.body.height - rows);
        (Some(line), rest)
    } else {
        (None, frame.body)
    }
}

/// Returns the sentence that says why a list is not as it was asked for, in lines that fit.
pub(crate) fn refusal(width: u16, model: &Model) -> Vec<String> {
    match model.list().map(|list| &list.search) {
        Some(Search::Refused(why)) => {
            crate::text::wrap(&format!("! {why}"), usize::from(width.saturating_sub(2)))
        }
        Some(Search::Complete | Search::Running { .. }) | None => Vec::new(),
    }
}

/// The filter's terms and, below them, why the list is not as it was asked for.
fn filter_rows(frame: &Frame, model: &Model) -> u16 {
    let terms = model.list().is_some_and(|list| !list.filter_text.is_empty());
    u16::from(terms) + refusal(frame.body.width, model).len() as u16
}

/// The parts of a task's details.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DetailsBoxes {
    /// The box around the rest; none in narrow terminals.
    pub(crate) edge: Option<Rect>,
    /// What is said of the task; in narrow terminals the tabs.
    pub(crate) head: Rect,
    /// The open tab.
    pub(crate) tab: Rect,
    /// How the attempt ended, below its output; no height before it has.
    pub(crate) tail: Rect,
}

/// Returns the parts of details in `area`.
pub(crate) fn details(frame: &Frame, area: Rect, details: &Details) -> DetailsBoxes {
    let is_boxed = frame.width >= Width::Compact && area.height >= 4;
    let inner = if is_boxed { inside(area) } else { area };
    let head = match inner.height {
        0..4 => 0,
        // Facts, the attempts when there are some, and a rule below them.
        18.. if is_boxed && details.tab == Tab::Output && details.attempts() > 1 => 4,
        14.. if is_boxed => 3,
        4.. => 1,
    };
    let tail = u16::from(details.tab == Tab::Output && details.has_end() && inner.height >= 4);
    let [head, tab, tail] = split_rows(inner, head, inner.height - head - tail);
    DetailsBoxes { edge: is_boxed.then_some(area), head, tab, tail }
}

/// Returns where the text lies that keys of the reader are about.
pub(crate) fn reading(model: &Model) -> Option<Rect> {
    let frame = frame(model.size);
    if let Some(shown) = model.details() {
        let pane = details_pane(&frame, model).filter(|_| model.overlays.is_empty());
        let boxes = details(&frame, pane.unwrap_or(frame.body), shown);
        return (shown.tab == Tab::Output).then_some(boxes.tab);
    }
    let is_log = model.screen == Screen::Log && model.overlays.is_empty();
    is_log.then(|| log(&frame))
}

/// Returns where the lines of the log lie.
pub(crate) fn log(frame: &Frame) -> Rect {
    if frame.width >= Width::Compact { inside(frame.body) } else { frame.body }
}

fn inside(area: Rect) -> Rect {
    let (width, height) = (area.width.saturating_sub(2), area.height.saturating_sub(2));
    Rect { x: area.x + 1, y: area.y + 1, width, height }
}

/// Returns how many rows a list shows in `area`.
pub(crate) fn rows_in(area: Rect, width: Width) -> usize {
    let lost = match width {
        Width::Full => 3,
        Width::Compact => 2,
        Width::Small | Width::Tiny => 0,
    };
    usize::from(area.height.saturating_sub(lost)).max(1)
}

/// Tells every list how many rows it shows.
pub(crate) fn set_heights(model: &mut Model) {
    let frame = frame(model.size);
    if model.screen == Screen::Overview {
        let boxes = overview(&frame, model.worker_rows().len(), model.view.zoomed);
        model.next.height = rows_in(boxes.tasks, frame.width);
        model.latest.height = rows_in(boxes.results, frame.width);
    } else {
        let (_, area) = list_screen(&frame, model);
        let rows = rows_in(area, frame.width);
        model.tasks.height = rows;
        model.results.height = rows;
    }
}
