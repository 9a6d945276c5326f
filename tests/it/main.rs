//! End to end: the real binaries over loopback, on temp homes. One module per subject; rig.rs
//! starts and stops the processes.
#![expect(clippy::unwrap_used, reason = "a test's helpers may fail as the test does")]
#![expect(unreachable_pub, reason = "the modules of one test binary share its helpers")]

mod bad_input;
mod batches;
mod bench;
mod chaos;
mod disk;
mod handlers;
mod hostile;
mod joining;
mod lanes;
mod liars;
mod looks;
mod namespace;
mod neighbours;
mod network;
mod output;
mod parallel;
mod peer;
mod plain;
mod pty;
mod quotas;
mod remote;
mod rig;
mod run;
mod screen;
mod secrets;
mod store;
mod trust;
mod work;
