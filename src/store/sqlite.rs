//! The store in one SQLite file: the default. Does not know what events mean; the tables are in
//! `schema`, the fields in FORMAT.md.

mod append;
mod error;
mod parts;
mod place;
mod reader;
mod room;
mod schema;
mod seqfile;
mod snapshot;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use ganger_proto::{Epoch, WallMs};
use rusqlite::{Connection, OptionalExtension};

use self::place::{HomeLock, Standing};
use super::chain::{EMPTY, Link, Sum, Tip};
use super::{
    AppendError, Batch, BodyReader, FencedLog, Holder, KeepLog, Logged, OUTPUT_BYTES_KEPT_MAX,
    OpenError, OutputKey, Seq, Snapshot, Term, Trim,
};

pub(super) use self::error::{column_sum, damaged, open_error, unusable};
pub(super) use self::place::{check_at_rest, check_filesystem, has_wal};
pub(super) use self::reader::{key_of, logged_of, output_of};
pub(super) use self::schema::{
    Found, find, has_parts, leader_epoch, make, open_quiet, open_read_only, set_leader,
    set_output_bytes,
};
pub(super) use self::seqfile::{Acknowledged, SeqFile, read_acknowledged};
pub(super) use self::snapshot::{heads, load};

/// A store in one SQLite file, with its lock and its newest acknowledged number beside it.
#[derive(Debug)]
pub struct SqliteLog {
    file: PathBuf,
    output_bytes_max: u64,
    keep_log: KeepLog,
    wal_bytes: u64,
    held: Option<Held>,
}

/// What an acquired log has open.
#[derive(Debug)]
struct Held {
    conn: Connection,
    seq_file: SeqFile,
    /// Its files, as they were when it was opened.
    standing: Standing,
    tip: Tip,
    epoch: Epoch,
    output_bytes: u64,
    /// After an error whose effect is unknown nothing more is written.
    stopped: Option<String>,
    /// Where the last `read` ended, so that the next one need not look its hash up.
    cursor: Option<Tip>,
    /// Parts of the snapshot being written; the trim leaves them alone.
    writing: Option<Seq>,
    /// Outputs whose parts go, a few at a time.
    needless: VecDeque<OutputKey>,
    /// Dropped last: the lock must outlive the connection.
    _lock: HomeLock,
}

impl SqliteLog {
    /// Names the file; nothing is opened before [`FencedLog::acquire`].
    pub fn new(file: impl Into<PathBuf>) -> Self {
        let (output_bytes_max, keep_log) = (OUTPUT_BYTES_KEPT_MAX, KeepLog::default());
        Self { file: file.into(), output_bytes_max, keep_log, wal_bytes: 0, held: None }
    }

    /// Makes the WAL as long as it will be when the log is acquired, so that commits are quicker.
    pub fn with_room(mut self) -> Self {
        self.wal_bytes = room::WAL_BYTES;
        self
    }

    /// Keeps at most `bytes` of outputs instead of [`OUTPUT_BYTES_KEPT_MAX`].
    pub fn with_output_bytes_max(mut self, bytes: u64) -> Self {
        self.output_bytes_max = bytes;
        self
    }

