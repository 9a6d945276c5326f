//! Templates: how a task's argument becomes words of a command. Expanded by previews and by
//! workers, with the same code. Does not run anything.
//!
//! The replacement strings are those of GNU parallel (its manual, "REPLACEMENT STRINGS"):
//! `{}` the argument, `{.}` without its extension, `{/}` its base name, `{//}` its directory,
//! `{/.}` its base name without extension; `{2}` `{2.}` … the same of the second column, `{-1}` of
//! the last one, `{name}` `{name.}` … of the column with that name; `{#}` the task's number in the
//! batch and `{%}` its slot, both from 1; and ganger's own `{n}` (the argument again, for ranges)
//! and `{n:04}` (padded with zeros). Of several columns `{}` is all, each a word of its own.

mod plain;
mod strings;

use serde::{Deserialize, Serialize};

use crate::form::ArgForm;
use strings::{Part, Piece, replacement};

/// A checked template. Its source is bytes, since file names need not be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "serde_bytes::ByteBuf", into = "serde_bytes::ByteBuf")]
pub struct Template {
    source: Vec<u8>,
    parts: Vec<Part>,
}

/// How values enter the expanded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quote {
    /// As they are; for words of an argument vector.
    Verbatim,
    /// Quoted for a POSIX shell; for shell lines.
    Shell,
}

/// The template has a replacement string that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TemplateError {
    /// A width that is not a number from 1 to 64.
    #[error("`{shown}` has no width from 1 to 64; write {{n:04}} for four digits")]
    Width {
        /// The replacement string, as given.
        shown: String,
    },
}

/// Bytes of one command when its values are put in; a word of an argument vector counts
/// `WORD_BYTES` more. No system starts a longer one. What is beyond is left out, so that a short
/// template that names a long value often costs no more: who runs it asks for its length before.
pub const EXPANDED_BYTES_MAX: usize = 2 << 20;
/// What a word of an argument vector counts beside its bytes.
const WORD_BYTES: usize = size_of::<Vec<u8>>();

/// What one task puts in the place of replacement strings.
#[derive(Clone, Debug)]
pub struct Values<'a> {
    form: &'a ArgForm,
    one: [&'a [u8]; 1],
    many: Option<Vec<&'a [u8]>>,
    number: u64,
    slot: u32,
}

impl<'a> Values<'a> {
    /// Takes a task's argument, which may be none, and its number in its batch counted from 1; an
    /// argument that brings its own number wins.
    pub fn new(form: &'a ArgForm, argument: Option<&'a [u8]>, number: u64) -> Self {
        let mut values = Self { form, one: [&[]], many: None, number, slot: 0 };
        match argument {
            None => values.many = Some(Vec::new()),
            Some(argument) if form.is_plain() => values.one = [argument],
            Some(argument) => {
                let fields = form.fields_given(argument);
                values.number = fields.number.unwrap_or(number);
                values.many = Some(fields.columns);
            }
        }
        values
    }

    /// Adds the slot, from 1. Without one, `{%}` stays as it is.
    #[must_use]
    pub fn in_slot(self, slot: u32) -> Self {
        Self { slot, ..self }
    }

    /// Returns the task's number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Returns the columns that there are.
    pub fn columns(&self) -> &[&'a [u8]] {
        self.many.as_deref().unwrap_or(&self.one)
    }

    fn at(&self, place: i16) -> Option<&'a [u8]> {
        let columns = self.columns();
        let back = usize::from(place.unsigned_abs());
        let at = if place > 0 { back.checked_sub(1) } else { columns.len().checked_sub(back) };
        at.and_then(|at| columns.get(at)).copied()
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.form.names().iter().position(|known| known == name)
    }
}

impl Template {
    /// Reads a template. Braces that are no replacement string stay as they are, as in GNU
    /// parallel, so that `awk '{print $1}'` needs no escape.
    ///
    /// # Errors
    /// Says what is wrong with a `{n:…}` that has no width.
    pub fn parse(source: &[u8]) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut text = Vec::new();
        let mut rest = source;
        while let Some(&byte) = rest.first() {
            let taken = if byte == b'{' { replacement(rest)? } else { None };
            match taken {
                Some((part, length)) => {
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(part);
                    rest = &rest[length..];
                }
                None => {
                    text.push(byte);
                    rest = &rest[1..];
                }
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self { source: source.to_vec(), parts })
    }

