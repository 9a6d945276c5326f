//! What the journal keeps of who asked for what.

use super::super::event::{Event, decode};
use super::bench::Bench;

/// Runs `command` after `setup`; `expected` is what its turn recorded for the audit.
#[track_caller]
fn check(setup: &str, command: &str, expected: Option<&str>) {
    let mut bench = Bench::new();
    bench.run(setup);
    bench.run(command);
    let events = decode(&bench.journal).unwrap();
    let asked: Vec<&Event> = events.iter().filter(|event| event.word() == "asked").collect();
    let texts: Vec<String> = asked.iter().map(|event| event.text()).collect();
    let expected = expected.map(|what| format!("operator@olga {what}"));
    assert_eq!(texts, Vec::from_iter(expected), "{command} after: {setup}");
}

#[test]
fn commands_that_change_something_are_recorded_with_who_asked() {
    let queued = "join a hold=0; submit 3";
    check(queued, "cancel 2", Some("cancelled 1 task"));
    check(queued, "kill 2", Some("cancelled 1 task at once"));
    check(queued, "cancel-all state:queued", Some("cancelled 3 tasks at once"));
    check(queued, "priority 1 -7", Some("gave 1 task the priority -7"));
    check(queued, "pause default", Some("paused the queue default"));
    check("submit 1; pause default", "resume default", Some("resumed the queue default"));
    check(queued, "drain a", Some("let the worker a drain"));
    check("join a; drain a", "undrain a", Some("let the worker a take tasks again"));
    check(queued, "slots a 9", Some("gave the worker a 9 slots"));
    check("join a; submit 1; start 1", "cancel 1", Some("cancelled 1 task"));
    check("submit 1; kill 1", "retry 1", Some("retried 1 task"));
    check("submit 1; kill 1", "delete 1", Some("deleted 1 task"));
}

#[test]
fn what_changes_nothing_is_not_recorded() {
    check("submit 1; kill 1", "cancel 1", None);
    check("submit 1", "retry 1", None);
    check("submit 1", "delete 1", None);
    check("submit 1", "cancel 7", None);
    check("submit 1", "pause nowhere", None);
    check("submit 1", "drain nobody", None);
    check("join a", "slots a 0", None);
    check("", "submit 1", None);
}
