//! Records, specs and options as the disk keeps them: types of their own, so that what is in
//! memory may change without the format. Which parts and events hold them is snapshot.rs's and
//! event.rs's concern.

use ganger_proto::{
    Backoff, BatchOptions, Cwd, Epoch, Kind, LeaseId, QueueName, Spec, WallMs, WorkerId,
};
use serde::{Deserialize, Serialize};

use super::task::{State, Task};

/// A task's record. The spans of time are not in it: format 1 had none, and format 2 keeps them
/// beside it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct StoredTask {
    at: WallMs,
    lease: u64,
    epoch: Epoch,
    worker: WorkerId,
    block: u32,
    attempt: u16,
    priority: i16,
    code: i16,
    end: u8,
    state: State,
    failures: u8,
    lost: u8,
    releases: u8,
    cancelling: bool,
}

impl From<Task> for StoredTask {
    fn from(task: Task) -> Self {
        let lease = task.lease_id();
        let (end, code) = task.end();
        Self {
            at: task.at,
            lease: lease.counter,
            epoch: lease.epoch,
            worker: task.worker,
            block: task.block,
            attempt: task.attempt,
            priority: task.priority,
            code,
            end,
            state: task.state,
            failures: task.failures,
            lost: task.lost(),
            releases: task.releases,
            cancelling: task.is_cancelling(),
        }
    }
}

impl From<StoredTask> for Task {
    fn from(stored: StoredTask) -> Self {
        let mut task = Self::waiting(stored.state, stored.at, stored.priority);
        task.worker = stored.worker;
        task.block = stored.block;
        task.attempt = stored.attempt;
        task.failures = stored.failures;
        task.releases = stored.releases;
        task.set_lease(LeaseId { epoch: stored.epoch, counter: stored.lease });
        task.set_end(stored.end, stored.code);
        task.set_lost(stored.lost);
        if stored.cancelling {
            task.ask_cancel();
        }
        task
    }
}

/// A spec as formats 1 and 2 kept it; the events and parts of format 3 hold whole ones.
pub(super) mod spec {
    use serde::{Deserializer, Serializer};

    use super::{Deserialize, Serialize, Spec, StoredSpec};

    pub(in super::super) fn serialize<S: Serializer>(
        spec: &Option<Spec>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        spec.as_ref().map(StoredSpec::from).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Spec>, D::Error> {
        Ok(Option::<StoredSpec>::deserialize(from)?.map(Spec::from))
    }
}

/// What formats 1 and 2 kept of a spec.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct StoredSpec {
    kind: Kind,
    env: Vec<(String, String)>,
    cwd: Cwd,
    timeout_ms: u64,
}

impl From<&Spec> for StoredSpec {
    fn from(spec: &Spec) -> Self {
        let Spec { kind, env, cwd, timeout_ms, .. } = spec.clone();
        Self { kind, env, cwd, timeout_ms }
    }
}

impl From<StoredSpec> for Spec {
    fn from(stored: StoredSpec) -> Self {
        let StoredSpec { kind, env, cwd, timeout_ms } = stored;
        Self { env, cwd, timeout_ms, ..Self::of(kind) }
    }
}

/// A batch's options as format 1 kept them; format 2 keeps labels beside them, format 3 all.
pub(super) mod options {
    use serde::{Deserializer, Serializer};

    use super::{BatchOptions, Deserialize, Serialize, StoredOptions};

    pub(in super::super) fn serialize<S: Serializer>(
        options: &BatchOptions,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        StoredOptions::from(options).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BatchOptions, D::Error> {
        StoredOptions::deserialize(from).map(BatchOptions::from)
    }
}

#[derive(Serialize, Deserialize)]
struct StoredOptions {
    name: String,
    queue: QueueName,
    priority: i16,
    retries: u8,
    backoff: Backoff,
    not_before: Option<WallMs>,
}

impl From<&BatchOptions> for StoredOptions {
    fn from(options: &BatchOptions) -> Self {
        Self {
            name: options.name.clone(),
            queue: options.queue.clone(),
            priority: options.priority,
            retries: options.retries,
            backoff: options.backoff,
            not_before: options.not_before,
        }
    }
}

impl From<StoredOptions> for BatchOptions {
    fn from(stored: StoredOptions) -> Self {
        let StoredOptions { name, queue, priority, retries, backoff, not_before } = stored;
        Self { name, queue, priority, retries, backoff, not_before, ..Self::default() }
    }
}
