//! The last two lines: the sentence that goes away by itself, and the keys of this place.

use ganger_proto::picture::WorkerState;

use super::is_refused;
use super::pen::Pen;
use crate::keymap::{Action, Context, keys, shown};
use crate::layout::{Frame, Width};
use crate::model::{LinkState, Model, Tone, allowed};
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
        if let Some(undo) = model.undo.filter(|_| toast.tone == Tone::Good) {
            let left = undo.until_ms.saturating_sub(model.now.mono_ms).div_ceil(1_000);
            let x = pen.put(x, line.y, " · press ", Role::Dim);
            let x = pen.put(x, line.y, "u", Role::Key);
            let text = format!(" within {left}s to take them back");
            pen.put_cut((x, line.y), &text, line.width.saturating_sub(x + 1), Role::Dim);
        }
    } else if frame.toast.height > 0 {
        standing(pen, frame, model);
    }
}

/// What is said while no toast is.
fn standing(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let y = frame.toast.y;
    let marked = model.list().map_or(0, |list| list.marks.len());
    let gang = model.picture.as_ref().map(|picture| picture.gang);
    let counts = model.picture.as_ref().map(|picture| picture.master.counts);
    let master = model.picture.as_ref().map(|picture| &picture.master);
    let stuck = master.map_or("", |master| master.stuck.as_str());
    let mut role = Role::Dim;
    let trouble = master.map_or("", |master| master.trouble.as_str());
    let text = if !trouble.is_empty() && !is_refused(model) {
        role = Role::Bad;
        format!("✗ {trouble}")
    } else if marked > 0 {
        let tasks = crate::text::counted(marked as u64, "task", "tasks");
        format!("{tasks} marked · actions apply to the marked ids, not to the cursor")
    } else if model.view.frozen.is_some() {
        "frozen · work goes on behind this picture · f follows again".to_owned()
    } else if gang.is_some_and(|gang| gang.up == 0) && model.is_up() {
        let open = counts.map_or(0, |counts| counts.open());
        let safe = if open > 0 { "; tasks are safe in the queue" } else { "" };
        format!("waiting for workers{safe}")
    } else if !stuck.is_empty() && model.is_up() {
        role = Role::Note;
        let how = if model.list().is_some() { " · w says why" } else { "" };
        format!("! {stuck}{how}")
    } else {
        return;
    };
    pen.put_cut((1, y), &text, frame.toast.width.saturating_sub(2), role);
}

pub(super) fn footer(pen: &mut Pen<'_>, frame: &Frame, model: &Model) {
    let line = frame.footer;
    let toast_here = frame.toast.height == 0 && model.toast.is_some();
    if line.height == 0 || toast_here {
        return;
    }
    let contexts = model.contexts();
    let help = contexts.iter().any(|context| !context.takes_text() && *context != Context::Help);
    let mut right = line.width;
    if help && line.width >= 24 && !contexts.contains(&Context::Confirm) {
        right = line.width - 8;
        pen.put(right, line.y, "?", Role::Key);
        pen.put(right + 2, line.y, "help", Role::Text);
    }
    let mut x = 1;
    for (chord, action, label) in entries(model, &contexts, frame.width) {
        let width = (crate::text::width(&chord) + 1 + crate::text::width(&label)) as u16;
        if x + width + 2 > right {
            continue;
        }
        let off = allowed::reason(model, action).is_some();
        let (key, text) = if off { (Role::Dim, Role::Dim) } else { (Role::Key, Role::Text) };
        x = pen.put(x, line.y, &chord, key);
        x = pen.put(x + 1, line.y, &label, text) + 2;
    }
}

/// Returns what the footer says, the most important first.
fn entries(model: &Model, contexts: &[Context], width: Width) -> Vec<(String, Action, String)> {
    let mut found: Vec<_> = keys()
        .filter(|binding| binding.footer > 0)
        .filter(|binding| binding.contexts.iter().any(|context| contexts.contains(context)))
        .filter(|binding| is_of_use(model, binding.action))
        .collect();
    found.sort_by_key(|binding| binding.footer);
    let mut seen = Vec::new();
    found.retain(|binding| {
        let is_first = !seen.contains(&binding.action);
        seen.push(binding.action);
        is_first
    });
    found
        .into_iter()
        .map(|binding| {
            let chord = shown(binding.chords[0]);
            let chord = if chord == "F5" { "F5/Alt-Enter".to_owned() } else { chord };
            (chord, binding.action, label(model, binding.action, binding.label, width))
        })
        .collect()
}

fn is_of_use(model: &Model, action: Action) -> bool {
    if action == Action::RetryNow {
        return matches!(model.link, LinkState::Lost { .. });
    }
    if action == Action::Back {
        return !model.overlays.is_empty();
    }
    if action == Action::Undo {
        return model.undo.is_some();
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
    let marked = model.list().map_or(0, |list| list.marks.len());
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
    } else if [Action::Retry, Action::Cancel].contains(&action) && marked > 0 {
        format!("{label} {marked}")
    } else {
        label.to_owned()
    }
}
