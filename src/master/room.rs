//! Room in the store: whom the loop listens to while much waits to be written, and what may leave
//! while the disk is full. How effects are held is in held.rs; the store tries again by itself.
//!
//! While the disk is full nothing that is decided becomes durable, so everything is held that rests
//! on it. What rests on nothing goes at once: a client's welcome, refusals that change nothing, and
//! a status and pictures that say what the trouble is. They show what was durable last. A worker's
//! welcome waits: it says which reports are acknowledged and which leases are stale, and what was
//! decided before it may not reach the new connection. It dials again until there is room.

use std::time::Duration;

use ganger_proto::picture::MasterLine;
use ganger_proto::{Picture, Refusal, Reply, Request, Watch};
use tokio::sync::watch;

use super::bodies::BUSY_RETRY_MS;
use super::inbox::Incoming;
use super::outgoing::{Outgoing, put_reply};
use super::{BEATS_MS, Master, MasterError, PULSE_MS, Phase};
use crate::clock::Now;
use crate::engine::deed::Deed;
use crate::engine::input::{ClientId, Drain};
use crate::store::{Durable, Trouble};

/// Bytes that wait to be written; above this the loop takes nothing in, and QUIC's flow control
/// makes the peers wait.
const BACKLOG_BYTES_MAX: usize = 8 << 20;
/// Replies to one client that wait to be durable; further questions are told to come again.
pub(super) const HELD_OF_ONE: usize = 64;
/// How often a store without room is tried again, in milliseconds.
const FULL_RETRY_MS: u64 = 1_000;

/// Whom the loop listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hears {
    /// Everybody, up to so many bytes.
    All(usize),
    /// Clients alone: the disk is full, and they must be told.
    Clients,
    /// Nobody: much waits to be written.
    Nobody,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    Roomy,
    Full,
}

impl Hears {
    fn of(backlog_bytes: usize, disk: Disk) -> Self {
        match BACKLOG_BYTES_MAX.saturating_sub(backlog_bytes) {
            0 if disk == Disk::Full => Self::Clients,
            0 => Self::Nobody,
            room => Self::All(room),
        }
    }
}

impl Master {
    /// Waits for one input, for something to become durable, or for time; takes what else waits.
    pub(super) async fn hear(
        &mut self,
        durable: &mut watch::Receiver<Durable>,
    ) -> Result<Vec<Incoming>, MasterError> {
        let now = self.clock.now();
        let longest = if self.workers.count() > 0 { BEATS_MS } else { PULSE_MS };
        let wake = self.wake_ms().saturating_sub(now.mono_ms).min(longest);
        let hears = self.hears();
        let mut first = None;
        tokio::select! {
            input = self.mail.inputs.recv(), if matches!(hears, Hears::All(_)) => first = input,
            input = self.mail.clients.recv(), if hears != Hears::Nobody => first = input,
            told = durable.changed() => ended(told)?,
            () = tokio::time::sleep(Duration::from_millis(wake)) => {}
        }
        Ok(self.mail.take(first, hears))
    }

    fn hears(&self) -> Hears {
        let disk = if self.is_in_trouble() { Disk::Full } else { Disk::Roomy };
        Hears::of(self.writer.backlog_bytes(), disk)
    }

    /// Follows whether the store has room: without it nothing is submitted or granted.
    pub(super) fn store_room(&mut self, full: Option<&Trouble>) {
        let trouble = full.map(Trouble::to_string).unwrap_or_default();
        if self.facts.trouble != trouble {
            self.facts.trouble = trouble;
            self.engine.set_granting(self.grants());
            self.clients.note_trouble();
        }
        let now = self.clock.now();
        if full.is_some() && now.mono_ms >= self.full_retry_ms {
            self.full_retry_ms = now.mono_ms + FULL_RETRY_MS;
            self.writer.retry();
        }
    }

    pub(super) fn grants(&self) -> Drain {
        Drain::of(self.is_in_trouble() || self.phase != Phase::Serving)
    }

    pub(super) const fn is_in_trouble(&self) -> bool {
        !self.facts.trouble.is_empty()
    }

