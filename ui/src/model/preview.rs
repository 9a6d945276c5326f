//! What a batch will be, for people: a task of it, and its bytes. Draws nothing.

use ganger_proto::template::{expand_argv, expand_line};
use ganger_proto::{Args, Kind};

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
    let text = match &batch.head.spec.kind {
        Kind::Square => format!("square {}", String::from_utf8_lossy(&argument)),
        Kind::Sleep => format!("sleep {}", String::from_utf8_lossy(&argument)),
        Kind::Handler { name } => format!("{name} {}", String::from_utf8_lossy(&argument)),
        Kind::Shell { line } => {
            String::from_utf8_lossy(&expand_line(line, value, index + 1)).into_owned()
        }
        Kind::Exec { argv } => {
            let words = expand_argv(argv, value, index + 1);
            let quoted = words.iter().map(|word| quoted(&String::from_utf8_lossy(word)));
            quoted.collect::<Vec<_>>().join(" ")
        }
    };
    crate::text::clean(&text)
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
