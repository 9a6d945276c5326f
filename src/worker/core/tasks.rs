//! What happens to the tasks that a worker holds: granted, started, ended, cancelled, stale. PURE;
//! the rest of the core, and when it speaks to the master, is in core.rs.

use std::sync::Arc;

use ganger_proto::gang::SLOTS_MAX;
use ganger_proto::message::{
    Grant, GrantRun, LeaseRun, LiveHeader, OutputHeader, Report, WorkerMessage,
};
use ganger_proto::{Cwd, Ended, Kind, Lane, LeaseId, Outcome, Spec};

use super::{Attempt, Effect, Fate, Link, Output, Running, Sent, Start, Told, Work, WorkerCore};
use crate::bug::{self, Bug};
use crate::worker::inline;
use crate::worker::lanes::in_lane;
use crate::worker::waiting::last_of;

/// How long starts are gathered before the master hears of them; shorter tasks are not mentioned.
const STARTED_US: u64 = 20_000;
/// Unstored output above which no further child is started.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 << 20;
/// The same, of output that is on disk.
const SPOOLED_BYTES_MAX: u64 = 8 << 30;
/// Bytes of outputs that the master may have to hold unread, at most; half of what a connection
/// allows.
const OUTPUTS_ON_WAY_BYTES_MAX: usize = 8 << 20;
/// Bytes of one output that it may have to hold unread: what one stream allows.
const WINDOW_BYTES: usize = 1 << 20;
/// Squares answered in one piece, and pieces in one turn of the driver.
const SQUARES_MAX: u64 = 512;
const PIECES_MAX: usize = 8;

impl WorkerCore {
    pub(super) fn grant(&mut self, grant: Grant) {
        for (id, spec) in grant.specs {
            // The master checked it too; what it may say is decided here all the same.
            if spec.check().is_ok() {
                self.specs.insert(id, Arc::new(spec));
            }
        }
        let mut refused = Vec::new();
        for run in grant.runs {
            if let Some(lane) = self.lane_for(&run) {
                self.lanes.wait(lane, run);
            } else {
                let count = u32::try_from(run.args.count()).unwrap_or(u32::MAX);
                refused.push(LeaseRun { first: run.lease, count });
            }
        }
        self.release(refused);
    }

    /// Returns the lane in which a run waits; none when it makes no sense, can never run here, or
    /// too many wait already.
    fn lane_for(&self, run: &GrantRun) -> Option<Lane> {
        if self.is_draining() || !run.args.is_sound() {
            return None;
        }
        let spec = self.specs.get(&run.spec)?;
        // A handler that is not here is for the slot to refuse, which says so.
        let lane = spec.place.lane_on(&spec.kind, &self.offers.handlers).unwrap_or_default();
        let fits = run.args.count() <= self.lanes.room(lane);
        (fits && self.lanes.can_run(lane, &spec.place)).then_some(lane)
    }

    /// Starts tasks while there is room for them, unless the worker drains. Children wait while too
    /// much output is unstored.
    pub(super) fn start_what_can(&mut self, now_us: u64) {
        if !self.is_draining() {
            Lane::ALL.into_iter().for_each(|lane| self.start_in(now_us, lane));
        }
    }

    fn start_in(&mut self, now_us: u64, lane: Lane) {
        while let Some(id) = self.lanes.next_spec(lane) {
            let spec = Arc::clone(&self.specs[&id]);
            let Some(slot) = self.lanes.slot_for(lane, &spec.place) else { return };
            match &spec.kind {
                Kind::Square if self.squaring.len() >= PIECES_MAX => return,
                Kind::Square => self.start_squares(lane),
                Kind::Sleep => self.start_sleep(now_us, slot, spec),
                Kind::Exec { .. } | Kind::Shell { .. } | Kind::Handler { .. }
                    if self.output_bytes > OUTPUT_BYTES_MAX
                        || self.spooled_bytes() > SPOOLED_BYTES_MAX =>
                {
                    return;
                }
                Kind::Exec { .. } | Kind::Shell { .. } => self.start_child(now_us, slot, spec),
                Kind::Handler { .. } => self.start_warm(now_us, slot, id, spec),
            }
        }
    }

    /// Has squares answered. They are over before anything that starts after them, and one after
    /// another, so they need a free slot and take none.
    fn start_squares(&mut self, lane: Lane) {
        let Some(run) = self.lanes.take(lane, SQUARES_MAX) else { return };
        let count = u32::try_from(run.args.count()).expect("at most SQUARES_MAX were taken");
        self.squaring.push((lane, LeaseRun { first: run.lease, count }));
        self.effects.push(Effect::Square(run));
    }

    fn start_sleep(&mut self, now_us: u64, slot: u32, spec: Arc<Spec>) {
        let Some(run) = self.lanes.take(in_lane(slot).0, 1) else { return };
        if self.has_running(&run) {
            return;
        }
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
        let limit_us = self.offers.caps.timeout_ms(spec.timeout_ms).saturating_mul(1_000);
        let (long_us, outcome) = match limit_us {
            1.. if limit_us < sleep_us => (limit_us, Outcome::TimedOut),
            _ => (sleep_us, Outcome::Done),
        };
        let until_us = now_us.saturating_add(long_us);
        self.sleeps.insert((until_us, run.lease));
        let at = Attempt { lease: run.lease, slot };
        self.enter(now_us, at, spec, Work::Sleep { until_us, outcome });
    }

    fn start_child(&mut self, now_us: u64, slot: u32, spec: Arc<Spec>) {
        let Some(run) = self.lanes.take(in_lane(slot).0, 1) else { return };
        if self.has_running(&run) {
            return;
        }
        let at = Attempt { lease: run.lease, slot };
        if spec.cwd == Cwd::Scratch {
            self.scratch.insert(run.lease);
        }
        self.enter(now_us, at, Arc::clone(&spec), Work::Child);
        self.effects.push(Effect::Start(Box::new(Start { at, run, spec })));
    }

