//! The suite is tested itself: with each of the bugs of `src/bug.rs` it must fail, and by a check
//! that is about that bug. The table is in README.md too, and this holds the two together.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ganger::bug::{self, Bug, Seeded};

use crate::walk::Walk;
use crate::world::World;

/// Seeds after which a bug must have been caught.
const SEEDS_MAX: u64 = 100;
/// Steps of a walk with a bug.
const STEPS: u64 = 3_000;

/// Who catches a bug.
#[derive(Clone, Copy, Debug)]
enum By {
    Worlds,
    Walks,
}

/// Each bug, who catches it, and words of the check that does.
const CASES: [(Bug, By, &[&str]); 19] = [
    (Bug::EffectsBeforeDurable, By::Worlds, &["before it was durable", "is durable"]),
    (Bug::LeaseIdsReused, By::Worlds, &["left before it was durable"]),
    (Bug::EpochIgnored, By::Worlds, &["was never granted", "was not the current one"]),
    (Bug::TermOnWallClock, By::Worlds, &["was given up, it was heard"]),
    (Bug::SlotFreedTwice, By::Worlds, &["attempts run at once in"]),
    (
        Bug::FenceMissing,
        By::Worlds,
        &["was not the current one", "I2: ", "leased tasks and sessions"],
    ),
    (Bug::KeysForgotten, By::Worlds, &["batches differ between live and replay"]),
    (Bug::RetryUncharged, By::Worlds, &["failed", "is charged Nothing"]),
    (Bug::CancelForgotten, By::Worlds, &["after its cancel was acknowledged"]),
    (Bug::ReturnedNotReady, By::Worlds, &["the ready sets are not the queued tasks"]),
    (Bug::TimersForgotten, By::Worlds, &["has no timer"]),
    (Bug::CountOffByOne, By::Worlds, &["queues count"]),
    (Bug::ReportsNotRepeated, By::Worlds, &["a minute after the last fault"]),
    (Bug::EndsNotPresented, By::Worlds, &["and was not presented"]),
    (Bug::StaleRunsOn, By::Worlds, &["is stale and runs on"]),
    (Bug::PauseIgnored, By::Worlds, &["while its queue"]),
    (Bug::PrioritiesIgnored, By::Walks, &["lower priorities went first"]),
    (Bug::EventNotJournaled, By::Worlds, &["a replay says"]),
    (Bug::ReportsTakenOnTrust, By::Worlds, &["was acknowledged,"]),
];

/// Seeds the bug that `SIM_BUG` names, if it names one.
pub(crate) fn asked_for() -> Option<Seeded> {
    let name = std::env::var("SIM_BUG").ok()?;
    let known = Bug::ALL.into_iter().find(|bug| format!("{bug:?}") == name);
    Some(bug::seed(known.unwrap_or_else(|| panic!("SIM_BUG is one of {:?}", Bug::ALL))))
}

/// Runs until a check fails; returns the seed and what the check said.
fn catch(bug: Bug, by: By) -> Option<(u64, String)> {
    (1..=SEEDS_MAX).find_map(|seed| {
        let run = || match by {
            By::Worlds => World::new(seed).run(),
            By::Walks => Walk::new(seed).run(STEPS),
        };
        let seeded = bug::seed(bug);
        let result = catch_unwind(AssertUnwindSafe(run));
        drop(seeded);
        let why = result.unwrap_or_else(|_| Err("something panicked".to_owned())).err()?;
        Some((seed, why))
    })
}

#[expect(clippy::print_stdout, reason = "the table of README.md, with --nocapture")]
fn catch_all(cases: &[(Bug, By, &[&str])]) {
    let mut missed = Vec::new();
    for (bug, by, checks) in cases {
        let Some((seed, why)) = catch(*bug, *by) else {
            missed.push(format!("{bug:?} is not caught by {SEEDS_MAX} of the {by:?}"));
            continue;
        };
        println!("| `{bug:?}` | {by:?} | {seed} | {} |", why.lines().next().unwrap_or_default());
        if !checks.iter().any(|check| why.contains(check)) {
            missed.push(format!("{bug:?} is caught by a check that is not about it: {why}"));
        }
    }
    assert!(missed.is_empty(), "\n{}", missed.join("\n"));
}

#[test]
fn every_seeded_bug_is_caught() {
    catch_all(&CASES[..CASES.len() / 2]);
}

#[test]
fn every_other_seeded_bug_is_caught() {
    catch_all(&CASES[CASES.len() / 2..]);
}

#[test]
fn the_table_names_every_bug_and_what_catches_it() {
    let table = include_str!("README.md");
    for bug in Bug::ALL {
        let name = format!("`{bug:?}`");
        let case = CASES.iter().find(|(of, ..)| *of == bug);
        let (_, _, checks) = case.unwrap_or_else(|| panic!("{bug:?} has no case"));
        let row = table.lines().find(|line| line.contains(&name));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {name}"));
        for check in *checks {
            assert!(row.contains(check), "README.md does not say that {name} is caught by {check}");
        }
    }
}
