//! Private files: written whole and synced, read only when nobody else could have. Knows nothing of
//! what is in them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::identity::IdentityError;

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// Makes a folder for its owner alone, or checks the one there is.
pub(crate) fn make_dir(path: &Path) -> Result<(), IdentityError> {
    let made = DirBuilder::new().recursive(true).mode(DIR_MODE).create(path);
    made.map_err(|source| io(path, source))?;
    check_dir(path)
}

/// Refuses a folder that others may enter.
pub(crate) fn check_dir(path: &Path) -> Result<(), IdentityError> {
    let facts = std::fs::metadata(path).map_err(|source| io(path, source))?;
    check(path, &facts, DIR_MODE)
}

/// Reads a whole file that must be its owner's alone.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
    let file = open(path, OpenOptions::new().read(true))?;
    let mut bytes = Zeroizing::new(Vec::new());
    let mut bounded = (&file).take(bytes_max + 1);
    bounded.read_to_end(&mut bytes).map_err(|source| io(path, source))?;
    if bytes.len() as u64 > bytes_max {
        let reason = format!("it is longer than {bytes_max} bytes");
        return Err(IdentityError::Damaged { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

/// Opens a file that must be its owner's alone; follows no link.
pub(crate) fn open(path: &Path, options: &mut OpenOptions) -> Result<File, IdentityError> {
    let no_link = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = options.mode(FILE_MODE).custom_flags(no_link).open(path);
    let file = file.map_err(|source| io(path, source))?;
    let facts = file.metadata().map_err(|source| io(path, source))?;
    check(path, &facts, FILE_MODE)?;
    Ok(file)
}

/// Writes a file so that after a crash it is there whole, old or new: write, sync, rename, sync the
/// folder.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let name = path.file_name().map_or_else(Default::default, |name| name.to_string_lossy());
    let draft = path.with_file_name(format!(".{name}.{}", super::hex(&super::random::<6>())));
    let written = write_draft(&draft, bytes).and_then(|()| std::fs::rename(&draft, path));
    if let Err(source) = written {
        // The draft may not even exist; what matters is the first error.
        let _gone = std::fs::remove_file(&draft);
        return Err(io(path, source));
    }
    sync_dir(path)
}

fn write_draft(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), IdentityError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_dir(path),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io(path, source)),
    }
}

/// Makes the folder's entry for `path` durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), IdentityError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| io(folder, source))
}

fn check(path: &Path, facts: &std::fs::Metadata, wanted: u32) -> Result<(), IdentityError> {
    let (owner, user) = (facts.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(IdentityError::Owner { path: path.to_owned(), owner, user });
    }
    let mode = facts.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Mode { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

pub(crate) fn io(path: &Path, source: std::io::Error) -> IdentityError {
    if source.kind() == std::io::ErrorKind::NotFound {
        return IdentityError::Missing { path: path.to_owned() };
    }
    IdentityError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn files_are_private_and_others_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("a/b");
        make_dir(&dir).unwrap();
        let path = dir.join("key");
        write(&path, b"secret").unwrap();
        assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(&**read(&path, 6).unwrap(), b"secret");
        assert!(matches!(read(&path, 5), Err(IdentityError::Damaged { .. })));
        assert!(matches!(read(&dir.join("none"), 5), Err(IdentityError::Missing { .. })));
        for mode in [0o640, 0o604, 0o660] {
            chmod(&path, mode);
            let error = read(&path, 6).unwrap_err();
            assert!(matches!(error, IdentityError::Mode { wanted: 0o600, .. }), "{error}");
        }
        chmod(&path, 0o400);
        assert!(read(&path, 6).is_ok());
        chmod(&dir, 0o750);
        assert!(matches!(make_dir(&dir), Err(IdentityError::Mode { wanted: 0o700, .. })));
    }

    #[test]
    fn a_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        chmod(home.path(), 0o700);
        write(&home.path().join("real"), b"x").unwrap();
        std::os::unix::fs::symlink(home.path().join("real"), home.path().join("link")).unwrap();
        assert!(matches!(read(&home.path().join("link"), 5), Err(IdentityError::Io { .. })));
    }
}
