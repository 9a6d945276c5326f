//! What one submission, command or question may ask for: each limit reached, the sentence it gives,
//! and that what stays just below it is taken.

use ganger_net::client::Caller;
use ganger_proto::command::Submit;
use ganger_proto::ends::IdRun;
use ganger_proto::limits::{
    AFTER_MAX, ARGV_ITEMS_MAX, ENV_ITEMS_MAX, LABEL_BYTES_MAX, LABELS_MAX, PAGE_ROWS_MAX,
    PAYLOAD_BYTES_MAX, QUEUES_MAX, RETRIES_MAX, SELECT_IDS_MAX, SUBMIT_TASKS_MAX, TEXT_BYTES_MAX,
    TOLD_RUNS_MAX,
};
use ganger_proto::spec::{After, Then};
use ganger_proto::{
    ArgList, Args, BatchId, BatchOptions, Cwd, Filter, Kind, Name, Reply, Request, Select, Spec,
    TaskId, Template,
};

use crate::peer::{admin, in_queue, in_time, runtime, submission};
use crate::rig::Rig;

fn listed(count: usize, argument: &[u8]) -> Args {
    Args::Listed(std::iter::repeat_n(argument, count).collect::<ArgList>())
}

fn exec(words: usize) -> Kind {
    Kind::Exec { argv: vec![Template::from_text("x").unwrap(); words] }
}

/// A submission of one task, changed.
fn changed(change: impl FnOnce(&mut Spec, &mut BatchOptions, &mut Args)) -> Submit {
    let mut submit = submission(exec(1), BatchOptions::default(), listed(1, b"x"));
    let head = submit.head.as_mut().unwrap();
    change(&mut head.spec, &mut head.options, &mut submit.args);
    submit
}

/// Checks that the one is taken, and the other refused with a sentence.
async fn check(caller: &Caller, what: &str, taken: Submit, refused: Submit, sentence: &str) {
    let reply = in_time(caller.call(Request::Submit(taken))).await;
    assert!(matches!(reply, Ok(Reply::Submitted { .. })), "{what}: {reply:?}");
    let error = in_time(caller.call(Request::Submit(refused))).await.unwrap_err().to_string();
    assert!(error.contains(sentence), "{what}: {error}");
}

#[test]
fn a_submission_keeps_to_its_limits_or_is_told_which_it_passes() {
    let rig = Rig::bare();
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let caller = &caller;
        let tasks = |n| changed(move |_, _, args| *args = listed(n, b"x"));
        let at = SUBMIT_TASKS_MAX;
        check(caller, "tasks of a part", tasks(at), tasks(at + 1), "at most 4096 tasks").await;
        let words = |n| changed(move |spec, _, _| spec.kind = exec(n));
        let at = ARGV_ITEMS_MAX;
        check(caller, "words", words(at), words(at + 1), "the limit is 1024").await;
        let pair = |n: usize| (format!("K{n}"), "v".to_owned());
        let env = |n| changed(move |spec, _, _| spec.env = (0..n).map(pair).collect());
        let at = ENV_ITEMS_MAX;
        check(caller, "variables", env(at), env(at + 1), "the limit is 256").await;
        // Command, environment and argument count together.
        let payload = |n: usize| {
            changed(move |spec, _, args| {
                spec.env = vec![("K".to_owned(), "v".repeat(n / 2))];
                *args = listed(1, &vec![b'x'; n - n / 2]);
            })
        };
        let at = PAYLOAD_BYTES_MAX - 2;
        check(caller, "payload", payload(at), payload(at + 1), "over the limit of 65536").await;
        let path = |n: usize| {
            let path = std::iter::repeat_n(b'd', n).collect();
            changed(move |spec, _, _| spec.cwd = Cwd::Directory(path))
        };
        let at = TEXT_BYTES_MAX;
        check(caller, "directory", path(at), path(at + 1), "the limit is 4096").await;
        let label = |n: usize| (format!("k{n}"), String::new());
        let labels = |n| changed(move |_, o, _| o.labels = (0..n).map(label).collect());
        let at = LABELS_MAX;
        check(caller, "labels", labels(at), labels(at + 1), "the limit is 32").await;
        let text = |n: usize| changed(move |_, o, _| o.labels = vec![("k".into(), "v".repeat(n))]);
        let at = LABEL_BYTES_MAX - 1;
        check(caller, "labels' bytes", text(at), text(at + 1), "the limit is 4096").await;
        let retries = |n| changed(move |_, o, _| o.retries = n);
        let at = RETRIES_MAX;
        check(caller, "retries", retries(at), retries(at + 1), "at most 100 retries").await;
        let name = |n| changed(move |_, o, _| o.name = "é".repeat(n));
        check(caller, "name", name(128), name(129), "at most 128 characters").await;
        let after = |n| {
            let one = After { batch: BatchId::new(1), then: Then::Any };
            changed(move |_, o, _| o.after = vec![one; n])
        };
        let at = AFTER_MAX;
        check(caller, "batches before", after(at), after(at + 1), "at most 64 others").await;
    });
}

