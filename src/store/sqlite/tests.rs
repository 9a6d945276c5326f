//! Tests of the SQLite store that opens well; what damage does is in `damage`.

use std::path::Path;

use ganger_proto::command::Stream;
use ganger_proto::{BlockId, TaskId};

use super::*;
use crate::store::{Output, fsck};

mod damage;
mod parts;
mod places;
mod sweep;

pub(super) fn me() -> Holder {
    Holder { pid: 7, host: "h".to_owned() }
}

pub(super) struct Home {
    pub(super) folder: tempfile::TempDir,
}

impl Home {
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// As [`Home::new`], where a sync costs nothing, if there is such a place.
    pub(super) fn quick() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self { folder: folder.unwrap() }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    pub(super) fn open(&self) -> Result<(SqliteLog, Term), OpenError> {
        open(&self.file())
    }
}

pub(super) fn open(file: &Path) -> Result<(SqliteLog, Term), OpenError> {
    let mut log = SqliteLog::new(file);
    let term = log.acquire(&me(), WallMs(1))?;
    Ok((log, term))
}

/// A batch that can be told from every other one.
pub(super) fn batch(n: u64) -> Batch {
    let length = usize::try_from(n * 131 % 9_000).unwrap();
    let fill = u8::try_from(n % 251).unwrap();
    let mut data = format!("batch {n} ").into_bytes();
    data.resize(data.len() + length, fill);
    Batch { data, digest: n.is_multiple_of(4).then_some([fill; 16]), ..Batch::default() }
}

pub(super) fn append(log: &mut SqliteLog, term: &Term, range: std::ops::RangeInclusive<u64>) {
    for n in range {
        log.append(term, Seq(n), WallMs(n), &[batch(n)]).unwrap();
    }
}

/// Reads everything after `after` and checks it; returns the last batch.
pub(super) fn read_all(log: &mut SqliteLog, after: u64) -> Result<u64, OpenError> {
    let mut last = after;
    loop {
        let rows = log.read(Seq(last), 20_000)?;
        if rows.is_empty() {
            return Ok(last);
        }
        for row in rows {
            last += 1;
            let expected = batch(last);
            assert_eq!(row.seq, Seq(last));
            assert!(row.data == expected.data && row.digest == expected.digest, "batch {last}");
        }
    }
}

#[test]
fn what_is_appended_is_read_back_after_every_reopening() {
    let home = Home::new();
    let mut n = 0;
    for (epoch, group) in [1_u64, 7, 40, 3, 0, 100].into_iter().enumerate() {
        let (mut log, term) = home.open().unwrap();
        assert_eq!(u64::from(term.epoch.raw()), u64::try_from(epoch).unwrap() + 1);
        assert_eq!(term.last, Seq(n));
        let batches: Vec<Batch> = (n + 1..=n + group).map(batch).collect();
        if let [one, rest @ ..] = batches.as_slice() {
            log.append(&term, Seq(n + 1), WallMs(1), std::slice::from_ref(one)).unwrap();
            if !rest.is_empty() {
                log.append(&term, Seq(n + 2), WallMs(1), rest).unwrap();
            }
        }
        n += group;
        assert_eq!(read_all(&mut log, 0).unwrap(), n);
    }
    let verdict = fsck(home.folder.path()).unwrap();
    assert!(verdict.is_sound(), "{verdict}");
    assert_eq!((verdict.batches_good, verdict.savable), (n, Some(n)));
}

#[test]
fn files_belong_to_their_user_alone() {
    use std::os::unix::fs::MetadataExt;
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=1);
    for name in ["store.db", "store.db-wal", "store.db-shm", "store.lock", "store.seq"] {
        let mode = std::fs::metadata(home.folder.path().join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_second_master_is_refused_and_the_first_goes_on() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    let told = home.open().unwrap_err().to_string();
    assert!(told.starts_with("another master (process 7 on host h) has this home"), "{told}");
    append(&mut log, &term, 1..=3);
}

#[test]
fn a_stolen_lead_fences() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=2);
    let mut other = Connection::open(home.file()).unwrap();
    schema::take_lead(&mut other, &home.file(), &me(), WallMs(2)).unwrap();
    for _ in 0..2 {
        let answer = log.append(&term, Seq(3), WallMs(3), &[batch(3)]);
        assert!(matches!(answer, Err(AppendError::Fenced | AppendError::Ambiguous(_))));
    }
    drop(log);
    let (mut log, term) = home.open().unwrap();
    assert_eq!((term.epoch, read_all(&mut log, 0).unwrap()), (Epoch::new(3), 2));
}

