//! The command of a run: its words make one shell line, as in GNU parallel. A line in which a shell
//! would do nothing but cut words runs without one.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use ganger_proto::spec::SpecError;
use ganger_proto::template::{self, Values};
use ganger_proto::{ArgForm, Kind, Template};

use super::super::error::{CliError, Result};
use super::super::submit::spec::Word;
use super::super::text;

/// What each task runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// A line with replacement strings.
    Words(Template),
    /// The arguments are the commands.
    Arguments,
    /// No command: the worker does this with the arguments.
    Own(Kind),
}

impl Line {
    /// Joins words to a line.
    ///
    /// # Errors
    /// When a replacement string cannot be read, or the first word is an option that is not known.
    pub(crate) fn of(words: &[OsString]) -> Result<Self> {
        // An option behind `--` is a slip of the hand.
        if let Some(word) = words.first().filter(|word| word.as_bytes().starts_with(b"-")) {
            let word = text::line(&word.to_string_lossy());
            return Err(CliError::usage(format!(
                "`{word}` is neither an option of run nor a program; see `ganger run --help`"
            )));
        }
        let line = words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>().join(&b' ');
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::Arguments);
        }
        Ok(Self::Words(Template::parse(&line).map_err(SpecError::from)?))
    }

    /// Takes a kind of the worker's own instead of a command.
    ///
    /// # Errors
    /// When the kind needs a command, or there is one beside it.
    pub(crate) fn of_kind(word: &Word, words: &[OsString]) -> Result<Self> {
        let kind = match word {
            Word::Square => Kind::Square,
            Word::Sleep => Kind::Sleep,
            Word::Handler(name) => Kind::Handler { name: name.clone() },
            Word::Exec | Word::Shell => {
                return Err(CliError::usage(
                    "run sees by itself whether a line needs a shell; leave --kind away",
                ));
            }
        };
        match words.first() {
            None => Ok(Self::Own(kind)),
            Some(word) => Err(CliError::usage(format!(
                "`{}` is a command, and the kind {kind} takes none; put arguments after `:::`",
                text::line(&word.to_string_lossy())
            ))),
        }
    }

    /// Returns the kind that runs it.
    pub(crate) fn kind(&self, form: &ArgForm) -> Kind {
        match self {
            Self::Words(line) => match line.without_shell(form) {
                Some(argv) => Kind::Exec { argv },
                None => Kind::Shell { line: line.clone() },
            },
            Self::Arguments => {
                let line = Template::from_text("eval {}").expect("it has no width to be wrong");
                Kind::Shell { line }
            }
            Self::Own(kind) => kind.clone(),
        }
    }

    /// Returns what a task runs, as one types it.
    pub(crate) fn shown(&self, values: &Values<'_>) -> Vec<u8> {
        match self {
            Self::Words(line) => template::expand_line(line, values),
            Self::Arguments => values.columns().join(&b' '),
            Self::Own(kind) => {
                let mut shown = kind.to_string().into_bytes();
                for column in values.columns() {
                    shown.push(b' ');
                    template::quote(column, &mut shown);
                }
                shown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_a_line_or_a_vector() {
        let check = |words: &[&str], expected: &str| {
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            let line = Line::of(&words).unwrap();
            let form = ArgForm::default();
            let values = Values::new(&form, Some(b"a b"), 1);
            let shown = String::from_utf8(line.shown(&values)).unwrap();
            let kind = line.kind(&form);
            let kind = if let Kind::Exec { argv } = &kind {
                format!("exec of {}", argv.len())
            } else {
                kind.word().to_owned()
            };
            assert_eq!(format!("{kind}: {shown}"), expected);
        };
        check(&["gzip", "-9"], "exec of 2: gzip -9 'a b'");
        check(&["gzip -9 {}"], "exec of 3: gzip -9 'a b'");
        check(&["sort", "{}", "|", "uniq"], "shell: sort 'a b' | uniq");
        check(&["exit", "3"], "shell: exit 3 'a b'");
        check(&[], "shell: a b");
        check(&[""], "shell: a b");
    }

    #[test]
    fn a_kind_of_the_workers_own_takes_no_command() {
        let line = Line::of_kind(&Word::Square, &[]).unwrap();
        let form = ArgForm::default();
        assert_eq!(line.shown(&Values::new(&form, Some(b"5"), 1)), b"square 5");
        let error = Line::of_kind(&Word::Sleep, &["x".into()]).unwrap_err();
        assert!(error.sentence.contains("takes none"), "{error}");
        assert!(Line::of_kind(&Word::Shell, &[]).is_err());
    }

    #[test]
    fn an_unknown_option_is_said() {
        let error = Line::of(&["--jobsx".into()]).unwrap_err();
        assert!(error.sentence.contains("neither an option of run"), "{error}");
        assert!(Line::of(&["echo".into(), "{n:x}".into()]).is_err());
    }
}
