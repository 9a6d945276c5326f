//! The master: one loop owns the engine. It waits for one input, takes what else already waits,
//! feeds the engine, makes its events durable, and only then lets effects leave. Decides nothing
//! about tasks itself.

mod audit;
mod bodies;
mod ends;
mod follow;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod held;
mod inbox;
mod local;
mod mailbox;
mod outgoing;
mod outputs;
pub mod recover;
mod relay;
mod requests;
mod room;
mod searches;
mod sessions;
mod start;
mod status;
mod trust;
mod watches;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ganger_net::CloseCode;
use ganger_net::pki::authority::Authority;
use ganger_net::server::Server;
use ganger_proto::message::WorkerMessage;
use ganger_proto::{SessionId, WallMs};

use crate::clock::{Clock, Now};
use crate::engine::Engine;
use crate::engine::input::{Drain, Input, Said};
use crate::logs::Ring;
use crate::store::{Batch, BlockCache, Durable, Installing, Output, Seq, Writer};
use bodies::Bodies;
use ends::Ends;
use follow::Follows;
use held::Held;
use inbox::{Incoming, Mail};
use outgoing::Outgoing;
use outputs::Longs;
use searches::{Hunts, Searching};
use sessions::{Clients, Workers};

pub use start::{MasterError, MasterOptions, StoreChoice, run};

/// Batches between two digests in the journal.
const DIGEST_EVERY: u64 = 4_096;
/// How often clients hear something, in milliseconds.
const PULSE_MS: u64 = 2_000;
/// How often a picture is drawn because heartbeats came and nothing else, in milliseconds.
const LOADS_MS: u64 = 5_000;
/// How long heartbeats wait at most, in milliseconds; far less than a lease's term.
const BEATS_MS: u64 = 500;
/// How often a picture that changes by itself is drawn, in milliseconds.
const SECOND_MS: u64 = 1_000;
/// How often the age of the administrator's certificate is looked at, in milliseconds.
const ADMIN_MS: u64 = 3_600_000;
/// Events after which a snapshot is taken.
const SNAPSHOT_EVENTS: u64 = 2_000_000;
/// Journal bytes after which a snapshot is taken.
const SNAPSHOT_BYTES: u64 = 256 << 20;

/// The loop's state.
struct Master {
    clock: Clock,
    engine: Engine,
    writer: Writer,
    bodies: Bodies,
    cache: BlockCache,
    authority: Arc<Authority>,
    server: Arc<Server>,
    mail: Mail,
    workers: Workers,
    clients: Clients,
    hunts: Hunts,
    follows: Follows,
    ends: Ends,
    longs: Longs,
    held: Held<Outgoing>,
    newest: Seq,
    outputs: Vec<Output>,
    tail: Tail,
    facts: Facts,
    phase: Phase,
    pulse_ms: u64,
    second_ms: u64,
    admin_ms: u64,
    loads_ms: u64,
    full_retry_ms: u64,
    log: Ring,
}

/// How much the journal has grown since the last snapshot.
#[derive(Default)]
struct Tail {
    events: u64,
    bytes: u64,
}

/// What the master knows of itself.
struct Facts {
    home: PathBuf,
    address: SocketAddr,
    advertise: Vec<String>,
    started: WallMs,
    trouble: String,
}

/// Whether the master goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It serves.
    Serving,
    /// It grants nothing and stops when nothing is leased.
    Draining,
    /// It stops.
    Stopping,
}

impl Master {
    /// Runs until it is told to stop.
    async fn serve(&mut self) -> Result<(), MasterError> {
        let mut durable = self.writer.durable();
        self.turn(vec![]);
        while self.phase != Phase::Stopping {
            let inputs = self.hear(&mut durable).await?;
            self.turn(inputs);
            let state = durable.borrow_and_update().clone();
            self.release(state.seq);
            if let Some(trouble) = state.trouble.as_ref().filter(|trouble| trouble.is_final()) {
                return Err(MasterError::Store(trouble.to_string()));
            }
            self.store_room(state.trouble.as_ref());
            self.beat();
        }
        Ok(())
    }

