//! What is kept of a stream of output: its first and its last bytes, never more. Reads nothing
//! itself; see launcher.rs.

use std::collections::VecDeque;

use ganger_proto::follow::Held;
use ganger_proto::limits::{INLINE_BYTES_MAX, OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};
use ganger_proto::message::Kept;
use serde::{Deserialize, Serialize};

/// Collects one stream in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Collector {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    skipped: u64,
}

/// What was kept of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stream {
    /// Bytes from the start.
    #[serde(with = "serde_bytes")]
    pub(super) head: Vec<u8>,
    /// Bytes not kept between head and tail.
    pub(super) skipped: u64,
    /// Bytes from the end.
    #[serde(with = "serde_bytes")]
    pub(super) tail: Vec<u8>,
}

impl Collector {
    /// Takes the next bytes of the stream.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = OUTPUT_HEAD_BYTES - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        let (passed, last) = rest.split_at(rest.len().saturating_sub(OUTPUT_TAIL_BYTES));
        self.skipped += passed.len() as u64;
        let over = (self.tail.len() + last.len()).saturating_sub(OUTPUT_TAIL_BYTES);
        self.tail.drain(..over);
        self.skipped += over as u64;
        self.tail.extend(last);
    }

    /// Returns how many bytes were taken.
    pub(super) fn taken(&self) -> u64 {
        self.head.len() as u64 + self.skipped + self.tail.len() as u64
    }

    /// Returns what is kept so far.
    pub(super) fn held(&self) -> Held<'_> {
        let (first, second) = self.tail.as_slices();
        Held { head: &self.head, skipped: self.skipped, tail: [first, second] }
    }

    /// Ends the stream.
    pub(super) fn end(self) -> Stream {
        Stream { head: self.head, skipped: self.skipped, tail: self.tail.into() }
    }
}

impl Stream {
    /// Returns the bytes that ride in the report.
    pub(super) fn inline(&self) -> &[u8] {
        &self.head[..self.head.len().min(INLINE_BYTES_MAX)]
    }

    /// Tells whether there is more than rides in the report.
    pub(super) fn is_long(&self) -> bool {
        self.head.len() > INLINE_BYTES_MAX || !self.tail.is_empty()
    }

    /// Returns the lengths of what was kept.
    pub(super) fn kept(&self) -> Kept {
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("parts are below 1 MiB");
        Kept { head: length(&self.head), skipped: self.skipped, tail: length(&self.tail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(total: usize, step: usize) -> Stream {
        let all: Vec<u8> = (0..total).map(|i| (i % 251) as u8).collect();
        let mut collector = Collector::default();
        for part in all.chunks(step) {
            collector.take(part);
        }
        let stream = collector.end();
        assert!(all.starts_with(&stream.head));
        assert!(all.ends_with(&stream.tail));
        assert_eq!(stream.head.len() + stream.tail.len() + stream.skipped as usize, total);
        stream
    }

    #[test]
    fn head_and_tail_are_kept_and_the_rest_is_counted() {
        const BOTH: usize = OUTPUT_HEAD_BYTES + OUTPUT_TAIL_BYTES;
        for step in [997, 65_536, 3 * BOTH] {
            for (total, skipped) in [(0, 0), (100, 0), (BOTH, 0), (BOTH + 1, 1), (2 * BOTH, BOTH)] {
                assert_eq!(collect(total, step).skipped, skipped as u64, "{total} by {step}");
            }
        }
    }

    #[test]
    fn long_is_what_does_not_ride_in_the_report() {
        assert!(!collect(INLINE_BYTES_MAX, 512).is_long());
        let long = collect(INLINE_BYTES_MAX + 1, 512);
        assert!(long.is_long());
        assert_eq!(long.inline().len(), INLINE_BYTES_MAX);
        assert_eq!(long.kept(), Kept { head: 4_097, skipped: 0, tail: 0 });
    }
}
