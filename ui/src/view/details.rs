//! One task in full: what it runs, its attempts, the output of the last one.

use ganger_proto::command::TaskDetail;
use ganger_proto::time::HumanMicros;
use ganger_proto::{Kind, Outcome, Spec};
use ratatui::layout::Rect;

use super::pen::{Pen, Piece, piece};
use super::{clock, sign};
use crate::layout::{Frame, Width};
use crate::model::Model;
use crate::model::form::quoted;
use crate::model::overlay::{Details, Overlay};
use crate::text::{clean, grouped, output_lines, seconds};
use crate::theme::Role;

/// Returns how many lines the open details have.
pub(crate) fn lines_count(model: &Model) -> usize {
    open(model).map_or(0, |details| lines(model, details).len())
}

/// Returns the open details as text.
pub(crate) fn text(model: &Model) -> String {
    let lines = open(model).map_or(Vec::new(), |details| lines(model, details));
    let text = |line: &Vec<Piece>| line.iter().map(|(text, _)| text.as_str()).collect::<String>();
    lines.iter().map(text).collect::<Vec<_>>().join("\n")
}

fn open(model: &Model) -> Option<&Details> {
    match model.overlays.last() {
        Some(Overlay::Details(details)) => Some(details),
        Some(
            Overlay::Help(_)
            | Overlay::Filter(_)
            | Overlay::Quick(_)
            | Overlay::Inject
            | Overlay::Confirm(_)
            | Overlay::Join(_)
            | Overlay::Worker(_)
            | Overlay::Note(_),
        )
        | None => None,
    }
}

