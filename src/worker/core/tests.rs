//! Tables for the core: what comes in, what goes out.

mod lanes;
mod random;
mod world;

use ganger_proto::Args;
use ganger_proto::message::{Grant, GrantRun};

use self::world::*;
use super::tasks::OUTPUT_BYTES_MAX;
use super::*;
use crate::worker::inline;

#[test]
fn squares_are_answered_in_runs() {
    let mut world = World::connected(2);
    world.grant(10, SQUARE, &["1", "2", "x", "4"]);
    assert_eq!(world.act(), "report 1: 10+2 2 * 2 = 4, 13+1 4 * 4 = 16, 12 exit 1");
    world.grant_args(100, SQUARE, Args::Range { first: 1, step: 1, count: 2_000 });
    let reports = world.act();
    assert_eq!(
        reports,
        "report 2: 100+512 512 * 512 = 262144; report 3: 612+512 1024 * 1024 = 1048576; \
         report 4: 1124+512 1536 * 1536 = 2359296"
    );
    world.say(ToWorker::Ack { report: 4 });
    assert_eq!(world.act(), "report 5: 1636+464 2000 * 2000 = 4000000");
}

#[test]
fn children_start_while_there_are_slots() {
    let mut world = World::connected(2);
    world.grant(1, EXEC, &["a", "b", "c"]);
    assert_eq!(world.act(), "start 1 in 0; start 2 in 1");
    world.end(2, Outcome::Failed { code: 3 });
    assert_eq!(world.act(), "start 3 in 1; report 1: 2 exit 3");
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "", "one report is on its way; the next gathers");
    world.end(3, Outcome::Signalled { signal: 9 });
    world.say(ToWorker::Ack { report: 1 });
    assert_eq!(world.act(), "report 2: 1 done, 3 signal 9");
}

#[test]
fn slots_grow_and_shrink_and_nothing_is_killed() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b", "c", "d", "e"]);
    assert_eq!(world.act(), "start 1 in 0");
    world.say(ToWorker::Slots { slots: 3 });
    let grown = world.act();
    assert!(grown.starts_with("start 2 in 1; start 3 in 2"), "{grown}");
    world.say(ToWorker::Slots { slots: 1 });
    assert_eq!(world.act(), "release 4+2", "what waits goes back, what runs goes on");
    world.grant(6, EXEC, &["f"]);
    assert_eq!(world.act(), "");
    world.end(1, Outcome::Done);
    world.end(2, Outcome::Done);
    let one_runs = world.act();
    assert!(!one_runs.contains("start"), "slot 2 is in use above the number: {one_runs}");
    world.end(3, Outcome::Done);
    assert!(world.act().contains("start 6 in 0"));
    world.say(ToWorker::Slots { slots: 0 });
    assert_eq!(world.core.hello(Present::default()).slots.cpu, 1, "none is what a drain is for");
}

#[test]
fn starts_are_told_together_unless_they_are_over() {
    let mut world = World::connected(3);
    world.grant(1, EXEC, &["a", "b", "c"]);
    world.act();
    world.end(2, Outcome::Done);
    world.act();
    assert_eq!(world.core.wake_at_us(), Some(world.now_us + 20_000));
    world.pass(20);
    assert_eq!(world.act(), "started 1+1 3+1");
    world.pass(20);
    assert_eq!(world.act(), "");
}

#[test]
fn sleeps_end_by_the_clock() {
    let mut world = World::connected(2);
    world.grant(1, SLEEP, &["30ms", "x", "1h"]);
    assert_eq!(world.act(), "report 1: 2 exit 1");
    world.pass(29);
    assert_eq!(world.act(), "started 1+1 3+1");
    assert_eq!(world.core.wake_at_us(), Some(world.now_us + 1_000));
    world.pass(1);
    world.say(ToWorker::Ack { report: 1 });
    assert_eq!(world.act(), "report 2: 1 done");
    world.say(ToWorker::Ack { report: 2 });
    world.grant(9, SLEEP_50MS, &["1h"]);
    world.pass(50);
    assert_eq!(world.act(), "report 3: 9 timed out");
    world.say(ToWorker::Ack { report: 3 });
    world.say(ToWorker::Cancel { leases: vec![leases(3, 1)] });
    assert_eq!(world.act(), "report 4: 3 cancelled");
}

