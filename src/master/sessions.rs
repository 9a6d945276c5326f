//! Who is connected: workers by session, clients by number, what clients wait for and watch. Holds
//! connections; decides nothing about tasks.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use ganger_net::CloseCode;
use ganger_net::session::Session;
use ganger_proto::message::ToClient;
use ganger_proto::picture::Counts;
use ganger_proto::{Actor, BatchId, BlockId, Picture, SessionId, Watch};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::bodies::JOBS_OF_ONE;
use super::inbox::{ConnectionId, Peering};
use super::outgoing::put;
use super::searches::Searching;
use crate::clock::Now;
use crate::engine::Engine;
use crate::engine::input::ClientId;
use crate::engine::search::Slice;
use crate::engine::window::Searches;

/// Between two pictures of one client, in milliseconds: at most 30 a second.
const DRAW_EVERY_MS: u64 = 33;

/// A connected worker.
#[derive(Debug)]
pub(super) struct WorkerLink {
    pub(super) connection: ConnectionId,
    pub(super) actor: Actor,
    pub(super) session: Session,
    /// Whether its welcome has left; nothing else is said to it before.
    welcomed: bool,
    /// How often it was told to beat, in milliseconds.
    pub(super) beat_ms: u32,
    /// Where its packets came from when that was looked at last.
    remote: SocketAddr,
}

/// Connected workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    links: BTreeMap<SessionId, WorkerLink>,
    sessions: HashMap<ConnectionId, SessionId>,
}

impl Workers {
    /// Adds a connection; an older one of the same session is closed.
    pub(super) fn came(&mut self, connection: ConnectionId, id: SessionId, new: Peering) {
        let remote = new.session.remote();
        let link = WorkerLink {
            connection,
            actor: new.peer.actor,
            session: new.session,
            welcomed: false,
            beat_ms: 0,
            remote,
        };
        if let Some(older) = self.links.insert(id, link) {
            self.sessions.remove(&older.connection);
            older.session.close(CloseCode::Superseded, "this worker has connected again");
        }
        self.sessions.insert(connection, id);
    }

    /// Removes a connection; returns its session unless a newer connection has it.
    pub(super) fn left(&mut self, connection: ConnectionId) -> Option<SessionId> {
        let id = self.sessions.remove(&connection)?;
        self.links.remove(&id);
        Some(id)
    }

    /// Returns a connection's session, unless a newer connection has it.
    pub(super) fn session_of(&self, connection: ConnectionId) -> Option<SessionId> {
        self.sessions.get(&connection).copied()
    }

    /// Returns how many are connected.
    pub(super) fn count(&self) -> usize {
        self.links.len()
    }

    /// Returns a session's connection.
    pub(super) fn get(&self, id: SessionId) -> Option<&WorkerLink> {
        self.links.get(&id)
    }

    /// Returns a session's connection whose welcome leaves now.
    pub(super) fn welcome(&mut self, id: SessionId) -> Option<&WorkerLink> {
        let link = self.links.get_mut(&id)?;
        link.welcomed = true;
        Some(link)
    }

    /// Returns all connections whose welcome has left.
    pub(super) fn all_welcomed(&self) -> impl Iterator<Item = &WorkerLink> {
        self.links.values().filter(|link| link.welcomed)
    }

    /// Notes how often a worker was told to beat.
    pub(super) fn beats_every(&mut self, id: SessionId, beat_ms: u32) {
        if let Some(link) = self.links.get_mut(&id) {
            link.beat_ms = beat_ms;
        }
    }

    /// Looks where a worker's packets come from; returns the address before when it has changed.
    pub(super) fn moved(&mut self, id: SessionId) -> Option<SocketAddr> {
        let link = self.links.get_mut(&id)?;
        let remote = link.session.remote();
        (remote != link.remote).then(|| std::mem::replace(&mut link.remote, remote))
    }

