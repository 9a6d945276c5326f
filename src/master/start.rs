//! Starting a master: folders, store, recovery, certificates, port, local worker; then the loop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ganger_net::pki::authority::{Authority, AuthorityError};
use ganger_net::server::{BindError, Server};
use ganger_proto::{Actor, Name, Role};

use super::bodies::Bodies;
use super::ends::Ends;
use super::follow::Follows;
use super::inbox::{Incoming, Mailbox, accept};
use super::outputs::Longs;
use super::recover::recover;
use super::sessions::{Clients, Workers};
use super::{Facts, Master, Phase, Tail};
use crate::clock::Clock;
use crate::config::{self, ConfigError, MasterFile};
use crate::engine::input::Input;
use crate::engine::{Engine, Settings};
use crate::logs::Ring;
use crate::store::{
    BLOCK_CACHE_BYTES_MAX, BlockCache, FencedLog, Holder, KeepLog, MemoryLog, OpenError, SqliteLog,
    Writer,
};

/// The ports that a master tries when it is not told one and remembers none.
const PORTS: std::ops::RangeInclusive<u16> = 7433..=7499;

/// Where the journal is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreChoice {
    /// In an SQLite file.
    Sqlite(PathBuf),
    /// In memory: lost with the process.
    Memory,
}

/// What a master is started with.
#[derive(Clone, Debug)]
pub struct MasterOptions {
    /// The home folder.
    pub home: PathBuf,
    /// Where to listen; the remembered port, or the first free one of 7433–7499, when not said.
    pub listen: Option<SocketAddr>,
    /// `host:port` or `host` that join tokens name; this host's name when empty.
    pub advertise: Vec<String>,
    /// Where the journal is kept.
    pub store: StoreChoice,
    /// How much of the journal is kept beside what a restart needs.
    pub keep_log: KeepLog,
    /// Slots of the local worker: none starts one with as many as there are cores, 0 starts none.
    pub local_worker_slots: Option<u32>,
    /// The machine's clocks.
    pub clock: Clock,
    /// Recent log lines.
    pub log_ring: Ring,
}

/// A master cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    /// The home folder cannot be used.
    #[error("{0}")]
    Home(String),
    /// A file of the home cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The certificates cannot be used.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The port cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A write failed, or another master took over: nothing false was said.
    #[error("{0}; the master stops so that nothing is acknowledged that is not durable")]
    Store(String),
    /// The system refuses a thread, a signal handler or a file.
    #[error("the system refuses")]
    System(#[from] std::io::Error),
}

/// Runs a master until it is told to stop by a request, SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or its store fails.
pub async fn run(options: MasterOptions) -> Result<(), MasterError> {
    crate::heap::keep_free();
    let clock = options.clock.clone();
    make_home(&options.home)?;
    let host = config::host_name();
    let cache = BlockCache::new(BLOCK_CACHE_BYTES_MAX);
    let opened = open_store(&options, &host)?;
    let authority = Authority::open(&options.home.join("trust"), &host, clock.as_wall_clock())?;
    let authority = Arc::new(authority);
    let server = Arc::new(bind(&options, authority.clone())?);
    let address = server.local_addr();
    remember(&options.home, address, &authority)?;
    let advertise = advertised(&options.advertise, address, &host);
    admin(&options.home, &authority, address)?;
    let (mailbox, mail) = Mailbox::new();
    let mut engine = opened.engine;
    engine.handle(clock.now(), Input::Began { epoch: opened.term.epoch });
    let (cpu, newest) = (Arc::new(AtomicU32::new(0)), opened.term.last);
    let mut master = Master {
        bodies: Bodies::start(opened.reader, cache.clone(), cpu.clone())?,
        cache,
        longs: Longs::new(opened.writer.parts(), mailbox.clone()),
        writer: opened.writer,
        engine,
        authority,
        server: server.clone(),
        mail,
        workers: Workers::default(),
        clients: Clients::default(),
        hunts: super::searches::Hunts::default(),
        follows: Follows::new(mailbox.clone()),
        ends: Ends::default(),
        held: super::held::Held::default(),
        newest,
        outputs: Vec::new(),
        tail: Tail::default(),
        facts: facts(&options, address, advertise),
        phase: Phase::Serving,
        pulse_ms: 0,
        second_ms: 0,
        admin_ms: 0,
        loads_ms: 0,
        full_retry_ms: 0,
        log: options.log_ring,
        clock,
    };
    let accepting = tokio::spawn(accept(server, mailbox.clone()));
    let signals = tokio::spawn(signals(mailbox));
    let measuring = tokio::spawn(measure(cpu));
    start_local(&mut master, options.local_worker_slots);
    tracing::info!(%address, cluster = %master.authority.cluster(), "the master serves");
    let result = master.serve().await;
    master.finish().await;
    accepting.abort();
    signals.abort();
    measuring.abort();
    result
}

fn facts(options: &MasterOptions, address: SocketAddr, advertise: Vec<String>) -> Facts {
    let (home, started) = (options.home.clone(), options.clock.wall());
    Facts { home, address, advertise, started, trouble: String::new() }
}

/// A store that was opened, and what was in it.
struct Opened {
    engine: Engine,
    term: crate::store::Term,
    writer: Writer,
    reader: Box<dyn crate::store::BodyReader>,
}

