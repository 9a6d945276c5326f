//! The filter language. What is checked is said at the check itself.
#![no_main]

use ganger_fuzz::{Bound, bounded};
use ganger_proto::fuzzing::filter;

const BOUND: Bound = Bound { kib: 64, per_byte: 512 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, filter::check));
