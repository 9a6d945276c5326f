//! What damage must do: everything acknowledged is there, or the store is refused with a sentence.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use super::*;

/// Copies the files of a store as a `kill -9` or a pulled plug would leave them.
pub(super) fn copy(from: &Home) -> Home {
    copy_to(from, Home::new())
}

pub(super) fn copy_to(from: &Home, to: Home) -> Home {
    for name in ["store.db", "store.db-wal", "store.seq"] {
        let source = from.folder.path().join(name);
        if source.exists() {
            std::fs::copy(source, to.folder.path().join(name)).unwrap();
        }
    }
    to
}

/// Opens and reads all; either it is as it was or the sentence is a good one.
pub(super) fn check(home: &Home, acknowledged: u64) -> Result<u64, String> {
    let opened = home.open().and_then(|(mut log, term)| {
        let after = log.snapshot()?.map_or(0, |snapshot| {
            for (i, part) in snapshot.parts.iter().enumerate() {
                let expected = format!("{}/{i}", snapshot.seq.0).repeat(500);
                assert!(part == expected.as_bytes(), "part {i} changed unnoticed");
            }
            snapshot.seq.0
        });
        let last = read_all(&mut log, after)?;
        assert_eq!(last, term.last.0, "a replay ends where the term says");
        Ok(last)
    });
    match opened {
        Ok(last) => {
            assert!(last >= acknowledged, "opened with {last}, acknowledged {acknowledged}");
            Ok(last)
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.contains("store.db"), "names the file: {told}");
            match error {
                OpenError::Damaged(_) => assert!(told.contains("run `ganger fsck "), "{told}"),
                OpenError::Unusable(_) => {}
                OpenError::Held(_) => panic!("nobody holds it: {told}"),
            }
            Err(told)
        }
    }
}

/// A store in the middle of its life: the WAL holds the newest batches, the file older ones.
fn grown() -> (Home, SqliteLog) {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=120);
    snapshot(&mut log, &term, 60, 4);
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    log.held.as_ref().unwrap().conn.query_row(checkpoint, [], |_| Ok(())).unwrap();
    append(&mut log, &term, 121..=150);
    (home, log)
}

#[test]
fn a_copy_at_any_moment_opens_with_everything_acknowledged() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    for n in 1..=60 {
        append(&mut log, &term, n..=n);
        if n % 20 == 0 {
            snapshot(&mut log, &term, n, 2);
        }
        if n % 7 == 0 {
            assert_eq!(check(&copy(&home), n), Ok(n));
        }
    }
}

#[test]
fn a_cut_wal_is_refused_when_it_held_something_acknowledged() {
    let (home, _log) = grown();
    let length = std::fs::metadata(home.folder.path().join("store.db-wal")).unwrap().len();
    let mut refused = 0;
    for cut in (0..=40).map(|n| length * n / 40).chain([length - 1, 1, 31, 33]) {
        let copy = copy(&home);
        let wal = copy.folder.path().join("store.db-wal");
        std::fs::OpenOptions::new().write(true).open(wal).unwrap().set_len(cut).unwrap();
        match check(&copy, 150) {
            Ok(last) => assert_eq!((last, cut), (150, length)),
            Err(told) => {
                refused += 1;
                assert!(told.contains("batch 150 was acknowledged"), "cut at {cut}: {told}");
                assert!(told.contains("to 150 are missing"), "{told}");
            }
        }
    }
    assert_eq!(refused, 44);
}

#[test]
fn a_cut_database_is_refused() {
    let (home, _log) = grown();
    let length = std::fs::metadata(home.file()).unwrap().len();
    for cut in (0..40).map(|n| length * n / 40) {
        let copy = copy(&home);
        std::fs::OpenOptions::new().write(true).open(copy.file()).unwrap().set_len(cut).unwrap();
        let wal = std::fs::metadata(copy.folder.path().join("store.db-wal")).unwrap().len();
        // A page beyond the cut that nobody needs, or that the WAL has, is no loss.
        let _ = check(&copy, 150);
        if cut == 0 {
            let told = check(&copy, 150).unwrap_err();
            assert!(told.contains("empty or missing"), "{told}");
            let after = std::fs::metadata(copy.folder.path().join("store.db-wal")).unwrap().len();
            assert_eq!(after, wal, "what could be saved is left alone");
        }
    }
}

