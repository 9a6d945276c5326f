//! A random walk of the engine beside the model: after every step effects, states, counts and
//! windows are the same; now and then the master crashes and another goes on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;

use fastrand::Rng;
use ganger::clock::Now;
use ganger::engine::input::{Effect, Input, Said};
use ganger::engine::picture::blank_master;
use ganger::engine::runs::TaskRun;
use ganger::engine::search::Slice;
use ganger::engine::window::Searches;
use ganger::engine::{Engine, Settings};
use ganger_proto::message::{Grant, LeaseRun};
use ganger_proto::picture::{Counts, Direction, Order, Search, Sort, SortKey, TaskRow, Watch};
use ganger_proto::{
    Filter, LeaseId, Name, Refusal, Reply, Select, SessionId, TaskId, TaskState, WallMs,
};

use crate::commands::WORKERS;
use crate::model::{
    ANSWER_MS, ELSEWHERE_MS, KEEP_DONE_MS, KEEP_FAILED_MS, KEEP_LEAST_MS, KEEP_TASKS, Model,
    SLACK_MS, TASKS_MAX, TERM_MS, Task,
};
use crate::random;
use crate::rig::{Recovery, Rig};

/// Steps between two audits.
const AUDIT_EVERY: u64 = 64;
/// Steps kept for the report of a failure.
const TRACE: usize = 24;

pub(crate) struct Walk {
    rng: Rng,
    rig: Rig,
    model: Model,
    searches: Searches,
    trace: VecDeque<Input>,
    /// What was seen, so that a run that tests nothing is noticed.
    pub(crate) seen: Seen,
}

#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) blocked: u64,
    pub(crate) asked_back: u64,
    pub(crate) grants: u64,
    pub(crate) done: u64,
    pub(crate) crashes: u64,
    pub(crate) refused: u64,
    pub(crate) stale: u64,
    pub(crate) removed: u64,
}

impl Walk {
    pub(crate) fn new(seed: u64) -> Self {
        let settings = Settings {
            term_ms: TERM_MS,
            timeout_slack_ms: SLACK_MS,
            keep_done_ms: KEEP_DONE_MS,
            keep_failed_ms: KEEP_FAILED_MS,
            keep_least_ms: KEEP_LEAST_MS,
            keep_tasks: KEEP_TASKS,
            tasks_max: TASKS_MAX,
            bytes_max: u64::MAX,
            seed,
        };
        let now = Now { mono_ms: 1_000, wall: WallMs(1_000_000) };
        Self {
            rng: Rng::with_seed(seed),
            rig: Rig::new(settings),
            model: Model::new(now),
            searches: Searches::default(),
            trace: VecDeque::new(),
            seen: Seen::default(),
        }
    }

    /// Walks.
    ///
    /// # Errors
    /// Says where the engine and the model differ, and what came before.
    pub(crate) fn run(&mut self, steps: u64) -> Result<(), String> {
        for step in 0..steps {
            if let Err(why) = self.step(step) {
                let mut last = String::new();
                for input in &self.trace {
                    writeln!(last, "  {input:?}").expect("text grows");
                }
                return Err(format!("step {step}: {why}\nlast inputs:\n{last}"));
            }
        }
        self.model.check_choices()
    }

    fn step(&mut self, step: u64) -> Result<(), String> {
        self.pass_time();
        let input = if step == 0 || self.rng.u32(..100) == 0 {
            self.crash()?
        } else {
            random::input(&mut self.rng, &self.model)
        };
        self.trace.push_back(input.clone());
        if self.trace.len() > TRACE {
            self.trace.pop_front();
        }
        let before = self.model.batches.len();
        self.expect(&input);
        self.model.settle_blocked();
        let input = self.looked_for(input);
        let turn = self.rig.turn(self.model.now, input);
        self.rig.keep(&turn.batch);
        self.seen.removed += u64::from(self.model.batches.len() < before);
        self.compare_effects(&turn.effects)?;
        self.settle_draws()?;
        self.compare_states()?;
        if let Some(idle) = self.model.idle_while_work_waits() {
            return Err(idle);
        }
        if self.rng.u8(..8) == 0 {
            self.compare_windows()?;
        }
        if step.is_multiple_of(AUDIT_EVERY) { self.rig.audit() } else { Ok(()) }
    }

    fn pass_time(&mut self) {
        let ms = match self.rng.u32(0..1_000) {
            0..500 => 0,
            500..950 => self.rng.u64(..30),
            950..998 => self.rng.u64(..800),
            _ => self.rng.u64(..70_000),
        };
        self.model.now.mono_ms += ms;
        // The wall clock may jump forward on its own; it never goes back.
        let jump = if self.rng.u16(..2_000) == 0 { 3_000 } else { 0 };
        self.model.now.wall = self.model.now.wall.plus(ms + jump);
    }

