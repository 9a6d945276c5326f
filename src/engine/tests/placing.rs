//! Where tasks run and when: lanes, needs, labels, handlers; batches that wait for others, are held
//! to a number at once or to a rate; leases that move to idle workers, retries that go elsewhere.

use ganger_proto::TaskId;

use super::super::ledger::Ledger;
use super::super::task::State;
use super::bench::{Bench, check, check_heard};

fn workers(bench: &Bench) -> String {
    let ids = (1..bench.engine.ledger.next_task).map(TaskId::new);
    let worker = |id| bench.engine.worker_of(&bench.engine.ledger.task(id));
    ids.map(worker)
        .map(|name| if name.is_empty() { "-".into() } else { name })
        .collect::<Vec<_>>()
        .join(" ")
}

#[track_caller]
fn check_workers(script: &str, expected: &str) {
    let mut bench = Bench::new();
    bench.run(script);
    assert_eq!(workers(&bench), expected, "after: {script}");
}

#[test]
fn lanes_have_slots_of_their_own() {
    check_workers("join a hold=1 io=2; submit 2; submit 4 lane=io", "a - a a - -");
    check_workers("join a hold=1 io=2; submit 4 lane=io; submit 2; done 1", "a a a - a -");
    check_workers("join a; submit 1 lane=io; submit 1", "- a");
    check_workers("join a hold=0 io=1 handler=h; submit 2 handler=h; submit 1", "a - -");
}

#[test]
fn tasks_go_where_what_they_need_is() {
    check_workers("join a hold=9; join b hold=9 label=zone:eu; submit 2 on=zone:eu", "b b");
    check_workers("join a hold=9 has=gpu:2; submit 3 need=gpu:1; submit 1", "a a - a");
    check_workers("join a hold=9 has=gpu:2; submit 3 need=gpu:1; done 2; submit 1", "a a a a");
    check_workers("join a hold=4 slots=4; submit 3 need=cpu:2", "a a -");
    check_workers("join a hold=4 slots=1; submit 1 need=cpu:2; submit 1", "- a");
    check_workers("join a hold=9; submit 1 handler=h; submit 1; join b handler=h io=1", "b a");
    check_workers("join a hold=4 slots=2; submit 3; submit 2 need=cpu:2; done 1", "a a a a -");
}

#[test]
fn a_class_that_nobody_takes_holds_nobody_up() {
    check_workers("join a hold=2; submit 5 need=gpu:1 priority=9; submit 2", "- - - - - a a");
    check_workers("submit 1 on=x:y; submit 1; join a; done 2; join b label=x:y", "b a");
}

#[test]
fn a_batch_waits_for_others() {
    check("join a; submit 2; submit 1 after=1", "sent queued blocked");
    check("join a; submit 1; submit 2 after=1; done 1", "done sent queued");
    check("join a; submit 1; submit 1 after=1; fail 1", "failed failed");
    check("join a; submit 1; submit 1 after=1:any; fail 1", "failed sent");
    check(
        "submit 1; submit 1 after=1; submit 1 after=2; submit 1 after=3:any; kill 1",
        "cancelled failed failed queued",
    );
    check("join a; submit 1; done 1; submit 1 after=1", "done sent");
    check("submit 1; submit 1; submit 1 after=1 after=2; kill 1", "cancelled queued failed");
    check(
        "join a hold=2; submit 1; submit 1; submit 1 after=1 after=2; done 1",
        "done sent blocked",
    );
    check(
        "join a hold=2; submit 1; submit 1; submit 1 after=1 after=2; done 1; done 2",
        "done done sent",
    );
    check("join a; submit 1; submit 1 after=1 delay=5000; done 1", "done delayed");
    check("join a; submit 1; submit 1 after=1 delay=50; wait 60; done 1", "done sent");
    check("submit 1; submit 1 after=1; cancel 2", "queued cancelled");
    check("join a; submit 1; submit 1 after=1; fail 1; retry 2", "failed sent");
    check_heard("submit 1; submit 1 after=1; retry 2", "no");
    check_heard("submit 1; submit 1 after=1; delete 2", "no");
    check_heard(
        "submit 1 after=1",
        "refused: there is no batch b1; `ganger ls` and `ganger \
        status` name the ones there are",
    );
    check_heard(
        "submit 1; submit 1 after=1; submit 1 after=2; kill 1",
        "ok b1 ended b2 ended b3 ended",
    );
    check("join a; submit 1; submit 1 after=1; restart; rejoin a; done 1", "done sent");
}

