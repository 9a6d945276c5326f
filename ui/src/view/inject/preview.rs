//! What the form would create: the first tasks and the last, how much it is, how long it takes,
//! and the command line that does the same.

use super::super::pen::{Pen, piece, pieces_width};
use crate::model::command_line::command_line;
use crate::model::form::Form;
use crate::model::preview::{Fit, bytes_of, fitting, preview};
use crate::model::submission::Batch;
use crate::model::{LinkState, Model};
use crate::text::{bytes, clean, grouped, rate, seconds, width};
use crate::theme::Role;

/// Tasks shown from the start.
const FIRST: u64 = 4;
/// Lines of the command line that are shown.
const SAME_ROWS: u16 = 4;

/// What is drawn into the lines there are.
struct Share {
    rule: u16,
    samples: u64,
    /// Lines of the command line.
    same: u16,
    /// Empty lines before the total and before the command line.
    blanks: [u16; 2],
}

fn share(rows: u16, count: u64, same: u16) -> Share {
    let mut left = rows.saturating_sub(1);
    let mut take = |wanted: u16| {
        let got = wanted.min(left);
        left -= got;
        got
    };
    let first = take(1);
    let rule = take(1);
    let wanted = if count > FIRST + 1 { FIRST + 2 } else { count } as u16;
    let second = take(wanted.saturating_sub(1).min(2));
    let same = take(same);
    let more = take(wanted.saturating_sub(1 + second));
    let blanks = [take(1), if same > 0 { take(1) } else { 0 }];
    Share { rule, samples: u64::from(first + second + more), same, blanks }
}

/// Draws into the whole of the pen's rectangle. An error that has no room at its field is said
/// here.
pub(super) fn draw(pen: &mut Pen<'_>, model: &Model, unseen: Option<&str>) {
    let area = pen.area;
    if area.height == 0 {
        return;
    }
    let Ok(batch) = &model.form.checked else {
        let rule = u16::from(area.height >= 3);
        if rule > 0 {
            title(pen, "");
        }
        let (said, role) = match unseen {
            Some(why) => (why, Role::Bad),
            None => ("nothing to create yet", Role::Dim),
        };
        let columns = area.width.saturating_sub(2);
        pen.put_cut((area.x + 1, area.y + rule), said, columns, role);
        return;
    };
    let count = batch.args.count();
    let same = same_as(&model.form, area.width.saturating_sub(12));
    let share = share(area.height, count, (same.len() as u16).min(SAME_ROWS));
    let mut y = area.y;
    if share.rule > 0 {
        title(pen, if count > FIRST + 1 { " (first 4, last 1)" } else { "" });
        y += 1;
    }
    y = samples(pen, batch, share.samples, y);
    y += share.blanks[0];
    total(pen, model, batch, y);
    y += 1 + share.blanks[1];
    if share.same > 0 {
        pen.put(area.x + 1, y, "same as", Role::Dim);
    }
    for (at, line) in same.iter().take(usize::from(share.same)).enumerate() {
        let is_last = at + 1 == usize::from(share.same);
        let line = match line.strip_suffix('\\') {
            Some(line) if is_last => format!("{line}…"),
            Some(_) | None => line.clone(),
        };
        let columns = area.width.saturating_sub(11);
        pen.put_cut((area.x + 10, y), &line, columns, Role::Text);
        y += 1;
    }
}

fn title(pen: &mut Pen<'_>, note: &str) {
    let area = pen.area;
    let line = "─".repeat(usize::from(area.width.saturating_sub(2)));
    pen.put(area.x + 1, area.y, &line, Role::Border);
    pen.put(area.x + 3, area.y, &format!(" Preview{note} "), Role::Title);
}

/// Writes tasks on `rows` lines: the first ones, how many are left out, the last.
fn samples(pen: &mut Pen<'_>, batch: &Batch, rows: u64, mut y: u16) -> u16 {
    let count = batch.args.count();
    let (first, more, last) = match rows {
        _ if count <= rows => (count, false, false),
        0 | 1 => (rows, false, false),
        2 => (1, false, true),
        _ => (rows - 2, true, true),
    };
    for index in 0..first {
        sample(pen, batch, index, y);
        y += 1;
    }
    if more {
        let x = pen.area.x;
        pen.put_right(x + 8, y, "…", Role::Dim);
        pen.put(x + 10, y, &format!("{} more", grouped(count - first - 1)), Role::Dim);
        y += 1;
    }
    if last {
        sample(pen, batch, count - 1, y);
        y += 1;
    }
    y
}

