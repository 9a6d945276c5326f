//! The command line that does the same as the injection form. Shown and copied only; `ganger
//! submit` parses its own words.

use ganger_proto::Label;
use ganger_proto::place::Need;
use ganger_proto::spec::{After, Rate};

use super::form::{ArgKind, Field, Form, FormKind, Source, quoted};
use super::kept_form::clean_lines;
use super::parse::{duration_ms, duration_text, labels, moment, moment_text, variables};

/// Listed arguments that are written out; more are read from a file.
const WRITTEN_OUT_MAX: usize = 6;

/// Returns the command in pieces that a line may break between, quoted for a shell.
pub(crate) fn command_line(form: &Form) -> Vec<String> {
    let mut words = vec!["ganger".to_owned(), "submit".to_owned()];
    words.extend(kind(form));
    words.extend(options(form));
    words.extend(terms(form));
    words.extend(place(form));
    words.extend(source(form));
    words.extend(command(form));
    words.extend(listed(form));
    words.iter().map(|word| clean_lines(word)).collect()
}

fn kind(form: &Form) -> Option<String> {
    match form.kind {
        FormKind::Square | FormKind::Sleep => Some(format!("--kind {}", form.kind.word())),
        FormKind::Handler => Some(option("--kind", &handler(form))),
        FormKind::Shell | FormKind::Exec => None,
    }
}

fn handler(form: &Form) -> String {
    format!("handler:{}", form.trimmed(Field::Handler))
}

/// Writes an option; a value that begins like an option is joined to it.
fn option(flag: &str, value: &str) -> String {
    let joint = if value.starts_with('-') && flag.starts_with("--") { '=' } else { ' ' };
    format!("{flag}{joint}{}", quoted(value))
}

fn options(form: &Form) -> Vec<String> {
    let mut words = Vec::new();
    let mut push = |flag: &str, field: Field, write: fn(&str) -> String| {
        let value = form.trimmed(field);
        if value != field.unset() && !value.is_empty() && value != "-" {
            words.push(option(flag, &write(value)));
        }
    };
    push("--name", Field::Name, str::to_owned);
    push("--queue", Field::Queue, str::to_owned);
    push("-p", Field::Priority, str::to_owned);
    push("--timeout", Field::Timeout, duration);
    push("--retries", Field::Retries, str::to_owned);
    push("--backoff", Field::Backoff, |text| match text.split_once("..") {
        Some((first, longest)) => format!("{}..{}", duration(first), duration(longest)),
        None => duration(text),
    });
    push("--key", Field::Key, str::to_owned);
    let read = labels(form.text(Field::Labels)).unwrap_or_default();
    words.extend(read.iter().map(|(k, v)| option("--label", &format!("{k}={v}"))));
    let text = form.trimmed(Field::NotBefore);
    let (now, offset) = form.clock;
    match (duration_ms(text), moment(text, now, offset)) {
        (Ok(ms), _) => words.push(option("--not-before", &duration_text(ms))),
        (Err(_), Ok(Some(at))) => words.push(option("--not-before", &moment_text(at))),
        (Err(_), Ok(None) | Err(_)) => {}
    }
    words
}

/// After which others the batch runs, how much of it at once, how often, in which lane, where.
fn terms(form: &Form) -> Vec<String> {
    let mut words = Vec::new();
    let after = After::parse_all(form.text(Field::After)).unwrap_or_default();
    words.extend(after.iter().map(|after| format!("--after {after}")));
    if form.trimmed(Field::Jobs).parse::<u32>().is_ok_and(|jobs| jobs > 0) {
        words.push(format!("-j {}", form.trimmed(Field::Jobs)));
    }
    if let Ok(rate) = Rate::parse(form.trimmed(Field::Rate)) {
        words.push(format!("--rate {rate}"));
    }
    words.extend(form.lane.map(|lane| format!("--lane {lane}")));
    let needs = Need::parse_all(form.text(Field::Needs)).unwrap_or_default();
    if !needs.is_empty() {
        let needs: Vec<String> = needs.iter().map(ToString::to_string).collect();
        words.push(format!("--needs {}", needs.join(",")));
    }
    let on = Label::parse_all(form.text(Field::On)).unwrap_or_default();
    words.extend(on.iter().map(|label| option("--on", &label.to_string())));
    words
}

/// Writes a duration as the command line reads it; the form also takes `90` and `1.5h`.
fn duration(text: &str) -> String {
    duration_ms(text).map_or_else(|_| text.to_owned(), duration_text)
}

