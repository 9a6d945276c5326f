//! An engine with what stands around it in a master, all in memory: turns, a journal that is
//! replayed as it is written, result blocks. Knows no workers, and no disk; see disk.rs.

use std::collections::{BTreeMap, BTreeSet};

use ganger::clock::Now;
use ganger::engine::batch::Batch;
use ganger::engine::event::{Event, decode, encode};
use ganger::engine::input::{Effect, Input};
use ganger::engine::ledger::Ledger;
use ganger::engine::queue::Queue;
use ganger::engine::results::Block;
use ganger::engine::runs::{IdSet, TaskRun};
use ganger::engine::task::State;
use ganger::engine::{Engine, Settings};
use ganger::store;
use ganger::verify::Model;
use ganger_proto::{BlockId, Ended, Epoch, TaskId};

pub(crate) struct Rig {
    pub(crate) engine: Engine,
    settings: Settings,
    /// The state that a replay of everything durable gives.
    pub(crate) replica: Ledger,
    /// What `ganger verify` makes of the same events.
    verified: Model,
    turns: u64,
    pub(crate) blocks: BTreeMap<BlockId, Vec<u8>>,
    epoch: u32,
}

/// Where a new master's state comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recovery {
    Replay,
    Snapshot,
}

/// What one turn must make durable, and what it does after that.
pub(crate) struct Turn {
    /// What happened, as the engine said it.
    pub(crate) events: Vec<Event>,
    /// The same, as the store is given it.
    pub(crate) batch: store::Batch,
    pub(crate) effects: Vec<Effect>,
}

impl Turn {
    /// Tells whether there is something for the disk.
    pub(crate) fn is_durable(&self) -> bool {
        let store::Batch { drop_blocks, drop_outputs, .. } = &self.batch;
        !(self.events.is_empty() && drop_blocks.is_empty() && drop_outputs.is_empty())
    }
}

impl Rig {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            engine: Engine::new(settings.clone()),
            settings,
            replica: Ledger::new(),
            verified: Model::new(),
            turns: 0,
            blocks: BTreeMap::new(),
            epoch: 0,
        }
    }

    /// Feeds an input and drains once.
    pub(crate) fn turn(&mut self, now: Now, input: Input) -> Turn {
        self.engine.handle(now, input);
        self.drain(now)
    }

    /// Ends a turn.
    pub(crate) fn drain(&mut self, now: Now) -> Turn {
        let out = self.engine.drain(now);
        let batch = store::Batch {
            data: if out.events.is_empty() { Vec::new() } else { encode(&out.events) },
            events: out.events.len() as u64,
            digest: Some(self.engine.ledger().digest()),
            blocks: out.blocks,
            outputs: Vec::new(),
            drop_blocks: out.drop_blocks,
            drop_outputs: out.drop_outputs,
        };
        Turn { events: out.events, batch, effects: out.effects }
    }

    /// Makes a turn durable; returns its events as they were written.
    pub(crate) fn keep(&mut self, batch: &store::Batch) -> Vec<Event> {
        let mut events = Vec::new();
        if !batch.data.is_empty() {
            events = decode(&batch.data).expect("what was encoded decodes");
        }
        for event in &events {
            self.replica.apply(event);
        }
        self.turns += 1;
        self.verified.take(self.turns, self.replica.epoch, &events);
        self.blocks.extend(batch.blocks.iter().cloned());
        for gone in &batch.drop_blocks {
            self.blocks.remove(gone).expect("a block is dropped once");
        }
        events
    }

    /// Ends this life of the master and begins another with what is durable. The caller gives the
    /// engine `Began` with the new epoch.
    pub(crate) fn crash(&mut self, from: Recovery) -> Result<Epoch, String> {
        let parts: Vec<Vec<u8>> = self.replica.snapshot().collect();
        let kept = Model::load(&parts)?;
        first(self.verified.differences(&kept))?;
        first(kept.sentences())?;
        let restored = Ledger::restore(parts).map_err(|e| e.to_string())?;
        same(&self.replica, &restored)?;
        let ledger = match from {
            Recovery::Replay => std::mem::replace(&mut self.replica, restored),
            Recovery::Snapshot => restored,
        };
        self.epoch += 1;
        self.restart(ledger)?;
        Ok(Epoch::new(self.epoch))
    }

    /// Goes on with a state that was recovered.
    pub(crate) fn restart(&mut self, ledger: Ledger) -> Result<(), String> {
        self.settings.seed += 1;
        self.engine = Engine::with_ledger(self.settings.clone(), ledger);
        self.engine.audit()
    }

    /// Checks that the replay gives the live state and that the store holds just what is wanted.
    pub(crate) fn audit(&self) -> Result<(), String> {
        self.engine.audit()?;
        same(self.engine.ledger(), &self.replica)?;
        first(self.verified.sentences())?;
        if self.verified.digest() != self.replica.digest() {
            return Err("a verification gives another digest than a replay".to_owned());
        }
        let ledger = self.engine.ledger();
        let mut wanted: BTreeSet<BlockId> = BTreeSet::new();
        for id in ledger.all_tasks().runs().flat_map(TaskRun::ids) {
            wanted.extend(ledger.task(id).block_id());
        }
        let pasts = ledger.history.values().flatten();
        wanted.extend(pasts.filter_map(|past| past.block));
        if !wanted.iter().eq(self.blocks.keys()) {
            return Err(format!("blocks {wanted:?} are wanted, {:?} kept", self.blocks.keys()));
        }
        Ok(())
    }

    /// Returns what is recorded of a task's newest end.
    pub(crate) fn result(&self, id: TaskId) -> Option<Ended> {
        let block = self.blocks.get(&self.engine.block_of(id)?)?;
        Block::decode(block).expect("what was encoded decodes").find(id)
    }
}