    /// Makes a template of plain text: nothing in it is replaced unless it is a replacement string.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn from_text(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text.as_bytes())
    }

    /// Returns what was parsed.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Tells whether a column appears anywhere; if in no word of a command, all are appended.
    pub fn has_value(&self, form: &ArgForm) -> bool {
        self.parts.iter().any(|part| match part {
            Part::All(_) | Part::At(..) | Part::Padded(_) => true,
            Part::Named { name, .. } => form.names().contains(name) || name == "n",
            Part::Text(_) | Part::Number | Part::Slot => false,
        })
    }

    /// Appends the expansion; several columns in one place are joined by blanks. A buffer with
    /// [`EXPANDED_BYTES_MAX`] gets no more.
    pub fn expand(&self, values: &Values<'_>, quote: Quote, out: &mut Vec<u8>) {
        self.write(values, &mut |said| match said {
            _ if out.len() >= EXPANDED_BYTES_MAX => {}
            Said::Text(text) => out.extend_from_slice(text),
            Said::Value(value) => put(value, quote, out),
            Said::Blank => out.push(b' '),
        });
    }

    /// Hands the expansion to `say`, piece by piece.
    fn write(&self, values: &Values<'_>, say: &mut impl FnMut(Said<'_>)) {
        for part in &self.parts {
            match part {
                Part::Text(text) => say(Said::Text(text)),
                Part::Number => say(Said::Text(values.number.to_string().as_bytes())),
                Part::Slot if values.slot == 0 => say(Said::Text(b"{%}")),
                Part::Slot => say(Said::Text(values.slot.to_string().as_bytes())),
                Part::Padded(width) => write_all(values, say, |value, say| {
                    say(Said::Value(&padded(value, *width)));
                }),
                Part::All(piece) => write_pieces(values, *piece, say),
                Part::At(place, piece) => {
                    if let Some(value) = values.at(*place) {
                        say(Said::Value(piece.of(value)));
                    }
                }
                Part::Named { name, piece, shown } => match values.named(name) {
                    Some(at) => {
                        if let Some(value) = values.columns().get(at) {
                            say(Said::Value(piece.of(value)));
                        }
                    }
                    None if name == "n" => write_pieces(values, *piece, say),
                    None => say(Said::Text(shown)),
                },
            }
        }
    }
}

/// A piece of an expansion.
enum Said<'a> {
    Text(&'a [u8]),
    Value(&'a [u8]),
    /// Between two columns.
    Blank,
}

fn write_all<S: FnMut(Said<'_>)>(
    values: &Values<'_>,
    say: &mut S,
    mut one: impl FnMut(&[u8], &mut S),
) {
    for (place, value) in values.columns().iter().enumerate() {
        if place > 0 {
            say(Said::Blank);
        }
        one(value, say);
    }
}

fn write_pieces(values: &Values<'_>, piece: Piece, say: &mut impl FnMut(Said<'_>)) {
    write_all(values, say, |value, say| say(Said::Value(piece.of(value))));
}

/// Returns the words of a command for one task: each word expanded, and the columns appended as
/// last words when no word mentions any. A word that is nothing but columns that are not there is
/// left out, as a shell would. See [`argv_bytes`] for how long they may be.
pub fn expand_argv(words: &[Template], values: &Values<'_>) -> Vec<Vec<u8>> {
    let mut argv = Vec::with_capacity(words.len() + values.columns().len());
    let mut held = 0;
    for word in words {
        let mut open: Option<Vec<u8>> = None;
        word.write(values, &mut |said| match said {
            _ if held >= EXPANDED_BYTES_MAX => {}
            Said::Text(bytes) | Said::Value(bytes) => {
                held += bytes.len();
                open.get_or_insert_default().extend_from_slice(bytes);
            }
            Said::Blank => {
                held += WORD_BYTES;
                argv.extend(open.take());
            }
        });
        if word.parts.is_empty() {
            open.get_or_insert_default();
        }
        argv.extend(open);
    }
    if !words.iter().any(|word| word.has_value(values.form)) {
        argv.extend(values.columns().iter().map(|column| column.to_vec()));
    }
    argv
}

/// Returns how much of [`EXPANDED_BYTES_MAX`] the words of a command take.
pub fn argv_bytes(argv: &[Vec<u8>]) -> usize {
    argv.iter().map(|word| word.len() + WORD_BYTES).sum()
}

/// Appends the words that [`expand_argv`] gives, joined by blanks; for searches and rows.
pub fn join_argv(words: &[Template], values: &Values<'_>, out: &mut Vec<u8>) {
    let mut has_value = false;
    for (place, word) in words.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        has_value |= word.has_value(values.form);
        word.expand(values, Quote::Verbatim, out);
    }
    if !has_value {
        append(values, Quote::Verbatim, out);
    }
}

