//! The flags that say where the arguments of `submit` and `run` come from, and the source that they
//! make together with the words of the command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use ganger_proto::Kind;
use ganger_proto::form::{ArgForm, COLUMNS_MAX, Columns};
use regex::bytes::Regex;

use super::super::error::{CliError, Result};
use super::super::{out, text};
use super::cross::{Cross, Link};
use super::json::{For, JsonLines};
use super::records::{self, Blank, Cutting, Reading, Records, Row};
use super::words::{Input, Origin};
use super::{Rows, Source, named, number, of_u16};

/// Flags that say where arguments come from.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Where arguments come from")]
pub(crate) struct From {
    /// A file with an argument a line, which may be blank; - is standard input; may be repeated,
    /// and is then crossed, as `:::: FILE FILE` is
    #[arg(short = 'a', long = "arg-file", value_name = "FILE")]
    file: Vec<PathBuf>,

    /// Arguments of files end with NUL instead of a line end
    #[arg(short = '0', long = "null")]
    null: bool,

    /// Cut each argument into columns {1} {2} … at matches of this regular expression
    #[arg(short = 'C', long, value_name = "REGEX", value_parser = records::separator)]
    colsep: Option<Regex>,

    /// Read each argument as comma-separated values; the columns are {1} {2} …
    #[arg(long, conflicts_with = "colsep")]
    csv: bool,

    /// The first argument of each source names its columns: {name}; write --header :
    #[arg(long, value_name = ":", value_parser = [":"])]
    header: Option<String>,

    /// Take an argument of each source in turn instead of crossing them; shorter ones begin again
    #[arg(long, alias = "xapply")]
    link: bool,

    /// This many arguments for one task, {1} {2} …
    #[arg(short = 'n', short_alias = 'N', long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=COLUMNS_MAX as i64))]
    max_args: Option<u16>,

    /// Leave out blank arguments
    #[arg(short = 'r', long)]
    no_run_if_empty: bool,

    /// A JSON value a line; the fields of objects are {name}; a handler gets the whole value
    #[arg(long, value_name = "FILE", group = "alone")]
    jsonl: Option<PathBuf>,

    /// Whole numbers, both ends included
    #[arg(long, value_name = "FIRST..LAST[:STEP]", allow_hyphen_values = true, group = "alone")]
    range: Option<String>,

    /// Random whole numbers, both ends included; the same seed gives the same numbers
    #[arg(long, value_name = "COUNT:MIN..MAX[:SEED]", group = "alone")]
    random: Option<String>,

    /// The same task this often, without an argument
    #[arg(long, value_name = "N", group = "alone")]
    repeat: Option<u64>,
}

/// What a command reads that names no source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    /// Nothing: it is one task.
    OneTask,
    /// Standard input.
    Stdin,
}

impl Source {
    /// Makes the source of flags and of the words after `:::`.
    ///
    /// # Errors
    /// When there are two sources, none where the kind needs one, or one cannot be read.
    pub(crate) fn build(
        from: &From,
        listed: Vec<Input>,
        kind: &Kind,
        otherwise: Default,
    ) -> Result<Self> {
        let files = from.file.iter().map(Input::file);
        let mut inputs: Vec<Input> = files.chain(listed).collect();
        if let Some(rows) = from.alone(kind)? {
            if !inputs.is_empty() {
                return Err(CliError::usage(
                    "arguments come from `:::` and from a flag; give them in one way (options go \
                     before `:::`)",
                ));
            }
            return Ok(Self::of(rows));
        }
        let in_process = matches!(kind, Kind::Square | Kind::Sleep | Kind::Handler { .. });
        if inputs.is_empty() {
            match otherwise {
                Default::Stdin => {
                    if std::io::stdin().is_terminal() {
                        out::note(
                            "reading arguments from this terminal, one a line; Ctrl-D ends them",
                        );
                    }
                    inputs.push(Input::file("-"));
                }
                Default::OneTask if in_process => {
                    return Err(CliError::usage(format!(
                        "the kind {kind} needs an argument a task; give them after `:::`, with \
                         -a FILE, --range 1..10 or --random 10:0..9999"
                    )));
                }
                Default::OneTask if from.null => {
                    return Err(CliError::usage(
                        "-0 says how the arguments of a file end; name the file with -a FILE",
                    ));
                }
                Default::OneTask => return Ok(Self::of(Rows::Whole(number::repeat(1)?))),
            }
        }
        if matches!(kind, Kind::Square | Kind::Sleep) {
            check_words(&inputs)?;
        }
        from.read(inputs)
    }
}

