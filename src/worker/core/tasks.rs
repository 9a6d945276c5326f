//! What happens to the tasks that a worker holds: granted, started, ended, cancelled, stale. PURE;
//! the rest of the core, and when it speaks to the master, is in core.rs.

use std::collections::BTreeSet;
use std::sync::Arc;

use ganger_proto::gang::SLOTS_MAX;
use ganger_proto::limits::HOLD_TASKS_MAX;
use ganger_proto::message::{Grant, LeaseRun, LiveHeader, OutputHeader, Report, WorkerMessage};
use ganger_proto::{Cwd, Ended, Kind, LeaseId, Outcome, Spec};

use super::{Attempt, Effect, Fate, Link, Output, Running, Start, Told, Work, WorkerCore};
use crate::worker::inline;
use crate::worker::waiting::last_of;

/// How long starts are gathered before the master hears of them; shorter tasks are not mentioned.
const STARTED_US: u64 = 20_000;
/// Unstored output above which no further child is started.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// Squares answered in one piece, and pieces in one turn of the driver.
const SQUARES_MAX: u64 = 512;
const PIECES_MAX: usize = 8;

impl WorkerCore {
    pub(super) fn grant(&mut self, grant: Grant) {
        for (id, spec) in grant.specs {
            self.specs.insert(id, Arc::new(spec));
        }
        let mut refused = Vec::new();
        for run in grant.runs {
            let room = u64::from(HOLD_TASKS_MAX).saturating_sub(self.waiting.tasks());
            let fits = run.args.is_sound() && run.args.count() <= room;
            if fits && self.specs.contains_key(&run.spec) && !self.is_draining() {
                self.waiting.push(run);
            } else {
                let count = u32::try_from(run.args.count()).unwrap_or(u32::MAX);
                refused.push(LeaseRun { first: run.lease, count });
            }
        }
        self.release(refused);
    }

    /// Starts tasks while there are slots, unless the worker drains. Children wait while too much
    /// output is unstored.
    pub(super) fn start_what_can(&mut self, now_us: u64) {
        if self.is_draining() {
            return;
        }
        while let (Some(id), Some(&slot)) = (self.waiting.next_spec(), self.slots_free.first()) {
            // With fewer slots than before, what runs above their number ends first.
            if self.running.len() >= self.slots as usize {
                break;
            }
            let spec = Arc::clone(&self.specs[&id]);
            match &spec.kind {
                Kind::Square if self.squaring.len() >= PIECES_MAX => break,
                Kind::Square => self.start_squares(),
                Kind::Sleep => self.start_sleep(now_us, slot, &spec),
                Kind::Exec { .. } | Kind::Shell { .. } | Kind::Handler { .. } => {
                    if self.output_bytes > OUTPUT_BYTES_MAX {
                        break;
                    }
                    self.start_child(now_us, slot, spec);
                }
            }
        }
    }

    fn start_squares(&mut self) {
        let Some(run) = self.waiting.take(SQUARES_MAX) else { return };
        let count = u32::try_from(run.args.count()).expect("at most SQUARES_MAX were taken");
        self.squaring.push(LeaseRun { first: run.lease, count });
        self.effects.push(Effect::Square(run));
    }

    fn start_sleep(&mut self, now_us: u64, slot: u32, spec: &Spec) {
        let Some(run) = self.waiting.take(1) else { return };
        let mut argument = Vec::new();
        run.args.write(0, &mut argument);
        let sleep_us = match inline::sleep_us(&argument) {
            Ok(us) => us,
            Err(message) => {
                let mut ended = Ended::bare(run.lease, Outcome::Failed { code: 1 }, 0);
                ended.message = message;
                return self.reports.ended(ended);
            }
        };
        let limit_us = spec.timeout_ms.saturating_mul(1_000);
        let (long_us, outcome) = match limit_us {
            1.. if limit_us < sleep_us => (limit_us, Outcome::TimedOut),
            _ => (sleep_us, Outcome::Done),
        };
        let until_us = now_us.saturating_add(long_us);
        self.sleeps.insert((until_us, run.lease));
        self.enter(now_us, Attempt { lease: run.lease, slot }, Work::Sleep { until_us, outcome });
    }

