//! The two kinds of line between ganger and a handler: a task goes in, an answer comes out, each
//! one line of JSON. Reads and writes no pipe; see keeper.rs.

use std::io::Write as _;

use ganger_proto::form::{ArgForm, Columns};
use ganger_proto::message::GrantRun;
use ganger_proto::{Args, Spec};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_bytes::ByteBuf;
use serde_json::value::RawValue;

/// Bytes of one answer.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What a handler must write instead.
const RULE: &str = "it must write {\"ok\": …} or {\"error\": \"…\"} there and all else to its \
                    standard error";
/// Characters of a line that is no answer shown in a sentence.
const SHOWN_MAX: usize = 80;

/// What a handler said of its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done; what it came to.
    Done(Vec<u8>),
    /// It is not.
    Failed(String, Retry),
}

/// Whether another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::worker) enum Retry {
    /// It may.
    MayHelp,
    /// It cannot: the handler says so.
    Useless,
}

/// Writes the lines of one run of tasks.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    run: &'a GrantRun,
    form: &'a ArgForm,
    env: Vec<u8>,
    argument: Vec<u8>,
}

impl<'a> Lines<'a> {
    /// Prepares what all tasks of the run have in common.
    pub(super) fn new(run: &'a GrantRun, spec: &'a Spec) -> Self {
        let mut env = vec![b'{'];
        for (place, (key, value)) in spec.env.iter().enumerate() {
            if place > 0 {
                env.push(b',');
            }
            write_text(key.as_bytes(), &mut env);
            env.push(b':');
            write_text(value.as_bytes(), &mut env);
        }
        env.push(b'}');
        Self { run, form: &spec.form, env, argument: Vec::new() }
    }

    /// Writes the line of the task at `offset`, without its end: a moment to end at is not known
    /// before it starts. See [`end_line`].
    ///
    /// # Errors
    /// Says why the argument cannot be sent.
    pub(super) fn write(&mut self, offset: u64, out: &mut Vec<u8>) -> Result<(), String> {
        let GrantRun { task, batch, index, attempt, .. } = self.run;
        let (task, index) = (task.plus(offset), index.saturating_add(offset));
        let written = write!(
            out,
            "{{\"task\":{task},\"attempt\":{attempt},\"batch\":\"{batch}\",\"index\":{index},\"args\":"
        );
        written.expect("memory takes every line");
        if matches!(self.run.args, Args::Repeat { .. }) {
            out.extend_from_slice(b"null");
        } else {
            self.argument.clear();
            self.run.args.write(offset, &mut self.argument);
            write_args(self.form, &self.argument, out)?;
        }
        out.extend_from_slice(b",\"env\":");
        out.extend_from_slice(&self.env);
        Ok(())
    }
}

/// Ends a task's line, with the moment, in milliseconds since the epoch, at which its time is over.
pub(super) fn end_line(deadline_ms: Option<u64>, out: &mut Vec<u8>) {
    if let Some(deadline) = deadline_ms {
        write!(out, ",\"deadline\":{deadline}").expect("memory takes every line");
    }
    out.extend_from_slice(b"}\n");
}

fn write_args(form: &ArgForm, argument: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let mut fields = form.fields_given(argument);
    match &form.columns {
        Columns::Text => write_text(fields.columns.first().unwrap_or(&&[][..]), out),
        Columns::Json => write_json(fields.columns.first().unwrap_or(&&[][..]), out)?,
        Columns::Many { names, .. } => {
            let (open, close) = if names.is_empty() { (b'[', b']') } else { (b'{', b'}') };
            out.push(open);
            // Every name is there, so that a program may rely on it.
            let count = fields.columns.len().max(names.len());
            fields.columns.resize(count, &[]);
            for (place, column) in fields.columns.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                if !names.is_empty() {
                    // A column without a name has its number, as in a template.
                    match names.get(place) {
                        Some(name) => write_text(name.as_bytes(), out),
                        None => write_text((place + 1).to_string().as_bytes(), out),
                    }
                    out.push(b':');
                }
                write_text(column, out);
            }
            out.push(close);
        }
    }
    Ok(())
}

/// Copies a JSON value onto one line.
fn write_json(value: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let text = std::str::from_utf8(value).map_err(|_| {
        "the argument is no JSON: it is not UTF-8; a handler cannot be sent it".to_owned()
    })?;
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| {
        format!("the argument is no JSON: {error}; a handler cannot be sent it")
    })?;
    // Inside a string JSON has no bare line end, so each is a blank between two parts.
    out.extend(value.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    Ok(())
}

/// Writes a JSON string. Each byte that is no UTF-8 becomes a lone surrogate, as in Python's
/// `surrogateescape`: `os.fsencode` makes the byte of it again.
fn write_text(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        let mut plain = chunk.valid().as_bytes();
        while let Some(at) = plain.iter().position(|b| *b < 0x20 || matches!(b, b'"' | b'\\')) {
            out.extend_from_slice(&plain[..at]);
            let written = match plain[at] {
                b'"' => out.write_all(b"\\\""),
                b'\\' => out.write_all(b"\\\\"),
                b'\n' => out.write_all(b"\\n"),
                b'\t' => out.write_all(b"\\t"),
                other => write!(out, "\\u{other:04x}"),
            };
            written.expect("memory takes every line");
            plain = &plain[at + 1..];
        }
        out.extend_from_slice(plain);
        for byte in chunk.invalid() {
            write!(out, "\\udc{byte:02x}").expect("memory takes every line");
        }
    }
    out.push(b'"');
}