/// Returns a shell line for one task; the columns are appended, quoted, when the line mentions
/// none.
pub fn expand_line(line: &Template, values: &Values<'_>) -> Vec<u8> {
    let room: usize = values.columns().iter().map(|column| column.len() + 8).sum();
    let mut out = Vec::with_capacity(line.source.len() + room);
    write_line(line, values, &mut out);
    out
}

/// Appends what [`expand_line`] gives.
pub fn write_line(line: &Template, values: &Values<'_>, out: &mut Vec<u8>) {
    line.expand(values, Quote::Shell, out);
    if !line.has_value(values.form) {
        append(values, Quote::Shell, out);
    }
}

fn append(values: &Values<'_>, quote: Quote, out: &mut Vec<u8>) {
    for column in values.columns() {
        out.push(b' ');
        put(column, quote, out);
    }
}

/// Appends a value as one types it for a POSIX shell: quoted where it must be.
pub fn quote(value: &[u8], out: &mut Vec<u8>) {
    put(value, Quote::Shell, out);
}

fn put(value: &[u8], quote: Quote, out: &mut Vec<u8>) {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(b);
    match quote {
        Quote::Shell if value.is_empty() || !value.iter().all(plain) => {
            out.push(b'\'');
            for &byte in value {
                if byte == b'\'' {
                    out.extend_from_slice(b"'\\''");
                } else {
                    out.push(byte);
                }
            }
            out.push(b'\'');
        }
        Quote::Shell | Quote::Verbatim => out.extend_from_slice(value),
    }
}

fn padded(argument: &[u8], width: usize) -> Vec<u8> {
    let (sign, digits) = match argument.strip_prefix(b"-") {
        Some(digits) => (&b"-"[..], digits),
        None => (&b""[..], argument),
    };
    let mut out = sign.to_vec();
    out.resize((sign.len() + width).saturating_sub(digits.len()).max(sign.len()), b'0');
    out.extend_from_slice(digits);
    out
}

impl TryFrom<serde_bytes::ByteBuf> for Template {
    type Error = TemplateError;

    fn try_from(source: serde_bytes::ByteBuf) -> Result<Self, TemplateError> {
        Self::parse(&source)
    }
}

