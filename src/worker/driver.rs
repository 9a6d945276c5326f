//! The worker's loop: waits for one input, takes what else is there, feeds the core, does what it
//! says. Decides nothing; see core.rs.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ganger_net::CloseCode;
use ganger_net::pki::identity::ClientIdentity;
use ganger_net::session::Session;
use ganger_proto::follow::Piece;
use ganger_proto::message::{
    GrantRun, LeaseRun, LiveHeader, Load, OutputHeader, ToWorker, WorkerMessage, WorkerStream,
};
use ganger_proto::{LeaseId, SessionId};
use rustix::process::{geteuid, getpid, set_child_subreaper};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::core::{Attempt, Effect, GIVE_TASKS_MAX, Offers, Present, Start, WorkerCore};
use super::group::{Groups, OwnGroup};
use super::home::Home;
use super::inline;
use super::link::{self, Input, Link, Turn};
use super::policy::{Permission, Policy};
use super::prepare::Ground;
use super::process::LoadMeter;
use super::send::Sending;
use super::slot::{self, Shared, SlotEnd, SlotOrder};
use super::{WorkerError, WorkerOptions, resources_of, slots_of, spool};
use crate::clock::Clock;

/// A running worker.
pub(super) struct Driver {
    core: WorkerCore,
    link: Link,
    clock: Clock,
    /// Full when the driver is busy: then slots and the reader of the connection wait.
    inputs: mpsc::Receiver<Input>,
    ends: mpsc::Sender<SlotEnd>,
    ended: mpsc::Receiver<SlotEnd>,
    /// Those that ever ran something, by their number.
    slots: BTreeMap<u32, Slot>,
    shared: Arc<Shared>,
    load: LoadMeter,
    /// Outputs on their way, kept and followed, and scratch directories being removed.
    chores: JoinSet<()>,
    terminate: Signal,
    interrupt: Signal,
    asked_to_end: u32,
    present: Present,
    /// Taken away with this, when no launcher lives any more.
    _groups: Option<Groups>,
    /// Locked as long as this lives.
    _home: Home,
}

struct Slot {
    orders: mpsc::Sender<SlotOrder>,
    task: JoinHandle<()>,
}

const INPUTS: usize = 64;
/// A slot has one order at a time, and each of its tasks may be told to stop more than once.
const ORDERS: usize = 8 + GIVE_TASKS_MAX as usize;
/// Pieces of a followed output on their way from a launcher to the network. When the network is
/// slow no more are asked for, and the launcher keeps what it can.
const PIECES: usize = 2;
/// Inputs taken in one turn.
const TURN_MAX: usize = 256;

/// Whether the worker goes on.
#[derive(PartialEq, Eq)]
enum Next {
    Go,
    End,
}

impl Driver {
    /// Checks, locks and prepares everything; dials nothing yet.
    pub(super) fn begin(options: WorkerOptions) -> Result<Self, WorkerError> {
        let WorkerOptions { home, addresses, policy, socket, clock, launcher } = options;
        if geteuid().is_root() && policy.root == Permission::Refused {
            return Err(WorkerError::Root);
        }
        let identity = ClientIdentity::load(&home)?;
        let home = Home::open(&home)?;
        let system = |what| move |source| WorkerError::System { what, source };
        // Orphans of a launcher that was killed come to this process, which then kills them.
        set_child_subreaper(Some(getpid()))
            .map_err(io::Error::from)
            .map_err(system("become a child subreaper"))?;
        let listen = |kind| signal(kind).map_err(system("listen for signals"));
        let (to_driver, inputs) = mpsc::channel(INPUTS);
        let addresses = if addresses.is_empty() { identity.addresses.clone() } else { addresses };
        let link = Link::new(socket, identity.clone(), addresses, to_driver)?;
        let offers = Offers {
            slots: slots_of(&policy),
            handlers: policy.offers(),
            resources: resources_of(&policy),
            caps: policy.caps,
        };
        let (ends, ended) = mpsc::channel(INPUTS);
        let (groups, unheld) = groups(&identity, &policy, &home);
        let present = Present {
            policy: format!("{policy}{unheld}"),
            allows: policy.allows(),
            labels: policy.labels.clone(),
        };
        let shared = Arc::new(Shared {
            ground: Ground {
                groups: groups.as_ref().map(|groups| groups.folder().to_owned()),
                ..Ground::new(identity.name, policy, home.run_dir().to_owned())
            },
            nursery: home.nursery(),
            launcher,
            clock: clock.clone(),
            patience: slot::PATIENCE,
        });
        Ok(Self {
            core: WorkerCore::new(SessionId::new(fastrand::u64(1..)), offers),
            link,
            clock,
            inputs,
            ends,
            ended,
            slots: BTreeMap::new(),
            shared,
            load: LoadMeter::default(),
            chores: JoinSet::new(),
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            asked_to_end: 0,
            present,
            _groups: groups,
            _home: home,
        })
    }

