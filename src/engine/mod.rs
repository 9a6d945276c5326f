//! PURE: what may happen to a task. Knows no socket, disk, clock or thread; time is an argument and
//! randomness comes from a seed.
//!
//! [`Engine::handle`] decides about one input: it reads the [`ledger::Ledger`], makes events,
//! applies them at once, and notes effects. [`Engine::drain`] gives work to workers with room and
//! hands out what a turn gave: events first, to be made durable, then effects.
//! The life of a task is drawn in task.rs.

mod after;
pub mod apply;
pub mod audit;
pub mod batch;
mod bulk;
pub mod class;
mod close;
pub mod deed;
mod encode;
pub mod event;
pub mod filter;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gang;
pub mod index;
pub mod input;
pub mod ledger;
mod pace;
pub mod picture;
mod pulse;
pub mod query;
pub mod queue;
mod rebalance;
mod record;
mod remove;
pub mod results;
pub mod retry;
pub mod roster;
pub mod runs;
mod schedule;
pub mod search;
mod sessions;
mod short;
mod sieve;
pub mod snapshot;
mod sorted;
mod sound;
pub mod span;
mod stored;
mod submit;
pub mod table;
pub mod task;
mod timers;
mod why;
pub mod window;
mod workers;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ganger_proto::gang::Moment;
use ganger_proto::{Actor, LeaseId, Refusal, Reply, Request, SessionId, TaskId, WorkerId};

use crate::bug::{self, Bug};
use crate::clock::Now;
use deed::Deed;
use event::Event;
use input::{Effect, Input, Output};
use ledger::{Ledger, Noticed};
use pace::{Again, Pace};
use pulse::Pulse;
use rebalance::Asked;
use roster::{Gone, Live};
use runs::IdSet;
use sessions::by_worker;
use short::Short;

/// How long anybody has to read the results of a batch, in milliseconds.
const KEEP_LEAST_MS: u64 = 60_000;

/// Settings of the engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a silent session keeps its leases, in milliseconds.
    pub term_ms: u64,
    /// How long a timed-out attempt may go on before the master stops waiting for its worker, in
    /// milliseconds.
    pub timeout_slack_ms: u64,
    /// How long ended batches are kept, in milliseconds.
    pub keep_done_ms: u64,
    /// How long batches with failed tasks are kept, in milliseconds.
    pub keep_failed_ms: u64,
    /// How long ended batches are kept, in milliseconds, though there are more than `keep_tasks`:
    /// as long as they have not half of all tasks that may be here.
    pub keep_least_ms: u64,
    /// Tasks of ended batches kept at most; whole batches go, the oldest first.
    pub keep_tasks: u64,
    /// Tasks kept in all.
    pub tasks_max: u64,
    /// Memory that batches and their arguments take at most, in bytes, about.
    pub bytes_max: u64,
    /// The seed of the generator that draws waits.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
        Self {
            term_ms: 10_000,
            timeout_slack_ms: 20_000,
            keep_done_ms: DAY_MS,
            keep_failed_ms: 7 * DAY_MS,
            keep_least_ms: KEEP_LEAST_MS,
            keep_tasks: 10_000_000,
            tasks_max: ganger_proto::limits::TASKS_MAX,
            bytes_max: 8 << 30,
            seed: 0,
        }
    }
}

/// The queue, its leases, its rules.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    ledger: Ledger,
    soft: Soft,
    out: Output,
}

/// What the engine knows and the journal does not keep.
#[derive(Debug)]
struct Soft {
    rng: fastrand::Rng,
    /// Sessions that were heard in this life, and those of the journal that may come back.
    live: BTreeMap<SessionId, Live>,
    /// The sessions of each worker that the journal knows; most have one.
    sessions_of: BTreeMap<WorkerId, Vec<SessionId>>,
    /// Counts what may change what a search finds.
    changes: u64,
    /// Tasks that have started, as their workers said.
    running: IdSet,
    /// Sessions with room, in turn.
    hungry: VecDeque<SessionId>,
    /// The queue whose turn it is.
    queue_turn: usize,
    /// When sessions may have to be given up; checked again when the time comes.
    deadlines: BTreeSet<(u64, SessionId)>,
    /// When attempts with a time limit should have ended, on the monotonic clock.
    timeouts: BTreeSet<(u64, TaskId, LeaseId)>,
    /// How fast batches may go.
    pace: Pace,
    /// How short tasks are.
    short: Short,
    /// Tasks that had better run elsewhere.
    again: Again,
    /// What was asked back for idle workers.
    asked: Asked,
    /// When old batches are looked for next.
    retention_ms: u64,
    /// Rates and counts of the last minutes.
    pulse: Pulse,
    /// Whether nothing is granted.
    hold_back: bool,
    /// Workers that were here in this life and are not now.
    gone: BTreeMap<WorkerId, Gone>,
    /// What became of workers in this life, the newest first.
    moments: BTreeMap<WorkerId, VecDeque<Moment>>,
}

impl Engine {
    /// Returns an engine with an empty ledger.
    pub fn new(settings: Settings) -> Self {
        Self::with_ledger(settings, Ledger::new())
    }

