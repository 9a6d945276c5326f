//! Salvage: what is saved opens, is proven, and what is uncertain is said.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::*;
use super::BASE;
use super::stores::{LATER, LIFE, Written};
use crate::engine::event;
use crate::engine::ledger::Ledger;
use crate::engine::results::{Block, StoredEnd, StoredRun};
use crate::store::{Batch, FencedLog, Holder, KeepLog, SqliteLog};
use ganger_proto::{Ended, Epoch, LeaseId, Outcome, TaskId, WallMs};

/// Opens a store as a master does; returns its state and its epoch.
pub(super) fn open(folder: &Path) -> (Ledger, u32) {
    let mut log = SqliteLog::new(folder.join("store.db"));
    let me = Holder { pid: 1, host: "h".to_owned() };
    let term = log.acquire(&me, WallMs(1)).unwrap();
    let snapshot = log.snapshot().unwrap();
    let mut at = snapshot.as_ref().map_or(Seq(0), |snapshot| snapshot.seq);
    let mut ledger = match snapshot {
        Some(snapshot) => Ledger::restore(snapshot.parts).unwrap(),
        None => Ledger::new(),
    };
    while at < term.last {
        for row in log.read(at, 1 << 20).unwrap() {
            event::decode(&row.data).unwrap().iter().for_each(|event| ledger.apply(event));
            at = row.seq;
        }
    }
    (ledger, term.epoch.raw())
}

fn bytes(folder: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap())).collect()
}

/// Salvages; checks that the old folder is as it was and that the new store opens and is proven.
pub(super) fn save(from: &Path) -> (Salvaged, Ledger) {
    let before = bytes(from);
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("saved");
    let saved = salvage(from, &into).unwrap();
    assert!(bytes(from) == before, "the old folder changed");
    let report = verify(&into, |_| {}).unwrap();
    assert!(report.is_proven(), "{saved}\n{report}");
    assert_eq!((report.last, report.begins_after), (saved.last, saved.begins_after));
    assert!(crate::store::fsck(&into).unwrap().is_sound());
    let (ledger, epoch) = open(&into);
    assert!(epoch > 1, "no epoch is used twice");
    let refused = salvage(from, &into).unwrap_err().to_string();
    assert!(refused.contains("it is there already"), "{refused}");
    let json = serde_json::to_string(&saved).unwrap();
    assert_eq!(serde_json::from_str::<Salvaged>(&json).unwrap(), saved);
    (saved, ledger)
}

fn doubts(saved: &Salvaged) -> Vec<(u64, u64, Doubt)> {
    saved.uncertain.iter().map(|one| (one.first, one.count, one.why)).collect()
}

#[test]
fn a_sound_store_is_saved_whole() {
    for keep in [KeepLog::All, KeepLog::Needed] {
        let mut written = Written::new(keep);
        written.run(LIFE);
        written.snapshot();
        written.run("submit 2");
        written.snapshot();
        written.run(LATER);
        let digest = written.digest();
        let newest = written.newest();
        written.tamper("");
        let (saved, ledger) = save(written.folder());
        assert_eq!((saved.last, saved.lost, saved.blocks_left), (newest, None, 0));
        assert_eq!(saved.begins_after == 0, keep == KeepLog::All);
        assert_eq!(doubts(&saved), []);
        assert_eq!(ledger.digest(), digest);
    }
}

#[test]
fn what_is_before_a_break_is_saved_and_what_is_behind_it_is_told() {
    let mut written = Written::new(KeepLog::All);
    written.run("join a hold=4 slots=4; submit 5; done 1; start 2");
    let good = written.newest();
    written.run("priority 5 9; done 2; done 3; submit 7");
    written.tamper(&format!("UPDATE log SET data = x'00' WHERE seq = {}", good + 1));
    let (saved, ledger) = save(written.folder());
    assert_eq!((saved.last, saved.lost), (good, Some((good + 1, written.newest()))));
    assert_eq!((saved.submitted_later, ledger.next_task), (7, 6));
    // 2 and 3 have results of which nothing tells; 4 and 5 may have changed.
    let expected = [(2, 2, Doubt::EndedLater), (4, 2, Doubt::Open)];
    let found = doubts(&saved);
    assert_eq!(found[0], expected[0], "{saved}");
    assert_eq!(found.last().map(|(first, count, _)| first + count), Some(6), "{saved}");
    let shown = saved.to_string();
    assert!(shown.contains("tasks 2 to 3, leased here: it ended in a batch"), "{shown}");
    assert!(shown.contains("7 that came later are lost"), "{shown}");
}

#[test]
fn the_snapshot_that_leads_farthest_is_taken() {
    let mut written = Written::new(KeepLog::All);
    written.run("join a hold=4 slots=4; submit 5; done 1");
    let broken = written.newest();
    written.run("done 2");
    written.snapshot();
    let taken = written.newest();
    written.run("done 3");
    written.tamper(&format!("DELETE FROM log WHERE seq = {broken}"));
    let (saved, ledger) = save(written.folder());
    assert_eq!((saved.begins_after, saved.last), (taken, written.newest()));
    assert_eq!((saved.lost, doubts(&saved)), (None, vec![]));
    assert_eq!(ledger.tally.ended(), 3);
}

