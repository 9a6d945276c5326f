//! The tables, the settings of a connection, the version, and who leads. What the columns mean is
//! in FORMAT.md.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use ganger_proto::{Epoch, WallMs};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::super::chain::{Sum, sum};
use super::super::{Holder, OpenError};
use super::error::{column_sum, damaged, open_error, unusable};
use super::place::wal_of;

/// What an existing file turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Found {
    /// Nothing was ever written to it.
    Fresh,
    /// A store of this version, or of one that it reads.
    Ours,
    /// A store of another version, and the program that wrote it.
    OtherVersion(i64, String),
    /// A database of something else.
    Foreign,
}

/// Opens the file for the master, and makes the tables when it is empty.
pub(super) fn open(file: &Path) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| open_error(file, "opening it", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(file, flags).map_err(failed)?;
    conn.busy_timeout(BUSY_MAX).map_err(failed)?;
    let fresh = match find(&conn).map_err(failed)? {
        Found::Ours => false,
        Found::Fresh => true,
        Found::OtherVersion(version, by) => {
            let why = format!(
                "it has format {version}, written by {by}; this is {WRITER}, which reads formats \
                 {OLDEST} to {VERSION}"
            );
            return Err(unusable(file, &why, "use the program that wrote it, or another home"));
        }
        Found::Foreign => {
            let why = "it is a database of another program";
            return Err(unusable(file, why, "name another place with `--store sqlite:PATH`"));
        }
    };
    if fresh {
        conn.execute_batch(BEFORE_TABLES).map_err(failed)?;
        make_tables(&mut conn).map_err(failed)?;
    } else {
        upgrade(&mut conn).map_err(failed)?;
    }
    conn.execute_batch(SETTINGS).map_err(failed)?;
    let mode: String =
        conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let why = format!("its filesystem allows no WAL, SQLite uses `{mode}`");
        return Err(unusable(
            file,
            &why,
            "give a place on a local disk with `--store sqlite:PATH`",
        ));
    }
    conn.set_prepared_statement_cache_capacity(32);
    Ok(conn)
}

/// Makes a store in a file that is not there.
pub(in crate::store) fn make(file: &Path) -> Result<Connection, OpenError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map_err(|error| {
        let why = format!("it cannot be created ({error})");
        unusable(file, &why, "give this user the right to write its folder")
    })?;
    open(file)
}

/// Opens the file for reading only.
pub(in crate::store) fn open_read_only(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    conn.busy_timeout(BUSY_MAX)?;
    conn.execute_batch(READ_SETTINGS)?;
    Ok(conn)
}

/// Opens a file at rest for reading only, without a lock and without the files that SQLite makes
/// beside it: nothing in its folder changes. What a master writes meanwhile makes the reads wrong.
pub(in crate::store) fn open_quiet(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let has_wal = std::fs::metadata(wal_of(file)).is_ok_and(|meta| meta.len() > 0);
    let conn = if has_wal {
        let conn = Connection::open_with_flags_and_vfs(file, flags, c"unix-none")?;
        // The index of the WAL is then in memory.
        conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        conn
    } else {
        let uri = immutable_uri(file);
        Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
    };
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.execute_batch(READ_SETTINGS)?;
    Ok(conn)
}

/// Names a file that nobody writes, as SQLite reads names: <https://www.sqlite.org/uri.html>.
fn immutable_uri(file: &Path) -> std::ffi::OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut uri = b"file:".to_vec();
    for byte in file.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            uri.push(*byte);
        } else {
            uri.extend(format!("%{byte:02x}").bytes());
        }
    }
    uri.extend(b"?immutable=1");
    std::ffi::OsString::from_vec(uri)
}

/// Says what a file is, before anything of it is believed.
pub(in crate::store) fn find(conn: &Connection) -> rusqlite::Result<Found> {
    let number = |name: &str| conn.query_row(name, [], |row| row.get::<_, i64>(0));
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let (id, version) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    Ok(match (id, version) {
        (APPLICATION, OLDEST..=VERSION) => Found::Ours,
        (APPLICATION, other) => Found::OtherVersion(other, written_by(conn)),
        (0, 0) if tables == 0 => Found::Fresh,
        (_, _) => Found::Foreign,
    })
}

