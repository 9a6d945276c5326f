//! A whole store opened for reading only, in one view, also while a master writes: for `ganger
//! fsck` and `ganger verify`. Knows no task's rules and writes nothing.

use std::path::{Path, PathBuf};

use ganger_proto::{BlockId, Epoch};
use rusqlite::{Connection, ErrorCode, Row};

use super::chain::{EMPTY, Tip, block_sum};
use super::sqlite::{self, Acknowledged, Found};
use super::{Logged, OpenError, Seq};

/// One view of a store: what a master commits after it was opened is not in it.
#[derive(Debug)]
pub struct Reading {
    pub(super) conn: Connection,
    pub(super) file: PathBuf,
    acknowledged: Acknowledged,
}

/// What the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first batch that is there; none when all are trimmed, or none was written.
    pub first: Option<Seq>,
    /// The newest batch, in the log or covered by a snapshot.
    pub last: Seq,
}

/// Where a replay begins.
#[derive(Clone, Debug)]
pub struct Start {
    /// The batch that it stands at the end of; 0 before the first.
    pub seq: Seq,
    /// The parts of the snapshot there; none at the very beginning.
    pub parts: Vec<Vec<u8>>,
}

impl Reading {
    /// Opens the store in a home folder, or one database file; none when nothing was ever written.
    ///
    /// # Errors
    /// When it cannot be read, is of another version, or is damaged so that nothing of it can be.
    pub fn open(place: &Path) -> Result<Option<Self>, OpenError> {
        let file = file_of(place);
        // Before the view: what is acknowledged after this does not count.
        let acknowledged = sqlite::read_acknowledged(&file);
        let meta = std::fs::metadata(&file).map_err(|error| {
            let why = format!("it cannot be read ({error})");
            sqlite::unusable(&file, &why, "name a home folder with a store")
        })?;
        if meta.len() == 0 {
            // SQLite would delete the WAL of an empty database.
            return acknowledged.check_empty(&file).map(|()| None);
        }
        sqlite::check_filesystem(&file)?;
        Self::of(view(&file)?, file, acknowledged)
    }

    fn of(
        conn: Option<Connection>,
        file: PathBuf,
        acknowledged: Acknowledged,
    ) -> Result<Option<Self>, OpenError> {
        match conn {
            Some(conn) => Ok(Some(Self { conn, file, acknowledged })),
            None => acknowledged.check_empty(&file).map(|()| None),
        }
    }

    /// As [`Reading::open`], of a store at rest, so that not even SQLite's own files beside it
    /// change.
    ///
    /// # Errors
    /// Also when a master has it.
    pub fn open_quiet(place: &Path) -> Result<Option<Self>, OpenError> {
        let file = file_of(place);
        sqlite::check_at_rest(&file)?;
        let acknowledged = sqlite::read_acknowledged(&file);
        let opened = sqlite::open_quiet(&file).and_then(begin);
        Self::of(ours(&file, opened)?, file, acknowledged)
    }

