//! Stored batches of events, blocks of results. What is checked is said at the check itself.
#![no_main]

use ganger::fuzzing::event;
use ganger_fuzz::{Bound, bounded};

const BOUND: Bound = Bound { kib: 64, per_byte: 1024 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, event::check));