    fn crash(&mut self) -> Result<Input, String> {
        self.seen.crashes += 1;
        self.rig.audit()?;
        let from = if self.rng.bool() { Recovery::Replay } else { Recovery::Snapshot };
        Ok(Input::Began { epoch: self.rig.crash(from)? })
    }

    /// Finds the tasks of some commands in slices beforehand, as a master does; some of what is
    /// found does not match.
    fn looked_for(&mut self, input: Input) -> Input {
        let Input::Asked { client, tag, actor, request } = input else { return input };
        let Some(Select::Matching(filter)) = request.select().filter(|_| self.rng.bool()) else {
            return Input::Asked { client, tag, actor, request };
        };
        let mut search = Engine::hunt(filter.clone());
        while self.rig.engine.search(self.model.now, &mut search, 3) == Slice::More {}
        let mut found = search.into_ids();
        found.insert(TaskRun { first: TaskId::new(self.rng.u64(1..9)), count: 1 });
        Input::Found { client, tag, actor, request, found }
    }

    /// Does on the model what the engine is told.
    fn expect(&mut self, input: &Input) {
        let model = &mut self.model;
        model.said.clear();
        (model.stale, model.stop) = (BTreeMap::new(), BTreeMap::new());
        model.touched.clear();
        match input {
            Input::Began { .. } => model.began(),
            Input::Asked { actor, request, tag, .. } | Input::Found { actor, request, tag, .. } => {
                let result = model.asked(actor, request);
                self.seen.refused += u64::from(result.is_err());
                model.said.push(reply(*tag, &result));
            }
            Input::Did { .. } => {}
            Input::WorkerJoined { name, hello, .. } => {
                let worker = WORKERS.iter().position(|w| *w == name.as_str());
                model.joined(worker.expect("a worker of ours"), hello);
            }
            Input::WorkerSaid { session, said } => self.expect_said(*session, said),
            Input::WorkerLeft { session } => model.left(*session),
            Input::OutputCame { session, lease } => {
                model.said.push(format!("stored {session} {lease}"));
            }
            Input::Tick => model.tick(),
        }
    }

    fn expect_said(&mut self, id: SessionId, said: &Said) {
        let model = &mut self.model;
        let Some(session) = model.heard(id) else { return };
        match said {
            Said::Heartbeat(_) => {}
            Said::Hold(tasks) => session.hold = u64::from(tasks.cpu),
            Said::Draining(drain) => {
                session.draining = *drain == ganger::engine::input::Drain::On;
            }
            Said::Started(runs) => runs.iter().for_each(|run| model.started(id, *run)),
            Said::Report(report) => model.reported(id, report),
            Said::Release(runs) => {
                runs.iter().for_each(|run| model.released(id, *run));
                model.asked_back.remove(&id);
            }
        }
    }

    fn compare_effects(&mut self, effects: &[Effect]) -> Result<(), String> {
        let mut heard = Vec::new();
        let mut stale: BTreeMap<SessionId, BTreeSet<LeaseId>> = BTreeMap::new();
        let mut stop: BTreeMap<SessionId, BTreeSet<LeaseId>> = BTreeMap::new();
        let mut ended = BTreeSet::new();
        let mut grants: Vec<(SessionId, &Grant)> = Vec::new();
        for effect in effects {
            match effect {
                Effect::Reply { tag, result, .. } => heard.push(reply(*tag, result)),
                Effect::Welcome { session, stale, acknowledged } => {
                    let stale: BTreeSet<_> = stale.iter().flat_map(leases).collect();
                    heard.push(format!(
                        "welcome {session} stale {stale:?} acknowledged {acknowledged}"
                    ));
                }
                Effect::Grant { session, grant } => grants.push((*session, grant)),
                Effect::Ack { session, report } => heard.push(format!("ack {session} {report}")),
                Effect::Stale { session, leases: runs } => {
                    stale.entry(*session).or_default().extend(runs.iter().flat_map(leases));
                }
                Effect::Cancel { session, leases: runs } => {
                    stop.entry(*session).or_default().extend(runs.iter().flat_map(leases));
                }
                // What is asked back is the engine's choice; what comes of it is compared.
                Effect::TakeBack { session, leases: runs } => {
                    let until = self.model.now.mono_ms + ANSWER_MS;
                    let leases = runs.iter().flat_map(leases).collect();
                    self.model.asked_back.insert(*session, (until, leases));
                    self.seen.asked_back += 1;
                }
                Effect::Drain { session, drain } => {
                    heard.push(format!("drain {session} {drain:?}"));
                }
                Effect::Slots { session, slots } => {
                    heard.push(format!("slots {session} {slots}"));
                }
                Effect::OutputStored { session, lease } => {
                    heard.push(format!("stored {session} {lease}"));
                }
                Effect::BatchEnded { batch } => {
                    ended.insert(*batch);
                }
            }
        }
        heard.sort();
        self.model.said.sort();
        let model = &self.model;
        self.seen.stale += stale.values().map(|leases| leases.len() as u64).sum::<u64>();
        equal("effects", &heard, &model.said)?;
        equal("stale leases", &stale, &model.stale)?;
        equal("cancel orders", &stop, &model.stop)?;
        let over = model.touched.iter().copied().filter(|id| {
            model.batches.iter().any(|b| b.id == *id && b.complete)
                && !model.tasks.iter().any(|t| t.batch == *id && !t.state.is_end())
        });
        equal("batches that ended", &ended, &over.collect())?;
        for (session, grant) in grants {
            self.seen.grants += 1;
            self.model.note_choice(session, grant);
            self.model.granted(session, grant)?;
        }
        Ok(())
    }