    /// Keeps more of the log than a restart needs.
    pub fn with_keep_log(mut self, keep_log: KeepLog) -> Self {
        self.keep_log = keep_log;
        self
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn held(&mut self) -> Result<&mut Held, OpenError> {
        let file = &self.file;
        self.held.as_mut().ok_or_else(|| {
            unusable(file, "it was not acquired by this process", "acquire it first")
        })
    }

    fn writable(&mut self, term: &Term) -> Result<&mut Held, AppendError> {
        let Some(held) = self.held.as_mut() else {
            return Err(AppendError::Fenced);
        };
        if let Some(why) = &held.stopped {
            return Err(AppendError::Ambiguous(why.clone()));
        }
        if held.epoch != term.epoch { Err(AppendError::Fenced) } else { Ok(held) }
    }

    /// Runs one write; after any error but a full disk the log takes no other.
    fn write<T>(
        &mut self,
        term: &Term,
        act: impl FnOnce(&mut Held, &Path, u64) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        let (file, output_bytes_max) = (self.file.clone(), self.output_bytes_max);
        let held = self.writable(term)?;
        let result = act(held, &file, output_bytes_max);
        match &result {
            Ok(_) | Err(AppendError::Full(_)) => {}
            Err(error @ (AppendError::Fenced | AppendError::Ambiguous(_))) => {
                held.stopped = Some(error.to_string());
            }
        }
        result
    }
}

impl FencedLog for SqliteLog {
    fn acquire(&mut self, me: &Holder, now: WallMs) -> Result<Term, OpenError> {
        self.held = None;
        let file = &self.file;
        place::check(file)?;
        let lock = HomeLock::take(file, me)?;
        let (seq_file, acknowledged) = SeqFile::open(file)?;
        place::prepare(file, &acknowledged)?;
        let mut conn = schema::open(file)?;
        let tip = find_tip(&conn, file)?;
        check_acknowledged(&conn, file, &acknowledged, &tip)?;
        let epoch = schema::take_lead(&mut conn, file, me, now)?;
        room::make(&mut conn, file, self.wal_bytes)
            .map_err(|error| open_error(file, "making room in its WAL", &error))?;
        let output_bytes = schema::output_bytes(&conn, file)?;
        let needless = parts::find_needless(&conn, file)?;
        let mut held = Held {
            conn,
            seq_file,
            standing: Standing::of(file),
            tip,
            epoch,
            output_bytes,
            stopped: None,
            cursor: None,
            writing: None,
            needless,
            _lock: lock,
        };
        held.seq_file.write(&tip);
        self.held = Some(held);
        Ok(Term { epoch, last: tip.seq })
    }

    fn snapshot(&mut self) -> Result<Option<Snapshot>, OpenError> {
        let file = self.file.clone();
        let held = self.held()?;
        snapshot::newest_good(&held.conn, &file, held.tip.seq)
    }

    fn read(&mut self, after: Seq, bytes_max: usize) -> Result<Vec<Logged>, OpenError> {
        let file = self.file.clone();
        let held = self.held()?;
        let known = held.cursor.filter(|cursor| cursor.seq == after);
        let from = match known {
            Some(cursor) => cursor,
            None => Tip { seq: after, hash: hash_at(&held.conn, &file, after)? },
        };
        let (rows, end) = read_checked(&held.conn, &file, from, bytes_max)?;
        if rows.is_empty() && after < held.tip.seq {
            let missing = format!("batches {} to {} are missing", after.next().0, held.tip.seq.0);
            return Err(damaged(&file, &missing));
        }
        held.cursor = Some(end);
        Ok(rows)
    }

    fn append(
        &mut self,
        term: &Term,
        seq: Seq,
        now: WallMs,
        batches: &[Batch],
    ) -> Result<(), AppendError> {
        self.write(term, |held, file, output_bytes_max| {
            append::append(held, file, output_bytes_max, append::Group { seq, now, batches })
        })
    }