fn open_store(options: &MasterOptions, host: &str) -> Result<Opened, MasterError> {
    let mut log: Box<dyn FencedLog> = match &options.store {
        StoreChoice::Sqlite(path) => {
            Box::new(SqliteLog::new(path).with_room().with_keep_log(options.keep_log))
        }
        StoreChoice::Memory => Box::new(MemoryLog::new()),
    };
    let me = Holder { pid: std::process::id(), host: host.to_owned() };
    let began = options.clock.now();
    let term = log.acquire(&me, began.wall)?;
    let recovered = recover(log.as_mut(), &term)?;
    let took_ms = options.clock.now().mono_ms - began.mono_ms;
    let tasks = recovered.ledger.tally.open() + recovered.ledger.tally.ended();
    tracing::info!(batches = recovered.batches, tasks, took_ms, "the journal was replayed");
    let seed = u64::from(term.epoch.raw()) ^ (began.wall.0 << 20) ^ u64::from(me.pid);
    let engine = Engine::with_ledger(Settings { seed, ..Settings::default() }, recovered.ledger);
    let reader = log.reader()?;
    let writer = Writer::spawn(log, term, options.clock.clone())?;
    Ok(Opened { engine, term, writer, reader })
}

fn make_home(path: &Path) -> Result<(), MasterError> {
    let shown = path.display();
    let refused = |why: String| MasterError::Home(format!("cannot use the home {shown}: {why}"));
    config::make_folder(path)?;
    let facts = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?;
    let (owner, user) = (facts.uid(), rustix::process::getuid().as_raw());
    if owner != user {
        let why = format!(
            "it belongs to user {owner}, not to user {user} who runs this; \
             choose your own with --home"
        );
        return Err(refused(why));
    }
    Ok(())
}

/// Listens where it was told, else on the remembered port, else on the first free one.
fn bind(options: &MasterOptions, authority: Arc<Authority>) -> Result<Server, BindError> {
    if let Some(address) = options.listen {
        return Server::bind(address, authority);
    }
    let remembered = std::fs::read_to_string(port_path(&options.home)).ok();
    let remembered = remembered.and_then(|text| text.trim().parse::<u16>().ok());
    let mut refused = None;
    for port in remembered.into_iter().chain(PORTS) {
        for host in [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)] {
            match Server::bind(SocketAddr::new(host, port), authority.clone()) {
                Ok(server) => return Ok(server),
                Err(error @ BindError::InUse { .. }) => {
                    refused = Some(error);
                    break;
                }
                Err(error) => refused = Some(error),
            }
        }
    }
    Err(refused.expect("at least one port was tried"))
}

/// Leaves word of where the master is, and keeps its port for the next one.
fn remember(home: &Path, address: SocketAddr, authority: &Authority) -> Result<(), MasterError> {
    config::replace_file(&port_path(home), address.port().to_string().as_bytes())?;
    let file = MasterFile::of_this_process(address, authority.cluster().as_str());
    Ok(file.write(home)?)
}

/// Removes `master.json`, when the master stops in peace.
pub(super) fn forget(home: &Path) {
    if let Err(error) = std::fs::remove_file(home.join("master.json")) {
        tracing::warn!(%error, "master.json could not be removed");
    }
}

fn port_path(home: &Path) -> PathBuf {
    home.join("port")
}

/// Renews the home's own administrator, so that nobody is locked out of their own master.
pub(super) fn admin(
    home: &Path,
    authority: &Authority,
    address: SocketAddr,
) -> Result<(), MasterError> {
    let name = Name::from_lossy("admin");
    let actor = Actor { role: Role::Operator, name, admin: true };
    let addresses = [loopback(address).to_string()];
    authority.issue_local(&home.join("client").join("admin"), &actor, &addresses)?;
    Ok(())
}

/// Returns where this host reaches a listening address.
pub(super) fn loopback(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
        }
        IpAddr::V4(_) | IpAddr::V6(_) => address,
    }
}

/// Returns what join tokens name: what was asked for, else this host's name and outward address.
fn advertised(asked: &[String], listening: SocketAddr, host: &str) -> Vec<String> {
    let port = listening.port();
    if !asked.is_empty() {
        let with_port = |host: &String| {
            let has = host.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok());
            if has { host.clone() } else { format!("{host}:{port}") }
        };
        return asked.iter().map(with_port).collect();
    }
    if listening.ip().is_loopback() {
        return vec![listening.to_string()];
    }
    let mut addresses = Vec::new();
    if let Some(ip) = outward_address() {
        addresses.push(SocketAddr::new(ip, port).to_string());
    }
    addresses.push(format!("{host}:{port}"));
    addresses.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port).to_string());
    addresses
}

/// Returns the address that this host would send from; connecting a UDP socket sends nothing.
fn outward_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

fn start_local(master: &mut Master, slots: Option<u32>) {
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get() as u32);
    let slots = slots.unwrap_or(cores);
    if slots == 0 || super::local::is_running(&super::local::folder(&master.facts.home)) {
        return;
    }
    if let Err(refusal) = master.start_local_worker(slots) {
        tracing::error!(%refusal, "there is no local worker");
    }
}

async fn signals(mail: Mailbox) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be heard; stop this master with `ganger stop`");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    mail.put(Incoming::Stop).await;
}

/// Measures the process's use of processors, once a second.
async fn measure(cpu_permille: Arc<AtomicU32>) {
    let mut turns = tokio::time::interval(Duration::from_secs(1));
    let mut before = cpu_ms();
    loop {
        turns.tick().await;
        let now = cpu_ms();
        let used = u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX);
        cpu_permille.store(used, Ordering::Relaxed);
        before = now;
    }
}

/// Returns the processor time of this process in milliseconds: user and system ticks of
/// `/proc/self/stat` (proc(5), fields 14 and 15), of 10 ms each on Linux.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = |at: usize| -> u64 {
        fields.split(' ').nth(at).and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    (ticks(11) + ticks(12)) * 10
}
