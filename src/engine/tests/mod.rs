//! The table of states and commands, cell by cell, and the stories beside it, as scripts of a line
//! each. What random commands do is in `tests/sim`.

pub(crate) mod bench;
mod bounds;
mod deeds;
mod ends;
mod golden;
mod hostile;
mod lanes;
mod large;
mod largest;
mod placing;
mod removals;
mod searches;
mod shorts;
mod why;

use ganger_proto::{BatchId, TaskId};

use super::Engine;
use super::ledger::HISTORY_MAX;
use bench::{Bench, check, check_heard, settings};

/// How a task comes into each state of the table.
const STATES: [(&str, &str); 8] = [
    ("delayed", "join a; submit 1 delay=5000 retries=1"),
    ("queued", "join a hold=0; submit 1 retries=1"),
    ("sent", "join a; submit 1 retries=1"),
    ("running", "join a; submit 1 retries=1; start 1"),
    ("running", "join a; submit 1 retries=1; start 1; cancel 1"),
    ("done", "join a; submit 1 retries=1; start 1; done 1"),
    ("failed", "join a; submit 1; start 1; fail 1; hold a 0"),
    ("cancelled", "join a; submit 1 retries=1; kill 1; hold a 0"),
];

/// Runs one command in every state; a cell is `state after/what was answered`.
#[track_caller]
fn check_row(command: &str, cells: &str) {
    assert_eq!(cells.split(" | ").count(), STATES.len());
    for ((state, setup), cell) in STATES.iter().zip(cells.split(" | ")) {
        let mut bench = Bench::new();
        bench.run(setup);
        assert_eq!(bench.states(), *state, "after: {setup}");
        bench.run(command);
        let seen = format!("{}/{}", bench.states(), bench.heard);
        assert_eq!(seen, cell, "{command} after: {setup}");
    }
}

#[test]
fn workers_words_in_every_state() {
    check_row(
        "start 1",
        "delayed/stale*1 | queued/stale*1 | running/ | running/ | running/ | \
         done/stale*1 | failed/stale*1 | cancelled/stale*1",
    );
    check_row(
        "done 1",
        "delayed/ack stale*1 | queued/ack stale*1 | done/ack b1 ended | \
         done/ack b1 ended | done/ack b1 ended | done/ack stale*1 | \
         failed/ack stale*1 | cancelled/ack stale*1",
    );
    check_row(
        "fail 1",
        "delayed/ack stale*1 | queued/ack stale*1 | delayed/ack | delayed/ack | \
         cancelled/ack b1 ended | done/ack stale*1 | failed/ack stale*1 | \
         cancelled/ack stale*1",
    );
    check_row(
        "hold a 0; release 1",
        "delayed/ | queued/ | queued/ | queued/ | cancelled/b1 ended | done/ | \
         failed/ | cancelled/",
    );
    check_row(
        "hold a 0; beat a",
        "delayed/ | queued/ | sent/ | running/ | running/ | done/ | failed/ | \
         cancelled/",
    );
    check_row(
        "hold a 1",
        "delayed/ | sent/grant*1 | sent/ | running/ | running/ | done/ | failed/ | \
         cancelled/",
    );
}

#[test]
fn time_in_every_state() {
    check_row(
        "hold a 0; wait 1001",
        "delayed/ | queued/ | queued/stale*1 | queued/stale*1 | \
         cancelled/stale*1 b1 ended | done/ | failed/ | cancelled/",
    );
    check_row(
        "hold a 0; leave a; wait 5000",
        "queued/ | queued/ | queued/ | queued/ | cancelled/b1 ended | done/ | \
         failed/ | cancelled/",
    );
    let week = "leave a; wait 604900000";
    check_row(
        week,
        "queued/ | queued/ | queued/ | queued/ | cancelled/b1 ended | gone/ | gone/ | \
         gone/",
    );
    check_row(
        "leave a; wait 86500000",
        "queued/ | queued/ | queued/ | queued/ | cancelled/b1 ended | gone/ | \
         failed/ | gone/",
    );
}

