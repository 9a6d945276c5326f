//! A slot with a real launcher and real children. The launcher is this test binary, started again
//! to run the one ignored test [`be_launcher`].

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use ganger_proto::limits::{OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};
use ganger_proto::message::GrantRun;
use ganger_proto::{
    ArgList, Args, BatchId, Cwd, Epoch, Kind, Name, Spec, SpecId, TaskId, Template,
};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open};
use tempfile::TempDir;
use tokio::process::Command;

use super::*;
use crate::worker::core::Attempt;
use crate::worker::home::Home;
use crate::worker::policy::{ExecPolicy, Policy};
use crate::worker::{launcher_main, process};

#[test]
#[ignore = "not a test: the launcher that the tests here start"]
fn be_launcher() -> std::process::ExitCode {
    launcher_main()
}

#[tokio::test]
#[ignore = "not a test: the worker that a test here kills; its folder is in a variable"]
async fn be_worker() {
    let dir = PathBuf::from(std::env::var_os("TEST_DIR").unwrap());
    let mut slot = TestSlot::in_dir(&dir, Policy::local());
    slot.start(1, &escaping(&dir), |_| {}).await;
    slot.ends.recv().await;
}

fn this_binary(test: &str) -> Vec<OsString> {
    let own = std::env::current_exe().unwrap();
    let name = format!("worker::slot::tests::{test}");
    let words = [&name, "--exact", "--ignored", "--nocapture", "--test-threads=1"];
    [own.into_os_string()].into_iter().chain(words.map(OsString::from)).collect()
}

fn lease(counter: u64) -> LeaseId {
    LeaseId { epoch: Epoch::new(1), counter }
}

struct TestSlot {
    orders: mpsc::Sender<SlotOrder>,
    ends: Ends,
    task: tokio::task::JoinHandle<()>,
    run_dir: PathBuf,
    _home: Home,
}

/// What a slot hands over.
struct Ends(mpsc::Receiver<SlotEnd>);

impl Ends {
    /// Waits for the end of a child.
    async fn recv(&mut self) -> Option<AttemptEnded> {
        match self.0.recv().await? {
            SlotEnd::Child(end) => Some(*end),
            SlotEnd::Warm(ends) => panic!("{ends:?} is not of a child"),
        }
    }

    /// Returns the end of a child that has come.
    fn try_recv(&mut self) -> Option<AttemptEnded> {
        match self.0.try_recv().ok()? {
            SlotEnd::Child(end) => Some(*end),
            SlotEnd::Warm(ends) => panic!("{ends:?} is not of a child"),
        }
    }
}

impl TestSlot {
    fn in_dir(dir: &Path, policy: Policy) -> Self {
        Self::idling(dir, policy, IDLE)
    }

    fn idling(dir: &Path, policy: Policy, idle: Duration) -> Self {
        Self::made(dir, policy, (idle, PATIENCE), None)
    }

    fn grouped(dir: &Path, policy: Policy, groups: PathBuf) -> Self {
        Self::made(dir, policy, (IDLE, PATIENCE), Some(groups))
    }

    fn impatient(dir: &Path, policy: Policy, patience: Duration) -> Self {
        Self::made(dir, policy, (IDLE, patience), None)
    }

    fn made(
        dir: &Path,
        policy: Policy,
        (idle, patience): (Duration, Duration),
        groups: Option<PathBuf>,
    ) -> Self {
        let home = Home::open(dir).unwrap();
        let run_dir = home.run_dir().to_owned();
        let ground = Ground::new(Name::from_lossy("mill"), policy, run_dir.clone());
        let shared = Arc::new(Shared {
            ground: Ground { groups, ..ground },
            nursery: home.nursery(),
            launcher: this_binary("be_launcher"),
            clock: Clock::start(),
            patience,
        });
        let (orders, inbox) = mpsc::channel(8);
        let (to_test, ends) = mpsc::channel(1);
        let task = tokio::spawn(serve_with(0, shared, inbox, to_test, idle));
        Self { orders, ends: Ends(ends), task, run_dir, _home: home }
    }