impl From<Template> for serde_bytes::ByteBuf {
    fn from(template: Template) -> Self {
        Self::from(template.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::Columns;

    fn of(template: &str, form: &ArgForm, argument: Option<&str>, quote: Quote) -> String {
        let values = Values::new(form, argument.map(str::as_bytes), 7).in_slot(2);
        let mut out = Vec::new();
        Template::from_text(template).unwrap().expand(&values, quote, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn check(template: &str, argument: &str, verbatim: &str, shell: &str) {
        for (quote, expected) in [(Quote::Verbatim, verbatim), (Quote::Shell, shell)] {
            assert_eq!(of(template, &ArgForm::default(), Some(argument), quote), expected);
        }
    }

    fn named(count: u16, names: &[&str]) -> ArgForm {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        ArgForm { columns: Columns::Many { count, names }, ..ArgForm::default() }
    }

    fn words(line: &str) -> Vec<Template> {
        line.split(' ').map(|w| Template::from_text(w).unwrap()).collect()
    }

    #[test]
    fn replacement_strings() {
        check("echo {}", "a b", "echo a b", "echo 'a b'");
        check(
            "{.} {/} {//} {/.}",
            "d/x.tar.gz",
            "d/x.tar x.tar.gz d x.tar",
            "d/x.tar x.tar.gz d x.tar",
        );
        check("{/} {//} {.}", "plain", "plain . plain", "plain . plain");
        check("{//}", "/a", "/", "/");
        check("{#}-{n:04}", "12", "7-0012", "7-0012");
        check("{n:03}", "-5", "-005", "-005");
        check("{}", "it's", "it's", "'it'\\''s'");
        check("{}", "", "", "''");
        check("{n} {1} {-1} {1.}", "a.b", "a.b a.b a.b a", "a.b a.b a.b a");
        check("{%}", "x", "2", "2");
        for same in ["awk '{print $1}' {x} {", "{0} {99999} {+/} {a{b}", "${HOME} {} "] {
            let shown = same.replace("{}", "f");
            check(same, "f", &shown, &shown);
        }
    }

    #[test]
    fn columns_by_place_and_by_name() {
        let form = named(3, &["host", "n"]);
        let check = |template: &str, argument: &str, expected: &str| {
            assert_eq!(of(template, &form, Some(argument), Quote::Shell), expected, "{template}");
        };
        check("{1} {2} {3}", "a\0b c\0d", "a 'b c' d");
        check("{3}{-1}{-3}{4}{-4}", "a\0b\0c", "cca");
        check("{host} {host.} {n} {port}", "x.y\0", "x.y x '' {port}");
        check("<{}> {/}", "d/a\0\0b c", "<d/a '' 'b c'> a '' 'b c'");
        check("{3}|{}", "a\0b", "|a b");
        check("{2}{1}", "a\0b\0c\0d", "ba");
        let numbered = ArgForm { numbered: true, ..ArgForm::default() };
        assert_eq!(of("{#} {}", &numbered, Some("42\0a"), Quote::Shell), "42 a");
        assert_eq!(of("{}|{1}|{#}", &form, None, Quote::Shell), "||7");
        let values = Values::new(&form, None, 7);
        let mut out = Vec::new();
        Template::from_text("{%}").unwrap().expand(&values, Quote::Verbatim, &mut out);
        assert_eq!(out, b"{%}");
    }

    #[test]
    fn words_split_where_columns_meet() {
        let form = named(4, &["a"]);
        let check = |line: &str, argument: Option<&str>, expected: &[&str]| {
            let values = Values::new(&form, argument.map(str::as_bytes), 1);
            let argv = expand_argv(&words(line), &values);
            let argv: Vec<_> = argv.iter().map(|word| String::from_utf8_lossy(word)).collect();
            assert_eq!(argv, expected, "{line}");
        };
        check("p x{}y", Some("a\0b c"), &["p", "xa", "b cy"]);
        check("p", Some("a\0\0c"), &["p", "a", "", "c"]);
        check("p {2} {3}", Some("a\0"), &["p", ""]);
        check("p {1}{2}", Some("a\0b"), &["p", "ab"]);
        check("p {a} {b}", Some("v"), &["p", "v", "{b}"]);
        check("p {}", None, &["p"]);
        let mut joined = Vec::new();
        let values = Values::new(&form, Some(b"a\0b"), 1);
        join_argv(&words("p {1}"), &values, &mut joined);
        joined.push(b'|');
        join_argv(&words("p"), &values, &mut joined);
        assert_eq!(joined, b"p a|p a b");
    }

    #[test]
    fn an_argument_that_is_not_mentioned_goes_last() {
        let plain = ArgForm::default();
        let one = |argument| Values::new(&plain, Some(argument), 1);
        assert_eq!(expand_argv(&words("gzip -9"), &one(b"a b")).last().unwrap(), b"a b");
        assert_eq!(expand_argv(&words("gzip {}"), &one(b"f")).len(), 2);
        assert_eq!(expand_argv(&words("true"), &Values::new(&plain, None, 1)), [b"true".to_vec()]);
        let line = Template::from_text("wc -l").unwrap();
        assert_eq!(expand_line(&line, &one(b"a b")), b"wc -l 'a b'");
        let empty = Template::from_text("").unwrap();
        assert_eq!(expand_argv(&[empty], &Values::new(&plain, None, 1)), [b"".to_vec()]);
    }

    /// Found with the fuzz target: 64 KiB that name 64 KiB in every second byte came to 2 GiB.
    #[test]
    fn what_names_a_long_value_often_is_cut() {
        let template = Template::from_text(&"{}".repeat(32 << 10)).unwrap();
        let (form, value) = (ArgForm::default(), vec![b'a'; 64 << 10]);
        let values = Values::new(&form, Some(&value), 1);
        let most = EXPANDED_BYTES_MAX + value.len();
        let argv = expand_argv(std::slice::from_ref(&template), &values);
        assert!((EXPANDED_BYTES_MAX..=most + 64).contains(&argv_bytes(&argv)));
        let line = expand_line(&template, &values);
        assert!((EXPANDED_BYTES_MAX..=most).contains(&line.len()));
        let mut joined = Vec::new();
        join_argv(&[template.clone(), template], &values, &mut joined);
        assert!((EXPANDED_BYTES_MAX..=most + 1).contains(&joined.len()));
    }

    #[test]
    fn bad_widths_have_a_sentence() {
        let error = Template::from_text("{n:x}").unwrap_err();
        assert!(error.to_string().contains("{n:04}"));
    }
}
