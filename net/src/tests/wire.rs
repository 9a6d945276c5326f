//! Frames, outputs, closes and limits over the wire. What a client asks is in asking.rs.

use bytes::Bytes;
use ganger_proto::limits::FRAME_BYTES_MAX;
use tokio::net::UdpSocket;

use super::*;
use crate::error::CloseCode;
use crate::frame::{FrameError, SendError};
use crate::server::BindError;

#[tokio::test]
async fn frames_come_in_order_small_and_large() {
    let mut rig = Rig::start();
    let mut connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let mut arrival = rig.arrival().await;
    let large = |number: u32| vec![number as u8; FRAME_BYTES_MAX - 8];
    let sending = async {
        for number in 0..20_000_u32 {
            connected.session.outbox.send(encode(&number).unwrap()).await.unwrap();
            if number % 1_000 == 0 {
                let frame = encode(&serde_bytes::Bytes::new(&large(number))).unwrap();
                connected.session.outbox.send(frame).await.unwrap();
            }
        }
    };
    let hearing = async {
        for number in 0..20_000_u32 {
            assert_eq!(arrival.inbox.next::<u32>().await.unwrap(), number);
            if number % 1_000 == 0 {
                let heard: serde_bytes::ByteBuf = arrival.inbox.next().await.unwrap();
                assert_eq!(heard, large(number));
            }
        }
    };
    in_time(async { tokio::join!(sending, hearing) }).await;
    arrival.session.outbox.send(encode(&"back").unwrap()).await.unwrap();
    assert_eq!(in_time(connected.inbox.next::<String>()).await.unwrap(), "back");
    assert!(connected.session.rtt() < Duration::from_secs(1));
    assert!(arrival.session.remote().ip().is_loopback());
}

#[tokio::test]
async fn bad_frames_are_errors_of_the_one_who_sent_them() {
    let mut rig = Rig::start();
    let identity = rig.issue(Role::Operator, "o");
    let cases: [(&str, &[u8], &str); 3] = [
        ("no message", &[1, 0, 0, 0, 0xff], "malformed"),
        ("more than a message", &[3, 0, 0, 0, 1, 1, 1], "malformed"),
        ("too long", &[0xff, 0xff, 0xff, 0xff], "too large"),
    ];
    for (case, bytes, expected) in cases {
        let connected = rig.dial(&identity).await.unwrap();
        let mut arrival = rig.arrival().await;
        connected.session.outbox.send(Bytes::from_static(bytes)).await.unwrap();
        let error = in_time(arrival.inbox.next::<bool>()).await.unwrap_err();
        println!("{case}: {error}");
        match (error, expected) {
            (FrameError::Malformed, "malformed") | (FrameError::TooLarge { .. }, "too large") => {}
            (error, _) => panic!("{case}: {error}"),
        }
        arrival.session.close(CloseCode::Protocol, "a frame cannot be read");
        let closed = in_time(connected.session.closed()).await;
        assert_eq!(closed.code, Some(CloseCode::Protocol), "{closed}");
    }
}

#[tokio::test]
async fn the_first_frame_must_be_a_hello_and_come_soon() {
    let rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let config = crate::tls::client_data(&identity).unwrap();
    let config = crate::transport::client(config, crate::transport::Door::Data).unwrap();
    let endpoint = crate::transport::dial().unwrap();
    let dns = crate::pki::ca::dns_name(rig.authority.cluster());
    let cases: [(&[u8], &str); 3] = [
        (&[4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], "the hello is malformed"),
        (&[0xff, 0xff, 0xff, 0x7f], "the hello is malformed"),
        (&[9, 0], "no hello came"),
    ];
    for (bytes, noted) in cases {
        let dialled = endpoint.connect_with(config.clone(), rig.server.local_addr(), &dns).unwrap();
        let connection = in_time(dialled).await.unwrap();
        let (mut send, _receive) = connection.open_bi().await.unwrap();
        send.write_all(bytes).await.unwrap();
        let closed = crate::session::Closed::from(&in_time(connection.closed()).await);
        println!("{closed}");
        assert_eq!(closed.code, Some(CloseCode::Protocol));
        refused(&rig.server, noted).await;
    }
}

