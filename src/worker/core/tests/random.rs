//! Random lives of a worker: whatever happens, each lease comes to exactly one end or goes back
//! without having started, no more runs than there is room for, and each lane keeps its order.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::message::{GrantRun, ToWorker};
use ganger_proto::place::Need;
use ganger_proto::{Args, Kind, Outcome, Placement, SpecId};

use super::world::*;
use crate::worker::core::*;
use crate::worker::inline;

/// What the master's side knows.
#[derive(Default)]
struct Master {
    next: u64,
    /// Leases granted and not yet ended, released or declared stale.
    open: BTreeSet<u64>,
    /// What each lease ever granted is for.
    specs: BTreeMap<u64, Arc<Spec>>,
    /// Slots that were taken after the step before.
    taken: PerLane,
    stale: BTreeSet<u64>,
    /// Reports by number; the same number is the same report.
    reports: BTreeMap<u64, BTreeSet<u64>>,
    durable: u64,
    children: BTreeSet<u64>,
    /// Tasks that handlers have, by their first lease.
    warm: BTreeMap<u64, GrantRun>,
    outputs: BTreeSet<u64>,
    up: bool,
}

fn among(run: &LeaseRun) -> std::ops::Range<u64> {
    run.first.counter..run.first.counter + u64::from(run.count)
}

impl Master {
    /// Returns what runs and is not of a handler.
    fn plain(&self) -> BTreeSet<u64> {
        let plain = |lease: &&u64| {
            let before = self.warm.range(..=**lease).next_back();
            before.is_none_or(|(first, run)| first + run.args.count() <= **lease)
        };
        self.children.iter().filter(plain).copied().collect()
    }

    fn hear(&mut self, effect: Effect, world: &mut World) {
        match effect {
            Effect::Start(start) => {
                let first = start.at.lease.counter;
                for lease in first..first + start.run.args.count() {
                    assert!(self.open.contains(&lease), "{lease} was given back or is stale");
                    assert!(self.children.insert(lease));
                }
                let lane = self.lane(first);
                assert_eq!(in_lane(start.at.slot).0, lane);
                let waiting = world.core.lanes.leases();
                let mut before = waiting.iter().flat_map(among).filter(|other| *other < first);
                assert!(!before.any(|other| self.lane(other) == lane), "{first} overtook");
                if start.run.spec == SpecId::new(HANDLER) {
                    self.warm.insert(first, start.run);
                }
            }
            Effect::Kill(at) | Effect::Stop(at) | Effect::Follow(at, _) | Effect::Unfollow(at) => {
                assert!(self.children.contains(&at.lease.counter));
            }
            Effect::Square(run) => {
                let count = u32::try_from(run.args.count()).unwrap();
                let all = leases(run.lease.counter, count);
                world.core.handle_squares(world.now_us, all, inline::squares(&run));
            }
            Effect::SendOutput(header, _) => {
                assert!(self.up);
                self.outputs.insert(header.lease.counter);
            }
            Effect::Beat(_) | Effect::Clean(_) | Effect::Rest => {}
            Effect::Send(message) => {
                assert!(self.up, "nothing is sent without a connection");
                self.hear_message(message);
            }
        }
    }

    /// Takes note of a grant; returns its first lease.
    fn granted(&mut self, count: u64, gap: u64, spec: Spec) -> u64 {
        let (first, spec) = (self.next, Arc::new(spec));
        self.next += count + gap;
        self.open.extend(first..first + count);
        self.specs.extend((first..first + count).map(|lease| (lease, Arc::clone(&spec))));
        first
    }

    fn lane(&self, lease: u64) -> Lane {
        self.specs[&lease].place.lane.unwrap_or_default()
    }

