//! Where the arguments of `submit` and `run` come from: words, files, ranges, random numbers, JSON
//! lines; crossed or linked, with columns and names. Reads files piece by piece: a submission of any
//! length takes the memory of one part. Cut into parts in parts.rs.

mod cross;
mod json;
pub(crate) mod number;
pub(crate) mod parts;
mod records;
pub(crate) mod seen;
pub(crate) mod words;

use std::collections::HashSet;
use std::path::PathBuf;

use ganger_proto::form::{ArgForm, COLUMNS_MAX, Columns, Paths};
use ganger_proto::{Args, Kind, Spec};
use regex::bytes::Regex;

use super::error::{CliError, Result};
use super::text;
use cross::{Cross, Link};
use json::{For, JsonLines};
use number::Random;
use records::{Blank, Cutting, Reading, Records, Row};
use seen::Sight;
use words::{Input, Origin};

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

/// Where arguments come from.
pub(crate) struct Source {
    rows: Rows,
    form: ArgForm,
    /// Arguments of one task.
    pack: usize,
    /// Rows handed out, left-out ones among them.
    number: u64,
    /// Numbers of rows that are left out.
    skip: HashSet<u64>,
    /// Looks at files that arguments name.
    sight: Sight,
}

enum Rows {
    /// A range or a repeat: one part, whatever its length.
    Whole(Args),
    /// A range one by one.
    Each(Args, u64),
    /// Words and files.
    Read(Cross),
    /// JSON lines.
    Json(JsonLines),
    /// Numbers drawn as they are needed.
    Drawn(Random, fastrand::Rng),
    /// Rows in memory.
    Kept(std::vec::IntoIter<Row>),
    /// One argument a row, with its number.
    Given(std::vec::IntoIter<(u64, Vec<u8>)>),
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
                Default::Stdin => inputs.push(Input::file("-")),
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

    fn of(rows: Rows) -> Self {
        let columns = match &rows {
            Rows::Json(json) => match json.names() {
                Some(names) => named(names.to_vec()),
                None => Columns::Json,
            },
            Rows::Whole(_)
            | Rows::Each(..)
            | Rows::Read(_)
            | Rows::Drawn(..)
            | Rows::Kept(_)
            | Rows::Given(_) => Columns::Text,
        };
        let form = ArgForm { columns, ..ArgForm::default() };
        Self { rows, form, pack: 1, number: 0, skip: HashSet::new(), sight: Sight::default() }
    }

    /// Takes a range as it is, for a command that was given it as its only argument.
    pub(crate) fn range(args: Args) -> Self {
        Self::of(Rows::Whole(args))
    }

    /// Lets the first column of each argument be checked as the path of a file, when `spec` asks
    /// for it.
    ///
    /// # Errors
    /// When the arguments are no paths, or there are none.
    pub(crate) fn look_at_paths(&mut self, spec: &Spec) -> Result<()> {
        self.form.paths = spec.form.paths;
        seen::check_kind(&spec.kind, &self.form)?;
        if self.form.paths != Paths::Unchecked && matches!(self.whole(), Some(Args::Repeat { .. }))
        {
            return Err(CliError::usage(
                "--paths checks arguments that are paths; give them after `:::` or with -a FILE",
            ));
        }
        self.sight = Sight::new(spec);
        Ok(())
    }

    /// Takes arguments that have their numbers.
    pub(crate) fn given(rows: Vec<(u64, Vec<u8>)>) -> Self {
        let mut source = Self::of(Rows::Given(rows.into_iter()));
        source.form.numbered = true;
        source
    }

    /// Returns what the arguments are.
    pub(crate) const fn form(&self) -> &ArgForm {
        &self.form
    }

    /// Returns how many tasks it makes; nothing when only its end will tell.
    pub(crate) fn total(&self) -> Option<u64> {
        if self.pack > 1 || !self.skip.is_empty() {
            return None;
        }
        match &self.rows {
            Rows::Whole(args) => Some(args.count()),
            Rows::Each(args, at) => Some(args.count() - at),
            Rows::Read(cross) => cross.left(),
            Rows::Json(_) => None,
            Rows::Drawn(random, _) => Some(random.count),
            Rows::Kept(rows) => Some(rows.len() as u64),
            Rows::Given(rows) => Some(rows.len() as u64),
        }
    }

    /// Leaves out the rows with these numbers, counted from 1; the others keep theirs.
    pub(crate) fn leave_out(&mut self, numbers: HashSet<u64>) {
        self.one_by_one();
        self.form.numbered = true;
        self.skip = numbers;
    }

