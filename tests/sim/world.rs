//! A cluster in virtual time, from one seed: events in the order of their time, links between
//! workers and the master, and what goes wrong with them. The master's side is in foreman.rs, the
//! clients are in crowd.rs, what travels between is in links.rs.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use ganger_proto::{LeaseId, Outcome, SessionId, TaskId};

use crate::crowd::{Asked, Client};
use crate::foreman::Foreman;
use crate::gang::{Act, Down, Up, Worker};
use crate::history::History;
use crate::links::{Link, Way};

pub(crate) const WORKERS: usize = 4;
/// Faults happen until then.
pub(crate) const FAULTS_MS: u64 = 20_000;
/// From then on everything must have ended within this time.
const CALM_MS: u64 = 60_000;
const BEAT_MS: u64 = 300;
/// A worker that hears nothing for so long dials again.
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
    Beats,
    Ends { lease: LeaseId, outcome: Outcome },
    NoticesLoss { link: Link },
}

/// The place of a worker, through its lives.
pub(crate) struct Seat {
    pub(crate) worker: Option<Worker>,
    pub(crate) life: u32,
    pub(crate) link: Option<Link>,
    heard_ms: u64,
    pub(crate) up: Way,
    pub(crate) down: Way,
    paused_until: u64,
    slow: u64,
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
    pub(crate) history: History,
    pub(crate) handled: u64,
    pub(crate) crashes: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let seats = (0..WORKERS).map(|_| Seat {
            worker: None,
            life: 0,
            link: None,
            heard_ms: 0,
            up: Way::default(),
            down: Way::default(),
            paused_until: 0,
            slow: 1,
        });
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
                return self.history.close(&self.foreman.rig);
            }
            if t > FAULTS_MS + CALM_MS {
                let ledger = self.foreman.rig.engine.ledger();
                return Err(format!(
                    "{} tasks are open and {} submissions wait a minute after the last fault; \
                     queued: {:?}",
                    ledger.tally.open(),
                    self.clients.iter().filter(|client| !client.is_served()).count(),
                    ledger.in_state(ganger::engine::task::State::Queued).first(),
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
            Ev::Tick { life } if life == self.foreman.life => self.tick(),
            Ev::Durable { life } if life == self.foreman.life => self.durable()?,
            Ev::Turn { .. } | Ev::Tick { .. } | Ev::Durable { .. } => {}
            Ev::MasterStarts => self.master_starts()?,
            Ev::ToMaster { link, seat, up } if !self.dead.contains(&link) => {
                self.master_hears(link, seat, up);
            }
            Ev::ToMaster { .. } => {}
            Ev::LinkLost { link } => self.link_lost(link),
            Ev::ToWorker { link, seat, down } => self.worker_hears(link, seat, down),
            Ev::WorkerStarts { seat } => self.worker_starts(seat),
            Ev::Worker { seat, life, what } => self.worker(seat, life, what),
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

    fn worker_hears(&mut self, link: Link, seat: usize, down: Down) {
        if self.seats[seat].link != Some(link) || self.dead.contains(&link) {
            return;
        }
        if let Some(until) = self.paused(seat) {
            return self.at(until, Ev::ToWorker { link, seat, down });
        }
        self.seats[seat].heard_ms = self.t;
        if let Some(worker) = &mut self.seats[seat].worker {
            worker.heard(down);
        }
        self.act(seat);
    }

    fn worker_starts(&mut self, seat: usize) {
        let session = SessionId::new(self.rng.u64(1..1 << 60));
        let slots = self.rng.usize(1..4);
        let hold = slots as u32 + self.rng.u32(..6);
        self.seats[seat].worker = Some(Worker::new(session, slots, hold));
        let life = self.seats[seat].life;
        self.at(self.t, Ev::Worker { seat, life, what: What::Dials });
        self.within(BEAT_MS, Ev::Worker { seat, life, what: What::Beats });
    }

    fn worker(&mut self, seat: usize, life: u32, what: What) {
        if self.seats[seat].life != life {
            return;
        }
        if let Some(until) = self.paused(seat) {
            return self.at(until, Ev::Worker { seat, life, what });
        }
        match what {
            What::Dials => self.dial(seat),
            What::Beats => self.beat(seat),
            What::Ends { lease, outcome } => {
                if let Some(worker) = &mut self.seats[seat].worker {
                    worker.ended(lease, outcome);
                }
            }
            What::NoticesLoss { link } if self.seats[seat].link == Some(link) => {
                self.hang_up(seat);
            }
            What::NoticesLoss { .. } => {}
        }
        self.act(seat);
    }

    fn dial(&mut self, seat: usize) {
        let life = self.seats[seat].life;
        if self.seats[seat].link.is_some() {
            return;
        }
        if !self.foreman.is_up() {
            return self.within(400, Ev::Worker { seat, life, what: What::Dials });
        }
        self.links += 1;
        let place = &mut self.seats[seat];
        place.link = Some(Link::new(self.links));
        place.heard_ms = self.t;
        (place.up.newest_ms, place.down.newest_ms) = (self.t, self.t);
        if let Some(worker) = &mut place.worker {
            worker.link_up();
        }
    }

    fn beat(&mut self, seat: usize) {
        let life = self.seats[seat].life;
        self.at(self.t + BEAT_MS, Ev::Worker { seat, life, what: What::Beats });
        if self.seats[seat].link.is_some() && self.seats[seat].heard_ms + DEAF_MS < self.t {
            return self.hang_up(seat);
        }
        if let Some(worker) = &mut self.seats[seat].worker {
            worker.beat();
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
        for act in worker.drain() {
            let life = self.seats[seat].life;
            match act {
                Act::Send(up) => self.send_up(seat, up),
                Act::Run { lease, task, attempt } => {
                    let ms = self.rng.u64(5..400) * self.seats[seat].slow;
                    let outcome = self.outcome(seat, task, attempt);
                    let what = What::Ends { lease, outcome };
                    self.at(self.t + ms, Ev::Worker { seat, life, what });
                }
                Act::Stop { lease } => {
                    let what = What::Ends { lease, outcome: Outcome::Cancelled };
                    self.within(80, Ev::Worker { seat, life, what });
                }
            }
        }
    }

    fn outcome(&mut self, seat: usize, task: TaskId, attempt: u32) -> Outcome {
        if task.raw() % 11 == seat as u64 {
            return Outcome::Unfit;
        }
        match self.rng.u32(..20 + 4 * attempt) {
            0..3 => Outcome::Failed { code: 1 },
            3 => Outcome::Signalled { signal: 9 },
            4 => Outcome::TimedOut,
            _ => Outcome::Done,
        }
    }

    fn fault(&mut self) -> Result<(), String> {
        if !self.is_stormy() {
            self.calm();
            return Ok(());
        }
        let seat = self.rng.usize(..WORKERS);
        let ms = self.rng.u64(100..3_000);
        let until = self.t + ms;
        match self.rng.u32(..12) {
            0 => self.seats[seat].up.blocked_until = until,
            1 => self.seats[seat].down.blocked_until = until,
            2 => {
                self.seats[seat].up.blocked_until = until;
                self.seats[seat].down.blocked_until = until;
            }
            3 => self.worker_dies(seat, ms),
            4 | 5 => self.seats[seat].paused_until = until,
            6 => self.seats[seat].slow = self.rng.u64(1..8),
            7 => self.foreman.log_ms = self.rng.u64(..400),
            8 => self.master_dies()?,
            9 => {
                if let Some(link) = self.seats[seat].link {
                    self.reset(link, seat);
                }
            }
            _ => self.command(),
        }
        self.within(500, Ev::Fault);
        Ok(())
    }

    fn calm(&mut self) {
        self.foreman.log_ms = 2;
        for seat in &mut self.seats {
            seat.slow = 1;
        }
        self.resume_all();
    }

    fn worker_dies(&mut self, seat: usize, back_ms: u64) {
        if self.seats[seat].worker.take().is_none() {
            return;
        }
        self.seats[seat].life += 1;
        if let Some(link) = self.seats[seat].link.take() {
            self.dead.insert(link);
            self.within(1_500, Ev::LinkLost { link });
        }
        self.at(self.t + back_ms, Ev::WorkerStarts { seat });
    }
}
