//! Replays a store apart from the engine and says what that proves: each acknowledged task has one
//! end or is open, each result its lease, no lease id is used twice, the counts add up. Shares with
//! the engine how events, parts and blocks are read, and none of what decides or applies them.
//!
//! What the replay keeps costs 24 bytes a task that is there, next to nothing for ranges that
//! nobody has touched, some 60 more for each earlier attempt; twice that while a later snapshot is
//! compared.

mod accounts;
mod bodies;
mod leases;
mod model;
mod moves;
mod report;
mod salvage;
mod start;
mod sums;
mod tasks;

use std::path::Path;

use ganger_proto::BlockId;

use self::bodies::Bodies;
use crate::engine::event;
use crate::store::{Logged, OpenError, Reading, Seq, Start};

pub use model::Model;
pub use report::{Counts, FINDINGS_MAX, Finding, QueueCounts, Report};
pub use salvage::{Doubt, Salvaged, Uncertain, salvage};

/// How far a replay is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Batches of the journal and blocks of results that were gone through.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// Replays the store in a home folder, or one database file, also while a master runs: then up to
/// the batch that was the newest when it began. `tell` hears how far it is.
///
/// # Errors
/// When the store cannot be read, is of another version, or is damaged so that there is nothing to
/// begin with. All other damage is a finding.
pub fn verify(place: &Path, mut tell: impl FnMut(Progress)) -> Result<Report, OpenError> {
    let Some(reading) = Reading::open(place)? else {
        return Ok(Report { file: place.to_owned(), ..Report::default() });
    };
    let mut report = Report { file: reading.file().to_owned(), ..Report::default() };
    let start = reading.earliest()?;
    // A table that cannot be counted is a finding when it is read.
    let (last, blocks) = (reading.bounds()?.last, reading.block_count().unwrap_or_default());
    let total = (last.0 - start.seq.0) + blocks;
    let mut model = begin(&start)?;
    report.begins_after = start.seq.0;
    let mut replay = Replay { reading: &reading, model: &mut model, report: &mut report };
    replay.run(start.seq, last, |done| tell(Progress { done, total }))?;
    check_end(&reading, &mut model, &mut report)?;
    let mut bodies = Bodies::new(&model);
    let mut done = total - blocks;
    let read = reading.each_block(|id: BlockId, data| {
        bodies.take(id, data.as_deref());
        done = total.min(done + 1);
        tell(Progress { done, total });
    });
    let mut found = bodies.finish();
    match read {
        Ok(()) => {}
        Err(OpenError::Damaged(sentence)) => found.findings.add(sentence),
        Err(error @ (OpenError::Held(_) | OpenError::Unusable(_))) => return Err(error),
    }
    (report.blocks, report.results) = (found.blocks, found.results);
    if found.stray > 0 {
        let stray = found.stray;
        report.odd.push(format!("{stray} blocks of results are kept that no task mentions"));
    }
    report.fill(&model);
    report.add_findings(model.findings);
    report.add_findings(found.findings);
    Ok(report)
}

/// Returns the model that a replay begins with.
fn begin(start: &Start) -> Result<Model, OpenError> {
    if start.seq == Seq(0) {
        return Ok(Model::new());
    }
    let mut model = Model::load(&start.parts).map_err(|why| {
        let seq = start.seq.0;
        OpenError::Damaged(format!("the snapshot at batch {seq} does not load: {why}"))
    })?;
    model.findings.at(start.seq.0);
    Ok(model)
}

/// A replay on its way.
struct Replay<'a> {
    reading: &'a Reading,
    model: &'a mut Model,
    report: &'a mut Report,
}

