//! The worker's connection to its master: dialling with backoff, sending, hearing. Decides nothing
//! about tasks; see core.rs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ganger_net::CloseCode;
use ganger_net::client::{Backoff, Connected, DialError, DialSocket, Dialer, renew_when_due};
use ganger_net::frame::{FrameError, Inbox, SendError, encode};
use ganger_net::pki::identity::ClientIdentity;
use ganger_net::session::Session;
use ganger_proto::WallMs;
use ganger_proto::message::{Hello, HelloBody, MINOR, ToWorker, WorkerHello, WorkerMessage};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::WorkerError;

/// What comes to the driver about its connection.
#[derive(Debug)]
pub(super) enum Input {
    /// Dialling came to an end.
    Dialled(Result<Box<Connected>, DialError>),
    /// The master said something on the connection with this number.
    Heard(u64, ToWorker),
    /// The connection with this number is gone.
    Lost(u64, FrameError),
    /// There is a new certificate; the next connection is dialled with it.
    Renewed(Box<ClientIdentity>),
}

/// The connection, whatever state it is in.
#[derive(Debug)]
pub(super) struct Link {
    socket: DialSocket,
    identity: ClientIdentity,
    dialer: Arc<Dialer>,
    addresses: Arc<[String]>,
    backoff: Backoff,
    state: State,
    /// Counts connections, so that a late word of an old one is not taken for the new one's.
    number: u64,
    inputs: mpsc::Sender<Input>,
}

#[derive(Debug)]
enum State {
    Waiting(Pin<Box<Sleep>>),
    Dialling(JoinHandle<()>),
    Up(Up),
}

#[derive(Debug)]
struct Up {
    session: Session,
    reader: JoinHandle<()>,
    renewer: JoinHandle<()>,
    /// Within which time the master wants the certificate renewed, once it does.
    renew: watch::Sender<Option<Duration>>,
    /// Frames that the outbox did not take.
    backlog: VecDeque<Bytes>,
}

/// What the driver does when [`Link::turn`] returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Call [`Link::dial`] with a fresh hello.
    Dial,
    /// Nothing; a frame went out.
    Sent,
}

/// Frames that wait for a master that reads slowly; when there are more the connection is ended,
/// and the next one gets what still matters.
const BACKLOG_MAX: usize = 1_024;
/// The wait after another process took this identity's place.
const SUPERSEDED_WAIT: Duration = Duration::from_secs(5);

impl Link {
    /// Begins without a connection; dials at the first turn.
    ///
    /// # Errors
    /// When the identity's key or certificate cannot be used.
    pub(super) fn new(
        socket: DialSocket,
        identity: ClientIdentity,
        addresses: Vec<String>,
        inputs: mpsc::Sender<Input>,
    ) -> Result<Self, WorkerError> {
        Ok(Self {
            dialer: Arc::new(Dialer::on(&socket, &identity)?),
            socket,
            identity,
            addresses: addresses.into(),
            backoff: Backoff::default(),
            state: State::Waiting(Box::pin(tokio::time::sleep(Duration::ZERO))),
            number: 0,
            inputs,
        })
    }

    /// Waits until the link itself needs something. Cancel-safe.
    pub(super) async fn turn(&mut self) -> Turn {
        match &mut self.state {
            State::Waiting(sleep) => {
                sleep.as_mut().await;
                Turn::Dial
            }
            State::Up(up) => match up.backlog.front() {
                Some(frame) => {
                    // A connection that has ended is told by its reader.
                    let _ended = up.session.outbox.send(frame.clone()).await;
                    up.backlog.pop_front();
                    Turn::Sent
                }
                None => std::future::pending().await,
            },
            State::Dialling(_) => std::future::pending().await,
        }
    }

    /// Dials; the answer comes as [`Input::Dialled`].
    pub(super) fn dial(&mut self, hello: WorkerHello) {
        let (dialer, addresses) = (Arc::clone(&self.dialer), Arc::clone(&self.addresses));
        let inputs = self.inputs.clone();
        let hello = Hello {
            minor: MINOR,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            body: HelloBody::Worker(hello),
        };
        self.state = State::Dialling(tokio::spawn(async move {
            let dialled = dialer.dial(&addresses, &hello).await.map(Box::new);
            // The driver is gone only when the worker ends.
            let _ended = inputs.send(Input::Dialled(dialled)).await;
        }));
    }

    /// Takes a connection that was welcomed, and keeps the identity renewed while it stands.
    pub(super) fn begin(&mut self, connected: Connected) {
        let Connected { session, inbox, welcome } = connected;
        self.backoff.reset();
        self.number += 1;
        let reader = tokio::spawn(read(self.number, inbox, self.inputs.clone()));
        let (renew, asked) = watch::channel(welcome.renew.then_some(Duration::ZERO));
        let renewer = keep_renewed(
            session.clone(),
            self.identity.clone(),
            (welcome.now, asked),
            self.inputs.clone(),
        );
        let renewer = tokio::spawn(renewer);
        let backlog = VecDeque::new();
        self.state = State::Up(Up { session, reader, renewer, renew, backlog });
    }

