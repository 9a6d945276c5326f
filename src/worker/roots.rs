//! Paths that tasks are about: before a task starts, the launcher looks whether its argument is a
//! file below one of the worker's roots, and the one that the submitter saw. A disk that does not
//! answer holds up its one slot and nothing else.
//!
//! A path is looked up by the kernel in one step (`openat2`) from a root's directory that was
//! opened when the launcher started: nobody can swap a folder for a link between a check and the
//! look. The file that was looked at is handed on, open as a place, in `GANGER_FILE`: a task that
//! opens that opens this very file. One that opens its argument looks the name up once more, and
//! who may write to a folder of the root may have made it lead elsewhere by then, out of it too.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use ganger_proto::form::Seen;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, open, openat2, statx};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::find::NotStarted;

/// A path to be looked at before a task starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PathCheck {
    /// The path as the task names it.
    pub(super) path: ByteBuf,
    /// What it must be.
    pub(super) wanted: Wanted,
}

/// What a path must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Wanted {
    /// Any file below a root.
    File,
    /// The same, with what the submitter saw; none when the submission does not say.
    AsSeen(Option<Seen>),
}

/// The folders below which a worker lets tasks be about files.
#[derive(Debug, Default)]
pub(super) struct Roots {
    roots: Vec<Root>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    /// None when it was not there at the start; it is then looked for at each check.
    folder: Option<OwnedFd>,
}

/// The exit code of a task whose file is not what its submitter saw.
const CHANGED: i32 = 1;
/// How often a look is repeated that a rename elsewhere made uncertain.
const TRIES_MAX: u32 = 64;

impl Roots {
    /// Opens the folders.
    pub(super) fn open(paths: &[PathBuf]) -> Self {
        let root = |path: &PathBuf| Root { path: path.clone(), folder: folder(path).ok() };
        Self { roots: paths.iter().map(root).collect() }
    }

    /// Looks whether a path is what it must be, and returns it open as a place. One that is
    /// relative starts at `cwd`.
    ///
    /// # Errors
    /// Says what it is instead, and what to do.
    pub(super) fn check(
        &self,
        worker: &str,
        cwd: &Path,
        check: &PathCheck,
    ) -> Result<OwnedFd, NotStarted> {
        let named = Path::new(OsStr::from_bytes(&check.path));
        let path = cwd.join(named);
        let place = Looked { worker, path: &path };
        if check.path.is_empty() {
            return Err(NotStarted::unfit("the task's argument is empty, not a path".to_owned()));
        }
        let file = self.find(&place)?;
        let is = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        let wants = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::MTIME;
        let found = statx(&file, c"", is, wants).map_err(|errno| place.refused(errno))?;
        match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => {}
            kind @ (FileType::Directory
            | FileType::Symlink
            | FileType::Fifo
            | FileType::Socket
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown) => return Err(place.no_file(kind)),
        }
        let time = found.stx_mtime;
        let nanos = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        let now = Seen { size: found.stx_size, mtime_ns: nanos };
        match check.wanted {
            Wanted::File => Ok(file),
            Wanted::AsSeen(Some(seen)) if seen == now => Ok(file),
            Wanted::AsSeen(Some(seen)) => Err(place.changed(seen, now)),
            Wanted::AsSeen(None) => Err(place.unsaid()),
        }
    }

    /// Opens the path from the innermost root that holds it, then from the next one.
    fn find(&self, place: &Looked<'_>) -> Result<OwnedFd, NotStarted> {
        if self.roots.is_empty() {
            return Err(place.no_roots());
        }
        let mut around: Vec<(&Root, &Path)> = self
            .roots
            .iter()
            .filter_map(|root| Some((root, place.path.strip_prefix(&root.path).ok()?)))
            .collect();
        around.sort_by_key(|(_, below)| below.as_os_str().len());
        let mut refused = None;
        for (root, below) in around {
            match root.open(below) {
                Ok(file) => return Ok(file),
                Err(errno) => refused = refused.or(Some(place.refused(errno))),
            }
        }
        Err(refused.unwrap_or_else(|| place.outside(&self.roots)))
    }
}

