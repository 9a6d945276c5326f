//! Parts of snapshots. What is checked is said at the check itself.
#![no_main]

use ganger::fuzzing::snapshot;
use ganger_fuzz::{Bound, bounded};

const BOUND: Bound = Bound { kib: 4096, per_byte: 65536 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, snapshot::check));
