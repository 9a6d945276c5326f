//! What a worker hears, through its core. What is checked is said at the check itself.
#![no_main]

use ganger::fuzzing::worker;
use ganger_fuzz::{Bound, bounded};

const BOUND: Bound = Bound { kib: 16384, per_byte: 65536 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, worker::check));
