//! Every way in which a handler may misbehave: the slot goes on, and what it costs is said.

use super::*;

#[tokio::test]
async fn a_crash_costs_one_attempt_and_the_next_task_finds_a_fresh_process() {
    let body = "seen = 0
def answer(task):
    global seen
    seen += 1
    if task['args'] == 'exit': sys.stderr.write('oh'); sys.stderr.flush(); os._exit(3)
    if task['args'] == 'zero': os._exit(0)
    if task['args'] == 'kill': os.kill(os.getpid(), 9)
    if task['args'] == 'raise': raise ValueError('bad')
    out(seen)
    if task['args'] == 'after': os._exit(5)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    let slot = &mut slot;
    slot.check_warm(1, "x", "done;1;;").await;
    slot.check_warm(
        2,
        "exit",
        "exit 3;;oh;the handler h exited with code 3 while it ran this task",
    )
    .await;
    slot.check_warm(3, "x", "done;1;;").await;
    slot.check_warm(4, "zero", "exit 1;;;the handler h exited with code 0 while it ran this task")
        .await;
    slot.check_warm(
        5,
        "kill",
        "signal 9;;;the handler h was ended by signal 9 while it ran this task",
    )
    .await;
    let ended = slot.ask(6, "raise", "h").await;
    assert_eq!(ended.outcome, Outcome::Failed { code: 1 });
    assert!(String::from_utf8_lossy(&ended.stderr).contains("ValueError: bad"), "{ended:?}");
    assert!(ended.usage.max_rss_kib > 0);
    // After its answer, and so before the next task: neither is lost.
    for number in 10..20 {
        slot.check_warm(number, "after", "done;1;;").await;
    }
}

#[tokio::test]
async fn a_process_that_dies_at_start_is_not_charged_and_does_not_spin() {
    let body = "echo no model >&2; echo x >>starts; exit 4";
    let (_dir, mut slot) = one(shell(body));
    let sentence = "unfit;;no model;the handler h on mill exited with code 4 before it took a task; \
                    its standard error may say why";
    let clock = Clock::start();
    let args: Vec<&[u8]> = vec![b"x"; 64];
    slot.give(100, &args, "h").await;
    let tally = slot.tally(64).await;
    assert_eq!(words(&tally.ends[&100]), sentence);
    assert!(tally.returned >= 60, "those behind go elsewhere: {tally:?}");
    slot.check_warm(1, "x", sentence).await;
    slot.check_warm(2, "x", sentence).await;
    assert!(clock.micros() >= 300_000, "starts are spaced");
    let starts = fs::read_to_string(slot.run_dir.join("starts")).unwrap();
    assert!(starts.len() <= 2 * 4, "{} starts", starts.len() / 2);
}

#[tokio::test]
async fn a_handler_that_cannot_be_started_is_tried_elsewhere() {
    let none = Handler::of(vec!["no-such".into()], None).unwrap();
    let nowhere = Handler::of(vec!["true".into()], Some("/no/such".into())).unwrap();
    let (_dir, mut slot) = with(vec![("h", none), ("w", nowhere)]);
    let missing = "unfit;;;the handler h cannot be started on mill: no program `no-such`; install it \
                   on the worker or give its path";
    slot.check_warm(1, "x", missing).await;
    let ended = slot.ask(2, "x", "w").await;
    assert_eq!(ended.outcome, Outcome::Unfit);
    assert!(ended.message.contains("no directory /no/such on mill"), "{}", ended.message);
    let ended = slot.ask(3, "x", "other").await;
    assert_eq!(words(&ended), "unfit;;;mill has no handler other");
    let listed = Policy { exec: ExecPolicy::HandlersOnly, ..quick() };
    let handlers = [(Name::parse("h").unwrap(), shell("read x; echo '{\"ok\": 1}'"))];
    let policy = Policy { handlers: handlers.into(), ..listed };
    let (_dir, mut slot) = super::super::slot(policy);
    slot.check_warm(1, "x", "done;1;;").await;
}

#[tokio::test]
async fn lines_that_are_no_answer_end_the_process() {
    let body = "seen = 0
def answer(task):
    global seen
    seen += 1
    a = task['args']
    if a == 'garbage': say('Loading...' + chr(10))
    if a == 'bytes': sys.stdout.buffer.write(b'{\"ok\": \"' + bytes([255]) + b'\"}' + bytes([10])); sys.stdout.flush()
    if a == 'other': say('{\"ok\": 1, \"task\": 99}' + chr(10))
    if a == 'ok': out(seen)
    time.sleep(1000 if a != 'ok' else 0)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    for (number, argument, sentence) in [
        (
            1,
            "garbage",
            "exit 1;;;the handler h wrote a line that is no answer: `Loading...`; it must",
        ),
        (2, "bytes", "exit 1;;;the handler h wrote a line that is not UTF-8"),
        (3, "other", "exit 1;;;the handler h answered for the task `99` while it ran task 3"),
    ] {
        let said = words(&slot.ask(number, argument, "h").await);
        assert!(said.starts_with(sentence), "{said}");
        slot.check_warm(number + 10, "ok", "done;1;;").await;
    }
}

