//! What the bytes of an argument are: one text, JSON, or several columns; and what a submitter
//! keeps beside them. Does not expand templates; see template.rs.
//!
//! An argument is one byte string. Where a form has more than one field, they are joined by NUL,
//! which no word of a command and no JSON text can hold. What is kept beside the columns comes
//! first: the number, then what was seen of the file.

use serde::{Deserialize, Serialize};

/// Columns of one argument.
pub const COLUMNS_MAX: usize = 256;
/// Bytes of the names of all columns together.
pub const COLUMN_BYTES_MAX: usize = 16 << 10;

/// How the bytes of a batch's arguments are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ArgForm {
    /// What the argument is.
    pub columns: Columns,
    /// Whether each task brings its own number for `{#}`; else it is its place in the batch.
    pub numbered: bool,
    /// Whether the argument is the path of a file that the worker checks.
    pub paths: Paths,
}

/// What an argument is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Columns {
    /// One text.
    #[default]
    Text,
    /// One JSON value; for handlers.
    Json,
    /// Several texts.
    Many {
        /// How many.
        count: u16,
        /// Their names for `{name}`, in order; may be fewer, or none.
        names: Vec<String>,
    },
}

/// Whether arguments are paths that the worker checks before it starts a task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Paths {
    /// They are not checked.
    #[default]
    Unchecked,
    /// Each is a file below one of the worker's roots.
    BelowRoots,
    /// The same, with the size and time of change that the submitter saw.
    AsSeen,
}

/// What a submitter saw of a file: `SIZE:MTIME_NS` in the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed, in nanoseconds since the epoch.
    pub mtime_ns: i128,
}

/// The form makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FormError {
    /// Too many columns, or none.
    #[error("an argument has 1 to {COLUMNS_MAX} columns, {count} were given")]
    Count {
        /// How many there are.
        count: usize,
    },
    /// The names are too long, or more than the columns.
    #[error(
        "the names of columns are over {COLUMN_BYTES_MAX} bytes or more than the columns; shorten \
         the header"
    )]
    Names,
}

/// The fields of one argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The number it brings; none when it brings none or a bad one.
    pub number: Option<u64>,
    /// What the submitter saw; none when it says nothing or nonsense.
    pub seen: Option<Seen>,
    /// The columns; one when the form is not of many.
    pub columns: Vec<&'a [u8]>,
}

impl ArgForm {
    /// Returns how many fields come before the columns.
    fn before(&self) -> usize {
        usize::from(self.numbered) + usize::from(self.paths == Paths::AsSeen)
    }

    /// Tells whether the whole argument is its one column.
    pub fn is_plain(&self) -> bool {
        self.before() == 0 && !matches!(self.columns, Columns::Many { .. })
    }

    /// Splits an argument. Missing columns are empty; what is too much stays in the last one.
    pub fn fields<'a>(&self, argument: &'a [u8]) -> Fields<'a> {
        let mut fields = self.fields_given(argument);
        fields.columns.resize(self.count(), &[]);
        fields
    }

    /// As [`ArgForm::fields`], but with those columns alone that the argument has.
    pub fn fields_given<'a>(&self, argument: &'a [u8]) -> Fields<'a> {
        let mut rest = Some(argument);
        let mut next = || {
            let bytes = rest.take()?;
            match bytes.iter().position(|byte| *byte == 0) {
                Some(at) => {
                    rest = Some(&bytes[at + 1..]);
                    Some(&bytes[..at])
                }
                None => Some(bytes),
            }
        };
        let text = |field: Option<&'a [u8]>| std::str::from_utf8(field?).ok();
        let number = if self.numbered { text(next()).and_then(|n| n.parse().ok()) } else { None };
        let seen = match self.paths {
            Paths::AsSeen => text(next()).and_then(Seen::parse),
            Paths::Unchecked | Paths::BelowRoots => None,
        };
        let mut columns: Vec<&[u8]> = (1..self.count()).map_while(|_| next()).collect();
        columns.extend(rest);
        if columns.is_empty() {
            columns.push(&[]);
        }
        Fields { number, seen, columns }
    }

    /// Returns how many columns an argument has at most.
    fn count(&self) -> usize {
        match self.columns {
            Columns::Text | Columns::Json => 1,
            Columns::Many { count, .. } => usize::from(count).max(1),
        }
    }

    /// Joins fields to an argument; the opposite of [`ArgForm::fields`].
    pub fn join(&self, number: u64, seen: Option<Seen>, columns: &[&[u8]], into: &mut Vec<u8>) {
        if self.numbered {
            into.extend_from_slice(number.to_string().as_bytes());
            into.push(0);
        }
        if self.paths == Paths::AsSeen {
            if let Some(Seen { size, mtime_ns }) = seen {
                into.extend_from_slice(format!("{size}:{mtime_ns}").as_bytes());
            }
            into.push(0);
        }
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                into.push(0);
            }
            into.extend_from_slice(column);
        }
    }

    /// Writes an argument for people: its columns, joined by blanks.
    pub fn show(&self, argument: &[u8], into: &mut Vec<u8>) {
        if self.is_plain() {
            into.extend_from_slice(argument);
            return;
        }
        for (place, column) in self.fields_given(argument).columns.iter().enumerate() {
            if place > 0 {
                into.push(b' ');
            }
            into.extend_from_slice(column);
        }
    }

    /// Returns the names of its columns.
    pub fn names(&self) -> &[String] {
        match &self.columns {
            Columns::Text | Columns::Json => &[],
            Columns::Many { names, .. } => names,
        }
    }

    /// Checks the limits, wherever it came from.
    ///
    /// # Errors
    /// Names the limit that is passed.
    pub fn check(&self) -> Result<(), FormError> {
        let Columns::Many { count, names } = &self.columns else { return Ok(()) };
        let count = usize::from(*count);
        if !(1..=COLUMNS_MAX).contains(&count) {
            return Err(FormError::Count { count });
        }
        let bytes: usize = names.iter().map(String::len).sum();
        if names.len() > count || bytes > COLUMN_BYTES_MAX {
            return Err(FormError::Names);
        }
        Ok(())
    }
}

