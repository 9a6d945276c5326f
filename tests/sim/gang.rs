//! A simulated worker that follows the wire protocol: it keeps reports until they are acknowledged,
//! presents what it holds on each reconnect, and stops what it hears is stale. Pure, as the real
//! worker's core is, which can take its place.

use std::collections::{BTreeMap, VecDeque};

use ganger::engine::input::Said;
use ganger_proto::message::{DoneRun, Grant, Held, LeaseRun, Load, Report, ToWorker, WorkerHello};
use ganger_proto::{Ended, LeaseId, Outcome, PerLane, SessionId, TaskId};

/// From a worker to the master.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Hello(WorkerHello),
    Say(Said),
}

/// From the master to a worker.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Welcome { stale: Vec<LeaseRun>, acknowledged: u64 },
    To(ToWorker),
}

/// What a worker wants done.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Send(Up),
    /// Runs an attempt; its end is told with [`Worker::ended`].
    Run {
        lease: LeaseId,
        task: TaskId,
        attempt: u32,
    },
    /// An attempt that was asked to stop ends soon.
    Stop {
        lease: LeaseId,
    },
}

/// One life of a worker.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) session: SessionId,
    slots: usize,
    hold: u32,
    jobs: BTreeMap<LeaseId, Job>,
    unacknowledged: VecDeque<Report>,
    reported: u64,
    welcomed: Welcomed,
    acts: Vec<Act>,
}

#[derive(Clone, Copy, Debug)]
struct Job {
    task: TaskId,
    attempt: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    Waits,
    Runs,
    Stopping,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Welcomed {
    No,
    Yes,
}

impl Worker {
    pub(crate) fn new(session: SessionId, slots: usize, hold: u32) -> Self {
        Self {
            session,
            slots,
            hold,
            jobs: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            reported: 0,
            welcomed: Welcomed::No,
            acts: Vec::new(),
        }
    }