#[test]
fn a_sleep_is_held_to_the_workers_limit_of_time_and_says_whose_it_was() {
    let mut world = World::connected(1);
    world.core.offers.caps.timeout_ms = Some(60);
    let check = |world: &mut World, says: &str| {
        let mut reported = Vec::new();
        for effect in world.core.drain(world.now_us) {
            if let Effect::Send(WorkerMessage::Report(report)) = effect {
                reported.extend(report.ended);
            }
        }
        let ended = reported.last().unwrap();
        assert_eq!(ended.outcome, Outcome::TimedOut);
        assert!(ended.message.contains(says) && ended.message.is_empty() == says.is_empty());
    };
    world.grant(1, SLEEP, &["1h"]);
    world.act();
    world.pass(60);
    check(&mut world, "`timeout_s` in the [caps]");
    world.say(ToWorker::Ack { report: 1 });
    world.grant(2, SLEEP_50MS, &["1h"]);
    world.act();
    world.pass(50);
    check(&mut world, "");
}

#[test]
fn a_cancel_stops_what_runs_and_ends_what_waits() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b", "c"]);
    world.act();
    world.say(ToWorker::Cancel { leases: vec![leases(1, 2), leases(99, 5)] });
    assert_eq!(world.act(), "stop 1");
    world.end(1, Outcome::Cancelled);
    assert_eq!(world.act(), "start 3 in 0; report 1: 2 cancelled, 1 cancelled");
}

#[test]
fn what_is_stale_is_dropped_without_a_word() {
    let mut world = World::connected(2);
    world.grant(1, SCRATCH, &["a"]);
    world.grant(5, SLEEP, &["1h"]);
    world.grant(7, EXEC, &["b", "c"]);
    assert_eq!(world.act(), "start 1 in 0");
    world.say(ToWorker::Stale { leases: vec![leases(1, 1), leases(5, 3)] });
    assert_eq!(world.act(), "kill 1; start 8 in 1");
    assert_eq!(holding(&mut world.core), "8+1! after 0", "what is being killed is not presented");
    world.end(1, Outcome::Cancelled);
    assert_eq!(world.act(), "clean 1");
}

#[test]
fn without_a_connection_work_goes_on_and_is_presented_again() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b", "c"]);
    world.act();
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "start 2 in 0");
    world.pass(10);
    assert_eq!(world.act(), "report 1: 1 done");
    world.core.handle_link_lost();
    world.end(2, Outcome::Done);
    assert_eq!(world.act(), "start 3 in 0");
    assert_eq!(holding(&mut world.core), "3+1! 1+1! 2+1! after 1");
    world.welcome(0, vec![]);
    assert_eq!(world.act(), "report 1: 1 done");
    world.say(ToWorker::Ack { report: 1 });
    assert_eq!(world.act(), "report 2: 2 done");
    world.core.handle_link_lost();
    world.welcome(2, vec![leases(3, 1)]);
    assert_eq!(world.act(), "kill 3", "what is durable is not sent again");
    assert_eq!(holding(&mut world.core), " after 2");
}

#[test]
fn long_output_is_stored_before_its_report() {
    let mut world = World::connected(1);
    world.grant(1, SCRATCH, &["a"]);
    world.act();
    world.end_long(1, 10_000);
    assert_eq!(world.act(), "output 1");
    world.core.handle_link_lost();
    assert_eq!(holding(&mut world.core), "1+1! after 0");
    world.welcome(0, vec![]);
    assert_eq!(world.act(), "output 1", "a new connection gets it again");
    world.say(ToWorker::OutputStored { lease: lease(1) });
    world.say(ToWorker::OutputStored { lease: lease(1) });
    assert_eq!(world.act(), "report 1: 1 done with output");
    world.say(ToWorker::Ack { report: 1 });
    assert_eq!(world.act(), "clean 1");
}

