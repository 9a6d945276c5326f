//! Abuse at the door: handshakes that stall, fail or come in floods, from addresses of their own,
//! and what an honest peer beside them feels. What authenticated peers may do is in limits.rs;
//! which limit is reached where is in README.md.

use std::net::{IpAddr, Ipv4Addr};

use quinn::Endpoint;
use rcgen::{CertificateParams, KeyPair};

use super::relay::Relay;
use super::*;
use crate::client::{JoinError, join};
use crate::error::CloseCode;
use crate::limits::{DATA_DOOR, DoorLimits, JOIN_DOOR, JOIN_TIMEOUT};
use crate::pki::ca::dns_name;
use crate::pki::enroll::JoinRequest;
use crate::pki::record::Wish;
use crate::session::Closed;
use crate::tls::{client_data, client_join};
use crate::transport::{Door, client, dial as endpoint};

/// An address of the loopback that no honest peer of these tests has.
const fn stranger(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 7, 0, number))
}

/// A dialler's socket on an address of its own.
fn endpoint_at(from: IpAddr) -> Endpoint {
    Endpoint::client(SocketAddr::new(from, 0)).unwrap()
}

/// Whether a packet of the master is a Retry (RFC 9000, 17.2.5).
const fn is_retry(packet: &[u8]) -> bool {
    /// The type of a long header's packet.
    const TYPE: u8 = 0b1011_0000;
    const RETRY: u8 = 0b1011_0000;
    matches!(packet, [first, ..] if *first & TYPE == RETRY)
}

/// Of what the master says only the Retry comes back: every handshake through it is begun, from a
/// validated address, and none is finished.
struct Stalling(Relay);

impl Stalling {
    async fn from(from: IpAddr, rig: &Rig) -> Self {
        Self(Relay::start(from, rig, is_retry).await)
    }

    /// Begins handshakes that stall; they go on while what is returned is kept.
    fn begin(&self, rig: &Rig, config: &quinn::ClientConfig, count: u32) -> Kept {
        let endpoint = endpoint().unwrap();
        let dns = dns_name(rig.authority.cluster());
        let dial = |_| endpoint.connect_with(config.clone(), self.0.address, &dns).unwrap();
        let begun = (0..count).map(dial).collect();
        Kept { _endpoint: endpoint.clone(), _begun: begun }
    }
}

struct Kept {
    _endpoint: Endpoint,
    _begun: Vec<quinn::Connecting>,
}

fn data_config(identity: &ClientIdentity) -> quinn::ClientConfig {
    client(client_data(identity).unwrap(), Door::Data).unwrap()
}

fn join_config(rig: &Rig) -> quinn::ClientConfig {
    client(client_join(rig.authority.ca().pin).unwrap(), Door::Join).unwrap()
}

#[tokio::test]
async fn unfinished_handshakes_of_one_address_are_bounded_and_others_are_served() {
    let rig = Rig::start();
    let identity = rig.issue(Role::Worker, "w");
    let stalling = Stalling::from(stranger(1), &rig).await;
    let most = DATA_DOOR.unfinished_per_address;
    let _kept = stalling.begin(&rig, &data_config(&identity), most + 8);
    refused(&rig.server, "from 127.7.0.1: too many unfinished handshakes").await;
    assert!(rig.dial(&identity).await.is_ok());
    // A joiner has a door of its own, with a bound of its own.
    let joining = Stalling::from(stranger(2), &rig).await;
    let most = JOIN_DOOR.unfinished_per_address;
    let _kept = joining.begin(&rig, &join_config(&rig), most + 8);
    refused(&rig.server, "from 127.7.0.2: too many unfinished handshakes").await;
    assert!(join(&rig.invite(|_| {}), None, &rig.dir("j")).await.is_ok());
}

#[tokio::test]
async fn a_full_door_is_open_again_when_what_stalls_is_given_up() {
    let all = 4;
    let data = DoorLimits { unfinished: all, unfinished_per_address: 100, ..DATA_DOOR };
    let handshake_timeout = Duration::from_millis(1_500);
    let rig = Rig::start_with(Bounds { data, handshake_timeout, ..Bounds::default() });
    let identity = rig.issue(Role::Worker, "w");
    let stalling = Stalling::from(stranger(1), &rig).await;
    let kept = stalling.begin(&rig, &data_config(&identity), all as u32 + 2);
    refused(&rig.server, "too many handshakes at once").await;
    let error = rig.dial(&identity).await.unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("busy") && !error.is_final(), "{error}");
    refused(&rig.server, "the handshake was not finished").await;
    drop(kept);
    in_time(async { while rig.dial(&identity).await.is_err() {} }).await;
}

