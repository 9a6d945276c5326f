//! What fuzzers give a worker's bytes to; see `src/fuzzing/mod.rs`.

pub use super::warm::fuzzing as answer;

pub mod order;
pub mod policy;
pub mod worker;

#[cfg(test)]
mod tests;