    /// The database file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Returns what the log holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn bounds(&self) -> Result<Bounds, OpenError> {
        let ends = "SELECT min(seq), max(seq) FROM log";
        let ends: (Option<i64>, Option<i64>) = self
            .conn
            .query_row(ends, [], |row| Ok((row.get(0)?, row.get(1)?)))
            .map_err(|error| self.failed("reading the log", &error))?;
        let seq = |raw: i64| Seq(raw.cast_unsigned());
        let covered = self.snapshots()?.last().copied();
        let last = ends.1.map(seq).max(covered).unwrap_or_default();
        Ok(Bounds { first: ends.0.map(seq), last })
    }

    /// Returns the newest batch that was acknowledged, when that is known.
    ///
    /// # Errors
    /// When the log ends before it or differs from it.
    pub fn acknowledged(&self) -> Result<Option<Seq>, OpenError> {
        let tip = sqlite::find_tip(&self.conn, &self.file)?;
        sqlite::check_acknowledged(&self.conn, &self.file, &self.acknowledged, &tip)?;
        Ok(match self.acknowledged {
            Acknowledged::At(tip) => Some(tip.seq),
            Acknowledged::Nothing | Acknowledged::Unreadable => None,
        })
    }

    /// Returns the epoch of who leads, or led last; none when its record is wrong.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn leader(&self) -> Result<Option<Epoch>, OpenError> {
        let epoch = sqlite::leader_epoch(&self.conn)
            .map_err(|error| self.failed("reading who leads", &error))?;
        Ok(epoch.and_then(|epoch| u32::try_from(epoch).ok()).map(Epoch::new))
    }

    /// Returns where snapshots stand whose heads are good, the oldest first.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn snapshots(&self) -> Result<Vec<Seq>, OpenError> {
        let heads = sqlite::heads(&self.conn)
            .map_err(|error| self.failed("reading the list of snapshots", &error))?;
        Ok(heads.iter().rev().filter(|head| head.good).map(|head| head.seq).collect())
    }

    /// Returns the parts of the snapshot at `seq`, or none when it is not whole.
    pub fn snapshot(&self, seq: Seq) -> Option<Vec<Vec<u8>>> {
        let heads = sqlite::heads(&self.conn).ok()?;
        sqlite::load(&self.conn, heads.iter().find(|head| head.seq == seq)?)
    }

    /// Returns where a replay of as much as there is begins: at the very beginning when the log
    /// goes back to it, else at the oldest whole snapshot whose log follows.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn earliest(&self) -> Result<Start, OpenError> {
        let Bounds { first, last } = self.bounds()?;
        let follows = |seq: Seq| first.map_or(seq == last, |first| first <= seq.next());
        if follows(EMPTY.seq) {
            return Ok(Start { seq: EMPTY.seq, parts: Vec::new() });
        }
        for seq in self.snapshots()?.into_iter().filter(|seq| follows(*seq)) {
            if let Some(parts) = self.snapshot(seq) {
                return Ok(Start { seq, parts });
            }
        }
        let start = first.map_or(last.0, |first| first.0);
        let what = format!("no snapshot is whole and its log begins at batch {start}");
        Err(sqlite::damaged(&self.file, &what))
    }

    /// Returns from where to where the log hangs together best: as far to the end as any whole
    /// snapshot or the beginning leads, from as early as that goes; none when nothing does.
    ///
    /// # Errors
    /// When where one begins cannot be read.
    pub fn best(&self) -> Result<Option<(Start, Seq)>, OpenError> {
        let first: Option<i64> =
            self.conn.query_row("SELECT min(seq) FROM log", [], |row| row.get(0)).ok().flatten();
        let first = first.map(|seq| Seq(seq.cast_unsigned()));
        let mut starts = vec![Start { seq: EMPTY.seq, parts: Vec::new() }];
        // A list that cannot be read is as good as none.
        for seq in self.snapshots().unwrap_or_default() {
            starts.extend(self.snapshot(seq).map(|parts| Start { seq, parts }));
        }
        let mut best: Option<(Start, Seq)> = None;
        for start in starts {
            let follows = first.is_some_and(|first| first <= start.seq.next());
            let reached = if follows { self.reach(start.seq)? } else { start.seq };
            let is_there = follows || start.seq > EMPTY.seq;
            if is_there && best.as_ref().is_none_or(|(_, before)| reached > *before) {
                best = Some((start, reached));
            }
        }
        Ok(best)
    }

    fn reach(&self, from: Seq) -> Result<Seq, OpenError> {
        let mut walk = self.walk(from)?;
        while let Ok(rows) = walk.more() {
            if rows.is_empty() {
                break;
            }
        }
        Ok(walk.at())
    }

    /// Returns the newest batch of which anything tells: a row, a snapshot, what was acknowledged.
    pub fn newest_known(&self) -> Seq {
        let row = "SELECT max(seq) FROM log";
        let row: Option<i64> = self.conn.query_row(row, [], |row| row.get(0)).ok().flatten();
        let head = self.snapshots().ok().and_then(|all| all.last().copied());
        let acknowledged = match self.acknowledged {
            Acknowledged::At(tip) => Some(tip.seq),
            Acknowledged::Nothing | Acknowledged::Unreadable => None,
        };
        let row = row.map(|seq| Seq(seq.cast_unsigned()));
        [row, head, acknowledged].into_iter().flatten().max().unwrap_or_default()
    }

    /// Hands out the rows behind a batch that can be read, whether or not they hang together, the
    /// newest first. Nothing vouches for them.
    pub fn each_stray_row(&self, after: Seq, mut take: impl FnMut(&Logged)) {
        let mut read = || {
            let select = "SELECT seq, epoch, at, data, digest, durable FROM log WHERE seq > ?1 \
                          ORDER BY seq DESC";
            let mut select = self.conn.prepare(select)?;
            let mut rows = select.query([after.0.cast_signed()])?;
            while let Some(row) = rows.next()? {
                if let Ok(row) = sqlite::logged_of(row) {
                    take(&row);
                }
            }
            Ok(())
        };
        // It ends where the file does, or where it cannot be read.
        let _ended: rusqlite::Result<()> = read();
    }

    /// Goes through the batches after `after`, a snapshot's place or that of a batch that is there.
    ///
    /// # Errors
    /// When batch `after` is not there.
    pub fn walk(&self, after: Seq) -> Result<Walk<'_>, OpenError> {
        let hash = sqlite::stored_hash(&self.conn, after)
            .map_err(|error| self.failed("reading the log", &error))?
            .ok_or_else(|| sqlite::damaged(&self.file, &format!("batch {} is missing", after.0)))?;
        Ok(Walk::new(&self.conn, &self.file, Tip { seq: after, hash }))
    }

    /// Returns how many result blocks there are.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn block_count(&self) -> Result<u64, OpenError> {
        let count: i64 = self
            .conn
            .query_row("SELECT count(*) FROM result_block", [], |row| row.get(0))
            .map_err(|error| self.failed("counting the result blocks", &error))?;
        Ok(count.cast_unsigned())
    }

    /// Hands out every result block, without its bytes when they do not match their sum.
    ///
    /// # Errors
    /// When some could not be read; the others have been handed out.
    pub fn each_block(
        &self,
        mut take: impl FnMut(BlockId, Option<Vec<u8>>),
    ) -> Result<(), OpenError> {
        let columns = "SELECT id, hash, data FROM result_block";
        from_both_ends(&self.conn, columns, "id", |row| {
            let id = BlockId::new(row.get::<_, i64>(0)?.cast_unsigned());
            let data: Vec<u8> = row.get(2)?;
            let whole = sqlite::column_sum(row, 1).is_ok_and(|sum| sum == block_sum(id, &data));
            take(id, whole.then_some(data));
            Ok(id.raw().cast_signed())
        })
        .map_err(|error| self.failed("reading the result blocks", &error))
    }

    fn failed(&self, doing: &str, error: &rusqlite::Error) -> OpenError {
        sqlite::open_error(&self.file, doing, error)
    }
}