/// An answer as it is written. What it holds besides counts for nothing.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default, deserialize_with = "given")]
    ok: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    error: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "given")]
    task: Option<&'a RawValue>,
    retry: Option<bool>,
}

/// Takes a `null` for a value.
fn given<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// Reads the answer for `task`.
///
/// # Errors
/// Says what is wrong with the line.
pub(super) fn read(line: &[u8], task: u64) -> Result<Answer, String> {
    let Ok(text) = std::str::from_utf8(line) else {
        return Err(format!("wrote a line that is not UTF-8: `{}`; {RULE}", shown(line)));
    };
    let Ok(said) = serde_json::from_str::<Said<'_>>(text) else {
        return Err(format!("wrote a line that is no answer: `{}`; {RULE}", shown(line)));
    };
    if let Some(other) = said.task.filter(|said| said.get() != task.to_string()) {
        let other = shown(other.get().as_bytes());
        return Err(format!("answered for the task `{other}` while it ran task {task}"));
    }
    match (said.ok, said.error) {
        (Some(value), None) => Ok(Answer::Done(bytes_of(value)?)),
        (None, Some(error)) => {
            let text = String::from_utf8_lossy(&bytes_of(error)?).into_owned();
            let retry = if said.retry == Some(true) { Retry::MayHelp } else { Retry::Useless };
            Ok(Answer::Failed(text, retry))
        }
        (Some(_), Some(_)) => {
            Err(format!("answered with both an `ok` and an `error`: `{}`; {RULE}", shown(line)))
        }
        (None, None) => {
            Err(format!("answered with neither an `ok` nor an `error`: `{}`; {RULE}", shown(line)))
        }
    }
}

/// Returns a string's own bytes, and of any other value its text without blanks.
fn bytes_of(value: &RawValue) -> Result<Vec<u8>, String> {
    let text = value.get();
    if !text.starts_with('"') {
        return Ok(compact(text.as_bytes()));
    }
    let bytes = serde_json::from_str::<ByteBuf>(text).map_err(|_| {
        format!("wrote a string that is no JSON: `{}`; {RULE}", shown(text.as_bytes()))
    })?;
    let bytes = bytes.into_vec();
    Ok(if std::str::from_utf8(&bytes).is_ok() { bytes } else { unescape_bytes(&bytes) })
}

