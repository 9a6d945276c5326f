//! Where the arguments of `submit` and `run` come from: words, files, ranges, random numbers, JSON
//! lines; crossed or linked, with columns and names. Reads files piece by piece: a submission of
//! any length takes the memory of one part. Cut into parts in parts.rs.

mod cross;
mod flags;
mod json;
pub(crate) mod number;
pub(crate) mod parts;
mod records;
pub(crate) mod seen;
pub(crate) mod words;

use std::collections::HashSet;

use ganger_proto::form::{ArgForm, Columns, Paths};
use ganger_proto::{Args, Spec};

use super::error::{CliError, Result};
use cross::Cross;
pub(crate) use flags::{Default, From};
use json::JsonLines;
use number::Random;
use records::Row;
use seen::Sight;

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

impl Source {
    /// Takes rows of this form, so many for one task.
    fn packed(rows: Rows, form: ArgForm, pack: usize) -> Self {
        let (skip, sight) = (HashSet::new(), Sight::default());
        Self { rows, form, pack, number: 0, skip, sight }
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
        Self::packed(rows, form, 1)
    }

    /// Takes a range as it is, for a command that was given it as its only argument.
    pub(crate) fn range(args: Args) -> Self {
        Self::of(Rows::Whole(args))
    }

    /// Takes arguments that have their numbers.
    pub(crate) fn given(rows: Vec<(u64, Vec<u8>)>) -> Self {
        let mut source = Self::of(Rows::Given(rows.into_iter()));
        source.form.numbered = true;
        source
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
        if self.pack == 1
            && self.form.is_plain()
            && self.form.paths == Paths::Unchecked
            && let Rows::Read(cross) = &mut self.rows
            && let Some(records) = cross.only_whole()
        {
            self.number += 1;
            return records.raw(into);
        }
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

fn named(names: Vec<String>) -> Columns {
    // Objects without a field, or no object at all, are still one column.
    Columns::Many { count: of_u16(names.len().max(1)), names }
}

/// What is over the limit is refused by the check of the form.
fn of_u16(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
