//! What must hold when all is over: nothing is open, everything that was said is so, and what is
//! recorded is what a worker said.

use ganger::engine::event::{Next, decode};
use ganger::engine::ledger::Ledger;
use ganger_proto::picture::Counts;
use ganger_proto::{Ended, TaskId};

use crate::disk::Disk;
use crate::history::{End, History, Known, There};
use crate::rig::{Rig, same};

impl History {
    /// Checks the end of the world.
    pub(crate) fn close(&self, rig: &Rig, disk: &Disk) -> Result<(), String> {
        rig.audit()?;
        let mut replay = Ledger::new();
        for journal in self.journal.iter().filter(|journal| !journal.is_empty()) {
            for event in decode(journal).map_err(|e| e.to_string())? {
                replay.apply(&event);
            }
        }
        same(rig.engine.ledger(), &replay)?;
        self.check_submissions(&replay)?;
        let mut counts = Counts::default();
        for (id, known) in self.tasks.iter().filter(|(_, known)| known.there == There::Yes) {
            let Some(end) = known.end else {
                let state = replay.task(*id).state;
                return Err(format!("{id} has not ended, it is {state:?}"));
            };
            count(&mut counts, end.next);
            self.check_result(*id, end, rig, disk)?;
        }
        if counts != rig.engine.counts() {
            return Err(format!("{counts:?} ended, the engine counts {:?}", rig.engine.counts()));
        }
        Ok(())
    }

    /// Every acknowledged submission is there, with as many tasks as were acknowledged.
    fn check_submissions(&self, replay: &Ledger) -> Result<(), String> {
        for (key, (batch, tasks)) in &self.acknowledged {
            let known = &self.batches[batch];
            let kept = replay.batches.all.get(batch);
            let is_kept = kept.is_some_and(|kept| kept.key == *key && kept.tasks >= *tasks);
            if !is_kept && known.tasks != known.removed {
                return Err(format!("{batch} was acknowledged and is {kept:?}"));
            }
        }
        let here = |known: &&Known| known.there == There::Yes;
        let tasks = self.tasks.values().filter(here).count() as u64;
        let kept = replay.tally.ended() + replay.tally.open();
        if tasks != kept {
            return Err(format!("{tasks} tasks were submitted and not removed, {kept} are kept"));
        }
        Ok(())
    }

    /// A task that is done has one result: what the report that ended it said.
    fn check_result(&self, id: TaskId, end: End, rig: &Rig, disk: &Disk) -> Result<(), String> {
        if end.next != Next::Done {
            return Ok(());
        }
        let lease = end.lease;
        let result: Option<Ended> = rig.result(id);
        let Some(result) = result.filter(|result| result.lease == lease) else {
            return Err(format!("{id} ended under {lease} and has no result of that"));
        };
        let said = end.report.is_some_and(|report| {
            self.claims.said_done(report, lease, &result.stdout)
                && self.granted.get(&lease) == Some(&report.0)
        });
        if !said {
            let text = String::from_utf8_lossy(&result.stdout).into_owned();
            return Err(format!("{id} ended under {lease} and nobody reported {text:?} for it"));
        }
        if result.has_output {
            let attempt = u32::from(rig.engine.ledger().task(id).attempt);
            let output = disk.output(id, attempt).unwrap_or_default();
            if output.is_empty() || !output.starts_with(&result.stdout) {
                return Err(format!(
                    "{id} printed more than {} bytes, which are not kept",
                    result.stdout.len()
                ));
            }
        }
        Ok(())
    }
}

fn count(counts: &mut Counts, next: Next) {
    match next {
        Next::Done => counts.done += 1,
        Next::Failed => counts.failed += 1,
        Next::Cancelled => counts.cancelled += 1,
        Next::Queued | Next::Delayed(_) => {}
    }
}