fn written_by(conn: &Connection) -> String {
    let select = "SELECT value FROM meta WHERE key = 'written_by'";
    let text: rusqlite::Result<String> = conn.query_row(select, [], |row| row.get(0));
    let shown: String =
        text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(64).collect();
    if shown.is_empty() { "an unknown program".to_owned() } else { shown }
}

fn make_tables(conn: &mut Connection) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(TABLES)?;
    tx.execute_batch(SINCE_3)?;
    tx.execute("INSERT INTO leader VALUES (1, 0, '', 0, ?1)", [leader_sum(0, "")])?;
    set_meta(&tx, "written_by", WRITER)?;
    set_meta(&tx, "output_bytes", "0")?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}

/// Makes a store of an older version one of this: what is written to it from here on, an older
/// program does not understand.
fn upgrade(conn: &mut Connection) -> rusqlite::Result<()> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if !has_parts(&tx)? {
        tx.execute_batch(SINCE_3)?;
    }
    tx.pragma_update(None, "user_version", VERSION)?;
    tx.commit()
}

/// Tells whether a store has the table of format 3.
pub(in crate::store) fn has_parts(conn: &Connection) -> rusqlite::Result<bool> {
    let select = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'output_part'";
    conn.query_row(select, [], |row| row.get::<_, i64>(0)).map(|count| count > 0)
}

/// Raises the epoch, durably, in the name of `me`.
pub(super) fn take_lead(
    conn: &mut Connection,
    file: &Path,
    me: &Holder,
    now: WallMs,
) -> Result<Epoch, OpenError> {
    let failed = |error: rusqlite::Error| open_error(file, "taking the lead", &error);
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let before = leader_epoch(&tx).map_err(failed)?;
    let newest = "SELECT epoch FROM log ORDER BY seq DESC LIMIT 1";
    let logged: Option<i64> =
        tx.query_row(newest, [], |row| row.get(0)).optional().map_err(failed)?;
    let next = before
        .filter(|epoch| logged.is_none_or(|logged| *epoch >= logged))
        .and_then(|epoch| u32::try_from(epoch).ok()?.checked_add(1));
    let Some(next) = next else {
        return Err(damaged(file, "its record of who leads is wrong"));
    };
    let (epoch, holder) = (Epoch::new(next), format!("{} {}", me.pid, me.host));
    set_leader(&tx, epoch, &holder, now).map_err(failed)?;
    tx.commit().map_err(failed)?;
    Ok(epoch)
}

/// Notes who leads.
pub(in crate::store) fn set_leader(
    conn: &Connection,
    epoch: Epoch,
    holder: &str,
    now: WallMs,
) -> rusqlite::Result<()> {
    let update = "UPDATE leader SET epoch = ?1, holder = ?2, at = ?3, hash = ?4 WHERE one = 1";
    let hash = leader_sum(epoch.raw().into(), holder);
    conn.execute(update, params![epoch.raw(), holder, now.0.cast_signed(), hash])?;
    Ok(())
}

/// Returns the epoch of who leads; none when its row is wrong.
pub(in crate::store) fn leader_epoch(conn: &Connection) -> rusqlite::Result<Option<i64>> {
    let mut select = conn.prepare_cached("SELECT epoch, holder, hash FROM leader WHERE one = 1")?;
    let row = select
        .query_row([], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, column_sum(row, 2)?))
        })
        .optional()?;
    Ok(row.filter(|(epoch, holder, hash)| leader_sum(*epoch, holder) == *hash).map(|row| row.0))
}

/// Returns the bytes of all outputs: as noted, or counted when the note is wrong.
pub(super) fn output_bytes(conn: &Connection, file: &Path) -> Result<u64, OpenError> {
    let failed = |error: rusqlite::Error| open_error(file, "counting its outputs", &error);
    let select = "SELECT value, hash FROM meta WHERE key = 'output_bytes'";
    let noted = conn
        .query_row(select, [], |row| Ok((row.get::<_, String>(0)?, column_sum(row, 1)?)))
        .optional()
        .map_err(failed)?;
    let good = noted.filter(|(value, hash)| meta_sum("output_bytes", value) == *hash);
    if let Some(bytes) = good.and_then(|(value, _)| value.parse().ok()) {
        return Ok(bytes);
    }
    tracing::warn!(file = %file.display(), "the size of all outputs is counted anew");
    let count = "SELECT coalesce(sum(max(head, length(data))), 0) FROM output";
    let bytes: i64 = conn.query_row(count, [], |row| row.get(0)).map_err(failed)?;
    Ok(bytes.cast_unsigned())
}

