//! The program's own log: a file that rotates, and a ring of the newest lines for the screen. Never
//! writes to the terminal.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{self, ConfigError};

/// Bytes of one log file before the next begins.
pub const FILE_BYTES_MAX: u64 = 10 << 20;
/// Log files kept of one name, the one being written included.
pub const FILES_MAX: usize = 5;
/// Lines of the ring.
pub const RING_LINES_MAX: usize = 1_000;
/// Bytes of one line of the ring; a longer one is cut.
const RING_LINE_BYTES_MAX: usize = 4 << 10;

/// The newest log lines; cheap to clone, all clones share them.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    // Written by whichever thread logs, so it needs a lock; it is held for one push or copy.
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Ring {
    /// Returns an empty ring.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line; the oldest goes when there are [`RING_LINES_MAX`].
    pub fn push(&self, line: &str) {
        let mut end = line.len().min(RING_LINE_BYTES_MAX);
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        let mut lines = held(&self.lines);
        if lines.len() == RING_LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line[..end].to_owned());
    }

    /// Returns the newest `rows` lines, the oldest first.
    pub fn recent(&self, rows: usize) -> Vec<String> {
        let lines = held(&self.lines);
        lines.iter().skip(lines.len().saturating_sub(rows)).cloned().collect()
    }
}

/// A thread that panicked while logging leaves whole lines behind, so the lock may be taken over.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends what the process logs to `HOME/logs/NAME.log` and to `ring`. The variable `GANGER_LOG`
/// chooses what is logged, as in `debug` or `info,ganger::master=debug`.
///
/// # Errors
/// When the folder or file cannot be written.
pub fn start(home: &Path, name: &str, ring: Ring) -> Result<(), ConfigError> {
    let folder = home.join("logs");
    config::make_folder(&folder)?;
    let path = folder.join(format!("{name}.log"));
    let file =
        Rotating::open(&path, FILE_BYTES_MAX).map_err(|source| ConfigError::Io { path, source })?;
    let filter = EnvFilter::try_from_env("GANGER_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(false)
        .with_writer(Sink { file: Mutex::new(file), ring })
        .finish();
    // Fails only when a subscriber is set, which happens in tests that start two logs.
    tracing::subscriber::set_global_default(subscriber).ok();
    Ok(())
}

struct Sink {
    file: Mutex<Rotating>,
    ring: Ring,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> &'a Self {
        self
    }
}

/// The subscriber writes each event with one call.
impl Write for &Sink {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        for line in String::from_utf8_lossy(event).lines() {
            self.ring.push(line);
        }
        held(&self.file).write_event(event)?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: fs::File,
    bytes: u64,
    bytes_max: u64,
}

impl Rotating {
    fn open(path: &Path, bytes_max: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_path_buf(), file, bytes, bytes_max })
    }

    fn write_event(&mut self, event: &[u8]) -> io::Result<()> {
        let length = event.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(event)?;
        self.bytes += length;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        for number in (1..FILES_MAX).rev() {
            let newer = if number == 1 { self.path.clone() } else { self.numbered(number - 1) };
            match fs::rename(newer, self.numbered(number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.file = append_to(&self.path)?;
        self.bytes = 0;
        Ok(())
    }

    fn numbered(&self, number: usize) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!(".{number}"));
        path.into()
    }
}

fn append_to(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_lines() {
        let ring = Ring::new();
        for i in 0..RING_LINES_MAX + 5 {
            ring.push(&format!("line {i}"));
        }
        assert_eq!(ring.recent(2), ["line 1003", "line 1004"]);
        assert_eq!(ring.recent(usize::MAX).len(), RING_LINES_MAX);
        ring.push(&"ü".repeat(RING_LINE_BYTES_MAX));
        assert_eq!(ring.recent(1)[0].len(), RING_LINE_BYTES_MAX);
    }

    #[test]
    fn files_rotate_and_the_oldest_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.log");
        let mut log = Rotating::open(&path, 10).unwrap();
        for event in ["aaaaaaa\n", "bbbbbbb\n", "c\n", "d\n", "e\n", "f\n", "g\n", "h\n"] {
            log.write_event(event.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "d\ne\nf\ng\nh\n");
        assert_eq!(fs::read_to_string(log.numbered(1)).unwrap(), "bbbbbbb\nc\n");
        for i in 0..20 {
            log.write_event(format!("{i:09}\n").as_bytes()).unwrap();
        }
        let mut names: Vec<_> =
            fs::read_dir(&folder).unwrap().map(|f| f.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["m.log", "m.log.1", "m.log.2", "m.log.3", "m.log.4"]);
    }

    #[test]
    fn an_event_goes_to_file_and_ring() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.log");
        let ring = Ring::new();
        let file = Mutex::new(Rotating::open(&path, 1 << 20).unwrap());
        let sink = Sink { file, ring: ring.clone() };
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(sink).finish();
        tracing::subscriber::with_default(subscriber, || tracing::info!(task = 7, "leased"));
        assert!(ring.recent(1)[0].ends_with("leased task=7"), "{:?}", ring.recent(1));
        assert!(fs::read_to_string(&path).unwrap().ends_with("leased task=7\n"));
    }
}
