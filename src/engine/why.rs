//! Why a task is where it is, and which kinds wait that no worker allows. Reads; changes nothing.
//! The sentences are in `ganger_proto::why`.

use ganger_proto::gang::Allows;
use ganger_proto::picture::{BatchRow, TaskRow, WorkerState};
use ganger_proto::place::Need;
use ganger_proto::why::{Missing, Reason, Why};
use ganger_proto::{Kind, Label, Name, SessionId, TaskId, TaskState, WorkerId};

use super::Engine;
use super::class::{Class, Miss};
use super::roster::{Live, Worker};
use super::task::{State, Task};
use crate::clock::Now;

/// Workers that one reason names.
const NAMES_MAX: usize = 3;
/// Classes looked at in a queue for tasks that no worker takes; more than these are not counted.
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
            TaskState::Blocked => self.why_blocked(&row),
            TaskState::Queued => self.why_queued(now, &row, &task),
            TaskState::Sent => vec![Reason::Sent { worker: row.worker, for_ms }],
            TaskState::Running => {
                let (attempt, attempts_max) = (row.attempt, row.attempts_max);
                let runs = Reason::Runs { worker: row.worker, for_ms, attempt, attempts_max };
                let cancelling = task.is_cancelling().then_some(Reason::Cancelling);
                [Some(runs), cancelling].into_iter().flatten().collect()
            }
            TaskState::Failed if row.outcome.is_none() => {
                vec![Reason::Missed { task: id, ago_ms: for_ms }]
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

    fn why_blocked(&self, row: &TaskRow) -> Vec<Reason> {
        let open = self.open_before(row.batch);
        let by: Vec<BatchRow> = open.iter().filter_map(|id| self.batch_row(*id)).collect();
        let counts = by.iter().map(|row| (row.counts.open(), row.counts.total()));
        let (open, total) = counts.fold((0, 0), |(a, b), (open, all)| (a + open, b + all));
        let by = by.into_iter().take(NAMES_MAX).map(|row| row.batch).collect();
        vec![Reason::Blocked { by, open, total }]
    }

    fn why_queued(&self, now: Now, row: &TaskRow, task: &Task) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.paused(row).into_iter().collect();
        if self.soft.hold_back {
            reasons.push(Reason::HeldBack);
        }
        reasons.extend(self.paced(now, row));
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

    /// Says that the task's batch goes no faster because it was told so.
    fn paced(&self, now: Now, row: &TaskRow) -> Option<Reason> {
        let known = self.ledger.batches.all.get(&row.batch)?;
        let (batch, jobs_max) = (row.batch, known.options.jobs_max);
        if jobs_max > 0 && known.tally.of(State::Leased) >= u64::from(jobs_max) {
            return Some(Reason::Jobs { batch, jobs_max });
        }
        let at = self.soft.pace.nap_of(batch)?;
        let rate = known.options.rate?;
        Some(Reason::Rate { batch, rate, in_ms: at.saturating_sub(now.mono_ms) })
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
        let class = self.ledger.batches.classes.get(self.ledger.batches.known(batch).class);
        let all: Vec<Here<'_>> = self.here().collect();
        let Some(nearest) = all.iter().max_by_key(|here| nearness(class, here)) else {
            let away = self.soft.live.len();
            let lost = self.soft.gone.values().filter(|gone| gone.state == WorkerState::Lost);
            let lost = u32::try_from(away + lost.count()).unwrap_or(u32::MAX);
            return Some(Reason::NoWorker { lost });
        };
        let mut able: Vec<&Here<'_>> =
            all.iter().filter(|here| here.live.profile.takes(class).is_ok()).collect();
        if able.is_empty() {
            let miss = nearest.live.profile.takes(class).err()?;
            let workers = u32::try_from(all.len()).unwrap_or(u32::MAX);
            return Some(not_taken(kind, miss, nearest, workers));
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
        let lane = |here: &Here<'_>| here.live.profile.takes(class).unwrap_or_default();
        let slots = able.iter().map(|here| here.live.profile.slots.of(lane(here))).sum();
        let busy = able.iter().all(|here| {
            self.room(here.session).of(lane(here)) == 0
                || here.live.used.room(&here.live.profile, here.live.hold, class, lane(here)) == 0
        });
        let workers = u32::try_from(able.len()).unwrap_or(u32::MAX);
        busy.then_some(Reason::Busy { workers, slots })
    }

    fn behind(&self, now: Now, row: &TaskRow, task: &Task) -> Option<Reason> {
        let queue = self.ledger.queues.get(self.ledger.find_queue(&row.queue)?)?;
        let (mut higher, mut older) = (0, 0);
        for (spot, set) in queue.ready_sets() {
            match spot.priority.cmp(&task.priority) {
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

    /// Says which tasks wait that no connected worker takes; empty when there are none, or no
    /// worker is connected, which is another matter.
    pub(super) fn stuck(&self) -> String {
        let here: Vec<Here<'_>> = self.here().collect();
        if here.is_empty() || self.ledger.in_state(State::Queued).is_empty() {
            return String::new();
        }
        let mut count = 0;
        let mut what = String::new();
        let queues = self.ledger.queues.iter().filter(|queue| !queue.paused);
        let classes = queues.flat_map(|queue| queue.ready_classes().take(STUCK_LOOK_MAX));
        for (id, tasks) in classes {
            let class = self.ledger.batches.classes.get(id);
            if here.iter().any(|here| here.live.profile.takes(class).is_ok()) {
                continue;
            }
            let Some(nearest) = here.iter().max_by_key(|here| nearness(class, here)) else {
                continue;
            };
            let Err(miss) = nearest.live.profile.takes(class) else { continue };
            let word = needed(class, &miss);
            if what.is_empty() || what == word {
                what = word;
                count += tasks;
            }
        }
        match count {
            0 => String::new(),
            1 => format!("1 task needs {what}; no worker {}", offers(&what)),
            n => format!("{n} tasks need {what}; no worker {}", offers(&what)),
        }
    }
}

/// What a policy forbids is allowed by no worker; everything else is offered by none.
fn offers(what: &str) -> &'static str {
    if matches!(what, "exec" | "shell") { "allows it" } else { "offers it" }
}

/// Names what is needed and missing, in few words.
fn needed(class: &Class, miss: &Miss) -> String {
    match miss {
        Miss::Policy if class.allows == Allows::SHELL => "shell".to_owned(),
        Miss::Policy => "exec".to_owned(),
        Miss::Handler => {
            let name = class.handler.as_ref().map(Name::as_str).unwrap_or_default();
            format!("the handler {name}")
        }
        Miss::Label(label) => format!("the label {label}"),
        Miss::Need(need, _) => need.to_string(),
        Miss::Lane(lane) => format!("a slot of the lane {lane}"),
    }
}

fn not_taken(kind: &Kind, miss: Miss, nearest: &Here<'_>, workers: u32) -> Reason {
    let (name, live) = (nearest.worker.name.clone(), nearest.live);
    let (missing, has) = match miss {
        Miss::Policy => {
            let policy = live.policy.clone();
            return Reason::NotAllowed { kind: kind.word().into(), nearest: name, policy, workers };
        }
        Miss::Handler => {
            let names: Vec<&str> =
                live.profile.handlers.iter().map(|offer| offer.name.as_str()).collect();
            (Missing::Handler(handler_of(kind)), names.join(", "))
        }
        Miss::Label(label) => {
            let labels: Vec<String> = live.profile.labels.iter().map(Label::to_string).collect();
            (Missing::Label(label), labels.join(", "))
        }
        Miss::Need(need, 0) => (Missing::Need(need), String::new()),
        Miss::Need(need, has) => {
            let has = Need { name: need.name.clone(), amount: has };
            (Missing::Need(need), has.to_string())
        }
        Miss::Lane(lane) => (Missing::Lane(lane), String::new()),
    };
    Reason::NotOffered { missing, nearest: name, has, workers }
}

fn handler_of(kind: &Kind) -> Name {
    match kind {
        Kind::Handler { name } => name.clone(),
        Kind::Square | Kind::Sleep | Kind::Exec { .. } | Kind::Shell { .. } => {
            Name::from_lossy(kind.word())
        }
    }
}

/// Orders workers by how near they come to being able to run a class: one whose policy allows it,
/// one that lacks least, one that takes work, then one with more slots.
fn nearness(class: &Class, here: &Here<'_>) -> (bool, u8, bool, bool, u32) {
    let profile = &here.live.profile;
    let lacks = match profile.takes(class) {
        Ok(_) => 5,
        Err(Miss::Need(..)) => 4,
        Err(Miss::Lane(_)) => 3,
        Err(Miss::Label(_)) => 2,
        Err(Miss::Policy) => 1,
        Err(Miss::Handler) => 0,
    };
    let takes = !here.live.draining && !here.worker.drained;
    let allowed = profile.allows.has(class.allows);
    (allowed, lacks, profile.allows.has(Allows::EXEC), takes, profile.slots.cpu)
}

fn names(workers: &[&Here<'_>]) -> Vec<Name> {
    workers.iter().take(NAMES_MAX).map(|here| here.worker.name.clone()).collect()
}