fn sample(pen: &mut Pen<'_>, batch: &Batch, index: u64, y: u16) {
    let x = pen.area.x;
    let number = grouped(index + 1);
    let text_x = x + 10 + (width(&number) as u16).saturating_sub(7);
    pen.put_right(text_x - 2, y, &number, Role::Dim);
    let columns = pen.area.right().saturating_sub(text_x + 1);
    pen.put_cut((text_x, y), &preview(batch, index), columns, Role::Text);
}

fn total(pen: &mut Pen<'_>, model: &Model, batch: &Batch, y: u16) {
    let count = batch.args.count();
    let noun = if count == 1 { "task" } else { "tasks" };
    let size = bytes(bytes_of(batch));
    let number = piece(grouped(count), Role::Strong);
    let mut long =
        vec![number.clone(), piece(format!(" {noun} will be created · ≈ {size}"), Role::Text)];
    let mut short = vec![number, piece(format!(" {noun}"), Role::Text)];
    if let (Some(picture), LinkState::Up(_)) = (&model.picture, &model.link) {
        let per_s = pace(picture.master.done_per_s_mean, batch);
        if per_s >= 0.1 {
            let ms = (count as f64 / f64::from(per_s) * 1_000.0) as u64;
            let eta = seconds(ms + 1_000);
            long.push(piece(format!(" · at {}/s ≈ ", rate(per_s)), Role::Text));
            long.push(piece(eta.clone(), Role::Strong));
            short.push(piece(format!(" · ≈ {eta}"), Role::Text));
        }
        let gang = picture.gang;
        let (said, role) = match gang.slots {
            _ if let Some((said, role)) = fit(model, batch) => (said, role),
            0 => (" · no worker yet".to_owned(), Role::Note),
            slots => (format!(" · {}/{slots} slots busy", gang.busy), Role::Text),
        };
        short.push(piece(said.replace(" slots", "").replace(" workers", ""), role));
        long.push(piece(said, role));
    }
    let room = pen.area.width.saturating_sub(2);
    let pieces = if pieces_width(&long) <= room { long } else { short };
    pen.put_all(pen.area.x + 1, y, &pieces);
}

/// Returns how many tasks end a second: as many as now, and no more than may start.
fn pace(now_per_s: f32, batch: &Batch) -> f32 {
    match batch.head.options.rate {
        None => now_per_s,
        Some(rate) => {
            let most = rate.starts as f32 * 1_000.0 / rate.per_ms as f32;
            if now_per_s >= 0.1 { now_per_s.min(most) } else { most }
        }
    }
}

/// Says how many of the connected workers fit, as far as the picture tells.
fn fit(model: &Model, batch: &Batch) -> Option<(String, Role)> {
    let Fit { known, fitting, here } = fitting(model, &batch.head.spec)?;
    let role = if fitting == 0 { Role::Note } else { Role::Text };
    let most = if known || fitting == 0 { "" } else { "at most " };
    let workers = if here == 1 { "worker fits" } else { "workers fit" };
    Some((format!(" · {most}{fitting} of {here} {workers}"), role))
}

/// Returns the command line, broken between its pieces.
fn same_as(form: &Form, columns: u16) -> Vec<String> {
    let columns = usize::from(columns.max(8));
    let mut lines = vec![String::new()];
    for word in command_line(form) {
        let word = clean(&word);
        let line = lines.last_mut().expect("there is a first line");
        if !line.is_empty() && width(line) + 1 + width(&word) + 2 > columns {
            line.push_str(" \\");
            lines.push(format!("  {word}"));
        } else {
            let space = if line.is_empty() { "" } else { " " };
            line.push_str(space);
            line.push_str(&word);
        }
    }
    lines
}
