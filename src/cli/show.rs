//! `ganger show ID`: everything about one task.

use ganger_proto::command::TaskDetail;
use ganger_proto::spec::{After, Cwd, Kind, Then};
use ganger_proto::template::{self, Values};
use ganger_proto::time::{HumanMicros, HumanMs};
use ganger_proto::{Reply, Request, TaskId};

use super::error::Result;
use super::out::Out;
use super::place::Place;
use super::table::Table;
use super::{reach, text, when};

/// Flags of `ganger show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "`ganger logs ID` prints what the task printed.")]
pub(crate) struct Args {
    /// The task
    #[arg(value_name = "ID")]
    task: TaskId,
}

/// Prints the task.
pub(crate) async fn run(place: &Place, args: &Args) -> Result<()> {
    let caller = reach::connect(place).await?;
    let Reply::Task(detail) = caller.call(Request::Show { task: args.task }).await? else {
        return Err(reach::unexpected());
    };
    let mut out = place.out();
    if out.is_json() {
        out.json(&detail)?;
    } else {
        page(&detail, &mut out)?;
    }
    out.flush()
}

fn page(detail: &TaskDetail, out: &mut Out) -> Result<()> {
    for (title, value) in facts(detail) {
        if !value.is_empty() {
            out.line(&format!("{title:<11} {}", text::line(&value)))?;
        }
    }
    if detail.attempts.is_empty() {
        return Ok(());
    }
    out.line("")?;
    let mut table = Table::new(&[
        ">ATTEMPT", "WORKER", "ENDED", "OUTCOME", ">TOOK", ">USER", ">SYS", ">RSS", "",
    ]);
    for row in &detail.attempts {
        let (ended, usage) = (&row.ended, row.ended.usage);
        table.row(vec![
            row.attempt.to_string(),
            row.worker.clone(),
            when(row.at),
            ended.outcome.to_string(),
            HumanMicros(ended.took_us).to_string(),
            HumanMicros(usage.user_us).to_string(),
            HumanMicros(usage.system_us).to_string(),
            format!("{} MiB", usage.max_rss_kib / 1_024),
            if ended.message.is_empty() {
                text::first_line(&ended.stderr, 120)
            } else {
                ended.message.clone()
            },
        ]);
    }
    table.print(out)
}

fn words<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

fn after(after: &After) -> String {
    match after.then {
        Then::Done => after.batch.to_string(),
        Then::Any => format!("{}:any", after.batch),
    }
}

fn facts(detail: &TaskDetail) -> Vec<(&'static str, String)> {
    let (row, spec, options) = (&detail.row, &detail.spec, &detail.options);
    let or_empty = |condition: bool, value: String| if condition { value } else { String::new() };
    let batch = if options.name.is_empty() {
        row.batch.to_string()
    } else {
        format!("{} ({})", row.batch, options.name)
    };
    let environment: Vec<String> =
        spec.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let labels: Vec<String> =
        options.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let backoff = options.backoff;
    vec![
        ("task", format!("{}, number {} of its batch", row.task, detail.index + 1)),
        ("batch", batch),
        ("state", format!("{} since {}", row.state.word(), when(row.since))),
        ("outcome", row.outcome.map_or_else(String::new, |outcome| outcome.to_string())),
        ("worker", row.worker.clone()),
        ("kind", spec.kind.to_string()),
        ("command", command(detail)),
        ("argument", argument(detail)),
        ("directory", directory(&spec.cwd)),
        ("environment", environment.join(" ")),
        ("timeout", or_empty(spec.timeout_ms > 0, HumanMs(spec.timeout_ms).to_string())),
        ("queue", format!("{}, priority {}", row.queue, row.priority)),
        (
            "attempts",
            format!(
                "{} of {}; {} failed, {} lost; backoff {} to {}",
                row.attempt,
                row.attempts_max,
                detail.failures,
                detail.lost,
                HumanMs(backoff.base_ms),
                HumanMs(backoff.cap_ms)
            ),
        ),
        ("labels", labels.join(" ")),
        ("lane", spec.place.lane.map_or_else(String::new, |lane| lane.to_string())),
        ("needs", words(&spec.place.needs)),
        ("on", words(&spec.place.on)),
        ("after", options.after.iter().map(after).collect::<Vec<_>>().join(" ")),
        ("at once", or_empty(options.jobs_max > 0, options.jobs_max.to_string())),
        ("rate", options.rate.map_or_else(String::new, |rate| rate.to_string())),
        ("due", row.due.map_or_else(String::new, when)),
        ("submitted", format!("{} by {}", when(row.submitted), detail.owner)),
    ]
}

/// Returns the argument, its columns joined by blanks.
fn argument(detail: &TaskDetail) -> String {
    let mut bytes = Vec::new();
    detail.spec.form.show(&detail.argument, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns the command as the worker would run it, quoted for a shell.
fn command(detail: &TaskDetail) -> String {
    let argument = Some(detail.argument.as_slice()).filter(|argument| !argument.is_empty());
    let values = Values::new(&detail.spec.form, argument, detail.index + 1);
    let bytes = match &detail.spec.kind {
        Kind::Square | Kind::Sleep => return String::new(),
        Kind::Exec { argv } => {
            let words = template::expand_argv(argv, &values);
            let words = words.iter().map(Vec::as_slice);
            // Words with a NUL cannot be quoted, and no program can be given them.
            shlex::bytes::try_join(words).unwrap_or_default()
        }
        Kind::Shell { line } => template::expand_line(line, &values),
        Kind::Handler { name } => {
            let mut bytes = format!("{name} ").into_bytes();
            detail.spec.form.show(&detail.argument, &mut bytes);
            bytes
        }
    };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn directory(cwd: &Cwd) -> String {
    match cwd {
        Cwd::Directory(path) => String::from_utf8_lossy(path).into_owned(),
        Cwd::Scratch => "a fresh one for each attempt".to_owned(),
        Cwd::Unset => String::new(),
    }
}
