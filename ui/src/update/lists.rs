//! What keys do to the looks of lists and where they lead: sorting, columns, saved filters, jumps.
//! Marks are in marks.rs, what is typed as a filter in filter.rs.

use ganger_proto::command::TaskDetail;
use ganger_proto::{Request, TaskId};

use super::{ask, copy, filter, marks, menu, save, tasks};
use crate::keymap::Action;
use crate::model::filter_line::terms;
use crate::model::menu::{Item, Menu, MenuThen};
use crate::model::overlay::Overlay;
use crate::model::save::SaveThen;
use crate::model::sorting::{self, CHOICES};
use crate::model::{Asked, Focus, Model, Screen, Tone};
use crate::msg::Effect;

/// Filters that may be saved.
const SAVED_MAX: usize = 100;
/// The letter of the order that results have by themselves.
const LIVE: char = 'n';
/// The term of a saved filter that says how its list is sorted.
const SORT_TERM: &str = "sort:";

type Act = fn(&mut Model, &mut Vec<Effect>);

const ACTS: [(Action, Act); 15] = [
    (Action::MarkRange, marks::range),
    (Action::MarkAll, |model, _| marks::all(model)),
    (Action::MarkInvert, |model, _| marks::invert(model)),
    (Action::SortBy, |model, _| sort_menu(model)),
    (Action::SortReverse, |model, _| reverse(model)),
    (Action::StateChip, |model, _| filter::next_state(model)),
    (Action::RetryAll, tasks::retry_all),
    (Action::Delete, tasks::delete),
    (Action::EditCopy, edit_copy),
    (Action::GoWorker, |model, _| go_worker(model)),
    (Action::GoBatch, |model, _| go_batch(model)),
    (Action::GoTask, |model, _| go_task(model)),
    (Action::CopyJson, copy::json),
    (Action::SaveView, |model, _| saved_menu(model)),
    (Action::Columns, |model, _| columns_menu(model)),
];

pub(super) fn act(model: &mut Model, action: Action, out: &mut Vec<Effect>) {
    if let Some((_, act)) = ACTS.iter().find(|(of, _)| *of == action) {
        act(model, out);
    }
}

/// Returns the word under which a list's looks are remembered; the overview's lists have none.
fn word(focus: Focus) -> Option<&'static str> {
    match focus {
        Focus::Tasks => Some("tasks"),
        Focus::Results => Some("results"),
        Focus::Next | Focus::Latest | Focus::Workers => None,
    }
}

/// Sorts the lists as it is remembered of them.
pub(super) fn sort_as_kept(model: &mut Model) {
    for (list, word) in [(&mut model.tasks, "tasks"), (&mut model.results, "results")] {
        let kept = model.kept.lists.get(word).map_or("", |kept| &kept.sort);
        list.set_sort(sorting::parse(kept));
    }
}

fn sort_menu(model: &mut Model) {
    filter::to_screen(model);
    let Some(list) = model.list() else { return };
    let sort = list.sorted_by();
    let mut items = Vec::new();
    if list.is_of_ended() {
        let text = "newest first, live".to_owned();
        let marked = list.is_natural();
        items.push(Item { key: Some(LIVE), text, marked, ..Item::default() });
    }
    for choice in CHOICES {
        let present = sort.filter(|sort| sort.key == choice.key && !list.is_live_when_whole());
        items.push(Item {
            key: Some(choice.letter),
            text: match present {
                Some(sort) => format!("{} {}", choice.label, sorting::arrow(sort.direction)),
                None => choice.label.to_owned(),
            },
            marked: present.is_some(),
            ..Item::default()
        });
    }
    menu::open(model, Menu::new("Sort by".to_owned(), items, MenuThen::Sort));
}

/// The sort of that letter; what is sorted so already is turned round.
pub(super) fn sort_chosen(model: &mut Model, letter: Option<char>) {
    let Some(list) = model.list() else { return };
    let Some(choice) = CHOICES.iter().find(|choice| Some(choice.letter) == letter) else {
        return keep_sort(model, "");
    };
    let present = list.sorted_by();
    let present = present.filter(|s| s.key == choice.key && !list.is_live_when_whole());
    let sort = match present {
        Some(present) => Some(sorting::reversed(present)),
        None => sorting::parse(choice.key.word()),
    };
    keep_sort(model, &sort.map(sorting::words).unwrap_or_default());
}

fn reverse(model: &mut Model) {
    filter::to_screen(model);
    let Some(list) = model.list() else { return };
    let sort = list.sorted_by().or_else(|| sorting::parse("since"));
    keep_sort(model, &sort.map(sorting::reversed).map(sorting::words).unwrap_or_default());
}

/// Remembers a sort. The order that tasks have by themselves needs no words.
fn keep_sort(model: &mut Model, sort: &str) {
    if let Some(word) = model.focus().and_then(word) {
        let sort = if word == "tasks" && sort == "id rising" { "" } else { sort };
        model.kept.lists.entry(word.to_owned()).or_default().sort = sort.to_owned();
        sort_as_kept(model);
    }
}

