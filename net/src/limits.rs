//! Limits of connections, handshakes and streams, each with its unit. What both ends must agree on
//! lives in `ganger_proto::limits`.

use std::time::Duration;

/// How long a data connection may be silent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a joining connection may be silent.
pub const JOIN_IDLE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the dialling end makes itself heard when the application is silent. Longer than the
/// longest time between heartbeats: with thousands of workers each packet counts.
pub const KEEP_ALIVE: Duration = Duration::from_secs(8);
/// How long a handshake may take at the listening end.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the first frame may take after the handshake.
pub const FIRST_FRAME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one join may take after the handshake; less than its idle timeout, so that it is told.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a renewal's request and its answer may take, at either end.
pub const RENEW_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the dialling end waits before it asks for a renewal again, and at most before it looks
/// whether one is due.
pub const RENEW_AGAIN: Duration = Duration::from_secs(600);
/// Renewals answered at once, over all connections.
pub const RENEWALS_AT_ONCE: usize = 4;
/// How long one address is dialled.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the welcome may take after the handshake.
pub const WELCOME_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client hears nothing before its connection counts as lost; pulses come every 2 s.
pub const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long reset streams get to leave room for the close itself.
pub const CLOSE_GRACE: Duration = Duration::from_millis(20);
/// How long a connection that ends in peace may take to bring out what its outbox holds.
pub const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a listener waits for its connections to end.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);
/// The least time between two answers to packets of connections that this end has forgotten. They
/// tell the workers of a master that was killed that it is another's life; quinn's own 20 ms would
/// leave thousands of them waiting.
pub const RESET_EVERY: Duration = Duration::from_micros(100);
/// Within this time a frame or output that has begun must bring [`PROGRESS_BYTES`].
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that count as progress.
pub const PROGRESS_BYTES: usize = 16 << 10;

/// Frames that wait for one peer.
pub const OUTBOX_FRAMES: usize = 1_024;
/// Bytes that wait for one peer.
pub const OUTBOX_BYTES: usize = 8 << 20;
/// Bytes gathered into one write.
pub const WRITE_BYTES: usize = 64 << 10;
/// Packets' shares taken from a control stream at once.
pub const READ_CHUNKS: usize = 32;
/// Bytes taken from an output stream at once.
pub const READ_BYTES: usize = 64 << 10;
/// Characters of a peer's reason that are kept.
pub const REASON_CHARS_MAX: usize = 512;

/// Authenticated connections that wait for the master to take them.
pub const ARRIVALS: usize = 64;
/// Authenticated connections at once.
pub const CONNECTIONS_MAX: usize = 16_384;
/// Of those, connections of one identity: half, so that nobody takes the places of all.
/// A script may run a hundred commands a second, and one whose last packet is lost counts until it
/// is missed.
pub const IDENTITY_CONNECTIONS_MAX: usize = CONNECTIONS_MAX / 2;
/// Connections above which each writes [`CROWD_PACKETS`] at once.
pub const CROWD: usize = 1_000;
/// Packets that a connection of a crowd hands to the system at once; else it is quinn's ten.
pub const CROWD_PACKETS: usize = 3;
/// Connection attempts that quinn holds before they are looked at.
pub const INCOMING_MAX: usize = 1_024;
/// Bytes held for one such attempt.
pub const INCOMING_BYTES: u64 = 64 << 10;
/// Bytes held for all such attempts.
pub const INCOMING_BYTES_ALL: u64 = 8 << 20;
/// Addresses whose handshakes are counted.
pub const ADDRESSES_MAX: usize = 16_384;
/// Addresses and reasons of refusals that are kept.
pub const REFUSALS_MAX: usize = 256;
/// How long a refusal is mentioned.
pub const REFUSALS_FOR: Duration = Duration::from_secs(60);