    /// No more runs than there is room for, unless it ran before there was less.
    fn audit(&mut self, world: &World) {
        let (mut taken, mut gpus, mut slots) = (PerLane::default(), 0, BTreeSet::new());
        for running in world.core.running.values() {
            let place = &running.spec.place;
            // Those behind the first task of a handler take nothing more.
            let warm = matches!(running.spec.kind, Kind::Handler { .. });
            if !slots.insert(running.slot) {
                assert!(warm, "slot {} runs two tasks", running.slot);
                continue;
            }
            *taken.of_mut(place.lane.unwrap_or_default()) += place.slots();
            gpus += place.beside_slots().map(|need| need.amount).sum::<u64>();
        }
        let has = world.core.lanes.slots();
        for lane in Lane::ALL {
            let most = has.of(lane).max(self.taken.of(lane));
            assert!(taken.of(lane) <= most, "{taken:?} of {has:?}");
        }
        assert!(gpus <= 2, "{gpus} of 2");
        self.taken = taken;
    }

    /// Asks for leases back: one answer names exactly those that had not started.
    fn take_back(&mut self, world: &mut World, asked: &[LeaseRun]) {
        let waiting = world.core.lanes.leases();
        let waiting = waiting.iter().flat_map(among).collect::<BTreeSet<u64>>();
        world.say(ToWorker::TakeBack { leases: asked.to_vec() });
        let mut answers = Vec::new();
        for effect in world.core.drain(world.now_us) {
            if let Effect::Send(WorkerMessage::Release { leases }) = &effect {
                answers.push(leases.iter().flat_map(among).collect::<BTreeSet<u64>>());
            }
            self.hear(effect, world);
        }
        let asked = asked.iter().flat_map(among);
        assert_eq!(answers, [asked.filter(|lease| waiting.contains(lease)).collect()]);
    }

    fn hear_message(&mut self, message: WorkerMessage) {
        match message {
            WorkerMessage::Report(report) => {
                let mut all: BTreeSet<u64> =
                    report.ended.iter().map(|ended| ended.lease.counter).collect();
                let squares = report.done.iter().map(|run| (run.first.counter, run.results.len()));
                all.extend(squares.flat_map(|(first, count)| first..first + count as u64));
                if let Some(before) = self.reports.insert(report.number, all.clone()) {
                    assert_eq!(before, all, "a report that is sent again is the same");
                    return;
                }
                for lease in all {
                    assert!(self.open.remove(&lease) || self.stale.contains(&lease), "{lease}");
                }
            }
            WorkerMessage::Release { leases } => {
                for lease in leases.iter().flat_map(among) {
                    assert!(self.open.remove(&lease), "{lease} is given back once");
                }
            }
            WorkerMessage::Hold { .. }
            | WorkerMessage::Heartbeat { .. }
            | WorkerMessage::Started { .. }
            | WorkerMessage::Draining { .. } => {}
        }
    }
}

fn act(world: &mut World, master: &mut Master) {
    loop {
        let effects = world.core.drain(world.now_us);
        if effects.is_empty() {
            return;
        }
        for effect in effects {
            master.hear(effect, world);
        }
    }
}

fn some(random: &mut fastrand::Rng, set: &BTreeSet<u64>) -> Option<u64> {
    random.choice(set.iter().copied())
}

/// Some tasks of a handler are done, and those behind them come back.
fn end_warm(world: &mut World, master: &mut Master, random: &mut fastrand::Rng) {
    let Some((first, run)) = master.warm.pop_first() else { return };
    let count = run.args.count();
    master.children.retain(|lease| !(first..first + count).contains(lease));
    world.warm(&run, random.u64(0..=count), random.u32(1..5_000));
}

