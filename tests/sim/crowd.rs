//! Clients of the world: they submit, ask again until they hear an answer, and give commands.

use fastrand::Rng;
use ganger::engine::input::{ClientId, Input};
use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::{
    Actor, ArgList, Args, Backoff, BatchOptions, Key, Kind, Name, Refusal, Reply, Request, Role,
    Select, Spec, TaskId,
};

use crate::world::{Ev, World};

/// A client waits so long for an answer before it asks again.
const PATIENCE_MS: u64 = 700;
const QUEUES: [&str; 2] = ["default", "mail"];

/// Somebody with one submission, in parts.
pub(crate) struct Client {
    key: Key,
    head: SubmitHead,
    parts: Vec<Args>,
    answered: usize,
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
            priority: rng.i16(..3),
            retries: rng.u8(..4),
            backoff: Backoff { base_ms: 40, cap_ms: 400 },
            ..BatchOptions::default()
        };
        let timeout_ms = if rng.u8(..4) == 0 { 900 } else { 0 };
        let spec = Spec { timeout_ms, ..Spec::of(Kind::Square) };
        let part = |rng: &mut Rng| {
            let count = rng.u64(1..40);
            if rng.bool() {
                return Args::Range { first: 1, step: 3, count };
            }
            Args::Listed((0..count).fold(ArgList::new(), |mut list, n| {
                list.push(n.to_string().as_bytes());
                list
            }))
        };
        Self {
            key: Key::new(rng.u128(..)),
            head: SubmitHead { spec, options },
            parts: (0..rng.usize(1..4)).map(|_| part(rng)).collect(),
            answered: 0,
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

impl World {
    pub(crate) fn client_wakes(&mut self, client: usize) {
        let known = &self.clients[client];
        if known.is_served() {
            return;
        }
        let request = Request::Submit(known.part(known.answered));
        self.ask(Some(client), request);
        self.within(2 * PATIENCE_MS, Ev::ClientWakes { client });
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
        self.give(Input::Asked { client: ClientId(1), tag, actor, request });
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
            && changed.changed == 1
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
        if let Err(refusal) = reply {
            return Err(format!("part {} was refused: {refusal}", submit.part));
        }
        let known = &mut self.clients[client];
        if known.answered == submit.part as usize {
            known.answered += 1;
            self.client_wakes(client);
        }
        Ok(())
    }

    /// Gives a random command.
    pub(crate) fn command(&mut self) {
        let queue = Name::from_lossy(QUEUES[self.rng.usize(..QUEUES.len())]);
        let newest = self.foreman.rig.replica.next_task;
        let some = |rng: &mut Rng| Select::Tasks(vec![TaskId::new(rng.u64(1..newest + 1))]);
        let failed = "state:failed|cancelled".parse().expect("a filter that parses");
        let request = match self.rng.u32(..8) {
            0..3 => Request::Cancel { select: some(&mut self.rng), now: false },
            3 => Request::Cancel { select: some(&mut self.rng), now: true },
            4 => Request::Retry { select: Select::Matching(failed) },
            5 => Request::SetPriority { select: some(&mut self.rng), priority: 7 },
            6 => Request::Pause { queue },
            _ => Request::Resume { queue },
        };
        self.ask(None, request);
    }

    /// Asks for all queues to go on, until somebody hears it.
    pub(crate) fn resume_all(&mut self) {
        for queue in QUEUES {
            self.ask(None, Request::Resume { queue: Name::from_lossy(queue) });
        }
        if self.foreman.rig.replica.queues.iter().any(|queue| queue.paused) {
            self.at(self.t + PATIENCE_MS, Ev::Fault);
        }
    }
}
