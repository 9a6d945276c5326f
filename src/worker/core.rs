//! The worker's decisions: which granted task starts when, what the master is told, what is kept
//! until it is acknowledged. PURE: no clock, network, process, disk or runtime. Time comes in as
//! microseconds on a clock that only goes forward.
//!
//! ```text
//!   granted ──► waiting ──► running ──► ended ──► (output stored) ──► reported ──► forgotten
//!                  │            │                                       by an acknowledgement
//!                  └── stale ───┴─► dropped or killed, nothing reported
//! ```
//! A lost connection changes nothing here but that nothing is sent: tasks run on, ends are kept,
//! and the next hello presents every lease that is not forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ganger_proto::message::{
    GrantRun, LeaseRun, LiveHeader, OutputHeader, ToWorker, Welcome, WorkerMessage,
};
use ganger_proto::{Ended, Lane, LeaseId, Outcome, PerLane, SessionId, Spec, SpecId};

use super::inline::Squares;
use super::lanes::{Lanes, in_lane};
use super::reports::{Busy, Reports};
use super::waiting::join;

mod beats;
mod present;
mod tasks;
mod warm;

pub use present::{Offers, Present};
pub(super) use warm::GIVE_TASKS_MAX;
pub use warm::WarmEnds;

/// What the driver must do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Start a child; end with [`WorkerCore::handle_ended`].
    Start(Box<Start>),
    /// TERM, grace, KILL.
    Stop(Attempt),
    /// KILL at once.
    Kill(Attempt),
    /// Answer these and come back with [`WorkerCore::handle_squares`] before anything else.
    Square(GrantRun),
    /// Send this to the master.
    Send(WorkerMessage),
    /// Send this output on a stream of its own: what is in memory, and what was spooled.
    SendOutput(OutputHeader, Arc<Vec<u8>>),
    /// Send what this attempt writes on a stream of its own.
    Follow(Attempt, LiveHeader),
    /// Send no more of it.
    Unfollow(Attempt),
    /// Send a heartbeat with the machine's load and this many running tasks.
    Beat(u32),
    /// Remove the attempt's scratch directory and the files of its output.
    Clean(LeaseId),
    /// End the handlers that idle: nothing new comes.
    Rest,
}

/// A child to start.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Where it runs.
    pub at: Attempt,
    /// Its task, as a run of one; of a handler, several short ones.
    pub run: GrantRun,
    /// What it is.
    pub spec: Arc<Spec>,
}

/// A running attempt and the slot it runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its lease.
    pub lease: LeaseId,
    /// Its slot: those of the lane `cpu` from 0, those of the lane `io` from
    /// [`SLOTS_MAX`](ganger_proto::gang::SLOTS_MAX).
    pub slot: u32,
}

/// The end of a child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnded {
    /// What to report.
    pub ended: Ended,
    /// What was kept of its output, when that does not ride in the report: lengths, and what is in
    /// memory.
    pub output: Option<(OutputHeader, Vec<u8>)>,
}

/// Decides what the worker does.
#[derive(Debug)]
pub struct WorkerCore {
    session: SessionId,
    offers: Offers,
    lanes: Lanes,
    specs: BTreeMap<SpecId, Arc<Spec>>,
    running: BTreeMap<LeaseId, Running>,
    sleeps: BTreeSet<(u64, LeaseId)>,
    squaring: Vec<(Lane, LeaseRun)>,
    outputs: BTreeMap<LeaseId, Output>,
    output_bytes: usize,
    scratch: BTreeSet<LeaseId>,
    ahead: warm::Ahead,
    reports: Reports,
    link: Link,
    /// Between heartbeats while nothing is held, as the master asks for.
    beat_idle_us: u64,
    drain: Drain,
    effects: Vec<Effect>,
}

#[derive(Debug)]
struct Running {
    slot: u32,
    spec: Arc<Spec>,
    began_us: u64,
    work: Work,
    told: Told,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Child,
    Sleep { until_us: u64, outcome: Outcome },
}

/// Whether the master knows that it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    No,
    Yes,
}

