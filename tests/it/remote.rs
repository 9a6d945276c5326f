//! The screen on another machine: a home that joined with a token and reaches the master by its
//! address, in each role that may open it, and in one that may not.

use std::path::Path;
use std::process::Command;

use crate::pty::Terminal;
use crate::rig::{GANGER, Rig, run, wait_for};

/// Joins as a person from a home of its own.
fn join(rig: &Rig, role: &str, home: &Path) {
    let line = rig.ok(&["invite", "--role", role]);
    let token = line.split_whitespace().find(|word| word.starts_with("ganger1")).unwrap();
    let mut command = Command::new(GANGER);
    command.args(["join", token]).env("GANGER_HOME", home).env_remove("GANGER_MASTER");
    let joined = run(command, b"");
    assert_eq!(joined.code, 0, "{joined:?}");
}

#[test]
fn an_operator_acts_from_another_home() {
    let rig = Rig::with_worker();
    let home = tempfile::TempDir::new().unwrap();
    join(&rig, "operator", home.path());
    let address = rig.address();
    let mut screen = Terminal::open_with(home.path(), (36, 120), &["--master", &address]);
    screen.wait("? help");
    screen.press("I");
    wait_for("ten results", || (rig.count("done") == 10).then_some(()));
    screen.wait(" * ");
}

#[test]
fn a_viewer_sees_all_and_is_told_why_it_changes_nothing() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--kind", "square", "--range", "1..5", "--wait"]);
    let home = tempfile::TempDir::new().unwrap();
    join(&rig, "viewer", home.path());
    let address = rig.address();
    let mut screen = Terminal::open_with(home.path(), (36, 120), &["--master", &address]);
    screen.wait("5 * 5 = 25");
    screen.wait("viewer@");
    screen.press("I");
    screen.wait("a viewer changes nothing");
    screen.press("2");
    screen.wait("1–5 of 5");
    screen.press("d");
    screen.wait("a viewer changes nothing");
    assert_eq!(rig.count("done"), 5, "nothing came and nothing went");
}

#[test]
fn a_submitter_is_told_that_the_screen_is_not_for_it() {
    let rig = Rig::bare();
    let home = tempfile::TempDir::new().unwrap();
    join(&rig, "submitter", home.path());
    let address = rig.address();
    let screen = Terminal::open_with(home.path(), (36, 120), &["--master", &address]);
    screen.wait("The master refuses this screen");
    screen.wait("not watch the screen");
}
