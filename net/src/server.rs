//! The listening end: joins and authenticated connections on one UDP port. Joins are answered here;
//! authenticated connections whose first frame fits come out of [`Server::accept`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ganger_proto::message::{Hello, HelloBody, MINOR};
use ganger_proto::{Actor, Name, Role, WallMs};
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connection, Endpoint, EndpointConfig, Incoming};
use quinn_proto::HashedConnectionIdGenerator;
use rustls::pki_types::CertificateDer;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::error::CloseCode;
use crate::frame::{Inbox, encode};
use crate::limits::{
    ALPN_DATA, ALPN_JOIN, CLOSE_GRACE, CONNECTIONS_MAX, HANDSHAKE_MAX, HANDSHAKES_MAX, HELLO_MAX,
    JOIN_ADDRESSES_MAX, JOIN_BYTES_MAX, JOIN_REFILL, JOIN_REFUSALS_MAX, JOIN_TAG, JOINS_MAX,
    SOCKET_BYTES,
};
use crate::pki::authority::Authority;
use crate::pki::certificate;
use crate::pki::enroll::{JoinAnswer, JoinRequest};
use crate::pki::registry::{Admin, Standing};
use crate::session::{Peer, Session};
use crate::tls;

/// Arrivals that wait for the master; when it is full handshakes wait.
const ARRIVALS: usize = 64;
/// How long a refusal is shown, in milliseconds.
const REFUSAL_SHOWN_MS: u64 = 60_000;
/// Refusals kept, by address and reason.
const REFUSALS_MAX: usize = 256;

/// The master's listener. Joins are answered inside; authenticated connections come out.
#[derive(Debug)]
pub struct Server {
    endpoint: Endpoint,
    shared: Arc<Shared>,
    // One reader takes from it at a time: the master's accepting task.
    arrivals: tokio::sync::Mutex<mpsc::Receiver<Arrival>>,
    accepting: tokio::task::AbortHandle,
}

/// An authenticated connection whose first frame has come and fits its role.
#[derive(Debug)]
pub struct Arrival {
    /// Who it is.
    pub peer: Peer,
    /// The connection; nothing has been sent on it yet.
    pub session: Session,
    /// What the peer sends after its hello.
    pub inbox: Inbox,
    /// Its first frame.
    pub hello: Hello,
}

/// The port cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// Another program has it.
    #[error("port {} is in use by another program; choose another with --listen", address.port())]
    InUse {
        /// The address asked for.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// What the accepting task and the handle share.
#[derive(Debug)]
struct Shared {
    authority: Arc<Authority>,
    join_config: Arc<quinn::ServerConfig>,
    handshakes: Arc<Semaphore>,
    joins: Arc<Semaphore>,
    // Locks are held for one look or one change; nothing awaits under them.
    live: Mutex<HashMap<(Role, Name), Vec<Session>>>,
    refusals: Mutex<VecDeque<Refusal>>,
    buckets: Mutex<BTreeMap<IpAddr, Bucket>>,
}

#[derive(Debug)]
struct Refusal {
    address: IpAddr,
    reason: &'static str,
    count: u64,
    at: WallMs,
}

/// Refused tokens of one address.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    refused: u32,
    since: WallMs,
}

