//! QUIC's side of a connection: sockets, endpoints, windows, timeouts. Does not know who dials.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, ConnectionId, Endpoint, EndpointConfig, IdleTimeout,
    Runtime as _, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::limits::{
    BIDI_BEFORE_HELLO, CONNECTION_WINDOW, CRYPTO_BYTES, FOLLOWED_MAX, IDLE_TIMEOUT, INCOMING_BYTES,
    INCOMING_BYTES_ALL, INCOMING_MAX, JOIN_IDLE_TIMEOUT, JOIN_WINDOW, KEEP_ALIVE, RESET_EVERY,
    SOCKET_BYTES, STREAM_WINDOW, UNACKNOWLEDGED,
};
use crate::pki::random;
use crate::socket::{Connected, SharedSocket};
use crate::tls::JOIN_TAG;

/// How long an address that was validated by a Retry stays so.
const RETRY_LIFETIME: Duration = Duration::from_secs(15);

/// Which kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// With a certificate.
    Data,
    /// To get one.
    Join,
}

/// The listener's configuration of one door.
pub(crate) fn server(tls: rustls::ServerConfig, door: Door) -> Result<ServerConfig, rustls::Error> {
    let crypto = QuicServerConfig::try_from(tls)
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    let transport = match door {
        Door::Data => data(BIDI_BEFORE_HELLO, 0),
        Door::Join => join(1),
    };
    config
        .transport_config(Arc::new(transport))
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_ALL)
        .retry_token_lifetime(RETRY_LIFETIME)
        .migration(true);
    Ok(config)
}

/// The dialling end's configuration of one door.
pub(crate) fn client(tls: rustls::ClientConfig, door: Door) -> Result<ClientConfig, rustls::Error> {
    let crypto = QuicClientConfig::try_from(tls)
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    match door {
        Door::Data => {
            let mut transport = data(0, FOLLOWED_MAX);
            transport.keep_alive_interval(Some(KEEP_ALIVE));
            config.transport_config(Arc::new(transport));
        }
        Door::Join => {
            config.transport_config(Arc::new(join(0)));
            config.initial_dst_cid_provider(Arc::new(tagged_id));
        }
    }
    Ok(config)
}

fn tagged_id() -> ConnectionId {
    let mut id = [0; 20];
    let (tag, rest) = id.split_at_mut(JOIN_TAG.len());
    tag.copy_from_slice(JOIN_TAG);
    rest.copy_from_slice(&random::<12>());
    ConnectionId::new(&id)
}

fn data(bidi: u32, uni: u32) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let mut acks = AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(UNACKNOWLEDGED));
    transport
        .ack_frequency_config(Some(acks))
        .max_concurrent_bidi_streams(VarInt::from_u32(bidi))
        .max_concurrent_uni_streams(VarInt::from_u32(uni))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .max_idle_timeout(Some(idle(IDLE_TIMEOUT)))
        .datagram_receive_buffer_size(None)
        .crypto_buffer_size(CRYPTO_BYTES)
        .allow_spin(false);
    transport
}

fn join(bidi: u32) -> TransportConfig {
    let mut transport = data(bidi, 0);
    transport
        .stream_receive_window(VarInt::from_u32(JOIN_WINDOW))
        .receive_window(VarInt::from_u32(JOIN_WINDOW))
        .send_window(u64::from(JOIN_WINDOW))
        .max_idle_timeout(Some(idle(JOIN_IDLE_TIMEOUT)));
    transport
}

fn idle(timeout: Duration) -> IdleTimeout {
    IdleTimeout::try_from(timeout).expect("idle timeouts are seconds")
}

/// Makes a listening endpoint. With the same keys a restarted master can tell its old peers at once
/// that it has forgotten them.
pub(crate) fn listen(
    address: SocketAddr,
    config: ServerConfig,
    (reset_key, ids_key): ([u8; 64], u64),
    connected: Connected,
) -> std::io::Result<Endpoint> {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &reset_key);
    let mut endpoint = EndpointConfig::new(Arc::new(key));
    endpoint.min_reset_interval(RESET_EVERY);
    endpoint.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids_key)));
    let runtime = Arc::new(TokioRuntime);
    let socket = SharedSocket::new(runtime.wrap_udp_socket(socket(address)?)?, connected);
    Endpoint::new_with_abstract_socket(endpoint, Some(config), Arc::new(socket), runtime)
}

/// Makes a dialling endpoint, for IPv6 and IPv4 where the system has both.
pub(crate) fn dial() -> std::io::Result<Endpoint> {
    Endpoint::new(EndpointConfig::default(), None, any_socket()?, Arc::new(TokioRuntime))
}

/// Makes a dialling endpoint on an address of this machine.
pub(crate) fn dial_from(address: std::net::IpAddr) -> std::io::Result<Endpoint> {
    let socket = socket(SocketAddr::new(address, 0))?;
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
}

/// Opens a socket to dial from.
pub(crate) fn any_socket() -> std::io::Result<std::net::UdpSocket> {
    let any6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let any4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    socket(any6).or_else(|_| socket(any4))
}

fn socket(address: SocketAddr) -> std::io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The system may give less; then a burst loses packets, and QUIC sends them again.
    let _less = socket.set_recv_buffer_size(SOCKET_BYTES);
    let _less = socket.set_send_buffer_size(SOCKET_BYTES);
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}
