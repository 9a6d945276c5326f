//! Why tasks wait, as sentences; what is remembered of workers.

use ganger_proto::{Name, TaskId};

use super::bench::Bench;

/// Runs a script and compares why task `id` is where it is.
#[track_caller]
fn check(script: &str, id: u64, says: &[&str]) {
    let mut bench = Bench::new();
    bench.run(script);
    let why = bench.engine.why(bench.now, TaskId::new(id)).unwrap();
    let sentences: Vec<String> = why.reasons.iter().map(ToString::to_string).collect();
    let begins = sentences.iter().map(|s| s.split([';', ':']).next().unwrap_or(s));
    assert_eq!(begins.collect::<Vec<_>>(), says, "after: {script}; {sentences:#?}");
}

#[test]
fn waiting_tasks_say_why() {
    check("submit 1", 1, &["no worker is connected"]);
    check("submit 1; join a; leave a; wait 1100", 1, &["no worker is connected, 1 is lost"]);
    check(
        "submit 2; pause default; join a",
        2,
        &["queue default is paused", "1 older task goes first in queue default"],
    );
    let busy = "1 slot on 1 worker is busy";
    check("join a; submit 3", 2, &[busy]);
    check("join a; submit 3", 3, &[busy, "1 older task goes first in queue default"]);
    check(
        "join a; submit 3; submit 2 priority=4",
        3,
        &[busy, "2 tasks of a higher priority and 1 older one go first in queue default"],
    );
    check("join a; submit 3; priority 3 9", 3, &[busy]);
    check("join a; drain a; submit 1", 1, &["a could run it but drains"]);
    check(
        "join a; join b hold=0; submit 1; unfit 1; leave b; leave a",
        1,
        &["no worker is connected, 2 are lost"],
    );
    check(
        "join a; join b hold=0; submit 1; unfit 1; leave b",
        1,
        &["a said that it cannot run there"],
    );
    check(
        "join a allows=exec; submit 1 line=ls",
        1,
        &["the one connected worker, a, does not allow shell"],
    );
    check(
        "join a allows=exec; join b allows=exec; drain b; submit 1 line=ls",
        1,
        &["none of 2 connected workers allows shell"],
    );
}

#[test]
fn tasks_that_are_held_back_say_by_what() {
    check(
        "submit 3; submit 1 after=1",
        4,
        &["it waits for b1, of which 3 of 3 tasks have not ended"],
    );
    check("submit 1; submit 1 after=1; kill 1", 2, &["it failed 0µs ago before it ran"]);
    check(
        "join a hold=9; submit 3 jobs=2",
        3,
        &["2 tasks of b1 at once were asked for, and so many run"],
    );
    check(
        "join a hold=9; submit 3 rate=1/5000",
        3,
        &["b1 starts 1/5s at most, over all workers", "1 older task goes first in queue default"],
    );
    check(
        "join a label=zone:us; submit 1 on=zone:eu",
        1,
        &["the one connected worker, a, lacks the label zone=eu (it has zone=us)"],
    );
    check(
        "join a; join b has=gpu:1; submit 1 need=gpu:2",
        1,
        &["none of 2 connected workers fits"],
    );
    check(
        "join a; submit 1 handler=h",
        1,
        &["the one connected worker, a, has no handler h (it has none)"],
    );
    check(
        "join a; submit 1 need=gpu:1",
        1,
        &["the one connected worker, a, lacks gpu=1 (it has none)"],
    );
    check(
        "join a; submit 1 lane=io",
        1,
        &["the one connected worker, a, has no slot in the lane io"],
    );
    check("join a hold=9 has=gpu:1; submit 2 need=gpu:1", 2, &["1 slot on 1 worker is busy"]);
}

#[test]
fn other_states_say_where_the_task_is() {
    check("submit 1 delay=3000; join a", 1, &["it was submitted to begin in 3.0s"]);
    let waits = "attempt 1 of 3 failed and the next begins in";
    let mut bench = Bench::new();
    bench.run("submit 1 retries=2; join a; start 1; fail 1");
    let why = bench.engine.why(bench.now, TaskId::new(1)).unwrap();
    assert!(why.reasons[0].to_string().starts_with(waits), "{why:?}");
    check(
        "submit 1; join a; wait 20",
        1,
        &["a has had it for 20ms and begins it when one of its slots is free"],
    );
    check("submit 1; join a; start 1; wait 20", 1, &["it runs on a, for 20ms, attempt 1 of 1"]);
    check(
        "submit 1; join a; start 1; cancel 1",
        1,
        &["it runs on a, for 0µs, attempt 1 of 1", "a cancel was asked for"],
    );
    check("submit 1; join a; done 1", 1, &["it ended 0µs ago"]);
    check("submit 1; cancel 1", 1, &["it was cancelled 0µs ago before it ran"]);
    let bench = Bench::new();
    assert_eq!(bench.engine.why(bench.now, TaskId::new(1)), None);
}

#[test]
fn what_no_worker_allows_is_said_once() {
    let stuck = |script: &str| {
        let mut bench = Bench::new();
        bench.run(script);
        bench.engine.stuck()
    };
    assert_eq!(stuck("submit 3 line=ls"), "", "no worker is another matter");
    let said = "3 tasks need shell; no worker allows it";
    assert_eq!(stuck("submit 3 line=ls; submit 2; join a allows=exec"), said);
    assert_eq!(stuck("submit 3 line=ls; join a allows=exec; pause default"), "");
    assert_eq!(stuck("submit 3 line=ls; join a allows=exec; join b hold=0"), "");
    assert_eq!(stuck("submit 1; join a allows=exec; drain a"), "");
    let needs = "2 tasks need gpu=1; no worker offers it";
    assert_eq!(stuck("submit 2 need=gpu:1; submit 1; join a"), needs);
    assert_eq!(
        stuck("submit 1 handler=h; join a"),
        "1 task needs the handler h; no worker offers it"
    );
}

#[test]
fn a_workers_moments_are_remembered_up_to_a_limit() {
    let moments = |script: &str| {
        let mut bench = Bench::new();
        bench.run(script);
        let name = Name::parse("a").unwrap();
        let (_, detail) = bench.engine.worker_detail(bench.now, &name).unwrap();
        let said = detail.moments.iter().map(|moment| moment.what.to_string());
        (said.collect::<Vec<_>>().join(", "), detail)
    };
    let (said, detail) = moments("submit 3; join a hold=2; start 2; slots a 5; drain a");
    assert_eq!(said, "told to drain, told to use 5 slots, came");
    let holds: Vec<u64> = detail.holds.iter().map(|row| row.task.raw()).collect();
    assert_eq!((holds, detail.holds_total, detail.row.slots), (vec![2, 1], 2, 5));
    let (said, _) = moments("submit 1; join a; start 1; leave a; wait 20; rejoin a");
    assert_eq!(said, "came back after 20ms, went away with 1 task, came");
    let (said, _) = moments("submit 1; join a; start 1; leave a; wait 1100");
    assert_eq!(said, "lost with 1 task, back in the queue, went away with 1 task, came");
    let (_, detail) = moments(&format!("join a; {}", "drain a; undrain a; ".repeat(40)));
    assert_eq!(detail.moments.len(), ganger_proto::gang::MOMENTS_MAX);
}