#[test]
fn outputs_go_as_fast_as_the_master_stores_them_and_long_ones_one_at_a_time() {
    const LONG: usize = 300 << 10;
    const SHORT: usize = 200 << 10;
    let mut world = World::connected(50);
    world.grant_args(1, EXEC, Args::Repeat { count: 50 });
    world.act();
    for counter in 1..=3 {
        world.end_long(counter, LONG);
    }
    assert_eq!(world.act(), "output 1");
    for counter in 4..=50 {
        world.end_long(counter, SHORT);
    }
    let sent = world.act().split("; ").map(str::to_owned).collect::<Vec<_>>();
    // One MiB may be unread of the long one, and the rest is for short ones.
    assert_eq!(sent.len(), (7 << 20) / SHORT);
    assert_eq!(sent[0], "output 4", "a long one that waits holds no short one up");
    let next = |world: &mut World, stored| {
        world.say(ToWorker::OutputStored { lease: lease(stored) });
        let did = world.act();
        did.split("; ").filter(|word| word.starts_with("output")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(next(&mut world, 4), format!("output {}", 4 + sent.len()));
    assert_eq!(next(&mut world, 1), "output 2");
    // A new connection begins with as many.
    world.core.handle_link_lost();
    world.welcome(u64::MAX, vec![]);
    let again = world.act();
    let again = again.split("; ").filter(|word| word.starts_with("output"));
    assert_eq!(again.count(), 1 + sent.len());
}

#[test]
fn ends_gather_only_while_more_tasks_wait() {
    let mut world = World::connected(1);
    world.grant_args(1, EXEC, Args::Repeat { count: 4 });
    world.act();
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "start 2 in 0");
    world.pass(1);
    world.end(2, Outcome::Done);
    assert_eq!(world.act(), "start 3 in 0");
    assert!(world.core.wake_at_us().unwrap() <= world.now_us + 9_000);
    world.pass(9);
    assert_eq!(world.act(), "report 1: 1 done, 2 done");
    world.say(ToWorker::Ack { report: 1 });
    world.end(3, Outcome::Done);
    assert_eq!(world.act(), "start 4 in 0; report 2: 3 done", "nothing waits behind it");
    assert_eq!(world.core.reports.due_us(), None);
}

#[test]
fn what_runs_can_be_followed_and_nothing_else() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b"]);
    world.act();
    for counter in [1, 2, 9] {
        world.say(ToWorker::Follow(LiveHeader { lease: lease(counter), number: 5 }));
    }
    assert_eq!(world.act(), "follow 1 in 0");
    world.say(ToWorker::Unfollow { lease: lease(1) });
    assert_eq!(world.act(), "unfollow 1");
    world.end(1, Outcome::Done);
    world.act();
    world.say(ToWorker::Follow(LiveHeader { lease: lease(1), number: 6 }));
    assert_eq!(world.act(), "", "its report brings it");
}

#[test]
fn too_much_unstored_output_holds_up_children() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b"]);
    world.act();
    world.end_long(1, OUTPUT_BYTES_MAX + 1);
    assert_eq!(world.act(), "output 1");
    world.say(ToWorker::OutputStored { lease: lease(1) });
    assert_eq!(world.act(), "start 2 in 0; report 1: 1 done with output");
}

