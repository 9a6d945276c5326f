//! What a hostile peer costs the others: an honest client's single tasks, one after the other,
//! beside peers that flood, that do not read, and that submit without end.
//!
//! Those that measure latency are run by
//! `cargo test --test it -- --ignored neighbours --test-threads 1 --show-output`.

use std::time::Duration;

use ganger_net::CloseCode;
use ganger_net::client::{CallError, Caller, Connected, Dialer};
use ganger_proto::command::Submit;
use ganger_proto::gang::Allows;
use ganger_proto::message::{
    ClientMessage, Hello, HelloBody, LeaseRun, Load, MINOR, Report, ToWorker, WorkerMessage,
};
use ganger_proto::{
    ArgList, Args, BatchOptions, Filter, Kind, LeaseId, Name, PerLane, Refusal, Reply, Request,
    TaskId,
};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::peer::{
    Liar, admin, hello, identity, in_queue, in_time, p99, runtime, send, submission,
};
use crate::rig::{Rig, wait_for};

/// Single tasks that are measured.
const SINGLES: usize = 100;
/// How long one of a hundred may take beside hostile peers, on a machine that other tests share.
/// Quiet it is some milliseconds; without bounds on what one peer may have waiting it is minutes.
const LONGEST: Duration = Duration::from_secs(3);

/// Submits squares one after the other and waits for each; returns how long each took.
async fn singles(caller: &Caller, count: usize) -> Vec<Duration> {
    let mut times = Vec::new();
    for n in 0..count {
        let began = Instant::now();
        let args: ArgList = [n.to_string().as_bytes()].into_iter().collect();
        let submit = submission(Kind::Square, in_queue("honest"), Args::Listed(args));
        let reply = in_time(caller.call(Request::Submit(submit))).await.unwrap();
        let Reply::Submitted { batch, .. } = reply else { panic!("{reply:?}") };
        let ended = in_time(caller.call(Request::Wait { batches: vec![batch] })).await.unwrap();
        let Reply::Ended { batches } = ended else { panic!("{ended:?}") };
        assert_eq!(batches[0].counts.done, 1);
        times.push(began.elapsed());
    }
    times
}

/// Says as fast as it can what makes the most work for the master, and reads what it answers.
async fn flood_as_worker(mut liar: Liar) {
    let session = liar.session.clone();
    let lease = LeaseId { epoch: liar.epoch, counter: 1 << 40 };
    let run = LeaseRun { first: lease, count: 1 };
    let read = async { while liar.inbox.next::<ToWorker>().await.is_ok() {} };
    let write = async {
        for number in 1.. {
            let tasks = PerLane { cpu: (number % 9) as u32, io: u32::MAX };
            let report = Report { number, for_good: vec![lease; 200], ..Report::default() };
            for message in [
                WorkerMessage::Hold { tasks },
                WorkerMessage::Heartbeat { load: Load::default() },
                WorkerMessage::Started { leases: vec![run; 200] },
                WorkerMessage::Release { leases: vec![run; 200] },
                WorkerMessage::Report(report),
            ] {
                if !send(&session, &message).await {
                    return;
                }
            }
        }
    };
    tokio::select! {
        () = read => {}
        () = write => {}
    }
}

/// Asks as fast as it can, for what takes the longest to answer.
async fn flood_as_client(caller: Caller) {
    let mut open = JoinSet::new();
    loop {
        for request in [
            Request::Status,
            Request::Workers { after: None },
            Request::Results { batch: None, after: TaskId::new(0), rows: 200 },
            Request::List { filter: Filter::default(), after: TaskId::new(0), rows: 200 },
            Request::Events { after: 0, rows: 200 },
        ] {
            let caller = caller.clone();
            open.spawn(async move { caller.call(request).await.map(drop) });
        }
        while open.len() > 64 {
            // Busy is what one who asks so much is told.
            match open.join_next().await {
                Some(Ok(Err(CallError::Lost(_)))) | None => return,
                Some(_) => {}
            }
        }
    }
}

#[test]
#[ignore = "a measurement of latency: it wants the machine to itself"]
fn peers_that_flood_cost_an_honest_client_little() {
    let rig = Rig::bare();
    let _honest = rig.join_worker("honest", "2");
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let quiet = p99(singles(&caller, SINGLES).await);
        let mut hostile = JoinSet::new();
        for number in 1..=2 {
            let who = identity(&rig, "worker", &format!("liar-{number}")).await;
            let mut nothing = hello(number, 1);
            // Nothing fits it: a worker that takes tasks and does not run them is another matter.
            nothing.allows = Allows::default();
            let liar = Liar::dial(&rig, &who, nothing).await.unwrap();
            hostile.spawn(flood_as_worker(liar));
        }
        let who = identity(&rig, "viewer", "curious").await;
        let curious = Caller::connect(&who.known, &[rig.address()]).await.unwrap();
        hostile.spawn(flood_as_client(curious));
        let beside = p99(singles(&caller, SINGLES).await);
        println!("one of a hundred took {quiet:?}, beside floods {beside:?}");
        assert!(beside < LONGEST, "{beside:?} beside floods, {quiet:?} without");
        assert!(hostile.try_join_next().is_none(), "a flood ended early: nothing was measured");
        hostile.shutdown().await;
    });
}

