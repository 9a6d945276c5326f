//! What a run prints: the output of each task in one piece, in the order of the ends or of the
//! arguments, with or without its arguments before each line. Long outputs are read by pages.

use std::collections::BTreeMap;
use std::io::Write;

use ganger_net::client::CallError;
use ganger_proto::command::{OutputPage, Stream};
use ganger_proto::ends::EndRow;
use ganger_proto::follow::Followed;
use ganger_proto::template::{Quote, Values};
use ganger_proto::{ArgForm, Refusal, Reply, Request, TaskId, Template};
use serde_json::json;

use super::super::error::Result;
use super::super::out::{Out, Sink};
use super::super::place::Place;
use super::super::{out, reach, results, text};
use super::link::{Answer, Link};
use super::live::Lives;
use super::saved::{Files, Saved};

/// In which order outputs come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// As tasks end.
    Ends,
    /// As the arguments were given.
    Arguments,
}

/// Whether an output ends with a line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// As the command wrote it.
    AsItIs,
    /// It gets one when it has none: what a worker answers itself has none.
    Always,
}

/// How outputs are printed.
pub(crate) struct Printer<'a> {
    link: &'a Link,
    form: ArgForm,
    order: Order,
    /// What stands before each line.
    tag: Option<Template>,
    end: LineEnd,
    saved: Option<Saved>,
    stdout: Out,
    stderr: Sink,
    /// The place of the next task, when arguments give the order.
    next: u64,
    early: BTreeMap<u64, EndRow>,
    early_bytes: usize,
    /// Tasks of whose output not all is there.
    pub(crate) cut: Vec<TaskId>,
    /// Tasks that are printed as they run.
    pub(crate) lives: Lives,
}

/// How a printer prints.
pub(crate) struct Look {
    /// In which order.
    pub(crate) order: Order,
    /// What stands before each line.
    pub(crate) tag: Option<Template>,
    /// How they end.
    pub(crate) end: LineEnd,
    /// Where outputs are kept.
    pub(crate) saved: Option<Saved>,
}

/// Bytes of outputs that wait for their turn; of later ones only the end is kept, and their output
/// is read again.
const EARLY_BYTES_MAX: usize = 64 << 20;

/// Bytes that go somewhere, line by line behind a tag.
struct Tagger<'a> {
    tag: &'a [u8],
    at_start: bool,
}

impl Tagger<'_> {
    fn put(&mut self, bytes: &[u8], into: &mut Vec<u8>) {
        if self.tag.is_empty() {
            return into.extend_from_slice(bytes);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.at_start {
                into.extend_from_slice(self.tag);
            }
            into.extend_from_slice(line);
            self.at_start = line.ends_with(b"\n");
        }
    }
}

impl<'a> Printer<'a> {
    /// Prints for the tasks of a batch whose arguments have this form.
    pub(crate) fn new(place: &Place, link: &'a Link, form: &ArgForm, look: Look) -> Self {
        let Look { order, tag, end, saved } = look;
        Self {
            link,
            form: form.clone(),
            order,
            tag,
            end,
            saved,
            stdout: place.out(),
            stderr: Sink::stderr(),
            next: 0,
            early: BTreeMap::new(),
            early_bytes: 0,
            cut: Vec::new(),
            lives: Lives::default(),
        }
    }

    /// Takes the end of a task; prints what is due. Returns the bytes of its standard output.
    ///
    /// # Errors
    /// When an output cannot be read or written.
    pub(crate) async fn take(&mut self, row: EndRow) -> Result<()> {
        match self.order {
            Order::Ends => self.print(&row).await?,
            Order::Arguments if row.line.index == self.next => {
                self.print(&row).await?;
                self.next += 1;
                while let Some(row) = self.early.remove(&self.next) {
                    self.early_bytes = self.early_bytes.saturating_sub(bytes_of(&row));
                    self.print(&row).await?;
                    self.next += 1;
                }
            }
            Order::Arguments => self.keep(row),
        }
        Ok(())
    }

    /// A task that is not printed takes its place.
    ///
    /// # Errors
    /// As [`Printer::take`].
    pub(crate) async fn pass_over(&mut self, mut row: EndRow) -> Result<()> {
        row.line.ended = None;
        row.line.attempt = 0;
        self.take(row).await
    }