/// Makes bytes of the lone surrogates that stand for them; the opposite of [`write_text`].
fn unescape_bytes(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        // U+DC80 to U+DCFF, as three bytes.
        if let [0xed, high @ (0xb2 | 0xb3), low, after @ ..] = rest {
            out.push(if *high == 0xb2 { *low } else { *low | 0x40 });
            rest = after;
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

fn compact(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for byte in text {
        if inside {
            inside = escaped || *byte != b'"';
            escaped = !escaped && *byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            inside = *byte == b'"';
        }
        out.push(*byte);
    }
    out
}

fn shown(line: &[u8]) -> String {
    let start = &line[..line.len().min(4 * SHOWN_MAX)];
    let text = String::from_utf8_lossy(start);
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    if shown.chars().count() == SHOWN_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use ganger_proto::{ArgList, BatchId, Epoch, Kind, LeaseId, Name, SpecId, TaskId};

    use super::*;

    fn line(columns: Columns, argument: &[u8]) -> Result<String, String> {
        let run = GrantRun {
            lease: LeaseId { epoch: Epoch::new(1), counter: 1 },
            task: TaskId::new(60_526),
            batch: BatchId::new(5),
            index: 6,
            attempt: 2,
            spec: SpecId::new(1),
            args: Args::Listed([&b"other"[..], argument].into_iter().collect::<ArgList>()),
        };
        let mut spec = Spec::of(Kind::Handler { name: Name::from_lossy("x") });
        spec.form = ArgForm { columns, ..ArgForm::default() };
        let mut out = Vec::new();
        Lines::new(&run, &spec).write(1, &mut out)?;
        end_line(None, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    fn args(columns: Columns, argument: &[u8], expected: &str) {
        let whole = line(columns, argument).unwrap();
        let start = "{\"task\":60527,\"attempt\":2,\"batch\":\"b5\",\"index\":7,\"args\":";
        let found = whole.strip_prefix(start).unwrap().strip_suffix(",\"env\":{}}\n").unwrap();
        assert_eq!(found, expected);
        serde_json::from_str::<IgnoredAny>(&whole).unwrap();
        assert_eq!(whole.matches('\n').count(), 1, "{whole}");
    }

    fn many(names: &[&str]) -> Columns {
        Columns::Many { count: 2, names: names.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn arguments_are_sent_in_the_form_they_have() {
        args(
            Columns::Text,
            b"a \"b\"\\\n\t\x01\x7f \xc3\xbc",
            "\"a \\\"b\\\"\\\\\\n\\t\\u0001\x7f ü\"",
        );
        args(Columns::Text, b"", "\"\"");
        args(Columns::Text, b"f\xff.log", "\"f\\udcff.log\"");
        args(Columns::Json, b"{\n\"a\": [1,\r\n 2.50]}", "{ \"a\": [1,   2.50]}");
        args(Columns::Json, b"\"x\\n\"", "\"x\\n\"");
        args(many(&[]), b"a\0b c", "[\"a\",\"b c\"]");
        args(many(&[]), b"a", "[\"a\"]");
        args(many(&["id", "url"]), b"7", "{\"id\":\"7\",\"url\":\"\"}");
        args(many(&["id", "url"]), b"7\0x", "{\"id\":\"7\",\"url\":\"x\"}");
        args(many(&["id"]), b"7\0x", "{\"id\":\"7\",\"2\":\"x\"}");
        for bad in [&b"{\"a\":"[..], b"", b"1 2", b"\"\xff\"", b"{\"a\":1}\n{\"b\":2}"] {
            assert!(line(Columns::Json, bad).unwrap_err().contains("is no JSON"));
        }
    }

    #[test]
    fn variables_and_the_deadline_are_in_the_line() {
        let mut spec = Spec::of(Kind::Handler { name: Name::from_lossy("x") });
        spec.env = vec![("A".into(), "1\n".into()), ("B".into(), String::new())];
        let run = GrantRun {
            lease: LeaseId { epoch: Epoch::new(1), counter: 1 },
            task: TaskId::new(1),
            batch: BatchId::new(5),
            index: 0,
            attempt: 1,
            spec: SpecId::new(1),
            args: Args::Repeat { count: 1 },
        };
        let mut out = Vec::new();
        Lines::new(&run, &spec).write(0, &mut out).unwrap();
        end_line(Some(99), &mut out);
        let text = String::from_utf8(out).unwrap();
        let end = "\"args\":null,\"env\":{\"A\":\"1\\n\",\"B\":\"\"},\"deadline\":99}\n";
        assert!(text.ends_with(end), "{text}");
    }

    fn check(line: &str, expected: Result<&[u8], &str>) {
        let found = match read(line.as_bytes(), 7).unwrap() {
            Answer::Done(bytes) => Ok(bytes),
            Answer::Failed(text, retry) => Err(format!("{text}, {retry:?}")),
        };
        assert_eq!(found, expected.map(<[u8]>::to_vec).map_err(str::to_owned), "{line}");
    }

    #[test]
    fn answers_are_read() {
        check("{\"ok\": \"a\\nb\"}", Ok(b"a\nb"));
        check(
            "{\"ok\": {\"b\" : [1, 2.50, \"x y\\\" z\"], \"a\": 1e3 } }\r",
            Ok(b"{\"b\":[1,2.50,\"x y\\\" z\"],\"a\":1e3}"),
        );
        check("{\"ok\": 12345678901234567890123}", Ok(b"12345678901234567890123"));
        check("{\"ok\": null}", Ok(b"null"));
        check("{\"ok\": \"f\\udcff\\udc80 \\u00fc\"}", Ok(b"f\xff\x80 \xc3\xbc"));
        check("{\"ok\": true, \"task\": 7, \"more\": [1]}", Ok(b"true"));
        check("{\"error\": \"no\"}", Err("no, Useless"));
        check("{\"error\": \"no\", \"retry\": false}", Err("no, Useless"));
        check("{\"error\": \"no\", \"retry\": true}", Err("no, MayHelp"));
        check("{\"error\": {\"code\": 4}, \"retry\": true}", Err("{\"code\":4}, MayHelp"));
    }

    #[test]
    fn lines_that_are_no_answer_are_named() {
        let check = |line: &[u8], expected: &str| {
            let reason = read(line, 7).unwrap_err();
            assert!(reason.starts_with(expected), "{reason}");
            assert!(!reason.contains('\u{1b}'), "{reason}");
        };
        check(b"", "wrote a line that is no answer: ``");
        check(b"Loading \x1b[1mmodel", "wrote a line that is no answer: `Loading [1mmodel`");
        check(b"[1]", "wrote a line that is no answer");
        check(b"{\"ok\": 1} {\"ok\": 2}", "wrote a line that is no answer");
        check(b"{\"ok\": 1, \"ok\": 2}", "wrote a line that is no answer");
        check(b"{\"ok\": \"\xff\"}", "wrote a line that is not UTF-8");
        check(b"{\"ok\": 1, \"error\": \"x\"}", "answered with both");
        check(b"{\"result\": 1}", "answered with neither");
        check(b"{\"ok\": 1, \"task\": 8}", "answered for the task `8` while it ran task 7");
        check(
            "ä".repeat(500).as_bytes(),
            &format!("wrote a line that is no answer: `{}…`", "ä".repeat(80)),
        );
    }
}