#[tokio::test]
async fn the_newest_connection_of_a_worker_wins_and_clients_may_have_many() {
    let mut rig = Rig::start();
    let worker = rig.issue(Role::Worker, "w");
    let older = rig.dial(&worker).await.unwrap();
    let _older = rig.arrival().await;
    let newer = rig.dial(&worker).await.unwrap();
    let mut newer_arrival = rig.arrival().await;
    let closed = in_time(older.session.closed()).await;
    println!("{closed}");
    assert_eq!(closed.code, Some(CloseCode::Superseded));
    newer.session.outbox.send(encode(&1_u8).unwrap()).await.unwrap();
    assert_eq!(in_time(newer_arrival.inbox.next::<u8>()).await.unwrap(), 1);
    let operator = rig.issue(Role::Operator, "o");
    let mut all = Vec::new();
    for _ in 0..3 {
        all.push((rig.dial(&operator).await.unwrap(), rig.arrival().await));
    }
    for (connected, arrival) in &mut all {
        connected.session.outbox.send(encode(&2_u8).unwrap()).await.unwrap();
        assert_eq!(in_time(arrival.inbox.next::<u8>()).await.unwrap(), 2);
    }
    rig.server.kick(Role::Operator, &name("o"), CloseCode::Busy, "all three");
    for (connected, _) in &all {
        assert_eq!(in_time(connected.session.closed()).await.code, Some(CloseCode::Busy));
    }
}

#[tokio::test]
async fn a_master_that_stops_says_so() {
    let mut rig = Rig::start();
    let mut connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let held = rig.arrival().await;
    // What was said before still arrives.
    for number in 0..500_u32 {
        held.session.outbox.try_send(encode(&number).unwrap()).unwrap();
    }
    in_time(rig.server.close()).await;
    for number in 0..500_u32 {
        assert_eq!(connected.inbox.next::<u32>().await.unwrap(), number);
    }
    let closed = in_time(connected.session.closed()).await;
    println!("{closed}");
    assert_eq!(closed.code, Some(CloseCode::Shutdown));
    assert!(closed.code.is_some_and(|code| !code.is_final()));
    assert!(in_time(rig.server.accept()).await.is_none());
}

/// A close waited behind a full congestion window and never reached the peer.
#[tokio::test]
async fn a_peer_that_does_not_read_still_hears_the_close() {
    let mut rig = Rig::start();
    let connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let arrival = rig.arrival().await;
    let frame = encode(&serde_bytes::Bytes::new(&vec![0; 64 << 10])).unwrap();
    while !in_time(stays_full(&arrival, &frame)).await {}
    arrival.session.close(CloseCode::TooSlow, "the outbox is full");
    let closed = tokio::time::timeout(Duration::from_secs(2), connected.session.closed()).await;
    assert_eq!(closed.unwrap().code, Some(CloseCode::TooSlow));
}

/// Fills the outbox; tells whether it stays full for a while.
async fn stays_full(arrival: &Arrival, frame: &Bytes) -> bool {
    while arrival.session.outbox.try_send(frame.clone()) != Err(SendError::Full) {
        tokio::task::yield_now().await;
    }
    let waits = arrival.session.outbox.send(frame.clone());
    tokio::time::timeout(Duration::from_millis(200), waits).await.is_err()
}

#[tokio::test]
async fn a_frame_that_stalls_ends_the_connection() {
    let mut rig = Rig::start();
    let connected = rig.dial(&rig.issue(Role::Worker, "w")).await.unwrap();
    let mut arrival = rig.arrival().await;
    connected.session.outbox.send(Bytes::from_static(&[9, 0])).await.unwrap();
    let error = in_time(arrival.inbox.next::<u8>()).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, FrameError::Closed(_)));
    let closed = in_time(connected.session.closed()).await;
    assert_eq!(closed.code, Some(CloseCode::TooSlow), "{closed}");
}

#[tokio::test]
async fn a_worker_that_changes_networks_keeps_its_connection() {
    let mut rig = Rig::start();
    let dialler = Dialer::new(&rig.issue(Role::Worker, "w")).unwrap();
    let (addresses, hello) = (rig.addresses(), hello(worker(1)));
    let mut connected = in_time(dialler.dial(&addresses, &hello)).await.unwrap();
    let mut arrival = rig.arrival().await;
    let before = arrival.session.remote();
    dialler.change_networks();
    connected.session.outbox.send(encode(&1_u8).unwrap()).await.unwrap();
    assert_eq!(in_time(arrival.inbox.next::<u8>()).await.unwrap(), 1);
    arrival.session.outbox.send(encode(&2_u8).unwrap()).await.unwrap();
    assert_eq!(in_time(connected.inbox.next::<u8>()).await.unwrap(), 2);
    assert_ne!(arrival.session.remote(), before);
}

#[tokio::test]
async fn garbage_at_the_port_disturbs_nobody() {
    let rig = Rig::start();
    let socket = UdpSocket::bind(loopback(0)).await.unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    for length in (0..1_400).step_by(7) {
        let mut packet: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
        socket.send_to(&packet, rig.server.local_addr()).await.unwrap();
        // The same with a long header, version 1, and the tag of a joiner.
        let head = [0xc0, 0, 0, 0, 1, 20];
        let head = [&head[..], crate::tls::JOIN_TAG].concat();
        let both = packet.len().min(head.len());
        packet[..both].copy_from_slice(&head[..both]);
        socket.send_to(&packet, rig.server.local_addr()).await.unwrap();
    }
    assert!(rig.dial(&rig.issue(Role::Worker, "w")).await.is_ok());
}

