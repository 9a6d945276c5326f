//! The throughput chart: tasks a second over the last five minutes.

use ratatui::layout::Rect;

use super::graph::{braille, nice_top, resample};
use super::pen::{Pen, piece};
use crate::model::Model;
use crate::text::short;
use crate::theme::Role;

/// Samples that the chart spans, one a second.
const SPAN: usize = 300;
/// Columns left of the plot: the scale.
const SCALE: u16 = 7;

pub(super) fn chart(pen: &mut Pen<'_>, area: Rect, model: &Model) {
    let legend = [
        piece("tasks/s · last 5 min · ", Role::Dim),
        piece("─ done", Role::Chart),
        piece(" · ", Role::Dim),
        piece("─ failed", Role::ChartFailed),
    ];
    let inner = pen.frame(area, "Throughput", &legend, Role::Border);
    if inner.height < 3 || inner.width < SCALE + 4 {
        return;
    }
    let (rows, columns) = (inner.height - 1, inner.width - SCALE - 1);
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    if let Some(history) = model.picture.as_ref().and_then(|picture| picture.history.as_ref()) {
        done.extend(history.done.iter().map(|n| u64::from(*n)));
        failed.extend(history.failed.iter().map(|n| u64::from(*n)));
    }
    let highest = done.iter().chain(&failed).copied().max().unwrap_or(0);
    let top = nice_top(highest.max(2));
    scale(pen, inner, rows, top);
    let samples = usize::from(columns) * 2;
    let x = inner.x + SCALE;
    let dots = |series: &[u64]| -> Vec<Vec<char>> {
        let heights = resample(series, samples, SPAN, top as f64);
        let lines = braille(&heights, usize::from(columns), usize::from(rows));
        lines.iter().map(|line| line.chars().collect()).collect()
    };
    let (done, failed) = (dots(&done), dots(&failed));
    for (y, (done, failed)) in (inner.y..).zip(done.iter().zip(&failed)) {
        for (x, (done, failed)) in (x..).zip(done.iter().zip(failed)) {
            // A cell has one colour: where something failed, the whole cell says so.
            let (cell, role) = match (*done, *failed) {
                (done, ' ') => (done, Role::Chart),
                (' ', failed) => (failed, Role::ChartFailed),
                (done, _) => (done, Role::ChartFailed),
            };
            pen.put(x, y, cell.encode_utf8(&mut [0; 4]), role);
        }
    }
    let bottom = area.bottom() - 1;
    for (at, label) in [(x, " -5m "), (x + columns / 2 - 3, " -2m30 "), (x + columns - 5, " now ")]
    {
        pen.put(at, bottom, label, Role::Dim);
    }
}

fn scale(pen: &mut Pen<'_>, inner: Rect, rows: u16, top: u64) {
    let right = inner.x + SCALE - 1;
    for row in 0..rows {
        pen.put(right - 1, inner.y + row, "│", Role::Border);
    }
    for (row, value) in [(0, top), (rows / 2, top / 2), (rows - 1, 0)] {
        let is_half = row == rows / 2 && row != 0;
        if !(is_half && (rows < 5 || top < 2)) {
            pen.put_right(right - 1, inner.y + row, &short(value), Role::Dim);
            pen.put(right - 1, inner.y + row, "┤", Role::Border);
        }
    }
    let line = format!("└{}", "─".repeat(usize::from(inner.width - SCALE)));
    pen.put(right - 1, inner.y + rows, &line, Role::Border);
}
