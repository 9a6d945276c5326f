//! The trust log: a file is replayed as far as it is whole, a change is found and never believed,
//! and the registry takes whatever entries say.
//!
//! The first byte says what the others are: a file; payloads that are written to a file, which is
//! then cut or changed; or records, one after another.

use ganger_proto::WallMs;

use super::pieces;
use crate::pki::record::Record;
use crate::pki::registry::Registry;
use crate::pki::trust_log::{PAYLOAD_BYTES_MAX, entry, genesis, replay};

/// The pin of the authority whose logs are in the corpus.
const PIN: [u8; 32] = [1; 32];

/// Reads the bytes as a log, its payloads or its records.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => check_file(rest),
        1 => check_damage(rest),
        _ => check_records(rest),
    }
}

/// What was replayed is a log of its own with the same end.
fn check_file(bytes: &[u8]) {
    let Ok(found) = replay(bytes, genesis(&PIN)) else { return };
    assert!(found.end <= bytes.len());
    let held: usize = found.payloads.iter().map(Vec::len).sum();
    assert!(held <= found.end && found.payloads.iter().all(|one| one.len() <= PAYLOAD_BYTES_MAX));
    let again = replay(bytes.get(..found.end).unwrap_or_default(), genesis(&PIN));
    let again = again.expect("it was whole before");
    assert_eq!((&again.payloads, again.end, again.last), (&found.payloads, found.end, found.last));
    for payload in &found.payloads {
        check_record(payload);
    }
}

/// The first two bytes say where the file is changed, the third how, and whether it is cut there.
fn check_damage(bytes: &[u8]) {
    let Some(([low, high, how], rest)) = bytes.split_first_chunk::<3>() else { return };
    let payloads = pieces(rest);
    let payloads: Vec<&[u8]> = payloads.into_iter().filter(|one| !one.is_empty()).collect();
    let mut file = Vec::new();
    let mut last = genesis(&PIN);
    for payload in &payloads {
        let length = u32::try_from(payload.len()).expect("a piece is short");
        let (written, hash) = entry(length, &last, payload);
        file.extend_from_slice(&written);
        last = hash;
    }
    let whole = replay(&file, genesis(&PIN)).expect("it was just written");
    assert_eq!((whole.payloads.len(), whole.end, whole.last), (payloads.len(), file.len(), last));
    if file.is_empty() {
        return;
    }
    let at = usize::from(u16::from_le_bytes([*low, *high])) % file.len();
    if *how == 0 {
        file.truncate(at);
    } else if let Some(byte) = file.get_mut(at) {
        *byte ^= how;
    }
    if let Ok(damaged) = replay(&file, genesis(&PIN)) {
        assert!(damaged.payloads.len() < payloads.len(), "byte {at} was changed by {how}");
        let same = damaged.payloads.iter().zip(&payloads).all(|(found, written)| found == written);
        assert!(same, "what nobody wrote was believed");
        assert!(*how == 0 || damaged.payloads.len() + 1 == payloads.len(), "only the last is torn");
    }
}

/// The registry takes every record, remembers each, and what is revoked stays so.
fn check_records(bytes: &[u8]) {
    let mut registry = Registry::default();
    let mut count = 0;
    for payload in pieces(bytes) {
        let Some(record) = check_record(payload) else { continue };
        registry.apply(record);
        count += 1;
    }
    let rows = registry.audit(0, usize::MAX);
    assert_eq!(rows.len(), count);
    assert_eq!(registry.audit(u64::MAX, 1).len(), 0);
    for row in registry.identities(None) {
        let actor = &row.actor;
        assert!(registry.was_given(actor.role, &actor.name));
        let held = registry.is_held(actor.role, &actor.name, WallMs(0));
        assert!(!(held && row.revoked), "{actor} is revoked");
    }
}

/// A record that is read is written as it was meant.
fn check_record(payload: &[u8]) -> Option<Record> {
    let record = Record::decode(payload)?;
    let written = record.encode();
    assert!(written.len() <= payload.len());
    assert_eq!(Record::decode(&written).as_ref(), Some(&record));
    Some(record)
}
