//! What clients ask of the master and what it answers. Who may ask what is decided by
//! `ganger-net`'s role table and by the engine.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::args::Args;
use crate::audit::{AuditPage, AuditPlace, TrustChecked};
use crate::ends::{EndPage, IdRun};
use crate::filter::Filter;
use crate::gang::WorkerDetail;
use crate::id::{BatchId, Key, Name, QueueName, TaskId, WorkerName};
use crate::identity::{AuthorityFacts, IdentityRow, Rotation};
use crate::outcome::Ended;
use crate::picture::{BatchRow, EventRow, Gang, MasterLine, QueueRow, TaskRow, WorkerRow};
use crate::spec::{BatchOptions, Spec, SpecError};
use crate::time::WallMs;
use crate::why::Why;

/// What a certificate allows; read from it once, in `ganger-net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes tasks and reports.
    Worker,
    /// Submits, and sees its own.
    Submitter,
    /// Sees everything, changes nothing.
    Viewer,
    /// Sees and changes everything but other operators.
    Operator,
}

impl Role {
    /// All roles, in the order of the role table.
    pub const ALL: [Self; 4] = [Self::Worker, Self::Viewer, Self::Submitter, Self::Operator];

    /// Returns the role's one word, as in the certificate.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Submitter => "submitter",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
        }
    }

    /// Reads a role's word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.word() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// Who did something: a certificate's role and name, stamped by the server on every input.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    /// The role in the certificate.
    pub role: Role,
    /// The name in the certificate.
    pub name: Name,
    /// Whether the registry marks the identity as the home's own administrator.
    pub admin: bool,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.role, self.name)
    }
}

