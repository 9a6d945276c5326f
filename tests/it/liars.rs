//! Workers that lie, over real connections: of tasks that are not theirs, twice, too late, in
//! absurd numbers and lengths. What they say of others changes nothing, and no command stumbles
//! over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use ganger_net::CloseCode;
use ganger_proto::limits::{HOLD_TASKS_MAX, INLINE_BYTES_MAX, POLICY_BYTES_MAX, VERSION_BYTES_MAX};
use ganger_proto::message::{
    DoneRun, Held, Kept, LeaseRun, LiveHeader, Load, OutputHeader, Report, ToWorker, WorkerMessage,
    WorkerStream,
};
use ganger_proto::{ArgList, Ended, LeaseId, Outcome, PerLane, Request, Role, Usage, WallMs};

use crate::peer::{Liar, admin, hello, identity, in_time, runtime, send};
use crate::rig::{Rig, wait_for};

fn run(first: LeaseId, count: u32) -> LeaseRun {
    LeaseRun { first, count }
}

fn done(first: LeaseId, answer: &[u8]) -> Report {
    let results: ArgList = [answer].into_iter().collect();
    Report { done: vec![DoneRun { first, took_us: vec![u32::MAX], results }], ..Report::default() }
}

fn ended(ended: Ended) -> Report {
    Report { ended: vec![ended], ..Report::default() }
}

fn header(lease: LeaseId, head: u64, tail: u32) -> OutputHeader {
    let stdout = Kept { head, skipped: u64::MAX, tail };
    OutputHeader { lease, stdout, stderr: Kept::default() }
}

fn attempts(rig: &Rig, task: &str) -> Vec<(String, String)> {
    let json: serde_json::Value = serde_json::from_str(&rig.ok(&["show", task, "--json"])).unwrap();
    let rows = json["attempts"].as_array().unwrap().iter();
    rows.map(|row| (row["worker"].as_str().unwrap().into(), row["ended"]["outcome"].to_string()))
        .collect()
}

#[test]
fn what_a_worker_says_of_others_tasks_changes_nothing() {
    let rig = Rig::bare();
    let _honest = rig.join_worker("honest", "1");
    let dir = tempfile::TempDir::new().unwrap();
    let go = dir.path().join("go");
    let line = format!("while [ ! -e {} ]; do sleep 0.05; done; echo honest", go.display());
    rig.ok(&["submit", "--shell", &line]);
    wait_for("the task", || (rig.count("running") == 1).then_some(()));
    runtime().block_on(async {
        let who = identity(&rig, "worker", "liar").await;
        let mut nothing = hello(1, 4);
        nothing.hold = PerLane::default();
        let mut liar = Liar::dial(&rig, &who, nothing.clone()).await.unwrap();
        // The one lease that there is.
        let lease = LeaseId { epoch: liar.epoch, counter: 1 };
        liar.says(&WorkerMessage::Started { leases: vec![run(lease, 1)] }).await;
        assert_eq!(liar.stale().await, 1);
        liar.says(&WorkerMessage::Release { leases: vec![run(lease, 1)] }).await;
        for report in [
            done(lease, b"lie"),
            ended(Ended::bare(lease, Outcome::Failed { code: 1 }, 1)),
            ended(Ended::bare(lease, Outcome::Unfit, 1)),
            Report { for_good: vec![lease], ..done(lease, b"lie") },
        ] {
            liar.reports(report).await;
            assert_eq!(liar.stale().await, 1);
        }
        assert!(liar.sends_output(header(lease, 5_000, 0), &[b'x'; 5_000]).await);
        let live = WorkerStream::Live(LiveHeader { lease, number: u64::MAX });
        let mut stream = liar.session.open_stream(&live).await.unwrap();
        in_time(stream.unwanted()).await;
        // Nor is it believed when it comes back with the lease, in this process's life or another.
        let holding = vec![Held { leases: run(lease, 1), started: true }];
        for session in [1, 2] {
            let mut again = hello(session, 4);
            again.holding.clone_from(&holding);
            again.hold = PerLane::default();
            assert_eq!(Liar::dial(&rig, &who, again).await.unwrap().stale_at_welcome, 1);
        }
    });
    assert_eq!(rig.count("running"), 1);
    std::fs::write(&go, "").unwrap();
    wait_for("the end", || (rig.count("done") == 1).then_some(()));
    assert_eq!(rig.ok(&["results"]), "honest\n");
    assert_eq!(rig.ok(&["logs", "1"]), "honest\n");
    assert_eq!(attempts(&rig, "1"), [("honest".to_owned(), "\"Done\"".to_owned())]);
}

