//! Groups of the kernel (cgroup v2), where this user may make some: one for the worker itself and
//! one for each child that runs, by which all processes of a task are limited together, and killed
//! with one write. Which limits there are is in caps.rs.
//!
//! ```text
//!   own/                    the group that the worker was started in
//!     ganger-NAME-INODE/    the worker's folder; `INODE` is that of its home
//!       self/               the worker and its launchers
//!       SLOT-NUMBER/        one child and all that it starts
//! ```
//!
//! A group either has processes or gives controllers to groups below (but for the top one), so the
//! worker goes into one of its own first. The groups belong to the worker's user, and tasks run as
//! that user: they hold a program that takes too much, not one that sets out to leave its group.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Access, access};

use super::caps::Caps;
use super::process;

/// The group that this process is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnGroup {
    /// Its folder.
    pub folder: PathBuf,
}

/// The groups of a worker, taken away with it.
#[derive(Debug)]
pub(super) struct Groups {
    own: PathBuf,
    folder: PathBuf,
    /// What was given to the worker's folder and was not before.
    gave: Vec<&'static str>,
    moved: Moved,
}

/// Whether the worker went into a group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Yes,
    No,
}

/// The group of one child, as its launcher holds it; taken away with it.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
}

/// What a group met in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Met {
    /// Processes that the kernel killed for memory.
    pub(super) killed: u64,
    /// New processes that it refused.
    pub(super) refused: u64,
}

/// Groups cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroupError {
    /// There are none of version 2.
    #[error("there are no groups of version 2 (cgroup2) here")]
    None,
    /// This user may not.
    #[error(
        "this user may make no groups in {own}; start the worker from a unit with Delegate=yes"
    )]
    Refused {
        /// The group of this process.
        own: PathBuf,
    },
    /// The kernel gives no such controller here.
    #[error("{own} has no controller {names}; start the worker from a unit with Delegate=yes")]
    Lacks {
        /// The group of this process.
        own: PathBuf,
        /// What lacks.
        names: String,
    },
    /// Others are in the same group, so it cannot give anything to groups below.
    #[error(
        "other processes are in {own} too; start the worker from a unit of its own with \
         Delegate=yes"
    )]
    Shared {
        /// The group of this process.
        own: PathBuf,
    },
}

const PROCS: &str = "cgroup.procs";
const SUBTREE: &str = "cgroup.subtree_control";
const KILL: &str = "cgroup.kill";
/// The group of the worker itself.
const SELF: &str = "self";
/// How long what is left in a group may take to go, in milliseconds.
const ROUNDS_MAX: u32 = 1_000;

impl OwnGroup {
    /// Finds it; none when the machine has no groups of version 2.
    pub fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        Self::of(&mounts, &own)
    }

    /// Reads it from the kernel's texts.
    fn of(mounts: &str, own: &str) -> Option<Self> {
        let own = own.lines().find_map(|line| line.strip_prefix("0::"))?;
        mounts.lines().find_map(|line| {
            let (facts, kind) = line.split_once(" - ")?;
            if kind.split(' ').next()? != "cgroup2" {
                return None;
            }
            let mut facts = facts.split(' ').skip(3);
            let (root, point) = (facts.next()?, facts.next()?);
            let below = Path::new(own).strip_prefix(root).ok()?;
            Some(Self { folder: Path::new(point).join(below) })
        })
    }

    /// Tells whether this user may make groups in it.
    pub fn is_writable(&self) -> bool {
        let may = |path: &Path| access(path, Access::WRITE_OK).is_ok();
        may(&self.folder) && may(&self.folder.join(PROCS))
    }

    /// Returns the controllers that the kernel gives to groups in it.
    pub fn controllers(&self) -> Vec<String> {
        words(&self.folder.join("cgroup.controllers"))
    }
}