impl Root {
    /// Opens a file below, without reading it: what opens as a path has no side effects, whatever
    /// it is.
    fn open(&self, below: &Path) -> Result<OwnedFd, Errno> {
        let late;
        let start: BorrowedFd<'_> = match &self.folder {
            Some(folder) => folder.as_fd(),
            None => {
                late = folder(&self.path)?;
                late.as_fd()
            }
        };
        // An empty path would name nothing; the root itself is no file anyway.
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        for _ in 0..TRIES_MAX {
            match openat2(start, below, flags, Mode::empty(), self.resolve()) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Nothing is outside of `/`, so links from its top are as good there as others.
    fn resolve(&self) -> ResolveFlags {
        let whole = self.path.components().all(|part| part == Component::RootDir);
        let within = if whole { ResolveFlags::IN_ROOT } else { ResolveFlags::BENEATH };
        within | ResolveFlags::NO_MAGICLINKS
    }
}

fn folder(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(path, flags, Mode::empty())
}

/// What was looked for, and where.
struct Looked<'a> {
    worker: &'a str,
    path: &'a Path,
}

impl Looked<'_> {
    fn shown(&self) -> String {
        shown(self.path)
    }

    fn no_roots(&self) -> NotStarted {
        NotStarted::unfit(format!(
            "{} checks no paths, for it has no roots; write `roots = [\"/data\"]` with the folders \
             of its files into its worker.toml, or start it with `--root /data`",
            self.worker
        ))
    }

    fn outside(&self, roots: &[Root]) -> NotStarted {
        let names: Vec<String> = roots.iter().take(4).map(|root| shown(&root.path)).collect();
        let more = if roots.len() > names.len() { ", …" } else { "" };
        NotStarted::unfit(format!(
            "{} is not below a root of {} ({}{more}); put it there, or add its folder to `roots` in \
             the worker.toml",
            self.shown(),
            self.worker,
            names.join(", ")
        ))
    }

    /// Turns what the system says into a sentence.
    fn refused(&self, errno: Errno) -> NotStarted {
        let (path, worker) = (self.shown(), self.worker);
        let says = match errno {
            Errno::NOENT | Errno::NOTDIR => {
                format!("no file {path} on {worker}; share its folder with this worker")
            }
            Errno::XDEV => format!(
                "{path} leads out of the root on {worker}, by `..` or by a link (one that begins \
                 with / counts as leading out); name the file itself"
            ),
            Errno::LOOP => format!(
                "{path} has a link on {worker} that is not followed, as those in /proc or ones in a \
                 circle; name the file itself"
            ),
            Errno::AGAIN => format!(
                "folders on the way to {path} on {worker} are renamed all the time, so that it \
                 cannot be checked; submit it again when they rest"
            ),
            Errno::NOSYS => format!(
                "{worker} cannot check {path}: its kernel has no openat2 (Linux 5.6), without which \
                 a check has races; update it, or submit without --paths"
            ),
            Errno::ACCESS => {
                format!("{worker} may not look at {path}; let its user into every folder above it")
            }
            _ => {
                let error = std::io::Error::from(errno);
                format!("{worker} cannot look at {path}: {error}; look at its disk")
            }
        };
        NotStarted::unfit(says)
    }

    fn no_file(&self, kind: FileType) -> NotStarted {
        let what = match kind {
            FileType::Directory => "a directory",
            FileType::Symlink => "a link",
            FileType::Fifo => "a pipe",
            FileType::Socket => "a socket",
            FileType::CharacterDevice | FileType::BlockDevice => "a device",
            FileType::RegularFile | FileType::Unknown => "something else",
        };
        let (path, worker) = (self.shown(), self.worker);
        NotStarted::unfit(format!("{path} is {what} on {worker}, not a file; name a file"))
    }

    fn changed(&self, seen: Seen, now: Seen) -> NotStarted {
        NotStarted::failed(
            CHANGED,
            format!(
                "{} changed since it was submitted: it had {} bytes of {}, on {} it has {} bytes of \
                 {}; submit it again",
                self.shown(),
                seen.size,
                moment(seen.mtime_ns),
                self.worker,
                now.size,
                moment(now.mtime_ns)
            ),
        )
    }

    fn unsaid(&self) -> NotStarted {
        NotStarted::failed(
            CHANGED,
            format!(
                "the submission does not say what size and time {} had; submit it again with \
                 `--paths=seen`",
                self.shown()
            ),
        )
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().filter(|c| !c.is_control()).take(512).collect()
}

/// Writes a time of change for people; one before 1970 or after 9999 as its number.
fn moment(ns: i128) -> String {
    const YEAR_10000_S: u64 = 253_402_300_800;
    let since = u64::try_from(ns / 1_000_000_000).ok().zip(u32::try_from(ns % 1_000_000_000).ok());
    match since {
        Some((s, ns)) if s < YEAR_10000_S => {
            let at = SystemTime::UNIX_EPOCH + Duration::new(s, ns);
            humantime::format_rfc3339_nanos(at).to_string()
        }
        Some(_) | None => format!("{ns} ns since 1970"),
    }
}

#[cfg(test)]
mod tests;