#[test]
fn a_report_counts_once_and_in_time_only() {
    let rig = Rig::bare();
    rig.ok(&["submit", "--kind", "square", "--range", "1..3"]);
    runtime().block_on(async {
        let who = identity(&rig, "worker", "liar").await;
        let mut liar = Liar::dial(&rig, &who, hello(1, 3)).await.unwrap();
        let mut leases = Vec::new();
        while leases.len() < 3 {
            leases.extend(liar.granted().await);
        }
        let [first, second, third] = [leases[0].0, leases[1].0, leases[2].0];
        liar.reports(done(first, b"first")).await;
        liar.acknowledged().await;
        // The same number again is the same report, whatever it says.
        let repeat = Report { number: 1, ..done(second, b"a lie") };
        liar.says(&WorkerMessage::Report(repeat)).await;
        liar.acknowledged().await;
        // The same lease again is stale.
        liar.reports(done(first, b"a lie")).await;
        assert_eq!(liar.stale().await, 1);
        // Lengths that do not fit each other are left out.
        let mut lame = done(second, b"a lie");
        lame.done[0].took_us.clear();
        liar.reports(lame).await;
        liar.acknowledged().await;
        liar.reports(done(second, b"second")).await;
        liar.acknowledged().await;
        // Another life of the worker: what the one before it held is not its own.
        let mut next = hello(2, 3);
        next.holding = vec![Held { leases: run(third, 1), started: true }];
        let mut next = Liar::dial(&rig, &who, next).await.unwrap();
        assert_eq!(next.stale_at_welcome, 1);
        let fresh = next.granted().await;
        assert!(fresh[0].0 > third, "the same lease twice");
        next.reports(done(third, b"too late")).await;
        assert_eq!(next.stale().await, 1);
        next.reports(done(fresh[0].0, b"third")).await;
        next.acknowledged().await;
        wait_for("the end", || (rig.count("done") == 3).then_some(()));
    });
    assert_eq!(rig.ok(&["results"]), "first\nsecond\nthird\n");
}