#[test]
fn a_batch_keeps_to_its_number_at_once() {
    check("join a hold=9; join b hold=9; submit 5 jobs=2", "sent sent queued queued queued");
    check("join a hold=9; submit 5 jobs=2; done 1", "done sent sent queued queued");
    check("join a hold=9; submit 3 jobs=2; submit 1", "sent sent queued sent");
    check("join a hold=9; submit 3 jobs=1 retries=1; fail 1", "delayed sent queued");
    check("join a hold=9; submit 3 jobs=1; priority 3 5; done 1", "done queued sent");
    check("join a hold=9; submit 3 jobs=1; restart; rejoin a hold=9; done 1", "done sent queued");
    check(
        "join a hold=9; submit 3 jobs=1; leave a; wait 1100; join b hold=9",
        "sent queued queued",
    );
}

#[test]
fn a_batch_keeps_to_its_rate() {
    check("join a hold=9; submit 4 rate=10/1000", "sent queued queued queued");
    check("join a hold=9; submit 4 rate=10/1000; wait 99", "sent queued queued queued");
    check("join a hold=9; submit 4 rate=10/1000; wait 100; wait 100", "sent sent sent queued");
    check("join a hold=9; submit 4 rate=10/1000; wait 900", "sent sent queued queued");
    check("join a hold=9; submit 4 rate=100/1000; wait 50; wait 1", "sent sent sent sent");
    check("join a hold=9; submit 1 rate=10/1000; submit 1 rate=10/1000", "sent sent");
    check_heard(
        "submit 1 rate=0/1000",
        "refused: a rate has at least one start in at least a \
        millisecond",
    );
}

#[test]
fn leases_that_wait_move_to_an_idle_worker() {
    let late = "join a hold=4; submit 4; start 1; wait 100; join b hold=1; wait 60";
    check_heard(late, "back*2");
    check_workers(&format!("{late}; release 4; release 3"), "a a a b");
    check_workers(&format!("{late}; nothing-back 4"), "a a a a");
    check_heard(&format!("{late}; wait 499"), "");
    check_heard(&format!("{late}; wait 500"), "stale*2 grant*1 grant*1");
    check_heard("join a hold=4; submit 4; wait 20; join b hold=1; wait 49", "");
    let fit = "join a hold=4 label=x:y; submit 4 on=x:y; start 1; wait 100; join b; wait 60";
    check_heard(fit, "");
    check_heard("join a hold=2; submit 2; start 1; start 2; wait 100; join b; wait 60", "");
}

#[test]
fn a_retry_goes_elsewhere_first() {
    let two = "join a; join b hold=0; submit 1 retries=2; fail 1; wait 100";
    check_workers(&format!("{two}; hold b 1"), "b");
    check("join a; join b hold=0; submit 1 retries=2; fail 1; wait 100", "queued");
    check(
        "join a; join b hold=0; submit 1 retries=2; fail 1; wait 900; beat a; beat b; wait 900; beat a; beat b; wait 900",
        "sent",
    );
    check("join a; join b hold=0; submit 1 retries=2; fail 1; wait 100; leave b", "sent");
    check("join a; join b hold=0; submit 1 retries=2; fail 1; wait 100; drain b", "sent");
    check("join a; submit 1 retries=2; fail 1; wait 100", "sent");
    check(
        "join a; join b hold=0; submit 1 retries=2 need=cpu:1; fail 1; wait 100; submit 1",
        "queued sent",
    );
}

#[test]
fn what_format_3_adds_survives_a_replay_and_a_snapshot() {
    let mut bench = Bench::new();
    bench.run(
        "submit 1 label=stage:prod; submit 2 after=1 jobs=3 rate=5/1000 need=gpu:1 on=x:y lane=io",
    );
    let restored = Ledger::restore(bench.engine.ledger.snapshot()).unwrap();
    for ledger in [&bench.engine.ledger, &bench.replayed, &restored] {
        let batch = ledger.batches.known(ganger_proto::BatchId::new(2));
        let options = &batch.options;
        assert_eq!((options.after.len(), options.jobs_max), (1, 3));
        assert_eq!(options.rate.unwrap().to_string(), "5/s");
        let class = ledger.batches.classes.get(batch.class);
        assert_eq!(class.place.needs[0].to_string(), "gpu=1");
        assert_eq!((class.place.on.len(), class.place.lane.map(|l| l.word())), (1, Some("io")));
        assert_eq!(ledger.in_state(State::Blocked).len(), 2);
        assert_eq!(ledger.batches.waiting_for(ganger_proto::BatchId::new(1)).len(), 1);
    }
}
