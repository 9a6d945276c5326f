//! What people ask, on the reference model: submissions, bulk commands, filters.

use ganger_proto::command::{Changed, Submit};
use ganger_proto::filter::Test;
use ganger_proto::{
    Actor, Args, BatchId, Filter, Kind, Refusal, Reply, Request, Role, Select, TaskId, TaskState,
};

use crate::model::{Batch, Met, Model, Paused, TASKS_MAX, Task};

/// The workers' names, by number.
pub(crate) const WORKERS: [&str; 4] = ["ada", "ben", "cleo", "dan"];

fn sees(actor: &Actor, batch: &Batch) -> bool {
    actor.role != Role::Submitter || batch.owner == *actor
}

impl Model {
    /// Does what is asked.
    ///
    /// # Errors
    /// The refusal; of an invalid request without its text.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the engine answers no other requests")]
    pub(crate) fn asked(&mut self, actor: &Actor, request: &Request) -> Result<Reply, Refusal> {
        match request {
            Request::Submit(submit) => self.submit(actor, submit),
            Request::Cancel { select, now } => {
                let chosen = self.selected(actor, select)?;
                Ok(Reply::Changed(if *now { self.kill(&chosen) } else { self.cancel(&chosen) }))
            }
            Request::Retry { select } => {
                let chosen = self.selected(actor, select)?;
                Ok(Reply::Changed(self.retry(&chosen)))
            }
            Request::Delete { select } => {
                let chosen = self.selected(actor, select)?;
                Ok(Reply::Changed(self.delete(&chosen)))
            }
            Request::SetPriority { select, priority } => {
                let chosen = self.selected(actor, select)?;
                let mut changed = Changed::default();
                for at in chosen {
                    if self.tasks[at].state.is_end() {
                        changed.ended += 1;
                    } else {
                        changed.changed += 1;
                        self.tasks[at].priority = *priority;
                    }
                }
                Ok(Reply::Changed(changed))
            }
            Request::Pause { queue } => self.pause(queue.as_str(), Paused::Yes),
            Request::Resume { queue } => self.pause(queue.as_str(), Paused::No),
            Request::Drain { worker } => self.drain(worker.as_str(), Paused::Yes),
            Request::Undrain { worker } => self.drain(worker.as_str(), Paused::No),
            other => panic!("the model is not asked {other:?}"),
        }
    }

    fn submit(&mut self, actor: &Actor, submit: &Submit) -> Result<Reply, Refusal> {
        let count = submit.args.count();
        let known = self.batches.iter().position(|b| b.key == submit.key);
        let Some(known) = known else {
            let unknown = Refusal::UnknownSubmission { part: submit.part };
            let head = submit.head.as_ref().filter(|_| submit.part == 0).ok_or(unknown)?;
            let options = &head.options;
            let there = |id: BatchId| self.batches.iter().any(|b| b.id == id && sees(actor, b));
            if let Some(after) = options.after.iter().find(|after| !there(after.batch)) {
                return Err(Refusal::NoBatch(after.batch));
            }
            check(head.spec.kind.word(), &submit.args)?;
            if count == 0 {
                return Err(Refusal::Invalid(String::new()));
            }
            self.room_for(count)?;
            let batch = Batch {
                id: BatchId::new(self.next_batch),
                key: submit.key,
                owner: actor.clone(),
                queue: self.queue(options.queue.as_str()),
                kind: head.spec.kind.word(),
                name: options.name.clone(),
                labels: options.labels.clone(),
                retries: u32::from(options.retries),
                backoff: (options.backoff.base_ms, options.backoff.cap_ms),
                limit_ms: head.spec.timeout_ms,
                submitted: self.now.wall,
                newest_end: Default::default(),
                parts: 0,
                complete: false,
                tasks: 0,
                priority: options.priority,
                not_before: options.not_before,
                after: options.after.clone(),
                jobs_max: options.jobs_max,
            };
            self.next_batch += 1;
            self.batches.push(batch);
            return Ok(self.add(self.batches.len() - 1, submit));
        };
        let batch = &self.batches[known];
        if batch.owner != *actor {
            return Err(Refusal::Invalid(String::new()));
        }
        if submit.part < batch.parts || batch.complete {
            let (batch, tasks) = (batch.id, batch.tasks);
            return Ok(Reply::Submitted { batch, tasks, duplicate: true });
        }
        if submit.part > batch.parts {
            return Err(Refusal::UnknownSubmission { part: submit.part });
        }
        check(batch.kind, &submit.args)?;
        self.room_for(count)?;
        Ok(self.add(known, submit))
    }