    fn start_child(&mut self, now_us: u64, slot: u32, spec: Arc<Spec>) {
        let Some(run) = self.waiting.take(1) else { return };
        let at = Attempt { lease: run.lease, slot };
        if spec.cwd == Cwd::Scratch {
            self.scratch.insert(run.lease);
        }
        self.enter(now_us, at, Work::Child);
        self.effects.push(Effect::Start(Box::new(Start { at, run, spec })));
    }

    fn enter(&mut self, now_us: u64, at: Attempt, work: Work) {
        self.slots_free.remove(&at.slot);
        let (told, fate) = (Told::No, Fate::Report);
        let running = Running { slot: at.slot, began_us: now_us, work, told, fate };
        self.running.insert(at.lease, running);
        self.say_started_at(now_us.saturating_add(STARTED_US));
    }

    pub(super) fn say_started_at(&mut self, due_us: u64) {
        if let Link::Up { started_us, .. } = &mut self.link {
            started_us.get_or_insert(due_us);
        }
    }

    pub(super) fn leave(&mut self, lease: LeaseId) -> Option<Running> {
        let running = self.running.remove(&lease)?;
        if running.slot < self.slots {
            self.slots_free.insert(running.slot);
        }
        if let Work::Sleep { until_us, .. } = running.work {
            self.sleeps.remove(&(until_us, lease));
        }
        Some(running)
    }

    /// Ends a sleep, with its own outcome when no other is given.
    pub(super) fn end_sleep(&mut self, now_us: u64, lease: LeaseId, other: Option<Outcome>) {
        let Some(running) = self.leave(lease) else { return };
        let took_us = now_us.saturating_sub(running.began_us);
        let Work::Sleep { outcome, .. } = running.work else { return };
        self.prefetch.took(took_us, 1);
        self.reports.ended(Ended::bare(lease, other.unwrap_or(outcome), took_us));
    }

    pub(super) fn store(&mut self, mut ended: Ended, header: OutputHeader, bytes: Vec<u8>) {
        ended.has_output = true;
        let bytes = Arc::new(bytes);
        self.output_bytes += bytes.len();
        if self.link != Link::Down {
            self.effects.push(Effect::SendOutput(header, Arc::clone(&bytes)));
        }
        self.outputs.insert(ended.lease, Output { ended, header, bytes });
    }

    pub(super) fn take_output(&mut self, lease: LeaseId) -> Option<Output> {
        let output = self.outputs.remove(&lease)?;
        self.output_bytes -= output.bytes.len();
        Some(output)
    }

    /// Follows a child that runs. What has ended comes with its report, and what a sleep prints is
    /// nothing.
    pub(super) fn follow(&mut self, header: LiveHeader) {
        if let Some(at) = self.child(header.lease) {
            self.effects.push(Effect::Follow(at, header));
        }
    }

    pub(super) fn unfollow(&mut self, lease: LeaseId) {
        if let Some(at) = self.child(lease) {
            self.effects.push(Effect::Unfollow(at));
        }
    }

    fn child(&self, lease: LeaseId) -> Option<Attempt> {
        let running = self.running.get(&lease).filter(|running| running.work == Work::Child)?;
        Some(Attempt { lease, slot: running.slot })
    }

    pub(super) fn acknowledge(&mut self, number: u64) {
        for report in self.reports.acknowledge(number) {
            let Report { ended, .. } = report;
            ended.iter().for_each(|ended| self.clean(ended.lease));
        }
    }

    pub(super) fn clean(&mut self, lease: LeaseId) {
        if self.scratch.remove(&lease) {
            self.effects.push(Effect::Clean(lease));
        }
    }

