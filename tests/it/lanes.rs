//! Lanes, needs, labels and take-back, with the real programs: what runs at once, where, and what
//! moves to a worker that idles.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{Rig, run, wait_for};

/// A shell line that waits for a file, then says where it ran.
const UNTIL_GO: &str = "until [ -e go ]; do sleep 0.05; done; echo $GANGER_WORKER $GANGER_LANE";
/// A shell line that writes down when it begins and ends.
const LOGGED: &str = "echo + >> log; sleep 0.2; echo - >> log";

/// Submits shell lines that run in `dir`.
fn submit(rig: &Rig, dir: &Path, flags: &[&str], line: &str) {
    let mut command = rig.command(&["submit"]);
    command.args(flags).args(["--shell", line]).current_dir(dir);
    let said = run(command, b"");
    assert_eq!(said.code, 0, "{said:?}");
}

fn all_done(rig: &Rig, count: u64) {
    wait_for("the end of all tasks", || (rig.count("done") == count).then_some(()));
}

fn worker(rig: &Rig, name: &str) -> Value {
    rig.workers().into_iter().find(|row| row["name"] == name).unwrap_or_default()
}

/// Returns how many tasks of the log ran at once at most.
fn most_at_once(dir: &Path) -> i32 {
    let log = std::fs::read_to_string(dir.join("log")).unwrap();
    let mut running = 0;
    let counts = log.lines().map(|line| {
        running += if line == "+" { 1 } else { -1 };
        running
    });
    counts.max().unwrap()
}

#[test]
fn the_lane_for_waiting_has_many_slots_and_the_other_as_many_as_were_asked_for() {
    let rig = Rig::with_worker();
    let dir = TempDir::new().unwrap();
    submit(&rig, dir.path(), &["--lane", "io", "--repeat", "20"], UNTIL_GO);
    wait_for("20 tasks at once", || {
        let busy = &worker(&rig, "local")["busy"];
        (busy["io"] == 20 && busy["cpu"] == 0).then_some(())
    });
    submit(&rig, dir.path(), &["--lane", "cpu", "--repeat", "6"], LOGGED);
    all_done(&rig, 6);
    assert!((1..=2).contains(&most_at_once(dir.path())));
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    assert_eq!(log.lines().count(), 12, "no task ran twice");
    std::fs::write(dir.path().join("go"), "").unwrap();
    all_done(&rig, 26);
    let said = rig.ok(&["results", "b1"]);
    assert_eq!(said, "local io\n".repeat(20));
    let page = rig.ok(&["workers", "local"]);
    assert!(page.contains("cpu 2, 0 busy; io 64, 0 busy"), "{page}");
}

#[test]
fn what_needs_two_slots_runs_alone_on_two() {
    let rig = Rig::with_worker();
    let dir = TempDir::new().unwrap();
    submit(&rig, dir.path(), &["--needs", "cpu=2", "--repeat", "4"], LOGGED);
    all_done(&rig, 4);
    assert_eq!(most_at_once(dir.path()), 1);
}

#[test]
fn one_gpu_is_used_by_one_task_at_a_time_whatever_its_lane() {
    let rig = Rig::bare();
    let dir = TempDir::new().unwrap();
    let _card = rig.join_worker_with("card", &["--slots", "4", "--resource", "gpu=1"]);
    let _plain = rig.join_worker("plain", "4");
    let needs = ["--needs", "gpu=1,mem=1M", "--repeat", "4"];
    submit(&rig, dir.path(), &needs, LOGGED);
    submit(&rig, dir.path(), &[&needs[..], &["--lane", "io"]].concat(), LOGGED);
    all_done(&rig, 8);
    assert_eq!(most_at_once(dir.path()), 1);
    assert_eq!(worker(&rig, "card")["done"], 8);
    let page = rig.ok(&["workers", "card"]);
    assert!(page.contains("resources") && page.contains("gpu=1 mem="), "{page}");
}

#[test]
fn a_label_says_which_workers_may_have_it() {
    let rig = Rig::bare();
    let dir = TempDir::new().unwrap();
    let _here = rig.join_worker("here", "4");
    let _there = rig.join_worker_with("there", &["--slots", "1", "--label", "zone=eu"]);
    submit(&rig, dir.path(), &["--on", "zone=eu", "--repeat", "10"], "echo $GANGER_WORKER");
    all_done(&rig, 10);
    assert_eq!(rig.ok(&["results"]), "there\n".repeat(10));
}

#[test]
fn long_tasks_that_wait_move_to_a_worker_that_comes_late() {
    let rig = Rig::bare();
    let dir = TempDir::new().unwrap();
    let _busy = rig.join_worker("busy", "2");
    submit(&rig, dir.path(), &["--repeat", "4"], UNTIL_GO);
    wait_for("two that run and two that wait", || {
        let row = worker(&rig, "busy");
        (row["running"] == 2 && row["waiting"] == 2).then_some(())
    });
    let _late = rig.join_worker("late", "2");
    wait_for("one that moved", || (worker(&rig, "late")["running"] == 1).then_some(()));
    assert_eq!(worker(&rig, "busy")["waiting"], 1, "half of what waited was taken back");
    std::fs::write(dir.path().join("go"), "").unwrap();
    all_done(&rig, 4);
    let said = rig.ok(&["results"]);
    assert_eq!(said.lines().count(), 4, "{said}");
    let workers: BTreeSet<&str> = said.lines().collect();
    assert_eq!(workers, BTreeSet::from(["busy cpu", "late cpu"]));
}