impl Replay<'_> {
    /// Goes through the journal from `start` to `last`, or to its first break.
    fn run(&mut self, start: Seq, last: Seq, mut tell: impl FnMut(u64)) -> Result<(), OpenError> {
        let snapshots = self.reading.snapshots()?;
        let mut walk = self.reading.walk(start)?;
        let mut durable = start;
        self.report.last = start.0;
        loop {
            let rows = match walk.more() {
                Ok(rows) => rows,
                Err(error) => {
                    self.model.findings.at(walk.at().0 + 1);
                    self.model.findings.add(format!("the journal breaks off: {error}"));
                    return Ok(());
                }
            };
            if rows.is_empty() {
                break;
            }
            for row in &rows {
                if !self.row(row, &mut durable) {
                    return Ok(());
                }
                if snapshots.contains(&row.seq) {
                    self.compare(row.seq);
                }
                self.report.batches += 1;
                self.report.last = row.seq.0;
            }
            tell(self.report.last - start.0);
        }
        if walk.at() < last {
            let (from, last) = (walk.at().0 + 1, last.0);
            self.model.findings.at(from);
            self.model.findings.add(format!("batches {from} to {last} are missing"));
        }
        Ok(())
    }

    /// Takes in one batch; tells whether it could be read.
    fn row(&mut self, row: &Logged, durable: &mut Seq) -> bool {
        let findings = &mut self.model.findings;
        findings.at(row.seq.0);
        if row.durable < *durable || row.durable >= row.seq {
            let (now, before) = (row.durable.0, durable.0);
            findings.add(format!("it counts batch {now} as durable, the one before {before}"));
        }
        *durable = row.durable.max(*durable);
        let events = match event::decode(&row.data) {
            Ok(events) => events,
            Err(error) => {
                findings.add(format!("its events cannot be read: {error}"));
                return false;
            }
        };
        self.model.take(row.seq.0, row.epoch, &events);
        if let Some(digest) = row.digest {
            self.report.digests += 1;
            if digest != self.model.digest() {
                let what = "the state after it is not the one whose digest was written";
                self.model.findings.add(what.to_owned());
            }
        }
        true
    }

    /// Compares the replay with the snapshot that was taken here.
    fn compare(&mut self, seq: Seq) {
        let Some(parts) = self.reading.snapshot(seq) else {
            let what = format!("the snapshot at batch {} is bad and is not compared", seq.0);
            return self.report.odd.push(what);
        };
        let kept = Model::load(&parts);
        let mut findings = std::mem::take(&mut self.model.findings);
        match kept {
            Ok(kept) => {
                self.model.compare(&kept, &mut findings);
                kept.findings.list().iter().for_each(|one| findings.add(one.what.clone()));
                self.report.snapshots.push(seq.0);
            }
            Err(why) => findings.add(why),
        }
        self.model.findings = findings;
    }
}

/// Checks what can only be seen at the end.
fn check_end(reading: &Reading, model: &mut Model, report: &mut Report) -> Result<(), OpenError> {
    model.findings.at_end();
    match reading.acknowledged() {
        Ok(acknowledged) => report.acknowledged = acknowledged.map(|seq| seq.0),
        Err(OpenError::Damaged(sentence)) => model.findings.add(sentence),
        Err(error @ (OpenError::Held(_) | OpenError::Unusable(_))) => return Err(error),
    }
    match reading.leader()? {
        Some(epoch) if epoch >= model.epoch => {}
        Some(epoch) => {
            let newest = model.epoch;
            let what = format!("{epoch} leads, but {newest} has written: ids would be used twice");
            model.findings.add(what);
        }
        None => model.findings.add("the record of who leads does not match its sum".to_owned()),
    }
    model.check_counts();
    Ok(())
}

impl Report {
    fn fill(&mut self, model: &Model) {
        self.events = model.seen.events;
        self.leases = model.seen.leases;
        self.ends = model.seen.ends;
        self.submitted = model.next_task.saturating_sub(1);
        self.removed = model.removed;
        self.tasks = model.counts();
        self.batches_of_tasks = model.accounts.lots.len() as u64;
        let lines = model.accounts.lines.iter();
        self.queues = lines
            .map(|line| QueueCounts { queue: line.name.to_string(), tasks: line.by_state.counts() })
            .collect();
    }

    fn add_findings(&mut self, findings: report::Findings) {
        let (list, more) = findings.into_parts();
        let room = FINDINGS_MAX.saturating_sub(self.findings.len());
        self.findings_more += more + list.len().saturating_sub(room) as u64;
        self.findings.extend(list.into_iter().take(room));
    }
}

#[cfg(test)]
mod tests;