    /// Drops what has not started, kills the rest, and says nothing about either.
    pub(super) fn stale(&mut self, leases: &[LeaseRun]) {
        for run in leases.iter().filter(|run| run.count > 0) {
            self.waiting.remove(*run);
            for lease in self.running_among(*run) {
                self.drop_running(lease);
            }
            let stored = self.outputs.range(run.first..=last_of(*run)).map(|(lease, _)| *lease);
            for lease in stored.collect::<Vec<_>>() {
                self.take_output(lease);
                self.clean(lease);
            }
        }
    }

    fn drop_running(&mut self, lease: LeaseId) {
        let Some(running) = self.running.get_mut(&lease) else { return };
        match running.work {
            Work::Child => {
                running.fate = Fate::Drop;
                self.effects.push(Effect::Kill(Attempt { lease, slot: running.slot }));
            }
            Work::Sleep { .. } => {
                self.leave(lease);
            }
        }
    }

    /// Stops what runs; what has not started ends here.
    pub(super) fn cancel(&mut self, now_us: u64, leases: &[LeaseRun]) {
        for run in leases {
            for gone in self.waiting.remove(*run) {
                for offset in 0..u64::from(gone.count) {
                    let lease = gone.first.plus(offset);
                    self.reports.ended(Ended::bare(lease, Outcome::Cancelled, 0));
                }
            }
            for lease in self.running_among(*run) {
                match self.running[&lease] {
                    Running { work: Work::Sleep { .. }, .. } => {
                        self.end_sleep(now_us, lease, Some(Outcome::Cancelled));
                    }
                    Running { work: Work::Child, slot, .. } => {
                        self.effects.push(Effect::Stop(Attempt { lease, slot }));
                    }
                }
            }
        }
    }

    fn running_among(&self, run: LeaseRun) -> Vec<LeaseId> {
        if run.count == 0 {
            return Vec::new();
        }
        self.running.range(run.first..=last_of(run)).map(|(lease, _)| *lease).collect()
    }

    pub(super) fn kept_running(&self) -> Vec<LeaseId> {
        let kept = self.running.iter().filter(|(_, running)| running.fate == Fate::Report);
        kept.map(|(lease, _)| *lease).collect()
    }

    /// Grows or shrinks. What runs above the new number ends by itself; what waits for fewer slots
    /// is given back after the master has heard how little is wanted.
    pub(super) fn set_slots(&mut self, slots: u32) {
        let slots = slots.clamp(1, SLOTS_MAX);
        let fewer = slots < self.slots;
        self.slots = slots;
        let used: BTreeSet<u32> = self.running.values().map(|running| running.slot).collect();
        self.slots_free = (0..slots).filter(|slot| !used.contains(slot)).collect();
        self.prefetch.set_slots(slots);
        if fewer && self.link != Link::Down {
            let tasks = self.hold();
            self.prefetch.told(tasks);
            self.effects.push(Effect::Send(WorkerMessage::Hold { tasks: super::cpu(tasks) }));
            let leases = self.waiting.clear();
            self.release(leases);
        }
    }

    /// Gives back what another worker wants and has not started here.
    pub(super) fn give_back(&mut self, leases: &[LeaseRun]) {
        let leases = leases.iter().flat_map(|run| self.waiting.remove(*run)).collect::<Vec<_>>();
        // Nothing to give is an answer too.
        self.effects.push(Effect::Send(WorkerMessage::Release { leases }));
    }

    pub(super) fn release_waiting(&mut self) {
        if self.is_draining() && self.link != Link::Down {
            let leases = self.waiting.clear();
            self.release(leases);
        }
    }

    fn release(&mut self, leases: Vec<LeaseRun>) {
        if !leases.is_empty() {
            self.effects.push(Effect::Send(WorkerMessage::Release { leases }));
        }
    }
}
