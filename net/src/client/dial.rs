//! Dialling a master with an identity, and what its refusals mean. Does not decide when to dial
//! again; see backoff.rs.

use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use ganger_proto::WallMs;
use ganger_proto::message::{Hello, Welcome};
use quinn::{Connection, ConnectionError, Endpoint};
use tokio::sync::watch;

use crate::error::{CloseCode, clean};
use crate::frame::{FrameError, Inbox, encode};
use crate::limits::{DIAL_TIMEOUT, RESOLVED_MAX, WELCOME_TIMEOUT};
use crate::pki::ca::dns_name;
use crate::pki::identity::ClientIdentity;
use crate::pki::{certificate, date};
use crate::session::{Closed, Session};
use crate::transport::{self, Door};

/// Dials a master with an identity.
#[derive(Debug)]
pub struct Dialer {
    endpoint: Endpoint,
    config: quinn::ClientConfig,
    me: Me,
}

/// A UDP socket to dial from. Many identities can share one: each connection knows its packets.
#[derive(Clone, Debug)]
pub struct DialSocket {
    endpoint: Endpoint,
}

impl DialSocket {
    /// Opens a socket. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the system opens none.
    pub fn open() -> Result<Self, DialError> {
        Self::of(transport::dial())
    }

    /// As [`DialSocket::open`], on an address of this machine.
    ///
    /// # Errors
    /// When the system opens none there.
    pub fn open_at(address: IpAddr) -> Result<Self, DialError> {
        Self::of(transport::dial_from(address))
    }

    fn of(opened: std::io::Result<Endpoint>) -> Result<Self, DialError> {
        let endpoint = opened.map_err(|error| DialError::Unreachable {
            addresses: "any address".to_owned(),
            reason: format!("no UDP socket can be opened: {error}"),
        })?;
        Ok(Self { endpoint })
    }

    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
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
    /// Prepares to dial with `identity` from a socket of its own. Needs a tokio runtime.
    ///
    /// # Errors
    /// As [`DialSocket::open`] and [`Dialer::on`].
    pub fn new(identity: &ClientIdentity) -> Result<Self, DialError> {
        Self::on(&DialSocket::open()?, identity)
    }

    /// Prepares to dial with `identity` from a socket.
    ///
    /// # Errors
    /// When the identity's key or certificate cannot be used.
    pub fn on(socket: &DialSocket, identity: &ClientIdentity) -> Result<Self, DialError> {
        let me = Me::of(identity);
        let config = crate::tls::client_data(identity)
            .and_then(|config| transport::client(config, Door::Data))
            .map_err(|error| {
                DialError::Refused(format!("{}: {error}; {}", me.unusable(), me.join_again()))
            })?;
        Ok(Self { endpoint: socket.endpoint.clone(), config, me })
    }

    /// Dials the addresses (`host:port`, names resolved each time) in turn, sends `hello`, and
    /// waits for the welcome.
    ///
    /// # Errors
    /// When none answers, or the master refuses.
    pub async fn dial(&self, addresses: &[String], hello: &Hello) -> Result<Connected, DialError> {
        let mut reason = "there is no address to dial".to_owned();
        let mut refused = None;
        for address in addresses {
            let resolved = match resolve(address).await {
                Ok(resolved) => resolved,
                Err(why) => {
                    reason = why;
                    continue;
                }
            };
            for target in resolved {
                match self.dial_one(target, hello).await {
                    Ok(connected) => return Ok(connected),
                    Err(Failed::Final(sentence)) => refused = Some(sentence),
                    Err(Failed::Passing(why)) => reason = why,
                }
            }
        }
        // Another address may be the right one: a refusal counts when none answered.
        Err(match refused {
            Some(sentence) => DialError::Refused(sentence),
            None => DialError::Unreachable { addresses: addresses.join(", "), reason },
        })
    }

