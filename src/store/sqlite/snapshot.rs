//! Snapshots: written a part at a time, found at start, trimmed with the log they cover. Does not
//! know what a part holds.

use std::path::Path;

use ganger_proto::WallMs;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::chain::{Sum, head_sum, part_sum};
use super::super::{AppendError, KeepLog, OpenError, Seq, Snapshot, Trim};
use super::append::transact;
use super::error::{column_sum, damaged, open_error};
use super::{Held, stored_hash};

/// The row that makes written parts a snapshot.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Head {
    pub(in crate::store) seq: Seq,
    pub(in crate::store) parts: u32,
    pub(in crate::store) log_hash: Sum,
    /// Its own sum is right; that says nothing of the parts.
    pub(in crate::store) good: bool,
}

/// Returns the heads, the newest first.
pub(in crate::store) fn heads(conn: &Connection) -> rusqlite::Result<Vec<Head>> {
    let select = "SELECT seq, parts, log_hash, hash FROM snapshot_head ORDER BY seq DESC";
    let mut statement = conn.prepare_cached(select)?;
    let rows = statement.query_map([], |row| {
        let seq = Seq(row.get::<_, i64>(0)?.cast_unsigned());
        let parts = u32::try_from(row.get::<_, i64>(1)?).unwrap_or(u32::MAX);
        // A wrong length is a bad head, not a bad store: the older snapshot may do.
        let (log_hash, hash) = (column_sum(row, 2), column_sum(row, 3));
        let (Ok(log_hash), Ok(hash)) = (log_hash, hash) else {
            return Ok(Head { seq, parts, log_hash: Sum::default(), good: false });
        };
        Ok(Head { seq, parts, log_hash, good: head_sum(seq, parts, &log_hash) == hash })
    })?;
    rows.collect()
}

/// Returns the newest snapshot that is whole and whose log is there; drops the bad ones before it.
pub(super) fn newest_good(
    conn: &Connection,
    file: &Path,
    last: Seq,
) -> Result<Option<Snapshot>, OpenError> {
    let failed = |error: rusqlite::Error| open_error(file, "reading its snapshots", &error);
    let first: Option<i64> =
        conn.query_row("SELECT min(seq) FROM log", [], |row| row.get(0)).map_err(failed)?;
    let first = first.map(|seq| Seq(seq.cast_unsigned()));
    let log_follows = |seq: Seq| first.map_or(seq == last, |first| first <= seq.next());
    let mut bad = Vec::new();
    for head in heads(conn).map_err(failed)? {
        let parts = load(conn, &head);
        if let (Some(parts), true) = (parts, log_follows(head.seq)) {
            forget(conn, file, &bad);
            return Ok(Some(Snapshot { seq: head.seq, parts }));
        }
        bad.push(head.seq);
    }
    if log_follows(Seq(0)) {
        forget(conn, file, &bad);
        return Ok(None);
    }
    let start = first.map_or(last.0, |first| first.0);
    let what = format!(
        "no snapshot is whole and its log begins at batch {start}: batches 1 to {} are gone",
        start.saturating_sub(1)
    );
    Err(damaged(file, &what))
}

/// Returns the parts of a snapshot, or none when one is missing or its sum is wrong.
pub(in crate::store) fn load(conn: &Connection, head: &Head) -> Option<Vec<Vec<u8>>> {
    if !head.good {
        return None;
    }
    let select = "SELECT part, hash, data FROM snapshot WHERE seq = ?1 ORDER BY part";
    let mut statement = conn.prepare_cached(select).ok()?;
    let mut rows = statement.query([head.seq.0.cast_signed()]).ok()?;
    let mut parts = Vec::new();
    while let Some(row) = rows.next().ok()? {
        let part = u32::try_from(row.get::<_, i64>(0).ok()?).ok()?;
        let (hash, data) = (column_sum(row, 1).ok()?, row.get::<_, Vec<u8>>(2).ok()?);
        let place = u32::try_from(parts.len()).ok()?;
        if part != place || part_sum(head.seq, part, &data) != hash {
            return None;
        }
        parts.push(data);
    }
    (u32::try_from(parts.len()).ok()? == head.parts).then_some(parts)
}

/// Drops the heads of bad snapshots so that they do not count as kept ones.
fn forget(conn: &Connection, file: &Path, bad: &[Seq]) {
    for seq in bad {
        tracing::warn!(file = %file.display(), seq = seq.0, "a bad snapshot is not used");
        let delete = "DELETE FROM snapshot_head WHERE seq = ?1";
        if let Err(error) = conn.execute(delete, [seq.0.cast_signed()]) {
            tracing::warn!(%error, seq = seq.0, "a bad snapshot could not be dropped");
        }
    }
}

