//! Joining and revoking, with the real binaries.

use std::process::Command;

use crate::rig::{Rig, WORKER, run, wait_for};

#[test]
fn two_workers_join_and_one_use_tokens_work_once() {
    let rig = Rig::bare();
    let token = rig.token();
    let join = |token: &str, home: &std::path::Path| {
        let mut command = Command::new(WORKER);
        command.args(["join", token, "--allow-root"]).env("GANGER_HOME", home);
        command
    };
    let first = tempfile::TempDir::new().unwrap();
    let mut one = join(&token, first.path()).spawn().unwrap();
    wait_for("the first worker", || (rig.workers().len() == 1).then_some(()));
    let _two = rig.join_worker("two", "1");
    let home = tempfile::TempDir::new().unwrap();
    let used = run(join(&token, home.path()), b"");
    assert_eq!(used.code, 3, "{used:?}");
    assert!(used.err.contains("token"), "{used:?}");
    let cut = run(join(&token[..token.len() - 9], home.path()), b"");
    assert_eq!(cut.code, 2, "{cut:?}");
    let line = rig.ok(&["invite", "--ttl", "1ms"]);
    let expired = line.split_whitespace().find(|word| word.starts_with("ganger1")).unwrap();
    let late = run(join(expired, home.path()), b"");
    assert_eq!(late.code, 3, "{late:?}");
    assert_eq!(rig.workers().len(), 2);
    one.kill().unwrap();
    one.wait().unwrap();
}

#[test]
fn a_revoked_worker_is_gone_and_its_tasks_run_elsewhere() {
    let rig = Rig::bare();
    let mut bad = rig.join_worker("bad", "1");
    rig.ok(&["submit", "--shell", "sleep 3"]);
    wait_for("the task", || (rig.count("running") == 1).then_some(()));
    rig.ok(&["revoke", "bad", "--reason", "a test"]);
    let code = wait_for("the worker's end", || bad.ended());
    assert_eq!(code, 3);
    let rows = rig.workers();
    assert!(rows.iter().all(|row| row["state"] != "up"), "{rows:?}");
    let _good = rig.join_worker("good", "1");
    wait_for("the task", || (rig.count("done") == 1).then_some(()));
    let events = rig.ok(&["events", "--json"]);
    assert!(events.contains("Queued") || events.contains("closed"), "{events}");
}

#[test]
fn the_audit_tells_who_was_admitted_and_who_asked_for_what() {
    let rig = Rig::bare();
    let _worker = rig.join_worker("alpha", "1");
    rig.ok(&["submit", "--kind", "square", "--range", "1..3", "--wait"]);
    rig.ok(&["pause", "default"]);
    rig.ok(&["delete", "1"]);
    let text = rig.ok(&["audit", "--json"]);
    let rows: Vec<serde_json::Value> =
        serde_json::Deserializer::from_str(&text).into_iter().map(Result::unwrap).collect();
    let found = |log: &str, word: &str, part: &str| {
        rows.iter().any(|row| {
            let text = row["text"].as_str().unwrap();
            row["log"] == log && row["word"] == word && text.contains(part)
        })
    };
    for (log, word, part) in [
        ("trust", "invited", "for a worker"),
        ("trust", "joined", "worker@alpha joined from"),
        ("journal", "submitted", "operator@admin submitted b1"),
        ("journal", "paused", "operator@admin paused the queue default"),
        ("journal", "deleted", "deleted 1 task"),
    ] {
        assert!(found(log, word, part), "{log} {word} {part} is not in\n{text}");
    }
    let times: Vec<u64> = rows.iter().map(|row| row["at"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");
    let last = rig.ok(&["audit", "-n", "1"]);
    assert_eq!(last.lines().count(), 1);
    assert!(last.contains("deleted"), "{last}");
    let holds = rig.ok(&["audit", "--verify"]);
    assert!(holds.contains("entries holds"), "{holds}");

    // A changed byte is found, and the master writes no more into what was changed.
    let log = rig.home.path().join("trust/trust.log");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[60] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let broken = rig.ganger(&["audit", "--verify"]);
    assert_eq!(broken.code, 5, "{broken:?}");
    assert!(broken.err.contains("broken chain at entry"), "{broken:?}");
}
