//! What makes a cluster's life hard on purpose, to see that nothing is lost: a bad network for
//! anybody's tests, and the command `ganger chaos`.

pub mod proxy;

#[cfg(feature = "screen")]
mod command;

#[cfg(feature = "screen")]
pub(super) use command::{Args, run};
