//! The dialling end: joining, dialling with an identity, backing off. Asking is in caller.rs.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::Name;
use ganger_proto::message::{Hello, MINOR, Welcome};
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use crate::caller::{CallError, Caller};
use crate::error::{self, CloseCode};
use crate::frame::{FrameError, Inbox, encode};
use crate::limits::{DIAL_MAX, JOIN_BYTES_MAX};
use crate::pki::certificate::{self, dns_name, pin_of};
use crate::pki::enroll::{JoinAnswer, JoinRequest, Wish};
use crate::pki::files;
use crate::pki::identity::{ClientIdentity, IdentityError};
use crate::pki::token::Token;
use crate::session::Session;
use crate::tls::{self, Chain};

/// The key of a join that was begun, until its answer has come.
const PENDING: &str = "pending.json";
/// The shortest and the longest wait between dials, in milliseconds.
const WAIT_MS: std::ops::RangeInclusive<u64> = 100..=5_000;

/// Joins a cluster with a token and keeps the identity in `dir` (key, certificate, CA, addresses),
/// made with mode 0700. The key is made there first, so that the same call after a lost answer gets
/// the same certificate.
///
/// # Errors
/// When the token is refused, the master cannot be reached, or the folder cannot be written.
pub async fn join(
    token: &Token,
    wish: Option<&Name>,
    dir: &Path,
) -> Result<ClientIdentity, JoinError> {
    files::make_dir(dir)?;
    let key = pending_key(token, dir)?;
    let wish = match wish {
        Some(name) => Wish::Exactly(name.clone()),
        None => Wish::Like(host_name()),
    };
    let csr = CertificateParams::default().serialize_request(&key);
    let csr = csr.map_err(|error| damaged(dir, &error.to_string()))?.der().to_vec();
    let request = JoinRequest { id: token.id, secret: *token.secret, wish, csr };
    let config = tls::join_client(token.pin)
        .map_err(|error| unreachable_at(&token.addresses, error.to_string()))?;
    let connection = dial_any(&config, &token.addresses, token.cluster.as_str()).await;
    let connection = connection.map_err(|failure| match failure {
        Failure::Unreachable(reason) => unreachable_at(&token.addresses, reason),
        Failure::Refused(reason) => JoinError::NotTheMaster(reason),
    })?;
    let answer = tokio::time::timeout(DIAL_MAX * 2, ask_to_join(&connection.1, &request)).await;
    connection.1.close(CloseCode::Done.wire(), b"");
    tokio::time::timeout(Duration::from_millis(200), connection.0.wait_idle()).await.ok();
    let answer = answer.map_err(|_| unreachable_at(&token.addresses, "no answer".to_owned()))?;
    let identity = accept_identity(token, &key, answer)?;
    identity.save(dir)?;
    if let Err(error) = std::fs::remove_file(dir.join(PENDING)) {
        tracing::debug!(%error, "the pending key was not removed");
    }
    Ok(identity)
}

fn accept_identity(
    token: &Token,
    key: &KeyPair,
    answer: Result<JoinAnswer, String>,
) -> Result<ClientIdentity, JoinError> {
    let (leaf, root) = match answer {
        Ok(JoinAnswer::Joined { certificate, root }) => (certificate, root),
        Ok(JoinAnswer::Refused) => return Err(JoinError::Refused),
        Ok(JoinAnswer::NameTaken(name)) => {
            return Err(JoinError::Name(format!(
                "the name `{name}` is taken; choose another with --name, or revoke the old one"
            )));
        }
        Ok(JoinAnswer::Failed) => {
            let reason = "it could not make a certificate, see its log".to_owned();
            return Err(unreachable_at(&token.addresses, reason));
        }
        Err(reason) => return Err(unreachable_at(&token.addresses, reason)),
    };
    let wrong = |reason: &str| unreachable_at(&token.addresses, reason.to_owned());
    if pin_of(&root) != Some(token.pin) {
        return Err(wrong("it answered with another cluster's root"));
    }
    let read = certificate::read_client(&leaf, token.cluster.as_str())
        .map_err(|_| wrong("it answered with a certificate that cannot be used"))?;
    Ok(ClientIdentity {
        cluster: token.cluster.clone(),
        role: read.role,
        name: read.name,
        addresses: token.addresses.clone(),
        certificate_ends: read.not_after,
        chain: Chain {
            certificates: vec![leaf.into()],
            key: Arc::new(Zeroizing::new(key.serialize_der())),
        },
        root: root.into(),
    })
}