impl Seen {
    fn parse(text: &str) -> Option<Self> {
        let (size, mtime_ns) = text.split_once(':')?;
        Some(Self { size: size.parse().ok()?, mtime_ns: mtime_ns.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(count: u16) -> Columns {
        Columns::Many { count, names: Vec::new() }
    }

    #[test]
    fn fields_come_back_as_they_were_joined() {
        let seen = Seen { size: 7, mtime_ns: -5 };
        let check = |form: ArgForm, columns: &[&str]| {
            let columns: Vec<&[u8]> = columns.iter().map(|text| text.as_bytes()).collect();
            let mut argument = Vec::new();
            form.join(42, Some(seen), &columns, &mut argument);
            let fields = form.fields(&argument);
            assert_eq!(fields.columns, columns);
            assert_eq!(fields.number, form.numbered.then_some(42));
            assert_eq!(fields.seen, (form.paths == Paths::AsSeen).then_some(seen));
            form.check().unwrap();
        };
        check(ArgForm::default(), &["a b"]);
        check(ArgForm { columns: many(2), ..ArgForm::default() }, &["a", ""]);
        let all = ArgForm { columns: many(3), numbered: true, paths: Paths::AsSeen };
        check(all, &["", "x", "y z"]);
        check(ArgForm { numbered: true, ..ArgForm::default() }, &[""]);
    }

    #[test]
    fn nonsense_is_read_as_nothing() {
        let form = ArgForm { columns: many(3), numbered: true, paths: Paths::AsSeen };
        let fields = form.fields(b"x\0y\0a");
        let columns: [&[u8]; 3] = [b"a", b"", b""];
        assert_eq!((fields.number, fields.seen, fields.columns), (None, None, columns.to_vec()));
        let three = ArgForm { columns: many(3), ..ArgForm::default() };
        assert_eq!(three.fields_given(b"a\0b").columns, [&b"a"[..], b"b"]);
        assert_eq!(three.fields_given(b"").columns, [&b""[..]]);
        let two = ArgForm { columns: many(2), ..ArgForm::default() };
        assert_eq!(two.fields(b"a\0b\0c").columns, [&b"a"[..], b"b\0c"]);
        assert!(ArgForm { columns: many(0), ..ArgForm::default() }.check().is_err());
        let names = vec!["a".to_owned(), "b".to_owned()];
        let columns = Columns::Many { count: 1, names };
        assert_eq!(ArgForm { columns, ..form }.check(), Err(FormError::Names));
    }

    #[test]
    fn columns_are_shown_apart() {
        let mut shown = Vec::new();
        let form = ArgForm { columns: many(2), numbered: true, ..ArgForm::default() };
        form.show(b"7\0a\0b", &mut shown);
        assert_eq!(shown, b"a b");
    }
}
