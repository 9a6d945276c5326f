//! The trial of a submission: what its first tasks and its last one would be.

use ganger_proto::command::SubmitHead;
use ganger_proto::template::{self, Values};
use ganger_proto::{Args, Kind, Spec};

use super::super::error::Result;
use super::super::place::Place;
use super::super::source::parts::Parts;
use super::super::table::number;
use super::super::text;

/// Tasks shown from the start.
const FIRST: u64 = 10;

/// Prints the tasks that would be made.
pub(super) fn print(place: &Place, head: &SubmitHead, parts: &mut Parts) -> Result<()> {
    let mut shown = Vec::new();
    let (mut tasks, mut last) = (0, None);
    while let Some(part) = parts.next()? {
        let count = part.args.count();
        for index in 0..count.min(FIRST.saturating_sub(tasks)) {
            shown.push(task(&head.spec, &part.args, index, tasks + index + 1));
        }
        if count > 0 {
            last = Some(task(&head.spec, &part.args, count - 1, tasks + count));
        }
        tasks += count;
    }
    if tasks > FIRST {
        shown.extend(last);
    }
    let mut out = place.out();
    if out.is_json() {
        let (spec, options) = (&head.spec, &head.options);
        let shown: Vec<String> =
            shown.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        out.json(&serde_json::json!({
            "tasks": tasks, "kind": spec.kind.to_string(), "options": options, "shown": shown,
        }))?;
        return out.flush();
    }
    for (place, line) in shown.iter().enumerate() {
        if place as u64 == FIRST && tasks > FIRST + 1 {
            out.line(&format!("… {} more", number(tasks - FIRST - 1)))?;
        }
        out.line(&text::line(&String::from_utf8_lossy(line)))?;
    }
    out.line(&format!("{} tasks of the kind {} would be made", number(tasks), head.spec.kind))?;
    out.flush()
}

/// Returns a task as a line that a shell would read the same way.
fn task(spec: &Spec, args: &Args, index: u64, number: u64) -> Vec<u8> {
    let mut argument = Vec::new();
    args.write(index, &mut argument);
    let given = match args {
        Args::Listed(_) | Args::Range { .. } => Some(argument.as_slice()),
        Args::Repeat { .. } => None,
    };
    let values = Values::new(&spec.form, given, number);
    match &spec.kind {
        Kind::Square | Kind::Sleep | Kind::Handler { .. } => {
            let mut shown = format!("{} ", spec.kind).into_bytes();
            spec.form.show(&argument, &mut shown);
            shown
        }
        Kind::Exec { argv } => {
            let words = template::expand_argv(argv, &values);
            // Words with a NUL cannot be quoted; they are shown as they are.
            shlex::bytes::try_join(words.iter().map(Vec::as_slice))
                .unwrap_or_else(|_| words.join(&b' '))
        }
        Kind::Shell { line } => template::expand_line(line, &values),
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::Template;

    use super::*;

    #[test]
    fn a_task_is_shown_as_it_would_run() {
        let check = |kind: &Kind, args: &Args, expected: &str| {
            let spec = Spec::of(kind.clone());
            assert_eq!(String::from_utf8(task(&spec, args, 0, 7)).unwrap(), expected);
        };
        let words = |line: &str| line.split(' ').map(|w| Template::from_text(w).unwrap()).collect();
        let listed = Args::Listed([&b"a b.txt"[..]].into_iter().collect());
        let exec = Kind::Exec { argv: words("gzip {.}-{#}") };
        check(&exec, &listed, "gzip 'a b-7'");
        check(&Kind::Exec { argv: words("true") }, &Args::Repeat { count: 1 }, "true");
        let line = Template::from_text("wc -l < {}").unwrap();
        check(&Kind::Shell { line }, &listed, "wc -l < 'a b.txt'");
        check(&Kind::Square, &Args::Range { first: 3, step: 1, count: 2 }, "square 3");
    }
}