/// Where commands run, and with which variables.
fn place(form: &Form) -> Vec<String> {
    if !form.kind.has_command() {
        return Vec::new();
    }
    let list = variables(form.text(Field::Env)).unwrap_or_default();
    let mut words: Vec<String> =
        list.iter().map(|(name, value)| option("--env", &format!("{name}={value}"))).collect();
    let cwd = match form.trimmed(Field::Cwd) {
        "" => Field::Cwd.unset(),
        cwd => cwd,
    };
    words.push(option("--cwd", cwd));
    words
}

/// Tells whether its arguments are read as JSON, which only a file's are.
fn is_json(form: &Form) -> bool {
    form.kind == FormKind::Handler && form.args == ArgKind::Json
}

fn source(form: &Form) -> Option<String> {
    match form.source {
        // Numbers are JSON too, but `submit` draws and counts texts.
        Source::Range | Source::Random if is_json(form) => Some("--jsonl FILE".to_owned()),
        Source::One | Source::List | Source::Glob if is_json(form) => {
            Some("--jsonl FILE".to_owned())
        }
        Source::File if is_json(form) => {
            Some(format!("--jsonl {}", path(form.trimmed(Field::File))))
        }
        Source::Range => Some(option("--range", form.trimmed(Field::Range))),
        Source::Random => Some(option("--random", form.trimmed(Field::Random))),
        Source::Repeat => Some(option("--repeat", form.trimmed(Field::Repeat))),
        Source::List if form.list.filled().nth(WRITTEN_OUT_MAX).is_some() => {
            Some("-a FILE".to_owned())
        }
        Source::File => Some(format!("-a {}", path(form.trimmed(Field::File)))),
        Source::List | Source::One | Source::Glob => None,
    }
}

/// Writes a path so that the shell still knows the home folder.
fn path(text: &str) -> String {
    match text.strip_prefix("~/") {
        Some(rest) => format!("~/{}", quoted(rest)),
        None => quoted(text),
    }
}

/// Writes a pattern so that the shell finds the same names.
fn pattern(text: &str) -> String {
    let (home, rest) = match text.strip_prefix("~/") {
        Some(rest) => ("~/", rest),
        None => ("", text),
    };
    let mut out = home.to_owned();
    for piece in rest.split_inclusive(['*', '?', '[', ']', '!']) {
        let plain = piece.trim_end_matches(['*', '?', '[', ']', '!']);
        if !plain.is_empty() {
            out.push_str(&quoted(plain));
        }
        out.push_str(&piece[plain.len()..]);
    }
    out
}

fn command(form: &Form) -> Option<String> {
    let command = form.trimmed(Field::Command);
    match form.kind {
        FormKind::Shell => Some(option("--shell", command)),
        FormKind::Exec => {
            let words = shlex::split(command).unwrap_or_default();
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            Some(format!("-- {}", words.join(" ")))
        }
        FormKind::Square | FormKind::Sleep | FormKind::Handler => None,
    }
}

