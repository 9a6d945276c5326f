//! One task in full, over the screen or below its list: the box, its tabs, the output. The other
//! tabs are in files of their own.

mod attempts;
mod spec;
mod timeline;

use ganger_proto::command::TaskDetail;
use ganger_proto::time::HumanMicros;
use ganger_proto::{Kind, Outcome, TaskState, Usage};
use ratatui::layout::Rect;

use super::pen::{Pen, Piece, piece, pieces_width};
use super::{reader, sign};
use crate::layout::{self, DetailsBoxes, Frame};
use crate::model::Model;
use crate::model::details::{Details, Keys, Tab};
use crate::model::output::State;
use crate::model::preview::command;
use crate::text::{batches, bytes, grouped, kind_word};
use crate::theme::Role;

type Line = Vec<Piece>;

/// Returns how many lines the open tab has, when keys scroll it by lines.
pub(crate) fn lines_count(model: &Model) -> usize {
    let frame = layout::frame(model.size);
    model.details().map_or(0, |details| lines(model, details, frame.body.width).len())
}

/// Returns the open tab as text.
pub(crate) fn text(model: &Model) -> Option<String> {
    let details = model.details()?;
    let detail = details.detail.as_ref()?;
    if details.tab == Tab::Spec {
        return Some(spec::command_line(detail));
    }
    let lines = lines(model, details, layout::frame(model.size).body.width);
    let text = |line: &Line| line.iter().map(|(text, _)| text.as_str()).collect::<String>();
    Some(lines.iter().map(text).collect::<Vec<_>>().join("\n"))
}

/// Draws the details over the screen.
pub(super) fn details(pen: &mut Pen<'_>, frame: &Frame, model: &Model, details: &Details) {
    pen.within(frame.body).clear(Role::Text);
    boxed(pen, frame, model, (details, frame.body, Role::BorderFocus));
}

/// Draws the details below a list, when they are open.
pub(super) fn pane(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let (Some(area), Some(below)) = (layout::details_pane(frame, model), &model.reading.below)
    else {
        return;
    };
    let edge = match below.keys {
        Keys::List => Role::Border,
        Keys::Pane => Role::BorderFocus,
    };
    match &below.details {
        Some(details) => boxed(pen, frame, model, (details, area, edge)),
        None => {
            let inner = pen.frame(area, "Task", &[], edge);
            let text = "choose a task with ↑ ↓; what it prints is shown here";
            pen.within(inner).put(inner.x + 1, inner.y, text, Role::Dim);
        }
    }
}

fn boxed(
    pen: &mut Pen<'_>,
    frame: &Frame,
    model: &Model,
    (details, area, edge): (&Details, Rect, Role),
) {
    let boxes = layout::details(frame, area, details);
    let is_ruled = boxes.head.height > 2;
    if let Some(area) = boxes.edge {
        let title = format!("Task {}", grouped(details.task.raw()));
        pen.frame(area, &title, &tabs(details), edge);
        head(pen, &boxes, model, details);
        if is_ruled {
            let line = "─".repeat(usize::from(area.width - 2));
            pen.put(area.x, boxes.tab.y - 1, &format!("├{line}┤"), edge);
        }
        let foot = foot(model, details, area.width);
        if !foot.is_empty() {
            pen.foot(area, &foot);
        }
    } else if boxes.head.height > 0 {
        narrow_head(pen, boxes.head, details);
    }
    match details.tab {
        Tab::Output => output(pen, &boxes, model, details),
        Tab::Attempts => attempts::table(pen, boxes.tab, model, details),
        Tab::Spec | Tab::Timeline => {
            let lines = lines(model, details, area.width);
            let rows = usize::from(boxes.tab.height);
            let top = details.scroll.0.min(lines.len().saturating_sub(rows));
            let mut pen = pen.within(boxes.tab);
            for (y, line) in (boxes.tab.y..).zip(lines.iter().skip(top).take(rows)) {
                pen.put_all(boxes.tab.x + 1, y, line);
            }
        }
    }
    if !model.is_up() {
        pen.within(boxes.tab).wash(Role::Backdrop);
    }
}

/// The open tab as lines; none of the output, which is read otherwise.
fn lines(model: &Model, details: &Details, width: u16) -> Vec<Line> {
    let Some(detail) = &details.detail else { return vec![vec![unknown(details)]] };
    match details.tab {
        Tab::Output => Vec::new(),
        Tab::Spec => spec::lines(model, detail, usize::from(width)),
        Tab::Attempts => attempts::lines(model, detail),
        Tab::Timeline => timeline::lines(model, detail, usize::from(width)),
    }
}

/// What is said while nothing is known of the task.
fn unknown(details: &Details) -> Piece {
    match details.error.is_empty() {
        true => piece("asking the master …", Role::Dim),
        false => piece(details.error.clone(), Role::Note),
    }
}