/// What becomes of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Report,
    Drop,
}

#[derive(Debug)]
struct Output {
    ended: Ended,
    header: OutputHeader,
    /// What of it is in memory.
    bytes: Arc<Vec<u8>>,
    sent: Sent,
}

/// Whether it is on its way on the present connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    Up { beat_us: u64, started_us: Option<u64> },
}

/// Who wants nothing new.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Drain {
    master: bool,
    own: bool,
}

impl WorkerCore {
    /// Begins a session of a worker that offers this.
    pub fn new(session: SessionId, offers: Offers) -> Self {
        Self {
            session,
            lanes: Lanes::new(offers.slots, &offers.resources),
            offers,
            specs: BTreeMap::new(),
            running: BTreeMap::new(),
            sleeps: BTreeSet::new(),
            squaring: Vec::new(),
            outputs: BTreeMap::new(),
            output_bytes: 0,
            scratch: BTreeSet::new(),
            ahead: warm::Ahead::default(),
            reports: Reports::default(),
            link: Link::Down,
            beat_idle_us: beats::IDLE_US,
            drain: Drain::default(),
            effects: Vec::new(),
        }
    }

    /// The master welcomed this session.
    pub fn handle_welcome(&mut self, now_us: u64, welcome: &Welcome) {
        self.beat_at(welcome.beat_ms);
        let beat_us = now_us.saturating_add(self.beat_idle_us);
        self.link = Link::Up { beat_us, started_us: None };
        self.acknowledge(welcome.acknowledged);
        self.stale(&welcome.stale);
        self.release_waiting();
        self.reports.begin_again();
        self.send_outputs_again();
        self.start_what_can(now_us);
        if self.running.values().any(|running| running.told == Told::No) {
            self.say_started_at(now_us);
        }
    }

    /// The connection is gone.
    pub fn handle_link_lost(&mut self) {
        self.link = Link::Down;
    }

    /// The master said something.
    pub fn handle_message(&mut self, now_us: u64, message: ToWorker) {
        match message {
            ToWorker::Grant(grant) => self.grant(grant),
            ToWorker::Ack { report } => self.acknowledge(report),
            ToWorker::Stale { leases } => self.stale(&leases),
            ToWorker::Cancel { leases } => self.cancel(now_us, &leases),
            ToWorker::TakeBack { leases } => self.give_back(&leases),
            ToWorker::Drain { on } => {
                self.drain.master = on;
                if on {
                    self.effects.push(Effect::Rest);
                }
                self.release_waiting();
            }
            ToWorker::Slots { slots } => self.set_slots(slots),
            ToWorker::OutputStored { lease } => {
                if let Some(output) = self.take_output(lease) {
                    self.reports.ended(output.ended);
                }
            }
            ToWorker::Follow(header) => self.follow(header),
            ToWorker::Unfollow { lease } => self.unfollow(lease),
            ToWorker::Beat { beat_ms } => self.beat_at(beat_ms),
            // No matter of tasks: the link has taken it.
            ToWorker::Renew { .. } => {}
        }
        self.start_what_can(now_us);
    }

    /// A child ended, or could not be started.
    pub fn handle_ended(&mut self, now_us: u64, end: AttemptEnded) {
        self.end_child(end);
        self.start_what_can(now_us);
    }

    fn end_child(&mut self, end: AttemptEnded) {
        let lease = end.ended.lease;
        let Some(running) = self.leave(lease) else { return };
        if running.fate == Fate::Drop {
            end.output.iter().for_each(|(header, _)| self.spooled(header));
            self.clean(lease);
        } else {
            if end.ended.outcome != Outcome::Unfit {
                self.lanes.took(in_lane(running.slot).0, end.ended.took_us, 1);
            }
            match end.output {
                Some((header, bytes)) => self.store(end.ended, header, bytes),
                None => self.reports.ended(end.ended),
            }
        }
    }

