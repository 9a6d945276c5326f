//! Peers with real identities and real connections that say what no honest program says.

use std::time::Duration;

use bytes::Bytes;
use ganger_net::client::{Caller, Connected, DialError, Dialer, join};
use ganger_net::frame::{FrameError, Inbox, encode};
use ganger_net::pki::identity::ClientIdentity;
use ganger_net::session::{Closed, Session};
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::gang::Allows;
use ganger_proto::message::{
    Hello, HelloBody, MINOR, OutputHeader, Report, ToWorker, WorkerHello, WorkerMessage,
    WorkerStream,
};
use ganger_proto::{
    Args, BatchOptions, Epoch, Key, Kind, LeaseId, Name, PerLane, SessionId, Spec, TaskId,
};
use serde::Serialize;
use tempfile::TempDir;

use crate::rig::{PATIENCE, Rig};

/// A runtime for peers. Its threads go on while a test waits for a command.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Fails instead of waiting for ever.
pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap()
}

/// An identity of its own.
pub struct Identity {
    pub known: ClientIdentity,
    _home: TempDir,
}

/// Joins with a role.
pub async fn identity(rig: &Rig, role: &str, name: &str) -> Identity {
    let line = rig.ok(&["invite", "--role", role, "--name", name]);
    let token = line.split_whitespace().find(|word| word.starts_with("ganger1")).unwrap();
    let home = TempDir::new().unwrap();
    let folder = home.path().join("identity");
    let known = join(&token.parse().unwrap(), None, &folder).await.unwrap();
    Identity { known, _home: home }
}

/// The master's own administrator.
pub async fn admin(rig: &Rig) -> Caller {
    let identity = ClientIdentity::load(&rig.home.path().join("client/admin")).unwrap();
    Caller::connect(&identity, &[rig.address()]).await.unwrap()
}

/// A worker that does as it is told, not as it should.
pub struct Liar {
    pub session: Session,
    pub inbox: Inbox,
    /// The master's life.
    pub epoch: Epoch,
    /// How many leases it presented that are not its own, as its welcome says.
    pub stale_at_welcome: u64,
    reports: u64,
}

/// A worker's hello with so many slots, all of them to be filled.
pub fn hello(session: u64, slots: u32) -> WorkerHello {
    let slots = PerLane { cpu: slots, io: 0 };
    WorkerHello {
        session: SessionId::new(session),
        slots,
        hold: slots,
        holding: Vec::new(),
        reported: 0,
        policy: "lies".to_owned(),
        allows: Allows::ALL,
        labels: Vec::new(),
        handlers: Vec::new(),
        resources: Vec::new(),
        draining: false,
    }
}

impl Liar {
    /// Connects with a hello.
    pub async fn dial(
        rig: &Rig,
        identity: &Identity,
        worker: WorkerHello,
    ) -> Result<Self, DialError> {
        Self::dial_as(rig, identity, "0.1.0", worker).await
    }

    /// As [`Liar::dial`], with another release.
    pub async fn dial_as(
        rig: &Rig,
        identity: &Identity,
        version: &str,
        worker: WorkerHello,
    ) -> Result<Self, DialError> {
        let body = HelloBody::Worker(worker);
        let hello = Hello { minor: MINOR, version: version.to_owned(), body };
        let dialler = Dialer::new(&identity.known)?;
        let dialled = in_time(dialler.dial(&[rig.address()], &hello)).await?;
        let Connected { session, inbox, welcome } = dialled;
        let stale_at_welcome = welcome.stale.iter().map(|run| u64::from(run.count)).sum();
        Ok(Self { session, inbox, epoch: welcome.epoch, stale_at_welcome, reports: 0 })
    }

    /// Sends a message.
    pub async fn says(&self, message: &WorkerMessage) {
        assert!(send(&self.session, message).await, "the connection has ended");
    }

    /// Sends a report with the next number.
    pub async fn reports(&mut self, mut report: Report) {
        self.reports += 1;
        report.number = self.reports;
        self.says(&WorkerMessage::Report(report)).await;
    }

    /// Waits for the next message.
    pub async fn hears(&mut self) -> ToWorker {
        in_time(self.inbox.next::<ToWorker>()).await.unwrap()
    }

    /// Waits until tasks are granted; returns their leases and tasks, one by one.
    pub async fn granted(&mut self) -> Vec<(LeaseId, TaskId)> {
        loop {
            if let ToWorker::Grant(grant) = self.hears().await {
                let each = |(first, task, count): (LeaseId, TaskId, u64)| {
                    (0..count).map(move |at| (first.plus(at), task.plus(at)))
                };
                let runs = grant.runs.iter().map(|run| (run.lease, run.task, run.args.count()));
                return runs.flat_map(each).collect();
            }
        }
    }

    /// Waits for an acknowledgement of all reports.
    pub async fn acknowledged(&mut self) {
        loop {
            if let ToWorker::Ack { report } = self.hears().await
                && report >= self.reports
            {
                return;
            }
        }
    }

    /// Waits until leases are called stale; returns how many.
    pub async fn stale(&mut self) -> u64 {
        loop {
            if let ToWorker::Stale { leases } = self.hears().await {
                return leases.iter().map(|run| u64::from(run.count)).sum();
            }
        }
    }

    /// Sends an output with a header that may lie about it; tells whether it was taken.
    pub async fn sends_output(&self, header: OutputHeader, bytes: &[u8]) -> bool {
        let stream = self.session.open_stream(&WorkerStream::Output(header)).await;
        let Ok(mut stream) = stream else { return false };
        let sent = in_time(stream.send_raw(Bytes::copy_from_slice(bytes))).await;
        sent.is_ok() && in_time(stream.arrived()).await.is_ok()
    }

    /// Waits until the master ends the connection.
    pub async fn sent_away(&mut self) -> Closed {
        let read = async {
            loop {
                if let Err(FrameError::Closed(closed)) = self.inbox.next::<ToWorker>().await {
                    return closed;
                }
            }
        };
        in_time(read).await
    }
}

/// Sends a message without asking whether it makes sense; tells whether the connection stands.
pub async fn send<T: Serialize>(to: &Session, message: &T) -> bool {
    to.outbox.send(encode(message).unwrap()).await.is_ok()
}

/// A submission of one part with a key of its own.
pub fn submission(kind: Kind, options: BatchOptions, args: Args) -> Submit {
    let head = Some(Box::new(SubmitHead { spec: Spec::of(kind), options }));
    Submit { key: Key::new(fastrand::u128(..)), part: 0, last: true, head, args }
}

/// Options of a queue.
pub fn in_queue(name: &str) -> BatchOptions {
    BatchOptions { queue: Name::from_lossy(name), ..BatchOptions::default() }
}

/// Returns the value below which 99 of 100 values lie.
pub fn p99(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() * 99).div_ceil(100) - 1]
}
