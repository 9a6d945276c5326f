//! The two lanes of a worker, each with slots, with tasks that wait for them, and with how many to
//! hold; and what the worker has besides, which both lanes share. PURE. Starts nothing; see
//! core.rs.
//!
//! Tasks of a lane start in the order they came: while what comes first does not fit, nothing in
//! its lane overtakes it.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::gang::SLOTS_MAX;
use ganger_proto::limits::HOLD_TASKS_MAX;
use ganger_proto::message::{GrantRun, LeaseRun};
use ganger_proto::place::Need;
use ganger_proto::{Lane, Name, PerLane, Placement, SpecId};

use super::prefetch::Prefetch;
use super::waiting::Waiting;
use crate::bug::{self, Bug};

/// The slots of both lanes and what the worker has besides, free and taken.
#[derive(Debug)]
pub(super) struct Lanes {
    cpu: One,
    io: One,
    beside: BTreeMap<Name, Stock>,
}

/// One lane.
#[derive(Debug)]
struct One {
    slots: u32,
    /// Slots that running tasks take; more than `slots` for a while after these have become fewer.
    taken: u32,
    /// The numbers of running tasks. One that takes several slots has one number.
    numbers: BTreeSet<u32>,
    waiting: Waiting,
    prefetch: Prefetch,
}

/// Something that is not counted in slots.
#[derive(Clone, Copy, Debug)]
struct Stock {
    has: u64,
    taken: u64,
}

/// The number of the first slot of the lane `io`; those of the lane `cpu` are below it.
const IO_FIRST: u32 = SLOTS_MAX;

/// Returns the lane of a slot and its number in the lane, from 0.
pub(super) const fn in_lane(slot: u32) -> (Lane, u32) {
    match slot.checked_sub(IO_FIRST) {
        Some(number) => (Lane::Io, number),
        None => (Lane::Cpu, slot),
    }
}

impl Lanes {
    /// Begins with nothing taken.
    pub(super) fn new(slots: PerLane, resources: &[Need]) -> Self {
        let stock = |need: &Need| (need.name.clone(), Stock { has: need.amount, taken: 0 });
        Self {
            cpu: One::new(slots.cpu),
            io: One::new(slots.io),
            beside: resources.iter().map(stock).collect(),
        }
    }

    /// Returns how many slots there are.
    pub(super) fn slots(&self) -> PerLane {
        PerLane { cpu: self.cpu.slots, io: self.io.slots }
    }

    /// Changes the slots of the lane `cpu`.
    pub(super) fn set_cpu_slots(&mut self, slots: u32) {
        self.cpu.slots = slots;
        self.cpu.prefetch.set_slots(slots);
    }

    /// Tells whether tasks with this placement can run here when nothing else does.
    pub(super) fn can_run(&self, lane: Lane, place: &Placement) -> bool {
        let has = |need: &Need| self.beside.get(&need.name).map_or(0, |stock| stock.has);
        slots_of(lane, place) <= self.one(lane).slots
            && place.beside_slots().all(|need| need.amount <= has(need))
    }

    /// Returns the slot for a task with this placement, if all that it needs is free.
    pub(super) fn slot_for(&self, lane: Lane, place: &Placement) -> Option<u32> {
        let one = self.one(lane);
        let taken = one.taken.saturating_add(slots_of(lane, place));
        let has_left = |need: &Need| {
            let stock = self.beside.get(&need.name);
            stock.is_some_and(|stock| need.amount <= stock.has.saturating_sub(stock.taken))
        };
        let fits = taken <= one.slots && place.beside_slots().all(has_left);
        fits.then(|| one.first_free() + first_of(lane))
    }

    /// Takes a slot that [`Lanes::slot_for`] returned, and all else that the task needs.
    pub(super) fn enter(&mut self, slot: u32, place: &Placement) {
        let (lane, number) = in_lane(slot);
        let one = self.one_mut(lane);
        one.taken = one.taken.saturating_add(slots_of(lane, place));
        one.numbers.insert(number);
        for need in place.beside_slots() {
            if let Some(stock) = self.beside.get_mut(&need.name) {
                stock.taken = stock.taken.saturating_add(need.amount);
            }
        }
    }

