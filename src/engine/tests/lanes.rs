//! Slots of two lanes, as a worker's row tells them apart.

use ganger_proto::command::{Submit, SubmitHead};
use ganger_proto::gang::Allows;
use ganger_proto::message::{LeaseRun, WorkerHello};
use ganger_proto::{
    Actor, Args, BatchOptions, Epoch, Key, Kind, Lane, Name, PerLane, Placement, Request, Role,
    SessionId, Spec, WallMs,
};

use super::super::input::{ClientId, Effect, Input, Said};
use super::settings;
use crate::clock::Now;
use crate::engine::Engine;

const NOW: Now = Now { mono_ms: 50_000, wall: WallMs(1_000_000) };
const SESSION: SessionId = SessionId::new(1);

/// Gives one input; returns the leases that were granted by it.
fn give(engine: &mut Engine, input: Input) -> Vec<LeaseRun> {
    engine.handle(NOW, input);
    let effects = engine.drain(NOW).effects;
    let runs = effects.into_iter().filter_map(|effect| {
        let Effect::Grant { grant, .. } = effect else { return None };
        Some(grant.runs)
    });
    let count = |args: &Args| u32::try_from(args.count()).unwrap();
    runs.flatten().map(|run| LeaseRun { first: run.lease, count: count(&run.args) }).collect()
}

fn submit(engine: &mut Engine, key: u128, count: u64, lane: Lane) -> Vec<LeaseRun> {
    let place = Placement { lane: Some(lane), ..Placement::default() };
    let spec = Spec { place, ..Spec::of(Kind::Square) };
    let head = Some(SubmitHead { spec, options: BatchOptions::default() });
    let args = Args::Range { first: 1, step: 1, count };
    let submit = Submit { key: Key::new(key), part: 0, last: true, head: head.map(Box::new), args };
    let actor = Actor { role: Role::Operator, name: Name::from_lossy("olga"), admin: false };
    let request = Request::Submit(submit);
    give(engine, Input::Asked { client: ClientId(1), tag: 1, actor, request })
}

#[test]
fn a_row_tells_the_lanes_apart() {
    let mut engine = Engine::new(settings());
    give(&mut engine, Input::Began { epoch: Epoch::new(1) });
    let slots = PerLane { cpu: 2, io: 8 };
    let hello = WorkerHello {
        session: SESSION,
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
    let name = Name::from_lossy("a");
    give(&mut engine, Input::WorkerJoined { name, version: String::new(), hello });
    let busy = submit(&mut engine, 1, 1, Lane::Cpu);
    let waits = submit(&mut engine, 2, 5, Lane::Io);
    let row = |engine: &Engine| {
        let row = engine.worker_row(NOW, engine.workers_in_order()[0]).unwrap();
        (row.running, row.io_running, row.waiting, engine.gang().busy)
    };
    assert_eq!(row(&engine), (0, 0, 6, 0));
    let started = |runs| Input::WorkerSaid { session: SESSION, said: Said::Started(runs) };
    give(&mut engine, started(waits));
    assert_eq!(row(&engine), (5, 5, 1, 0), "what waits takes no slot of those that compute");
    give(&mut engine, started(busy));
    assert_eq!(row(&engine), (6, 5, 0, 1));
}