    /// Feeds the engine what came, drains it once, and hands its events to the store.
    fn turn(&mut self, inputs: Vec<Incoming>) {
        let (beats, rest): (Vec<_>, Vec<_>) = inputs.into_iter().partition(Incoming::is_beat);
        beats.into_iter().for_each(|beat| self.take(beat));
        // Before what takes long: who beats meanwhile is heard only in the next turn, and would
        // count as silent.
        self.tick();
        rest.into_iter().for_each(|input| self.take(input));
        let now = self.clock.now();
        let mut out = self.engine.drain(now);
        let effects: Vec<Outgoing> = out.effects.drain(..).map(Outgoing::Effect).collect();
        if out.is_durable() {
            self.clients.note_change();
            self.newest = self.newest.next();
            let events = out.events.len() as u64;
            let data = crate::engine::event::encode(&out.events);
            self.tail.events += events;
            self.tail.bytes += data.len() as u64;
            for (id, block) in &out.blocks {
                self.cache.put(*id, block.as_slice());
            }
            let digest = self.newest.0.is_multiple_of(DIGEST_EVERY);
            let batch = Batch {
                data,
                events,
                digest: digest.then(|| self.engine.ledger().digest()),
                blocks: out.blocks,
                outputs: std::mem::take(&mut self.outputs),
                drop_blocks: out.drop_blocks,
                drop_outputs: out.drop_outputs,
            };
            let seq = self.writer.submit(batch, now.wall);
            debug_assert_eq!(seq, self.newest, "the loop and the store count alike");
            self.hold(vec![Outgoing::Counts(self.engine.counts())]);
            self.snapshot_when_due();
        }
        self.hold(effects);
        self.follow_on();
    }

    fn tick(&mut self) {
        let now = self.clock.now();
        if self.engine.wake_at(now) <= now.mono_ms {
            self.engine.handle(now, Input::Tick);
        }
    }

    /// Lets things leave when all that was decided before them is durable.
    fn hold(&mut self, outgoing: Vec<Outgoing>) {
        outgoing.iter().filter_map(Outgoing::replies_to).for_each(|to| self.clients.waits(to));
        self.held.hold(self.newest, outgoing);
    }

    /// Sends everything that rests on batches up to `durable`.
    fn release(&mut self, durable: Seq) {
        while let Some(ready) = self.held.release(durable) {
            ready.into_iter().for_each(|outgoing| self.send(outgoing));
        }
    }

    fn snapshot_when_due(&mut self) {
        if self.tail.events < SNAPSHOT_EVENTS && self.tail.bytes < SNAPSHOT_BYTES {
            return;
        }
        self.tail = Tail::default();
        let parts = Box::new(self.engine.ledger().snapshot());
        if self.writer.install_snapshot(self.newest, parts) == Installing::Busy {
            tracing::warn!("a snapshot is due while the one before is still being written");
        }
    }

    /// Does what time asks for: pictures, pulses, the end of a drain.
    fn beat(&mut self) {
        let now = self.clock.now();
        if now.mono_ms >= self.pulse_ms {
            self.pulse_ms = now.mono_ms + PULSE_MS;
            self.clients.pulse();
        }
        if now.mono_ms >= self.second_ms {
            self.second_ms = now.mono_ms + SECOND_MS;
            // Rates fall and charts move although no task ends.
            if self.clients.watched() && self.engine.is_moving(now) {
                self.clients.note_change();
            }
        }
        if now.mono_ms >= self.admin_ms {
            self.admin_ms = now.mono_ms + ADMIN_MS;
            self.renew_admin();
        }
        self.search();
        self.answer_ends();
        self.draw(now);
        self.report_progress(now);
        let leased = self.engine.counts();
        if self.phase == Phase::Draining && leased.sent + leased.running == 0 {
            self.phase = Phase::Stopping;
        }
    }

    fn wake_ms(&self) -> u64 {
        if self.hunts.more == Searching::Yes {
            return 0;
        }
        let now = self.clock.now();
        let mut wake = self.engine.wake_at(now).min(self.pulse_ms);
        if self.clients.watched() {
            wake = wake.min(self.second_ms);
        }
        if !self.facts.trouble.is_empty() {
            wake = wake.min(self.full_retry_ms);
        }
        wake.min(self.clients.draw_at()).min(self.progress_at())
    }

