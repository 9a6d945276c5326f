//! A worker that lies: about leases of others, of other masters' lives, of its own past; twice in
//! one breath, under numbers that it has used; about what it holds, what it started, and what it
//! was told. It takes what it is granted and does some of it, so that its lies hit something.

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use ganger_proto::message::{
    DoneRun, Grant, Held, Kept, LeaseRun, Load, OutputHeader, Report, ToWorker, WorkerHello,
    WorkerMessage,
};
use ganger_proto::{Ended, Epoch, LeaseId, Outcome, PerLane, SessionId, TaskId};

use crate::gang::{Act, Down, Finished, Run, Up, Worker, answer, each, granted, is_among, one};

const BEAT_MS: u64 = 200;
const SLOTS: usize = 2;
/// Leases that it remembers, its own and those of others.
const MEMORY: usize = 64;

/// One life of a liar.
pub(crate) struct Liar {
    session: SessionId,
    rng: Rng,
    jobs: BTreeMap<LeaseId, Job>,
    past: VecDeque<LeaseId>,
    others: Vec<LeaseId>,
    reported: u64,
    lies: u64,
    beat_ms: u64,
    welcomed: Welcomed,
    acts: Vec<Act>,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    task: TaskId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Runs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Welcomed {
    No,
    Yes,
}

impl Liar {
    pub(crate) fn new(session: SessionId, seed: u64) -> Self {
        Self {
            session,
            rng: Rng::with_seed(seed),
            jobs: BTreeMap::new(),
            past: VecDeque::new(),
            others: Vec::new(),
            reported: 0,
            lies: 0,
            beat_ms: 0,
            welcomed: Welcomed::No,
            acts: Vec::new(),
        }
    }

    fn say(&mut self, message: WorkerMessage) {
        if self.welcomed == Welcomed::Yes {
            self.acts.push(Act::Send(Up::Say(message)));
        }
    }

    fn report(&mut self, done: Vec<DoneRun>, ended: Vec<Ended>) {
        self.reported += 1;
        let report = Report { number: self.reported, done, ended, for_good: Vec::new() };
        self.say(WorkerMessage::Report(report));
    }

    /// Tells one lie.
    fn lie(&mut self) {
        self.lies += 1;
        let any = |rng: &mut Rng, leases: &[LeaseId]| rng.choice(leases.iter().copied());
        let own = self.jobs.keys().copied().collect::<Vec<_>>();
        let own = any(&mut self.rng, &own);
        let past = any(&mut self.rng, self.past.make_contiguous());
        let other = any(&mut self.rng, &self.others);
        let endless = LeaseRun { first: other.unwrap_or_default(), count: u32::MAX };
        match (self.rng.u8(..15), own, past, other) {
            (0 | 1, _, _, Some(lease)) => self.report_done(&[lease]),
            (2 | 3 | 13 | 14, Some(lease), _, _) => {
                let newest = self.jobs.keys().next_back().copied().unwrap_or(lease);
                let lease = if self.lies.is_multiple_of(3) { lease } else { newest };
                self.report_done(&[self.of_another_life(lease)]);
            }
            (4, Some(lease), _, _) => self.report_done(&[lease, lease]),
            (5, Some(lease), _, _) => {
                let (done, failed) = (self.done(lease), Outcome::Failed { code: 3 });
                self.report(vec![done], vec![self.end_of(lease, failed)]);
            }
            (6, _, Some(lease), _) => self.report_done(&[lease]),
            (7, ..) => self.say(WorkerMessage::Started { leases: vec![endless] }),
            (8, Some(lease), _, _) => {
                self.say(WorkerMessage::Release { leases: vec![one(lease), one(lease), endless] });
            }
            (9, Some(lease), _, _) => {
                self.reported -= self.reported.min(1);
                self.report_done(&[lease]);
            }
            (10, Some(lease), _, _) => {
                self.reported += 1_000;
                self.report_done(&[lease]);
            }
            (11, _, _, Some(lease)) => {
                let stdout = Kept { head: 4, skipped: 0, tail: 0 };
                let header = OutputHeader { lease, stdout, stderr: Kept::default() };
                self.acts.push(Act::Send(Up::Output(header, b"lies".to_vec())));
            }
            (12, Some(lease), _, _) => {
                // One answer for three tasks that took four times.
                let results = [&b"lie"[..]].into_iter().collect();
                let took_us = vec![1; 4];
                self.report(vec![DoneRun { first: lease, took_us, results }], Vec::new());
            }
            _ => {
                let tasks = PerLane { cpu: self.rng.u32(..2_000), io: u32::MAX };
                self.say(WorkerMessage::Hold { tasks });
            }
        }
    }

    /// A lease with the same counter that another master granted, or will.
    fn of_another_life(&self, lease: LeaseId) -> LeaseId {
        let epoch = lease.epoch.raw();
        let other = if self.lies.is_multiple_of(4) { epoch.max(2) - 1 } else { epoch + 1 };
        LeaseId { epoch: Epoch::new(other), ..lease }
    }

    fn report_done(&mut self, leases: &[LeaseId]) {
        let ended = leases.iter().map(|lease| self.end_of(*lease, Outcome::Done)).collect();
        self.report(Vec::new(), ended);
    }