#[test]
fn an_unknown_error_stops_the_log_for_good() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=2);
    let conn = &log.held.as_ref().unwrap().conn;
    conn.execute_batch(
        "CREATE TEMP TRIGGER odd BEFORE INSERT ON log WHEN NEW.seq = 3 \
         BEGIN SELECT RAISE(ABORT, 'odd'); END",
    )
    .unwrap();
    let answer = log.append(&term, Seq(3), WallMs(3), &[batch(3)]);
    assert!(matches!(answer, Err(AppendError::Ambiguous(_))));
    log.held.as_ref().unwrap().conn.execute_batch("DROP TRIGGER odd").unwrap();
    let again = log.append(&term, Seq(3), WallMs(3), &[batch(3)]);
    assert!(matches!(again, Err(AppendError::Ambiguous(_))), "nothing may be tried again");
}

#[test]
fn a_full_disk_writes_nothing_and_may_be_tried_again() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=10);
    let limit = |log: &SqliteLog, pages: i64| {
        let conn = &log.held.as_ref().unwrap().conn;
        conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&log, 1);
    let group: Vec<Batch> = (11..=200).map(batch).collect();
    for _ in 0..3 {
        let answer = log.append(&term, Seq(11), WallMs(1), &group);
        assert!(matches!(answer, Err(AppendError::Full(_))), "{answer:?}");
        assert_eq!(read_all(&mut log, 0).unwrap(), 10);
    }
    limit(&log, 1 << 30);
    log.append(&term, Seq(11), WallMs(1), &group).unwrap();
    assert_eq!(read_all(&mut log, 0).unwrap(), 200);
}

fn output(task: u64, attempt: u32, bytes: &[u8]) -> Output {
    Output {
        task: TaskId::new(task),
        attempt,
        stream: Stream::Stdout,
        head: 1,
        skipped: u64::MAX,
        bytes: bytes.to_vec(),
    }
}

#[test]
fn bodies_are_read_while_the_log_is_written() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    let mut reader = log.reader().unwrap();
    let stderr = Output { stream: Stream::Stderr, ..output(1, 1, b"err") };
    let first = Batch {
        blocks: vec![(BlockId::new(1), b"one".to_vec()), (BlockId::new(u64::MAX), b"".to_vec())],
        outputs: vec![output(1, 1, b"first"), output(1, 2, b"second"), stderr.clone()],
        ..batch(1)
    };
    log.append(&term, Seq(1), WallMs(1), &[first]).unwrap();
    assert_eq!(reader.block(BlockId::new(1)).unwrap().unwrap(), b"one");
    assert_eq!(reader.block(BlockId::new(u64::MAX)).unwrap().unwrap(), b"");
    let task = TaskId::new(1);
    let newest = reader.output(task, None, Stream::Stdout).unwrap();
    assert_eq!(newest, Some(output(1, 2, b"second")));
    let named = reader.output(task, Some(1), Stream::Stdout).unwrap();
    assert_eq!(named, Some(output(1, 1, b"first")));
    assert_eq!(reader.output(task, None, Stream::Stderr).unwrap(), Some(stderr));
    let second = Batch {
        drop_blocks: vec![BlockId::new(1), BlockId::new(77)],
        drop_outputs: vec![task],
        ..batch(2)
    };
    log.append(&term, Seq(2), WallMs(1), &[second]).unwrap();
    assert_eq!(reader.block(BlockId::new(1)).unwrap(), None);
    assert_eq!(reader.output(task, None, Stream::Stderr).unwrap(), None);
    let logged = reader.logged(Seq(1), 5).unwrap();
    assert_eq!((logged.len(), logged[0].seq), (1, Seq(2)));
    assert_eq!(log.held.as_ref().unwrap().output_bytes, 0);
}

#[test]
fn the_oldest_outputs_go_when_all_together_are_too_many() {
    let home = Home::new();
    let mut log = SqliteLog::new(home.file()).with_output_bytes_max(100);
    let term = log.acquire(&me(), WallMs(1)).unwrap();
    for task in 1..=9 {
        let one = Batch { outputs: vec![output(task, 1, &[1; 30])], ..batch(task) };
        log.append(&term, Seq(task), WallMs(1), &[one]).unwrap();
    }
    // Written again, 7 is younger than 8 and 9, and is counted once.
    let again = Batch { outputs: vec![output(7, 1, &[2; 60])], ..batch(10) };
    log.append(&term, Seq(10), WallMs(1), &[again]).unwrap();
    let mut reader = log.reader().unwrap();
    let mut kept = |task| reader.output(TaskId::new(task), None, Stream::Stdout).unwrap();
    let there: Vec<u64> = (1..=9).filter(|task| kept(*task).is_some()).collect();
    assert_eq!(there, [7, 9]);
    assert_eq!(log.held.as_ref().unwrap().output_bytes, 90);
    log.acquire(&me(), WallMs(1)).unwrap();
    assert_eq!(log.held.as_ref().unwrap().output_bytes, 90, "the note survives");
    let held = log.held.as_ref().unwrap();
    held.conn.execute("UPDATE meta SET value = '5' WHERE key = 'output_bytes'", []).unwrap();
    log.acquire(&me(), WallMs(1)).unwrap();
    assert_eq!(log.held.as_ref().unwrap().output_bytes, 90, "a wrong note is counted anew");
}

