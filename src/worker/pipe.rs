//! The pipes that a child writes to, and how far a follower has come in what was read from them.
//! Lives in the launcher's process; see launcher.rs.

use std::os::fd::OwnedFd;

use ganger_proto::WallMs;
use ganger_proto::command::Stream as Which;
use ganger_proto::follow::{Cursor, Piece};
use rustix::io::Errno;

use super::output::{Collector, Stream};
use crate::clock::Clock;

/// One of a child's output streams.
pub(super) struct Pipe {
    /// None once the child has closed its end.
    pub(super) fd: Option<OwnedFd>,
    collector: Collector,
}

impl Pipe {
    pub(super) fn new(fd: Option<OwnedFd>, collector: Collector) -> Self {
        Self { fd, collector }
    }

    /// Reads once; poll has said that this does not wait.
    pub(super) fn read(&mut self, buffer: &mut [u8]) {
        let Some(fd) = &self.fd else { return };
        match rustix::io::read(fd, &mut *buffer) {
            Ok(0) => self.fd = None,
            Ok(length) => self.collector.take(&buffer[..length]),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => self.fd = None,
        }
    }

    /// Reads what the pipe still holds. Nobody below this process holds its other end, but a
    /// process elsewhere may, so this does not wait for its end; nor does it read for ever.
    pub(super) fn finish(mut self, buffer: &mut [u8]) -> Stream {
        const READS_MAX: usize = 64;
        if let Some(fd) = &self.fd
            && rustix::io::ioctl_fionbio(fd, true).is_ok()
        {
            for _ in 0..READS_MAX {
                let Some(fd) = &self.fd else { break };
                match rustix::io::read(fd, &mut *buffer) {
                    Ok(length) if length > 0 => self.collector.take(&buffer[..length]),
                    Err(Errno::INTR) => {}
                    Ok(_) | Err(_) => self.fd = None,
                }
            }
        }
        self.collector.end()
    }
}

/// One follower of both streams. What it has not taken yet is only in the collectors: one that is
/// slow misses what they do not keep, and neither it nor its slowness costs memory.
pub(super) struct Follow {
    pub(super) number: u64,
    /// Pieces asked for and not sent.
    pub(super) wanted: u32,
    cursor: Cursor,
    last: Which,
    /// Bytes of stdout and stderr that were read before it began; when is not known any more.
    before: [u64; 2],
}

impl Follow {
    /// Begins at the start of what is kept, with one piece asked for.
    pub(super) fn begin(number: u64, out: &Pipe, err: &Pipe) -> Self {
        let before = [out.collector.taken(), err.collector.taken()];
        Self { number, wanted: 1, cursor: Cursor::default(), last: Which::Stderr, before }
    }

    /// Returns the next piece, when one is wanted and there is one; the streams take turns.
    pub(super) fn next(&mut self, out: &Pipe, err: &Pipe, clock: &Clock) -> Option<Piece> {
        if self.wanted == 0 {
            return None;
        }
        let turns = match self.last {
            Which::Stdout => [Which::Stderr, Which::Stdout],
            Which::Stderr => [Which::Stdout, Which::Stderr],
        };
        turns.into_iter().find_map(|stream| {
            let (pipe, before) = match stream {
                Which::Stdout => (out, self.before[0]),
                Which::Stderr => (err, self.before[1]),
            };
            let (offset, bytes) = pipe.collector.held().from(self.cursor.next(stream))?;
            let at = if offset < before { WallMs(0) } else { clock.wall() };
            let piece = self.cursor.take(Piece { stream, offset, skipped: 0, at, bytes })?;
            self.wanted -= 1;
            self.last = stream;
            Some(piece)
        })
    }
}