impl Server {
    /// Listens on a UDP address; `[::]` listens on IPv4 too. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the port is in use or the system refuses it.
    pub fn bind(listen: SocketAddr, authority: Arc<Authority>) -> Result<Self, BindError> {
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AddrInUse => BindError::InUse { address: listen },
            _ => BindError::Io { address: listen, source },
        };
        let tls = |error: rustls::Error| io(std::io::Error::other(error));
        let socket = socket(listen).map_err(io)?;
        let chain = authority.master_chain();
        let data = tls::data_server(
            chain,
            authority.root(),
            authority.registry().clone(),
            authority.cluster().as_str(),
        );
        let data = data.map_err(tls)?;
        let join = tls::join_server(chain).map_err(tls)?;
        let reset = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, authority.reset_key());
        let mut config = EndpointConfig::new(Arc::new(reset));
        // With both keys kept, clients of a killed master hear a reset instead of waiting for their
        // idle timeout.
        let key = authority.connection_id_key();
        config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = Endpoint::new(config, Some(data), socket, runtime).map_err(io)?;
        let shared = Arc::new(Shared {
            authority,
            join_config: Arc::new(join),
            handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)),
            joins: Arc::new(Semaphore::new(JOINS_MAX)),
            live: Mutex::default(),
            refusals: Mutex::default(),
            buckets: Mutex::default(),
        });
        let (to, arrivals) = mpsc::channel(ARRIVALS);
        let accepting = tokio::spawn(accept(endpoint.clone(), shared.clone(), to)).abort_handle();
        Ok(Self { endpoint, shared, arrivals: tokio::sync::Mutex::new(arrivals), accepting })
    }

    /// Returns the address in use, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
    }

    /// Waits for the next authenticated connection; none after `close`.
    pub async fn accept(&self) -> Option<Arrival> {
        self.arrivals.lock().await.recv().await
    }

    /// Ends all live connections of an identity at once.
    pub fn kick(&self, role: Role, name: &Name, code: CloseCode, reason: &str) {
        let live = lock(&self.shared.live).remove(&(role, name.clone()));
        for session in live.into_iter().flatten() {
            session.close(code, reason);
        }
    }

    /// Says in one sentence what was refused lately (aggregated by address and reason); empty when
    /// nothing was.
    pub fn refused_lately(&self) -> String {
        let now = self.shared.authority.now();
        let refusals = lock(&self.shared.refusals);
        let newest = refusals.iter().max_by_key(|refusal| refusal.at);
        match newest.filter(|refusal| now.since(refusal.at) < REFUSAL_SHOWN_MS) {
            Some(Refusal { address, reason, count: 1, .. }) => format!("{address} {reason}"),
            Some(Refusal { address, reason, count, .. }) => {
                format!("{address} {reason}, {count} times")
            }
            None => String::new(),
        }
    }

    /// Ends all connections with [`CloseCode::Shutdown`] and stops listening.
    pub async fn close(&self) {
        let live = std::mem::take(&mut *lock(&self.shared.live));
        for session in live.into_values().flatten() {
            session.close(CloseCode::Shutdown, "the master stops");
        }
        tokio::time::sleep(CLOSE_GRACE * 2).await;
        self.accepting.abort();
        self.endpoint.close(CloseCode::Shutdown.wire(), b"the master stops");
        let patience = Duration::from_secs(1);
        tokio::time::timeout(patience, self.endpoint.wait_idle()).await.ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is under these locks is whole between statements, also after a panic elsewhere.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn socket(listen: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(listen), Type::DGRAM, Some(Protocol::UDP))?;
    if listen.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // As much as the system grants; a smaller buffer only costs speed.
    socket.set_recv_buffer_size(SOCKET_BYTES).ok();
    socket.set_send_buffer_size(SOCKET_BYTES).ok();
    socket.set_nonblocking(true)?;
    socket.bind(&listen.into())?;
    Ok(socket.into())
}

/// Takes connection attempts until the endpoint closes; its handshakes end with it.
async fn accept(endpoint: Endpoint, shared: Arc<Shared>, to: mpsc::Sender<Arrival>) {
    let mut tasks = JoinSet::new();
    while let Some(incoming) = endpoint.accept().await {
        while tasks.try_join_next().is_some() {}
        if !incoming.remote_address_validated() {
            // The address is proved before anything is spent on it.
            if let Err(error) = incoming.retry() {
                error.into_incoming().ignore();
            }
            continue;
        }
        let Ok(permit) = shared.handshakes.clone().try_acquire_owned() else {
            incoming.refuse();
            continue;
        };
        let (shared, to) = (shared.clone(), to.clone());
        let full = endpoint.open_connections() > CONNECTIONS_MAX;
        tasks.spawn(async move {
            let tagged = incoming.orig_dst_cid().starts_with(JOIN_TAG);
            if tagged {
                shared.join(incoming).await;
            } else if full {
                incoming.refuse();
            } else if let Some(arrival) = shared.greet(incoming).await {
                drop(permit);
                to.send(arrival).await.ok();
            }
        });
    }
    tasks.shutdown().await;
}

