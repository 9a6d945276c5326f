//! The asking end of a client: requests, replies, pictures, and how it hears of the end.

use std::sync::Mutex;

use ganger_proto::command::Stream;
use ganger_proto::follow::{Followed, Piece};
use ganger_proto::message::{ClientMessage, FollowHeader, ToClient};
use ganger_proto::picture::{Gang, MasterLine};
use ganger_proto::{Picture, Refusal, Reply, Request, TaskId, Watch};

use super::*;
use crate::client::{CallError, Caller};
use crate::error::CloseCode;
use crate::frame::FrameError;

/// A master that answers what a client asks.
async fn answer(mut arrival: Arrival, seen: Arc<Mutex<Vec<u64>>>) {
    let to = arrival.session.outbox.clone();
    let say = async |message: ToClient| to.send(encode(&message).unwrap()).await;
    let mut late = None;
    while let Ok(message) = arrival.inbox.next::<ClientMessage>().await {
        let said = match message {
            ClientMessage::Request { tag, request: Request::Status } => {
                // Answered out of order: after the next one.
                late = Some(tag);
                Ok(())
            }
            ClientMessage::Request { tag, request: Request::Queues } => {
                let result = Ok(Reply::Queues(Vec::new()));
                let said = say(ToClient::Reply { tag, result }).await;
                if let Some(tag) = late.take() {
                    let result = Err(Refusal::Stopping);
                    say(ToClient::Reply { tag, result }).await.unwrap();
                }
                said
            }
            ClientMessage::Request { .. } => return,
            ClientMessage::Watch(_) => {
                for number in 1..=3 {
                    say(ToClient::Picture(Box::new(picture(number)))).await.unwrap();
                }
                say(ToClient::Pulse).await
            }
            ClientMessage::Seen { number } => {
                seen.lock().unwrap().push(number);
                say(ToClient::Picture(Box::new(picture(number + 1)))).await
            }
            ClientMessage::Unwatch => Ok(()),
        };
        said.unwrap();
    }
}

fn picture(number: u64) -> Picture {
    let master = MasterLine {
        cluster: name("c"),
        version: String::new(),
        address: String::new(),
        home: String::new(),
        started: WallMs(0),
        counts: Default::default(),
        done_per_s: 0.0,
        done_per_s_mean: 0.0,
        eta_ms: None,
        oldest_wait_ms: 0,
        cpu_permille: 0,
        commits: 0,
        trouble: String::new(),
        stuck: String::new(),
        refused: String::new(),
        newest_batch: None,
    };
    Picture {
        number,
        watch: 0,
        seq: 0,
        at: WallMs(0),
        master,
        queues: Vec::new(),
        gang: Gang::default(),
        history: None,
        tasks: None,
        results: None,
        workers: None,
        log: Vec::new(),
    }
}