    async fn dial_one(&self, target: SocketAddr, hello: &Hello) -> Result<Connected, Failed> {
        let name = dns_name(&self.me.cluster);
        let connecting = self.endpoint.connect_with(self.config.clone(), target, &name);
        let connecting = connecting.map_err(|error| Failed::Passing(error.to_string()))?;
        let connection = tokio::time::timeout(DIAL_TIMEOUT, connecting).await;
        let silent = || Failed::Passing(format!("{target} did not answer"));
        let connection =
            connection.map_err(|_| silent())?.map_err(|error| self.me.judge(&error))?;
        // TLS 1.3: the master's verdict about this end is still to come; the welcome brings it.
        match tokio::time::timeout(WELCOME_TIMEOUT, greet(&connection, hello)).await {
            Ok(Ok(connected)) => Ok(connected),
            Ok(Err(FrameError::Closed(closed))) => Err(match connection.close_reason() {
                Some(error) => self.me.judge(&error),
                None => Failed::Passing(closed.sentence),
            }),
            Ok(Err(error @ (FrameError::Malformed | FrameError::TooLarge { .. }))) => {
                Err(Failed::Final(format!("the master's answer is not understood: {error}")))
            }
            Err(_) => Err(Failed::Passing(format!("{target} sent no welcome"))),
        }
    }
}

/// Says hello and waits for the welcome.
async fn greet(connection: &Connection, hello: &Hello) -> Result<Connected, FrameError> {
    let closed = |error: ConnectionError| FrameError::Closed(Closed::from(&error));
    let control = connection.open_bi().await.map_err(closed)?;
    let goodbye = watch::Sender::new(None);
    let (session, mut inbox, driver) = Session::start(connection.clone(), goodbye, control);
    // The driver ends with the connection, and that when the last session is dropped.
    tokio::spawn(driver.run());
    // When the connection has ended, the inbox says why.
    let _ended = session.outbox.send(encode(hello)?).await;
    let welcome = inbox.next::<Welcome>().await?;
    Ok(Connected { session, inbox, welcome })
}

/// Resolves `host:port`.
pub(super) async fn resolve(address: &str) -> Result<Vec<SocketAddr>, String> {
    let looked = tokio::time::timeout(DIAL_TIMEOUT, tokio::net::lookup_host(address)).await;
    let found: Vec<_> = match looked {
        Ok(Ok(found)) => found.take(RESOLVED_MAX).collect(),
        Ok(Err(error)) => return Err(format!("{address} cannot be looked up: {error}")),
        Err(_) => return Err(format!("{address} cannot be looked up in time")),
    };
    if found.is_empty() { Err(format!("{address} has no address")) } else { Ok(found) }
}

/// Why one address did not work.
#[derive(Debug)]
enum Failed {
    /// Dialling it again cannot help.
    Final(String),
    /// It may work later.
    Passing(String),
}

/// Who dials, for the sentences.
#[derive(Debug)]
struct Me {
    cluster: ganger_proto::Name,
    who: String,
    invite: String,
    /// From when to when the certificate is good.
    dates: (WallMs, WallMs),
}

impl Me {
    fn of(identity: &ClientIdentity) -> Self {
        let (role, name) = (identity.role, &identity.name);
        let leaf = certificate::read(&identity.material.certificate, &identity.cluster);
        let begins = leaf.map_or(WallMs(0), |leaf| leaf.begins);
        Self {
            cluster: identity.cluster.clone(),
            who: format!("{role} `{name}`"),
            invite: format!("ganger invite --role {role} --rejoin {name}"),
            dates: (begins, identity.certificate_ends),
        }
    }