#[test]
fn lost_results_leave_a_sentence() {
    let mut written = Written::new(KeepLog::All);
    written.run("join a hold=4 slots=4; submit 3; done 1; fail 2");
    written.tamper("UPDATE result_block SET data = x'07' WHERE id <= 2");
    let (saved, ledger) = save(written.folder());
    assert_eq!((saved.blocks_left, ledger.tally.ended()), (2, 2));
    let expected = [(1, 1, Doubt::ResultLost), (2, 1, Doubt::ResultLost)];
    assert_eq!(doubts(&saved), expected, "{saved}");
}

/// A whole block that contradicts one task's result was replaced by the sentence about that task:
/// the good results in it were gone, and nobody was told.
#[test]
fn a_result_that_contradicts_its_task_takes_no_other_with_it() {
    let lease = |counter| LeaseId { epoch: Epoch::new(1), counter };
    let mut first = Ended::bare(lease(1), Outcome::Done, 5);
    first.stdout = b"one".to_vec();
    let run = StoredRun {
        first: TaskId::new(1),
        lease: lease(8),
        took_us: vec![5, 5],
        results: [&b"x"[..], b"y"].into_iter().collect(),
    };
    let ended = vec![StoredEnd { task: TaskId::new(1), ended: first }];
    let block = Block { done: vec![run], ended };
    let place = tempfile::tempdir().unwrap();
    let (old, into) = (place.path().join("old"), place.path().join("saved"));
    std::fs::create_dir(&old).unwrap();
    write(&old, &format!("{BASE}; end 1 1.1+2 done report=1/1"), &block);
    let saved = salvage(&old, &into).unwrap();
    assert_eq!(doubts(&saved), [(2, 1, Doubt::ResultLost)], "{saved}");
    let report = verify(&into, |_| {}).unwrap();
    assert!(report.is_proven(), "{report}");
    let mut log = SqliteLog::new(into.join("store.db"));
    log.acquire(&Holder { pid: 1, host: "h".to_owned() }, WallMs(1)).unwrap();
    let data = log.reader().unwrap().block(BlockId::new(1)).unwrap().unwrap();
    let block = Block::decode(&data).unwrap();
    assert_eq!(block.find(TaskId::new(1)).unwrap().stdout, b"one");
    assert!(block.find(TaskId::new(2)).unwrap().message.contains("the store was damaged"));
}

/// Writes a store of a script of events, a batch a line; with the last comes a block of results.
fn write(folder: &Path, script: &str, block: &Block) {
    let mut log = SqliteLog::new(folder.join("store.db")).with_keep_log(KeepLog::All);
    let term = log.acquire(&Holder { pid: 1, host: "h".to_owned() }, WallMs(1)).unwrap();
    let lines: Vec<&str> = script.split(';').map(str::trim).collect();
    for (line, seq) in lines.iter().zip(1..) {
        let data = event::encode(&[super::event(line)]);
        let blocks = vec![(BlockId::new(1), block.encode())];
        let blocks = if seq == lines.len() as u64 { blocks } else { Vec::new() };
        let batch = Batch { data, blocks, ..Batch::default() };
        log.append(&term, Seq(seq), WallMs(seq), &[batch]).unwrap();
    }
}

#[test]
fn a_lost_record_of_who_leads_skips_epochs() {
    let mut written = Written::new(KeepLog::All);
    written.run("submit 3");
    written.tamper("DELETE FROM leader");
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("saved");
    salvage(written.folder(), &into).unwrap();
    assert!(open(&into).1 > 1_000);
}

#[test]
fn what_cannot_be_saved_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("saved");
    let mut written = Written::new(KeepLog::Needed);
    written.run("submit 3");
    let held = salvage(written.folder(), &into).unwrap_err().to_string();
    assert!(held.contains("has this home"), "{held}");
    written.tamper("DELETE FROM log");
    let nothing = salvage(written.folder(), &into).unwrap_err().to_string();
    assert!(nothing.contains("nothing that hangs together"), "{nothing}");
    assert!(!into.exists(), "nothing is left behind");
}

#[test]
fn any_flipped_bit_leaves_a_store_that_is_proven_or_refused() {
    let mut written = Written::new(KeepLog::All);
    written.run(LIFE);
    written.snapshot();
    written.run(LATER);
    written.tamper("PRAGMA wal_checkpoint(TRUNCATE)");
    let whole = std::fs::read(written.file()).unwrap();
    let mut random = fastrand::Rng::with_seed(0x5a1);
    let (mut saved, mut proven) = (0, 0);
    for _ in 0..FLIPS {
        let mut bytes = whole.clone();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let old = place.path().join("old");
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join("store.db"), &bytes).unwrap();
        proven += u32::from(verify(&old, |_| {}).is_ok_and(|report| report.is_proven()));
        let into = place.path().join("saved");
        if salvage(&old, &into).is_err() {
            continue;
        }
        saved += 1;
        let report = verify(&into, |_| {}).unwrap();
        assert!(report.is_proven(), "byte {at}: {report}");
        open(&into);
    }
    assert!(saved > FLIPS / 2 && proven < FLIPS, "{saved} saved, {proven} proven");
}

const FLIPS: u32 = 150;
