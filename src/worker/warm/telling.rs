//! What the keeper of a handler has to tell, gathered so that many short tasks cost one write.

use ganger_proto::ArgList;

use super::line::Retry;
use super::order::{Done, Said};
use crate::worker::order::Finished;

/// What was not told.
#[derive(Debug, Default)]
pub(super) struct Telling {
    said: Said,
    bytes: usize,
    /// When the first of it came.
    since_us: Option<u64>,
}

/// How long an end waits for others while tasks follow one another.
const GATHER_US: u64 = 2_000;
/// With so many bytes it waits no longer.
const FULL_BYTES: usize = 64 << 10;
/// Notes between two tellings; more is a handler that floods, and says nothing new.
const NOTES_MAX: usize = 8;

impl Telling {
    /// A task ended well and briefly.
    pub(super) fn done(&mut self, now_us: u64, number: u64, took_us: u64, answer: &[u8]) {
        let follows = |run: &&mut Done| run.first + run.took_us.len() as u64 == number;
        let took_us = u32::try_from(took_us).unwrap_or(u32::MAX);
        match self.said.done.last_mut().filter(follows) {
            Some(run) => {
                run.took_us.push(took_us);
                run.results.push(answer);
            }
            None => {
                let results = [answer].into_iter().collect::<ArgList>();
                self.said.done.push(Done { first: number, took_us: vec![took_us], results });
            }
        }
        self.added(now_us, answer.len());
    }

    /// A task ended in another way.
    pub(super) fn ended(&mut self, now_us: u64, end: Finished, retry: Retry) {
        let bytes = [&end.stdout, &end.stderr].map(|stream| stream.head.len() + stream.tail.len());
        self.said.ended.push((end, retry));
        self.added(now_us, bytes.iter().sum());
    }

    /// Tasks from this number on go back.
    pub(super) fn returned(&mut self, now_us: u64, first: u64) {
        let before = self.said.returned.unwrap_or(u64::MAX);
        self.said.returned = Some(before.min(first));
        self.added(now_us, 0);
    }

    /// Something for the worker's log.
    pub(super) fn note(&mut self, now_us: u64, note: String) {
        if self.said.notes.len() < NOTES_MAX {
            self.said.notes.push(note);
            self.added(now_us, 0);
        }
    }

    fn added(&mut self, now_us: u64, bytes: usize) {
        self.bytes += bytes;
        self.since_us.get_or_insert(now_us);
    }

    /// Returns when it must be told.
    pub(super) fn due_us(&self) -> Option<u64> {
        self.since_us.map(|since| since + GATHER_US)
    }

    /// Hands out what is to be told soon, while something else is coming.
    pub(super) fn take_due(&mut self, now_us: u64) -> Option<Said> {
        let due = self.due_us()? <= now_us;
        let full = self.bytes >= FULL_BYTES || self.said.returned.is_some();
        if due || full { self.take() } else { None }
    }

    /// Hands out what is to be told.
    pub(super) fn take(&mut self) -> Option<Said> {
        self.since_us?;
        (self.bytes, self.since_us) = (0, None);
        Some(std::mem::take(&mut self.said))
    }
}
