//! Why a task is where it is, and which kinds wait that no worker allows. Reads; changes nothing.
//! The sentences are in `ganger_proto::why`.

use ganger_proto::gang::Allows;
use ganger_proto::picture::{TaskRow, WorkerState};
use ganger_proto::why::{Reason, Why};
use ganger_proto::{Kind, Name, SessionId, TaskId, TaskState, WorkerId};

use super::Engine;
use super::roster::{Live, Worker};
use super::task::{State, Task};
use crate::clock::Now;

/// Workers that one reason names.
const NAMES_MAX: usize = 3;
/// Batches looked at for tasks that no worker allows; more than these are not counted.
const STUCK_LOOK_MAX: usize = 1_024;

/// A connected worker.
struct Here<'a> {
    session: SessionId,
    id: WorkerId,
    live: &'a Live,
    worker: &'a Worker,
}

impl Engine {
    /// Returns why a task is where it is; nothing for a task that is not there.
    pub fn why(&self, now: Now, id: TaskId) -> Option<Why> {
        let row = self.task_row(now, id)?;
        let task = self.ledger.task(id);
        let for_ms = now.wall.since(row.since);
        let reasons = match row.state {
            TaskState::Delayed => self.why_delayed(now, &row, &task),
            TaskState::Queued => self.why_queued(now, &row, &task),
            TaskState::Sent => vec![Reason::Sent { worker: row.worker, for_ms }],
            TaskState::Running => {
                let (attempt, attempts_max) = (row.attempt, row.attempts_max);
                let runs = Reason::Runs { worker: row.worker, for_ms, attempt, attempts_max };
                let cancelling = task.is_cancelling().then_some(Reason::Cancelling);
                [Some(runs), cancelling].into_iter().flatten().collect()
            }
            TaskState::Done | TaskState::Failed | TaskState::Cancelled => vec![Reason::Ended {
                task: id,
                outcome: row.outcome,
                worker: row.worker,
                ago_ms: for_ms,
                attempt: row.attempt,
            }],
        };
        Some(Why { task: id, state: row.state, at: now.wall, reasons })
    }

    fn why_delayed(&self, now: Now, row: &TaskRow, task: &Task) -> Vec<Reason> {
        let in_ms = task.at.since(now.wall);
        let waits = match task.outcome() {
            Some(_) => Reason::BacksOff {
                task: row.task,
                attempt: row.attempt,
                attempts_max: row.attempts_max,
                in_ms,
            },
            None => Reason::NotBefore { task: row.task, in_ms },
        };
        let mut reasons = vec![waits];
        reasons.extend(self.paused(row));
        reasons
    }

