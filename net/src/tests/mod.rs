//! Tests of whole connections over loopback, and what they share: a master with a clock that can be
//! turned, and certificates that no honest authority makes. Single parts are tested beside them.

mod abuse;
mod asking;
mod joining;
mod limits;
mod lives;
mod matrix;
mod outputs;
mod relay;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ganger_proto::command::Invite;
use ganger_proto::message::{Hello, HelloBody, MINOR, Welcome, WorkerHello};
use ganger_proto::{Actor, Epoch, Name, PerLane, Role, SessionId, WallMs};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::WallClock;
use crate::client::Dialer;
use crate::client::{Connected, DialError};
use crate::frame::encode;
use crate::limits::Bounds;
use crate::pki::authority::Authority;
use crate::pki::certificate::Subject;
use crate::pki::identity::{ClientIdentity, Material};
use crate::pki::token::Token;
use crate::server::{Arrival, Server};

/// Longer than anything here takes; a test that waits so long has failed.
const LONG: Duration = Duration::from_secs(20);

/// A master that welcomes everyone who arrives.
struct Rig {
    home: tempfile::TempDir,
    authority: Arc<Authority>,
    server: Arc<Server>,
    turned_ms: Arc<AtomicI64>,
    arrivals: mpsc::Receiver<Arrival>,
    welcoming: tokio::task::JoinHandle<()>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.welcoming.abort();
    }
}

