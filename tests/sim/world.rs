//! A cluster in virtual time, from one seed: events in the order of their time, workers in their
//! seats, and what goes wrong with them. The master's side is in foreman.rs and disk.rs, clients
//! are in crowd.rs, what travels between is in links.rs.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use ganger_proto::{LeaseId, Outcome, SessionId};

use crate::crowd::{Asked, Client};
use crate::foreman::Foreman;
use crate::gang::{Act, Down, Finished, Run, Up, Worker};
use crate::hand::Hand;
use crate::history::History;
use crate::liar::Liar;
use crate::links::{Link, Mail, Way};

pub(crate) const WORKERS: usize = 4;
/// Faults happen until then.
pub(crate) const FAULTS_MS: u64 = 20_000;
/// From then on everything must have ended within this time.
const CALM_MS: u64 = 60_000;
/// How often a worker's connection is looked at, and after how long without an answer from the
/// other end it is given up.
const PROBE_MS: u64 = 300;
const DEAF_MS: u64 = 2_000;

pub(crate) enum Ev {
    Turn { life: u32 },
    Tick { life: u32 },
    Durable { life: u32 },
    MasterStarts,
    ToMaster { link: Link, seat: usize, up: Up },
    LinkLost { link: Link },
    ToWorker { link: Link, seat: usize, down: Down },
    WorkerStarts { seat: usize },
    Worker { seat: usize, life: u32, what: What },
    Request { tag: u64 },
    Reply { tag: u64, reply: Box<Result<ganger_proto::Reply, ganger_proto::Refusal>> },
    ClientWakes { client: usize },
    Fault,
}

#[derive(Clone, Copy)]
pub(crate) enum What {
    Dials,
    Probes,
    Wakes,
    Ends { lease: LeaseId, outcome: Outcome },
    NoticesLoss { link: Link },
}

/// Who sits in a seat in a storm; in the calm all are honest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Honest,
    Liar,
}

/// The place of a worker, through its lives.
pub(crate) struct Seat {
    kind: Kind,
    worker: Option<Box<dyn Worker>>,
    pub(crate) life: u32,
    pub(crate) link: Option<Link>,
    /// When the other end of its link answered last.
    answered_ms: u64,
    pub(crate) up: Way,
    pub(crate) down: Way,
    paused_until: u64,
    slow: u64,
    /// When it is woken next.
    wake_ms: Option<u64>,
}

impl Seat {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            worker: None,
            life: 0,
            link: None,
            answered_ms: 0,
            up: Way::default(),
            down: Way::default(),
            paused_until: 0,
            slow: 1,
            wake_ms: None,
        }
    }
}

