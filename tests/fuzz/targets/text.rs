//! The sanitiser, widths, wrapping. What is checked is said at the check itself.
#![no_main]

use ganger_fuzz::{Bound, bounded};
use ganger_ui::fuzzing::text;

const BOUND: Bound = Bound { kib: 64, per_byte: 256 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, text::check));
