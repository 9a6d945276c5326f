//! Whether UDP reaches a master at all, without an identity: a QUIC packet of a version that nobody
//! speaks, which every QUIC server answers with the versions that it does (RFC 9000, 6).

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{UdpSocket, lookup_host};
use tokio::time::timeout;

use crate::clock::Clock;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reached {
    /// A QUIC server answers there, after so many microseconds.
    Quic {
        /// Where.
        address: SocketAddr,
        /// The round trip.
        rtt_us: u64,
    },
    /// The machine says that nothing listens there.
    Closed,
    /// Nothing came.
    Silent,
    /// The name has no address, or the system sends nothing there.
    Nowhere(String),
}

/// Packets sent to one address; UDP loses some.
const PACKETS: u32 = 3;
/// How long the answer to one packet is waited for.
const ANSWER_TIME: Duration = Duration::from_secs(1);
/// How long a name is looked up.
const NAME_TIME: Duration = Duration::from_secs(3);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// A server answers no shorter packet: the answer must not be longer than the question.
const PACKET_BYTES: usize = 1_200;
const ID_BYTES: usize = 8;

/// Asks `host:port`; takes a few seconds for each of its addresses when nothing answers.
pub(super) async fn reach(host: &str, clock: &Clock) -> Reached {
    let addresses: Vec<SocketAddr> = match timeout(NAME_TIME, lookup_host(host)).await {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
        Ok(Err(error)) => return Reached::Nowhere(format!("its name has no address: {error}")),
        Err(_) => return Reached::Nowhere("its name is not answered by the DNS".to_owned()),
    };
    let mut best = Reached::Nowhere("its name has no address".to_owned());
    for address in addresses {
        best = match ask(address, clock).await {
            Ok(reached @ Reached::Quic { .. }) => return reached,
            Ok(other) => other,
            Err(error) => Reached::Nowhere(format!("nothing can be sent to {address}: {error}")),
        };
    }
    best
}

async fn ask(address: SocketAddr, clock: &Clock) -> std::io::Result<Reached> {
    let here = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(here).await?;
    socket.connect(address).await?;
    let id: [u8; ID_BYTES] = fastrand::u64(..).to_be_bytes();
    let mut answer = [0; PACKET_BYTES];
    for _ in 0..PACKETS {
        let began = clock.micros();
        let asked = socket.send(&question(id)).await;
        if asked.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused) {
            return Ok(Reached::Closed);
        }
        asked?;
        match timeout(ANSWER_TIME, socket.recv(&mut answer)).await {
            Ok(Ok(length)) if is_answer(answer.get(..length).unwrap_or_default(), id) => {
                let rtt_us = clock.micros().saturating_sub(began);
                return Ok(Reached::Quic { address, rtt_us });
            }
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                return Ok(Reached::Closed);
            }
            // Something else came, or nothing did.
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    Ok(Reached::Silent)
}

/// A long header of a version kept for this, with the id as both connection ids, and padding.
fn question(id: [u8; ID_BYTES]) -> Vec<u8> {
    let mut packet = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a];
    for _ in 0..2 {
        packet.push(ID_BYTES as u8);
        packet.extend_from_slice(&id);
    }
    packet.resize(PACKET_BYTES, 0);
    packet
}

/// Tells a Version Negotiation packet for us: version 0, and our own ids.
fn is_answer(packet: &[u8], id: [u8; ID_BYTES]) -> bool {
    let expected = [&[0, 0, 0, 0, ID_BYTES as u8][..], &id, &[ID_BYTES as u8], &id].concat();
    packet.first().is_some_and(|first| first & 0x80 != 0) && packet[1..].starts_with(&expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_answers_is_told_from_what_does_not() {
        let clock = Clock::start();
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serve = tokio::spawn(async move {
            let mut packet = [0; 2_000];
            // The first packet is answered with something else, as by another protocol.
            let (length, from) = server.recv_from(&mut packet).await.unwrap();
            server.send_to(b"hello", from).await.unwrap();
            assert_eq!(length, PACKET_BYTES);
            let (_, from) = server.recv_from(&mut packet).await.unwrap();
            let mut answer = vec![0xd5, 0, 0, 0, 0];
            answer.extend_from_slice(&packet[5..23]);
            answer.extend_from_slice(&[0, 0, 0, 1]);
            server.send_to(&answer, from).await.unwrap();
        });
        let reached = reach(&address.to_string(), &clock).await;
        assert!(matches!(reached, Reached::Quic { address: a, .. } if a == address), "{reached:?}");
        serve.await.unwrap();
        // The server is gone, and loopback says so.
        assert_eq!(reach(&address.to_string(), &clock).await, Reached::Closed);
        let nowhere = reach("no.such.name.invalid:1", &clock).await;
        assert!(matches!(nowhere, Reached::Nowhere(_)), "{nowhere:?}");
    }

    #[test]
    fn only_our_own_answer_counts() {
        let id = [7; ID_BYTES];
        let mut answer = question(id);
        assert!(!is_answer(&answer, id), "that is the question");
        answer[1..5].fill(0);
        assert!(is_answer(&answer, id));
        assert!(!is_answer(&answer, [8; ID_BYTES]));
        assert!(!is_answer(&answer[..9], id));
        assert!(!is_answer(&[], id));
    }
}
