//! Warm handlers: processes of the worker's own configuration, kept from task to task. This file is
//! a slot's side of them: a launcher for each handler that it ran last, tasks given to it, what
//! became of them. What `worker.toml` may say is in handlers.rs.
//!
//! | file | lives there |
//! | --- | --- |
//! | `line.rs`, `given.rs` | the lines between ganger and a handler; the tasks that one has |
//! | `order.rs` | what a slot and the launcher say to each other |
//! | `keeper.rs`, `batch.rs`, `telling.rs`, `process.rs` | the launcher's process |
//!
//! Many short tasks are given at once, so that a handler need not wait for the worker between two;
//! it has one at a time nevertheless, and those behind one that takes long go back to the worker.

mod batch;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod given;
mod keeper;
mod line;
mod order;
mod process;
mod telling;

use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ganger_proto::form::Paths;
use ganger_proto::message::{DoneRun, GrantRun};
use ganger_proto::{Kind, LeaseId, Name, Outcome, Spec};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use given::Given;
pub(super) use keeper::keep;
use line::Retry;
pub(super) use order::Setup;
use order::{FromKeeper, Give, Said, ToKeeper};

use super::core::{Start, WarmEnds};
use super::handlers::Handler;
use super::order::{ToLauncher, encode};
use super::slot::{Followed, Launcher, OWN_FAULT, Room, Shared, SlotOrder, bare, end_of, room};

/// The handlers of one slot.
pub(super) struct Warm {
    slot: u32,
    shared: Arc<Shared>,
    /// The one used last comes last. All but it idle.
    kept: Vec<Kept>,
    given: Option<Given>,
    followed: Option<(LeaseId, Followed)>,
    /// Counts followers.
    follows: u64,
    /// Counts launchers.
    starts: u64,
    /// Launchers that were told to end.
    leaving: JoinSet<()>,
    /// Nothing comes soon.
    resting: bool,
}

struct Kept {
    handler: Name,
    /// The name of its file in the run directory.
    place: String,
    launcher: Launcher,
}

/// What [`Warm::next`] waits for.
pub(super) enum Heard {
    /// A launcher, by its place, says something, or is gone.
    Launcher(usize, Option<FromKeeper>),
    /// A follower has room, or is gone.
    Room(Room),
    /// A launcher that was told to end has ended.
    Left,
}

/// Handlers that one slot keeps. One more ends the one that was not used for the longest time.
const KEPT_MAX: usize = 4;
/// How long idle handlers may take to end when the worker does.
const CLOSE: Duration = Duration::from_secs(1);

impl Warm {
    pub(super) fn new(slot: u32, shared: Arc<Shared>) -> Self {
        let (kept, leaving) = (Vec::new(), JoinSet::new());
        Self {
            slot,
            shared,
            kept,
            given: None,
            followed: None,
            follows: 0,
            starts: 0,
            leaving,
            resting: false,
        }
    }

    /// Waits for something to happen; for ever when nothing is kept. Cancel-safe.
    pub(super) async fn next(&mut self) -> Heard {
        let Self { kept, followed, leaving, .. } = self;
        let said = std::future::poll_fn(|context| {
            for (place, kept) in kept.iter_mut().enumerate() {
                // What an answer has read is kept by the launcher, so each poll may begin another.
                if let Poll::Ready(said) = pin!(kept.launcher.answer()).poll(context) {
                    return Poll::Ready((place, said));
                }
            }
            Poll::Pending
        });
        tokio::select! {
            (place, said) = said => Heard::Launcher(place, said),
            room = room(followed.as_ref().map(|(_, followed)| followed)) => Heard::Room(room),
            Some(_left) = leaving.join_next() => Heard::Left,
        }
    }

    /// Takes in what happened.
    pub(super) async fn take(&mut self, heard: Heard) -> Option<WarmEnds> {
        match heard {
            Heard::Launcher(place, Some(FromKeeper::Said(said))) => self.said(place, said).await,
            Heard::Launcher(_, Some(FromKeeper::Shown { follow, piece })) => {
                // A piece that was asked for by the follower before is dropped.
                if let Some((_, followed)) = self.followed.as_mut()
                    && followed.number == follow
                    && let Some(permit) = followed.asked.pop_front()
                {
                    permit.send(piece);
                }
                None
            }
            Heard::Launcher(place, None) => self.launcher_gone(place).await,
            Heard::Room(room) => {
                self.ask(room).await;
                None
            }
            Heard::Left => None,
        }
    }

