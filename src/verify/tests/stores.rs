//! Stores that a real engine wrote, whole and tampered with.

use std::path::PathBuf;

use rusqlite::Connection;

use super::super::*;
use crate::engine::tests::bench::Bench;
use crate::store::{Batch, FencedLog, Holder, KeepLog, Output, OutputKey, SqliteLog, Term};
use ganger_proto::command::Stream;
use ganger_proto::{TaskId, WallMs};

/// A store that an engine writes, a batch of the journal for each turn.
pub(super) struct Written {
    folder: tempfile::TempDir,
    bench: Bench,
    log: Option<(SqliteLog, Term)>,
    next: u64,
}

impl Written {
    pub(super) fn new(keep: KeepLog) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut written = Self { folder, bench: Bench::new(), log: None, next: 1 };
        let mut log = SqliteLog::new(written.file()).with_keep_log(keep);
        let term = log.acquire(&Holder { pid: 1, host: "h".to_owned() }, WallMs(1)).unwrap();
        written.log = Some((log, term));
        written.store();
        written
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// Runs a script of the engine's bench and stores what it gave.
    pub(super) fn run(&mut self, script: &str) {
        self.bench.run(script);
        self.store();
    }

    fn store(&mut self) {
        let (log, term) = self.log.as_mut().unwrap();
        let (written, bodies) = (&self.bench.written, &self.bench.bodies);
        assert_eq!(written.len(), bodies.len());
        let from = usize::try_from(self.next).unwrap() - 1;
        for (data, bodies) in written.iter().zip(bodies).skip(from) {
            let newest = written.len() as u64 == self.next;
            let digest = newest.then(|| self.bench.engine.ledger().digest());
            let (blocks, drop_blocks) = (bodies.blocks.clone(), bodies.drop_blocks.clone());
            let data = data.clone();
            let batch = Batch { data, digest, blocks, drop_blocks, ..Batch::default() };
            log.append(term, Seq(self.next), WallMs(self.next), &[batch]).unwrap();
            self.next += 1;
        }
    }

    /// Takes a snapshot of what was stored.
    pub(super) fn snapshot(&mut self) {
        let (log, term) = self.log.as_mut().unwrap();
        let mut parts = self.bench.engine.ledger().snapshot();
        log.install_snapshot(term, Seq(self.next - 1), &mut parts).unwrap();
    }

    /// Stores outputs of a task's first attempt: a short one, and a long one in a part.
    pub(super) fn put_outputs(&mut self, task: u64) {
        let (log, term) = self.log.as_mut().unwrap();
        let of = |stream| OutputKey { task: TaskId::new(task), attempt: 1, stream };
        let long = of(Stream::Stderr);
        log.write_output_part(term, long, 0, b"long").unwrap();
        let output = |key: OutputKey, head, bytes: &[u8]| {
            let OutputKey { task, attempt, stream } = key;
            Output { task, attempt, stream, head, skipped: 0, bytes: bytes.to_vec() }
        };
        let outputs = vec![output(of(Stream::Stdout), 2, b"short"), output(long, 4, b"")];
        let batch = Batch { data: event::encode(&[]), outputs, ..Batch::default() };
        log.append(term, Seq(self.next), WallMs(self.next), &[batch]).unwrap();
        self.bench.written.push(event::encode(&[]));
        self.bench.bodies.push(crate::engine::input::Output::default());
        self.next += 1;
    }

