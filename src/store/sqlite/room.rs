//! Room in the WAL, made when a master begins. A sync of a file that grows also writes its new
//! length to the filesystem's journal, which was half of what a small commit took; SQLite itself
//! keeps a WAL's length only once it has been around. What is in the file does not change: its
//! frames end where the first one without their salt begins, and zeros have none.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::place::wal_of;

/// The WAL at its longest, about: 2,048 pages of 8 KiB, each with its head, and one large commit.
pub(super) const WAL_BYTES: u64 = 18 << 20;

/// Writes zeros behind the WAL up to `bytes`. A disk without room for them is no trouble yet.
pub(super) fn make(conn: &mut Connection, file: &Path, bytes: u64) -> rusqlite::Result<()> {
    // Nobody else writes frames meanwhile; nothing is written to the database.
    let _lock = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Err(error) = fill(file, bytes) {
        tracing::warn!(file = %file.display(), %error, "no room is kept for the WAL");
    }
    Ok(())
}

fn fill(file: &Path, bytes: u64) -> io::Result<()> {
    let wal = OpenOptions::new().write(true).open(wal_of(file))?;
    let length = wal.metadata()?.len();
    if length >= bytes {
        return Ok(());
    }
    let filled = zeros(&wal, length, bytes).and_then(|()| wal.sync_data());
    if filled.is_err() {
        wal.set_len(length)?;
    }
    filled
}

fn zeros(wal: &File, from: u64, to: u64) -> io::Result<()> {
    let piece = vec![0; PIECE_BYTES];
    let mut at = from;
    while at < to {
        wal.write_all_at(&piece, at)?;
        at += PIECE_BYTES as u64;
    }
    Ok(())
}

const PIECE_BYTES: usize = 1 << 20;