    pub(crate) fn drain(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    pub(crate) fn link_up(&mut self) {
        let one = |first| LeaseRun { first, count: 1 };
        let jobs = self.jobs.iter();
        let mut holding: Vec<Held> = jobs
            .map(|(lease, job)| Held { leases: one(*lease), started: job.stage != Stage::Waits })
            .collect();
        for report in &self.unacknowledged {
            let done = report.done.iter().map(|run| run.first);
            let leases = done.chain(report.ended.iter().map(|ended| ended.lease));
            holding.extend(leases.map(|lease| Held { leases: one(lease), started: true }));
        }
        let hello = WorkerHello {
            session: self.session,
            slots: PerLane { cpu: self.slots as u32, io: 0 },
            hold: PerLane { cpu: self.hold, io: 0 },
            holding,
            reported: self.reported,
            policy: String::new(),
            allows: ganger_proto::gang::Allows::ALL,
            labels: Vec::new(),
            handlers: Vec::new(),
            resources: Vec::new(),
            draining: false,
        };
        self.acts.push(Act::Send(Up::Hello(hello)));
    }

    pub(crate) fn link_down(&mut self) {
        self.welcomed = Welcomed::No;
    }

    pub(crate) fn beat(&mut self) {
        self.say(Said::Heartbeat(Load::default()));
    }

    pub(crate) fn heard(&mut self, down: Down) {
        match down {
            Down::Welcome { stale, acknowledged } => {
                self.welcomed = Welcomed::Yes;
                self.acknowledged(acknowledged);
                self.stale(&stale);
                for report in self.unacknowledged.clone() {
                    self.say(Said::Report(report));
                }
            }
            Down::To(ToWorker::Grant(grant)) => self.granted(&grant),
            Down::To(ToWorker::Ack { report }) => self.acknowledged(report),
            Down::To(ToWorker::Stale { leases }) => self.stale(&leases),
            Down::To(ToWorker::Cancel { leases }) => self.cancel(&leases),
            Down::To(ToWorker::TakeBack { leases }) => self.give_back(&leases),
            Down::To(
                ToWorker::Drain { .. }
                | ToWorker::Slots { .. }
                | ToWorker::OutputStored { .. }
                | ToWorker::Follow(_)
                | ToWorker::Unfollow { .. }
                | ToWorker::Beat { .. },
            ) => {}
        }
    }

    /// An attempt ended; one that was stopped or is stale says nothing of its own.
    pub(crate) fn ended(&mut self, lease: LeaseId, outcome: Outcome) {
        let Some(job) = self.jobs.remove(&lease) else { return };
        let outcome = if job.stage == Stage::Stopping { Outcome::Cancelled } else { outcome };
        self.reported += 1;
        let mut report = Report { number: self.reported, ..Report::default() };
        let answer = answer(job.task, lease);
        if outcome == Outcome::Done && job.task.raw().is_multiple_of(2) {
            let results = [answer.as_bytes()].into_iter().collect();
            report.done.push(DoneRun { first: lease, took_us: vec![1], results });
        } else {
            let mut ended = Ended::bare(lease, outcome, 1);
            ended.stdout = answer.into_bytes();
            report.ended.push(ended);
        }
        self.unacknowledged.push_back(report.clone());
        self.say(Said::Report(report));
        self.start();
    }

    fn say(&mut self, said: Said) {
        if self.welcomed == Welcomed::Yes {
            self.acts.push(Act::Send(Up::Say(said)));
        }
    }

    fn granted(&mut self, grant: &Grant) {
        for run in &grant.runs {
            for place in 0..run.args.count() {
                let (task, attempt) = (run.task.plus(place), run.attempt);
                let job = Job { task, attempt, stage: Stage::Waits };
                self.jobs.insert(run.lease.plus(place), job);
            }
        }
        self.start();
    }

    fn start(&mut self) {
        let running = self.jobs.values().filter(|job| job.stage != Stage::Waits).count();
        let mut started = Vec::new();
        let waiting = self.jobs.iter_mut().filter(|(_, job)| job.stage == Stage::Waits);
        for (lease, job) in waiting.take(self.slots.saturating_sub(running)) {
            job.stage = Stage::Runs;
            started.push(LeaseRun { first: *lease, count: 1 });
            let (task, attempt) = (job.task, job.attempt);
            self.acts.push(Act::Run { lease: *lease, task, attempt });
        }
        if !started.is_empty() {
            self.say(Said::Started(started));
        }
    }

    fn acknowledged(&mut self, report: u64) {
        self.unacknowledged.retain(|kept| kept.number > report);
    }

    fn stale(&mut self, leases: &[LeaseRun]) {
        for lease in each(leases) {
            self.jobs.remove(&lease);
        }
        self.start();
    }

    fn give_back(&mut self, leases: &[LeaseRun]) {
        if self.welcomed == Welcomed::No {
            return;
        }
        let waits =
            |lease: &LeaseId| self.jobs.get(lease).is_some_and(|job| job.stage == Stage::Waits);
        let back: Vec<LeaseId> = each(leases).filter(waits).collect();
        for lease in &back {
            self.jobs.remove(lease);
        }
        self.say(Said::Release(
            back.into_iter().map(|first| LeaseRun { first, count: 1 }).collect(),
        ));
    }

    fn cancel(&mut self, leases: &[LeaseRun]) {
        for lease in each(leases) {
            let Some(job) = self.jobs.get_mut(&lease) else { continue };
            if job.stage == Stage::Waits {
                self.jobs.remove(&lease);
                self.say(Said::Release(vec![LeaseRun { first: lease, count: 1 }]));
            } else if job.stage == Stage::Runs {
                job.stage = Stage::Stopping;
                self.acts.push(Act::Stop { lease });
            }
        }
    }
}

/// Returns what the attempt under a lease answers; no other attempt answers the same.
pub(crate) fn answer(task: TaskId, lease: LeaseId) -> String {
    format!("{task} under {lease}")
}

fn each(leases: &[LeaseRun]) -> impl Iterator<Item = LeaseId> {
    leases.iter().flat_map(|run| (0..u64::from(run.count)).map(|place| run.first.plus(place)))
}
