//! What travels on the wire, kind by kind. Framing, limits of connections and who may send what
//! live in `ganger-net`.
//!
//! A connection has one control stream. Its first frame is a [`Hello`]; the master answers with a
//! [`Welcome`] or closes with a sentence. Then a worker sends [`WorkerMessage`]s and gets
//! [`ToWorker`]s; every other role sends [`ClientMessage`]s and gets [`ToClient`]s.
//!
//! Output travels on unidirectional streams of its own, so that a flood delays nothing else. A
//! worker opens one with a [`WorkerStream`]: output over the inline limit once its attempt has
//! ended, or output that is followed as it is written. The master opens one with a
//! [`FollowHeader`] for each output that a client follows.

use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::command::{Actor, Refusal, Reply, Request};
use crate::gang::Allows;
use crate::id::{BatchId, Epoch, LeaseId, Name, SessionId, SpecId, TaskId};
use crate::label::Label;
use crate::outcome::Ended;
pub use crate::output::{Kept, OutputHeader};
use crate::picture::{BatchRow, Picture, Watch};
use crate::place::{Need, Offer, PerLane};
use crate::spec::Spec;
use crate::time::WallMs;

/// The minor protocol versions that this build speaks; the major one is in the ALPN.
pub const MINOR: MinorRange = MinorRange { min: 4, max: 4 };

/// A range of minor protocol versions, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinorRange {
    /// The oldest one spoken.
    pub min: u16,
    /// The newest one spoken.
    pub max: u16,
}

impl MinorRange {
    /// Returns the newest version that both speak.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min.max(other.min)).then_some(newest)
    }
}

/// The first frame of a connection, from whoever dialled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The minor versions the sender speaks.
    pub minor: MinorRange,
    /// The sender's release, such as `0.1.0`; untrusted text.
    pub version: String,
    /// What it wants to be; must fit the role in its certificate.
    pub body: HelloBody,
}

/// What the dialling process wants to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelloBody {
    /// A worker with its session.
    Worker(WorkerHello),
    /// A screen or a command.
    Client,
}

/// A worker presents itself, also after every reconnect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerHello {
    /// This life of the worker process; the same on each reconnect.
    pub session: SessionId,
    /// Tasks it runs at once.
    pub slots: PerLane,
    /// Slots' worth of tasks it would hold now: running and waiting on it together.
    pub hold: PerLane,
    /// Leases it holds or has ended without hearing an acknowledgement.
    pub holding: Vec<Held>,
    /// The number of the last report it sent; 0 before the first.
    pub reported: u64,
    /// What its policy allows, for people; untrusted text.
    pub policy: String,
    /// Which kinds its policy lets run.
    pub allows: Allows,
    /// What it says of itself; at most [`LABELS_MAX`](crate::label::LABELS_MAX) count.
    pub labels: Vec<Label>,
    /// Its handlers; at most [`OFFERS_MAX`](crate::place::OFFERS_MAX) count.
    pub handlers: Vec<Offer>,
    /// What it has beside slots, `mem` among it; at most
    /// [`OFFERS_MAX`](crate::place::OFFERS_MAX) count.
    pub resources: Vec<Need>,
    /// Whether it was asked to drain.
    pub draining: bool,
}

/// Consecutive leases, the first and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRun {
    /// The first lease.
    pub first: LeaseId,
    /// How many.
    pub count: u32,
}

/// Leases that a worker presents on a reconnect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The leases.
    pub leases: LeaseRun,
    /// Whether their attempts have started.
    pub started: bool,
}

/// The master's answer to a [`Hello`]; only now is the sender connected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The minor version to speak.
    pub minor: u16,
    /// The master's release; untrusted text.
    pub version: String,
    /// The cluster's name.
    pub cluster: Name,
    /// This life of the master.
    pub epoch: Epoch,
    /// When this life began.
    pub started: WallMs,
    /// The master's wall clock as it answers.
    pub now: WallMs,
    /// Who the master takes the sender for.
    pub you: Actor,
    /// How long a silent session keeps its leases, in milliseconds.
    pub term_ms: u64,
    /// For a worker: how often it beats while it holds nothing, in milliseconds. A beat is also how
    /// a worker learns that the master was started anew.
    pub beat_ms: u32,
    /// For a worker: leases it presented that are not its own any more; it stops them.
    pub stale: Vec<LeaseRun>,
    /// For a worker: the number of its last report that is durable.
    pub acknowledged: u64,
}

/// How busy a worker's machine is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Processor use of the machine, in thousandths.
    pub cpu_permille: u16,
    /// Memory in use on the machine, in thousandths.
    pub memory_permille: u16,
    /// Tasks running.
    pub running: u32,
    /// The machine's wall clock; 0 when it is not said.
    pub clock: WallMs,
}

/// From a worker to the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerMessage {
    /// How many slots' worth of tasks it would hold from now on, running and waiting on it
    /// together.
    Hold {
        /// In each lane at most [`HOLD_TASKS_MAX`](crate::limits::HOLD_TASKS_MAX); 0 takes nothing
        /// new.
        tasks: PerLane,
    },
    /// It is alive; extends all leases of the session.
    Heartbeat {
        /// How busy it is.
        load: Load,
    },
    /// Attempts have started. Not acknowledged.
    Started {
        /// Their leases.
        leases: Vec<LeaseRun>,
    },
    /// Attempts have ended. Kept by the worker until acknowledged.
    Report(Report),
    /// Leases given back without having started: drain, shutdown, or because they were asked
    /// back.
    Release {
        /// The leases.
        leases: Vec<LeaseRun>,
    },
    /// The worker drains, or takes work again.
    Draining {
        /// Whether it takes nothing new.
        on: bool,
    },
}

