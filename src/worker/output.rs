//! What is kept of a stream of output: its first and its last bytes in memory, never more; and when
//! it is to be kept whole, the rest in a file. Reads nothing itself; see launcher.rs.

use std::collections::VecDeque;

use ganger_proto::follow::Held;
use ganger_proto::limits::{INLINE_BYTES_MAX, OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};
use ganger_proto::message::Kept;
use serde::{Deserialize, Serialize};

use super::spool::Spool;

/// Collects one stream in bounded memory.
#[derive(Debug, Default)]
pub(super) struct Collector {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    skipped: u64,
    /// Where it goes when it is to be kept whole.
    spool: Option<Spool>,
}

/// What was kept of one stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stream {
    /// Bytes from the start.
    #[serde(with = "serde_bytes")]
    pub(super) head: Vec<u8>,
    /// Bytes after those, in a file.
    pub(super) spooled: u64,
    /// Bytes not kept between head and tail.
    pub(super) skipped: u64,
    /// Bytes from the end.
    #[serde(with = "serde_bytes")]
    pub(super) tail: Vec<u8>,
    /// A sentence when it was to be kept whole and is not; else empty.
    pub(super) cut: String,
}

impl Collector {
    /// Keeps the stream whole, as far as `spool` allows.
    pub(super) fn whole(spool: Spool) -> Self {
        Self { spool: Some(spool), ..Self::default() }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        let room = OUTPUT_HEAD_BYTES - self.head.len();
        let (first, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(first);
        if let Some(spool) = &mut self.spool {
            spool.take(self.tail.as_slices(), rest);
        }
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

    /// Returns what is kept in memory so far.
    pub(super) fn held(&self) -> Held<'_> {
        let (first, second) = self.tail.as_slices();
        Held { head: &self.head, skipped: self.skipped, tail: [first, second] }
    }

    /// Ends the stream.
    pub(super) fn end(mut self) -> Stream {
        let taken = self.taken();
        let Some(spool) = self.spool.take() else { return self.short() };
        let most = spool.bytes_max();
        let Some(spooled) = spool.spooled() else {
            if taken <= most {
                return self.short();
            }
            // No more than the head was wanted, or than its file took.
            self.head.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            let skipped = taken - self.head.len() as u64;
            return Stream { head: self.head, skipped, cut: spool.cut(taken), ..Stream::default() };
        };
        let skipped = taken - self.head.len() as u64 - spooled;
        let cut = if skipped > 0 { spool.cut(taken) } else { String::new() };
        Stream { head: self.head, spooled, skipped, tail: Vec::new(), cut }
    }

    fn short(self) -> Stream {
        let (head, skipped, tail) = (self.head, self.skipped, self.tail.into());
        Stream { head, skipped, tail, ..Stream::default() }
    }
}

impl Stream {
    /// Returns the bytes that ride in the report.
    pub(super) fn inline(&self) -> &[u8] {
        &self.head[..self.head.len().min(INLINE_BYTES_MAX)]
    }

    /// Tells whether there is more than rides in the report.
    pub(super) fn is_long(&self) -> bool {
        self.head.len() > INLINE_BYTES_MAX || !self.tail.is_empty() || self.skipped > 0
    }

    /// Returns the lengths of what was kept.
    pub(super) fn kept(&self) -> Kept {
        let tail = u32::try_from(self.tail.len()).expect("the tail is below 1 MiB");
        Kept { head: self.head.len() as u64 + self.spooled, skipped: self.skipped, tail }
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

    /// Keeps `total` bytes with at most `most` whole; says what came in memory, in the file, and
    /// was left out.
    fn whole(total: usize, most: u64, expected: (usize, u64, u64, usize)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1-1.out");
        for step in [1_021, 65_536, 4 << 20] {
            let all: Vec<u8> = (0..total).map(|i| (i % 251) as u8).collect();
            let mut collector = Collector::whole(Spool::new(path.clone(), most));
            all.chunks(step).for_each(|part| collector.take(part));
            assert_eq!(collector.taken(), total as u64);
            let Stream { head, spooled, skipped, tail, cut } = collector.end();
            let found = (head.len(), spooled, skipped, tail.len());
            assert_eq!(found, expected, "{total} of {most} by {step}");
            assert_eq!(cut.is_empty(), skipped == 0, "{cut}");
            let file = std::fs::read(&path).unwrap_or_default();
            assert_eq!(file.len() as u64, spooled);
            let kept = [head, file, tail].concat();
            assert!(all.starts_with(&kept) && kept.len() as u64 + skipped == total as u64);
            std::fs::remove_file(&path).ok();
        }
    }

    #[test]
    fn what_is_to_be_kept_whole_is_in_memory_and_beyond_it_in_a_file() {
        const HEAD: usize = OUTPUT_HEAD_BYTES;
        const TAIL: usize = OUTPUT_TAIL_BYTES;
        whole(0, 1 << 30, (0, 0, 0, 0));
        whole(HEAD + TAIL, 1 << 30, (HEAD, 0, 0, TAIL));
        whole(HEAD + TAIL + 1, 1 << 30, (HEAD, TAIL as u64 + 1, 0, 0));
        whole(5_000_000, 1 << 30, (HEAD, 5_000_000 - HEAD as u64, 0, 0));
        whole(5_000_000, 5_000_000, (HEAD, 5_000_000 - HEAD as u64, 0, 0));
        whole(5_000_000, 4_999_999, (HEAD, 4_999_999 - HEAD as u64, 1, 0));
        whole(500_000, 400_000, (HEAD, 400_000 - HEAD as u64, 100_000, 0));
        whole(5_000_000, 1_000, (1_000, 0, 4_999_000, 0));
        whole(5_000, 5_000, (5_000, 0, 0, 0));
    }

    #[test]
    fn a_file_that_cannot_be_written_cuts_the_output_and_says_so() {
        let nowhere = Spool::new("/no/such/folder/1-1.out".into(), 1 << 30);
        let mut collector = Collector::whole(nowhere);
        (0..40).for_each(|_| collector.take(&[7; 65_536]));
        let stream = collector.end();
        let all = 40 * 65_536;
        assert_eq!((stream.head.len(), stream.spooled), (OUTPUT_HEAD_BYTES, 0));
        assert_eq!(stream.skipped, all - OUTPUT_HEAD_BYTES as u64);
        assert!(stream.cut.contains("No such file"), "{}", stream.cut);
    }
}
