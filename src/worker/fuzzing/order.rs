//! What a worker and its launchers say to each other: however the bytes come, the same messages
//! come out, and each encodes to the same meaning.
//!
//! The first byte says who hears the others and, above its low bits, how many come at a time.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::worker::order::{Frames, FromLauncher, ToLauncher, encode};
use crate::worker::warm::fuzzing::{FromKeeper, ToKeeper};

/// Takes the bytes behind the first for frames.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let step = usize::from(first >> 2) + 1;
    match first & 3 {
        0 => same::<ToLauncher>(rest, step),
        1 => same::<FromLauncher>(rest, step),
        2 => same::<ToKeeper>(rest, step),
        _ => same::<FromKeeper>(rest, step),
    }
}

fn same<T: DeserializeOwned + Serialize>(bytes: &[u8], step: usize) {
    let whole = frames::<T>(bytes, bytes.len().max(1));
    assert_eq!(frames::<T>(bytes, step), whole);
    let length: usize = whole.iter().map(Vec::len).sum();
    assert!(length <= bytes.len(), "{} bytes became {length}", bytes.len());
    let all = whole.concat();
    assert_eq!(frames::<T>(&all, all.len().max(1)), whole);
}

/// Returns the messages up to the first that is none, as they are encoded.
fn frames<T: DeserializeOwned + Serialize>(bytes: &[u8], step: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let mut frames = Frames::default();
    for piece in bytes.chunks(step) {
        frames.take(piece);
        loop {
            match frames.next::<T>() {
                Ok(Some(message)) => found.push(encode(&message)),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}
