//! The master's side of the world: its loop around the engine, crashes, and effects that leave when
//! what they rest on is durable. The disk is in disk.rs, links are in links.rs.

use std::collections::{BTreeMap, VecDeque};

use ganger::clock::Now;
use ganger::engine::Settings;
use ganger::engine::event::{Charge, Event};
use ganger::engine::input::{Drain, Effect, Input};
use ganger::master::held::Held;
use ganger::store::{Output, Seq};
use ganger_proto::command::Stream;
use ganger_proto::message::{OutputHeader, ToWorker, Welcome};
use ganger_proto::{Actor, Name, Refusal, Request, Role, SessionId, WallMs};

use crate::disk::{Disk, Parts, Writing, Wrote};
use crate::gang::{Down, granted};
use crate::links::{Links, Mail, Taken};
use crate::rig::{Rig, Turn, same};
use crate::world::{Ev, World};

/// Mails of one turn.
const TURN_INPUTS: usize = 64;
/// Turns on their way to the disk.
const WRITING_MAX: usize = 4;
/// When a full disk is tried again.
const FULL_RETRY_MS: u64 = 200;
/// Turns of a thousand after which a snapshot is taken, and a crash comes.
const SNAPSHOTS_PERMILLE: u32 = 60;
const CRASHES_PERMILLE: u32 = 2;
const TERM_MS: u64 = 1_000;
pub(crate) const BEAT_MS: u32 = 300;
/// Leases of others that liars hear of.
const GOSSIP: usize = 32;

pub(crate) struct Foreman {
    pub(crate) rig: Rig,
    pub(crate) life: u32,
    pub(crate) disk: Disk,
    up: Runs,
    inbox: VecDeque<Mail>,
    held: Held<Effect>,
    newest: Seq,
    durable: Seq,
    room: Room,
    pub(crate) links: Links,
    next_tick: Option<u64>,
    /// When each session was heard last.
    heard: BTreeMap<SessionId, u64>,
    /// This life's monotonic clock began with this.
    mono_ms: u64,
    /// How far the wall clock is ahead of true time.
    pub(crate) ahead_ms: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Runs {
    Yes,
    No,
}

/// Whether the disk takes something.
#[derive(Clone, Copy, PartialEq)]
enum Room {
    Some,
    None,
}

impl Foreman {
    pub(crate) fn new(seed: u64) -> Self {
        let settings =
            Settings { term_ms: TERM_MS, timeout_slack_ms: 500, seed, ..Settings::default() };
        Self {
            rig: Rig::new(settings),
            life: 0,
            disk: Disk::new(),
            up: Runs::No,
            inbox: VecDeque::new(),
            held: Held::default(),
            newest: Seq::default(),
            durable: Seq::default(),
            room: Room::Some,
            links: Links::default(),
            next_tick: None,
            heard: BTreeMap::new(),
            mono_ms: 0,
            ahead_ms: 0,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up == Runs::Yes
    }

    /// Tells whether everything is durable and every task has ended.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_up()
            && self.disk.writing.is_empty()
            && self.inbox.is_empty()
            && self.rig.engine.ledger().tally.open() == 0
    }

    pub(crate) fn now(&self, t: u64) -> Now {
        Now { mono_ms: t + self.mono_ms, wall: WallMs(1_000_000_000 + t + self.ahead_ms) }
    }

    /// Refuses what a master without room refuses.
    fn refusal(&self, input: &Input) -> Option<Effect> {
        match input {
            Input::Asked { client, tag, request: Request::Submit(_), .. }
                if self.room == Room::None =>
            {
                let result = Err(Refusal::StorageFull);
                Some(Effect::Reply { client: *client, tag: *tag, result })
            }
            Input::Began { .. }
            | Input::Asked { .. }
            | Input::Found { .. }
            | Input::Did { .. }
            | Input::WorkerJoined { .. }
            | Input::WorkerSaid { .. }
            | Input::WorkerLeft { .. }
            | Input::OutputCame { .. }
            | Input::Tick => None,
        }
    }

