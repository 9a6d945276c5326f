//! Tasks that were given to the keeper of a handler and have not begun.

use super::order::Give;
use crate::worker::core::GIVE_TASKS_MAX;

/// Consecutive tasks, of which some may be gone.
#[derive(Debug, Default)]
pub(super) struct Batch {
    give: Give,
    /// The place of the next.
    next: usize,
    /// Where they end: less than were given when some went back.
    end: usize,
    /// Those that were cancelled, as bits.
    gone: u64,
}

impl Batch {
    /// Takes what was given; at most [`GIVE_TASKS_MAX`] tasks count.
    pub(super) fn new(give: Give) -> Self {
        let end = give.lines.len().min(GIVE_TASKS_MAX as usize);
        let empty = (0..end).filter(|at| give.lines.get(*at).is_none_or(<[u8]>::is_empty));
        let gone = empty.fold(0, |bits, at| bits | 1 << at);
        Self { give, next: 0, end, gone }
    }

    fn is_gone(&self, at: usize) -> bool {
        self.gone & (1 << at) != 0
    }

    fn open(&self) -> impl Iterator<Item = usize> {
        (self.next..self.end).filter(|at| !self.is_gone(*at))
    }

    /// Tells whether none is left.
    pub(super) fn is_empty(&self) -> bool {
        self.open().next().is_none()
    }

    /// Returns how many are left.
    pub(super) fn left(&self) -> usize {
        self.open().count()
    }

    /// Returns the number of the next task, and passes over those that are gone before it.
    pub(super) fn peek(&mut self) -> Option<u64> {
        let next = self.open().next()?;
        self.next = next;
        Some(self.give.first + self.next as u64)
    }

    /// Returns the line of the next task.
    pub(super) fn line(&self) -> &[u8] {
        self.give.lines.get(self.next).unwrap_or_default()
    }

    /// Returns how long each may run, in milliseconds.
    pub(super) fn timeout_ms(&self) -> u64 {
        self.give.timeout_ms
    }

    /// Returns the id of a task.
    pub(super) fn task_of(&self, number: u64) -> u64 {
        self.give.task + (number - self.give.first)
    }

    /// Goes on to the task after the next.
    pub(super) fn pass(&mut self) {
        self.next += 1;
    }

    /// Goes back to the task that was passed last.
    pub(super) fn put_back(&mut self) {
        self.next -= 1;
    }

    /// Takes out a task, and tells whether it was there.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let at = number.checked_sub(self.give.first).and_then(|at| usize::try_from(at).ok());
        let Some(at) = at.filter(|at| (self.next..self.end).contains(at)) else { return false };
        let was_there = !self.is_gone(at);
        self.gone |= 1 << at;
        was_there
    }

    /// Takes out all but the first `kept`, and returns the number of the first of those.
    pub(super) fn give_back(&mut self, kept: usize) -> Option<u64> {
        let at = self.open().nth(kept)?;
        self.end = at;
        Some(self.give.first + at as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lines: &[&str]) -> Batch {
        let lines = lines.iter().map(|line| line.as_bytes()).collect();
        Batch::new(Give { first: 100, task: 7, lines, timeout_ms: 0 })
    }

    #[test]
    fn tasks_come_in_order_without_those_that_are_gone() {
        let mut batch = batch(&["a", "", "c", "d", "e"]);
        assert_eq!((batch.peek(), batch.line(), batch.left()), (Some(100), &b"a"[..], 4));
        batch.pass();
        assert!(batch.remove(103) && !batch.remove(103));
        assert!(
            !batch.remove(100) && !batch.remove(99) && !batch.remove(105) && !batch.remove(101)
        );
        assert_eq!((batch.peek(), batch.task_of(102)), (Some(102), 9));
        batch.pass();
        batch.put_back();
        assert_eq!((batch.peek(), batch.left()), (Some(102), 2));
        assert_eq!(batch.give_back(1), Some(104));
        assert_eq!((batch.give_back(1), batch.left()), (None, 1));
        assert_eq!(batch.give_back(0), Some(102));
        assert!(batch.is_empty() && batch.peek().is_none());
    }
}
