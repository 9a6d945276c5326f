//! An honest worker: the real core of a worker, in a driver on virtual time. Checks what a master
//! cannot see: that no slot runs two attempts, that what is stale is killed, and that each hello
//! presents every lease that the master may count on.

use std::collections::BTreeMap;

use ganger::worker::core::{Attempt, AttemptEnded, Effect, Offers, Present, WorkerCore};
use ganger::worker::inline;
use ganger_proto::gang::Allows;
use ganger_proto::message::{Kept, LeaseRun, Load, OutputHeader, Report, ToWorker, WorkerMessage};
use ganger_proto::{Ended, LeaseId, Outcome, PerLane, SessionId, TaskId};

use crate::gang::{Act, Down, Finished, Run, Up, Worker, answer, each, ends, granted, is_among};

/// One life of an honest worker.
pub(crate) struct Hand {
    core: WorkerCore,
    session: SessionId,
    /// Attempts that it may run at once.
    slots: u32,
    children: BTreeMap<LeaseId, Child>,
    /// Leases that the master counts on it to know.
    owed: BTreeMap<LeaseId, Owed>,
    /// Reports by their number.
    sent: BTreeMap<u64, Report>,
    acts: Vec<Act>,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    task: TaskId,
    slot: u32,
    told: Told,
}

/// What an attempt was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Stop,
    Kill,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Held,
    Reported(u64),
}

/// Attempts on so many tasks print more than a report carries.
const LONG_EVERY: u64 = 5;
const LONG_BYTES: usize = 300;

impl Hand {
    pub(crate) fn new(session: SessionId, slots: u32) -> Self {
        let offers = Offers { slots: PerLane { cpu: slots, io: 0 }, ..Offers::default() };
        Self {
            core: WorkerCore::new(session, offers),
            session,
            slots,
            children: BTreeMap::new(),
            owed: BTreeMap::new(),
            sent: BTreeMap::new(),
            acts: Vec::new(),
        }
    }

    /// Does what the core says until it says nothing more, as the driver does.
    fn act(&mut self, t_ms: u64) -> Result<(), String> {
        let now_us = t_ms * 1_000;
        loop {
            let effects = self.core.drain(now_us);
            if effects.is_empty() {
                return Ok(());
            }
            for effect in effects {
                match effect {
                    Effect::Start(start) => {
                        let run = Run {
                            lease: start.at.lease,
                            task: start.run.task,
                            attempt: start.run.attempt,
                            limit_ms: start.spec.timeout_ms,
                        };
                        self.start(start.at, run)?;
                    }
                    Effect::Stop(at) => self.tell(at, Told::Stop),
                    Effect::Kill(at) => self.tell(at, Told::Kill),
                    Effect::Square(run) => {
                        let count = run.args.count() as u32;
                        let leases = LeaseRun { first: run.lease, count };
                        self.core.handle_squares(now_us, leases, inline::squares(&run));
                    }
                    Effect::Send(message) => self.send(message)?,
                    Effect::SendOutput(header, bytes) => {
                        self.acts.push(Act::Send(Up::Output(header, bytes.to_vec())));
                    }
                    Effect::Beat(running) => {
                        let load = Load { running, ..Load::default() };
                        self.send(WorkerMessage::Heartbeat { load })?;
                    }
                    Effect::Follow(..) | Effect::Unfollow(_) => {
                        return Err("an attempt is followed that nobody follows".to_owned());
                    }
                    Effect::Clean(_) | Effect::Rest => {}
                }
            }
        }
    }

    fn start(&mut self, at: Attempt, run: Run) -> Result<(), String> {
        if let Some((lease, _)) = self.children.iter().find(|(_, child)| child.slot == at.slot) {
            return Err(format!("slot {} runs {lease} and starts {}", at.slot, at.lease));
        }
        if !self.owed.contains_key(&at.lease) {
            return Err(format!("{} starts and is not this worker's", at.lease));
        }
        let child = Child { task: run.task, slot: at.slot, told: Told::Nothing };
        self.children.insert(at.lease, child);
        let (count, slots) = (self.children.len(), self.slots);
        if count > slots as usize {
            return Err(format!("{count} attempts run at once in {slots} slots"));
        }
        self.acts.push(Act::Run(run));
        Ok(())
    }

    fn tell(&mut self, at: Attempt, told: Told) {
        if let Some(child) = self.children.get_mut(&at.lease) {
            child.told = told;
            self.acts.push(match told {
                Told::Kill => Act::Kill(at.lease),
                Told::Nothing | Told::Stop => Act::Stop(at.lease),
            });
        }
    }

    fn send(&mut self, message: WorkerMessage) -> Result<(), String> {
        match &message {
            WorkerMessage::Report(report) => {
                let number = report.number;
                if let Some(before) = self.sent.insert(number, report.clone())
                    && before != *report
                {
                    return Err(format!("report {number} was {before:?}, then {report:?}"));
                }
                for (lease, ..) in ends(report) {
                    if let Some(owed) = self.owed.get_mut(&lease) {
                        *owed = Owed::Reported(number);
                    }
                }
            }
            WorkerMessage::Release { leases } => {
                for lease in each(leases) {
                    if self.owed.remove(&lease) != Some(Owed::Held) {
                        return Err(format!("{lease} is given back and is not held"));
                    }
                }
            }
            WorkerMessage::Hold { .. }
            | WorkerMessage::Heartbeat { .. }
            | WorkerMessage::Started { .. }
            | WorkerMessage::Draining { .. } => {}
        }
        self.acts.push(Act::Send(Up::Say(message)));
        Ok(())
    }