    /// Returns an engine that goes on with a restored ledger.
    pub fn with_ledger(settings: Settings, mut ledger: Ledger) -> Self {
        // What a replay noticed was acted on when it was live.
        ledger.noticed = Noticed::default();
        let soft = Soft {
            rng: fastrand::Rng::with_seed(settings.seed),
            live: BTreeMap::new(),
            sessions_of: by_worker(&ledger),
            changes: 0,
            running: IdSet::default(),
            hungry: VecDeque::new(),
            queue_turn: 0,
            deadlines: BTreeSet::new(),
            timeouts: BTreeSet::new(),
            pace: Pace::default(),
            short: Short::default(),
            again: Again::default(),
            asked: Asked::default(),
            retention_ms: 0,
            pulse: Pulse::default(),
            hold_back: false,
            gone: BTreeMap::new(),
            moments: BTreeMap::new(),
        };
        Self { settings, ledger, soft, out: Output::default() }
    }

    /// Decides about one input and changes the state; what must be made durable and done is handed
    /// out by [`Engine::drain`].
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Began { epoch } => self.began(now, epoch),
            Input::Asked { client, tag, actor, request } => {
                let deed = Deed::of(&request);
                let result = self.asked(now, &actor, request);
                self.record_deed(now, actor, deed, &result);
                self.out.effects.push(Effect::Reply { client, tag, result });
            }
            Input::Found { client, tag, actor, request, found } => {
                let result = self.change_found(now, &actor, &request, &found);
                self.record_deed(now, actor, Deed::of(&request), &result);
                self.out.effects.push(Effect::Reply { client, tag, result });
            }
            Input::Did { actor, deed } => {
                self.commit(Event::Asked { by: actor, deed, at: now.wall });
            }
            Input::WorkerJoined { name, version, hello } => {
                self.worker_joined(now, &name, version, &hello);
            }
            Input::WorkerSaid { session, said } => self.worker_said(now, session, said),
            Input::WorkerLeft { session } => self.worker_left(now, session),
            Input::OutputCame { session, lease } => self.output_came(session, lease),
            Input::Tick => self.tick(now),
        }
    }

    /// Gives work to workers with room, then hands out the turn's events and effects.
    pub fn drain(&mut self, now: Now) -> Output {
        self.settle_after(now);
        self.schedule(now);
        let noticed = std::mem::take(&mut self.ledger.noticed);
        self.soft.pulse.count(now.mono_ms, noticed.ended);
        let ended: BTreeSet<_> = noticed.batches_ended.into_iter().collect();
        let ended = ended.into_iter().filter(|batch| {
            self.ledger.batches.all.get(batch).is_some_and(|known| known.tally.open() == 0)
        });
        self.out.effects.extend(ended.map(|batch| Effect::BatchEnded { batch }));
        self.out.drop_blocks.extend(noticed.blocks);
        self.out.drop_outputs.extend(noticed.outputs);
        std::mem::take(&mut self.out)
    }

    /// Says whether anything is granted: a master without room, or one that stops, grants nothing.
    pub fn set_granting(&mut self, hold_back: input::Drain) {
        self.soft.hold_back = hold_back == input::Drain::On;
    }

    /// Tells whether rates change although nothing happens: some task ended in the last minutes.
    pub fn is_moving(&self, now: Now) -> bool {
        self.soft.pulse.rates(now.mono_ms).1 > 0.0
    }

    /// Returns how long a silent session keeps its leases, in milliseconds.
    pub const fn term_ms(&self) -> u64 {
        self.settings.term_ms
    }

    /// Returns the durable state, to be read.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the driver answers what only reads")]
    fn asked(&mut self, now: Now, actor: &Actor, request: Request) -> Result<Reply, Refusal> {
        match request {
            Request::Submit(submit) => self.submit(now, actor, submit),
            Request::Cancel { ref select, .. }
            | Request::Retry { ref select }
            | Request::Delete { ref select }
            | Request::SetPriority { ref select, .. } => {
                let chosen = self.selected(now, actor, select)?;
                self.change(now, &request, &chosen)
            }
            Request::Pause { queue } => self.pause(queue, input::Drain::On),
            Request::Resume { queue } => self.pause(queue, input::Drain::Off),
            Request::Drain { worker } => self.drain_worker(now, &worker, input::Drain::On),
            Request::Undrain { worker } => self.drain_worker(now, &worker, input::Drain::Off),
            Request::SetSlots { worker, slots } => self.set_slots(now, &worker, slots),
            other => Err(Refusal::Invalid(format!("the engine does not answer {other:?}"))),
        }
    }

    /// Notes who asked for what was done, for the audit.
    fn record_deed(
        &mut self,
        now: Now,
        by: Actor,
        deed: Option<Deed>,
        result: &Result<Reply, Refusal>,
    ) {
        let done = deed.zip(result.as_ref().ok()).and_then(|(deed, reply)| deed.done(reply));
        if let Some(deed) = done {
            self.commit(Event::Asked { by, deed, at: now.wall });
        }
    }

    /// Makes one thing happen: changes the state and notes the event for the journal.
    fn commit(&mut self, event: Event) {
        self.soft.changes += 1;
        self.ledger.apply(&event);
        if bug::is(Bug::EventNotJournaled)
            && matches!(event, Event::Set { to: event::Change::Priority(_), .. })
        {
            return;
        }
        self.out.events.push(event);
    }
}

#[cfg(test)]
pub(crate) mod tests;
