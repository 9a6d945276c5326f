//! Work from the command line: what goes in comes out, once, in order.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use crate::rig::{Rig, wait_for};

#[test]
fn the_tutorials_job_gives_ten_right_lines() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--kind", "square", "--random", "10:0..10000", "--wait"]);
    let lines = rig.ok(&["results"]);
    assert_eq!(lines.lines().count(), 10, "{lines}");
    for line in lines.lines() {
        let (left, square) = line.split_once(" = ").unwrap();
        let (a, b) = left.split_once(" * ").unwrap();
        let n: u64 = a.parse().unwrap();
        assert_eq!((a, (n * n).to_string().as_str()), (b, square));
    }
}

#[test]
fn a_million_as_a_range_come_back_each_once() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--kind", "square", "--range", "1..1000000", "--wait"]);
    let lines = rig.ok(&["results"]);
    let right = lines.lines().zip(1u64..).all(|(line, n)| line == format!("{n} * {n} = {}", n * n));
    assert!(right && lines.lines().count() == 1_000_000);
}

#[test]
fn commands_run_where_they_were_typed_on_names_with_spaces_and_quotes() {
    let rig = Rig::with_worker();
    let dir = tempfile::TempDir::new().unwrap();
    let names = ["plain", "two words", "it's", "quo\"te", "dollar $HOME", "star *", "-dash", "ünï"];
    for name in names {
        std::fs::write(dir.path().join(name), name.as_bytes()).unwrap();
    }
    let list: String = names.iter().map(|name| format!("./{name}\n")).collect();
    let args = ["submit", "-a", "-", "--wait", "--", "sha256sum", "{}"];
    let mut command = rig.command(&args);
    command.current_dir(dir.path());
    let said = crate::rig::run(command, list.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    let ours: BTreeSet<String> = rig.ok(&["results"]).lines().map(str::to_owned).collect();
    let mut direct = std::process::Command::new("sha256sum");
    direct.current_dir(dir.path()).args(names.iter().map(|name| format!("./{name}")));
    let direct = crate::rig::run(direct, b"");
    assert_eq!(ours, direct.out.lines().map(str::to_owned).collect());
}

#[test]
fn bytes_that_are_no_text_survive_the_whole_way() {
    let rig = Rig::with_worker();
    let said = rig.ganger_with(&["submit", "-a", "-", "--wait", "--", "echo"], b"a\xffb\n");
    assert_eq!(said.code, 0, "{said:?}");
    let output = rig.command(&["results"]).output().unwrap();
    assert_eq!(output.stdout, b"a\xffb\n");
    assert_eq!(std::ffi::OsStr::from_bytes(b"a\xffb\n").as_bytes(), output.stdout);
}

#[test]
fn failures_are_counted_retried_and_shown() {
    let rig = Rig::with_worker();
    let said =
        rig.ganger(&["submit", "--wait", "--shell", "echo out; echo err >&2; exit 3", ":::", "x"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(rig.count("failed"), 1);
    let shown = rig.ok(&["ls", "state:failed"]);
    assert!(shown.contains("exit 3"), "{shown}");
    let id = shown.lines().find_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let id = id.unwrap().to_string();
    assert_eq!(rig.ok(&["logs", &id]).trim(), "out");
    assert_eq!(rig.ok(&["logs", &id, "--stderr"]).trim(), "err");
    rig.ok(&["retry", &id]);
    wait_for("the second attempt", || {
        rig.ok(&["show", &id]).contains("attempt 2").then_some(()).or_else(|| {
            let detail = rig.ok(&["show", &id, "--json"]);
            let json: serde_json::Value = serde_json::from_str(&detail).ok()?;
            (json["attempts"].as_array()?.len() == 2).then_some(())
        })
    });
}

#[test]
fn a_flood_is_cut_and_says_so() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--wait", "--", "head", "-c", "20000000", "/dev/zero"]);
    let output = rig.command(&["logs", "1"]).output().unwrap();
    assert!(output.stdout.len() <= 1_100_000, "{} bytes", output.stdout.len());
    let said = String::from_utf8_lossy(&output.stderr);
    let all = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("not kept") || all.contains("not kept"), "{said}");
}

#[test]
fn a_cancelled_command_leaves_nothing_behind() {
    let rig = Rig::with_worker();
    let mark = format!("31{}.5", std::process::id());
    let line = format!("(setsid sh -c 'sleep {mark}; true' &) ; sleep {mark}; true");
    rig.ok(&["submit", "--shell", &line]);
    wait_for("the command", || {
        (crate::rig::processes_with(&format!("sleep\0{mark}")).len() >= 2).then_some(())
    });
    rig.ok(&["cancel", "1"]);
    wait_for("the end", || (rig.count("cancelled") == 1).then_some(()));
    wait_for("no process", || {
        crate::rig::processes_with(&format!("sleep\0{mark}")).is_empty().then_some(())
    });
}

#[test]
fn queues_pause_priorities_go_first_and_keys_submit_once() {
    let rig = Rig::bare();
    let submit = |priority: &str, word: &str| {
        rig.ok(&["submit", "-p", priority, "--", "echo", word]);
    };
    submit("0", "low");
    submit("5", "high");
    rig.ok(&["pause", "default"]);
    let first = rig.ok(&["submit", "--key", "k1", "--", "echo", "keyed"]);
    let again = rig.ok(&["submit", "--key", "k1", "--", "echo", "keyed"]);
    assert_eq!(first.split_whitespace().next(), again.split_whitespace().next());
    let _worker = rig.join_worker("solo", "1");
    assert_eq!(rig.count("done"), 0);
    rig.ok(&["resume", "default"]);
    wait_for("all", || (rig.count("done") == 3).then_some(()));
    let events = rig.ok(&["events", "--json"]);
    assert!(events.contains("leased"), "{events}");
    // The newest ones are the end of all of them.
    let numbers = |text: &str| -> Vec<u64> {
        let rows =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rows.map(|row| row["seq"].as_u64().unwrap()).collect()
    };
    let all = numbers(&events);
    let newest = all.last().unwrap();
    let last = numbers(&rig.ok(&["events", "--json", "--last", "3"]));
    let wanted: Vec<u64> = all.iter().copied().filter(|seq| seq + 3 > *newest).collect();
    assert_eq!(last, wanted);
}

#[test]
fn json_is_json_everywhere() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--kind", "square", "--range", "1..3", "--wait"]);
    for args in [
        &["status", "--json"][..],
        &["ls", "--json"],
        &["show", "1", "--json"],
        &["workers", "--json"],
        &["queues", "--json"],
        &["results", "--jsonl"],
    ] {
        let text = rig.ok(args);
        let values = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
        assert!(values.map(Result::unwrap).count() >= 1, "{args:?}: {text}");
    }
}

