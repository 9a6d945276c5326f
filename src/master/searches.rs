//! Searching beside other work: a few slices in each turn of the loop, for screens that watch and
//! for commands whose tasks no index knows. Decides how long; the engine knows how.

use ganger_proto::{Actor, Filter, Refusal, Request, Select};

use super::Master;
use crate::engine::Engine;
use crate::engine::input::{ClientId, Input};
use crate::engine::search::Search;

/// How long searches keep the loop from its inputs in one turn, in microseconds.
const TURN_US: u64 = 2_000;
/// Steps between two looks at the clock: about a third of a millisecond.
const SLICE_STEPS: u64 = 1_024;
/// Commands that are looked for at once, and of one client among them.
const HUNTS_MAX: usize = 32;
const HUNTS_OF_ONE: usize = 8;
/// When to try again when so many are looked for, in milliseconds.
const BUSY_RETRY_MS: u64 = 1_000;

/// A command whose tasks are being looked for.
pub(super) struct Hunt {
    client: ClientId,
    tag: u64,
    actor: Actor,
    request: Request,
    search: Search,
}

/// Commands whose tasks are being looked for, and whether some search has more to do.
#[derive(Default)]
pub(super) struct Hunts {
    all: Vec<Hunt>,
    pub(super) more: Searching,
}

/// Whether the loop comes back at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Searching {
    /// It waits for something to happen.
    #[default]
    No,
    /// A search goes on.
    Yes,
}

impl Hunts {
    /// Forgets what a client wanted that is gone: it may have been revoked meanwhile, and nobody
    /// would hear what was done.
    pub(super) fn left(&mut self, client: ClientId) {
        self.all.retain(|hunt| hunt.client != client);
    }

    /// Returns the filter of a request when its tasks must be looked for.
    pub(super) fn filter_of(request: &Request) -> Option<&Filter> {
        match request.select() {
            Some(Select::Matching(filter)) if !filter.is_indexed() => Some(filter),
            Some(Select::Matching(_) | Select::Tasks(_) | Select::Batch(_)) | None => None,
        }
    }
}

impl Master {
    /// Looks for a command's tasks; it runs when they are found.
    pub(super) fn hunt(&mut self, client: ClientId, tag: u64, actor: Actor, request: Request) {
        let own = self.hunts.all.iter().filter(|hunt| hunt.client == client).count();
        if self.hunts.all.len() >= HUNTS_MAX || own >= HUNTS_OF_ONE {
            return self.refuse(client, tag, Refusal::Busy { retry_after_ms: BUSY_RETRY_MS });
        }
        let Some(filter) = Hunts::filter_of(&request) else { return };
        let search = Engine::hunt(filter.clone());
        self.hunts.all.push(Hunt { client, tag, actor, request, search });
        self.hunts.more = Searching::Yes;
    }

    /// Goes on with searches for a moment.
    pub(super) fn search(&mut self) {
        let end = self.clock.micros() + TURN_US;
        let now = self.clock.now();
        self.hunts.more = Searching::Yes;
        while self.hunts.more == Searching::Yes && self.clock.micros() < end {
            let hunted = self.hunt_on();
            let watched = self.clients.search_on(&self.engine, now, SLICE_STEPS);
            if (hunted, watched) == (Searching::No, Searching::No) {
                self.hunts.more = Searching::No;
            }
        }
    }

    /// Gives one slice to the oldest command, and runs it when its tasks are found.
    fn hunt_on(&mut self) -> Searching {
        let now = self.clock.now();
        let Some(hunt) = self.hunts.all.first_mut() else { return Searching::No };
        self.engine.search(now, &mut hunt.search, SLICE_STEPS);
        if !hunt.search.is_first() {
            let Hunt { client, tag, actor, request, search } = self.hunts.all.remove(0);
            let found = search.into_ids();
            self.engine.handle(now, Input::Found { client, tag, actor, request, found });
        }
        Searching::Yes
    }
}
