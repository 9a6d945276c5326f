//! The store from outside: `verify`, `fsck` and what is kept of the log, on what real masters left.

use tempfile::TempDir;

use crate::rig::{Rig, Said, wait_for};

/// Tasks of the load that masters are killed under.
const TASKS: u64 = 200_000;

fn report(said: &Said) -> serde_json::Value {
    serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

#[test]
fn what_killed_masters_and_workers_leave_is_proven() {
    let home = TempDir::new().unwrap();
    std::fs::write(home.path().join("ganger.toml"), "keep_log = \"all\"\n").unwrap();
    let mut rig = Rig::in_home(home, "0");
    let _a = rig.join_worker("a", "2");
    let mut b = rig.join_worker("b", "2");
    let list: String = (1..=TASKS).map(|n| format!("{n}\n")).collect();
    let said = rig.ganger_with(&["submit", "--kind", "square", "-a", "-"], list.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    rig.ok(&["submit", "--retries", "1", "--shell", "exit 3", ":::", "x", "y"]);
    rig.ok(&["submit", "--after", "b2", "--kind", "square", "--range", "1..50"]);
    let mut killed = 0;
    for part in 1..=2 {
        let done = wait_for("progress", || {
            let done = rig.count("done");
            (done > TASKS * part / 8).then_some(done)
        });
        // While it runs, up to the newest batch of the moment.
        let live = rig.ganger(&["verify", "--json"]);
        assert_eq!(live.code, 0, "{live:?}");
        assert_eq!(report(&live)["begins_after"], 0);
        rig.kill_master();
        if part == 1 {
            b.kill();
        }
        killed += u64::from(done < TASKS);
        let dead = rig.ganger(&["verify"]);
        assert_eq!(dead.code, 0, "{dead:?}");
        assert!(dead.out.contains(": proven"), "{dead:?}");
        rig.start_master();
    }
    assert!(killed > 0, "no kill hit the middle of the load");
    wait_for("the end", || (rig.count("done") == TASKS).then_some(()));
    wait_for("the failures", || (rig.count("failed") == 52).then_some(()));
    rig.ok(&["delete", "3"]);
    stop(&rig);
    let said = rig.ganger(&["verify", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let proven = report(&said);
    assert_eq!(proven["submitted"], TASKS + 52);
    assert_eq!(proven["removed"], 1);
    assert_eq!(proven["tasks"]["done"], TASKS - 1);
    assert_eq!(proven["tasks"]["failed"], 52);
    assert!(proven["results"].as_u64().unwrap() > TASKS, "{proven}");
    assert!(proven["findings"].as_array().unwrap().is_empty());
    tampered(&rig);
}

/// A batch of the journal changes: what is found ends with 5 and names it.
fn tampered(rig: &Rig) {
    let conn = rusqlite::Connection::open(rig.home.path().join("store.db")).unwrap();
    conn.execute("UPDATE log SET data = x'00' WHERE seq = 3", []).unwrap();
    drop(conn);
    let said = rig.ganger(&["verify", "--json"]);
    assert_eq!(said.code, 5, "{said:?}");
    let found = report(&said);
    let finding = &found["findings"][0];
    assert_eq!(finding["batch"], 3, "{found}");
    assert!(finding["what"].as_str().unwrap().contains("does not match the hash"), "{found}");
}

fn stop(rig: &Rig) {
    rig.ok(&["stop"]);
    wait_for("the master's end", || (!rig.home.path().join("master.json").exists()).then_some(()));
}

#[test]
fn a_master_goes_on_with_what_was_salvaged() {
    let mut rig = Rig::with_worker();
    let home = rig.home.path().to_str().unwrap().to_owned();
    rig.ok(&["submit", "--kind", "square", "--range", "1..500", "--wait"]);
    rig.ok(&["submit", "--wait", "--", "head", "-c", "20000", "/dev/zero"]);
    stop(&rig);
    let tamper = |sql: &str| {
        let conn = rusqlite::Connection::open(rig.home.path().join("store.db")).unwrap();
        conn.execute_batch(sql).unwrap();
        let newest = "SELECT max(seq) FROM log";
        conn.query_row(newest, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    };
    let newest = tamper("UPDATE log SET data = x'00' WHERE seq = (SELECT max(seq) - 1 FROM log)");
    let said = rig.ganger(&["master", "--listen", "127.0.0.1:0"]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("ganger fsck"), "{said:?}");
    assert_eq!(rig.ganger(&["fsck"]).code, 5);
    let into = rig.home.path().join("saved");
    let into = into.to_str().unwrap();
    assert_eq!(rig.ganger(&["fsck", "--salvage", &home]).code, 2, "it must be told where to");
    let said = rig.ganger(&["fsck", "--salvage", &home, "--out", into, "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let saved = report(&said);
    assert_eq!((saved["last"].as_u64(), saved["outputs"].as_u64()), (Some(newest - 2), Some(2)));
    let again = rig.ganger(&["fsck", "--salvage", &home, "--out", into]);
    assert!(again.code == 1 && again.err.contains("is there already"), "{again:?}");
    assert!(rig.ok(&["verify", into]).contains(": proven"));
    std::fs::write(rig.home.path().join("ganger.toml"), "store = \"sqlite:saved/store.db\"\n")
        .unwrap();
    rig.start_master();
    rig.ok(&["submit", "--kind", "square", "--range", "1..100", "--wait"]);
    assert!(rig.count("done") >= 600);
    stop(&rig);
    assert!(rig.ok(&["verify", into]).contains(": proven"));
}