/// Which tasks a command is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Select {
    /// These tasks; at most [`SELECT_IDS_MAX`](crate::limits::SELECT_IDS_MAX).
    Tasks(Vec<TaskId>),
    /// All tasks of a batch.
    Batch(BatchId),
    /// All tasks that match.
    Matching(Filter),
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Request {
    /// One part of a submission.
    Submit(Submit),
    /// Cancel tasks; running ones get TERM, a grace, then KILL.
    Cancel {
        /// Which.
        select: Select,
        /// Whether running ones are fenced and killed at once.
        now: bool,
    },
    /// Put failed, cancelled or delayed tasks back in the queue.
    Retry {
        /// Which.
        select: Select,
    },
    /// Remove ended tasks and their results.
    Delete {
        /// Which.
        select: Select,
    },
    /// Change the priority of tasks that have not ended.
    SetPriority {
        /// Which.
        select: Select,
        /// Higher goes first.
        priority: i16,
    },
    /// Grant nothing from a queue.
    Pause {
        /// Which.
        queue: QueueName,
    },
    /// Grant from a queue again.
    Resume {
        /// Which.
        queue: QueueName,
    },
    /// Let a worker finish what it holds and take nothing new.
    Drain {
        /// Which.
        worker: WorkerName,
    },
    /// Let a worker take work again.
    Undrain {
        /// Which.
        worker: WorkerName,
    },
    /// Let a worker run so many tasks at once, as long as its process lives.
    SetSlots {
        /// Which.
        worker: WorkerName,
        /// From 1 to [`SLOTS_MAX`](crate::gang::SLOTS_MAX).
        slots: u32,
    },
    /// Revoke an identity's certificates and end its connections at once.
    Revoke {
        /// The identity's name.
        name: Name,
        /// Its role; a worker when not said.
        role: Role,
        /// Why, for the audit.
        reason: String,
    },
    /// Make a join token.
    Invite(Invite),
    /// Master, counts, rates, workers.
    Status,
    /// All queues.
    Queues,
    /// Workers by name, also ones that are gone.
    Workers {
        /// The last name of the page before; none for the first page.
        after: Option<WorkerName>,
    },
    /// Everything about one worker.
    Worker {
        /// Which.
        name: WorkerName,
    },
    /// Why a task is where it is.
    Why {
        /// Which.
        task: TaskId,
    },
    /// Batches, the newest first.
    Batches {
        /// Only batches before this one; none starts at the newest.
        before: Option<BatchId>,
        /// At most this many, bounded by [`PAGE_ROWS_MAX`](crate::limits::PAGE_ROWS_MAX).
        rows: u32,
    },
    /// Tasks in id order.
    List {
        /// Which.
        filter: Filter,
        /// Only tasks after this one.
        after: TaskId,
        /// At most this many, bounded by [`PAGE_ROWS_MAX`](crate::limits::PAGE_ROWS_MAX).
        rows: u32,
    },
    /// Everything about one task.
    Show {
        /// Which.
        task: TaskId,
    },
    /// Results of a batch in id order, as they are now.
    Results {
        /// Which; the newest batch when not said.
        batch: Option<BatchId>,
        /// Only tasks after this one.
        after: TaskId,
        /// At most this many rows; a page also keeps to
        /// [`PAGE_BYTES_MAX`](crate::limits::PAGE_BYTES_MAX).
        rows: u32,
    },
    /// Ends of a batch's tasks as they come, about in that order: answered when there is one that
    /// was not told, or when all have been and the batch has ended; progress comes meanwhile. The
    /// master remembers for the connection and the batch what it was told that the client has.
    Ends {
        /// Which.
        batch: BatchId,
        /// Tasks that the client has heard of, beside those said before on this connection; at most
        /// [`TOLD_RUNS_MAX`](crate::limits::TOLD_RUNS_MAX) runs.
        told: Vec<IdRun>,
        /// At most this many rows; a page also keeps to
        /// [`PAGE_BYTES_MAX`](crate::limits::PAGE_BYTES_MAX). With 0 it is answered at once, to say
        /// more of what was heard.
        rows: u32,
    },
    /// A piece of one attempt's output.
    Output {
        /// The task.
        task: TaskId,
        /// The attempt, from 1; the newest that has output when not said.
        attempt: Option<u32>,
        /// Which stream.
        stream: Stream,
        /// From this byte of what was kept.
        offset: u64,
    },
    /// Follow an attempt's output. The reply says only that it will be sent: it comes on a stream
    /// of its own, until all has come or the client stops that stream.
    Follow {
        /// Which task.
        task: TaskId,
        /// One attempt, from 1; the newest one and those after it when not said.
        attempt: Option<u32>,
    },
    /// Answered when all of these batches have ended; progress comes meanwhile.
    Wait {
        /// Which.
        batches: Vec<BatchId>,
    },
    /// Journal events, as people read them.
    Events {
        /// Only events after this sequence number.
        after: u64,
        /// At most this many.
        rows: u32,
    },
    /// The master's own recent log lines.
    Log {
        /// At most this many, the newest.
        rows: u32,
    },
    /// Start a worker on the master's host, as the master's user.
    StartLocalWorker {
        /// Tasks it runs at once; the number of cores when 0.
        slots: u32,
    },
    /// Stop the master.
    Stop {
        /// Whether running tasks are left to the workers instead of waited for.
        now: bool,
    },
    /// Who was admitted, and who asked for what that changed something.
    Audit {
        /// Only entries after these.
        after: AuditPlace,
        /// At most this many of each log.
        rows: u32,
    },
    /// Check the chain of the trust log as it is on the disk.
    CheckTrust,
    /// Identities by role and name, also ones that are no longer good.
    Identities {
        /// The last one of the page before; none for the first page.
        after: Option<(Role, Name)>,
        /// At most this many, bounded by
        /// [`PAGE_IDENTITIES_MAX`](crate::limits::PAGE_IDENTITIES_MAX).
        rows: u32,
    },
    /// The cluster's authority.
    Authority,
    /// A step of changing the cluster's authority.
    Rotate(Rotation),
}

impl Request {
    /// Returns which tasks it changes; none for a request that names no tasks to change.
    pub const fn select(&self) -> Option<&Select> {
        match self {
            Self::Cancel { select, .. }
            | Self::Retry { select }
            | Self::Delete { select }
            | Self::SetPriority { select, .. } => Some(select),
            Self::Submit(_)
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Drain { .. }
            | Self::Undrain { .. }
            | Self::Revoke { .. }
            | Self::Invite(_)
            | Self::Status
            | Self::Queues
            | Self::Workers { .. }
            | Self::Batches { .. }
            | Self::List { .. }
            | Self::Show { .. }
            | Self::Results { .. }
            | Self::Ends { .. }
            | Self::Output { .. }
            | Self::Wait { .. }
            | Self::Events { .. }
            | Self::Log { .. }
            | Self::StartLocalWorker { .. }
            | Self::SetSlots { .. }
            | Self::Worker { .. }
            | Self::Why { .. }
            | Self::Follow { .. }
            | Self::Stop { .. }
            | Self::Audit { .. }
            | Self::CheckTrust
            | Self::Identities { .. }
            | Self::Authority
            | Self::Rotate(_) => None,
        }
    }
}