impl Shared {
    /// Does the handshake of an authenticated connection and reads its first frame.
    async fn greet(&self, incoming: Incoming) -> Option<Arrival> {
        let address = incoming.remote_address().ip();
        let connecting = incoming.accept().ok()?;
        let connection = match tokio::time::timeout(HANDSHAKE_MAX, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => {
                return self.refuse(address, "was refused: no certificate of this master");
            }
            Err(_) => return self.refuse(address, "did not finish its handshake"),
        };
        if alpn(&connection).as_deref() != Some(ALPN_DATA) {
            connection.close(CloseCode::Protocol.wire(), b"wrong protocol");
            return self.refuse(address, "asked for another protocol");
        }
        let Some((peer, serial)) = self.identify(&connection) else {
            connection.close(CloseCode::Unknown.wire(), b"this identity is not known here");
            return self.refuse(address, "was refused: its identity is not known");
        };
        let (send, receive) =
            tokio::time::timeout(HELLO_MAX, connection.accept_bi()).await.ok()?.ok()?;
        let (session, mut inbox) = Session::over(connection, send, receive);
        let hello = tokio::time::timeout(HELLO_MAX, inbox.next::<Hello>()).await;
        let Ok(Ok(hello)) = hello else {
            session.close(CloseCode::Protocol, "the first message could not be read");
            return self.refuse(address, "sent a first message that cannot be read");
        };
        if let Err((code, reason)) = fits(&hello, &peer.actor) {
            session.close(code, reason);
            return self.refuse(address, "asked for what its certificate does not allow");
        }
        self.keep(&peer, &serial, &session);
        Some(Arrival { peer, session, inbox, hello })
    }

    /// Reads the role and name out of the certificate and looks them up; the verifier did so too, and
    /// a revocation may have come between.
    fn identify(&self, connection: &Connection) -> Option<(Peer, Vec<u8>)> {
        let chain = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
        let cluster = self.authority.cluster().as_str();
        let read = certificate::read_client(chain.first()?, cluster).ok()?;
        let admin = match self.authority.registry().standing(&read.serial) {
            Standing::Good(admin) => admin == Admin::Yes,
            Standing::Revoked | Standing::Unknown => return None,
        };
        let actor = Actor { role: read.role, name: read.name, admin };
        Some((Peer { actor, certificate_ends: read.not_after }, read.serial))
    }

    /// Notes a live connection. A worker has one: the newest wins.
    fn keep(&self, peer: &Peer, serial: &[u8], session: &Session) {
        let id = (peer.actor.role, peer.actor.name.clone());
        let older = {
            let mut live = lock(&self.live);
            let sessions = live.entry(id).or_default();
            sessions.retain(|old| old.connection().close_reason().is_none());
            let worker = peer.actor.role == Role::Worker;
            let older = if worker { std::mem::take(sessions) } else { Vec::new() };
            sessions.push(session.clone());
            older
        };
        for session in older {
            session.close(CloseCode::Superseded, "this worker has connected again");
        }
        // A revocation that came before the connection was noted did not kick it.
        if self.authority.registry().standing(serial) == Standing::Revoked {
            session.close(CloseCode::Revoked, "this identity was revoked");
        }
        let ends_in = Duration::from_millis(peer.certificate_ends.since(self.authority.now()));
        let session = session.clone();
        // TLS looks at dates only at the handshake; this ends with the connection.
        tokio::spawn(async move {
            tokio::select! {
                _ = session.closed() => {}
                () = tokio::time::sleep(ends_in) => {
                    session.close(CloseCode::Expired, "this certificate has expired");
                }
            }
        });
    }

