//! Pictures: what one screen asked to see, from the engine's indexes, in bounded time and space.

use std::collections::BTreeSet;

use ganger_proto::limits::WINDOW_ROWS_MAX;
use ganger_proto::picture::{
    MasterLine, Order, Picture, ResultRow, Search as Progress, TaskRow, TaskWindow, Watch, Window,
    WorkerRow,
};
use ganger_proto::{BlockId, Ended, Name, Outcome, SessionId, TaskId, Usage};

use super::Engine;
use super::runs::TaskRun;
use super::search::{Scope, Search};
use super::task::State;
use super::window::{Searches, View};
use crate::clock::Now;

/// Queues shown.
const QUEUES_MAX: usize = 64;
/// Characters of a result shown in a row.
const TEXT_CHARS_MAX: usize = 256;

/// A picture that lacks what only the driver knows: addresses, round trips, results' texts.
#[derive(Debug)]
pub struct Sketch {
    /// The picture.
    pub picture: Picture,
    /// For each row of results the block with its text.
    pub blocks: Vec<Option<BlockId>>,
    /// For each row of workers its session.
    pub sessions: Vec<Option<SessionId>>,
}

impl Engine {
    /// Draws what `watch` asks for. `master` brings what the driver knows of itself, `searches`
    /// what it keeps for the client between pictures.
    pub fn sketch(
        &mut self,
        now: Now,
        watch: &Watch,
        searches: &mut Searches,
        master: MasterLine,
    ) -> Sketch {
        let counts = self.counts();
        self.soft.pulse.sample(now.mono_ms, counts);
        let (results, blocks) = match &watch.results {
            Some(window) => {
                let (window, blocks) = self.result_window(now, window, &mut searches.results);
                (Some(window), blocks)
            }
            None => {
                searches.results = None;
                (None, Vec::new())
            }
        };
        let (workers, sessions) = match watch.workers {
            Some(rows) => {
                let (window, sessions) = self.worker_window(now, rows.start, rows.rows);
                (Some(window), sessions)
            }
            None => (None, Vec::new()),
        };
        let tasks = match &watch.tasks {
            Some(window) => Some(self.task_window(now, window, &mut searches.tasks)),
            None => {
                searches.tasks = None;
                None
            }
        };
        let picture = Picture {
            number: 0,
            watch: watch.number,
            seq: 0,
            at: now.wall,
            master: self.master_line(now, master),
            queues: self.queue_rows().into_iter().take(QUEUES_MAX).collect(),
            gang: self.gang(),
            history: watch.history.then(|| self.soft.pulse.history()),
            tasks,
            results,
            workers,
            log: Vec::new(),
        };
        Sketch { picture, blocks, sessions }
    }

    /// Fills in what the engine knows of the master's line.
    pub fn master_line(&self, now: Now, mut line: MasterLine) -> MasterLine {
        line.counts = self.counts();
        (line.done_per_s, line.done_per_s_mean) = self.soft.pulse.rates(now.mono_ms);
        let open = line.counts.open();
        let known = line.done_per_s >= 0.1 && open > 0;
        line.eta_ms = known.then(|| (open as f64 / f64::from(line.done_per_s) * 1_000.0) as u64);
        line.oldest_wait_ms = self.oldest_wait_ms(now);
        line.stuck = self.stuck();
        line.newest_batch = self.ledger.batches.all.keys().next_back().copied();
        line
    }

    fn oldest_wait_ms(&self, now: Now) -> u64 {
        let oldest = self.ledger.in_state(State::Queued).first();
        let since = oldest.and_then(|id| {
            let task = self.ledger.task(id);
            let (batch, _) = self.ledger.batches.of_task(id)?;
            Some(task.at.max(self.ledger.batches.known(batch).submitted))
        });
        since.map_or(0, |since| now.wall.since(since))
    }

    fn task_window(
        &self,
        now: Now,
        asked: &TaskWindow,
        search: &mut Option<Search>,
    ) -> Window<TaskRow> {
        let rows = asked.rows.min(WINDOW_ROWS_MAX);
        let View { total, start, ids, search } = match asked.order {
            Order::Next => View::whole(self.ledger.tally.open(), self.next_up(rows)),
            Order::Latest => View::whole(self.ledger.latest.len() as u64, self.newest(rows)),
            Order::By(_) => self.view(now, asked, Scope::All, search),
        };
        let rows = ids.into_iter().filter_map(|id| self.task_row(now, id)).collect();
        Window { total, start, rows, search }
    }

