//! The master's side of the world: turns, a log that takes its time, crashes that lose its tail,
//! and effects that leave only when their events are durable.

use std::collections::VecDeque;

use ganger::clock::Now;
use ganger::engine::Settings;
use ganger::engine::input::{Effect, Input};
use ganger_proto::message::ToWorker;
use ganger_proto::{SessionId, WallMs};

use crate::gang::{Down, Up};
use crate::links::{Link, Links};
use crate::rig::{Recovery, Rig, Turn};
use crate::world::{Ev, World};

/// Inputs of one turn.
const TURN_INPUTS: usize = 64;
/// Turns on their way to the disk.
const PENDING_MAX: usize = 4;
const TERM_MS: u64 = 1_000;

pub(crate) struct Foreman {
    pub(crate) rig: Rig,
    pub(crate) life: u32,
    up: Runs,
    inbox: VecDeque<Input>,
    pending: VecDeque<(u64, Turn)>,
    links: Links,
    next_tick: Option<u64>,
    /// This life's monotonic clock began with this.
    mono_ms: u64,
    /// How long the log takes.
    pub(crate) log_ms: u64,
}

#[derive(Clone, Copy, PartialEq)]
enum Runs {
    Yes,
    No,
}

impl Foreman {
    pub(crate) fn new(seed: u64) -> Self {
        let settings =
            Settings { term_ms: TERM_MS, timeout_slack_ms: 500, seed, ..Settings::default() };
        Self {
            rig: Rig::new(settings),
            life: 0,
            up: Runs::No,
            inbox: VecDeque::new(),
            pending: VecDeque::new(),
            links: Links::default(),
            next_tick: None,
            mono_ms: 0,
            log_ms: 2,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up == Runs::Yes
    }

    /// Tells whether everything is durable and every task has ended.
    pub(crate) fn is_quiet(&self) -> bool {
        self.is_up()
            && self.pending.is_empty()
            && self.inbox.is_empty()
            && self.rig.engine.ledger().tally.open() == 0
    }

    fn now(&self, t: u64) -> Now {
        Now { mono_ms: t + self.mono_ms, wall: WallMs(1_000_000_000 + t) }
    }
}

impl World {
    pub(crate) fn give(&mut self, input: Input) {
        if self.foreman.is_up() {
            self.foreman.inbox.push_back(input);
            let life = self.foreman.life;
            self.at(self.t, Ev::Turn { life });
        }
    }

    pub(crate) fn master_starts(&mut self) -> Result<(), String> {
        let from = if self.rng.bool() { Recovery::Replay } else { Recovery::Snapshot };
        let epoch = self.foreman.rig.crash(from)?;
        self.foreman.mono_ms = self.rng.u64(..1_000_000);
        self.foreman.up = Runs::Yes;
        self.give(Input::Began { epoch });
        Ok(())
    }

    /// The master dies; a part of what it had not finished writing is on the disk all the same.
    pub(crate) fn master_dies(&mut self) -> Result<(), String> {
        if !self.foreman.is_up() {
            return Ok(());
        }
        self.crashes += 1;
        self.foreman.rig.engine.audit()?;
        let pending = std::mem::take(&mut self.foreman.pending);
        let written = self.rng.usize(..=pending.len());
        for (_, mut turn) in pending.into_iter().take(written) {
            self.foreman.rig.keep(&mut turn);
            self.history.durable(&turn.journal)?;
        }
        self.foreman.life += 1;
        self.foreman.up = Runs::No;
        self.foreman.inbox.clear();
        self.foreman.links = Links::default();
        self.foreman.next_tick = None;
        self.links_die();
        self.within(2_500, Ev::MasterStarts);
        Ok(())
    }

    pub(crate) fn master_hears(&mut self, link: Link, seat: usize, up: Up) {
        if !self.foreman.is_up() {
            return;
        }
        if let Some(input) = self.foreman.links.input(link, seat, up) {
            self.give(input);
        }
    }

    pub(crate) fn link_lost(&mut self, link: Link) {
        if let Some(input) = self.foreman.links.lost(link) {
            self.give(input);
        }
    }

    pub(crate) fn tick(&mut self) {
        if self.foreman.next_tick == Some(self.t) {
            self.foreman.next_tick = None;
            self.give(Input::Tick);
        }
    }

    pub(crate) fn turn(&mut self) -> Result<(), String> {
        let foreman = &mut self.foreman;
        if foreman.inbox.is_empty() || foreman.pending.len() >= PENDING_MAX {
            return Ok(());
        }
        let count = foreman.inbox.len().min(TURN_INPUTS);
        let now = foreman.now(self.t);
        let inputs = foreman.inbox.drain(..count).collect();
        let turn = foreman.rig.turn(now, inputs);
        let newest = foreman.pending.back().map_or(0, |(at, _)| *at);
        let log_ms = if turn.journal.is_empty() { 0 } else { foreman.log_ms };
        let at = newest.max(self.t) + log_ms;
        foreman.pending.push_back((at, turn));
        let life = foreman.life;
        let wake = foreman.rig.engine.wake_at(now).saturating_sub(now.mono_ms).max(1);
        let wake = self.t.saturating_add(wake);
        if foreman.next_tick.is_none_or(|tick| wake < tick) {
            foreman.next_tick = Some(wake);
            self.at(wake, Ev::Tick { life });
        }
        self.at(at, Ev::Durable { life });
        if self.is_stormy() && self.rng.u32(..600) == 0 {
            return self.master_dies();
        }
        Ok(())
    }

    pub(crate) fn durable(&mut self) -> Result<(), String> {
        let Some((_, mut turn)) = self.foreman.pending.pop_front() else { return Ok(()) };
        self.foreman.rig.keep(&mut turn);
        self.history.durable(&turn.journal)?;
        for effect in turn.effects {
            self.effect(effect)?;
        }
        let life = self.foreman.life;
        self.at(self.t, Ev::Turn { life });
        Ok(())
    }

    fn effect(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Reply { tag, result, .. } => self.reply_leaves(tag, result)?,
            Effect::Welcome { session, stale, acknowledged } => {
                self.tell(session, Down::Welcome { stale, acknowledged });
            }
            Effect::Grant { session, grant } => {
                self.history.grant_left(&grant)?;
                self.tell(session, Down::To(ToWorker::Grant(grant)));
            }
            Effect::Ack { session, report } => {
                self.tell(session, Down::To(ToWorker::Ack { report }));
            }
            Effect::Stale { session, leases } => {
                self.tell(session, Down::To(ToWorker::Stale { leases }));
            }
            Effect::Cancel { session, leases } => {
                self.tell(session, Down::To(ToWorker::Cancel { leases }));
            }
            Effect::TakeBack { session, leases } => {
                self.tell(session, Down::To(ToWorker::TakeBack { leases }));
            }
            Effect::Drain { .. }
            | Effect::Slots { .. }
            | Effect::OutputStored { .. }
            | Effect::BatchEnded { .. } => {}
        }
        Ok(())
    }

    fn tell(&mut self, session: SessionId, down: Down) {
        if let Some((link, seat)) = self.foreman.links.of(session) {
            self.send_down(link, seat, down);
        }
    }
}