#[test]
fn a_drain_gives_back_what_has_not_started() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b", "c"]);
    world.act();
    world.say(ToWorker::Drain { on: true });
    assert_eq!(world.act(), "rest; release 2+2");
    world.grant(9, EXEC, &["d"]);
    assert_eq!(world.act(), "release 9+1");
    world.say(ToWorker::Drain { on: false });
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "report 1: 1 done");
    assert!(!world.core.is_finished());
    world.grant(20, EXEC, &["e"]);
    assert_eq!(world.act(), "start 20 in 0");
    world.core.handle_drain();
    world.core.handle_drain();
    assert_eq!(world.act(), "rest; draining true");
    world.say(ToWorker::Ack { report: 1 });
    world.end(20, Outcome::Done);
    assert_eq!(world.act(), "report 2: 20 done");
    assert!(!world.core.is_finished(), "the report is not durable");
    world.say(ToWorker::Ack { report: 2 });
    assert!(world.core.is_finished());
}

#[test]
fn a_drain_without_a_connection_starts_nothing_more() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b"]);
    world.act();
    world.core.handle_link_lost();
    world.core.handle_drain();
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "rest");
    assert!(!world.core.is_finished(), "an end is kept for the master");
    assert!(world.core.hello(Present::default()).draining);
    world.welcome(0, vec![]);
    assert_eq!(world.act(), "release 2+1; report 1: 1 done");
    world.say(ToWorker::Ack { report: 1 });
    assert!(world.core.is_finished());
}

#[test]
fn grants_that_make_no_sense_are_given_back() {
    let mut world = World::connected(1);
    world.grant(1, 77, &["a", "b"]);
    assert_eq!(world.act(), "release 1+2");
    world.grant_args(9, EXEC, Args::Range { first: 1, step: 0, count: 5 });
    assert_eq!(world.act(), "release 9+5");
    world.grant_args(20, SQUARE, Args::Repeat { count: u64::MAX });
    assert_eq!(world.act(), format!("release 20+{}", u32::MAX));
    world.say(ToWorker::Stale { leases: vec![leases(u64::MAX, u32::MAX), leases(0, 0)] });
    world.say(ToWorker::Cancel { leases: vec![leases(u64::MAX, u32::MAX), leases(0, 0)] });
    world.say(ToWorker::Ack { report: u64::MAX });
    assert_eq!(world.act(), "");
}

#[test]
fn heartbeats_come_sooner_while_leases_are_held() {
    let mut world = World::connected(1);
    assert_eq!(world.core.wake_at_us(), Some(world.now_us + 5_000_000));
    world.grant(1, EXEC, &["a"]);
    world.act();
    world.pass(20);
    world.act();
    assert_eq!(world.core.wake_at_us(), Some(world.now_us + 1_980_000));
    world.pass(1_980);
    assert_eq!(world.act(), "beat 1");
    world.pass(2_000);
    assert_eq!(world.act(), "beat 1");
    world.core.handle_link_lost();
    assert_eq!(world.core.wake_at_us(), None);
}

#[test]
fn the_master_sets_the_pace_of_idle_beats_within_bounds() {
    let mut world = World::connected(1);
    let mut beats = |beat_ms: u32, expected_ms: u64| {
        world.say(ToWorker::Beat { beat_ms });
        world.act();
        world.pass(6_000);
        assert_eq!(world.act(), "beat 0");
        assert_eq!(world.core.wake_at_us(), Some(world.now_us + expected_ms * 1_000));
    };
    beats(1_000, 1_000);
    beats(0, 200);
    beats(u32::MAX, 7_000);
}

