//! Makes a new store of what a damaged one still proves, and says whose history is uncertain. The
//! old store is only read; how rows are copied is the store's concern.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use ganger_proto::{BlockId, Ended, Epoch, Outcome, TaskId};
use serde::{Deserialize, Serialize};

use super::Model;
use super::bodies::{Bodies, Found, Lost};
use super::leases::Leases;
use super::report::{Counts, word};
use super::tasks::End;
use crate::engine::event::{self, Event};
use crate::engine::results::{Block, StoredEnd};
use crate::engine::runs::{IdSet, TaskRun};
use crate::engine::task::State;
use crate::store::{Copied, Logged, NewStore, OpenError, Reading, Seq};

/// What was saved, and what is uncertain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salvaged {
    /// The old database file.
    pub from: PathBuf,
    /// The new one.
    pub into: PathBuf,
    /// What is saved begins at the end of this batch, with the snapshot there; 0 is the beginning.
    pub begins_after: u64,
    /// The last batch that was saved.
    pub last: u64,
    /// The first and last batch that are known to have been there and were not saved.
    pub lost: Option<(u64, u64)>,
    /// Batches that were copied.
    pub batches: u64,
    /// Blocks of results that were copied.
    pub blocks: u64,
    /// Blocks of results that could not be.
    pub blocks_left: u64,
    /// Outputs that were copied.
    pub outputs: u64,
    /// Outputs that could not be, or belong to tasks that are not saved.
    pub outputs_left: u64,
    /// Tasks in the new store, by state.
    pub tasks: Counts,
    /// Tasks that the lost batches submitted, as far as they can be read; they are not saved.
    pub submitted_later: u64,
    /// Tasks whose history is uncertain, as far as can be told.
    pub uncertain: Vec<Uncertain>,
}

/// Consecutive tasks whose history is uncertain for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uncertain {
    /// The first task.
    pub first: u64,
    /// How many tasks.
    pub count: u64,
    /// What they are in the new store.
    pub state: String,
    /// Why.
    pub why: Doubt,
}

/// Why a task's history is uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Doubt {
    /// A batch that could not be saved mentions it.
    Mentioned,
    /// It had a result that no saved batch tells of: it ended in a batch that is lost.
    EndedLater,
    /// It was open when batches were lost that cannot be read.
    Open,
    /// It ended, but its result is gone.
    ResultLost,
}

impl Doubt {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Mentioned => "a batch that was not saved changed it",
            Self::EndedLater => "it ended in a batch that was not saved; it may run again",
            Self::Open => "batches are lost that may have changed it",
            Self::ResultLost => "it ended, but its result is lost",
        }
    }
}

impl fmt::Display for Salvaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: saved from {}", self.into.display(), self.from.display())?;
        match self.begins_after {
            0 => writeln!(f, "log          batches 1 to {}", self.last)?,
            after => {
                let last = self.last;
                writeln!(f, "log          the snapshot at batch {after}, batches up to {last}")?;
            }
        }
        match self.lost {
            Some((from, to)) => writeln!(f, "lost         batches {from} to {to}")?,
            None => writeln!(f, "lost         no batch")?,
        }
        let Self { blocks, blocks_left, outputs, outputs_left, .. } = self;
        writeln!(f, "bodies       {blocks} result blocks, {blocks_left} left behind")?;
        writeln!(f, "             {outputs} outputs, {outputs_left} left behind")?;
        let (open, ended) = (self.tasks.open(), self.tasks.ended());
        write!(f, "tasks        {open} open, {ended} ended")?;
        if self.submitted_later > 0 {
            write!(f, "; {} that came later are lost", self.submitted_later)?;
        }
        for one in &self.uncertain {
            let Uncertain { first, count, state, why } = one;
            let which = match count {
                1 => format!("task {first}"),
                _ => format!("tasks {first} to {}", first + count - 1),
            };
            write!(f, "\nuncertain    {which}, {state} here: {}", why.sentence())?;
        }
        Ok(())
    }
}

