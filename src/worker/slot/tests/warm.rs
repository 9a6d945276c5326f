//! A slot with handlers that behave; those that do not are in misbehaviour.rs.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use ganger_proto::{Ended, Outcome};

use super::*;
use crate::worker::core::WarmEnds;
use crate::worker::handlers::Handler;

/// A handler's loop in Python: `answer(task)` says what is written for a task.
const LOOP: &str = "
import json, os, subprocess, sys, time
def say(text):
    sys.stdout.write(text)
    sys.stdout.flush()
def out(value):
    say(json.dumps({'ok': value}) + chr(10))
def loop(answer):
    for line in sys.stdin:
        answer(json.loads(line))
";

/// What one attempt came to, as words.
fn words(ended: &Ended) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().replace('\n', "|");
    let all = [
        ended.outcome.to_string(),
        text(&ended.stdout),
        text(&ended.stderr),
        ended.message.clone(),
    ];
    all.join(";")
}

/// All ends of some tasks, and who is not tried again.
#[derive(Debug, Default)]
struct Tally {
    ends: BTreeMap<u64, Ended>,
    for_good: Vec<u64>,
    returned: u64,
}

impl Tally {
    fn take(&mut self, ends: WarmEnds) {
        for run in ends.done {
            for (at, (took_us, answer)) in run.took_us.iter().zip(run.results.iter()).enumerate() {
                let lease = run.first.plus(at as u64);
                let mut ended = Ended::bare(lease, Outcome::Done, u64::from(*took_us));
                ended.stdout = answer.to_vec();
                self.put(ended);
            }
        }
        for end in ends.ended {
            self.put(end.ended);
        }
        self.for_good.extend(ends.for_good.iter().map(|lease| lease.counter));
        self.returned += ends.returned.iter().map(|run| run.args.count()).sum::<u64>();
    }

    fn put(&mut self, ended: Ended) {
        let again = self.ends.insert(ended.lease.counter, ended);
        assert_eq!(again, None, "one end a task");
    }

    fn count(&self) -> u64 {
        self.ends.len() as u64 + self.returned
    }
}

impl TestSlot {
    async fn give(&self, first: u64, args: &[&[u8]], handler: &str) {
        self.give_with(first, args, handler, |_| {}).await;
    }

    async fn give_with(
        &self,
        first: u64,
        args: &[&[u8]],
        handler: &str,
        change: impl FnOnce(&mut Spec),
    ) {
        let mut spec = Spec::of(Kind::Handler { name: Name::parse(handler).unwrap() });
        change(&mut spec);
        let run = GrantRun {
            lease: lease(first),
            task: TaskId::new(first),
            batch: BatchId::new(5),
            index: 0,
            attempt: 1,
            spec: SpecId::new(1),
            args: Args::Listed(args.iter().copied().collect()),
        };
        let at = Attempt { lease: lease(first), slot: 0 };
        let start = Box::new(Start { at, run, spec: Arc::new(spec) });
        self.orders.send(SlotOrder::Run(start)).await.unwrap();
    }

    /// Waits until this many tasks have ended or come back.
    async fn tally(&mut self, count: u64) -> Tally {
        let mut tally = Tally::default();
        while tally.count() < count {
            let end = tokio::time::timeout(Duration::from_secs(60), self.ends.0.recv()).await;
            match end.expect("nothing is said for a minute").unwrap() {
                SlotEnd::Warm(ends) => tally.take(ends),
                SlotEnd::Child(end) => panic!("{end:?} is not of a handler"),
            }
        }
        tally
    }

    /// Runs one task of a handler.
    async fn ask(&mut self, number: u64, argument: &str, handler: &str) -> Ended {
        self.ask_with(number, argument, handler, |_| {}).await
    }

    async fn ask_with(
        &mut self,
        number: u64,
        argument: &str,
        handler: &str,
        change: impl FnOnce(&mut Spec),
    ) -> Ended {
        self.give_with(number, &[argument.as_bytes()], handler, change).await;
        self.tally(1).await.ends.remove(&number).unwrap()
    }

    async fn check_warm(&mut self, number: u64, argument: &str, expected: &str) {
        let ended = self.ask(number, argument, "h").await;
        assert_eq!(words(&ended), expected, "{argument}");
    }

    fn keeper(&self, handler: &str) -> Pid {
        keeper_in(&self.run_dir, handler)
    }
}

/// Returns the one launcher of a handler.
fn keeper_in(run_dir: &Path, handler: &str) -> Pid {
    let files = fs::read_dir(run_dir.join("launchers")).unwrap().flatten();
    let prefix = format!("0-{handler}-");
    let mine = files.filter(|file| file.file_name().to_string_lossy().starts_with(&prefix));
    let texts: Vec<String> = mine.map(|file| fs::read_to_string(file.path()).unwrap()).collect();
    let [text] = &texts[..] else { panic!("{texts:?}") };
    Pid::from_raw(text.split(' ').next().unwrap().parse().unwrap()).unwrap()
}