    /// Runs until the worker is told to end, or is refused for good. Whatever runs then is killed.
    pub(super) async fn run(mut self) -> Result<(), WorkerError> {
        let result = self.serve().await;
        // A slot that waits to hand over an end must not wait for ever.
        self.ended.close();
        for Slot { orders, task } in std::mem::take(&mut self.slots).into_values() {
            drop(orders);
            let _ended = task.await;
        }
        self.link.close(CloseCode::Done, "the worker ends");
        while self.chores.join_next().await.is_some() {}
        result
    }

    async fn serve(&mut self) -> Result<(), WorkerError> {
        loop {
            if self.turn().await? == Next::End {
                return Ok(());
            }
            for _ in 0..TURN_MAX {
                if let Ok(end) = self.ended.try_recv() {
                    self.ended(end);
                } else if let Ok(input) = self.inputs.try_recv() {
                    self.take(input)?;
                } else {
                    break;
                }
            }
            self.core.handle_time(self.clock.micros());
            self.act();
            while self.chores.try_join_next().is_some() {}
            if self.core.is_finished() {
                return Ok(());
            }
        }
    }

    /// Waits for one thing and takes it in.
    async fn turn(&mut self) -> Result<Next, WorkerError> {
        let now_us = self.clock.micros();
        let wake = self.core.wake_at_us().map(|at| at.saturating_sub(now_us));
        let timer = async {
            match wake {
                Some(us) => tokio::time::sleep(Duration::from_micros(us)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(end) = self.ended.recv() => self.ended(end),
            Some(input) = self.inputs.recv() => self.take(input)?,
            turn = self.link.turn() => match turn {
                Turn::Dial => self.link.dial(self.core.hello(self.present.clone())),
                Turn::Sent => {}
            },
            () = timer => {}
            _ = self.terminate.recv() => return Ok(self.asked_to_end()),
            _ = self.interrupt.recv() => return Ok(self.asked_to_end()),
        }
        Ok(Next::Go)
    }

    fn ended(&mut self, end: SlotEnd) {
        let now_us = self.clock.micros();
        match end {
            SlotEnd::Child(end) => self.core.handle_ended(now_us, *end),
            SlotEnd::Warm(ends) => self.core.handle_warm(now_us, ends),
        }
    }

    fn asked_to_end(&mut self) -> Next {
        self.asked_to_end += 1;
        if self.asked_to_end > 1 {
            tracing::warn!("asked twice to end; what runs is killed");
            return Next::End;
        }
        tracing::info!("asked to end; what runs is finished first");
        self.core.handle_drain();
        Next::Go
    }

    fn take(&mut self, input: Input) -> Result<(), WorkerError> {
        let now_us = self.clock.micros();
        match input {
            Input::Dialled(Ok(connected)) => {
                tracing::info!(cluster = %connected.welcome.cluster, "connected to the master");
                self.core.handle_round_trip(micros(connected.session.rtt()));
                self.core.handle_welcome(now_us, &connected.welcome);
                self.link.begin(*connected);
            }
            Input::Dialled(Err(error)) => self.link.not_dialled(error)?,
            Input::Heard(number, message) => {
                if self.link.is_present(number) {
                    if let ToWorker::Renew { within_ms } = message {
                        self.link.renew_within(Duration::from_millis(within_ms.into()));
                    }
                    self.core.handle_message(now_us, message);
                }
            }
            Input::Lost(number, error) => {
                if self.link.lost(number, error)? == link::Present::Yes {
                    self.core.handle_link_lost();
                }
            }
            Input::Renewed(identity) => self.link.renewed(*identity)?,
        }
        Ok(())
    }

    /// Does what the core says until it says nothing more.
    fn act(&mut self) {
        loop {
            let effects = self.core.drain(self.clock.micros());
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Start(start) => self.start(start),
                    Effect::Stop(at) => self.tell(at, SlotOrder::Stop(at.lease)),
                    Effect::Kill(at) => self.tell(at, SlotOrder::Kill(at.lease)),
                    Effect::Square(run) => self.square(&run),
                    Effect::Send(message) => self.link.send(&message),
                    Effect::SendOutput(header, bytes) => self.send_output(header, &bytes),
                    Effect::Follow(at, header) => self.follow(at, header),
                    Effect::Unfollow(at) => self.tell(at, SlotOrder::Unfollow(at.lease)),
                    Effect::Beat(running) => self.beat(running),
                    Effect::Clean(lease) => self.clean(lease),
                    Effect::Rest => self.rest(),
                }
            }
        }
    }