    /// Takes mails in, as a turn of the master's loop does, and ends the turn.
    fn take(&mut self, t: u64, count: usize) -> Turn {
        let now = self.now(t);
        let (mut outputs, mut refused) = (Vec::new(), Vec::new());
        for mail in self.inbox.drain(..count).collect::<Vec<_>>() {
            match self.links.take(mail, &self.rig.engine) {
                Taken::Input(input) => {
                    self.note_heard(t, &input);
                    match self.refusal(&input) {
                        Some(effect) => refused.push(effect),
                        None => self.rig.engine.handle(now, input),
                    }
                }
                Taken::Output(session, header, bytes) => {
                    outputs.extend(self.output_came(now, session, header, bytes));
                }
                Taken::Nothing => {}
            }
        }
        if self.rig.engine.wake_at(now) <= now.mono_ms {
            self.rig.engine.handle(now, Input::Tick);
        }
        let mut turn = self.rig.drain(now);
        turn.batch.outputs = outputs;
        turn.effects.extend(refused);
        turn
    }

    fn output_came(
        &mut self,
        now: Now,
        session: SessionId,
        header: OutputHeader,
        bytes: Vec<u8>,
    ) -> Option<Output> {
        let lease = header.lease;
        let of = self.rig.engine.attempt_of(session, lease);
        self.rig.engine.handle(now, Input::OutputCame { session, lease });
        let (task, attempt) = of?;
        let head = header.stdout.head;
        Some(Output { task, attempt, stream: Stream::Stdout, head, skipped: 0, bytes })
    }

    /// Follows when sessions are heard. One that another session of its worker takes the place of
    /// may be given up at once.
    fn note_heard(&mut self, t: u64, input: &Input) {
        match input {
            Input::WorkerJoined { name, hello, .. } => {
                let ledger = self.rig.engine.ledger();
                let older = ledger.sessions.iter().filter(|(id, known)| {
                    **id != hello.session && ledger.worker_name(known.worker) == name.as_str()
                });
                let older: Vec<SessionId> = older.map(|(id, _)| *id).collect();
                for id in older {
                    self.heard.remove(&id);
                }
                self.heard.insert(hello.session, t);
            }
            Input::WorkerSaid { session, .. } => {
                self.heard.insert(*session, t);
            }
            Input::Began { .. }
            | Input::Asked { .. }
            | Input::Found { .. }
            | Input::Did { .. }
            | Input::WorkerLeft { .. }
            | Input::OutputCame { .. }
            | Input::Tick => {}
        }
    }

    /// Checks that no session is given up that was heard within its term.
    fn check_given_up(&self, t: u64, events: &[Event]) -> Result<(), String> {
        for event in events {
            if let Event::Closed { session, report: None, moves, .. } = event
                && moves.iter().any(|step| step.charge == Charge::Loss)
                && let Some(heard) = self.heard.get(session)
                && t < heard + TERM_MS
            {
                let ago = t.saturating_sub(*heard);
                return Err(format!("{session} was given up, it was heard {ago} ms ago"));
            }
        }
        Ok(())
    }
}

impl World {
    pub(crate) fn give(&mut self, mail: Mail) {
        if self.foreman.is_up() {
            self.foreman.inbox.push_back(mail);
            let life = self.foreman.life;
            self.at(self.t, Ev::Turn { life });
        }
    }

    pub(crate) fn master_starts(&mut self) -> Result<(), String> {
        let foreman = &mut self.foreman;
        // The wall clock may have been set back while no master ran.
        foreman.ahead_ms = foreman.ahead_ms.saturating_sub(self.rng.u64(..3_000));
        foreman.mono_ms = self.rng.u64(..1_000_000);
        let now = foreman.now(self.t);
        let (term, ledger) = foreman.disk.open(foreman.life, now.wall)?;
        let (kept, written) = (term.last.0, self.history.journal.len() as u64);
        if kept != written {
            return Err(format!("{kept} batches are on the disk, {written} were durable"));
        }
        same(&foreman.rig.replica, &ledger)?;
        foreman.rig.restart(ledger)?;
        (foreman.newest, foreman.durable) = (term.last, term.last);
        (foreman.up, foreman.room) = (Runs::Yes, Room::Some);
        // A new master gives its workers twice the term.
        let heard = foreman.rig.replica.sessions.keys().map(|id| (*id, self.t + TERM_MS));
        foreman.heard = heard.collect();
        self.give(Mail::Input(Input::Began { epoch: term.epoch }));
        Ok(())
    }