    /// Runs tasks of one handler; only when none runs.
    pub(super) async fn run(&mut self, start: Start) -> Option<WarmEnds> {
        let Start { run, spec, .. } = start;
        let Kind::Handler { name } = &spec.kind else { return None };
        self.resting = false;
        let mut ends = WarmEnds::of(run.spec);
        let shared = Arc::clone(&self.shared);
        let (worker, policy) = (&shared.ground.worker, &shared.ground.policy);
        let Some(handler) = policy.handlers.get(name) else {
            return Some(ends.unfit(&run, &format!("{worker} has no handler {name}")));
        };
        let objection = spec.env.iter().find_map(|(key, _)| policy.env_objection(key));
        if let Some(message) = objection {
            return Some(ends.unfit(&run, &message));
        }
        let limits = [spec.timeout_ms, handler.timeout_ms].into_iter().filter(|ms| *ms > 0);
        let timeout_ms = policy.caps.timeout_ms(limits.min().unwrap_or(0));
        let Some(refused) = self.look(&run, &spec).await else {
            return Some(ends.unfit(&run, "the worker could not look at the task's path"));
        };
        let (lines, run, open) = given::lines_of(&run, &spec, &refused, &mut ends);
        if open == 0 {
            return Some(ends);
        }
        if let Err(error) = self.ready(name, handler).await {
            let message = format!(
                "{worker} cannot start a launcher: {error}; look at its limits and its log"
            );
            return Some(ends.unfit(&run, &message));
        }
        let launcher = &mut self.kept.last_mut().expect("it is ready").launcher;
        let first = launcher.number;
        launcher.number += lines.len() as u64;
        let give = Give { first, task: run.task.raw(), lines, timeout_ms };
        // A write that fails means that the launcher is gone; reading says so next.
        let _gone = launcher.link.write_all(&encode(&ToKeeper::Give(give))).await;
        self.given = Some(Given { run, first, open });
        ends.is_something().then_some(ends)
    }

    /// Looks at the paths of tasks that name some; nothing when that broke off.
    async fn look(&self, run: &GrantRun, spec: &Arc<Spec>) -> Option<given::Refused> {
        if spec.form.paths == Paths::Unchecked {
            return Some(given::Refused::new());
        }
        let (shared, run, spec) = (Arc::clone(&self.shared), run.clone(), Arc::clone(spec));
        let looked = tokio::task::spawn_blocking(move || given::look(&shared.ground, &run, &spec));
        looked.await.ok()
    }

    /// Makes the handler the last of those that are kept.
    async fn ready(&mut self, name: &Name, handler: &Handler) -> std::io::Result<()> {
        if let Some(place) = self.kept.iter().position(|kept| kept.handler == *name) {
            if matches!(self.kept[place].launcher.process.try_wait(), Ok(None)) {
                self.kept[place..].rotate_left(1);
                return Ok(());
            }
            self.launcher_gone(place).await;
        }
        if self.kept.len() >= KEPT_MAX {
            let idle = self.kept.remove(0);
            self.leave(idle).await;
        }
        // The one before may still be ending.
        self.starts += 1;
        let place = format!("{}-{name}-{}", self.slot, self.starts);
        let setup = Setup::of(name, handler, self.slot, &self.shared.ground);
        let setup = ToLauncher::Keep(Box::new(setup));
        let launcher = Launcher::start(&place, &setup, &self.shared).await?;
        self.kept.push(Kept { handler: name.clone(), place, launcher });
        Ok(())
    }

    /// Tells whether an order is about a task that a handler has.
    pub(super) fn has(&self, order: &SlotOrder) -> bool {
        match order {
            SlotOrder::Stop(lease)
            | SlotOrder::Kill(lease)
            | SlotOrder::Follow(lease, _)
            | SlotOrder::Unfollow(lease) => self.number_of(*lease).is_some(),
            SlotOrder::Run(_) | SlotOrder::Rest => false,
        }
    }

    /// Obeys such an order.
    pub(super) async fn obey(&mut self, order: SlotOrder) {
        match order {
            SlotOrder::Stop(lease) => self.say(lease, |number| ToKeeper::Stop { number }).await,
            SlotOrder::Kill(lease) => self.say(lease, |number| ToKeeper::Kill { number }).await,
            SlotOrder::Follow(lease, to) => {
                self.follows += 1;
                let (number, asked) = (self.follows, VecDeque::new());
                self.followed = Some((lease, Followed { number, to, asked }));
            }
            SlotOrder::Unfollow(lease) => {
                self.followed = self.followed.take().filter(|(followed, _)| *followed != lease);
            }
            SlotOrder::Run(_) | SlotOrder::Rest => {}
        }
    }