impl From {
    /// Tells whether nothing is said about how arguments are cut, joined or counted.
    pub(crate) fn is_plain(&self) -> bool {
        let cut = self.colsep.is_some() || self.csv || self.header.is_some();
        !cut && !self.link && self.max_args.is_none() && !self.no_run_if_empty
    }

    /// Returns the source that goes with no other, when one is asked for.
    fn alone(&self, kind: &Kind) -> Result<Option<Rows>> {
        if let Some(path) = &self.jsonl {
            let handler = matches!(kind, Kind::Handler { .. });
            let taken_by = if handler { For::Handlers } else { For::Commands };
            return Ok(Some(Rows::Json(JsonLines::open(path, taken_by)?)));
        }
        if let Some(text) = &self.range {
            return Ok(Some(Rows::Whole(number::range(text)?)));
        }
        if let Some(text) = &self.random {
            let random = number::random(text)?;
            let rng = random.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
            return Ok(Some(Rows::Drawn(random, rng)));
        }
        let Some(count) = self.repeat else { return Ok(None) };
        if matches!(kind, Kind::Square | Kind::Sleep | Kind::Handler { .. }) {
            return Err(CliError::usage(format!(
                "the kind {kind} needs an argument a task, and --repeat gives none; give them \
                 after `:::`"
            )));
        }
        Ok(Some(Rows::Whole(number::repeat(count)?)))
    }

    /// Opens words and files.
    fn read(&self, inputs: Vec<Input>) -> Result<Source> {
        let columns = match &self.colsep {
            Some(separator) => Cutting::At(separator.clone()),
            None if self.csv => Cutting::Csv,
            None => Cutting::Whole,
        };
        let blank = if self.no_run_if_empty { Blank::LeftOut } else { Blank::Kept };
        let reading = Reading { end: if self.null { 0 } else { b'\n' }, columns, blank };
        let (count, mut names, mut sources) = (inputs.len(), Vec::new(), Vec::new());
        for Input { origin, joint } in inputs {
            let mut records = Records::open(origin, reading.clone())?;
            if self.header.is_some() {
                header(&mut records, &mut names)?;
            }
            sources.push((records, joint));
        }
        let link = if self.link { Link::All } else { Link::Each };
        let pack = usize::from(self.max_args.unwrap_or(1));
        let cut = !matches!(reading.columns, Cutting::Whole);
        let columns = match (names.is_empty(), cut || pack > 1, count) {
            (false, ..) => named(names),
            (true, true, _) => Columns::Many { count: COLUMNS_MAX as u16, names },
            (true, false, 1) => Columns::Text,
            (true, false, _) => Columns::Many { count: of_u16(count), names },
        };
        let form = ArgForm { columns, ..ArgForm::default() };
        form.check().map_err(|error| CliError::usage(error.to_string()))?;
        let rows = Rows::Read(Cross::new(sources, link)?);
        Ok(Source::packed(rows, form, pack))
    }
}

/// Reads the names of a source's columns.
fn header(records: &mut Records, names: &mut Vec<String>) -> Result<()> {
    let mut row = Row::new();
    if !records.next_into(&mut row)? {
        return Err(CliError::usage(format!(
            "{} has no first line that names its columns; leave --header away",
            records.name()
        )));
    }
    let texts = row.into_iter().map(|name| String::from_utf8_lossy(&name).into_owned());
    names.extend(texts);
    Ok(())
}

/// No number and no time begins with two dashes; an argument of a command may.
fn check_words(inputs: &[Input]) -> Result<()> {
    let words = inputs.iter().flat_map(|input| match &input.origin {
        Origin::Words(words) => words.as_slice(),
        Origin::File(_) => &[],
    });
    let mut options = words.filter(|word| word.as_encoded_bytes().starts_with(b"--"));
    match options.next() {
        None => Ok(()),
        Some(option) => Err(CliError::usage(format!(
            "`{}` stands among the arguments; options go before `:::`",
            text::line(&option.to_string_lossy())
        ))),
    }
}