#[tokio::test]
async fn a_line_without_an_end_is_cut_off() {
    let body = "sys.stdin.readline()
while True: sys.stdout.write('x' * 65536)";
    let (_dir, mut slot) = one(python(body));
    slot.give(1, &[b"x"], "h").await;
    let tally = slot.tally(1).await;
    let sentence = "exit 1;;;the handler h wrote over 1 MiB without an end of line; it should write \
                    much to a file, and answer with its path";
    assert_eq!(words(&tally.ends[&1]), sentence);
    // The keeper held little more than the one line.
    let status = fs::read_to_string(format!("/proc/{}/status", slot.keeper("h"))).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 200 << 10, "{kib} KiB");
}

#[tokio::test]
async fn what_is_written_without_a_task_is_no_answer() {
    // Before the first task it is not to be told from an answer, and is none.
    let (_dir, mut slot) = one(python("say('ready' + chr(10))\nloop(lambda task: out(1))"));
    let said = words(&slot.ask(1, "x", "h").await);
    assert!(
        said.starts_with("exit 1;;;the handler h wrote a line that is no answer: `ready`"),
        "{said}"
    );

    // The first of two answers counts, and the process with the second is not used any more. They
    // come in one write: a second that comes after the next task is not to be told from its answer.
    let body = "me = json.dumps({'ok': os.getpid()}) + chr(10)
def answer(task):
    say(me + me)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    let mut made = std::collections::BTreeSet::new();
    for number in 1..=5 {
        let ended = slot.ask(number, "x", "h").await;
        assert_eq!(ended.outcome, Outcome::Done, "{ended:?}");
        made.insert(ended.stdout);
    }
    assert_eq!(made.len(), 5, "each has a process of its own");

    // An answer for nothing, some time after the right one.
    let body = "def answer(task):
    out(task['args'])
    time.sleep(0.05)
    out('stray')
loop(answer)";
    let (dir, mut slot) = one(python(body));
    for number in 1..=3 {
        slot.check_warm(number, "x", "done;x;;").await;
        // The keeper has seen the stray one when its process is gone.
        let keeper = slot.keeper("h");
        for child in process::children(keeper) {
            let Ok(gone) = pidfd_open(child, PidfdFlags::empty()) else { continue };
            let wait = move || poll(&mut [PollFd::new(&gone, PollFlags::IN)], None);
            tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
        }
    }
    drop(dir);
}

#[tokio::test]
async fn a_handler_that_closes_its_pipes_and_lives_on_is_replaced() {
    let body = "def answer(task):
    if task['args'] == 'out': os.close(1); time.sleep(1000)
    if task['args'] == 'in': os.close(0)
    out(1)
    if task['args'] == 'in': time.sleep(1000)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    let sentence = "exit 1;;;the handler h closed its standard input or output and lives on";
    slot.check_warm(1, "out", sentence).await;
    slot.check_warm(2, "x", "done;1;;").await;
    slot.check_warm(3, "in", "done;1;;").await;
    let said = words(&slot.ask(4, "x", "h").await);
    assert!(said == "done;1;;" || said == sentence, "{said}");
    slot.check_warm(5, "x", "done;1;;").await;
}

#[tokio::test]
async fn limits_of_time_hold_for_each_task() {
    let body = "import signal
def answer(task):
    if task['args'] == 'deaf': signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if task['args'] in ('hang', 'deaf'):
        sys.stderr.write('so far'); sys.stderr.flush()
        time.sleep(1000)
    out('deadline' in task)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    // Generous, so that a slow start of Python is none of the cases.
    slot.check_warm(1, "x", "done;false;;").await;
    let limit = |spec: &mut Spec| spec.timeout_ms = 80;
    assert_eq!(words(&slot.ask_with(2, "hang", "h", limit).await), "timed out;;so far;");
    slot.check_warm(3, "x", "done;false;;").await;
    let ended = slot.ask_with(4, "deaf", "h", limit).await;
    assert_eq!(words(&ended), "timed out;;so far;");
    assert!(ended.took_us >= 130_000, "it had its grace: {} us", ended.took_us);
    let long = |spec: &mut Spec| spec.timeout_ms = 60_000;
    assert_eq!(words(&slot.ask_with(5, "x", "h", long).await), "done;true;;");

    let mut handler = python(body);
    handler.timeout_ms = 80;
    let (_dir, mut slot) = one(handler);
    assert_eq!(
        slot.ask_with(1, "hang", "h", long).await.outcome,
        Outcome::TimedOut,
        "the shorter one"
    );
}

#[tokio::test]
async fn a_flood_on_standard_error_is_cut_and_the_handler_goes_on() {
    let body = "def answer(task):
    sys.stderr.write('x' * int(task['args']))
    sys.stderr.flush()
    out(1)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    slot.give(1, &[b"20000000"], "h").await;
    let SlotEnd::Warm(ends) = slot.ends.0.recv().await.unwrap() else { panic!("of a handler") };
    let [AttemptEnded { ended, output: Some((header, bytes)) }] = &ends.ended[..] else {
        panic!("{ends:?}")
    };
    assert_eq!((ended.outcome, ended.stdout.as_slice()), (Outcome::Done, &b"1"[..]));
    let both = OUTPUT_HEAD_BYTES + OUTPUT_TAIL_BYTES;
    assert_eq!(header.stderr.skipped as usize, 20_000_000 - both);
    assert_eq!(bytes.len(), both + 1);
    slot.check_warm(2, "1", "done;1;x;").await;
    slot.check_warm(3, "0", "done;1;;").await;
}