pub(crate) struct World {
    pub(crate) t: u64,
    order: u64,
    events: BTreeMap<(u64, u64), Ev>,
    pub(crate) rng: Rng,
    pub(crate) foreman: Foreman,
    pub(crate) seats: Vec<Seat>,
    links: u64,
    pub(crate) dead: BTreeSet<Link>,
    /// Messages of a thousand that end their connection.
    pub(crate) reset_permille: u32,
    pub(crate) clients: Vec<Client>,
    pub(crate) asked: BTreeMap<u64, Asked>,
    /// Leases of which everybody has heard.
    pub(crate) gossip: Vec<LeaseId>,
    pub(crate) history: History,
    pub(crate) handled: u64,
    pub(crate) crashes: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let liar = if rng.u8(..3) == 0 { Kind::Liar } else { Kind::Honest };
        let seats = (0..WORKERS).map(|seat| Seat::new(if seat == 0 { liar } else { Kind::Honest }));
        let mut world = Self {
            t: 0,
            order: 0,
            events: BTreeMap::new(),
            foreman: Foreman::new(seed),
            seats: seats.collect(),
            links: 0,
            dead: BTreeSet::new(),
            reset_permille: rng.u32(..60),
            clients: Client::draw(&mut rng),
            asked: BTreeMap::new(),
            gossip: Vec::new(),
            history: History::default(),
            handled: 0,
            crashes: 0,
            rng,
        };
        world.at(0, Ev::MasterStarts);
        for seat in 0..WORKERS {
            world.within(500, Ev::WorkerStarts { seat });
        }
        for client in 0..world.clients.len() {
            world.within(FAULTS_MS * 3 / 4, Ev::ClientWakes { client });
        }
        world.at(500, Ev::Fault);
        world
    }

    /// Lives until everything has ended.
    ///
    /// # Errors
    /// Says what happened that may not, or what did not.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        while let Some(((t, _), event)) = self.events.pop_first() {
            self.t = t;
            self.handled += 1;
            self.handle(event)?;
            if t > FAULTS_MS && self.is_over() {
                return self.history.close(&self.foreman.rig, &self.foreman.disk);
            }
            if t > FAULTS_MS + CALM_MS {
                let ledger = self.foreman.rig.engine.ledger();
                return Err(format!(
                    "{} tasks are open and {} submissions wait a minute after the last fault; \
                     first: {:?}",
                    ledger.tally.open(),
                    self.clients.iter().filter(|client| !client.is_served()).count(),
                    ledger
                        .all_tasks()
                        .minus(&ledger.ended_tasks())
                        .first()
                        .map(|id| (id, ledger.task(id))),
                ));
            }
        }
        Err("nothing happens any more".to_owned())
    }

    fn is_over(&self) -> bool {
        self.foreman.is_quiet() && self.clients.iter().all(Client::is_served)
    }

    pub(crate) fn at(&mut self, t: u64, event: Ev) {
        self.order += 1;
        self.events.insert((t.max(self.t), self.order), event);
    }

    pub(crate) fn within(&mut self, ms: u64, event: Ev) {
        let t = self.t + self.rng.u64(..=ms);
        self.at(t, event);
    }

    pub(crate) const fn is_stormy(&self) -> bool {
        self.t < FAULTS_MS
    }

    fn handle(&mut self, event: Ev) -> Result<(), String> {
        match event {
            Ev::Turn { life } if life == self.foreman.life => self.turn()?,
            Ev::Tick { life } if life == self.foreman.life => self.tick()?,
            Ev::Durable { life } if life == self.foreman.life => self.durable()?,
            Ev::Turn { .. } | Ev::Tick { .. } | Ev::Durable { .. } => {}
            Ev::MasterStarts => self.master_starts()?,
            Ev::ToMaster { link, seat, up } if !self.dead.contains(&link) => {
                self.give(Mail::From { link, seat, up });
            }
            Ev::ToMaster { .. } => {}
            Ev::LinkLost { link } => self.give(Mail::Lost { link }),
            Ev::ToWorker { link, seat, down } => self.worker_hears(link, seat, down)?,
            Ev::WorkerStarts { seat } => self.worker_starts(seat)?,
            Ev::Worker { seat, life, what } => self.worker(seat, life, what)?,
            Ev::Request { tag } => self.request_arrives(tag),
            Ev::Reply { tag, reply } => self.reply_arrives(tag, *reply)?,
            Ev::ClientWakes { client } => self.client_wakes(client),
            Ev::Fault => self.fault()?,
        }
        Ok(())
    }

    /// Returns when a worker that stands still goes on, if it stands still.
    fn paused(&self, seat: usize) -> Option<u64> {
        let until = self.seats[seat].paused_until;
        (until > self.t).then_some(until)
    }

    fn worker_hears(&mut self, link: Link, seat: usize, down: Down) -> Result<(), String> {
        if self.seats[seat].link != Some(link) || self.dead.contains(&link) {
            return Ok(());
        }
        if let Some(until) = self.paused(seat) {
            self.at(until, Ev::ToWorker { link, seat, down });
            return Ok(());
        }
        self.tell(seat, |worker, t| worker.hears(t, down))
    }

    /// Has a worker do something, and does what it then wants.
    fn tell(
        &mut self,
        seat: usize,
        tell: impl FnOnce(&mut dyn Worker, u64) -> Result<(), String>,
    ) -> Result<(), String> {
        if let Some(worker) = &mut self.seats[seat].worker {
            tell(worker.as_mut(), self.t).map_err(|why| format!("worker {seat}: {why}"))?;
        }
        self.act(seat);
        Ok(())
    }

    fn worker_starts(&mut self, seat: usize) -> Result<(), String> {
        let session = SessionId::new(self.rng.u64(1..1 << 60));
        let worker: Box<dyn Worker> = match self.seats[seat].kind {
            Kind::Honest => Box::new(Hand::new(session, self.rng.u32(1..5))),
            Kind::Liar => {
                self.history.claims.note_liar(session);
                Box::new(Liar::new(session, self.rng.u64(..)))
            }
        };
        self.seats[seat].worker = Some(worker);
        let life = self.seats[seat].life;
        self.within(PROBE_MS, Ev::Worker { seat, life, what: What::Probes });
        self.dial(seat)
    }

    fn worker(&mut self, seat: usize, life: u32, what: What) -> Result<(), String> {
        if self.seats[seat].life != life {
            return Ok(());
        }
        if let Some(until) = self.paused(seat) {
            self.at(until, Ev::Worker { seat, life, what });
            return Ok(());
        }
        match what {
            What::Dials => self.dial(seat)?,
            What::Probes => self.probe(seat),
            What::Wakes => {
                // Only the newest of the times that it asked for counts.
                if self.seats[seat].wake_ms.take_if(|at| *at <= self.t).is_some() {
                    let gossip = self.gossip.clone();
                    self.tell(seat, |worker, t| {
                        worker.overhears(&gossip);
                        worker.wakes(t)
                    })?;
                }
            }
            What::Ends { lease, outcome } => {
                self.tell(seat, |worker, t| worker.ended(t, lease, outcome))?;
            }
            What::NoticesLoss { link } if self.seats[seat].link == Some(link) => self.hang_up(seat),
            What::NoticesLoss { .. } => {}
        }
        Ok(())
    }

    fn dial(&mut self, seat: usize) -> Result<(), String> {
        let life = self.seats[seat].life;
        if self.seats[seat].link.is_some() {
            return Ok(());
        }
        if !self.foreman.is_up() {
            self.within(400, Ev::Worker { seat, life, what: What::Dials });
            return self.tell(seat, |_, _| Ok(()));
        }
        self.links += 1;
        let place = &mut self.seats[seat];
        place.link = Some(Link::new(self.links));
        place.answered_ms = self.t;
        (place.up.newest_ms, place.down.newest_ms) = (self.t, self.t);
        self.tell(seat, |worker, _| worker.dials())
    }

    /// Gives a connection up that the network has held up for too long.
    fn probe(&mut self, seat: usize) {
        let (t, life) = (self.t, self.seats[seat].life);
        self.at(t + PROBE_MS, Ev::Worker { seat, life, what: What::Probes });
        let place = &mut self.seats[seat];
        if place.up.blocked_until <= t && place.down.blocked_until <= t {
            place.answered_ms = t;
        }
        if place.link.is_some() && place.answered_ms + DEAF_MS < t {
            self.hang_up(seat);
        }
    }

    /// The worker's end of its link is gone; it dials again.
    fn hang_up(&mut self, seat: usize) {
        let life = self.seats[seat].life;
        if let Some(link) = self.seats[seat].link.take() {
            self.dead.insert(link);
            self.within(1_500, Ev::LinkLost { link });
        }
        if let Some(worker) = &mut self.seats[seat].worker {
            worker.link_down();
        }
        self.within(300, Ev::Worker { seat, life, what: What::Dials });
    }

    /// Does what a worker wants.
    fn act(&mut self, seat: usize) {
        let Some(worker) = &mut self.seats[seat].worker else { return };
        let (acts, finished, wake) = (worker.drain(), worker.finished(), worker.wake_ms());
        let (session, life) = (worker.session(), self.seats[seat].life);
        for act in acts {
            match act {
                Act::Send(up) => {
                    if let Up::Say(ganger_proto::message::WorkerMessage::Report(report)) = &up {
                        self.history.claims.sent(session, report);
                    }
                    self.send_up(seat, up);
                }
                Act::Run(run) => self.run_attempt(seat, run),
                Act::Stop(lease) => {
                    let what = What::Ends { lease, outcome: Outcome::Cancelled };
                    self.within(80, Ev::Worker { seat, life, what });
                }
                Act::Kill(lease) => {
                    let what = What::Ends { lease, outcome: Outcome::Cancelled };
                    self.within(5, Ev::Worker { seat, life, what });
                }
            }
        }
        if finished == Finished::Yes {
            return self.worker_leaves(seat, 1_000);
        }
        if let Some(wake) = wake
            && self.seats[seat].wake_ms.is_none_or(|at| wake < at)
        {
            self.seats[seat].wake_ms = Some(wake);
            self.at(wake, Ev::Worker { seat, life, what: What::Wakes });
        }
    }

    fn run_attempt(&mut self, seat: usize, run: Run) {
        let Run { lease, task, attempt, limit_ms } = run;
        let life = self.seats[seat].life;
        let ms = self.rng.u64(5..400) * self.seats[seat].slow;
        let drawn = match self.rng.u32(..20 + 4 * attempt) {
            _ if task.raw() % 11 == seat as u64 => Outcome::Unfit,
            0..4 => Outcome::Failed { code: 1 },
            4 => Outcome::Signalled { signal: 9 },
            _ => Outcome::Done,
        };
        let late = limit_ms > 0 && ms > limit_ms;
        let (ms, outcome) = if late { (limit_ms, Outcome::TimedOut) } else { (ms, drawn) };
        let what = What::Ends { lease, outcome };
        self.at(self.t + ms, Ev::Worker { seat, life, what });
    }

    fn fault(&mut self) -> Result<(), String> {
        if !self.is_stormy() {
            self.calm();
            return Ok(());
        }
        let seat = self.rng.usize(..WORKERS);
        let ms = self.rng.u64(100..3_000);
        let until = self.t + ms;
        match self.rng.u32(..18) {
            0 => self.seats[seat].up.blocked_until = until,
            1 => self.seats[seat].down.blocked_until = until,
            2 => {
                self.seats[seat].up.blocked_until = until;
                self.seats[seat].down.blocked_until = until;
            }
            3 => self.worker_leaves(seat, ms),
            4 | 5 => self.seats[seat].paused_until = until,
            6 => self.seats[seat].slow = self.rng.u64(1..8),
            7 => self.foreman.disk.log_ms = self.rng.u64(..400),
            8 => self.master_dies()?,
            9 => {
                if let Some(link) = self.seats[seat].link {
                    self.reset(link, seat);
                }
            }
            // The wall clock jumps, by seconds or by up to an hour.
            10 => self.foreman.ahead_ms += ms << self.rng.u32(..11),
            11 if self.paused(seat).is_none() => {
                self.tell(seat, |worker, t| worker.terminate(t))?;
            }
            _ => self.command(),
        }
        self.within(500, Ev::Fault);
        Ok(())
    }

    fn calm(&mut self) {
        self.foreman.disk.log_ms = 2;
        for seat in 0..WORKERS {
            self.seats[seat].slow = 1;
            if self.seats[seat].kind == Kind::Liar {
                self.seats[seat].kind = Kind::Honest;
                self.worker_leaves(seat, 1_000);
            }
        }
        self.resume_all();
    }

    /// A worker's process is gone, by itself or not; another starts after a while.
    fn worker_leaves(&mut self, seat: usize, back_ms: u64) {
        if self.seats[seat].worker.take().is_none() {
            return;
        }
        self.seats[seat].life += 1;
        self.seats[seat].wake_ms = None;
        if let Some(link) = self.seats[seat].link.take() {
            self.dead.insert(link);
            self.within(1_500, Ev::LinkLost { link });
        }
        self.at(self.t + back_ms, Ev::WorkerStarts { seat });
    }
}
