//! Followed outputs: at which attempt each follower is, and what it is told next. Reads the engine
//! and changes no task; what carries the bytes is in relay.rs.

use std::collections::BTreeMap;

use ganger_net::limits::FOLLOWED_MAX;
use ganger_proto::message::{LiveHeader, ToWorker};
use ganger_proto::{
    Actor, BlockId, LeaseId, Outcome, Refusal, Reply, SessionId, TaskId, TaskState, WorkerId,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Master;
use super::bodies::{Job, Work};
use super::inbox::{ConnectionId, Incoming, Mailbox};
use super::outgoing::Outgoing;
use super::relay::{self, Relay, Step};
use crate::engine::input::ClientId;
use crate::engine::ledger::Past;
use crate::engine::task::{State, Task};

/// Steps that wait for one follower: some attempts. One that is further behind is broken off.
const STEPS_MAX: usize = 64;

/// All followers, and the attempts that they follow as they run.
pub(super) struct Follows {
    all: BTreeMap<(ClientId, u64), Follow>,
    relays: BTreeMap<LeaseId, Relay>,
    /// The newest number of a worker's stream.
    newest: u64,
    tasks: JoinSet<()>,
    mail: Mailbox,
}

/// One follower.
struct Follow {
    task: TaskId,
    place: Place,
    steps: mpsc::Sender<Step>,
}

/// Where a follower is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    wanted: Wanted,
    /// The attempt that it is told of next, or is being told of.
    next: u32,
    /// The lease of that attempt, when it was told of while it ran.
    live: Option<LeaseId>,
}

/// What a follower asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// One attempt.
    One,
    /// An attempt and those after it.
    On,
    /// Nothing more: it has been told all.
    Nothing,
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This attempt comes next; with its lease and who holds it, while it runs.
    Attempt { attempt: u32, worker: WorkerId, live: Option<(LeaseId, SessionId)> },
    /// What was kept of it.
    Kept { attempt: u32, block: Option<BlockId> },
    /// It has ended.
    Ended { outcome: Option<Outcome> },
    /// There is nothing to follow.
    Refused(Refusal),
    /// All was told.
    Done,
}

impl Follows {
    pub(super) fn new(mail: Mailbox) -> Self {
        Self {
            all: BTreeMap::new(),
            relays: BTreeMap::new(),
            newest: 0,
            tasks: JoinSet::new(),
            mail,
        }
    }

    /// Removes a follower.
    pub(super) fn left(&mut self, client: ClientId, tag: u64) {
        self.all.remove(&(client, tag));
    }

    /// Removes a client's followers.
    pub(super) fn client_left(&mut self, client: ClientId) {
        self.all.retain(|(of, _), _| *of != client);
    }

    fn of_client(&self, client: ClientId) -> usize {
        self.all.range((client, 0)..=(client, u64::MAX)).count()
    }
}

impl Master {
    /// Begins to follow an output for a client.
    pub(super) fn follow(
        &mut self,
        (client, tag): (ClientId, u64),
        actor: &Actor,
        task: TaskId,
        attempt: Option<u32>,
    ) {
        let result = self.visible(actor, task).and_then(|()| {
            if self.follows.of_client(client) >= FOLLOWED_MAX as usize {
                let sentence =
                    format!("this end follows {FOLLOWED_MAX} outputs already; end one of them");
                return Err(Refusal::State(sentence));
            }
            Ok(Reply::Ok)
        });
        if result.is_ok()
            && let Some(known) = self.clients.get(client)
        {
            let newest = u32::from(self.engine.ledger().task(task).attempt);
            let wanted = if attempt.is_some() { Wanted::One } else { Wanted::On };
            let place = Place { wanted, next: attempt.unwrap_or(newest).max(1), live: None };
            let (steps, told) = mpsc::channel(STEPS_MAX);
            let (session, mail) = (known.session.clone(), self.follows.mail.clone());
            let parts = self.bodies.part_reader(session.clone());
            self.follows.tasks.spawn(async move {
                relay::carry(session, tag, parts, told).await;
                mail.put(Incoming::FollowerLeft { client, tag }).await;
            });
            self.follows.all.insert((client, tag), Follow { task, place, steps });
        }
        self.reply(client, tag, result);
    }

