//! `worker.toml`: any text is a policy that keeps to its limits, or a refusal with a reason.

use ganger_proto::gang::{Allows, SLOTS_MAX};
use ganger_proto::label::LABELS_MAX;
use ganger_proto::place::OFFERS_MAX;

use crate::worker::policy::{ExecPolicy, Policy};

/// Reads the bytes as a worker's policy.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Policy::default().parse(text) {
        Ok(policy) => {
            assert!(policy.slots.is_none_or(|slots| slots.get() <= SLOTS_MAX));
            assert!(policy.io_slots.is_none_or(|slots| slots <= SLOTS_MAX));
            assert!(policy.labels.len() <= LABELS_MAX);
            assert!(policy.resources.len() <= OFFERS_MAX);
            assert!(policy.resources.iter().all(|need| need.amount > 0));
            assert!(policy.offers().len() <= OFFERS_MAX);
            let roots = policy.roots.iter().chain(listed(&policy.exec));
            assert!(roots.clone().all(|path| path.is_absolute()), "{:?}", policy.roots);
            let programs = policy.exec != ExecPolicy::HandlersOnly;
            assert_eq!(policy.allows().has(Allows::EXEC), programs);
            let listed = matches!(policy.exec, ExecPolicy::AllowList(_));
            assert_eq!(policy.env_objection("LD_PRELOAD").is_some(), listed);
            assert!(policy.to_string().len() <= text.len() + 256);
        }
        Err(reason) => assert!(!reason.is_empty(), "{text:?} is refused without a reason"),
    }
}

fn listed(exec: &ExecPolicy) -> std::slice::Iter<'_, std::path::PathBuf> {
    match exec {
        ExecPolicy::AllowList(allow) => allow.iter(),
        ExecPolicy::Any | ExecPolicy::HandlersOnly => [].iter(),
    }
}
