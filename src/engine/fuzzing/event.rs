//! Stored batches of events and blocks of results: what decodes encodes to the same, and showing it
//! to people never fails, although nobody has checked its sums before.

use ganger_proto::TaskId;

use crate::engine::event::{decode, encode};
use crate::engine::results::Block;

/// Takes the bytes behind the first for events, or for a block when the first is odd.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    if first & 1 == 0 { check_events(rest) } else { check_block(rest) }
}

fn check_events(bytes: &[u8]) {
    let Ok(events) = decode(bytes) else { return };
    let written = encode(&events);
    assert!(written.len() <= bytes.len(), "{} bytes became {}", bytes.len(), written.len());
    assert_eq!(decode(&written).ok().as_ref(), Some(&events));
    for event in &events {
        let shown = format!("{} {}", event.word(), event.text());
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
}

fn check_block(bytes: &[u8]) {
    let Ok(block) = Block::decode(bytes) else { return };
    let written = block.encode();
    assert!(written.len() <= bytes.len(), "{} bytes became {}", bytes.len(), written.len());
    assert_eq!(Block::decode(&written).ok().as_ref(), Some(&block));
    for run in &block.done {
        let count = run.results.len() as u64;
        let asked = [run.first, run.first.plus(count.saturating_sub(1)), run.first.plus(count)];
        for task in asked.into_iter().filter_map(|task| block.find(task)) {
            assert!(task.stdout.len() <= bytes.len());
        }
    }
    for end in &block.ended {
        let found = block.find(end.task);
        assert!(found.is_some_and(|found| found.stdout.len() <= bytes.len()));
    }
    assert!(!block.is_empty() || block.find(TaskId::new(1)).is_none());
}
