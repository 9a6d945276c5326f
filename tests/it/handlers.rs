//! Warm handlers with the real programs: the samples of `assets/`, kept processes, failing for
//! good.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{GANGER, Rig, WORKER, processes_with, run, wait_for};

fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets")
}

fn tally() -> String {
    let cwd = assets().join("handlers");
    format!(
        "[handlers.tally]\ncommand = [\"python3\", \"tally.py\"]\ncwd = {cwd:?}\n\
         env = {{ TALLY_DB = \":memory:\" }}\n"
    )
}

fn lines(rig: &Rig, args: &[&str]) -> Vec<Value> {
    let text = rig.ok(args);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_slot_keeps_its_handler_and_the_handler_its_connection() {
    let rig = Rig::with_policy(&tally());
    let mut processes = BTreeSet::new();
    let mut most = 0;
    for round in 0..3 {
        let words = ["apple"; 20];
        let mut args = vec!["submit", "--kind", "handler:tally", "--wait", ":::"];
        args.extend(words);
        rig.ok(&args);
        let answers = lines(&rig, &["results"]);
        assert_eq!(answers.len(), 20, "round {round}");
        for answer in answers {
            processes.insert(answer["by"].as_u64().unwrap());
            most = most.max(answer["times"].as_u64().unwrap());
        }
    }
    // The database is in memory: a count over one batch's means that the connection was kept.
    assert!(processes.len() <= 2, "{processes:?}");
    assert!(most >= 30, "{most}");
    let row = &rig.workers()[0];
    assert!(row["policy"].as_str().unwrap().contains("handlers tally"), "{row}");
    rig.ok(&["stop"]);
    let gone = || {
        let alive = |pid: &u64| Path::new("/proc").join(pid.to_string()).exists();
        (!processes.iter().any(alive)).then_some(())
    };
    wait_for("the end of the handlers", gone);
}

#[test]
fn an_error_is_for_good_unless_the_handler_says_that_another_try_may_help() {
    let script = "while read -r line; do case $line in *again*) echo '{\"error\":\"busy\",\
                  \"retry\":true}' ;; *) echo oops >&2; echo '{\"error\":\"no such picture\"}' ;; \
                  esac; done";
    let rig = Rig::with_policy(&format!("[handlers.h]\ncommand = [\"sh\", \"-c\", {script:?}]\n"));
    let submit = |word: &str| {
        let args = ["submit", "--kind", "handler:h", "--retries", "2", "--backoff", "1ms..2ms"];
        let said = rig.ganger(&[&args[..], &["--wait", ":::", word]].concat());
        assert_eq!(said.code, 1, "{said:?}");
    };
    let attempts = |id: &str| {
        let detail: Value = serde_json::from_str(&rig.ok(&["show", id, "--json"])).unwrap();
        detail["attempts"].as_array().unwrap().len()
    };
    submit("again");
    submit("never");
    assert_eq!((attempts("1"), attempts("2")), (3, 1));
    let shown = rig.ok(&["show", "2"]);
    assert!(shown.contains("no such picture"), "{shown}");
    assert_eq!(rig.ok(&["logs", "2", "--stderr"]).trim(), "oops");
}

#[test]
fn a_handler_is_given_no_path_that_is_not_what_it_must_be() {
    let data = tempfile::tempdir().unwrap();
    let inside = data.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    let file = |path: PathBuf| {
        std::fs::write(&path, "one\n").unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (good, outside) = (file(inside.join("good")), file(data.path().join("outside")));
    let link = inside.join("link");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let script = "while read -r line; do echo '{\"ok\":1}'; done";
    let rig = Rig::with_policy(&format!(
        "roots = [{inside:?}]\n[handlers.h]\ncommand = [\"sh\", \"-c\", {script:?}]\n"
    ));
    let link = link.to_str().unwrap();
    let said = rig.ganger(&[
        "submit",
        "--kind",
        "handler:h",
        "--paths",
        "--wait",
        ":::",
        &good,
        link,
        &outside,
        &good,
    ]);
    assert_eq!(said.code, 1, "{said:?}");
    let state = |id: &str| {
        let detail: Value = serde_json::from_str(&rig.ok(&["show", id, "--json"])).unwrap();
        let state = detail["row"]["state"].as_str().unwrap().to_owned();
        (state, detail["attempts"][0]["ended"]["message"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!((state("1").0.as_str(), state("4").0.as_str()), ("done", "done"));
    for id in ["2", "3"] {
        let (state, message) = state(id);
        assert_eq!(state, "failed", "{message}");
        assert!(message.contains(" root o"), "{message}");
    }
}

#[test]
fn a_flag_offers_a_handler_and_a_task_for_another_one_says_what_it_waits_for() {
    let rig = Rig::bare();
    let home = TempDir::new().unwrap();
    let join = |flags: &[&str]| {
        let mut command = Command::new(WORKER);
        command.args(["join", &rig.token(), "--name", "mill", "--slots", "1", "--allow-root"]);
        command.args(flags).env("GANGER_HOME", home.path()).current_dir(assets().join("handlers"));
        command.stderr(std::process::Stdio::null()).spawn().unwrap()
    };
    let mut worker = join(&["--handler", "status=./status.sh"]);
    rig.ok(&["submit", "--kind", "handler:status", "--wait", "--range", "404..404"]);
    assert_eq!(rig.ok(&["results"]), "404 Not Found\n");
    let said = rig.ganger(&["submit", "--kind", "handler:status", "--wait", ":::", "x\"y"]);
    assert_eq!(said.code, 1, "{said:?}");
    rig.ok(&["submit", "--kind", "handler:other", ":::", "x"]);
    let why = wait_for("a reason", || {
        let why = rig.ganger(&["why", "3"]).out;
        why.contains("handler other").then_some(why)
    });
    assert!(why.contains("status"), "the nearest is named: {why}");
    assert!(!processes_with("./status.sh").is_empty());
    worker.kill().unwrap();
    worker.wait().unwrap();
    let kept = std::fs::read_to_string(find(home.path(), "worker.toml")).unwrap();
    assert!(kept.contains("./status.sh") && kept.contains("cwd"), "{kept}");
}

fn find(folder: &Path, name: &str) -> PathBuf {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false if entry.file_name() == name => return entry.path(),
                false => {}
            }
        }
    }
    panic!("no {name}")
}

/// The tutorial's log files: what the document says is what is run.
#[test]
fn the_commands_for_counting_log_files_do_what_the_document_says() {
    let text = std::fs::read_to_string(assets().join("tasks/README.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [config, work @ ..] = &blocks[..] else { panic!("{blocks:?}") };
    let home = TempDir::new().unwrap();
    let logs = TempDir::new().unwrap();
    let shell = |home: &Path, lines: &str| {
        let bin = Path::new(GANGER).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", lines]).current_dir(assets().join("tasks"));
        command.env("PATH", format!("{}:{path}", bin.display())).env("GANGER_HOME", home);
        command.env("LOGS", logs.path()).env_remove("GANGER_MASTER");
        let said = run(command, b"");
        assert_eq!(said.code, 0, "{lines}: {said:?}");
        said.out
    };
    shell(home.path(), config);
    let rig = Rig::in_home(home, "2");
    let out = shell(rig.home.path(), &work.concat());
    // Twelve files of 200, 400, … lines, one in forty with an error.
    assert_eq!(out.lines().last(), Some("15600 lines, 390 errors"), "{out}");
    for file in 1..=12 {
        let line = format!("{} {}/day {file:02}.log", 200 * file, logs.path().display());
        assert!(out.contains(&line), "`{line}` is not in {out}");
    }
    assert_eq!(out.matches("\"top\":\"/page/").count(), 12, "{out}");
}