#[test]
fn paths_are_looked_at_where_they_run() {
    let rig = Rig::with_worker();
    let data = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = data.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (steady, changing) = (file("steady.log", "one\ntwo\n"), file("changing.log", "one\n"));
    rig.ok(&["submit", "--paths", "--wait", "--", "wc", "-l", "{}", ":::", &steady]);
    rig.ok(&["pause", "default"]);
    rig.ok(&["submit", "--paths=seen", "--", "wc", "-l", "{}", ":::", &steady, &changing]);
    file("changing.log", "one\ntwo\n");
    rig.ok(&["resume", "default"]);
    let said = rig.ganger(&["wait", "b2"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(rig.ok(&["logs", "2"]).starts_with("2 "), "the file that stayed was counted");
    let shown = rig.ok(&["show", "3"]);
    assert!(shown.contains("changed since it was submitted: it had 4 bytes"), "{shown}");
    let missing = rig.ganger(&["submit", "--paths=seen", "--", "wc", ":::", "/nowhere/x"]);
    assert!(missing.err.contains("cannot see /nowhere/x"), "{missing:?}");
    assert_eq!(rig.ganger(&["submit", "--paths", "--", "wc"]).code, 2);
    // No worker has it.
    assert_eq!(
        rig.ganger(&["submit", "--paths", "--wait", "--", "wc", ":::", "/nowhere/x"]).code,
        1
    );
    let shown = rig.ok(&["show", "4"]);
    assert!(shown.contains("no file /nowhere/x on local; share its folder"), "{shown}");
}
