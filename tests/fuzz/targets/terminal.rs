//! Output of tasks on a terminal. What is checked is said at the check itself.
#![no_main]

use ganger::fuzzing::terminal;
use ganger_fuzz::{Bound, bounded};

const BOUND: Bound = Bound { kib: 64, per_byte: 256 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, terminal::check));
