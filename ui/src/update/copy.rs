//! `y` on a list: a menu of what of the task under the cursor goes on the clipboard; `Y`: its row
//! as JSON.

use ganger_proto::picture::{ResultRow, TaskRow};

use super::menu;
use crate::model::menu::{Item, Menu, MenuThen};
use crate::model::{Model, Tone};
use crate::msg::Effect;

/// Opens the menu; tells whether there is a task to copy from.
pub(super) fn open(model: &mut Model) -> bool {
    let Some(task) = model.list().and_then(|list| list.cursor()) else { return false };
    let mut items = Vec::new();
    let mut offer = |key: char, what: &str, text: String| {
        if !text.is_empty() {
            items.push(Item { key: Some(key), text: what.to_owned(), note: text, marked: false });
        }
    };
    let of_task = model.task_rows().iter().find(|row| row.task == task);
    let of_result = model.result_rows().iter().find(|row| row.task == task);
    if let Some(row) = of_task {
        offer('c', "command", row.command.clone());
    }
    if let Some(row) = of_result {
        offer('o', "output", row.text.clone());
    }
    offer('i', "id", task.to_string());
    if let Some(text) = of_task.map(task_line).or_else(|| of_result.map(result_line)) {
        offer('r', "row", text);
    }
    offer('s', "show line", format!("ganger show {task}"));
    menu::open(model, Menu::new("Copy".to_owned(), items, MenuThen::Copy));
    true
}

fn task_line(row: &TaskRow) -> String {
    let mut parts = vec![
        row.task.to_string(),
        row.state.word().to_owned(),
        row.kind.clone(),
        row.command.clone(),
        row.worker.clone(),
        format!("{}/{}", row.attempt, row.attempts_max),
    ];
    parts.extend(row.outcome.map(|outcome| outcome.to_string()));
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

fn result_line(row: &ResultRow) -> String {
    let mut parts = vec![
        row.task.to_string(),
        row.state.word().to_owned(),
        row.kind.clone(),
        row.worker.clone(),
    ];
    parts.extend(row.outcome.map(|outcome| outcome.to_string()));
    parts.push(row.text.clone());
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

pub(super) fn json(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(task) = model.list().and_then(|list| list.cursor()) else { return };
    let of_task = model.task_rows().iter().find(|row| row.task == task).map(serde_json::to_string);
    let of_result =
        || model.result_rows().iter().find(|row| row.task == task).map(serde_json::to_string);
    match of_task.or_else(of_result) {
        Some(Ok(text)) => out.push(Effect::Copy(text)),
        Some(Err(error)) => model.say(Tone::Bad, format!("the row cannot be written: {error}")),
        None => model.say(Tone::Note, "its row is not here yet"),
    }
}
