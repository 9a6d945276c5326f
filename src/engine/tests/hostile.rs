//! Random lies from a seed: messages and questions full of the numbers at which arithmetic breaks.
//! The engine may refuse or ignore them; it must not panic, and its invariants hold after each.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::gang::Allows;
use ganger_proto::message::{DoneRun, Held, LeaseRun, Load, Report, WorkerHello, WorkerMessage};
use ganger_proto::picture::{Order, RowWindow, Sort, Start, TaskWindow, Watch};
use ganger_proto::place::Need;
use ganger_proto::spec::{After, Rate, Then};
use ganger_proto::{
    Actor, ArgList, Args, Backoff, BatchId, BatchOptions, Ended, Epoch, Filter, Key, Kind, LeaseId,
    Name, Outcome, PerLane, Request, Role, Select, SessionId, Spec, TaskId, Usage, WallMs,
};

use super::super::input::{ClientId, Drain, Input, Said};
use super::super::picture::blank_master;
use super::super::window::Searches;
use super::super::{Engine, Settings};
use super::settings;
use crate::clock::Now;

/// Steps of one seed.
const STEPS: usize = 1_500;

struct Chance {
    draws: fastrand::Rng,
}

impl Chance {
    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.draws.usize(..of.len())]
    }

    /// A number at which arithmetic breaks, or one that means something here.
    fn number(&mut self) -> u64 {
        let edges = [0, 1, u64::from(u32::MAX), 1 << 32, i64::MAX as u64, u64::MAX - 1, u64::MAX];
        match self.draws.u8(..4) {
            0 => self.one_of(&edges),
            1 => self.draws.u64(..),
            _ => self.draws.u64(..60),
        }
    }

    fn short(&mut self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    fn lease(&mut self) -> LeaseId {
        let epoch = Epoch::new(self.one_of(&[1, 1, 1, 0, 2, u32::MAX]));
        LeaseId { epoch, counter: self.number() }
    }

    /// Runs as they pass the network's bound.
    fn runs(&mut self) -> Vec<LeaseRun> {
        let count = self.draws.usize(..6);
        let runs = (0..count).map(|_| LeaseRun { first: self.lease(), count: self.short() });
        let leases: Vec<LeaseRun> = runs.collect();
        let bounded = WorkerMessage::Started { leases: leases.clone() }.is_bounded();
        if bounded { leases } else { Vec::new() }
    }

    fn lanes(&mut self) -> PerLane {
        PerLane { cpu: self.short(), io: self.short() }
    }

    fn name(&mut self) -> Name {
        Name::from_lossy(self.one_of(&["a", "b", "c"]))
    }

    fn actor(&mut self) -> Actor {
        let role = self.one_of(&[Role::Operator, Role::Submitter]);
        Actor { role, name: self.name(), admin: false }
    }

    fn session(&mut self) -> SessionId {
        SessionId::new(self.one_of(&[1, 2, 3, u64::MAX]))
    }

    fn load(&mut self) -> Load {
        let permille = |draws: &mut fastrand::Rng| draws.u16(..);
        Load {
            cpu_permille: permille(&mut self.draws),
            memory_permille: permille(&mut self.draws),
            running: self.short(),
            clock: WallMs(self.number()),
        }
    }

    fn hello(&mut self) -> WorkerHello {
        let need = |chance: &mut Self| Need { name: chance.name(), amount: chance.number() };
        WorkerHello {
            session: self.session(),
            slots: self.lanes(),
            hold: self.lanes(),
            holding: self
                .runs()
                .into_iter()
                .map(|leases| Held { leases, started: self.draws.bool() })
                .collect(),
            reported: self.number(),
            policy: "é".repeat(self.draws.usize(..2_000)),
            allows: Allows::ALL,
            labels: Vec::new(),
            handlers: Vec::new(),
            resources: vec![need(self), need(self)],
            draining: self.draws.bool(),
        }
    }

    fn report(&mut self) -> Report {
        let (done, ended) = (self.draws.usize(..3), self.draws.usize(..3));
        let outcomes = [
            Outcome::Done,
            Outcome::Failed { code: i32::MIN },
            Outcome::Signalled { signal: i32::MAX },
            Outcome::TimedOut,
            Outcome::Lost,
            Outcome::Cancelled,
            Outcome::Unfit,
        ];
        let run = |chance: &mut Self| {
            let (count, other) = (chance.draws.usize(..4), chance.draws.usize(..4));
            let results: ArgList = std::iter::repeat_n(&b"lie"[..], count).collect();
            let took_us = vec![u32::MAX; if chance.draws.bool() { count } else { other }];
            DoneRun { first: chance.lease(), took_us, results }
        };
        let end = |chance: &mut Self| Ended {
            lease: chance.lease(),
            outcome: chance.one_of(&outcomes),
            took_us: chance.number(),
            usage: Usage {
                max_rss_kib: chance.number(),
                user_us: chance.number(),
                system_us: chance.number(),
            },
            stdout: vec![0xff; chance.draws.usize(..9_000)],
            stderr: Vec::new(),
            has_output: chance.draws.bool(),
            message: "\u{1b}é".repeat(chance.draws.usize(..3_000)),
        };
        Report {
            number: self.number(),
            done: (0..done).map(|_| run(self)).collect(),
            ended: (0..ended).map(|_| end(self)).collect(),
            for_good: vec![self.lease(), self.lease()],
        }
    }

    fn args(&mut self) -> Args {
        match self.draws.u8(..4) {
            0 => Args::Range {
                first: self.draws.i64(..),
                step: self.one_of(&[i64::MIN, -1, 0, 1, i64::MAX]),
                count: self.number(),
            },
            1 => Args::Repeat { count: self.number() },
            2 => Args::Range { first: 1, step: 1, count: self.draws.u64(..60) },
            _ => Args::Listed((0..self.draws.usize(..9)).map(|_| &b"7"[..]).collect()),
        }
    }

    fn submit(&mut self) -> Submit {
        let mut spec = Spec::of(Kind::Sleep);
        (spec.timeout_ms, spec.output_bytes_max) = (self.number(), self.number());
        if self.draws.bool() {
            spec = Spec::of(Kind::Sleep);
        }
        spec.place.needs = match self.draws.u8(..4) {
            0 => vec![Need { name: self.name(), amount: self.number() }],
            _ => Vec::new(),
        };
        let options = BatchOptions {
            priority: self.one_of(&[i16::MIN, -1, 0, i16::MAX]),
            retries: self.draws.u8(..),
            backoff: Backoff { base_ms: self.number(), cap_ms: self.number() },
            not_before: self.draws.bool().then(|| WallMs(self.number())),
            after: match self.draws.u8(..4) {
                0 => vec![After { batch: BatchId::new(self.number()), then: Then::Any }],
                _ => Vec::new(),
            },
            jobs_max: self.short(),
            rate: self.draws.bool().then(|| Rate { starts: self.short(), per_ms: self.short() }),
            ..BatchOptions::default()
        };
        let head = self.draws.u8(..5) > 0;
        Submit {
            key: Key::new(u128::from(self.draws.u8(..40))),
            part: self.one_of(&[0, 0, 0, 1, u32::MAX]),
            last: self.draws.bool(),
            head: head.then(|| Box::new(SubmitHead { spec, options })),
            args: self.args(),
        }
    }

    fn filter(&mut self) -> Filter {
        let max = u64::MAX.to_string();
        let text = match self.draws.u8(..5) {
            0 => format!("id:{max}"),
            1 => format!("id:0..{max}"),
            2 => "state:queued".to_owned(),
            3 => "tries:>0 -exit:0".to_owned(),
            _ => String::new(),
        };
        text.parse().unwrap()
    }

    fn select(&mut self) -> Select {
        match self.draws.u8(..3) {
            0 => Select::Tasks(vec![TaskId::new(self.number()), TaskId::new(self.number())]),
            1 => Select::Batch(BatchId::new(self.number())),
            _ => Select::Matching(self.filter()),
        }
    }

    fn request(&mut self) -> Request {
        let select = self.select();
        match self.draws.u8(..10) {
            0 => Request::Cancel { select, now: self.draws.bool() },
            1 => Request::Retry { select },
            2 => Request::Delete { select },
            3 => Request::SetPriority { select, priority: self.one_of(&[i16::MIN, i16::MAX]) },
            4 => Request::SetSlots { worker: self.name(), slots: self.short() },
            5 => Request::Drain { worker: self.name() },
            6 => Request::Undrain { worker: self.name() },
            _ => Request::Submit(self.submit()),
        }
    }

    fn input(&mut self) -> Input {
        let session = self.session();
        let said = |said| Input::WorkerSaid { session, said };
        match self.draws.u8(..16) {
            0 | 1 => Input::WorkerJoined {
                name: self.name(),
                version: "é".repeat(self.draws.usize(..200)),
                hello: self.hello(),
            },
            2 => said(Said::Hold(self.lanes())),
            3 => said(Said::Heartbeat(self.load())),
            4 => said(Said::Started(self.runs())),
            5 => said(Said::Release(self.runs())),
            6 => said(Said::Draining(Drain::of(self.draws.bool()))),
            7..=9 => said(Said::Report(self.report())),
            10 => Input::WorkerLeft { session },
            11 => Input::OutputCame { session, lease: self.lease() },
            12 => Input::Tick,
            _ => Input::Asked {
                client: ClientId(self.number()),
                tag: self.number(),
                actor: self.actor(),
                request: self.request(),
            },
        }
    }

    fn window(&mut self) -> TaskWindow {
        let start = match self.draws.u8(..3) {
            0 => Start::First,
            1 => Start::Last,
            _ => Start::Task { task: TaskId::new(self.number()), offset: self.draws.i64(..) },
        };
        let order = self.one_of(&[Order::Next, Order::Latest, Order::By(Sort::default())]);
        TaskWindow { filter: self.filter(), order, start, rows: self.short() }
    }

    /// Asks whatever only reads.
    fn look(&mut self, now: Now, engine: &mut Engine, searches: &mut Searches) {
        let rows = RowWindow { start: self.short(), rows: self.short() };
        let watch = Watch {
            number: self.number(),
            tasks: Some(self.window()),
            results: Some(self.window()),
            workers: Some(rows),
            history: true,
            log_rows: u32::MAX,
        };
        engine.sketch(now, &watch, searches, blank_master(self.name()));
        let (task, actor) = (TaskId::new(self.number()), self.actor());
        engine.why(now, task);
        engine.detail(now, &actor, task);
        engine.list(now, &self.filter(), task, 4_096);
        engine.batch_rows(&actor, Some(BatchId::new(self.number())), 4_096);
        engine.worker_detail(now, &self.name());
        engine.attempt_of(self.session(), self.lease());
        engine.gang();
    }
}

#[test]
fn absurd_numbers_break_nothing() {
    for seed in 0..6 {
        let mut chance = Chance { draws: fastrand::Rng::with_seed(seed) };
        let mut engine = Engine::new(Settings { tasks_max: 500, ..settings() });
        let mut now = Now { mono_ms: 50_000, wall: WallMs(1_700_000_000_000) };
        let mut searches = Searches::default();
        engine.handle(now, Input::Began { epoch: Epoch::new(1) });
        for step in 0..STEPS {
            println!("seed {seed}, step {step}");
            let passed = chance.one_of(&[0, 1, 100, 2_000]);
            now.mono_ms += passed;
            now.wall = now.wall.plus(passed);
            engine.handle(now, chance.input());
            engine.drain(now);
            engine.audit().unwrap();
            if step % 10 == 0 {
                chance.look(now, &mut engine, &mut searches);
            }
        }
        assert!(engine.ledger().next_task > 1, "seed {seed}: no task was taken");
    }
}
