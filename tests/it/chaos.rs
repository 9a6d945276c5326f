//! `kill -9` and SIGSTOP of masters and workers under load: every task ends, once, and right.

use rustix::process::Signal;

use crate::rig::{GANGER, Rig, processes_with, run, wait_for};

/// Tasks of the load that masters are killed under.
const TASKS: u64 = 300_000;

fn check_squares(rig: &Rig, tasks: u64) {
    let lines = rig.ok(&["results"]);
    let mut count = 0;
    for (line, n) in lines.lines().zip(1u64..) {
        assert_eq!(line, format!("{n} * {n} = {}", n * n));
        count += 1;
    }
    assert_eq!(count, tasks, "each task has one result");
}

#[test]
fn a_master_killed_three_times_loses_nothing() {
    let mut rig = Rig::bare();
    let _a = rig.join_worker("a", "2");
    let list: String = (1..=TASKS).map(|n| format!("{n}\n")).collect();
    let said = rig.ganger_with(&["submit", "--kind", "square", "-a", "-"], list.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    let mut killed = 0;
    for part in 1..=3u64 {
        let done = wait_for("progress", || {
            let done = rig.count("done");
            (done > TASKS * part / 8).then_some(done)
        });
        rig.kill_master();
        killed += u64::from(done < TASKS);
        rig.start_master();
    }
    assert!(killed > 0, "no kill hit the middle of the load");
    wait_for("the end", || (rig.count("done") == TASKS).then_some(()));
    check_squares(&rig, TASKS);
}

#[test]
fn running_children_survive_a_killed_master_and_are_not_run_twice() {
    let mut rig = Rig::bare();
    let _worker = rig.join_worker("a", "2");
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("runs");
    let line = format!("echo run >> {}; sleep 2; echo over", file.display());
    rig.ok(&["submit", "--shell", &line]);
    wait_for("the child", || file.exists().then_some(()));
    rig.kill_master();
    rig.start_master();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 1);
    assert_eq!(rig.ok(&["results"]).trim(), "over");
}

#[test]
fn killed_workers_leave_no_orphans_and_their_tasks_run_again() {
    let rig = Rig::bare();
    let mut bad = rig.join_worker("bad", "2");
    let mark = format!("41{}.25", std::process::id());
    rig.ok(&["submit", "--shell", &format!("sleep {mark}"), "--repeat", "2"]);
    wait_for("the children", || {
        (processes_with(&format!("sleep\0{mark}")).len() == 2).then_some(())
    });
    bad.kill();
    wait_for("no orphan", || processes_with(&format!("sleep\0{mark}")).is_empty().then_some(()));
    let _good = rig.join_worker("good", "2");
    wait_for("the second attempts", || {
        (processes_with(&format!("sleep\0{mark}")).len() == 2).then_some(())
    });
    rig.ok(&["cancel", "--now", "b1"]);
    assert_eq!(rig.count("cancelled"), 2);
}

#[test]
fn a_worker_stopped_past_its_term_is_fenced() {
    let rig = Rig::bare();
    let slow = rig.join_worker("slow", "1");
    let dir = tempfile::TempDir::new().unwrap();
    let file = dir.path().join("runs");
    let line = format!("echo $GANGER_ATTEMPT >> {}; sleep 4; echo over", file.display());
    rig.ok(&["submit", "--shell", &line]);
    wait_for("the first attempt", || file.exists().then_some(()));
    slow.signal(Signal::STOP);
    wait_for("the lost lease", || (rig.count("queued") == 1).then_some(()));
    let _fresh = rig.join_worker("fresh", "1");
    wait_for("the second attempt", || {
        let runs = std::fs::read_to_string(&file).unwrap();
        (runs.lines().count() == 2).then_some(())
    });
    slow.signal(Signal::CONT);
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(rig.count("failed") + rig.count("queued") + rig.count("running"), 0);
    let shown = rig.ok(&["show", "1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let done = json["attempts"].as_array().unwrap().iter();
    assert_eq!(done.filter(|a| a["ended"]["outcome"] == "Done").count(), 1, "{shown}");
}

/// The command that people run to see for themselves.
#[test]
fn the_command_finds_nothing_after_kills_and_on_a_bad_network() {
    let check = |flags: &[&str]| {
        let mut command = std::process::Command::new(GANGER);
        command.args(["chaos", "--json", "--every", "700ms", "--rate", "500"]).args(flags);
        let said = run(command, b"");
        assert_eq!(said.code, 0, "{said:?}");
        let report: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!(report["passed"], true, "{report}");
        let count = |line: &str, what: &str| report[line][what].as_u64().unwrap();
        assert!(count("tasks", "right") > 500, "{report}");
        report
    };
    let report = check(&["--for", "8s", "--kill-workers", "--kill-master"]);
    let kills = |line: &str| report[line]["under_work"].as_u64().unwrap();
    assert!(kills("worker_kills") + kills("master_kills") > 1, "{report}");
    let report = check(&["--for", "5s", "--loss", "10", "--workers", "2"]);
    assert!(report["packets_lost"].as_u64().unwrap() > 50, "{report}");
}
