//! The first two lines: who, where, how the connection is; and the screens or the counters.

use ratatui::layout::Rect;

use super::pen::{Pen, Piece, piece, pieces_width};
use crate::layout::{Frame, Width};
use crate::model::{LinkState, Model, Screen};
use crate::mouse::Hit;
use crate::text::{rate, seconds, short};
use crate::theme::Role;

pub(super) fn header(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let role = match model.link {
        LinkState::Up(_) if model.view.frozen.is_none() && alarm(model).is_none() => Role::Header,
        LinkState::Dialling => Role::Header,
        LinkState::Up(_) | LinkState::Lost { .. } | LinkState::Refused(_) => Role::HeaderTrouble,
    };
    let line = frame.header;
    pen.within(line).clear(role);
    if line.height == 0 {
        return;
    }
    let right = right(frame, model);
    let right_x = line.width.saturating_sub(crate::text::width(&right) as u16 + 1);
    let mut pen = pen.within(line);
    let left = left(frame, model);
    let end = pen.put(1, line.y, &left, role);
    if end + 1 < right_x {
        pen.put(right_x, line.y, &right, role);
    }
    let centre = match frame.width {
        Width::Full => 46,
        Width::Compact => 30,
        Width::Small | Width::Tiny => return,
    };
    let x = centre.max(end + 2);
    let room = right_x.saturating_sub(x + 1);
    let state = state(frame, model);
    pen.put_cut((x, line.y), &state, room, role);
}

fn left(frame: &Frame, model: &Model) -> String {
    let address = match (&model.link, &model.picture) {
        (LinkState::Up(connection), _) => connection.address.clone(),
        (_, Some(picture)) => picture.master.address.clone(),
        _ => String::new(),
    };
    match (frame.width, &model.link) {
        (Width::Full, LinkState::Up(connection)) => {
            format!("◆ ganger  {}@{address}", connection.you.role)
        }
        (Width::Full | Width::Compact, _) => format!("◆ ganger  {address}"),
        (Width::Small | Width::Tiny, _) => format!("◆ ganger {}", short_state(model)),
    }
}

/// Returns what is wrong with the master or its workers although the connection is up.
fn alarm(model: &Model) -> Option<&'static str> {
    let picture = model.picture.as_ref().filter(|_| model.is_up())?;
    let open = picture.master.counts.open() > 0;
    if !picture.master.trouble.is_empty() {
        Some("✗ store in trouble")
    } else if picture.gang.up == 0 && picture.gang.lost > 0 && open {
        Some("✗ all workers lost")
    } else {
        None
    }
}

fn short_state(model: &Model) -> &'static str {
    match &model.link {
        LinkState::Up(_) if model.view.frozen.is_some() => "◌ frozen",
        LinkState::Up(_) if alarm(model).is_some() => "✗ trouble",
        LinkState::Up(_) => "● live",
        LinkState::Dialling => "◌ dialling",
        LinkState::Lost { .. } => "◌ lost",
        LinkState::Refused(_) => "✗ refused",
    }
}

fn state(frame: &Frame, model: &Model) -> String {
    match &model.link {
        LinkState::Dialling => "◌ dialling".to_owned(),
        LinkState::Refused(_) => "✗ refused".to_owned(),
        LinkState::Lost { tries, .. } if model.picture.is_some() => {
            let age = seconds(model.picture_age_ms());
            format!("◌ reconnecting ({tries})   data is {age} old")
        }
        LinkState::Lost { tries, .. } => format!("◌ reconnecting ({tries})"),
        LinkState::Up(connection) => {
            let queue = model.queue();
            let paused = model.is_paused(&queue);
            let live = match model.view.frozen {
                Some(_) => "◌ frozen".to_owned(),
                None if alarm(model).is_some() => {
                    return alarm(model).unwrap_or_default().to_owned();
                }
                None if model.is_welcome() => "● listening".to_owned(),
                None => format!("● live {}", ganger_proto::time::HumanMicros(connection.rtt_us)),
            };
            match (frame.width, paused) {
                (Width::Full, true) => format!("{live:<12} queue {queue}: paused"),
                (Width::Full, false) => format!("{live:<12} queue: running"),
                (Width::Compact, true) => format!("{live}  paused: {queue}"),
                (Width::Compact | Width::Small | Width::Tiny, _) => live,
            }
        }
    }
}

fn right(frame: &Frame, model: &Model) -> String {
    let clock = clock(model);
    let Some(picture) = &model.picture else { return clock };
    let started = picture.master.started;
    let up = minutes(model.master_now().since(started));
    let cpu = picture.master.cpu_permille / 10;
    match (frame.width, model.is_up()) {
        (Width::Full, true) => format!("up {up}   cpu {cpu:>2}%   {clock}"),
        (Width::Compact, true) => format!("up {up}  {clock}"),
        (Width::Full | Width::Compact, false) => clock,
        (Width::Small | Width::Tiny, _) => small_tab(model),
    }
}

