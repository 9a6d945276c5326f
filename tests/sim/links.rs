//! Connections between workers and the master: in order, delayed, held up by partitions. Nothing is
//! lost on one but by a reset, which loses everything in flight in both directions. An output
//! travels beside what is in order, on a stream of its own.

use std::collections::BTreeMap;

use ganger::engine::Engine;
use ganger::engine::input::{Drain, Input, Said};
use ganger_proto::message::{OutputHeader, WorkerMessage};
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
        let way = &mut self.seats[seat].up;
        let t = match up {
            Up::Output(..) => sent_ms.max(way.blocked_until),
            Up::Hello(_) | Up::Say(_) => way.arrival(sent_ms),
        };
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

/// What the master's side knows of its links; as `master::sessions` does.
#[derive(Default)]
pub(crate) struct Links {
    open: BTreeMap<Link, (usize, SessionId)>,
    of_session: BTreeMap<SessionId, (Link, Welcomed)>,
}

/// Whether a session's welcome has left over its link; nothing else is said to it before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Welcomed {
    No,
    Yes,
}

/// Something that reached the master and waits for its turn.
pub(crate) enum Mail {
    From { link: Link, seat: usize, up: Up },
    Lost { link: Link },
    Input(Input),
}

/// What a mail comes to.
pub(crate) enum Taken {
    Input(Input),
    Output(SessionId, OutputHeader, Vec<u8>),
    Nothing,
}

impl Links {
    /// Opens a mail, as the master's loop does.
    pub(crate) fn take(&mut self, mail: Mail, engine: &Engine) -> Taken {
        let input = match mail {
            Mail::Input(input) => Some(input),
            Mail::Lost { link } => self.lost(link).map(|session| Input::WorkerLeft { session }),
            Mail::From { link, seat, up: Up::Hello(hello) } => {
                let name = Name::from_lossy(&format!("w{seat}"));
                (!engine.is_anothers(hello.session, &name)).then(|| {
                    let session = hello.session;
                    let known = (link, Welcomed::No);
                    if let Some((older, _)) = self.of_session.insert(session, known) {
                        self.open.remove(&older);
                    }
                    self.open.insert(link, (seat, session));
                    Input::WorkerJoined { name, version: String::new(), hello }
                })
            }
            Mail::From { link, up: Up::Say(message), .. } => self.open.get(&link).map(|known| {
                let (session, said) = (known.1, said(message));
                Input::WorkerSaid { session, said }
            }),
            Mail::From { link, up: Up::Output(header, bytes), .. } => {
                return match self.open.get(&link) {
                    Some((_, session)) => Taken::Output(*session, header, bytes),
                    None => Taken::Nothing,
                };
            }
        };
        input.map_or(Taken::Nothing, Taken::Input)
    }

    fn lost(&mut self, link: Link) -> Option<SessionId> {
        let (_, session) = self.open.remove(&link)?;
        self.of_session.remove(&session);
        Some(session)
    }

    /// Returns where a welcome goes.
    pub(crate) fn welcome(&mut self, session: SessionId) -> Option<(Link, usize)> {
        let known = self.of_session.get_mut(&session)?;
        known.1 = Welcomed::Yes;
        self.of(session)
    }

    /// Returns where anything else goes: what was decided for the connection before is not for a
    /// new one.
    pub(crate) fn of(&self, session: SessionId) -> Option<(Link, usize)> {
        let (link, welcomed) = *self.of_session.get(&session)?;
        let (seat, _) = self.open.get(&link).filter(|_| welcomed == Welcomed::Yes)?;
        Some((link, *seat))
    }
}

fn said(message: WorkerMessage) -> Said {
    match message {
        WorkerMessage::Hold { tasks } => Said::Hold(tasks),
        WorkerMessage::Heartbeat { load } => Said::Heartbeat(load),
        WorkerMessage::Started { leases } => Said::Started(leases),
        WorkerMessage::Report(report) => Said::Report(report),
        WorkerMessage::Release { leases } => Said::Release(leases),
        WorkerMessage::Draining { on } => Said::Draining(Drain::of(on)),
    }
}
