//! The last two lines: the sentence that goes away by itself, and the keys of this place.

use ganger_proto::picture::WorkerState;
use ratatui::layout::{Position, Rect};

use super::is_refused;
use super::pen::Pen;
use crate::keymap::{Action, Context, Row};
use crate::layout::{Frame, Width};
use crate::model::field::Line;
use crate::model::list::List;
use crate::model::marks::Marks;
use crate::model::{Access, LinkState, Model, Tone, allowed};
use crate::mouse::Hit;
use crate::theme::Role;
use crate::update::again_label;

pub(super) fn toast(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let line = if frame.toast.height > 0 { frame.toast } else { frame.footer };
    if line.height == 0 {
        return;
    }
    if let Some(toast) = &model.toast {
        let (sign, role) = match toast.tone {
            Tone::Good => ("✓", Role::Good),
            Tone::Note => ("!", Role::Note),
            Tone::Bad => ("✗", Role::Bad),
        };
        let x = pen.put(1, line.y, sign, role);
        let room = line.width.saturating_sub(x + 2);
        let x = pen.put_cut((x + 1, line.y), &toast.text, room, Role::Text);
        if let Some(undo) = model.undo.as_ref().filter(|_| toast.tone == Tone::Good) {
            let left = undo.until_ms.saturating_sub(model.now.mono_ms).div_ceil(1_000);
            let x = pen.put(x, line.y, " · press ", Role::Dim);
            pen.hit(
                Rect { x, y: line.y, width: line.width - x, height: 1 },
                Hit::Key(Action::Undo),
            );
            let key = model.keymap.key_of(Action::Undo, &[Context::Screen]).unwrap_or("u");
            let x = pen.put(x, line.y, key, Role::Key);
            let text = format!(" within {left}s to take them back");
            pen.put_cut((x, line.y), &text, line.width.saturating_sub(x + 1), Role::Dim);
        }
    } else if frame.toast.height > 0 {
        standing(pen, frame, model);
    }
}

/// The line that searches what is read, in the place of the toast; returns where its cursor is.
pub(super) fn search(pen: &mut Pen<'_>, frame: &Frame, line: &Line) -> Position {
    let area = if frame.toast.height > 0 { frame.toast } else { frame.footer };
    let mut pen = pen.within(area);
    pen.clear(Role::Text);
    let x = pen.put(1, area.y, "/ ", Role::Key);
    super::dialog::typed(&mut pen, (x, area.y), area.width.saturating_sub(x + 1), line)
}

/// What is said while no toast is.
fn standing(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let y = frame.toast.y;
    let gang = model.picture.as_ref().map(|picture| picture.gang);
    let counts = model.picture.as_ref().map(|picture| picture.master.counts);
    let master = model.picture.as_ref().map(|picture| &picture.master);
    let stuck = master.map_or("", |master| master.stuck.as_str());
    let mut role = Role::Dim;
    let trouble = master.map_or("", |master| master.trouble.as_str());
    let text = if !trouble.is_empty() && !is_refused(model) {
        role = Role::Bad;
        format!("✗ {trouble}")
    } else if let Some(text) = model.list().and_then(marked) {
        text
    } else if model.view.frozen.is_some() {
        "frozen · work goes on behind this picture · f follows again".to_owned()
    } else if gang.is_some_and(|gang| gang.up == 0) && model.is_up() {
        let open = counts.map_or(0, |counts| counts.open());
        let safe = if open > 0 { "; tasks are safe in the queue" } else { "" };
        format!("waiting for workers{safe}")
    } else if model.access == Access::ReadOnly {
        "read-only · nothing can be changed from this screen".to_owned()
    } else if !stuck.is_empty() && model.is_up() {
        role = Role::Note;
        let how = if model.list().is_some() { " · w says why" } else { "" };
        format!("! {stuck}{how}")
    } else {
        return;
    };
    pen.put_cut((1, y), &text, frame.toast.width.saturating_sub(2), role);
}

/// Says what actions are about while tasks are marked.
fn marked(list: &List) -> Option<String> {
    let count = list.marks.count(list.total).map(|n| crate::text::counted(n, "task", "tasks"));
    match (&list.marks, count) {
        (marks, _) if marks.is_empty() => None,
        (Marks::Tasks(_), Some(tasks)) => {
            Some(format!("{tasks} marked · actions apply to the marked ids, not to the cursor"))
        }
        (Marks::Matching(_), Some(tasks)) => {
            Some(format!("{tasks} marked, also those not in view · Space leaves one out"))
        }
        (_, None) => Some("a range of tasks is marked, also those not in view".to_owned()),
    }
}

