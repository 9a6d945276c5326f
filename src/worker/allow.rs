//! The list of allowed programs, told apart by the files that they are. Does not look a name up on
//! a PATH; see find.rs.
//!
//! What a task names only picks an entry of the list: it must be the very file that the entry's
//! path leads to (the same device and inode, both held open while they are compared), under the
//! same last name. What then runs is the entry, by the entry's path. So nothing of the task's own
//! path counts once the entry is picked:
//!
//! - a link that is swapped between the check and the start changes nothing: it is not read again;
//! - a link or a hard link elsewhere brings neither its folder, where a program may look for its
//!   libraries or settings, nor another name, under which a program of many names (as `busybox`)
//!   would do something else;
//! - a listed program that an upgrade replaces goes on: the entry is opened anew at each check.
//!
//! The entry is started by its name and not through `/proc/self/fd`: there a script finds itself
//! under a number, a program of many names does too (`AT_EXECFN`), and so does `ps`. It would not
//! hold more out either, for whoever may change what is at a listed path decides what is listed.
//! That remains for the owner of the list: neither the file nor a folder on its way should be
//! changeable by the user that tasks run as.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};

/// Returns the entry that a program, found at an absolute path, is.
///
/// # Errors
/// Says that it is none, and what to do.
pub(super) fn entry<'a>(list: &'a [PathBuf], found: &Path) -> Result<&'a Path, String> {
    if let Some(entry) = list.iter().find(|entry| *entry == found) {
        return Ok(entry);
    }
    let Some(opened) = File::open(found) else { return Err(unlisted(found)) };
    let same = |entry: &&PathBuf| File::open(entry).is_some_and(|listed| listed.is(&opened));
    let named = |entry: &&PathBuf| entry.file_name() == found.file_name();
    if let Some(entry) = list.iter().filter(named).find(same) {
        return Ok(entry);
    }
    match list.iter().find(same) {
        Some(entry) => Err(format!(
            "{} is {} of this worker's list of programs under another name; name it as it is \
             listed",
            shown(found),
            shown(entry)
        )),
        None => Err(unlisted(found)),
    }
}

/// A file that is held open, so that nothing else can come to have its number.
struct File {
    device: u64,
    inode: u64,
    _held: OwnedFd,
}

