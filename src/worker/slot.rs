//! One slot's side of its launcher: starts it when first needed, gives it orders, turns its
//! answers into ends of attempts and pieces of output. Decides nothing about tasks; see core.rs.

mod ends;
mod held;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use ganger_proto::follow::Piece;
use ganger_proto::{Kind, LeaseId, Outcome};
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::Instant;

pub(super) use self::ends::{bare, end_of};
pub(super) use self::held::Launcher;
use super::core::{AttemptEnded, Start, WarmEnds};
use super::home::Nursery;
use super::order::{Finished, FromLauncher, Order, ToLauncher, encode};
use super::prepare::Ground;
use super::spool;
use super::warm::Warm;
use crate::clock::Clock;

/// What a slot is told.
#[derive(Debug)]
pub(super) enum SlotOrder {
    /// Run this; only when nothing runs.
    Run(Box<Start>),
    /// TERM, grace, KILL.
    Stop(LeaseId),
    /// KILL.
    Kill(LeaseId),
    /// Put there what it writes, from the start; replaces the follower before.
    Follow(LeaseId, mpsc::Sender<Piece>),
    /// Nobody follows it any more.
    Unfollow(LeaseId),
    /// Nothing comes soon: end the handlers that are kept.
    Rest,
}

/// What a slot hands to the driver.
#[derive(Debug)]
pub(super) enum SlotEnd {
    /// The end of a child.
    Child(Box<AttemptEnded>),
    /// What became of the tasks of a handler.
    Warm(WarmEnds),
}

/// What all slots share.
#[derive(Debug)]
pub(super) struct Shared {
    /// What children have in common.
    pub(super) ground: Ground,
    /// The launchers that live.
    pub(super) nursery: Nursery,
    /// The command that is the launcher.
    pub(super) launcher: Vec<OsString>,
    /// For deadlines.
    pub(super) clock: Clock,
    /// How late a launcher may be: a task can stop it, since both run as one user.
    pub(super) patience: Duration,
}

/// Serves one slot until its orders end; then the launcher's lifeline is cut with it.
pub(super) async fn serve(
    slot: u32,
    shared: Arc<Shared>,
    orders: mpsc::Receiver<SlotOrder>,
    ends: mpsc::Sender<SlotEnd>,
) {
    serve_with(slot, shared, orders, ends, IDLE).await;
}

/// As [`serve`], with how long an idle launcher stays.
async fn serve_with(
    slot: u32,
    shared: Arc<Shared>,
    mut orders: mpsc::Receiver<SlotOrder>,
    ends: mpsc::Sender<SlotEnd>,
    idle: Duration,
) {
    let warm = Warm::new(slot, Arc::clone(&shared));
    let mut state = Slot {
        slot,
        shared,
        launcher: None,
        warm,
        running: None,
        deaf_at: None,
        followed: None,
        follows: 0,
    };
    loop {
        let idles = (state.launcher.is_some() && state.running.is_none()).then_some(idle);
        let end = tokio::select! {
            order = orders.recv() => match order {
                Some(order) => state.obey(order).await,
                None => return state.end().await,
            },
            answer = answer(state.launcher.as_mut()) => match answer {
                Some(FromLauncher::Finished(finished)) => state.finished(*finished),
                Some(FromLauncher::Shown { follow, piece }) => state.shown(follow, piece),
                None => state.launcher_gone(LAUNCHER_ENDED).await,
            }
            .map(child),
            () = until(state.deaf_at) => state.end_deaf().await.map(child),
            said = state.warm.next() => state.warm.take(said).await.map(SlotEnd::Warm),
            room = room(state.followed.as_ref()) => state.ask(room).await.map(child),
            () = idled(idles) => {
                state.close().await;
                None
            }
        };
        // The driver takes ends as fast as it can; one waits here, and this slot is idle then.
        if let Some(end) = end
            && ends.send(end).await.is_err()
        {
            return state.end().await;
        }
    }
}

fn child(end: AttemptEnded) -> SlotEnd {
    SlotEnd::Child(Box::new(end))
}

/// Waits for the next answer of a launcher; for ever when there is none.
async fn answer(launcher: Option<&mut Launcher>) -> Option<FromLauncher> {
    match launcher {
        Some(launcher) => launcher.answer().await,
        None => std::future::pending().await,
    }
}

