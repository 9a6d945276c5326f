//! Messages: what decodes encodes to the same meaning in no more bytes, and what a receiver asks of
//! a message first never fails, whatever it says.
//!
//! The first byte says which kind of message the others are.

use ganger_proto::command::Actor;
use ganger_proto::follow::{Cursor, Followed, Piece};
use ganger_proto::message::{
    ClientMessage, FollowHeader, Grant, Hello, HelloBody, MINOR, Report, ToClient, ToWorker,
    Welcome, WorkerHello, WorkerMessage, WorkerStream,
};
use ganger_proto::{Args, Name, Refusal, Request, Role, Spec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::frame::{decode, encode};
use crate::pki::enroll::{JoinAnswer, JoinRequest};
use crate::pki::policy;

/// Decodes the bytes behind the first as the kind of message that it says.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    match kind % 12 {
        0 => same(body, |hello: &Hello| hello_of(hello)),
        1 => same(body, |welcome: &Welcome| {
            let _shown = welcome.you.to_string();
        }),
        2 => same(body, |said: &WorkerMessage| of_worker(said)),
        3 => same(body, |told: &ToWorker| to_worker(told)),
        4 => same(body, |said: &ClientMessage| of_client(said)),
        5 => same(body, |told: &ToClient| to_client(told)),
        6 => same(body, |stream: &WorkerStream| of_stream(stream)),
        7 => same(body, |_: &FollowHeader| {}),
        8 => same(body, |followed: &Result<Followed, Refusal>| of_followed(followed)),
        9 => same(body, |piece: &Piece| follow(piece)),
        10 => same(body, |request: &JoinRequest| {
            assert!(format!("{request:?}").ends_with("[secret])"));
        }),
        _ => same(body, |_: &JoinAnswer| {}),
    }
}

/// Decodes, looks, encodes, and does it again with what was encoded.
fn same<T: DeserializeOwned + Serialize>(body: &[u8], look: impl FnOnce(&T)) {
    let Ok(message) = decode::<T>(body) else { return };
    look(&message);
    let Ok(frame) = encode(&message) else { return };
    let shorter = frame.get(4..).unwrap_or_default();
    assert!(shorter.len() <= body.len(), "{} bytes became {}", body.len(), shorter.len());
    let again = decode::<T>(shorter).expect("what we encode we decode");
    assert_eq!(encode(&again).ok(), Some(frame), "its meaning changed");
}

fn hello_of(hello: &Hello) {
    let common = hello.minor.common(MINOR);
    assert!(common.is_none_or(|minor| (MINOR.min..=MINOR.max).contains(&minor)));
    match &hello.body {
        HelloBody::Worker(WorkerHello { slots, hold, labels, .. }) => {
            assert!(slots.at_most(7).sum() <= 14 && hold.sum() >= hold.cpu);
            labels.iter().for_each(|label| assert!(!label.to_string().contains(char::is_control)));
        }
        HelloBody::Client => {}
    }
}

fn of_worker(said: &WorkerMessage) {
    let WorkerMessage::Report(Report { done, .. }) = said else { return };
    for run in done {
        let bytes: usize = run.results.iter().map(<[u8]>::len).sum();
        assert_eq!(bytes, run.results.total_bytes());
    }
}

fn to_worker(told: &ToWorker) {
    let ToWorker::Grant(Grant { specs, runs }) = told else { return };
    specs.iter().for_each(|(_, spec)| check_spec(spec));
    runs.iter().for_each(|run| check_args(&run.args));
}

/// A policy's answer depends on the role alone, and it always has one.
fn of_client(said: &ClientMessage) {
    let ClientMessage::Request { request, .. } = said else { return };
    for (role, admin) in Role::ALL.into_iter().zip([false, false, false, true]) {
        let actor = Actor { role, name: Name::from_lossy("x"), admin };
        let may = policy::check(&actor, request).is_ok();
        assert!(!may || role != Role::Worker, "a worker may not ask for {request:?}");
    }
    if let Request::Submit(submit) = request {
        check_args(&submit.args);
        let Some(head) = &submit.head else { return };
        check_spec(&head.spec);
        if let Err(error) = head.options.check_labels() {
            assert!(!error.to_string().contains(char::is_control));
        }
    }
}

fn to_client(told: &ToClient) {
    if let ToClient::Reply { result: Err(refusal), .. } = told {
        // Its words are the master's own; that there may be none is for who shows them.
        let _shown = refusal.to_string();
    }
}

fn of_stream(stream: &WorkerStream) {
    let WorkerStream::Output(header) = stream else { return };
    let most = 2 * (ganger_proto::limits::OUTPUT_BYTES_MAX + (1 << 20));
    assert!(header.bytes().is_none_or(|bytes| bytes <= most));
    let long = header.stdout.beyond() > 0 || header.stderr.beyond() > 0;
    assert_eq!(header.is_long(), long);
}

fn of_followed(followed: &Result<Followed, Refusal>) {
    if let Ok(Followed::Piece(piece)) = followed {
        follow(piece);
    }
}

/// A follower takes each byte once, and never goes back.
fn follow(piece: &Piece) {
    let mut cursor = Cursor::default();
    let before = cursor.next(piece.stream);
    let taken = cursor.take(piece.clone());
    let after = cursor.next(piece.stream);
    assert!(after >= before);
    if let Some(taken) = taken {
        assert!(taken.bytes.len() <= piece.bytes.len());
        assert!(piece.bytes.ends_with(&taken.bytes));
        assert_eq!(taken.offset - taken.skipped, before);
    }
    assert!(cursor.take(piece.clone()).is_none(), "it was taken before");
}

fn check_spec(spec: &Spec) {
    let Err(error) = spec.check() else { return };
    assert!(!error.to_string().contains(char::is_control), "{error}");
}

/// The first, the middle, the last argument and one past the end can be asked for.
fn check_args(args: &Args) {
    let count = args.count();
    let mut text = Vec::new();
    for index in [0, count / 2, count.saturating_sub(1), count, u64::MAX] {
        text.clear();
        args.write(index, &mut text);
        assert!(index < count || text.is_empty());
    }
    if !args.is_sound() {
        return;
    }
    let half = args.slice(count / 2, count - count / 2);
    assert!(half.is_sound() && half.count() == count - count / 2);
    let (mut whole, mut part) = (Vec::new(), Vec::new());
    args.write(count.saturating_sub(1), &mut whole);
    half.write(half.count().saturating_sub(1), &mut part);
    assert_eq!(whole, part);
    assert!(args.bytes_of(0, count) >= half.bytes_of(0, half.count()));
}
