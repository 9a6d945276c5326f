//! Workers of the world, as the world sees them: what travels between them and the master, and what
//! they want done. The honest ones, which are the real core, are in hand.rs, liars in liar.rs.

use ganger_proto::message::{
    Grant, LeaseRun, OutputHeader, Report, ToWorker, Welcome, WorkerHello, WorkerMessage,
};
use ganger_proto::{LeaseId, Outcome, SessionId, TaskId};

/// From a worker to the master.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Hello(WorkerHello),
    Say(WorkerMessage),
    /// On a stream of its own.
    Output(OutputHeader, Vec<u8>),
}

/// From the master to a worker.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Welcome(Box<Welcome>),
    To(ToWorker),
}

/// What a worker wants done.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Up),
    /// Runs an attempt; its end is told with [`Worker::ended`].
    Run(Run),
    /// An attempt that was asked to stop ends soon.
    Stop(LeaseId),
    /// An attempt that is killed ends at once.
    Kill(LeaseId),
}

/// An attempt to run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) lease: LeaseId,
    pub(crate) task: TaskId,
    pub(crate) attempt: u32,
    /// It is killed after so long; 0 is never.
    pub(crate) limit_ms: u64,
}

/// Whether a worker's process ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finished {
    No,
    Yes,
}

/// One life of a worker. Whatever it is told it may find that something went wrong in itself.
pub(crate) trait Worker {
    fn session(&self) -> SessionId;

    /// It has a connection and presents itself.
    fn dials(&mut self) -> Result<(), String>;

    fn link_down(&mut self);

    fn hears(&mut self, t_ms: u64, down: Down) -> Result<(), String>;

    /// An attempt came to its end.
    fn ended(&mut self, t_ms: u64, lease: LeaseId, outcome: Outcome) -> Result<(), String>;

    /// The time that it asked for has come.
    fn wakes(&mut self, t_ms: u64) -> Result<(), String>;

    /// Returns when it wants to be woken.
    fn wake_ms(&self) -> Option<u64>;

    /// It is asked to finish what runs and end.
    fn terminate(&mut self, t_ms: u64) -> Result<(), String>;

    fn finished(&self) -> Finished;

    /// It comes to know leases that were granted to others.
    fn overhears(&mut self, _leases: &[LeaseId]) {}

    fn drain(&mut self) -> Vec<Act>;
}

/// Returns what the attempt under a lease prints; no other attempt prints the same.
pub(crate) fn answer(task: TaskId, lease: LeaseId) -> String {
    format!("{task} under {lease}")
}

pub(crate) fn one(first: LeaseId) -> LeaseRun {
    LeaseRun { first, count: 1 }
}

/// Iterates over leases one by one. Only for those that somebody holds: a liar's runs have no end.
pub(crate) fn each(leases: &[LeaseRun]) -> impl Iterator<Item = LeaseId> {
    leases.iter().flat_map(|run| (0..u64::from(run.count)).map(|place| run.first.plus(place)))
}

pub(crate) fn is_among(lease: LeaseId, leases: &[LeaseRun]) -> bool {
    leases.iter().any(|run| {
        let end = run.first.counter.saturating_add(u64::from(run.count));
        lease.epoch == run.first.epoch && (run.first.counter..end).contains(&lease.counter)
    })
}

/// Iterates over the leases of a grant with their tasks.
pub(crate) fn granted(grant: &Grant) -> impl Iterator<Item = (LeaseId, TaskId)> {
    grant.runs.iter().flat_map(|run| {
        (0..run.args.count()).map(|place| (run.lease.plus(place), run.task.plus(place)))
    })
}

/// Returns what a report says of each of its leases, one after the other.
pub(crate) fn ends(report: &Report) -> Vec<(LeaseId, Outcome, Vec<u8>)> {
    let mut all = Vec::new();
    for run in &report.done {
        let results = run.results.iter().enumerate();
        all.extend(
            results.map(|(place, answer)| {
                (run.first.plus(place as u64), Outcome::Done, answer.to_vec())
            }),
        );
    }
    let ended = report.ended.iter();
    all.extend(ended.map(|ended| (ended.lease, ended.outcome, ended.stdout.clone())));
    all
}
