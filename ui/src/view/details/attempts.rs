//! The attempts of a task, one on a line: the recorded ones and the one that runs.

use ganger_proto::command::{AttemptRow, TaskDetail};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{Outcome, TaskState};
use ratatui::layout::Rect;

use super::super::pen::{Pen, piece};
use super::super::table::{self, Align, Column, Placed};
use super::super::{clock, sign as signs};
use super::{Line, cpu, unknown};
use crate::model::Model;
use crate::model::details::Details;
use crate::text::bytes;
use crate::theme::Role;

#[derive(Clone, Copy)]
enum Key {
    Number,
    Outcome,
    Worker,
    Took,
    Memory,
    User,
    System,
    Ended,
    Message,
}

const fn column(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Left, priority }
}

const fn number(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Right, priority }
}

const COLUMNS: [Column<Key>; 9] = [
    number(Key::Number, "#", 3, 99),
    column(Key::Outcome, "OUTCOME", 11, 98),
    column(Key::Worker, "WORKER", 10, 90),
    number(Key::Took, "TOOK", 6, 80),
    number(Key::Memory, "MAX RSS", 9, 40),
    number(Key::User, "USER", 8, 35),
    number(Key::System, "SYS", 7, 30),
    column(Key::Ended, " ENDED", 10, 70),
    column(Key::Message, "MESSAGE", 0, 20),
];

/// Returns an outcome's glyph and role.
pub(super) const fn sign(outcome: Outcome) -> (&'static str, Role) {
    match outcome {
        Outcome::Done => ("✓", Role::Done),
        Outcome::Cancelled => ("⊘", Role::Cancelled),
        Outcome::Unfit => ("⊘", Role::Note),
        Outcome::Failed { .. } | Outcome::Signalled { .. } => ("✗", Role::Failed),
        Outcome::TimedOut | Outcome::Lost => signs::outcome(Some(outcome), TaskState::Failed),
    }
}

pub(super) fn table(pen: &mut Pen<'_>, area: Rect, model: &Model, details: &Details) {
    let mut pen = pen.within(area);
    let Some(detail) = &details.detail else {
        let (text, role) = unknown(details);
        pen.put(area.x + 1, area.y, &text, role);
        return;
    };
    let inner = Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area };
    let columns = table::place(&COLUMNS, inner);
    let titles = u16::from(area.height >= 3);
    if titles > 0 {
        table::titles(&mut pen, &columns, area.y);
    }
    let open = open_line(model, detail);
    let rows = usize::from(area.height.saturating_sub(titles + u16::from(open.is_some())));
    let top = details.row.saturating_add(1).min(detail.attempts.len()).saturating_sub(rows);
    let mut y = area.y + titles;
    for (at, attempt) in detail.attempts.iter().enumerate().skip(top).take(rows) {
        columns.iter().for_each(|column| cell(&mut pen, column, y, (model, attempt)));
        if at == details.row {
            table::select(&mut pen, Rect { y, height: 1, ..area });
        }
        y += 1;
    }
    if let Some(line) = open {
        pen.put_all(area.x + 1, y, &line);
        if details.row == detail.attempts.len() && detail.row.state == TaskState::Running {
            table::select(&mut pen, Rect { y, height: 1, ..area });
        }
    } else if detail.attempts.is_empty() {
        pen.put(area.x + 1, y, &super::not_run(detail), Role::Dim);
    }
}

fn cell(pen: &mut Pen<'_>, at: &Placed<Key>, y: u16, (model, row): (&Model, &AttemptRow)) {
    let ended = &row.ended;
    let usage = &ended.usage;
    let (text, role) = match at.key {
        Key::Number => (row.attempt.to_string(), Role::Text),
        Key::Outcome => {
            let (glyph, role) = sign(ended.outcome);
            (format!("{glyph} {}", ended.outcome), role)
        }
        Key::Worker => (row.worker.clone(), Role::Text),
        Key::Took => (HumanMicros(ended.took_us).to_string(), Role::Text),
        Key::Memory if usage.max_rss_kib > 0 => (bytes(usage.max_rss_kib * 1_024), Role::Text),
        Key::User if usage.user_us > 0 => (cpu(usage.user_us), Role::Text),
        Key::System if usage.system_us > 0 => (cpu(usage.system_us), Role::Text),
        Key::Memory | Key::User | Key::System => ("—".to_owned(), Role::Dim),
        Key::Ended => (format!(" {}", clock(row.at, model.utc_offset_min)), Role::Dim),
        Key::Message => (ended.message.clone(), Role::Note),
    };
    table::put(pen, at, y, &text, role);
}

/// The recorded attempts on one line, as many of the newest as fit.
pub(super) fn summary(detail: &TaskDetail, room: u16) -> Line {
    let recorded = &detail.attempts;
    let same = recorded.windows(2).all(|pair| pair[0].worker == pair[1].worker);
    let same = match same && recorded.len() > 1 {
        true => format!("   same worker ×{}", recorded.len()),
        false => String::new(),
    };
    let mut left = usize::from(room).saturating_sub(12 + crate::text::width(&same));
    let mut line = Line::new();
    for attempt in recorded.iter().rev() {
        let (glyph, role) = sign(attempt.ended.outcome);
        let took = HumanMicros(attempt.ended.took_us);
        let rest = format!(" {} {} {took}   ", attempt.worker, attempt.ended.outcome);
        let sign = format!("{glyph}{}", attempt.attempt);
        let width = crate::text::width(&sign) + crate::text::width(&rest);
        if width > left {
            line.push(piece("… ", Role::Dim));
            break;
        }
        left -= width;
        line.push(piece(rest, Role::Text));
        line.push(piece(sign, role));
    }
    line.push(piece("attempts  ", Role::Dim));
    line.reverse();
    line.push(piece(same.trim_start(), Role::Note));
    line
}

/// The attempt that is under way or will come.
fn open_line(model: &Model, detail: &TaskDetail) -> Option<Line> {
    let row = &detail.row;
    let now = model.master_now();
    let (glyph, role) = signs::task(row.state);
    let (number, text) = match row.state {
        TaskState::Running => {
            let since = HumanMs(now.since(row.since));
            (row.attempt, format!("{glyph} runs on {} for {since}", row.worker))
        }
        TaskState::Sent => (row.attempt, format!("{glyph} sent to {}", row.worker)),
        TaskState::Queued => (row.attempt + 1, format!("{glyph} waits for a worker")),
        TaskState::Blocked => (row.attempt + 1, format!("{glyph} {}", super::waits(detail))),
        TaskState::Delayed => {
            let left = row.due.map_or(0, |due| due.since(now));
            (row.attempt + 1, format!("{glyph} begins in {}", crate::text::seconds(left)))
        }
        TaskState::Done | TaskState::Failed | TaskState::Cancelled => return None,
    };
    Some(vec![piece(format!("{number:>3} "), Role::Text), piece(text, role)])
}

/// The attempts as text.
pub(super) fn lines(model: &Model, detail: &TaskDetail) -> Vec<Line> {
    let line = |row: &AttemptRow| {
        let ended = &row.ended;
        let at = clock(row.at, model.utc_offset_min);
        let took = HumanMicros(ended.took_us);
        let text = format!("{} {} {} {took} {at} {}", row.attempt, ended.outcome, row.worker, {
            &ended.message
        });
        vec![piece(text.trim_end(), Role::Text)]
    };
    detail.attempts.iter().map(line).collect()
}
