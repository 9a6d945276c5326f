//! Tests of the replay: every kind of violation is found, and real stores give none.

use std::sync::Arc;

use ganger_proto::message::LeaseRun;
use ganger_proto::spec::{After, Then};
use ganger_proto::{
    Actor, Args, BatchId, BatchOptions, Epoch, Key, Kind, LeaseId, Name, Outcome, Role, SessionId,
    Spec, SpecId, TaskId, WallMs, WorkerId,
};

use super::*;
use crate::engine::event::{Change, Charge, Event, Move, Next};
use crate::engine::runs::TaskRun;

mod golden;
mod salvage;
mod stores;

/// Reads `5` or `5+3`.
fn run(word: &str) -> TaskRun {
    let (first, count) = word.split_once('+').unwrap_or((word, "1"));
    TaskRun { first: TaskId::new(first.parse().unwrap()), count: count.parse().unwrap() }
}

/// Reads `1.5` or `1.5+3`, an epoch and counters.
fn leases(word: &str) -> LeaseRun {
    let (epoch, rest) = word.split_once('.').unwrap();
    let run = run(rest);
    let first = LeaseId { epoch: Epoch::new(epoch.parse().unwrap()), counter: run.first.raw() };
    LeaseRun { first, count: u32::try_from(run.count).unwrap() }
}

/// Returns what follows `name=` in words.
fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn number(words: &[&str], name: &str) -> Option<u64> {
    option(words, name).map(|value| value.parse().unwrap())
}

/// How an end of these scripts is charged and what follows.
fn end(word: &str) -> (Outcome, Charge, Next) {
    let failed = Outcome::Failed { code: 1 };
    match word {
        "done" => (Outcome::Done, Charge::Nothing, Next::Done),
        "fail" => (failed, Charge::Failure, Next::Failed),
        "again" => (failed, Charge::Failure, Next::Delayed(WallMs(9))),
        "lost" => (Outcome::Lost, Charge::Loss, Next::Queued),
        "poison" => (Outcome::Lost, Charge::Loss, Next::Failed),
        "back" => (Outcome::Lost, Charge::Release, Next::Queued),
        "cancelled" => (Outcome::Cancelled, Charge::Nothing, Next::Cancelled),
        "done-but-failed" => (Outcome::Done, Charge::Nothing, Next::Failed),
        "failed-for-nothing" => (failed, Charge::Nothing, Next::Failed),
        other => panic!("{other} is not an end of these scripts"),
    }
}

fn opened(words: &[&str]) -> Event {
    let options = BatchOptions {
        retries: u8::try_from(number(words, "retries").unwrap_or(0)).unwrap(),
        jobs_max: u32::try_from(number(words, "jobs").unwrap_or(0)).unwrap(),
        after: number(words, "after")
            .map(|batch| After { batch: BatchId::new(batch), then: Then::Done })
            .into_iter()
            .collect(),
        not_before: number(words, "due").map(WallMs),
        ..BatchOptions::default()
    };
    let batch: u64 = words[1].parse().unwrap();
    let known = number(words, "known");
    let spec = known.or(number(words, "spec")).unwrap_or(batch);
    Event::Opened {
        batch: BatchId::new(batch),
        key: Key::new(u128::from(number(words, "key").unwrap_or(batch))),
        spec: SpecId::new(u32::try_from(spec).unwrap()),
        new_spec: known.is_none().then(|| Spec::of(Kind::Square)),
        options,
        owner: Actor { role: Role::Operator, name: Name::from_lossy("olga"), admin: false },
        at: WallMs(1),
    }
}

fn closed(words: &[&str]) -> Event {
    let (outcome, charge, next) = end(words[3]);
    let report = option(words, "report").map(|value| {
        let (number, block) = value.split_once('/').unwrap_or((value, ""));
        (number.parse().unwrap(), block.parse().ok().map(BlockId::new))
    });
    let moves = vec![Move { leases: leases(words[2]), outcome, charge, next }];
    Event::Closed { session: session(words[1]), report, moves, at: WallMs(2) }
}

fn session(word: &str) -> SessionId {
    SessionId::new(word.parse().unwrap())
}

fn worker(word: &str) -> WorkerId {
    WorkerId::new(word.parse().unwrap())
}

