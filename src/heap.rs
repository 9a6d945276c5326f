//! How much free memory the allocator keeps. Knows no program.

use std::hint::black_box;

/// Free bytes at the end of the heap that are kept.
const KEPT_BYTES: usize = 8 << 20;

/// Lets the allocator keep up to 8 MiB that are free at the end of the heap; for a program that
/// works in turns and runs for long.
///
/// glibc gives what is free there back to the system from 128 KiB on, and a turn that takes and
/// frees half a MiB takes it from the system again each time, page by page: a seventh of a busy
/// worker's time. As `mallopt(3)` describes, that limit becomes twice the size of a block with a
/// mapping of its own that is freed, so one is: nothing is ever written to it. With another
/// allocator this does nothing.
pub(crate) fn keep_free() {
    drop(black_box(Vec::<u8>::with_capacity(KEPT_BYTES / 2)));
}
