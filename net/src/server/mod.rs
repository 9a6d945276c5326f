//! The listening end: accepts joins and authenticated connections on one UDP port. What is said on
//! them is the master's business.

mod admission;
mod arriving;
mod joining;
mod live;
mod refusals;
mod renewing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::message::Hello;
use ganger_proto::{Name, Role};
use quinn::{Endpoint, Incoming};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use self::admission::Admission;
use self::live::Live;
use self::refusals::Refusals;
use crate::error::CloseCode;
use crate::frame::Inbox;
use crate::limits::{ARRIVALS, Bounds, RENEWALS_AT_ONCE, SHUTDOWN_TIMEOUT};
use crate::pki::authority::Authority;
use crate::session::{Peer, Session, canonical};
use crate::tls::{JOIN_TAG, server_data, server_join};
use crate::transport::{self, Door};

/// How often the master's own certificate is looked at.
const RENEWAL_LOOK: Duration = Duration::from_secs(3_600);

/// The master's listener. Joins are answered inside; authenticated connections come out.
#[derive(Debug)]
pub struct Server {
    /// None once it is closed.
    endpoint: Mutex<Option<Endpoint>>,
    address: SocketAddr,
    shared: Arc<Shared>,
    arrivals: Mutex<mpsc::Receiver<Arrival>>,
    stop: watch::Sender<bool>,
    listener: Mutex<Option<JoinHandle<()>>>,
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared {
    authority: Arc<Authority>,
    join_config: Arc<quinn::ServerConfig>,
    live: Arc<Live>,
    refusals: Refusals,
    data_door: Arc<Admission>,
    join_door: Arc<Admission>,
    bounds: Bounds,
    /// Permits to answer a renewal.
    renewals: Semaphore,
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
    #[error("cannot listen on {address}")]
    Io {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The authority's keys cannot be used.
    #[error(transparent)]
    Authority(#[from] crate::pki::authority::AuthorityError),
}

impl Server {
    /// Listens on a UDP address; `[::]` listens on IPv4 too. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the port is in use or the system refuses it.
    pub fn bind(listen: SocketAddr, authority: Arc<Authority>) -> Result<Self, BindError> {
        Self::bind_with(listen, authority, Bounds::default())
    }

    pub(crate) fn bind_with(
        listen: SocketAddr,
        authority: Arc<Authority>,
        bounds: Bounds,
    ) -> Result<Self, BindError> {
        let io = |source: std::io::Error| {
            if source.kind() == std::io::ErrorKind::AddrInUse {
                return BindError::InUse { address: listen };
            }
            BindError::Io { address: listen, source }
        };
        let tls = |error: rustls::Error| io(std::io::Error::other(error));
        let data = server_data(&authority).and_then(|c| transport::server(c, Door::Data));
        let join = server_join(&authority).and_then(|c| transport::server(c, Door::Join));
        let keys = authority.vault().transport_keys()?;
        let live: Arc<Live> = Arc::default();
        let endpoint = transport::listen(listen, data.map_err(tls)?, keys, live.connected());
        let endpoint = endpoint.map_err(io)?;
        let address = endpoint.local_addr().map_err(io)?;
        let shared = Arc::new(Shared {
            authority,
            join_config: Arc::new(join.map_err(tls)?),
            live,
            refusals: Refusals::default(),
            data_door: Admission::new(bounds.data),
            join_door: Admission::new(bounds.join),
            bounds,
            renewals: Semaphore::new(RENEWALS_AT_ONCE),
        });
        // When the master takes none, connections wait after their hello, and unfinished ones count
        // against the door's limits.
        let (arrive, arrivals) = mpsc::channel(ARRIVALS);
        let stop = watch::Sender::new(false);
        let listener = accept(endpoint.clone(), shared.clone(), arrive, stop.subscribe());
        let listener = Mutex::new(Some(tokio::spawn(listener)));
        let endpoint = Mutex::new(Some(endpoint));
        Ok(Self { endpoint, address, shared, arrivals: Mutex::new(arrivals), stop, listener })
    }

    /// Returns the address in use, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next authenticated connection; none after `close`.
    pub async fn accept(&self) -> Option<Arrival> {
        self.arrivals.lock().await.recv().await
    }

    /// Ends all live connections of an identity at once.
    pub fn kick(&self, role: Role, name: &Name, code: CloseCode, reason: &str) {
        self.shared.live.end(&(role, name.clone()), code, reason);
    }

    /// Returns how many connections an identity has.
    pub fn connections(&self, role: Role, name: &Name) -> u32 {
        self.shared.live.count(&(role, name.clone()))
    }

    /// Says in one sentence what was refused lately (aggregated by address and reason); empty when
    /// nothing was.
    pub fn refused_lately(&self) -> String {
        self.shared.refusals.sentence()
    }

    /// Ends all connections with [`CloseCode::Shutdown`] and stops listening.
    pub async fn close(&self) {
        self.stop.send_replace(true);
        if let Some(listener) = self.listener.lock().await.take() {
            // Fails only when the listener panicked, and then nothing is left to end.
            let _ended = listener.await;
        }
        if let Some(endpoint) = self.endpoint.lock().await.take() {
            endpoint.close(CloseCode::Shutdown.wire(), b"");
            let _late = tokio::time::timeout(SHUTDOWN_TIMEOUT, endpoint.wait_idle()).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// Accepts until it is told to stop; then ends all connections.
async fn accept(
    endpoint: Endpoint,
    shared: Arc<Shared>,
    arrivals: mpsc::Sender<Arrival>,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let first = Instant::now() + RENEWAL_LOOK;
    let mut renewal = tokio::time::interval_at(first, RENEWAL_LOOK);
    loop {
        tokio::select! {
            incoming = endpoint.accept() => match incoming {
                Some(incoming) => admit(incoming, &shared, &arrivals, &mut connections),
                None => break,
            },
            Some(_) = connections.join_next() => {}
            _ = renewal.tick() => renew(&shared.authority),
            _ = stop.wait_for(|stop| *stop) => break,
        }
    }
    drop(arrivals);
    shared.live.end_all(CloseCode::Shutdown, "");
    let all = async { while connections.join_next().await.is_some() {} };
    let _late = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
    connections.shutdown().await;
    endpoint.close(CloseCode::Shutdown.wire(), b"");
}

fn renew(authority: &Authority) {
    if let Err(error) = authority.renew_master() {
        tracing::error!(%error, "the master's certificate could not be renewed");
    }
}

/// Sends an address its Retry; a validated one may begin its handshake within the limits.
fn admit(
    incoming: Incoming,
    shared: &Arc<Shared>,
    arrivals: &mpsc::Sender<Arrival>,
    connections: &mut JoinSet<()>,
) {
    if !incoming.remote_address_validated() {
        // Fails only for an address that was validated.
        let _validated = incoming.retry();
        return;
    }
    let from = canonical(incoming.remote_address()).ip();
    let joins = incoming.orig_dst_cid().starts_with(JOIN_TAG);
    let door = if joins { &shared.join_door } else { &shared.data_door };
    match door.enter(from) {
        Ok(permit) if joins => {
            connections.spawn(joining::serve(incoming, permit, shared.clone()));
        }
        Ok(permit) => {
            connections.spawn(arriving::serve(incoming, permit, shared.clone(), arrivals.clone()));
        }
        Err(denied) => {
            shared.refusals.note(from, denied.reason());
            incoming.refuse();
        }
    }
}