    /// Tells whether the certificate is good by this machine's clock.
    #[expect(
        clippy::disallowed_methods,
        reason = "whose clock is wrong only the system's can tell"
    )]
    fn is_good_here(&self) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = WallMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
        self.dates.0 <= now && now < self.dates.1
    }

    fn unusable(&self) -> String {
        format!("the identity of {} cannot be used", self.who)
    }

    fn join_again(&self) -> String {
        format!("on the master run `{}` and join again with the line it prints", self.invite)
    }

    /// Says what the end of a handshake means to the one who dialled.
    fn judge(&self, error: &ConnectionError) -> Failed {
        match error {
            ConnectionError::ConnectionClosed(close) => {
                self.judge_code(u64::from(close.error_code))
            }
            ConnectionError::TransportError(error) => self.judge_own(error),
            ConnectionError::ApplicationClosed(_) => {
                let closed = Closed::from(error);
                match closed.code {
                    Some(CloseCode::Revoked) => self.judge_code(0x100 + 44),
                    Some(CloseCode::Expired) => self.judge_code(0x100 + 45),
                    Some(CloseCode::Unknown) => self.judge_code(0x100 + 49),
                    Some(code) if code.is_final() => Failed::Final(closed.sentence),
                    Some(_) | None => Failed::Passing(closed.sentence),
                }
            }
            ConnectionError::TimedOut
            | ConnectionError::Reset
            | ConnectionError::LocallyClosed
            | ConnectionError::VersionMismatch
            | ConnectionError::CidsExhausted => Failed::Passing(Closed::from(error).sentence),
        }
    }

    /// The master's TLS refused this end (RFC 9001, 4.8: alerts travel as 0x100 + alert).
    fn judge_code(&self, code: u64) -> Failed {
        let (who, again) = (&self.who, self.join_again());
        let sentence = match code.checked_sub(0x100) {
            Some(45) if self.is_good_here() => {
                return Failed::Passing(format!(
                    "the master refused {who}: by its clock the certificate is not good, by this \
                     machine's it is, from {} to {}; set both clocks, or {again}",
                    date(self.dates.0),
                    date(self.dates.1)
                ));
            }
            Some(44) => format!("the master revoked {who}; {again}"),
            Some(45) => format!(
                "the master refused {who}: its certificate has expired, it was good from {} to {}; \
                 {again}",
                date(self.dates.0),
                date(self.dates.1)
            ),
            Some(49) => format!(
                "the master does not know {who}: its registry has no such certificate; {again}"
            ),
            Some(42 | 43 | 46 | 116) => {
                format!("the master refused {who}: its certificate fits no role; {again}")
            }
            Some(48 | 51) => {
                format!("the master refused {who}: another authority made its certificate; {again}")
            }
            Some(120) => {
                "the master speaks another major protocol version; install the same release on both"
                    .to_owned()
            }
            Some(alert) => {
                return Failed::Passing(format!("the handshake failed with alert {alert}"));
            }
            // QUIC's CONNECTION_REFUSED: the listener has its hands full.
            None if code == 2 => return Failed::Passing("the master is busy".to_owned()),
            // QUIC's APPLICATION_ERROR: a close of ours that came before the handshake's end.
            None if code == 12 => {
                return Failed::Passing("the master broke off the handshake".to_owned());
            }
            None => return Failed::Passing(format!("the transport failed with code {code}")),
        };
        Failed::Final(sentence)
    }

    /// This end's TLS refused the master.
    fn judge_own(&self, error: &quinn_proto::TransportError) -> Failed {
        let why = clean(error.reason.as_bytes());
        match u64::from(error.code).checked_sub(0x100) {
            Some(120) => self.judge_code(0x100 + 120),
            Some(45) => Failed::Passing(format!(
                "the master's certificate is not valid at this machine's time: {why}; \
                 set both clocks"
            )),
            Some(_) => Failed::Final(format!(
                "what answers there is not the master of {}: {why}; \
                 look at the address, or {}",
                self.cluster,
                self.join_again()
            )),
            None => Failed::Passing(format!("the transport failed: {why}")),
        }
    }
}

#[cfg(test)]
impl Dialer {
    /// Goes on from another socket, as after a change of networks.
    pub(crate) fn change_networks(&self) {
        let socket = transport::any_socket().expect("the first socket could be opened too");
        self.endpoint.rebind(socket).expect("a bound socket can be used");
    }
}