    async fn start(&self, counter: u64, argv: &[&str], change: impl FnOnce(&mut Spec)) {
        let argv = argv.iter().map(|word| Template::from_text(word).unwrap()).collect();
        let mut spec = Spec::of(Kind::Exec { argv });
        change(&mut spec);
        self.start_spec(counter, spec, Args::Repeat { count: 1 }).await;
    }

    async fn start_spec(&self, counter: u64, spec: Spec, args: Args) {
        let run = GrantRun {
            lease: lease(counter),
            task: TaskId::new(counter),
            batch: BatchId::new(5),
            index: 0,
            attempt: 1,
            spec: SpecId::new(1),
            args,
        };
        let at = Attempt { lease: lease(counter), slot: 0 };
        let start = Box::new(Start { at, run, spec: Arc::new(spec) });
        self.orders.send(SlotOrder::Run(start)).await.unwrap();
    }

    async fn run(&mut self, argv: &[&str], change: impl FnOnce(&mut Spec)) -> AttemptEnded {
        self.start(1, argv, change).await;
        self.ends.recv().await.unwrap()
    }

    fn launcher(&self) -> Pid {
        launcher_in(&self.run_dir)
    }

    async fn close(self) {
        drop(self.orders);
        self.task.await.unwrap();
    }
}

fn launcher_in(run_dir: &Path) -> Pid {
    let text = fs::read_to_string(run_dir.join("launchers/0")).unwrap();
    Pid::from_raw(text.split(' ').next().unwrap().parse().unwrap()).unwrap()
}

fn slot(policy: Policy) -> (TempDir, TestSlot) {
    let dir = tempfile::tempdir().unwrap();
    let slot = TestSlot::in_dir(dir.path(), policy);
    (dir, slot)
}

fn quick() -> Policy {
    Policy { grace: Duration::from_millis(50), ..Policy::local() }
}

/// A command that leaves its process group, its session and its parent; four processes that say
/// when they are there.
fn escaping(dir: &Path) -> [&'static str; 3] {
    fifo(dir);
    [
        "sh",
        "-c",
        "(setsid sh -c 'echo x >$0/../fifo; sleep 300; true' $PWD &)
        echo y >../fifo; trap '' TERM; sleep 300; sleep 300; true",
    ]
}

fn fifo(dir: &Path) -> File {
    fifo_at(&dir.join("fifo"))
}

fn fifo_at(path: &Path) -> File {
    if !path.exists() {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
    }
    // Open for writing too, so that it has no end between two writers.
    OpenOptions::new().read(true).write(true).open(path).unwrap()
}

async fn lines(fifo: &mut BufReader<File>, count: usize) {
    let mut file = BufReader::new(fifo.get_ref().try_clone().unwrap());
    tokio::task::spawn_blocking(move || {
        for _ in 0..count {
            file.read_line(&mut String::new()).unwrap();
        }
    })
    .await
    .unwrap();
}

/// Returns the processes below `root` with their start times.
fn below(root: Pid) -> Vec<(Pid, Option<u64>)> {
    let pids = process::descendants(root).into_iter();
    pids.map(|pid| (pid, process::start_time(pid))).filter(|(_, since)| since.is_some()).collect()
}

fn survivors(all: &[(Pid, Option<u64>)]) -> usize {
    all.iter().filter(|(pid, since)| process::start_time(*pid) == *since).count()
}

async fn check(slot: &mut TestSlot, argv: &[&str], expected: &str) {
    let AttemptEnded { ended, output } = slot.run(argv, |_| {}).await;
    assert_eq!(output, None);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().replace('\n', "|");
    let all = [
        ended.outcome.to_string(),
        text(&ended.stdout),
        text(&ended.stderr),
        ended.message.replace(slot.run_dir.to_str().unwrap(), "RUN"),
    ];
    assert_eq!(all.join(";"), expected, "{argv:?}");
}

