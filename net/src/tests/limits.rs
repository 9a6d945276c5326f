//! Limits of peers that got in: streams, frames, silence, and how fast they must read and write.
//! What the master's loop does about what they say is tested where the loop is; see README.md.

use bytes::Bytes;
use ganger_proto::limits::FRAME_BYTES_MAX;
use ganger_proto::message::{Held, LeaseRun, OutputHeader, WorkerStream};
use ganger_proto::{LeaseId, PerLane};
use quinn::{Connection, RecvStream, SendStream};

use super::relay::Relay;
use super::*;
use crate::error::CloseCode;
use crate::frame::FrameError;
use crate::limits::{
    BIDI_BEFORE_HELLO, BIDI_CLIENT, BIDI_WORKER, FIRST_FRAME_TIMEOUT, IDLE_TIMEOUT,
    OUTPUT_HEADER_BYTES_MAX, PROGRESS_TIMEOUT, UNI_CLIENT, UNI_WORKER_MAX, UNI_WORKER_SPARE,
    UNREADABLE_MAX,
};
use crate::pki::ca::dns_name;
use crate::session::Closed;

/// Long enough for a stream that is allowed to open over loopback.
const MOMENT: Duration = Duration::from_millis(300);

/// A connection that got through the handshake and has said nothing.
async fn silent(rig: &Rig, identity: &ClientIdentity) -> (quinn::Endpoint, Connection) {
    let config = crate::tls::client_data(identity).unwrap();
    let config = crate::transport::client(config, crate::transport::Door::Data).unwrap();
    let endpoint = crate::transport::dial().unwrap();
    let dns = dns_name(rig.authority.cluster());
    let dialled = endpoint.connect_with(config, rig.server.local_addr(), &dns).unwrap();
    let connection = in_time(dialled).await.unwrap();
    (endpoint, connection)
}

/// Opens streams of one direction until the peer allows no more; returns how many.
async fn open_uni(connection: &Connection) -> u32 {
    let mut opened = Vec::new();
    while let Ok(stream) = tokio::time::timeout(MOMENT, connection.open_uni()).await {
        opened.push(stream.unwrap());
    }
    opened.len() as u32
}

/// As [`open_uni`], for both directions; silent while they are kept.
async fn open_bidi(connection: &Connection) -> Vec<(SendStream, RecvStream)> {
    let mut opened = Vec::new();
    while let Ok(stream) = tokio::time::timeout(MOMENT, connection.open_bi()).await {
        opened.push(stream.unwrap());
    }
    opened
}

#[tokio::test]
async fn streams_are_bounded_before_the_hello_and_after_it_by_role() {
    let mut rig = Rig::start();
    let worker = rig.issue(Role::Worker, "w");
    let (_endpoint, connection) = silent(&rig, &worker).await;
    assert_eq!(open_uni(&connection).await, 0);
    assert_eq!(open_bidi(&connection).await.len() as u32, BIDI_BEFORE_HELLO);
    // After it the control stream is one of them.
    let operator = rig.dial(&rig.issue(Role::Operator, "o")).await.unwrap();
    let mut honest = rig.arrival().await;
    assert_eq!(open_uni(operator.session.connection()).await, UNI_CLIENT);
    let silent = open_bidi(operator.session.connection()).await;
    assert_eq!(silent.len() as u32, BIDI_CLIENT - 1);
    for (slots, uni) in [(2, 2 + UNI_WORKER_SPARE), (1_000, UNI_WORKER_MAX), (u32::MAX, 40)] {
        let connected = rig.dial_with(&worker, &hello(self::worker(slots))).await.unwrap();
        let _arrival = rig.arrival().await;
        assert_eq!(open_uni(connected.session.connection()).await, uni, "{slots} slots");
        let silent = open_bidi(connected.session.connection()).await;
        assert_eq!(silent.len() as u32, BIDI_WORKER - 1);
    }
    // Whoever has opened all there is still talks on the control stream, and so does the other.
    operator.session.outbox.send(encode(&7_u8).unwrap()).await.unwrap();
    assert_eq!(in_time(honest.inbox.next::<u8>()).await.unwrap(), 7);
}