#[test]
fn commands_in_every_state() {
    check_row(
        "cancel 1",
        "cancelled/ok b1 ended | cancelled/ok b1 ended | \
         cancelled/stale*1 ok b1 ended | running/stop*1 asked | running/stop*1 asked | \
         done/ended | failed/ended | cancelled/ended",
    );
    check_row(
        "kill 1",
        "cancelled/ok b1 ended | cancelled/ok b1 ended | \
         cancelled/stale*1 ok b1 ended | cancelled/stale*1 ok b1 ended | \
         cancelled/stale*1 ok b1 ended | done/ended | failed/ended | cancelled/ended",
    );
    check_row(
        "delete 1",
        "delayed/no | queued/no | sent/no | running/no | running/no | gone/ok | \
         gone/ok | gone/ok",
    );
    check_row(
        "hold a 0; retry 1",
        "queued/ok | queued/ | sent/no | running/no | running/no | done/ended | \
         queued/ok | queued/ok",
    );
    check_row(
        "priority 1 9",
        "delayed/ok | queued/ok | sent/ok | running/ok | running/ok | done/ended | \
         failed/ended | cancelled/ended",
    );
    check_row(
        "submit 1 key=1",
        "delayed/b1:1 again | queued/b1:1 again | sent/b1:1 again | \
         running/b1:1 again | running/b1:1 again | done/b1:1 again | \
         failed/b1:1 again | cancelled/b1:1 again",
    );
    check_row(
        "restart",
        "delayed/ | queued/ | sent/ | sent/ | sent/ | done/ | failed/ | cancelled/",
    );
}

#[test]
fn batches_of_every_form_run() {
    check("submit 3; join a hold=2", "sent sent queued");
    check("submit 3 args=range; join a hold=2; start 2; done 2", "sent done sent");
    check_heard("submit 3 args=range; join a hold=9", "hello grant*3");
    check_heard("submit 3 args=repeat", "refused: sleep needs an argument for each task");
    check_heard(
        "submit 0",
        "refused: there are no tasks to submit; the list of arguments is empty",
    );
    check_heard("submit 4000; submit 1 key=1", "b1:4000 again");
    check_heard(
        "submit 4000; submit 4000",
        "refused: the master holds its limit of 5000 tasks; \
         delete finished ones, or wait 5000 ms and submit again",
    );
    check_heard("submit 1; join a; done 1; delete 1; submit 2 key=1", "b2:2 grant*1");
}

#[test]
fn retries_wait_and_run_out() {
    check("submit 1 retries=1; join a; fail 1", "delayed");
    check("submit 1 retries=1; join a; fail 1; wait 100", "sent");
    check("submit 1 retries=1; join a; fail 1; wait 100; fail 1", "failed");
    check("submit 1 retries=1; join a; fail 1; wait 100; done 1", "done");
    check("submit 1 retries=1; join a; fail 1; wait 100; fail 1; retry 1; fail 1", "delayed");
    check("submit 2 retries=1; join a; fail 1; retry 1; leave a", "queued sent");
    check("submit 1 limit=100; join a; start 1; wait 500; beat a; wait 100; beat a", "failed");
    check("submit 1 limit=100; join a; wait 500; beat a; wait 500; beat a", "sent");
    check("submit 1 limit=100 retries=1; join a; timeout 1", "delayed");
    check("submit 1 retries=9; join a; useless 1", "failed");
    check("submit 1 retries=9; join a; useless 1; retry 1; useless 1", "failed");
    check("submit 1; join a; cancel 1; useless 1", "cancelled");
}