    /// Answers a join, within its time.
    async fn join(&self, incoming: Incoming) {
        let address = incoming.remote_address().ip();
        let Ok(_permit) = self.joins.try_acquire() else {
            incoming.refuse();
            return;
        };
        if self.must_wait(address) {
            incoming.refuse();
            self.refuse::<()>(address, "must wait after too many bad tokens");
            return;
        }
        let Ok(connecting) = incoming.accept_with(self.join_config.clone()) else { return };
        let answered = tokio::time::timeout(HANDSHAKE_MAX, async {
            let connection = connecting.await.ok()?;
            if alpn(&connection).as_deref() != Some(ALPN_JOIN) {
                connection.close(CloseCode::Protocol.wire(), b"wrong protocol");
                return None;
            }
            self.answer(&connection).await
        });
        match answered.await {
            Ok(Some(JoinAnswer::Refused)) => {
                self.count_refusal(address);
                self.refuse::<()>(address, "tried to join with a token that is not good");
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                self.refuse::<()>(address, "began to join and did not finish");
            }
        }
    }

    async fn answer(&self, connection: &Connection) -> Option<JoinAnswer> {
        let (mut send, mut receive) = connection.accept_bi().await.ok()?;
        let request = receive.read_to_end(JOIN_BYTES_MAX).await.ok()?;
        let answer = match postcard::from_bytes::<JoinRequest>(&request) {
            Ok(request) => self.authority.answer_join(&request),
            Err(_) => JoinAnswer::Refused,
        };
        send.write_chunk(encode(&answer).ok()?).await.ok()?;
        send.finish().ok()?;
        // The joiner closes when it has read the answer.
        connection.closed().await;
        Some(answer)
    }

    /// Notes a refusal, aggregated, so that a flood cannot fill anything.
    fn refuse<T>(&self, address: IpAddr, reason: &'static str) -> Option<T> {
        let at = self.authority.now();
        let mut refusals = lock(&self.refusals);
        let same = |old: &&mut Refusal| old.address == address && old.reason == reason;
        match refusals.iter_mut().find(same) {
            Some(old) if at.since(old.at) < REFUSAL_SHOWN_MS => {
                old.count += 1;
                old.at = at;
            }
            _ => {
                tracing::warn!(%address, reason, "a connection was refused");
                refusals.retain(|old| old.address != address || old.reason != reason);
                if refusals.len() >= REFUSALS_MAX {
                    refusals.pop_front();
                }
                refusals.push_back(Refusal { address, reason, count: 1, at });
            }
        }
        None
    }

    fn must_wait(&self, address: IpAddr) -> bool {
        let now = self.authority.now();
        let buckets = lock(&self.buckets);
        let bucket = buckets.get(&address);
        bucket.is_some_and(|bucket| bucket.level(now) >= JOIN_REFUSALS_MAX)
    }

    fn count_refusal(&self, address: IpAddr) {
        let now = self.authority.now();
        let mut buckets = lock(&self.buckets);
        let refused = buckets.get(&address).map_or(0, |bucket| bucket.level(now)) + 1;
        if buckets.len() >= JOIN_ADDRESSES_MAX {
            buckets.retain(|_, bucket| bucket.level(now) > 0);
        }
        if buckets.len() >= JOIN_ADDRESSES_MAX {
            buckets.pop_first();
        }
        buckets.insert(address, Bucket { refused, since: now });
    }
}

impl Bucket {
    fn level(&self, now: WallMs) -> u32 {
        let refill_ms = u64::try_from(JOIN_REFILL.as_millis()).unwrap_or(u64::MAX);
        let refilled = now.since(self.since) / refill_ms;
        self.refused.saturating_sub(u32::try_from(refilled).unwrap_or(u32::MAX))
    }
}

fn alpn(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

/// Checks that a hello speaks a common version and asks for what its role may be.
fn fits(hello: &Hello, actor: &Actor) -> Result<(), (CloseCode, &'static str)> {
    if MINOR.common(hello.minor).is_none() {
        return Err((CloseCode::Version, "this master speaks another version; update both"));
    }
    let worker = matches!(hello.body, HelloBody::Worker(_));
    if worker != (actor.role == Role::Worker) {
        let reason = "the certificate's role does not allow this; join with a fitting invite";
        return Err((CloseCode::Protocol, reason));
    }
    Ok(())
}