    fn acknowledged(&mut self, number: u64) {
        self.owed.retain(|_, owed| !matches!(owed, Owed::Reported(of) if *of <= number));
        self.sent.retain(|of, _| *of > number);
    }

    /// What it was told is stale is forgotten, and must have been killed.
    fn check_stopped(&mut self, stale: &[LeaseRun]) -> Result<(), String> {
        self.owed.retain(|lease, _| !is_among(*lease, stale));
        let mut children = self.children.iter();
        let runs = |(lease, child): &(&LeaseId, &Child)| {
            is_among(**lease, stale) && child.told != Told::Kill
        };
        match children.find(runs) {
            Some((lease, _)) => Err(format!("{lease} is stale and runs on")),
            None => Ok(()),
        }
    }
}

impl Worker for Hand {
    fn session(&self) -> SessionId {
        self.session
    }

    fn dials(&mut self) -> Result<(), String> {
        let present = Present { allows: Allows::ALL, ..Present::default() };
        let hello = self.core.hello(present);
        let holding: Vec<LeaseRun> = hello.holding.iter().map(|held| held.leases).collect();
        if let Some(lease) = self.owed.keys().find(|lease| !is_among(**lease, &holding)) {
            return Err(format!("{lease} is known to this worker and was not presented"));
        }
        self.acts.push(Act::Send(Up::Hello(hello)));
        Ok(())
    }

    fn link_down(&mut self) {
        self.core.handle_link_lost();
    }

    fn hears(&mut self, t_ms: u64, down: Down) -> Result<(), String> {
        let (now_us, mut stale) = (t_ms * 1_000, Vec::new());
        match down {
            Down::Welcome(welcome) => {
                self.acknowledged(welcome.acknowledged);
                self.core.handle_welcome(now_us, &welcome);
                stale = welcome.stale;
            }
            Down::To(message) => {
                match &message {
                    ToWorker::Grant(grant) => {
                        self.owed.extend(granted(grant).map(|(lease, _)| (lease, Owed::Held)));
                    }
                    ToWorker::Ack { report } => self.acknowledged(*report),
                    ToWorker::Stale { leases } => stale.clone_from(leases),
                    ToWorker::Slots { slots } => self.slots = *slots,
                    ToWorker::Cancel { .. }
                    | ToWorker::TakeBack { .. }
                    | ToWorker::Drain { .. }
                    | ToWorker::OutputStored { .. }
                    | ToWorker::Follow(_)
                    | ToWorker::Unfollow { .. }
                    | ToWorker::Beat { .. }
                    | ToWorker::Renew { .. } => {}
                }
                self.core.handle_message(now_us, message);
            }
        }
        self.act(t_ms)?;
        self.check_stopped(&stale)
    }

    fn ended(&mut self, t_ms: u64, lease: LeaseId, outcome: Outcome) -> Result<(), String> {
        let Some(child) = self.children.remove(&lease) else { return Ok(()) };
        // One that is asked to stop may be quicker with what it does.
        let obeys = child.told == Told::Kill
            || (child.told == Told::Stop && !lease.counter.is_multiple_of(2));
        let outcome = if obeys { Outcome::Cancelled } else { outcome };
        let mut ended = Ended::bare(lease, outcome, 1_000);
        ended.stdout = answer(child.task, lease).into_bytes();
        let long = outcome == Outcome::Done && child.task.raw().is_multiple_of(LONG_EVERY);
        let output = long.then(|| long_output(lease, &ended.stdout));
        self.core.handle_ended(t_ms * 1_000, AttemptEnded { ended, output });
        self.act(t_ms)
    }

    fn wakes(&mut self, t_ms: u64) -> Result<(), String> {
        self.core.handle_time(t_ms * 1_000);
        self.act(t_ms)
    }

    fn wake_ms(&self) -> Option<u64> {
        self.core.wake_at_us().map(|us| us.div_ceil(1_000))
    }

    fn terminate(&mut self, t_ms: u64) -> Result<(), String> {
        self.core.handle_drain();
        self.act(t_ms)
    }

    fn finished(&self) -> Finished {
        if self.core.is_finished() { Finished::Yes } else { Finished::No }
    }

    fn drain(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }
}

/// Returns output that does not ride in a report.
fn long_output(lease: LeaseId, answer: &[u8]) -> (OutputHeader, Vec<u8>) {
    let bytes: Vec<u8> = answer.iter().copied().cycle().take(LONG_BYTES).collect();
    let stdout = Kept { head: bytes.len() as u64, skipped: 0, tail: 0 };
    (OutputHeader { lease, stdout, stderr: Kept::default() }, bytes)
}
