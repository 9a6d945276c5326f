//! The engine under random commands, beside a reference model; and a whole cluster in virtual time.
//! Everything is drawn from one seed: `SIM_SEED=7 cargo test --test sim` replays that one.

mod commands;
mod crowd;
mod foreman;
mod gang;
mod history;
mod links;
mod model;
mod random;
mod rig;
mod walk;
mod workers;
mod world;

use std::ops::RangeInclusive;

use walk::Walk;
use world::World;

/// Walks beside the model, a half of them in each of two tests; and steps of each.
const WALKS: u64 = 50;
const STEPS: u64 = 20_000;
/// Worlds, a half of them in each of two tests.
const WORLDS: u64 = 500;

/// Returns the seeds to run: the one asked for, or these.
fn seeds(all: RangeInclusive<u64>) -> Vec<u64> {
    match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIM_SEED is a number")],
        Err(_) => all.collect(),
    }
}

fn walk(all: RangeInclusive<u64>) {
    for seed in seeds(all) {
        let mut walk = Walk::new(seed);
        walk.run(seed, STEPS);
        let seen = &walk.seen;
        let enough = [
            seen.grants,
            seen.done,
            seen.crashes,
            seen.refused,
            seen.stale,
            seen.removed,
            seen.blocked,
        ];
        // Only a worker that holds much beside one that idles is asked for some of it.
        let enough = enough.iter().all(|count| *count > 50) && seen.asked_back > 10;
        assert!(enough, "seed {seed} tests too little: {seen:?}");
    }
}

#[test]
fn the_engine_does_what_the_model_does() {
    walk(1..=WALKS / 2);
}

#[test]
fn the_engine_does_what_the_model_does_on_other_walks() {
    walk(WALKS / 2 + 1..=WALKS);
}

fn live(all: RangeInclusive<u64>) {
    let (mut events, mut turns, mut crashes) = (0, 0, 0);
    for seed in seeds(all) {
        let mut world = World::new(seed);
        if let Err(why) = world.run() {
            panic!("SIM_SEED={seed} at {} ms, event {}: {why}", world.t, world.handled);
        }
        events += world.handled;
        turns += world.history.turns() as u64;
        crashes += world.crashes;
    }
    let tests = turns > 100 && crashes > 0 && events > turns;
    assert!(tests, "{events} events, {turns} durable turns, {crashes} crashes test too little");
}

#[test]
fn nothing_acknowledged_is_lost() {
    live(1..=WORLDS / 2);
}

#[test]
fn nothing_acknowledged_is_lost_in_other_worlds() {
    live(WORLDS / 2 + 1..=WORLDS);
}