#[tokio::test]
async fn a_flood_of_handshakes_is_cut_to_its_rate() {
    let data = DoorLimits { per_second: 2.0, ..DATA_DOOR };
    let rig = Rig::start_with(Bounds { data, ..Bounds::default() });
    let identity = rig.issue(Role::Worker, "w");
    let mut busy = 0;
    for _ in 0..8 {
        busy += u32::from(rig.dial(&identity).await.is_err());
    }
    assert!(busy >= 4, "only {busy} of 8 were refused");
    refused(&rig.server, "too many handshakes at once").await;
    // The bucket fills again, and what was refused is not held against the address.
    in_time(async { while rig.dial(&identity).await.is_err() {} }).await;
}

#[tokio::test]
async fn failed_handshakes_shut_their_address_out_and_no_other() {
    let rig = Rig::start();
    let odd = data_config(&rig.odd(Subject::Client(Role::Worker), |_| {}));
    let dns = dns_name(rig.authority.cluster());
    let hostile = endpoint_at(stranger(3));
    let mut tries = 0;
    while !rig.server.refused_lately().contains("from 127.7.0.3: too many failures") {
        tries += 1;
        assert!(tries < 10 * DATA_DOOR.failures as u32, "the door stays open");
        let dialled = hostile.connect_with(odd.clone(), rig.server.local_addr(), &dns).unwrap();
        if let Ok(connection) = in_time(dialled).await {
            in_time(connection.closed()).await;
        }
    }
    assert!(tries > DATA_DOOR.failures as u32, "shut after {tries}");
    assert!(rig.dial(&rig.issue(Role::Worker, "w")).await.is_ok());
}

#[tokio::test]
async fn a_full_house_says_busy_until_somebody_leaves() {
    let rig = Rig::start_with(Bounds { connections: 3, ..Bounds::default() });
    let identity = rig.issue(Role::Operator, "o");
    let mut inside = Vec::new();
    for _ in 0..3 {
        inside.push(rig.dial(&identity).await.unwrap());
    }
    let error = rig.dial(&identity).await.unwrap_err();
    println!("{error}");
    assert!(error.to_string().contains("busy") && !error.is_final(), "{error}");
    refused(&rig.server, "too many connections").await;
    assert!(inside.iter().all(|one| one.session.connection().close_reason().is_none()));
    inside.pop();
    in_time(async { while rig.dial(&identity).await.is_err() {} }).await;
}

#[tokio::test]
async fn one_identity_cannot_take_the_places_of_all() {
    let rig = Rig::start_with(Bounds { identity_connections: 2, ..Bounds::default() });
    let (many, other) = (rig.issue(Role::Viewer, "many"), rig.issue(Role::Viewer, "other"));
    let _inside = [rig.dial(&many).await.unwrap(), rig.dial(&many).await.unwrap()];
    let error = rig.dial(&many).await.unwrap_err();
    assert!(error.to_string().contains("busy") && !error.is_final(), "{error}");
    rig.dial(&other).await.unwrap();
}

/// What came of one try to join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    Answered,
    ShutOut,
}

async fn try_token(rig: &Rig, from: &Endpoint, config: &quinn::ClientConfig) -> Tried {
    let dns = dns_name(rig.authority.cluster());
    let dialled = from.connect_with(config.clone(), rig.server.local_addr(), &dns).unwrap();
    let Ok(connection) = in_time(dialled).await else { return Tried::ShutOut };
    let key = KeyPair::generate().unwrap();
    let csr = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
    let wish = Wish::Named(name("mallory"));
    let secret = fastrand::u128(..).to_le_bytes();
    let request = JoinRequest { invite: [3; 8], secret, wish, csr };
    let Ok((mut send, mut receive)) = connection.open_bi().await else { return Tried::ShutOut };
    let _ended = send.write_all(&postcard::to_stdvec(&request).unwrap()).await;
    let _ended = send.finish();
    match in_time(receive.read_to_end(100)).await {
        Ok(_) => Tried::Answered,
        Err(_) => Tried::ShutOut,
    }
}

