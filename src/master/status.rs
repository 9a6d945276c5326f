//! Questions and their answers, and what concerns trust: invites, revocations. Reads the engine;
//! changes no task.

use ganger_net::pki::authority::AuthorityError;
use ganger_proto::command::{ResultPage, Status};
use ganger_proto::limits::{PAGE_BYTES_MAX, PAGE_ROWS_MAX, WINDOW_ROWS_MAX};
use ganger_proto::picture::{MasterLine, WorkerRow};
use ganger_proto::{Actor, BatchId, Refusal, Reply, Request, Role, SessionId, TaskId, WorkerName};

use super::Master;
use super::bodies::{Job, Rest, ResultSeed, Work};
use super::ends::Wanted;
use super::inbox::Peering;
use super::outgoing::Outgoing;
use super::room::HELD_OF_ONE;
use crate::engine::filter::Listed;
use crate::engine::gang::Member;
use crate::engine::input::ClientId;
use crate::engine::picture::blank_master;

/// Batches shown on the status page.
const STATUS_BATCHES: usize = 10;

impl Master {
    pub(super) fn client_came(&mut self, client: ClientId, arrival: Peering) {
        self.clients.came(client, arrival);
        self.welcome_client(client);
    }

    /// Answers a request that changes no task.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is answered by the next step")]
    pub(super) fn question(&mut self, client: ClientId, tag: u64, actor: &Actor, request: Request) {
        match request {
            Request::Wait { batches } => self.wait((client, tag), actor, batches),
            Request::Ends { batch, told, rows } => {
                self.ends((client, tag), actor, Wanted { batch, told, rows });
            }
            Request::Follow { task, attempt } => self.follow((client, tag), actor, task, attempt),
            Request::Status if self.waits_for_room() => {
                self.reply_now(client, tag, Ok(Reply::Status(Box::new(self.durable_status()))));
            }
            _ if self.clients.waiting(client) >= HELD_OF_ONE => self.busy(client, tag),
            other => self.view(client, tag, actor, other),
        }
    }

    /// Answers a question with what the engine knows.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is answered by the next step")]
    fn view(&mut self, client: ClientId, tag: u64, actor: &Actor, request: Request) {
        let now = self.clock.now();
        let result = match request {
            Request::Status => Ok(Reply::Status(Box::new(self.status(actor)))),
            Request::Queues => Ok(Reply::Queues(self.engine.queue_rows())),
            Request::Workers { after } => Ok(self.workers(after.as_ref())),
            Request::Worker { name } => self.worker(&name),
            Request::Why { task } => self.why(actor, task),
            Request::Batches { before, rows } => {
                Ok(Reply::Batches(self.engine.batch_rows(actor, before, page(rows))))
            }
            Request::List { filter, after, rows } => {
                let Listed { mut rows, total, next } =
                    self.engine.list(now, &filter, after, page(rows));
                rows.retain(|row| self.engine.may_see(actor, row.batch));
                Ok(Reply::Tasks { rows, total, next })
            }
            Request::Log { rows } => Ok(Reply::Log(self.log.recent(rows.min(1_000) as usize))),
            other => return self.lookup(client, tag, actor, other),
        };
        self.reply(client, tag, result);
    }

    /// Answers a request for which the store must be read; the reading thread replies.
    #[expect(clippy::wildcard_enum_match_arm, reason = "requests of newer clients are refused")]
    fn lookup(&mut self, client: ClientId, tag: u64, actor: &Actor, request: Request) {
        let work = match request {
            Request::Show { task } => self.detail(actor, task),
            Request::Results { batch, after, rows } => self.results(actor, batch, after, rows),
            Request::Output { task, attempt, stream, offset } => {
                let block = self.engine.block_of(task);
                let work = Work::Output { task, attempt, stream, offset, block };
                self.visible(actor, task).map(|()| work)
            }
            Request::Events { after, rows } => Ok(Work::Events { after, rows: page(rows) }),
            Request::Audit { after, rows } => {
                let rows = page(rows);
                Ok(Work::Audit { after, trust: self.authority.audit(after.trust, rows), rows })
            }
            Request::CheckTrust => Ok(Work::CheckTrust(self.authority.clone())),
            Request::Identities { after, rows } => {
                let reply = self.identities(after.as_ref(), rows);
                return self.reply(client, tag, Ok(reply));
            }
            Request::Authority => {
                let facts = self.authority.facts();
                return self.reply(client, tag, Ok(Reply::Authority(facts)));
            }
            other => Err(Refusal::Invalid(format!("this master does not know {other:?}"))),
        };
        match work {
            Ok(work) => self.job(client, tag, work),
            Err(refusal) => self.reply(client, tag, Err(refusal)),
        }
    }

