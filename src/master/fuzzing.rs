//! What a master hears, from clients and workers that say anything at all: the engine answers or
//! refuses, its invariants hold, and what it writes down gives the same state again, replayed or
//! from a snapshot. There is no network and no disk: messages are decoded, admitted and handed to
//! the engine as inbox.rs, requests.rs and status.rs do it.
//!
//! The bytes are steps, each a byte that says what happens and what it needs; see `World::step`.

use ganger_net::frame;
use ganger_net::pki::policy;
use ganger_proto::limits::{PAGE_ROWS_MAX, TOLD_RUNS_MAX};
use ganger_proto::message::{
    ClientMessage, DoneRun, LeaseRun, Report, ToClient, ToWorker, WorkerHello, WorkerMessage,
};
use ganger_proto::{
    Actor, Ended, Epoch, LeaseId, Name, Outcome, Request, Role, SessionId, TaskId, WallMs, Watch,
};
use serde::Deserialize;

use super::searches::Hunts;
use crate::clock::Now;
use crate::engine::deed::Deed;
use crate::engine::event::{decode, encode};
use crate::engine::input::{ClientId, Drain, Effect, Input, Said};
use crate::engine::ledger::Ledger;
use crate::engine::picture::blank_master;
use crate::engine::results::Block;
use crate::engine::runs::TaskRun;
use crate::engine::search::Slice;
use crate::engine::window::Searches;
use crate::engine::{Engine, Settings};

/// Steps of one input.
const STEPS_MAX: usize = 48;
/// Tasks in all: every one is looked at in the end.
const TASKS_MAX: u64 = 700;
/// Steps of a search in one slice.
const SLICE_STEPS: u64 = 1 << 20;

/// Takes the bytes for steps.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let mut world = World::new();
    let mut rest = bytes;
    for _ in 0..STEPS_MAX {
        let Some(after) = world.step(rest) else { break };
        rest = after;
    }
    world.check_all();
}

struct World {
    engine: Engine,
    replayed: Ledger,
    searches: Searches,
    now: Now,
    epoch: u32,
}

/// A worker and the session that it has most of the time.
struct Peer {
    name: &'static str,
    session: SessionId,
}

const ALPHA: Peer = Peer { name: "alpha", session: SessionId::new(7) };
const BETA: Peer = Peer { name: "beta", session: SessionId::new(8) };

fn settings() -> Settings {
    Settings { tasks_max: TASKS_MAX, ..Settings::default() }
}

fn actor(role: Role) -> Actor {
    Actor { role, name: Name::from_lossy("someone"), admin: false }
}

/// Decodes the next value; the bytes after it are the next step's.
fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    postcard::take_from_bytes(bytes).ok()
}

impl World {
    fn new() -> Self {
        let engine = Engine::new(settings());
        let now = Now { mono_ms: 50_000, wall: WallMs(1_700_000_000_000) };
        let (replayed, searches) = (Ledger::new(), Searches::default());
        let mut world = Self { engine, replayed, searches, now, epoch: 1 };
        world.give(Input::Began { epoch: Epoch::new(1) });
        world
    }

    /// Does one step and returns the bytes behind it; nothing when they are no step.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (step, rest) = bytes.split_first()?;
        match step % 18 {
            0 => {
                let (ms, rest) = rest.split_first_chunk::<2>()?;
                self.pass(16 * u64::from(u16::from_le_bytes(*ms)));
                Some(rest)
            }
            1 => {
                self.pass(86_400_000);
                Some(rest)
            }
            2 => self.client(actor(Role::Operator), rest),
            3 => self.client(actor(Role::Submitter), rest),
            4 => self.client(actor(Role::Viewer), rest),
            5 => self.joined(&ALPHA, rest),
            6 => self.joined(&BETA, rest),
            7 => self.said(&ALPHA, rest),
            8 => self.said(&BETA, rest),
            9 => self.left(&ALPHA, rest),
            10 => self.left(&BETA, rest),
            11 => {
                let leases = self.held().into_iter().map(|(first, run)| of(first, run.count));
                self.says(&ALPHA, WorkerMessage::Started { leases: leases.collect() });
                Some(rest)
            }
            12 => self.report_done(rest),
            13 => self.report_ended(rest),
            14 => {
                let (number, rest) = rest.split_first()?;
                let lease = self.held().first().map_or(LeaseId::default(), |(first, _)| *first);
                let lease = lease.plus(u64::from(*number));
                self.give(Input::OutputCame { session: ALPHA.session, lease });
                Some(rest)
            }
            15 => {
                self.restart();
                Some(rest)
            }
            16 => {
                let (watch, rest) = take::<Watch>(rest)?;
                self.draw(&watch);
                Some(rest)
            }
            _ => {
                self.check_all();
                Some(rest)
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall = self.now.wall.plus(ms);
        self.give(Input::Tick);
    }

    /// Begins another master's life with what the journal gives.
    fn restart(&mut self) {
        self.check_all();
        let kept = Ledger::restore(self.engine.ledger().snapshot()).expect("it was just taken");
        let ledger = std::mem::replace(&mut self.replayed, kept);
        self.engine = Engine::with_ledger(settings(), ledger);
        self.searches = Searches::default();
        self.epoch += 1;
        self.give(Input::Began { epoch: Epoch::new(self.epoch) });
    }

    fn client<'a>(&mut self, actor: Actor, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (message, rest) = take::<ClientMessage>(bytes)?;
        match message {
            ClientMessage::Request { tag, request } => {
                if policy::check(&actor, &request).is_ok() {
                    self.request(tag, actor, request);
                }
            }
            ClientMessage::Watch(watch) if policy::may_watch(&actor).is_ok() => self.draw(&watch),
            ClientMessage::Watch(_) | ClientMessage::Unwatch | ClientMessage::Seen { .. } => {}
        }
        Some(rest)
    }