    /// Prints what waits for tasks that never came.
    ///
    /// # Errors
    /// As [`Printer::take`].
    pub(crate) async fn finish(&mut self) -> Result<()> {
        for (_, row) in std::mem::take(&mut self.early) {
            self.print(&row).await?;
        }
        self.stdout.flush()
    }

    /// Sends what was written on its way.
    ///
    /// # Errors
    /// When nobody takes it.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stdout.flush()
    }

    fn keep(&mut self, mut row: EndRow) {
        let bytes = bytes_of(&row);
        if self.early_bytes + bytes > EARLY_BYTES_MAX
            && let Some(ended) = &mut row.line.ended
        {
            ended.has_output = true;
            (ended.stdout, ended.stderr) = (Vec::new(), Vec::new());
        }
        self.early_bytes += bytes_of(&row);
        self.early.insert(row.line.index, row);
    }

    async fn print(&mut self, row: &EndRow) -> Result<()> {
        if row.line.ended.is_none() && row.line.attempt == 0 {
            return Ok(());
        }
        let form = self.form.clone();
        let values = Values::new(&form, row.argument.as_deref(), row.line.index + 1);
        let files = self.saved.as_ref().map(|saved| saved.open(&values)).transpose()?;
        let kept = files.is_some();
        if let Some(files) = files {
            self.save(row, files).await?;
        }
        if self.stdout.is_json() {
            return self.print_json(row).await;
        }
        if !kept {
            let tag = self.tag_of(&values);
            let live = self.lives.end(row.line.task);
            let mut live = live.filter(|live| live.attempt == row.line.attempt);
            for stream in [Stream::Stdout, Stream::Stderr] {
                let mut tagger = Tagger { tag: &tag, at_start: true };
                let mut from = 0;
                if let Some(live) = &mut live {
                    from = live.cursor.next(stream);
                    let held = std::mem::take(live.held(stream));
                    self.show(stream, &held, &mut tagger)?;
                }
                self.stream(row, (stream, from), &mut tagger).await?;
            }
        }
        if let Some(ended) = row.line.ended.as_ref().filter(|ended| !ended.message.is_empty()) {
            self.stdout.flush()?;
            out::note(&format!("ganger: task {}: {}", row.line.task, text::line(&ended.message)));
        }
        Ok(())
    }

    fn tag_of(&self, values: &Values<'_>) -> Vec<u8> {
        let mut tag = Vec::new();
        if let Some(template) = &self.tag {
            template.expand(values, Quote::Verbatim, &mut tag);
            tag.push(b'\t');
        }
        tag
    }

    /// Prints whole lines of a task that runs.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn live(&mut self, task: TaskId, followed: Followed) -> Result<()> {
        let Some(live) = self.lives.of(task) else { return Ok(()) };
        let Some((stream, lines)) = live.take(followed) else { return Ok(()) };
        let (argument, number) = (live.argument.clone(), live.index + 1);
        let form = self.form.clone();
        let tag = self.tag_of(&Values::new(&form, argument.as_deref(), number));
        self.show(stream, &lines, &mut Tagger { tag: &tag, at_start: true })?;
        self.stdout.flush()
    }

    /// Prints a stream from a place on.
    async fn stream(
        &mut self,
        row: &EndRow,
        (stream, from): (Stream, u64),
        tagger: &mut Tagger<'_>,
    ) -> Result<()> {
        let mut offset = from;
        loop {
            let (bytes, more) = self.piece(row, stream, offset).await?;
            offset += bytes.len() as u64;
            self.show(stream, &bytes, tagger)?;
            let open = self.end == LineEnd::Always && !bytes.ends_with(b"\n") && offset > 0;
            match (more, stream) {
                (true, _) => {}
                (false, Stream::Stdout) if open => return self.show(stream, b"\n", tagger),
                (false, Stream::Stdout) => return Ok(()),
                (false, Stream::Stderr) => return self.stderr.end(),
            }
        }
    }

    fn show(&mut self, stream: Stream, bytes: &[u8], tagger: &mut Tagger<'_>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut shown = Vec::with_capacity(bytes.len() + 64);
        tagger.put(bytes, &mut shown);
        match stream {
            Stream::Stdout => self.stdout.output(&shown),
            Stream::Stderr => {
                // A person who sees both sees them in order.
                self.stdout.flush()?;
                self.stderr.write(&shown)
            }
        }
    }

    /// Writes both streams to files, which then stand for what would have been printed.
    async fn save(&mut self, row: &EndRow, mut files: Files) -> Result<()> {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut offset = 0;
            let mut more = true;
            while more {
                let bytes;
                (bytes, more) = self.piece(row, stream, offset).await?;
                offset += bytes.len() as u64;
                let file = match stream {
                    Stream::Stdout => &mut files.stdout,
                    Stream::Stderr => &mut files.stderr,
                };
                if let Err(error) = file.write_all(&bytes) {
                    return Err(files.cannot(&error));
                }
            }
        }
        Ok(())
    }

    /// Returns how many bytes a task wrote to its standard output.
    ///
    /// # Errors
    /// When the master refuses, or stays away.
    pub(crate) async fn received(&self, row: &EndRow) -> Result<u64> {
        let Some(ended) = &row.line.ended else { return Ok(0) };
        if !ended.has_output {
            return Ok(ended.stdout.len() as u64);
        }
        let (task, attempt) = (row.line.task, Some(row.line.attempt));
        let request = Request::Output { task, attempt, stream: Stream::Stdout, offset: u64::MAX };
        Ok(self.output(request).await?.map_or(0, |page| page.kept + page.skipped))
    }

    /// Asks for a piece; a stream that printed nothing is not kept, though the other one is.
    async fn output(&self, request: Request) -> Result<Option<OutputPage>> {
        loop {
            let connection = self.link.current().await;
            return match connection.caller.call(request.clone()).await {
                Ok(Reply::Output(page)) => Ok(Some(page)),
                Ok(_) => Err(reach::unexpected()),
                Err(CallError::Refused(Refusal::NoOutput(_))) => Ok(None),
                Err(error) => match self.link.after(&connection, error).await? {
                    Answer::Again => continue,
                    Answer::Reply(_) => Err(reach::unexpected()),
                },
            };
        }
    }

    /// Reads a piece of a stream; tells whether there is more.
    async fn piece(
        &mut self,
        row: &EndRow,
        stream: Stream,
        offset: u64,
    ) -> Result<(Vec<u8>, bool)> {
        let Some(ended) = &row.line.ended else { return Ok((Vec::new(), false)) };
        if !ended.has_output {
            let bytes = match stream {
                Stream::Stdout => &ended.stdout,
                Stream::Stderr => &ended.stderr,
            };
            let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
            return Ok((bytes[from..].to_vec(), false));
        }
        let (task, attempt) = (row.line.task, Some(row.line.attempt));
        let request = Request::Output { task, attempt, stream, offset };
        let Some(page) = self.output(request).await? else { return Ok((Vec::new(), false)) };
        if page.skipped > 0 && self.cut.last() != Some(&task) {
            self.cut.push(task);
        }
        let end = offset + page.bytes.len() as u64;
        let more = !page.bytes.is_empty() && end < page.kept;
        Ok((page.bytes, more))
    }

    async fn print_json(&mut self, row: &EndRow) -> Result<()> {
        let mut whole = [Vec::new(), Vec::new()];
        for (stream, whole) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&mut whole) {
            loop {
                let (bytes, more) = self.piece(row, stream, whole.len() as u64).await?;
                whole.extend_from_slice(&bytes);
                if !more {
                    break;
                }
            }
        }
        let values = Values::new(&self.form, row.argument.as_deref(), row.line.index + 1);
        let columns: Vec<_> =
            values.columns().iter().map(|column| String::from_utf8_lossy(column)).collect();
        let mut line = json!(results::json_line(&row.line, &whole[0], &whole[1]));
        if let Some(fields) = line.as_object_mut() {
            fields.insert("number".to_owned(), json!(values.number()));
            fields.insert("arguments".to_owned(), json!(columns));
        }
        self.stdout.json(&line)
    }
}

fn bytes_of(row: &EndRow) -> usize {
    let body = row.line.ended.as_ref().map_or(0, |ended| ended.stdout.len() + ended.stderr.len());
    body + row.argument.as_ref().map_or(0, Vec::len) + 256
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_stand_before_each_line_also_of_pieces() {
        let check = |tag: &str, pieces: &[&str], expected: &str| {
            let mut tagger = Tagger { tag: tag.as_bytes(), at_start: true };
            let mut out = Vec::new();
            for piece in pieces {
                tagger.put(piece.as_bytes(), &mut out);
            }
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("a\t", &["x\ny"], "a\tx\na\ty");
        check("a\t", &["x", "y\n", "", "z"], "a\txy\na\tz");
        check("a\t", &[], "");
        check("", &["x\n", "y"], "x\ny");
    }
}
