//! A task's life as bars on one scale of time: waits, attempts, the pauses between them.

use ganger_proto::command::TaskDetail;
use ganger_proto::time::HumanMs;
use ganger_proto::{Outcome, TaskState, WallMs};

use super::super::pen::{Piece, piece};
use super::super::{clock, sign};
use super::{Line, attempts};
use crate::model::Model;
use crate::model::timeline::{Doing, Span, spans, sums};
use crate::theme::Role;

/// Columns of the label, the duration and the spaces around them.
const LABEL: usize = 11;
const TOOK: usize = 8;
/// Columns of outcome and worker, from this width on.
const WIDE: usize = 70;
const NOTE: usize = 24;

pub(super) fn lines(model: &Model, detail: &TaskDetail, width: usize) -> Vec<Line> {
    let now = model.master_now();
    let spans = spans(detail, now);
    let note = if width >= WIDE { NOTE } else { 2 };
    let columns = width.saturating_sub(LABEL + TOOK + note + 4).max(4);
    let from = detail.row.submitted;
    let to = spans.iter().map(|span| span.to).max().unwrap_or(from);
    let mut lines = vec![axis(model, (from, to), columns, detail)];
    let rows = spans.iter().map(|span| {
        let mut line = bar(span, (from, to), columns);
        line.extend(if width >= WIDE { ending(&span.what) } else { short_ending(&span.what) });
        line
    });
    lines.extend(rows);
    let (waited, ran) = sums(&spans);
    lines.push(Line::new());
    let all = HumanMs(to.since(from));
    let text = format!("waited {} · ran {} · {all} in all", HumanMs(waited), HumanMs(ran));
    lines.push(vec![piece(text, Role::Dim)]);
    lines
}

/// When the scale begins and ends.
fn axis(model: &Model, (from, to): (WallMs, WallMs), columns: usize, detail: &TaskDetail) -> Line {
    let at = |at| clock(at, model.utc_offset_min);
    let begin = at(from);
    let has_room = columns > begin.len() + 13;
    let end = match detail.row.state.is_end() {
        false if has_room => format!("{} now", at(to)),
        true | false => at(to),
    };
    let gap = columns.saturating_sub(begin.len() + end.len()).max(1);
    let label = format!("{:<width$}", "submitted", width = LABEL + TOOK);
    vec![
        piece(label, Role::Dim),
        piece(begin, Role::Text),
        piece(" ".repeat(gap), Role::Dim),
        piece(end, Role::Text),
    ]
}

fn bar(span: &Span, (from, to): (WallMs, WallMs), columns: usize) -> Line {
    let all = to.since(from).max(1) as usize;
    let begin = (span.from.since(from) as usize * columns / all).min(columns - 1);
    let end = (span.to.since(from) as usize * columns).div_ceil(all).clamp(begin + 1, columns);
    let (label, cell, role) = match &span.what {
        Doing::Wait => ("wait".to_owned(), "╌", Role::Queued),
        Doing::Blocked => ("blocked".to_owned(), "╌", Role::Blocked),
        Doing::Backoff => ("backoff".to_owned(), "╌", Role::Delayed),
        Doing::Run { attempt, outcome, .. } => {
            let role = outcome.map_or(Role::Running, |outcome| attempts::sign(outcome).1);
            (format!("attempt {attempt}"), "━", role)
        }
    };
    let took = HumanMs(span.to.since(span.from)).to_string();
    vec![
        piece(format!("{label:<LABEL$}"), Role::Dim),
        piece(format!("{took:>width$}  ", width = TOOK - 2), Role::Text),
        piece(" ".repeat(begin), Role::Text),
        piece(cell.repeat(end - begin), role),
        piece(" ".repeat(columns - end), Role::Text),
    ]
}

fn ending(what: &Doing) -> Vec<Piece> {
    let Doing::Run { worker, outcome, .. } = what else { return Vec::new() };
    let word = outcome.map_or("runs".to_owned(), |outcome| outcome.to_string());
    let (glyph, role) = run_sign(*outcome);
    vec![
        piece(format!(" {glyph} {word:<10}"), role),
        piece(format!(" {}", crate::text::cut(worker, 10)), Role::Dim),
    ]
}

fn short_ending(what: &Doing) -> Vec<Piece> {
    let Doing::Run { outcome, .. } = what else { return Vec::new() };
    let (glyph, role) = run_sign(*outcome);
    vec![piece(format!(" {glyph}"), role)]
}

fn run_sign(outcome: Option<Outcome>) -> (&'static str, Role) {
    outcome.map_or_else(|| sign::task(TaskState::Running), attempts::sign)
}