fn python(body: &str) -> Handler {
    let program = format!("{LOOP}\n{body}");
    Handler::of(vec!["python3".into(), "-c".into(), program], None).unwrap()
}

fn shell(body: &str) -> Handler {
    Handler::of(vec!["sh".into(), "-c".into(), body.into()], None).unwrap()
}

fn with(handlers: Vec<(&str, Handler)>) -> (TempDir, TestSlot) {
    let handlers = handlers.into_iter().map(|(name, h)| (Name::parse(name).unwrap(), h)).collect();
    slot(Policy { handlers, ..quick() })
}

fn one(handler: Handler) -> (TempDir, TestSlot) {
    with(vec![("h", handler)])
}

#[tokio::test]
async fn a_handler_is_started_once_and_makes_its_context_once() {
    let body = "made = os.getpid()
def answer(task):
    sys.stderr.write('seen ' + task['args'] + chr(10))
    sys.stderr.flush()
    out([made, task['task'], task['attempt'], task['batch'], task['index'], task['env']])
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    let env = |spec: &mut Spec| spec.env = vec![("K".into(), "v".into())];
    let first = slot.ask_with(1, "a", "h", env).await;
    let second = slot.ask(2, "b", "h").await;
    let text = |ended: &Ended| String::from_utf8(ended.stdout.clone()).unwrap();
    let made: i32 = text(&first)[1..].split(',').next().unwrap().parse().unwrap();
    assert_eq!(text(&first), format!("[{made},1,1,\"b5\",0,{{\"K\":\"v\"}}]"));
    assert_eq!(text(&second), format!("[{made},2,1,\"b5\",0,{{}}]"));
    assert_eq!(
        (first.stderr.as_slice(), second.stderr.as_slice()),
        (&b"seen a\n"[..], &b"seen b\n"[..])
    );
    assert_eq!(process::children(slot.keeper("h")).len(), 1);
    slot.close().await;
}

#[tokio::test]
async fn many_are_given_at_once_and_done_one_by_one() {
    let (_dir, mut slot) = one(python("loop(lambda task: out(task['args'].upper()))"));
    slot.ask(1, "warm", "h").await;
    let args: Vec<String> = (0..64).map(|n| format!("a{n}")).collect();
    let args: Vec<&[u8]> = args.iter().map(|arg| arg.as_bytes()).collect();
    slot.give(100, &args, "h").await;
    let tally = slot.tally(64).await;
    // On a busy machine a task may take so long that those behind it come back.
    for (counter, ended) in &tally.ends {
        let expected = format!("A{}", counter - 100);
        assert_eq!((ended.outcome, ended.stdout.as_slice()), (Outcome::Done, expected.as_bytes()));
    }
    assert!(tally.ends.contains_key(&100));
}