    fn write_part(
        &mut self,
        term: &Term,
        seq: Seq,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError> {
        self.write(term, |held, file, _| snapshot::write_part(held, file, (seq, part), data))
    }

    fn finish_snapshot(&mut self, term: &Term, seq: Seq, parts: u32) -> Result<(), AppendError> {
        self.write(term, |held, file, _| snapshot::finish(held, file, seq, parts))
    }

    fn trim(&mut self, term: &Term) -> Result<Trim, AppendError> {
        let keep_log = self.keep_log;
        self.write(term, |held, file, _| snapshot::trim(held, file, keep_log))
    }

    fn write_output_part(
        &mut self,
        term: &Term,
        of: OutputKey,
        part: u32,
        data: &[u8],
    ) -> Result<(), AppendError> {
        self.write(term, |held, file, _| parts::write(held, file, (of, part), data))
    }

    fn drop_output_parts(&mut self, of: OutputKey) {
        if let Some(held) = &mut self.held {
            held.needless.push_back(of);
        }
    }

    fn trim_outputs(&mut self, term: &Term) -> Result<Trim, AppendError> {
        self.write(term, |held, file, _| parts::trim(held, file))
    }

    fn reader(&self) -> Result<Box<dyn BodyReader>, OpenError> {
        Ok(Box::new(reader::SqliteReader::open(&self.file)?))
    }
}

/// Returns the end of the log: its newest row, or the newest snapshot when all rows are trimmed.
pub(super) fn find_tip(conn: &Connection, file: &Path) -> Result<Tip, OpenError> {
    let newest = "SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1";
    let logged = conn
        .query_row(newest, [], |row| {
            Ok(Tip { seq: Seq(row.get::<_, i64>(0)?.cast_unsigned()), hash: column_sum(row, 1)? })
        })
        .optional()
        .map_err(|error| open_error(file, "reading the end of the log", &error))?;
    let head = heads(conn)
        .map_err(|error| open_error(file, "reading the list of snapshots", &error))?
        .into_iter()
        .find(|head| head.good)
        .map(|head| Tip { seq: head.seq, hash: head.log_hash });
    match (logged, head) {
        (Some(logged), Some(head)) if logged.seq < head.seq => {
            let range = format!("batches {} to {} are missing", logged.seq.0 + 1, head.seq.0);
            Err(damaged(file, &range))
        }
        (Some(logged), _) => Ok(logged),
        (None, head) => Ok(head.unwrap_or(EMPTY)),
    }
}

/// Refuses a log that ends before, or differs from, what was acknowledged.
pub(super) fn check_acknowledged(
    conn: &Connection,
    file: &Path,
    acknowledged: &Acknowledged,
    tip: &Tip,
) -> Result<(), OpenError> {
    let Acknowledged::At(acknowledged) = acknowledged else { return Ok(()) };
    let (end, last) = (tip.seq.0, acknowledged.seq.0);
    if acknowledged.seq > tip.seq {
        let what = format!(
            "its log ends at batch {end} but batch {last} was acknowledged: batches {} to {last} \
             are missing",
            end + 1
        );
        return Err(damaged(file, &what));
    }
    let there = if acknowledged.seq == tip.seq {
        Some(tip.hash)
    } else {
        stored_hash(conn, acknowledged.seq)
            .map_err(|error| open_error(file, "reading the log", &error))?
    };
    match there {
        Some(hash) if hash != acknowledged.hash => {
            let what = format!("batches up to {last} are not the ones that were acknowledged");
            Err(damaged(file, &what))
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the hash of batch `seq` from its row, or from a snapshot made there.
pub(super) fn stored_hash(conn: &Connection, seq: Seq) -> rusqlite::Result<Option<Sum>> {
    let row = conn
        .prepare_cached("SELECT hash FROM log WHERE seq = ?1")?
        .query_row([seq.0.cast_signed()], |row| column_sum(row, 0))
        .optional()?;
    if row.is_some() || seq == EMPTY.seq {
        return Ok(row.or(Some(EMPTY.hash)));
    }
    let head = heads(conn)?.into_iter().find(|head| head.good && head.seq == seq);
    Ok(head.map(|head| head.log_hash))
}

fn hash_at(conn: &Connection, file: &Path, seq: Seq) -> Result<Sum, OpenError> {
    stored_hash(conn, seq)
        .map_err(|error| open_error(file, "reading the log", &error))?
        .ok_or_else(|| damaged(file, &format!("batch {} is missing", seq.0)))
}

/// Reads rows after `from` and checks that each follows the one before; returns where it ended.
pub(super) fn read_checked(
    conn: &Connection,
    file: &Path,
    from: Tip,
    bytes_max: usize,
) -> Result<(Vec<Logged>, Tip), OpenError> {
    let at = std::cell::Cell::new(from);
    let failed = |error: rusqlite::Error| {
        open_error(file, &format!("reading batch {}", at.get().seq.next().0), &error)
    };
    let select = "SELECT seq, epoch, at, data, digest, durable, hash FROM log WHERE seq > ?1 \
                  ORDER BY seq";
    let mut statement = conn.prepare_cached(select).map_err(failed)?;
    let mut rows = statement.query([from.seq.0.cast_signed()]).map_err(failed)?;
    let (mut logged, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next().map_err(failed)? {
        let batch = logged_of(row).map_err(failed)?;
        let hash = column_sum(row, 6).map_err(failed)?;
        let before = at.get();
        if batch.seq != before.seq.next() {
            let (first, last) = (before.seq.0 + 1, batch.seq.0.saturating_sub(1));
            return Err(damaged(file, &format!("batches {first} to {last} are missing")));
        }
        let link = Link {
            seq: batch.seq,
            epoch: batch.epoch,
            at: batch.at,
            durable: batch.durable,
            data: &batch.data,
            digest: batch.digest.as_ref().map(|digest| digest.as_slice()),
        };
        if link.after(&before.hash) != hash {
            let what = format!("batch {} does not match the hash of the one before", batch.seq.0);
            return Err(damaged(file, &what));
        }
        at.set(Tip { seq: batch.seq, hash });
        bytes += batch.data.len();
        logged.push(batch);
        if bytes >= bytes_max {
            break;
        }
    }
    Ok((logged, at.get()))
}

#[cfg(test)]
mod tests;
