//! Where a command writes: standard output, as text or JSON, and notes on standard error. The only
//! place that knows whether a terminal listens.

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

    /// Sends what was written on its way; a command ends with it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush()?;
        Ok(())
    }
}

/// Writes a line for people to standard error. That it cannot be written is no reason to fail.
pub(crate) fn note(sentence: &str) {
    writeln!(io::stderr().lock(), "{sentence}").ok();
}