    fn number_of(&self, lease: LeaseId) -> Option<u64> {
        let given = self.given.as_ref()?;
        let offset = given.offset_of(lease)?;
        Some(given.first + offset)
    }

    async fn say(&mut self, lease: LeaseId, message: impl Fn(u64) -> ToKeeper) {
        if let Some(number) = self.number_of(lease)
            && let Some(kept) = self.kept.last_mut()
        {
            let _gone = kept.launcher.link.write_all(&encode(&message(number))).await;
        }
    }

    /// Asks for a piece when there is room for it.
    async fn ask(&mut self, room: Room) {
        match (room, &mut self.followed) {
            (Ok(permit), Some((lease, followed))) => {
                let (lease, follow) = (*lease, followed.number);
                followed.asked.push_back(permit);
                self.say(lease, |number| ToKeeper::Show { number, follow }).await;
            }
            (Ok(_) | Err(_), _) => self.followed = None,
        }
    }

    async fn said(&mut self, place: usize, said: Said) -> Option<WarmEnds> {
        for note in said.notes {
            tracing::warn!(slot = self.slot, "{note}");
        }
        let is_last = place + 1 == self.kept.len();
        let given = self.given.as_mut().filter(|_| is_last)?;
        let mut ends = WarmEnds::of(given.run.spec);
        for done in said.done {
            let offset = done.first - given.first;
            for at in 0..done.took_us.len() as u64 {
                given.close(offset + at);
            }
            let first = given.run.lease.plus(offset);
            ends.done.push(DoneRun { first, took_us: done.took_us, results: done.results });
        }
        for (finished, retry) in said.ended {
            let offset = finished.number - given.first;
            given.close(offset);
            let lease = given.run.lease.plus(offset);
            if retry == Retry::Useless {
                ends.for_good.push(lease);
            }
            ends.ended.push(end_of(lease, finished));
        }
        if let Some(first) = said.returned {
            given.give_back(first - given.first, &mut ends);
        }
        self.settle().await;
        ends.is_something().then_some(ends)
    }

    /// Follows what has ended no longer, and rests when it was told to.
    async fn settle(&mut self) {
        self.given = self.given.take().filter(|given| given.open != 0);
        let given = self.given.as_ref();
        self.followed = self
            .followed
            .take()
            .filter(|(lease, _)| given.is_some_and(|given| given.offset_of(*lease).is_some()));
        if self.resting {
            self.rest().await;
        }
    }

    /// The first of its tasks that was not heard of is taken to have run; the others are not.
    async fn launcher_gone(&mut self, place: usize) -> Option<WarmEnds> {
        let was_last = place + 1 == self.kept.len();
        let kept = self.kept.remove(place);
        kept.launcher.close(kept.place, &self.shared).await;
        tracing::warn!(slot = self.slot, handler = %kept.handler, "a handler's launcher is gone");
        let mut given = self.given.take_if(|_| was_last)?;
        let mut ends = WarmEnds::of(given.run.spec);
        let offset = u64::from(given.open.trailing_zeros());
        given.close(offset);
        let message = format!(
            "the launcher of the handler {} ended while the task ran, and took it along; look for \
             the kernel's out-of-memory killer in its log",
            kept.handler
        );
        let outcome = Outcome::Failed { code: OWN_FAULT };
        ends.ended.push(bare(given.run.lease.plus(offset), outcome, message));
        given.give_back(0, &mut ends);
        self.settle().await;
        Some(ends)
    }

    /// Ends the handlers that idle, and the one that runs when it has nothing more to do.
    pub(super) async fn rest(&mut self) {
        self.resting = true;
        let busy = usize::from(self.given.is_some());
        while self.kept.len() > busy {
            let idle = self.kept.remove(0);
            self.leave(idle).await;
        }
    }

    /// Lets a handler end, within the policy's grace.
    async fn leave(&mut self, kept: Kept) {
        let Kept { place, mut launcher, .. } = kept;
        let grace = self.shared.ground.policy.grace;
        let end = ToKeeper::End { grace_ms: millis(grace) };
        let _gone = launcher.link.write_all(&encode(&end)).await;
        let shared = Arc::clone(&self.shared);
        self.leaving.spawn(async move {
            let _ended = tokio::time::timeout(grace + CLOSE, launcher.process.wait()).await;
            launcher.close(place, &shared).await;
        });
    }

    /// Ends everything: what idles within a second, what runs at once.
    pub(super) async fn close(&mut self) {
        self.given = None;
        self.rest().await;
        let all = async { while self.leaving.join_next().await.is_some() {} };
        let _late = tokio::time::timeout(CLOSE, all).await;
        // A lifeline is cut with its task.
        self.leaving.shutdown().await;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
