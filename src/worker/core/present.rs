//! How a worker presents itself: its slots, its policy, and every lease that it has not forgotten.
//! PURE; what is said afterwards is in core.rs.

use ganger_proto::gang::Allows;
use ganger_proto::message::{Held, LeaseRun, WorkerHello};
use ganger_proto::place::{Need, Offer};
use ganger_proto::{Label, PerLane};

use super::{Told, WorkerCore, join};
use crate::bug::{self, Bug};
use crate::worker::caps::Caps;

/// What a worker has for tasks, as long as it lives; only its slots may change.
#[derive(Clone, Debug, Default)]
pub struct Offers {
    /// Tasks it runs at once, at its start.
    pub slots: PerLane,
    /// Its handlers.
    pub handlers: Vec<Offer>,
    /// What it has beside slots.
    pub resources: Vec<Need>,
    /// What it lets one task take; of these the time holds here, for sleeps.
    pub caps: Caps,
}

/// What a hello says of the worker that its core does not know.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// What its policy allows, for people.
    pub policy: String,
    /// Which kinds its policy lets run.
    pub allows: Allows,
    /// What it says of itself.
    pub labels: Vec<Label>,
}

impl WorkerCore {
    /// Presents the worker: at the first connection and after every lost one.
    pub fn hello(&mut self, present: Present) -> WorkerHello {
        // A master that still wants this worker drained says so again; it may have been another
        // one, or have changed its mind meanwhile.
        self.drain.master = false;
        let hold = self.hold();
        self.lanes.told(hold);
        let mut holding: Vec<Held> = Vec::new();
        let mut hold_all = |runs: Vec<LeaseRun>, started| {
            holding.extend(runs.into_iter().map(|leases| Held { leases, started }));
        };
        hold_all(self.lanes.leases(), false);
        hold_all(self.squaring.iter().map(|(_, run)| *run).collect(), true);
        hold_all(join(self.kept_running()), true);
        hold_all(join(self.outputs.keys().copied()), true);
        if !bug::is(Bug::EndsNotPresented) {
            hold_all(self.reports.leases(), true);
        }
        for running in self.running.values_mut() {
            running.told = Told::Yes;
        }
        WorkerHello {
            session: self.session,
            slots: self.lanes.slots(),
            hold,
            holding,
            reported: self.reports.newest(),
            policy: present.policy,
            allows: present.allows,
            labels: present.labels,
            handlers: self.offers.handlers.clone(),
            resources: self.offers.resources.clone(),
            draining: self.drain.own,
        }
    }
}
