//! What leaves the master, once what it rests on is durable. Encodes and hands to the outboxes; a
//! peer that reads too slowly is disconnected, never waited for.

use bytes::Bytes;
use ganger_net::CloseCode;
use ganger_net::frame::{SendError, encode};
use ganger_net::session::Session;
use ganger_proto::message::{ToClient, ToWorker, Welcome};
use ganger_proto::picture::Counts;
use ganger_proto::{BlockId, Picture, Refusal, Reply, SessionId};
use serde::Serialize;

use super::Master;
use super::bodies::{Job, Work};
use super::follow::Told;
use crate::engine::input::{ClientId, Drain, Effect};

/// Something that leaves when its time has come.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "an effect is as large as its answers, and moves once"
)]
pub(super) enum Outgoing {
    /// An effect of the engine.
    Effect(Effect),
    /// Something that needs results or outputs from the store first.
    Job(Box<Job>),
    /// What a worker is told of followers.
    Worker(SessionId, ToWorker),
    /// What a follower is told.
    Follower { client: ClientId, tag: u64, told: Told },
    /// A picture, with the block of each row of results.
    Picture { client: ClientId, picture: Box<Picture>, blocks: Vec<Option<BlockId>> },
    /// What the tasks are when that is durable. It goes nowhere; it is told when the disk is full.
    Counts(Counts),
}

impl Outgoing {
    /// Returns the client that this answers.
    pub(super) const fn replies_to(&self) -> Option<ClientId> {
        match self {
            Self::Effect(Effect::Reply { client, .. }) => Some(*client),
            Self::Effect(_)
            | Self::Job(_)
            | Self::Worker(..)
            | Self::Follower { .. }
            | Self::Picture { .. }
            | Self::Counts(_) => None,
        }
    }
}

impl Master {
    /// Sends one thing.
    pub(super) fn send(&mut self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Effect(effect) => self.act(effect),
            Outgoing::Job(job) => self.bodies.ask(*job),
            Outgoing::Worker(session, message) => self.tell(session, &message),
            Outgoing::Follower { client, tag, told } => self.tell_follower(client, tag, told),
            Outgoing::Picture { client, picture, blocks } => self.show(client, picture, blocks),
            Outgoing::Counts(counts) => self.clients.durable = counts,
        }
    }

    /// Welcomes a client: that rests on nothing.
    pub(super) fn welcome_client(&self, client: ClientId) {
        let Some(known) = self.clients.get(client) else { return };
        let welcome = self.welcome(known.actor.clone(), Vec::new(), 0);
        put(&known.session, &welcome);
    }

    fn show(&mut self, client: ClientId, picture: Box<Picture>, blocks: Vec<Option<BlockId>>) {
        let Some(to) = self.clients.shows(client, &picture, &blocks) else { return };
        let work = Work::Picture { picture, blocks };
        self.bodies.ask(Job { to, tag: 0, work, turn: None });
    }

    fn act(&mut self, effect: Effect) {
        match effect {
            Effect::Reply { client, tag, result } => {
                self.clients.answered(client);
                if let Some(known) = self.clients.get(client) {
                    put_reply(&known.session, tag, result);
                }
            }
            Effect::Welcome { session, stale, acknowledged } => {
                let Some(known) = self.workers.welcome(session) else { return };
                let (actor, to) = (known.actor.clone(), known.session.clone());
                let welcome = self.welcome(actor, stale, acknowledged);
                put(&to, &welcome);
                self.workers.beats_every(session, welcome.beat_ms);
            }
            Effect::Grant { session, grant } => self.tell(session, &ToWorker::Grant(grant)),
            Effect::Ack { session, report } => self.tell(session, &ToWorker::Ack { report }),
            Effect::Stale { session, leases } => self.tell(session, &ToWorker::Stale { leases }),
            Effect::Cancel { session, leases } => self.tell(session, &ToWorker::Cancel { leases }),
            Effect::Drain { session, drain } => {
                self.tell(session, &ToWorker::Drain { on: drain == Drain::On });
            }
            Effect::TakeBack { session, leases } => {
                self.tell(session, &ToWorker::TakeBack { leases });
            }
            Effect::Slots { session, slots } => self.tell(session, &ToWorker::Slots { slots }),
            Effect::OutputStored { session, lease } => {
                self.tell(session, &ToWorker::OutputStored { lease });
            }
            Effect::BatchEnded { batch } => self.batch_ended(batch),
        }
    }

    /// Tells a worker that has just beaten how often to, when that has changed by more than a third
    /// since it was told: those that came first were told what suits a few.
    pub(super) fn pace_beats(&mut self, session: SessionId) {
        let beat_ms = beat_ms(self.workers.count());
        let Some(known) = self.workers.welcomed(session) else { return };
        if beat_ms.abs_diff(known.beat_ms) * 3 > known.beat_ms {
            put(&known.session, &ToWorker::Beat { beat_ms });
            self.workers.beats_every(session, beat_ms);
        }
    }

    fn tell(&self, session: SessionId, message: &ToWorker) {
        if let Some(known) = self.workers.welcomed(session) {
            put(&known.session, message);
        }
    }

    fn welcome(
        &self,
        you: ganger_proto::Actor,
        stale: Vec<ganger_proto::message::LeaseRun>,
        acknowledged: u64,
    ) -> Welcome {
        let renew = self.authority.wants_renewal(you.role, &you.name);
        Welcome {
            minor: ganger_proto::message::MINOR.max,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            cluster: self.authority.cluster().clone(),
            epoch: self.engine.ledger().epoch,
            started: self.facts.started,
            now: self.clock.wall(),
            you,
            term_ms: self.engine.term_ms(),
            beat_ms: beat_ms(self.workers.count()),
            renew,
            stale,
            acknowledged,
        }
    }
}

/// How often one of so many workers beats while it is idle: each second, and with many workers a
/// thousand a second in all, but at least every seven seconds, in milliseconds. The term is ten:
/// three seconds are left for a packet that has to be sent again.
fn beat_ms(workers: usize) -> u32 {
    u32::try_from(workers).unwrap_or(u32::MAX).clamp(1_000, 7_000)
}

/// Puts a reply in a client's outbox. One that does not fit a frame is answered with a refusal, so
/// that nobody waits for it for ever.
pub(super) fn put_reply(to: &Session, tag: u64, result: Result<Reply, Refusal>) {
    let reply = ToClient::Reply { tag, result };
    match encode(&reply) {
        Ok(frame) => put_frame(to, frame),
        Err(error) => {
            tracing::error!(%error, "a reply does not fit a frame");
            let text = "the answer is over the limit of a frame; ask for fewer rows".to_owned();
            put(to, &ToClient::Reply { tag, result: Err(Refusal::Invalid(text)) });
        }
    }
}

/// Puts a message in a peer's outbox. A peer whose outbox is full is closed: it has not read for
/// thousands of messages.
pub(super) fn put<T: Serialize>(to: &Session, message: &T) {
    match encode(message) {
        Ok(frame) => put_frame(to, frame),
        Err(error) => tracing::error!(%error, "a message does not fit a frame"),
    }
}

fn put_frame(to: &Session, frame: Bytes) {
    if to.outbox.try_send(frame) == Err(SendError::Full) {
        tracing::warn!(remote = %to.remote(), "a peer reads too slowly and is closed");
        to.close(CloseCode::TooSlow, "this peer reads too slowly");
    }
}
