//! Records of one source of arguments: words, or a file read piece by piece; and how a record is
//! cut into columns. How sources go together is in cross.rs.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use ganger_proto::form::COLUMNS_MAX;
use ganger_proto::limits::PAYLOAD_BYTES_MAX;
use regex::bytes::{Regex, RegexBuilder};

use super::super::error::{CliError, Result};
use super::super::text;
use super::words::Origin;

/// The columns of a record, or of several together.
pub(crate) type Row = Vec<Vec<u8>>;

/// How records are read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    /// What ends a record of a file.
    pub(crate) end: u8,
    /// How a record becomes columns.
    pub(crate) columns: Cutting,
    /// Whether blank records are left out.
    pub(crate) blank: Blank,
}

/// How a record becomes columns.
#[derive(Clone, Debug)]
pub(crate) enum Cutting {
    /// It is one.
    Whole,
    /// At each match.
    At(Regex),
    /// As comma-separated values (RFC 4180).
    Csv,
}

/// What becomes of blank records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blank {
    /// They are records.
    Kept,
    /// They are left out.
    LeftOut,
}

/// One source being read.
pub(crate) struct Records {
    from: From,
    reading: Reading,
}

enum From {
    Words(std::vec::IntoIter<OsString>, u64),
    Lines(Lines),
}

/// Lines of a file or of standard input.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// For sentences.
    name: String,
    end: u8,
    /// Counted from 1.
    line: u64,
}

/// Reads the regular expression between columns.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn separator(pattern: &str) -> std::result::Result<Regex, String> {
    RegexBuilder::new(pattern).unicode(false).build().map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or_default();
        format!("no regular expression: {}", last.trim_start_matches("error: "))
    })
}

impl Records {
    /// Opens a source.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub(crate) fn open(origin: Origin, reading: Reading) -> Result<Self> {
        let from = match origin {
            Origin::Words(words) => From::Words(words.into_iter(), 0),
            Origin::File(path) => From::Lines(Lines::open(&path, reading.end)?),
        };
        Ok(Self { from, reading })
    }

    /// Returns how many records are left, when that is known without reading.
    pub(crate) fn left(&self) -> Option<u64> {
        match &self.from {
            From::Words(words, _) if self.reading.blank == Blank::Kept => Some(words.len() as u64),
            From::Words(..) | From::Lines(_) => None,
        }
    }

    /// Says where the newest record came from.
    pub(crate) fn place(&self) -> String {
        match &self.from {
            From::Words(_, count) => format!("argument {count}"),
            From::Lines(lines) => lines.place(),
        }
    }

    /// Returns the source's name.
    pub(crate) fn name(&self) -> &str {
        match &self.from {
            From::Words(..) => "the list",
            From::Lines(lines) => &lines.name,
        }
    }

    /// Tells whether each record is one column as it stands.
    pub(crate) fn are_whole(&self) -> bool {
        matches!(self.reading.columns, Cutting::Whole) && self.reading.blank == Blank::Kept
    }

    /// Adds the next record's columns to `row`; tells whether there was one.
    ///
    /// # Errors
    /// When it cannot be read or has too many columns.
    pub(crate) fn next_into(&mut self, row: &mut Row) -> Result<bool> {
        let mut record = Vec::new();
        loop {
            record.clear();
            if !self.raw(&mut record)? {
                return Ok(false);
            }
            let blank = || record.iter().all(u8::is_ascii_whitespace);
            if self.reading.blank == Blank::LeftOut && blank() {
                continue;
            }
            let before = row.len();
            match &self.reading.columns {
                Cutting::Whole => row.push(std::mem::take(&mut record)),
                Cutting::At(separator) => {
                    row.extend(separator.split(&record).map(<[u8]>::to_vec));
                }
                Cutting::Csv => self.csv(&mut record, row)?,
            }
            if row.len() - before > COLUMNS_MAX {
                return Err(CliError::usage(format!(
                    "{} has {} columns, the limit is {COLUMNS_MAX}",
                    self.place(),
                    row.len() - before
                )));
            }
            return Ok(true);
        }
    }

    /// Cuts a record at commas; a quoted value may hold line ends, so more lines may be read.
    fn csv(&mut self, record: &mut Vec<u8>, row: &mut Row) -> Result<()> {
        let first = self.place();
        loop {
            if let Some(columns) = csv(record) {
                row.extend(columns);
                return Ok(());
            }
            let open =
                || CliError::usage(format!("{first} opens a quote that is never closed; close it"));
            record.push(self.reading.end);
            if record.len() > PAYLOAD_BYTES_MAX || !self.raw(record)? {
                return Err(open());
            }
        }
    }

    /// Adds the next record as it stands to `into`; tells whether there was one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn raw(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        match &mut self.from {
            From::Words(words, count) => {
                let Some(word) = words.next() else { return Ok(false) };
                *count += 1;
                into.extend_from_slice(&word.into_vec());
                Ok(true)
            }
            From::Lines(lines) => lines.next_into(into),
        }
    }
}