fn step(world: &mut World, master: &mut Master, random: &mut fastrand::Rng) {
    match random.u32(0..12) {
        0..=2 if master.up => {
            let (id, spec) = random.choice(specs()).unwrap();
            let (count, gap) = (random.u64(1..20), random.u64(0..2));
            let first = master.granted(count, gap, spec);
            world.grant_args(first, id.raw(), Args::Range { first: -3, step: 1, count });
        }
        3 if !master.warm.is_empty() => end_warm(world, master, random),
        3 | 4 => {
            let Some(lease) = some(random, &master.plain()) else { return };
            master.children.remove(&lease);
            match random.u8(0..4) {
                0 => world.end_long(lease, 9_000),
                _ => world.end(lease, Outcome::Done),
            }
        }
        5 if master.up => {
            let newest = master.reports.keys().last().copied().unwrap_or(0);
            master.durable = random.u64(master.durable..=newest);
            world.say(ToWorker::Ack { report: master.durable });
            for lease in std::mem::take(&mut master.outputs) {
                world.say(ToWorker::OutputStored { lease: super::world::lease(lease) });
            }
        }
        6 if master.up => {
            let Some(lease) = some(random, &master.open) else { return };
            let run = leases(lease, random.u32(1..5));
            for lease in among(&run).filter(|lease| master.open.contains(lease)).collect::<Vec<_>>()
            {
                master.open.remove(&lease);
                master.stale.insert(lease);
            }
            world.say(ToWorker::Stale { leases: vec![run] });
        }
        7 if master.up => {
            let Some(lease) = some(random, &master.open) else { return };
            world.say(ToWorker::Cancel { leases: vec![leases(lease, random.u32(1..5))] });
        }
        8 if master.up => {
            if random.bool() {
                master.up = false;
                world.core.handle_link_lost();
            } else {
                world.say(ToWorker::Drain { on: random.bool() });
            }
        }
        8 => connect(world, master),
        9 if master.up => {
            let asked = [(); 3].map(|()| {
                let first = some(random, &master.open).unwrap_or(1);
                leases(first.saturating_sub(random.u64(0..5)), random.u32(0..20))
            });
            master.take_back(world, &asked);
        }
        10 if master.up && random.bool() => {
            world.say(ToWorker::Slots { slots: random.u32(1..6) });
        }
        _ => world.pass(random.u64(0..200)),
    }
}

/// The worker must present every lease that the master thinks it holds.
fn connect(world: &mut World, master: &mut Master) {
    let hello = world.core.hello(Present::default());
    let held: BTreeSet<u64> = hello.holding.iter().flat_map(|held| among(&held.leases)).collect();
    assert!(master.open.is_subset(&held), "{:?} are not presented", &master.open - &held);
    master.up = true;
    master.outputs.clear();
    world.welcome(master.durable, vec![]);
}

#[test]
fn each_lease_comes_to_one_end() {
    for seed in 0..300 {
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::connected(random.u32(1..6));
        let mut master = Master { next: 1, up: true, ..Master::default() };
        for _ in 0..400 {
            step(&mut world, &mut master, &mut random);
            act(&mut world, &mut master);
            master.audit(&world);
        }
        if !master.up {
            connect(&mut world, &mut master);
        }
        world.say(ToWorker::Drain { on: false });
        let mut rounds = 0..10_000;
        while world.core.wake_at_us().is_some() && !world.core.holds_nothing() {
            assert!(rounds.next().is_some(), "{:?} never end", master.open);
            act(&mut world, &mut master);
            for lease in std::mem::take(&mut master.children) {
                world.end(lease, Outcome::Done);
            }
            for lease in std::mem::take(&mut master.outputs) {
                world.say(ToWorker::OutputStored { lease: super::world::lease(lease) });
            }
            world.pass(100);
            act(&mut world, &mut master);
            world.say(ToWorker::Ack { report: u64::MAX });
        }
        assert!(master.open.is_empty(), "{:?}", master.open);
        let all = format!("cpu={}", world.core.lanes.slots().cpu);
        let needs = [all.as_str(), "gpu=2"].map(|text| Need::parse(text).unwrap()).to_vec();
        let all = Placement { needs, ..Placement::default() };
        assert_eq!(world.core.lanes.slot_for(Lane::Cpu, &all), Some(0), "all is free again");
        assert_eq!(world.core.output_bytes, 0);
    }
}