    /// Closes the store and tampers with it.
    pub(super) fn tamper(&mut self, sql: &str) {
        self.log = None;
        Connection::open(self.file()).unwrap().execute_batch(sql).unwrap();
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engine's digest of its state.
    pub(super) fn digest(&self) -> [u8; 16] {
        self.bench.engine.ledger().digest()
    }

    pub(super) fn verify(&self) -> Report {
        verify(self.folder.path(), |at| assert!(at.done <= at.total, "{at:?}")).unwrap()
    }

    pub(super) fn newest(&self) -> u64 {
        self.next - 1
    }
}

/// A life with ends of every kind, a second attempt, and batches that wait.
pub(super) const LIFE: &str = "join a hold=6 slots=6; submit 4 retries=1; submit 2 after=1; start 1; start 2; \
     done 1; fail 2; output 3; wait 500; release 3; done 2; kill 3; submit 3 delay=5000; \
     done 4; priority 5 3; join b hold=9 slots=9";
pub(super) const LATER: &str = "submit 5; join a hold=6 slots=6; leave a; wait 9000; retry 3; join b hold=9; \
     submit 1 after=5:any; delete 1; wait 9000; pause default; submit 2";

#[test]
fn a_real_store_is_proven_from_its_very_beginning() {
    let mut written = Written::new(KeepLog::All);
    written.run(LIFE);
    written.snapshot();
    written.run(LATER);
    written.snapshot();
    written.run("resume default; submit 4 retries=2");
    let report = written.verify();
    assert!(report.is_proven(), "{report}");
    assert_eq!((report.begins_after, report.batches), (0, written.newest()));
    assert_eq!((report.snapshots.len(), report.acknowledged), (2, Some(written.newest())));
    assert!(report.digests >= 4 && report.results >= 3, "{report}");
    let ledger = written.bench.engine.ledger();
    assert_eq!(report.submitted, ledger.next_task - 1);
    assert_eq!(report.tasks.open(), ledger.tally.open());
    assert_eq!(report.tasks.ended(), ledger.tally.ended());
    assert!(report.removed > 0, "{report}");
    let shown = report.to_string();
    assert!(shown.contains(": proven") && shown.contains("from the very first"), "{shown}");
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
}

#[test]
fn a_trimmed_store_is_proven_from_its_oldest_snapshot() {
    let mut written = Written::new(KeepLog::Needed);
    written.run(LIFE);
    let first = written.newest();
    written.snapshot();
    written.run("submit 2 retries=1");
    written.snapshot();
    written.run(LATER);
    let report = written.verify();
    assert!(report.is_proven(), "{report}");
    assert_eq!((report.begins_after, report.last), (first, written.newest()));
    assert_eq!(report.snapshots.len(), 1);
    assert!(report.to_string().contains(&format!("as the snapshot at {first} says")), "{report}");
    // An older snapshot that is bad shortens the proof.
    written.tamper(&format!("UPDATE snapshot SET data = x'78' WHERE seq = {first}"));
    let report = written.verify();
    assert!(report.is_proven() && report.begins_after > first, "{report}");
}

#[test]
fn a_store_is_proven_while_its_master_writes() {
    let mut written = Written::new(KeepLog::Needed);
    written.run(LIFE);
    assert!(written.log.is_some());
    assert!(written.verify().is_proven());
    written.run(LATER);
    assert_eq!(written.verify().last, written.newest());
}

#[test]
fn a_store_that_was_tampered_with_is_not_proven() {
    let check = |sql: &str, expected: &str| {
        let mut written = Written::new(KeepLog::All);
        written.run(LIFE);
        written.snapshot();
        written.run("submit 2");
        written.tamper(sql);
        let report = written.verify();
        let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        assert!(found.iter().any(|one| one.contains(expected)), "{sql}: {report}");
        assert!(report.to_string().contains("NOT PROVEN"), "{report}");
    };
    check("DELETE FROM log WHERE seq = 9", "batches 9 to 9 are missing");
    check("UPDATE log SET data = x'78' WHERE seq = 8", "batch 8 does not match the hash");
    check("DELETE FROM log WHERE seq > 12", "are missing");
    check(
        "DELETE FROM result_block WHERE id = 1",
        "task 1 has a result in blk1, which is not there",
    );
    check("UPDATE result_block SET data = x'00' WHERE id = 1", "blk1 do not match their sum");
    check("UPDATE leader SET epoch = 9", "who leads does not match its sum");
}

/// Writes a row that its own sum vouches for, as a program would that does not keep the rules.
fn forge_block(written: &mut Written, id: u64, block: &crate::engine::results::Block) {
    let (log, term) = written.log.as_mut().unwrap();
    let blocks = vec![(BlockId::new(id), block.encode())];
    let batch = Batch { data: event::encode(&[]), blocks, ..Batch::default() };
    log.append(term, Seq(written.next), WallMs(9), &[batch]).unwrap();
    written.next += 1;
}

#[test]
fn results_that_are_not_their_tasks_are_found() {
    use crate::engine::results::{Block, StoredEnd};
    use ganger_proto::{Ended, Epoch, LeaseId, Outcome};
    let check = |task: u64, counter: u64, outcome: Outcome, expected: &str| {
        let mut written = Written::new(KeepLog::All);
        written.run("join a hold=2 slots=2; submit 2; done 1");
        let lease = LeaseId { epoch: Epoch::new(1), counter };
        let end = StoredEnd { task: TaskId::new(task), ended: Ended::bare(lease, outcome, 1) };
        let block = Block { done: Vec::new(), ended: vec![end] };
        forge_block(&mut written, 1, &block);
        let report = written.verify();
        let found: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
        match expected {
            "" => assert!(report.is_proven(), "{report}"),
            expected => assert!(found.iter().any(|one| one.contains(expected)), "{report}"),
        }
    };
    check(1, 1, Outcome::Done, "");
    check(1, 2, Outcome::Done, "but blk1 has a result of 1.2");
    check(1, 1, Outcome::Lost, "but blk1 has a result of 1.1, Lost");
    check(2, 2, Outcome::Done, "task 2 has a result in blk1 under 1.2, under which it never ended");
    check(9, 1, Outcome::Done, "task 1 has a result in blk1, which lacks it");
}

#[test]
fn a_digest_and_a_snapshot_of_another_state_are_found() {
    let mut written = Written::new(KeepLog::All);
    written.run("submit 2");
    let other = Bench::new();
    let (log, term) = written.log.as_mut().unwrap();
    let mut parts = other.engine.ledger().snapshot();
    log.install_snapshot(term, Seq(written.next - 1), &mut parts).unwrap();
    let batch = Batch { data: event::encode(&[]), digest: Some([7; 16]), ..Batch::default() };
    log.append(term, Seq(written.next), WallMs(9), &[batch]).unwrap();
    let report = written.verify();
    let found: Vec<String> = report.findings.iter().map(|one| one.what.clone()).collect();
    for expected in ["other newest ids", "other batches", "task 1 is", "whose digest was written"] {
        assert!(found.iter().any(|one| one.contains(expected)), "{expected}: {report}");
    }
}

/// All of a young store but its first page is in the WAL. When that was lost the store had no
/// tables, and was called proven.
#[test]
fn a_young_store_whose_wal_is_lost_is_damaged() {
    let mut written = Written::new(KeepLog::All);
    written.run("submit 2");
    let copy = |names: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::copy(written.folder().join(name), folder.path().join(name)).unwrap();
        }
        folder
    };
    let damaged = |folder: &Path, expected: &str| match verify(folder, |_| {}) {
        Err(OpenError::Damaged(what)) => assert!(what.contains(expected), "{what}"),
        other => panic!("{other:?}"),
    };
    let whole = copy(&["store.db", "store.db-wal", "store.seq"]);
    let report = verify(whole.path(), |_| {}).unwrap();
    assert!(report.is_proven() && report.last == written.newest(), "{report}");
    let lost = copy(&["store.db", "store.seq"]);
    damaged(lost.path(), &format!("batches 1 to {} are missing", written.newest()));
    assert!(!crate::store::fsck(lost.path()).unwrap().is_sound());
    std::fs::write(lost.path().join("store.seq"), [7; 32]).unwrap();
    damaged(lost.path(), "was noted but cannot be read");
    let torn = copy(&["store.db", "store.db-wal"]);
    let wal = torn.path().join("store.db-wal");
    let mut bytes = std::fs::read(&wal).unwrap();
    bytes[..32].fill(0);
    std::fs::write(&wal, &bytes).unwrap();
    damaged(torn.path(), "its WAL is not");
    assert!(!crate::store::fsck(torn.path()).unwrap().is_sound());
    // Zeros keep room in a WAL; with nothing else nothing was ever written.
    bytes.fill(0);
    std::fs::write(&wal, &bytes).unwrap();
    assert!(verify(torn.path(), |_| {}).unwrap().is_proven());
}

#[test]
fn a_store_in_which_nothing_happened_is_proven() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("store.db"), b"").unwrap();
    let report = verify(folder.path(), |_| {}).unwrap();
    assert!(report.is_proven() && report.to_string().contains("nothing was ever written"));
    assert!(verify(&folder.path().join("no"), |_| {}).is_err());
}
