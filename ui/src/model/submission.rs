//! A submission under way: cut into parts within the limits of a frame, one in flight at a time,
//! sent again after a lost connection. Sends nothing itself.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::limits::{SUBMIT_BYTES_MAX, SUBMIT_TASKS_MAX};
use ganger_proto::{Args, BatchId, Key};

/// What a batch is, before it has a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Batch {
    pub(crate) head: SubmitHead,
    pub(crate) args: Args,
    /// Chosen by the person, so that the same key is the same batch; else one is drawn.
    pub(crate) key: Option<Key>,
}

/// A batch on its way to the master.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    key: Key,
    pub(crate) batch: Batch,
    part: u32,
    /// Tasks that the master has acknowledged.
    pub(crate) accepted: u64,
    in_flight: u64,
    pub(crate) id: Option<BatchId>,
    /// When to send the part again, on the monotonic clock; after the master said it is busy.
    pub(crate) again_at_ms: Option<u64>,
    /// How often the first part was sent.
    tries: u32,
}

impl Submission {
    /// Makes one of a batch; `drawn` is its key, unless the batch has its own.
    pub(crate) fn new(drawn: Key, batch: Batch) -> Self {
        let key = batch.key.unwrap_or(drawn);
        Self {
            key,
            batch,
            part: 0,
            accepted: 0,
            in_flight: 0,
            id: None,
            again_at_ms: None,
            tries: 0,
        }
    }

    /// Returns the part to send, the same again until it is acknowledged.
    pub(crate) fn part(&mut self) -> Submit {
        let left = self.batch.args.count() - self.accepted;
        let count = match &self.batch.args {
            Args::Listed(_) => self.listed(left),
            Args::Range { .. } | Args::Repeat { .. } => left,
        };
        self.in_flight = count;
        self.again_at_ms = None;
        self.tries += u32::from(self.part == 0);
        Submit {
            key: self.key,
            part: self.part,
            last: count == left,
            head: (self.part == 0).then(|| Box::new(self.batch.head.clone())),
            args: self.batch.args.slice(self.accepted, count),
        }
    }

    fn listed(&self, left: u64) -> u64 {
        let fits = |count: &u64| {
            // Each argument also costs its end mark, at most five bytes on the wire.
            let marks = 5 * *count as usize;
            self.batch.args.bytes_of(self.accepted, *count) + marks <= SUBMIT_BYTES_MAX
        };
        let most = left.min(SUBMIT_TASKS_MAX as u64);
        let mut count = most;
        while count > 1 && !fits(&count) {
            count = count.div_ceil(2);
        }
        count
    }

    /// Tells whether a first part that had been there before came from someone else: its key was
    /// used before, since this one was sent only once.
    pub(crate) const fn was_there_before(&self) -> bool {
        self.part == 0 && self.tries <= 1
    }

    /// Takes an acknowledgement; tells whether that was the last part.
    pub(crate) fn accept(&mut self, id: BatchId) -> bool {
        self.id = Some(id);
        self.accepted += self.in_flight;
        self.in_flight = 0;
        self.part += 1;
        self.accepted >= self.batch.args.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganger_proto::{ArgList, BatchOptions, Kind, Spec};

    fn submission(args: Args) -> Submission {
        let head = SubmitHead { spec: Spec::of(Kind::Square), options: BatchOptions::default() };
        Submission::new(Key::new(7), Batch { head, args, key: None })
    }

    #[test]
    fn parts_keep_to_the_limits_and_lose_nothing() {
        let mut list = ArgList::new();
        (0..10_000).for_each(|i| list.push("x".repeat(i % 700).as_bytes()));
        let mut submission = submission(Args::Listed(list.clone()));
        let mut whole = ArgList::new();
        let mut parts = 0;
        loop {
            let part = submission.part();
            assert_eq!(part, submission.part(), "an unacknowledged part is sent again as it was");
            assert_eq!((part.part, part.head.is_some()), (parts, parts == 0));
            let Args::Listed(piece) = &part.args else { panic!("a list stays a list") };
            assert!(piece.len() <= SUBMIT_TASKS_MAX && piece.total_bytes() <= SUBMIT_BYTES_MAX);
            piece.iter().for_each(|argument| whole.push(argument));
            parts += 1;
            let done = submission.accept(BatchId::new(3));
            assert_eq!(done, part.last);
            if done {
                break;
            }
        }
        assert!(parts >= 3, "{parts}");
        assert_eq!(whole, list);
    }

    #[test]
    fn a_range_goes_as_one_part() {
        let mut submission = submission(Args::Range { first: 1, step: 1, count: 5_000_000 });
        assert!(submission.part().last);
        assert!(submission.accept(BatchId::new(1)));
    }
}