    /// Returns a session's connection, once it was welcomed. What was decided for the connection
    /// before it is not for this one: its hello was compared with all of that.
    pub(super) fn welcomed(&self, id: SessionId) -> Option<&WorkerLink> {
        self.links.get(&id).filter(|link| link.welcomed)
    }
}

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) actor: Actor,
    pub(super) session: Session,
    pub(super) watch: Option<Watch>,
    /// Pictures sent, and pictures that the client has taken in.
    pub(super) sent: u64,
    pub(super) seen: u64,
    /// Whether something changed since the last picture.
    pub(super) stale: bool,
    /// Pictures that may be on their way when the next goes: one for a new watch, all when the
    /// store's trouble changes, else none.
    pub(super) ahead: u64,
    /// When the next picture may go, on the monotonic clock.
    pub(super) draw_ms: u64,
    /// What its windows are searched for.
    pub(super) searches: Searches,
    /// The newest picture that left, and the blocks of its results: all in it is durable.
    pub(super) shown: Option<(Box<Picture>, Vec<Option<BlockId>>)>,
    /// Replies that are held until they are durable.
    waiting: usize,
    /// Questions that the reading thread may have of it at once.
    jobs: Arc<Semaphore>,
}

/// A client that waits for batches.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) client: ClientId,
    pub(super) tag: u64,
    pub(super) batches: Vec<BatchId>,
}

/// Connected clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    all: BTreeMap<ClientId, Client>,
    pub(super) waiters: Vec<Waiter>,
    pub(super) progress_ms: u64,
    /// The tasks that were durable last, by state.
    pub(super) durable: Counts,
    /// Whose searches go on next.
    turn: Option<ClientId>,
}

impl Clients {
    /// Adds a client.
    pub(super) fn came(&mut self, id: ClientId, new: Peering) {
        let client = Client {
            actor: new.peer.actor,
            session: new.session,
            watch: None,
            sent: 0,
            seen: 0,
            stale: false,
            ahead: 0,
            draw_ms: 0,
            searches: Searches::default(),
            shown: None,
            waiting: 0,
            jobs: Arc::new(Semaphore::new(JOBS_OF_ONE)),
        };
        self.all.insert(id, client);
    }

    /// Removes a client and what it waited for.
    pub(super) fn left(&mut self, id: ClientId) {
        self.all.remove(&id);
        self.waiters.retain(|waiter| waiter.client != id);
    }