/// Goes through a table in the order of a key that `take` returns; where a page is damaged, from
/// the other end up to it.
pub(super) fn from_both_ends(
    conn: &Connection,
    columns: &str,
    key: &str,
    mut take: impl FnMut(&Row<'_>) -> rusqlite::Result<i64>,
) -> rusqlite::Result<()> {
    let mut newest = None;
    let forward = (|| {
        let mut select = conn.prepare(&format!("{columns} ORDER BY {key}"))?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            newest = Some(take(row)?);
        }
        Ok(())
    })();
    if forward.is_ok() {
        return Ok(());
    }
    let mut backward = || {
        let behind = format!("{columns} WHERE ?1 IS NULL OR {key} > ?1 ORDER BY {key} DESC");
        let mut select = conn.prepare(&behind)?;
        let mut rows = select.query([newest])?;
        while let Some(row) = rows.next()? {
            take(row)?;
        }
        Ok(())
    };
    // It stops at the same damage, or at a row that cannot be read on either side of it.
    let _stopped: rusqlite::Result<()> = backward();
    forward
}

/// Follows the chain of hashes from one batch to the next.
#[derive(Debug)]
pub struct Walk<'a> {
    conn: &'a Connection,
    file: &'a Path,
    at: Tip,
    read_bytes: usize,
}

impl<'a> Walk<'a> {
    pub(super) const fn new(conn: &'a Connection, file: &'a Path, at: Tip) -> Self {
        Self { conn, file, at, read_bytes: READ_BYTES }
    }

    /// Returns the last good batch so far.
    pub const fn at(&self) -> Seq {
        self.at.seq
    }

    /// Returns the next batches, some MiB of them; none at the end.
    ///
    /// # Errors
    /// At the first batch that is missing or does not follow the one before.
    pub fn more(&mut self) -> Result<Vec<Logged>, OpenError> {
        loop {
            match sqlite::read_checked(self.conn, self.file, self.at, self.read_bytes) {
                Ok((rows, end)) => {
                    self.at = end;
                    return Ok(rows);
                }
                // From here on a row at a time, to the very batch.
                Err(_) if self.read_bytes > 1 => self.read_bytes = 1,
                Err(error) => return Err(error),
            }
        }
    }
}

/// Returns the database file of a home folder, or the file that was named.
pub(super) fn file_of(place: &Path) -> PathBuf {
    if place.is_dir() { place.join("store.db") } else { place.to_owned() }
}

/// Opens one view of the store, though a master may write meanwhile; none when nothing was ever
/// written.
pub(super) fn view(file: &Path) -> Result<Option<Connection>, OpenError> {
    let shared = sqlite::open_read_only(file).and_then(begin);
    let found = match shared {
        // SQLite shares an index of the WAL between processes, in a file that it may not make here.
        Err(error) if is_closed(&error) => sqlite::open_quiet(file).and_then(begin),
        found => found,
    };
    ours(file, found)
}

fn ours(
    file: &Path,
    opened: rusqlite::Result<(Connection, Found)>,
) -> Result<Option<Connection>, OpenError> {
    let (conn, found) = opened.map_err(|error| sqlite::open_error(file, "opening it", &error))?;
    match found {
        Found::Ours => Ok(Some(conn)),
        Found::Fresh => Ok(None),
        Found::OtherVersion(version, by) => {
            let why = format!("it has format {version}, written by {by}");
            Err(sqlite::unusable(file, &why, "check it with the program that wrote it"))
        }
        Found::Foreign => {
            let why = "it is a database of another program";
            Err(sqlite::unusable(file, why, "name a home folder with a store"))
        }
    }
}

fn begin(conn: Connection) -> rusqlite::Result<(Connection, Found)> {
    conn.execute_batch("BEGIN")?;
    let found = sqlite::find(&conn)?;
    Ok((conn, found))
}

fn is_closed(error: &rusqlite::Error) -> bool {
    let closed = [ErrorCode::CannotOpen, ErrorCode::ReadOnly, ErrorCode::PermissionDenied];
    error.sqlite_error_code().is_some_and(|code| closed.contains(&code))
}

/// Bytes of events read at once.
const READ_BYTES: usize = 4 << 20;