impl File {
    /// Opens a file as a place, which reads nothing and has no side effects; none when there is no
    /// regular file there.
    fn open(path: &Path) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let held = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS).ok()?;
        let found = fstat(&held).ok()?;
        let is_file = FileType::from_raw_mode(found.st_mode) == FileType::RegularFile;
        is_file.then_some(Self { device: found.st_dev, inode: found.st_ino, _held: held })
    }

    fn is(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

fn unlisted(found: &Path) -> String {
    format!(
        "{} is not on this worker's list of programs; add it to `allow` in its worker.toml",
        shown(found)
    )
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().chars().filter(|c| !c.is_control()).take(512).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{RenameFlags, renameat_with};
    use tempfile::TempDir;

    use super::*;

    /// Folders `bin`, with the programs `a` and `b`, and `task`.
    fn place() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        for folder in ["bin", "task"] {
            fs::create_dir(top.join(folder)).unwrap();
        }
        for name in ["a", "b"] {
            fs::write(top.join("bin").join(name), name).unwrap();
        }
        (dir, top)
    }

    /// Expects the name of the entry that is picked, or a part of the refusal.
    fn check(list: &[PathBuf], found: &Path, expected: Result<&Path, &str>) {
        match (entry(list, found), expected) {
            (Ok(picked), Ok(wanted)) => assert_eq!(picked, wanted, "{found:?}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{found:?}: {message}"),
            (result, expected) => panic!("{found:?}: {result:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_program_is_the_file_that_it_is() {
        let (_dir, top) = place();
        let (a, b) = (top.join("bin/a"), top.join("bin/b"));
        let list = [a.clone()];
        check(&list, &a, Ok(&a));
        check(&list, &b, Err("b is not on this worker's list"));
        check(&list, &top.join("bin/none"), Err("not on this worker's list"));
        check(&list, &top.join("bin"), Err("not on this worker's list"));
        check(&list, &top.join("bin/../bin/./a"), Ok(&a));
        // What looks the same is not the same.
        fs::write(top.join("task/a"), "a").unwrap();
        check(&list, &top.join("task/a"), Err("not on this worker's list"));
        // A folder of programs with two names, as /bin and /usr/bin are.
        symlink("bin", top.join("other")).unwrap();
        check(&list, &top.join("other/a"), Ok(&a));
        // The entry may be a link itself.
        symlink("b", top.join("bin/c")).unwrap();
        let list = [top.join("bin/c")];
        check(&list, &top.join("other/c"), Ok(&list[0]));
        check(&list, &b, Err("b is "));
    }

    #[test]
    fn links_elsewhere_lead_to_the_entry_under_its_own_name_alone() {
        let (_dir, top) = place();
        let a = top.join("bin/a");
        let list = [a.clone()];
        symlink(&a, top.join("task/a")).unwrap();
        check(&list, &top.join("task/a"), Ok(&a));
        fs::remove_file(top.join("task/a")).unwrap();
        fs::hard_link(&a, top.join("task/a")).unwrap();
        check(&list, &top.join("task/a"), Ok(&a));
        type Make = fn(PathBuf, PathBuf) -> std::io::Result<()>;
        let makes: [(&str, Make); 2] = [("soft", symlink), ("hard", fs::hard_link)];
        for (name, make) in makes {
            let path = top.join("task").join(name);
            make(a.clone(), path.clone()).unwrap();
            check(&list, &path, Err("under another name; name it as it is listed"));
        }
        // Of a program with many names only the listed ones count, each for itself.
        let sh = top.join("bin/sh");
        fs::hard_link(&a, &sh).unwrap();
        check(&list, &sh, Err("under another name"));
        let both = [a.clone(), sh.clone()];
        check(&both, &top.join("bin/../bin/sh"), Ok(&sh));
        check(&both, &top.join("bin/../bin/a"), Ok(&a));
    }

    #[test]
    fn an_entry_that_is_replaced_goes_on_and_its_old_file_does_not() {
        let (_dir, top) = place();
        let a = top.join("bin/a");
        let list = [a.clone()];
        fs::hard_link(&a, top.join("task/a")).unwrap();
        check(&list, &top.join("task/a"), Ok(&a));
        fs::write(top.join("bin/a.new"), "upgraded").unwrap();
        fs::rename(top.join("bin/a.new"), &a).unwrap();
        check(&list, &top.join("bin/../bin/a"), Ok(&a));
        check(&list, &top.join("task/a"), Err("not on this worker's list"));
        fs::remove_file(&a).unwrap();
        check(&list, &top.join("bin/../bin/a"), Err("not on this worker's list"));
    }

    #[test]
    fn magic_links_pick_nothing() {
        let (_dir, top) = place();
        let list = [top.join("bin/a")];
        let held = fs::File::open(&list[0]).unwrap();
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
        check(&list, Path::new(&link), Err("not on this worker's list"));
        let root = format!("/proc/self/root{}", list[0].display());
        check(&list, Path::new(&root), Err("not on this worker's list"));
    }

    /// A link that flips between a listed and an unlisted program, under the listed one's name:
    /// whatever the moment, what is returned is the entry.
    #[test]
    fn a_link_that_flips_never_becomes_what_runs() {
        const CHECKS: std::ops::RangeInclusive<u32> = 5_000..=1_000_000;
        let (_dir, top) = place();
        let list = [top.join("bin/a")];
        fs::create_dir(top.join("spare")).unwrap();
        symlink(&list[0], top.join("task/a")).unwrap();
        symlink(top.join("bin/b"), top.join("spare/a")).unwrap();
        let over = AtomicBool::new(false);
        let (mut checks, mut picked, mut refused) = (0, 0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (one, other) = (top.join("task/a"), top.join("spare/a"));
                while !over.load(Ordering::Relaxed) {
                    renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let path = top.join("task/a");
            // Until both were met, so that the flips did fall between.
            while checks < *CHECKS.start() || checks < *CHECKS.end() && picked.min(refused) == 0 {
                checks += 1;
                match entry(&list, &path) {
                    Ok(entry) if entry == list[0] => picked += 1,
                    Ok(other) => {
                        over.store(true, Ordering::Relaxed);
                        panic!("{} would run", other.display());
                    }
                    Err(_) => refused += 1,
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        assert!(picked > 0 && refused > 0, "{picked} picked, {refused} refused of {checks}");
    }
}
