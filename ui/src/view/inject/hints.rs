//! What is said of the fields: what an empty one means, and a line on the one with the cursor.

use super::super::pen::{Piece, piece};
use crate::model::Model;
use crate::model::form::Field;
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
    } else {
        ""
    }
}

/// Returns a line about the field under the cursor.
pub(super) fn hint(model: &Model) -> Vec<Piece> {
    let dim = |text: &str| vec![piece(text, Role::Dim)];
    let form = &model.form;
    match form.focus {
        Field::Kind => dim("shell runs sh -c LINE · exec runs a program · square answers n * n"),
        Field::Source => dim("where the tasks' arguments come from; every argument is a task"),
        Field::Command => template_hint(),
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
    }
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
