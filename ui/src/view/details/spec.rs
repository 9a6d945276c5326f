//! What a task is: what it runs, where, within which limits, and the command line that would put
//! the same task in again.

use ganger_proto::command::TaskDetail;
use ganger_proto::form::{Columns, Paths};
use ganger_proto::spec::Then;
use ganger_proto::{Backoff, Cwd, Kind, Template};

use super::super::clock;
use super::super::pen::piece;
use super::Line;
use crate::model::Model;
use crate::model::form::quoted;
use crate::model::preview::command;
use crate::text::{bytes, clean, counted, grouped, seconds, wrap};
use crate::theme::Role;

/// Columns of the labels.
const LABEL: usize = 12;

pub(super) fn lines(model: &Model, detail: &TaskDetail, width: usize) -> Vec<Line> {
    let room = width.saturating_sub(LABEL + 4).max(8);
    let mut lines = Vec::new();
    for (label, value) in fields(model, detail) {
        for (i, row) in wrap(&value, room).into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            let role = if label == "command" { Role::Strong } else { Role::Text };
            let label = piece(format!("{label:<LABEL$}"), Role::Dim);
            lines.push(vec![label, piece(row, role)]);
        }
    }
    lines.push(Line::new());
    lines.push(vec![piece("the same task again:", Role::Dim)]);
    let rows = wrap(&command_line(detail), width.saturating_sub(6).max(8));
    lines.extend(rows.into_iter().map(|row| vec![piece(format!("  {row}"), Role::Token)]));
    lines
}

fn fields(model: &Model, detail: &TaskDetail) -> Vec<(&'static str, String)> {
    let (row, spec, options) = (&detail.row, &detail.spec, &detail.options);
    let at = |at| clock(at, model.utc_offset_min);
    let mut fields = Vec::new();
    let mut field = |label, value: String| fields.push((label, value));
    field("kind", kind(&spec.kind));
    field("command", command(detail));
    if let Some(template) = template(&spec.kind) {
        field("template", template);
    }
    arguments(detail, &mut field);
    if matches!(spec.kind, Kind::Exec { .. } | Kind::Shell { .. }) {
        field("directory", directory(&spec.cwd));
        for (i, (key, value)) in spec.env.iter().enumerate() {
            field(if i == 0 { "environment" } else { "" }, format!("{key}={value}"));
        }
    }
    field(
        "timeout",
        match spec.timeout_ms {
            0 => "none".to_owned(),
            ms => format!("{} for each attempt", seconds(ms)),
        },
    );
    field("retries", retries(detail));
    field("queue", format!("{}, priority {}", row.queue, row.priority));
    terms(detail, &mut field);
    if !options.labels.is_empty() {
        let labels = options.labels.iter().map(|(key, value)| format!("{key}={value}"));
        field("labels", labels.collect::<Vec<_>>().join("  "));
    }
    if let Some(moment) = options.not_before {
        field("not before", at(moment));
    }
    let place = grouped(detail.index + 1);
    let batch = match options.name.as_str() {
        "" => row.batch.to_string(),
        name => format!("{} “{name}”", row.batch),
    };
    field("batch", format!("{batch}, task {place} of it"));
    field("submitted", format!("{} by {}", at(row.submitted), detail.owner));
    fields
}