/// Sorts the list in view, else the tasks: `took`, `took falling`, or nothing for its own order.
pub(crate) fn sort_by(model: &mut Model, text: &str) -> Result<(), String> {
    let text = text.trim();
    if !text.is_empty() && sorting::parse(text).is_none() {
        let words = CHOICES.map(|choice| choice.key.word()).join(" ");
        return Err(format!(
            "a list is not sorted by `{text}`; it is by one of {words}, with rising or falling"
        ));
    }
    to_list(model);
    let sort = sorting::parse(text).map(sorting::words).unwrap_or_default();
    keep_sort(model, &sort);
    Ok(())
}

/// A click on a column's title: sorts by it, or the other way round. Titles of what nothing can be
/// sorted by do nothing, nor do those of the overview, whose lists have an order of their own.
pub(super) fn sort_by_title(model: &mut Model, title: &str) {
    if !matches!(model.focus(), Some(Focus::Tasks | Focus::Results)) {
        return;
    }
    let word = match title.trim() {
        "PRI" => "priority".to_owned(),
        "SINCE" | "TIME" | "DONE" => "since".to_owned(),
        other => other.to_ascii_lowercase(),
    };
    let choice = CHOICES.iter().find(|choice| choice.key.word() == word);
    if let Some(letter) = choice.map(|choice| choice.letter) {
        sort_chosen(model, Some(letter));
    }
}

/// Shows a list that takes filters and sorts.
fn to_list(model: &mut Model) {
    filter::to_screen(model);
    if model.focus().and_then(word).is_none() {
        super::keys::show(model, Screen::Tasks);
    }
}

fn columns_menu(model: &mut Model) {
    filter::to_screen(model);
    let Some(word) = model.focus().and_then(word) else { return };
    let hidden = model.kept.lists.get(word).map(|kept| kept.hidden.as_slice()).unwrap_or_default();
    let items = crate::view::columns(word)
        .into_iter()
        .map(|column| Item {
            key: None,
            text: column.to_owned(),
            note: String::new(),
            marked: !hidden.iter().any(|hidden| hidden.eq_ignore_ascii_case(column)),
        })
        .collect();
    menu::open(model, Menu::new("Columns shown".to_owned(), items, MenuThen::Columns));
}

/// Shows the column again or hides it; the menu stays, since one is seldom all.
pub(super) fn column_chosen(model: &mut Model, at: usize, column: &str) {
    if let Err(why) = toggle_column(model, column) {
        return model.say(Tone::Bad, why);
    }
    columns_menu(model);
    menu::put_cursor(model, at);
}

/// Hides a column of the list in view, else of the tasks, or shows it again.
pub(crate) fn toggle_column(model: &mut Model, column: &str) -> Result<(), String> {
    to_list(model);
    let Some(word) = model.focus().and_then(word) else { return Ok(()) };
    let known = crate::view::columns(word);
    if !known.iter().any(|known| known.eq_ignore_ascii_case(column)) {
        return Err(format!("no column is called `{column}`; they are {}", known.join(" ")));
    }
    let column = column.to_ascii_lowercase();
    let hidden = &mut model.kept.lists.entry(word.to_owned()).or_default().hidden;
    match hidden.iter().position(|hidden| *hidden == column) {
        Some(at) => drop(hidden.remove(at)),
        None => hidden.push(column),
    }
    Ok(())
}

/// Ctrl-S: saves what the list shows under a name, or shows what was saved.
fn saved_menu(model: &mut Model) {
    // Where a filter is typed, the last good one is meant, and the line would not follow another.
    if matches!(model.overlays.last(), Some(Overlay::Filter(_))) {
        model.overlays.pop();
    }
    filter::to_screen(model);
    let mut items = Vec::new();
    let present = saved_text(model);
    if !present.is_empty() {
        let (text, note) = ("save this one under a name".to_owned(), present.clone());
        items.push(Item { key: Some('s'), text, note, marked: false });
    }
    for (name, filter) in &model.kept.filters {
        let marked = *filter == present;
        let (text, note) = (name.clone(), filter.clone());
        items.push(Item { key: None, text, note, marked });
    }
    if !model.kept.filters.is_empty() {
        let (text, note) = ("forget one".to_owned(), String::new());
        items.push(Item { key: Some('x'), text, note, marked: false });
    }
    if items.is_empty() {
        return model.say(Tone::Note, "set a filter with / or sort with s; Ctrl-S then saves it");
    }
    menu::open(model, Menu::new("Saved filters".to_owned(), items, MenuThen::Saved));
}

/// Returns the filter and sort of the list in view as they are saved.
fn saved_text(model: &Model) -> String {
    let Some(list) = model.list() else { return String::new() };
    let text = terms(&list.filter_text).join(" ");
    match list.sorted_by().filter(|_| !list.is_natural()) {
        Some(sort) => {
            let sort = sorting::words(sort).replace(' ', "-");
            format!("{text} {SORT_TERM}{sort}").trim_start().to_owned()
        }
        None => text,
    }
}