fn listed(form: &Form) -> Option<String> {
    let value = form.text(Field::Value);
    let items: Vec<String> = match form.source {
        _ if is_json(form) => return None,
        Source::One if form.kind.trims() => vec![quoted(value.trim())],
        Source::One if !value.is_empty() => vec![quoted(value)],
        Source::List if form.list.filled().nth(WRITTEN_OUT_MAX).is_none() => {
            let trim = form.kind.trims();
            let lines = form.list.filled();
            lines.map(|(_, line)| quoted(if trim { line.trim() } else { line })).collect()
        }
        Source::Glob => vec![pattern(form.trimmed(Field::Glob))],
        Source::One
        | Source::List
        | Source::Range
        | Source::Random
        | Source::Repeat
        | Source::File => return None,
    };
    (!items.is_empty()).then(|| format!("::: {}", items.join(" ")))
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Kind, WallMs};

    use super::*;
    use crate::model::field::Lines;
    use crate::model::form::Reading;

    /// Returns the command line, and what the form itself makes of its fields.
    fn check(change: fn(&mut Form), expected: &str) -> String {
        let mut form = Form::default();
        form.set(Field::Command, "x");
        change(&mut form);
        form.check();
        let line = command_line(&form).join(" ");
        assert_eq!(line, expected);
        match &form.checked {
            Ok(batch) => {
                let (spec, o) = (&batch.head.spec, &batch.head.options);
                let words: Vec<_> = match &spec.kind {
                    Kind::Square | Kind::Sleep | Kind::Handler { .. } => Vec::new(),
                    Kind::Shell { line } => vec![String::from_utf8_lossy(line.source())],
                    Kind::Exec { argv } => {
                        argv.iter().map(|word| String::from_utf8_lossy(word.source())).collect()
                    }
                };
                let (env, cwd, timeout) = (&spec.env, &spec.cwd, spec.timeout_ms);
                let what = format!("{} {words:?} {env:?} {cwd:?} {timeout}", spec.kind);
                let how =
                    (&o.name, &o.queue, o.priority, o.retries, o.backoff, o.not_before, &o.labels);
                let terms = (&spec.place, &o.after, o.jobs_max, o.rate);
                format!("{line}\n  {what} {how:?} {terms:?}\n")
            }
            Err(errors) => panic!("{errors:?}"),
        }
    }

    fn was_read(form: &mut Form) {
        let list = std::sync::Arc::new([&b"a"[..]].into_iter().collect());
        let wanted = form.wanted().unwrap();
        form.reading = Reading::Read { wanted, at: WallMs(0), list };
    }

    /// The kept lines are read by the parser of `ganger submit` too, in its own tests.
    #[test]
    fn every_field_has_its_words() {
        let mut kept = String::new();
        kept += &check(|_| {}, "ganger submit --cwd worker --shell x");
        kept += &check(
            |form| {
                form.set(Field::Name, "my batch");
                form.set(Field::Queue, "mail");
                form.set(Field::Priority, "-5");
                form.set(Field::Timeout, "90");
                form.set(Field::Retries, "3");
                form.set(Field::Backoff, "1.5..60");
                form.set(Field::Key, "--nightly");
                form.set(Field::NotBefore, "1.5h");
                form.set(Field::Env, "A='b c' D=");
                form.set(Field::Cwd, "/srv/my img");
                form.set(Field::Labels, "stage=prod note='a b'");
            },
            "ganger submit --name 'my batch' --queue mail -p -5 --timeout 90s --retries 3 \
             --backoff 1500ms..1m --key=--nightly --label stage=prod --label 'note=a b' \
             --not-before 90m --env 'A=b c' --env D= \
             --cwd '/srv/my img' --shell x",
        );
        kept += &check(
            |form| {
                form.kind = FormKind::Exec;
                form.set(Field::Command, "sh -c 'echo $HOME' {}");
                form.source = Source::File;
                form.set(Field::File, "~/my hosts");
                was_read(form);
            },
            "ganger submit --cwd worker -a ~/'my hosts' -- sh -c 'echo $HOME' '{}'",
        );
        kept += &check(
            |form| {
                form.source = Source::Glob;
                form.set(Field::Glob, "my img/*.[jp]*g");
                was_read(form);
            },
            "ganger submit --cwd worker --shell x ::: 'my img/'*.[jp]*g",
        );
        kept += &check(
            |form| {
                form.kind = FormKind::Square;
                form.source = Source::List;
                form.list = Lines::of("1\n\n-2");
                form.clock = (WallMs(0), Some(60));
                form.set(Field::NotBefore, "22:00");
            },
            "ganger submit --kind square --not-before 1970-01-01T21:00:00Z ::: 1 -2",
        );
        kept += &check(
            |form| {
                form.kind = FormKind::Sleep;
                form.source = Source::Random;
                form.set(Field::Random, "10:0..5:7");
                form.set(Field::Priority, "7");
            },
            "ganger submit --kind sleep -p 7 --random 10:0..5:7",
        );
        kept += &check(
            |form| {
                form.kind = FormKind::Handler;
                form.set(Field::Handler, " resize ");
                form.set(Field::Value, "a b.png");
                form.lane = Some(ganger_proto::Lane::Io);
                form.set(Field::Needs, "mem=4G gpu=1");
                form.set(Field::On, "gpu=a100, zone=eu-west");
                form.set(Field::After, "b12, b13:any");
                form.set(Field::Jobs, "3");
                form.set(Field::Rate, "600/60s");
                form.set(Field::Cwd, "/srv/img");
            },
            "ganger submit --kind handler:resize --after b12 --after b13:any -j 3 --rate 600/m \
             --lane io --needs mem=4G,gpu=1 --on gpu=a100 --on zone=eu-west ::: 'a b.png'",
        );
        assert_eq!(kept, include_str!("command_line/kept.txt"), "{kept}");
    }
}