    fn job(&mut self, client: ClientId, tag: u64, work: Work) {
        let Some(known) = self.clients.get(client) else { return };
        let Some(turn) = known.turn() else {
            return self.busy(client, tag);
        };
        let job = Job { to: known.session.clone(), tag, work, turn: Some(turn) };
        self.hold(vec![Outgoing::Job(Box::new(job))]);
    }

    pub(super) fn visible(&self, actor: &Actor, task: TaskId) -> Result<(), Refusal> {
        let batch = self.engine.ledger().batches.of_task(task).map(|(batch, _)| batch);
        match batch {
            Some(batch) if self.engine.may_see(actor, batch) => Ok(()),
            Some(_) | None => Err(Refusal::NoTask(task)),
        }
    }

    fn detail(&self, actor: &Actor, task: TaskId) -> Result<Work, Refusal> {
        self.visible(actor, task)?;
        let found = self.engine.detail(self.clock.now(), actor, task);
        let (detail, pasts) = found.ok_or(Refusal::NoTask(task))?;
        let ledger = self.engine.ledger();
        let named =
            |past: crate::engine::ledger::Past| (ledger.worker_name(past.worker).to_owned(), past);
        let pasts = pasts.into_iter().map(named).collect();
        Ok(Work::Detail { detail: Box::new(detail), pasts })
    }

    fn results(
        &self,
        actor: &Actor,
        batch: Option<BatchId>,
        after: TaskId,
        rows: u32,
    ) -> Result<Work, Refusal> {
        let newest = || self.engine.newest_batch(actor).ok_or(Refusal::NoBatches);
        let batch = batch.map_or_else(newest, Ok)?;
        if !self.engine.may_see(actor, batch) {
            return Err(Refusal::NoBatch(batch));
        }
        let row = self.engine.batch_row(batch).ok_or(Refusal::NoBatch(batch))?;
        let wanted = page(rows);
        let found = self.engine.ended_of(batch, after, wanted + 1);
        let more = found.len() > wanted;
        let seeds = found.into_iter().take(wanted).map(|(task, index, record)| ResultSeed {
            task,
            index,
            attempt: u32::from(record.attempt),
            worker: self.engine.worker_of(&record),
            state: self.engine.shown_state(task, &record),
            block: record.block_id(),
        });
        let page = ResultPage { batch, rows: Vec::new(), next: None, open: row.counts.open() };
        let rest = if more { Rest::More } else { Rest::Nothing };
        Ok(Work::Results { page, seeds: seeds.collect(), rest })
    }

    fn status(&self, actor: &Actor) -> Status {
        let line = self.engine.master_line(self.clock.now(), self.master_line());
        Status {
            master: line,
            queues: self.engine.queue_rows(),
            gang: self.engine.gang(),
            workers: self.first_workers(),
            batches: self.engine.batch_rows(actor, None, STATUS_BATCHES),
        }
    }

    /// Returns what may be told while the disk is full: the trouble, the tasks as they were durable
    /// last, and who is connected, of which no journal tells.
    fn durable_status(&self) -> Status {
        Status {
            master: self.durable_line(),
            queues: Vec::new(),
            gang: self.engine.gang(),
            workers: self.first_workers(),
            batches: Vec::new(),
        }
    }

    fn first_workers(&self) -> Vec<WorkerRow> {
        let mut first = self.engine.workers_in_order();
        first.truncate(WINDOW_ROWS_MAX as usize);
        self.page_of(first).0
    }

    /// Returns the workers whose names come after one, as many as a page holds.
    fn workers(&self, after: Option<&WorkerName>) -> Reply {
        let name = |member: &Member| &self.engine.ledger().workers[&member.worker].name;
        let mut all = self.engine.workers_in_order();
        all.retain(|member| after.is_none_or(|after| name(member) > after));
        // Of two sessions of one worker the connected one stays first.
        all.sort_by(|a, b| name(a).cmp(name(b)));
        let (rows, more) = self.page_of(all);
        let next = rows.last().filter(|_| more).map(|row| row.name.clone());
        Reply::Workers { rows, next }
    }