    fn end_of(&self, lease: LeaseId, outcome: Outcome) -> Ended {
        let mut ended = Ended::bare(lease, outcome, 1);
        ended.stdout = format!("lie {} of {}", self.lies, self.session).into_bytes();
        ended
    }

    fn done(&self, lease: LeaseId) -> DoneRun {
        let answer = format!("lie {} of {}, in short", self.lies, self.session);
        let results = [answer.as_bytes()].into_iter().collect();
        DoneRun { first: lease, took_us: vec![1], results }
    }

    fn granted(&mut self, grant: &Grant) {
        for (lease, task) in granted(grant) {
            self.jobs.insert(lease, Job { task, stage: Stage::Waits });
            self.past.push_back(lease);
            if self.past.len() > MEMORY {
                self.past.pop_front();
            }
        }
        self.start();
    }

    fn start(&mut self) {
        let running = self.jobs.values().filter(|job| job.stage == Stage::Runs).count();
        let waiting = self.jobs.iter_mut().filter(|(_, job)| job.stage == Stage::Waits);
        for (lease, job) in waiting.take(SLOTS.saturating_sub(running)) {
            job.stage = Stage::Runs;
            let (lease, task) = (*lease, job.task);
            self.acts.push(Act::Run(Run { lease, task, attempt: 1, limit_ms: 0 }));
        }
    }

    /// Forgets leases, or behaves as if it had not heard that.
    fn forget(&mut self, leases: &[LeaseRun]) {
        if self.rng.bool() {
            self.jobs.retain(|lease, _| !is_among(*lease, leases));
        }
    }
}

impl Worker for Liar {
    fn session(&self) -> SessionId {
        self.session
    }

    /// Leaves out some of what it holds and adds some that others hold.
    fn dials(&mut self) -> Result<(), String> {
        let mut holding = Vec::new();
        for lease in self.jobs.keys().filter(|_| self.rng.u8(..4) > 0) {
            holding.push(Held { leases: one(*lease), started: self.lies.is_multiple_of(2) });
        }
        if let Some(lease) = self.rng.choice(self.others.iter().copied()) {
            let leases = LeaseRun { first: lease, count: self.rng.u32(1..9) };
            holding.push(Held { leases, started: true });
            holding.extend(holding.first().copied());
        }
        let hello = WorkerHello {
            session: self.session,
            slots: PerLane { cpu: u32::MAX, io: u32::MAX },
            hold: PerLane { cpu: self.rng.u32(..20), io: 0 },
            holding,
            reported: self.reported + self.rng.u64(..9),
            policy: "trust me".to_owned(),
            allows: ganger_proto::gang::Allows::ALL,
            labels: Vec::new(),
            handlers: Vec::new(),
            resources: Vec::new(),
            draining: false,
        };
        self.acts.push(Act::Send(Up::Hello(hello)));
        Ok(())
    }

    fn link_down(&mut self) {
        self.welcomed = Welcomed::No;
    }

    fn hears(&mut self, _: u64, down: Down) -> Result<(), String> {
        match down {
            Down::Welcome(welcome) => {
                self.welcomed = Welcomed::Yes;
                self.reported = self.reported.max(welcome.acknowledged);
                self.forget(&welcome.stale);
            }
            Down::To(ToWorker::Grant(grant)) => self.granted(&grant),
            Down::To(ToWorker::Stale { leases }) => self.forget(&leases),
            Down::To(ToWorker::Cancel { leases }) if self.rng.bool() => {
                self.acts.extend(each(&leases).map(Act::Stop));
            }
            Down::To(
                ToWorker::Ack { .. }
                | ToWorker::Cancel { .. }
                | ToWorker::TakeBack { .. }
                | ToWorker::Drain { .. }
                | ToWorker::Slots { .. }
                | ToWorker::OutputStored { .. }
                | ToWorker::Follow(_)
                | ToWorker::Unfollow { .. }
                | ToWorker::Beat { .. }
                | ToWorker::Renew { .. },
            ) => {}
        }
        self.start();
        Ok(())
    }

    fn ended(&mut self, _: u64, lease: LeaseId, outcome: Outcome) -> Result<(), String> {
        if let Some(job) = self.jobs.remove(&lease) {
            let mut ended = Ended::bare(lease, outcome, 1_000);
            ended.stdout = answer(job.task, lease).into_bytes();
            self.say(WorkerMessage::Started { leases: vec![one(lease)] });
            self.report(Vec::new(), vec![ended]);
        }
        self.start();
        Ok(())
    }

    fn wakes(&mut self, t_ms: u64) -> Result<(), String> {
        if t_ms >= self.beat_ms {
            self.beat_ms = t_ms + BEAT_MS;
            self.say(WorkerMessage::Heartbeat { load: Load::default() });
            self.lie();
        }
        Ok(())
    }

    fn wake_ms(&self) -> Option<u64> {
        Some(self.beat_ms)
    }

    fn terminate(&mut self, _: u64) -> Result<(), String> {
        Ok(())
    }

    fn finished(&self) -> Finished {
        Finished::No
    }

    fn overhears(&mut self, leases: &[LeaseId]) {
        self.others.extend(leases.iter().copied().filter(|lease| !self.jobs.contains_key(lease)));
        let over = self.others.len().saturating_sub(MEMORY);
        self.others.drain(..over);
    }

    fn drain(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }
}
