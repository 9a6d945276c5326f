//! What a follower sees of a handler's task while it runs: its standard error.

use std::io::{self, Write as _};

use super::{Current, Keeper};
use crate::worker::order::encode;
use crate::worker::pipe::Follow;
use crate::worker::warm::order::FromKeeper;

/// Pieces that are wanted of a task that has not begun.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    number: u64,
    follower: u64,
    pieces: u32,
}

impl Keeper {
    /// Takes note that a piece of output is wanted.
    pub(super) fn asked(&mut self, number: u64, follower: u64) {
        let current = self.current.as_mut().filter(|current| current.number == number);
        match (current, &self.process, &mut self.ahead) {
            (Some(Current { follow: Some(follow), .. }), _, _) if follow.number == follower => {
                follow.wanted += 1;
            }
            (Some(current), Some(process), _) => {
                current.follow = Some(Follow::begin(follower, &self.silent, &process.err));
            }
            (None, _, Some(asked)) if asked.follower == follower => asked.pieces += 1,
            (_, _, ahead) => *ahead = Some(Asked { number, follower, pieces: 1 }),
        }
    }

    /// Returns the follower of a task that begins.
    pub(super) fn follow_from_start(&mut self, number: u64) -> Option<Follow> {
        let asked = self.ahead.take_if(|asked| asked.number <= number)?;
        let process = self.process.as_ref().filter(|_| asked.number == number)?;
        let mut follow = Follow::begin(asked.follower, &self.silent, &process.err);
        follow.wanted = asked.pieces;
        Some(follow)
    }

    /// Sends the pieces that are wanted and there.
    pub(super) fn show(&mut self) -> io::Result<()> {
        let (Some(current), Some(process)) = (&mut self.current, &self.process) else {
            return Ok(());
        };
        let Some(follow) = &mut current.follow else { return Ok(()) };
        while let Some(piece) = follow.next(&self.silent, &process.err, &self.clock) {
            let shown = FromKeeper::Shown { follow: follow.number, piece };
            self.link.write_all(&encode(&shown))?;
        }
        Ok(())
    }
}