    /// Gives back what [`Lanes::enter`] took.
    pub(super) fn leave(&mut self, slot: u32, place: &Placement) {
        let (lane, number) = in_lane(slot);
        let one = self.one_mut(lane);
        one.taken = one.taken.saturating_sub(slots_of(lane, place));
        if bug::is(Bug::SlotFreedTwice) {
            one.taken = one.taken.saturating_sub(slots_of(lane, place));
        }
        one.numbers.remove(&number);
        for need in place.beside_slots() {
            if let Some(stock) = self.beside.get_mut(&need.name) {
                stock.taken = stock.taken.saturating_sub(need.amount);
            }
        }
    }

    /// Adds a run at the end of a lane's.
    pub(super) fn wait(&mut self, lane: Lane, run: GrantRun) {
        self.one_mut(lane).waiting.push(run);
    }

    /// Returns how many more tasks may wait in a lane.
    pub(super) fn room(&self, lane: Lane) -> u64 {
        u64::from(HOLD_TASKS_MAX).saturating_sub(self.one(lane).waiting.tasks())
    }

    /// Returns how many tasks wait.
    pub(super) fn waiting(&self) -> u64 {
        self.cpu.waiting.tasks() + self.io.waiting.tasks()
    }

    /// Returns the spec of a lane's next task.
    pub(super) fn next_spec(&self, lane: Lane) -> Option<SpecId> {
        self.one(lane).waiting.next_spec()
    }

    /// Takes a lane's next task and up to `most` of its own run with it.
    pub(super) fn take(&mut self, lane: Lane, most: u64) -> Option<GrantRun> {
        self.one_mut(lane).waiting.take(most)
    }

    /// Puts a run that was taken back among those of its lane.
    pub(super) fn put_back(&mut self, lane: Lane, run: GrantRun) {
        self.one_mut(lane).waiting.put_back(run);
    }

    /// Returns how many slots of a lane nothing takes.
    pub(super) fn free(&self, lane: Lane) -> u32 {
        let one = self.one(lane);
        one.slots.saturating_sub(one.taken)
    }

    /// Returns how many tasks wait in a lane.
    pub(super) fn waiting_in(&self, lane: Lane) -> u64 {
        self.one(lane).waiting.tasks()
    }

    /// Takes out the tasks of these leases wherever they wait, and returns which were there.
    pub(super) fn remove(&mut self, leases: &[LeaseRun]) -> Vec<LeaseRun> {
        let mut removed = self.cpu.waiting.remove(leases);
        removed.extend(self.io.waiting.remove(leases));
        removed
    }

    /// Returns the leases of all that wait.
    pub(super) fn leases(&self) -> Vec<LeaseRun> {
        let mut leases = self.cpu.waiting.leases();
        leases.extend(self.io.waiting.leases());
        leases
    }

    /// Takes out everything that waits in a lane.
    pub(super) fn clear(&mut self, lane: Lane) -> Vec<LeaseRun> {
        self.one_mut(lane).waiting.clear()
    }

    /// Takes note of `count` tasks of a lane that took this long each.
    pub(super) fn took(&mut self, lane: Lane, each_us: u64, count: u32) {
        self.one_mut(lane).prefetch.took(each_us, count);
    }

    /// Takes note of the round trip to the master.
    pub(super) fn round_trip(&mut self, us: u64) {
        self.cpu.prefetch.round_trip(us);
        self.io.prefetch.round_trip(us);
    }

    /// Returns how many slots' worth of tasks to hold.
    pub(super) fn hold(&self) -> PerLane {
        PerLane { cpu: self.cpu.prefetch.hold(), io: self.io.prefetch.hold() }
    }

    /// Tells whether it is worth telling the master that so many are wanted.
    pub(super) fn is_news(&self, hold: PerLane) -> bool {
        self.cpu.prefetch.is_news(hold.cpu) || self.io.prefetch.is_news(hold.io)
    }

    /// Takes note of what the master was told.
    pub(super) fn told(&mut self, hold: PerLane) {
        self.cpu.prefetch.told(hold.cpu);
        self.io.prefetch.told(hold.io);
    }

    fn one(&self, lane: Lane) -> &One {
        match lane {
            Lane::Cpu => &self.cpu,
            Lane::Io => &self.io,
        }
    }

    fn one_mut(&mut self, lane: Lane) -> &mut One {
        match lane {
            Lane::Cpu => &mut self.cpu,
            Lane::Io => &mut self.io,
        }
    }
}

impl One {
    fn new(slots: u32) -> Self {
        Self {
            slots,
            taken: 0,
            numbers: BTreeSet::new(),
            waiting: Waiting::default(),
            prefetch: Prefetch::new(slots),
        }
    }