#[test]
fn flipped_bits_never_pass_unnoticed() {
    let (home, log) = grown();
    let seed = 0x5eed_u64;
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut refused, mut opened) = (0, 0);
    for round in 0..300 {
        let copy = copy(&home);
        let name = if round % 3 == 0 { "store.db-wal" } else { "store.db" };
        let path = copy.folder.path().join(name);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = random.u64(..file.metadata().unwrap().len());
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        byte[0] ^= 1 << random.u8(..8);
        file.write_all_at(&byte, at).unwrap();
        // Before the store is opened: fsck changes nothing that is then checked.
        let verdict = fsck(copy.folder.path());
        match check(&copy, 150) {
            Ok(_) => opened += 1,
            Err(told) => {
                refused += 1;
                let found = verdict.map(|verdict| verdict.is_sound());
                assert_ne!(found.ok(), Some(true), "{name} at {at}, seed {seed}: {told}");
            }
        }
    }
    drop(log);
    assert!(refused > 50, "the flips hit something: {refused} refused, {opened} opened");
}

#[test]
fn a_gap_a_forged_row_and_another_history_are_refused() {
    let cases = [
        ("DELETE FROM log WHERE seq = 130", "batches 130 to 130 are missing"),
        ("UPDATE log SET data = x'78' WHERE seq = 131", "batch 131 does not match the hash"),
        ("UPDATE log SET at = at + 1 WHERE seq = 132", "batch 132 does not match the hash"),
        ("UPDATE log SET digest = NULL WHERE seq = 136", "batch 136 does not match the hash"),
        ("UPDATE log SET seq = 1000 WHERE seq = 140", "batches 140 to 140 are missing"),
        ("DELETE FROM log WHERE seq > 148", "batches 149 to 150 are missing"),
        ("DELETE FROM log", "batches 61 to 150 are missing"),
        ("UPDATE log SET hash = zeroblob(16) WHERE seq = 150", "are not the ones"),
        ("UPDATE log SET hash = 'short' WHERE seq = 149", "batch 149"),
        ("UPDATE leader SET epoch = 0", "who leads is wrong"),
        ("DELETE FROM leader", "who leads is wrong"),
        ("DROP TABLE log", "no such table"),
        ("ALTER TABLE snapshot_head DROP COLUMN parts", "no such column"),
    ];
    for (sql, expected) in cases {
        let (home, log) = grown();
        drop(log);
        Connection::open(home.file()).unwrap().execute_batch(sql).unwrap();
        let verdict = fsck(home.folder.path()).unwrap();
        assert!(!verdict.is_sound(), "{sql}: {verdict}");
        let told = check(&home, 150).unwrap_err();
        assert!(told.contains(expected), "{sql}: {told}");
    }
}

#[test]
fn another_history_of_the_same_length_is_refused() {
    let (home, log) = grown();
    drop(log);
    let other = Home::new();
    let (mut log, term) = other.open().unwrap();
    let group: Vec<Batch> = (1..=150).map(batch).collect();
    log.append(&term, Seq(1), WallMs(77), &group).unwrap();
    drop(log);
    assert!(fsck(&other.file()).unwrap().is_sound());
    let record = |home: &Home| home.file().with_extension("seq");
    std::fs::copy(record(&home), record(&other)).unwrap();
    assert!(!fsck(&other.file()).unwrap().is_sound());
    let told = check(&other, 150).unwrap_err();
    assert!(told.contains("are not the ones that were acknowledged"), "{told}");
}

#[test]
fn fsck_names_the_range_and_what_can_be_saved() {
    let (home, log) = grown();
    drop(log);
    let conn = Connection::open(home.file()).unwrap();
    conn.execute("UPDATE log SET data = x'78' WHERE seq = 100", []).unwrap();
    let verdict = fsck(home.folder.path()).unwrap();
    assert_eq!(verdict.savable, Some(99));
    assert_eq!(verdict.broken[0].batches, Some((100, 150)));
    let shown = verdict.to_string();
    assert!(shown.contains("savable      everything up to batch 99"), "{shown}");
    assert!(serde_json::to_string(&verdict).unwrap().contains("\"savable\":99"));
    // A break that a whole snapshot covers costs nothing but is still told.
    conn.execute("UPDATE log SET data = x'78' WHERE seq = 30", []).unwrap();
    assert_eq!(fsck(home.folder.path()).unwrap().savable, Some(99));
}

