//! The worker's connection to its master: dialling with backoff, sending, hearing. Decides nothing
//! about tasks; see core.rs.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ganger_net::CloseCode;
use ganger_net::client::{Backoff, Connected, DialError, Dialer};
use ganger_net::frame::{FrameError, Inbox, SendError, encode};
use ganger_net::session::Session;
use ganger_proto::message::{Hello, HelloBody, MINOR, ToWorker, WorkerHello, WorkerMessage};
use tokio::sync::mpsc;
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
}

/// The connection, whatever state it is in.
#[derive(Debug)]
pub(super) struct Link {
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
    pub(super) fn new(dialer: Dialer, addresses: Vec<String>, inputs: mpsc::Sender<Input>) -> Self {
        Self {
            dialer: Arc::new(dialer),
            addresses: addresses.into(),
            backoff: Backoff::default(),
            state: State::Waiting(Box::pin(tokio::time::sleep(Duration::ZERO))),
            number: 0,
            inputs,
        }
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

    /// Takes a connection that was welcomed.
    pub(super) fn begin(&mut self, session: Session, inbox: Inbox) {
        self.backoff.reset();
        self.number += 1;
        let reader = tokio::spawn(read(self.number, inbox, self.inputs.clone()));
        self.state = State::Up(Up { session, reader, backlog: VecDeque::new() });
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
            Self::Up(up) => up.reader.abort(),
            Self::Waiting(_) => {}
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