fn event(line: &str) -> Event {
    let words: Vec<&str> = line.split(' ').collect();
    let at = WallMs(2);
    match words[0] {
        "began" => Event::Began { epoch: Epoch::new(words[1].parse().unwrap()) },
        "open" => opened(&words),
        "add" => Event::Added {
            batch: BatchId::new(words[1].parse().unwrap()),
            args: Arc::new(Args::Repeat { count: words[2].parse().unwrap() }),
            last: words.get(3) == Some(&"last"),
            at,
        },
        "worker" => {
            Event::WorkerNamed { worker: worker(words[1]), name: Name::from_lossy(words[2]) }
        }
        "session" => Event::SessionBegan { session: session(words[1]), worker: worker(words[2]) },
        "leave" => Event::SessionEnded { session: session(words[1]) },
        "lease" => Event::Leased { session: session(words[1]), tasks: vec![run(words[2])], at },
        "end" => closed(&words),
        "remove" => Event::Removed { tasks: vec![run(words[1])] },
        "output" => Event::OutputKept { task: run(words[1]).first },
        "pause" => Event::Paused { queue: Name::from_lossy("default"), on: true },
        "drain" => Event::Drained { worker: worker(words[1]), on: true },
        "labels" => {
            Event::Labelled { batch: BatchId::new(words[1].parse().unwrap()), labels: Vec::new() }
        }
        "timed" => {
            let took = vec![5; words[2].parse().unwrap()];
            Event::Timed { tasks: vec![run(words[1])], took }
        }
        "priority" => change(&words, Change::Priority(3)),
        "delay" => change(&words, Change::Delayed(WallMs(9))),
        "cancel" => change(&words, Change::Cancelled),
        "retry" => change(&words, Change::Retried),
        "due" => change(&words, Change::Due),
        "stop" => change(&words, Change::Cancelling),
        "miss" => change(&words, Change::Missed),
        other => panic!("{other} is not an event of these scripts"),
    }
}

fn change(words: &[&str], to: Change) -> Event {
    Event::Set { tasks: vec![run(words[1])], to, at: WallMs(2) }
}

/// Takes in a script, a batch of the journal a line, all by the master that began last.
fn model(script: &str) -> Model {
    let (mut model, mut epoch) = (Model::new(), Epoch::default());
    for (line, seq) in script.split(';').map(str::trim).filter(|line| !line.is_empty()).zip(1..) {
        let event = event(line);
        if let Event::Began { epoch: begun } = event {
            epoch = begun;
        }
        model.take(seq, epoch, &[event]);
    }
    model.findings.at_end();
    model.check_counts();
    model
}

/// A worker with two of three tasks.
const BASE: &str = "began 1; open 1 retries=1; add 1 3 last; worker 1 a; session 1 1; lease 1 1+2";

/// Goes on after [`BASE`], which is right; the last line is what is wrong, if anything is.
#[track_caller]
fn check(script: &str, expected: &str) {
    let script = format!("{BASE}; {script}");
    let found = model(&script).sentences();
    match expected {
        "" => assert!(found.is_empty(), "{script}: {found:?}"),
        expected => {
            let last = script.split(';').filter(|line| !line.trim().is_empty()).count();
            let here = format!("batch {last}: ");
            let says = |one: &String| one.starts_with(&here) && one.contains(expected);
            assert!(found.iter().any(says), "{script}: {found:?}");
        }
    }
}

#[test]
fn what_may_happen_is_no_finding() {
    check("", "");
    check("end 1 1.1+2 done report=1/1; timed 1+2 2; remove 1+2; lease 1 3", "");
    check("output 1; end 1 1.1 again; due 1; lease 1 1; end 1 1.3 fail; retry 1; lease 1 1", "");
    check("end 1 1.1 lost; lease 1 1; end 1 1.3 lost; lease 1 1; end 1 1.4 back; lease 1 1", "");
    check("stop 1; end 1 1.1 cancelled; end 1 1.2 back; cancel 2+2; remove 1+3", "");
    check("end 1 1.1+2 back; leave 1; began 2; session 2 1; lease 2 1+3; end 2 2.3 back", "");
    check("open 2 after=1; add 2 5; add 2 2 last; end 1 1.1 fail; cancel 3; end 1 1.2 back", "");
    check("priority 1+3; cancel 3; end 1 1.1 fail; end 1 1.2 fail; open 2 known=1 after=1", "");
    let waits = "open 2 after=1; add 2 2 last; cancel 3; end 1 1.2 done report=1/1";
    check(&format!("{waits}; end 1 1.1 done report=2/2; miss 4+2; remove 4+2"), "");
    check("open 2 due=9; add 2 1 last; due 4; lease 1 4; drain 1; labels 2", "");
    check("end 1 1.1+2 done report=1/1; cancel 3; remove 1; remove 1+3; add 2 0", "not there");
}

#[test]
fn leases_are_watched() {
    check("lease 1 2", "task 2 is leased and is leased");
    check("end 1 1.1+2 done report=1/1; lease 1 1", "task 1 is leased and is done");
    check("cancel 3; lease 1 3", "task 3 is leased and is cancelled");
    check("lease 1 4", "not all were");
    check("lease 1 3+18446744073709551615", "not all were");
    check("lease 7 3", "s7 gets tasks and is not there");
    check("pause; lease 1 3", "its queue default is paused");
    check("open 2 jobs=2; add 2 5; lease 1 4+3", "as one of 3 of b2, which may have 2");
    check("began 1", "begins after e1: its lease ids would be used twice");
    check("leave 1", "s1 ends and still holds 2 leases");
    check("leave 3", "s3 ends and was not there");
    check("session 1 1", "s1 begins twice");
    check("session 2 5", "w5, which was never named");
    check("worker 1 b", "w1 is named b and was a");
    check("worker 2 a", "a is named twice");
    check("drain 9", "w9 drains and was never named");
}