    fn start(&mut self, start: Box<Start>) {
        let (number, shared, ends) = (start.at.slot, &self.shared, &self.ends);
        let slot = self.slots.entry(number).or_insert_with(|| {
            let (orders, inbox) = mpsc::channel(ORDERS);
            let served = slot::serve(number, Arc::clone(shared), inbox, ends.clone());
            Slot { orders, task: tokio::spawn(served) }
        });
        // A slot whose last end was taken waits for orders, so there is room.
        if slot.orders.try_send(SlotOrder::Run(start)).is_err() {
            tracing::error!(slot = number, "a free slot takes no order");
        }
    }

    fn tell(&self, at: Attempt, order: SlotOrder) {
        if let Some(slot) = self.slots.get(&at.slot)
            && slot.orders.try_send(order).is_err()
        {
            // Full means that it was told before, or that its end is on its way.
            tracing::debug!(lease = %at.lease, "a slot is not told again to stop");
        }
    }

    fn rest(&self) {
        for slot in self.slots.values() {
            // Full means that it is busy with a cancel; its handlers then end with the worker.
            let _full = slot.orders.try_send(SlotOrder::Rest);
        }
    }

    fn square(&mut self, run: &GrantRun) {
        let count = u32::try_from(run.args.count()).expect("the core cuts squares to pieces");
        let began_us = self.clock.micros();
        let mut squares = inline::squares(run);
        let now_us = self.clock.micros();
        let each_us = (now_us - began_us) / u64::from(count.max(1));
        squares.set_took_us(u32::try_from(each_us).unwrap_or(u32::MAX));
        self.core.handle_squares(now_us, LeaseRun { first: run.lease, count }, squares);
    }

    fn send_output(&mut self, header: OutputHeader, bytes: &Arc<Vec<u8>>) {
        let Some(session) = self.link.session().cloned() else { return };
        let (run_dir, bytes) = (self.shared.ground.run_dir.clone(), Arc::downgrade(bytes));
        self.chores.spawn(Sending { session, run_dir, header, bytes }.run());
    }

    fn follow(&mut self, at: Attempt, header: LiveHeader) {
        let Some(session) = self.link.session().cloned() else { return };
        let (to, pieces) = mpsc::channel(PIECES);
        self.chores.spawn(upload(session, header, pieces));
        self.tell(at, SlotOrder::Follow(at.lease, to));
    }

    fn beat(&mut self, running: u32) {
        if let Some(session) = self.link.session() {
            self.core.handle_round_trip(micros(session.rtt()));
        }
        let (cpu_permille, memory_permille) = self.load.read();
        let clock = self.clock.wall();
        let load = Load { cpu_permille, memory_permille, running, clock };
        self.link.send(&WorkerMessage::Heartbeat { load });
    }

    fn clean(&mut self, lease: LeaseId) {
        let path = self.shared.ground.scratch(lease);
        let run_dir = self.shared.ground.run_dir.clone();
        self.chores.spawn_blocking(move || {
            if let Err(error) = spool::remove(&run_dir, lease) {
                tracing::warn!(%lease, %error, "the file of an output stays");
            }
            // An attempt that did not start has none.
            if let Err(error) = super::home::remove_tree(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "a scratch directory stays");
            }
        });
    }
}

/// Sends pieces as they come, until the attempt ends or nobody follows it.
async fn upload(session: Session, header: LiveHeader, mut pieces: mpsc::Receiver<Piece>) {
    let Ok(mut stream) = session.open_stream(&WorkerStream::Live(header)).await else { return };
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            () = stream.unwanted() => return,
        };
        match piece {
            Some(piece) => {
                if stream.send(&piece).await.is_err() {
                    return;
                }
            }
            None => return stream.finish(),
        }
    }
}

/// Makes the groups that the caps need; where there are none, says so for the policy's line.
fn groups(identity: &ClientIdentity, policy: &Policy, home: &Home) -> (Option<Groups>, String) {
    let needs = policy.caps.controllers();
    if needs.is_empty() {
        return (None, String::new());
    }
    let name = format!("{}-{:x}", identity.name, home.number());
    match Groups::begin(OwnGroup::find(), &name, &needs) {
        Ok(groups) => (Some(groups), String::new()),
        Err(error) => {
            let names = needs.join(", ");
            tracing::warn!(%error, %names, "caps of worker.toml do not hold");
            (None, format!(" (not held: {names}; see `ganger doctor`)"))
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
