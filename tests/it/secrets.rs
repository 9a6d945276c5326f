//! Secrets stay where they belong: tokens, keys and values of variables are in no process's words,
//! in no log however much it tells, and on no screen and in no JSON of those who may not see them.
//! What the owner may see is not tested here; see show.rs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::pty::Terminal;
use crate::rig::{GANGER, Rig, Said, WORKER, processes_with, run, wait_for};

/// The variable that tasks are given.
const VARIABLE: &str = "GANGER_TEST_SECRET";

/// A value that is nowhere by chance.
fn value(place: &str) -> String {
    format!("s3cret.{}.{place}", std::process::id())
}

/// Submits tasks with the variable taken from the environment, so that its value is no word.
fn submit(rig: &Rig, value: &str, args: &[&str]) {
    let mut command = rig.command(&["submit", "--env", VARIABLE]);
    command.args(args).env(VARIABLE, value);
    let said = run(command, b"");
    assert_eq!(said.code, 0, "{said:?}");
}

/// Joins as a person from a home of its own.
fn join(rig: &Rig, role: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let line = rig.ok(&["invite", "--role", role]);
    let token = line.split_whitespace().find(|word| word.starts_with("ganger1")).unwrap();
    let mut command = Command::new(GANGER);
    command.args(["join", token]).env("GANGER_HOME", home.path()).env_remove("GANGER_MASTER");
    let said = run(command, b"");
    assert_eq!(said.code, 0, "{said:?}");
    home
}

/// Runs a command as who joined from that home.
fn ask(rig: &Rig, home: &Path, args: &[&str]) -> Said {
    let mut command = Command::new(GANGER);
    command.args(["--master", &rig.address()]).args(args).env("GANGER_HOME", home);
    run(command, b"")
}

#[test]
fn no_process_has_a_secret_among_its_words() {
    let rig = Rig::with_worker();
    let token = rig.token();
    let _joined = rig.join_worker_by(Command::new(WORKER), &token, ("joined", &["--slots", "1"]));
    let (value, mark) = (value("words"), format!("41{}.5", std::process::id()));
    submit(&rig, &value, &["--shell", &format!("sleep {mark}; true")]);
    rig.ok(&["submit", "--", "sleep", &mark]);
    wait_for("the tasks", || (processes_with(&format!("sleep\0{mark}")).len() >= 2).then_some(()));
    // They are seen while both kinds of worker, their launchers and their children run.
    assert!(!processes_with("__launcher").is_empty() && !processes_with("joined").is_empty());
    for (what, secret) in [("the token", &token), ("the value", &value)] {
        assert!(processes_with(secret).is_empty(), "{what} is for everybody to see");
    }
    rig.ok(&["cancel", "--now", "1", "2"]);
}

#[test]
fn a_token_is_hidden_before_the_master_is_asked() {
    let rig = Rig::bare();
    let line = rig.ok(&["invite", "--role", "viewer"]);
    let token = line.split_whitespace().find(|word| word.starts_with("ganger1")).unwrap();
    // A master that does not answer: joining waits, and the token must be hidden meanwhile.
    let (home, held) = (TempDir::new().unwrap(), rig.hold_master());
    let mut command = Command::new(GANGER);
    command.args(["join", token]).env("GANGER_HOME", home.path());
    let mut child = command.spawn().unwrap();
    let words = PathBuf::from(format!("/proc/{}/cmdline", child.id()));
    wait_for("a line without the token", || {
        let text = String::from_utf8_lossy(&std::fs::read(&words).unwrap()).into_owned();
        (text.contains("join\0-\0") && !text.contains(token)).then_some(())
    });
    drop(held);
    assert!(child.wait().unwrap().success());
}

/// Texts by which a key would be known in a log: as it is kept, in hexadecimal, as a list of bytes.
fn keys_in(home: &Path, into: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(home).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            keys_in(&path, into);
            continue;
        }
        let name = path.display().to_string();
        if path.file_name().is_some_and(|name| name == "identity.json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
            into.insert(name, kept["key"].as_str().unwrap().to_owned());
        } else if path.extension().is_some_and(|end| end == "key") {
            let bytes = std::fs::read(&path).unwrap();
            // The first bytes are alike in all keys, and what follows is the secret.
            let secret = &bytes[36..52];
            let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            let list = format!("{secret:?}");
            into.insert(format!("{name} in hexadecimal"), hex);
            into.insert(format!("{name} as a list"), list.trim_matches(['[', ']']).to_owned());
        }
    }
}