#[test]
fn ends_are_watched() {
    check("end 1 1.3 done report=1/1", "1 leases from 1.3 end and nobody holds them");
    check("end 1 2.1 done report=1/1", "1 leases from 2.1 end and nobody holds them");
    check("end 1 1.1 done report=1/1; end 1 1.1 fail", "1.1 end and nobody holds them");
    check("end 1 1.1 back; lease 1 1; end 1 1.1 done report=1/1", "1.1 end and nobody");
    check("session 2 1; end 2 1.1 back", "ends by s2, but s1 holds its lease 1.1");
    check("end 9 1.1 back", "leases of s9 end, which is not there");
    check("end 1 1.1 done", "task 1 is done without a result");
    check("end 1 1.1 done report=1", "task 1 is done without a result");
    check("end 1 1.1 done report=1/2", "its results are in blk2, blk1 is next");
    check("end 1 1.1 done report=1/1; end 1 1.2 done report=2/1", "in blk1, blk2 is next");
    check("end 1 1.1 done report=4/1; end 1 1.2 done report=4/2", "reports 4 after 4");
    check("end 1 1.1 done-but-failed report=1/1", "ends as Done and becomes Failed");
    check("end 1 1.1 failed-for-nothing", "becomes Failed when Failed { code: 1 }");
    check("lease 1 3; lease 1 1; end 1 1.4 back; end 1 1.1 back", "ends under lease 1.1 and is");
}

#[test]
fn limits_are_watched() {
    let failed = "end 1 1.1 again; due 1; lease 1 1; end 1 1.3";
    check(&format!("{failed} again"), "becomes Delayed");
    check(&format!("{failed} fail; retry 1; lease 1 1; end 1 1.4 again"), "");
    check("end 1 1.1 poison", "0 losses");
    let lost: String = (3..=5).map(|n| format!("end 1 1.{} lost; lease 1 1; ", n - 1)).collect();
    let lost = lost.replace("1.2 lost", "1.1 lost");
    check(&format!("{lost} end 1 1.5 poison"), "");
    check(&format!("{lost} end 1 1.5 lost"), "3 losses");
    let back: String = (2..=100).map(|n| format!("lease 1 1; end 1 1.{} back; ", n + 1)).collect();
    check(&format!("end 1 1.1 back; {back} lease 1 1; end 1 1.102 back"), "100 releases");
}

#[test]
fn changes_by_hand_are_watched() {
    check("cancel 1", "task 1 is leased and becomes Cancelled");
    check("retry 3", "task 3 is queued and becomes Retried");
    check("end 1 1.1 done report=1/1; retry 1", "task 1 is done and becomes Retried");
    check("due 3", "task 3 is queued and becomes Due");
    check("stop 3", "task 3 is queued and becomes Cancelling");
    check("end 1 1.1 fail; priority 1", "task 1 is failed and becomes Priority");
    check("delay 3", "task 3 is queued and becomes Delayed");
    check("miss 3", "task 3 is queued and becomes Missed");
    check("open 2 after=1; add 2 1 last; due 4", "task 4 is blocked and becomes Due");
    check("open 2 after=1; add 2 1 last; miss 4", "task 4 is blocked and becomes Missed");
    check("cancel 9", "not all were");
    check("remove 3", "task 3 is removed and is queued");
    check("remove 1", "task 1 is removed and is leased");
    check("output 3", "task 3 has output and is not leased");
    check("timed 1+2 3", "3 lengths of time are given for 2 tasks");
    let gone = "end 1 1.1+2 done report=1/1; cancel 3; remove 1+3";
    check(&format!("{gone}; cancel 2"), "task 2 is changed and its batch is gone");
}

#[test]
fn submissions_are_watched() {
    check("open 3", "b3 is opened, b2 is next");
    check("open 1 key=7 spec=9", "b1 is opened, b2 is next");
    check("open 2 key=1", "b2 has the key of b1: it was submitted twice");
    check("open 2 spec=1", "with spec1, which is there already");
    check("open 2 known=5", "with spec5, which was never given");
    check("open 2 after=2", "b2 waits for b2, which is not older");
    check("add 1 2", "join b1, which was complete");
    check("add 5 2", "join b5, which is not there");
    check("open 2; add 2 18446744073709551615", "more than there may be");
    check("open 2; add 2 100000001", "more than there may be");
    check("labels 7", "b7 gets labels and is not there");
}

#[test]
fn a_batch_of_a_master_that_did_not_begin_is_found() {
    let mut model = model(BASE);
    model.take(7, Epoch::new(2), &[event("cancel 3")]);
    let found = model.sentences();
    assert_eq!(found, ["batch 7: master e2 wrote it, but e1 was the last to begin"]);
}

#[test]
fn findings_do_not_pile_up() {
    let wrong = "lease 1 1; ".repeat(FINDINGS_MAX + 10);
    let model = model(&format!("{BASE}; {wrong}"));
    let (list, more) = model.findings.into_parts();
    assert_eq!(list.len(), FINDINGS_MAX);
    assert!(more >= 10, "{more}");
}
