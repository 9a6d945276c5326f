//! How soon a revoked worker is gone, while it is granted tasks as fast as it answers them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use ganger_net::client::{Caller, Connected, Dialer, join};
use ganger_net::frame::{Inbox, Outbox, encode};
use ganger_net::pki::token::Token;
use ganger_proto::command::Invite;
use ganger_proto::gang::Allows;
use ganger_proto::message::{
    DoneRun, Grant, Hello, HelloBody, MINOR, Report, ToWorker, WorkerHello, WorkerMessage,
};
use ganger_proto::{ArgList, Name, PerLane, Reply, Request, Role, SessionId};

use super::super::figure::{Figure, Wanted};
use super::super::load::Load;
use super::super::rig::Rig;
use super::super::{Bench, percentile, seconds};

/// Workers that are revoked, one after the other.
const REVOKED: u32 = 10;
/// Tasks that wait for each.
const TASKS: u64 = 100_000;
/// How long each works before.
const WORKS: Duration = Duration::from_millis(300);
/// How long it is listened to after, when its connection does not end.
const LISTENS: Duration = Duration::from_secs(5);

/// Revokes workers under load; returns how long until they were gone, and what they still heard.
pub(super) async fn measure(bench: &Bench, rig: &Rig, caller: &Caller) -> Result<Vec<Figure>> {
    let (mut gone, mut late) = (Vec::new(), 0);
    for number in 0..REVOKED {
        let name = Name::from_lossy(&format!("revoked-{number}"));
        Load::squares(TASKS).submit(caller, &Name::from_lossy("revoked")).await?;
        let worker = Worker::begin(rig, caller, &name).await?;
        tokio::time::sleep(WORKS).await;
        let heard = worker.granted.load(Ordering::Relaxed);
        let began = bench.clock.micros();
        let (role, reason) = (Role::Worker, "measured".to_owned());
        caller.call(Request::Revoke { name, role, reason }).await?;
        worker.revoked.store(true, Ordering::Relaxed);
        if heard == 0 {
            bail!("the worker to be revoked was granted nothing: there was no load");
        }
        let end = tokio::time::timeout(LISTENS, worker.connected.closed()).await;
        gone.push(bench.clock.micros() - began);
        if end.is_err() {
            bail!("a revoked worker stayed connected");
        }
        late += worker.late.load(Ordering::Relaxed);
    }
    Ok(vec![
        Figure::new(
            "a revoked worker's connection ended after, longest",
            seconds(percentile(&mut gone, 100)),
            "s",
        )
        .wanted(Wanted::ceiling(1.0)),
        Figure::new("tasks that revoked workers got after the answer", late as f64, "")
            .wanted(Wanted::ceiling(0.0)),
    ])
}

/// A worker that answers each task at once, with nothing.
struct Worker {
    connected: ganger_net::session::Session,
    /// Set when the command that revokes it was answered.
    revoked: Arc<AtomicBool>,
    /// Tasks that it was granted, and those after that.
    granted: Arc<AtomicU64>,
    late: Arc<AtomicU64>,
}

impl Worker {
    async fn begin(rig: &Rig, caller: &Caller, name: &Name) -> Result<Self> {
        let invite = Invite {
            role: Role::Worker,
            name: Some(name.clone()),
            uses: 1,
            ttl_ms: 60_000,
            replaces: None,
            again: false,
        };
        let Reply::Invited { token, .. } = caller.call(Request::Invite(invite)).await? else {
            bail!("the master did not answer an invite with a token");
        };
        let token: Token = token.parse()?;
        let identity = join(&token, None, &rig.home().join(name.as_str())).await?;
        let slots = PerLane { cpu: 64, io: 0 };
        let body = HelloBody::Worker(WorkerHello {
            session: SessionId::new(fastrand::u64(..)),
            slots,
            hold: slots,
            holding: Vec::new(),
            reported: 0,
            policy: "measured".to_owned(),
            allows: Allows::ALL,
            labels: Vec::new(),
            handlers: Vec::new(),
            resources: Vec::new(),
            draining: false,
        });
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let dialler = Dialer::new(&identity)?;
        let hello = Hello { minor: MINOR, version, body };
        let Connected { session, inbox, .. } = dialler.dial(&[rig.address()?], &hello).await?;
        let worker = Self {
            connected: session.clone(),
            revoked: Arc::default(),
            granted: Arc::default(),
            late: Arc::default(),
        };
        let (revoked, granted, late) =
            (worker.revoked.clone(), worker.granted.clone(), worker.late.clone());
        // It ends with the connection.
        tokio::spawn(answer(inbox, session.outbox.clone(), move |grant| {
            let count: u64 = grant.runs.iter().map(|run| run.args.count()).sum();
            granted.fetch_add(count, Ordering::Relaxed);
            if revoked.load(Ordering::Relaxed) {
                late.fetch_add(count, Ordering::Relaxed);
            }
        }));
        Ok(worker)
    }
}

async fn answer(mut inbox: Inbox, to: Outbox, count: impl Fn(&Grant)) {
    let mut number = 0;
    while let Ok(message) = inbox.next::<ToWorker>().await {
        let ToWorker::Grant(grant) = message else { continue };
        count(&grant);
        number += 1;
        let done = grant.runs.iter().map(|run| {
            let tasks = usize::try_from(run.args.count()).unwrap_or_default();
            let results: ArgList = std::iter::repeat_n(&b""[..], tasks).collect();
            DoneRun { first: run.lease, took_us: vec![1; tasks], results }
        });
        let report = Report { number, done: done.collect(), ..Report::default() };
        let Ok(frame) = encode(&WorkerMessage::Report(report)) else { return };
        if to.send(frame).await.is_err() {
            return;
        }
    }
}
