//! Where a command writes: standard output, as text or JSON, and notes on standard error. The only
//! place that knows whether a terminal listens.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

use serde::Serialize;

use super::error::Result;
use super::text;

/// How a command answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text,
    /// One JSON document, or one a line where there are many.
    Json,
}

/// Standard output of one command.
pub(crate) struct Out {
    stdout: BufWriter<Stdout>,
    form: Form,
    columns: Option<usize>,
}

impl Out {
    /// Opens standard output.
    pub(crate) fn new(form: Form) -> Self {
        let stdout = io::stdout();
        let columns = stdout.is_terminal().then(|| {
            let size = rustix::termios::tcgetwinsize(&stdout).ok();
            size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80)
        });
        Self { stdout: BufWriter::new(stdout), form, columns }
    }

    /// Tells whether JSON was asked for.
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Returns the terminal's width; nothing when standard output is no terminal.
    pub(crate) const fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Writes a line of our own text. What comes from others in it was cleaned before.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        writeln!(self.stdout, "{line}")?;
        Ok(())
    }

    /// Writes what a task printed: as it is, but cleaned when a terminal shows it.
    pub(crate) fn output(&mut self, bytes: &[u8]) -> Result<()> {
        if self.columns.is_some() {
            self.stdout.write_all(text::output(bytes).as_bytes())?;
        } else {
            self.stdout.write_all(bytes)?;
        }
        Ok(())
    }

    /// Writes one JSON document on a line of its own.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from)?;
        self.line("")
    }

    /// Writes a report, as JSON or line by line.
    pub(crate) fn report(&mut self, report: &(impl Serialize + Display)) -> Result<()> {
        if self.is_json() {
            return self.json(report);
        }
        report.to_string().lines().try_for_each(|line| self.line(&text::line(line)))
    }

    /// Sends what was written on its way; a command ends with it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush()?;
        Ok(())
    }
}

/// Where output goes that comes bit by bit: as it is, but cleaned when a terminal shows it.
pub(crate) struct Sink {
    to: Box<dyn Write>,
    /// None when no terminal listens.
    cleaner: Option<text::Cleaner>,
    line: Line,
}

/// Where in a line of a terminal the last byte was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Begun,
    Ended,
}

impl Sink {
    /// Writes to standard output.
    pub(crate) fn stdout() -> Self {
        Self::to(io::stdout())
    }

    /// Writes to standard error.
    pub(crate) fn stderr() -> Self {
        Self::to(io::stderr())
    }

    fn to(stream: impl Write + IsTerminal + 'static) -> Self {
        let cleaner = stream.is_terminal().then(text::Cleaner::default);
        Self { to: Box::new(stream), cleaner, line: Line::Ended }
    }

    /// Writes the next bytes at once.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.cleaner {
            Some(cleaner) => {
                let text = cleaner.clean(bytes);
                self.put(text.as_bytes())
            }
            None => self.put(bytes),
        }
    }

    /// Says what is missing here: in its place on a terminal, else on standard error.
    pub(crate) fn cut(&mut self, what: &str) -> Result<()> {
        if self.cleaner.is_none() {
            note(what);
            return Ok(());
        }
        self.end()?;
        self.put(format!("… {what} …\n").as_bytes())
    }

    /// Ends the stream: what was held back comes, and on a terminal a line end.
    pub(crate) fn end(&mut self) -> Result<()> {
        let Some(cleaner) = &mut self.cleaner else { return Ok(()) };
        let rest = cleaner.rest();
        self.put(rest.as_bytes())?;
        if self.line == Line::Begun { self.put(b"\n") } else { Ok(()) }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(last) = bytes.last() else { return Ok(()) };
        self.line = if *last == b'\n' { Line::Ended } else { Line::Begun };
        self.to.write_all(bytes)?;
        Ok(self.to.flush()?)
    }
}

/// Writes a line for people to standard error. That it cannot be written is no reason to fail.
pub(crate) fn note(sentence: &str) {
    writeln!(io::stderr().lock(), "{sentence}").ok();
}