    /// Tells every follower what this turn changed for it, once that is durable.
    pub(super) fn follow_on(&mut self) {
        while self.follows.tasks.try_join_next().is_some() {}
        let mut held = Vec::new();
        let ledger = self.engine.ledger();
        for (&(client, tag), follow) in &mut self.follows.all {
            let record = ledger.task(follow.task);
            let runs = self.engine.shown_state(follow.task, &record) == TaskState::Running;
            let holder = if runs { ledger.holder(&record) } else { None };
            let history = ledger.history.get(&follow.task).map_or(&[][..], Vec::as_slice);
            let view = View { task: follow.task, record, history, holder };
            let told = view.plan(&mut follow.place);
            held.extend(told.into_iter().map(|told| Outgoing::Follower { client, tag, told }));
        }
        self.hold(held);
        self.tend_relays();
    }

    /// Ends what nobody follows any more, and asks workers again that have connected anew. What a
    /// worker is told goes in order with its welcome.
    fn tend_relays(&mut self) {
        let Follows { all, relays, newest, .. } = &mut self.follows;
        let mut held = Vec::new();
        relays.retain(|&lease, relay| {
            let session = relay.session;
            let followed = all.values().any(|follow| follow.place.live == Some(lease));
            let link = self.workers.get(session);
            if !followed {
                held.push(Outgoing::Worker(session, ToWorker::Unfollow { lease }));
            } else if let Some(link) = link.filter(|link| link.connection != relay.asked) {
                *newest += 1;
                relay.again(link.connection, *newest);
                let header = LiveHeader { lease, number: *newest };
                held.push(Outgoing::Worker(session, ToWorker::Follow(header)));
            }
            followed
        });
        self.hold(held);
    }

    /// Takes the stream of an attempt that is followed; one that is not is dropped, which stops it.
    pub(super) fn live_came(
        &mut self,
        connection: ConnectionId,
        header: LiveHeader,
        stream: ganger_net::streams::FromStream,
    ) {
        let session = self.workers.session_of(connection);
        let relay = self.follows.relays.get_mut(&header.lease);
        if let Some(relay) = relay.filter(|relay| Some(relay.session) == session)
            && relay.number == header.number
        {
            relay.take(stream);
        }
    }

    /// Hands one follower what it is told.
    pub(super) fn tell_follower(&mut self, client: ClientId, tag: u64, told: Told) {
        let Some(follow) = self.follows.all.get(&(client, tag)) else { return };
        let (task, done) = (follow.task, told == Told::Done);
        let step = match told {
            Told::Attempt { attempt, worker, live } => {
                let worker = self.engine.ledger().worker_name(worker).to_owned();
                let live = match live.map(|(lease, session)| self.subscribe(lease, session)) {
                    Some(Ok(live)) => Some(live),
                    Some(Err(refusal)) => return self.refuse_follower(client, tag, refusal),
                    None => None,
                };
                Step::Attempt { attempt, worker, live }
            }
            Told::Kept { attempt, block } => {
                let Some(known) = self.clients.get(client) else { return };
                let (to, kept) = oneshot::channel();
                let work = Work::Kept { task, attempt, block, to };
                self.bodies.ask(Job { to: known.session.clone(), tag, work, turn: None });
                Step::Kept(kept)
            }
            Told::Ended { outcome } => Step::Ended(outcome),
            Told::Refused(refusal) => Step::Refused(refusal),
            Told::Done => Step::Done,
        };
        let sent = self.follows.all.get(&(client, tag)).map(|follow| follow.steps.try_send(step));
        if done || sent.is_none_or(|sent| sent.is_err()) {
            self.follows.left(client, tag);
        }
    }

    fn refuse_follower(&mut self, client: ClientId, tag: u64, refusal: Refusal) {
        self.tell_follower(client, tag, Told::Refused(refusal));
        self.tell_follower(client, tag, Told::Done);
    }

    /// Joins the followers of a running attempt; its worker begins again for all of them, and those
    /// that have heard the start pass over it.
    fn subscribe(
        &mut self,
        lease: LeaseId,
        session: SessionId,
    ) -> Result<relay::Subscription, Refusal> {
        let Follows { relays, newest, .. } = &mut self.follows;
        let of_worker = relays.values().filter(|relay| relay.session == session).count();
        if !relays.contains_key(&lease) && of_worker >= FOLLOWED_MAX as usize {
            return Err(Refusal::State(format!(
                "{FOLLOWED_MAX} tasks of this worker are followed already; end one of them"
            )));
        }
        *newest += 1;
        let relay = relays.entry(lease).or_insert_with(|| Relay::new(session));
        let link = self.workers.get(session);
        relay.again(link.map_or(ConnectionId(0), |link| link.connection), *newest);
        let subscription = relay.subscribe();
        let header = LiveHeader { lease, number: *newest };
        self.hold(vec![Outgoing::Worker(session, ToWorker::Follow(header))]);
        Ok(subscription)
    }
}