/// Makes a new store in the folder `into` of what the store at `place` still holds: the batches up
/// to the first break, from the snapshot that leads farthest, and the results and outputs that
/// match their sums. Nothing in the old folder changes.
///
/// # Errors
/// When `into` is there already, a master has the old store, or nothing of it hangs together.
pub fn salvage(place: &Path, into: &Path) -> Result<Salvaged, OpenError> {
    let empty = || OpenError::Unusable("nothing was ever written to this store".to_owned());
    let reading = Reading::open_quiet(place)?.ok_or_else(empty)?;
    let Some((start, last)) = reading.best()? else {
        let what = format!("{} holds nothing that hangs together", reading.file().display());
        return Err(OpenError::Damaged(what));
    };
    let mut saved = Salvaged { from: reading.file().to_owned(), ..Salvaged::default() };
    (saved.begins_after, saved.last) = (start.seq.0, last.0);
    let model = replay(&reading, super::begin(&start)?, (start.seq, last))?;
    saved.tasks = model.counts();
    let newest = reading.newest_known();
    saved.lost = (newest > last).then_some((last.0 + 1, newest.0));
    let later = Later::read(&reading, &model, last);
    let (found, ended_later) = look_at_bodies(&reading, &model);
    saved.submitted_later = later.submitted;

    let mut new = NewStore::create(into)?;
    saved.batches = new.copy_log(&reading, (start.seq, last))?.good;
    let Copied { good, left } = new.copy_blocks(&reading)?;
    (saved.blocks, saved.blocks_left) = (good, left);
    replace_lost(&mut new, &model, &found.lost)?;
    let Copied { good, left } = new.copy_outputs(&reading, model.next_task)?;
    (saved.outputs, saved.outputs_left) = (good, left);
    saved.uncertain = uncertain(&model, &saved, &later, (&ended_later, &found.lost));
    saved.into = new.finish(newest_epoch(&reading, &model, &later)?, last)?;
    Ok(saved)
}

/// Takes in what is saved. What cannot be in it is for `verify` to say.
fn replay(
    reading: &Reading,
    mut model: Model,
    (start, last): (Seq, Seq),
) -> Result<Model, OpenError> {
    let mut walk = reading.walk(start)?;
    while walk.at() < last {
        let rows = walk.more()?;
        if rows.is_empty() {
            break;
        }
        for row in rows.iter().filter(|row| row.seq <= last) {
            let events = event::decode(&row.data).map_err(|error| {
                let seq = row.seq.0;
                OpenError::Damaged(format!("the events of batch {seq} cannot be read: {error}"))
            })?;
            model.take(row.seq.0, row.epoch, &events);
        }
    }
    Ok(model)
}

/// What the rows say that are not saved; nothing vouches for it.
struct Later<'a> {
    model: &'a Model,
    /// Those that were held when the log broke off. Ones granted later were told of with their
    /// tasks.
    leases: Leases,
    mentioned: IdSet,
    submitted: u64,
    epoch: Epoch,
}

impl<'a> Later<'a> {
    fn read(reading: &Reading, model: &'a Model, last: Seq) -> Self {
        let (leases, mentioned) = (model.leases.clone(), IdSet::default());
        let mut later = Self { model, leases, mentioned, submitted: 0, epoch: Epoch::default() };
        reading.each_stray_row(last, |row| later.row(row));
        later
    }