#[tokio::test]
async fn children_end_as_they_do() {
    let (_dir, mut slot) = slot(Policy::local());
    let slot = &mut slot;
    check(slot, &["echo", "a  b"], "done;a  b;;").await;
    check(slot, &["sh", "-c", "echo out; echo err >&2; exit 7"], "exit 7;out;err;").await;
    check(slot, &["sh", "-c", "kill -9 $$"], "signal 9;;;").await;
    check(slot, &["cat"], "done;;;").await;
    check(
        slot,
        &[
            "sh",
            "-c",
            "echo $0 $GANGER_TASK $GANGER_BATCH $GANGER_LANE $GANGER_SLOT $GANGER_WORKER",
        ],
        "done;sh 1 b5 cpu 0 mill;;",
    )
    .await;
    check(slot, &["pwd"], &format!("done;{};;", slot.run_dir.display())).await;
    let missing = "exit 127;;;no program `no-such`; install it on the worker or give its path";
    check(slot, &["no-such"], missing).await;
    check(
        slot,
        &["/etc/passwd"],
        "exit 126;;;/etc/passwd is not an executable file; `chmod +x` it",
    )
    .await;
    check(slot, &["/tmp"], "exit 126;;;/tmp is not an executable file; `chmod +x` it").await;
    check(
        slot,
        &["/bin/sh", "\0"],
        "exit 126;;;/bin/sh cannot be given a NUL byte in a word or a variable",
    )
    .await;
}

#[tokio::test]
async fn the_environment_is_only_what_is_passed() {
    let (_dir, mut slot) = slot(Policy::local());
    let end = slot.run(&["env"], |spec| spec.env = vec![("X".into(), "1 2".into())]).await;
    let text = String::from_utf8(end.ended.stdout).unwrap();
    assert!(text.contains("X=1 2\n") && text.contains("GANGER_ATTEMPT=1\n"), "{text}");
    assert!(!text.contains("CARGO"), "{text}");
    assert!(end.ended.usage.max_rss_kib > 0 && end.ended.took_us > 0);
}

#[tokio::test]
async fn directories() {
    let (dir, mut slot) = slot(Policy::local());
    let nowhere = Cwd::Directory(b"/no/such".to_vec());
    let end = slot.run(&["pwd"], |spec| spec.cwd = nowhere).await.ended;
    assert_eq!(end.outcome, Outcome::Unfit);
    assert_eq!(end.message, "no directory /no/such on mill; share it or use `--cwd scratch`");
    let relative = Cwd::Directory(b".".to_vec());
    let end = slot.run(&["pwd"], |spec| spec.cwd = relative).await.ended;
    assert_eq!(end.outcome, Outcome::Unfit);
    let path = dir.path().canonicalize().unwrap();
    let there = Cwd::Directory(path.as_os_str().as_encoded_bytes().to_vec());
    let end = slot.run(&["pwd"], |spec| spec.cwd = there).await.ended;
    assert_eq!(end.stdout, format!("{}\n", path.display()).as_bytes());
    let script = "umask 0; stat -c %a .; pwd";
    let end = slot.run(&["sh", "-c", script], |spec| spec.cwd = Cwd::Scratch).await.ended;
    let scratch = slot.run_dir.join("scratch/1-1");
    assert_eq!(end.stdout, format!("700\n{}\n", scratch.display()).as_bytes());
}

#[tokio::test]
async fn what_the_policy_refuses_does_not_run() {
    let path = std::env::var_os("PATH").unwrap();
    let mut folders = std::env::split_paths(&path).map(|folder| folder.join("env"));
    let listed = ExecPolicy::AllowList(vec![folders.find(|env| env.exists()).unwrap()]);
    let (_dir, mut slot) = slot(Policy { exec: listed, ..Policy::default() });
    assert_eq!(slot.run(&["env"], |_| {}).await.ended.outcome, Outcome::Done);
    let end = slot.run(&["cat", "/etc/passwd"], |_| {}).await.ended;
    assert_eq!(end.outcome, Outcome::Unfit);
    assert!(end.message.contains("cat is not on this worker's list"), "{}", end.message);
    let preload = |spec: &mut Spec| spec.env = vec![("LD_PRELOAD".into(), "/x.so".into())];
    assert_eq!(slot.run(&["env"], preload).await.ended.outcome, Outcome::Unfit);
    let line = Template::from_text("echo hi").unwrap();
    let shell = |spec: &mut Spec| spec.kind = Kind::Shell { line };
    let end = slot.run(&["x"], shell).await.ended;
    assert!(end.message.contains("allows no shell"), "{}", end.message);
}

