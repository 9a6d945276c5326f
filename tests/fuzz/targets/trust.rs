//! The trust log and its records. What is checked is said at the check itself.
#![no_main]

use ganger_fuzz::{Bound, bounded};
use ganger_net::fuzzing::trust;

const BOUND: Bound = Bound { kib: 256, per_byte: 1024 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, trust::check));