    /// Returns the lowest number that no running task has. It is below `slots` when a slot is free,
    /// since each number takes a slot at least.
    fn first_free(&self) -> u32 {
        let gap = self.numbers.iter().zip(0..).find(|(number, at)| **number != *at);
        gap.map_or(self.numbers.len() as u32, |(_, at)| at)
    }
}

const fn first_of(lane: Lane) -> u32 {
    match lane {
        Lane::Cpu => 0,
        Lane::Io => IO_FIRST,
    }
}

/// Returns how many slots of a lane a task takes; the lane `io` has no processors to share out.
fn slots_of(lane: Lane, place: &Placement) -> u32 {
    match lane {
        Lane::Cpu => place.slots(),
        Lane::Io => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(needs: &[&str]) -> Placement {
        let needs = needs.iter().map(|text| Need::parse(text).unwrap()).collect();
        Placement { needs, ..Placement::default() }
    }

    fn lanes() -> Lanes {
        let resources = ["gpu=2", "mem=8G"].map(|text| Need::parse(text).unwrap());
        Lanes::new(PerLane { cpu: 3, io: 2 }, &resources)
    }

    #[test]
    fn what_can_never_run_is_known() {
        let check = |lane, needs: &[&str], can: bool| {
            assert_eq!(lanes().can_run(lane, &place(needs)), can, "{lane} {needs:?}");
        };
        check(Lane::Cpu, &["cpu=3", "gpu=2", "mem=8G"], true);
        check(Lane::Cpu, &["cpu=4"], false);
        check(Lane::Io, &["cpu=4"], true);
        check(Lane::Cpu, &["gpu=3"], false);
        check(Lane::Io, &["mem=9G"], false);
        check(Lane::Cpu, &["tpu=1"], false);
        let none = Lanes::new(PerLane { cpu: 1, io: 0 }, &[]);
        assert!(!none.can_run(Lane::Io, &place(&[])));
    }

    #[test]
    fn slots_are_numbered_from_the_lowest_and_counted_by_what_tasks_take() {
        let (mut lanes, one, two) = (lanes(), place(&[]), place(&["cpu=2"]));
        assert_eq!(lanes.slot_for(Lane::Cpu, &two), Some(0));
        lanes.enter(0, &two);
        assert_eq!(lanes.slot_for(Lane::Cpu, &two), None);
        assert_eq!(lanes.slot_for(Lane::Cpu, &one), Some(1));
        lanes.enter(1, &one);
        assert_eq!(lanes.slot_for(Lane::Cpu, &one), None);
        assert_eq!(lanes.slot_for(Lane::Io, &one), Some(IO_FIRST));
        lanes.enter(IO_FIRST, &one);
        lanes.enter(IO_FIRST + 1, &one);
        assert_eq!(lanes.slot_for(Lane::Io, &one), None);
        lanes.leave(IO_FIRST, &one);
        lanes.leave(0, &two);
        assert_eq!(lanes.slot_for(Lane::Io, &one), Some(IO_FIRST));
        assert_eq!(lanes.slot_for(Lane::Cpu, &two), Some(0));
        assert_eq!((in_lane(2), in_lane(IO_FIRST + 2)), ((Lane::Cpu, 2), (Lane::Io, 2)));
    }

    #[test]
    fn both_lanes_share_what_slots_do_not_count() {
        let (mut lanes, gpu, both) = (lanes(), place(&["gpu=1", "mem=5G"]), place(&["gpu=2"]));
        lanes.enter(0, &gpu);
        assert_eq!(lanes.slot_for(Lane::Io, &gpu), None, "memory is short");
        assert_eq!(lanes.slot_for(Lane::Io, &both), None, "one of two is taken");
        assert_eq!(lanes.slot_for(Lane::Io, &place(&["gpu=1"])), Some(IO_FIRST));
        lanes.leave(0, &gpu);
        assert_eq!(lanes.slot_for(Lane::Cpu, &both), Some(0));
    }

    #[test]
    fn fewer_slots_are_taken_until_what_runs_has_ended() {
        let (mut lanes, one) = (lanes(), place(&[]));
        for slot in 0..3 {
            lanes.enter(slot, &one);
        }
        lanes.set_cpu_slots(1);
        lanes.leave(0, &one);
        lanes.leave(1, &one);
        assert_eq!(lanes.slot_for(Lane::Cpu, &one), None, "slot 2 runs above the number");
        lanes.leave(2, &one);
        assert_eq!(lanes.slot_for(Lane::Cpu, &one), Some(0));
        assert_eq!(lanes.slots(), PerLane { cpu: 1, io: 2 });
    }
}