    fn add(&mut self, at: usize, submit: &Submit) -> Reply {
        let blocked = self.before(&self.batches[at]) != Some(Met::Yes);
        let batch = &mut self.batches[at];
        for place in 0..submit.args.count() {
            let mut argument = Vec::new();
            submit.args.write(place, &mut argument);
            let due = batch.not_before.filter(|due| *due > batch.submitted);
            let command = command(batch.kind, &submit.args, &argument);
            self.tasks.push(Task {
                id: self.next_task,
                batch: batch.id,
                argument,
                command,
                place: batch.tasks,
                state: match due {
                    _ if blocked => TaskState::Blocked,
                    Some(_) => TaskState::Delayed,
                    None => TaskState::Queued,
                },
                due: due.unwrap_or_default(),
                draws_ms: None,
                elsewhere_ms: 0,
                priority: batch.priority,
                attempt: 0,
                failures: 0,
                lost: 0,
                releases: 0,
                cancelling: false,
                session: None,
                lease: Default::default(),
                worker: None,
                unfit: Default::default(),
                answer: None,
            });
            self.next_task += 1;
            batch.tasks += 1;
        }
        batch.parts += 1;
        batch.complete = submit.last;
        if submit.last {
            self.touched.insert(batch.id);
        }
        Reply::Submitted { batch: batch.id, tasks: batch.tasks, duplicate: false }
    }

    fn room_for(&self, count: u64) -> Result<(), Refusal> {
        if self.tasks.len() as u64 + count > TASKS_MAX {
            return Err(Refusal::QueueFull { limit: TASKS_MAX, retry_after_ms: 5_000 });
        }
        Ok(())
    }

    fn queue(&mut self, name: &str) -> usize {
        self.queues.iter().position(|(n, _)| n == name).unwrap_or_else(|| {
            self.queues.push((name.to_owned(), Paused::No));
            self.queues.len() - 1
        })
    }

    fn cancel(&mut self, chosen: &[usize]) -> Changed {
        let mut changed = Changed::default();
        for at in chosen.iter().copied() {
            match self.tasks[at].state {
                TaskState::Blocked | TaskState::Delayed | TaskState::Queued => {
                    self.cancel_waiting(at)
                }
                TaskState::Sent => self.fence(at),
                TaskState::Running => {
                    changed.asked += 1;
                    self.tasks[at].cancelling = true;
                    let session = self.tasks[at].session.expect("it runs");
                    self.stop.entry(session).or_default().insert(self.tasks[at].lease);
                    continue;
                }
                TaskState::Done | TaskState::Failed | TaskState::Cancelled => {
                    changed.ended += 1;
                    continue;
                }
            }
            changed.changed += 1;
        }
        changed
    }

    fn kill(&mut self, chosen: &[usize]) -> Changed {
        let mut changed = Changed::default();
        for at in chosen.iter().copied() {
            match self.tasks[at].state {
                TaskState::Blocked | TaskState::Delayed | TaskState::Queued => {
                    self.cancel_waiting(at);
                }
                TaskState::Sent | TaskState::Running => self.fence(at),
                TaskState::Done | TaskState::Failed | TaskState::Cancelled => {
                    changed.ended += 1;
                    continue;
                }
            }
            changed.changed += 1;
        }
        changed
    }

    fn retry(&mut self, chosen: &[usize]) -> Changed {
        let mut changed = Changed::default();
        for at in chosen.iter().copied() {
            let task = &mut self.tasks[at];
            match task.state {
                TaskState::Failed | TaskState::Cancelled => {
                    (task.failures, task.lost, task.releases) = (0, 0, 0);
                    task.unfit.clear();
                }
                TaskState::Delayed => {}
                TaskState::Done => {
                    changed.ended += 1;
                    continue;
                }
                TaskState::Blocked | TaskState::Sent | TaskState::Running => {
                    changed.refused += 1;
                    continue;
                }
                TaskState::Queued => continue,
            }
            task.state = TaskState::Queued;
            changed.changed += 1;
        }
        changed
    }

    fn delete(&mut self, chosen: &[usize]) -> Changed {
        let mut changed = Changed::default();
        let (gone, kept): (Vec<usize>, Vec<usize>) =
            chosen.iter().partition(|at| self.tasks[**at].state.is_end());
        changed.changed = gone.len() as u64;
        changed.refused = kept.len() as u64;
        let of: Vec<BatchId> = gone.iter().map(|at| self.tasks[*at].batch).collect();
        for at in gone.into_iter().rev() {
            self.tasks.remove(at);
        }
        let tasks = &self.tasks;
        self.batches.retain(|b| {
            !of.contains(&b.id) || !b.complete || tasks.iter().any(|t| t.batch == b.id)
        });
        changed
    }

    fn pause(&mut self, queue: &str, to: Paused) -> Result<Reply, Refusal> {
        let known = self.queues.iter_mut().find(|(name, _)| name == queue);
        let name = queue.parse().expect("the driver names queues");
        known.ok_or(Refusal::NoQueue(name))?.1 = to;
        Ok(Reply::Ok)
    }