    /// Tells whether a lease of these runs already. A master grants each once; what one grants
    /// again is dropped, since a slot and an end belong to one run of it.
    pub(super) fn has_running(&self, run: &GrantRun) -> bool {
        let last = run.lease.plus(run.args.count().saturating_sub(1));
        self.running.range(run.lease..=last).next().is_some()
    }

    pub(super) fn enter(&mut self, now_us: u64, at: Attempt, spec: Arc<Spec>, work: Work) {
        self.lanes.enter(at.slot, &spec.place);
        self.begin(now_us, at, spec, work);
    }

    /// Lets a task run in a slot that is taken for it, or for one before it.
    pub(super) fn begin(&mut self, now_us: u64, at: Attempt, spec: Arc<Spec>, work: Work) {
        let (told, fate) = (Told::No, Fate::Report);
        let running = Running { slot: at.slot, spec, began_us: now_us, work, told, fate };
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
        if self.ahead.left(running.slot) {
            self.lanes.leave(running.slot, &running.spec.place);
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
        self.lanes.took(in_lane(running.slot).0, took_us, 1);
        let mut ended = Ended::bare(lease, other.unwrap_or(outcome), took_us);
        if ended.outcome == Outcome::TimedOut {
            let why = self.offers.caps.why_timed_out(running.spec.timeout_ms);
            ended.message = why.unwrap_or_default();
        }
        self.reports.ended(ended);
    }

    pub(super) fn store(&mut self, mut ended: Ended, header: OutputHeader, bytes: Vec<u8>) {
        ended.has_output = true;
        self.spooled(&header);
        let bytes = Arc::new(bytes);
        self.output_bytes += bytes.len();
        self.outputs.insert(ended.lease, Output { ended, header, bytes, sent: Sent::No });
        self.send_outputs();
    }

    pub(super) fn take_output(&mut self, lease: LeaseId) -> Option<Output> {
        let output = self.outputs.remove(&lease)?;
        self.output_bytes -= output.bytes.len();
        self.send_outputs();
        Some(output)
    }

    fn spooled_bytes(&self) -> u64 {
        let headers = self.outputs.values().map(|output| &output.header);
        headers.map(|header| header.stdout.beyond() + header.stderr.beyond()).sum()
    }

    /// Takes note that there is a file to be removed.
    pub(super) fn spooled(&mut self, header: &OutputHeader) {
        if header.is_long() {
            self.scratch.insert(header.lease);
        }
    }

    /// Sends all outputs again: a connection begins.
    pub(super) fn send_outputs_again(&mut self) {
        self.outputs.values_mut().for_each(|output| output.sent = Sent::No);
        self.send_outputs();
    }

    /// Sends outputs, but not more than the master reads at once: what it does not read fills the
    /// connection's window, through which everything goes. Of those with a file one at a time.
    fn send_outputs(&mut self) {
        if self.link == Link::Down {
            return;
        }
        let sent = self.outputs.values().filter(|output| output.sent == Sent::Yes);
        let mut on_way: usize = sent.clone().map(Output::window).sum();
        let mut long = sent.filter(|output| output.header.is_long()).count();
        for output in self.outputs.values_mut().filter(|output| output.sent == Sent::No) {
            let is_long = output.header.is_long();
            if (is_long && long > 0) || on_way + output.window() > OUTPUTS_ON_WAY_BYTES_MAX {
                continue;
            }
            output.sent = Sent::Yes;
            on_way += output.window();
            long += usize::from(is_long);
            self.effects.push(Effect::SendOutput(output.header, Arc::clone(&output.bytes)));
        }
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
        self.lanes.remove(leases);
        for run in leases.iter().filter(|run| run.count > 0) {
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
            Work::Child if bug::is(Bug::StaleRunsOn) => {}
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
        for gone in self.lanes.remove(leases) {
            for offset in 0..u64::from(gone.count) {
                let lease = gone.first.plus(offset);
                self.reports.ended(Ended::bare(lease, Outcome::Cancelled, 0));
            }
        }
        for run in leases {
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

    /// Grows or shrinks the lane `cpu`. What runs above the new number ends by itself; what waits
    /// for fewer slots is given back after the master has heard how little is wanted.
    pub(super) fn set_slots(&mut self, slots: u32) {
        let slots = slots.clamp(1, SLOTS_MAX);
        let fewer = slots < self.lanes.slots().cpu;
        self.lanes.set_cpu_slots(slots);
        if fewer && self.link != Link::Down {
            self.tell_hold(self.hold());
            let leases = self.lanes.clear(Lane::Cpu);
            self.release(leases);
        }
    }

    /// Gives back what another worker wants and has not started here.
    pub(super) fn give_back(&mut self, leases: &[LeaseRun]) {
        let leases = self.lanes.remove(leases);
        // Nothing to give is an answer too.
        self.effects.push(Effect::Send(WorkerMessage::Release { leases }));
    }

    pub(super) fn release_waiting(&mut self) {
        if self.is_draining() && self.link != Link::Down {
            let leases = Lane::ALL.into_iter().flat_map(|lane| self.lanes.clear(lane));
            let leases = leases.collect();
            self.release(leases);
        }
    }

    fn release(&mut self, leases: Vec<LeaseRun>) {
        if !leases.is_empty() {
            self.effects.push(Effect::Send(WorkerMessage::Release { leases }));
        }
    }
}

impl Output {
    fn window(&self) -> usize {
        if self.header.is_long() { WINDOW_BYTES } else { self.bytes.len().min(WINDOW_BYTES) }
    }
}