#[tokio::test]
async fn errors_say_whether_another_try_may_help() {
    let body = "def answer(task):
    say('{\"error\": \"no ' + task['args'] + '\"' + {'a': '', 'b': ', \"retry\": true', 'c': ', \"retry\": false'}[task['args']] + '}' + chr(10))
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    for (number, argument, for_good) in [(1, "a", true), (2, "b", false), (3, "c", true)] {
        slot.give(number, &[argument.as_bytes()], "h").await;
        let tally = slot.tally(1).await;
        assert_eq!(words(&tally.ends[&number]), format!("exit 1;;;no {argument}"));
        assert_eq!(tally.for_good, if for_good { vec![number] } else { vec![] });
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_sent_fail_for_good() {
    let (_dir, mut slot) = one(python("loop(lambda task: out(task['args']))"));
    let json = |spec: &mut Spec| spec.form.columns = ganger_proto::form::Columns::Json;
    slot.give_with(1, &[b"{\"a\": 1}", b"{", b"[2]"], "h", json).await;
    let tally = slot.tally(3).await;
    let messages: Vec<String> = tally.ends.values().map(words).collect();
    assert_eq!(messages[0], "done;{\"a\":1};;");
    assert!(messages[1].starts_with("exit 1;;;the argument is no JSON"), "{}", messages[1]);
    assert_eq!(tally.for_good, [2]);
    slot.give_with(10, &[b"{", b"}"], "h", json).await;
    assert_eq!(slot.tally(2).await.for_good, [10, 11]);
    slot.check_warm(20, "after", "done;after;;").await;
}

#[tokio::test]
async fn a_long_answer_comes_whole() {
    let (_dir, mut slot) = one(python("loop(lambda task: out('y' * int(task['args'])))"));
    slot.give(1, &[b"1000000"], "h").await;
    let SlotEnd::Warm(ends) = slot.ends.0.recv().await.unwrap() else { panic!("of a handler") };
    let [AttemptEnded { ended, output: Some((header, bytes)) }] = &ends.ended[..] else {
        panic!("{ends:?}")
    };
    assert_eq!((ended.outcome, bytes.len()), (Outcome::Done, 1_000_000));
    assert_eq!(header.stdout.skipped, 0);
    slot.check_warm(2, "3", "done;yyy;;").await;
}

#[tokio::test]
async fn cancelled_tasks_end_whether_they_have_begun_or_not() {
    let body = "def answer(task):
    sys.stderr.write('began'); sys.stderr.flush()
    time.sleep(1000)
loop(answer)";
    let (_dir, mut slot) = one(python(body));
    slot.give(1, &[b"a", b"b", b"c"], "h").await;
    // Those behind come back first: the one before them takes long.
    let tally = slot.tally(2).await;
    assert_eq!((tally.returned, tally.ends.len()), (2, 0));
    slot.orders.send(SlotOrder::Stop(lease(99))).await.unwrap();
    slot.orders.send(SlotOrder::Stop(lease(1))).await.unwrap();
    assert_eq!(slot.tally(1).await.ends[&1].outcome, Outcome::Cancelled);
    slot.give(10, &[b"a"], "h").await;
    slot.orders.send(SlotOrder::Kill(lease(10))).await.unwrap();
    assert_eq!(slot.tally(1).await.ends[&10].outcome, Outcome::Cancelled);
    slot.close().await;
}

#[tokio::test]
async fn a_process_is_replaced_after_so_many_tasks() {
    let body = "me = os.getpid()\nloop(lambda task: out(me))\nopen('ended', 'a').write('x')";
    let mut handler = python(body);
    handler.recycle_after = NonZeroU32::new(3);
    let (_dir, mut slot) = one(handler);
    let mut made: Vec<Vec<u8>> = Vec::new();
    for number in 0..9 {
        made.push(slot.ask(number, "x", "h").await.stdout);
    }
    assert!(made.chunks(3).all(|three| three.iter().all(|one| *one == three[0])), "{made:?}");
    made.dedup();
    assert_eq!(made.len(), 3);
    slot.close().await;
    let ended = fs::read_to_string(_dir.path().join("run/ended")).unwrap();
    assert_eq!(ended, "xxx", "each came to the end of its program");
}

#[tokio::test]
async fn a_slot_keeps_few_handlers_and_a_plain_task_beside_them() {
    let body = "me = os.getpid()\nloop(lambda task: out(me))";
    let names = ["a", "b", "c", "d", "e"];
    let (_dir, mut slot) = with(names.iter().map(|name| (*name, python(body))).collect());
    let mut made = BTreeMap::new();
    for (number, name) in (1..).zip(names) {
        made.insert(name, slot.ask(number, "x", name).await.stdout);
        let end = slot.run(&["echo", "plain"], |_| {}).await.ended;
        assert_eq!(end.stdout, b"plain\n");
    }
    assert_eq!(slot.ask(20, "x", "e").await.stdout, made["e"]);
    assert_eq!(slot.ask(21, "x", "b").await.stdout, made["b"], "a plain task leaves it alone");
    assert_ne!(slot.ask(22, "x", "a").await.stdout, made["a"], "the oldest made room");
    assert_ne!(slot.ask(23, "x", "c").await.stdout, made["c"], "and then the next");
    slot.close().await;
}

#[tokio::test]
async fn a_resting_slot_lets_its_handlers_end_and_starts_them_again() {
    let body = "me = os.getpid()\nloop(lambda task: out(me))\nopen('ended', 'a').write('x')";
    let (dir, mut slot) = one(python(body));
    let first = slot.ask(1, "x", "h").await.stdout;
    let keeper = slot.keeper("h");
    let gone = pidfd_open(keeper, PidfdFlags::empty()).unwrap();
    slot.orders.send(SlotOrder::Rest).await.unwrap();
    let wait = move || poll(&mut [PollFd::new(&gone, PollFlags::IN)], None);
    tokio::task::spawn_blocking(wait).await.unwrap().unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("run/ended")).unwrap(), "x");
    assert_ne!(slot.ask(2, "x", "h").await.stdout, first);
    slot.close().await;
    assert_eq!(fs::read_to_string(dir.path().join("run/ended")).unwrap(), "xx");
}

#[tokio::test]
async fn a_followed_task_shows_its_standard_error_as_it_comes() {
    let body = "def answer(task):
    for n in range(2):
        sys.stderr.write('step ' + str(n) + chr(10)); sys.stderr.flush()
        open('../fifo').readline()
    out('end')
loop(answer)";
    let (dir, mut slot) = one(python(body));
    let _open = fifo(dir.path());
    let path = dir.path().join("fifo");
    slot.give(1, &[b"x"], "h").await;
    let (to, mut pieces) = mpsc::channel(2);
    slot.orders.send(SlotOrder::Follow(lease(1), to)).await.unwrap();
    for n in 0..2 {
        let piece = pieces.recv().await.unwrap();
        assert_eq!(piece.stream, ganger_proto::command::Stream::Stderr);
        assert_eq!(piece.bytes, format!("step {n}\n").as_bytes());
        fs::write(&path, b"x\n").unwrap();
    }
    let ended = slot.tally(1).await.ends.remove(&1).unwrap();
    assert_eq!(words(&ended), "done;end;step 0|step 1;");
    assert!(pieces.recv().await.is_none(), "it has ended");
    slot.close().await;
}

mod misbehaviour;
