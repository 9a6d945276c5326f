//! Counts everything again at the end of a replay, and compares it with what was counted before.

use std::collections::BTreeMap;

use ganger_proto::BatchId;

use super::accounts::ByState;
use super::model::Model;
use crate::engine::runs::TaskRun;
use crate::engine::task::State;

impl Model {
    /// Counts everything again, and says which sums do not add up.
    pub(super) fn check_counts(&mut self) {
        let mut lots: BTreeMap<BatchId, ByState> = BTreeMap::new();
        for (first, (batch, count)) in &self.extents {
            let run = TaskRun { first: *first, count: *count };
            let counted = lots.entry(*batch).or_default();
            self.tasks.look(run, |part, record| counted.add(record.state, part.count));
        }
        let (mut all, mut lines) =
            (ByState::default(), vec![ByState::default(); self.accounts.lines.len()]);
        for (id, lot) in &self.accounts.lots {
            let counted = lots.get(id).copied().unwrap_or_default();
            for state in State::PRESENT {
                all.add(state, counted.of(state));
                lines[lot.queue].add(state, counted.of(state));
            }
            if !State::PRESENT.iter().all(|state| counted.of(*state) == lot.by_state.of(*state)) {
                self.findings.add(format!("the tasks of {id} are not as many as it counts"));
            }
        }
        let same = |a: &ByState, b: &ByState| State::PRESENT.iter().all(|s| a.of(*s) == b.of(*s));
        for (line, counted) in self.accounts.lines.iter().zip(&lines) {
            if !same(&line.by_state, counted) {
                let name = &line.name;
                self.findings
                    .add(format!("the tasks of queue {name} are not as many as it counts"));
            }
        }
        let (submitted, removed) = (self.next_task.saturating_sub(1), self.removed);
        if !same(&self.accounts.all, &all) || all.present() + removed != submitted {
            let there = all.present();
            self.findings.add(format!(
                "{submitted} tasks were submitted, but {there} are there and {removed} were removed"
            ));
        }
        let (held, leased) = (self.leases.count(), all.of(State::Leased));
        if held != leased {
            self.findings.add(format!("{leased} tasks are leased, sessions hold {held} leases"));
        }
    }
}
