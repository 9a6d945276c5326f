//! `ganger run` where GNU parallel gives no measure: signals, a master that vanishes, waiting,
//! JSON, long outputs. Its habits are in parallel.rs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::rig::{Rig, Said, wait_for};

/// A run that goes on while the test does something.
struct Going {
    child: Child,
}

impl Going {
    fn start(rig: &Rig, args: &[&str]) -> Self {
        let mut command: Command = rig.command(&[&["run"], args].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { child: command.spawn().unwrap() }
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Reads standard error until a line holds `part`.
    fn says(&mut self, part: &str) -> String {
        let stderr = self.child.stderr.take().unwrap();
        let mut reader = BufReader::new(stderr);
        let mut all = String::new();
        while !all.contains(part) {
            let read = reader.read_line(&mut all).unwrap();
            assert!(read > 0, "`{part}` was not said: {all}");
        }
        self.child.stderr = Some(reader.into_inner());
        all
    }

    fn ended(self) -> Said {
        let output = self.child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

fn running(rig: &Rig, count: u64) {
    wait_for("running tasks", || (rig.count("running") == count).then_some(()));
}

#[test]
fn twenty_failures_are_the_exit_code() {
    let rig = Rig::with_worker();
    let said = rig.ganger(&["run", "false", ":::", "1..20"]);
    assert_eq!(said.code, 20, "{said:?}");
    assert_eq!(rig.count("failed"), 20);
}

#[test]
fn what_cannot_run_says_why() {
    let rig = Rig::with_worker();
    let check = |args: &[&str], code: i32, part: &str| {
        let said = rig.ganger(&[&["run"], args].concat());
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.err.contains(part), "{said:?}");
    };
    check(&["no-such-program", ":::", "1"], 1, "no program `no-such-program`");
    check(&["--cwd", "/no/such/folder", "echo", ":::", "1", "2"], 2, "no directory /no/such");
    check(&["--halt", "later", "echo", ":::", "1"], 255, "now,fail=1");
    check(&["-a", "/no/such/file", "echo"], 255, "cannot open /no/such/file");
    check(&["--nope", "echo"], 255, "--nope");
    check(&["--kind", "square", "echo", ":::", "1"], 255, "takes none");
    check(&["--retry-failed", "--joblog", "/no/log"], 255, "cannot read the job log");
}

#[test]
fn arguments_run_while_others_are_still_to_come() {
    let rig = Rig::with_worker();
    let mut run = Going::start(&rig, &["echo", "got", "{}"]);
    let mut stdin = run.child.stdin.take().unwrap();
    let mut stdout = BufReader::new(run.child.stdout.take().unwrap());
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").unwrap();
        stdin.flush().unwrap();
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, format!("got {word}\n"));
    }
    drop(stdin);
    let said = run.ended();
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn ctrl_c_once_waits_for_what_runs() {
    let rig = Rig::with_worker();
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    let line = format!("until test -e {}; do sleep 0.05; done; echo {{}}", gate.display());
    let mut run = Going::start(&rig, &["-k", &line, ":::", "1..6"]);
    running(&rig, 2);
    run.signal(Signal::INT);
    let said = run.says("goes on with the others");
    assert!(said.contains("Ctrl-C again cancels them"), "{said}");
    assert!(said.contains("ganger wait b1"), "{said}");
    std::fs::write(&gate, "").unwrap();
    let said = run.ended();
    assert_eq!((said.code, said.out.as_str()), (255, "1\n2\n"), "{said:?}");
    assert!(said.err.contains("4 tasks of b1 did not run to their end"), "{said:?}");
    assert_eq!((rig.count("done"), rig.count("cancelled")), (2, 4));
}

#[test]
fn ctrl_c_twice_cancels_what_runs() {
    let rig = Rig::with_worker();
    let mut run = Going::start(&rig, &["sleep", "600{}", ":::", "1..6"]);
    running(&rig, 2);
    run.signal(Signal::INT);
    run.says("Ctrl-C again cancels them");
    run.signal(Signal::INT);
    let said = run.ended();
    assert_eq!(said.code, 255, "{said:?}");
    assert!(said.err.contains("are being cancelled"), "{said:?}");
    assert_eq!(rig.count("cancelled"), 6);
}

#[test]
fn a_batch_that_is_left_goes_on() {
    let rig = Rig::with_worker();
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    let line = format!("until test -e {}; do sleep 0.05; done; echo {{}}", gate.display());
    let run = Going::start(&rig, &[&line, ":::", "1..4"]);
    running(&rig, 2);
    run.signal(Signal::QUIT);
    let said = run.ended();
    assert_eq!(said.code, 255, "{said:?}");
    assert!(said.err.contains("`ganger wait b1` waits for it"), "{said:?}");
    std::fs::write(&gate, "").unwrap();
    rig.ok(&["wait", "b1"]);
    assert_eq!(rig.ok(&["results", "b1"]), "1\n2\n3\n4\n");
}

#[test]
fn a_master_that_was_killed_costs_no_output_and_repeats_none() {
    let mut rig = Rig::with_worker();
    let run = Going::start(&rig, &["-k", "sleep 0.1; echo {}", ":::", "1..60"]);
    wait_for("some results", || (rig.count("done") >= 10).then_some(()));
    rig.kill_master();
    rig.start_master();
    let said = run.ended();
    let expected: String = (1..=60).map(|n| format!("{n}\n")).collect();
    assert_eq!((said.code, said.out), (0, expected), "{}", said.err);
    assert!(said.err.contains("connected again"), "{}", said.err);
}

#[test]
fn a_run_that_no_worker_can_take_says_so_and_waits() {
    let rig = Rig::with_worker();
    let mut run = Going::start(&rig, &["--on", "gpu=a100", "echo", ":::", "1", "2"]);
    let said = run.says("none runs");
    assert!(said.contains("2 of 2 tasks of b1 wait") && said.contains("gpu"), "{said}");
    run.signal(Signal::INT);
    let said = run.ended();
    assert_eq!(said.code, 255, "{said:?}");
    assert!(said.err.contains("2 tasks of b1 did not run to their end"), "{said:?}");
}

#[test]
fn a_handler_that_no_worker_has_is_said_and_waited_for() {
    let rig = Rig::with_worker();
    let mut run = Going::start(&rig, &["--kind", "handler:resize", ":::", "a.png"]);
    let said = run.says("none runs");
    assert!(said.contains("resize"), "{said}");
    run.signal(Signal::INT);
    assert_eq!(run.ended().code, 255);
    let text = rig.ok(&["run", "-k", "--tag", "--kind", "square", ":::", "1..3"]);
    assert_eq!(text, "1\t1 * 1 = 1\n2\t2 * 2 = 4\n3\t3 * 3 = 9\n");
}

#[test]
fn long_outputs_come_whole_by_pages() {
    let rig = Rig::with_worker();
    let said = rig.ganger(&["run", "-k", "seq 100000 | tail -n {}", ":::", "100000", "99999"]);
    let expected: String = (1..=100_000).chain(2..=100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out == expected, "{} bytes, expected {}", said.out.len(), expected.len());
}

#[test]
fn lines_of_running_tasks_come_as_they_are_written() {
    let rig = Rig::with_worker();
    let folder = TempDir::new().unwrap();
    let gate = folder.path().join("gate");
    let line = format!(
        "echo one {{}}; printf half; until test -e {}; do sleep 0.05; done; echo two; echo e >&2",
        gate.display()
    );
    let mut run = Going::start(&rig, &["--line-buffer", "--tag", &line, ":::", "a"]);
    let mut stdout = BufReader::new(run.child.stdout.take().unwrap());
    let mut text = String::new();
    stdout.read_line(&mut text).unwrap();
    assert_eq!(text, "a\tone a\n");
    std::fs::write(&gate, "").unwrap();
    text.clear();
    std::io::Read::read_to_string(&mut stdout, &mut text).unwrap();
    assert_eq!(text, "a\thalftwo\n");
    let said = run.ended();
    assert_eq!((said.code, said.err.as_str()), (0, "a\te\n"), "{said:?}");
}

#[test]
fn json_lines_go_in_and_come_out() {
    let rig = Rig::with_worker();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("in.jsonl");
    std::fs::write(&file, "{\"who\":\"a b\",\"n\":5}\n{\"n\":7,\"who\":\"it's\"}\n").unwrap();
    let path = file.to_str().unwrap();
    let text = rig.ok(&["run", "-k", "--jsonl", path, "echo", "{who}-{n}"]);
    assert_eq!(text, "a b-5\nit's-7\n");
    assert_eq!(rig.ok(&["run", "--jsonl", "/dev/null", "echo"]), "");
    let text = rig.ok(&["run", "-k", "--json", "echo", "{2}{1}", ":::", "a", ":::", "b", "c"]);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["stdout"], "ca\n");
    assert_eq!(rows[1]["arguments"], serde_json::json!(["a", "c"]));
    assert_eq!(rows[1]["number"], 2);
}

#[test]
fn a_task_far_over_the_median_is_stopped() {
    let rig = Rig::with_worker();
    let said = rig.ganger(&[
        "run",
        "--timeout",
        "300%",
        "sleep {}; echo {}",
        ":::",
        "0.3",
        "0.3",
        "0.3",
        "0.3",
        "600",
    ]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.out, "0.3\n".repeat(4), "{said:?}");
    assert!(said.err.contains("300% of the median"), "{said:?}");
}

#[test]
fn submit_has_the_same_sources() {
    let rig = Rig::with_worker();
    rig.ok(&["submit", "--wait", "--", "echo", "{2}-{1}", ":::", "a", "b", ":::", "1", "2"]);
    assert_eq!(rig.ok(&["results"]), "1-a\n2-a\n1-b\n2-b\n");
    let shown = rig.ok(&["show", "1"]);
    assert!(shown.contains("echo 1-a") && shown.contains("a 1"), "{shown}");
}
