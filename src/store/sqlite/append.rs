//! One group commit: batches, blocks, outputs and removals in one transaction. Does not decide
//! when to commit; see `writer`.

use std::path::Path;

use ganger_proto::{Epoch, TaskId, WallMs};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::super::chain::{Link, Tip, block_sum, output_sum};
use super::super::{AppendError, Batch, Output, OutputKey, Seq, stream_code};
use super::error::append_error;
use super::reader::key_of;
use super::{Held, schema};

/// Batches that become durable together.
pub(super) struct Group<'a> {
    pub(super) seq: Seq,
    pub(super) now: WallMs,
    pub(super) batches: &'a [Batch],
}

/// Makes a group durable and notes it in `store.seq`.
pub(super) fn append(
    held: &mut Held,
    file: &Path,
    output_bytes_max: u64,
    group: Group<'_>,
) -> Result<(), AppendError> {
    if group.seq != held.tip.seq.next() {
        return Err(AppendError::Ambiguous(format!(
            "batch {} cannot follow batch {}; start the master again",
            group.seq.0, held.tip.seq.0
        )));
    }
    let (before, bytes_before, epoch) = (held.tip, held.output_bytes, held.epoch);
    let (tip, output_bytes, needless) = transact(held, file, |tx| {
        let tip = insert_batches(tx, epoch, before, &group)?;
        let mut outputs = Outputs { tx, bytes: bytes_before, needless: Vec::new() };
        for batch in group.batches {
            apply_bodies(&mut outputs, batch)?;
        }
        let bytes = outputs.keep_at_most(output_bytes_max)?;
        if bytes != bytes_before {
            schema::set_output_bytes(tx, bytes)?;
        }
        Ok((tip, bytes, outputs.needless))
    })?;
    held.tip = tip;
    held.output_bytes = output_bytes;
    held.needless.extend(needless);
    held.seq_file.write(&tip);
    Ok(())
}

/// Runs one write transaction under the fence. After an error nothing of it is left.
pub(super) fn transact<T>(
    held: &mut Held,
    file: &Path,
    act: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
) -> Result<T, AppendError> {
    let epoch = i64::from(held.epoch.raw());
    let result = (|| {
        let tx = held.conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if schema::leader_epoch(&tx)? != Some(epoch) {
            return Ok(None);
        }
        // Dropped on an error, which rolls back.
        let value = act(&tx)?;
        tx.commit()?;
        Ok(Some(value))
    })();
    match result {
        Ok(Some(value)) => held.standing.check(file).map(|()| value),
        Ok(None) => Err(AppendError::Fenced),
        Err(error) if held.conn.is_autocommit() => Err(append_error(file, &error)),
        Err(error) => Err(AppendError::Ambiguous(format!(
            "{} could not roll back after `{error}`; start the master again",
            file.display()
        ))),
    }
}

fn insert_batches(
    conn: &Connection,
    epoch: Epoch,
    before: Tip,
    group: &Group<'_>,
) -> rusqlite::Result<Tip> {
    let insert = "INSERT INTO log (seq, epoch, at, durable, hash, digest, data) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut insert = conn.prepare_cached(insert)?;
    let mut tip = before;
    for batch in group.batches {
        let digest = batch.digest.as_ref().map(|digest| digest.as_slice());
        let seq = tip.seq.next();
        let (at, durable) = (group.now, before.seq);
        let link = Link { seq, epoch, at, durable, data: &batch.data, digest };
        tip = Tip { seq, hash: link.after(&tip.hash) };
        insert.execute(params![
            seq.0.cast_signed(),
            epoch.raw(),
            at.0.cast_signed(),
            durable.0.cast_signed(),
            tip.hash,
            digest,
            batch.data
        ])?;
    }
    Ok(tip)
}

fn apply_bodies(outputs: &mut Outputs<'_>, batch: &Batch) -> rusqlite::Result<()> {
    let tx = outputs.tx;
    for (id, data) in &batch.blocks {
        let upsert = "INSERT INTO result_block (id, hash, data) VALUES (?1, ?2, ?3) \
                      ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, data = excluded.data";
        let hash = block_sum(*id, data);
        tx.prepare_cached(upsert)?.execute(params![id.raw().cast_signed(), hash, data])?;
    }
    for output in &batch.outputs {
        outputs.put(output)?;
    }
    for id in &batch.drop_blocks {
        let delete = "DELETE FROM result_block WHERE id = ?1";
        tx.prepare_cached(delete)?.execute([id.raw().cast_signed()])?;
    }
    for task in &batch.drop_outputs {
        outputs.drop_task(*task)?;
    }
    Ok(())
}

/// The outputs within one transaction, and their bytes together.
struct Outputs<'a> {
    tx: &'a Connection,
    bytes: u64,
    /// Those of which parts are left.
    needless: Vec<OutputKey>,
}

impl Outputs<'_> {
    fn put(&mut self, output: &Output) -> rusqlite::Result<()> {
        let key =
            params![output.task.raw().cast_signed(), output.attempt, stream_code(output.stream)];
        self.delete("task = ?1 AND attempt = ?2 AND stream = ?3", key)?;
        // Its parts were written again.
        self.needless.retain(|key| *key != output.key());
        let insert = "INSERT INTO output (task, attempt, stream, head, skipped, hash, data) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        self.tx.prepare_cached(insert)?.execute(params![
            output.task.raw().cast_signed(),
            output.attempt,
            stream_code(output.stream),
            output.head.cast_signed(),
            output.skipped.cast_signed(),
            output_sum(output),
            output.bytes
        ])?;
        self.bytes += output.kept();
        Ok(())
    }

    fn drop_task(&mut self, task: TaskId) -> rusqlite::Result<()> {
        self.delete("task = ?1", params![task.raw().cast_signed()])?;
        Ok(())
    }

    /// Drops the oldest until all fit, some in each commit; returns the bytes of what is left.
    fn keep_at_most(&mut self, bytes_max: u64) -> rusqlite::Result<u64> {
        let mut dropped = 0_u64;
        while self.bytes > bytes_max && dropped < DROPS_MAX {
            if self.delete("n = (SELECT min(n) FROM output)", params![])? == 0 {
                self.bytes = 0;
            }
            dropped += 1;
        }
        if dropped > 0 {
            tracing::info!(dropped, bytes_max, "the oldest outputs were dropped");
        }
        Ok(self.bytes)
    }

    /// Drops some outputs; returns how many. Their parts go later, see `parts`.
    fn delete(&mut self, which: &str, key: &[&dyn rusqlite::ToSql]) -> rusqlite::Result<usize> {
        let sql = format!(
            "DELETE FROM output WHERE {which} RETURNING task, attempt, stream, head, length(data)"
        );
        let mut statement = self.tx.prepare_cached(&sql)?;
        let mut rows = statement.query(key)?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let (head, length): (i64, i64) = (row.get(3)?, row.get(4)?);
            self.bytes = self.bytes.saturating_sub(head.max(length).cast_unsigned());
            if head > length {
                self.needless.push(key_of(row)?);
            }
            count += 1;
        }
        Ok(count)
    }
}

/// Outputs dropped in one commit; a lowered limit is reached over several.
const DROPS_MAX: u64 = 1_024;
