//! What fuzzers and corpora give bytes to: for each decoder of foreign bytes one function `check`
//! that panics when a promise does not hold. Nothing of the program calls it: it is there for tests
//! and with the feature `fuzzing`, which the targets in `tests/fuzz` turn on. Each check lies in
//! the room of what it looks at, so that it reaches private code as a unit test does and the rooms'
//! interfaces stay as they are; here they only get their names.

pub use crate::cli::fuzzing as terminal;
pub use crate::config::fuzzing as config;
pub use crate::engine::fuzzing::{event, snapshot};
pub use crate::master::fuzzing as master;
pub use crate::worker::fuzzing::{answer, order, policy, worker};

#[cfg(test)]
pub(crate) mod tests;