/// Cuts comma-separated values (RFC 4180); nothing when a quote is still open at the end.
fn csv(record: &[u8]) -> Option<Row> {
    let record = record.strip_suffix(b"\r").unwrap_or(record);
    let mut row = Vec::new();
    let mut value = Vec::new();
    let mut bytes = record.iter().copied().peekable();
    loop {
        match bytes.next() {
            None => break,
            Some(b',') => row.push(std::mem::take(&mut value)),
            Some(b'"') if value.is_empty() => loop {
                match bytes.next()? {
                    b'"' if bytes.peek() == Some(&b'"') => {
                        bytes.next();
                        value.push(b'"');
                    }
                    b'"' => break,
                    byte => value.push(byte),
                }
            },
            Some(byte) => value.push(byte),
        }
    }
    row.push(value);
    Some(row)
}

impl Lines {
    /// Opens a file; `-` is standard input.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(path: &Path, end: u8) -> Result<Self> {
        let (reader, name): (Box<dyn BufRead + Send>, String) = if path.as_os_str() == "-" {
            (Box::new(BufReader::new(io::stdin())), "standard input".to_owned())
        } else {
            let name = text::line(&path.to_string_lossy());
            let file = File::open(path)
                .map_err(|error| CliError::io(&format!("cannot open {name}"), &error))?;
            (Box::new(BufReader::with_capacity(64 << 10, file)), name)
        };
        Ok(Self { reader, name, end, line: 0 })
    }

    /// Reads the rest of a stream that has no end in sight.
    #[cfg(test)]
    pub(crate) fn of(reader: impl io::Read + Send + 'static, name: &str) -> Self {
        Self { reader: Box::new(BufReader::new(reader)), name: name.into(), end: b'\n', line: 0 }
    }

    /// Says which line was read last.
    pub(crate) fn place(&self) -> String {
        format!("line {} of {}", self.line, self.name)
    }

    /// Returns the file's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the next line to `into`; tells whether there was one. A line that does not end is cut
    /// where it is over the limit of a payload, so that its user sees it.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn next_into(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        self.line += 1;
        // One byte for the end, one to see that the line goes on.
        let mut room = PAYLOAD_BYTES_MAX + 2;
        let before = room;
        while room > 0 {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => &buffer[..buffer.len().min(room)],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(CliError::io(&format!("cannot read {}", self.name), &error));
                }
            };
            let end = memchr::memchr(self.end, buffer);
            into.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
            let read = end.map_or(buffer.len(), |end| end + 1);
            self.reader.consume(read);
            if end.is_some() {
                return Ok(true);
            }
            if read == 0 {
                break;
            }
            room -= read;
        }
        Ok(room < before)
    }
}

#[cfg(test)]
impl Records {
    /// Reads lines of a stream.
    pub(crate) fn of_lines(lines: Lines) -> Self {
        let reading = Reading { end: b'\n', columns: Cutting::Whole, blank: Blank::Kept };
        Self { from: From::Lines(lines), reading }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, columns: Cutting, blank: Blank) -> Result<Vec<Vec<String>>> {
        let lines = Lines::of(io::Cursor::new(text.as_bytes().to_vec()), "f");
        let reading = Reading { end: b'\n', columns, blank };
        let mut records = Records { from: From::Lines(lines), reading };
        let mut all = Vec::new();
        let mut row = Row::new();
        while records.next_into(&mut row)? {
            let columns = row.drain(..).map(|value| String::from_utf8(value).unwrap());
            all.push(columns.collect());
        }
        Ok(all)
    }

    #[test]
    fn records_become_columns() {
        let check = |text: &str, columns: Cutting, expected: &[&[&str]]| {
            assert_eq!(all(text, columns, Blank::Kept).unwrap(), expected, "{text:?}");
        };
        check("a b\n\nlast", Cutting::Whole, &[&["a b"], &[""], &["last"]]);
        let at = |pattern: &str| Cutting::At(separator(pattern).unwrap());
        check("a,b,\n", at(","), &[&["a", "b", ""]]);
        check("a  b\tc\n", at("\\s+"), &[&["a", "b", "c"]]);
        check("1,\"a b\"\n\"q\"\"x, y\",\n", Cutting::Csv, &[&["1", "a b"], &["q\"x, y", ""]]);
        check("\"two\nlines\",x\r\n", Cutting::Csv, &[&["two\nlines", "x"]]);
        check("a\"b,c\n", Cutting::Csv, &[&["a\"b", "c"]]);
        let left_out = all("a\n \n\nb\n", Cutting::Whole, Blank::LeftOut).unwrap();
        assert_eq!(left_out, [["a"], ["b"]]);
    }

    #[test]
    fn records_that_make_no_sense_say_where() {
        let error = all("a\n\"b\nc\n", Cutting::Csv, Blank::Kept).unwrap_err();
        assert!(error.sentence.starts_with("line 2 of f opens a quote"), "{error}");
        let many = ",".repeat(300);
        let error = all(&many, Cutting::Csv, Blank::Kept).unwrap_err();
        assert!(error.sentence.contains("301 columns, the limit is 256"), "{error}");
        assert!(separator("(").unwrap_err().contains("unclosed group"));
    }
}
