//! Batches as people order them: one after the other, so many at once, so many a second, over all
//! workers.

use crate::rig::{Rig, wait_for};

#[test]
fn a_batch_begins_when_the_one_before_it_has_ended() {
    let rig = Rig::with_worker();
    rig.ok(&["pause", "default"]);
    let line = "echo $GANGER_BATCH >> order";
    let cwd = rig.home.path().to_str().unwrap();
    let submit = |more: &[&str]| {
        let words = ["submit", "--cwd", cwd, "--shell", line, "--repeat", "3"];
        rig.ok(&[&words[..], more].concat())
    };
    assert_eq!(submit(&[]), "b1\n");
    assert_eq!(submit(&["--after", "b1"]), "b2\n");
    assert_eq!(submit(&["--after", "b1", "--after", "b2:any"]), "b3\n");
    assert_eq!(rig.count("blocked"), 6);
    assert!(rig.ok(&["why", "4"]).contains("it waits for b1, of which 3 of 3 tasks"));
    assert!(rig.ok(&["ls", "--batches"]).contains("after b1 and 1 more"));
    assert_eq!(rig.ok(&["ls", "state:blocked", "--json"]).lines().count(), 6);
    rig.ok(&["resume", "default"]);
    rig.ok(&["wait", "b1", "b2", "b3"]);
    let order = std::fs::read_to_string(rig.home.path().join("order")).unwrap();
    let expected = ["b1", "b2", "b3"].map(|batch| format!("{batch}\n").repeat(3)).concat();
    assert_eq!(order, expected);
}

#[test]
fn a_batch_whose_way_is_blocked_for_good_fails_and_says_so() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--", "false"]);
    rig.ok(&["submit", "--after", "b1", "--", "true"]);
    rig.ok(&["submit", "--after", "b1:any", "--", "echo", "all the same"]);
    let said = rig.ganger(&["wait", "b2"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(rig.ok(&["why", "2"]).contains("a batch that it waited for did not end well"));
    assert!(rig.ganger(&["results", "b2"]).err.contains("failed before it ran"));
    rig.ok(&["wait", "b3"]);
    assert_eq!(rig.ok(&["results", "b3"]), "all the same\n");
    rig.ok(&["retry", "2"]);
    rig.ok(&["wait", "b2"]);
    let refused = rig.ganger(&["submit", "--after", "b99", "--", "true"]);
    assert_eq!((refused.code, refused.err.contains("no batch b99")), (3, true), "{refused:?}");
}

#[test]
fn no_more_tasks_run_at_once_than_were_asked_for() {
    let rig = Rig::with_worker();
    let _more = rig.join_worker("more", "4");
    let cwd = rig.home.path().to_str().unwrap();
    let line = "mkdir run.$GANGER_TASK && ls -d run.* | wc -l >> counts; sleep 0.1; \
                rmdir run.$GANGER_TASK";
    rig.ok(&["submit", "-j", "3", "--repeat", "24", "--cwd", cwd, "--shell", line, "--wait"]);
    let counts = std::fs::read_to_string(rig.home.path().join("counts")).unwrap();
    let counts: Vec<u32> = counts.lines().map(|line| line.trim().parse().unwrap()).collect();
    assert_eq!(counts.len(), 24);
    assert_eq!(counts.iter().max(), Some(&3), "{counts:?}");
}

#[test]
fn starts_keep_to_their_rate_over_all_workers() {
    let rig = Rig::with_worker();
    let _more = rig.join_worker("more", "4");
    let cwd = rig.home.path().to_str().unwrap();
    let line = "date +%s%N >> starts";
    rig.ok(&["submit", "--rate", "40/s", "--repeat", "120", "--cwd", cwd, "--shell", line]);
    let why = wait_for("a task that waits for the rate", || {
        let said = rig.ganger(&["why", "120"]).out;
        said.contains("b1 starts 40/s at most").then_some(said)
    });
    assert!(why.contains("over all workers"), "{why}");
    rig.ok(&["wait", "b1"]);
    let text = std::fs::read_to_string(rig.home.path().join("starts")).unwrap();
    let mut starts: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    starts.sort_unstable();
    assert_eq!(starts.len(), 120);
    let ms = (starts[119] - starts[0]) / 1_000_000;
    // 119 starts after the first at 25 ms each. A busy machine may be late, the master never early.
    assert!(ms * 100 >= 2_975 * 95, "{ms} ms for what takes 2,975");
}