pub(super) fn snapshot(log: &mut SqliteLog, term: &Term, seq: u64, parts: usize) {
    let mut parts = (0..parts).map(|part| format!("{seq}/{part}").repeat(500).into_bytes());
    log.install_snapshot(term, Seq(seq), &mut parts).unwrap();
}

#[test]
fn two_snapshots_are_kept_and_the_log_after_the_older() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    assert!(log.snapshot().unwrap().is_none());
    append(&mut log, &term, 1..=400);
    snapshot(&mut log, &term, 100, 20);
    assert_eq!(log.read(Seq(0), 1).unwrap().len(), 1, "one snapshot trims nothing");
    snapshot(&mut log, &term, 300, 3);
    snapshot(&mut log, &term, 390, 0);
    snapshot(&mut log, &term, 400, 5);
    drop(log);
    let (mut log, term) = home.open().unwrap();
    let newest = log.snapshot().unwrap().unwrap();
    assert_eq!((newest.seq, newest.parts.len()), (Seq(400), 5));
    assert_eq!(newest.parts[4], "400/4".repeat(500).into_bytes());
    assert!(matches!(log.read(Seq(389), 1), Err(OpenError::Damaged(_))), "trimmed");
    assert_eq!(read_all(&mut log, 390).unwrap(), 400);
    append(&mut log, &term, 401..=402);
    let conn = &log.held.as_ref().unwrap().conn;
    let parts: i64 = conn.query_row("SELECT count(*) FROM snapshot", [], |row| row.get(0)).unwrap();
    assert_eq!(parts, 5, "parts of dropped snapshots are gone");
    let verdict = fsck(home.folder.path()).unwrap();
    assert!(verdict.is_sound() && verdict.savable == Some(402), "{verdict}");
}

#[test]
fn a_snapshot_at_the_very_end_can_leave_the_log_empty() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=5);
    snapshot(&mut log, &term, 5, 1);
    let conn = &log.held.as_ref().unwrap().conn;
    conn.execute("DELETE FROM log", []).unwrap();
    drop(log);
    let (mut log, term) = home.open().unwrap();
    assert_eq!((term.last, log.snapshot().unwrap().unwrap().seq), (Seq(5), Seq(5)));
    append(&mut log, &term, 6..=7);
    assert_eq!(read_all(&mut log, 5).unwrap(), 7);
    assert!(fsck(&home.file()).unwrap().is_sound());
}

#[test]
fn an_unfinished_snapshot_is_not_one_and_goes_at_the_next_trim() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=5);
    log.write_part(&term, Seq(5), 0, b"half").unwrap();
    assert_eq!(log.trim(&term).unwrap(), Trim::Done, "not while it is being written");
    let (mut log, term) = {
        drop(log);
        home.open().unwrap()
    };
    assert!(log.snapshot().unwrap().is_none());
    assert_eq!(log.trim(&term).unwrap(), Trim::More);
    assert_eq!(log.trim(&term).unwrap(), Trim::Done);
    let beyond = log.finish_snapshot(&term, Seq(6), 0);
    assert!(matches!(beyond, Err(AppendError::Ambiguous(_))));
}

#[test]
fn an_unacquired_log_says_so() {
    let home = Home::new();
    let mut log = SqliteLog::new(home.file());
    assert!(log.read(Seq(0), 1).unwrap_err().to_string().contains("was not acquired"));
    let term = Term { epoch: Epoch::new(1), last: Seq(0) };
    assert!(matches!(log.append(&term, Seq(1), WallMs(1), &[]), Err(AppendError::Fenced)));
}

