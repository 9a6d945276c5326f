//! One authenticated connection, whichever end dialled.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::limits::{OUTPUT_HEAD_BYTES, OUTPUT_TAIL_BYTES};
use ganger_proto::message::{Kept, OutputHeader};
use ganger_proto::{Actor, WallMs};
use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::Notify;

use crate::error::{self, CloseCode};
use crate::frame::{Inbox, Outbox, encode};
use crate::limits::{CLOSE_GRACE, FRAME_STALL_MAX};

/// Bytes of an output's header, at most.
const HEADER_BYTES_MAX: usize = 64;
/// Bytes of an output read at once.
const READ_BYTES: usize = 64 << 10;

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
    connection: Connection,
    stop: Arc<Notify>,
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
    /// Takes over a connection and its control stream.
    pub(crate) fn over(
        connection: Connection,
        send: SendStream,
        receive: RecvStream,
    ) -> (Self, Inbox) {
        let stop = Arc::new(Notify::new());
        let outbox = Outbox::start(send, stop.clone());
        let inbox = Inbox::new(receive, connection.clone());
        (Self { outbox, connection, stop }, inbox)
    }

    /// Returns the present estimate of the round trip.
    pub fn rtt(&self) -> Duration {
        self.connection.rtt()
    }

    /// Returns the peer's address; changes when the peer moves.
    pub fn remote(&self) -> SocketAddr {
        self.connection.remote_address()
    }

    /// Ends the connection; what the outbox held may be lost. Returns at once; the peer hears of it
    /// some 20 ms later.
    pub fn close(&self, code: CloseCode, reason: &str) {
        // A stored permit makes this safe against a writer that does not wait yet.
        self.stop.notify_one();
        let (connection, reason) = (self.connection.clone(), reason.as_bytes().to_vec());
        // The task ends by itself after the grace.
        tokio::spawn(async move {
            tokio::time::sleep(CLOSE_GRACE).await;
            connection.close(code.wire(), &reason);
        });
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> Closed {
        error::closed(&self.connection.closed().await)
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Sends one attempt's kept output on a stream of its own: the header, then stdout's head and
    /// tail, then stderr's.
    ///
    /// # Errors
    /// When the connection ends before all is written.
    pub async fn send_output(&self, header: OutputHeader, bytes: Vec<u8>) -> Result<(), Closed> {
        let lost = || Closed { code: None, sentence: "the output was not taken".to_owned() };
        let frame = encode(&header).map_err(|_| lost())?;
        let mut stream = self.connection.open_uni().await.map_err(|e| error::closed(&e))?;
        stream.write_chunk(frame).await.map_err(|_| lost())?;
        stream.write_chunk(bytes.into()).await.map_err(|_| lost())?;
        stream.finish().map_err(|_| lost())
    }

    /// Waits for the next output that a worker sends, read whole within the limits.
    ///
    /// # Errors
    /// When the connection has ended. A stream that is malformed or stalls is reset and skipped.
    pub async fn next_output(&self) -> Result<(OutputHeader, Vec<u8>), Closed> {
        loop {
            let stream = self.connection.accept_uni().await.map_err(|e| error::closed(&e))?;
            match read_output(stream).await {
                Some(output) => return Ok(output),
                None => {
                    tracing::warn!(remote = %self.remote(), "an output was malformed or stalled");
                }
            }
        }
    }
}

async fn read_output(mut stream: RecvStream) -> Option<(OutputHeader, Vec<u8>)> {
    let mut length = [0; 4];
    within(stream.read_exact(&mut length)).await?.ok()?;
    let length = u32::from_le_bytes(length) as usize;
    if length > HEADER_BYTES_MAX {
        return None;
    }
    let mut header = vec![0; length];
    within(stream.read_exact(&mut header)).await?.ok()?;
    let header: OutputHeader = postcard::from_bytes(&header).ok()?;
    let fits = |kept: &Kept| {
        kept.head as usize <= OUTPUT_HEAD_BYTES && kept.tail as usize <= OUTPUT_TAIL_BYTES
    };
    if !fits(&header.stdout) || !fits(&header.stderr) {
        return None;
    }
    let all = |kept: &Kept| kept.head as usize + kept.tail as usize;
    let expected = all(&header.stdout) + all(&header.stderr);
    let mut bytes = Vec::new();
    while let Some(chunk) = within(stream.read_chunk(READ_BYTES, true)).await?.ok()? {
        bytes.extend_from_slice(&chunk.bytes);
        if bytes.len() > expected {
            return None;
        }
    }
    (bytes.len() == expected).then_some((header, bytes))
}

async fn within<F: Future>(read: F) -> Option<F::Output> {
    tokio::time::timeout(FRAME_STALL_MAX, read).await.ok()
}
