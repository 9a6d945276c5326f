//! The dialling end: joining, dialling with an identity, backing off, asking.

use std::path::Path;
use std::time::Duration;

use ganger_proto::message::{Hello, Welcome};
use ganger_proto::picture::BatchRow;
use ganger_proto::{Name, Picture, Refusal, Reply, Request, Watch};

use crate::frame::Inbox;
use crate::pki::identity::ClientIdentity;
use crate::pki::token::Token;
use crate::session::Session;

/// Joins a cluster with a token and keeps the identity in `dir` (key, certificate, CA, addresses),
/// made with mode 0700. The key is made there first, so that the same call after a lost answer gets
/// the same certificate.
///
/// # Errors
/// When the token is refused, the master cannot be reached, or the folder cannot be written.
#[expect(clippy::unused_async, reason = "stub")]
pub async fn join(
    _token: &Token,
    _wish: Option<&Name>,
    _dir: &Path,
) -> Result<ClientIdentity, JoinError> {
    unimplemented!()
}

/// Joining failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The master refused the token; it says the same for used, expired, unknown and wrong ones.
    #[error(
        "the master refused this token: it was used, has expired, was withdrawn or is not its own; ask for a new one with `ganger invite`"
    )]
    Refused,
    /// The name is taken.
    #[error("{0}")]
    Name(String),
    /// No address answered.
    #[error("no master answered at {addresses}: {reason}")]
    Unreachable {
        /// The addresses tried.
        addresses: String,
        /// The last reason.
        reason: String,
    },
    /// The identity cannot be kept.
    #[error(transparent)]
    Identity(#[from] crate::pki::identity::IdentityError),
}

/// Dials a master with an identity.
#[derive(Debug)]
pub struct Dialer {}

/// A connection whose `Welcome` has come.
#[derive(Debug)]
pub struct Connected {
    /// The connection.
    pub session: Session,
    /// What the master sends after its welcome.
    pub inbox: Inbox,
    /// Its welcome.
    pub welcome: Welcome,
}

/// Dialling failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// No address answered; dialling again may help.
    #[error("no master answered at {addresses}: {reason}")]
    Unreachable {
        /// The addresses tried.
        addresses: String,
        /// The last reason.
        reason: String,
    },
    /// The master, or TLS, refused this identity or version; dialling again cannot help.
    #[error("{0}")]
    Refused(String),
}

impl DialError {
    /// Tells whether dialling again with the same identity cannot help.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl Dialer {
    /// Prepares to dial with `identity`. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the identity's key or certificate cannot be used.
    pub fn new(_identity: &ClientIdentity) -> Result<Self, DialError> {
        unimplemented!()
    }

    /// Dials the addresses (`host:port`, names resolved each time) in turn, sends `hello`, and waits
    /// for the welcome.
    ///
    /// # Errors
    /// When none answers, or the master refuses.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn dial(
        &self,
        _addresses: &[String],
        _hello: &Hello,
    ) -> Result<Connected, DialError> {
        unimplemented!()
    }
}

/// Waits between dials: doubles from 100 ms to 5 s, with full jitter.
#[derive(Debug, Default)]
pub struct Backoff {}

impl Backoff {
    /// Returns the next wait.
    pub fn next_wait(&mut self) -> Duration {
        unimplemented!()
    }

    /// Begins again at the shortest wait, after a welcome.
    pub fn reset(&mut self) {
        unimplemented!()
    }
}

/// Asks a master: requests with their replies, and pictures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {}

/// A request got no reply, or a refusal.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The master refused it.
    #[error("{0}")]
    Refused(Refusal),
    /// The connection ended before the reply.
    #[error("the connection to the master ended: {0}")]
    Lost(crate::session::Closed),
}

impl Caller {
    /// Dials and says hello as a client.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn connect(
        _identity: &ClientIdentity,
        _addresses: &[String],
    ) -> Result<Self, DialError> {
        unimplemented!()
    }

    /// Returns the master's welcome.
    pub fn welcome(&self) -> &Welcome {
        unimplemented!()
    }

    /// Returns the connection.
    pub fn session(&self) -> &Session {
        unimplemented!()
    }

    /// Sends a request and waits for its reply. Many may be open at once.
    ///
    /// # Errors
    /// When the master refuses, or the connection ends first.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn call(&self, _request: Request) -> Result<Reply, CallError> {
        unimplemented!()
    }

    /// As [`Caller::call`], handing each progress report of a `Wait` to `progress`.
    ///
    /// # Errors
    /// As [`Caller::call`].
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn call_with_progress(
        &self,
        _request: Request,
        _progress: impl FnMut(BatchRow) + Send,
    ) -> Result<Reply, CallError> {
        unimplemented!()
    }

    /// Asks for pictures; replaces the previous watch.
    ///
    /// # Errors
    /// When the connection has ended.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn watch(&self, _watch: Watch) -> Result<(), CallError> {
        unimplemented!()
    }

    /// Waits for the next picture and acknowledges it. Only the newest is kept. Ends with an error
    /// when nothing at all came for 5 s (the master pulses every 2 s) or the connection ended.
    ///
    /// # Errors
    /// When the connection has ended.
    #[expect(clippy::unused_async, reason = "stub")]
    pub async fn next_picture(&self) -> Result<Box<Picture>, CallError> {
        unimplemented!()
    }
}