    /// The master dies; a part of what it had not finished writing is on the disk all the same.
    pub(crate) fn master_dies(&mut self) -> Result<(), String> {
        if !self.foreman.is_up() {
            return Ok(());
        }
        self.crashes += 1;
        self.foreman.rig.engine.audit()?;
        let written = self.rng.usize(..=self.foreman.disk.writing.len());
        for _ in 0..written {
            let wall = self.foreman.now(self.t).wall;
            if let Some(Wrote::Durable(batch)) = self.foreman.disk.write(self.t, wall, None) {
                self.foreman.rig.keep(&batch);
                self.history.durable(&batch.data)?;
            }
        }
        let foreman = &mut self.foreman;
        foreman.disk.writing.clear();
        foreman.held = Held::default();
        foreman.life += 1;
        foreman.up = Runs::No;
        foreman.inbox.clear();
        foreman.links = Links::default();
        foreman.next_tick = None;
        self.history.master_died();
        self.links_die();
        self.within(2_500, Ev::MasterStarts);
        Ok(())
    }

    pub(crate) fn tick(&mut self) -> Result<(), String> {
        if self.foreman.next_tick == Some(self.t) {
            self.foreman.next_tick = None;
            return self.turn();
        }
        Ok(())
    }

    /// Takes what waits, if something does.
    pub(crate) fn turn(&mut self) -> Result<(), String> {
        let foreman = &self.foreman;
        let now = foreman.now(self.t);
        let waits = !foreman.inbox.is_empty() || foreman.rig.engine.wake_at(now) <= now.mono_ms;
        if waits && foreman.disk.writing.len() < WRITING_MAX { self.turn_now() } else { Ok(()) }
    }

    fn turn_now(&mut self) -> Result<(), String> {
        let foreman = &mut self.foreman;
        let count = foreman.inbox.len().min(TURN_INPUTS);
        let turn = foreman.take(self.t, count);
        foreman.check_given_up(self.t, &turn.events)?;
        self.set_tick();
        let foreman = &mut self.foreman;
        if turn.is_durable() {
            foreman.newest = foreman.newest.next();
            let snapshot = self.rng.u32(..1_000) < SNAPSHOTS_PERMILLE;
            let parts = || -> Parts { Box::new(foreman.rig.engine.ledger().snapshot()) };
            let snapshot = snapshot.then(parts);
            let newest = foreman.disk.writing.back().map_or(0, |writing| writing.at);
            let at = newest.max(self.t) + foreman.disk.log_ms;
            let (seq, batch, life) = (foreman.newest, turn.batch, foreman.life);
            foreman.disk.writing.push_back(Writing { at, seq, batch, snapshot });
            self.at(at, Ev::Durable { life });
        }
        let foreman = &mut self.foreman;
        foreman.held.hold(foreman.newest, turn.effects);
        self.release()?;
        if self.is_stormy() && self.rng.u32(..1_000) < CRASHES_PERMILLE {
            return self.master_dies();
        }
        Ok(())
    }

    fn set_tick(&mut self) {
        let foreman = &mut self.foreman;
        let (now, life) = (foreman.now(self.t), foreman.life);
        let wake = foreman.rig.engine.wake_at(now).saturating_sub(now.mono_ms).max(1);
        let wake = self.t.saturating_add(wake);
        if foreman.next_tick.is_none_or(|tick| wake < tick) {
            foreman.next_tick = Some(wake);
            self.at(wake, Ev::Tick { life });
        }
    }

