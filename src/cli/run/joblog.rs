//! `--joblog`: a line a task in GNU parallel's nine columns, and what such a file says about a run
//! before. `Host` is the worker.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::super::error::{CliError, Result};
use super::super::text;
use super::halt::End;

/// A file that is written.
pub(crate) struct JobLog {
    file: File,
    name: String,
}

/// One line of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Entry {
    /// The task's number, from 1.
    pub(crate) number: u64,
    /// The worker.
    pub(crate) host: String,
    /// When it began, in milliseconds since the epoch.
    pub(crate) began_ms: u64,
    /// How long it took, in milliseconds.
    pub(crate) took_ms: u64,
    /// Bytes of its standard output.
    pub(crate) received: u64,
    /// How it ended.
    pub(crate) end: End,
    /// What ran.
    pub(crate) command: Vec<u8>,
}

/// What is in the file before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It is begun again.
    Emptied,
    /// It is kept, and lines are added.
    Kept,
}

const HEAD: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

impl JobLog {
    /// Opens a file for writing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn open(path: &Path, before: Before) -> Result<Self> {
        let name = text::line(&path.to_string_lossy());
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        let open = || {
            if before == Before::Emptied {
                File::create(path)?;
            }
            options.open(path)
        };
        let mut log = Self { file: open().map_err(|error| cannot(&name, &error))?, name };
        if log.file.metadata().is_ok_and(|found| found.len() == 0) {
            log.put(HEAD.as_bytes())?;
        }
        Ok(log)
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&mut self, entry: &Entry) -> Result<()> {
        let mut line = format!(
            "{}\t{}\t{:10}.{:03}\t{:6}.{:03}\t0\t{}\t{}\t{}\t",
            entry.number,
            if entry.host.is_empty() { ":" } else { &entry.host },
            entry.began_ms / 1_000,
            entry.began_ms % 1_000,
            entry.took_ms / 1_000,
            entry.took_ms % 1_000,
            entry.received,
            entry.end.code,
            entry.end.signal,
        )
        .into_bytes();
        // A line end within a command would be read as the end of the entry.
        line.extend(entry.command.iter().map(|byte| if *byte == b'\n' { 0 } else { *byte }));
        line.push(b'\n');
        self.put(&line)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        // In one piece: whoever reads it meanwhile sees whole lines.
        self.file.write_all(bytes).map_err(|error| cannot(&self.name, &error))
    }
}

fn cannot(name: &str, error: &io::Error) -> CliError {
    CliError::io(&format!("cannot write the job log {name}"), error)
}

/// What a file says: of each number its newest line, in the order of the numbers' first lines.
///
/// # Errors
/// When it cannot be read or is no such file.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>> {
    let name = text::line(&path.to_string_lossy());
    let cannot =
        |error: &io::Error| CliError::io(&format!("cannot read the job log {name}"), error);
    let mut all: Vec<Entry> = Vec::new();
    let mut places: HashMap<u64, usize> = HashMap::new();
    let mut lines = BufReader::new(File::open(path).map_err(|error| cannot(&error))?).split(b'\n');
    match lines.next() {
        Some(Ok(head)) if [&head[..], b"\n"].concat() == HEAD.as_bytes() => {}
        None => return Ok(all),
        Some(Err(error)) => return Err(cannot(&error)),
        Some(Ok(_)) => {
            return Err(CliError::usage(format!(
                "{name} does not begin as a job log does; name the file that --joblog wrote"
            )));
        }
    }
    for (place, line) in lines.enumerate() {
        let line = line.map_err(|error| cannot(&error))?;
        // A last line that was cut by a crash says nothing.
        let Some(entry) = parse(&line) else {
            tracing::debug!(line = place + 2, "a line of the job log is left out");
            continue;
        };
        match places.get(&entry.number) {
            Some(at) => all[*at] = entry,
            None => {
                places.insert(entry.number, all.len());
                all.push(entry);
            }
        }
    }
    Ok(all)
}

fn parse(line: &[u8]) -> Option<Entry> {
    let mut fields = line.splitn(9, |byte| *byte == b'\t');
    let mut next = || std::str::from_utf8(fields.next()?).ok().map(str::trim);
    let number = next()?.parse().ok()?;
    let host = next()?.to_owned();
    let ms = |text: &str| {
        let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds >= 0.0)?;
        std::time::Duration::try_from_secs_f64(seconds).ok()
    };
    let (began, took) = (ms(next()?)?, ms(next()?)?);
    let _sent = next()?;
    let received = next()?.parse().ok()?;
    let code = next()?.parse().ok()?;
    let signal = next()?.parse().ok()?;
    let command = fields.next()?.iter().map(|byte| if *byte == 0 { b'\n' } else { *byte });
    Some(Entry {
        number,
        host,
        began_ms: super::super::as_ms(began),
        took_ms: super::super::as_ms(took),
        received,
        end: End { code, signal },
        command: command.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, code: i32, command: &str) -> Entry {
        Entry {
            number,
            host: "alpha".into(),
            began_ms: 1_795_943_773_542,
            took_ms: 1_250,
            received: 2,
            end: End { code, signal: 0 },
            command: command.into(),
        }
    }

    #[test]
    fn lines_are_those_of_gnu_parallel_and_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = JobLog::open(&path, Before::Emptied).unwrap();
        log.write(&entry(2, 1, "false 'a\tb'\nx")).unwrap();
        log.write(&entry(1, 0, "true")).unwrap();
        drop(log);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(HEAD), "{text}");
        let line = "1\talpha\t1795943773.542\t     1.250\t0\t2\t0\t0\ttrue\n";
        assert!(text.ends_with(line), "{text}");
        let mut log = JobLog::open(&path, Before::Kept).unwrap();
        log.write(&entry(2, 0, "again")).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read, [entry(2, 0, "again"), entry(1, 0, "true")]);
        JobLog::open(&path, Before::Emptied).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), HEAD);
    }

    /// As GNU parallel 20221122 wrote it; the last line is cut as by a crash.
    #[test]
    fn a_file_of_gnu_parallels_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = format!(
            "{HEAD}1\t:\t1795943773.718\t     0.012\t0\t2\t0\t0\tsleep 0; echo 0\n\
             2\t:\t1795943773.728\t     1.320\t0\t0\t-1\t15\tsleep 3; echo 3\n3\t:\t17959"
        );
        std::fs::write(&path, text).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[1].end, End { code: -1, signal: 15 });
        assert_eq!(read[1].command, b"sleep 3; echo 3");
        std::fs::write(&path, "other\n").unwrap();
        let error = super::read(&path).unwrap_err();
        assert!(error.sentence.contains("does not begin as a job log"), "{error}");
        assert!(super::read(Path::new("/nowhere/log")).is_err());
    }
}