#[test]
fn a_lost_worker_costs_nothing_and_poison_ends() {
    let lose = "start 1 a; leave a; wait 1001; rejoin a; ".repeat(3);
    check(&format!("submit 1; join a; {lose}"), "sent");
    check(&format!("submit 1; join a; {lose} start 1; leave a; wait 1001"), "failed");
    check(&format!("submit 1; join a; {lose} leave a; wait 1001"), "queued");
    let give = "release 1; ".repeat(99);
    check(&format!("submit 1; join a; {give}"), "sent");
    check(&format!("submit 1; join a; {give} release 1"), "failed");
    check("submit 1; join a; start 1; join a2", "sent");
}

#[test]
fn a_worker_that_comes_back_keeps_what_it_holds() {
    check("submit 3; join a hold=2; start 1; leave a; rejoin a hold=2", "running sent queued");
    check_heard("submit 3; join a hold=2; start 1; leave a; rejoin a hold=2", "hello");
    check("submit 3; join a hold=2; leave a; join a hold=1", "sent queued queued");
    check("submit 1; join a; start 1; restart; rejoin a; wait 1500", "queued");
    check("submit 1; join a; start 1; restart; wait 1500; rejoin a", "sent");
    check("submit 1; join a; start 1; restart; wait 2500", "queued");
    check("submit 1; join a; restart; rejoin a; done 1", "done");
    check_heard("join a; leave a; rejoin a stranger", "hello, stale*2");
    check_heard("submit 1; join a; done 1; hold a 0; done-again 1", "ack");
}

#[test]
fn a_silent_worker_is_told_what_it_lost() {
    // Its connection stands, so nothing but this tells it to stop what runs elsewhere.
    check_heard("submit 2; join a hold=2; start 1; wait 1001", "stale*2");
    check("submit 1; join a; start 1; wait 1001; beat a", "sent");
}

#[test]
fn a_lease_presented_twice_is_kept_once() {
    check("submit 2; join a hold=2; leave a; rejoin a hold=2 twice", "sent sent");
}

#[test]
fn a_cancel_outlives_connections_and_masters() {
    let asked = "submit 1; join a; start 1; cancel 1";
    check_heard(&format!("{asked}; leave a; rejoin a"), "hello stop*1");
    check_heard(&format!("{asked}; restart; rejoin a"), "hello stop*1");
    check(&format!("{asked}; stopped 1"), "cancelled");
    check(&format!("{asked}; done 1"), "done");
    check("submit 1; join a; start 1; stopped 1", "sent");
}

#[test]
fn queues_pause_and_priorities_go_first() {
    check("submit 1 queue=mail; pause mail; join a", "queued");
    check_heard(
        "pause mail",
        "refused: there is no queue `mail`; `ganger queues` names the ones there are",
    );
    check("submit 1 queue=mail; pause mail; join a; resume mail", "sent");
    check("submit 1; submit 1 priority=5; join a", "queued sent");
    check("submit 3; priority 3 -1; priority 2 7; join a", "queued sent queued");
    check("submit 2; submit 2; join a; hold a 2", "sent queued sent queued");
}

#[test]
fn drained_workers_take_nothing() {
    check("join a; drain a; submit 1", "queued");
    check("join a; drain a; submit 1; undrain a", "sent");
    check("join a; drain a; leave a; restart; join a; submit 1", "queued");
    check("join a; rest a; submit 1", "queued");
    check_heard("join a; drain a; leave a; join a", "hello drain:On");
}

#[test]
fn tasks_that_do_not_fit_go_elsewhere_or_fail() {
    check("submit 1; join a; unfit 1", "failed");
    check("submit 1; join a; join b hold=0; unfit 1", "queued");
    check("submit 1; join a; join b hold=0; unfit 1; hold b 1", "sent");
    check("submit 1; join a; join b hold=0; unfit 1; hold b 1; unfit 1 b", "failed");
    // What one worker cannot run does not keep it from what it can.
    let mut bench = Bench::new();
    bench.run("join b hold=0; submit 1 priority=3; submit 1 priority=2; submit 1; join a");
    bench.run("unfit 1; unfit 2");
    assert_eq!(bench.states(), "queued queued sent");
}

