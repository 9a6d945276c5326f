//! Calls that are on their way at once: their frames leave in the order of the calls, and their
//! answers are handed out in that order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A call that has not been answered.
pub(crate) type Call<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Calls on their way, answered in the order in which they were made. Bounded by its user, who
/// makes no call while it holds as many as it wants on their way.
pub(crate) struct Flight<'a, T> {
    slots: VecDeque<Slot<'a, T>>,
}

enum Slot<'a, T> {
    Open(Call<'a, T>),
    Answered(T),
}

impl<T> Default for Flight<'_, T> {
    fn default() -> Self {
        Self { slots: VecDeque::new() }
    }
}

impl<'a, T: Unpin> Flight<'a, T> {
    /// Returns how many calls it holds.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Adds a call and lets it put its frame: frames leave in the order of the calls.
    pub(crate) async fn push(&mut self, call: Call<'a, T>) {
        self.slots.push_back(Slot::Open(call));
        poll_fn(|context| {
            self.poll_all(context);
            Poll::Ready(())
        })
        .await;
    }

    /// Waits for the answer to the oldest call; nothing when there is none.
    pub(crate) async fn next(&mut self) -> Option<T> {
        poll_fn(|context| {
            self.poll_all(context);
            match self.slots.front() {
                Some(Slot::Open(_)) => Poll::Pending,
                Some(Slot::Answered(_)) | None => Poll::Ready(()),
            }
        })
        .await;
        match self.slots.pop_front() {
            Some(Slot::Answered(answer)) => Some(answer),
            Some(Slot::Open(_)) | None => None,
        }
    }

    fn poll_all(&mut self, context: &mut Context<'_>) {
        for slot in &mut self.slots {
            if let Slot::Open(call) = slot
                && let Poll::Ready(answer) = call.as_mut().poll(context)
            {
                *slot = Slot::Answered(answer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn calls_leave_and_are_answered_in_order() {
        let left = Mutex::new(Vec::new());
        let mut flight = Flight::default();
        let mut answers = Vec::new();
        for i in 0..4 {
            let (answer, answered) = oneshot::channel::<u32>();
            answers.push(answer);
            let left = &left;
            flight
                .push(Box::pin(async move {
                    left.lock().unwrap().push(i);
                    answered.await.unwrap()
                }))
                .await;
            assert_eq!(left.lock().unwrap().len(), i + 1, "it left before the next was made");
        }
        // Answers come in any order.
        for (i, answer) in answers.into_iter().enumerate().rev() {
            answer.send(i as u32 * 10).unwrap();
        }
        let mut got = Vec::new();
        while let Some(answer) = flight.next().await {
            got.push(answer);
        }
        assert_eq!(got, [0, 10, 20, 30]);
        assert_eq!(*left.lock().unwrap(), [0, 1, 2, 3]);
        assert_eq!(flight.len(), 0);
    }
}
