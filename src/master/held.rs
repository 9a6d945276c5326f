//! Durable first, then effects: what was decided is held until everything it rests on is durable.
//! Sends nothing; see outgoing.rs. PURE: the cluster simulation holds its master's effects here
//! too.

use std::collections::VecDeque;

use crate::bug::{self, Bug};
use crate::store::Seq;

/// What may leave once the journal is durable up to a place, in order.
#[derive(Debug)]
pub struct Held<T> {
    waiting: VecDeque<(Seq, Vec<T>)>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new() }
    }
}

impl<T> Held<T> {
    /// Holds things until batches up to `newest`, the newest that was handed to the store, are
    /// durable. The place never falls from one call to the next.
    pub fn hold(&mut self, newest: Seq, outgoing: Vec<T>) {
        if outgoing.is_empty() {
            return;
        }
        match self.waiting.back_mut() {
            Some((seq, waiting)) if *seq == newest => waiting.extend(outgoing),
            _ => self.waiting.push_back((newest, outgoing)),
        }
    }

    /// Returns the next things that rest on nothing beyond `durable`; none when all others do.
    pub fn release(&mut self, durable: Seq) -> Option<Vec<T>> {
        let (seq, _) = self.waiting.front()?;
        if *seq > durable && !bug::is(Bug::EffectsBeforeDurable) {
            return None;
        }
        self.waiting.pop_front().map(|(_, ready)| ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_before_what_it_rests_on() {
        let mut held = Held::default();
        held.hold(Seq(1), vec!["a"]);
        held.hold(Seq(1), vec!["b"]);
        held.hold(Seq(2), Vec::new());
        held.hold(Seq(3), vec!["c"]);
        assert_eq!(held.release(Seq(0)), None);
        assert_eq!(held.release(Seq(2)), Some(vec!["a", "b"]));
        assert_eq!(held.release(Seq(2)), None);
        assert_eq!(held.release(Seq(9)), Some(vec!["c"]));
        assert_eq!(held.release(Seq(9)), None);
    }
}
