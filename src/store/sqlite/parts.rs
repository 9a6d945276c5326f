//! Parts of outputs that are kept whole: written one by one, each in a transaction of its own, and
//! dropped a few at a time. What ties them together is a row of `output`; see append.rs.

use std::collections::VecDeque;
use std::path::Path;

use rusqlite::{Connection, params};

use super::super::chain::output_part_sum;
use super::super::{AppendError, OpenError, OutputKey, Trim, stream_code};
use super::Held;
use super::append::transact;
use super::error::open_error;
use super::reader::key_of;

/// Writes one part.
pub(super) fn write(
    held: &mut Held,
    file: &Path,
    (of, part): (OutputKey, u32),
    data: &[u8],
) -> Result<(), AppendError> {
    transact(held, file, |tx| {
        let upsert = "INSERT INTO output_part (task, attempt, stream, part, hash, data) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (task, attempt, stream, part) \
                      DO UPDATE SET hash = excluded.hash, data = excluded.data";
        let task = of.task.raw().cast_signed();
        let hash = output_part_sum(of, part, data);
        let row = params![task, of.attempt, stream_code(of.stream), part, hash, data];
        tx.prepare_cached(upsert)?.execute(row)
    })?;
    // What an earlier transfer left is replaced, part by part.
    held.needless.retain(|key| *key != of);
    Ok(())
}

/// Drops one step's worth of the parts that no output tells of.
pub(super) fn trim(held: &mut Held, file: &Path) -> Result<Trim, AppendError> {
    let Some(of) = held.needless.front().copied() else { return Ok(Trim::Done) };
    let dropped = transact(held, file, |tx| {
        let delete = "DELETE FROM output_part WHERE rowid IN (SELECT rowid FROM output_part \
                      WHERE task = ?1 AND attempt = ?2 AND stream = ?3 LIMIT ?4)";
        let stream = stream_code(of.stream);
        let key = params![of.task.raw().cast_signed(), of.attempt, stream, TRIM_PARTS];
        tx.prepare_cached(delete)?.execute(key)
    })?;
    if dropped == 0 {
        held.needless.pop_front();
    }
    Ok(if held.needless.is_empty() { Trim::Done } else { Trim::More })
}

/// Finds outputs whose transfer was never finished, and those that an earlier life was dropping.
pub(super) fn find_needless(
    conn: &Connection,
    file: &Path,
) -> Result<VecDeque<OutputKey>, OpenError> {
    let find = || {
        let select = "SELECT DISTINCT task, attempt, stream FROM output_part AS p \
                      WHERE NOT EXISTS (SELECT 1 FROM output AS o WHERE o.task = p.task \
                      AND o.attempt = p.attempt AND o.stream = p.stream \
                      AND o.head > length(o.data))";
        let mut select = conn.prepare(select)?;
        select.query_map([], key_of)?.collect::<rusqlite::Result<VecDeque<_>>>()
    };
    find().map_err(|error| open_error(file, "looking for parts of outputs", &error))
}

/// Parts dropped in one transaction, 1 MiB.
const TRIM_PARTS: u32 = 4;