/// Ends of attempts, in the order they happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Counts a session's reports from 1.
    pub number: u64,
    /// Runs of attempts that ended well.
    pub done: Vec<DoneRun>,
    /// Attempts with anything else to say.
    pub ended: Vec<Ended>,
    /// Leases among those whose tasks are not to be tried again, although retries may be left:
    /// their handler said that another try cannot help.
    pub for_good: Vec<LeaseId>,
}

/// Consecutive leases that all ended [`Done`](crate::Outcome::Done) with a small stdout, no stderr
/// and no usage worth keeping: what in-process kinds answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneRun {
    /// The first lease.
    pub first: LeaseId,
    /// How long each took, in microseconds; as long as `results`.
    pub took_us: Vec<u32>,
    /// What each answered.
    pub results: crate::ArgList,
}

/// From the master to a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// Tasks to run.
    Grant(Grant),
    /// All reports up to this number are durable.
    Ack {
        /// The number of the newest durable report.
        report: u64,
    },
    /// These leases are not the worker's any more: it drops what has not started and kills the
    /// rest.
    Stale {
        /// The leases.
        leases: Vec<LeaseRun>,
    },
    /// Stop these attempts: TERM, a grace, then KILL; then report.
    Cancel {
        /// Their leases.
        leases: Vec<LeaseRun>,
    },
    /// Give back those of these that have not started: another worker idles.
    TakeBack {
        /// Their leases.
        leases: Vec<LeaseRun>,
    },
    /// Take nothing new, or take work again.
    Drain {
        /// Whether to take nothing new.
        on: bool,
    },
    /// Run so many tasks of the lane `cpu` at once from now on; what runs above that number ends by
    /// itself. Lasts as long as the worker's process.
    Slots {
        /// From 1 to [`SLOTS_MAX`](crate::gang::SLOTS_MAX).
        slots: u32,
    },
    /// The output sent for this lease is stored.
    OutputStored {
        /// The lease.
        lease: LeaseId,
    },
    /// Send what this attempt has written and goes on to write, on a stream of its own; ends the
    /// stream asked for before.
    Follow(LiveHeader),
    /// Nobody follows this attempt any more.
    Unfollow {
        /// Its lease.
        lease: LeaseId,
    },
    /// Beat at this pace from now on while you hold nothing; see [`Welcome::beat_ms`].
    Beat {
        /// Between two heartbeats, in milliseconds.
        beat_ms: u32,
    },
}

/// Tasks to run, with the specs that the session has not seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Specs that this session sees for the first time.
    pub specs: Vec<(SpecId, Spec)>,
    /// The tasks.
    pub runs: Vec<GrantRun>,
}

/// Consecutive tasks of one batch under consecutive leases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantRun {
    /// The first lease.
    pub lease: LeaseId,
    /// The first task.
    pub task: TaskId,
    /// Their batch.
    pub batch: BatchId,
    /// The first task's place in its batch, from 0.
    pub index: u64,
    /// Which attempt this is, the same for all; from 1.
    pub attempt: u32,
    /// Their spec.
    pub spec: SpecId,
    /// Their arguments; says how many tasks there are.
    pub args: Args,
}

/// The first frame of a stream that a worker opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerStream {
    /// The kept output of an attempt that has ended; raw bytes follow. A worker sends one
    /// [long](OutputHeader::is_long) one at a time.
    Output(OutputHeader),
    /// The output of an attempt that is followed; frames of [`Piece`](crate::follow::Piece) follow
    /// until it ends or nobody follows it.
    Live(LiveHeader),
}

/// Says which attempt is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveHeader {
    /// Its lease.
    pub lease: LeaseId,
    /// Drawn by the master, rising: a stream with a higher number begins again at the start of the
    /// output.
    pub number: u64,
}

/// The first frame of a stream that the master opens to a client; frames of
/// `Result<`[`Followed`](crate::follow::Followed)`, `[`Refusal`]`>` follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FollowHeader {
    /// The tag of the [`Request::Follow`] that it answers.
    pub tag: u64,
}

/// From a screen or a command to the master.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// A request; the reply carries the same tag.
    Request {
        /// Drawn by the client; unique among its open requests.
        tag: u64,
        /// What it wants.
        request: Request,
    },
    /// Send pictures of this from now on; replaces the previous watch.
    Watch(Watch),
    /// Send no more pictures.
    Unwatch,
    /// The picture with this number was taken in; the next may come.
    Seen {
        /// [`Picture::number`].
        number: u64,
    },
}

/// From the master to a screen or a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToClient {
    /// The one answer to a request.
    Reply {
        /// The request's tag.
        tag: u64,
        /// The answer, or why not.
        result: Result<Reply, Refusal>,
    },
    /// How far a batch is that a `Wait` request waits for; comes at most five times a second.
    Progress {
        /// The request's tag.
        tag: u64,
        /// The batch.
        batch: BatchRow,
    },
    /// What the watch shows.
    Picture(Box<Picture>),
    /// The master is alive and has nothing to say; every two seconds.
    Pulse,
}