#[tokio::test]
async fn a_handshake_that_stalls_is_given_up() {
    let handshake_timeout = Duration::from_millis(200);
    let rig = Rig::start_with(Bounds { handshake_timeout, ..Bounds::default() });
    let identity = rig.issue(Role::Worker, "w");
    let relay = UdpSocket::bind(loopback(0)).await.unwrap();
    let address = relay.local_addr().unwrap();
    let master = rig.server.local_addr();
    let relaying = tokio::spawn(async move {
        let (mut dialler, mut passed) = (None, 0);
        let mut packet = [0; 2_048];
        loop {
            let (length, from) = relay.recv_from(&mut packet).await.unwrap();
            let to = if from == master { dialler } else { Some(master) };
            if from != master {
                dialler = Some(from);
                passed += 1;
            }
            // The hello, its repetition with the Retry's token, and then nothing more.
            if from == master || passed <= 2 {
                relay.send_to(&packet[..length], to.unwrap()).await.unwrap();
            }
        }
    });
    let dialler = Dialer::new(&identity).unwrap();
    let error = in_time(dialler.dial(&[address.to_string()], &hello(worker(1)))).await.unwrap_err();
    println!("{error}");
    assert!(!error.is_final(), "{error}");
    refused(&rig.server, "the handshake was not finished").await;
    relaying.abort();
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let rig = Rig::start();
    let error = Server::bind(rig.server.local_addr(), rig.authority.clone()).unwrap_err();
    println!("{error}");
    assert!(matches!(error, BindError::InUse { address } if address == rig.server.local_addr()));
}

#[tokio::test]
async fn one_socket_listens_on_both_families() {
    let rig = Rig::start();
    let any = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, 0));
    let server = match Server::bind(any, rig.authority.clone()) {
        Ok(server) => server,
        Err(error) => return println!("no IPv6 here: {error}"),
    };
    let port = server.local_addr().port();
    let identity = rig.issue(Role::Worker, "w");
    let dialler = Dialer::new(&identity).unwrap();
    for host in ["127.0.0.1", "[::1]"] {
        let (addresses, hello) = ([format!("{host}:{port}")], hello(worker(1)));
        let dialling = dialler.dial(&addresses, &hello);
        let accepting = async {
            let arrival = server.accept().await.unwrap();
            let welcome = welcome(&rig.authority, &arrival.peer.actor);
            arrival.session.outbox.send(encode(&welcome).unwrap()).await.unwrap();
            arrival
        };
        let (dialled, arrival) = in_time(async { tokio::join!(dialling, accepting) }).await;
        assert!(dialled.is_ok(), "{host}");
        assert_eq!(arrival.session.remote().ip().to_string(), host.trim_matches(['[', ']']));
    }
}

/// After `kill -9` a client noticed the death of its master only at its idle timeout.
#[test]
fn a_killed_master_is_missed_at_once_when_it_is_back() {
    let home = tempfile::tempdir().unwrap();
    let turned_ms = Arc::new(AtomicI64::new(0));
    let authority = open(home.path(), &turned_ms);
    let first = tokio::runtime::Runtime::new().unwrap();
    let mine = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = {
        let _entered = first.enter();
        Arc::new(Server::bind(loopback(0), authority.clone()).unwrap())
    };
    let address = server.local_addr();
    let (welcomer, master) = (server.clone(), authority.clone());
    first.spawn(async move {
        let mut held = Vec::new();
        while let Some(arrival) = welcomer.accept().await {
            let welcome = welcome(&master, &arrival.peer.actor);
            arrival.session.outbox.send(encode(&welcome).unwrap()).await.unwrap();
            held.push(arrival);
        }
    });
    let actor = actor(Role::Worker, "w");
    let dir = home.path().join("w");
    let identity = authority.issue_local(&dir, &actor, &[address.to_string()]).unwrap();
    let connected = mine.block_on(async {
        let dialler = Dialer::new(&identity).unwrap();
        in_time(dialler.dial(&identity.addresses, &hello(worker(1)))).await.unwrap()
    });
    // Its tasks vanish without a word, as with the process.
    drop(server);
    first.shutdown_background();
    mine.block_on(async {
        let _back = rebind(address, &authority).await;
        let speaking = async {
            loop {
                let _ended = connected.session.outbox.send(encode(&1_u8).unwrap()).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let closed = tokio::select! {
            closed = connected.session.closed() => closed,
            () = speaking => unreachable!("it speaks for ever"),
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("it was not missed"),
        };
        println!("{closed}");
        assert!(closed.sentence.contains("forgotten"), "{closed}");
    });
}