/// Streams that a peer may open before its hello: bidirectional.
pub const BIDI_BEFORE_HELLO: u32 = 4;
/// Bidirectional streams of a worker.
pub const BIDI_WORKER: u32 = 8;
/// Outputs that one client follows, and attempts of one worker that are followed, at once. Each may
/// fill its stream's window while its reader stalls; see the test below.
pub const FOLLOWED_MAX: u32 = 12;
/// Unidirectional streams of a worker beyond its slots.
pub const UNI_WORKER_SPARE: u32 = 8 + 2 * FOLLOWED_MAX;
/// Unidirectional streams of a worker at most. Each that is allowed costs memory before it is
/// opened; a worker of more slots sends the outputs of tasks that end at once in turns.
pub const UNI_WORKER_MAX: u32 = 40;
/// Bidirectional streams of a client.
pub const BIDI_CLIENT: u32 = 32;
/// Unidirectional streams of a client.
pub const UNI_CLIENT: u32 = 4;
/// Bytes in flight on one stream.
pub const STREAM_WINDOW: u32 = 1 << 20;
/// Bytes in flight on one connection.
pub const CONNECTION_WINDOW: u32 = 16 << 20;
/// Bytes in flight on a joining connection.
pub const JOIN_WINDOW: u32 = 16 << 10;
/// Packets that a peer may leave without an acknowledgement of their own. QUIC's one is too few: a
/// worker hears of its last report and of its next task, and would acknowledge both before it ran.
pub const UNACKNOWLEDGED: u32 = 2;
/// Bytes of TLS messages that wait for reassembly.
pub const CRYPTO_BYTES: usize = 16 << 10;
/// Streams in a row whose first frame cannot be read before their connection is ended. A control
/// stream that cannot be read ends its connection at once: both ends count its frames.
pub const UNREADABLE_MAX: u32 = 5;
/// Bytes of one output stream's header frame.
pub const OUTPUT_HEADER_BYTES_MAX: usize = 256;
/// Bytes asked of the system for a socket's buffers.
pub const SOCKET_BYTES: usize = 4 << 20;

/// Bytes of a certificate request.
pub const CSR_BYTES_MAX: usize = 4 << 10;
/// Bytes of a join request or its answer.
pub const JOIN_BYTES_MAX: usize = 8 << 10;
/// Characters of a token.
pub const TOKEN_CHARS_MAX: usize = 4 << 10;
/// Addresses in a token.
pub const TOKEN_ADDRESSES_MAX: usize = 8;
/// Resolved addresses dialled for one name.
pub const RESOLVED_MAX: usize = 4;
/// How long an invite may be valid.
pub const INVITE_TTL_MAX: Duration = Duration::from_secs(30 * 86_400);
/// How many may join with one invite.
pub const INVITE_USES_MAX: u32 = 10_000;

/// Limits of a listener that tests can lower.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long a handshake may take.
    pub(crate) handshake_timeout: Duration,
    /// Authenticated connections at once.
    pub(crate) connections: usize,
    /// Of those, connections of one identity.
    pub(crate) identity_connections: usize,
    /// Handshakes with a certificate.
    pub(crate) data: DoorLimits,
    /// Joins.
    pub(crate) join: DoorLimits,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            handshake_timeout: HANDSHAKE_TIMEOUT,
            connections: CONNECTIONS_MAX,
            identity_connections: IDENTITY_CONNECTIONS_MAX,
            data: DATA_DOOR,
            join: JOIN_DOOR,
        }
    }
}

/// Limits of one kind of handshake.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    /// Unfinished at once, in all.
    pub unfinished: usize,
    /// Unfinished at once, from one address.
    pub unfinished_per_address: u32,
    /// New ones a second, in all.
    pub per_second: f64,
    /// How many failures an address may have at once.
    pub failures: f64,
    /// Failures forgiven a second.
    pub forgiven_per_second: f64,
}

/// Limits of handshakes with a certificate.
pub const DATA_DOOR: DoorLimits = DoorLimits {
    unfinished: 1_024,
    unfinished_per_address: 64,
    per_second: 2_000.0,
    failures: 64.0,
    forgiven_per_second: 10.0,
};

/// Limits of joining.
pub const JOIN_DOOR: DoorLimits = DoorLimits {
    unfinished: 64,
    unfinished_per_address: 8,
    per_second: 50.0,
    failures: 10.0,
    forgiven_per_second: 10.0 / 60.0,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn followed_outputs_that_nobody_reads_leave_room_for_the_rest() {
        const { assert!(FOLLOWED_MAX * STREAM_WINDOW + (4 << 20) <= CONNECTION_WINDOW) };
    }
}
