//! Pictures and waiting: who gets what picture when, and who hears that a batch has ended.

use ganger_proto::message::ToClient;
use ganger_proto::{Actor, BatchId, Refusal, Reply, Watch};

use super::Master;
use super::outgoing::{Outgoing, put};
use super::sessions::Waiter;
use crate::clock::Now;
use crate::engine::input::{ClientId, Effect};

/// Between two progress reports, in milliseconds.
const PROGRESS_EVERY_MS: u64 = 200;
/// Batches that one request may wait for.
const WAIT_BATCHES_MAX: usize = 1_024;
/// Requests of one connection that wait for batches at once.
const WAITS_MAX: usize = 256;

impl Master {
    /// Draws for every client that is due a picture.
    pub(super) fn draw(&mut self, now: Now) {
        for (client, watch) in self.clients.due(now.mono_ms) {
            if self.waits_for_room() {
                self.draw_trouble(client, &watch, now);
                continue;
            }
            let line = self.master_line();
            let mut searches = self.clients.searches(client);
            let mut sketch = self.engine.sketch(now, &watch, &mut searches, line);
            self.clients.keep_searches(client, searches);
            if let Some(workers) = &mut sketch.picture.workers {
                for (row, session) in workers.rows.iter_mut().zip(&sketch.sessions) {
                    self.fill_worker(row, *session);
                }
            }
            sketch.picture.log = self.recent_log(&watch);
            sketch.picture.seq = self.newest.0;
            sketch.picture.number = self.clients.drawn(client, now);
            let (picture, blocks) = (Box::new(sketch.picture), sketch.blocks);
            self.hold(vec![Outgoing::Picture { client, picture, blocks }]);
        }
        self.release_what_is_durable();
    }

    pub(super) fn recent_log(&self, watch: &Watch) -> Vec<String> {
        self.log.recent(watch.log_rows.min(1_000) as usize)
    }

    /// Lets leave what waits for nothing.
    fn release_what_is_durable(&mut self) {
        let seq = self.writer.durable().borrow().seq;
        self.release(seq);
    }

    /// Remembers a client that waits; answers at once when there is nothing to wait for.
    pub(super) fn wait(
        &mut self,
        (client, tag): (ClientId, u64),
        actor: &Actor,
        batches: Vec<BatchId>,
    ) {
        let waits = self.clients.waiters.iter().filter(|waiter| waiter.client == client).count();
        if waits >= WAITS_MAX {
            let text = format!("this connection waits {WAITS_MAX} times already; let one end");
            return self.reply(client, tag, Err(Refusal::Invalid(text)));
        }
        if batches.is_empty() || batches.len() > WAIT_BATCHES_MAX {
            let text = format!("name 1 to {WAIT_BATCHES_MAX} batches to wait for");
            return self.reply(client, tag, Err(Refusal::Invalid(text)));
        }
        let unknown = |id: &&BatchId| {
            self.engine.batch_row(**id).is_none() || !self.engine.may_see(actor, **id)
        };
        if let Some(unknown) = batches.iter().find(unknown) {
            return self.reply(client, tag, Err(Refusal::NoBatch(*unknown)));
        }
        self.clients.waiters.push(Waiter { client, tag, batches });
        self.answer_waiters();
    }

    /// Follows the end of a batch. Called when the end is durable.
    pub(super) fn batch_ended(&mut self, _batch: BatchId) {
        self.answer_waiters();
    }

    fn answer_waiters(&mut self) {
        let waiters = std::mem::take(&mut self.clients.waiters);
        let (over, open): (Vec<_>, Vec<_>) =
            waiters.into_iter().partition(|waiter| self.has_ended(waiter));
        self.clients.waiters = open;
        for Waiter { client, tag, batches } in over {
            let rows = batches.iter().filter_map(|id| self.engine.batch_row(*id)).collect();
            let result = Ok(Reply::Ended { batches: rows });
            self.hold(vec![Outgoing::Effect(Effect::Reply { client, tag, result })]);
        }
    }

    /// A batch that is not there any more has ended too.
    fn has_ended(&self, waiter: &Waiter) -> bool {
        let mut rows = waiter.batches.iter().map(|id| self.engine.batch_row(*id));
        rows.all(|row| row.is_none_or(|row| row.ended.is_some()))
    }

    /// Returns when progress is due.
    pub(super) fn progress_at(&self) -> u64 {
        let nobody = self.clients.waiters.is_empty() && !self.ends.awaited();
        if nobody || self.waits_for_room() { u64::MAX } else { self.clients.progress_ms }
    }

    /// Tells those who wait how far their batches are.
    pub(super) fn report_progress(&mut self, now: Now) {
        if self.progress_at() > now.mono_ms {
            return;
        }
        self.clients.progress_ms = now.mono_ms + PROGRESS_EVERY_MS;
        self.report_ends();
        for waiter in &self.clients.waiters {
            let Some(known) = self.clients.get(waiter.client) else { continue };
            let open = waiter.batches.iter().filter_map(|id| self.engine.batch_row(*id));
            if let Some(batch) = open.into_iter().find(|row| row.ended.is_none()) {
                put(&known.session, &ToClient::Progress { tag: waiter.tag, batch });
            }
        }
    }
}