    fn why_queued(&self, now: Now, row: &TaskRow, task: &Task) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.paused(row).into_iter().collect();
        if self.soft.hold_back {
            reasons.push(Reason::HeldBack);
        }
        reasons.extend(self.no_room(row.task));
        reasons.extend(self.behind(now, row, task));
        if reasons.is_empty() {
            reasons.push(Reason::Next);
        }
        reasons
    }

    fn paused(&self, row: &TaskRow) -> Option<Reason> {
        let at = self.ledger.find_queue(&row.queue)?;
        let queue = self.ledger.queues.get(at)?;
        queue.paused.then(|| Reason::Paused { queue: row.queue.clone() })
    }

    fn here(&self) -> impl Iterator<Item = Here<'_>> {
        let live = self.soft.live.iter().filter(|(_, live)| live.connected && !live.silent);
        live.filter_map(|(session, live)| {
            let id = self.ledger.sessions.get(session)?.worker;
            Some(Here { session: *session, id, live, worker: self.ledger.workers.get(&id)? })
        })
    }

    /// Says why no connected worker takes a queued task now; nothing when one would.
    fn no_room(&self, id: TaskId) -> Option<Reason> {
        let (batch, _) = self.ledger.batches.of_task(id)?;
        let kind = &self.ledger.batches.spec_of(batch).kind;
        let all: Vec<Here<'_>> = self.here().collect();
        let Some(nearest) = all.iter().max_by_key(|here| nearness(kind, here)) else {
            let away = self.soft.live.len();
            let lost = self.soft.gone.values().filter(|gone| gone.state == WorkerState::Lost);
            let lost = u32::try_from(away + lost.count()).unwrap_or(u32::MAX);
            return Some(Reason::NoWorker { lost });
        };
        let needed = Allows::needed_by(kind);
        let mut able: Vec<&Here<'_>> =
            all.iter().filter(|here| here.live.allows.has(needed)).collect();
        if able.is_empty() {
            return Some(Reason::NotAllowed {
                kind: kind.word().to_owned(),
                nearest: nearest.worker.name.clone(),
                policy: nearest.live.policy.clone(),
                workers: u32::try_from(all.len()).unwrap_or(u32::MAX),
            });
        }
        let asked = names(&able);
        able.retain(|here| !self.ledger.unfit.get(&id).is_some_and(|w| w.contains(&here.id)));
        if able.is_empty() {
            return Some(Reason::Unfit { workers: asked });
        }
        let willing = names(&able);
        able.retain(|here| !here.live.draining && !here.worker.drained);
        if able.is_empty() {
            return Some(Reason::Draining { workers: willing });
        }
        let slots = able.iter().map(|here| here.live.slots).sum();
        let busy = able.iter().all(|here| self.room(here.session) == 0);
        let workers = u32::try_from(able.len()).unwrap_or(u32::MAX);
        busy.then_some(Reason::Busy { workers, slots })
    }

    fn behind(&self, now: Now, row: &TaskRow, task: &Task) -> Option<Reason> {
        let queue = self.ledger.queues.get(self.ledger.find_queue(&row.queue)?)?;
        let (mut higher, mut older) = (0, 0);
        for (priority, _, set) in queue.ready_sets() {
            match priority.cmp(&task.priority) {
                std::cmp::Ordering::Greater => higher += set.len(),
                std::cmp::Ordering::Equal => older += set.rank(row.task),
                std::cmp::Ordering::Less => {}
            }
        }
        let before: u64 = higher + older;
        let rate = f64::from(self.soft.pulse.rates(now.mono_ms).0);
        let eta_ms = (rate >= 0.1).then(|| (before as f64 / rate * 1_000.0) as u64);
        let queue = row.queue.clone();
        (before > 0).then_some(Reason::Behind { queue, higher, older, eta_ms })
    }

    /// Says which tasks wait that no connected worker allows; empty when there are none, or no
    /// worker is connected, which is another matter.
    pub(super) fn stuck(&self) -> String {
        let mut here = self.here().peekable();
        if here.peek().is_none() {
            return String::new();
        }
        let allowed = here.fold(Allows::default(), |all, here| all.and(here.live.allows));
        if allowed.has(Allows::ALL) || self.ledger.in_state(State::Queued).is_empty() {
            return String::new();
        }
        let sets = self.ledger.queues.iter().filter(|queue| !queue.paused);
        let mut sets = sets.flat_map(super::queue::Queue::ready_sets);
        let mut count = 0;
        let mut word = "";
        for (_, batch, set) in sets.by_ref().take(STUCK_LOOK_MAX) {
            let kind = &self.ledger.batches.spec_of(batch).kind;
            if !allowed.has(Allows::needed_by(kind)) && (word.is_empty() || word == kind.word()) {
                word = kind.word();
                count += set.len();
            }
        }
        let more = if sets.next().is_some() { "more than " } else { "" };
        match count {
            0 => String::new(),
            1 => format!("1 task needs {word}; no worker allows it"),
            n => format!("{more}{n} tasks need {word}; no worker allows it"),
        }
    }
}

/// Orders workers by how near they come to being able to run a kind: one that takes work, then one
/// with more slots.
fn nearness(kind: &Kind, here: &Here<'_>) -> (bool, bool, bool, u32) {
    let allows = here.live.allows;
    let takes = !here.live.draining && !here.worker.drained;
    (allows.has(Allows::needed_by(kind)), allows.has(Allows::EXEC), takes, here.live.slots)
}

fn names(workers: &[&Here<'_>]) -> Vec<Name> {
    workers.iter().take(NAMES_MAX).map(|here| here.worker.name.clone()).collect()
}
