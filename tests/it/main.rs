//! End to end: the real binaries over loopback, on temp homes. One module per subject; rig.rs starts
//! and stops the processes.

mod bad_input;
mod chaos;
mod joining;
mod rig;
mod screen;
mod work;