#[tokio::test]
async fn whoever_says_nothing_after_the_handshake_is_sent_away() {
    let rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let began = tokio::time::Instant::now();
    let (_endpoint, connection) = silent(&rig, &identity).await;
    let closed = Closed::from(&in_time(connection.closed()).await);
    assert_eq!(closed.code, Some(CloseCode::Protocol), "{closed}");
    assert!(closed.sentence.contains("no hello came in time"), "{closed}");
    assert!(began.elapsed() >= FIRST_FRAME_TIMEOUT);
    refused(&rig.server, "no hello came").await;
    assert!(rig.dial(&identity).await.is_ok());
}

#[tokio::test]
async fn a_hello_that_names_what_nobody_can_hold_is_refused() {
    let rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let mut hello = hello(worker(2));
    let HelloBody::Worker(said) = &mut hello.body else { unreachable!("it is a worker's") };
    let first = LeaseId { epoch: Epoch::new(1), counter: 1 };
    said.slots = PerLane { cpu: u32::MAX, io: u32::MAX };
    said.holding = vec![Held { leases: LeaseRun { first, count: u32::MAX }, started: true }];
    let error = rig.dial_with(&identity, &hello).await.unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("more leases than a worker can hold"), "{error}");
    assert!(error.is_final());
    refused(&rig.server, "the hello names too many leases").await;
    assert!(rig.dial(&identity).await.is_ok());
}

/// Writes a frame slowly: so many bytes ten times a second.
async fn trickle(to: &crate::session::Session, frame: Bytes, bytes: usize) {
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for part in frame.chunks(bytes) {
        tick.tick().await;
        if to.outbox.send(Bytes::copy_from_slice(part)).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_frame_may_be_slow_but_not_for_ever() {
    let mut rig = Rig::start();
    let [slow, stalling] = [rig.issue(Role::Worker, "slow"), rig.issue(Role::Worker, "stalling")];
    let slow = rig.dial(&slow).await.unwrap();
    let mut slow_arrival = rig.arrival().await;
    let stalling = rig.dial(&stalling).await.unwrap();
    let mut stalling_arrival = rig.arrival().await;
    let frame = |bytes: usize| encode(&serde_bytes::Bytes::new(&vec![7; bytes])).unwrap();
    let began = tokio::time::Instant::now();
    // 24,000 bytes in ten seconds are more than the least, and the frame takes longer than that in
    // all; 8,000 are less.
    let writing = async {
        tokio::join!(
            trickle(&slow.session, frame(28 << 10), 240),
            trickle(&stalling.session, frame(28 << 10), 80),
        )
    };
    let reading = async {
        let heard = slow_arrival.inbox.next::<serde_bytes::ByteBuf>().await.unwrap();
        assert_eq!(heard.len(), 28 << 10);
        assert!(began.elapsed() > PROGRESS_TIMEOUT);
    };
    let ending = async {
        let error = stalling_arrival.inbox.next::<serde_bytes::ByteBuf>().await.unwrap_err();
        assert!(matches!(error, FrameError::Closed(_)), "{error}");
        let closed = stalling.session.closed().await;
        assert_eq!(closed.code, Some(CloseCode::TooSlow), "{closed}");
        assert!(closed.sentence.contains("did not come to its end"), "{closed}");
    };
    in_time(async { tokio::join!(writing, reading, ending) }).await;
    assert!(slow.session.connection().close_reason().is_none());
}

#[tokio::test]
async fn streams_that_cannot_be_read_end_the_connection_after_some() {
    let mut rig = Rig::start();
    let lease = LeaseId { epoch: Epoch::new(1), counter: 7 };
    let (stdout, stderr) = Default::default();
    let good = encode(&WorkerStream::Output(OutputHeader { lease, stdout, stderr })).unwrap();
    let too_long = (OUTPUT_HEADER_BYTES_MAX as u32 + 1).to_le_bytes();
    let garbage: [&[u8]; 5] =
        [b"", &[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], &u32::MAX.to_le_bytes(), &too_long, &[9]];
    assert_eq!(garbage.len(), UNREADABLE_MAX as usize);
    let connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let arrival = rig.arrival().await;
    let send = async |bytes: &[u8]| {
        let mut stream = connected.session.connection().open_uni().await.unwrap();
        // The other end may refuse it before it is whole.
        let _refused = stream.write_all(bytes).await;
        let _refused = stream.finish();
    };
    // One good stream in time, and the bad ones are forgotten.
    for bytes in garbage.iter().take(garbage.len() - 1) {
        send(bytes).await;
    }
    send(&good).await;
    assert!(in_time(arrival.session.next_stream::<WorkerStream>()).await.is_ok());
    for bytes in garbage {
        send(bytes).await;
    }
    let error = in_time(arrival.session.next_stream::<WorkerStream>()).await.unwrap_err();
    println!("{error}");
    let closed = in_time(connected.session.closed()).await;
    assert_eq!(closed.code, Some(CloseCode::Protocol), "{closed}");
    assert!(closed.sentence.contains("streams came that cannot be read"), "{closed}");
}

#[tokio::test]
async fn the_largest_frame_passes_and_a_larger_one_ends_its_connection() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Operator, "o");
    let largest = encode(&serde_bytes::Bytes::new(&vec![7; FRAME_BYTES_MAX - 3])).unwrap();
    assert_eq!(largest.len(), 4 + FRAME_BYTES_MAX);
    let mut larger = largest.to_vec();
    larger[..4].copy_from_slice(&(FRAME_BYTES_MAX as u32 + 1).to_le_bytes());
    let connected = rig.dial(&identity).await.unwrap();
    let mut arrival = rig.arrival().await;
    connected.session.outbox.send(largest).await.unwrap();
    let heard = in_time(arrival.inbox.next::<serde_bytes::ByteBuf>()).await.unwrap();
    assert_eq!(heard.len(), FRAME_BYTES_MAX - 3);
    assert_eq!(arrival.inbox.newest_bytes(), FRAME_BYTES_MAX);
    connected.session.outbox.send(larger.into()).await.unwrap();
    let error = in_time(arrival.inbox.next::<serde_bytes::ByteBuf>()).await.unwrap_err();
    assert!(matches!(error, FrameError::TooLarge { .. }), "{error}");
    println!("{error}");
    // An empty frame is no message.
    let connected = rig.dial(&identity).await.unwrap();
    let mut arrival = rig.arrival().await;
    connected.session.outbox.send(Bytes::from_static(&[0; 4])).await.unwrap();
    let error = in_time(arrival.inbox.next::<String>()).await.unwrap_err();
    assert!(matches!(error, FrameError::Malformed), "{error}");
}

