//! What one worker or one submitter can take of the memory has a bound.

use super::super::task::State;
use super::bench::Bench;

/// Each word that an attempt had started noted another moment at which to give it up, to be kept
/// until then: one worker could fill the memory. So did each attempt that ended in time.
#[test]
fn an_attempt_is_given_up_at_one_moment() {
    let mut bench = Bench::new();
    bench.run("submit 2 limit=500000; join a");
    for _ in 0..1_000 {
        bench.run("start 1; wait 1; beat a");
    }
    assert_eq!(bench.engine.soft.timeouts.len(), 1);
    bench.run("rejoin a; leave a; rejoin a twice");
    assert_eq!(bench.engine.soft.timeouts.len(), 1);
    let mut bench = Bench::with_limit(6_000);
    bench.run("submit 3000 limit=500000; join a");
    for task in 1..=3_000 {
        bench.run(&format!("start {task}; done {task}"));
    }
    assert_eq!(bench.engine.ledger.tally.of(State::Done), 3_000);
    assert!(bench.engine.soft.timeouts.len() < 1_100);
}

/// Only tasks were counted: with long arguments a submitter could fill the memory, and the master
/// could not start again.
#[test]
fn arguments_take_no_more_memory_than_they_may() {
    let mut bench = Bench::new();
    bench.engine.settings.bytes_max = 6_000;
    let full = "refused: the arguments of all batches take the master's limit of 6000 bytes of \
                memory; delete finished batches and submit again, or pass paths of files as \
                arguments";
    for (command, heard) in [
        ("submit 900 label=a:b", "b1:900"),
        ("submit 900", full),
        ("submit 900 args=range after=1", "b2:900"),
        ("submit 1", full),
        ("cancel-all state:queued", "ok*900 b1 ended b2 ended"),
        ("delete-batch 1", "ok*900"),
        ("submit 900 line=true", "b3:900"),
    ] {
        bench.run(command);
        assert_eq!(bench.heard, heard, "{command}");
    }
    bench.run("cancel-all state:queued; delete-batch 2; delete-batch 3");
    assert_eq!(bench.engine.ledger.batches.bytes, 0);
}

/// The last number was never thought to come: the master ended, and at each start again.
#[test]
fn a_store_whose_numbers_are_used_up_begins_nothing_and_hears_what_runs() {
    let mut bench = Bench::new();
    bench.run("submit 2; join a hold=1");
    bench.engine.ledger.next_block = u64::from(u32::MAX) - 1_000;
    bench.run("submit 1");
    assert!(bench.heard.contains("as many reports as it can"), "{}", bench.heard);
    bench.run("done 1");
    assert_eq!(bench.states(), "done queued");
}
