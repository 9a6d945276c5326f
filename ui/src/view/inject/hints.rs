//! What is said of the fields: what an empty one means, and a line on the one with the cursor.

use std::collections::BTreeSet;

use super::super::pen::{Piece, piece};
use crate::model::Model;
use crate::model::form::{Field, FormKind};
use crate::text::{clean, grouped};
use crate::theme::Role;

/// Returns what an empty field means.
pub(super) fn unset(field: Field) -> &'static str {
    if field == Field::Timeout {
        "none"
    } else if field == Field::Key {
        "random"
    } else if field == Field::NotBefore {
        "at once"
    } else if field == Field::Env {
        "NAME=VALUE NAME2='two words'"
    } else if field == Field::Labels {
        "stage=prod job=thumbs"
    } else if field == Field::Name {
        "of the batch"
    } else if field == Field::Value {
        "what {} stands for"
    } else if field == Field::On {
        "any worker"
    } else if field == Field::Needs {
        "one slot"
    } else if [Field::Jobs, Field::Rate].contains(&field) {
        "no limit"
    } else if field == Field::After {
        "no other batch"
    } else {
        ""
    }
}

/// Returns a line about the field under the cursor.
pub(super) fn hint(model: &Model) -> Vec<Piece> {
    let dim = |text: &str| vec![piece(text, Role::Dim)];
    let form = &model.form;
    match form.focus {
        Field::Kind => dim(kind_hint(form.kind)),
        Field::Source => dim("where the tasks' arguments come from; every argument is a task"),
        Field::Command => template_hint(),
        Field::Handler => dim("a warm process of workers that have `--handler NAME=COMMAND`"),
        Field::Form => dim("text: as it is written · json: numbers, lists, {\"width\": 64}"),
        Field::List if !form.kind.has_command() => dim("every line is a task"),
        Field::Value | Field::Range | Field::Random => match form.kind.has_command() {
            true => dim("the argument, {} in the command"),
            false => dim("the argument of each task"),
        },
        Field::Repeat => dim("the same task this often, without an argument"),
        Field::List => dim("every line is a task; {} in the command is the line"),
        Field::File => dim("a file on this screen's machine; every line is a task"),
        Field::Glob => dim("names on this screen's machine, such as img/*.png or logs/*/*.log"),
        Field::Priority => dim("+ and - change it; higher goes first, below 0 after the rest"),
        Field::Timeout => dim("how long one attempt may run: 30s, 10m, 2h; empty is no limit"),
        Field::Retries => dim("tries after the first failure"),
        Field::Backoff => dim("the first and the longest wait between tries, doubled each time"),
        Field::Queue => queues(model),
        Field::NotBefore => dim("start no task before: 10m from now, 22:00, or a UTC moment"),
        Field::Key => dim("the same key is the same batch, so it can be sent twice safely"),
        Field::Env => dim("variables for the tasks; values are not kept in the history"),
        Field::Cwd => dim("a path that the workers have · scratch: a fresh one each · worker"),
        Field::Name => dim("what people call the batch"),
        Field::Labels => dim("to find it again: label:stage=prod in a filter"),
        Field::Lane => dim("auto: the handler's own, else cpu · io: for what mostly waits"),
        Field::Needs => dim("cpu=2,mem=4G,gpu=1: only workers that have so much run it"),
        Field::On => labels(model),
        Field::Jobs => dim("how many may run at once, over all workers together"),
        Field::Rate => dim("how many may start, over all workers: 10/s, 90/m, 5/10s"),
        Field::After => after(model),
    }
}

const fn kind_hint(kind: FormKind) -> &'static str {
    match kind {
        FormKind::Square | FormKind::Shell | FormKind::Exec => {
            "shell runs sh -c LINE · exec runs a program · square answers n * n"
        }
        FormKind::Sleep => "sleep only waits: to try slots, limits and priorities",
        FormKind::Handler => "handler: a process that workers keep warm from task to task",
    }
}

/// Labels that workers have.
fn labels(model: &Model) -> Vec<Piece> {
    let rows = model.worker_rows().iter();
    let known: BTreeSet<String> =
        rows.flat_map(|row| row.labels.iter().map(ToString::to_string)).collect();
    if known.is_empty() {
        return vec![piece("labels that the worker must have, as gpu=a100", Role::Dim)];
    }
    let known: Vec<String> = known.into_iter().take(8).collect();
    vec![piece("workers have: ", Role::Dim), piece(known.join(" "), Role::Text)]
}

fn after(model: &Model) -> Vec<Piece> {
    let newest = model.picture.as_ref().and_then(|picture| picture.master.newest_batch);
    let mut pieces = vec![piece("b12: all its tasks are done · b12:any: ended", Role::Dim)];
    if let Some(batch) = newest {
        pieces.push(piece(" · newest ", Role::Dim));
        pieces.push(piece(batch.to_string(), Role::Text));
    }
    pieces
}

fn template_hint() -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (sign, means) in [
        ("{}", " arg  "),
        ("{.}", " no ext  "),
        ("{/}", " base  "),
        ("{//}", " dir  "),
        ("{n:04}", " zeros  "),
        ("{#}", " number"),
    ] {
        pieces.push(piece(sign, Role::Replaced));
        pieces.push(piece(means, Role::Dim));
    }
    pieces
}

fn queues(model: &Model) -> Vec<Piece> {
    let rows = model.picture.as_ref().map_or(&[][..], |picture| &picture.queues);
    let mut pieces = vec![piece("queues: ", Role::Dim)];
    for row in rows.iter().take(8) {
        pieces.push(piece(clean(row.name.as_str()), Role::Text));
        let paused = if row.paused { ", paused" } else { "" };
        let queued = grouped(row.counts.queued);
        pieces.push(piece(format!(" ({queued} waiting{paused}) · "), Role::Dim));
    }
    pieces.push(piece("a new name makes one", Role::Dim));
    match rows.is_empty() {
        true => vec![piece("a new name makes a queue", Role::Dim)],
        false => pieces,
    }
}