#[tokio::test]
async fn a_peer_that_vanishes_is_missed_after_the_idle_timeout() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let relay = Relay::start(loopback(0).ip(), &rig, |_| true).await;
    let address = relay.address.to_string();
    let dialler = Dialer::new(&identity).unwrap();
    let hello = hello(worker(1));
    let vanished = in_time(dialler.dial(&[address], &hello)).await.unwrap();
    let arrival = rig.arrival().await;
    drop(relay);
    let began = tokio::time::Instant::now();
    let closed = tokio::time::timeout(2 * IDLE_TIMEOUT, arrival.session.closed()).await.unwrap();
    println!("{closed} after {:?}", began.elapsed());
    assert!(closed.sentence.contains("nothing was heard for 20 s"), "{closed}");
    assert_eq!(closed.code, None);
    // Its end knows too: neither waits for ever.
    tokio::time::timeout(2 * IDLE_TIMEOUT, vanished.session.closed()).await.unwrap();
}

#[tokio::test]
async fn renewals_that_cannot_be_read_end_the_connection_after_some() {
    let rig = Rig::start();
    let connected = rig.dial(&rig.issue(Role::Viewer, "v")).await.unwrap();
    for _ in 0..UNREADABLE_MAX {
        let (mut send, mut receive) = connected.session.connection().open_bi().await.unwrap();
        send.write_all(b"nonsense").await.unwrap();
        send.finish().unwrap();
        assert!(in_time(receive.read_to_end(100)).await.is_err());
    }
    let closed = in_time(connected.session.closed()).await;
    assert_eq!(closed.code, Some(CloseCode::Protocol), "{closed}");
}
