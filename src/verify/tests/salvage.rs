//! Salvage: what is saved opens, is proven, and what is uncertain is said.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::*;
use super::stores::{LATER, LIFE, Written};
use crate::engine::event;
use crate::engine::ledger::Ledger;
use crate::store::{FencedLog, Holder, KeepLog, SqliteLog};
use ganger_proto::WallMs;

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