/// Every command that shows workers and tasks; none may fail or let a foreign byte through.
fn look_around(rig: &Rig) {
    for command in [
        &["workers"][..],
        &["workers", "liar"],
        &["workers", "--json"],
        &["status"],
        &["status", "--json"],
        &["ls"],
        &["ls", "--json"],
        &["ls", "--batches"],
        &["show", "1"],
        &["show", "1", "--json"],
        &["why", "1"],
        &["events"],
        &["queues"],
        &["metrics"],
    ] {
        let said = rig.ganger(command);
        assert_eq!(said.code, 0, "{command:?}: {said:?}");
        let odd = said.out.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(odd, None, "{command:?}: {}", said.out);
    }
    let said = rig.ganger(&["results", "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn absurd_numbers_and_endless_texts_are_cut_and_shown_harmless() {
    let rig = Rig::bare();
    rig.ok(&["submit", "--shell", "true"]);
    let evil = |bytes: usize| "\u{1b}[2J\u{7}\u{202e}é".repeat(bytes / 10);
    runtime().block_on(async {
        let who = identity(&rig, "worker", "liar").await;
        let mut hello = hello(u64::MAX, u32::MAX);
        hello.policy = evil(500 << 10);
        hello.reported = u64::MAX;
        hello.hold = PerLane { cpu: u32::MAX, io: u32::MAX };
        hello.slots = hello.hold;
        let liar = Liar::dial_as(&rig, &who, &evil(300 << 10), hello).await;
        let mut liar = liar.unwrap();
        let (lease, _) = liar.granted().await[0];
        let load = Load {
            cpu_permille: u16::MAX,
            memory_permille: u16::MAX,
            running: u32::MAX,
            clock: WallMs(u64::MAX),
        };
        liar.says(&WorkerMessage::Heartbeat { load }).await;
        liar.says(&WorkerMessage::Started { leases: vec![run(lease, 1)] }).await;
        wait_for("the task", || (rig.count("running") > 0).then_some(()));
        look_around(&rig);
        let row = rig.workers().remove(0);
        assert!(row["policy"].as_str().unwrap().len() <= POLICY_BYTES_MAX, "{row}");
        assert!(row["version"].as_str().unwrap().len() <= VERSION_BYTES_MAX, "{row}");
        let usage = Usage { max_rss_kib: u64::MAX, user_us: u64::MAX, system_us: u64::MAX };
        liar.reports(ended(Ended {
            lease,
            outcome: Outcome::Failed { code: i32::MIN },
            took_us: u64::MAX,
            usage,
            stdout: evil(200 << 10).into_bytes(),
            stderr: vec![0xff; 200 << 10],
            has_output: true,
            message: evil(100 << 10),
        }))
        .await;
        liar.acknowledged().await;
    });
    wait_for("the end", || (rig.count("failed") == 1).then_some(()));
    look_around(&rig);
    let json: serde_json::Value = serde_json::from_str(&rig.ok(&["show", "1", "--json"])).unwrap();
    let kept = &json["attempts"][0]["ended"];
    for stream in ["stdout", "stderr"] {
        let bytes = kept[stream].as_array().map_or(usize::MAX, Vec::len);
        assert!(bytes <= INLINE_BYTES_MAX, "{bytes} bytes of {stream} were kept");
    }
}

#[test]
fn what_no_honest_worker_says_ends_its_connection() {
    let rig = Rig::bare();
    let all = |leases| WorkerMessage::Started { leases };
    runtime().block_on(async {
        let who = identity(&rig, "worker", "liar").await;
        let mut session = 0;
        let mut dial = async || {
            session += 1;
            Liar::dial(&rig, &who, hello(session, 1)).await.unwrap()
        };
        let mut liar = dial().await;
        let lease = LeaseId { epoch: liar.epoch, counter: u64::MAX };
        liar.session.outbox.send(Bytes::from_static(&[2, 0, 0, 0, 0xff, 0xff])).await.unwrap();
        let closed = liar.sent_away().await;
        assert_eq!(closed.code, Some(CloseCode::Protocol), "{closed}");
        assert!(closed.sentence.contains("could not be read"), "{closed}");
        for message in [
            all(vec![run(lease, u32::MAX)]),
            all(vec![run(lease, 0); 40_000]),
            WorkerMessage::Release { leases: vec![run(LeaseId::default(), u32::MAX); 9] },
            WorkerMessage::Report(done(lease, &[b'x'; INLINE_BYTES_MAX + 1])),
        ] {
            let mut liar = dial().await;
            liar.says(&message).await;
            let closed = liar.sent_away().await;
            assert_eq!(closed.code, Some(CloseCode::Protocol), "{closed}");
            assert!(closed.sentence.contains("than a worker can hold"), "{closed}");
        }
    });
    // It may come again, and everyone else is served.
    let _honest = rig.join_worker("honest", "1");
    rig.ok(&["submit", "--kind", "square", "--range", "1..3", "--wait"]);
}

#[test]
fn a_worker_holds_no_more_than_the_limit_whatever_it_asks_for() {
    const TASKS: u32 = 4 * HOLD_TASKS_MAX;
    let rig = Rig::bare();
    rig.ok(&["submit", "--kind", "square", "--range", &format!("1..{TASKS}")]);
    runtime().block_on(async {
        let who = identity(&rig, "worker", "liar").await;
        let mut greedy = hello(1, u32::MAX);
        greedy.hold = PerLane { cpu: u32::MAX, io: u32::MAX };
        let mut liar = Liar::dial(&rig, &who, greedy).await.unwrap();
        let mut held = liar.granted().await.len();
        for _ in 0..100 {
            let tasks = PerLane { cpu: u32::MAX, io: u32::MAX };
            liar.says(&WorkerMessage::Hold { tasks }).await;
        }
        // What it was sent before the answer to this is all that it gets.
        liar.reports(Report::default()).await;
        loop {
            let message = liar.hears().await;
            if let ToWorker::Grant(grant) = &message {
                held += grant.runs.iter().map(|run| run.args.count() as usize).sum::<usize>();
            }
            if matches!(message, ToWorker::Ack { .. }) {
                break;
            }
        }
        assert_eq!(held, HOLD_TASKS_MAX as usize);
    });
    let _honest = rig.join_worker("honest", "2");
    rig.ok(&["submit", "--priority", "9", "--kind", "square", "--range", "1..9", "--wait"]);
}

/// Answers every grant at once; returns how many tasks it was granted, and how many of them after
/// `revoked`.
async fn work(mut liar: Liar, revoked: Arc<AtomicBool>) -> (u64, u64) {
    let (mut granted, mut late, mut reports) = (0, 0, 0);
    while let Ok(message) = liar.inbox.next::<ToWorker>().await {
        let ToWorker::Grant(grant) = message else { continue };
        let mut report = Report::default();
        for run in &grant.runs {
            let count = run.args.count();
            granted += count;
            late += if revoked.load(Ordering::Relaxed) { count } else { 0 };
            let results: ArgList = (0..count).map(|_| &b"x"[..]).collect();
            let took_us = vec![1; results.len()];
            report.done.push(DoneRun { first: run.lease, took_us, results });
        }
        report.number = reports + 1;
        reports = report.number;
        if !send(&liar.session, &WorkerMessage::Report(report)).await {
            break;
        }
    }
    (granted, late)
}

#[test]
fn a_worker_revoked_under_load_is_gone_within_a_second_and_gets_nothing_more() {
    const TASKS: u64 = 300_000;
    let rig = Rig::bare();
    rig.ok(&["submit", "--kind", "square", "--range", &format!("1..{TASKS}")]);
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let who = identity(&rig, "worker", "liar").await;
        let liar = Liar::dial(&rig, &who, hello(1, 64)).await.unwrap();
        let (session, revoked) = (liar.session.clone(), Arc::new(AtomicBool::new(false)));
        let working = tokio::spawn(work(liar, revoked.clone()));
        wait_for("the load", || (rig.count("done") > 1_000).then_some(()));
        let (name, role) = (who.known.name.clone(), Role::Worker);
        let request = Request::Revoke { name, role, reason: "a test".to_owned() };
        in_time(caller.call(request)).await.unwrap();
        revoked.store(true, Ordering::Relaxed);
        let closed = tokio::time::timeout(Duration::from_secs(1), session.closed()).await.unwrap();
        assert_eq!(closed.code, Some(CloseCode::Revoked), "{closed}");
        let (granted, late) = in_time(working).await.unwrap();
        assert!(granted < TASKS, "all was over before it was revoked");
        assert_eq!(late, 0, "it got tasks after the command had returned");
        let refused = Liar::dial(&rig, &who, hello(2, 64)).await.map(drop).unwrap_err();
        assert!(refused.is_final(), "{refused}");
    });
    let ended = rig.count("done");
    assert_eq!(rig.count("queued"), TASKS - ended, "its tasks are back in the queue");
    assert_eq!(rig.count("done"), ended);
}
