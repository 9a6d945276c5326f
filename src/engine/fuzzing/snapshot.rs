//! Snapshots: whatever the parts say, a ledger comes of them that holds together, or a refusal.
//!
//! The parts follow one another, each after its length in two bytes, the low one first; bytes after
//! the last whole part are one more part.

use crate::engine::ledger::Ledger;
use crate::engine::snapshot::Part;
use crate::engine::{Engine, Settings};

/// Reads the bytes as the parts of a snapshot.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let parts = parts(bytes);
    for bytes in &parts {
        let Ok((part, rest)) = postcard::take_from_bytes::<Part>(bytes) else { continue };
        let written = postcard::to_allocvec(&part).expect("parts always encode");
        assert!(written.len() + rest.len() <= bytes.len());
        let again = postcard::from_bytes::<Part>(&written).expect("what we encode we decode");
        assert_eq!(postcard::to_allocvec(&again).ok(), Some(written));
    }
    let Ok(ledger) = Ledger::restore(parts) else { return };
    let digest = ledger.digest();
    let again = Ledger::restore(ledger.snapshot()).expect("what was restored can be kept");
    assert_eq!(again.digest(), digest);
    // An audit looks at every task, and few bytes can be many.
    if ledger.tally.open() + ledger.tally.ended() < 5_000 {
        let audit = Engine::with_ledger(Settings::default(), ledger).audit();
        // What a record says of its own past is believed: nothing rests on it.
        let own = |broken: &String| broken.starts_with("I3") || broken.starts_with("I6");
        assert!(audit.as_ref().err().is_none_or(own), "{audit:?}");
    }
}

fn parts(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length));
        let Some((part, after)) = rest.split_at_checked(length) else { break };
        parts.push(part.to_vec());
        bytes = after;
    }
    if !bytes.is_empty() {
        parts.push(bytes.to_vec());
    }
    parts
}
