//! What keys do to the marks of a list: one by one, from here to there, all that match, the others.

use ganger_proto::picture::{Order, SortKey};
use ganger_proto::{Request, TaskId};

use super::{ask, bulk};
use crate::model::marks::{Marked, Marks, Matching, Range};
use crate::model::{Asked, Focus, Model, Tone};
use crate::msg::Effect;
use crate::text::grouped;

/// Returns what the rows in view say about a task.
pub(super) fn seen(model: &Model, task: TaskId) -> Option<Marked> {
    let of_task = model.task_rows().iter().find(|row| row.task == task);
    let of_result = model.result_rows().iter().find(|row| row.task == task);
    let in_tasks = of_task.map(|row| Marked { state: row.state, priority: row.priority });
    in_tasks.or_else(|| of_result.map(|row| Marked { state: row.state, priority: 0 }))
}

/// Space: marks the task under the cursor, or takes its mark away, and moves on.
pub(super) fn toggle(model: &mut Model) {
    let Some(task) = model.list().and_then(|list| list.cursor()) else { return };
    let Some(seen) = seen(model, task) else { return };
    if let Some(list) = model.list_mut() {
        list.toggle_mark(task, seen);
        list.selected = Some(task);
        list.move_by(1);
    }
}

/// `v`: marks from the last mark to the cursor. What reaches beyond the rows here is marked on the
/// master by its ids, while the list is in their order.
pub(super) fn range(model: &mut Model, out: &mut Vec<Effect>) {
    let Some((cursor, anchor)) = model.list().and_then(|list| {
        let cursor = list.cursor()?;
        Some((cursor, list.anchor.filter(|anchor| *anchor != cursor)))
    }) else {
        return;
    };
    let Some(anchor) = anchor else { return begin_range(model, cursor) };
    let Some(list) = model.list() else { return };
    let place = |task| list.ids.iter().position(|id| *id == task);
    match (place(anchor), place(cursor)) {
        (Some(a), Some(b)) => {
            let between: Vec<TaskId> = list.ids[a.min(b)..=a.max(b)].to_vec();
            mark_all_of(model, &between);
        }
        (Some(_) | None, _) => far_range(model, anchor, cursor, out),
    }
}

fn begin_range(model: &mut Model, cursor: TaskId) {
    let seen = seen(model, cursor);
    if let (Some(list), Some(seen)) = (model.list_mut(), seen) {
        if !list.marks.has(cursor) {
            list.marks.toggle(cursor, seen);
        }
        list.selected = Some(cursor);
        list.anchor = Some(cursor);
        model.say(Tone::Note, "a range begins here; v at its other end marks it");
    }
}

fn mark_all_of(model: &mut Model, tasks: &[TaskId]) {
    let known: Vec<_> =
        tasks.iter().filter_map(|task| Some((*task, seen(model, *task)?))).collect();
    if let Some(list) = model.list_mut() {
        for (task, seen) in known {
            if !list.marks.has(task) {
                list.marks.toggle(task, seen);
            }
        }
    }
}

fn far_range(model: &mut Model, anchor: TaskId, cursor: TaskId, out: &mut Vec<Effect>) {
    let focus = model.focus();
    let Some(list) = model.list_mut() else { return };
    let by_id = matches!(list.order(), Order::By(sort) if sort.key == SortKey::Id);
    if !by_id {
        let why = "the range is longer than the rows here; sort by id first (s i), or mark all (A)";
        return model.say(Tone::Note, why);
    }
    let (from, to) = (anchor.min(cursor), anchor.max(cursor));
    let range = Range { from, to, count: None };
    let matching = Matching { range: Some(range), ..Matching::default() };
    let text = list.matching(&matching);
    list.marks = Marks::Matching(matching);
    let filter = match bulk::and(&text, "") {
        Ok(filter) => filter,
        Err(why) => {
            list.marks.clear();
            return model.say(Tone::Note, why);
        }
    };
    if let (Some(focus), true) = (focus, filter.is_indexed()) {
        let request = Request::List { filter, after: TaskId::new(0), rows: 0 };
        ask(model, request, Asked::CountRange(focus), out);
    }
    let (from, to) = (grouped(from.raw()), grouped(to.raw()));
    model.say(Tone::Good, format!("marked: what the list has from {from} to {to}"));
}

/// The master has counted a range.
pub(super) fn counted(model: &mut Model, focus: Focus, count: u64) {
    let list = match focus {
        Focus::Tasks => &mut model.tasks,
        Focus::Results => &mut model.results,
        Focus::Next | Focus::Latest | Focus::Workers => return,
    };
    if let Marks::Matching(Matching { range: Some(range), .. }) = &mut list.marks {
        range.count = Some(count);
    }
}

/// `A`: marks all that match, also those that the master alone knows.
pub(super) fn all(model: &mut Model) {
    match model.list_mut() {
        Some(list) if list.total > 0 => list.marks = Marks::Matching(Matching::default()),
        Some(_) | None => model.say(Tone::Note, "there is nothing to mark"),
    }
}

/// `*`: marks the others.
pub(super) fn invert(model: &mut Model) {
    let Some(list) = model.list_mut().filter(|list| list.total > 0) else {
        return model.say(Tone::Note, "there is nothing to mark");
    };
    let before = list.marks.clone();
    let inverted = list.marks.invert().map_err(str::to_owned);
    let sayable = inverted.and_then(|()| match &list.marks {
        Marks::Tasks(_) => Ok(()),
        Marks::Matching(marks) => match bulk::and(&list.matching(marks), "") {
            Ok(_) => Ok(()),
            Err(_) => {
                Err("so many single tasks cannot be left out of all; filter instead".to_owned())
            }
        },
    });
    if let Err(why) = sayable {
        list.marks = before;
        model.say(Tone::Note, why);
    }
}