    fn row(&mut self, row: &Logged) {
        let Ok(events) = event::decode(&row.data) else { return };
        self.epoch = self.epoch.max(row.epoch);
        events.iter().for_each(|event| self.event(event));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the rest is not about tasks")]
    fn event(&mut self, event: &Event) {
        match event {
            Event::Added { args, .. } => {
                self.submitted = self.submitted.saturating_add(args.count());
            }
            Event::Leased { tasks, .. }
            | Event::Set { tasks, .. }
            | Event::Removed { tasks }
            | Event::Timed { tasks, .. } => tasks.iter().for_each(|run| self.mention(*run)),
            Event::OutputKept { task } => self.mention(TaskRun::one(*task)),
            Event::Closed { moves, .. } => {
                let taken = moves.iter().flat_map(|step| self.leases.take(step.leases).0);
                let taken: Vec<TaskRun> = taken.map(|held| held.tasks).collect();
                taken.into_iter().for_each(|run| self.mention(run));
            }
            _ => {}
        }
    }

    fn mention(&mut self, run: TaskRun) {
        let (from, to) = (run.first.raw(), run.first.raw().saturating_add(run.count));
        let to = to.min(self.model.next_task);
        if from > 0 && from < to {
            self.mentioned.insert(TaskRun { first: run.first, count: to - from });
        }
    }
}

/// Looks for lost results, and for results of which no saved batch tells.
fn look_at_bodies(reading: &Reading, model: &Model) -> (Found, IdSet) {
    let (mut bodies, mut later) = (Bodies::new(model), IdSet::default());
    // What could not be read counts as lost.
    let _read = reading.each_block(|id: BlockId, data| {
        bodies.take(id, data.as_deref());
        // Numbers rise: these came with batches that are lost.
        let data = data.filter(|_| id.raw() >= model.next_block);
        let Some(Ok(block)) = data.map(|data| Block::decode(&data)) else { return };
        let runs = block.done.iter().map(|run| (run.first, run.results.len() as u64));
        let ended = block.ended.iter().map(|end| (end.task, 1));
        for (first, count) in runs.chain(ended) {
            let known = first.raw() > 0 && first.raw().saturating_add(count) <= model.next_task;
            if known && count > 0 {
                later.insert(TaskRun { first, count });
            }
        }
    });
    (bodies.finish(), later)
}

/// Puts a sentence in the place of each result that is lost. A block that is whole may lack or
/// contradict one task's result: what else is in it that the saved batches tell of stays.
fn replace_lost(new: &mut NewStore, model: &Model, lost: &[Lost]) -> Result<(), OpenError> {
    let mut blocks: BTreeMap<u64, Vec<StoredEnd>> = BTreeMap::new();
    for one in lost {
        blocks.entry(one.block).or_default().push(sentence(one));
    }
    for (id, sentences) in blocks {
        let kept = new.block(BlockId::new(id))?;
        let kept = kept.and_then(|data| Block::decode(&data).ok()).unwrap_or_default();
        let mut ended = ends_of(kept);
        ended.retain(|one| has(model, id, one));
        ended.extend(sentences);
        let block = Block { done: Vec::new(), ended };
        new.put_block(BlockId::new(id), &block.encode())?;
    }
    Ok(())
}

/// Returns everything in a block as single ends.
fn ends_of(Block { done, mut ended }: Block) -> Vec<StoredEnd> {
    for run in done {
        let count = run.results.len() as u64;
        let tasks: Vec<TaskId> = (0..count).map(|place| run.first.plus(place)).collect();
        let alone = Block { done: vec![run], ended: Vec::new() };
        let end = |task| Some(StoredEnd { task, ended: alone.find(task)? });
        ended.extend(tasks.into_iter().filter_map(end));
    }
    ended
}

/// Tells whether a task ended just so, with its result in this block.
fn has(model: &Model, id: u64, StoredEnd { task, ended }: &StoredEnd) -> bool {
    let (record, end) = (model.tasks.get(*task), End::of(ended.outcome));
    let newest = (record.block(), record.lease(), record.end()) == (Some(id), ended.lease, end);
    let mut past = model.past.get(task).into_iter().flatten();
    newest
        || past.any(|past| {
            let same = past.lease.is_none_or(|lease| lease == ended.lease);
            (past.block, past.end) == (Some(id), end) && same
        })
}

fn sentence(lost: &Lost) -> StoredEnd {
    let outcome = lost.end.outcome().unwrap_or(Outcome::Lost);
    let mut ended = Ended::bare(lost.lease.unwrap_or_default(), outcome, 0);
    RESULT_LOST.clone_into(&mut ended.message);
    StoredEnd { task: lost.task, ended }
}

const RESULT_LOST: &str = "the store was damaged: how this attempt ended was saved, what it answered \
                           was not";

/// Lists the tasks whose history is uncertain, each once, for its strongest reason.
fn uncertain(
    model: &Model,
    saved: &Salvaged,
    later: &Later<'_>,
    (ended_later, lost): (&IdSet, &[Lost]),
) -> Vec<Uncertain> {
    let results: IdSet = lost.iter().map(|one| one.task).collect();
    let mut list: Vec<Uncertain> = Vec::new();
    let mut add = |id: TaskId, state: State, why: Doubt| match list.last_mut() {
        Some(last)
            if last.first + last.count == id.raw()
                && last.why == why
                && last.state == word(state) =>
        {
            last.count += 1;
        }
        _ => {
            let (first, state) = (id.raw(), word(state).to_owned());
            list.push(Uncertain { first, count: 1, state, why });
        }
    };
    for (first, (_, count)) in &model.extents {
        let run = TaskRun { first: *first, count: *count };
        model.tasks.look(run, |part, record| {
            for id in part.ids() {
                let open = !record.state.is_end() && record.state != State::Absent;
                if ended_later.contains(id) && open {
                    add(id, record.state, Doubt::EndedLater);
                } else if later.mentioned.contains(id) {
                    add(id, record.state, Doubt::Mentioned);
                } else if open && saved.lost.is_some() {
                    add(id, record.state, Doubt::Open);
                } else if results.contains(id) {
                    add(id, record.state, Doubt::ResultLost);
                }
            }
        });
    }
    list
}

/// Returns the newest epoch that may have been used, so that the next master takes a newer one.
fn newest_epoch(reading: &Reading, model: &Model, later: &Later<'_>) -> Result<Epoch, OpenError> {
    let known = model.epoch.max(later.epoch);
    Ok(match reading.leader() {
        Ok(Some(epoch)) => known.max(epoch),
        // Masters may have led of which nothing can be read any more.
        Ok(None) | Err(OpenError::Damaged(_)) => known.plus(EPOCHS_SKIPPED),
        Err(error @ (OpenError::Held(_) | OpenError::Unusable(_))) => return Err(error),
    })
}

/// Epochs that are skipped when it cannot be read who led last.
const EPOCHS_SKIPPED: u32 = 1_000;