    fn request(&mut self, tag: u64, actor: Actor, request: Request) {
        let client = ClientId(1);
        let changes = request.select().is_some() || Deed::of(&request).is_some();
        if let Some(filter) = Hunts::filter_of(&request) {
            let mut search = Engine::hunt(filter.clone());
            while self.engine.search(self.now, &mut search, SLICE_STEPS) == Slice::More {}
            let found = search.into_ids();
            self.give(Input::Found { client, tag, actor, request, found });
        } else if changes || matches!(request, Request::Submit(_)) {
            self.give(Input::Asked { client, tag, actor, request });
        } else {
            self.answer(&actor, &request);
        }
    }

    /// Reads what a question is answered with.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is no question to the engine")]
    fn answer(&self, actor: &Actor, request: &Request) {
        let (engine, now) = (&self.engine, self.now);
        let page = |rows: u32| rows.clamp(1, PAGE_ROWS_MAX) as usize;
        match request {
            Request::Status => {
                let _line = engine.master_line(now, blank_master(Name::from_lossy("x")));
                let _rows = (engine.queue_rows(), engine.gang());
            }
            Request::Workers { .. } => {
                let all = engine.workers_in_order().into_iter();
                let rows = all.filter_map(|member| engine.worker_row(now, member)).count();
                assert!(rows <= engine.ledger().workers.len() + engine.ledger().sessions.len());
            }
            Request::Worker { name } => {
                let _detail = engine.worker_detail(now, name);
            }
            Request::Why { task } => {
                let why = engine.why(now, *task);
                assert!(why.is_none_or(|why| !why.reasons.is_empty()), "no reason for {task}");
            }
            Request::Batches { before, rows } => {
                assert!(engine.batch_rows(actor, *before, page(*rows)).len() <= page(*rows));
            }
            Request::List { filter, after, rows } => {
                let listed = engine.list(now, filter, *after, page(*rows));
                assert!(listed.rows.len() <= page(*rows));
                assert!(listed.rows.iter().all(|row| row.task > *after));
            }
            Request::Show { task } => {
                let _detail = engine.detail(now, actor, *task);
            }
            Request::Results { batch, after, rows } => {
                let batch = batch.or_else(|| engine.newest_batch(actor)).unwrap_or_default();
                let found = engine.ended_of(batch, *after, page(*rows));
                assert!(found.iter().all(|(task, ..)| task > after));
            }
            Request::Ends { batch, told, rows } => {
                let sound = |run: &TaskRun| run.first.raw().checked_add(run.count).is_some();
                let told = told.iter().map(|run| TaskRun { first: run.first, count: run.count });
                let told: Vec<TaskRun> = told.take(TOLD_RUNS_MAX).filter(sound).collect();
                let told = engine.within(*batch, told.into_iter());
                let found = engine.ended_besides(*batch, &told, page(*rows));
                assert!(found.iter().all(|(task, ..)| !told.contains(*task)));
            }
            Request::Output { task, .. } => {
                let _block = engine.block_of(*task);
            }
            _ => {}
        }
    }

    fn draw(&mut self, watch: &Watch) {
        let master = blank_master(Name::from_lossy("x"));
        let sketch = self.engine.sketch(self.now, watch, &mut self.searches, master);
        for search in self.searches.iter_mut() {
            let _more = self.engine.search(self.now, search, SLICE_STEPS);
        }
        let picture = ToClient::Picture(Box::new(sketch.picture));
        assert!(frame::encode(&picture).is_ok(), "a picture fits a frame");
    }