/// A handler that leaves processes in sessions of their own, which make others.
const BOMB: &str = "def answer(task):
    for n in range(3):
        subprocess.Popen(['sh', '-c', 'setsid sh -c \"sleep 300 & sleep 300 & setsid sleep 300\" & sleep 300'], start_new_session=True, stdin=subprocess.DEVNULL)
    time.sleep(0.1)
    if task['args'] == 'hang': time.sleep(1000)
    out(1)
    if task['args'] == 'crash': os._exit(1)
loop(answer)";

#[tokio::test]
async fn whatever_a_handler_starts_goes_with_it() {
    let (_dir, mut slot) = one(python(BOMB));
    let limit = |spec: &mut Spec| spec.timeout_ms = 400;
    for round in 0..3 {
        assert_eq!(slot.ask_with(round, "hang", "h", limit).await.outcome, Outcome::TimedOut);
        assert_eq!(process::descendants(slot.keeper("h")), [], "round {round}");
    }
    slot.check_warm(10, "x", "done;1;;").await;
    let all = below(slot.keeper("h"));
    assert!(all.len() >= 9, "they live as long as the handler: {all:?}");
    slot.close().await;
    assert_eq!(survivors(&all), 0);

    let (_dir, mut slot) = one(python(BOMB));
    slot.check_warm(1, "crash", "done;1;;").await;
    slot.check_warm(2, "x", "done;1;;").await;
    let keeper = slot.keeper("h");
    let handlers = process::children(keeper);
    let all = below(keeper);
    slot.orders.send(SlotOrder::Rest).await.unwrap();
    slot.close().await;
    assert!(!handlers.is_empty());
    assert_eq!((survivors(&all), process::start_time(keeper)), (0, None));
}

#[tokio::test]
async fn a_keeper_that_is_killed_costs_the_task_that_ran() {
    let dir = tempfile::tempdir().unwrap();
    let words = this_binary("warm::misbehaviour::be_worker_without_luck");
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
    let handlers = [(Name::parse("h").unwrap(), python(BOMB))];
    let mut slot = TestSlot::in_dir(&dir, Policy { handlers: handlers.into(), ..quick() });
    slot.check_warm(1, "x", "done;1;;").await;
    let all = below(slot.keeper("h"));
    assert!(all.len() >= 9, "{all:?}");
    // While it idles: nothing is charged.
    let gone = pidfd_open(slot.keeper("h"), PidfdFlags::empty()).unwrap();
    kill_process(slot.keeper("h"), Signal::KILL).unwrap();
    poll(&mut [PollFd::new(&gone, PollFlags::IN)], None).unwrap();
    slot.check_warm(2, "x", "done;1;;").await;
    assert_eq!(survivors(&all), 0, "orphans come to the worker and end there");
    slot.give(3, &[b"hang", b"x"], "h").await;
    assert_eq!(slot.tally(1).await.returned, 1);
    kill_process(slot.keeper("h"), Signal::KILL).unwrap();
    let ended = slot.tally(1).await.ends.remove(&3).unwrap();
    assert_eq!(ended.outcome, Outcome::Failed { code: 125 });
    slot.check_warm(5, "x", "done;1;;").await;
    slot.close().await;
}

#[tokio::test]
async fn nothing_of_a_handler_survives_a_worker_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut there = BufReader::new(fifo(dir.path()));
    let words = this_binary("warm::misbehaviour::be_worker");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("TEST_DIR", dir.path()).stdout(Stdio::null());
    let mut worker = command.spawn().unwrap();
    lines(&mut there, 1).await;
    let keeper = keeper_in(&dir.path().join("run"), "h");
    let all = below(keeper);
    assert!(all.len() >= 9, "{all:?}");
    let gone = pidfd_open(keeper, PidfdFlags::empty()).unwrap();
    worker.start_kill().unwrap();
    worker.wait().await.unwrap();
    let wait = move || poll(&mut [PollFd::new(&gone, PollFlags::IN)], None);
    tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    assert_eq!(survivors(&all), 0);
}

#[tokio::test]
#[ignore = "not a test: the worker that a test here kills; its folder is in a variable"]
async fn be_worker() {
    let dir = PathBuf::from(std::env::var_os("TEST_DIR").unwrap());
    let handlers = [(Name::parse("h").unwrap(), python(BOMB))];
    let mut slot = TestSlot::in_dir(&dir, Policy { handlers: handlers.into(), ..quick() });
    slot.check_warm(1, "x", "done;1;;").await;
    fs::write(dir.join("fifo"), "x\n").unwrap();
    slot.ends.recv().await;
}
