//! What fuzzers give stored bytes to; see `src/fuzzing/mod.rs`. What the engine does with inputs is
//! checked where a master drives it.

pub mod event;
pub mod snapshot;