    fn joined<'a>(&mut self, peer: &Peer, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (whose, rest) = bytes.split_first()?;
        let (mut hello, rest) = take::<WorkerHello>(rest)?;
        if whose & 1 == 0 {
            hello.session = peer.session;
        }
        let name = Name::from_lossy(peer.name);
        if !self.engine.is_anothers(hello.session, &name) {
            let version = "0".to_owned();
            self.give(Input::WorkerJoined { name, version, hello });
        }
        Some(rest)
    }

    fn left<'a>(&mut self, peer: &Peer, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.give(Input::WorkerLeft { session: peer.session });
        Some(bytes)
    }

    fn said<'a>(&mut self, peer: &Peer, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (message, rest) = take::<WorkerMessage>(bytes)?;
        self.says(peer, message);
        Some(rest)
    }

    fn says(&mut self, peer: &Peer, message: WorkerMessage) {
        let said = match message {
            WorkerMessage::Hold { tasks } => Said::Hold(tasks),
            WorkerMessage::Heartbeat { load } => Said::Heartbeat(load),
            WorkerMessage::Started { leases } => Said::Started(leases),
            WorkerMessage::Report(report) => Said::Report(report),
            WorkerMessage::Release { leases } => Said::Release(leases),
            WorkerMessage::Draining { on } => Said::Draining(Drain::of(on)),
        };
        self.give(Input::WorkerSaid { session: peer.session, said });
    }

    /// What alpha holds.
    fn held(&self) -> Vec<(LeaseId, TaskRun)> {
        let session = self.engine.ledger().sessions.get(&ALPHA.session);
        session.map(|session| session.held().collect()).unwrap_or_default()
    }

    /// Alpha is done with what it holds, but for the newest of it.
    fn report_done<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (spare, rest) = bytes.split_first()?;
        let done = self.held().into_iter().map(|(first, run)| {
            let count = run.count.saturating_sub(u64::from(spare % 4)) as usize;
            let results = std::iter::repeat_n(&b"1"[..], count).collect();
            DoneRun { first, took_us: vec![9; count], results }
        });
        let done: Vec<DoneRun> = done.collect();
        self.report(|number| Report { number, done, ..Report::default() });
        Some(rest)
    }

    /// Alpha's oldest task came to another end.
    fn report_ended<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (how, rest) = take::<Outcome>(bytes)?;
        let lease = self.held().first().map_or(LeaseId::default(), |(first, _)| *first);
        let ended = vec![Ended::bare(lease, how, 5)];
        self.report(|number| Report { number, ended, ..Report::default() });
        Some(rest)
    }

    fn report(&mut self, make: impl FnOnce(u64) -> Report) {
        let session = self.engine.ledger().sessions.get(&ALPHA.session);
        let number = session.map_or(0, |session| session.reported).saturating_add(1);
        self.says(&ALPHA, WorkerMessage::Report(make(number)));
    }

    /// One turn: what it gives is written, read back and applied elsewhere, and can be sent.
    fn give(&mut self, input: Input) {
        self.engine.handle(self.now, input);
        let out = self.engine.drain(self.now);
        let written = encode(&out.events);
        for event in decode(&written).expect("what was written is read") {
            self.replayed.apply(&event);
        }
        assert_eq!(self.replayed.digest(), self.engine.ledger().digest(), "a replay differs");
        for (_, block) in &out.blocks {
            assert!(Block::decode(block).is_ok());
        }
        for effect in out.effects {
            let sent = match effect {
                Effect::Reply { tag, result, .. } => {
                    frame::encode(&ToClient::Reply { tag, result }).is_ok()
                }
                Effect::Grant { grant, .. } => frame::encode(&ToWorker::Grant(grant)).is_ok(),
                Effect::Welcome { .. }
                | Effect::Ack { .. }
                | Effect::Stale { .. }
                | Effect::Cancel { .. }
                | Effect::TakeBack { .. }
                | Effect::Drain { .. }
                | Effect::Slots { .. }
                | Effect::OutputStored { .. }
                | Effect::BatchEnded { .. } => true,
            };
            assert!(sent, "an answer fits a frame");
        }
        let _wakes = self.engine.wake_at(self.now);
    }

    /// Every invariant, every record; a snapshot gives the same.
    fn check_all(&self) {
        self.engine.audit().expect("the invariants hold");
        let ledger = self.engine.ledger();
        let restored = Ledger::restore(ledger.snapshot()).expect("it was just taken");
        assert_eq!(restored.digest(), ledger.digest());
        for id in (1..ledger.next_task).map(TaskId::new) {
            let task = ledger.task(id);
            assert_eq!((self.replayed.task(id), restored.task(id)), (task, task), "task {id}");
        }
    }
}

fn of(first: LeaseId, count: u64) -> LeaseRun {
    LeaseRun { first, count: u32::try_from(count).unwrap_or(u32::MAX) }
}