    /// Reads the waits that the engine has drawn, and checks that they are allowed.
    fn settle_draws(&mut self) -> Result<(), String> {
        let wall = self.model.now.wall;
        for task in &mut self.model.tasks {
            let Some(most_ms) = task.draws_ms.take() else { continue };
            let due = self.rig.engine.ledger().task(TaskId::new(task.id)).at;
            if due < wall || due > wall.plus(most_ms) {
                return Err(format!("{task:?} waits until {due:?}, now is {wall:?}"));
            }
            task.due = due;
            task.elsewhere_ms = self.model.now.mono_ms + due.since(wall) + ELSEWHERE_MS;
            task.state = TaskState::Delayed;
        }
        Ok(())
    }

    fn compare_states(&mut self) -> Result<(), String> {
        let engine = &self.rig.engine;
        let mut counts = Counts::default();
        for task in &self.model.tasks {
            let id = TaskId::new(task.id);
            let seen = engine.ledger().task(id);
            let worker = task.worker.map_or("", |worker| WORKERS[worker]);
            let alike = engine.shown_state(id, &seen) == task.state
                && seen.state != ganger::engine::task::State::Absent
                && seen.priority == task.priority
                && u32::from(seen.attempt) == task.attempt
                && u32::from(seen.failures) == task.failures
                && seen.lost() == task.lost
                && seen.releases == task.releases
                && seen.is_cancelling() == task.cancelling
                && seen.lease_id() == task.lease
                && engine.worker_of(&seen) == worker;
            if !alike {
                return Err(format!("{id} is {seen:?}, should be {task:?}"));
            }
            *count(&mut counts, task.state) += 1;
        }
        equal("counts", &engine.counts(), &counts)?;
        self.seen.done += counts.done;
        self.seen.blocked += counts.blocked;
        let held = self.model.sessions.iter().map(|(id, s)| (*id, s.reported));
        let known = engine.ledger().sessions.iter().map(|(id, s)| (*id, s.reported));
        equal("sessions", &known.collect::<Vec<_>>(), &held.collect())?;
        let batches = engine.ledger().batches.all.iter();
        let batches: Vec<_> = batches.map(|(id, b)| (*id, b.tasks, b.complete)).collect();
        let known = self.model.batches.iter().map(|b| (b.id, b.tasks, b.complete));
        equal("batches", &batches, &known.collect())
    }

    fn compare_windows(&mut self) -> Result<(), String> {
        let asked = random::window(&mut self.rng, &self.model);
        let watch = Watch {
            tasks: Some(asked.clone()),
            results: Some(asked.clone()),
            history: true,
            ..Watch::default()
        };
        let master = blank_master(Name::from_lossy("sim"));
        let picture =
            self.rig.engine.sketch(self.model.now, &watch, &mut self.searches, master).picture;
        let window = picture.tasks.ok_or("no tasks were shown")?;
        let mut all = self.matching(&asked.filter);
        if let Order::By(sort) = asked.order {
            self.sort(&mut all, sort);
        }
        equal("the search", &window.search, &Search::Complete)?;
        equal("the window's total", &window.total, &(all.len() as u64))?;
        equal("the window's length", &window.rows.len(), &all.len().min(asked.rows as usize))?;
        let from = window.start as usize;
        let rows = all.iter().skip(from).zip(&window.rows);
        rows.clone().try_for_each(|(task, row)| self.compare_row(task, row))?;
        let results = picture.results.ok_or("no results were shown")?;
        let ended: Vec<_> = all.into_iter().filter(|t| t.state.is_end()).collect();
        equal("the results' total", &results.total, &(ended.len() as u64))?;
        for (task, row) in ended.iter().skip(results.start as usize).zip(&results.rows) {
            equal("a result", &(row.task.raw(), row.state), &(task.id, task.state))?;
            let kept = self.rig.result(row.task).map(|ended| ended.stdout);
            equal("an answer", &kept, &task.answer)?;
        }
        self.compare_pages(&asked.filter)
    }

