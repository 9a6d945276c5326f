//! What is gone costs nothing: neither the batch of any length, nor what ended behind a task that
//! stays.

use super::super::task::State;
use super::bench::Bench;

const DAY: &str = "wait 86500000";

/// To remove a range, a record was made of each of its tasks first, and for each it was asked what
/// was kept of it: 4 GB and ten seconds, in which no lease was renewed; a small host never ended
/// it, nor came back from its journal.
#[test]
fn a_range_goes_as_cheaply_as_it_came() {
    let ran = "join a; start 1; done 1; start 2; fail 2; leave a; wait 1100";
    for gone in ["delete-batch 1", "wait 604900000"] {
        let mut bench = Bench::with_limit(200_000_000);
        bench.run(&format!("submit 100000000 args=range; {ran}; cancel-all state:queued"));
        let cancelled = bench.engine.ledger().tally.of(State::Cancelled);
        assert!(cancelled >= 99_999_990, "{cancelled} were cancelled");
        // The first page, where some ran, and the last one, which is not full.
        assert_eq!(bench.engine.ledger().table.pages_each(), 2);
        bench.run(gone);
        for ledger in [bench.engine.ledger(), &bench.replayed] {
            assert!(ledger.batches.all.is_empty(), "after {gone}");
            assert_eq!(ledger.tally.ended() + ledger.tally.open(), 0);
            assert!(ledger.table.pages_each() <= 2);
            assert!(ledger.blocks.is_empty() && ledger.history.is_empty());
        }
        assert_eq!(bench.engine.ledger().digest(), bench.replayed.digest());
    }
}

/// Records were given back only from the oldest task on, so one that stayed kept those of all that
/// came after it.
#[test]
fn an_old_task_does_not_keep_the_records_of_those_after_it() {
    let some = "kill 2; kill 1500; kill 2500; kill 3500; cancel-all state:queued";
    let mut bench = Bench::new();
    bench.run(&format!("submit 1 delay=999999999; submit 4000; {some}"));
    assert_eq!(bench.engine.ledger().table.pages_each(), 4);
    bench.run(DAY);
    assert_eq!(bench.engine.ledger().batches.all.len(), 1);
    // The page of the old task, and the last one, which has records of tasks to come.
    assert_eq!(bench.engine.ledger().table.pages_each(), 2);
    bench.run(&format!("submit 900; cancel-all state:queued; {DAY}; wait 999999999"));
    assert_eq!(bench.engine.ledger().tally.open(), 1);
}

/// Ended tasks of a batch that still ran counted as well: while a large one ran, the results of
/// all others went before anybody could read them.
#[test]
fn a_batch_that_runs_drives_out_nobody() {
    let mut bench = Bench::new();
    bench.engine.settings.keep_tasks = 3;
    bench.engine.settings.keep_least_ms = 600_000;
    let some = "kill 1; kill 2; kill 3; kill 4; kill 7";
    bench.run(&format!("submit 6; submit 1; {some}; wait 700000"));
    assert_eq!(bench.states(), "cancelled cancelled cancelled cancelled queued queued cancelled");
    // All are finished, and too many: those go that were there for ten minutes.
    bench.run("kill 5; kill 6; wait 60001");
    assert_eq!(bench.states(), format!("{}gone", "cancelled ".repeat(6)));
    bench.run("wait 480000");
    assert_eq!(bench.states(), format!("{}gone", "cancelled ".repeat(6)));
    bench.run("wait 60001");
    assert_eq!(bench.states(), "gone ".repeat(7).trim());
}