#[test]
fn tasks_wait_for_a_worker_that_allows_them() {
    check("submit 1 line=ls; join a allows=exec", "queued");
    check("submit 1 line=ls; join a allows=exec; join b", "sent");
    check("submit 1 line=ls priority=5; submit 1; join a allows=exec", "queued sent");
    check("submit 1 line=ls; join a; join b allows=exec; unfit 1", "failed");
    check(
        "submit 2 line=ls; join a allows=exec hold=4; join b hold=1; submit 2",
        "sent queued sent sent",
    );
}

#[test]
fn slots_change_while_the_worker_is_here() {
    check_heard("join a; slots a 3", "slots:3");
    check_heard(
        "join a; slots a 0",
        "refused: a worker has 1 to 1024 slots; `ganger drain a` lets it take nothing",
    );
    let away = "refused: a is not connected, and its slots last only as long as its process; \
                start it with --slots 2 instead";
    check_heard("join a; leave a; slots a 2", away);
    check_heard(
        "slots a 2",
        "refused: there is no worker `a`; `ganger workers` names the ones there are",
    );
}

#[test]
fn workers_without_room_do_not_hide_the_one_that_has_some() {
    check("join a hold=2; join b hold=2; hold a 0; hold b 0; join c; submit 1", "sent");
    check(
        "submit 1; pause default; join a; join b; join c; rest a; rest b; resume default",
        "sent",
    );
}

#[test]
fn old_attempts_give_their_results_back() {
    let mut bench = Bench::new();
    bench.run("submit 1 retries=30; join a");
    bench.run(&"fail 1; wait 500; beat a; wait 500; beat a; ".repeat(20));
    let task = TaskId::new(1);
    assert_eq!(bench.engine.ledger.history[&task].len(), HISTORY_MAX);
    assert_eq!(bench.engine.ledger.blocks.len(), HISTORY_MAX);
    bench.run("fail 1; kill 1; delete 1");
    assert!(bench.engine.ledger.blocks.is_empty());
}

#[test]
fn a_replay_says_nothing_twice() {
    let mut bench = Bench::new();
    bench.run("submit 1; join a; output 1; done 1; delete 1");
    let ledger = std::mem::take(&mut bench.replayed);
    assert_eq!(ledger.noticed.blocks.len(), 1);
    assert_eq!(ledger.noticed.outputs.len(), 1);
    let out = Engine::with_ledger(settings(), ledger).drain(bench.now);
    assert!(!out.is_durable() && out.effects.is_empty());
}

#[test]
fn ids_that_were_never_given_are_not_there() {
    let no = "; it may have been deleted or its retention has passed";
    check_heard("submit 1; cancel 0", &format!("refused: there is no task 0{no}"));
    check_heard("submit 1; cancel 2", &format!("refused: there is no task 2{no}"));
    check_heard(
        "submit 1; join a; done 1; delete-batch 1; delete 1",
        &format!("refused: there is no task 1{no}"),
    );
    let mut bench = Bench::new();
    bench.run("submit 1; join a; done 1");
    assert!(bench.engine.ended_of(BatchId::new(1), TaskId::new(u64::MAX), 5).is_empty());
    assert_eq!(bench.engine.ended_of(BatchId::new(1), TaskId::new(0), 5).len(), 1);
}

#[test]
fn many_old_tasks_go_in_slices() {
    let mut bench = Bench::with_limit(100_000);
    for _ in 0..3 {
        bench.run("submit 15000 args=range");
    }
    bench.run("cancel-all state:queued; wait 1000");
    let left = |bench: &Bench| bench.engine.ledger.batches.all.len();
    assert_eq!(left(&bench), 3, "they are kept for a day");
    bench.run("wait 86400000");
    assert_eq!(left(&bench), 1, "a slice ends with the batch that fills it");
    assert!(bench.engine.wake_at(bench.now) <= bench.now.mono_ms + 50);
    bench.run("wait 50");
    assert_eq!(left(&bench), 0);
}