#[tokio::test]
async fn a_shell_line_gets_its_argument_quoted() {
    let (_dir, slot) = slot(Policy::local());
    let kind = Kind::Shell { line: Template::from_text("echo {} | tr a-z A-Z").unwrap() };
    let argument = [&b"a  $HOME"[..]].into_iter().collect::<ArgList>();
    let run = GrantRun {
        lease: lease(1),
        task: TaskId::new(1),
        batch: BatchId::new(1),
        index: 0,
        attempt: 1,
        spec: SpecId::new(1),
        args: Args::Listed(argument),
    };
    let at = Attempt { lease: lease(1), slot: 0 };
    let start = Start { at, run, spec: Arc::new(Spec::of(kind)) };
    slot.orders.send(SlotOrder::Run(Box::new(start))).await.unwrap();
    let TestSlot { mut ends, .. } = slot;
    assert_eq!(ends.recv().await.unwrap().ended.stdout, b"A  $HOME\n");
}

#[tokio::test]
async fn a_flood_is_cut_and_counted() {
    let (_dir, mut slot) = slot(Policy::local());
    let script = "echo first; head -c 33554432 /dev/zero; echo last; echo small >&2";
    let AttemptEnded { ended, output } = slot.run(&["sh", "-c", script], |_| {}).await;
    let (header, bytes) = output.unwrap();
    let total = 33_554_432 + 6 + 5;
    assert_eq!(header.stdout.head as usize, OUTPUT_HEAD_BYTES);
    assert_eq!(header.stdout.tail as usize, OUTPUT_TAIL_BYTES);
    assert_eq!(header.stdout.skipped as usize, total - OUTPUT_HEAD_BYTES - OUTPUT_TAIL_BYTES);
    assert_eq!((header.stderr.head, header.stderr.skipped, header.stderr.tail), (6, 0, 0));
    assert!(bytes.starts_with(b"first\n") && bytes.ends_with(b"last\nsmall\n"));
    assert_eq!(bytes.len(), OUTPUT_HEAD_BYTES + OUTPUT_TAIL_BYTES + 6);
    assert_eq!((ended.stdout.len(), ended.stderr.as_slice()), (4_096, &b"small\n"[..]));
}

#[tokio::test]
async fn a_limit_of_time_is_kept() {
    let (_dir, mut slot) = slot(quick());
    let limit = |spec: &mut Spec| spec.timeout_ms = 30;
    let end = slot.run(&["sh", "-c", "echo so far; sleep 300"], limit).await.ended;
    assert_eq!((end.outcome, end.stdout.as_slice()), (Outcome::TimedOut, &b"so far\n"[..]));
    let script = "trap '' TERM; while :; do sleep 300; done";
    let end = slot.run(&["sh", "-c", script], limit).await.ended;
    assert_eq!(end.outcome, Outcome::TimedOut);
    assert!(end.took_us >= 80_000, "it had its grace: {} us", end.took_us);
    assert_eq!(slot.run(&["true"], limit).await.ended.outcome, Outcome::Done);
}

#[tokio::test]
async fn what_is_left_in_the_background_is_swept() {
    let (_dir, mut slot) = slot(Policy::local());
    let script = "sleep 300 & (setsid sleep 300 &) ; echo hi";
    for _ in 0..10 {
        let end = slot.run(&["sh", "-c", script], |_| {}).await.ended;
        assert_eq!((end.outcome, end.stdout.as_slice()), (Outcome::Done, &b"hi\n"[..]));
        assert_eq!(process::children(slot.launcher()), []);
    }
}

