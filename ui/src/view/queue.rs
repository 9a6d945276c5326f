//! Counts by state with their last minute, the meter of what is done, rates and ETA.

use ganger_proto::TaskState;
use ganger_proto::picture::{Counts, MasterLine};
use ganger_proto::time::HumanMs;
use ratatui::layout::Rect;

use super::graph::{blocks, braille, resample};
use super::pen::{Pen, piece};
use super::{header::count_pieces, sign};
use crate::model::Model;
use crate::text::{grouped, rate, seconds, short};
use crate::theme::Role;

/// Samples of the sparks, one a second.
const SPAN: usize = 60;
/// From what waits to what has ended.
const STATES: [TaskState; 8] = [
    TaskState::Queued,
    TaskState::Sent,
    TaskState::Running,
    TaskState::Delayed,
    TaskState::Blocked,
    TaskState::Done,
    TaskState::Failed,
    TaskState::Cancelled,
];

pub(super) fn queue(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let Some(picture) = &model.picture else { return };
    let master = &picture.master;
    let total = grouped(master.counts.total());
    let right = [piece("total ", Role::Dim), piece(total, Role::Text)];
    let inner = pen.frame(area, "Queue", &right, Role::Border);
    let mut pen = pen.within(inner);
    // With room for a line more, what waits on the workers is told apart from what runs.
    let room = usize::from(inner.height.saturating_sub(3));
    let counts = picture.history.as_ref().map_or(&[][..], |history| &history.counts);
    // Few masters have batches that wait for others; there the state has no line.
    let has_blocked = counts.iter().chain([&master.counts]).any(|counts| counts.blocked > 0);
    let states = STATES.into_iter().filter(|state| has_blocked || *state != TaskState::Blocked);
    let merged = room < states.clone().count();
    let states = states.filter(|state| !merged || *state != TaskState::Sent);
    let of = |counts: &Counts, state: TaskState| {
        let sent = if merged && state == TaskState::Running { counts.sent } else { 0 };
        counts.of(state) + sent
    };
    let lines = room.min(states.clone().count());
    for (y, state) in (inner.y..).zip(states).take(lines) {
        let (glyph, role) = sign::task(state);
        pen.put(inner.x + 1, y, &format!("{glyph} {}", state.word()), role);
        pen.put_right(inner.x + 23, y, &grouped(of(&master.counts, state)), role);
        let x = inner.x + 25;
        let columns = usize::from(inner.right().saturating_sub(x + 1));
        let samples: Vec<u64> = counts.iter().map(|counts| of(counts, state)).collect();
        let spark = spark(&samples, columns);
        pen.put(x, y, &spark, role);
    }
    let y = inner.y + lines as u16;
    meter(&mut pen, inner, y, master);
    let now = format!("{}/s", rate(master.done_per_s));
    let x = pen.put(inner.x + 1, y + 1, &now, Role::Strong);
    pen.put(x, y + 1, &format!(" now · {}/s avg", rate(master.done_per_s_mean)), Role::Text);
    let x = pen.put(inner.x + 1, y + 2, "ETA ", Role::Text);
    let x = pen.put(x, y + 2, &eta(master), Role::Strong);
    if master.oldest_wait_ms > 0 {
        let waits = HumanMs(master.oldest_wait_ms);
        pen.put(x, y + 2, &format!(" · oldest waits {waits}"), Role::Text);
    }
}

/// Scales between the least and the most of the minute, so that small changes are seen.
fn spark(samples: &[u64], columns: usize) -> String {
    let (least, most) = samples.iter().fold((u64::MAX, 0), |(l, m), n| (l.min(*n), m.max(*n)));
    let floor = if most > least { least } else { 0 };
    let heights: Vec<u64> = samples.iter().map(|n| n - floor).collect();
    let top = (most - floor.min(most)) as f64;
    let heights = resample(&heights, columns * 2, SPAN, top);
    braille(&heights, columns, 1).concat()
}

fn meter(pen: &mut Pen<'_>, inner: Rect, y: u16, master: &MasterLine) {
    let width = usize::from(inner.width.saturating_sub(13)).min(27);
    let permille = done_permille(&master.counts);
    let filled = permille as usize * width / 1_000;
    let x = pen.put(inner.x + 1, y, &"█".repeat(filled), Role::Progress);
    let x = pen.put(x, y, &"░".repeat(width - filled), Role::ProgressRest);
    pen.put(x + 2, y, &format!("{}.{}%", permille / 10, permille % 10), Role::Text);
}

fn done_permille(counts: &Counts) -> u64 {
    let (ended, total) = (u128::from(counts.ended()), u128::from(counts.total().max(1)));
    (ended * 1_000 / total) as u64
}

fn eta(master: &MasterLine) -> String {
    match master.eta_ms {
        _ if master.counts.open() == 0 => "all done".to_owned(),
        Some(ms) => seconds(ms),
        None => "unknown".to_owned(),
    }
}

/// The same in two lines, for narrow screens.
pub(super) fn sparks(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let Some(picture) = &model.picture else { return };
    let master = &picture.master;
    let (mut done, mut open) = (Vec::new(), Vec::new());
    if let Some(history) = &picture.history {
        done.extend(history.done.iter().map(|n| u64::from(*n)));
        open.extend(history.counts.iter().map(Counts::open));
    }
    let spare = usize::from(area.width.saturating_sub(80)) / 2;
    let top = |samples: &[u64]| samples.iter().copied().max().unwrap_or(0) as f64;
    let done = resample(&done, 33 + spare, SPAN, top(&done));
    let open = resample(&open, 18 + spare, SPAN, top(&open));
    let y = area.y;
    let x = pen.put(area.x + 1, y, "done/s ", Role::Dim);
    let x = pen.put(x, y, &blocks(&done), Role::Chart);
    let x = pen.put(x, y, &format!(" {:>4}/s", rate(master.done_per_s)), Role::Strong);
    let x = pen.put(x, y, "  open ", Role::Dim);
    let x = pen.put(x, y, &blocks(&open), Role::Queued);
    pen.put(x, y, &format!(" {}", short(master.counts.open())), Role::Strong);
    let y = area.y + 1;
    let permille = done_permille(&master.counts);
    let width = 20 + spare;
    let filled = permille as usize * width / 1_000;
    let x = pen.put(area.x + 1, y, &"█".repeat(filled), Role::Progress);
    let x = pen.put(x, y, &"░".repeat(width - filled), Role::ProgressRest);
    let x = pen.put(x, y, &format!(" {:>2}%  ETA {:<8} ", permille / 10, eta(master)), Role::Text);
    pen.put_all(x, y, &count_pieces(model, short));
}
