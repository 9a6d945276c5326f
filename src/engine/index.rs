//! Tasks by priority and by label, for filters. Only apply.rs changes them; a restore rebuilds
//! them.

use std::collections::BTreeMap;

use super::runs::{IdSet, TaskRun};

/// Tasks by priority.
#[derive(Debug, Default)]
pub struct ByPriority {
    sets: BTreeMap<i16, IdSet>,
}

impl ByPriority {
    /// Follows a run from one priority to another; none is that of tasks that are not there.
    pub fn shift(&mut self, run: TaskRun, from: Option<i16>, to: Option<i16>) {
        if let Some(from) = from
            && let Some(set) = self.sets.get_mut(&from)
        {
            set.remove(run);
            if set.is_empty() {
                self.sets.remove(&from);
            }
        }
        if let Some(to) = to {
            self.sets.entry(to).or_default().insert(run);
        }
    }

    /// Iterates over the priorities that tasks have, the lowest first, with their tasks.
    pub fn iter(&self) -> impl Iterator<Item = (i16, &IdSet)> {
        self.sets.iter().map(|(priority, set)| (*priority, set))
    }
}

/// Tasks by label: by its key, then by its value.
#[derive(Debug, Default)]
pub struct ByLabel {
    keys: BTreeMap<String, BTreeMap<String, IdSet>>,
}

impl ByLabel {
    /// Adds a run of tasks with labels.
    pub fn insert(&mut self, labels: &[(String, String)], run: TaskRun) {
        for (key, value) in labels {
            let values = self.keys.entry(key.clone()).or_default();
            values.entry(value.clone()).or_default().insert(run);
        }
    }

    /// Removes a run of tasks with labels.
    pub fn remove(&mut self, labels: &[(String, String)], run: TaskRun) {
        for (key, value) in labels {
            let Some(values) = self.keys.get_mut(key) else { continue };
            let Some(set) = values.get_mut(value) else { continue };
            set.remove(run);
            if set.is_empty() {
                values.remove(value);
                if values.is_empty() {
                    self.keys.remove(key);
                }
            }
        }
    }

    /// Iterates over the values of a key with their tasks.
    pub fn values(&self, key: &str) -> impl Iterator<Item = (&str, &IdSet)> {
        let values = self.keys.get(key).into_iter().flatten();
        values.map(|(value, set)| (value.as_str(), set))
    }
}
