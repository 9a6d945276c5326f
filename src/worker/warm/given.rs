//! The tasks that a handler's launcher has: their lines, and which of them are still to end.

use std::collections::BTreeMap;

use ganger_proto::message::GrantRun;
use ganger_proto::{ArgList, LeaseId, Outcome, Spec};

use super::line::Lines;
use crate::worker::core::{GIVE_TASKS_MAX, WarmEnds};
use crate::worker::find::NotStarted;
use crate::worker::prepare::{Ground, path_check};
use crate::worker::roots::Roots;
use crate::worker::slot::bare;
use crate::worker::waiting::part;

/// Tasks that a launcher has.
pub(super) struct Given {
    pub(super) run: GrantRun,
    /// The number of the first.
    pub(super) first: u64,
    /// Those whose end was not heard, as bits.
    pub(super) open: u64,
}

/// Bytes of the lines given at once: they fit in the socket, so that neither side waits for the
/// other to read.
const GIVE_BYTES_MAX: usize = 64 << 10;
const _: () = assert!(GIVE_TASKS_MAX <= u64::BITS);

impl Given {
    pub(super) fn offset_of(&self, lease: LeaseId) -> Option<u64> {
        let first = self.run.lease;
        let offset = lease.counter.checked_sub(first.counter)?;
        let open = offset < u64::from(u64::BITS) && self.open & (1 << offset) != 0;
        (lease.epoch == first.epoch && open).then_some(offset)
    }

    pub(super) fn close(&mut self, offset: u64) {
        self.open &= !(1 << offset);
    }

    /// Gives back all that are open from `offset` on.
    pub(super) fn give_back(&mut self, offset: u64, ends: &mut WarmEnds) {
        for at in offset..u64::from(GIVE_TASKS_MAX) {
            if self.open & (1 << at) != 0 {
                self.close(at);
                ends.returned.push(part(&self.run, at, 1));
            }
        }
    }
}

/// Tasks of a run, by their place in it, whose paths are not what they must be.
pub(super) type Refused = BTreeMap<u64, NotStarted>;

/// Looks at the paths of the first tasks of a run. Waits for disks, so it runs where nothing else
/// does.
pub(super) fn look(ground: &Ground, run: &GrantRun, spec: &Spec) -> Refused {
    let roots = Roots::open(&ground.policy.roots);
    let worker = ground.worker.to_string();
    let mut refused = Refused::new();
    let mut argument = Vec::new();
    for at in 0..run.args.count().min(u64::from(GIVE_TASKS_MAX)) {
        argument.clear();
        run.args.write(at, &mut argument);
        let Some(check) = path_check(&spec.form, Some(&argument)) else { continue };
        if let Err(why) = roots.check(&worker, &ground.run_dir, &check) {
            refused.insert(at, why);
        }
    }
    refused
}

/// Returns the lines of the first tasks of a run, those tasks, and which of them have a line. What
/// cannot be sent has ended, and what is too much goes back.
pub(super) fn lines_of(
    run: &GrantRun,
    spec: &Spec,
    refused: &Refused,
    ends: &mut WarmEnds,
) -> (ArgList, GrantRun, u64) {
    let count = run.args.count();
    let mut lines = ArgList::new();
    let mut open = 0;
    let mut writer = Lines::new(run, spec);
    let mut at = 0;
    while at < count.min(u64::from(GIVE_TASKS_MAX)) && lines.total_bytes() < GIVE_BYTES_MAX {
        if let Some(why) = refused.get(&at) {
            lines.push(b"");
            ends.ended.push(bare(run.lease.plus(at), why.outcome, why.message.clone()));
            at += 1;
            continue;
        }
        let mut wrong = None;
        lines.push_with(|out| {
            let start = out.len();
            if let Err(message) = writer.write(at, out) {
                out.truncate(start);
                wrong = Some(message);
            }
        });
        match wrong {
            None => open |= 1 << at,
            Some(message) => {
                let lease = run.lease.plus(at);
                ends.ended.push(bare(lease, Outcome::Failed { code: 1 }, message));
                ends.for_good.push(lease);
            }
        }
        at += 1;
    }
    if at < count {
        ends.returned.push(part(run, at, count - at));
    }
    (lines, part(run, 0, at), open)
}

impl WarmEnds {
    /// Adds that none of a run can be done here.
    pub(super) fn unfit(mut self, run: &GrantRun, message: &str) -> Self {
        let leases = (0..run.args.count()).map(|at| run.lease.plus(at));
        let known = self.ended.iter().map(|end| end.ended.lease).collect::<Vec<_>>();
        for lease in leases.filter(|lease| !known.contains(lease)) {
            self.ended.push(bare(lease, Outcome::Unfit, message.to_owned()));
        }
        self
    }
}