/// Every format that was released opens: `golden-1.sql` is kept as it was written. A change of the
/// tables or of a sum fails here and needs a version of its own.
#[test]
fn the_first_format_opens() {
    let home = Home::new();
    let golden = Connection::open(home.file()).unwrap();
    golden.execute_batch(include_str!("tests/golden-1.sql")).unwrap();
    drop(golden);
    let verdict = fsck(&home.file()).unwrap();
    assert!(verdict.is_sound(), "{verdict}");
    assert_eq!((verdict.blocks, verdict.outputs, verdict.snapshots.len()), (1, 1, 2));
    let (mut log, term) = home.open().unwrap();
    assert_eq!((term.epoch, term.last), (Epoch::new(2), Seq(6)));
    let newest = log.snapshot().unwrap().unwrap();
    assert_eq!((newest.seq, newest.parts), (Seq(4), vec![b"four".to_vec()]));
    let rows = log.read(Seq(2), usize::MAX).unwrap();
    let data: Vec<_> = rows.iter().map(|row| row.data.as_slice()).collect();
    assert_eq!(data, [b"event 3", b"event 4", b"event 5", b"event 6"]);
    assert_eq!((rows[1].digest, rows[1].at), (Some([4; 16]), WallMs(1_004)));
    let mut reader = log.reader().unwrap();
    assert_eq!(reader.block(BlockId::new(9)).unwrap().unwrap(), b"block");
    let kept = reader.output(TaskId::new(1), None, Stream::Stdout).unwrap();
    assert_eq!(kept, Some(output(1, 1, b"kept")));
    log.append(&term, Seq(7), WallMs(1), &[batch(7)]).unwrap();
    // What is made today has the same tables.
    let today = Home::new();
    let (fresh, _) = today.open().unwrap();
    let tables = |conn: &Connection| -> Vec<String> {
        let select = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
        let mut select = conn.prepare(select).unwrap();
        select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let conn = |log: &SqliteLog| tables(&log.held.as_ref().unwrap().conn);
    assert_eq!(conn(&log), conn(&fresh));
    // An older program must not read what is written to it from here on.
    let version = |log: &SqliteLog| -> i64 {
        let conn = &log.held.as_ref().unwrap().conn;
        conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    };
    assert_eq!((version(&log), version(&fresh)), (schema::VERSION, schema::VERSION));
}

#[test]
fn room_in_the_wal_changes_nothing_that_is_read() {
    let home = Home::new();
    let wal = || std::fs::metadata(place::wal_of(&home.file())).unwrap().len();
    let mut last = 0;
    for _ in 0..3 {
        let mut log = SqliteLog::new(home.file()).with_room();
        let term = log.acquire(&me(), WallMs(1)).unwrap();
        assert_eq!(term.last, Seq(last));
        assert!(wal() >= room::WAL_BYTES, "{}", wal());
        append(&mut log, &term, last + 1..=last + 40);
        last += 40;
        assert!(wal() < room::WAL_BYTES + (2 << 20), "{}", wal());
        // As a `kill -9` leaves it, with zeros behind the last frame.
        let copy = Home::new();
        for name in ["store.db", "store.db-wal", "store.seq"] {
            std::fs::copy(home.folder.path().join(name), copy.folder.path().join(name)).unwrap();
        }
        // The next life fills it again behind its frames, of a head and a page each.
        let copied = place::wal_of(&copy.file());
        let bytes = std::fs::read(&copied).unwrap();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() - 32;
        let whole = 32 + (used / (24 + 8_192) + 1) * (24 + 8_192);
        let cut = std::fs::File::options().write(true).open(&copied).unwrap();
        cut.set_len(whole as u64).unwrap();
        let mut found = SqliteLog::new(copy.file()).with_room();
        let term = found.acquire(&me(), WallMs(2)).unwrap();
        assert_eq!(term.last, Seq(last));
        assert_eq!(read_all(&mut found, 0).unwrap(), last);
        append(&mut found, &term, last + 1..=last + 2);
    }
}

#[test]
fn the_log_is_kept_as_long_as_was_asked_for() {
    let check = |keep: KeepLog, first: u64| {
        let home = Home::new();
        let mut log = SqliteLog::new(home.file()).with_keep_log(keep);
        let term = log.acquire(&me(), WallMs(1)).unwrap();
        // Batch n is written at n ms.
        append(&mut log, &term, 1..=400);
        for seq in [100, 300, 390] {
            snapshot(&mut log, &term, seq, 3);
        }
        drop(log);
        let verdict = fsck(home.folder.path()).unwrap();
        assert!(verdict.is_sound() && verdict.snapshots.len() == 2, "{verdict}");
        assert_eq!(verdict.first, Some(first), "{keep}");
        let (mut log, _) = home.open().unwrap();
        assert_eq!(log.snapshot().unwrap().unwrap().seq, Seq(390));
        assert_eq!(read_all(&mut log, 390).unwrap(), 400);
    };
    let age = |ms| KeepLog::For(std::time::Duration::from_millis(ms));
    check(KeepLog::Needed, 301);
    check(age(350), 51);
    check(age(50), 301);
    check(age(1_000), 1);
    check(KeepLog::All, 1);
}