    /// The master wants the certificate renewed within this time.
    pub(super) fn renew_within(&self, within: Duration) {
        if let State::Up(up) = &self.state {
            up.renew.send_replace(Some(within));
        }
    }

    /// Dials with a new certificate from now on. The present connection, opened with the one
    /// before, goes on; the master knows that they are one's.
    ///
    /// # Errors
    /// When its key or certificate cannot be used.
    pub(super) fn renewed(&mut self, identity: ClientIdentity) -> Result<(), WorkerError> {
        tracing::info!(renews_at = identity.renews_at.0, "the certificate was renewed");
        self.dialer = Arc::new(Dialer::on(&self.socket, &identity)?);
        self.identity = identity;
        Ok(())
    }

    /// Waits before the next dial.
    ///
    /// # Errors
    /// When dialling again cannot help.
    pub(super) fn not_dialled(&mut self, error: DialError) -> Result<(), WorkerError> {
        if error.is_final() {
            return Err(error.into());
        }
        let wait = self.backoff.next_wait();
        tracing::warn!(%error, ?wait, "no master answers");
        self.wait(wait);
        Ok(())
    }

    /// Takes note that the connection with this number is gone; tells whether it was the present
    /// one.
    ///
    /// # Errors
    /// When the master ended it for good.
    pub(super) fn lost(&mut self, number: u64, error: FrameError) -> Result<Present, WorkerError> {
        if number != self.number || !matches!(self.state, State::Up(_)) {
            return Ok(Present::No);
        }
        let mut wait = self.backoff.next_wait();
        if let FrameError::Closed(closed) = error {
            if closed.code.is_some_and(CloseCode::is_final) {
                return Err(WorkerError::Ended(closed.sentence));
            }
            if closed.code == Some(CloseCode::Superseded) {
                wait = SUPERSEDED_WAIT;
            }
            tracing::warn!(why = %closed, ?wait, "the connection to the master is gone");
        } else {
            tracing::warn!(%error, ?wait, "the master does not speak as it should");
            self.close(CloseCode::Protocol, "the master sent a frame that cannot be read");
        }
        self.wait(wait);
        Ok(Present::Yes)
    }

    /// Tells whether this number is that of the present connection.
    pub(super) fn is_present(&self, number: u64) -> bool {
        number == self.number && matches!(self.state, State::Up(_))
    }

    /// Sends a message, or keeps it until the master reads on. Without a connection it is dropped:
    /// the core sends again what matters.
    pub(super) fn send(&mut self, message: &WorkerMessage) {
        let State::Up(up) = &mut self.state else { return };
        let frame = match encode(message) {
            Ok(frame) => frame,
            Err(error) => {
                tracing::error!(%error, "a message to the master is too large to send");
                return;
            }
        };
        if up.backlog.is_empty()
            && up.session.outbox.try_send(frame.clone()) != Err(SendError::Full)
        {
            return;
        }
        if up.backlog.len() >= BACKLOG_MAX {
            up.session.close(CloseCode::TooSlow, "the master reads too slowly");
        } else {
            up.backlog.push_back(frame);
        }
    }

    /// Returns the connection, if there is one.
    pub(super) fn session(&self) -> Option<&Session> {
        match &self.state {
            State::Up(up) => Some(&up.session),
            State::Waiting(_) | State::Dialling(_) => None,
        }
    }

    /// Ends the connection.
    pub(super) fn close(&self, code: CloseCode, reason: &str) {
        if let Some(session) = self.session() {
            session.close(code, reason);
        }
    }

    fn wait(&mut self, wait: Duration) {
        self.state = State::Waiting(Box::pin(tokio::time::sleep(wait)));
    }
}

/// Whether a word was about the present connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Present {
    /// It was.
    Yes,
    /// It came late.
    No,
}

impl Drop for State {
    fn drop(&mut self) {
        match self {
            Self::Dialling(task) => task.abort(),
            Self::Up(up) => {
                up.reader.abort();
                up.renewer.abort();
            }
            Self::Waiting(_) => {}
        }
    }
}

/// Keeps the identity renewed: each new certificate goes to the driver, and is the one that is
/// renewed next.
async fn keep_renewed(
    session: Session,
    mut identity: ClientIdentity,
    (mut now, mut asked): (WallMs, watch::Receiver<Option<Duration>>),
    inputs: mpsc::Sender<Input>,
) {
    // What the welcome asked for counts too.
    asked.mark_changed();
    loop {
        let began = tokio::time::Instant::now();
        identity = renew_when_due(&session, &identity, now, &mut asked).await;
        now = now.plus(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
        if inputs.send(Input::Renewed(Box::new(identity.clone()))).await.is_err() {
            return;
        }
    }
}

/// Hands on what the master says. When the driver is busy this waits, and with it the master.
async fn read(number: u64, mut inbox: Inbox, inputs: mpsc::Sender<Input>) {
    loop {
        let (input, last) = match inbox.next::<ToWorker>().await {
            Ok(message) => (Input::Heard(number, message), false),
            Err(error) => (Input::Lost(number, error), true),
        };
        if inputs.send(input).await.is_err() || last {
            return;
        }
    }
}
