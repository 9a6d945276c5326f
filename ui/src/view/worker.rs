//! One worker in full: what it is, what it holds, what became of it.

use ganger_proto::gang::WorkerDetail;
use ganger_proto::picture::{TaskRow, WorkerRow, WorkerState};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{TaskId, WallMs};
use ratatui::layout::Rect;

use super::graph::meter;
use super::pen::{Pen, Piece, piece, pieces_width};
use super::{clock, sign, table};
use crate::layout::{Frame, Width, frame};
use crate::model::Model;
use crate::model::overlay::{Overlay, WorkerPage};
use crate::text::{counted, cut, grouped, kind_word, rate, seconds};
use crate::theme::Role;

/// Columns from which two facts share a line.
const PAIRS_FROM: u16 = 100;
/// Slots that are drawn one by one.
const SLOTS_DRAWN: u32 = 8;

/// A line, and the task that stands on it.
struct Row {
    line: Vec<Piece>,
    task: Option<TaskId>,
}

/// Returns for each line of the open page the task that stands on it.
pub(crate) fn lines(model: &Model) -> Vec<Option<TaskId>> {
    let width = frame(model.size).body.width;
    let rows = open(model).map_or(Vec::new(), |page| rows(model, page, width));
    rows.iter().map(|row| row.task).collect()
}