/// Fails with the first of some sentences, if there are any.
fn first(sentences: Vec<String>) -> Result<(), String> {
    sentences.into_iter().next().map_or(Ok(()), Err)
}

/// Compares everything durable of two ledgers.
pub(crate) fn same(a: &Ledger, b: &Ledger) -> Result<(), String> {
    let check = |what: &str, equal: bool| {
        if equal { Ok(()) } else { Err(format!("{what} differ between live and replay")) }
    };
    check("digests", a.digest() == b.digest())?;
    let ids = (1..a.next_task.max(b.next_task)).map(TaskId::new);
    for id in ids {
        if a.task(id) != b.task(id) {
            return Err(format!("{id} is {:?}, a replay says {:?}", a.task(id), b.task(id)));
        }
    }
    // Classes are numbered anew in each life.
    let batches = |ledger: &Ledger| -> BTreeMap<_, _> {
        let class = ganger::engine::class::ClassId::default();
        let all = ledger.batches.all.iter();
        all.map(|(id, batch)| (*id, Batch { class, ..batch.clone() })).collect()
    };
    check("batches", batches(a) == batches(b) && a.batches.keys == b.batches.keys)?;
    check("specs", a.next_spec == b.next_spec && a.next_block == b.next_block)?;
    check("states", a.by_state == b.by_state && a.tally == b.tally)?;
    check("kinds", a.by_kind == b.by_kind)?;
    check("workers", a.workers == b.workers && a.worker_names == b.worker_names)?;
    check("sessions", a.sessions == b.sessions)?;
    check("histories", a.history == b.history)?;
    check("unfit workers", a.unfit == b.unfit)?;
    check("blocks", a.blocks == b.blocks && a.outputs == b.outputs)?;
    check("queues", a.queues.len() == b.queues.len())?;
    for (a, b) in a.queues.iter().zip(&b.queues) {
        let ready = |queue: &Queue| -> BTreeMap<_, IdSet> {
            let sets = queue.ready_sets();
            sets.map(|(spot, set)| ((spot.priority, spot.batch), set.clone())).collect()
        };
        let alike =
            (&a.name, a.paused, a.tally, &a.tasks) == (&b.name, b.paused, b.tally, &b.tasks);
        check("queues", alike && ready(a) == ready(b))?;
    }
    let open = |ledger: &Ledger| ledger.in_state(State::Delayed).len();
    check("delays", open(a) == open(b))
}
