//! One authenticated connection, whichever end dialled.

use std::net::SocketAddr;
use std::time::Duration;

use ganger_proto::message::OutputHeader;
use ganger_proto::{Actor, WallMs};

use crate::error::CloseCode;
use crate::frame::Outbox;

/// Who is at the other end, as its certificate and the registry say.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Role, name, administrator or not.
    pub actor: Actor,
    /// When the certificate ends.
    pub certificate_ends: WallMs,
}

/// One authenticated connection; cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where frames to the peer are put.
    pub outbox: Outbox,
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The peer's close code; none for timeouts, resets and transport errors.
    pub code: Option<CloseCode>,
    /// A sentence for people, sanitised.
    pub sentence: String,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Session {
    /// Returns the present estimate of the round trip.
    pub fn rtt(&self) -> Duration {
        unimplemented!()
    }

    /// Returns the peer's address; changes when the peer moves.
    pub fn remote(&self) -> SocketAddr {
        unimplemented!()
    }

    /// Ends the connection; what the outbox held may be lost.
    pub fn close(&self, _code: CloseCode, _reason: &str) {
        unimplemented!()
    }

    /// Waits until the connection has ended, and says why.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn closed(&self) -> Closed {
        unimplemented!()
    }

    /// Sends one attempt's kept output on a stream of its own: the header, then stdout's head and
    /// tail, then stderr's.
    ///
    /// # Errors
    /// When the connection ends before all is written.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn send_output(&self, _header: OutputHeader, _bytes: Vec<u8>) -> Result<(), Closed> {
        unimplemented!()
    }

    /// Waits for the next output that a worker sends, read whole within the limits.
    ///
    /// # Errors
    /// When the connection has ended. A stream that is malformed or stalls is reset and skipped.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn next_output(&self) -> Result<(OutputHeader, Vec<u8>), Closed> {
        unimplemented!()
    }
}