fn tabs(details: &Details) -> Vec<Piece> {
    let ended = details.detail.as_ref().map_or(0, |detail| detail.row.attempt);
    Tab::ALL
        .iter()
        .map(|tab| {
            let count = match (tab, ended) {
                (Tab::Attempts, 1..) => format!(" {ended}"),
                _ => String::new(),
            };
            let role = if *tab == details.tab { Role::TabActive } else { Role::Tab };
            piece(format!(" {}{count} ", tab.word()), role)
        })
        .collect()
}

/// The tabs and the task on one line.
fn narrow_head(pen: &mut Pen<'_>, line: Rect, details: &Details) {
    let mut pen = pen.within(line);
    let mut x = line.x + 1;
    for tab in Tab::ALL {
        let role = if tab == details.tab { Role::TabActive } else { Role::Tab };
        x = pen.put(x, line.y, tab.word(), role) + 1;
    }
    let task = details.task.to_string();
    let row = details.detail.as_ref().map(|detail| &detail.row);
    let sign = row.map(|row| sign::outcome(row.outcome, row.state));
    let right = line.right().saturating_sub(1);
    if x + task.len() as u16 + 3 <= right {
        pen.put_right(right, line.y, &task, Role::Dim);
    }
    if let Some((glyph, role)) = sign {
        let at = right.saturating_sub(task.len() as u16 + 2);
        if x <= at {
            pen.put(at, line.y, glyph, role);
        } else if x < right {
            pen.put(right - 1, line.y, glyph, role);
        }
    }
}

fn head(pen: &mut Pen<'_>, boxes: &DetailsBoxes, model: &Model, details: &Details) {
    let area = boxes.head;
    let Some(detail) = &details.detail else {
        // The list knows a little of it already.
        let row = model.task_rows().iter().find(|row| row.task == details.task);
        if let Some(row) = row.filter(|_| area.height > 0) {
            let (glyph, role) = sign::outcome(row.outcome, row.state);
            let mut pen = pen.within(area);
            let x = pen.put(area.x + 1, area.y, &format!("{glyph} {}", row.state.word()), role);
            let rest = format!("  {} {}", kind_word(&row.kind), row.command);
            pen.put_cut((x, area.y), &rest, area.right().saturating_sub(x + 1), Role::Text);
        }
        return;
    };
    let row = &detail.row;
    let (glyph, role) = sign::outcome(row.outcome, row.state);
    let state = piece(format!("{glyph} {}", state_words(detail)), role);
    let room = area.width.saturating_sub(2);
    let mut pen = pen.within(area);
    if area.height == 1 {
        let x = pen.put(area.x + 1, area.y, &state.0, state.1);
        let rest = format!("  {} {}", kind_word(&row.kind), command(detail));
        pen.put_cut((x, area.y), &rest, room.saturating_sub(x - area.x - 1), Role::Text);
    } else if area.height > 1 {
        let x = pen.put(area.x + 1, area.y, &format!("{:<8}", kind_word(&row.kind)), Role::Dim);
        pen.put_cut((x, area.y), &command(detail), room.saturating_sub(8), Role::Text);
        let mut facts = vec![state];
        let mut fact = |label: &str, text: String| {
            let used = pieces_width(&facts) as usize + label.len() + crate::text::width(&text);
            if used + 4 <= usize::from(room) {
                facts.push(piece(format!("   {label} "), Role::Dim));
                facts.push(piece(text, Role::Text));
            }
        };
        if row.attempt > 0 {
            fact("attempt", format!("{} of {}", row.attempt, row.attempts_max));
        }
        if !row.worker.is_empty() {
            fact("worker", row.worker.clone());
        }
        fact("batch", format!("{} {}", row.batch, detail.options.name).trim_end().to_owned());
        fact("queue", row.queue.to_string());
        if detail.lost > 0 {
            let times = crate::text::counted(u64::from(detail.lost), "time", "times");
            fact("its worker vanished", times);
        }
        pen.put_all(area.x + 1, area.y + 1, &facts);
        if area.height > 3 {
            pen.put_all(area.x + 1, area.y + 2, &attempts::summary(detail, room));
        }
    }
}

fn state_words(detail: &TaskDetail) -> String {
    match (detail.row.state, detail.row.outcome) {
        (TaskState::Blocked, _) => format!("blocked: {}", waits(detail)),
        (TaskState::Failed, None) => format!("not run: {}", missed(detail)),
        (TaskState::Failed, Some(outcome)) => format!("failed: {outcome}"),
        (TaskState::Delayed, Some(outcome)) => format!("{outcome}; will be tried again"),
        (state, _) => state.word().to_owned(),
    }
}

/// Says which batches a task waits for.
fn waits(detail: &TaskDetail) -> String {
    let others = batches(&detail.options.after);
    format!("waits for {}", others.as_deref().unwrap_or("another batch"))
}

/// Says why a task failed that no worker had.
fn missed(detail: &TaskDetail) -> String {
    match batches(&detail.options.after) {
        Some(others) if detail.options.after.len() == 1 => format!("{others} did not end well"),
        Some(others) => format!("one of {others} did not end well"),
        None => "a batch before it did not end well".to_owned(),
    }
}