    /// Tells whether a picture is drawn for what a worker said. What heartbeats say of a machine's
    /// load is drawn now and then, not each time; that a silent one is heard again, at once.
    fn is_drawn(&mut self, now: Now, from: SessionId, said: &WorkerMessage) -> bool {
        let beat = matches!(said, WorkerMessage::Heartbeat { .. });
        if beat && now.mono_ms < self.loads_ms && !self.engine.is_silent(from) {
            return false;
        }
        self.loads_ms = now.mono_ms + LOADS_MS;
        true
    }

    /// Takes one input.
    fn take(&mut self, input: Incoming) {
        let now = self.clock.now();
        match input {
            Incoming::WorkerCame { connection, arrival, hello } => {
                let name = arrival.peer.actor.name.clone();
                let session = hello.session;
                if self.engine.is_anothers(session, &name) {
                    tracing::warn!(%name, %session, "a worker presented another's session");
                    let reason = "this session is another worker's; start the worker again";
                    arrival.session.close(CloseCode::Protocol, reason);
                    return;
                }
                let version = arrival.hello.version.clone();
                self.workers.came(connection, session, *arrival);
                self.engine.handle(now, Input::WorkerJoined { name, version, hello });
            }
            Incoming::WorkerSaid { connection, message, room: _room } => {
                let Some(session) = self.workers.session_of(connection) else { return };
                if self.is_drawn(now, session, &message) {
                    self.clients.note_change();
                }
                let said = match message {
                    WorkerMessage::Hold { tasks } => Said::Hold(tasks),
                    WorkerMessage::Heartbeat { load } => {
                        self.beat_came(session);
                        Said::Heartbeat(load)
                    }
                    WorkerMessage::Started { leases } => Said::Started(leases),
                    WorkerMessage::Report(report) => Said::Report(report),
                    WorkerMessage::Release { leases } => Said::Release(leases),
                    WorkerMessage::Draining { on } => Said::Draining(Drain::of(on)),
                };
                self.engine.handle(now, Input::WorkerSaid { session, said });
            }
            Incoming::WorkerLeft { connection } => {
                if let Some(session) = self.workers.left(connection) {
                    self.clients.note_change();
                    self.engine.handle(now, Input::WorkerLeft { session });
                }
            }
            Incoming::WorkerOutput { connection, header, bytes, room: _room } => {
                self.output_came(connection, header, bytes);
            }
            Incoming::WorkerLong { connection, long } => self.long_began(connection, *long),
            Incoming::LongEnded { connection, ended } => self.long_ended(connection, ended),
            Incoming::ClientCame { client, arrival } => self.client_came(client, *arrival),
            Incoming::ClientSaid { client, message, room: _room } => {
                self.client_said(client, message);
            }
            Incoming::ClientLeft { client } => {
                self.clients.left(client);
                self.follows.client_left(client);
                self.ends.left(client);
                self.hunts.left(client);
            }
            Incoming::WorkerLive { connection, header, stream } => {
                self.live_came(connection, header, stream);
            }
            Incoming::FollowerLeft { client, tag } => self.follows.left(client, tag),
            Incoming::Stop => self.phase = Phase::Stopping,
        }
    }

    /// Ends: what was decided is flushed, peers are told, and the store is closed.
    async fn finish(mut self) {
        let mut durable = self.writer.durable();
        let newest = self.newest;
        let done = |state: &Durable| state.seq >= newest || state.trouble.is_some();
        let seq = durable.wait_for(done).await.map(|state| state.seq).unwrap_or_default();
        self.release(seq);
        tokio::time::sleep(Duration::from_millis(50)).await;
        self.server.close().await;
        let writer = self.writer;
        match tokio::task::spawn_blocking(move || writer.shutdown()).await {
            Ok(Ok(())) => tracing::info!("the store is closed"),
            Ok(Err(trouble)) => tracing::error!(%trouble, "the store was not closed well"),
            Err(error) => tracing::error!(%error, "the store thread ended badly"),
        }
        start::forget(&self.facts.home);
    }

    /// Ends an identity's connections at once.
    fn kick(&self, role: ganger_proto::Role, name: &ganger_proto::Name) {
        self.server.kick(role, name, CloseCode::Revoked, "this identity was revoked");
    }
}