/// Returns the time of day; with its seconds only while work goes on, so that a screen on which
/// nothing happens draws nothing.
fn clock(model: &Model) -> String {
    let time = super::clock(model.now.wall, model.utc_offset_min);
    let is_at_work = model.picture.as_ref().is_some_and(|picture| {
        let master = &picture.master;
        master.counts.sent + master.counts.running > 0 || master.done_per_s > 0.0
    });
    if is_at_work {
        return time;
    }
    let zone = if time.ends_with('Z') { "Z" } else { "" };
    format!("{}{zone}", &time[..5])
}

/// Returns a length of time to the minute, `2h14m`.
fn minutes(ms: u64) -> String {
    match ms / 60_000 {
        0 => "<1m".to_owned(),
        minutes @ 1..60 => format!("{minutes}m"),
        minutes @ 60..2_880 => format!("{}h{:02}m", minutes / 60, minutes % 60),
        minutes => format!("{}d{:02}h", minutes / 1_440, minutes / 60 % 24),
    }
}

fn small_tab(model: &Model) -> String {
    let counts = |screen| count(model, screen).map(|(text, _)| text).unwrap_or_default();
    let (number, name) = name(model.screen);
    format!("{number} {name} {}", counts(model.screen)).trim_end().to_owned()
}

const fn name(screen: Screen) -> (char, &'static str) {
    match screen {
        Screen::Overview => ('1', "Overview"),
        Screen::Tasks => ('2', "Tasks"),
        Screen::Results => ('3', "Results"),
        Screen::Workers => ('4', "Workers"),
        Screen::Log => ('5', "Log"),
    }
}

fn count(model: &Model, screen: Screen) -> Option<(String, Role)> {
    let picture = model.picture.as_ref()?;
    let counts = &picture.master.counts;
    let gang = &picture.gang;
    match screen {
        Screen::Overview => None,
        Screen::Tasks => Some((short(counts.open()), Role::Dim)),
        Screen::Results => Some((short(counts.ended()), Role::Dim)),
        Screen::Workers if gang.up == 0 || gang.lost > 0 => {
            Some((format!("{}/{}", gang.up, gang.up + gang.lost), Role::Note))
        }
        Screen::Workers => Some((gang.up.to_string(), Role::Dim)),
        Screen::Log if !picture.master.trouble.is_empty() => Some(("!".to_owned(), Role::Bad)),
        Screen::Log if model.log.unseen > 0 => {
            Some((format!("{}!", short(model.log.unseen)), Role::Note))
        }
        Screen::Log => None,
    }
}

pub(super) fn tabs(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let y = frame.tabs.y;
    let mut x = 1;
    let all = [Screen::Overview, Screen::Tasks, Screen::Results, Screen::Workers, Screen::Log];
    for screen in all {
        if screen != Screen::Overview {
            x = pen.put(x, y, "│", Role::Border);
        }
        let left = x;
        let (number, name) = name(screen);
        let count = count(model, screen);
        let is_active = model.screen == screen;
        let (key, word) = match is_active {
            true => (Role::TabActive, Role::TabActive),
            false => (Role::Key, Role::Tab),
        };
        x = pen.put(x, y, &format!(" {number} "), key);
        x = pen.put(x, y, &format!("{name} "), word);
        if let Some((text, role)) = count {
            x = pen.put(x, y, &format!("{text} "), if is_active { word } else { role });
        }
        pen.hit(Rect { x: left, y, width: x - left, height: 1 }, Hit::Tab(screen));
    }
}

/// Returns the counts as signs with numbers.
pub(super) fn count_pieces(model: &Model, number: impl Fn(u64) -> String) -> Vec<Piece> {
    use ganger_proto::TaskState as S;
    let Some(picture) = &model.picture else { return Vec::new() };
    let counts = &picture.master.counts;
    let running = counts.running + counts.sent;
    let mut pieces = Vec::new();
    for (state, count) in [
        (S::Queued, counts.queued),
        (S::Running, running),
        (S::Delayed, counts.delayed),
        (S::Blocked, counts.blocked),
        (S::Done, counts.done),
        (S::Failed, counts.failed),
        (S::Cancelled, counts.cancelled),
    ] {
        let (glyph, role) = super::sign::task(state);
        if count > 0 || matches!(state, S::Queued | S::Running | S::Done) {
            pieces.push(piece(format!("{glyph}{} ", number(count)), role));
        }
    }
    pieces
}

pub(super) fn counters(pen: &mut Pen<'_>, line: Rect, model: &Model) {
    let Some(picture) = &model.picture else { return };
    let mut pieces = count_pieces(model, short);
    pieces.push(piece(format!(" {}/s", rate(picture.master.done_per_s)), Role::Strong));
    while pieces_width(&pieces) + 1 > line.width && pieces.len() > 1 {
        pieces.pop();
    }
    pen.put_all(1, line.y, &pieces);
}
