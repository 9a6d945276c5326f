//! What fuzzers and corpora give bytes to: for each decoder of foreign bytes one function `check`
//! that panics when a promise does not hold. Nothing of the program calls it: it is there for tests
//! and with the feature `fuzzing`, which the targets in `tests/fuzz` turn on. So they look at the
//! same private code as unit tests, and the crate's interface stays as it is.

pub mod certificate;
pub mod frame;
pub mod message;
pub mod token;
pub mod trust;

#[cfg(test)]
mod tests;

/// Cuts bytes into pieces: a byte says how long the next one is, the last one is what is left.
fn pieces(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut pieces = Vec::new();
    while let Some((length, rest)) = bytes.split_first() {
        let (piece, after) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push(piece);
        bytes = after;
    }
    pieces
}
