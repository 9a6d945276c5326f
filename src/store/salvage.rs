//! A new store made of what another one still holds, row by row: the old one is only read. Which
//! part of the log hangs together is reading.rs's concern, what it means is `crate::verify`'s.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ganger_proto::limits::OUTPUT_PART_BYTES;
use ganger_proto::{BlockId, Epoch, WallMs};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, params, params_from_iter};

use super::chain::{Tip, block_sum, output_part_sum, output_sum};
use super::reading::{Reading, from_both_ends};
use super::sqlite::{self, SeqFile};
use super::{OpenError, Output, Seq, stream_code};

/// A store that is being made. It gets its name when all is in it.
#[derive(Debug)]
pub struct NewStore {
    conn: Connection,
    folder: PathBuf,
    /// The file until then.
    draft: PathBuf,
    done: Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    No,
    Yes,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Rows whose sums are right.
    pub good: u64,
    /// Rows that were left behind.
    pub left: u64,
}

impl NewStore {
    /// Makes a folder with an empty store.
    ///
    /// # Errors
    /// When the folder is there already, or cannot be made.
    pub fn create(folder: &Path) -> Result<Self, OpenError> {
        let refuse = |why: &str, remedy: &str| sqlite::unusable(folder, why, remedy);
        match std::fs::DirBuilder::new().mode(0o700).create(folder) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                return Err(refuse("it is there already", "name a folder that is not"));
            }
            Err(error) => {
                let why = format!("the folder cannot be made ({error})");
                return Err(refuse(&why, "name another place"));
            }
        }
        let draft = folder.join("salvage.db");
        match sqlite::make(&draft) {
            Ok(conn) => Ok(Self { conn, folder: folder.to_owned(), draft, done: Done::No }),
            Err(error) => {
                discard(folder);
                Err(error)
            }
        }
    }

    /// Copies the batches after `after` up to `last`, and the whole snapshots among them, that at
    /// `after` too.
    ///
    /// # Errors
    /// When the new store cannot be written, or the old one not be read.
    pub fn copy_log(
        &mut self,
        from: &Reading,
        (after, last): (Seq, Seq),
    ) -> Result<Copied, OpenError> {
        let bounds = [after.0.cast_signed(), last.0.cast_signed()];
        let rows = Rows {
            select: "SELECT seq, epoch, at, durable, hash, digest, data FROM log \
                     WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
            insert: "INSERT INTO log (seq, epoch, at, durable, hash, digest, data) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        };
        let mut copied = Copied { good: self.copy(from, &rows, &bounds)?, left: 0 };
        for seq in from
            .snapshots()
            .unwrap_or_default()
            .into_iter()
            .filter(|seq| (after..=last).contains(seq))
        {
            if from.snapshot(seq).is_none() {
                copied.left += 1;
                continue;
            }
            let parts = Rows {
                select: "SELECT seq, part, hash, data FROM snapshot WHERE seq = ?1 ORDER BY part",
                insert: "INSERT INTO snapshot (seq, part, hash, data) VALUES (?1, ?2, ?3, ?4)",
            };
            self.copy(from, &parts, &[seq.0.cast_signed()])?;
            let head = Rows {
                select: "SELECT seq, parts, log_hash, hash FROM snapshot_head WHERE seq = ?1",
                insert: "INSERT INTO snapshot_head (seq, parts, log_hash, hash) \
                         VALUES (?1, ?2, ?3, ?4)",
            };
            self.copy(from, &head, &[seq.0.cast_signed()])?;
        }
        Ok(copied)
    }

    /// Copies rows as they are, some MiB in a transaction.
    fn copy(&mut self, from: &Reading, rows: &Rows, which: &[i64]) -> Result<u64, OpenError> {
        let reading = |error: rusqlite::Error| sqlite::open_error(&from.file, "reading it", &error);
        let mut select = from.conn.prepare(rows.select).map_err(reading)?;
        let columns = select.column_count();
        let mut found = select.query(params_from_iter(which)).map_err(reading)?;
        let (mut count, mut bytes) = (0, TRANSACTION_BYTES);
        while let Some(row) = found.next().map_err(reading)? {
            let values: rusqlite::Result<Vec<Value>> =
                (0..columns).map(|column| row.get(column)).collect();
            let values = values.map_err(reading)?;
            if bytes >= TRANSACTION_BYTES {
                self.begin()?;
                bytes = 0;
            }
            bytes += values.iter().map(size).sum::<usize>();
            self.insert(rows.insert, params_from_iter(values))?;
            count += 1;
        }
        Ok(count)
    }

    /// Copies the result blocks that match their sums.
    ///
    /// # Errors
    /// When the new store cannot be written.
    pub fn copy_blocks(&mut self, from: &Reading) -> Result<Copied, OpenError> {
        self.begin()?;
        let (mut copied, mut written) = (Copied::default(), Ok(()));
        let mut bytes = 0;
        let read = from.each_block(|id, data| {
            let Some(data) = data.filter(|_| written.is_ok()) else {
                copied.left += 1;
                return;
            };
            copied.good += 1;
            bytes += data.len();
            written = self.put_block(id, &data);
            if bytes >= TRANSACTION_BYTES && written.is_ok() {
                (written, bytes) = (self.begin(), 0);
            }
        });
        written?;
        copied.left += u64::from(read.is_err());
        Ok(copied)
    }

    /// Writes a result block, in the place of one that is there.
    ///
    /// # Errors
    /// When the new store cannot be written.
    pub fn put_block(&mut self, id: BlockId, data: &[u8]) -> Result<(), OpenError> {
        let insert = "INSERT OR REPLACE INTO result_block (id, hash, data) VALUES (?1, ?2, ?3)";
        self.insert(insert, params![id.raw().cast_signed(), block_sum(id, data), data])
    }

    /// Returns a result block that was copied.
    ///
    /// # Errors
    /// When the new store cannot be read.
    pub fn block(&self, id: BlockId) -> Result<Option<Vec<u8>>, OpenError> {
        let select = "SELECT data FROM result_block WHERE id = ?1";
        let found =
            self.conn.query_row(select, [id.raw().cast_signed()], |row| row.get(0)).optional();
        found.map_err(|error| self.failed(&error))
    }

    /// Copies the outputs that match their sums, of tasks before `next_task`, whole or not at all.
    ///
    /// # Errors
    /// When the new store cannot be written.
    pub fn copy_outputs(&mut self, from: &Reading, next_task: u64) -> Result<Copied, OpenError> {
        self.begin()?;
        let (mut copied, mut kept_bytes) = (Copied::default(), 0);
        let mut outputs = Vec::new();
        let columns = "SELECT task, attempt, stream, head, skipped, length(data), n FROM output";
        let read = from_both_ends(&from.conn, columns, "n", |row| {
            outputs.push((row.get::<_, i64>(0)?, row.get::<_, i64>(6)?));
            row.get(6)
        });
        copied.left += u64::from(read.is_err());
        outputs.sort_unstable_by_key(|(_, n)| *n);
        for (task, n) in outputs {
            let kept = (task.cast_unsigned() < next_task).then(|| self.copy_output(from, n));
            match kept.transpose()?.flatten() {
                Some(bytes) => {
                    copied.good += 1;
                    kept_bytes += bytes;
                }
                None => copied.left += 1,
            }
        }
        sqlite::set_output_bytes(&self.conn, kept_bytes).map_err(|error| self.failed(&error))?;
        Ok(copied)
    }

    /// Copies one output; returns its bytes, or none when it is not whole.
    fn copy_output(&mut self, from: &Reading, n: i64) -> Result<Option<u64>, OpenError> {
        let select = "SELECT task, attempt, stream, head, skipped, data, hash FROM output \
                      WHERE n = ?1";
        let found = from.conn.query_row(select, [n], |row| {
            Ok((sqlite::output_of(row)?, sqlite::column_sum(row, 6)?))
        });
        let Ok((output, sum)) = found else { return Ok(None) };
        if output_sum(&output) != sum {
            return Ok(None);
        }
        if output.is_in_parts() && !self.copy_parts(from, &output)? {
            return Ok(None);
        }
        let (key, bytes) = (output.key(), output.kept());
        let insert = "INSERT INTO output (n, task, attempt, stream, head, skipped, hash, data) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let (head, skipped) = (output.head.cast_signed(), output.skipped.cast_signed());
        let (task, stream) = (key.task.raw().cast_signed(), stream_code(key.stream));
        let row = params![n, task, key.attempt, stream, head, skipped, sum, output.bytes];
        self.insert(insert, row)?;
        Ok(Some(bytes))
    }

    /// Copies the parts of an output, each in a transaction of its own; tells whether all are good.
    fn copy_parts(&mut self, from: &Reading, output: &Output) -> Result<bool, OpenError> {
        let key = output.key();
        let (task, stream) = (key.task.raw().cast_signed(), stream_code(key.stream));
        for part in 0..output.head.div_ceil(OUTPUT_PART_BYTES as u64) {
            let select = "SELECT data, hash FROM output_part \
                          WHERE task = ?1 AND attempt = ?2 AND stream = ?3 AND part = ?4";
            let which = params![task, key.attempt, stream, part.cast_signed()];
            let found = from.conn.query_row(select, which, |row| {
                Ok((row.get::<_, Vec<u8>>(0)?, sqlite::column_sum(row, 1)?))
            });
            let number = u32::try_from(part).unwrap_or(u32::MAX);
            let good = found.ok().filter(|(data, sum)| output_part_sum(key, number, data) == *sum);
            // What was copied of one that is not whole goes with the next master's first trim.
            let Some((data, sum)) = good else { return Ok(false) };
            self.begin()?;
            let insert = "INSERT INTO output_part (task, attempt, stream, part, hash, data) \
                          VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
            self.insert(insert, params![task, key.attempt, stream, number, sum, data])?;
        }
        Ok(true)
    }

    /// Gives the store its name: the newest epoch that may have been used, and where its log ends.
    ///
    /// # Errors
    /// When the new store cannot be written.
    pub fn finish(mut self, epoch: Epoch, last: Seq) -> Result<PathBuf, OpenError> {
        let hash = sqlite::set_leader(&self.conn, epoch, "", WallMs(0))
            .and_then(|()| sqlite::stored_hash(&self.conn, last))
            .map_err(|error| self.failed(&error))?
            .ok_or_else(|| sqlite::damaged(&self.draft, "its newest batch is not there"))?;
        self.commit()?;
        let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
        self.conn.query_row(checkpoint, [], |_| Ok(())).map_err(|error| self.failed(&error))?;
        let file = self.folder.join("store.db");
        let closed = std::mem::replace(&mut self.conn, unopened()?).close();
        closed.map_err(|(_, error)| self.failed(&error))?;
        std::fs::rename(&self.draft, &file)
            .and_then(|()| std::fs::File::open(&self.folder)?.sync_all())
            .map_err(|error| {
                let why = format!("it cannot get its name ({error})");
                sqlite::unusable(&file, &why, "look at the disk")
            })?;
        let (mut record, _) = SeqFile::open(&file)?;
        record.write(&Tip { seq: last, hash });
        self.done = Done::Yes;
        Ok(file)
    }

    /// Commits what was written, and begins the next transaction.
    fn begin(&self) -> Result<(), OpenError> {
        self.commit()?;
        self.conn.execute_batch("BEGIN").map_err(|error| self.failed(&error))
    }

    fn commit(&self) -> Result<(), OpenError> {
        if self.conn.is_autocommit() {
            return Ok(());
        }
        self.conn.execute_batch("COMMIT").map_err(|error| self.failed(&error))
    }

    fn insert(&self, sql: &str, row: impl rusqlite::Params) -> Result<(), OpenError> {
        let inserted = self.conn.prepare_cached(sql).and_then(|mut insert| insert.execute(row));
        inserted.map(|_| ()).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> OpenError {
        sqlite::open_error(&self.draft, "writing it", error)
    }
}

impl Drop for NewStore {
    fn drop(&mut self) {
        if self.done == Done::No {
            discard(&self.folder);
        }
    }
}

/// Rows that are copied as they are.
struct Rows {
    select: &'static str,
    insert: &'static str,
}

fn unopened() -> Result<Connection, OpenError> {
    Connection::open_in_memory()
        .map_err(|error| OpenError::Unusable(format!("SQLite has no memory ({error})")))
}

/// Removes a folder that this process has just made.
fn discard(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder) {
        tracing::warn!(%error, folder = %folder.display(), "a half-made store is left");
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Integer(_) | Value::Real(_) => 8,
        Value::Text(text) => text.len(),
        Value::Blob(bytes) => bytes.len(),
    }
}

/// Bytes of one transaction, about.
const TRANSACTION_BYTES: usize = 4 << 20;
