//! What SQLite says, as sentences: damaged, unusable, full, or unknown whether written. Decides
//! nothing about what follows from them.

use std::path::Path;

use rusqlite::{ErrorCode, Row};

use super::super::chain::Sum;
use super::super::{AppendError, OpenError, ReadError};

/// A store that lost or changed something: exit code 5.
pub(in crate::store) fn damaged(file: &Path, what: &str) -> OpenError {
    let folder = file.parent().unwrap_or(file).display();
    OpenError::Damaged(format!(
        "the store {} is damaged: {what}; run `ganger fsck {folder}` to see what can be saved",
        file.display()
    ))
}

/// A store that a person can make usable.
pub(in crate::store) fn unusable(file: &Path, why: &str, remedy: &str) -> OpenError {
    OpenError::Unusable(format!("cannot open the store {}: {why}; {remedy}", file.display()))
}

/// Sorts an error of a read or of opening.
pub(in crate::store) fn open_error(file: &Path, doing: &str, error: &rusqlite::Error) -> OpenError {
    let what = format!("{doing} failed ({error})");
    let Some(code) = error.sqlite_error_code() else {
        return damaged(file, &what);
    };
    let rights = [
        ErrorCode::CannotOpen,
        ErrorCode::PermissionDenied,
        ErrorCode::ReadOnly,
        ErrorCode::AuthorizationForStatementDenied,
    ];
    let busy =
        [ErrorCode::DatabaseBusy, ErrorCode::DatabaseLocked, ErrorCode::FileLockingProtocolFailed];
    if code == ErrorCode::DiskFull {
        let why = format!("{what}, {} bytes are free", bytes_free(file));
        unusable(file, &why, "make room on its disk and start again")
    } else if rights.contains(&code) {
        let remedy = "give this user the right to read and write the file and its folder";
        unusable(file, &what, remedy)
    } else if busy.contains(&code) {
        unusable(file, &what, "another program has it open; close that and start again")
    } else if [ErrorCode::SystemIoFailure, ErrorCode::OutOfMemory].contains(&code) {
        unusable(file, &what, "look at the disk and the system's log")
    } else {
        damaged(file, &what)
    }
}

/// Sorts an error of a write. The caller has rolled back, so a full disk left nothing behind.
pub(super) fn append_error(file: &Path, error: &rusqlite::Error) -> AppendError {
    if error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        AppendError::Full(format!(
            "{} has {} bytes free; make room and it goes on by itself",
            file.display(),
            bytes_free(file)
        ))
    } else {
        AppendError::Ambiguous(format!(
            "{} answered `{error}`; look at the disk and start the master again",
            file.display()
        ))
    }
}

/// An error of a read for the screen.
pub(super) fn read_error(error: &rusqlite::Error) -> ReadError {
    ReadError(error.to_string())
}

/// Reads a 16-byte column; other lengths are a conversion error, which counts as damage.
pub(in crate::store) fn column_sum(row: &Row<'_>, column: usize) -> rusqlite::Result<Sum> {
    row.get::<_, Sum>(column)
}

fn bytes_free(file: &Path) -> u64 {
    let folder = file.parent().unwrap_or(file);
    rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}