/// Notes the bytes of all outputs.
pub(in crate::store) fn set_output_bytes(conn: &Connection, bytes: u64) -> rusqlite::Result<()> {
    set_meta(conn, "output_bytes", &bytes.to_string())
}

fn set_meta(conn: &Connection, key: &str, value: &str) -> rusqlite::Result<()> {
    let upsert = "INSERT INTO meta (key, value, hash) VALUES (?1, ?2, ?3) \
                  ON CONFLICT (key) DO UPDATE SET value = excluded.value, hash = excluded.hash";
    conn.prepare_cached(upsert)?.execute(params![key, value, meta_sum(key, value)])?;
    Ok(())
}

fn meta_sum(key: &str, value: &str) -> Sum {
    sum("meta", &[key.as_bytes(), value.as_bytes()])
}

fn leader_sum(epoch: i64, holder: &str) -> Sum {
    sum("leader", &[&epoch.to_le_bytes(), holder.as_bytes()])
}

/// The format's number.
pub(in crate::store) const VERSION: i64 = 3;
/// The oldest format that is read.
const OLDEST: i64 = 1;
/// `gngr`: marks the file as ours for `file` and for us.
const APPLICATION: i64 = 0x676E_6772;
const WRITER: &str = concat!("ganger ", env!("CARGO_PKG_VERSION"));
/// How long a person's own look into the file may make the master wait.
const BUSY_MAX: Duration = Duration::from_secs(5);

const BEFORE_TABLES: &str = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;";
/// A checkpoint every 16 MiB of WAL. At 8 MiB one stalled a commit for 35 ms on a plain disk, at
/// 32 MiB for 65 to 73 ms; this is between them and was not measured by itself. No memory map: a
/// read error there kills the process.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 2048;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16384;
    PRAGMA mmap_size = 0;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;";
const READ_SETTINGS: &str = "
    PRAGMA cache_size = -4096;
    PRAGMA mmap_size = 0;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA query_only = ON;
    PRAGMA temp_store = MEMORY;";

/// What format 3 has and the ones before it do not.
const SINCE_3: &str = "
    CREATE TABLE output_part (
        task BIGINT NOT NULL, attempt BIGINT NOT NULL, stream BIGINT NOT NULL,
        part BIGINT NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (task, attempt, stream, part));";

const TABLES: &str = "
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL, hash BLOB NOT NULL);
    CREATE TABLE leader (
        one INTEGER PRIMARY KEY, epoch BIGINT NOT NULL, holder TEXT NOT NULL,
        at BIGINT NOT NULL, hash BLOB NOT NULL);
    CREATE TABLE log (
        seq INTEGER PRIMARY KEY, epoch BIGINT NOT NULL, at BIGINT NOT NULL,
        durable BIGINT NOT NULL, hash BLOB NOT NULL, digest BLOB, data BLOB NOT NULL);
    CREATE TABLE snapshot (
        seq BIGINT NOT NULL, part BIGINT NOT NULL, hash BLOB NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (seq, part));
    CREATE TABLE snapshot_head (
        seq INTEGER PRIMARY KEY, parts BIGINT NOT NULL, log_hash BLOB NOT NULL,
        hash BLOB NOT NULL);
    CREATE TABLE result_block (id INTEGER PRIMARY KEY, hash BLOB NOT NULL, data BLOB NOT NULL);
    CREATE TABLE output (
        n INTEGER PRIMARY KEY, task BIGINT NOT NULL, attempt BIGINT NOT NULL,
        stream BIGINT NOT NULL, head BIGINT NOT NULL, skipped BIGINT NOT NULL,
        hash BLOB NOT NULL, data BLOB NOT NULL,
        UNIQUE (task, attempt, stream));";