/// Returns the open page as text.
pub(crate) fn text(model: &Model) -> String {
    let rows = open(model).map_or(Vec::new(), |page| rows(model, page, 0));
    let text = |row: &Row| row.line.iter().map(|(text, _)| text.as_str()).collect::<String>();
    rows.iter().map(|row| text(row).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn open(model: &Model) -> Option<&WorkerPage> {
    match model.overlays.last() {
        Some(Overlay::Worker(page)) => Some(page),
        _ => None,
    }
}

pub(super) fn page(pen: &mut Pen<'_>, frame: &Frame, model: &Model, page: &WorkerPage) {
    let area = frame.body;
    pen.within(area).clear(Role::Text);
    let state = page.detail.as_ref().map(|detail| state(model, &detail.row));
    let title = format!("Worker {}", page.worker);
    let inner = match frame.width {
        Width::Full | Width::Compact => {
            pen.frame(area, &title, state.as_slice(), Role::BorderFocus)
        }
        Width::Small | Width::Tiny => area,
    };
    let lines = rows(model, page, area.width);
    let height = usize::from(inner.height);
    let last_top = lines.len().saturating_sub(height);
    // Some lines below the cursor stay in sight.
    let top = page.line.saturating_sub(height.saturating_sub(4)).min(last_top);
    let mut inside = pen.within(Rect { width: inner.width.saturating_sub(1), ..inner });
    for (y, row) in (inner.y..).zip(lines.iter().skip(top).take(height)) {
        inside.put_all(inner.x + 1, y, &row.line);
        if row.task.is_some() && row.task == page.task {
            table::select(&mut inside, Rect { y, height: 1, ..inner });
        }
    }
    if lines.len() > height && frame.width >= Width::Compact {
        let text = format!("{}–{} of {}", top + 1, (top + height).min(lines.len()), lines.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}

fn state(model: &Model, row: &WorkerRow) -> Piece {
    let (glyph, word, role) = sign::worker(row.state);
    let since = seconds(model.master_now().since(row.since));
    let since = match row.since.0 {
        0 => String::new(),
        // A worker that drains is here since it connected, not since it drains.
        _ if is_here(row) => format!(" · here for {since}"),
        _ => format!(" {since}"),
    };
    piece(format!("{glyph} {word}{since}"), role)
}

fn rows(model: &Model, page: &WorkerPage, width: u16) -> Vec<Row> {
    let plain = |line: Vec<Piece>| Row { line, task: None };
    if !page.error.is_empty() {
        return vec![plain(vec![piece(page.error.clone(), Role::Note)])];
    }
    let Some(detail) = &page.detail else {
        return vec![plain(vec![piece("asking the master …", Role::Dim)])];
    };
    let mut rows = Vec::new();
    if width > 0 && width < frame_least() {
        rows.push(plain(vec![
            piece(format!("{} ", page.worker), Role::Title),
            state(model, &detail.row),
        ]));
    }
    rows.extend(about(model, detail, width).into_iter().map(plain));
    rows.push(plain(Vec::new()));
    rows.extend(holds(model, detail));
    rows.push(plain(Vec::new()));
    rows.extend(moments(model, detail).into_iter().map(plain));
    rows
}

/// Columns below which there is no frame, and so no title.
const fn frame_least() -> u16 {
    70
}

type Fact = (&'static str, Vec<Piece>);

fn about(model: &Model, detail: &WorkerDetail, width: u16) -> Vec<Vec<Piece>> {
    let mut facts = vec![slots(&detail.row), machine(&detail.row)];
    facts.extend([ended(&detail.row), network(detail)]);
    let row = &detail.row;
    let text = |label, text: String| (label, vec![piece(text, Role::Text)]);
    let labels: Vec<String> = row.labels.iter().map(ToString::to_string).collect();
    let labels = if labels.is_empty() { "none".to_owned() } else { labels.join(" ") };
    facts.push(text("policy", or_dash(&row.policy)));
    facts.push(text("address", or_dash(&row.address)));
    facts.push(text("labels", labels));
    facts.push(text("version", or_dash(&row.version)));
    facts.push(handlers(detail));
    facts.push(resources(detail));
    let mut lines: Vec<Vec<Piece>> = match width >= PAIRS_FROM {
        true => facts.chunks(2).map(|pair| paired(pair, width)).collect(),
        false => facts.into_iter().map(field).collect(),
    };
    lines.extend(certificate(model, detail).into_iter().map(field));
    lines
}

/// What it keeps warm, each with the lane of its tasks.
fn handlers(detail: &WorkerDetail) -> Fact {
    let mut value = Vec::new();
    for offer in &detail.handlers {
        value.push(piece(format!("{} ", offer.name), Role::Text));
        value.push(piece(format!("{}  ", offer.lane), Role::Dim));
    }
    if value.is_empty() {
        value.push(piece("none", Role::Dim));
    }
    ("handlers", value)
}

fn resources(detail: &WorkerDetail) -> Fact {
    let has: Vec<String> = detail.resources.iter().map(ToString::to_string).collect();
    let value = match has.is_empty() {
        true => piece("slots only", Role::Dim),
        false => piece(has.join("  "), Role::Text),
    };
    ("resources", vec![value])
}

fn field((label, value): Fact) -> Vec<Piece> {
    let label = piece(format!("{label:<12}"), Role::Dim);
    [label].into_iter().chain(value).collect()
}

/// Two facts on a line, the second from the middle on.
fn paired(pair: &[Fact], width: u16) -> Vec<Piece> {
    let half = usize::from(width / 2 - 1);
    let mut line = Vec::new();
    if let Some(first) = pair.first() {
        let mut left = usize::from(u16::MAX).min(half - 2);
        for (text, role) in field(first.clone()) {
            let text = cut(&text, left);
            left -= crate::text::width(&text);
            line.push(piece(text, role));
        }
        let used = usize::from(pieces_width(&line));
        line.push(piece(" ".repeat(half.saturating_sub(used)), Role::Text));
    }
    line.extend(pair.get(1).cloned().into_iter().flat_map(field));
    line
}

fn is_here(row: &WorkerRow) -> bool {
    matches!(row.state, WorkerState::Up | WorkerState::Draining)
}

fn slots(row: &WorkerRow) -> Fact {
    let mut value = Vec::new();
    let running = row.busy.cpu;
    if row.slots <= SLOTS_DRAWN {
        let busy = running.min(row.slots) as usize;
        value.push(piece("■".repeat(busy), Role::Slot));
        value.push(piece("□".repeat(row.slots as usize - busy), Role::SlotFree));
        value.push(piece(" ", Role::Text));
    }
    value.push(piece(format!("{running} of {} busy", row.slots), Role::Text));
    value.push(piece(" · io ", Role::Dim));
    value.push(match (row.io_running, row.io_slots) {
        (_, 0) => piece("none", Role::Dim),
        (0, slots) => piece(format!("0 of {slots}"), Role::Dim),
        (running, slots) => piece(format!("{running} of {slots}"), Role::Text),
    });
    if row.waiting > 0 {
        value.push(piece(format!(" · {} wait there", row.waiting), Role::Dim));
    }
    ("slots", value)
}

fn machine(row: &WorkerRow) -> Fact {
    if !is_here(row) {
        return ("machine", vec![piece("not connected", Role::Dim)]);
    }
    let mut value = Vec::new();
    for (word, permille) in [("cpu ", row.cpu_permille), ("   mem ", row.memory_permille)] {
        let role = match permille {
            0..700 => Role::MeterLow,
            700..950 => Role::MeterMiddle,
            _ => Role::MeterHigh,
        };
        let (filled, rest) = meter(u64::from(permille), 8);
        value.push(piece(word, Role::Dim));
        value.push(piece(filled, role));
        value.push(piece(rest, Role::MeterRest));
        value.push(piece(format!(" {:>3}%", permille / 10), Role::Text));
    }
    ("machine", value)
}

fn ended(row: &WorkerRow) -> Fact {
    let failed = if row.failed > 0 { Role::Failed } else { Role::Dim };
    let value = vec![
        piece(format!("✓ {} done", grouped(row.done)), Role::Done),
        piece(format!("  ✗ {} failed", grouped(row.failed)), failed),
        piece(format!("  {}/s", rate(row.done_per_s)), Role::Text),
    ];
    ("ended", value)
}

fn network(detail: &WorkerDetail) -> Fact {
    let row = &detail.row;
    if row.rtt_us == 0 {
        return ("network", vec![piece("—", Role::Dim)]);
    }
    let mut value = vec![piece(
        format!("rtt {} · beat {}", HumanMicros(row.rtt_us), HumanMs(row.beat_ms)),
        Role::Text,
    )];
    value.extend(detail.clock_ahead_ms.map(|ahead| match ahead.unsigned_abs() {
        0..1_000 => piece(" · clock agrees", Role::Dim),
        off if ahead > 0 => piece(format!(" · clock {} ahead", HumanMs(off)), Role::Note),
        off => piece(format!(" · clock {} behind", HumanMs(off)), Role::Note),
    }));
    ("network", value)
}

fn certificate(model: &Model, detail: &WorkerDetail) -> Vec<Fact> {
    let Some(facts) = &detail.certificate else {
        return vec![("certificate", vec![piece("the registry knows none", Role::Dim)])];
    };
    let now = model.master_now();
    let left = facts.ends.since(now);
    let (said, role) = match (facts.revoked, left) {
        (true, _) => ("revoked".to_owned(), Role::Bad),
        (false, 0) => ("ended".to_owned(), Role::Bad),
        (false, left @ 1..259_200_000) => (format!("{} left", HumanMs(left)), Role::Note),
        (false, left) => (format!("{} left", HumanMs(left)), Role::Good),
    };
    let dates = format!(" · issued {}, ends {}", date(facts.issued), date(facts.ends));
    let text = |text: &str| vec![piece(text, Role::Text)];
    vec![
        ("certificate", vec![piece(said, role), piece(dates, Role::Text)]),
        ("serial", text(&facts.serial)),
        ("key sha256", text(&facts.fingerprint)),
    ]
}

fn holds(model: &Model, detail: &WorkerDetail) -> Vec<Row> {
    let total = match detail.holds_total {
        0 => "nothing".to_owned(),
        n => counted(n, "task", "tasks"),
    };
    let mut title = vec![piece("Holds ", Role::Title), piece(total, Role::Text)];
    if detail.holds_total > detail.holds.len() as u64 {
        title.push(piece(format!(", the first {} here", detail.holds.len()), Role::Dim));
    }
    let mut rows = vec![Row { line: title, task: None }];
    rows.extend(detail.holds.iter().map(|row| held(model, row)));
    rows
}

fn held(model: &Model, row: &TaskRow) -> Row {
    let (glyph, role) = sign::task(row.state);
    let since = seconds(model.master_now().since(row.since));
    let line = vec![
        piece(format!(" {:>9} ", grouped(row.task.raw())), Role::Text),
        piece(format!("{glyph} {:<8}", row.state.word()), role),
        piece(format!("{since:>6}  "), Role::Dim),
        piece(format!("{}/{}  ", row.attempt, row.attempts_max), Role::Dim),
        piece(format!("{:<8}", kind_word(&row.kind)), Role::Dim),
        piece(row.command.clone(), Role::Text),
    ];
    Row { line, task: Some(row.task) }
}

fn moments(model: &Model, detail: &WorkerDetail) -> Vec<Vec<Piece>> {
    let mut lines = vec![vec![
        piece("What became of it", Role::Title),
        piece("  since this master began", Role::Dim),
    ]];
    if detail.moments.is_empty() {
        lines.push(vec![piece(" nothing yet", Role::Dim)]);
    }
    for moment in &detail.moments {
        let ago = seconds(model.master_now().since(moment.at));
        lines.push(vec![
            piece(format!(" {} ", clock(moment.at, model.utc_offset_min)), Role::Text),
            piece(format!("{:>11}  ", format!("{ago} ago")), Role::Dim),
            piece(moment.what.to_string(), Role::Text),
        ]);
    }
    lines
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "—".to_owned() } else { text.to_owned() }
}

/// Returns the day, `2026-03-14`, in UTC.
pub(super) fn date(at: WallMs) -> String {
    // Years begin in March here, so that the odd day of a leap year comes last.
    let days = i64::try_from(at.0 / 86_400_000).unwrap_or(0) + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_from_the_calendar() {
        let check = |days: u64, text: &str| assert_eq!(date(WallMs(days * 86_400_000)), text);
        check(0, "1970-01-01");
        check(59, "1970-03-01");
        check(11_016, "2000-02-29");
        check(20_526, "2026-03-14");
        check(20_818, "2026-12-31");
    }
}