#[test]
fn a_bad_snapshot_falls_back_to_the_older_one() {
    let (home, mut log) = grown();
    let term = Term { epoch: Epoch::new(1), last: Seq(150) };
    snapshot(&mut log, &term, 140, 3);
    drop(log);
    let bad = [
        "UPDATE snapshot SET data = x'78' WHERE seq = 140 AND part = 1",
        "DELETE FROM snapshot WHERE seq = 140 AND part = 2",
        "UPDATE snapshot_head SET parts = 4 WHERE seq = 140",
        "UPDATE snapshot_head SET hash = 'x' WHERE seq = 140",
        "UPDATE snapshot_head SET log_hash = zeroblob(16) WHERE seq = 140",
    ];
    for sql in bad {
        let copy = copy(&home);
        Connection::open(copy.file()).unwrap().execute_batch(sql).unwrap();
        assert!(fsck(copy.folder.path()).unwrap().is_sound(), "{sql}");
        let (mut log, term) = copy.open().unwrap();
        assert_eq!(log.snapshot().unwrap().unwrap().seq, Seq(60), "{sql}");
        assert_eq!(read_all(&mut log, 60).unwrap(), 150);
        // The bad one does not count as kept, and is written anew.
        snapshot(&mut log, &term, 140, 3);
        assert_eq!(log.snapshot().unwrap().unwrap().seq, Seq(140));
        assert_eq!(read_all(&mut log, 60).unwrap(), 150);
    }
    let both = "UPDATE snapshot SET data = x'78'";
    Connection::open(home.file()).unwrap().execute_batch(both).unwrap();
    let told = check(&home, 150).unwrap_err();
    assert!(told.contains("no snapshot is whole") && told.contains("1 to 60 are gone"), "{told}");
    assert!(!fsck(home.folder.path()).unwrap().is_sound());
}

#[test]
fn other_versions_and_other_databases_are_refused() {
    let (home, log) = grown();
    drop(log);
    let conn = Connection::open(home.file()).unwrap();
    conn.execute_batch("PRAGMA user_version = 9; UPDATE meta SET value = 'ganger 9.1'").unwrap();
    drop(conn);
    let told = home.open().unwrap_err();
    assert!(matches!(told, OpenError::Unusable(_)));
    let told = told.to_string();
    assert!(told.contains("it has format 9, written by ganger 9.1; this is ganger "), "{told}");
    assert!(fsck(home.folder.path()).unwrap_err().to_string().contains("format 9"));

    let other = Home::new();
    Connection::open(other.file()).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let told = other.open().unwrap_err().to_string();
    assert!(told.contains("a database of another program"), "{told}");
    let text = Home::new();
    std::fs::write(text.file(), "not a database, but long enough to be taken for one".repeat(99))
        .unwrap();
    assert!(matches!(text.open().unwrap_err(), OpenError::Damaged(_)));
}

#[test]
fn a_bad_body_fails_its_own_read_only() {
    let home = Home::new();
    let (mut log, term) = home.open().unwrap();
    let blocks = vec![(BlockId::new(1), b"one".to_vec()), (BlockId::new(2), b"two".to_vec())];
    log.append(&term, Seq(1), WallMs(1), &[Batch { blocks, ..batch(1) }]).unwrap();
    let conn = Connection::open(home.file()).unwrap();
    conn.execute("UPDATE result_block SET data = x'6f4e65' WHERE id = 1", []).unwrap();
    let mut reader = log.reader().unwrap();
    let told = reader.block(BlockId::new(1)).unwrap_err().to_string();
    assert!(told.contains("result block 1 does not match its hash"), "{told}");
    assert_eq!(reader.block(BlockId::new(2)).unwrap().unwrap(), b"two");
    let verdict = fsck(home.folder.path()).unwrap();
    assert!(!verdict.is_sound() && verdict.to_string().contains("1 of 2 result blocks"));
}

