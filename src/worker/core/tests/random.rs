//! Random lives of a worker: whatever happens, each lease comes to exactly one end.

use std::collections::{BTreeMap, BTreeSet};

use ganger_proto::message::ToWorker;
use ganger_proto::{Args, Outcome};

use super::world::*;
use crate::worker::core::*;
use crate::worker::inline;
use crate::worker::waiting::last_of;

/// What the master's side knows.
#[derive(Default)]
struct Master {
    next: u64,
    /// Leases granted and not yet ended, released or declared stale.
    open: BTreeSet<u64>,
    stale: BTreeSet<u64>,
    /// Reports by number; the same number is the same report.
    reports: BTreeMap<u64, BTreeSet<u64>>,
    durable: u64,
    children: BTreeSet<u64>,
    outputs: BTreeSet<u64>,
    up: bool,
}

fn among(run: &LeaseRun) -> std::ops::RangeInclusive<u64> {
    run.first.counter..=last_of(*run).counter
}

impl Master {
    fn hear(&mut self, effect: Effect, world: &mut World) {
        match effect {
            Effect::Start(start) => assert!(self.children.insert(start.at.lease.counter)),
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
            Effect::Beat(_) | Effect::Clean(_) => {}
            Effect::Send(message) => {
                assert!(self.up, "nothing is sent without a connection");
                self.hear_message(message);
            }
        }
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

fn step(world: &mut World, master: &mut Master, random: &mut fastrand::Rng) {
    match random.u32(0..10) {
        0..=2 if master.up => {
            let count = random.u64(1..20);
            let first = master.next;
            master.next += count + random.u64(0..2);
            master.open.extend(first..first + count);
            let spec = random.u32(SQUARE..=SLEEP_50MS);
            world.grant_args(first, spec, Args::Range { first: -3, step: 1, count });
        }
        3 | 4 => {
            let Some(lease) = some(random, &master.children) else { return };
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
        }
        if !master.up {
            connect(&mut world, &mut master);
        }
        world.say(ToWorker::Drain { on: false });
        while world.core.wake_at_us().is_some() && !world.core.holds_nothing() {
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
        assert!(world.core.slots_free.len() as u32 == world.core.slots);
        assert_eq!(world.core.output_bytes, 0);
    }
}
