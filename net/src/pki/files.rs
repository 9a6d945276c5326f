//! Secret files: made for their owner alone, replaced as a whole, refused when others could have
//! read them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

use super::identity::IdentityError;

/// The mode of a folder with secrets.
const DIR_MODE: u32 = 0o700;
/// The mode of a file with secrets.
const FILE_MODE: u32 = 0o600;
/// Bytes of a secret file; the largest holds an identity.
const FILE_BYTES_MAX: u64 = 1 << 20;

fn io(path: &Path, source: std::io::Error) -> IdentityError {
    IdentityError::Io { path: path.to_path_buf(), source }
}

/// Makes a folder for its owner alone, and the ones above it.
pub(crate) fn make_dir(path: &Path) -> Result<(), IdentityError> {
    DirBuilder::new().recursive(true).mode(DIR_MODE).create(path).map_err(|e| io(path, e))
}

/// Writes a secret file as a whole: beside its place, synced, renamed, the folder synced.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".new{}", std::process::id()));
    let beside = Path::new(&beside);
    if let Err(error) = std::fs::remove_file(beside)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(io(beside, error));
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(FILE_MODE);
    let mut file = options.open(beside).map_err(|e| io(beside, e))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| io(beside, e))?;
    std::fs::rename(beside, path).map_err(|e| io(path, e))?;
    sync_folder(path)
}

/// Makes a file's entry in its folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), IdentityError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| io(folder, e))
}

/// Reads a secret file; refuses one that is not its owner's alone. Returns none when there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    let facts = match std::fs::metadata(path) {
        Ok(facts) => facts,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(path, error)),
    };
    check(path, &facts, FILE_MODE)?;
    if facts.len() > FILE_BYTES_MAX {
        let reason = format!("it has {} bytes", facts.len());
        return Err(IdentityError::Damaged { path: path.to_path_buf(), reason });
    }
    std::fs::read(path).map(|bytes| Some(Zeroizing::new(bytes))).map_err(|e| io(path, e))
}

/// Checks that a file or folder is this user's and nobody else's.
pub(crate) fn check(
    path: &Path,
    facts: &std::fs::Metadata,
    wanted: u32,
) -> Result<(), IdentityError> {
    let user = rustix::process::getuid().as_raw();
    if facts.uid() != user {
        return Err(IdentityError::Owner { path: path.to_path_buf(), owner: facts.uid(), user });
    }
    let mode = facts.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::Mode { path: path.to_path_buf(), mode, wanted });
    }
    Ok(())
}
