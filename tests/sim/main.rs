//! The engine under random commands, beside a reference model; and a whole cluster in virtual time.
//! Everything is drawn from one seed: `SIM_SEED=7 cargo test --test sim` replays that one. What is
//! simulated, how long runs are made, and which bugs are caught is in README.md.

#[cfg(debug_assertions)]
mod bugs;
mod claims;
mod commands;
mod crowd;
mod disk;
mod foreman;
mod gang;
mod hand;
mod history;
mod liar;
mod links;
mod model;
mod random;
mod rig;
mod verdict;
mod walk;
mod workers;
mod world;

use std::ops::RangeInclusive;
use std::str::FromStr;

use walk::Walk;
use world::World;

/// Walks beside the model, a half of them in each of two tests; and steps of each.
const WALKS: u64 = 50;
const STEPS: u64 = 20_000;
/// Worlds, a half of them in each of two tests.
const WORLDS: u64 = 600;
/// Of a long run, one walk goes with so many worlds.
const WORLDS_A_WALK: u64 = 10;

/// Which seeds a test runs.
#[derive(Clone, Copy)]
enum Half {
    First,
    Second,
}

/// Returns the seeds to run: the one asked for, or a half of as many as are asked for, or of `all`.
fn seeds(half: Half, all: u64, asked: impl FnOnce(u64) -> u64) -> RangeInclusive<u64> {
    if let Some(seed) = variable("SIM_SEED") {
        return seed..=seed;
    }
    let all = variable("SIM_SEEDS").map_or(all, asked);
    match half {
        Half::First => 1..=all / 2,
        Half::Second => all / 2 + 1..=all,
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().ok().unwrap_or_else(|| panic!("{name} is `{text}`, which it cannot be")))
}

fn walk(half: Half) {
    #[cfg(debug_assertions)]
    let _bug = bugs::asked_for();
    for seed in seeds(half, WALKS, |worlds| worlds / WORLDS_A_WALK) {
        let mut walk = Walk::new(seed);
        if let Err(why) = walk.run(STEPS) {
            panic!("SIM_SEED={seed} {why}");
        }
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
    walk(Half::First);
}

#[test]
fn the_engine_does_what_the_model_does_on_other_walks() {
    walk(Half::Second);
}

#[expect(clippy::print_stdout, reason = "how much was tried, with --nocapture")]
fn live(half: Half) {
    #[cfg(debug_assertions)]
    let _bug = bugs::asked_for();
    let (mut events, mut turns, mut crashes, mut faults) = (0, 0, 0, 0);
    for seed in seeds(half, WORLDS, |worlds| worlds) {
        let mut world = World::new(seed);
        if let Err(why) = world.run() {
            panic!("SIM_SEED={seed} at {} ms, event {}: {why}", world.t, world.handled);
        }
        events += world.handled;
        turns += world.history.journal.len() as u64;
        crashes += world.crashes;
        faults += world.foreman.disk.faults;
    }
    println!("{events} events, {turns} durable turns, {crashes} crashes, {faults} faulty appends");
    let tests = turns > 100 && crashes > 0 && events > turns;
    assert!(tests, "{events} events, {turns} durable turns, {crashes} crashes test too little");
}

#[test]
fn nothing_acknowledged_is_lost() {
    live(Half::First);
}

#[test]
fn nothing_acknowledged_is_lost_in_other_worlds() {
    live(Half::Second);
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in 1..=3 {
        let [mut one, mut two] = [(); 2].map(|()| World::new(seed));
        assert_eq!(one.run(), two.run());
        assert_eq!((one.t, one.handled), (two.t, two.handled));
        assert!(one.history.journal == two.history.journal, "seed {seed} differs");
    }
}