fn clock(turned_ms: Arc<AtomicI64>) -> WallClock {
    Arc::new(move || {
        let now_ms = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        let now_ms = i64::try_from(now_ms).unwrap() + turned_ms.load(Ordering::Relaxed);
        WallMs(u64::try_from(now_ms).unwrap())
    })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn admin() -> Actor {
    Actor { role: Role::Operator, name: name("admin"), admin: true }
}

fn actor(role: Role, who: &str) -> Actor {
    Actor { role, name: name(who), admin: false }
}

impl Rig {
    fn start() -> Self {
        Self::start_with(Bounds::default())
    }

    fn start_with(bounds: Bounds) -> Self {
        let home = tempfile::tempdir().unwrap();
        let turned_ms = Arc::new(AtomicI64::new(0));
        let authority = open(home.path(), &turned_ms);
        let server = Server::bind_with(loopback(0), authority.clone(), bounds).unwrap();
        Self::over(home, turned_ms, authority, Arc::new(server))
    }

    fn over(
        home: tempfile::TempDir,
        turned_ms: Arc<AtomicI64>,
        authority: Arc<Authority>,
        server: Arc<Server>,
    ) -> Self {
        // Full: the test takes too few arrivals, and later ones wait.
        let (arrive, arrivals) = mpsc::channel(64);
        let (welcomer, master) = (server.clone(), authority.clone());
        let welcoming = tokio::spawn(async move {
            while let Some(arrival) = welcomer.accept().await {
                let welcome = welcome(&master, &arrival.peer.actor);
                let _ended = arrival.session.outbox.send(encode(&welcome).unwrap()).await;
                if arrive.send(arrival).await.is_err() {
                    return;
                }
            }
        });
        Self { home, authority, server, turned_ms, arrivals, welcoming }
    }

    fn address(&self) -> String {
        self.server.local_addr().to_string()
    }

    fn addresses(&self) -> [String; 1] {
        [self.address()]
    }

    fn dir(&self, of: &str) -> PathBuf {
        self.home.path().join("identities").join(of)
    }

    fn turn(&self, ms: i64) {
        self.turned_ms.store(ms, Ordering::Relaxed);
    }

    /// An identity that the registry knows.
    fn issue(&self, role: Role, who: &str) -> ClientIdentity {
        let dir = self.dir(&format!("{role}-{who}"));
        self.authority.issue_local(&dir, &actor(role, who), &self.addresses()).unwrap()
    }

    /// A certificate of our authority that says what it should not, or that the registry never saw.
    fn odd(
        &self,
        subject: Subject,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> ClientIdentity {
        let ca = self.authority.ca();
        let mut params = ca.leaf(subject, &name("odd"), self.authority.now());
        change(&mut params);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = ca.sign(params, &key).unwrap();
        self.shown(&key, certificate)
    }

    /// What is dialled with, whatever it says.
    fn shown(
        &self,
        key: &rcgen::KeyPair,
        certificate: rustls::pki_types::CertificateDer<'static>,
    ) -> ClientIdentity {
        ClientIdentity {
            cluster: self.authority.cluster().clone(),
            role: Role::Worker,
            name: name("odd"),
            addresses: self.addresses().to_vec(),
            certificate_ends: WallMs(0),
            renews_at: WallMs(u64::MAX),
            dir: self.dir("odd"),
            material: Arc::new(Material {
                key: Zeroizing::new(key.serialize_der()),
                certificate,
                authorities: self.authority.trusted(),
            }),
        }
    }

    async fn dial(&self, identity: &ClientIdentity) -> Result<Connected, DialError> {
        let hello =
            hello(if identity.role == Role::Worker { worker(2) } else { HelloBody::Client });
        self.dial_with(identity, &hello).await
    }

    async fn dial_with(
        &self,
        identity: &ClientIdentity,
        hello: &Hello,
    ) -> Result<Connected, DialError> {
        let dialler = Dialer::new(identity)?;
        tokio::time::timeout(LONG, dialler.dial(&self.addresses(), hello)).await.unwrap()
    }

    async fn arrival(&mut self) -> Arrival {
        tokio::time::timeout(LONG, self.arrivals.recv()).await.unwrap().unwrap()
    }

    fn invite(&self, change: impl FnOnce(&mut Invite)) -> Token {
        let mut invite = an_invite();
        change(&mut invite);
        self.authority.invite(&invite, &admin(), &self.addresses()).unwrap().token
    }
}

/// An invite for a worker that chooses its name.
fn an_invite() -> Invite {
    Invite {
        role: Role::Worker,
        name: None,
        uses: 1,
        ttl_ms: 3_600_000,
        replaces: None,
        again: false,
    }
}

fn open(home: &Path, turned_ms: &Arc<AtomicI64>) -> Arc<Authority> {
    let trust = home.join("trust");
    Arc::new(Authority::open(&trust, "Host.local", clock(turned_ms.clone())).unwrap())
}

fn welcome(master: &Authority, you: &Actor) -> Welcome {
    Welcome {
        minor: 1,
        version: "test".to_owned(),
        cluster: master.cluster().clone(),
        epoch: Epoch::new(1),
        started: WallMs(0),
        now: master.now(),
        you: you.clone(),
        term_ms: 15_000,
        beat_ms: 1_000,
        renew: false,
        stale: Vec::new(),
        acknowledged: 0,
    }
}

fn hello(body: HelloBody) -> Hello {
    Hello { minor: MINOR, version: "test".to_owned(), body }
}

fn worker(slots: u32) -> HelloBody {
    HelloBody::Worker(WorkerHello {
        session: SessionId::new(1),
        slots: PerLane { cpu: slots, io: 0 },
        hold: PerLane { cpu: slots, io: 0 },
        holding: Vec::new(),
        reported: 0,
        policy: String::new(),
        allows: ganger_proto::gang::Allows::ALL,
        labels: Vec::new(),
        handlers: Vec::new(),
        resources: Vec::new(),
        draining: false,
    })
}

/// Waits until the master's word about refusals says this.
async fn refused(server: &Server, what: &str) {
    let said = async {
        while !server.refused_lately().contains(what) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let said = tokio::time::timeout(LONG, said).await;
    assert!(said.is_ok(), "{what} is not in: {}", server.refused_lately());
}

/// Listens again on a port that was just closed.
async fn rebind(address: SocketAddr, authority: &Arc<Authority>) -> Server {
    let bound = async {
        loop {
            match Server::bind(address, authority.clone()) {
                Ok(server) => return server,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::time::timeout(LONG, bound).await.unwrap()
}

/// Fails instead of waiting for ever.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.unwrap()
}
