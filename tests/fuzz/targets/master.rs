//! What a master hears, through the engine. What is checked is said at the check itself.
#![no_main]

use ganger::fuzzing::master;
use ganger_fuzz::{Bound, bounded};

const BOUND: Bound = Bound { kib: 32768, per_byte: 65536 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, master::check));
