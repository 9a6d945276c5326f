//! What goes into the engine and what comes out. Plain values; the driver carries them.

use ganger_proto::message::{Grant, LeaseRun, Load, Report, WorkerHello};
use ganger_proto::{
    Actor, BatchId, BlockId, Epoch, LeaseId, PerLane, Refusal, Reply, Request, SessionId, TaskId,
    WorkerName,
};

use super::deed::Deed;
use super::event::Event;
use super::runs::IdSet;

/// A client's connection, as the driver numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

/// Something that the engine is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A master's life begins; first of all inputs.
    Began {
        /// Its epoch, as the store gave it.
        epoch: Epoch,
    },
    /// A client asked for a change.
    Asked {
        /// Who gets the reply.
        client: ClientId,
        /// The request's tag.
        tag: u64,
        /// Who asks.
        actor: Actor,
        /// What for.
        request: Request,
    },
    /// The tasks of a client's command were found, whose filter no index answers.
    Found {
        /// Who gets the reply.
        client: ClientId,
        /// The request's tag.
        tag: u64,
        /// Who asks.
        actor: Actor,
        /// What for.
        request: Request,
        /// The tasks; those that match no more are left alone.
        found: IdSet,
    },
    /// A client asked the driver for something, and it was done.
    Did {
        /// Who asked.
        actor: Actor,
        /// What was done.
        deed: Deed,
    },
    /// A worker connected.
    WorkerJoined {
        /// Its certificate's name.
        name: WorkerName,
        /// Its release; untrusted text.
        version: String,
        /// What it presents.
        hello: WorkerHello,
    },
    /// A worker said something.
    WorkerSaid {
        /// Its session.
        session: SessionId,
        /// What.
        said: Said,
    },
    /// A worker's connection ended.
    WorkerLeft {
        /// Its session.
        session: SessionId,
    },
    /// What an attempt printed has come and will be stored with the events of this turn.
    OutputCame {
        /// Its session.
        session: SessionId,
        /// The attempt's lease.
        lease: LeaseId,
    },
    /// Time passed; see [`Engine::wake_at`](super::Engine::wake_at).
    Tick,
}

/// What a worker says.
#[derive(Clone, Debug)]
pub enum Said {
    /// It is alive.
    Heartbeat(Load),
    /// It would hold so many slots' worth of tasks.
    Hold(PerLane),
    /// Attempts have started.
    Started(Vec<LeaseRun>),
    /// Attempts have ended.
    Report(Report),
    /// Leases are given back without having started.
    Release(Vec<LeaseRun>),
    /// It takes nothing new, or takes work again.
    Draining(Drain),
}

/// Whether a worker takes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// It finishes what it holds.
    On,
    /// It takes work.
    Off,
}

impl Drain {
    /// Returns the wire's form.
    #[expect(clippy::fn_params_excessive_bools, reason = "this is where the wire's form ends")]
    pub const fn of(on: bool) -> Self {
        if on { Self::On } else { Self::Off }
    }
}

/// Something that the driver must do, after the events of the same turn are durable.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a turn has few effects, and moves each of them once"
)]
pub enum Effect {
    /// Answer a client.
    Reply {
        /// Who.
        client: ClientId,
        /// The request's tag.
        tag: u64,
        /// The answer.
        result: Result<Reply, Refusal>,
    },
    /// Welcome a worker.
    Welcome {
        /// Its session.
        session: SessionId,
        /// Leases that it presented and that are not its own any more.
        stale: Vec<LeaseRun>,
        /// Its newest report that is durable.
        acknowledged: u64,
    },
    /// Send tasks.
    Grant {
        /// To whom.
        session: SessionId,
        /// The tasks.
        grant: Grant,
    },
    /// Acknowledge reports.
    Ack {
        /// To whom.
        session: SessionId,
        /// The newest durable report.
        report: u64,
    },
    /// Say that leases are not the session's any more.
    Stale {
        /// To whom.
        session: SessionId,
        /// The leases.
        leases: Vec<LeaseRun>,
    },
    /// Ask for attempts to be stopped.
    Cancel {
        /// Of whom.
        session: SessionId,
        /// Their leases.
        leases: Vec<LeaseRun>,
    },
    /// Ask for leases back that have not started.
    TakeBack {
        /// Of whom.
        session: SessionId,
        /// The leases.
        leases: Vec<LeaseRun>,
    },
    /// Tell a worker to drain, or to take work again.
    Drain {
        /// Whom.
        session: SessionId,
        /// Which.
        drain: Drain,
    },
    /// Tell a worker how many tasks to run at once.
    Slots {
        /// Whom.
        session: SessionId,
        /// How many.
        slots: u32,
    },
    /// Say that output is stored.
    OutputStored {
        /// To whom.
        session: SessionId,
        /// The attempt's lease.
        lease: LeaseId,
    },
    /// The last open task of a batch ended.
    BatchEnded {
        /// The batch.
        batch: BatchId,
    },
}

/// What one turn of the engine gave.
#[derive(Debug, Default)]
pub struct Output {
    /// To be made durable.
    pub events: Vec<Event>,
    /// Blocks of results, to be made durable together with the events.
    pub blocks: Vec<(BlockId, Vec<u8>)>,
    /// Blocks that nobody wants any more.
    pub drop_blocks: Vec<BlockId>,
    /// Tasks whose outputs nobody wants any more.
    pub drop_outputs: Vec<TaskId>,
    /// To be done after that.
    pub effects: Vec<Effect>,
}

impl Output {
    /// Tells whether anything must be made durable.
    pub fn is_durable(&self) -> bool {
        !self.events.is_empty() || !self.drop_blocks.is_empty() || !self.drop_outputs.is_empty()
    }
}
