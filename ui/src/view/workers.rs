//! The workers: a row each, with slots, load, round trip, counts.

use ganger_proto::PerLane;
use ganger_proto::picture::{WorkerRow, WorkerState};
use ganger_proto::time::{HumanMicros, HumanMs};
use ratatui::layout::Rect;

use super::graph::meter;
use super::pen::{Pen, Piece, piece};
use super::table::{self, Align, Column, Placed};
use super::{edge, sign};
use crate::layout::{Frame, Width};
use crate::model::{Model, Pane, Screen};
use crate::mouse::Hit;
use crate::text::{cut, grouped, rate, seconds};
use crate::theme::Role;

/// Slots that are drawn one by one.
const SLOTS_DRAWN: u32 = 8;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    State,
    Slots,
    Busy,
    Io,
    Cpu,
    Memory,
    Rtt,
    Beat,
    Done,
    Rate,
    Failed,
    Version,
    Certificate,
    Address,
    Labels,
}

const fn column(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Left, priority }
}

const fn number(key: Key, title: &'static str, width: u16, priority: u8) -> Column<Key> {
    Column { key, title, width, align: Align::Right, priority }
}

const COLUMNS: [Column<Key>; 16] = [
    column(Key::Name, "NAME", 0, 99),
    column(Key::State, "STATE", 12, 90),
    column(Key::Slots, "SLOTS", 11, 50),
    number(Key::Busy, "", 6, 80),
    number(Key::Io, "IO", 6, 48),
    column(Key::Cpu, " CPU", 14, 60),
    column(Key::Memory, " MEM", 14, 40),
    number(Key::Rtt, "RTT", 6, 55),
    number(Key::Beat, "BEAT", 6, 20),
    number(Key::Done, "DONE", 9, 45),
    number(Key::Rate, "/s", 5, 70),
    number(Key::Failed, "FAIL", 5, 65),
    column(Key::Version, " VER", 7, 10),
    number(Key::Certificate, "CERT", 5, 30),
    column(Key::Address, " ADDRESS", 22, 5),
    column(Key::Labels, " LABELS", 14, 35),
];

pub(super) fn list(pen: &mut Pen<'_>, frame: &Frame, area: Rect, model: &Model) {
    let rows = model.worker_rows();
    if frame.width < Width::Compact {
        return short_rows(pen, area, model, rows);
    }
    let inner = pen.frame(area, "Workers", &summary(model), edge(model, Pane::Workers));
    let mut pen = pen.within(area);
    if rows.is_empty() {
        let x = pen.put(inner.x + 1, inner.y, "no worker yet; ", Role::Dim);
        let x = pen.put(x, inner.y, "J", Role::Key);
        pen.put(x, inner.y, " prints the line that joins one", Role::Dim);
        return;
    }
    let is_table = frame.width == Width::Full;
    let titles = u16::from(is_table);
    let shown = usize::from(inner.height.saturating_sub(titles)).max(1);
    let selected = model.worker_row().and_then(|w| rows.iter().position(|r| r.name == w.name));
    let top = selected.unwrap_or(0).saturating_sub(shown - 1);
    // Labels have a column where some worker has any.
    let labelled = rows.iter().any(|row| !row.labels.is_empty());
    let all = if labelled { &COLUMNS[..] } else { &COLUMNS[..COLUMNS.len() - 1] };
    let columns =
        table::place(all, Rect { x: inner.x + 3, width: inner.width.saturating_sub(3), ..inner });
    if is_table {
        table::titles(&mut pen.within(inner), &columns, inner.y);
    }
    for (y, (at, row)) in (inner.y + titles..).zip(rows.iter().enumerate().skip(top).take(shown)) {
        let mut pen = pen.within(inner);
        pen.hit(Rect { y, height: 1, ..inner }, Hit::Worker(row.name.clone()));
        match is_table {
            true => columns.iter().for_each(|column| cell(&mut pen, column, y, model, row)),
            false => compact_row(&mut pen, inner, y, model, row),
        }
        if selected == Some(at) && has_focus(model) {
            table::select(&mut pen, Rect { y, height: 1, ..inner });
        }
    }
    if rows.len() > shown {
        let text = format!("{}–{} of {}", top + 1, (top + shown).min(rows.len()), rows.len());
        pen.foot(area, &[piece(text, Role::Dim)]);
    }
}

