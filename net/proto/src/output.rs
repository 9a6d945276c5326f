//! What was kept of an attempt's output, as it travels from a worker to the master. How it is
//! followed while it is written is in follow.rs.

use serde::{Deserialize, Serialize};

use crate::id::LeaseId;
use crate::limits;

/// What was kept of the output of one attempt. After it come the raw bytes: stdout's head, stdout's
/// tail, stderr's head, stderr's tail, and the end of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputHeader {
    /// The attempt's lease.
    pub lease: LeaseId,
    /// What was kept of stdout.
    pub stdout: Kept,
    /// What was kept of stderr.
    pub stderr: Kept,
}

impl OutputHeader {
    /// Returns how many bytes follow, when both streams keep to the limits.
    pub fn bytes(&self) -> Option<u64> {
        Some(self.stdout.bytes()? + self.stderr.bytes()?)
    }

    /// Tells whether a stream was kept whole and is longer than what is held in memory.
    pub const fn is_long(&self) -> bool {
        self.stdout.beyond() > 0 || self.stderr.beyond() > 0
    }
}

impl Kept {
    /// Returns how many bytes were kept, when that is within the limits.
    pub fn bytes(&self) -> Option<u64> {
        let long = self.beyond() > 0 && self.tail == 0 && self.head <= limits::OUTPUT_BYTES_MAX;
        let short = self.beyond() == 0 && self.tail as usize <= limits::OUTPUT_TAIL_BYTES;
        (long || short).then(|| self.head + u64::from(self.tail))
    }

    /// Returns how many bytes from the start are beyond those that are held in memory.
    pub const fn beyond(&self) -> u64 {
        self.head.saturating_sub(limits::OUTPUT_HEAD_BYTES as u64)
    }
}

/// What was kept of one output stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Bytes kept from the start; over
    /// [`OUTPUT_HEAD_BYTES`](crate::limits::OUTPUT_HEAD_BYTES) when it was to be kept whole, and
    /// then nothing is kept from the end.
    pub head: u64,
    /// Bytes not kept between head and tail.
    pub skipped: u64,
    /// Bytes kept from the end.
    pub tail: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_over_the_limits_are_none() {
        let check = |head: u64, tail: u32, bytes: Option<u64>| {
            assert_eq!(Kept { head, skipped: 7, tail }.bytes(), bytes, "{head} and {tail}");
        };
        check(0, 0, Some(0));
        check(256 << 10, 768 << 10, Some(1 << 20));
        check(256 << 10, (768 << 10) + 1, None);
        check((256 << 10) + 1, 0, Some((256 << 10) + 1));
        check((256 << 10) + 1, 1, None);
        check(limits::OUTPUT_BYTES_MAX, 0, Some(4 << 30));
        check(limits::OUTPUT_BYTES_MAX + 1, 0, None);
        check(u64::MAX, u32::MAX, None);
    }

    #[test]
    fn a_header_of_an_older_worker_is_read() {
        // Its lengths had 32 bits; on the wire that is the same.
        let older = [1, 7, 0x80, 0x80, 0x10, 9, 5, 0, 0, 0];
        let stdout = Kept { head: 256 << 10, skipped: 9, tail: 5 };
        let header: OutputHeader = postcard::from_bytes(&older).unwrap();
        assert_eq!((header.stdout, header.stderr), (stdout, Kept::default()));
        assert!(!header.is_long());
    }
}