#[tokio::test]
async fn a_client_asks_watches_and_hears_of_the_end() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Operator, "o");
    let caller = in_time(Caller::connect(&identity, &rig.addresses())).await.unwrap();
    assert_eq!(caller.welcome().you, actor(Role::Operator, "o"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let answering = tokio::spawn(answer(rig.arrival().await, seen.clone()));
    let (status, queues) =
        in_time(async { tokio::join!(caller.call(Request::Status), caller.call(Request::Queues)) })
            .await;
    assert!(matches!(status, Err(CallError::Refused(Refusal::Stopping))));
    assert!(matches!(queues, Ok(Reply::Queues(_))));
    caller.watch(Watch::default()).await.unwrap();
    let mut last = 0;
    while last < 10 {
        let picture = in_time(caller.next_picture()).await.unwrap();
        assert!(picture.number > last, "{} after {last}", picture.number);
        last = picture.number;
    }
    caller.unwatch().await.unwrap();
    assert!(!seen.lock().unwrap().is_empty());
    // The master goes away in the middle of a request.
    let lost = in_time(caller.call(Request::Log { rows: 1 })).await.unwrap_err();
    println!("{lost}");
    assert!(matches!(lost, CallError::Lost(_)));
    assert!(matches!(in_time(caller.next_picture()).await, Err(CallError::Lost(_))));
    assert!(matches!(in_time(caller.call(Request::Queues)).await, Err(CallError::Lost(_))));
    answering.await.unwrap();
}

#[tokio::test]
async fn a_caller_that_ends_is_gone_at_the_master() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Viewer, "v");
    for ends in [true, false] {
        let caller = in_time(Caller::connect(&identity, &rig.addresses())).await.unwrap();
        let mut arrival = rig.arrival().await;
        if ends {
            in_time(caller.end()).await;
        } else {
            drop(caller);
        }
        let error = in_time(arrival.inbox.next::<ClientMessage>()).await.unwrap_err();
        assert!(
            matches!(&error, FrameError::Closed(closed) if closed.code == Some(CloseCode::Done)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_silent_master_counts_as_lost() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Viewer, "v");
    let caller = in_time(Caller::connect(&identity, &rig.addresses())).await.unwrap();
    let _silent = rig.arrival().await;
    let lost = in_time(caller.next_picture()).await.unwrap_err();
    println!("{lost}");
    assert!(lost.to_string().contains("nothing was heard for 5 s"), "{lost}");
}

fn piece(offset: u64, length: usize) -> Followed {
    let (stream, bytes) = (Stream::Stdout, vec![b'x'; length]);
    Followed::Piece(Piece { stream, offset, skipped: 0, at: WallMs(0), bytes })
}

#[tokio::test]
async fn what_is_followed_comes_on_a_stream_of_its_own() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Viewer, "v");
    let caller = in_time(Caller::connect(&identity, &rig.addresses())).await.unwrap();
    let mut arrival = rig.arrival().await;
    let following = async || caller.follow(TaskId::new(7), None).await.unwrap();
    let mut answering = async || {
        let message = arrival.inbox.next::<ClientMessage>().await.unwrap();
        let ClientMessage::Request { tag, request } = message else { panic!("{message:?}") };
        assert_eq!(request, Request::Follow { task: TaskId::new(7), attempt: None });
        // The stream may come before the reply.
        let stream = arrival.session.open_stream(&FollowHeader { tag }).await.unwrap();
        let reply = ToClient::Reply { tag, result: Ok(Reply::Ok) };
        arrival.session.outbox.send(encode(&reply).unwrap()).await.unwrap();
        stream
    };
    type Frame = Result<Followed, Refusal>;
    let (mut follow, mut to) = in_time(async { tokio::join!(following(), answering()) }).await;
    // More than all windows together: an end that does not read holds up nothing else.
    let flood = async {
        for number in 0..512 {
            to.send(&Frame::Ok(piece(number << 16, 1 << 16))).await.unwrap();
        }
        to.send(&Frame::Ok(Followed::Ended { outcome: None })).await.unwrap();
        to.finish();
    };
    let read = async {
        for number in 0..512 {
            assert_eq!(follow.next().await.unwrap().unwrap(), piece(number << 16, 1 << 16));
        }
        assert_eq!(follow.next().await.unwrap().unwrap(), Followed::Ended { outcome: None });
        assert!(follow.next().await.is_none());
    };
    in_time(async { tokio::join!(flood, read) }).await;

    let (follow, mut to) = in_time(async { tokio::join!(following(), answering()) }).await;
    drop(follow);
    in_time(to.unwanted()).await;

    let (mut follow, to) = in_time(async { tokio::join!(following(), answering()) }).await;
    drop(to);
    let broken = in_time(follow.next()).await.unwrap().unwrap_err();
    assert!(matches!(&broken, CallError::Refused(Refusal::State(_))), "{broken}");
    assert!(follow.next().await.is_none());

    let (mut follow, mut to) = in_time(async { tokio::join!(following(), answering()) }).await;
    to.send(&Frame::Ok(piece(0, (1 << 16) + 1))).await.unwrap();
    assert!(in_time(follow.next()).await.unwrap().is_err(), "a piece has a limit");

    let (mut follow, _to) = in_time(async { tokio::join!(following(), answering()) }).await;
    arrival.session.close(CloseCode::Shutdown, "");
    let lost = in_time(follow.next()).await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::Lost(_)), "{lost}");
}