#[test]
fn a_lost_or_bad_record_of_the_acknowledged_is_no_damage() {
    let (home, log) = grown();
    drop(log);
    let record = home.file().with_extension("seq");
    for bytes in [Some(b"".as_slice()), Some(b"nonsense"), Some(&[7; 32]), None] {
        match bytes {
            Some(bytes) => std::fs::write(&record, bytes).unwrap(),
            None => std::fs::remove_file(&record).unwrap(),
        }
        assert_eq!(check(&home, 150), Ok(150));
        let acknowledged = read_acknowledged(&home.file());
        assert!(matches!(acknowledged, Acknowledged::At(tip) if tip.seq == Seq(150)));
    }
}

#[test]
fn a_read_only_folder_gets_a_sentence() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may write a read-only folder");
        return;
    }
    let home = Home::new();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(home.folder.path(), mode(0o500)).unwrap();
    let told = home.open().unwrap_err().to_string();
    std::fs::set_permissions(home.folder.path(), mode(0o700)).unwrap();
    assert!(told.contains("give this user the right to write"), "{told}");
}

const FULL_FOLDER: &str = "GANGER_TEST_STORE_FULL";

/// Runs only as the child of the test below, on a disk of 4 MiB.
#[test]
#[ignore = "needs the small disk that the next test makes"]
fn child_that_fills_its_disk() {
    let Some(folder) = std::env::var_os(FULL_FOLDER) else { return };
    let file = Path::new(&folder).join("store.db");
    let ballast = file.with_extension("ballast");
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap();
    let (mut log, term) = open(&file).unwrap();
    let mut n = 0;
    let told = loop {
        let group: Vec<Batch> = (n + 1..=n + 10).map(batch).collect();
        match log.append(&term, Seq(n + 1), WallMs(1), &group) {
            Ok(()) => n += 10,
            Err(error) => break error,
        }
    };
    assert!(matches!(told, AppendError::Full(_)) && n > 0, "{told} after {n}");
    assert_eq!(read_all(&mut log, 0).unwrap(), n, "nothing of the refused group is there");
    std::fs::remove_file(ballast).unwrap();
    append(&mut log, &term, n + 1..=n + 20);
    drop(log);
    assert_eq!(read_all(&mut open(&file).unwrap().0, 0).unwrap(), n + 20);
    println!("filled, went on and opened again");
}

#[test]
fn a_really_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=4m,mode=700 tmpfs \"$0\" && echo mounted && exec \"$@\"";
    let ran = Command::new("unshare")
        .args(["-rm", "sh", "-c", mount])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["child_that_fills_its_disk", "--ignored", "--nocapture"])
        .env(FULL_FOLDER, folder.path())
        .output();
    let Ok(ran) = ran else { return println!("skipped: there is no `unshare` here") };
    let told = String::from_utf8_lossy(&ran.stdout);
    if !told.contains("mounted") {
        return println!("skipped: this user may not mount a small disk");
    }
    let errors = String::from_utf8_lossy(&ran.stderr);
    assert!(told.contains("filled, went on and opened again"), "{told}\n{errors}");
}

const CHILD_FILE: &str = "GANGER_TEST_STORE_CHILD";

/// Runs only as the child of the test below.
#[test]
#[ignore = "the process that the next test kills"]
fn child_that_appends_until_killed() {
    let Some(file) = std::env::var_os(CHILD_FILE) else { return };
    let (mut log, term) = open(Path::new(&file)).unwrap();
    let mut out = std::io::stdout();
    for n in term.last.0 + 1.. {
        append(&mut log, &term, n..=n);
        writeln!(out, "acknowledged {n}").unwrap();
        if n % 50 == 0 {
            snapshot(&mut log, &term, n, 3);
        }
    }
}

#[test]
fn kill_nine_loses_nothing_acknowledged() {
    let home = Home::new();
    let mut acknowledged = 0;
    for more in [1, 13, 49, 51, 77] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["child_that_appends_until_killed", "--ignored", "--nocapture"])
            .env(CHILD_FILE, home.file())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let until = acknowledged + more;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let Some((_, number)) = line.split_once("acknowledged ") else { continue };
            acknowledged = number.parse().unwrap();
            if acknowledged >= until {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(acknowledged >= until, "the child lived until it was killed");
        acknowledged = check(&home, acknowledged).unwrap();
    }
}
