//! What windows and searches cost over ten million tasks. Run by hand, in release:
//! `cargo test --release --lib engine::tests::large -- --ignored --nocapture`.

use ganger_proto::picture::{Order, Start, TaskWindow, Watch};
use ganger_proto::{Filter, Name};

use super::super::picture::blank_master;
use super::super::search::Slice;
use super::super::window::Searches;
use super::bench::Bench;
use crate::clock::Clock;

const TASKS: u64 = 10_000_000;

fn watch(filter: &str, sort: &str) -> Watch {
    let order = Order::By(sort.parse().unwrap());
    let filter = Filter::parse(filter).unwrap();
    let tasks = Some(TaskWindow { filter, order, start: Start::Last, rows: 40 });
    Watch { tasks, ..Watch::default() }
}

/// Ten million queued squares in one batch, some of them cancelled here and there, and a hundred
/// thousand in a batch of their own.
fn large() -> Bench {
    let mut bench = Bench::with_limit(2 * TASKS);
    bench
        .run(&format!("submit {TASKS} args=range; submit 100000 args=range priority=3 queue=mail"));
    for id in (1..TASKS).step_by(9_973) {
        bench.run(&format!("kill {id}"));
    }
    bench
}

#[test]
#[ignore = "ten million tasks; a measurement and not a check of behaviour"]
fn windows_over_ten_million_tasks() {
    let (mut bench, clock) = (large(), Clock::start());
    let master = || blank_master(Name::from_lossy("test"));
    println!("first window, indexes alone:");
    for (filter, sort) in [
        ("", "id"),
        ("", "id:desc"),
        ("state:queued", "id"),
        ("-state:queued", "id"),
        ("kind:square -queue:mail prio<1 id:500..9000000", "id:desc"),
        ("", "priority"),
    ] {
        let began = clock.micros();
        let watch = watch(filter, sort);
        bench.engine.sketch(bench.now, &watch, &mut Searches::default(), master());
        println!("  {:>9} µs  `{filter}` by {sort}", clock.micros() - began);
    }
    println!("searches: first window, longest slice of 1,024 steps, all of it:");
    for (filter, sort) in [
        ("n=123", "id"),
        ("N=123 -state:cancelled", "id"),
        ("tries>=1", "id"),
        ("age>1h", "id"),
        ("cmd:77777", "since:desc"),
        ("queue:mail", "worker"),
    ] {
        let began = clock.micros();
        let (watch, mut searches) = (watch(filter, sort), Searches::default());
        bench.engine.sketch(bench.now, &watch, &mut searches, master());
        let first = clock.micros() - began;
        let mut longest = 0;
        while let Some(search) = searches.tasks.as_mut().filter(|search| search.is_first()) {
            let slice = clock.micros();
            let more = bench.engine.search(bench.now, search, 1_024) == Slice::More;
            longest = longest.max(clock.micros() - slice);
            if !more {
                break;
            }
        }
        let (all, again) = (clock.micros() - began, clock.micros());
        let picture = bench.engine.sketch(bench.now, &watch, &mut searches, master()).picture;
        let again = clock.micros() - again;
        let total = picture.tasks.map_or(0, |tasks| tasks.total);
        println!(
            "  {first:>6} {longest:>6} {all:>9} µs, then {again} µs for `{filter}` by {sort}: {total}"
        );
    }
}