    fn compare_pages(&mut self, filter: &Filter) -> Result<(), String> {
        let after = TaskId::new(self.rng.u64(..self.model.next_task));
        if let Some(batch) = self.rng.choice(&self.model.batches) {
            let page = self.rig.engine.ended_of(batch.id, after, 5);
            let page: Vec<_> = page.iter().map(|(id, place, _)| (id.raw(), *place)).collect();
            let ended = self.model.tasks.iter().filter(|t| t.batch == batch.id);
            let ended = ended.filter(|t| t.state.is_end() && t.id > after.raw()).take(5);
            equal("a page of results", &page, &ended.map(|t| (t.id, t.place)).collect())?;
        }
        let page = self.rig.engine.list(self.model.now, filter, after, 7);
        let listed = self.matching(filter);
        let total = filter.is_indexed().then_some(listed.len() as u64);
        equal("a listing's total", &page.total, &total)?;
        let rows = page.rows;
        let listed = listed.iter().map(|t| t.id).filter(|id| *id > after.raw()).take(7);
        let rows: Vec<u64> = rows.iter().map(|row| row.task.raw()).collect();
        equal("a listing", &rows, &listed.collect())
    }

    fn matching(&self, filter: &Filter) -> Vec<&Task> {
        self.model.tasks.iter().filter(|task| self.model.matches(task, filter)).collect()
    }

    /// Sorts as a window does: what has nothing to compare is last, ties are in rising id order.
    fn sort(&self, tasks: &mut [&Task], sort: Sort) {
        let key = |task: &Task| -> Option<String> {
            let number = |number: i64| Some(format!("{:04}", number + 1_000));
            match sort.key {
                SortKey::Id => Some(format!("{:08}", task.id)),
                SortKey::State => number(task.state as i64),
                SortKey::Priority => number(i64::from(task.priority)),
                SortKey::Kind => Some(self.model.batch(task.batch).kind.to_owned()),
                SortKey::Worker => task.worker.map(|at| WORKERS[at].to_owned()),
                SortKey::Tries => number(i64::from(task.attempt)),
                SortKey::Exit | SortKey::Took | SortKey::Since => None,
            }
        };
        tasks.sort_by(|a, b| {
            let order = match (key(a), key(b)) {
                (Some(a), Some(b)) if sort.direction == Direction::Rising => a.cmp(&b),
                (Some(a), Some(b)) => b.cmp(&a),
                (a, b) => b.is_some().cmp(&a.is_some()),
            };
            order.then(a.id.cmp(&b.id))
        });
    }

    fn compare_row(&self, task: &Task, row: &TaskRow) -> Result<(), String> {
        let batch = self.model.batch(task.batch);
        let seen = (row.task.raw(), row.batch, row.state, row.queue.as_str(), row.kind.as_str());
        let queue = self.model.queues[batch.queue].0.as_str();
        equal("a row", &seen, &(task.id, task.batch, task.state, queue, batch.kind))
    }
}

fn leases(run: &LeaseRun) -> impl Iterator<Item = LeaseId> + use<> {
    let run = *run;
    (0..u64::from(run.count)).map(move |place| run.first.plus(place))
}

/// Returns a reply in words; the text of an invalid request is left out.
fn reply(tag: u64, result: &Result<Reply, Refusal>) -> String {
    match result {
        Err(Refusal::Invalid(_)) => format!("reply {tag} invalid"),
        other => format!("reply {tag} {other:?}"),
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, wanted: &T) -> Result<(), String> {
    if seen == wanted {
        return Ok(());
    }
    Err(format!("{what} differ\n  engine: {seen:?}\n  model:  {wanted:?}"))
}

fn count(counts: &mut Counts, state: TaskState) -> &mut u64 {
    match state {
        TaskState::Blocked => &mut counts.blocked,
        TaskState::Delayed => &mut counts.delayed,
        TaskState::Queued => &mut counts.queued,
        TaskState::Sent => &mut counts.sent,
        TaskState::Running => &mut counts.running,
        TaskState::Done => &mut counts.done,
        TaskState::Failed => &mut counts.failed,
        TaskState::Cancelled => &mut counts.cancelled,
    }
}