pub(super) fn saved_chosen(model: &mut Model, chosen: &Item) {
    match chosen.key {
        Some('s') => save::open(model, "Save this filter", "", SaveThen::Filter),
        Some(_) => forget_menu(model),
        None => {
            if let Err(why) = apply_filter(model, &chosen.note) {
                model.say(Tone::Bad, why);
            }
        }
    }
}

fn forget_menu(model: &mut Model) {
    let item = |(name, filter): (&String, &String)| Item {
        text: name.clone(),
        note: filter.clone(),
        ..Item::default()
    };
    let items = model.kept.filters.iter().map(item).collect();
    menu::open(model, Menu::new("Forget a saved filter".to_owned(), items, MenuThen::Forget));
}

pub(super) fn forget(model: &mut Model, name: &str) {
    if model.kept.filters.remove(name).is_some() {
        model.say(Tone::Good, format!("filter `{name}` is forgotten"));
    }
}

pub(super) fn save_as(model: &mut Model, name: String) {
    if model.kept.filters.len() >= SAVED_MAX && !model.kept.filters.contains_key(&name) {
        let text = format!("{SAVED_MAX} filters are saved; forget one first (Ctrl-S x)");
        return model.say(Tone::Note, text);
    }
    let text = saved_text(model);
    model.say(Tone::Good, format!("saved as `{name}`; Ctrl-S shows what is saved"));
    model.kept.filters.insert(name, text);
}

/// Sets the filter of the list in view, else of the tasks; a term like `sort:took-falling` sorts
/// it too.
pub(crate) fn apply_filter(model: &mut Model, text: &str) -> Result<(), String> {
    to_list(model);
    let (sorts, words): (Vec<&str>, Vec<&str>) =
        terms(text).into_iter().partition(|term| term.starts_with(SORT_TERM));
    let Some(list) = model.list_mut() else { return Ok(()) };
    filter::set(list, words.join(" "))?;
    let sort = sorts.first().and_then(|term| term.strip_prefix(SORT_TERM)).unwrap_or_default();
    sort_by(model, &sort.replace('-', " "))
}

fn edit_copy(model: &mut Model, out: &mut Vec<Effect>) {
    if let Some(task) = model.list().and_then(|list| list.cursor()) {
        ask(model, Request::Show { task }, Asked::EditCopy(task), out);
    }
}

/// The task whose copy is to be edited has come.
pub(super) fn edit(model: &mut Model, detail: Box<TaskDetail>) {
    super::prefill(model, &detail);
}

fn go_worker(model: &mut Model) {
    let Some(task) = model.list().and_then(|list| list.cursor()) else { return };
    let of_task = model.task_rows().iter().find(|row| row.task == task).map(|row| &row.worker);
    let of_result = model.result_rows().iter().find(|row| row.task == task).map(|row| &row.worker);
    let worker = of_task.or(of_result).cloned().unwrap_or_default();
    if worker.is_empty() {
        return model.say(Tone::Note, "no worker has run it yet");
    }
    let row = model.worker_rows().iter().find(|row| row.name.as_str() == worker);
    let Some(name) = row.map(|row| row.name.clone()) else {
        return model.say(Tone::Note, format!("worker {worker} is not known any more"));
    };
    model.worker = Some(name);
    super::keys::show(model, Screen::Workers);
}

fn go_batch(model: &mut Model) {
    let Some(task) = model.list().and_then(|list| list.cursor()) else { return };
    let of_task = model.task_rows().iter().find(|row| row.task == task).map(|row| row.batch);
    let of_result = model.result_rows().iter().find(|row| row.task == task).map(|row| row.batch);
    let Some(batch) = of_task.or(of_result) else { return };
    super::keys::show(model, Screen::Tasks);
    if let Err(why) = filter::set(&mut model.tasks, format!("batch:{batch}")) {
        model.say(Tone::Bad, why);
    }
}

/// The task of a result, or one whose number is typed.
fn go_task(model: &mut Model) {
    match model.focus() {
        Some(Focus::Results | Focus::Latest) => {
            if let Some(task) = model.list().and_then(|list| list.cursor()) {
                show_task(model, task);
            }
        }
        Some(Focus::Tasks | Focus::Next | Focus::Workers) | None => {
            save::open(model, "Go to a task", "", SaveThen::GoTask);
        }
    }
}

pub(super) fn go_typed(model: &mut Model, text: &str) {
    match text.replace(' ', "").parse::<u64>() {
        Ok(id) => show_task(model, TaskId::new(id)),
        Err(_) => model.say(Tone::Bad, format!("`{text}` is no task's number, such as 60498")),
    }
}

/// Shows a task on its screen among its neighbours.
pub(crate) fn show_task(model: &mut Model, task: TaskId) {
    super::keys::show(model, Screen::Tasks);
    filter::clear(model);
    keep_sort(model, "");
    model.tasks.go_to(task);
}

#[cfg(test)]
mod tests;
