//! An attempt's output as it is followed: what a screen's Output tab, `ganger logs -f` and
//! `ganger run` read. Bytes stay bytes; they are sanitised where text meets a screen.

use serde::{Deserialize, Serialize};

use crate::command::Stream;
use crate::outcome::Outcome;
use crate::time::WallMs;

/// What a follower hears, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Followed {
    /// Output of this attempt comes next; comes first, and again when another attempt begins.
    Attempt {
        /// Its number, from 1.
        attempt: u32,
        /// The worker that runs or ran it; untrusted text.
        worker: String,
    },
    /// Bytes of one of its streams.
    Piece(Piece),
    /// The attempt has ended and everything kept of it has come. It is the last message when the
    /// task has ended, or when one attempt was asked for.
    Ended {
        /// How it ended; none when it was cancelled before it ran.
        outcome: Option<Outcome>,
    },
}

/// Consecutive bytes of one stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Which stream.
    pub stream: Stream,
    /// The place of the first byte in all that the child wrote to the stream, from 0.
    pub offset: u64,
    /// Bytes left out just before these: not kept by the worker, or dropped for a slow follower.
    pub skipped: u64,
    /// When the worker read them; 0 when that is not known any more.
    pub at: WallMs,
    /// The bytes; at most [`PIECE_BYTES_MAX`].
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Bytes of one piece.
pub const PIECE_BYTES_MAX: usize = 64 << 10;

/// How far somebody has come in both streams of one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    stdout: u64,
    stderr: u64,
}

impl Cursor {
    /// Returns the place of the next byte of a stream.
    pub const fn next(&self, stream: Stream) -> u64 {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }

    /// Goes past a piece. Returns what of it is new, and how much is left out before it; nothing
    /// when all of it came before.
    pub fn take(&mut self, mut piece: Piece) -> Option<Piece> {
        let next = match piece.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let end = piece.offset.saturating_add(piece.bytes.len() as u64);
        if end <= *next {
            return None;
        }
        let known = next.saturating_sub(piece.offset);
        piece.bytes.drain(..usize::try_from(known).unwrap_or(usize::MAX).min(piece.bytes.len()));
        piece.offset = piece.offset.max(*next);
        piece.skipped = piece.offset - *next;
        *next = end;
        Some(piece)
    }
}

/// What is held of an output stream: its start and its end.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Bytes from the start.
    pub head: &'a [u8],
    /// Bytes not kept between head and tail.
    pub skipped: u64,
    /// Bytes from the end, in two parts.
    pub tail: [&'a [u8]; 2],
}

impl Held<'_> {
    /// Returns the first bytes held from `place` on, at most a piece, and their place.
    pub fn from(&self, place: u64) -> Option<(u64, Vec<u8>)> {
        let [first, second] = self.tail;
        let mut begin = 0;
        for (gap, part) in [(0, self.head), (self.skipped, first), (0, second)] {
            begin += gap;
            let end = begin + part.len() as u64;
            if place < end {
                let offset = place.max(begin);
                let known = usize::try_from(offset - begin).expect("it is less than the part");
                let bytes = &part[known..part.len().min(known + PIECE_BYTES_MAX)];
                return Some((offset, bytes.to_vec()));
            }
            begin = end;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(offset: u64, length: usize) -> Piece {
        let bytes = (0..length).map(|at| (offset as usize).wrapping_add(at) as u8).collect();
        Piece { stream: Stream::Stdout, offset, skipped: 0, at: WallMs(0), bytes }
    }

    #[test]
    fn every_byte_is_taken_once_or_counted() {
        let mut cursor = Cursor::default();
        let mut check = |offset, length, expected: Option<(u64, u64, usize)>| {
            let taken = cursor.take(piece(offset, length));
            if let Some(taken) = &taken {
                assert_eq!(taken.bytes, piece(taken.offset, taken.bytes.len()).bytes);
            }
            let taken = taken.map(|piece| (piece.offset, piece.skipped, piece.bytes.len()));
            assert_eq!(taken, expected, "{length} at {offset}");
        };
        check(0, 10, Some((0, 0, 10)));
        check(0, 10, None);
        check(5, 10, Some((10, 0, 5)));
        check(20, 5, Some((20, 5, 5)));
        check(0, 0, None);
        check(u64::MAX, 5, Some((u64::MAX, u64::MAX - 25, 5)));
        check(u64::MAX, 5, None);
    }

    #[test]
    fn what_is_held_is_read_from_any_place() {
        let held = Held { head: b"abc", skipped: 4, tail: [b"hi", b"jk"] };
        let check = |place, expected: Option<(u64, &[u8])>| {
            assert_eq!(held.from(place), expected.map(|(at, bytes)| (at, bytes.to_vec())));
        };
        check(0, Some((0, b"abc")));
        check(2, Some((2, b"c")));
        check(3, Some((7, b"hi")));
        check(8, Some((8, b"i")));
        check(10, Some((10, b"k")));
        check(11, None);
        let long = vec![0; PIECE_BYTES_MAX + 1];
        let held = Held { head: &long, skipped: 0, tail: [b"", b""] };
        assert_eq!(held.from(0).unwrap().1.len(), PIECE_BYTES_MAX);
    }
}
