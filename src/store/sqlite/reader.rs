//! Reads result blocks, outputs and logged batches on a connection of its own, while the master
//! writes. Never writes.

use std::path::Path;

use ganger_proto::command::Stream;
use ganger_proto::{BlockId, Epoch, TaskId, WallMs};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::chain::{block_sum, output_part_sum, output_sum};
use super::super::{BodyReader, Logged, OpenError, Output, OutputKey, ReadError, Seq, stream_code};
use super::error::{column_sum, open_error, read_error};
use super::schema;

/// A read-only connection.
#[derive(Debug)]
pub(super) struct SqliteReader {
    conn: Connection,
}

impl SqliteReader {
    pub(super) fn open(file: &Path) -> Result<Self, OpenError> {
        let conn = schema::open_read_only(file)
            .map_err(|error| open_error(file, "opening it for reading", &error))?;
        Ok(Self { conn })
    }
}

impl BodyReader for SqliteReader {
    fn block(&mut self, id: BlockId) -> Result<Option<Vec<u8>>, ReadError> {
        let select = "SELECT hash, data FROM result_block WHERE id = ?1";
        let row = self
            .conn
            .prepare_cached(select)
            .and_then(|mut select| {
                select
                    .query_row([id.raw().cast_signed()], |row| {
                        Ok((column_sum(row, 0)?, row.get::<_, Vec<u8>>(1)?))
                    })
                    .optional()
            })
            .map_err(|error| read_error(&error))?;
        let Some((hash, data)) = row else { return Ok(None) };
        if block_sum(id, &data) == hash {
            return Ok(Some(data));
        }
        let what = format!("result block {} does not match its hash", id.raw());
        Err(ReadError(format!("{what}; run `ganger fsck` on the home")))
    }

    fn output(
        &mut self,
        task: TaskId,
        attempt: Option<u32>,
        stream: Stream,
    ) -> Result<Option<Output>, ReadError> {
        let select = "SELECT task, attempt, stream, head, skipped, data, hash FROM output \
                      WHERE task = ?1 AND stream = ?2 AND (?3 IS NULL OR attempt = ?3) \
                      ORDER BY attempt DESC LIMIT 1";
        let row = self
            .conn
            .prepare_cached(select)
            .and_then(|mut select| {
                let key = params![task.raw().cast_signed(), stream_code(stream), attempt];
                select.query_row(key, |row| Ok((output_of(row)?, column_sum(row, 6)?))).optional()
            })
            .map_err(|error| read_error(&error))?;
        let Some((output, hash)) = row else { return Ok(None) };
        if output_sum(&output) == hash {
            return Ok(Some(output));
        }
        let what = format!("the output of task {task} does not match its hash");
        Err(ReadError(format!("{what}; run `ganger fsck` on the home")))
    }

    fn output_part(&mut self, of: OutputKey, part: u32) -> Result<Option<Vec<u8>>, ReadError> {
        let select = "SELECT data, hash FROM output_part \
                      WHERE task = ?1 AND attempt = ?2 AND stream = ?3 AND part = ?4";
        let row = self
            .conn
            .prepare_cached(select)
            .and_then(|mut select| {
                let stream = stream_code(of.stream);
                let key = params![of.task.raw().cast_signed(), of.attempt, stream, part];
                let read = |row: &Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, column_sum(row, 1)?));
                select.query_row(key, read).optional()
            })
            .map_err(|error| read_error(&error))?;
        let Some((data, hash)) = row else { return Ok(None) };
        if output_part_sum(of, part, &data) == hash {
            return Ok(Some(data));
        }
        let what = format!("part {part} of the output of task {} does not match its hash", of.task);
        Err(ReadError(format!("{what}; run `ganger fsck` on the home")))
    }

    fn logged(&mut self, after: Seq, rows: usize) -> Result<Vec<Logged>, ReadError> {
        let select = "SELECT seq, epoch, at, data, digest, durable FROM log WHERE seq > ?1 \
                      ORDER BY seq LIMIT ?2";
        let limit = i64::try_from(rows).unwrap_or(i64::MAX);
        let read = || {
            let mut select = self.conn.prepare_cached(select)?;
            let rows = select.query_map(params![after.0.cast_signed(), limit], logged_of)?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        };
        read().map_err(|error| read_error(&error))
    }
}

/// Reads `seq, epoch, at, data, digest, durable`.
pub(in crate::store) fn logged_of(row: &Row<'_>) -> rusqlite::Result<Logged> {
    Ok(Logged {
        seq: Seq(row.get::<_, i64>(0)?.cast_unsigned()),
        epoch: Epoch::new(row.get(1)?),
        at: WallMs(row.get::<_, i64>(2)?.cast_unsigned()),
        data: row.get(3)?,
        digest: row.get(4)?,
        durable: Seq(row.get::<_, i64>(5)?.cast_unsigned()),
    })
}

/// Reads `task, attempt, stream`.
pub(in crate::store) fn key_of(row: &Row<'_>) -> rusqlite::Result<OutputKey> {
    Ok(OutputKey {
        task: TaskId::new(row.get::<_, i64>(0)?.cast_unsigned()),
        attempt: row.get(1)?,
        stream: stream_of(row.get(2)?)?,
    })
}

/// Reads `task, attempt, stream, head, skipped, data`.
pub(in crate::store) fn output_of(row: &Row<'_>) -> rusqlite::Result<Output> {
    let OutputKey { task, attempt, stream } = key_of(row)?;
    Ok(Output {
        task,
        attempt,
        stream,
        head: row.get::<_, i64>(3)?.cast_unsigned(),
        skipped: row.get::<_, i64>(4)?.cast_unsigned(),
        bytes: row.get(5)?,
    })
}

/// Returns the stream with this number on the disk.
pub(in crate::store) fn stream_of(code: i64) -> rusqlite::Result<Stream> {
    [Stream::Stdout, Stream::Stderr]
        .into_iter()
        .find(|stream| i64::from(stream_code(*stream)) == code)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(2, code))
}