/// Writes one part, `at` being the snapshot's place and the part's number.
pub(super) fn write_part(
    held: &mut Held,
    file: &Path,
    at: (Seq, u32),
    data: &[u8],
) -> Result<(), AppendError> {
    let (seq, part) = at;
    transact(held, file, |tx| {
        if part == 0 {
            // What an unfinished snapshot at the same place left, or a finished one.
            tx.execute("DELETE FROM snapshot_head WHERE seq = ?1", [seq.0.cast_signed()])?;
            tx.execute("DELETE FROM snapshot WHERE seq = ?1", [seq.0.cast_signed()])?;
        }
        let insert = "INSERT INTO snapshot (seq, part, hash, data) VALUES (?1, ?2, ?3, ?4)";
        let hash = part_sum(seq, part, data);
        tx.prepare_cached(insert)?.execute(params![seq.0.cast_signed(), part, hash, data])
    })?;
    held.writing = Some(seq);
    Ok(())
}

/// Writes the head.
pub(super) fn finish(
    held: &mut Held,
    file: &Path,
    seq: Seq,
    parts: u32,
) -> Result<(), AppendError> {
    let written = transact(held, file, |tx| {
        let Some(log_hash) = stored_hash(tx, seq)? else { return Ok(0) };
        let insert = "INSERT INTO snapshot_head (seq, parts, log_hash, hash) \
                      VALUES (?1, ?2, ?3, ?4) ON CONFLICT (seq) DO UPDATE SET \
                      parts = excluded.parts, log_hash = excluded.log_hash, \
                      hash = excluded.hash";
        let hash = head_sum(seq, parts, &log_hash);
        tx.execute(insert, params![seq.0.cast_signed(), parts, log_hash, hash])
    })?;
    held.writing = None;
    if written == 0 {
        let what = format!("batch {} is not in the log, a snapshot cannot stand there", seq.0);
        return Err(AppendError::Ambiguous(what));
    }
    Ok(())
}

/// Drops one step's worth of what the two newest snapshots make needless, but for the log that is
/// kept all the same.
pub(super) fn trim(held: &mut Held, file: &Path, keep_log: KeepLog) -> Result<Trim, AppendError> {
    let writing = held.writing.map_or(-1, |seq| seq.0.cast_signed());
    let dropped = transact(held, file, |tx| {
        let heads = heads(tx)?;
        for head in heads.iter().skip(SNAPSHOTS_KEPT) {
            tx.execute("DELETE FROM snapshot_head WHERE seq = ?1", [head.seq.0.cast_signed()])?;
        }
        let parts = "DELETE FROM snapshot WHERE rowid IN (SELECT rowid FROM snapshot \
                     WHERE seq <> ?1 AND seq NOT IN (SELECT seq FROM snapshot_head) LIMIT ?2)";
        let mut dropped = tx.prepare_cached(parts)?.execute(params![writing, TRIM_PARTS])?;
        if let Some(older) = heads.get(SNAPSHOTS_KEPT - 1).filter(|_| dropped == 0)
            && let Some(written_until) = old_until(tx, keep_log)?
            && let Some(until) = trim_until(tx, older.seq, written_until)?
        {
            dropped = tx.prepare_cached("DELETE FROM log WHERE seq <= ?1")?.execute([until])?;
        }
        Ok(dropped)
    })?;
    Ok(if dropped == 0 { Trim::Done } else { Trim::More })
}

/// Returns when the youngest row was written that may go; none when none may.
fn old_until(conn: &Connection, keep_log: KeepLog) -> rusqlite::Result<Option<WallMs>> {
    let age = match keep_log {
        KeepLog::Needed => return Ok(Some(WallMs(u64::MAX))),
        KeepLog::All => return Ok(None),
        KeepLog::For(age) => u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
    };
    let newest = "SELECT at FROM log ORDER BY seq DESC LIMIT 1";
    let newest = conn.query_row(newest, [], |row| row.get::<_, i64>(0)).optional()?;
    Ok(newest.and_then(|at| at.cast_unsigned().checked_sub(age)).map(WallMs))
}

/// Returns the last row that one step of the trim takes: none that is younger or behind such a one.
fn trim_until(
    conn: &Connection,
    covered: Seq,
    written_until: WallMs,
) -> rusqlite::Result<Option<i64>> {
    let select = "SELECT seq, length(data), at FROM log WHERE seq <= ?1 ORDER BY seq LIMIT ?2";
    let mut select = conn.prepare_cached(select)?;
    let mut rows = select.query(params![covered.0.cast_signed(), TRIM_ROWS])?;
    let (mut until, mut bytes) = (None, 0_i64);
    while let Some(row) = rows.next()? {
        if WallMs(row.get::<_, i64>(2)?.cast_unsigned()) > written_until {
            break;
        }
        until = Some(row.get(0)?);
        bytes = bytes.saturating_add(row.get(1)?);
        if bytes >= TRIM_BYTES {
            break;
        }
    }
    Ok(until)
}

/// The newest one may turn out bad.
const SNAPSHOTS_KEPT: usize = 2;
/// Parts dropped in one transaction; a part is about 1 MiB.
const TRIM_PARTS: u32 = 8;
/// Log rows dropped in one transaction, at most.
const TRIM_ROWS: u32 = 2_048;
/// Bytes of log rows dropped in one transaction, about.
const TRIM_BYTES: i64 = 4 << 20;