struct Slot {
    slot: u32,
    shared: Arc<Shared>,
    launcher: Option<Launcher>,
    warm: Warm,
    running: Option<LeaseId>,
    /// When the launcher must have told the end of what runs.
    deaf_at: Option<Instant>,
    followed: Option<Followed>,
    /// Counts followers.
    follows: u64,
}

/// Who follows what runs.
pub(super) struct Followed {
    pub(super) number: u64,
    /// Full when the network is slow.
    pub(super) to: mpsc::Sender<Piece>,
    /// The room for each piece that the launcher was asked for.
    pub(super) asked: VecDeque<mpsc::OwnedPermit<Piece>>,
}

pub(super) type Room = Result<mpsc::OwnedPermit<Piece>, mpsc::error::SendError<()>>;

/// Waits until a follower has room for another piece, or is gone; for ever when there is none.
pub(super) async fn room(followed: Option<&Followed>) -> Room {
    match followed {
        Some(followed) => followed.to.clone().reserve_owned().await,
        None => std::future::pending().await,
    }
}

/// Waits until a launcher that runs nothing was idle for long enough; for ever when none idles.
async fn idled(idles: Option<Duration>) {
    match idles {
        Some(idle) => tokio::time::sleep(idle).await,
        None => std::future::pending().await,
    }
}

/// Waits for a moment; for ever when there is none.
async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The exit code of an attempt that failed by ganger's own fault, as of `timeout` and `docker`.
pub(super) const OWN_FAULT: i32 = 125;
/// How long an idle launcher stays: there are as many slots of the lane `io` as a rush may need,
/// and not as many processes afterwards.
const IDLE: Duration = Duration::from_secs(60);

/// Limits of time beyond this, ten years in milliseconds, are none.
const FAR_MS: u64 = 315_360_000_000;
/// How late a launcher may be with an end that must have come, and with its own.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
const LAUNCHER_ENDED: &str = "the launcher of this slot ended while the task ran, and took it along; \
                              look for the kernel's out-of-memory killer in its log";
const LAUNCHER_DEAF: &str = "the launcher of this slot did not tell the end of the task in time, and \
                             was ended with it; a debugger or the task may have stopped it";

impl Slot {
    async fn obey(&mut self, order: SlotOrder) -> Option<SlotEnd> {
        match order {
            SlotOrder::Run(start) if matches!(start.spec.kind, Kind::Handler { .. }) => {
                return self.warm.run(*start).await.map(SlotEnd::Warm);
            }
            SlotOrder::Run(start) => return self.run(*start).await.map(child),
            order if self.warm.has(&order) => self.warm.obey(order).await,
            SlotOrder::Stop(lease) => {
                self.expect_end(lease, self.shared.ground.policy.grace);
                self.say(lease, |number| ToLauncher::Stop { number }).await;
            }
            SlotOrder::Kill(lease) => {
                self.expect_end(lease, Duration::ZERO);
                self.say(lease, |number| ToLauncher::Kill { number }).await;
            }
            SlotOrder::Follow(lease, to) => {
                if self.running == Some(lease) {
                    self.follows += 1;
                    let (number, asked) = (self.follows, VecDeque::new());
                    self.followed = Some(Followed { number, to, asked });
                }
            }
            SlotOrder::Unfollow(lease) => {
                self.followed = self.followed.take().filter(|_| self.running != Some(lease));
            }
            SlotOrder::Rest => self.warm.rest().await,
        }
        None
    }

    /// Asks the launcher for a piece when there is room for it.
    async fn ask(&mut self, room: Room) -> Option<AttemptEnded> {
        match (room, &mut self.followed, self.running) {
            (Ok(permit), Some(followed), Some(lease)) => {
                let follow = followed.number;
                followed.asked.push_back(permit);
                self.say(lease, |number| ToLauncher::Show { number, follow }).await;
            }
            (Ok(_) | Err(_), _, _) => self.followed = None,
        }
        None
    }