#[tokio::test]
async fn nothing_survives_a_cancel() {
    let (dir, mut slot) = slot(Policy { grace: Duration::from_millis(10), ..Policy::local() });
    let command = escaping(dir.path());
    let mut there = BufReader::new(fifo(dir.path()));
    // A hundred that are asked to stop, and some that are killed at once.
    for round in 0..120 {
        slot.start(round, &command, |spec| {
            let run = dir.path().join("run");
            spec.cwd = Cwd::Directory(run.as_os_str().as_encoded_bytes().to_vec());
        })
        .await;
        lines(&mut there, 2).await;
        let all = below(slot.launcher());
        assert!(all.len() >= 2, "{all:?}");
        let order = if round % 6 == 5 { SlotOrder::Kill } else { SlotOrder::Stop };
        slot.orders.send(SlotOrder::Stop(lease(999))).await.unwrap();
        slot.orders.send(order(lease(round))).await.unwrap();
        let end = slot.ends.recv().await.unwrap().ended;
        assert_eq!((end.lease, end.outcome), (lease(round), Outcome::Cancelled));
        assert_eq!(survivors(&all), 0, "round {round}");
    }
    slot.close().await;
}

/// Returns the processes with a variable in their environment.
fn marked(mark: &str) -> Vec<String> {
    let folders = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let has = |folder: &PathBuf| {
        let environ = fs::read(folder.join("environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    folders.filter(has).map(|folder| folder.display().to_string()).collect()
}

/// At the limit some have just begun, and some are about to leave their group, session or parent.
#[tokio::test]
async fn nothing_survives_a_limit_of_time() {
    let (dir, mut slot) = slot(Policy { grace: Duration::from_millis(10), ..Policy::local() });
    let mark = format!("{}", dir.path().display());
    let command = [
        "sh",
        "-c",
        "(setsid sh -c '(setsid sleep 300 &) ; sleep 300 & (sleep 300 &) ; wait' &)
        (sleep 300 &) ; trap '' TERM; sleep 300; sleep 300; true",
    ];
    let mut seen = 0;
    for round in 0..100 {
        slot.start(round, &command, |spec| {
            spec.timeout_ms = 1 + round % 25;
            spec.env = vec![("MARK".to_owned(), mark.clone())];
        })
        .await;
        let end = loop {
            match slot.ends.try_recv() {
                Some(end) => break end.ended,
                None => seen = seen.max(marked(&format!("MARK={mark}")).len()),
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((end.lease, end.outcome), (lease(round), Outcome::TimedOut));
        assert_eq!(marked(&format!("MARK={mark}")), [] as [&str; 0], "round {round}");
        assert_eq!(process::children(slot.launcher()), []);
    }
    assert!(seen > 1, "the mark is seen while they live");
    slot.close().await;
}

#[tokio::test]
async fn output_that_is_kept_whole_is_spooled_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let (_dir, mut slot) = slot(Policy::local());
    let script = "seq 500000; echo small >&2";
    let AttemptEnded { ended, output } =
        slot.run(&["sh", "-c", script], |spec| spec.output_bytes_max = 1 << 30).await;
    let (header, bytes) = output.unwrap();
    let expected: Vec<u8> = (1..=500_000).flat_map(|n| format!("{n}\n").into_bytes()).collect();
    assert_eq!((ended.outcome, header.stdout.head), (Outcome::Done, expected.len() as u64));
    assert_eq!((header.stdout.skipped, header.stdout.tail, header.is_long()), (0, 0, true));
    assert_eq!(header.stderr.head, 6);
    let path = slot.run_dir.join("spool/1-1.out");
    let whole = [&bytes[..OUTPUT_HEAD_BYTES], &fs::read(&path).unwrap()].concat();
    assert!(whole == expected && bytes.ends_with(b"small\n"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let most = |spec: &mut Spec| spec.output_bytes_max = 2_000_000;
    slot.start(2, &["sh", "-c", script], most).await;
    let AttemptEnded { ended, output } = slot.ends.recv().await.unwrap();
    assert_eq!(ended.outcome, Outcome::Failed { code: OWN_FAULT });
    assert!(ended.message.starts_with("output cut: it wrote 3388895 bytes"), "{}", ended.message);
    let stdout = output.unwrap().0.stdout;
    assert_eq!((stdout.head, stdout.skipped), (2_000_000, 1_388_895));
    let run_dir = slot.run_dir.clone();
    slot.close().await;
    spool::remove(&run_dir, lease(1)).unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_slot_that_closes_takes_its_child_along() {
    let (dir, slot) = slot(Policy::local());
    let mut there = BufReader::new(fifo(dir.path()));
    slot.start(1, &escaping(dir.path()), |_| {}).await;
    lines(&mut there, 2).await;
    let launcher = slot.launcher();
    let all = below(launcher);
    slot.close().await;
    assert_eq!((survivors(&all), process::start_time(launcher)), (0, None));
}

#[tokio::test]
async fn nothing_survives_a_worker_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut there = BufReader::new(fifo(dir.path()));
    let words = this_binary("be_worker");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("TEST_DIR", dir.path()).stdout(Stdio::null());
    let mut worker = command.spawn().unwrap();
    lines(&mut there, 2).await;
    let launcher = launcher_in(&dir.path().join("run"));
    let all = below(launcher);
    let gone = pidfd_open(launcher, PidfdFlags::empty()).unwrap();
    worker.start_kill().unwrap();
    worker.wait().await.unwrap();
    let wait = move || poll(&mut [PollFd::new(&gone, PollFlags::IN)], None);
    tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    assert_eq!(survivors(&all), 0);
}

#[tokio::test]
async fn an_idle_launcher_ends_and_the_next_task_starts_another() {
    const ROUNDS_MAX: u32 = 100;
    let dir = tempfile::tempdir().unwrap();
    let parent = ["sh", "-c", "echo $PPID"];
    let mut slot = TestSlot::in_dir(dir.path(), quick());
    let first = slot.run(&parent, |_| {}).await.ended.stdout;
    assert_eq!(slot.run(&parent, |_| {}).await.ended.stdout, first, "it stays for a while");
    slot.close().await;
    let mut slot = TestSlot::idling(dir.path(), quick(), Duration::ZERO);
    let first = slot.run(&parent, |_| {}).await.ended.stdout;
    for round in 0.. {
        // The next order must not come before the moment in which it idles.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let end = slot.run(&parent, |_| {}).await.ended;
        assert_eq!(end.outcome, Outcome::Done);
        if end.stdout != first {
            break;
        }
        assert!(round < ROUNDS_MAX, "the launcher never ended");
    }
    slot.close().await;
}

#[tokio::test]
async fn a_launcher_that_is_killed_costs_one_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let words = this_binary("be_worker_without_luck");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("TEST_DIR", dir.path());
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[tokio::test]
#[ignore = "not a test: the worker whose launcher is killed; its folder is in a variable"]
async fn be_worker_without_luck() {
    let dir = PathBuf::from(std::env::var_os("TEST_DIR").unwrap());
    rustix::process::set_child_subreaper(Some(getpid())).unwrap();
    let mut there = BufReader::new(fifo(&dir));
    let mut slot = TestSlot::in_dir(&dir, Policy::local());
    slot.start(1, &escaping(&dir), |_| {}).await;
    lines(&mut there, 2).await;
    let launcher = slot.launcher();
    let all = below(launcher);
    kill_process(launcher, Signal::KILL).unwrap();
    let end = slot.ends.recv().await.unwrap().ended;
    assert_eq!(end.outcome, Outcome::Failed { code: 125 });
    assert_eq!(survivors(&all), 0, "orphans come to the worker and end there");
    assert_eq!(slot.run(&["true"], |_| {}).await.ended.outcome, Outcome::Done);
}

mod following;
mod paths;
mod safety;
mod warm;
