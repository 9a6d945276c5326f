//! What all targets have in common: a check may not take more memory at once than its input allows.
//! What is checked lies in the crates' own `fuzzing` modules.

/// How much memory a check may take at once.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// KiB, however short the input is.
    pub kib: u64,
    /// Bytes for each byte of the input.
    pub per_byte: u64,
}

/// Runs a check.
///
/// # Panics
/// When the check does, or when it has more memory at once than `bound` allows.
pub fn bounded(bytes: &[u8], bound: Bound, check: fn(&[u8])) {
    let taken = allocation_counter::measure(|| check(bytes)).bytes_max;
    let most = bound.kib * 1_024 + bound.per_byte * bytes.len() as u64;
    assert!(taken <= most, "{} bytes of input took {taken} bytes of memory", bytes.len());
}
