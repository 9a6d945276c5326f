//! A model from the parts of a snapshot, and the comparison of the replay with a later one. Decodes
//! what is stored; counts and indexes are made anew and compared with what the snapshot says.

use std::collections::BTreeMap;

use ganger_proto::{BlockId, LeaseId, TaskId};

use super::accounts::{ByState, Lot};
use super::leases::Held;
use super::model::{Model, Past, Session};
use super::report::{Findings, word};
use super::tasks::{End, Page, Record, Tasks};
use crate::engine::batch::Batch;
use crate::engine::ledger;
use crate::engine::runs::TaskRun;
use crate::engine::snapshot::{Head, Part};
use crate::engine::table;
use crate::engine::task::{State, Task};

/// What a snapshot says beside its tasks.
#[derive(Default)]
struct Said {
    digest: Option<[u8; 16]>,
    blocks: BTreeMap<u64, u64>,
    base: Option<u64>,
    pages: Vec<Page>,
    held: Vec<Held>,
}

impl Model {
    /// Returns the model that a snapshot gives. What does not add up in it is a finding.
    ///
    /// # Errors
    /// When a part is not one of this version.
    pub fn load(parts: &[Vec<u8>]) -> Result<Self, String> {
        let (mut model, mut said) = (Self::new(), Said::default());
        for (number, bytes) in parts.iter().enumerate() {
            let part = Part::decode(bytes).map_err(|error| {
                format!("part {number} of the snapshot cannot be read: {error}")
            })?;
            model.part(part, &mut said);
        }
        model.tasks = Tasks::from_pages(said.base.unwrap_or_default(), said.pages);
        model.count();
        for held in said.held {
            model.hold(held);
        }
        model.check_loaded(said.digest, &said.blocks);
        Ok(model)
    }

    fn part(&mut self, part: Part, said: &mut Said) {
        match part {
            Part::Head(head) => {
                said.digest = Some(head.digest);
                said.held = self.head(head);
            }
            // What a spec says is the workers' concern.
            Part::Specs(_) | Part::WholeSpecs(_) | Part::Labels(_) => {}
            Part::Batches(some) => some.iter().for_each(|(id, batch)| {
                let queue = self.accounts.line(&batch.options.queue);
                self.keys.insert(batch.key, *id);
                *self.specs.entry(batch.spec).or_default() += 1;
                self.accounts.lots.insert(*id, lot_of(batch, queue));
            }),
            Part::Options(some) => some.iter().for_each(|(id, options)| {
                if let Some(lot) = self.accounts.lots.get_mut(id) {
                    lot.set_options(options);
                }
            }),
            Part::Extents(some) => some.iter().for_each(|(batch, extent)| {
                let run = extent.run();
                self.extents.insert(run.first, (*batch, run.count));
                if let Some(lot) = self.accounts.lots.get_mut(batch) {
                    lot.firsts.push(run.first);
                }
            }),
            Part::Pages { first, pages } | Part::Timed { first, pages, .. } => {
                said.base.get_or_insert(first);
                said.pages.extend(pages.iter().map(page_of));
            }
            Part::Blocks(some) => {
                let raw = some.iter().map(|(id, count)| (id.raw(), u64::from(*count)));
                said.blocks.extend(raw);
            }
            Part::History(some) => {
                for (id, all) in some {
                    self.past.insert(id, all.iter().map(past_of).collect());
                }
            }
        }
    }

    fn head(&mut self, head: Head) -> Vec<Held> {
        self.epoch = head.epoch;
        self.granted = head.leases;
        self.next_task = head.next_task;
        self.next_batch = head.next_batch;
        self.next_spec = head.next_spec;
        self.next_block = head.next_block;
        for (name, paused) in &head.queues {
            let line = self.accounts.line(name);
            self.accounts.lines[line].paused = *paused;
        }
        self.workers = head.workers.into_iter().map(|(id, worker)| (id, worker.name)).collect();
        self.outputs =
            head.outputs.into_iter().filter(|run| is_sound(*run, head.next_task)).collect();
        let mut held = Vec::new();
        for (id, session) in head.sessions {
            held.extend(session.held().map(|(first, tasks)| Held { first, tasks, session: id }));
            let (worker, reported) = (session.worker, session.reported);
            self.sessions.insert(id, Session { worker, reported, holds: 0 });
        }
        held
    }

    /// Counts the tasks of all extents by state.
    fn count(&mut self) {
        let next = self.next_task;
        let all = self
            .extents
            .iter()
            .map(|(first, (batch, count))| (*batch, TaskRun { first: *first, count: *count }));
        let (sound, odd): (Vec<_>, Vec<_>) = all.partition(|(_, run)| is_sound(*run, next));
        for (batch, run) in odd {
            let (first, count) = (run.first, run.count);
            self.findings.add(format!("the snapshot has {count} tasks from {first} in {batch}"));
            self.extents.remove(&first);
        }
        for (batch, run) in sound {
            let mut here = Vec::new();
            self.tasks.look(run, |part, record| here.push((part, record.state)));
            for (part, state) in here {
                self.accounts.shift(batch, part, State::Absent, state);
            }
        }
        let present = self.accounts.all.present();
        self.removed = (self.next_task.saturating_sub(1)).saturating_sub(present);
    }

