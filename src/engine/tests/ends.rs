//! Ends that a follower has not heard of, and what it says to have heard.

use ganger_proto::{BatchId, TaskId};

use super::bench::Bench;
use crate::engine::runs::{IdSet, TaskRun};

fn run(first: u64, count: u64) -> TaskRun {
    TaskRun { first: TaskId::new(first), count }
}

#[test]
fn a_follower_hears_of_each_end_that_it_was_not_told() {
    let mut bench = Bench::new();
    bench.run("join a hold=9; submit 4; submit 2; wait 1; done 3; wait 1; fail 1; wait 1; done 5");
    let told = |runs: &[TaskRun]| runs.iter().copied().collect::<IdSet>();
    let check = |batch: u64, told: &IdSet, rows: usize, expected: &[(u64, u64)]| {
        let found = bench.engine.ended_besides(BatchId::new(batch), told, rows);
        let found: Vec<_> = found.iter().map(|(id, index, _)| (id.raw(), *index)).collect();
        assert_eq!(found, expected);
    };
    // The oldest end comes first, whatever its id.
    check(1, &told(&[]), 9, &[(3, 2), (1, 0)]);
    check(1, &told(&[]), 1, &[(1, 0)]);
    check(1, &told(&[run(3, 1)]), 9, &[(1, 0)]);
    check(1, &told(&[run(1, 3)]), 9, &[]);
    check(2, &told(&[run(1, 3)]), 9, &[(5, 0)]);
    check(7, &told(&[]), 9, &[]);
}

#[test]
fn what_was_heard_is_cut_to_the_batch() {
    let mut bench = Bench::new();
    bench.run("submit 2; submit 3; submit 2");
    let within = |runs: &[TaskRun]| {
        let set = bench.engine.within(BatchId::new(2), runs.iter().copied());
        set.runs().collect::<Vec<_>>()
    };
    assert_eq!(within(&[run(1, 9)]), [run(3, 3)]);
    assert_eq!(within(&[run(0, u64::MAX / 2), run(4, 1)]), [run(3, 3)]);
    assert_eq!(within(&[run(4, 1), run(7, 1)]), [run(4, 1)]);
    assert_eq!(within(&[run(6, 50)]), []);
    assert_eq!(within(&[]), []);
    let none = bench.engine.within(BatchId::new(9), [run(1, 9)].into_iter());
    assert!(none.is_empty());
    assert_eq!(bench.engine.argument_of(TaskId::new(4)).as_deref(), Some(&b"7"[..]));
}
