//! The worker's folder: its lock, its run directory, and which launchers live. Cleans up what an
//! earlier life of the worker left. The identity in the same folder belongs to `ganger-net`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process};

use super::{process, spool};

/// A worker's folder, locked for this process.
#[derive(Debug)]
pub(super) struct Home {
    run_dir: PathBuf,
    /// Held as long as the worker lives.
    _lock: File,
}

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another process runs under the same identity.
    #[error(
        "another worker runs in {path}; stop it first, or join again under another name to run two"
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The system refuses.
    #[error("cannot use {path}; make it a folder that this user may write to")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// How long leftovers of an earlier life may take to go.
const LEFTOVER_ROUNDS_MAX: u32 = 1_000;

impl Home {
    /// Locks the folder, clears what an earlier life left, and makes the run directory.
    ///
    /// # Errors
    /// When another process holds the lock, or the folder cannot be written.
    pub(super) fn open(path: &Path) -> Result<Self, HomeError> {
        let io_at = |path: &Path| {
            let path = path.to_owned();
            move |source| HomeError::Io { path, source }
        };
        let private = |path: &Path| {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
            made.map_err(io_at(path))
        };
        private(path)?;
        let lock_path = path.join("worker.lock");
        let mut options = OpenOptions::new();
        let lock = options.create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(io_at(&lock_path))?;
        match crate::lock::take(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(HomeError::Locked { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io_at(&lock_path)(source)),
        }
        let run_dir = path.join("run");
        kill_leftovers(&run_dir.join("launchers"));
        for name in ["launchers", "scratch", spool::FOLDER] {
            let folder = run_dir.join(name);
            match remove_tree(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %folder.display(), %error, "leftovers stay");
                }
                Ok(()) | Err(_) => {}
            }
            private(&folder)?;
        }
        let run_dir = run_dir.canonicalize().map_err(io_at(&run_dir))?;
        Ok(Self { run_dir, _lock: lock })
    }

    /// Returns the directory of everything that ends with the worker.
    pub(super) fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// Returns a number that tells this folder from others of the machine.
    pub(super) fn number(&self) -> u64 {
        fs::metadata(&self.run_dir).map_or(0, |facts| facts.ino())
    }

    /// Returns an empty list of launchers.
    pub(super) fn nursery(&self) -> Nursery {
        Nursery { dir: self.run_dir.join("launchers"), alive: Mutex::default() }
    }
}

/// The launchers that live, in memory and, for the worker's next life, on disk.
#[derive(Debug)]
pub(super) struct Nursery {
    dir: PathBuf,
    /// Held while a launcher is started, so that it is never taken for an orphan.
    alive: Mutex<BTreeSet<i32>>,
}

impl Nursery {
    /// Starts a launcher with `spawn` and remembers it by its slot, and what it keeps there.
    ///
    /// # Errors
    /// What `spawn` says.
    pub(super) fn start<T>(
        &self,
        slot: impl fmt::Display,
        spawn: impl FnOnce() -> io::Result<(T, Pid)>,
    ) -> io::Result<(T, Pid)> {
        let mut alive = self.alive();
        let (started, pid) = spawn()?;
        alive.insert(pid.as_raw_nonzero().get());
        let since = process::start_time(pid).unwrap_or(0);
        if let Err(error) = fs::write(self.file(slot), format!("{pid} {since} {}\n", boot())) {
            tracing::warn!(%error, "a launcher is not remembered on disk");
        }
        Ok((started, pid))
    }

    /// Forgets a launcher that has ended. If it was killed, its children have come to this process
    /// when this is a child subreaper, and end here.
    pub(super) fn ended(&self, slot: impl fmt::Display, pid: Pid) {
        let mut alive = self.alive();
        alive.remove(&pid.as_raw_nonzero().get());
        let _may_be_gone = fs::remove_file(self.file(slot));
        if !matches!(rustix::process::child_subreaper(), Ok(Some(_))) {
            return;
        }
        for _ in 0..LEFTOVER_ROUNDS_MAX {
            let mut orphans = process::children(getpid());
            orphans.retain(|child| !alive.contains(&child.as_raw_nonzero().get()));
            if orphans.is_empty() {
                return;
            }
            for orphan in orphans {
                process::kill_below(orphan);
                let _may_be_gone = kill_process(orphan, Signal::KILL);
                process::reap(orphan);
            }
            process::pause(Duration::from_millis(1));
        }
    }