/// One part of a submission. Parts carry the same key and may be sent again: each runs once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Made by the client, at random; a repeat returns the first batch.
    pub key: Key,
    /// Counts the parts from 0.
    pub part: u32,
    /// Whether this is the last part.
    pub last: bool,
    /// What the tasks are; in part 0 only.
    pub head: Option<Box<SubmitHead>>,
    /// The tasks' arguments; at most [`SUBMIT_TASKS_MAX`](crate::limits::SUBMIT_TASKS_MAX) listed.
    pub args: Args,
}

/// What the tasks of a submission are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitHead {
    /// What a worker needs to run them.
    pub spec: Spec,
    /// How they are queued and retried.
    pub options: BatchOptions,
}

/// What a join token will allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// The role that the joiner gets.
    pub role: Role,
    /// The name that the joiner gets; its own wish, or its host's name, when not said.
    pub name: Option<Name>,
    /// How many may join with it.
    pub uses: u32,
    /// How long it is valid, in milliseconds.
    pub ttl_ms: u64,
    /// Whether an unused token minted for the same screen before is withdrawn.
    pub replaces: Option<String>,
    /// Whether the name may be one that somebody holds: a machine or person that comes back without
    /// a certificate that is good. What holds the name until then is out as soon as it joins.
    pub again: bool,
}

/// One of a child's two output streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The master's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Reply {
    /// A part is durable.
    Submitted {
        /// The batch it belongs to.
        batch: BatchId,
        /// Tasks of the batch so far.
        tasks: u64,
        /// Whether the part had been there before.
        duplicate: bool,
    },
    /// A bulk command ran.
    Changed(Changed),
    /// It is done; there is nothing to say.
    Ok,
    /// A join token; shown once.
    Invited {
        /// The token's text.
        token: String,
        /// The invite's id, to withdraw it.
        id: String,
        /// When it ends.
        expires: WallMs,
    },
    /// Master, counts, workers.
    Status(Box<Status>),
    /// All queues.
    Queues(Vec<QueueRow>),
    /// Workers by name.
    Workers {
        /// As many as a page holds.
        rows: Vec<WorkerRow>,
        /// What the next page comes after; none when there is none.
        next: Option<WorkerName>,
    },
    /// Everything about one worker.
    Worker(Box<WorkerDetail>),
    /// Why a task is where it is.
    Why(Box<Why>),
    /// Batches, the newest first.
    Batches(Vec<BatchRow>),
    /// Tasks in id order.
    Tasks {
        /// The rows.
        rows: Vec<TaskRow>,
        /// How many match in all; none when that takes a search.
        total: Option<u64>,
        /// Where the next page goes on, also after a page without rows: one page looks at a bounded
        /// number of tasks. None when everything was looked at.
        next: Option<TaskId>,
    },
    /// Everything about one task.
    Task(Box<TaskDetail>),
    /// A page of results.
    Results(ResultPage),
    /// Ends of tasks.
    Ends(EndPage),
    /// A piece of output.
    Output(OutputPage),
    /// Everything waited for has ended.
    Ended {
        /// The batches, in the order asked for.
        batches: Vec<BatchRow>,
    },
    /// Journal events.
    Events(Vec<EventRow>),
    /// Log lines, the oldest first.
    Log(Vec<String>),
    /// Entries of the audit.
    Audit(AuditPage),
    /// The trust log's chain holds.
    TrustChecked(TrustChecked),
    /// Identities by role and name.
    Identities(Vec<IdentityRow>),
    /// The cluster's authority.
    Authority(AuthorityFacts),
}

/// What a bulk command did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Tasks that it changed.
    pub changed: u64,
    /// Running tasks that were asked to stop; they end by themselves.
    pub asked: u64,
    /// Tasks that had ended before.
    pub ended: u64,
    /// Tasks whose state does not allow it.
    pub refused: u64,
}

/// The master on one page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The master itself.
    pub master: MasterLine,
    /// All queues.
    pub queues: Vec<QueueRow>,
    /// All workers in numbers.
    pub gang: Gang,
    /// The first of them, connected ones before others: at most as many as a window has rows.
    pub workers: Vec<WorkerRow>,
    /// The newest batches.
    pub batches: Vec<BatchRow>,
}

