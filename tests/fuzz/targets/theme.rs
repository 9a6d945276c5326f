//! Theme files. What is checked is said at the check itself.
#![no_main]

use ganger_fuzz::{Bound, bounded};
use ganger_ui::fuzzing::theme;

const BOUND: Bound = Bound { kib: 256, per_byte: 2048 };

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bounded(bytes, BOUND, theme::check));
