//! The live connections by identity: to end those of a revoked one, and all but the newest of a
//! worker. Reads nothing from them.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard};

use ganger_proto::{Name, Role};
use tokio::sync::watch;

use crate::error::CloseCode;
use crate::limits::Bounds;
use crate::session::Goodbye;
use crate::socket::Connected;

type Identity = (Role, Name);
/// A connection's number, and where its end is decided.
type Connection = (u64, watch::Sender<Option<Goodbye>>);

/// All live connections.
#[derive(Debug, Default)]
pub(super) struct Live {
    state: Mutex<State>,
    /// The count, for those who only look.
    connected: Connected,
}

#[derive(Debug, Default)]
struct State {
    /// Counts connections.
    newest: u64,
    by_identity: HashMap<Identity, Vec<Connection>>,
}

impl Live {
    /// Returns the number of connections, as it changes.
    pub(super) fn connected(&self) -> Connected {
        self.connected.clone()
    }

    /// Enters a connection; none when there are as many already, in all or of this identity.
    pub(super) fn enter(
        self: &Arc<Self>,
        identity: Identity,
        goodbye: watch::Sender<Option<Goodbye>>,
        bounds: &Bounds,
    ) -> Option<Entered> {
        let mut state = self.lock();
        let own = state.by_identity.get(&identity).map_or(0, Vec::len);
        if self.connected.load(Ordering::Relaxed) >= bounds.connections
            || own >= bounds.identity_connections
        {
            return None;
        }
        state.newest += 1;
        self.connected.fetch_add(1, Ordering::Relaxed);
        let number = state.newest;
        state.by_identity.entry(identity.clone()).or_default().push((number, goodbye));
        Some(Entered { live: self.clone(), identity, number })
    }

    /// Ends all connections of an identity.
    pub(super) fn end(&self, identity: &Identity, code: CloseCode, reason: &str) {
        for (_, goodbye) in self.lock().by_identity.get(identity).into_iter().flatten() {
            Goodbye::say(goodbye, code, reason);
        }
    }

    /// Returns how many connections an identity has.
    pub(super) fn count(&self, identity: &Identity) -> u32 {
        let count = self.lock().by_identity.get(identity).map_or(0, Vec::len);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Ends all connections.
    pub(super) fn end_all(&self, code: CloseCode, reason: &str) {
        for (_, goodbye) in self.lock().by_identity.values().flatten() {
            Goodbye::say(goodbye, code, reason);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds this lock")
    }
}

/// A connection's place among the live ones, as long as it lives.
#[derive(Debug)]
pub(super) struct Entered {
    live: Arc<Live>,
    identity: Identity,
    number: u64,
}

impl Entered {
    /// Ends the older connections of the same identity.
    pub(super) fn supersede(&self) {
        let state = self.live.lock();
        let mine = state.by_identity.get(&self.identity).into_iter().flatten();
        for (_, goodbye) in mine.filter(|(number, _)| *number < self.number) {
            let reason = "a newer connection of the same worker came";
            Goodbye::say(goodbye, CloseCode::Superseded, reason);
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut state = self.live.lock();
        self.live.connected.fetch_sub(1, Ordering::Relaxed);
        if let Some(connections) = state.by_identity.get_mut(&self.identity) {
            connections.retain(|(number, _)| *number != self.number);
            if connections.is_empty() {
                state.by_identity.remove(&self.identity);
            }
        }
    }
}
