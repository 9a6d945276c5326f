//! Output that is followed while it is written.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use crate::rig::{Rig, wait_for};

/// A `ganger logs -f` that runs.
struct Following {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Following {
    fn start(rig: &Rig, args: &[&str]) -> Self {
        let mut command = rig.command(&[&["logs", "-f"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Reads to the end; returns the rest of both streams. It must end well.
    fn rest(mut self) -> (Vec<u8>, String) {
        let (mut out, mut err) = (Vec::new(), String::new());
        self.out.read_to_end(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{err}");
        (out, err)
    }
}

/// A command that waits for a file.
fn until(file: &Path) -> String {
    format!("while [ ! -e {} ]; do sleep 0.02; done", file.display())
}

#[test]
fn a_task_is_followed_from_its_queue_to_its_end() {
    let rig = Rig::bare();
    let dir = tempfile::TempDir::new().unwrap();
    let go_on = dir.path().join("go-on");
    let line = format!("echo one; echo oops >&2; {}; echo two", until(&go_on));
    rig.ok(&["submit", "--shell", &line]);
    // Nobody runs it yet.
    let mut both = Following::start(&rig, &["1"]);
    let _worker = rig.join_worker("mill", "2");
    assert_eq!(both.line(), "one");
    // Another one comes later and hears the start too.
    let mut late = Following::start(&rig, &["1", "--json"]);
    assert!(late.line().contains("\"worker\":\"mill\""));
    assert!(late.line().contains("one\\n"));
    let errors = Following::start(&rig, &["1", "--stderr"]);
    std::fs::write(&go_on, b"").unwrap();
    let (out, err) = both.rest();
    assert_eq!(out, b"two\n");
    assert!(err.contains("oops"), "{err}");
    assert_eq!(errors.rest().0, b"oops\n");
    let (out, _) = late.rest();
    let out = String::from_utf8(out).unwrap();
    assert!(out.contains("two\\n") && out.contains("\"ended\":\"done\""), "{out}");
}

#[test]
fn the_next_attempt_is_followed_too_and_an_old_one_alone() {
    let rig = Rig::with_worker();
    let dir = tempfile::TempDir::new().unwrap();
    let go_on = dir.path().join("go-on");
    let line = format!(
        "if [ -e {0} ]; then {1}; echo again; else touch {0}; echo begun; {1}; exit 3; fi",
        dir.path().join("tried").display(),
        until(&go_on),
    );
    rig.ok(&["submit", "--retries", "1", "--shell", &line]);
    let mut following = Following::start(&rig, &["1"]);
    assert_eq!(following.line(), "begun");
    std::fs::write(&go_on, b"").unwrap();
    let (out, err) = following.rest();
    assert_eq!(out, b"again\n");
    assert!(err.contains("task 1: exit 3") && err.contains("attempt 2 on local"), "{err}");
    assert_eq!(Following::start(&rig, &["1", "--attempt", "1"]).rest().0, b"begun\n");
    assert_eq!(Following::start(&rig, &["1"]).rest().0, b"again\n");
    let refused = rig.ganger(&["logs", "-f", "1", "--attempt", "7"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    assert_eq!(rig.ganger(&["logs", "-f", "99"]).code, 3);
}

#[test]
fn what_has_ended_is_followed_at_once() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--kind", "square", "--range", "3..3", "--wait"]);
    assert_eq!(Following::start(&rig, &["1"]).rest().0, b"3 * 3 = 9");
    rig.ok(&["submit", "--wait", "--", "head", "-c", "100000", "/dev/zero"]);
    assert_eq!(Following::start(&rig, &["2"]).rest().0.len(), 100_000);
}

#[test]
fn a_flood_delays_nothing_and_every_byte_is_received_or_counted() {
    const TOTAL: u64 = 200_000_000;
    let rig = Rig::with_worker();
    let dir = tempfile::TempDir::new().unwrap();
    let go_on = dir.path().join("go-on");
    let line = format!("echo; {}; head -c {} /dev/zero", until(&go_on), TOTAL - 1);
    rig.ok(&["submit", "--shell", &line]);
    let mut following = Following::start(&rig, &["1"]);
    assert_eq!(following.line(), "");
    std::fs::write(&go_on, b"").unwrap();
    // Nobody reads, and the work goes on.
    rig.ok(&["submit", "--kind", "square", "--range", "1..1000", "--wait"]);
    wait_for("the end of the flood", || (rig.count("done") == 1_001).then_some(()));
    let (out, err) = following.rest();
    let skipped = err.lines().filter_map(|line| line.split_once(" bytes of stdout were not kept"));
    let skipped: u64 = skipped.map(|(count, _)| count.parse::<u64>().unwrap()).sum();
    assert_eq!(1 + out.len() as u64 + skipped, TOTAL, "{err}");
    assert!(skipped > 0, "a pipe that nobody reads takes no flood");
}

#[test]
fn following_goes_on_after_the_master_came_back() {
    let mut rig = Rig::with_worker();
    let dir = tempfile::TempDir::new().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    let line = format!("echo a; {}; echo b; {}; echo c", until(&first), until(&second));
    rig.ok(&["submit", "--shell", &line]);
    let mut following = Following::start(&rig, &["1"]);
    assert_eq!(following.line(), "a");
    rig.kill_master();
    rig.start_master();
    std::fs::write(&first, b"").unwrap();
    assert_eq!(following.line(), "b", "nothing comes twice");
    std::fs::write(&second, b"").unwrap();
    assert_eq!(following.rest().0, b"c\n");
}
