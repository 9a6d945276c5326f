//! Output that is followed while it is written.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};

use ganger_net::client::Caller;
use ganger_net::pki::identity::ClientIdentity;
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::{Args, BatchOptions, Cwd, Key, Kind, Request, Spec, Template};

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

/// Submits a line whose output is kept whole up to `most` bytes a stream, as `ganger run` does.
fn submit_whole(rig: &Rig, line: &str, most: u64) {
    let identity = ClientIdentity::load(&rig.home.path().join("client/admin")).unwrap();
    let mut spec = Spec::of(Kind::Shell { line: Template::from_text(line).unwrap() });
    (spec.output_bytes_max, spec.cwd) = (most, Cwd::Scratch);
    let head = Some(SubmitHead { spec, options: BatchOptions::default() });
    let key = Key::new(fastrand::u128(..));
    let submit = Submit {
        key,
        part: 0,
        last: true,
        head: head.map(Box::new),
        args: Args::Repeat { count: 1 },
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let caller = Caller::connect(&identity, &[rig.address()]).await.unwrap();
        caller.call(Request::Submit(submit)).await.unwrap();
    });
}

/// Returns what a command prints on standard output, as bytes.
fn printed(rig: &Rig, args: &[&str]) -> Vec<u8> {
    let output = rig.command(args).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{args:?}: {output:?}");
    output.stdout
}

/// Numbers, a line each, and their bytes.
fn numbers(count: u32) -> (String, Vec<u8>) {
    let all = (1..=count).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    (format!("seq {count}"), all)
}

#[test]
fn what_is_kept_whole_comes_back_whole() {
    let rig = Rig::with_worker();
    let (seq, expected) = numbers(900_000);
    assert!(expected.len() > 5 << 20);
    submit_whole(&rig, &format!("{seq}; {seq} | tr 0-9 a-j >&2"), 1 << 30);
    // While it is written and sent, others go on.
    rig.ok(&["submit", "--kind", "square", "--range", "1..1000", "--wait"]);
    rig.ok(&["wait", "b1"]);
    assert!(printed(&rig, &["logs", "1"]) == expected, "stdout");
    let letters: Vec<u8> = expected.iter().map(|b| if *b == b'\n' { *b } else { b + 49 }).collect();
    assert!(printed(&rig, &["logs", "1", "--stderr"]) == letters, "stderr");
    assert!(printed(&rig, &["results", "b1"]) == expected, "results");
    for (which, expected) in [("--stdout", &expected), ("--stderr", &letters)] {
        let followed = Following::start(&rig, &["1", which]).rest().0;
        assert!(followed == *expected, "{which}, followed after its end");
    }
    let spooled = rig.home.path().join("local-worker/run/spool");
    wait_for("the files to go", || {
        std::fs::read_dir(&spooled).unwrap().next().is_none().then_some(())
    });
    assert!(rig.ok(&["fsck", rig.home.path().to_str().unwrap()]).contains("sound"));
}

#[test]
fn what_is_sent_when_the_master_dies_is_sent_again() {
    let mut rig = Rig::with_worker();
    let (seq, expected) = numbers(900_000);
    submit_whole(&rig, &seq, 1 << 30);
    let spooled = rig.home.path().join("local-worker/run/spool");
    wait_for("the file", || std::fs::read_dir(&spooled).ok()?.next().map(drop));
    for _ in 0..2 {
        rig.kill_master();
        rig.start_master();
    }
    rig.ok(&["wait", "b1"]);
    assert!(printed(&rig, &["logs", "1"]) == expected);
}

#[test]
fn more_than_may_be_kept_is_cut_and_fails() {
    let rig = Rig::with_worker();
    let (seq, expected) = numbers(900_000);
    for (task, most) in [(1, 2_000_000), (2, 300_000), (3, 100)] {
        submit_whole(&rig, &seq, most as u64);
        assert_eq!(rig.ganger(&["wait", &format!("b{task}")]).code, 1);
        let said = rig.ganger(&["logs", &task.to_string()]);
        let cut = expected.len() - most;
        assert!(said.err.contains(&format!("{cut} bytes were not kept after the first {most}")));
        assert!(said.err.contains("output cut: it wrote"), "{}", said.err);
        assert!(said.out.as_bytes()[..most] == expected[..most], "{most}");
        assert!(rig.ok(&["show", &task.to_string()]).contains("125"));
    }
}