/// Everything about one task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskDetail {
    /// Its row.
    pub row: TaskRow,
    /// Its place in its batch, from 0.
    pub index: u64,
    /// What it runs; values of the environment are masked for those who may not see them.
    pub spec: Spec,
    /// How it is queued and retried.
    pub options: BatchOptions,
    /// Its argument, as bytes.
    #[serde(with = "serde_bytes")]
    pub argument: Vec<u8>,
    /// Who submitted it.
    pub owner: String,
    /// Charged failures so far.
    pub failures: u32,
    /// Times its worker vanished while it ran.
    pub lost: u32,
    /// How its recorded attempts ended, the oldest first, as far as they are kept.
    pub attempts: Vec<AttemptRow>,
}

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Its number, from 1.
    pub attempt: u32,
    /// The worker that ran it.
    pub worker: String,
    /// When its end was recorded.
    pub at: WallMs,
    /// What the worker reported.
    pub ended: Ended,
}

/// A page of results in id order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultPage {
    /// The batch.
    pub batch: BatchId,
    /// Ended tasks with what they answered or printed.
    pub rows: Vec<ResultLine>,
    /// The task after which the next page begins; none when this page is the last.
    pub next: Option<TaskId>,
    /// Tasks of the batch that have not ended.
    pub open: u64,
}

/// What one ended task answered or printed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultLine {
    /// The task.
    pub task: TaskId,
    /// Its place in its batch, from 0.
    pub index: u64,
    /// Attempts it took.
    pub attempt: u32,
    /// The worker of the last one; empty when none ran it.
    pub worker: String,
    /// The end; nothing when it was cancelled before it ran, or its result is not kept any more.
    pub ended: Option<Ended>,
    /// Its final state's word: `done`, `failed` or `cancelled`.
    pub state: crate::TaskState,
}

/// A piece of what was kept of one output stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPage {
    /// The attempt, from 1.
    pub attempt: u32,
    /// Bytes kept of the stream in all.
    pub kept: u64,
    /// Where in what was kept bytes were left out.
    pub skipped_at: u64,
    /// How many bytes were left out there.
    pub skipped: u64,
    /// The bytes from the offset asked for.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// Why the master did not do what was asked. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The role does not allow it.
    #[error("a {role} may not {operation}; ask an operator of this master")]
    Forbidden {
        /// The operation, as a verb phrase.
        operation: String,
        /// The asker's role.
        role: Role,
    },
    /// There is no such task.
    #[error("there is no task {0}; it may have been deleted or its retention has passed")]
    NoTask(TaskId),
    /// There is no such batch.
    #[error("there is no batch {0}; `ganger ls` and `ganger status` name the ones there are")]
    NoBatch(BatchId),
    /// No batch was ever submitted.
    #[error(
        "no batch has been submitted yet; `ganger submit --kind square --random 10:0..1000` makes one"
    )]
    NoBatches,
    /// There is no such queue.
    #[error("there is no queue `{0}`; `ganger queues` names the ones there are")]
    NoQueue(QueueName),
    /// There is no such worker.
    #[error("there is no worker `{0}`; `ganger workers` names the ones there are")]
    NoWorker(WorkerName),
    /// There is no such identity.
    #[error("no {role} is called `{name}`, or it was revoked before")]
    NoIdentity {
        /// Its name.
        name: Name,
        /// Its role.
        role: Role,
    },
    /// There is no output.
    #[error(
        "task {0} has no output: it has not ended yet (`ganger logs -f {0}` waits for it), it printed \
         nothing, or it is not kept any more"
    )]
    NoOutput(TaskId),
    /// The master holds as many tasks as it may.
    #[error(
        "the master holds its limit of {limit} tasks; delete finished ones, or wait {retry_after_ms} ms and submit again"
    )]
    QueueFull {
        /// The limit, in tasks.
        limit: u64,
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The disk is nearly full.
    #[error(
        "the master's disk is nearly full, it takes no submissions; free space on it and submit again"
    )]
    StorageFull,
    /// Too many requests.
    #[error("the master is busy; try again in {retry_after_ms} ms")]
    Busy {
        /// When to try again, in milliseconds.
        retry_after_ms: u64,
    },
    /// The spec passes a limit or makes no sense.
    #[error("{0}")]
    Spec(SpecError),
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// A part of a submission came whose first part is unknown.
    #[error(
        "part {part} of a submission came before its first part; submit it again from the start"
    )]
    UnknownSubmission {
        /// The part's number.
        part: u32,
    },
    /// The tasks' state does not allow it.
    #[error("{0}")]
    State(String),
    /// The master is stopping.
    #[error("the master is stopping; start it again with `ganger`")]
    Stopping,
}
