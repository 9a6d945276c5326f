//! Connections between workers and the master: in order, delayed, held up by partitions. Nothing is
//! lost on one but by a reset, which loses everything in flight in both directions.

use std::collections::BTreeMap;

use ganger::engine::input::Input;
use ganger_proto::{Name, SessionId};

use crate::gang::{Down, Up};
use crate::world::{Ev, WORKERS, What, World};

/// One connection between a worker and the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Link(u64);

impl Link {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// One direction of a link: in order, and held up by a partition.
#[derive(Clone, Copy, Default)]
pub(crate) struct Way {
    pub(crate) newest_ms: u64,
    pub(crate) blocked_until: u64,
}

impl Way {
    fn arrival(&mut self, sent_ms: u64) -> u64 {
        self.newest_ms = self.newest_ms.max(sent_ms).max(self.blocked_until);
        self.newest_ms
    }
}

impl World {
    pub(crate) fn send_up(&mut self, seat: usize, up: Up) {
        let Some(link) = self.seats[seat].link else { return };
        if self.is_lost(link, seat) {
            return;
        }
        let sent_ms = self.t + self.rng.u64(..25);
        let t = self.seats[seat].up.arrival(sent_ms);
        self.at(t, Ev::ToMaster { link, seat, up });
    }

    pub(crate) fn send_down(&mut self, link: Link, seat: usize, down: Down) {
        if self.is_lost(link, seat) {
            return;
        }
        let sent_ms = self.t + self.rng.u64(..25);
        let t = self.seats[seat].down.arrival(sent_ms);
        self.at(t, Ev::ToWorker { link, seat, down });
    }

    /// Ends a link now and then: everything in flight on it is lost, in both directions.
    fn is_lost(&mut self, link: Link, seat: usize) -> bool {
        if self.is_stormy() && self.rng.u32(..1_000) < self.reset_permille {
            self.reset(link, seat);
        }
        self.dead.contains(&link)
    }

    pub(crate) fn reset(&mut self, link: Link, seat: usize) {
        self.dead.insert(link);
        let life = self.seats[seat].life;
        self.within(1_500, Ev::LinkLost { link });
        self.within(500, Ev::Worker { seat, life, what: What::NoticesLoss { link } });
    }

    /// All links end with the master.
    pub(crate) fn links_die(&mut self) {
        for seat in 0..WORKERS {
            if let Some(link) = self.seats[seat].link {
                self.reset(link, seat);
            }
        }
    }
}

/// What the master's side knows of its links.
#[derive(Default)]
pub(crate) struct Links {
    open: BTreeMap<Link, (usize, SessionId)>,
    of_session: BTreeMap<SessionId, Link>,
}

impl Links {
    /// Returns the session that says something over a link; a hello opens it.
    pub(crate) fn input(&mut self, link: Link, seat: usize, up: Up) -> Option<Input> {
        match up {
            Up::Hello(hello) => {
                let session = hello.session;
                if let Some(older) = self.of_session.insert(session, link) {
                    self.open.remove(&older);
                }
                self.open.insert(link, (seat, session));
                let name = Name::from_lossy(&format!("w{seat}"));
                Some(Input::WorkerJoined { name, version: String::new(), hello })
            }
            Up::Say(said) => {
                let (_, session) = *self.open.get(&link)?;
                Some(Input::WorkerSaid { session, said })
            }
        }
    }

    pub(crate) fn lost(&mut self, link: Link) -> Option<Input> {
        let (_, session) = self.open.remove(&link)?;
        self.of_session.remove(&session);
        Some(Input::WorkerLeft { session })
    }

    pub(crate) fn of(&self, session: SessionId) -> Option<(Link, usize)> {
        let link = *self.of_session.get(&session)?;
        self.open.get(&link).map(|(seat, _)| (link, *seat))
    }
}
