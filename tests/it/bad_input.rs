//! Bad input of every kind: a sentence, the right exit code, and nothing lost.

use std::process::Command;

use crate::rig::{GANGER, Rig, run};

fn check(rig: &Rig, args: &[&str], code: i32, part: &str) {
    let said = rig.ganger(args);
    assert_eq!(said.code, code, "{args:?}: {said:?}");
    assert!(said.err.contains(part), "{args:?} says {:?}, not {part:?}", said.err);
}

#[test]
fn commands_that_make_no_sense() {
    let rig = Rig::bare();
    check(&rig, &["submit", "--no-such-flag"], 2, "--no-such-flag");
    check(&rig, &["submit", "--kind", "square", "--range", "5..x"], 2, "range");
    check(&rig, &["submit", "--kind", "square"], 2, "argument");
    check(&rig, &["submit"], 2, "--");
    check(&rig, &["submit", "--", "echo", "{n:x}"], 2, "{n:04}");
    let long = "x".repeat(70_000);
    check(&rig, &["submit", "--", "echo", &long], 2, "path");
    check(&rig, &["show", "99"], 3, "no task 99");
    check(&rig, &["results", "b7"], 3, "b7");
    check(&rig, &["pause", "nope"], 3, "nope");
    check(&rig, &["drain", "nobody"], 3, "nobody");
    check(&rig, &["ls", "colour:red"], 2, "the keys are");
    assert_eq!(rig.count("queued"), 0);
}

#[test]
fn a_master_that_is_not_there() {
    let home = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(GANGER);
    command.args(["status"]).env("GANGER_HOME", home.path());
    let said = run(command, b"");
    assert_eq!(said.code, 4, "{said:?}");
    assert!(said.err.contains("ganger"), "{said:?}");
}

#[test]
fn a_second_master_names_the_first() {
    let rig = Rig::bare();
    let said = rig.ganger(&["master", "--listen", "127.0.0.1:0"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("process"), "{said:?}");
    assert_eq!(rig.ganger(&["status"]).code, 0);
}

#[test]
fn a_port_in_use() {
    let rig = Rig::bare();
    let home = tempfile::TempDir::new().unwrap();
    let mut command = Command::new(GANGER);
    command.args(["master", "--listen", &rig.address(), "--local-worker", "0"]);
    command.env("GANGER_HOME", home.path());
    let said = run(command, b"");
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("in use"), "{said:?}");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::bare();
    let dir = rig.home.path().join("client").join("admin");
    let key = std::fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.path());
    let key = key.filter(|path| path.is_file()).collect::<Vec<_>>();
    for path in &key {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    let said = rig.ganger(&["status"]);
    for path in &key {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert_ne!(said.code, 0);
    assert!(said.err.contains("0644"), "{said:?}");
}

#[test]
fn garbage_at_the_port_costs_nothing() {
    let rig = Rig::with_worker();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..rng.usize(1..1_400)).map(|_| rng.u8(..)).collect();
        socket.send_to(&bytes, rig.address()).unwrap();
    }
    rig.ok(&["submit", "--kind", "square", "--range", "1..100", "--wait"]);
    assert_eq!(rig.count("done"), 100);
}