    /// Squares were answered, each in `each_us`.
    pub fn handle_squares(&mut self, now_us: u64, leases: LeaseRun, squares: Squares) {
        let each = squares.done.first().and_then(|run| run.took_us.first().copied());
        if let Some(at) = self.squaring.iter().position(|(_, run)| *run == leases) {
            let (lane, _) = self.squaring.remove(at);
            self.lanes.took(lane, each.unwrap_or(1).into(), leases.count);
        }
        for run in squares.done {
            self.reports.done(run);
        }
        for ended in squares.ended {
            self.reports.ended(ended);
        }
        self.start_what_can(now_us);
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now_us: u64) {
        while let Some(&(due_us, lease)) = self.sleeps.first()
            && due_us <= now_us
        {
            self.sleeps.pop_first();
            self.end_sleep(now_us, lease, None);
        }
        self.start_what_can(now_us);
    }

    /// The network says how long a round trip takes.
    pub fn handle_round_trip(&mut self, us: u64) {
        self.lanes.round_trip(us);
    }

    /// The worker itself is to finish what runs and take nothing new.
    pub fn handle_drain(&mut self) {
        if !self.drain.own {
            self.drain.own = true;
            self.effects.push(Effect::Rest);
            if self.link != Link::Down {
                self.effects.push(Effect::Send(WorkerMessage::Draining { on: true }));
            }
        }
        self.release_waiting();
    }

    /// Tells whether a worker that drains of its own has nothing left to do or to say. Without a
    /// connection it need not give back what has not started: those leases run out.
    pub fn is_finished(&self) -> bool {
        let given_back = self.lanes.waiting() == 0 || self.link == Link::Down;
        self.drain.own && given_back && self.is_quiet()
    }

    /// Returns when [`WorkerCore::handle_time`] must come next.
    pub fn wake_at_us(&self) -> Option<u64> {
        let sleep = self.sleeps.first().map(|(due_us, _)| *due_us);
        let link = match self.link {
            Link::Down => None,
            Link::Up { beat_us, started_us } => {
                [started_us, self.reports.due_us(), Some(beat_us)].into_iter().flatten().min()
            }
        };
        [sleep, link].into_iter().flatten().min()
    }

    /// Hands out what is to be done. To be called until it is empty, with the squares answered in
    /// between.
    pub fn drain(&mut self, now_us: u64) -> Vec<Effect> {
        if let Link::Up { beat_us, started_us } = self.link {
            if started_us.is_some_and(|due_us| due_us <= now_us) {
                self.say_started(beat_us);
            }
            let busy = if self.lanes.waiting() > 0 { Busy::Yes } else { Busy::No };
            while let Some(report) = self.reports.next_to_send(now_us, busy) {
                self.effects.push(Effect::Send(WorkerMessage::Report(report)));
            }
            let hold = self.hold();
            if self.lanes.is_news(hold) {
                self.tell_hold(hold);
            }
            self.beat(now_us, beat_us);
        }
        std::mem::take(&mut self.effects)
    }

    fn say_started(&mut self, beat_us: u64) {
        self.link = Link::Up { beat_us, started_us: None };
        let untold = self.running.iter_mut().filter(|(_, running)| running.told == Told::No);
        let leases = join(untold.map(|(lease, running)| {
            running.told = Told::Yes;
            *lease
        }));
        if !leases.is_empty() {
            self.effects.push(Effect::Send(WorkerMessage::Started { leases }));
        }
    }

    fn hold(&self) -> PerLane {
        if self.is_draining() { PerLane::default() } else { self.lanes.hold() }
    }

    fn tell_hold(&mut self, tasks: PerLane) {
        self.lanes.told(tasks);
        self.effects.push(Effect::Send(WorkerMessage::Hold { tasks }));
    }

    fn is_draining(&self) -> bool {
        self.drain.master || self.drain.own
    }

    fn holds_nothing(&self) -> bool {
        self.lanes.waiting() == 0 && self.is_quiet()
    }

    fn is_quiet(&self) -> bool {
        self.running.is_empty()
            && self.squaring.is_empty()
            && self.outputs.is_empty()
            && self.reports.is_empty()
    }
}

#[cfg(test)]
mod tests;
