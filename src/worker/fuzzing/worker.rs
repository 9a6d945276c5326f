//! What a worker hears from a master that says anything at all: the core decides, comes to an end
//! of every turn, names only children that run, and sends nothing without a connection.
//!
//! The bytes are steps, each a byte that says what happens and what it needs; see `World::step`.

use std::collections::BTreeMap;

use ganger_net::frame;
use ganger_proto::message::{
    DoneRun, GrantRun, Kept, LeaseRun, OutputHeader, ToWorker, Welcome, WorkerMessage,
};
use ganger_proto::place::{Need, Offer};
use ganger_proto::{Ended, Lane, LeaseId, Name, Outcome, PerLane, SessionId};
use serde::Deserialize;

use crate::worker::caps::Caps;
use crate::worker::core::{
    Attempt, AttemptEnded, Effect, GIVE_TASKS_MAX, Offers, Present, WarmEnds, WorkerCore,
};
use crate::worker::inline;

/// Steps of one input.
const STEPS_MAX: usize = 64;
/// Turns of the driver until the core has nothing more to do: a few for each piece of squares.
const TURNS_MAX: usize = 2_000;

/// Takes the bytes for steps.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let mut world = World::new();
    let mut rest = bytes;
    for _ in 0..STEPS_MAX {
        let Some(after) = world.step(rest) else { break };
        world.act();
        rest = after;
    }
}

struct World {
    core: WorkerCore,
    now_us: u64,
    up: bool,
    /// What runs by its first lease; of a handler, several tasks.
    children: BTreeMap<LeaseId, GrantRun>,
}

fn take<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<(T, &'a [u8])> {
    postcard::take_from_bytes(bytes).ok()
}

impl World {
    fn new() -> Self {
        let name = Name::from_lossy;
        let offers = Offers {
            slots: PerLane { cpu: 2, io: 2 },
            handlers: vec![Offer { name: name("h"), lane: Lane::Io }],
            resources: vec![Need { name: name("gpu"), amount: 2 }],
            caps: Caps::default(),
        };
        let core = WorkerCore::new(SessionId::new(7), offers);
        Self { core, now_us: 1_000, up: false, children: BTreeMap::new() }
    }

    /// Does one step and returns the bytes behind it; nothing when they are no step.
    fn step<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (step, rest) = bytes.split_first()?;
        match step % 8 {
            0 => {
                let (welcome, rest) = take::<Welcome>(rest)?;
                let _hello = self.core.hello(Present::default());
                self.up = true;
                self.core.handle_welcome(self.now_us, &welcome);
                Some(rest)
            }
            1 | 2 => {
                let (message, rest) = take::<ToWorker>(rest)?;
                if self.up {
                    self.core.handle_message(self.now_us, message);
                }
                Some(rest)
            }
            3 => {
                let (ms, rest) = rest.split_first_chunk::<2>()?;
                self.now_us += 1_000 * u64::from(u16::from_le_bytes(*ms));
                self.core.handle_time(self.now_us);
                Some(rest)
            }
            4 | 5 => self.ended(rest),
            6 => {
                self.up = false;
                self.core.handle_link_lost();
                Some(rest)
            }
            _ => {
                self.core.handle_drain();
                Some(rest)
            }
        }
    }

    /// One of what runs comes to an end; of a handler, some tasks do and the rest come back.
    fn ended<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let ([which, kept], rest) = bytes.split_first_chunk::<2>()?;
        let (outcome, rest) = take::<Outcome>(rest)?;
        let at = usize::from(*which) % self.children.len().max(1);
        let Some(first) = self.children.keys().nth(at).copied() else { return Some(rest) };
        let run = self.children.remove(&first)?;
        if run.args.count() > 1 {
            self.warm(&run, u64::from(*kept));
            return Some(rest);
        }
        let head = u64::from(*kept) << 7;
        let stdout = Kept { head, skipped: 0, tail: 0 };
        let header = OutputHeader { lease: first, stdout, stderr: Kept::default() };
        let output = (*kept > 0).then(|| (header, vec![b'x'; usize::from(*kept) << 7]));
        let end = AttemptEnded { ended: Ended::bare(first, outcome, 9), output };
        self.core.handle_ended(self.now_us, end);
        Some(rest)
    }

    fn warm(&mut self, run: &GrantRun, kept: u64) {
        let done = kept % (run.args.count() + 1);
        let mut ends = WarmEnds::of(run.spec);
        if done > 0 {
            let results = std::iter::repeat_n(&b"w"[..], done as usize).collect();
            ends.done.push(DoneRun { first: run.lease, took_us: vec![3; done as usize], results });
        }
        if done < run.args.count() {
            ends.returned.push(GrantRun {
                lease: run.lease.plus(done),
                task: run.task.plus(done),
                index: run.index.saturating_add(done),
                args: run.args.slice(done, run.args.count() - done),
                ..run.clone()
            });
        }
        self.core.handle_warm(self.now_us, ends);
    }

    /// Does what the core asks for, until it asks for nothing.
    fn act(&mut self) {
        for _ in 0..TURNS_MAX {
            let effects = self.core.drain(self.now_us);
            if effects.is_empty() {
                let _wakes = self.core.wake_at_us();
                return;
            }
            effects.into_iter().for_each(|effect| self.hear(effect));
        }
        panic!("a turn has no end");
    }

    fn hear(&mut self, effect: Effect) {
        match effect {
            Effect::Start(start) => {
                assert!(start.run.args.count() <= u64::from(GIVE_TASKS_MAX));
                assert_eq!(start.run.lease, start.at.lease);
                self.children.insert(start.at.lease, start.run);
            }
            Effect::Square(run) => {
                let count = u32::try_from(run.args.count()).expect("a piece is small");
                let leases = LeaseRun { first: run.lease, count };
                self.core.handle_squares(self.now_us, leases, inline::squares(&run));
            }
            Effect::Send(message) => {
                assert!(self.up, "nothing is sent without a connection");
                sendable(&message);
            }
            Effect::SendOutput(header, bytes) => {
                assert!(self.up, "nothing is sent without a connection");
                assert_eq!(header.bytes(), Some(bytes.len() as u64));
            }
            Effect::Stop(at) | Effect::Kill(at) | Effect::Follow(at, _) | Effect::Unfollow(at) => {
                assert!(self.runs(at), "{at:?} does not run");
            }
            Effect::Beat(_) | Effect::Clean(_) | Effect::Rest => {}
        }
    }

    /// Tells whether a lease is of something that runs; a handler has several.
    fn runs(&self, at: Attempt) -> bool {
        let before = self.children.range(..=at.lease).next_back();
        before.is_some_and(|(first, run)| {
            first.epoch == at.lease.epoch
                && at.lease.counter - first.counter < run.args.count().max(1)
        })
    }
}

fn sendable(message: &WorkerMessage) {
    assert!(frame::encode(message).is_ok(), "a message fits a frame");
    if let WorkerMessage::Report(report) = message {
        for run in &report.done {
            assert_eq!(run.took_us.len(), run.results.len());
        }
    }
}