pub(super) fn details(pen: &mut Pen<'_>, frame: &Frame, model: &Model, details: &Details) {
    let area = frame.body;
    pen.within(area).clear(Role::Text);
    let title = format!("Task {}", grouped(details.task.raw()));
    let state = details.detail.as_ref().map(|detail| {
        let (glyph, role) = sign::outcome(detail.row.outcome, detail.row.state);
        piece(format!("{glyph} {}", detail.row.state.word()), role)
    });
    let inner = match frame.width {
        Width::Full | Width::Compact => {
            pen.frame(area, &title, state.as_slice(), Role::BorderFocus)
        }
        Width::Small | Width::Tiny => area,
    };
    let lines = lines(model, details);
    let rows = usize::from(inner.height);
    let top = details.scroll.0.min(lines.len().saturating_sub(rows));
    let mut inside = pen.within(Rect { width: inner.width.saturating_sub(1), ..inner });
    for (y, line) in (inner.y..).zip(lines.iter().skip(top).take(rows)) {
        inside.put_all(inner.x + 1, y, line);
    }
    if lines.len() > rows && frame.width >= Width::Compact {
        let text = format!("{}–{} of {}", top + 1, (top + rows).min(lines.len()), lines.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}

type Line = Vec<Piece>;

fn field(label: &str, value: impl Into<String>) -> Line {
    vec![piece(format!("{label:<10}"), Role::Dim), piece(value, Role::Text)]
}

fn lines(model: &Model, details: &Details) -> Vec<Line> {
    if !details.error.is_empty() {
        return vec![vec![piece(details.error.clone(), Role::Note)]];
    }
    let Some(detail) = &details.detail else {
        return vec![vec![piece("asking the master …", Role::Dim)]];
    };
    let mut lines = about(model, detail);
    lines.push(Line::new());
    lines.extend(attempts(model, detail));
    lines.extend(output(detail));
    lines
}

fn about(model: &Model, detail: &TaskDetail) -> Vec<Line> {
    let row = &detail.row;
    let mut lines = vec![
        field(detail.spec.kind.word(), command(detail)),
        field("batch", batch(detail)),
        field("queue", format!("{}   priority {}", row.queue, row.priority)),
        field(
            "by",
            format!("{}   at {}", detail.owner, clock(row.submitted, model.utc_offset_min)),
        ),
        field("limits", limits(detail)),
    ];
    if !detail.spec.env.is_empty() {
        let env = detail.spec.env.iter().map(|(k, v)| clean(&format!("{k}={v}")));
        lines.push(field("env", env.collect::<Vec<_>>().join(" ")));
    }
    if !row.worker.is_empty() {
        lines.push(field("worker", row.worker.clone()));
    }
    if detail.lost > 0 {
        lines.push(field("lost", format!("its worker vanished {} times", detail.lost)));
    }
    lines
}

fn command(detail: &TaskDetail) -> String {
    use ganger_proto::template::{expand_argv, expand_line};
    let argument = (!detail.argument.is_empty()).then_some(detail.argument.as_slice());
    let Spec { kind, .. } = &detail.spec;
    let text = match kind {
        Kind::Square | Kind::Sleep => String::from_utf8_lossy(&detail.argument).into_owned(),
        Kind::Shell { line } => {
            String::from_utf8_lossy(&expand_line(line, argument, detail.index + 1)).into_owned()
        }
        Kind::Exec { argv } => expand_argv(argv, argument, detail.index + 1)
            .iter()
            .map(|word| quoted(&String::from_utf8_lossy(word)))
            .collect::<Vec<_>>()
            .join(" "),
    };
    clean(&text)
}

fn batch(detail: &TaskDetail) -> String {
    let place = grouped(detail.index + 1);
    format!("{} {}   task {place} of it", detail.row.batch, detail.options.name)
}

fn limits(detail: &TaskDetail) -> String {
    let timeout = match detail.spec.timeout_ms {
        0 => "none".to_owned(),
        ms => seconds(ms),
    };
    let row = &detail.row;
    format!("timeout {timeout}   attempt {} of {}", row.attempt, row.attempts_max)
}

fn attempts(model: &Model, detail: &TaskDetail) -> Vec<Line> {
    let mut lines = Vec::new();
    for attempt in &detail.attempts {
        let ended = &attempt.ended;
        let good = ended.outcome == Outcome::Done;
        let (glyph, role) = if good { ("✓", Role::Done) } else { ("✗", Role::Failed) };
        let mut line = vec![
            piece(format!("{:<10}", format!("attempt {}", attempt.attempt)), Role::Dim),
            piece(format!("{glyph} {}", ended.outcome), role),
            piece(format!("   {}", attempt.worker), Role::Text),
            piece(format!("   took {}", HumanMicros(ended.took_us)), Role::Text),
            piece(format!("   {}", clock(attempt.at, model.utc_offset_min)), Role::Dim),
        ];
        if ended.usage.max_rss_kib > 0 {
            let rss = crate::text::bytes(ended.usage.max_rss_kib * 1_024);
            line.push(piece(format!("   max rss {rss}"), Role::Dim));
        }
        lines.push(line);
        if !ended.message.is_empty() {
            lines.push(vec![piece(format!("          {}", ended.message), Role::Note)]);
        }
    }
    lines
}

/// The inline output of the last attempt.
fn output(detail: &TaskDetail) -> Vec<Line> {
    let Some(last) = detail.attempts.last() else { return Vec::new() };
    let mut lines = Vec::new();
    for (name, bytes) in [("stdout", &last.ended.stdout), ("stderr", &last.ended.stderr)] {
        if !bytes.is_empty() {
            lines.push(Line::new());
            lines.push(vec![piece(name, Role::Title)]);
            let role = if name == "stderr" { Role::Note } else { Role::Text };
            lines.extend(output_lines(bytes).into_iter().map(|line| vec![piece(line, role)]));
        }
    }
    if last.ended.has_output {
        lines.push(Line::new());
        let task = detail.row.task;
        let text = format!("there is more: `ganger logs {task}` prints all that was kept");
        lines.push(vec![piece(text, Role::Dim)]);
    }
    lines
}