    /// Tells whether the disk is full and something decided waits for room: until then nothing
    /// that the engine knows may be told as it is.
    pub(super) fn waits_for_room(&self) -> bool {
        self.is_in_trouble() && self.writer.durable().borrow().seq < self.newest
    }

    /// Tells whether a client must ask again later: too much of what it asked waits for room, or
    /// what it wants written down finds none.
    pub(super) fn is_busy_for(&self, client: ClientId, request: &Request) -> bool {
        let at_once =
            matches!(request, Request::Submit(_) | Request::Status | Request::Stop { .. });
        let finds_none = Deed::of(request).is_some() && self.hears() == Hears::Clients;
        let waits = self.clients.waiting(client) >= HELD_OF_ONE;
        self.is_in_trouble() && !at_once && (finds_none || waits)
    }

    /// Refuses what changes nothing: that rests on nothing, and goes at once.
    pub(super) fn refuse(&self, client: ClientId, tag: u64, refusal: Refusal) {
        self.reply_now(client, tag, Err(refusal));
    }

    /// Tells a client to ask again.
    pub(super) fn busy(&self, client: ClientId, tag: u64) {
        self.refuse(client, tag, Refusal::Busy { retry_after_ms: BUSY_RETRY_MS });
    }

    /// Replies with what rests on nothing that is not durable.
    pub(super) fn reply_now(&self, client: ClientId, tag: u64, result: Result<Reply, Refusal>) {
        if let Some(known) = self.clients.get(client) {
            put_reply(&known.session, tag, result);
        }
    }

    /// Returns what the master knows of itself, with the tasks that were durable last.
    pub(super) fn durable_line(&self) -> MasterLine {
        MasterLine { counts: self.clients.durable, ..self.master_line() }
    }

    /// Sends the picture again that was true last, with the trouble; to who had none, only that.
    pub(super) fn draw_trouble(&mut self, client: ClientId, watch: &Watch, now: Now) {
        let kept = self.clients.get(client).and_then(|client| client.shown.clone());
        let (mut picture, blocks) = kept.unwrap_or_else(|| (self.bare(watch, now), Vec::new()));
        picture.master.trouble.clone_from(&self.facts.trouble);
        picture.log = self.recent_log(watch);
        picture.number = self.clients.drawn(client, now);
        self.send(Outgoing::Picture { client, picture, blocks });
    }

    fn bare(&self, watch: &Watch, now: Now) -> Box<Picture> {
        Box::new(Picture {
            number: 0,
            watch: watch.number,
            seq: self.writer.durable().borrow().seq.0,
            at: now.wall,
            master: self.durable_line(),
            queues: Vec::new(),
            gang: self.engine.gang(),
            history: None,
            tasks: None,
            results: None,
            workers: None,
            log: Vec::new(),
        })
    }
}

/// A watch that nobody tells anything any more says that the store's thread is gone, whatever it
/// died of: nothing becomes durable again.
fn ended(told: Result<(), watch::error::RecvError>) -> Result<(), MasterError> {
    told.map_err(|_| MasterError::Store(THREAD_GONE.to_owned()))
}

const THREAD_GONE: &str =
    "the store's thread has ended; look at the log and start the master again";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_store_thread_that_is_gone_ends_the_master() {
        let (tell, mut durable) = watch::channel(Durable::default());
        tell.send_modify(|durable| durable.commits += 1);
        assert!(ended(durable.changed().await).is_ok());
        drop(tell);
        let error = ended(durable.changed().await).unwrap_err();
        assert!(error.to_string().contains("the store's thread has ended"), "{error}");
    }

    #[test]
    fn only_clients_are_heard_on_a_full_disk_and_nobody_on_a_slow_one() {
        let over = BACKLOG_BYTES_MAX + 1;
        assert_eq!(Hears::of(over, Disk::Full), Hears::Clients);
        assert_eq!(Hears::of(over, Disk::Roomy), Hears::Nobody);
        assert_eq!(Hears::of(BACKLOG_BYTES_MAX - 1, Disk::Full), Hears::All(1));
        assert_eq!(Hears::of(0, Disk::Roomy), Hears::All(BACKLOG_BYTES_MAX));
    }
}
