//! Limits of connections, handshakes and streams, each with its unit. Limits of messages' contents
//! are in `ganger_proto::limits`.

use std::time::Duration;

/// The ALPN of authenticated connections; its number is the major protocol version.
pub const ALPN_DATA: &[u8] = b"ganger/1";
/// The ALPN of joining connections.
pub const ALPN_JOIN: &[u8] = b"ganger-enroll/1";
/// The first bytes of a joining client's first connection id; 12 random bytes follow.
pub const JOIN_TAG: &[u8; 8] = b"gngrJN1\0";

/// Connection attempts that wait to be looked at.
pub const INCOMING_MAX: usize = 1_024;
/// Bytes buffered for one waiting attempt.
pub const INCOMING_BYTES_MAX: u64 = 64 << 10;
/// Bytes buffered for all waiting attempts.
pub const INCOMING_TOTAL_BYTES_MAX: u64 = 8 << 20;
/// How long a Retry token is good for.
pub const RETRY_LIFETIME: Duration = Duration::from_secs(15);
/// How long a handshake may take.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);
/// Handshakes under way at once, authenticated and joining.
pub const HANDSHAKES_MAX: usize = 1_024;
/// Joining connections at once.
pub const JOINS_MAX: usize = 16;
/// Tokens refused from one address before it must wait: a bucket of this many …
pub const JOIN_REFUSALS_MAX: u32 = 10;
/// … that is refilled once in this time.
pub const JOIN_REFILL: Duration = Duration::from_secs(6);
/// Addresses remembered for the bucket.
pub const JOIN_ADDRESSES_MAX: usize = 4_096;
/// Authenticated connections at once.
pub const CONNECTIONS_MAX: usize = 16_384;
/// How long the first frame may take.
pub const HELLO_MAX: Duration = Duration::from_secs(5);
/// How long a started frame may stand still.
pub const FRAME_STALL_MAX: Duration = Duration::from_secs(10);
/// How long an authenticated connection may be silent.
pub const DATA_IDLE: Duration = Duration::from_secs(20);
/// How often a client's connection says something when nothing else does.
pub const CLIENT_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// How long a joining connection may be silent.
pub const JOIN_IDLE: Duration = Duration::from_secs(5);
/// Bidirectional streams that a peer may open: only the first is used.
pub const BIDI_MAX: u32 = 4;
/// Unidirectional streams that a worker may open at once, for outputs.
pub const UNI_MAX: u32 = 32;
/// Bytes that may be on the way in one stream.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes that may be on the way in one connection.
pub const CONNECTION_WINDOW: u32 = 4 << 20;
/// The same for a joining connection.
pub const JOIN_WINDOW: u32 = 16 << 10;
/// Bytes of a joiner's request and of its answer.
pub const JOIN_BYTES_MAX: usize = 16 << 10;
/// Bytes of a certificate signing request.
pub const CSR_BYTES_MAX: usize = 4 << 10;
/// Frames that wait in one outbox.
pub const OUTBOX_FRAMES: usize = 1_024;
/// Bytes that wait in one outbox.
pub const OUTBOX_BYTES: usize = 8 << 20;
/// Bytes gathered into one write.
pub const WRITE_BYTES: usize = 64 << 10;
/// Receive and send buffers of the UDP socket, in bytes, as far as the system grants them.
pub const SOCKET_BYTES: usize = 4 << 20;
/// How long one address is dialled.
pub const DIAL_MAX: Duration = Duration::from_secs(3);
/// How long a client waits for any word from its master before it takes the connection for lost.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Between the reset of a connection's streams and its close, so that the close is not held up by
/// what could not be sent (quinn issue 2785).
pub const CLOSE_GRACE: Duration = Duration::from_millis(20);
