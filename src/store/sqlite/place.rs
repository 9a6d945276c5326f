//! The place of a store: its folder, its filesystem, its lock. Does not open the database.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::super::{AppendError, Holder, OpenError};
use super::error::{damaged, unusable};
use super::seqfile::Acknowledged;

/// Checks the folder and, when it exists, the file: whose they are and on what they lie.
pub(super) fn check(file: &Path) -> Result<(), OpenError> {
    let folder = folder_of(file);
    let meta = std::fs::metadata(folder).map_err(|error| {
        let why = format!("its folder {} cannot be read ({error})", folder.display());
        unusable(file, &why, "create the folder or name another place")
    })?;
    if !meta.is_dir() {
        let why = format!("{} is not a folder", folder.display());
        return Err(unusable(file, &why, "name a file in a folder"));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me && me != 0 {
        let why = format!("its folder {} belongs to user {}", folder.display(), meta.uid());
        return Err(unusable(file, &why, &format!("use a folder of user {me}")));
    }
    if meta.mode() & 0o002 != 0 && meta.mode() & 0o1000 == 0 {
        let why = format!("everyone may write its folder, mode {:o}", meta.mode() & 0o7777);
        let remedy = format!("run `chmod 700 {}`", folder.display());
        return Err(unusable(file, &why, &remedy));
    }
    check_filesystem(file)?;
    match std::fs::metadata(file) {
        Ok(meta) if meta.uid() != me => {
            let why = format!("it belongs to user {}, this is user {me}", meta.uid());
            Err(unusable(file, &why, "start the master as that user"))
        }
        Ok(meta) if meta.is_file() && meta.mode() & 0o002 != 0 => {
            let why = format!("everyone may write it, mode {:o}", meta.mode() & 0o7777);
            Err(unusable(file, &why, &format!("run `chmod 600 {}`", file.display())))
        }
        Ok(meta) if !meta.is_file() => {
            Err(unusable(file, "it is not a file", "move it away or name another place"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes the database file when there is none, and refuses to open an empty one that was not.
pub(super) fn prepare(file: &Path, acknowledged: &Acknowledged) -> Result<(), OpenError> {
    let length = std::fs::metadata(file).map_or(0, |meta| meta.len());
    if length > 0 {
        return Ok(());
    }
    // SQLite deletes the WAL of an empty database, and with it what could be saved.
    if let Acknowledged::At(tip) = acknowledged
        && tip.seq.0 > 0
    {
        let what = format!("it is empty or missing: batches 1 to {} are missing", tip.seq.0);
        return Err(damaged(file, &what));
    }
    if std::fs::metadata(wal_of(file)).is_ok_and(|meta| meta.len() > 0) {
        return Err(damaged(file, "it is empty or missing but has a WAL"));
    }
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    match made.and_then(|_| File::open(folder_of(file))?.sync_all()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => {
            let why = format!("it cannot be created ({error})");
            Err(unusable(file, &why, "give this user the right to write its folder"))
        }
    }
}

/// Returns the path of a database's WAL.
pub(super) fn wal_of(file: &Path) -> PathBuf {
    let mut wal = file.as_os_str().to_owned();
    wal.push("-wal");
    PathBuf::from(wal)
}

/// Tells whether a database's WAL holds anything but the zeros that keep its room.
pub(in crate::store) fn has_wal(file: &Path) -> bool {
    let Ok(mut wal) = File::open(wal_of(file)) else { return false };
    let mut piece = [0; 64 << 10];
    loop {
        match wal.read(&mut piece) {
            Ok(0) | Err(_) => return false,
            Ok(count) if piece[..count].iter().any(|byte| *byte != 0) => return true,
            Ok(_) => {}
        }
    }
}

/// Refuses filesystems on which SQLite's shared memory and locks do not work.
pub(in crate::store) fn check_filesystem(file: &Path) -> Result<(), OpenError> {
    let folder = folder_of(file);
    let Ok(found) = rustix::fs::statfs(folder) else { return Ok(()) };
    // The field's type differs by architecture; magic numbers are 32 bits wide.
    let magic = u32::try_from(found.f_type & 0xFFFF_FFFF).unwrap_or_default();
    let device = std::fs::metadata(folder).map_or(0, |meta| meta.dev());
    let kind = network_kind(magic).or_else(|| (magic == FUSE).then(|| fuse_kind(device)).flatten());
    let Some(kind) = kind else { return Ok(()) };
    let why = format!("{} is on a network filesystem ({kind})", folder.display());
    let remedy = "give a place on a local disk with `--store sqlite:PATH`";
    Err(unusable(file, &why, remedy))
}

fn network_kind(magic: u32) -> Option<String> {
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| (*name).to_owned())
}

/// Returns the kind of a FUSE mount that reaches over a network.
fn fuse_kind(device: u64) -> Option<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    fuse_kind_in(&mounts, &number)
}

fn fuse_kind_in(mounts: &str, number: &str) -> Option<String> {
    let line = mounts.lines().find(|line| line.split(' ').nth(2) == Some(number))?;
    let kind = line.split_once(" - ")?.1.split(' ').next()?;
    NETWORK_FUSE.contains(&kind).then(|| kind.to_owned())
}

pub(super) fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    }
}

/// The right to use a store, as long as it lives.
#[derive(Debug)]
pub(super) struct HomeLock {
    _file: File,
}

impl HomeLock {
    /// Takes the lock, or says who has it.
    pub(super) fn take(store: &Path, me: &Holder) -> Result<Self, OpenError> {
        let path = store.with_extension("lock");
        let failed = |error: std::io::Error| {
            let why = format!("its lock {} cannot be taken ({error})", path.display());
            unusable(store, &why, "give this user the right to write its folder")
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match crate::lock::take(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held_by(&mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        file.write_all(format!("{} {}\n", me.pid, me.host).as_bytes()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Which files a store that is open consists of. Those that are deleted or replaced while it is go
/// on taking what is written, and nobody finds it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    database: Option<(u64, u64)>,
    wal: Option<(u64, u64)>,
}

impl Standing {
    /// Notes which files are there.
    pub(super) fn of(file: &Path) -> Self {
        let place = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        Self { database: place(file), wal: place(&wal_of(file)) }
    }

    /// Checks that the same files are there.
    pub(super) fn check(self, file: &Path) -> Result<(), AppendError> {
        let now = Self::of(file);
        if now == self {
            return Ok(());
        }
        let which = if now.database == self.database { wal_of(file) } else { file.to_owned() };
        Err(AppendError::Ambiguous(format!(
            "{} was deleted or replaced while the master ran; put it back before it is started \
             again, or run `ganger fsck {}` to see what is left",
            which.display(),
            folder_of(file).display()
        )))
    }
}

/// Refuses a store that a master has, without touching its lock.
pub(in crate::store) fn check_at_rest(file: &Path) -> Result<(), OpenError> {
    let Ok(mut lock) = File::open(file.with_extension("lock")) else { return Ok(()) };
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(held_by(&mut lock)),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

fn held_by(file: &mut File) -> OpenError {
    let mut bytes = Vec::new();
    // An unreadable holder is still a holder.
    let _ = file.take(LOCK_BYTES_MAX).read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse::<u32>().ok());
    let host: String =
        words.next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    let who = match pid {
        Some(pid) => format!("process {pid} on host {host}"),
        None => "it did not say which process".to_owned(),
    };
    OpenError::Held(format!(
        "another master ({who}) has this home; attach to it with `ganger` or stop it with \
         `ganger stop`"
    ))
}

const LOCK_BYTES_MAX: u64 = 512;
const FUSE: u32 = 0x6573_5546;
const NETWORK: [(u32, &str); 8] = [
    (0x0000_6969, "nfs"),
    (0x0000_517B, "smb"),
    (0xFF53_4D42, "cifs"),
    (0xFE53_4D42, "smb2"),
    (0x5346_414F, "afs"),
    (0x00C3_6400, "ceph"),
    (0x0BD0_0BD0, "lustre"),
    (0x7461_636F, "ocfs2"),
];
const NETWORK_FUSE: [&str; 6] =
    ["fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.davfs", "fuse.ceph-fuse"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_filesystems_are_known_by_number_and_by_mount() {
        for magic in [0x6969, 0xFF53_4D42, 0xFE53_4D42, 0x517B] {
            assert!(network_kind(magic).is_some(), "{magic:x}");
        }
        // ext4, tmpfs, xfs, btrfs, overlay, 9p
        for magic in [0xEF53, 0x0102_1994, 0x5846_5342, 0x9123_683E, 0x794C_7630, 0x0102_1997] {
            assert_eq!(network_kind(magic), None, "{magic:x}");
        }
        let mounts = "36 35 0:41 / /mnt/far rw,nosuid - fuse.sshfs me@far:/ rw\n\
                      37 35 0:42 / /mnt/near rw,nosuid shared:1 - fuse.ntfs /dev/sdb1 rw\n";
        assert_eq!(fuse_kind_in(mounts, "0:41").as_deref(), Some("fuse.sshfs"));
        assert_eq!(fuse_kind_in(mounts, "0:42"), None);
        assert_eq!(fuse_kind_in(mounts, "0:43"), None);
    }

    #[test]
    fn a_second_holder_hears_who_has_the_home() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.db");
        let me = Holder { pid: 4242, host: "build01".to_owned() };
        let lock = HomeLock::take(&store, &me).unwrap();
        let refused = HomeLock::take(&store, &Holder { pid: 1, ..me.clone() }).unwrap_err();
        assert!(matches!(refused, OpenError::Held(_)));
        let told = refused.to_string();
        let start = "another master (process 4242 on host build01) has this home; ";
        assert!(told.starts_with(start), "{told}");
        drop(lock);
        HomeLock::take(&store, &me).unwrap();
    }

    #[test]
    fn a_lock_file_with_foreign_bytes_gives_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store.db");
        let path = store.with_extension("lock");
        for bytes in [b"\xff\x00\x1b[2J".as_slice(), b"", &[b'9'; 4096]] {
            std::fs::write(&path, bytes).unwrap();
            let held = File::open(&path).unwrap();
            held.lock().unwrap();
            let me = Holder { pid: 1, host: "h".to_owned() };
            let told = HomeLock::take(&store, &me).unwrap_err().to_string();
            assert!(told.starts_with("another master (it did not say"), "{told}");
            assert!(!told.chars().any(char::is_control));
        }
    }

    #[test]
    fn places_that_cannot_work_get_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let missing = check(&folder.path().join("no/store.db")).unwrap_err().to_string();
        assert!(missing.contains("create the folder"), "{missing}");
        let file = folder.path().join("file");
        std::fs::write(&file, b"x").unwrap();
        let inside = check(&file.join("store.db")).unwrap_err().to_string();
        assert!(inside.contains("is not a folder"), "{inside}");
        let open = folder.path().join("open");
        std::fs::create_dir(&open).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(&open, mode).unwrap();
        let told = check(&open.join("store.db")).unwrap_err().to_string();
        assert!(told.contains("everyone may write its folder, mode 777"), "{told}");
        assert!(told.contains("chmod 700"), "{told}");
    }
}
