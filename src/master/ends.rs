//! Ends of tasks for those who follow a batch: what each connection has heard of, and who waits for
//! more. Tells of nothing that is not durable: it answers after the turn.

use std::collections::BTreeMap;

use ganger_proto::ends::{EndPage, IdRun};
use ganger_proto::limits::{ENDS_BATCHES_MAX, PAGE_ROWS_MAX, TOLD_RUNS_MAX};
use ganger_proto::message::ToClient;
use ganger_proto::{Actor, BatchId, Refusal, Reply};

use super::Master;
use super::bodies::{EndSeed, Job, ResultSeed, Work};
use super::outgoing::{Outgoing, put};
use crate::engine::input::ClientId;
use crate::engine::runs::{IdSet, TaskRun};

/// Who follows which batch.
#[derive(Debug, Default)]
pub(super) struct Ends(BTreeMap<(ClientId, BatchId), Follower>);

/// A connection that follows a batch.
#[derive(Debug, Default)]
struct Follower {
    told: IdSet,
    /// Ended tasks of the batch when nothing new was found among them.
    nothing_in: Option<u64>,
    waits: Option<Waits>,
}

/// A request that has not been answered.
#[derive(Clone, Copy, Debug)]
struct Waits {
    tag: u64,
    rows: usize,
}

impl Ends {
    /// Forgets a client.
    pub(super) fn left(&mut self, client: ClientId) {
        self.0.retain(|(of, _), _| *of != client);
    }

    /// Tells whether somebody waits for an end.
    pub(super) fn awaited(&self) -> bool {
        self.0.values().any(|follower| follower.waits.is_some())
    }

    /// Returns those who wait: for which batch, with which tag.
    fn waiting(&self) -> impl Iterator<Item = (ClientId, BatchId, u64)> {
        self.0.iter().filter_map(|((client, batch), follower)| {
            follower.waits.map(|waits| (*client, *batch, waits.tag))
        })
    }
}

/// A request for ends.
pub(super) struct Wanted {
    pub(super) batch: BatchId,
    pub(super) told: Vec<IdRun>,
    pub(super) rows: u32,
}

impl Master {
    /// Keeps what a client has heard of; it is answered after the turn.
    pub(super) fn ends(&mut self, (client, tag): (ClientId, u64), actor: &Actor, wanted: Wanted) {
        match self.ends_asked((client, tag), actor, wanted) {
            Ok(None) => {}
            Ok(Some(page)) => self.reply(client, tag, Ok(Reply::Ends(page))),
            Err(refusal) => self.reply(client, tag, Err(refusal)),
        }
    }

    fn ends_asked(
        &mut self,
        (client, tag): (ClientId, u64),
        actor: &Actor,
        Wanted { batch, told, rows }: Wanted,
    ) -> Result<Option<EndPage>, Refusal> {
        let row = self.engine.batch_row(batch).filter(|_| self.engine.may_see(actor, batch));
        let row = row.ok_or(Refusal::NoBatch(batch))?;
        let beyond = |run: &IdRun| run.first.raw().checked_add(run.count).is_none();
        if told.len() > TOLD_RUNS_MAX || told.iter().any(beyond) {
            let text = format!("at most {TOLD_RUNS_MAX} runs of tasks are said at once");
            return Err(Refusal::Invalid(text));
        }
        let followed = self.ends.0.keys().filter(|(of, _)| *of == client).count();
        if followed >= ENDS_BATCHES_MAX && !self.ends.0.contains_key(&(client, batch)) {
            let text = format!("one connection follows at most {ENDS_BATCHES_MAX} batches");
            return Err(Refusal::Invalid(text));
        }
        let follower = self.ends.0.entry((client, batch)).or_default();
        let runs = told.into_iter().map(|IdRun { first, count }| TaskRun { first, count });
        follower.told.extend(&self.engine.within(batch, runs));
        follower.nothing_in = None;
        if rows == 0 {
            return Ok(Some(EndPage { rows: Vec::new(), batch: row }));
        }
        let waits = Waits { tag, rows: rows.min(PAGE_ROWS_MAX) as usize };
        match follower.waits.replace(waits) {
            None => Ok(None),
            Some(older) => {
                let text = "the same was asked again before this was answered";
                self.reply(client, older.tag, Err(Refusal::Invalid(text.to_owned())));
                Ok(None)
            }
        }
    }

    /// Answers those for whom there is something.
    pub(super) fn answer_ends(&mut self) {
        if !self.ends.awaited() || self.waits_for_room() {
            return;
        }
        let mut ends = std::mem::take(&mut self.ends);
        ends.0.retain(|(client, batch), follower| {
            let Some(waits) = follower.waits else { return true };
            let Some(row) = self.engine.batch_row(*batch) else {
                self.reply(*client, waits.tag, Err(Refusal::NoBatch(*batch)));
                return false;
            };
            let ended = row.counts.ended();
            if follower.nothing_in == Some(ended) && row.ended.is_none() {
                return true;
            }
            let seeds = self.end_seeds(*batch, &follower.told, waits.rows);
            if seeds.is_empty() && row.ended.is_none() {
                follower.nothing_in = Some(ended);
                return true;
            }
            let over = seeds.is_empty();
            follower.waits = None;
            let page = Box::new(EndPage { rows: Vec::new(), batch: row });
            if let Some(known) = self.clients.get(*client) {
                let work = Work::Ends { page, seeds };
                let job = Job { to: known.session.clone(), tag: waits.tag, work, turn: None };
                self.hold(vec![Outgoing::Job(Box::new(job))]);
            }
            !over
        });
        self.ends = ends;
    }

    fn end_seeds(&self, batch: BatchId, told: &IdSet, rows: usize) -> Vec<EndSeed> {
        let found = self.engine.ended_besides(batch, told, rows);
        let seeds = found.into_iter().map(|(task, index, record)| EndSeed {
            of: ResultSeed {
                task,
                index,
                attempt: u32::from(record.attempt),
                worker: self.engine.worker_of(&record),
                state: self.engine.shown_state(task, &record),
                block: record.block_id(),
            },
            at: record.at,
            argument: self.engine.argument_of(task),
        });
        seeds.collect()
    }

    /// Tells those who wait how far their batches are.
    pub(super) fn report_ends(&self) {
        for (client, batch, tag) in self.ends.waiting() {
            let row = self.engine.batch_row(batch);
            if let (Some(known), Some(batch)) = (self.clients.get(client), row) {
                put(&known.session, &ToClient::Progress { tag, batch });
            }
        }
    }
}