/// Says that a task has no attempts.
fn not_run(detail: &TaskDetail) -> String {
    match (detail.row.state, detail.row.outcome) {
        (TaskState::Failed, None) => format!("it did not run: {}", missed(detail)),
        _ => "it has not run".to_owned(),
    }
}

fn foot(model: &Model, details: &Details, width: u16) -> Vec<Piece> {
    if !model.is_up() {
        return vec![piece("the connection is lost; this is what came before", Role::Note)];
    }
    match details.tab {
        Tab::Output if details.output.text.is_empty() => Vec::new(),
        Tab::Output => {
            let mut what = model.reading.look.streams.word().to_owned();
            if let Some(attempt) = details.attempt {
                what = format!("attempt {attempt} · {what}");
            }
            reader::foot(&details.output.text, model.reading.look, &what, width)
        }
        Tab::Attempts => vec![piece("Enter opens the output of an attempt", Role::Dim)],
        Tab::Spec => vec![piece("y copies the command line", Role::Dim)],
        Tab::Timeline => Vec::new(),
    }
}

fn output(pen: &mut Pen<'_>, boxes: &DetailsBoxes, model: &Model, details: &Details) {
    let output = &details.output;
    let area = boxes.tab;
    let mut rows = output.text.fit(model.reading.look, area).rows;
    if output.text.is_empty() {
        let mut pen = pen.within(area);
        let (text, role) = nothing(details);
        let lines = crate::text::wrap(&text, usize::from(area.width.saturating_sub(2)));
        rows = lines.len();
        for (y, line) in (area.y..).zip(lines) {
            pen.put(area.x + 1, y, &line, role);
        }
    } else {
        reader::text(pen, area, model, (&output.text, model.reading.look));
        rows = output.text.window(output.text.fit(model.reading.look, area)).len().min(rows);
    }
    if boxes.tail.height > 0 {
        let below = Rect { y: area.y + (rows as u16).min(area.height), ..boxes.tail };
        tail(pen, below, details);
    }
}

/// Says why there is no output.
fn nothing(details: &Details) -> Piece {
    let state = details.detail.as_ref().map(|detail| detail.row.state);
    if !details.error.is_empty() {
        return unknown(details);
    }
    if let Some(detail) = &details.detail {
        match (detail.row.state, detail.row.outcome) {
            (TaskState::Failed, None) => {
                let text = format!("{}; r runs it all the same", not_run(detail));
                return piece(text, Role::Note);
            }
            (TaskState::Blocked, _) => {
                let text = format!("it {}; its output appears here when it runs", waits(detail));
                return piece(text, Role::Dim);
            }
            _ => {}
        }
    }
    let text = match (&details.output.state, state) {
        (State::Refused(why), _) => return piece(why.clone(), Role::Note),
        (State::Ended(None), _) => "it was cancelled before it ran",
        (State::Ended(Some(_)), _) => "it printed nothing",
        (_, Some(TaskState::Queued | TaskState::Sent)) => {
            "it waits in the queue; its output appears here when it runs"
        }
        (_, Some(TaskState::Delayed)) => "it waits for its time; its output appears here",
        (_, Some(TaskState::Running)) => "it runs and has printed nothing yet",
        (State::Open, _) => "it has printed nothing yet",
        (State::Asked, _) => "asking the master …",
    };
    piece(text, Role::Dim)
}

/// How the attempt ended and what it took, below its output.
fn tail(pen: &mut Pen<'_>, line: Rect, details: &Details) {
    let Some(attempt) = details.shown_attempt() else { return };
    let ended = &attempt.ended;
    let is_process = details
        .detail
        .as_ref()
        .is_some_and(|d| matches!(d.spec.kind, Kind::Exec { .. } | Kind::Shell { .. }));
    let (glyph, role) = attempts::sign(ended.outcome);
    let words = match ended.outcome {
        Outcome::Done if is_process => "exit status 0".to_owned(),
        Outcome::Failed { code } if is_process => format!("exit status {code}"),
        Outcome::Signalled { signal } => format!("ended by signal {signal}"),
        Outcome::Lost => "its worker vanished".to_owned(),
        Outcome::Done
        | Outcome::Failed { .. }
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Unfit => ended.outcome.word().to_owned(),
    };
    let mut rest = format!(" · took {}", HumanMicros(ended.took_us));
    if ended.usage != Usage::default() {
        rest.push_str(&format!(" · {}", usage(&ended.usage)));
    }
    if !ended.message.is_empty() {
        rest.push_str(&format!(" · {}", ended.message));
    }
    let mut pen = pen.within(line);
    let x = pen.put(line.x + 1, line.y, &format!("{glyph} {words}"), role);
    pen.put_cut((x, line.y), &rest, line.right().saturating_sub(x + 1), Role::Dim);
}

fn usage(usage: &Usage) -> String {
    let rss = bytes(usage.max_rss_kib * 1_024);
    format!("max rss {rss} · user {} sys {}", cpu(usage.user_us), cpu(usage.system_us))
}

fn cpu(us: u64) -> String {
    format!("{}.{:02}s", us / 1_000_000, us % 1_000_000 / 10_000)
}

#[cfg(test)]
mod tests;