    fn hold(&mut self, held: Held) {
        let Held { first, tasks: run, session } = held;
        if !is_sound(run, self.next_task) {
            let what = format!("{session} holds {} leases from {first} of no tasks", run.count);
            return self.findings.add(what);
        }
        if let Some(known) = self.sessions.get_mut(&session) {
            known.holds += run.count;
        }
        let Self { tasks, findings, .. } = self;
        tasks.look(run, |part, record| {
            let lease = first.plus(part.first.raw() - run.first.raw());
            if part.count > 1 || record.state != State::Leased || record.lease() != lease {
                let what =
                    format!("is {} and {session} holds its lease {lease}", word(record.state));
                findings.of(part.first, what);
            }
        });
        let newest = LeaseId { epoch: self.epoch, counter: self.granted };
        if first.plus(run.count.saturating_sub(1)) > newest {
            self.findings.add(format!("{session} holds lease {first}, {newest} is the newest"));
        }
        self.leases.grant(held);
    }

    fn check_loaded(&mut self, digest: Option<[u8; 16]>, blocks: &BTreeMap<u64, u64>) {
        let (held, leased) = (self.leases.count(), self.accounts.all.of(State::Leased));
        if held != leased {
            self.findings.add(format!("{leased} tasks are leased, sessions hold {held} leases"));
        }
        if digest != Some(self.digest()) {
            let what = "the snapshot does not give the digest that it was taken with";
            self.findings.add(what.to_owned());
        }
        if self.wanted() != *blocks {
            let what = "the snapshot does not count the results in blocks as its tasks do";
            self.findings.add(what.to_owned());
        }
    }

    /// Returns the blocks that tasks mention, and how often.
    pub(super) fn wanted(&self) -> BTreeMap<u64, u64> {
        let mut wanted: BTreeMap<u64, u64> = BTreeMap::new();
        let mut want = |block: Option<u64>, count: u64| {
            if let Some(block) = block {
                *wanted.entry(block).or_default() += count;
            }
        };
        for (first, (_, count)) in &self.extents {
            let run = TaskRun { first: *first, count: *count };
            self.tasks.look(run, |part, record| want(record.block(), part.count));
        }
        self.past.values().flatten().for_each(|past| want(past.block, 1));
        wanted
    }

    /// Returns where this model and one that a snapshot gave differ, as sentences.
    pub fn differences(&self, kept: &Self) -> Vec<String> {
        let mut findings = Findings::default();
        self.compare(kept, &mut findings);
        findings.list().iter().map(ToString::to_string).collect()
    }

    /// Says where the replay and a snapshot taken at the same batch differ.
    pub(super) fn compare(&self, kept: &Self, findings: &mut Findings) {
        let mut same = |what: &str, equal: bool| {
            if !equal {
                findings.add(format!("the snapshot here and the replay have other {what}"));
            }
        };
        let numbers = |m: &Self| (m.next_task, m.next_batch, m.next_spec, m.next_block);
        same("newest ids", numbers(self) == numbers(kept));
        same("leases granted", (self.epoch, self.granted) == (kept.epoch, kept.granted));
        same("batches", self.accounts.lots == kept.accounts.lots);
        same("queues", self.accounts.lines == kept.accounts.lines);
        same("workers", self.workers == kept.workers);
        same("sessions", self.sessions == kept.sessions);
        same("leases held", self.leases.joined() == kept.leases.joined());
        same("tasks with output", self.outputs == kept.outputs);
        same("earlier attempts", alike(&self.past, &kept.past));
        for (first, (_, count)) in &self.extents {
            let run = TaskRun { first: *first, count: *count };
            self.tasks.look(run, |part, ours| {
                kept.tasks.look(part, |part, theirs| {
                    if ours != theirs {
                        let what = format!("is {ours}; the snapshot here says {theirs}");
                        findings.of(part.first, what);
                    }
                });
            });
        }
    }
}

/// Compares earlier attempts; a snapshot does not keep their leases.
fn alike<'a>(
    ours: impl IntoIterator<Item = (&'a TaskId, &'a std::collections::VecDeque<Past>)>,
    theirs: impl IntoIterator<Item = (&'a TaskId, &'a std::collections::VecDeque<Past>)>,
) -> bool {
    let known = |(id, all): (&TaskId, &std::collections::VecDeque<Past>)| {
        (*id, all.iter().map(|past| (past.attempt, past.end, past.block)).collect::<Vec<_>>())
    };
    ours.into_iter().map(known).eq(theirs.into_iter().map(known))
}

/// Tells whether a run holds tasks that were submitted, and nothing else.
fn is_sound(run: TaskRun, next_task: u64) -> bool {
    let end = run.first.raw().checked_add(run.count);
    run.first.raw() > 0 && run.count > 0 && end.is_some_and(|end| end <= next_task)
}

fn lot_of(batch: &Batch, queue: usize) -> Lot {
    let mut lot = Lot::new((batch.key, batch.spec), queue, batch.submitted);
    lot.set_options(&batch.options);
    lot.parts = batch.parts;
    lot.complete = batch.complete;
    lot.tasks = batch.tasks;
    lot.by_state = ByState::default();
    lot
}

fn page_of(page: &table::Page) -> Page {
    match page {
        table::Page::Alike(task) => Page::Alike(record_of(task)),
        table::Page::Each(tasks) => Page::of(tasks.iter().map(record_of)),
    }
}

fn record_of(task: &Task) -> Record {
    let mut record = Record::waiting(task.state);
    record.set_lease(task.lease_id());
    record.set_block(task.block_id().map(BlockId::raw));
    let (kind, code) = task.end();
    record.set_end(End::stored(kind, code));
    record.attempt = task.attempt;
    record.failures = task.failures;
    record.lost = task.lost();
    record.releases = task.releases;
    if task.is_cancelling() {
        record.ask_cancel();
    }
    record
}

fn past_of(past: &ledger::Past) -> Past {
    let end = past.outcome.map(End::of).unwrap_or_default();
    let block = past.block.map(BlockId::raw);
    Past { attempt: past.attempt, end, block, lease: None }
}
