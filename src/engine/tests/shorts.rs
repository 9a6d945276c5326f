//! Short tasks go to few workers in large numbers, long ones are spread; one report that has both
//! teaches each of its own.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::gang::Allows;
use ganger_proto::message::{DoneRun, Grant, Report, WorkerHello};
use ganger_proto::{
    Actor, ArgList, Args, BatchOptions, Epoch, Key, Kind, Lane, Name, PerLane, Placement, Request,
    Role, SessionId, Spec, WallMs,
};

use super::super::input::{ClientId, Effect, Input, Said};
use super::settings;
use crate::clock::Now;
use crate::engine::Engine;

const NOW: Now = Now { mono_ms: 50_000, wall: WallMs(1_000_000) };
const WORKERS: u64 = 4;

fn give(engine: &mut Engine, input: Input) -> Vec<(SessionId, Grant)> {
    engine.handle(NOW, input);
    let effects = engine.drain(NOW).effects;
    engine.audit().unwrap();
    let grants = effects.into_iter().filter_map(|effect| {
        let Effect::Grant { session, grant } = effect else { return None };
        Some((session, grant))
    });
    grants.collect()
}

fn submit(engine: &mut Engine, key: u128, count: u64, lane: Lane) -> Vec<(SessionId, Grant)> {
    let place = Placement { lane: Some(lane), ..Placement::default() };
    let spec = Spec { place, ..Spec::of(Kind::Square) };
    let head = Some(SubmitHead { spec, options: BatchOptions::default() });
    let args = Args::Range { first: 1, step: 1, count };
    let submit = Submit { key: Key::new(key), part: 0, last: true, head: head.map(Box::new), args };
    let actor = Actor { role: Role::Operator, name: Name::from_lossy("olga"), admin: false };
    let request = Request::Submit(submit);
    give(engine, Input::Asked { client: ClientId(1), tag: 1, actor, request })
}

fn join(engine: &mut Engine, session: u64) {
    let slots = PerLane { cpu: 1_000, io: 1_000 };
    let hello = WorkerHello {
        session: SessionId::new(session),
        slots,
        hold: slots,
        holding: Vec::new(),
        reported: 0,
        policy: String::new(),
        allows: Allows::ALL,
        labels: Vec::new(),
        handlers: Vec::new(),
        resources: Vec::new(),
        draining: false,
    };
    let name = Name::from_lossy(&format!("w{session}"));
    give(engine, Input::WorkerJoined { name, version: String::new(), hello });
}

/// Says that everything granted is done, each task after `took_us`, all in one report a worker.
fn done(engine: &mut Engine, grants: &[(SessionId, Grant, u32)], number: u64) {
    for session in (1..=WORKERS).map(SessionId::new) {
        let mine = grants.iter().filter(|(to, ..)| *to == session);
        let runs = mine.flat_map(|(_, grant, us)| grant.runs.iter().map(move |run| (run, *us)));
        let done = runs.map(|(run, us)| {
            let count = usize::try_from(run.args.count()).unwrap();
            let results: ArgList = std::iter::repeat_n(&b"1"[..], count).collect();
            DoneRun { first: run.lease, took_us: vec![us; count], results }
        });
        let report = Report { number, done: done.collect(), ..Report::default() };
        give(engine, Input::WorkerSaid { session, said: Said::Report(report) });
    }
}

/// Returns how many workers got something, and how many tasks there were.
fn spread(grants: &[(SessionId, Grant)]) -> (usize, u64) {
    let mut who: Vec<SessionId> = grants.iter().map(|(session, _)| *session).collect();
    who.sort_unstable();
    who.dedup();
    let runs = grants.iter().flat_map(|(_, grant)| &grant.runs);
    (who.len(), runs.map(|run| run.args.count()).sum())
}

#[test]
fn short_tasks_go_to_few_workers_and_long_ones_to_all() {
    let mut engine = Engine::new(settings());
    give(&mut engine, Input::Began { epoch: Epoch::new(1) });
    (1..=WORKERS).for_each(|session| join(&mut engine, session));
    let short = submit(&mut engine, 1, 40, Lane::Cpu);
    let long = submit(&mut engine, 2, 4, Lane::Io);
    assert_eq!((spread(&short), spread(&long)), ((4, 40), (4, 4)), "nothing is known yet");
    let timed = short.into_iter().map(|(to, grant)| (to, grant, 1));
    let timed = timed.chain(long.into_iter().map(|(to, grant)| (to, grant, 400_000)));
    done(&mut engine, &timed.collect::<Vec<_>>(), 1);
    assert_eq!(spread(&submit(&mut engine, 3, 900, Lane::Cpu)), (1, 900));
    assert_eq!(
        spread(&submit(&mut engine, 4, 8, Lane::Io)),
        (4, 8),
        "what is long is still spread"
    );
}