fn has_focus(model: &Model) -> bool {
    match model.screen {
        Screen::Overview => model.pane_in_view() == Pane::Workers,
        Screen::Workers => true,
        Screen::Tasks | Screen::Results | Screen::Log => false,
    }
}

fn summary(model: &Model) -> Vec<Piece> {
    let Some(picture) = &model.picture else { return Vec::new() };
    let gang = picture.gang;
    let mut pieces = vec![piece(gang.up.to_string(), Role::Good), piece(" up", Role::Dim)];
    if gang.draining > 0 {
        pieces.push(piece(" · ", Role::Dim));
        pieces.push(piece(format!("{} draining", gang.draining), Role::Note));
    }
    if gang.lost > 0 {
        pieces.push(piece(" · ", Role::Dim));
        pieces.push(piece(format!("{} lost", gang.lost), Role::Bad));
    }
    pieces.push(piece(" · slots ", Role::Dim));
    pieces.push(piece(format!("{}/{}", gang.busy, gang.slots), Role::Text));
    pieces
}

fn is_here(row: &WorkerRow) -> bool {
    matches!(row.state, WorkerState::Up | WorkerState::Draining)
}

fn cell(pen: &mut Pen<'_>, at: &Placed<Key>, y: u16, model: &Model, row: &WorkerRow) {
    let (text, role) = match at.key {
        Key::Name => (row.name.to_string(), Role::Text),
        Key::State => state(model, row),
        Key::Slots => return slots(pen, at.x, y, row),
        Key::Busy => (format!("{}/{}", row.busy.cpu, row.slots), Role::Text),
        Key::Io if row.io_slots == 0 => ("—".to_owned(), Role::Dim),
        Key::Io if row.io_running == 0 => (format!("0/{}", row.io_slots), Role::Dim),
        Key::Io => (format!("{}/{}", row.io_running, row.io_slots), Role::Text),
        Key::Cpu | Key::Memory if !is_here(row) => return,
        Key::Cpu => return load(pen, at.x + 1, y, row.cpu_permille, 8),
        Key::Memory => return load(pen, at.x + 1, y, row.memory_permille, 8),
        Key::Rtt if row.rtt_us == 0 => ("—".to_owned(), Role::Dim),
        Key::Rtt => (HumanMicros(row.rtt_us).to_string(), Role::Text),
        Key::Beat if row.beat_ms > 10_000 => (HumanMs(row.beat_ms).to_string(), Role::Bad),
        Key::Beat => (HumanMs(row.beat_ms).to_string(), Role::Text),
        Key::Done => (grouped(row.done), Role::Text),
        Key::Rate => (rate(row.done_per_s), Role::Text),
        Key::Failed if row.failed > 0 => (grouped(row.failed), Role::Failed),
        Key::Failed => ("0".to_owned(), Role::Dim),
        Key::Version => (format!(" {}", row.version), Role::Text),
        Key::Certificate => certificate(model, row),
        Key::Labels => {
            let labels: Vec<String> = row.labels.iter().map(ToString::to_string).collect();
            (format!(" {}", labels.join(" ")), Role::Dim)
        }
        Key::Address => (format!(" {}", row.address), Role::Dim),
    };
    table::put(pen, at, y, &text, role);
}

fn state(model: &Model, row: &WorkerRow) -> (String, Role) {
    let (glyph, word, role) = sign::worker(row.state);
    let text = match row.state {
        WorkerState::Lost | WorkerState::Away => {
            format!("{glyph} {word} {}", seconds(model.master_now().since(row.since)))
        }
        WorkerState::Up | WorkerState::Draining | WorkerState::Gone | WorkerState::Revoked => {
            format!("{glyph} {word}")
        }
    };
    (text, role)
}

fn slots(pen: &mut Pen<'_>, x: u16, y: u16, row: &WorkerRow) {
    let drawn = row.slots.min(SLOTS_DRAWN);
    let running = row.busy.cpu;
    let busy = match row.slots {
        0..=SLOTS_DRAWN => running.min(drawn),
        slots => (u64::from(running) * u64::from(drawn)).div_ceil(u64::from(slots)) as u32,
    }
    .min(drawn);
    let x = pen.put(x, y, &"■".repeat(busy as usize), Role::Slot);
    let x = pen.put(x, y, &"□".repeat((drawn - busy) as usize), Role::SlotFree);
    if row.slots > drawn {
        pen.put_cut((x, y), &format!("+{}", row.slots - drawn), 4, Role::Dim);
    }
}

