//! What fuzzers and corpora give bytes to: for each reader of foreign text one function `check`
//! that panics when a promise does not hold. Nothing of the program calls it: it is there for tests
//! and with the feature `fuzzing`, which the targets in `tests/fuzz` turn on. So they look at the
//! same private code as unit tests, and the crate's interface stays as it is.

pub mod keys;
pub mod lines;
pub mod text;
pub mod theme;

#[cfg(test)]
mod tests;