pub(super) fn footer(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let line = frame.footer;
    let toast_here = frame.toast.height == 0 && model.toast.is_some();
    if line.height == 0 || toast_here {
        return;
    }
    let contexts = model.contexts();
    // Questions keep the line to themselves.
    let help = match contexts.contains(&Context::Confirm) || line.width < 24 {
        true => None,
        false => model.keymap.key_of(Action::Help, &contexts),
    };
    let mut right = line.width;
    if let Some(key) = help {
        right = line.width.saturating_sub(crate::text::width(key) as u16 + 7);
        let x = pen.put(right, line.y, key, Role::Key);
        pen.put(x + 1, line.y, "help", Role::Text);
        pen.hit(Rect { x: right, width: x + 5 - right, ..line }, Hit::Key(Action::Help));
    }
    let mut x = 1;
    for (chord, action, label) in entries(model, &contexts, frame.width) {
        let width = (crate::text::width(&chord) + 1 + crate::text::width(&label)) as u16;
        if x + width + 2 > right {
            continue;
        }
        let off = allowed::reason(model, action).is_some();
        let (key, text) = if off { (Role::Dim, Role::Dim) } else { (Role::Key, Role::Text) };
        pen.hit(Rect { x, width, ..line }, Hit::Key(action));
        x = pen.put(x, line.y, &chord, key);
        x = pen.put(x + 1, line.y, &label, text) + 2;
    }
}

/// Returns what the footer says, the most important first.
fn entries(model: &Model, contexts: &[Context], width: Width) -> Vec<(String, Action, String)> {
    let rows = model.keymap.rows();
    let mut found: Vec<&Row> = rows
        .iter()
        .filter(|row| row.binding.footer > 0 && contexts.contains(&row.context))
        .filter(|row| is_of_use(model, row.binding.action) && !is_shadowed(row, rows, contexts))
        .collect();
    // Where something is read, its keys come before those of every screen.
    let reads = contexts.iter().any(|at| matches!(at, Context::Reader | Context::Details));
    found.sort_by_key(|row| (reads && row.context == Context::Screen, row.binding.footer));
    let mut seen = Vec::new();
    let mut entries = Vec::new();
    for row in found {
        let (binding, action) = (row.binding, row.binding.action);
        if seen.contains(&action) {
            continue;
        }
        let Some(chord) = row.shown().first().copied() else { continue };
        seen.push(action);
        let chord = if chord == "F5" { "F5/Alt-Enter" } else { chord };
        entries.push((chord.to_owned(), action, label(model, action, binding.label, width)));
    }
    entries
}

/// Tells whether a nearer place gives the key another meaning.
fn is_shadowed(row: &Row, rows: &[Row], contexts: &[Context]) -> bool {
    let place = |other: &Row| contexts.iter().position(|at| other.context == *at);
    let shown = row.shown();
    rows.iter().any(|other| {
        other.binding.action != row.binding.action
            && place(other).is_some()
            && place(other) < place(row)
            && shown.first().is_some_and(|chord| other.shown().contains(chord))
    })
}

fn is_of_use(model: &Model, action: Action) -> bool {
    if action == Action::RetryNow {
        return matches!(model.link, LinkState::Lost { .. });
    }
    if action == Action::Back {
        return !model.overlays.is_empty()
            || model.reading.search_line.is_some()
            || model.has_pane();
    }
    if action == Action::Undo {
        return model.undo.is_some();
    }
    if action == Action::Streams {
        return model.details().is_some();
    }
    if action == Action::DetailsPane {
        return allowed::reason(model, action).is_none();
    }
    if action == Action::NextPane && model.has_pane() {
        return true;
    }
    if action == Action::Zoom || action == Action::NextPane {
        return model.screen == crate::model::Screen::Overview && !model.is_welcome();
    }
    if [Action::Drain, Action::Revoke, Action::Freeze, Action::PauseQueue].contains(&action) {
        return !model.is_welcome();
    }
    true
}

fn is_draining(model: &Model) -> bool {
    model.worker_row().is_some_and(|row| row.state == WorkerState::Draining)
}

fn label(model: &Model, action: Action, label: &str, width: Width) -> String {
    let marked = model.list().filter(|list| !list.marks.is_empty());
    let marked = marked.and_then(|list| list.marks.count(list.total));
    if action == Action::Again && width == Width::Full && !model.is_welcome() {
        again_label(model)
    } else if action == Action::PauseQueue && model.is_paused(&model.queue()) {
        "resume queue".to_owned()
    } else if action == Action::Again && model.is_welcome() {
        "10 random".to_owned()
    } else if action == Action::Drain && is_draining(model) {
        "undrain".to_owned()
    } else if action == Action::Freeze && model.view.frozen.is_some() {
        "follow".to_owned()
    } else if [Action::Retry, Action::Cancel, Action::Delete].contains(&action)
        && let Some(marked) = marked
    {
        format!("{label} {}", crate::text::short(marked))
    } else {
        label.to_owned()
    }
}