    /// Reads everything and hands it out in an order of `rng`'s.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub(crate) fn shuffle(&mut self, rng: &mut fastrand::Rng) -> Result<()> {
        self.one_by_one();
        let mut all = Vec::new();
        let mut row = Row::new();
        while self.next_row(&mut row)? {
            all.push(std::mem::take(&mut row));
        }
        rng.shuffle(&mut all);
        self.pack = 1;
        self.rows = Rows::Kept(all.into_iter());
        Ok(())
    }

    fn one_by_one(&mut self) {
        if let Rows::Whole(args) = &self.rows {
            self.rows = Rows::Each(args.clone(), 0);
        }
    }

    /// Returns a range or a repeat, which goes as it is.
    pub(crate) const fn whole(&self) -> Option<&Args> {
        match &self.rows {
            Rows::Whole(args) => Some(args),
            Rows::Each(..)
            | Rows::Read(_)
            | Rows::Json(_)
            | Rows::Drawn(..)
            | Rows::Kept(_)
            | Rows::Given(_) => None,
        }
    }

    /// Puts the next argument into `into`; tells whether there was one.
    ///
    /// # Errors
    /// When it cannot be read, or a column cannot be kept.
    pub(crate) fn next_into(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        let mut row = Row::new();
        loop {
            row.clear();
            if !self.next_row(&mut row)? {
                return Ok(false);
            }
            self.number += 1;
            if !self.skip.contains(&self.number) {
                break;
            }
        }
        let seen = match row.first() {
            Some(first) => self.sight.look(first)?,
            None => None,
        };
        if self.form.is_plain() && row.len() == 1 {
            *into = row.pop().unwrap_or_default();
            return Ok(true);
        }
        self.check_row(&row)?;
        let columns: Vec<&[u8]> = row.iter().map(Vec::as_slice).collect();
        self.form.join(self.number, seen, &columns, into);
        Ok(true)
    }

    fn check_row(&self, row: &Row) -> Result<()> {
        if row.iter().any(|value| value.contains(&0)) {
            return Err(CliError::usage(format!(
                "{} holds a NUL byte, which no word of a command can hold; take it out",
                self.place()
            )));
        }
        let count = match &self.form.columns {
            Columns::Text | Columns::Json => 1,
            Columns::Many { count, .. } => usize::from(*count),
        };
        if row.len() > count {
            return Err(CliError::usage(format!(
                "{} has {} columns and the header names {count}; give it as many names",
                self.place(),
                row.len()
            )));
        }
        Ok(())
    }

    fn next_row(&mut self, row: &mut Row) -> Result<bool> {
        for taken in 0..self.pack {
            if !self.one_row(row)? {
                return Ok(taken > 0);
            }
        }
        Ok(true)
    }

    fn one_row(&mut self, row: &mut Row) -> Result<bool> {
        match &mut self.rows {
            Rows::Whole(_) => Ok(false),
            Rows::Each(args, at) => {
                let mut value = Vec::new();
                let there = *at < args.count();
                if there {
                    args.write(*at, &mut value);
                    *at += 1;
                    row.push(value);
                }
                Ok(there)
            }
            Rows::Read(cross) => cross.next_into(row),
            Rows::Json(json) => json.next_into(row),
            Rows::Drawn(random, rng) => {
                if random.count == 0 {
                    return Ok(false);
                }
                random.count -= 1;
                row.push(rng.i64(random.low..=random.high).to_string().into_bytes());
                Ok(true)
            }
            Rows::Given(rows) => {
                let Some((number, value)) = rows.next() else { return Ok(false) };
                // It is counted when the row is whole.
                self.number = number.saturating_sub(1);
                row.push(value);
                Ok(true)
            }
            Rows::Kept(rows) => {
                let next = rows.next();
                let there = next.is_some();
                row.extend(next.into_iter().flatten());
                Ok(there)
            }
        }
    }

    /// Says where the newest argument came from.
    pub(crate) fn place(&self) -> String {
        match &self.rows {
            Rows::Read(cross) => cross.place(),
            Rows::Json(json) => json.place(),
            Rows::Whole(_) | Rows::Each(..) | Rows::Drawn(..) | Rows::Kept(_) | Rows::Given(_) => {
                format!("argument {}", self.number)
            }
        }
    }

    /// Returns the source's name.
    pub(crate) fn name(&self) -> &str {
        match &self.rows {
            Rows::Read(cross) => cross.name(),
            Rows::Json(json) => json.name(),
            Rows::Whole(_) | Rows::Each(..) | Rows::Drawn(..) | Rows::Kept(_) | Rows::Given(_) => {
                "the list"
            }
        }
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
        let (skip, sight) = (HashSet::new(), Sight::default());
        Ok(Source { rows, form, pack, number: 0, skip, sight })
    }
}

fn named(names: Vec<String>) -> Columns {
    Columns::Many { count: of_u16(names.len()), names }
}

/// What is over the limit is refused by the check of the form.
fn of_u16(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
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