impl Groups {
    /// Makes the worker's folder with the controllers that it needs, and clears what an earlier
    /// life left.
    ///
    /// # Errors
    /// Says why there are none, and what to do.
    pub(super) fn begin(
        own: Option<OwnGroup>,
        name: &str,
        needs: &[&'static str],
    ) -> Result<Self, GroupError> {
        let own = own.ok_or(GroupError::None)?;
        let folder = own.folder.join(format!("ganger-{name}"));
        clear(&folder);
        let given = own.controllers();
        let may = own.is_writable();
        let own = own.folder;
        if !may {
            return Err(GroupError::Refused { own });
        }
        let lacks = needs.iter().copied().filter(|name| given.iter().all(|given| given != name));
        let names = lacks.collect::<Vec<_>>().join(" and ");
        if !names.is_empty() {
            return Err(GroupError::Lacks { own, names });
        }
        if fs::create_dir(&folder).is_err() {
            return Err(GroupError::Refused { own });
        }
        // From here on dropping it takes away what there is of it.
        let mut groups = Self { own, folder, gave: Vec::new(), moved: Moved::No };
        if groups.give(needs).is_ok() {
            return Ok(groups);
        }
        let own = groups.own.clone();
        if groups.go_inside().is_err() {
            return Err(GroupError::Refused { own });
        }
        groups.give(needs).map_err(|_| GroupError::Shared { own })?;
        Ok(groups)
    }

    /// Returns the folder in which launchers make groups.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Moves the worker into a group below its folder, so that `own` may give controllers.
    fn go_inside(&mut self) -> io::Result<()> {
        let inside = self.folder.join(SELF);
        fs::create_dir(&inside)?;
        enter(&inside)?;
        self.moved = Moved::Yes;
        Ok(())
    }

    /// Gives controllers from `own` to the worker's folder, and from there to the groups in it.
    fn give(&mut self, needs: &[&'static str]) -> io::Result<()> {
        if needs.is_empty() {
            return Ok(());
        }
        let before = words(&self.own.join(SUBTREE));
        let new = needs.iter().copied().filter(|name| before.iter().all(|had| had != name));
        let new: Vec<&'static str> = new.collect();
        if !new.is_empty() {
            write(&self.own.join(SUBTREE), &signed('+', &new))?;
            self.gave.extend(new);
        }
        write(&self.folder.join(SUBTREE), &signed('+', needs))
    }
}

/// What cannot be taken away stays empty, and is taken away at the worker's next start.
impl Drop for Groups {
    fn drop(&mut self) {
        let given = words(&self.folder.join(SUBTREE));
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        if !given.is_empty() {
            let _stays = write(&self.folder.join(SUBTREE), &signed('-', &given));
        }
        if !self.gave.is_empty() {
            let _stays = write(&self.own.join(SUBTREE), &signed('-', &self.gave));
        }
        if self.moved == Moved::Yes {
            let _stays = enter(&self.own);
        }
        clear(&self.folder);
    }
}

impl Group {
    /// Makes a group in a worker's folder, with what the caps say.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(super) fn make(folder: &Path, name: &str, caps: &Caps) -> io::Result<Self> {
        let group = Self { folder: folder.join(name) };
        if let Err(error) = fs::create_dir(&group.folder) {
            if error.kind() != ErrorKind::AlreadyExists {
                return Err(error);
            }
            // One that a killed launcher left.
            clear(&group.folder);
            fs::create_dir(&group.folder)?;
        }
        let set = |file: &str, value: u64| write(&group.folder.join(file), &value.to_string());
        let memory = caps.memory_bytes.map_or(Ok(()), |bytes| {
            set("memory.max", bytes)?;
            // A task ends as a whole, and does not go on in the swap. Old kernels have neither.
            let _old = set("memory.oom.group", 1);
            let _old = set("memory.swap.max", 0);
            Ok(())
        });
        let processes = || caps.processes.map_or(Ok(()), |count| set("pids.max", count));
        let weight = || caps.cpu_weight.map_or(Ok(()), |weight| set("cpu.weight", weight));
        memory.and_then(|()| processes()).and_then(|()| weight())?;
        Ok(group)
    }

    /// Returns where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Sends KILL to all in it.
    pub(super) fn kill(&self) {
        // Kernels before 5.14 have no such file; who kills goes by descent besides.
        let _old = write(&self.folder.join(KILL), "1");
    }

    /// Says what it met.
    pub(super) fn met(&self) -> Met {
        Met {
            killed: number(&self.folder.join("memory.events"), "oom_kill"),
            refused: number(&self.folder.join("pids.events"), "max"),
        }
    }
}

/// It goes with all that is left in it.
impl Drop for Group {
    fn drop(&mut self) {
        clear(&self.folder);
    }
}

/// Moves this process into a group.
///
/// # Errors
/// When the kernel refuses.
pub(super) fn enter(folder: &Path) -> io::Result<()> {
    write(&folder.join(PROCS), "0")
}

/// Kills all in a group and below, and takes the folders away; one that this process is in stays.
fn clear(folder: &Path) {
    below(folder).iter().for_each(|path| clear(path));
    for _ in 0..ROUNDS_MAX {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {}
            Ok(()) | Err(_) => return,
        }
        if !below(folder).is_empty() || has_this_process(folder) {
            break;
        }
        let _old = write(&folder.join(KILL), "1");
        process::pause(Duration::from_millis(1));
    }
    tracing::warn!(path = %folder.display(), "a group stays");
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn has_this_process(folder: &Path) -> bool {
    let own = std::process::id().to_string();
    words(&folder.join(PROCS)).contains(&own)
}

fn signed(sign: char, names: &[&str]) -> String {
    names.iter().map(|name| format!("{sign}{name}")).collect::<Vec<_>>().join(" ")
}

/// Writes to a file of the kernel, which is there or is not ours to make.
fn write(path: &Path, text: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes())
}

fn words(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// Returns the number behind a word at the start of a line; 0 when there is none.
fn number(path: &Path, word: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.filter(|(name, _)| *name == word).find_map(|(_, n)| n.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
pub(super) mod tests;
