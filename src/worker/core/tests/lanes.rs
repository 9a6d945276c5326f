//! Lanes, needs and take-back: what starts beside what, what waits for what, what is given back.

use ganger_proto::message::ToWorker;
use ganger_proto::place::Offer;
use ganger_proto::{Args, Name, Placement};

use super::world::*;
use crate::worker::core::*;

#[test]
fn each_lane_has_slots_and_an_order_of_its_own() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b"]);
    world.grant(11, IO_EXEC, &["a", "b", "c"]);
    assert_eq!(world.act(), "start 1 in 0; start 11 in io 0; start 12 in io 1");
    world.end(11, Outcome::Done);
    assert_eq!(world.act(), "start 13 in io 0");
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "start 2 in 0; report 1: 11 done, 1 done");
    let hello = world.core.hello(Present::default());
    assert_eq!(hello.slots, PerLane { cpu: 1, io: 2 });
}

#[test]
fn what_runs_inside_obeys_lanes_too() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a"]);
    world.grant(2, SQUARE, &["2"]);
    world.grant(3, IO_SQUARE, &["3"]);
    world.grant(4, IO_SLEEP, &["10ms", "10ms", "10ms"]);
    world.grant(9, IO_SQUARE, &["9"]);
    assert_eq!(world.act(), "start 1 in 0; report 1: 3+1 3 * 3 = 9");
    assert_eq!(world.core.running.len(), 3, "two sleeps run and one waits");
    world.pass(10);
    world.say(ToWorker::Ack { report: 1 });
    let rest = world.act();
    assert_eq!(rest, "report 2: 9+1 9 * 9 = 81, 4 done, 5 done", "the third sleep runs, then 9");
    world.end(1, Outcome::Done);
    world.say(ToWorker::Ack { report: 2 });
    assert_eq!(world.act(), "report 3: 1 done");
    world.say(ToWorker::Ack { report: 3 });
    assert_eq!(world.act(), "report 4: 2+1 2 * 2 = 4");
}

#[test]
fn a_task_of_two_slots_waits_for_both_and_nothing_overtakes_it() {
    let mut world = World::connected(2);
    world.grant(1, EXEC, &["a"]);
    world.grant(2, TWO_CPU, &["b"]);
    world.grant(3, EXEC, &["c"]);
    assert_eq!(world.act(), "start 1 in 0");
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "start 2 in 0");
    world.end(2, Outcome::Done);
    assert_eq!(world.act(), "start 3 in 0; report 1: 1 done, 2 done");
}

#[test]
fn what_slots_do_not_count_is_shared_by_both_lanes() {
    let mut world = World::connected(3);
    world.grant(1, GPU, &["a"]);
    world.grant(2, IO_GPU, &["b", "c"]);
    world.grant(4, TWO_GPU, &["d"]);
    world.grant(5, EXEC, &["e"]);
    world.grant(6, IO_EXEC, &["f"]);
    assert_eq!(world.act(), "start 1 in 0; start 2 in io 0");
    world.end(2, Outcome::Done);
    assert_eq!(world.act(), "start 3 in io 0; start 6 in io 1");
    world.end(1, Outcome::Done);
    world.end(3, Outcome::Done);
    let rest = world.act();
    assert_eq!(rest, "start 4 in 0; start 5 in 1; report 1: 2 done, 1 done, 3 done");
}

#[test]
fn what_can_never_run_here_is_given_back() {
    let mut world = World::connected(1);
    world.grant(1, TWO_CPU, &["a"]);
    assert_eq!(world.act(), "release 1+1");
    world.say(ToWorker::Slots { slots: 2 });
    world.grant(2, TWO_CPU, &["a"]);
    assert_eq!(world.act(), "start 2 in 0");
    world.grant_args(9, EXEC, Args::Repeat { count: 8_193 });
    assert_eq!(world.act(), "release 9+8193", "no lane holds so many");
}

#[test]
fn other_slots_change_the_lane_cpu_alone() {
    let mut world = World::connected(2);
    world.grant(1, EXEC, &["a", "b", "c"]);
    world.grant(11, IO_EXEC, &["a", "b", "c"]);
    world.act();
    world.say(ToWorker::Slots { slots: 1 });
    assert_eq!(world.act(), "release 3+1", "what waits for the other lane stays");
    assert_eq!(world.core.lanes.slots(), PerLane { cpu: 1, io: 2 });
    world.end(12, Outcome::Done);
    assert_eq!(world.act(), "start 13 in io 1; report 1: 12 done");
}

#[test]
fn what_is_asked_back_and_has_not_started_is_given_back() {
    let mut world = World::connected(1);
    world.grant(1, EXEC, &["a", "b", "c", "d"]);
    world.grant(11, IO_EXEC, &["a", "b", "c"]);
    world.act();
    world.say(ToWorker::TakeBack { leases: vec![leases(1, 1), leases(3, 20)] });
    assert_eq!(world.act(), "release 3+2 13+1", "1, 11 and 12 run");
    world.say(ToWorker::TakeBack { leases: vec![leases(1, 1), leases(3, 20), leases(99, 1)] });
    assert_eq!(world.act(), "release ", "nothing to give is an answer too");
    world.grant(31, EXEC, &["c", "d"]);
    world.end(1, Outcome::Done);
    assert_eq!(world.act(), "start 2 in 0");
    world.end(2, Outcome::Done);
    assert_eq!(world.act(), "start 31 in 0", "it comes again and runs");
    world.pass(10);
    assert_eq!(world.act(), "report 1: 1 done, 2 done");
    assert_eq!(holding(&mut world.core), "32+1 11+2! 31+1! 1+2! after 1");
}

#[test]
fn a_handlers_lane_is_the_workers_to_say() {
    let mut world = World::connected(1);
    let name = Name::from_lossy("fetch");
    world.core.offers.handlers = vec![Offer { name: name.clone(), lane: Lane::Io }];
    let handler = Spec::of(ganger_proto::Kind::Handler { name });
    let said = Placement { lane: Some(Lane::Cpu), ..Placement::default() };
    let specs = [handler.clone(), Spec { place: said, ..handler }];
    let specs = (51..).map(SpecId::new).zip(specs).collect();
    world.say(ToWorker::Grant(ganger_proto::message::Grant { specs, runs: vec![] }));
    world.grant(1, 51, &["a"]);
    world.grant(2, 52, &["b"]);
    assert_eq!(world.act(), "start 1 in io 0; start 2 in 0");
}

#[test]
fn the_hold_of_a_lane_follows_its_own_tasks() {
    let mut world = World::connected(1);
    let mut told = Vec::new();
    let mut hold = |world: &mut World| {
        for effect in world.core.drain(world.now_us) {
            if let Effect::Send(WorkerMessage::Hold { tasks }) = effect {
                told.push((tasks.cpu, tasks.io));
            }
        }
    };
    for first in 0..40 {
        world.grant(1 + first * 2, SLEEP, &["1ms"]);
        world.grant(2 + first * 2, IO_SLEEP, &["5s"]);
        hold(&mut world);
        world.pass(1);
        hold(&mut world);
        world.pass(4_999);
        hold(&mut world);
    }
    assert_eq!(told.last(), Some(&(31, 2)), "one lane fetches ahead: {told:?}");
    assert_eq!(world.core.hello(Present::default()).hold, PerLane { cpu: 31, io: 2 });
}