/// What the task's argument is, column by column when it has several.
fn arguments(detail: &TaskDetail, field: &mut impl FnMut(&'static str, String)) {
    let form = &detail.spec.form;
    let text = |bytes: &[u8]| clean(&String::from_utf8_lossy(bytes));
    let parts = form.fields(&detail.argument);
    match &form.columns {
        _ if detail.argument.is_empty() => {}
        Columns::Text => field("argument", text(parts.columns.first().copied().unwrap_or(b""))),
        Columns::Json => {
            let json = text(parts.columns.first().copied().unwrap_or(b""));
            field("argument", format!("{json}  (JSON)"));
        }
        Columns::Many { names, .. } => {
            for (at, column) in parts.columns.iter().enumerate() {
                let name = names.get(at).map_or(String::new(), |name| format!(" {}", clean(name)));
                let label = if at == 0 { "arguments" } else { "" };
                field(label, format!("{{{}}}{name}  {}", at + 1, text(column)));
            }
        }
    }
    let paths = match (form.paths, parts.seen) {
        (Paths::Unchecked, _) => return,
        (Paths::BelowRoots, _) => "checked: a file below the worker's roots".to_owned(),
        (Paths::AsSeen, None) => {
            "checked: a file below the worker's roots, as the submitter saw it".to_owned()
        }
        (Paths::AsSeen, Some(seen)) => format!(
            "checked: a file below the worker's roots, of {} bytes and as old as the submitter saw",
            grouped(seen.size)
        ),
    };
    field("path", paths);
}

/// Where the task may run, and on what terms its batch does; what was not asked for is left out.
fn terms(detail: &TaskDetail, field: &mut impl FnMut(&'static str, String)) {
    fn listed<T: ToString>(items: &[T]) -> String {
        items.iter().map(T::to_string).collect::<Vec<_>>().join("  ")
    }
    let (spec, options) = (&detail.spec, &detail.options);
    let lane = match spec.place.lane {
        Some(lane) => lane.to_string(),
        None if matches!(spec.kind, Kind::Handler { .. }) => "that of the handler".to_owned(),
        None => "cpu".to_owned(),
    };
    field("lane", lane);
    if !spec.place.needs.is_empty() {
        field("needs", listed(&spec.place.needs));
    }
    if !spec.place.on.is_empty() {
        field("on", format!("workers with {}", listed(&spec.place.on)));
    }
    if !options.after.is_empty() {
        let after = options.after.iter().map(|after| match after.then {
            Then::Done => format!("{} is done", after.batch),
            Then::Any => format!("{} has ended", after.batch),
        });
        field("after", after.collect::<Vec<_>>().join(", "));
    }
    if options.jobs_max > 0 {
        let tasks = counted(u64::from(options.jobs_max), "task", "tasks");
        field("at once", format!("{tasks} of the batch, over all workers"));
    }
    if let Some(rate) = options.rate {
        field("rate", format!("{rate} at most, over all workers"));
    }
    if spec.output_bytes_max > 0 {
        let kept = bytes(spec.output_bytes_max);
        field("output", format!("{kept} of each stream at most; more fails the attempt"));
    }
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Square => "square: n * n = n², in the worker itself".to_owned(),
        Kind::Sleep => "sleep: waits, in the worker itself".to_owned(),
        Kind::Exec { .. } => "exec: a program, without a shell".to_owned(),
        Kind::Shell { .. } => "shell: a line for sh -c".to_owned(),
        Kind::Handler { name } => format!("handler {name}: a process that workers keep warm"),
    }
}

/// The words before the argument has its place; none when nothing is replaced in them.
fn template(kind: &Kind) -> Option<String> {
    let source = |template: &Template| clean(&String::from_utf8_lossy(template.source()));
    match kind {
        Kind::Square | Kind::Sleep | Kind::Handler { .. } => None,
        Kind::Shell { line } => Some(source(line)),
        Kind::Exec { argv } => {
            Some(argv.iter().map(|word| quoted(&source(word))).collect::<Vec<_>>().join(" "))
        }
    }
}

fn directory(cwd: &Cwd) -> String {
    match cwd {
        Cwd::Directory(path) => clean(&String::from_utf8_lossy(path)),
        Cwd::Scratch => "a fresh one for each attempt".to_owned(),
        Cwd::Unset => "the worker's own".to_owned(),
    }
}

fn retries(detail: &TaskDetail) -> String {
    let Backoff { base_ms, cap_ms } = detail.options.backoff;
    let failed = match detail.failures {
        0 => String::new(),
        count => format!("; {} so far", counted(count.into(), "failure", "failures")),
    };
    match detail.options.retries {
        0 => format!("none{failed}"),
        count => format!(
            "{count} after the first failure, waiting {} to {} between{failed}",
            seconds(base_ms),
            seconds(cap_ms)
        ),
    }
}

/// Returns the command line that puts the same task in again. It names its number in the batch
/// nowhere, so templates that use it are written out.
pub(super) fn command_line(detail: &TaskDetail) -> String {
    let (spec, options) = (&detail.spec, &detail.options);
    let mut words = vec!["ganger submit".to_owned()];
    let mut option = |flag: &str, value: &str| words.push(format!("{flag} {}", quoted(value)));
    if matches!(spec.kind, Kind::Square | Kind::Sleep | Kind::Handler { .. }) {
        option("--kind", &spec.kind.to_string());
    }
    if !options.name.is_empty() {
        option("--name", &options.name);
    }
    for (key, value) in &options.labels {
        option("--label", &format!("{key}={value}"));
    }
    if options.queue.as_str() != "default" {
        option("--queue", options.queue.as_str());
    }
    if detail.row.priority != 0 {
        option("-p", &detail.row.priority.to_string());
    }
    if spec.timeout_ms > 0 {
        option("--timeout", &time(spec.timeout_ms));
    }
    if options.retries > 0 {
        option("--retries", &options.retries.to_string());
        let Backoff { base_ms, cap_ms } = options.backoff;
        if options.backoff != Backoff::default() {
            option("--backoff", &format!("{}..{}", time(base_ms), time(cap_ms)));
        }
    }
    placed(detail, &mut option);
    match &spec.cwd {
        Cwd::Directory(path) => option("--cwd", &String::from_utf8_lossy(path)),
        Cwd::Scratch => option("--cwd", "scratch"),
        Cwd::Unset => {}
    }
    for (key, value) in &spec.env {
        option("--env", &format!("{key}={value}"));
    }
    words.push(what(detail));
    clean(&words.join(" ").replace("  ", " "))
}

/// A duration as flags take it.
fn time(ms: u64) -> String {
    if ms.is_multiple_of(1_000) { format!("{}s", ms / 1_000) } else { format!("{ms}ms") }
}

/// Writes the options of what `terms` says.
fn placed(detail: &TaskDetail, option: &mut impl FnMut(&str, &str)) {
    let (place, options) = (&detail.spec.place, &detail.options);
    for after in &options.after {
        option("--after", &after.to_string());
    }
    if options.jobs_max > 0 {
        option("-j", &options.jobs_max.to_string());
    }
    if let Some(rate) = options.rate {
        option("--rate", &rate.to_string());
    }
    if let Some(lane) = place.lane {
        option("--lane", lane.word());
    }
    if !place.needs.is_empty() {
        let needs: Vec<String> = place.needs.iter().map(ToString::to_string).collect();
        option("--needs", &needs.join(","));
    }
    for label in &place.on {
        option("--on", &label.to_string());
    }
}

fn what(detail: &TaskDetail) -> String {
    let mut shown = Vec::new();
    detail.spec.form.show(&detail.argument, &mut shown);
    let argument = match shown.is_empty() {
        true => String::new(),
        false => format!(" ::: {}", quoted(&String::from_utf8_lossy(&shown))),
    };
    // Several columns and numbers have no words of their own here, so that they are written out.
    let plain = detail.spec.form.is_plain();
    let numbered =
        |template: &Template| !plain || template.source().windows(3).any(|part| part == b"{#}");
    let source = |template: &Template| quoted(&String::from_utf8_lossy(template.source()));
    match &detail.spec.kind {
        Kind::Handler { .. } if detail.spec.form.columns == Columns::Json => {
            " --jsonl FILE".to_owned()
        }
        Kind::Square | Kind::Sleep | Kind::Handler { .. } => argument,
        Kind::Shell { line } if numbered(line) => format!("--shell {}", quoted(&command(detail))),
        Kind::Shell { line } => format!("--shell {}{argument}", source(line)),
        Kind::Exec { argv } if argv.iter().any(numbered) => format!("-- {}", command(detail)),
        Kind::Exec { argv } => {
            let words: Vec<_> = argv.iter().map(source).collect();
            format!("-- {}{argument}", words.join(" "))
        }
    }
}
