//! What a batch will be, for people: a task of it, and its bytes. Draws nothing.

use ganger_proto::command::TaskDetail;
use ganger_proto::picture::{WorkerRow, WorkerState};
use ganger_proto::template::{Values, expand_argv, expand_line};
use ganger_proto::{Args, Kind, Lane, Placement, Spec};

use super::Model;
use super::form::quoted;
use super::submission::Batch;

/// Returns what one task of the batch will run.
pub(crate) fn preview(batch: &Batch, index: u64) -> String {
    let mut argument = Vec::new();
    batch.args.write(index, &mut argument);
    let value = match batch.args {
        Args::Repeat { .. } => None,
        Args::Listed(_) | Args::Range { .. } => Some(argument.as_slice()),
    };
    let values = Values::new(&batch.head.spec.form, value, index + 1);
    let text = match &batch.head.spec.kind {
        Kind::Square => format!("square {}", String::from_utf8_lossy(&argument)),
        Kind::Sleep => format!("sleep {}", String::from_utf8_lossy(&argument)),
        Kind::Handler { name } => format!("{name} {}", String::from_utf8_lossy(&argument)),
        Kind::Shell { line } => String::from_utf8_lossy(&expand_line(line, &values)).into_owned(),
        Kind::Exec { argv } => {
            let words = expand_argv(argv, &values);
            let quoted = words.iter().map(|word| quoted(&String::from_utf8_lossy(word)));
            quoted.collect::<Vec<_>>().join(" ")
        }
    };
    crate::text::clean(&text)
}

/// Returns what a task runs, with its argument in its place.
pub(crate) fn command(detail: &TaskDetail) -> String {
    let form = &detail.spec.form;
    let mut shown = Vec::new();
    form.show(&detail.argument, &mut shown);
    let argument = (!detail.argument.is_empty()).then_some(detail.argument.as_slice());
    let values = Values::new(form, argument, detail.index + 1);
    let text = match &detail.spec.kind {
        Kind::Square | Kind::Sleep => String::from_utf8_lossy(&shown).into_owned(),
        Kind::Handler { name } => format!("{name} {}", String::from_utf8_lossy(&shown)),
        Kind::Shell { line } => String::from_utf8_lossy(&expand_line(line, &values)).into_owned(),
        Kind::Exec { argv } => expand_argv(argv, &values)
            .iter()
            .map(|word| quoted(&String::from_utf8_lossy(word)))
            .collect::<Vec<_>>()
            .join(" "),
    };
    crate::text::clean(&text)
}

/// How many of the connected workers fit what a batch asks of them.
pub(crate) struct Fit {
    /// Whether the rows of workers tell all that it asks for: they name no handlers and resources.
    pub(crate) known: bool,
    pub(crate) fitting: usize,
    pub(crate) here: usize,
}

/// Returns how many workers fit; nothing when every worker does or the picture has not all of them.
pub(crate) fn fitting(model: &Model, spec: &Spec) -> Option<Fit> {
    let place = &spec.place;
    let is_handler = matches!(spec.kind, Kind::Handler { .. });
    let window = model.picture.as_ref()?.workers.as_ref()?;
    if *place == Placement::default() || window.rows.len() as u64 != window.total {
        return None;
    }
    let is_here = |row: &&WorkerRow| row.state == WorkerState::Up;
    let fits = |row: &&WorkerRow| {
        let slots = match place.lane {
            Some(Lane::Io) => row.io_slots >= 1,
            Some(Lane::Cpu) => row.slots >= place.slots(),
            None if is_handler => row.slots.max(row.io_slots) >= place.slots(),
            None => row.slots >= place.slots(),
        };
        slots && place.on.iter().all(|label| row.labels.contains(label))
    };
    let here = || window.rows.iter().filter(is_here);
    Some(Fit {
        known: !is_handler && place.beside_slots().next().is_none(),
        fitting: here().filter(fits).count(),
        here: here().count(),
    })
}

/// Returns about how many bytes go to the master.
pub(crate) fn bytes_of(batch: &Batch) -> u64 {
    let spec = &batch.head.spec;
    let command = match &spec.kind {
        Kind::Square | Kind::Sleep => 8,
        Kind::Handler { name } => name.as_str().len(),
        Kind::Shell { line } => line.source().len(),
        Kind::Exec { argv } => argv.iter().map(|word| word.source().len() + 1).sum(),
    };
    let env: usize = spec.env.iter().map(|(key, value)| key.len() + value.len() + 2).sum();
    let args = match &batch.args {
        Args::Listed(list) => list.total_bytes() + 2 * list.len(),
        Args::Range { .. } | Args::Repeat { .. } => 24,
    };
    (64 + command + env + args + batch.head.options.name.len()) as u64
}