    fn shown(&mut self, follow: u64, piece: Piece) -> Option<AttemptEnded> {
        // A piece that was asked for by the follower before is dropped.
        if let Some(followed) = self.followed.as_mut().filter(|one| one.number == follow)
            && let Some(permit) = followed.asked.pop_front()
        {
            permit.send(piece);
        }
        None
    }

    async fn run(&mut self, start: Start) -> Option<AttemptEnded> {
        let lease = start.at.lease;
        let now = self.shared.clock.wall();
        let order = match self.shared.ground.order(&start.run, &start.spec, self.slot, now) {
            Ok(order) => order,
            Err(message) => return Some(bare(lease, Outcome::Unfit, message)),
        };
        if self.launcher.is_none() {
            let policy = &self.shared.ground.policy;
            let setup = ToLauncher::Setup {
                worker: self.shared.ground.worker.to_string(),
                exec: policy.exec.clone(),
                privileges: policy.privileges,
                roots: policy.roots.clone(),
                caps: policy.caps,
                groups: self.shared.ground.groups.clone().map(|folder| (folder, self.slot)),
            };
            match Launcher::start(self.slot, &setup, &self.shared).await {
                Ok(launcher) => self.launcher = Some(launcher),
                Err(error) => {
                    let message = format!(
                        "{} cannot start a launcher: {error}; look at its limits and its log",
                        self.shared.ground.worker
                    );
                    return Some(bare(lease, Outcome::Unfit, message));
                }
            }
        }
        let launcher = self.launcher.as_mut().expect("it was started above");
        self.running = Some(lease);
        launcher.number += 1;
        let order = Order { number: launcher.number, ..order };
        let limit_ms = self.shared.ground.policy.caps.timeout_ms(order.timeout_ms);
        let ends_ms = limit_ms.saturating_add(order.grace_ms).min(FAR_MS);
        let last = Duration::from_millis(ends_ms) + self.shared.patience;
        self.deaf_at = (limit_ms > 0).then(|| Instant::now() + last);
        // A write that fails means that the launcher is gone; reading says so next.
        let _gone = launcher.link.write_all(&encode(&ToLauncher::Run(order))).await;
        None
    }

    async fn say(&mut self, lease: LeaseId, message: impl Fn(u64) -> ToLauncher) {
        if self.running == Some(lease)
            && let Some(launcher) = &mut self.launcher
        {
            let _gone = launcher.link.write_all(&encode(&message(launcher.number))).await;
        }
    }

    /// What runs must end within a time; sooner than was thought, if at all.
    fn expect_end(&mut self, lease: LeaseId, within: Duration) {
        if self.running == Some(lease) {
            let last = Instant::now() + within + self.shared.patience;
            self.deaf_at = Some(self.deaf_at.map_or(last, |known| known.min(last)));
        }
    }

    /// Ends a launcher that tells nothing; what it ran comes to this process, which ends it.
    async fn end_deaf(&mut self) -> Option<AttemptEnded> {
        tracing::warn!(slot = self.slot, "a launcher tells nothing; it is ended");
        if let Some(launcher) = &mut self.launcher {
            let _may_be_gone = launcher.process.start_kill();
        }
        self.launcher_gone(LAUNCHER_DEAF).await
    }

    fn finished(&mut self, finished: Finished) -> Option<AttemptEnded> {
        (self.followed, self.deaf_at) = (None, None);
        let lease = self.running.take()?;
        Some(end_of(lease, finished))
    }

    async fn launcher_gone(&mut self, why: &str) -> Option<AttemptEnded> {
        self.close().await;
        (self.followed, self.deaf_at) = (None, None);
        if let Some(lease) = self.running {
            // What it spooled counts for nothing; at the worker's next start all goes anyway.
            let _stays = spool::remove(&self.shared.ground.run_dir, lease);
        }
        let outcome = Outcome::Failed { code: OWN_FAULT };
        self.running.take().map(|lease| bare(lease, outcome, why.to_owned()))
    }

    async fn close(&mut self) {
        if let Some(launcher) = self.launcher.take() {
            launcher.close(self.slot.to_string(), &self.shared).await;
        }
    }

    /// Ends everything of this slot.
    async fn end(&mut self) {
        self.close().await;
        self.warm.close().await;
    }
}

#[cfg(test)]
mod tests;
