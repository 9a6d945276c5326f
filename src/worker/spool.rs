//! The file of an output that is kept whole, beyond what is held in memory. Written by the
//! launcher, read by the worker that sends it; removed with its attempt, or as home.rs begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ganger_proto::LeaseId;
use ganger_proto::command::Stream;
use ganger_proto::limits::{OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};

/// One stream's file, made when memory holds no more.
#[derive(Debug)]
pub(super) struct Spool {
    path: PathBuf,
    bytes_max: u64,
    bound_by: BoundBy,
    file: Written,
}

/// Who says how much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BoundBy {
    Task,
    Worker,
}

#[derive(Debug)]
enum Written {
    /// Memory holds all.
    Nothing,
    Open {
        file: File,
        bytes: u64,
    },
    /// It takes no more; the stream goes on.
    Failed {
        bytes: u64,
        error: io::Error,
    },
}

impl Spool {
    /// Names the file, and how many bytes of the stream are kept in all.
    pub(super) fn new(path: PathBuf, bytes_max: u64) -> Self {
        Self { path, bytes_max, bound_by: BoundBy::Task, file: Written::Nothing }
    }

    /// Lowers that to what the worker keeps at most.
    pub(super) fn capped(self, most: Option<u64>) -> Self {
        match most.filter(|most| *most < self.bytes_max) {
            Some(bytes_max) => Self { bytes_max, bound_by: BoundBy::Worker, ..self },
            None => self,
        }
    }

    /// Takes bytes beyond the head; `held` are those before them that memory still has.
    pub(super) fn take(&mut self, held: (&[u8], &[u8]), bytes: &[u8]) {
        if let Written::Nothing = self.file {
            let beyond = held.0.len() + held.1.len() + bytes.len();
            if beyond <= OUTPUT_TAIL_BYTES && beyond as u64 <= self.room() || self.room() == 0 {
                return;
            }
            let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&self.path);
            self.file = match file {
                Ok(file) => Written::Open { file, bytes: 0 },
                Err(error) => Written::Failed { bytes: 0, error },
            };
            self.write(held.0);
            self.write(held.1);
        }
        self.write(bytes);
    }

    fn write(&mut self, bytes: &[u8]) {
        let room = self.room();
        let Written::Open { file, bytes: written } = &mut self.file else { return };
        let fits = usize::try_from(room - *written).unwrap_or(usize::MAX).min(bytes.len());
        match file.write_all(&bytes[..fits]) {
            Ok(()) => *written += fits as u64,
            Err(error) => self.file = Written::Failed { bytes: *written, error },
        }
    }

    /// Returns how many bytes the file may have.
    fn room(&self) -> u64 {
        self.bytes_max.saturating_sub(OUTPUT_HEAD_BYTES as u64)
    }

    /// Returns how many bytes of the stream are kept at most.
    pub(super) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Returns how many bytes of the stream the file has; nothing when there was no need for it.
    pub(super) fn spooled(&self) -> Option<u64> {
        match &self.file {
            Written::Nothing => None,
            Written::Open { bytes, .. } | Written::Failed { bytes, .. } => Some(*bytes),
        }
    }

    /// Returns the sentence about a stream of which not all was kept.
    pub(super) fn cut(&self, taken: u64) -> String {
        match &self.file {
            Written::Failed { error, .. } => format!(
                "output cut: it cannot be spooled on the worker ({error}); look at its disk"
            ),
            Written::Nothing | Written::Open { .. } => {
                let more = match self.bound_by {
                    BoundBy::Task => "let more be kept",
                    BoundBy::Worker => "the worker keeps no more (`output` in its [caps])",
                };
                format!(
                    "output cut: it wrote {taken} bytes and the first {} are kept; {more}, or let \
                     it write a file",
                    self.bytes_max
                )
            }
        }
    }
}

/// Returns the file of one stream of an attempt, below a run directory.
pub(super) fn file_of(run_dir: &Path, lease: LeaseId, stream: Stream) -> PathBuf {
    let end = match stream {
        Stream::Stdout => "out",
        Stream::Stderr => "err",
    };
    run_dir.join(FOLDER).join(format!("{}-{}.{end}", lease.epoch.raw(), lease.counter))
}

/// Removes the files of an attempt, if it has any.
///
/// # Errors
/// When one stays.
pub(super) fn remove(run_dir: &Path, lease: LeaseId) -> io::Result<()> {
    for stream in [Stream::Stdout, Stream::Stderr] {
        match std::fs::remove_file(file_of(run_dir, lease, stream)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// The folder of these files in a run directory.
pub(super) const FOLDER: &str = "spool";