    /// Returns what runs, what was sent, what backs off, then what is next in each queue.
    fn next_up(&self, rows: u32) -> Vec<TaskId> {
        let count = u64::from(rows);
        let leased = self.ledger.in_state(State::Leased);
        let mut runs = self.soft.running.front(count);
        runs.extend(leased.minus_front(&self.soft.running, count));
        runs.extend(self.ledger.in_state(State::Delayed).front(count.div_ceil(4)));
        let blocked = self.ledger.in_state(State::Blocked).front(count);
        for queue in &self.ledger.queues {
            runs.extend(queue.upcoming(count));
        }
        runs.extend(blocked);
        runs.into_iter().flat_map(TaskRun::ids).take(rows as usize).collect()
    }

    fn newest(&self, rows: u32) -> Vec<TaskId> {
        // A task that was tried again is there once for each end; its newest is shown.
        let mut seen = BTreeSet::new();
        let there = |id: &&TaskId| self.ledger.task(**id).state != State::Absent;
        let newest = self.ledger.latest.iter().rev().filter(there).copied();
        newest.filter(|id| seen.insert(*id)).take(rows as usize).collect()
    }

    fn result_window(
        &self,
        now: Now,
        asked: &TaskWindow,
        search: &mut Option<Search>,
    ) -> (Window<ResultRow>, Vec<Option<BlockId>>) {
        let rows = asked.rows.min(WINDOW_ROWS_MAX);
        let View { total, start, ids, search } = match asked.order {
            Order::Latest | Order::Next => {
                View::whole(self.ledger.tally.ended(), self.newest(rows))
            }
            Order::By(_) => self.view(now, asked, Scope::Ended, search),
        };
        let found = ids.into_iter().filter_map(|id| self.result_row(id));
        let (rows, blocks) = found.unzip();
        (Window { total, start, rows, search }, blocks)
    }

    fn result_row(&self, id: TaskId) -> Option<(ResultRow, Option<BlockId>)> {
        let task = self.ledger.task(id);
        let (batch, _) = self.ledger.batches.of_task(id)?;
        let row = ResultRow {
            task: id,
            batch,
            kind: self.ledger.batches.spec_of(batch).kind.word().to_owned(),
            state: self.shown_state(id, &task),
            attempt: u32::from(task.attempt),
            worker: self.worker_of(&task),
            outcome: task.outcome(),
            at: task.at,
            took_us: 0,
            usage: Usage::default(),
            text: String::new(),
        };
        Some((row, task.block_id()))
    }

    fn worker_window(
        &self,
        now: Now,
        start: u32,
        rows: u32,
    ) -> (Window<WorkerRow>, Vec<Option<SessionId>>) {
        let all = self.workers_in_order();
        let total = all.len() as u64;
        let start = (start as usize).min(all.len());
        let shown = all.into_iter().skip(start).take(rows.min(WINDOW_ROWS_MAX) as usize);
        let rows = shown.filter_map(|member| Some((member.session, self.worker_row(now, member)?)));
        let (sessions, rows) = rows.unzip();
        (Window { total, start: start as u64, rows, search: Progress::Complete }, sessions)
    }
}

/// Fills a row with what its block says.
pub fn fill_result(row: &mut ResultRow, ended: &Ended) {
    row.took_us = ended.took_us;
    row.usage = ended.usage;
    row.text = result_text(ended);
}

/// Returns the first line of what an attempt answered, printed or complained, for people.
pub fn result_text(ended: &Ended) -> String {
    let first_line = |bytes: &[u8]| {
        let line = bytes.split(|b| *b == b'\n').find(|line| !line.is_empty()).unwrap_or_default();
        let cut = &line[..line.len().min(4 * TEXT_CHARS_MAX)];
        String::from_utf8_lossy(cut).chars().take(TEXT_CHARS_MAX).collect::<String>()
    };
    if ended.outcome == Outcome::Done {
        return first_line(&ended.stdout);
    }
    let said = [ended.message.clone(), first_line(&ended.stderr), first_line(&ended.stdout)];
    let said = said.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    said.chars().take(TEXT_CHARS_MAX).collect()
}

/// Returns a line about a master of which nothing is known but its cluster.
pub fn blank_master(cluster: Name) -> MasterLine {
    MasterLine {
        cluster,
        version: String::new(),
        address: String::new(),
        home: String::new(),
        started: ganger_proto::WallMs(0),
        counts: ganger_proto::picture::Counts::default(),
        done_per_s: 0.0,
        done_per_s_mean: 0.0,
        eta_ms: None,
        oldest_wait_ms: 0,
        cpu_permille: 0,
        commits: 0,
        trouble: String::new(),
        stuck: String::new(),
        refused: String::new(),
        newest_batch: None,
    }
}