async fn ask_to_join(connection: &Connection, request: &JoinRequest) -> Result<JoinAnswer, String> {
    let broke = |error: &ConnectionError| error::closed(error).sentence;
    let (mut send, receive) = connection.open_bi().await.map_err(|e| broke(&e))?;
    let body = Zeroizing::new(postcard::to_allocvec(request).map_err(|e| e.to_string())?);
    if body.len() > JOIN_BYTES_MAX {
        return Err("the request is too large".to_owned());
    }
    send.write_all(&body).await.map_err(|e| e.to_string())?;
    send.finish().map_err(|e| e.to_string())?;
    let mut inbox = Inbox::new(receive, connection.clone());
    inbox.next::<JoinAnswer>().await.map_err(|error| error.to_string())
}

#[derive(Serialize, Deserialize)]
struct Pending {
    invite: String,
    key: String,
}

/// Returns the key that this token was tried with before, or a new one that is kept.
fn pending_key(token: &Token, dir: &Path) -> Result<KeyPair, JoinError> {
    let path = dir.join(PENDING);
    let invite = bs58::encode(token.id).into_string();
    if let Some(bytes) = files::read(&path)?
        && let Ok(pending) = serde_json::from_slice::<Pending>(&bytes)
        && pending.invite == invite
        && let Ok(der) = bs58::decode(&pending.key).into_vec()
        && let Ok(key) = KeyPair::try_from(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der)))
    {
        return Ok(key);
    }
    let key = KeyPair::generate().map_err(|error| damaged(&path, &error.to_string()))?;
    let der = Zeroizing::new(key.serialize_der());
    let pending = Pending { invite, key: bs58::encode(&*der).into_string() };
    let json = serde_json::to_vec(&pending).expect("strings are always JSON");
    files::write(&path, &Zeroizing::new(json))?;
    Ok(key)
}

fn damaged(path: &Path, reason: &str) -> JoinError {
    IdentityError::Damaged { path: path.to_path_buf(), reason: reason.to_owned() }.into()
}

fn unreachable_at(addresses: &[String], reason: String) -> JoinError {
    JoinError::Unreachable { addresses: addresses.join(", "), reason }
}

fn host_name() -> Name {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Name::from_lossy(host.split('.').next().unwrap_or_default())
}

/// Joining failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The master refused the token; it says the same for used, expired, unknown and wrong ones.
    #[error(
        "the master refused this token: it was used, has expired, was withdrawn or is not its own; \
         ask for a new one with `ganger invite`"
    )]
    Refused,
    /// Who answered is not the token's master.
    #[error("who answered is not the master that made this token: {0}")]
    NotTheMaster(String),
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
    Identity(#[from] IdentityError),
}

