//! The loop's mailbox: what waits for the master's loop, how much of it one peer may fill, and how
//! much one turn takes. Brings nothing itself; see inbox.rs.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ganger_proto::limits::FRAME_BYTES_MAX;
use tokio::sync::mpsc::error::{SendError, TrySendError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::inbox::Incoming;
use super::room::Hears;

/// Inputs that wait for the loop; when it is full the readers wait, and QUIC's flow control makes
/// their peers wait.
const MAILBOX_INPUTS: usize = 4_096;

/// Inputs taken in one turn at most; the rest waits for the next.
const TURN_INPUTS_MAX: usize = 1_024;
/// Bytes of clients' messages taken in one turn while nothing else is: they are refused.
const TURN_BYTES_MAX: usize = 8 << 20;

/// Heartbeats that wait for the loop's next turn; one that finds no room wakes the loop.
const MAILBOX_BEATS: usize = 16_384;

/// Bytes of one peer's messages that wait for the loop. With more its reader waits, and QUIC's flow
/// control makes the peer wait: so no peer fills the mailbox, whatever it sends.
pub(super) const PEER_BYTES: usize = 2 * FRAME_BYTES_MAX;
/// What the shortest message takes of that: no peer has more than 128 messages there.
const MESSAGE_BYTES: usize = 16 << 10;

/// What one input takes of its peer's share of the mailbox; dropped when the loop has taken it.
pub(super) type Room = OwnedSemaphorePermit;

/// How much of the mailbox one peer may fill.
pub(super) struct Share {
    room: Arc<Semaphore>,
    bytes: usize,
}

impl Share {
    pub(super) fn of(bytes: usize) -> Self {
        Self { room: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// Returns room for so many bytes if there is some now.
    fn now(&self, bytes: usize) -> Option<Room> {
        self.room.clone().try_acquire_many_owned(self.weight(bytes)).ok()
    }

    /// Waits for room; nothing beyond the whole share is asked for, so it comes.
    pub(super) async fn later(&self, bytes: usize) -> Option<Room> {
        self.room.clone().acquire_many_owned(self.weight(bytes)).await.ok()
    }

    fn weight(&self, bytes: usize) -> u32 {
        let weight = u32::try_from(bytes.clamp(MESSAGE_BYTES, self.bytes));
        weight.expect("a share is far below 4 GiB")
    }

    /// Passes on an input of so many bytes, when there is room for it. Says whether the loop still
    /// listens.
    pub(super) async fn pass(
        &self,
        bytes: usize,
        mail: &Mailbox,
        input: impl FnOnce(Room) -> Incoming,
    ) -> bool {
        match self.now(bytes) {
            Some(room) => mail.put(input(room)).await,
            None => {
                // Boxed, so that the thousands that do not wait are small.
                let waits = async move {
                    let room = self.later(bytes).await?;
                    Some(mail.put(input(room)).await)
                };
                Box::pin(waits).await.unwrap_or(false)
            }
        }
    }
}

type Sent = Result<(), SendError<Incoming>>;
type Sending<'a> = Pin<Box<dyn Future<Output = Sent> + Send + 'a>>;

/// The loop's mailbox, as the readers see it.
#[derive(Clone, Debug)]
pub(super) struct Mailbox {
    to: mpsc::Sender<Incoming>,
    clients: mpsc::Sender<Incoming>,
    beats: mpsc::Sender<Incoming>,
    numbers: Arc<AtomicU64>,
}

/// The loop's end of the mailbox.
#[derive(Debug)]
pub(super) struct Mail {
    /// What workers send, and wakes the loop.
    pub(super) inputs: mpsc::Receiver<Incoming>,
    /// What clients send, and wakes the loop: it is heard while the disk is full, too.
    pub(super) clients: mpsc::Receiver<Incoming>,
    /// What waits until something else does: thousands of idle workers must not each wake it.
    pub(super) beats: mpsc::Receiver<Incoming>,
}

impl Mail {
    /// Returns what one turn takes: heartbeats, the first input, and as much of what else waits as
    /// there is room for.
    pub(super) fn take(&mut self, first: Option<Incoming>, hears: Hears) -> Vec<Incoming> {
        let mut taken = Vec::new();
        // Those that are there now: more may come as fast as they are taken.
        for _ in 0..self.beats.len() {
            taken.extend(self.beats.try_recv());
        }
        let bytes_max = match hears {
            Hears::All(bytes) => bytes,
            Hears::Clients => TURN_BYTES_MAX,
            Hears::Nobody => return taken,
        };
        let mut bytes = first.as_ref().map_or(0, Incoming::bytes);
        let most = taken.len() + TURN_INPUTS_MAX;
        taken.extend(first);
        while taken.len() < most && bytes < bytes_max {
            let Some(next) = self.next(hears, taken.len()) else { break };
            bytes += next.bytes();
            taken.push(next);
        }
        taken
    }

    /// Returns what waits next; of workers and clients by turns, so that neither waits for all of
    /// the other.
    fn next(&mut self, hears: Hears, turn: usize) -> Option<Incoming> {
        let Self { inputs, clients, .. } = self;
        let next = match hears {
            Hears::All(_) if turn.is_multiple_of(2) => {
                inputs.try_recv().or_else(|_| clients.try_recv())
            }
            Hears::All(_) => clients.try_recv().or_else(|_| inputs.try_recv()),
            Hears::Clients => clients.try_recv(),
            Hears::Nobody => return None,
        };
        next.ok()
    }
}

impl Mailbox {
    /// Returns a mailbox and its end in the loop.
    pub(super) fn new() -> (Self, Mail) {
        let (to, inputs) = mpsc::channel(MAILBOX_INPUTS);
        let (to_clients, clients) = mpsc::channel(MAILBOX_INPUTS);
        let (to_beats, beats) = mpsc::channel(MAILBOX_BEATS);
        let numbers = Arc::new(AtomicU64::new(1));
        let mail = Mail { inputs, clients, beats };
        (Self { to, clients: to_clients, beats: to_beats, numbers }, mail)
    }

    /// Puts an input; waits while the mailbox is full. Says whether the loop still listens.
    pub(super) async fn put(&self, input: Incoming) -> bool {
        match self.try_put(input) {
            Ok(()) => true,
            // Boxed, so that the thousands that do not wait are small.
            Err(TrySendError::Full(input)) => self.later(input).await.is_ok(),
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// A heartbeat waits for the loop's next turn. One that finds no room wakes the loop, which
    /// then takes all; so whoever beats too much waits, and nobody's beats are lost.
    #[expect(clippy::result_large_err, reason = "what finds no room goes on to wait for some")]
    fn try_put(&self, input: Incoming) -> Result<(), TrySendError<Incoming>> {
        if !input.is_beat() {
            return self.of(&input).try_send(input);
        }
        match self.beats.try_send(input) {
            Err(TrySendError::Full(beat)) => self.to.try_send(beat),
            sent => sent,
        }
    }

    /// Apart from `put`, which would keep an input that it looked at.
    fn later(&self, input: Incoming) -> Sending<'_> {
        Box::pin(self.of(&input).send(input))
    }

    const fn of(&self, input: &Incoming) -> &mpsc::Sender<Incoming> {
        if input.is_clients() { &self.clients } else { &self.to }
    }

    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::message::{ClientMessage, Load, WorkerMessage};

    use super::super::inbox::ConnectionId;
    use super::*;
    use crate::engine::input::ClientId;

    #[tokio::test]
    async fn a_peer_that_floods_waits_for_the_loop_and_others_are_heard() {
        let (mail, mut heard) = Mailbox::new();
        let (flooder, honest) = (Share::of(PEER_BYTES), Share::of(PEER_BYTES));
        let mut put = 0;
        while let Ok(room) = flooder.room.clone().try_acquire_many_owned(MESSAGE_BYTES as u32) {
            assert!(mail.put(said(1, room)).await);
            put += 1;
        }
        assert_eq!(put, PEER_BYTES / MESSAGE_BYTES);
        assert!(put <= MAILBOX_INPUTS / 16, "one peer fills the mailbox");
        let waits = flooder.later(1);
        assert!(mail.put(said(2, honest.now(1).unwrap())).await, "another has room");
        let mut waits = std::pin::pin!(waits);
        assert!(at_once(waits.as_mut()).await.is_none(), "the flooder waits");
        drop(heard.clients.recv().await);
        assert!(waits.await.is_some(), "taken, its room is given back");
        // The largest frame fits, and one that is larger than a share takes all of it.
        assert!(honest.now(FRAME_BYTES_MAX).is_some());
        assert!(Share::of(PEER_BYTES).now(usize::MAX).is_some());
    }

    /// Returns what a future gives when it is asked once.
    async fn at_once<F: Future + Unpin>(future: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            given = future => Some(given),
            () = std::future::ready(()) => None,
        }
    }

    fn said(client: u64, room: Room) -> Incoming {
        Incoming::ClientSaid { client: ClientId(client), message: ClientMessage::Unwatch, room }
    }

    fn beat(room: Room) -> Incoming {
        let message = WorkerMessage::Heartbeat { load: Load::default() };
        Incoming::WorkerSaid { connection: ConnectionId(1), message, room }
    }

    fn report(room: Room) -> Incoming {
        let message = WorkerMessage::Started { leases: Vec::new() };
        Incoming::WorkerSaid { connection: ConnectionId(1), message, room }
    }

    #[tokio::test]
    async fn a_turn_takes_no_more_than_there_is_room_for() {
        let (mail, mut heard) = Mailbox::new();
        let (worker, client) = (Share::of(64 << 20), Share::of(64 << 20));
        for _ in 0..20 {
            assert!(mail.put(report(worker.now(1 << 20).unwrap())).await);
            assert!(mail.put(said(2, client.now(1 << 20).unwrap())).await);
            assert!(mail.put(beat(worker.now(1).unwrap())).await);
        }
        let taken = heard.take(None, Hears::All(4 << 20));
        assert_eq!(taken.iter().filter(|input| input.is_beat()).count(), 20, "all beats");
        assert_eq!(taken.iter().filter(|input| input.is_clients()).count(), 2, "by turns");
        assert_eq!(taken.len(), 24);
        assert!(taken[..20].iter().all(Incoming::is_beat), "before what takes long");
        assert_eq!(heard.take(None, Hears::Nobody).len(), 0, "nobody is heard");
        let taken = heard.take(None, Hears::Clients);
        assert!(taken.iter().all(Incoming::is_clients), "the disk is full");
        assert_eq!(taken.len(), TURN_BYTES_MAX >> 20);
    }
}