/// What the engine knows of a followed task.
struct View<'a> {
    task: TaskId,
    record: Task,
    /// Earlier attempts, the oldest first.
    history: &'a [Past],
    /// Who runs it.
    holder: Option<SessionId>,
}

impl View<'_> {
    /// Returns what a follower at `place` is told, and moves it on.
    fn plan(&self, place: &mut Place) -> Vec<Told> {
        let mut told = Vec::new();
        while place.wanted != Wanted::Nothing {
            let (attempt, state) = (u32::from(self.record.attempt), self.record.state);
            if state == State::Absent {
                told.push(Told::Refused(Refusal::NoTask(self.task)));
                place.wanted = Wanted::Nothing;
            } else if let Some(past) = self.ended(place.next) {
                self.tell_past(past, place, &mut told);
            } else if state == State::Leased && attempt == place.next {
                self.tell_running(place, &mut told);
                break;
            } else if place.next < attempt && place.wanted == Wanted::On {
                // It was given back and is not kept; the one after it is there already.
                (place.next, place.live) = (attempt, None);
            } else if place.wanted == Wanted::One && (place.next < attempt || state.is_end()) {
                told.push(Told::Refused(Refusal::NoOutput(self.task)));
                place.wanted = Wanted::Nothing;
            } else if state.is_end() {
                told.push(Told::Ended { outcome: self.record.outcome() });
                place.wanted = Wanted::Nothing;
            } else {
                place.live = None;
                break;
            }
            if place.wanted == Wanted::Nothing {
                place.live = None;
                told.push(Told::Done);
            }
        }
        told
    }

    fn tell_past(&self, past: Past, place: &mut Place, told: &mut Vec<Told>) {
        let attempt = place.next;
        if place.live.take().is_none() {
            told.push(Told::Attempt { attempt, worker: past.worker, live: None });
        }
        told.push(Told::Kept { attempt, block: past.block });
        told.push(Told::Ended { outcome: past.outcome });
        place.next += 1;
        let last = self.record.state.is_end() && place.next > u32::from(self.record.attempt);
        if last || place.wanted == Wanted::One {
            place.wanted = Wanted::Nothing;
        }
    }

    fn tell_running(&self, place: &mut Place, told: &mut Vec<Told>) {
        let lease = self.record.lease_id();
        if let Some(session) = self.holder.filter(|_| place.live != Some(lease)) {
            place.live = Some(lease);
            let (attempt, worker) = (place.next, self.record.worker);
            told.push(Told::Attempt { attempt, worker, live: Some((lease, session)) });
        }
    }

    /// Returns how an attempt ended, if it has and is kept. An attempt that never started is none,
    /// unless the task ended with it.
    fn ended(&self, attempt: u32) -> Option<Past> {
        let record = &self.record;
        let outcome = record.outcome();
        let tried = |outcome| outcome != Some(Outcome::Unfit);
        let own = u32::from(record.attempt) == attempt
            && record.state != State::Leased
            && outcome.is_some()
            && (tried(outcome) || record.state.is_end());
        if own {
            let (worker, at, block) = (record.worker, record.at, record.block_id());
            return Some(Past { attempt: record.attempt, worker, outcome, at, block });
        }
        let mut found = self.history.iter().rev().filter(|past| tried(past.outcome));
        found.find(|past| u32::from(past.attempt) == attempt).copied()
    }
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Epoch, LeaseId, WallMs};

    use super::*;

    const FAILED: Outcome = Outcome::Failed { code: 3 };

    fn record(state: State, attempt: u16, outcome: Option<Outcome>) -> Task {
        let mut task = Task::waiting(state, WallMs(0), 0);
        (task.attempt, task.worker) = (attempt, WorkerId::new(1));
        task.set_lease(LeaseId { epoch: Epoch::new(1), counter: u64::from(attempt) });
        task.set_outcome(outcome);
        task
    }

    fn past(attempt: u16, outcome: Outcome) -> Past {
        let (worker, at) = (WorkerId::new(1), WallMs(1));
        Past { attempt, worker, outcome: Some(outcome), at, block: None }
    }

    fn words(told: &[Told]) -> String {
        let word = |told: &Told| match told {
            Told::Attempt { attempt, live: Some(_), .. } => format!("live {attempt}"),
            Told::Attempt { attempt, live: None, .. } => format!("past {attempt}"),
            Told::Kept { attempt, .. } => format!("kept {attempt}"),
            Told::Ended { outcome: Some(outcome) } => format!("ended {outcome}"),
            Told::Ended { outcome: None } => "ended".to_owned(),
            Told::Refused(refusal) => format!("refused: {refusal}"),
            Told::Done => "over".to_owned(),
        };
        told.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    /// Tells a follower of one state after the other.
    struct Follower {
        place: Place,
    }

    impl Follower {
        fn new(wanted: Wanted, next: u32) -> Self {
            Self { place: Place { wanted, next, live: None } }
        }

        fn check(&mut self, record: Task, history: &[Past], runs: Option<u64>, expected: &str) {
            let holder = runs.map(SessionId::new);
            let view = View { task: TaskId::new(7), record, history, holder };
            assert_eq!(words(&view.plan(&mut self.place)), expected);
        }
    }

    #[test]
    fn a_follower_waits_hears_each_attempt_and_the_end() {
        let mut follower = Follower::new(Wanted::On, 1);
        follower.check(record(State::Queued, 0, None), &[], None, "");
        follower.check(record(State::Leased, 1, None), &[], None, "");
        follower.check(record(State::Leased, 1, None), &[], Some(9), "live 1");
        follower.check(record(State::Leased, 1, None), &[], Some(9), "");
        let failed = record(State::Delayed, 1, Some(FAILED));
        follower.check(failed, &[], None, "kept 1, ended exit 3");
        follower.check(failed, &[], None, "");
        let first = [past(1, FAILED)];
        follower.check(record(State::Leased, 2, None), &first, Some(9), "live 2");
        let done = record(State::Done, 2, Some(Outcome::Done));
        follower.check(done, &first, None, "kept 2, ended done, over");
        follower.check(done, &first, None, "");
    }

    #[test]
    fn attempts_that_came_and_went_between_two_looks_are_told_too() {
        let mut follower = Follower::new(Wanted::On, 1);
        let both = [past(1, FAILED), past(2, FAILED)];
        let all = "past 1, kept 1, ended exit 3, past 2, kept 2, ended exit 3, live 3";
        follower.check(record(State::Leased, 3, None), &both, Some(9), all);
        let lost = record(State::Queued, 3, Some(Outcome::Lost));
        follower.check(lost, &both, None, "kept 3, ended lost");
        let cancelled = record(State::Cancelled, 3, Some(Outcome::Lost));
        follower.check(cancelled, &both, None, "ended lost, over");
    }

    #[test]
    fn one_attempt_is_told_alone() {
        let history = [past(1, FAILED)];
        let running = record(State::Leased, 2, None);
        let check = |next, expected| {
            Follower::new(Wanted::One, next).check(running, &history, Some(9), expected);
        };
        check(1, "past 1, kept 1, ended exit 3, over");
        check(2, "live 2");
        check(3, "");
        let done = record(State::Done, 1, Some(Outcome::Done));
        let nothing = Refusal::NoOutput(TaskId::new(7));
        let refused = format!("refused: {nothing}, over");
        Follower::new(Wanted::One, 2).check(done, &[], None, &refused);
    }

    #[test]
    fn what_never_ran_ends_too() {
        let cancelled = record(State::Cancelled, 0, None);
        Follower::new(Wanted::On, 1).check(cancelled, &[], None, "ended, over");
        let gone = format!("refused: {}, over", Refusal::NoTask(TaskId::new(7)));
        Follower::new(Wanted::On, 1).check(Task::default(), &[], None, &gone);
        // A worker that cannot run it gives it back; the attempt begins elsewhere.
        let mut follower = Follower::new(Wanted::On, 1);
        follower.check(record(State::Leased, 1, None), &[], Some(9), "live 1");
        follower.check(record(State::Queued, 0, Some(Outcome::Unfit)), &[], None, "");
        let unfit = [past(0, Outcome::Unfit)];
        follower.check(record(State::Leased, 1, None), &unfit, Some(9), "live 1");
    }
}