#[test]
#[ignore = "a measurement of latency: it wants the machine to itself"]
fn a_client_that_submits_without_end_does_not_hold_up_others() {
    let rig = Rig::bare();
    let _honest = rig.join_worker("honest", "2");
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let quiet = p99(singles(&caller, SINGLES).await);
        let who = identity(&rig, "submitter", "endless").await;
        let endless = Caller::connect(&who.known, &[rig.address()]).await.unwrap();
        // Its tasks wait: here it is about the master, not about whose tasks a worker runs first.
        let first = submission(
            Kind::Square,
            in_queue("flood"),
            Args::Range { first: 1, step: 1, count: 1 },
        );
        in_time(endless.call(Request::Submit(first))).await.unwrap();
        let queue = Name::from_lossy("flood");
        in_time(caller.call(Request::Pause { queue })).await.unwrap();
        let part: ArgList = std::iter::repeat_n(&b"12345678901234567890"[..], 4_096).collect();
        let mut flood = JoinSet::new();
        for _ in 0..8 {
            let (endless, part) = (endless.clone(), part.clone());
            flood.spawn(async move {
                loop {
                    let args = Args::Listed(part.clone());
                    let submit = submission(Kind::Square, in_queue("flood"), args);
                    match endless.call(Request::Submit(submit)).await {
                        Ok(_) | Err(CallError::Refused(Refusal::Busy { .. })) => {}
                        Err(error) => return error,
                    }
                }
            });
        }
        let beside = p99(singles(&caller, SINGLES).await);
        println!("one of a hundred took {quiet:?}, beside endless submissions {beside:?}");
        assert!(beside < LONGEST, "{beside:?} beside submissions, {quiet:?} without");
        if let Some(Ok(error)) = flood.try_join_next() {
            panic!("the submissions ended: {error}");
        }
        flood.shutdown().await;
    });
    assert!(rig.count("queued") > 4_096, "nothing was submitted beside");
}

#[test]
fn a_full_master_says_so_and_takes_tasks_again_when_some_have_gone() {
    const WHOLE: u64 = 100_000_000;
    let rig = Rig::bare();
    runtime().block_on(async {
        let caller = admin(&rig).await;
        let range = |count| Args::Range { first: 1, step: 1, count };
        let submit = async |count| {
            let submit: Submit = submission(Kind::Square, BatchOptions::default(), range(count));
            in_time(caller.call(Request::Submit(submit))).await
        };
        let error = submit(WHOLE + 1).await.unwrap_err();
        assert!(error.to_string().contains("at most 100000000 tasks"), "{error}");
        submit(9).await.unwrap();
        submit(WHOLE).await.unwrap();
        submit(WHOLE - 9).await.unwrap();
        let full = submit(1).await.unwrap_err();
        println!("{full}");
        assert!(
            matches!(full, CallError::Refused(Refusal::QueueFull { limit: 200_000_000, .. })),
            "{full}"
        );
    });
    assert_eq!(rig.count("queued"), 2 * WHOLE);
    rig.ok(&["cancel", "b1"]);
    rig.ok(&["delete", "b1"]);
    assert_eq!(rig.ok(&["submit", "--kind", "square", "--range", "1..9"]), "b4\n");
}

#[test]
fn a_client_that_asks_and_does_not_read_is_closed() {
    let rig = Rig::bare();
    runtime().block_on(async {
        let who = identity(&rig, "viewer", "deaf").await;
        let dialler = Dialer::new(&who.known).unwrap();
        let (version, body) = (String::new(), HelloBody::Client);
        let hello = Hello { minor: MINOR, version, body };
        let dialled = in_time(dialler.dial(&[rig.address()], &hello)).await.unwrap();
        let Connected { session, inbox: unread, .. } = dialled;
        let ask = |tag| ClientMessage::Request { tag, request: Request::Status };
        let mut asked = 0;
        while in_time(send(&session, &ask(asked))).await {
            asked += 1;
        }
        let closed = in_time(session.closed()).await;
        println!("after {asked} questions: {closed}");
        assert_eq!(closed.code, Some(CloseCode::TooSlow), "{closed}");
        assert!(closed.sentence.contains("reads too slowly"), "{closed}");
        drop(unread);
    });
    wait_for("an answer", || (rig.ganger(&["status"]).code == 0).then_some(()));
}