#[test]
fn the_hold_follows_the_tasks() {
    let mut world = World::new(2);
    let hello = world.core.hello(Present { policy: "exec any".to_owned(), ..Present::default() });
    assert_eq!((hello.slots.cpu, hello.hold.cpu, hello.policy.as_str()), (2, 4, "exec any"));
    world.welcome(0, vec![]);
    world.say(ToWorker::Grant(Grant { specs: specs(), runs: vec![] }));
    let mut told = Vec::new();
    let mut hold = |world: &mut World| {
        for effect in world.core.drain(world.now_us) {
            if let Effect::Square(run) = effect {
                let all = leases(run.lease.counter, u32::try_from(run.args.count()).unwrap());
                world.core.handle_squares(world.now_us, all, inline::squares(&run));
            } else if let Effect::Send(WorkerMessage::Hold { tasks }) = effect {
                told.push(tasks.cpu);
            }
        }
    };
    for round in 0..20 {
        world.grant(100 + round * 4, SQUARE, &["1", "2", "3", "4"]);
        hold(&mut world);
    }
    hold(&mut world);
    world.grant(1, SLEEP, &["5", "5"]);
    for _ in 0..60 {
        world.pass(5_000);
        world.grant(1, SLEEP, &["5", "5"]);
        hold(&mut world);
    }
    world.core.handle_drain();
    hold(&mut world);
    assert_eq!(told.first(), Some(&4_098), "squares reach the cap at once");
    assert_eq!(told[told.len() - 2..], [2, 0], "long tasks are not fetched ahead");
    assert!(told.len() < 30, "{told:?}");
}

#[test]
fn short_tasks_of_a_handler_are_given_together_and_shared_among_slots() {
    let mut world = World::connected(2);
    let run = |first: u64, count: u64| GrantRun {
        lease: lease(first),
        task: ganger_proto::TaskId::new(first),
        batch: ganger_proto::BatchId::new(1),
        index: 0,
        attempt: 1,
        spec: SpecId::new(HANDLER),
        args: Args::Range { first: 0, step: 1, count },
    };
    world.grant_args(1, HANDLER, Args::Range { first: 0, step: 1, count: 100 });
    assert_eq!(world.act(), "start 1 in 0; start 2 in 1", "nothing is known of them");
    world.warm(&run(1, 1), 1, 400);
    assert_eq!(world.act(), "start 3+10 in 0; report 1: 1+1 w", "4 ms of work at once");
    world.pass(30);
    let said = world.act();
    assert!(said.contains("started 2+11"), "{said}");
    // The other slot is free for half of what is left.
    world.warm(&run(2, 1), 1, 10);
    assert_eq!(world.act(), "start 13+13 in 1");
    // One takes long: what is behind it goes to the front, and to the slot that is free first.
    world.warm(&run(15, 11), 0, 0);
    assert_eq!(world.act(), "", "no slot is free");
    world.warm(&run(3, 10), 10, 10);
    assert_eq!(world.act(), "start 15 in 0");
    world.say(ToWorker::Cancel { leases: vec![leases(13, 3)] });
    assert_eq!(world.act(), "stop 13; stop 14; stop 15");
}

#[test]
fn a_drain_lets_handlers_end() {
    let mut world = World::connected(1);
    world.say(ToWorker::Drain { on: true });
    assert_eq!(world.act(), "rest");
    world.core.handle_drain();
    assert_eq!(world.act(), "rest; draining true");
}

/// Found by fuzzing what a master says: the first sleep was forgotten and its moment was not, so
/// that it came due for ever; the slot of the first child was never free again.
#[test]
fn a_lease_that_is_granted_again_while_it_runs_costs_no_slot() {
    let mut world = World::connected(2);
    world.grant(1, SLEEP, &["20ms"]);
    world.grant(2, EXEC, &[""]);
    assert_eq!(world.act(), "start 2 in 1");
    world.grant(1, SLEEP, &["30ms"]);
    world.grant(2, EXEC, &[""]);
    assert_eq!(world.act(), "");
    // What waited for a slot runs once more; its second end is stale where it is told.
    for _ in 0..2 {
        world.pass(100);
        world.end(2, Outcome::Done);
        world.act();
    }
    world.pass(100);
    world.act();
    world.grant(3, EXEC, &["", ""]);
    assert_eq!(world.act(), "start 3 in 0; start 4 in 1", "both slots are free");
}