    /// Returns the rows of workers up to what a page holds, and whether more would come.
    fn page_of(&self, all: Vec<Member>) -> (Vec<WorkerRow>, bool) {
        let (now, mut bytes) = (self.clock.now(), 0);
        let (mut rows, mut left) = (Vec::new(), all.into_iter().peekable());
        while let Some(member) = left.next() {
            let Some(mut row) = self.engine.worker_row(now, member) else { continue };
            self.fill_worker(&mut row, member.session);
            bytes += bytes_of(&row);
            rows.push(row);
            // A worker's two sessions come together: the next page begins after its name.
            let whole = left.peek().is_none_or(|next| next.worker != member.worker);
            if whole && bytes >= PAGE_BYTES_MAX {
                break;
            }
        }
        (rows, left.peek().is_some())
    }

    fn worker(&self, name: &WorkerName) -> Result<Reply, Refusal> {
        let found = self.engine.worker_detail(self.clock.now(), name);
        let (session, mut detail) = found.ok_or_else(|| Refusal::NoWorker(name.clone()))?;
        self.fill_worker(&mut detail.row, session);
        detail.certificate = self.authority.certificate(Role::Worker, name);
        let ends = detail.certificate.as_ref().map(|certificate| certificate.ends);
        detail.row.certificate_ends = detail.row.certificate_ends.or(ends);
        Ok(Reply::Worker(Box::new(detail)))
    }

    fn why(&self, actor: &Actor, task: TaskId) -> Result<Reply, Refusal> {
        self.visible(actor, task)?;
        let why = self.engine.why(self.clock.now(), task).ok_or(Refusal::NoTask(task))?;
        Ok(Reply::Why(Box::new(why)))
    }

    /// Says to a worker that has just beaten how often to, and remembers it when it has come to
    /// another network.
    pub(super) fn beat_came(&mut self, session: SessionId) {
        self.pace_beats(session);
        if let Some(from) = self.workers.moved(session) {
            tracing::info!(%session, %from, "a worker's packets come from another address");
            self.engine.note_moved(self.clock.now(), session);
            self.clients.note_change();
        }
    }

    /// Adds what the connection knows to a worker's row.
    pub(super) fn fill_worker(&self, row: &mut WorkerRow, session: Option<SessionId>) {
        let Some(link) = session.and_then(|id| self.workers.get(id)) else { return };
        row.address = link.session.remote().to_string();
        row.rtt_us = u64::try_from(link.session.rtt().as_micros()).unwrap_or(u64::MAX);
        // Renewed since it connected, perhaps.
        let newest = self.authority.certificate(link.actor.role, &link.actor.name);
        row.certificate_ends = newest.map(|certificate| certificate.ends);
    }

    /// Returns what the master knows of itself; the engine fills in the rest.
    pub(super) fn master_line(&self) -> MasterLine {
        let mut line = blank_master(self.authority.cluster().clone());
        env!("CARGO_PKG_VERSION").clone_into(&mut line.version);
        line.address = self.shown_address();
        line.home = self.facts.home.display().to_string();
        line.started = self.facts.started;
        line.cpu_permille = self.bodies.cpu_permille();
        line.commits = self.writer.durable().borrow().commits;
        line.trouble.clone_from(&self.facts.trouble);
        line.refused = self.server.refused_lately();
        line
    }

    fn shown_address(&self) -> String {
        match self.facts.advertise.first() {
            Some(address) => address.clone(),
            None => self.facts.address.to_string(),
        }
    }
}

/// Returns about how many bytes a row takes in a frame.
fn bytes_of(row: &WorkerRow) -> usize {
    /// Numbers and lengths of a row.
    const FIXED: usize = 96;
    let labels = row.labels.iter().map(|label| label.to_string().len() + 2).sum::<usize>();
    let texts = row.name.as_str().len() + row.address.len() + row.version.len();
    FIXED + texts + row.policy.len() + labels
}

pub(super) fn refused(error: &AuthorityError) -> Refusal {
    Refusal::State(error.to_string())
}

fn page(rows: u32) -> usize {
    rows.clamp(1, PAGE_ROWS_MAX) as usize
}