    fn file(&self, slot: impl fmt::Display) -> PathBuf {
        self.dir.join(slot.to_string())
    }

    fn alive(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        // A set of numbers is whole even if a thread panicked while it held the lock.
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kills launchers of an earlier life with all below them. They end by their lifeline; this is for
/// one that does not.
fn kill_leftovers(dir: &Path) {
    let Ok(files) = fs::read_dir(dir) else { return };
    let texts = files.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
    let left: Vec<(Pid, u64)> = texts.filter_map(|text| parse(&text)).collect();
    for _ in 0..LEFTOVER_ROUNDS_MAX {
        let alive = left.iter().filter(|(pid, since)| process::start_time(*pid) == Some(*since));
        let alive: Vec<Pid> = alive.map(|(pid, _)| *pid).collect();
        if alive.is_empty() {
            return;
        }
        for pid in alive {
            // Those below first: when the launcher is gone, nothing says whose they were.
            process::kill_below(pid);
            if process::children(pid).is_empty() {
                let _may_be_gone = kill_process(pid, Signal::KILL);
            }
        }
        process::pause(Duration::from_millis(1));
    }
    tracing::warn!("processes of an earlier life of this worker could not be killed");
}

/// Reads a launcher's file; nothing of one that lived before the machine was started.
fn parse(text: &str) -> Option<(Pid, u64)> {
    let mut words = text.split_ascii_whitespace();
    let (pid, since) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let here = words.next() == Some(boot().as_str());
    Pid::from_raw(pid).filter(|_| here && pid > 1).map(|pid| (pid, since))
}

/// Names this start of the machine: ids of processes and the ticks at which they began come again.
fn boot() -> String {
    let read = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let id: String = read.chars().filter(char::is_ascii_hexdigit).collect();
    if id.is_empty() { "unknown".to_owned() } else { id }
}

/// Removes a folder with all in it, also what its owner made read-only, as some tools do with what
/// they fetch. Follows no link.
///
/// # Errors
/// When something in it cannot be removed.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            make_removable(path);
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn make_removable(folder: &Path) {
    let mode = fs::Permissions::from_mode(0o700);
    let _others = fs::set_permissions(folder, mode);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            make_removable(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(&dir.path().join("w")).unwrap();
        let second = Home::open(&dir.path().join("w")).unwrap_err();
        assert!(matches!(second, HomeError::Locked { .. }));
        drop(home);
        Home::open(&dir.path().join("w")).unwrap();
    }

    #[test]
    fn what_an_earlier_life_left_is_killed_if_it_is_the_same_process() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        fs::create_dir(home.run_dir().join("scratch/1-1")).unwrap();
        let spawn = || std::process::Command::new("sleep").arg("300").spawn().unwrap();
        let (mut ours, mut other) = (spawn(), spawn());
        let pid = Pid::from_child(&ours);
        home.nursery().start(0, || Ok(((), pid))).unwrap();
        let launchers = home.run_dir().join("launchers");
        fs::write(launchers.join("1"), format!("{} 1 {}\n", other.id(), boot())).unwrap();
        let began = process::start_time(Pid::from_child(&other)).unwrap();
        fs::write(launchers.join("3"), format!("{} {began} before\n", other.id())).unwrap();
        fs::write(home.run_dir().join("launchers/2"), "nonsense").unwrap();
        drop(home);
        let home = Home::open(dir.path()).unwrap();
        assert!(!ours.wait().unwrap().success());
        assert!(other.try_wait().unwrap().is_none(), "a reused id names another process");
        assert!(!home.run_dir().join("scratch/1-1").exists());
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn read_only_folders_go_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, kept) = (dir.path().join("scratch"), dir.path().join("kept"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir(&kept).unwrap();
        fs::write(kept.join("file"), "x").unwrap();
        fs::write(tree.join("a/b/file"), "x").unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("link")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        fs::set_permissions(&kept, fs::Permissions::from_mode(0o500)).unwrap();
        for folder in ["a/b", "a"] {
            fs::set_permissions(tree.join(folder), fs::Permissions::from_mode(0o500)).unwrap();
        }
        // Root removes what is read-only anyway; what is done for others is done here.
        make_removable(&tree);
        assert_eq!((mode(&tree.join("a/b")), mode(&kept)), (0o700, 0o500));
        remove_tree(&tree).unwrap();
        assert!(!tree.exists() && kept.join("file").exists());
    }
}
