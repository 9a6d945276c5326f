//! The command line that does the same as the injection form. Shown only; `ganger submit` parses
//! its own words.

use super::form::{Form, FormKind, Source, quoted};

/// Listed arguments that are written out; more are read from a file.
const WRITTEN_OUT_MAX: usize = 6;

/// Returns the words of the command, in order, quoted for a shell.
pub(crate) fn command_line(form: &Form) -> Vec<String> {
    let mut words = vec!["ganger".to_owned(), "submit".to_owned()];
    let mut push = |text: String| words.push(text);
    match form.kind {
        FormKind::Square => push("--kind square".to_owned()),
        FormKind::Sleep => push("--kind sleep".to_owned()),
        FormKind::Shell | FormKind::Exec => {}
    }
    let option = |flag: &str, value: &str, unset: &str| {
        let value = value.trim();
        (value != unset && !value.is_empty()).then(|| format!("{flag} {}", quoted(value)))
    };
    let options = [
        option("--name", form.name.text(), ""),
        option("--queue", form.queue.text(), "default"),
        option("-p", form.priority.text(), "0"),
        option("--timeout", form.timeout.text(), "-"),
        option("--retries", form.retries.text(), "0"),
    ];
    options.into_iter().flatten().for_each(&mut push);
    match form.source {
        Source::Range => push(format!("--range {}", quoted(form.range.text().trim()))),
        Source::Random => push(format!("--random {}", quoted(form.random.text().trim()))),
        Source::Repeat => push(format!("--repeat {}", quoted(form.repeat.text().trim()))),
        Source::List if form.list.filled().nth(WRITTEN_OUT_MAX).is_some() => {
            push("-a FILE".to_owned());
        }
        Source::List | Source::One => {}
    }
    let command = form.command.text().trim();
    match form.kind {
        FormKind::Shell => push(format!("--shell {}", quoted(command))),
        FormKind::Exec => push(format!("-- {command}")),
        FormKind::Square | FormKind::Sleep => {}
    }
    words.extend(written_out(form));
    words.iter_mut().for_each(crate::text::clean_in_place);
    words
}

fn written_out(form: &Form) -> Option<String> {
    let items: Vec<String> = match form.source {
        Source::One if !form.kind.has_command() => vec![quoted(form.value.text().trim())],
        Source::List if form.list.filled().nth(WRITTEN_OUT_MAX).is_none() => {
            form.list.filled().map(quoted).collect()
        }
        Source::One | Source::List | Source::Range | Source::Random | Source::Repeat => {
            return None;
        }
    };
    (!items.is_empty()).then(|| format!("::: {}", items.join(" ")))
}
