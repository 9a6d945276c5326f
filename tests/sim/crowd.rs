//! Clients of the world: they submit, ask again until they hear an answer, and give commands.

use fastrand::Rng;
use ganger::engine::input::{ClientId, Input};
use ganger::engine::task::State;
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::spec::{After, Rate, Then};
use ganger_proto::{
    Actor, ArgList, Args, Backoff, BatchId, BatchOptions, Key, Kind, Name, Refusal, Reply, Request,
    Role, Select, Spec, TaskId, Template,
};

use crate::links::Mail;
use crate::world::{Ev, WORKERS, World};

/// A client waits so long for an answer before it asks again.
const PATIENCE_MS: u64 = 700;
const QUEUES: [&str; 2] = ["default", "mail"];
const QUICK: Backoff = Backoff { base_ms: 40, cap_ms: 400 };
const SLOW: Backoff = Backoff { base_ms: 1_500, cap_ms: 4_000 };

/// Somebody with one submission, in parts.
pub(crate) struct Client {
    key: Key,
    head: SubmitHead,
    parts: Vec<Args>,
    answered: usize,
    batch: Option<BatchId>,
    asked: u32,
}

/// A request on its way.
#[derive(Clone)]
pub(crate) struct Asked {
    client: Option<usize>,
    request: Request,
}

impl Client {
    pub(crate) fn draw(rng: &mut Rng) -> Vec<Self> {
        (0..rng.usize(4..14)).map(|_| Self::one(rng)).collect()
    }

    fn one(rng: &mut Rng) -> Self {
        let options = BatchOptions {
            queue: Name::from_lossy(QUEUES[rng.usize(..QUEUES.len())]),
            priority: rng.i16(0..3),
            retries: rng.u8(..4),
            backoff: if rng.bool() { QUICK } else { SLOW },
            jobs_max: if rng.u8(..6) == 0 { rng.u32(1..5) } else { 0 },
            rate: (rng.u8(..8) == 0).then_some(Rate { starts: 40, per_ms: 1_000 }),
            ..BatchOptions::default()
        };
        let kind = match rng.u8(..8) {
            0 | 1 => Kind::Square,
            2 => Kind::Sleep,
            _ => {
                let word = Template::from_text("true").expect("a plain word is a template");
                Kind::Exec { argv: vec![word] }
            }
        };
        let timeout_ms = if rng.u8(..4) == 0 { 900 } else { 0 };
        let spec = Spec { timeout_ms, ..Spec::of(kind.clone()) };
        Self {
            key: Key::new(rng.u128(..)),
            head: SubmitHead { spec, options },
            parts: (0..rng.usize(1..4)).map(|_| part(rng, &kind)).collect(),
            answered: 0,
            batch: None,
            asked: 0,
        }
    }

    pub(crate) fn is_served(&self) -> bool {
        self.answered == self.parts.len()
    }

    fn part(&self, part: usize) -> Submit {
        Submit {
            key: self.key,
            part: part as u32,
            last: part + 1 == self.parts.len(),
            head: (part == 0).then(|| Box::new(self.head.clone())),
            args: self.parts[part].clone(),
        }
    }
}

fn part(rng: &mut Rng, kind: &Kind) -> Args {
    let count = rng.u64(1..40);
    let listed = |one: &mut dyn FnMut(u64) -> String| {
        Args::Listed((0..count).fold(ArgList::new(), |mut list, n| {
            list.push(one(n).as_bytes());
            list
        }))
    };
    match kind {
        Kind::Sleep => listed(&mut |_| format!("{}ms", rng.u64(1..300))),
        // Not every word is a number.
        Kind::Square if rng.bool() => {
            listed(&mut |n| if n == 7 { "x".into() } else { n.to_string() })
        }
        Kind::Square | Kind::Exec { .. } | Kind::Shell { .. } | Kind::Handler { .. } => {
            if rng.bool() {
                return Args::Range { first: 1, step: 3, count };
            }
            listed(&mut |n| n.to_string())
        }
    }
}

impl World {
    pub(crate) fn client_wakes(&mut self, client: usize) {
        if self.clients[client].is_served() {
            return;
        }
        if self.clients[client].asked == 0 && self.rng.u8(..5) == 0 {
            self.wait_for_another(client);
        }
        let known = &mut self.clients[client];
        known.asked += 1;
        let request = Request::Submit(known.part(known.answered));
        self.ask(Some(client), request);
        self.within(2 * PATIENCE_MS, Ev::ClientWakes { client });
    }

    /// Has a client's batch begin when another one is over.
    fn wait_for_another(&mut self, client: usize) {
        let batches: Vec<BatchId> = self.clients.iter().filter_map(|other| other.batch).collect();
        if let Some(batch) = self.rng.choice(batches) {
            let then = if self.rng.bool() { Then::Done } else { Then::Any };
            self.clients[client].head.options.after = vec![After { batch, then }];
        }
    }

