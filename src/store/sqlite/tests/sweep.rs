//! A small store cut at every 512 bytes, and with bits flipped all over it: everything acknowledged
//! is there, or it is refused with its sentence. Never a panic, never silently less.

use std::os::unix::fs::FileExt;

use super::damage::{check, copy_to};
use super::*;

/// Bits that the test command flips; the long form flips [`FLIPS_LONG`].
const FLIPS: u32 = 4_000;
const FLIPS_LONG: u32 = 50_000;
/// The newest batch of [`small`], which was acknowledged.
const NEWEST: u64 = 18;

/// Some pages in the file, some commits in the WAL, two snapshots.
fn small() -> (Home, SqliteLog) {
    let home = Home::quick();
    let (mut log, term) = home.open().unwrap();
    append(&mut log, &term, 1..=9);
    snapshot(&mut log, &term, 5, 2);
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    log.held.as_ref().unwrap().conn.query_row(checkpoint, [], |_| Ok(())).unwrap();
    append(&mut log, &term, 10..=15);
    snapshot(&mut log, &term, 12, 1);
    append(&mut log, &term, 16..=NEWEST);
    (home, log)
}

fn bytes_of(home: &Home, name: &str) -> u64 {
    std::fs::metadata(home.folder.path().join(name)).unwrap().len()
}

#[test]
fn a_store_cut_at_any_sector_opens_with_everything_or_says_so() {
    let (home, _log) = small();
    let (mut refused, mut opened) = (0, 0);
    for name in ["store.db", "store.db-wal", "store.seq"] {
        let length = bytes_of(&home, name);
        assert!(length < 600_000, "{name} has {length} bytes: the store is not small");
        for cut in (0..length).step_by(512) {
            let copy = copy_to(&home, Home::quick());
            let file = copy.folder.path().join(name);
            let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
            file.set_len(cut).unwrap();
            match check(&copy, NEWEST) {
                Ok(last) => {
                    opened += 1;
                    assert_eq!(last, NEWEST, "{name} cut at {cut}");
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 100, "the cuts hit something: {refused} refused, {opened} opened");
}

fn flip(flips: u32, seed: u64) {
    let (home, _log) = small();
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut refused, mut opened) = (0, 0);
    for round in 0..flips {
        let copy = copy_to(&home, Home::quick());
        let name = ["store.db", "store.db-wal", "store.db", "store.seq"][round as usize % 4];
        let path = copy.folder.path().join(name);
        let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        let at = random.u64(..file.metadata().unwrap().len());
        let bit = random.u8(..8);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        byte[0] ^= 1 << bit;
        file.write_all_at(&byte, at).unwrap();
        match check(&copy, NEWEST) {
            Ok(last) => {
                opened += 1;
                assert_eq!(last, NEWEST, "{name}, bit {bit} of byte {at}, seed {seed}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > flips / 10, "the flips hit something: {refused} refused, {opened} opened");
}

#[test]
fn a_store_with_a_flipped_bit_opens_with_everything_or_says_so() {
    flip(FLIPS, 0x5eed);
}

/// Two minutes: `cargo test --lib --locked -- --ignored fifty_thousand_flipped_bits`.
#[test]
#[ignore = "the long form of the test above"]
fn fifty_thousand_flipped_bits() {
    flip(FLIPS_LONG, 0x10_5eed);
}
