//! Identities and the authority, with the real binaries: changed while tasks run, listed, and what
//! a restored store does not bring back.

use crate::rig::{Rig, wait_for};

#[test]
fn an_authority_is_changed_without_a_dropped_task() {
    let rig = Rig::with_worker();
    let _worker = rig.join_worker("a", "2");
    let dir = tempfile::TempDir::new().unwrap();
    let line = format!("echo x >> {}/$GANGER_TASK; sleep 0.1", dir.path().display());
    rig.ok(&["submit", "--shell", &line, "--repeat", "60"]);
    wait_for("the first tasks", || (rig.count("done") > 4).then_some(()));
    let began = rig.ok(&["authority", "rotate"]);
    assert!(began.contains("changes to authority 2"), "{began}");
    // The administrator's home is renewed by the master, both workers over their connections.
    let facts = wait_for("everybody", || {
        let facts: serde_json::Value =
            serde_json::from_str(&rig.ok(&["authority", "--json"])).unwrap();
        (facts["behind"] == 0).then_some(facts)
    });
    assert!(rig.count("done") < 60, "the change came too late to test anything");
    let done = rig.ok(&["authority", "finish"]);
    assert!(done.contains("authority 2, until"), "{done}");
    assert!(done.contains(facts["next_pin"].as_str().unwrap()), "{done}");
    wait_for("the end", || (rig.count("done") == 60).then_some(()));
    for task in 1..=60 {
        let runs = std::fs::read_to_string(dir.path().join(task.to_string())).unwrap();
        assert_eq!(runs, "x\n", "task {task} ran once");
    }
    let rows = rig.workers();
    assert!(rows.iter().all(|row| row["state"] == "up"), "{rows:?}");
    let audit = rig.ok(&["audit"]);
    for word in ["rotating", "renewed", "rotated"] {
        assert!(audit.contains(word), "{word} is not in\n{audit}");
    }
    assert!(rig.ok(&["audit", "--verify"]).contains("holds"));
}

#[test]
fn a_change_waits_for_those_who_are_away() {
    let mut rig = Rig::bare();
    let mut worker = rig.join_worker("away", "1");
    worker.kill();
    rig.ok(&["authority", "rotate"]);
    let waits = rig.ganger(&["authority", "finish"]);
    assert_eq!(waits.code, 3, "{waits:?}");
    assert!(waits.err.contains("worker@away"), "{waits:?}");
    rig.kill_master();
    rig.start_master();
    rig.ok(&["authority", "finish", "--now"]);
    rig.kill_master();
    rig.start_master();
    assert!(rig.ok(&["authority"]).starts_with("authority 2"));
}

#[test]
fn identities_are_listed_and_a_restored_store_brings_none_back() {
    let mut rig = Rig::bare();
    let mut worker = rig.join_worker("bad", "1");
    rig.kill_master();
    let store = rig.home.path().join("store.db");
    let kept = std::fs::read(&store).unwrap();
    rig.start_master();
    rig.ok(&["revoke", "bad"]);
    wait_for("the worker's end", || worker.ended());
    rig.kill_master();
    for suffix in ["-wal", "-shm", ""] {
        let file = rig.home.path().join(format!("store.db{suffix}"));
        std::fs::remove_file(file).ok();
    }
    std::fs::remove_file(rig.home.path().join("store.seq")).ok();
    std::fs::write(&store, kept).unwrap();
    rig.start_master();
    let list = rig.ok(&["identities"]);
    let row = list.lines().find(|line| line.contains(" bad ")).unwrap();
    assert!(row.contains("revoked"), "{list}");
    assert!(list.contains("administrator"), "{list}");
    let all = rig.ok(&["identities", "bad"]);
    assert!(all.contains("worker@bad") && all.contains("from 127.0.0.1"), "{all}");
    assert_eq!(rig.ganger(&["identities", "nobody"]).code, 1);
    // The name is nobody else's, unless somebody says so.
    let token = rig.token();
    let home = tempfile::TempDir::new().unwrap();
    let join = |token: &str| {
        let mut command = std::process::Command::new(crate::rig::WORKER);
        command.args(["join", token, "--name", "bad", "--allow-root"]);
        command.env("GANGER_HOME", home.path());
        crate::rig::run(command, b"")
    };
    let said = join(&token);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.err.contains("--rejoin bad"), "{said:?}");
    assert!(rig.ok(&["invite", "--rejoin", "bad"]).contains("ganger1"));
}