    fn drain(&mut self, worker: &str, to: Paused) -> Result<Reply, Refusal> {
        let at = WORKERS.iter().position(|name| *name == worker).expect("one of ours");
        if !self.named[at] {
            return Err(Refusal::NoWorker(worker.parse().expect("it is a name")));
        }
        self.drained[at] = to;
        let on = if to == Paused::Yes { "On" } else { "Off" };
        let of_it = self.sessions.iter().filter(|(_, s)| s.worker == at);
        self.said.extend(of_it.map(|(id, _)| format!("drain {id} {on}")));
        Ok(Reply::Ok)
    }

    fn selected(&self, actor: &Actor, select: &Select) -> Result<Vec<usize>, Refusal> {
        let all = 0..self.tasks.len();
        let mut chosen: Vec<usize> = match select {
            Select::Tasks(ids) => {
                let there = |id: &TaskId| self.tasks.iter().any(|t| t.id == id.raw());
                if let Some(gone) = ids.iter().find(|id| !there(id)) {
                    return Err(Refusal::NoTask(*gone));
                }
                all.filter(|at| ids.contains(&TaskId::new(self.tasks[*at].id))).collect()
            }
            Select::Batch(id) => {
                if !self.batches.iter().any(|b| b.id == *id) {
                    return Err(Refusal::NoBatch(*id));
                }
                all.filter(|at| self.tasks[*at].batch == *id).collect()
            }
            Select::Matching(filter) => {
                all.filter(|at| self.matches(&self.tasks[*at], filter)).collect()
            }
        };
        if actor.role == Role::Submitter {
            let own = |at: &usize| self.batch(self.tasks[*at].batch).owner == *actor;
            if !chosen.iter().all(own) && !matches!(select, Select::Matching(_)) {
                let operation = "change the tasks of somebody else".to_owned();
                return Err(Refusal::Forbidden { operation, role: actor.role });
            }
            chosen.retain(own);
        }
        Ok(chosen)
    }

    /// Tells whether a task matches a filter.
    pub(crate) fn matches(&self, task: &Task, filter: &Filter) -> bool {
        let batch = self.batch(task.batch);
        filter.terms.iter().all(|term| {
            let holds = match &term.test {
                Test::State(states) => states.contains(&task.state),
                Test::Batch(ids) => ids.contains(&task.batch),
                Test::Queue(names) => names.contains(&self.queues[batch.queue].0),
                Test::Kind(words) => words.iter().any(|word| word == batch.kind),
                Test::Worker(names) => {
                    task.worker.is_some_and(|w| names.iter().any(|n| n == WORKERS[w]))
                }
                Test::Id(from, to) => (from.raw()..=to.raw()).contains(&task.id),
                Test::BatchName(names) => names.contains(&batch.name),
                Test::Label { key, values } => batch
                    .labels
                    .iter()
                    .any(|(k, v)| k == key && (values.is_empty() || values.contains(v))),
                Test::Priority(bound) => bound.holds(i64::from(task.priority)),
                Test::Tries(bound) => bound.holds(i64::from(task.attempt)),
                Test::Age(bound) => bound.holds(1_000 * self.now.wall.since(batch.submitted)),
                Test::Command(texts) => texts.iter().any(|text| finds(text, &task.command)),
                Test::Word(text) => finds(text, &task.command) || finds(text, &batch.name),
                Test::Exit(_) | Test::Took(_) | Test::Wait(_) => {
                    unreachable!("the model does not know this, and no random filter has it")
                }
            };
            holds != term.negated
        })
    }
}

/// Smart case: a text without an upper-case letter is found in any case.
fn finds(text: &str, within: &str) -> bool {
    if text.chars().any(char::is_uppercase) {
        within.contains(text)
    } else {
        within.to_lowercase().contains(text)
    }
}

/// What a task of [`spec`](crate::random) runs, for people.
fn command(kind: &str, args: &Args, argument: &[u8]) -> String {
    let argument = String::from_utf8_lossy(argument);
    match kind {
        "square" => format!("n={argument}"),
        "sleep" => argument.into_owned(),
        _ if matches!(args, Args::Repeat { .. }) => "True".to_owned(),
        "shell" if argument.is_empty() => "True ''".to_owned(),
        _ => format!("True {argument}"),
    }
}

fn check(kind: &str, args: &Args) -> Result<(), Refusal> {
    let needs = [Kind::Square.word(), Kind::Sleep.word()].contains(&kind);
    let none = matches!(args, Args::Repeat { count } if *count > 0);
    if needs && none { Err(Refusal::Invalid(String::new())) } else { Ok(()) }
}