#[tokio::test]
async fn bad_tokens_by_the_thousand_get_few_answers_and_write_nothing() {
    const ADDRESSES: u8 = 20;
    const TRIES: usize = 50;
    let rig = Rig::start();
    let token = rig.invite(|_| {});
    let (config, entries) = (join_config(&rig), rig.authority.audit(0, 1_000).len());
    let mut answered = 0;
    let of_one = async |number: u8| {
        let endpoint = endpoint_at(stranger(number));
        let mut answered = 0;
        for _ in 0..TRIES {
            answered += usize::from(try_token(&rig, &endpoint, &config).await == Tried::Answered);
        }
        answered
    };
    let began = tokio::time::Instant::now();
    for number in (1..=ADDRESSES).step_by(4) {
        let of_four = tokio::join!(
            of_one(number),
            of_one(number + 1),
            of_one(number + 2),
            of_one(number + 3)
        );
        answered += of_four.0 + of_four.1 + of_four.2 + of_four.3;
    }
    let took = began.elapsed();
    println!("{answered} of {} got an answer in {took:?}", usize::from(ADDRESSES) * TRIES);
    assert!(answered >= JOIN_DOOR.failures as usize, "none was looked at");
    let forgiven = took.as_secs_f64() * JOIN_DOOR.forgiven_per_second;
    let most = (JOIN_DOOR.failures + forgiven).ceil() as usize * usize::from(ADDRESSES);
    assert!(answered <= most, "more than {most} were looked at");
    assert_eq!(rig.authority.audit(0, 1_000).len(), entries, "a failed token was written down");
    let said = rig.server.refused_lately();
    assert!(said.starts_with("1000 refused in the last minute") && said.len() < 300, "{said}");
    // An honest joiner gets in: the addresses that failed are shut out, hers is not. What all had
    // together in the last second may make her wait for the next.
    let honest = async {
        while join(&token, None, &rig.dir("honest")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3), honest).await.is_ok());
}

#[tokio::test]
async fn joiners_that_only_stall_are_shut_out_too() {
    let never = DoorLimits { forgiven_per_second: 0.0, ..JOIN_DOOR };
    let rig = Rig::start_with(Bounds { join: never, ..Bounds::default() });
    let (config, dns) = (join_config(&rig), dns_name(rig.authority.cluster()));
    let hostile = endpoint_at(stranger(4));
    // So many at once as an address may, silent after the handshake; then the rest of its failures.
    for round in 0..2 {
        let mut held = Vec::new();
        for _ in 0..JOIN_DOOR.unfinished_per_address {
            let dialled = hostile.connect_with(config.clone(), rig.server.local_addr(), &dns);
            if let Ok(connection) = in_time(dialled.unwrap()).await {
                held.push(connection);
            }
        }
        println!("round {round}: {} were let in", held.len());
        for connection in held {
            let closed = Closed::from(&in_time(connection.closed()).await);
            assert_eq!(closed.code, Some(CloseCode::Done), "{closed}");
        }
    }
    refused(&rig.server, "from 127.7.0.4: no join request came in time").await;
    let dialled = hostile.connect_with(config, rig.server.local_addr(), &dns).unwrap();
    assert!(in_time(dialled).await.is_err(), "it is shut out after {JOIN_TIMEOUT:?} twice");
    refused(&rig.server, "from 127.7.0.4: too many failures").await;
    assert!(join(&rig.invite(|_| {}), None, &rig.dir("honest")).await.is_ok());
}

#[tokio::test]
async fn joins_are_cut_to_their_rate() {
    let join_door = DoorLimits { per_second: 1.0, ..JOIN_DOOR };
    let rig = Rig::start_with(Bounds { join: join_door, ..Bounds::default() });
    let many = rig.invite(|invite| invite.uses = 100);
    let mut busy = 0;
    for number in 0..6 {
        let joined = join(&many, None, &rig.dir(&number.to_string())).await;
        match joined {
            Ok(_) => {}
            Err(JoinError::Unreachable { .. }) => busy += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(busy >= 3, "only {busy} of 6 were refused");
    in_time(async { while join(&many, None, &rig.dir("later")).await.is_err() {} }).await;
}