/// Returns what all logs of a home say.
fn logs(home: &Path) -> String {
    let files = std::fs::read_dir(home.join("logs")).unwrap().flatten();
    let texts = files.map(|file| std::fs::read(file.path()).unwrap());
    texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect()
}

#[test]
fn no_log_holds_a_secret_however_much_it_tells() {
    let rig = Rig::logging(TempDir::new().unwrap(), "2", "trace");
    let token = rig.token();
    let joined = rig.join_worker_by(Command::new(WORKER), &token, ("joined", &["--slots", "1"]));
    let value = value("logs");
    submit(&rig, &value, &["--wait", "--repeat", "8", "--", "true"]);
    // Failures and refusals are what is logged most.
    submit(&rig, &value, &["--shell", "exit 3"]);
    wait_for("the failure", || (rig.count("failed") == 1).then_some(()));
    let viewer = join(&rig, "viewer");
    ask(&rig, viewer.path(), &["delete", "1"]);

    let mut secrets = BTreeMap::new();
    for home in [rig.home.path(), joined.home.path(), viewer.path()] {
        keys_in(home, &mut secrets);
    }
    assert!(secrets.len() >= 6, "{:?}", secrets.keys());
    secrets.insert("the token".to_owned(), token);
    secrets.insert("the value".to_owned(), value);
    let said = [rig.home.path(), joined.home.path()].map(logs);
    for (log, who) in said.iter().zip(["the master", "the worker"]) {
        assert!(log.contains("TRACE") || log.contains("DEBUG"), "{who} tells little: {log}");
        for (what, secret) in &secrets {
            assert!(secret.len() >= 12, "{what} is too short to be told from chance");
            assert!(!log.contains(secret.as_str()), "{what} is in the log of {who}");
        }
    }
}

#[test]
fn json_and_text_of_others_have_no_values() {
    let rig = Rig::with_worker();
    let value = value("json");
    submit(&rig, &value, &["--wait", "--name", "deploy", "--label", "a=b", "--", "true"]);
    submit(&rig, &value, &["--not-before", "1h", "--", "true"]);
    let own = rig.ok(&["show", "1", "--json"]);
    assert!(own.contains(&value), "the owner sees it: is this test blind?");
    for role in ["viewer", "submitter"] {
        let home = join(&rig, role);
        let shown = ask(&rig, home.path(), &["show", "1", "--json"]);
        let stars = shown.out.contains(VARIABLE) && shown.out.contains("***");
        assert!(stars || shown.code == 3, "{role}: {shown:?}");
        for args in [
            &["show", "1"][..],
            &["show", "2"],
            &["ls"],
            &["status"],
            &["queues"],
            &["workers"],
            &["events"],
            &["audit"],
            &["results"],
            &["logs", "1"],
            &["why", "2"],
            &["wait", "b1"],
        ] {
            for form in [&[][..], &["--json"]] {
                let said = ask(&rig, home.path(), &[args, form].concat());
                assert!(!said.out.contains(&value), "{role} {args:?}: {said:?}");
                assert!(!said.err.contains(&value), "{role} {args:?}: {said:?}");
            }
        }
    }
    // Nor has what is told of everybody's tasks, whoever asks.
    for word in ["events", "audit", "ls", "status"] {
        assert!(!rig.ok(&[word, "--json"]).contains(&value), "{word}");
    }
}

#[test]
fn the_screen_of_a_viewer_has_no_values() {
    let rig = Rig::with_worker();
    let value = value("screen");
    submit(&rig, &value, &["--wait", "--", "true"]);
    let home = join(&rig, "viewer");
    let address = rig.address();
    let mut screen = Terminal::open_with(home.path(), (60, 160), &["--master", &address]);
    screen.wait("viewer@");
    screen.press("2");
    screen.wait("1–1 of 1");
    screen.press("\r");
    screen.wait("it printed nothing");
    screen.press("]");
    screen.wait(&format!("{VARIABLE}=***"));
    for key in ["j", "\t", "w", "\u{1b}", "1", "3", "4", "5"] {
        screen.press(key);
    }
    screen.wait("viewer@");
    let all = String::from_utf8_lossy(&screen.bytes()).into_owned();
    assert!(!all.contains(&value));
}
