//! Certificates, and requests for them. What is checked is said at the check itself.
#![no_main]

use ganger_fuzz::{Bound, bounded};
use ganger_net::fuzzing::certificate;

const BOUND: Bound = Bound { kib: 256, per_byte: 1024 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, certificate::check));
