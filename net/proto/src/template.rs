//! Templates: how a task's argument becomes words of a command. Expanded by previews and by
//! workers, with the same code. Does not run anything.
//!
//! The replacement strings are those of GNU parallel (its manual, "REPLACEMENT STRINGS"):
//! `{}` the argument, `{.}` without its extension, `{/}` its base name, `{//}` its directory,
//! `{/.}` its base name without extension, `{#}` the task's number in the batch from 1; and
//! ganger's own `{n}` (the argument again, for ranges) and `{n:04}` (padded with zeros).

use serde::{Deserialize, Serialize};

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

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Text(Vec<u8>),
    Value(Form),
    Number,
    Padded(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Form {
    Whole,
    NoExtension,
    Base,
    Directory,
    BaseNoExtension,
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

    /// Tells whether the argument appears anywhere; if in no word of a command, it is appended.
    pub fn has_value(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(_) | Part::Padded(_)))
    }

    /// Appends the expansion for `argument`, the task's `number` in its batch counted from 1.
    pub fn expand(&self, argument: &[u8], number: u64, quote: Quote, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Number => out.extend_from_slice(number.to_string().as_bytes()),
                Part::Padded(width) => put(&padded(argument, *width), quote, out),
                Part::Value(form) => put(form.of(argument), quote, out),
            }
        }
    }
}

/// Returns the words of a command for one task: each word expanded, and the argument appended as a
/// last word when no word mentions it and there is one.
pub fn expand_argv(words: &[Template], argument: Option<&[u8]>, number: u64) -> Vec<Vec<u8>> {
    let value = argument.unwrap_or_default();
    let mut argv: Vec<Vec<u8>> = words
        .iter()
        .map(|word| {
            let mut out = Vec::with_capacity(word.source.len() + value.len());
            word.expand(value, number, Quote::Verbatim, &mut out);
            out
        })
        .collect();
    if let Some(value) = argument
        && !words.iter().any(Template::has_value)
    {
        argv.push(value.to_vec());
    }
    argv
}

/// Appends the words that [`expand_argv`] gives, joined by blanks; for searches and rows.
pub fn join_argv(words: &[Template], argument: Option<&[u8]>, number: u64, out: &mut Vec<u8>) {
    let value = argument.unwrap_or_default();
    let mut has_value = false;
    for (place, word) in words.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        has_value |= word.has_value();
        word.expand(value, number, Quote::Verbatim, out);
    }
    if let (Some(value), false) = (argument, has_value) {
        out.push(b' ');
        out.extend_from_slice(value);
    }
}

/// Returns a shell line for one task; the argument is appended, quoted, when the line does not
/// mention it and there is one.
pub fn expand_line(line: &Template, argument: Option<&[u8]>, number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(line.source.len() + argument.map_or(0, <[u8]>::len) + 8);
    write_line(line, argument, number, &mut out);
    out
}

/// Appends what [`expand_line`] gives.
pub fn write_line(line: &Template, argument: Option<&[u8]>, number: u64, out: &mut Vec<u8>) {
    line.expand(argument.unwrap_or_default(), number, Quote::Shell, out);
    if let Some(value) = argument
        && !line.has_value()
    {
        out.push(b' ');
        put(value, Quote::Shell, out);
    }
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

/// Reads one replacement string at the start of `rest`, with its length.
fn replacement(rest: &[u8]) -> Result<Option<(Part, usize)>, TemplateError> {
    const FIXED: [(&[u8], Part); 7] = [
        (b"{}", Part::Value(Form::Whole)),
        (b"{n}", Part::Value(Form::Whole)),
        (b"{.}", Part::Value(Form::NoExtension)),
        (b"{/}", Part::Value(Form::Base)),
        (b"{//}", Part::Value(Form::Directory)),
        (b"{/.}", Part::Value(Form::BaseNoExtension)),
        (b"{#}", Part::Number),
    ];
    if let Some((text, part)) = FIXED.iter().find(|(text, _)| rest.starts_with(text)) {
        return Ok(Some((part.clone(), text.len())));
    }
    let Some(spec) = rest.strip_prefix(b"{n:") else { return Ok(None) };
    let Some(end) = spec.iter().position(|b| *b == b'}') else { return Ok(None) };
    let width = std::str::from_utf8(&spec[..end]).ok().and_then(|text| text.parse().ok());
    match width {
        Some(width @ 1..=64) => Ok(Some((Part::Padded(width), end + 4))),
        _ => {
            let shown = String::from_utf8_lossy(&rest[..(end + 4).min(40)]);
            Err(TemplateError::Width { shown: shown.chars().filter(|c| !c.is_control()).collect() })
        }
    }
}

impl Form {
    fn of(self, argument: &[u8]) -> &[u8] {
        match self {
            Self::Whole => argument,
            Self::NoExtension => without_extension(argument),
            Self::Base => base(argument),
            Self::BaseNoExtension => without_extension(base(argument)),
            Self::Directory => match argument.iter().rposition(|b| *b == b'/') {
                Some(0) => b"/",
                Some(at) => &argument[..at],
                None => b".",
            },
        }
    }
}

fn base(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(path, |at| &path[at + 1..])
}

/// A dot counts only within the base name, as in GNU parallel.
fn without_extension(path: &[u8]) -> &[u8] {
    let name_at = path.len() - base(path).len();
    match path[name_at..].iter().rposition(|b| *b == b'.') {
        Some(dot) => &path[..name_at + dot],
        None => path,
    }
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

    fn check(template: &str, argument: &str, verbatim: &str, shell: &str) {
        let template = Template::from_text(template).unwrap();
        for (quote, expected) in [(Quote::Verbatim, verbatim), (Quote::Shell, shell)] {
            let mut out = Vec::new();
            template.expand(argument.as_bytes(), 7, quote, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
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
        check("awk '{print $1}' {x} {", "f", "awk '{print $1}' {x} {", "awk '{print $1}' {x} {");
    }

    #[test]
    fn an_argument_that_is_not_mentioned_goes_last() {
        let words = |line: &str| -> Vec<Template> {
            line.split(' ').map(|w| Template::from_text(w).unwrap()).collect()
        };
        assert_eq!(expand_argv(&words("gzip -9"), Some(b"a b"), 1).last().unwrap(), b"a b");
        assert_eq!(expand_argv(&words("gzip {}"), Some(b"f"), 1).len(), 2);
        assert_eq!(expand_argv(&words("true"), None, 1), [b"true".to_vec()]);
        let line = Template::from_text("wc -l").unwrap();
        assert_eq!(expand_line(&line, Some(b"a b"), 1), b"wc -l 'a b'");
    }

    #[test]
    fn bad_widths_have_a_sentence() {
        let error = Template::from_text("{n:x}").unwrap_err();
        assert!(error.to_string().contains("{n:04}"));
    }
}