/// Dials a master with an identity.
#[derive(Debug)]
pub struct Dialer {
    config: ClientConfig,
    cluster: String,
}

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
    pub fn new(identity: &ClientIdentity) -> Result<Self, DialError> {
        let config = tls::data_client(&identity.chain, &identity.root).map_err(|error| {
            DialError::Refused(format!("this identity cannot be used: {error}; join again"))
        })?;
        Ok(Self { config, cluster: identity.cluster.to_string() })
    }

    /// Dials the addresses (`host:port`, names resolved each time) in turn, sends `hello`, and waits
    /// for the welcome.
    ///
    /// # Errors
    /// When none answers, or the master refuses.
    pub async fn dial(&self, addresses: &[String], hello: &Hello) -> Result<Connected, DialError> {
        let unreachable =
            |reason: String| DialError::Unreachable { addresses: addresses.join(", "), reason };
        let dialled = dial_any(&self.config, addresses, &self.cluster).await;
        let (_, connection) = dialled.map_err(|failure| match failure {
            Failure::Unreachable(reason) => unreachable(reason),
            Failure::Refused(sentence) => DialError::Refused(sentence),
        })?;
        let broke = |closed: crate::session::Closed| match closed.code {
            Some(code) if code.is_final() => DialError::Refused(closed.sentence),
            Some(_) | None => unreachable(closed.sentence),
        };
        let (send, receive) = connection.open_bi().await.map_err(|e| broke(error::closed(&e)))?;
        let (session, mut inbox) = Session::over(connection, send, receive);
        let frame = encode(hello).map_err(|error| unreachable(error.to_string()))?;
        session.outbox.send(frame).await.map_err(|error| unreachable(error.to_string()))?;
        // With TLS 1.3 a client is connected before the server has looked at its certificate: only
        // the welcome says that it was accepted.
        let welcome = match tokio::time::timeout(DIAL_MAX * 2, inbox.next::<Welcome>()).await {
            Ok(Ok(welcome)) => welcome,
            Ok(Err(FrameError::Closed(closed))) => return Err(broke(closed)),
            Ok(Err(error)) => return Err(unreachable(error.to_string())),
            Err(_) => return Err(unreachable("it did not say welcome".to_owned())),
        };
        if welcome.minor < MINOR.min || welcome.minor > MINOR.max {
            let text = format!("this master is {}; update both", error::clean(&welcome.version));
            return Err(DialError::Refused(text));
        }
        Ok(Connected { session, inbox, welcome })
    }
}

/// Why no address could be dialled.
enum Failure {
    Unreachable(String),
    Refused(String),
}

/// Dials addresses in turn until one answers.
async fn dial_any(
    config: &ClientConfig,
    addresses: &[String],
    cluster: &str,
) -> Result<(Endpoint, Connection), Failure> {
    let mut last = "there is no address to dial".to_owned();
    for address in addresses {
        let found = match tokio::net::lookup_host(address.as_str()).await {
            Ok(found) => found,
            Err(error) => {
                last = format!("{address}: {error}");
                continue;
            }
        };
        for target in found.take(4) {
            match dial(config, target, cluster).await {
                Ok(dialled) => return Ok(dialled),
                Err(Failure::Refused(sentence)) => return Err(Failure::Refused(sentence)),
                Err(Failure::Unreachable(reason)) => last = reason,
            }
        }
    }
    Err(Failure::Unreachable(last))
}

async fn dial(
    config: &ClientConfig,
    target: SocketAddr,
    cluster: &str,
) -> Result<(Endpoint, Connection), Failure> {
    let own = match target {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let lost = |reason: String| Failure::Unreachable(reason);
    let endpoint = Endpoint::client(own).map_err(|error| lost(error.to_string()))?;
    let connecting = endpoint
        .connect_with(config.clone(), target, &dns_name(cluster))
        .map_err(|error| lost(error.to_string()))?;
    match tokio::time::timeout(DIAL_MAX, connecting).await {
        Ok(Ok(connection)) => Ok((endpoint, connection)),
        Ok(Err(error)) => {
            let closed = refusal(&error);
            match closed.code {
                Some(code) if code.is_final() => Err(Failure::Refused(closed.sentence)),
                Some(_) | None => Err(lost(closed.sentence)),
            }
        }
        Err(_) => Err(lost("nobody answered in time".to_owned())),
    }
}

/// Says why a handshake failed. A transport error of this end is its own verifier's word.
fn refusal(error: &ConnectionError) -> crate::session::Closed {
    let mut closed = error::closed(error);
    if let ConnectionError::TransportError(own) = error
        && u64::from(own.code) & 0x100 != 0
    {
        closed.code = Some(CloseCode::Unknown);
        closed.sentence = format!(
            "its certificate is not the one that was expected ({})",
            error::clean(&own.reason)
        );
    }
    closed
}

/// Waits between dials: doubles from 100 ms to 5 s, with full jitter.
#[derive(Debug)]
pub struct Backoff {
    most_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { most_ms: *WAIT_MS.start() }
    }
}

impl Backoff {
    /// Returns the next wait.
    pub fn next_wait(&mut self) -> Duration {
        let wait = fastrand::u64(self.most_ms / 4..=self.most_ms);
        self.most_ms = (self.most_ms * 2).min(*WAIT_MS.end());
        Duration::from_millis(wait)
    }

    /// Begins again at the shortest wait, after a welcome.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