#[test]
fn queues_are_bounded_and_those_that_are_there_stay_open() {
    let rig = Rig::bare();
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let mut open = tokio::task::JoinSet::new();
        // `default` is there from the start.
        for number in 1..QUEUES_MAX {
            let submit = submission(exec(1), in_queue(&format!("q{number}")), listed(1, b"x"));
            let caller = caller.clone();
            open.spawn(async move { in_time(caller.call(Request::Submit(submit))).await });
        }
        while let Some(reply) = open.join_next().await {
            reply.unwrap().unwrap();
        }
        let submit = |queue| submission(exec(1), in_queue(queue), listed(1, b"x"));
        check(&caller, "queues", submit("q7"), submit("one-more"), "there are 1024 queues").await;
        let Ok(Reply::Status(status)) = in_time(caller.call(Request::Status)).await else {
            panic!("no status")
        };
        assert_eq!(status.queues.len(), QUEUES_MAX);
    });
    assert!(rig.ok(&["queues"]).lines().count() > QUEUES_MAX);
}

#[test]
fn commands_and_questions_are_bounded() {
    let rig = Rig::bare();
    let args: String = (0..6_000).map(|n| format!("{n} {}\n", "é".repeat(300))).collect();
    let said = rig.ganger_with(&["submit", "-a", "-", "--", "echo", "{}"], args.as_bytes());
    assert_eq!(said.code, 0, "{said:?}");
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let ask = async |request| in_time(caller.call(request)).await;
        let refused = async |request, sentence: &str| {
            let error = ask(request).await.unwrap_err().to_string();
            println!("{error}");
            assert!(error.contains(sentence), "{error}");
        };
        let ids = |n: usize| Select::Tasks(vec![TaskId::new(1); n]);
        let priority = |n| Request::SetPriority { select: ids(n), priority: 1 };
        assert!(ask(priority(SELECT_IDS_MAX)).await.is_ok());
        refused(priority(SELECT_IDS_MAX + 1), "at most 65536 tasks").await;
        let wait = |n| Request::Wait { batches: vec![BatchId::new(1); n] };
        refused(wait(0), "1 to 1024 batches").await;
        refused(wait(1_025), "1 to 1024 batches").await;
        let told = |n| vec![IdRun { first: TaskId::new(1), count: 1 }; n];
        let ends = |n| Request::Ends { batch: BatchId::new(1), told: told(n), rows: 0 };
        assert!(ask(ends(TOLD_RUNS_MAX)).await.is_ok());
        refused(ends(TOLD_RUNS_MAX + 1), "at most 32768 runs").await;
        // More rows than a page holds are not sent, and what does not fit a frame is said.
        let list = |rows| Request::List { filter: Filter::default(), after: TaskId::new(0), rows };
        let Ok(Reply::Tasks { rows, total, next }) = ask(list(200)).await else {
            panic!("no rows")
        };
        assert_eq!((rows.len(), total), (200, Some(6_000)));
        assert!(next.is_some());
        match ask(list(u32::MAX)).await {
            Ok(Reply::Tasks { rows, .. }) => assert!(rows.len() <= PAGE_ROWS_MAX as usize),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(error.to_string().contains("ask for fewer rows"), "{error}"),
        }
        let stranger = Request::Pause { queue: Name::from_lossy("nowhere") };
        refused(stranger, "there is no queue").await;
        // Requests that wait are counted too.
        let mut waits = tokio::task::JoinSet::new();
        for _ in 0..300 {
            let caller = caller.clone();
            waits.spawn(async move { caller.call(wait(1)).await });
        }
        let mut refusals = 0;
        while refusals < 44 {
            let ended = in_time(waits.join_next()).await.unwrap().unwrap();
            let error = ended.unwrap_err().to_string();
            assert!(error.contains("waits 256 times already"), "{error}");
            refusals += 1;
        }
        assert_eq!(waits.len(), 256);
    });
}
