//! Where no screen can be drawn: lines instead.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use crate::pty::{Terminal, screen};
use crate::rig::{Rig, wait_for};

/// `ganger` whose output is piped.
struct Follower {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Follower {
    fn start(rig: &Rig, args: &[&str]) -> Self {
        let mut command = rig.command(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (from, to) = (BufReader::new(child.stdout.take().unwrap()), lines.clone());
        std::thread::spawn(move || {
            from.lines().map_while(Result::ok).for_each(|line| to.lock().unwrap().push(line));
        });
        Self { child, lines }
    }

    fn wait(&self, part: &str) -> String {
        wait_for(&format!("a line with {part:?}"), || {
            self.lines.lock().unwrap().iter().find(|line| line.contains(part)).cloned()
        })
    }

    /// Presses Ctrl-C; returns the exit code and what was said on standard error.
    fn interrupt(&mut self) -> (Option<i32>, String) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        let said = std::io::read_to_string(self.child.stderr.take().unwrap()).unwrap();
        (status.code(), said)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn lines_tell_what_happens_and_ctrl_c_leaves_the_master() {
    let mut rig = Rig::bare();
    let mut plain = Follower::start(&rig, &["--plain"]);
    plain.wait("connected to ");
    plain.wait("0 queued · 0 done");
    let mut worker = rig.join_worker("alpha", "1");
    plain.wait("worker alpha is up");
    rig.ok(&["submit", "--name", "ni\u{1b}[2Jght", "--range", "1..3", "--", "sh", "-c", "exit 3"]);
    plain.wait("b1 (night) submitted by ");
    plain.wait("b1 (night) ended: 0 done, 3 failed, in ");
    let failed = plain.wait("task 1 of b1 failed on alpha: exit 3");
    assert!(failed.starts_with("20") && failed.contains("Z  "), "{failed}");
    worker.kill();
    plain.wait("worker alpha is");
    rig.kill_master();
    plain.wait("connection lost: ");
    rig.start_master();
    wait_for("the connection", || {
        let lines = plain.lines.lock().unwrap();
        (lines.iter().filter(|line| line.contains("connected to ")).count() == 2).then_some(())
    });
    let (code, said) = plain.interrupt();
    assert_eq!(code, Some(0));
    assert!(said.contains("the master keeps running"), "{said}");
    assert_eq!(rig.ganger(&["status"]).code, 0);
}

#[test]
fn json_without_a_command_is_a_line_of_json_for_each_event() {
    let rig = Rig::with_worker();
    let mut plain = Follower::start(&rig, &["--json"]);
    plain.wait("\"connected\"");
    rig.ok(&["submit", "--kind", "square", "--range", "1..9"]);
    plain.wait("\"ended\"");
    plain.wait("\"summary\"");
    assert_eq!(plain.interrupt().0, Some(0));
    for line in plain.lines.lock().unwrap().iter() {
        let json: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(json["at"].is_string() && json["event"].is_string(), "{line}");
        if json["event"] == "ended" {
            assert_eq!((&json["batch"], &json["done"]), (&1.into(), &9.into()), "{line}");
        }
    }
}

#[test]
fn a_dumb_terminal_gets_lines() {
    let rig = Rig::bare();
    let mut command = screen(rig.home.path());
    command.env("TERM", "dumb");
    let mut plain = Terminal::run(command, 24, 80);
    plain.wait("0 queued · 0 done");
    assert!(!plain.bytes().contains(&0x1b));
    plain.press("\u{3}");
    assert_eq!(plain.ended(), 0);
    plain.wait("the master keeps running");
}