    fn ask(&mut self, client: Option<usize>, request: Request) {
        let tag = self.rng.u64(..);
        self.asked.insert(tag, Asked { client, request });
        if !self.is_lost_on_the_way() {
            self.within(40, Ev::Request { tag });
        }
    }

    fn is_lost_on_the_way(&mut self) -> bool {
        self.is_stormy() && self.rng.u8(..10) == 0
    }

    pub(crate) fn request_arrives(&mut self, tag: u64) {
        let request = self.asked[&tag].request.clone();
        let name = Name::from_lossy("olga");
        let actor = Actor { role: Role::Operator, name, admin: false };
        self.give(Mail::Input(Input::Asked { client: ClientId(1), tag, actor, request }));
    }

    /// The answer leaves the master: from here on it must hold.
    pub(crate) fn reply_leaves(
        &mut self,
        tag: u64,
        reply: Result<Reply, Refusal>,
    ) -> Result<(), String> {
        let asked = self.asked[&tag].clone();
        if let (Request::Submit(submit), Ok(Reply::Submitted { batch, tasks, .. })) =
            (&asked.request, &reply)
        {
            self.history.submitted(submit.key, *batch, *tasks)?;
        }
        if let (Request::Cancel { select: Select::Tasks(ids), .. }, Ok(Reply::Changed(changed))) =
            (&asked.request, &reply)
            && changed.changed + changed.asked == 1
        {
            ids.iter().for_each(|id| self.history.cancelled(*id));
        }
        if !self.is_lost_on_the_way() {
            self.within(40, Ev::Reply { tag, reply: Box::new(reply) });
        }
        Ok(())
    }

    pub(crate) fn reply_arrives(
        &mut self,
        tag: u64,
        reply: Result<Reply, Refusal>,
    ) -> Result<(), String> {
        let Some(Asked { client: Some(client), request: Request::Submit(submit) }) =
            self.asked.remove(&tag)
        else {
            return Ok(());
        };
        let known = &mut self.clients[client];
        if known.answered != submit.part as usize {
            // Another answer was quicker.
            return Ok(());
        }
        match reply {
            Ok(Reply::Submitted { batch, .. }) => {
                known.batch = Some(batch);
                known.answered += 1;
                self.client_wakes(client);
                Ok(())
            }
            // It asks again in a while.
            Err(Refusal::StorageFull) => Ok(()),
            // What it was to wait for was deleted.
            Err(Refusal::NoBatch(_)) if submit.part == 0 => {
                known.head.options.after.clear();
                Ok(())
            }
            other => Err(format!("part {} was answered {other:?}", submit.part)),
        }
    }

    /// Gives a random command.
    pub(crate) fn command(&mut self) {
        let queue = Name::from_lossy(QUEUES[self.rng.usize(..QUEUES.len())]);
        let worker = Name::from_lossy(&format!("w{}", self.rng.usize(..WORKERS)));
        let newest = self.foreman.rig.replica.next_task;
        let some = |rng: &mut Rng| Select::Tasks(vec![TaskId::new(rng.u64(1..newest + 1))]);
        let failed = "state:failed|cancelled".parse().expect("a filter that parses");
        let served = self.clients.iter().filter(|client| client.is_served());
        let served: Vec<BatchId> = served.filter_map(|client| client.batch).collect();
        let request = match self.rng.u32(..18) {
            0..3 => Request::Cancel { select: some(&mut self.rng), now: false },
            3 => Request::Cancel { select: some(&mut self.rng), now: true },
            4 => Request::Retry { select: Select::Matching(failed) },
            5 => Request::SetPriority { select: some(&mut self.rng), priority: 7 },
            6 => Request::Pause { queue },
            7 => Request::Resume { queue },
            8 => Request::Drain { worker },
            9 => Request::Undrain { worker },
            10 => Request::SetSlots { worker, slots: self.rng.u32(1..6) },
            11 => match self.rng.choice(served) {
                Some(batch) => Request::Delete { select: Select::Batch(batch) },
                None => return,
            },
            _ => return self.cancel_what_runs(),
        };
        self.ask(None, request);
    }

    /// Has a task cancelled that is somewhere between its lease and its end.
    fn cancel_what_runs(&mut self) {
        let leased = self.foreman.rig.engine.ledger().in_state(State::Leased);
        if let Some(id) = leased.select(self.rng.u64(..leased.len().max(1))) {
            self.ask(None, Request::Cancel { select: Select::Tasks(vec![id]), now: false });
        }
    }

    /// Asks for all queues and workers to go on, until somebody hears it.
    pub(crate) fn resume_all(&mut self) {
        for queue in QUEUES {
            self.ask(None, Request::Resume { queue: Name::from_lossy(queue) });
        }
        for seat in 0..WORKERS {
            self.ask(None, Request::Undrain { worker: Name::from_lossy(&format!("w{seat}")) });
        }
        let ledger = &self.foreman.rig.replica;
        let paused = ledger.queues.iter().any(|queue| queue.paused);
        if paused || ledger.workers.values().any(|worker| worker.drained) {
            self.at(self.t + PATIENCE_MS, Ev::Fault);
        }
    }
}
