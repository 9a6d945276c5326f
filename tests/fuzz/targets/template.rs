//! Templates and the form of arguments. What is checked is said at the check itself.
#![no_main]

use ganger_fuzz::{Bound, bounded};
use ganger_proto::fuzzing::template;

const BOUND: Bound = Bound { kib: 16384, per_byte: 4096 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, template::check));