    /// Returns a client.
    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        self.all.get(&id)
    }

    /// Returns who a client is.
    pub(super) fn actor(&self, id: ClientId) -> Option<Actor> {
        self.all.get(&id).map(|client| client.actor.clone())
    }

    /// Sets what a client watches; its first picture goes at once.
    pub(super) fn watch(&mut self, id: ClientId, watch: Option<Watch>) {
        if let Some(client) = self.all.get_mut(&id) {
            if watch.is_none() {
                client.searches = Searches::default();
                client.shown = None;
            }
            client.watch = watch;
            client.stale = true;
            client.draw_ms = 0;
            client.ahead = 1;
        }
    }

    /// Notes that a client has taken in a picture.
    pub(super) fn seen(&mut self, id: ClientId, number: u64) {
        if let Some(client) = self.all.get_mut(&id) {
            client.seen = client.seen.max(number.min(client.sent));
        }
    }

    /// Notes that pictures may look different.
    pub(super) fn note_change(&mut self) {
        for client in self.all.values_mut() {
            client.stale = true;
        }
    }

    /// Notes that the store's trouble has begun, changed or gone: each is told, whatever pictures
    /// wait for room.
    pub(super) fn note_trouble(&mut self) {
        for client in self.all.values_mut() {
            client.stale = true;
            client.ahead = client.sent - client.seen;
        }
    }

    /// Notes that a reply is held for a client.
    pub(super) fn waits(&mut self, id: ClientId) {
        if let Some(client) = self.all.get_mut(&id) {
            client.waiting += 1;
        }
    }

    /// Notes that a held reply leaves.
    pub(super) fn answered(&mut self, id: ClientId) {
        if let Some(client) = self.all.get_mut(&id) {
            client.waiting = client.waiting.saturating_sub(1);
        }
    }

    /// Returns how many replies are held for a client.
    pub(super) fn waiting(&self, id: ClientId) -> usize {
        self.all.get(&id).map_or(0, |client| client.waiting)
    }

    /// Keeps a picture that leaves; returns where it goes.
    pub(super) fn shows(
        &mut self,
        id: ClientId,
        picture: &Picture,
        blocks: &[Option<BlockId>],
    ) -> Option<Session> {
        let client = self.all.get_mut(&id)?;
        client.shown = Some((Box::new(picture.clone()), blocks.to_vec()));
        Some(client.session.clone())
    }

    /// Tells every client that the master is alive.
    pub(super) fn pulse(&self) {
        for client in self.all.values() {
            put(&client.session, &ToClient::Pulse);
        }
    }

    /// Returns the clients that are due a picture, with their watch.
    pub(super) fn due(&mut self, mono_ms: u64) -> Vec<(ClientId, Watch)> {
        let due = self.all.iter().filter(|(_, client)| client.wants() && client.draw_ms <= mono_ms);
        due.filter_map(|(id, client)| client.watch.clone().map(|watch| (*id, watch))).collect()
    }

    /// Gives a slice to the next client whose windows are searched for. Its pictures show what was
    /// found so far, and what was found in the end.
    pub(super) fn search_on(&mut self, engine: &Engine, now: Now, steps: u64) -> Searching {
        let from = self.turn.take();
        let ids: Vec<ClientId> = self.all.keys().copied().collect();
        let (before, after) = ids.split_at(ids.partition_point(|id| Some(*id) <= from));
        for id in after.iter().chain(before) {
            let Some(client) = self.all.get_mut(id) else { continue };
            for search in client.searches.iter_mut() {
                let slice = engine.search(now, search, steps);
                client.stale |= slice == Slice::Over || (slice == Slice::More && search.is_first());
                if slice != Slice::Idle {
                    self.turn = Some(*id);
                }
            }
            if self.turn.is_some() {
                return Searching::Yes;
            }
        }
        Searching::No
    }

    /// Returns what a client's windows are searched for.
    pub(super) fn searches(&mut self, id: ClientId) -> Searches {
        self.all.get_mut(&id).map(|client| std::mem::take(&mut client.searches)).unwrap_or_default()
    }

    /// Keeps what a client's windows are searched for.
    pub(super) fn keep_searches(&mut self, id: ClientId, searches: Searches) {
        if let Some(client) = self.all.get_mut(&id) {
            client.searches = searches;
        }
    }

    /// Counts a picture that goes to a client; returns its number.
    pub(super) fn drawn(&mut self, id: ClientId, now: Now) -> u64 {
        let Some(client) = self.all.get_mut(&id) else { return 0 };
        client.sent += 1;
        client.stale = false;
        client.ahead = 0;
        client.draw_ms = now.mono_ms + DRAW_EVERY_MS;
        client.sent
    }

    /// Returns when the next picture is due.
    pub(super) fn draw_at(&self) -> u64 {
        let wanting = self.all.values().filter(|client| client.wants());
        wanting.map(|client| client.draw_ms).min().unwrap_or(u64::MAX)
    }

    /// Tells whether somebody watches.
    pub(super) fn watched(&self) -> bool {
        self.all.values().any(|client| client.watch.is_some())
    }
}

impl Client {
    /// Returns a place among the questions that it may have asked at once; none when all are taken.
    pub(super) fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.jobs.clone().try_acquire_owned().ok()
    }

    /// A picture goes when something changed and the one before was taken in; for a new watch one
    /// may be on its way. So a slow link gets fewer pictures, never a backlog.
    const fn wants(&self) -> bool {
        self.watch.is_some() && self.stale && self.sent <= self.seen + self.ahead
    }
}
