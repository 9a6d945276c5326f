//! ganger: a task queue run from a terminal.
//!
//! Where things live:
//! - [`clock`]: the only reader of the machine's clocks.
//! - [`engine`]: PURE; what may happen to a task. Knows no socket, disk, clock or thread.
//! - [`store`]: the durable log that keeps what the engine decided.
//! - [`master`]: the loop that makes events durable and only then lets effects leave.
//! - [`verify`]: replays a store apart from the engine and proves what it can.
//! - [`worker`]: runs tasks; `worker::core` is PURE.
//! - `bug`: bugs that tests seed to see that they are caught.
//! - [`cli`]: one subcommand per file.
//! - [`config`]: the home folder, `ganger.toml`, `master.json`.
//! - `heap`: how much free memory the allocator keeps.
//! - [`lock`]: taking a file's lock with a moment's patience.
//! - [`logs`]: the program's own log, a file and a ring.
//!
//! Beside this crate: `ganger-proto` (the words), `ganger-net` (certificates and connections),
//! `ganger-ui` (the screen, always a client).

pub mod bug;
pub mod cli;
pub mod clock;
pub mod config;
pub mod engine;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod heap;
pub mod lock;
pub mod logs;
pub mod master;
pub mod store;
pub mod verify;
pub mod worker;
