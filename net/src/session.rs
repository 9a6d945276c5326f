//! One authenticated connection, whichever end dialled. Does not know who may send what.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::{Actor, WallMs};
use quinn::{Connection, RecvStream, SendStream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::error::CloseCode;
use crate::frame::{Inbox, Outbox, Writer};
use crate::limits::{CLOSE_GRACE, LAST_WORDS, SHUTDOWN_TIMEOUT, UNREADABLE_MAX};
use crate::streams::{FromStream, ToStream};

/// Who is at the other end, as its certificate and the registry say.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Role, name, administrator or not.
    pub actor: Actor,
    /// When the certificate that it was opened with ends.
    pub certificate_ends: WallMs,
    /// That certificate's serial number.
    pub(crate) serial: Arc<[u8]>,
}

/// One authenticated connection; cheap to clone. When all clones are gone the connection ends.
#[derive(Clone, Debug)]
pub struct Session {
    /// Where frames to the peer are put.
    pub outbox: Outbox,
    connection: Connection,
    goodbye: watch::Sender<Option<Goodbye>>,
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
        self.connection.rtt()
    }

    /// Returns the peer's address; changes when the peer moves.
    pub fn remote(&self) -> SocketAddr {
        canonical(self.connection.remote_address())
    }

    /// Ends the connection. What the outbox held still goes out within a moment with
    /// [`CloseCode::Done`] and [`CloseCode::Shutdown`]; with other codes it is lost.
    pub fn close(&self, code: CloseCode, reason: &str) {
        Goodbye::say(&self.goodbye, code, reason);
    }

    /// Waits until the connection has ended, and says why.
    pub async fn closed(&self) -> Closed {
        (&self.connection.closed().await).into()
    }

    /// Opens a stream of one direction; its first frame is `header`. Whatever goes on the control
    /// stream goes first. Waits while the peer allows no further stream.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn open_stream<H: Serialize>(&self, header: &H) -> Result<ToStream, Closed> {
        let opened = self.connection.open_uni().await.map_err(|error| Closed::from(&error))?;
        let mut stream = ToStream::new(opened, self.goodbye.subscribe());
        match stream.send(header).await {
            Ok(()) => Ok(stream),
            Err(_) => Err(self.ended().await),
        }
    }

    /// Waits for the next stream that the peer opens, and its first frame.
    ///
    /// # Errors
    /// When the connection has ended. A stream without a header is stopped and skipped; after
    /// [`UNREADABLE_MAX`] of them in a row the connection is ended.
    pub async fn next_stream<H: DeserializeOwned>(&self) -> Result<(H, FromStream), Closed> {
        let mut unreadable = 0;
        while unreadable < UNREADABLE_MAX {
            let accepted = self.connection.accept_uni().await;
            let mut stream = FromStream::new(accepted.map_err(|error| Closed::from(&error))?);
            // Thousands wait for a stream that never comes; what reads it is made when it does.
            if let Some(header) = Box::pin(stream.header()).await {
                return Ok((header, stream));
            }
            unreadable += 1;
        }
        let why = "streams came that cannot be read";
        self.close(CloseCode::Protocol, why);
        Err(Closed { code: None, sentence: format!("this end closed it: {why}") })
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Says why the connection ended, or that only a stream did.
    async fn ended(&self) -> Closed {
        let close = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.connection.closed());
        match close.await {
            Ok(error) => (&error).into(),
            Err(_) => {
                Closed { code: None, sentence: "the other end does not take the output".to_owned() }
            }
        }
    }

    /// Makes a session of a connection and its control stream, and the driver that must run for it.
    pub(crate) fn start(
        connection: Connection,
        goodbye: watch::Sender<Option<Goodbye>>,
        (send, receive): (SendStream, RecvStream),
    ) -> (Self, Inbox, Driver) {
        let (outbox, writer) = Outbox::new();
        let inbox = Inbox::new(receive, connection.clone(), goodbye.subscribe());
        let driver = Driver {
            writer,
            stream: send,
            connection: connection.clone(),
            goodbye: goodbye.subscribe(),
        };
        (Self { outbox, connection, goodbye }, inbox, driver)
    }
}

/// Returns an address as people write it: IPv4 stays IPv4 on a socket that listens on both.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// This end's decision to end a connection.
#[derive(Clone, Debug)]
pub(crate) struct Goodbye {
    code: CloseCode,
    reason: String,
}

impl Goodbye {
    /// Decides it; the first decision stands.
    pub(crate) fn say(to: &watch::Sender<Option<Self>>, code: CloseCode, reason: &str) {
        to.send_if_modified(|said| {
            let first = said.is_none();
            said.get_or_insert_with(|| Self { code, reason: reason.to_owned() });
            first
        });
    }

    /// What this end's readers hear of it.
    pub(crate) fn closed(&self) -> Closed {
        let why = if self.reason.is_empty() { "it is done" } else { &self.reason };
        Closed { code: None, sentence: format!("this end closed it: {why}") }
    }
}

/// Waits until this end decides to close; for ever when nobody is left who could.
pub(crate) async fn closing(goodbye: &mut watch::Receiver<Option<Goodbye>>) {
    if goodbye.wait_for(Option::is_some).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Writes a session's frames, and ends its connection so that the peer hears why.
#[derive(Debug)]
pub(crate) struct Driver {
    writer: Writer,
    stream: SendStream,
    connection: Connection,
    goodbye: watch::Receiver<Option<Goodbye>>,
}

impl Driver {
    /// Runs until the connection has ended.
    pub(crate) async fn run(mut self) {
        tokio::select! {
            biased;
            () = closing(&mut self.goodbye) => {}
            written = self.writer.run(&mut self.stream) => {
                // All sessions are gone; or the peer takes nothing more, and its close, with the
                // reason, comes behind. That is what this end must hear, not its own goodbye.
                if written.is_err() && Box::pin(self.peer_closes()).await {
                    return;
                }
            }
            _ = self.connection.closed() => return,
        }
        let said = self.goodbye.borrow().clone();
        let (code, reason) =
            said.map_or((CloseCode::Done, String::new()), |said| (said.code, said.reason));
        if matches!(code, CloseCode::Done | CloseCode::Shutdown) {
            // A last word, such as the reply to a stop, still goes out.
            let _late = tokio::time::timeout(LAST_WORDS, self.flush()).await;
        }
        // A close that waits behind a full congestion window never leaves: free the window first.
        let _ended = self.stream.reset(code.wire());
        drop(self.writer);
        tokio::time::sleep(CLOSE_GRACE).await;
        self.connection.close(code.wire(), reason.as_bytes());
    }

    /// Waits a moment for the close of a peer that has stopped reading; says whether it came.
    async fn peer_closes(&self) -> bool {
        tokio::time::timeout(LAST_WORDS, self.connection.closed()).await.is_ok()
    }

    /// Writes what waits and sees it arrive.
    async fn flush(&mut self) {
        self.writer.shut();
        if self.writer.run(&mut self.stream).await.is_ok() {
            let _ended = self.stream.finish();
            let _ended = self.stream.stopped().await;
        }
    }
}