fn load(pen: &mut Pen<'_>, x: u16, y: u16, permille: u16, width: u16) {
    let role = match permille {
        0..700 => Role::MeterLow,
        700..950 => Role::MeterMiddle,
        _ => Role::MeterHigh,
    };
    let (filled, rest) = meter(u64::from(permille), usize::from(width));
    let after = pen.put(x, y, &filled, role);
    pen.put(after, y, &rest, Role::MeterRest);
    pen.put_right(x + width + 5, y, &format!("{}%", permille / 10), Role::Text);
}

fn certificate(model: &Model, row: &WorkerRow) -> (String, Role) {
    match row.certificate_ends {
        None => ("—".to_owned(), Role::Dim),
        Some(ends) => {
            let left = ends.since(model.master_now());
            let role = match left {
                0..86_400_000 => Role::Bad,
                86_400_000..259_200_000 => Role::Note,
                _ => Role::Dim,
            };
            (days(left), role)
        }
    }
}

fn days(ms: u64) -> String {
    match ms / 3_600_000 {
        hours @ 0..48 => format!("{hours}h"),
        hours => format!("{}d", hours / 24),
    }
}

/// A row of the compact box.
fn compact_row(pen: &mut Pen<'_>, inner: Rect, y: u16, model: &Model, row: &WorkerRow) {
    let (glyph, _, role) = sign::worker(row.state);
    let spare = inner.width.saturating_sub(78);
    let name_width = 9 + spare;
    let x = inner.x + 1;
    pen.put(x, y, glyph, role);
    pen.put_cut((x + 2, y), row.name.as_str(), name_width - 1, Role::Text);
    let x = x + 2 + name_width;
    if !is_here(row) {
        let (text, role) = state(model, row);
        let said = format!("{}, {} done", cut(&text[glyph.len() + 1..], 12), grouped(row.done));
        pen.put(x, y, &said, role);
        return;
    }
    let running = busy_of_eight(row);
    let busy = PerLane { cpu: running, ..row.busy };
    let drawn = WorkerRow { slots: row.slots.min(8), busy, ..row.clone() };
    slots(pen, x, y, &drawn);
    pen.put_right(x + 14, y, &format!("{}/{}", row.busy.cpu, row.slots), Role::Text);
    pen.put(x + 16, y, "cpu", Role::Dim);
    load(pen, x + 20, y, row.cpu_permille, 6);
    pen.put(x + 33, y, "mem", Role::Dim);
    load(pen, x + 37, y, row.memory_permille, 4);
    // Where tasks mostly wait, how many do is worth more than the round trip.
    let (text, role) = match row.io_running {
        0 => (HumanMicros(row.rtt_us).to_string(), Role::Dim),
        io => (format!("io {io}"), Role::Text),
    };
    pen.put_right(x + 54, y, &text, role);
    pen.put_right(inner.right() - 1, y, &format!("{}/s", rate(row.done_per_s)), Role::Text);
}

fn busy_of_eight(row: &WorkerRow) -> u32 {
    match row.slots {
        0..=8 => row.busy.cpu,
        slots => (row.busy.cpu.min(slots) * 8).div_ceil(slots),
    }
}

fn short_rows(pen: &mut Pen<'_>, area: Rect, model: &Model, rows: &[WorkerRow]) {
    let mut pen = pen.within(area);
    let selected = model.worker_row().and_then(|w| rows.iter().position(|r| r.name == w.name));
    let shown = usize::from(area.height).max(1);
    let top = selected.unwrap_or(0).saturating_sub(shown - 1);
    for (y, (at, row)) in (area.y..).zip(rows.iter().enumerate().skip(top).take(shown)) {
        pen.hit(Rect { y, height: 1, ..area }, Hit::Worker(row.name.clone()));
        let (text, role) = state(model, row);
        let x = pen.put_cut((1, y), &text, 11, role);
        pen.put_cut((x.max(12), y), row.name.as_str(), area.width.saturating_sub(24), Role::Text);
        let right = match row.io_running {
            0 => format!("{}/{}", row.busy.cpu, row.slots),
            io => format!("{}/{} io {io}", row.busy.cpu, row.slots),
        };
        pen.put_right(area.right().saturating_sub(1), y, &right, Role::Dim);
        if selected == Some(at) && model.screen == Screen::Workers {
            table::select(&mut pen, Rect { y, height: 1, ..area });
        }
    }
}