    /// Something comes to the disk.
    pub(crate) fn durable(&mut self) -> Result<(), String> {
        let (wall, stormy) = (self.foreman.now(self.t).wall, self.is_stormy());
        let storm = stormy.then_some(&mut self.rng);
        let life = self.foreman.life;
        match self.foreman.disk.write(self.t, wall, storm) {
            None => return Ok(()),
            Some(Wrote::Full) => {
                self.foreman.room = Room::None;
                self.foreman.rig.engine.set_granting(Drain::On);
                let retry = self.t + FULL_RETRY_MS;
                self.at(retry, Ev::Durable { life });
                return Ok(());
            }
            Some(Wrote::Lost) => return self.master_dies(),
            Some(Wrote::Kept(batch)) => {
                self.foreman.rig.keep(&batch);
                self.history.durable(&batch.data)?;
                return self.master_dies();
            }
            Some(Wrote::Durable(batch)) => {
                self.foreman.rig.keep(&batch);
                self.history.durable(&batch.data)?;
            }
        }
        self.foreman.durable = self.foreman.durable.next();
        self.release()?;
        if self.foreman.room == Room::None {
            self.foreman.room = Room::Some;
            self.foreman.rig.engine.set_granting(Drain::Off);
            return self.turn_now();
        }
        self.at(self.t, Ev::Turn { life });
        Ok(())
    }

    /// Lets everything leave that may.
    fn release(&mut self) -> Result<(), String> {
        while let Some(effects) = self.foreman.held.release(self.foreman.durable) {
            for effect in effects {
                self.effect(effect)?;
            }
            self.history.settle_acks()?;
        }
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Reply { tag, result, .. } => self.reply_leaves(tag, result)?,
            Effect::Welcome { session, stale, acknowledged } => {
                self.history.told_stale(session, &stale);
                self.history.acknowledged(session, acknowledged)?;
                let welcome = self.welcome(stale, acknowledged);
                if let Some((link, seat)) = self.foreman.links.welcome(session) {
                    self.send_down(link, seat, Down::Welcome(Box::new(welcome)));
                }
            }
            Effect::Grant { session, grant } => {
                self.history.grant_left(session, &grant)?;
                self.gossip.extend(granted(&grant).map(|(lease, _)| lease));
                let over = self.gossip.len().saturating_sub(GOSSIP);
                self.gossip.drain(..over);
                self.tell_session(session, ToWorker::Grant(grant));
            }
            Effect::Ack { session, report } => {
                self.history.acknowledged(session, report)?;
                self.tell_session(session, ToWorker::Ack { report });
            }
            Effect::Stale { session, leases } => {
                self.history.told_stale(session, &leases);
                self.tell_session(session, ToWorker::Stale { leases });
            }
            Effect::Cancel { session, leases } => {
                self.tell_session(session, ToWorker::Cancel { leases })
            }
            Effect::TakeBack { session, leases } => {
                self.tell_session(session, ToWorker::TakeBack { leases });
            }
            Effect::Drain { session, drain } => {
                self.tell_session(session, ToWorker::Drain { on: drain == Drain::On });
            }
            Effect::Slots { session, slots } => {
                self.tell_session(session, ToWorker::Slots { slots })
            }
            Effect::OutputStored { session, lease } => {
                self.tell_session(session, ToWorker::OutputStored { lease });
            }
            Effect::BatchEnded { .. } => {}
        }
        Ok(())
    }

    fn tell_session(&mut self, session: SessionId, message: ToWorker) {
        if let Some((link, seat)) = self.foreman.links.of(session) {
            self.send_down(link, seat, Down::To(message));
        }
    }

    fn welcome(&self, stale: Vec<ganger_proto::message::LeaseRun>, acknowledged: u64) -> Welcome {
        let name = Name::from_lossy("w");
        Welcome {
            minor: 4,
            version: String::new(),
            cluster: Name::from_lossy("sim"),
            epoch: self.foreman.rig.engine.ledger().epoch,
            started: WallMs(0),
            now: self.foreman.now(self.t).wall,
            you: Actor { role: Role::Worker, name, admin: false },
            term_ms: TERM_MS,
            beat_ms: BEAT_MS,
            renew: false,
            stale,
            acknowledged,
        }
    }
}
