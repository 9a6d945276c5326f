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
