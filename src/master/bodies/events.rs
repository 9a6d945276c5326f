//! Pages of the journal's events, as people read them. What an event says is its own concern.

use ganger_proto::limits::PAGE_BYTES_MAX;
use ganger_proto::picture::EventRow;
use ganger_proto::{Refusal, Reply};

use super::broken;
use crate::engine::event;
use crate::store::{BodyReader, Logged, Seq};

/// Batches read from the store at once; one may hold a megabyte of arguments.
const STEP_BATCHES: usize = 64;
/// Bytes of the journal after which a page ends that has something, so that others get their turn.
const PAGE_JOURNAL_BYTES: usize = 8 << 20;
/// Bytes of one event's text; the rest of it is left out.
const TEXT_BYTES_MAX: usize = 4 << 10;
/// Bytes of a row beside its text, about.
const ROW_BYTES: usize = 48;

/// Makes the page that follows batch `after`. A batch goes whole, since the next page begins after
/// it; of one with more events than a page holds, the last row says how many are left out.
pub(super) fn page(
    reader: &mut dyn BodyReader,
    after: u64,
    rows_max: usize,
) -> Result<Reply, Refusal> {
    let (mut rows, mut after) = (Vec::new(), Seq(after));
    let (mut bytes, mut read) = (0, 0);
    loop {
        let logged = reader.logged(after, STEP_BATCHES).map_err(|error| broken(&error))?;
        for batch in &logged {
            let (more, more_bytes) = rows_of(batch);
            let fits = rows.is_empty() || bytes + more_bytes <= PAGE_BYTES_MAX;
            if !fits || rows.len() >= rows_max || (read >= PAGE_JOURNAL_BYTES && !rows.is_empty()) {
                return Ok(Reply::Events(rows));
            }
            rows.extend(more);
            bytes += more_bytes;
            read += batch.data.len();
            after = batch.seq;
        }
        if logged.len() < STEP_BATCHES || rows.len() >= rows_max {
            return Ok(Reply::Events(rows));
        }
    }
}

/// Returns the rows of one batch, at most a page of them, and about how many bytes they take.
fn rows_of(batch: &Logged) -> (Vec<EventRow>, usize) {
    let events = event::decode(&batch.data).unwrap_or_default();
    let row = |word: &str, text: String| {
        let word = word.to_owned();
        EventRow { seq: batch.seq.0, at: batch.at, word, text }
    };
    let (mut rows, mut bytes) = (Vec::new(), 0);
    for event in &events {
        let mut text = event.text();
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        bytes += text.len() + ROW_BYTES;
        if bytes > PAGE_BYTES_MAX {
            let left = events.len() - rows.len();
            rows.push(row("more", format!("{left} more events of this batch are left out")));
            break;
        }
        rows.push(row(event.word(), text));
    }
    (rows, bytes)
}

#[cfg(test)]
mod tests {
    use ganger_net::frame::encode;
    use ganger_proto::message::ToClient;
    use ganger_proto::{TaskId, WallMs};

    use super::*;
    use crate::engine::event::Event;
    use crate::store::{Batch, FencedLog, Holder, MemoryLog};

    /// A journal whose batches have so many events each.
    fn journal(events: impl Iterator<Item = u64>) -> Box<dyn BodyReader> {
        let mut log = MemoryLog::new();
        let term = log.acquire(&Holder { pid: 1, host: "here".to_owned() }, WallMs(1)).unwrap();
        for (count, seq) in events.zip(1..) {
            let events: Vec<Event> =
                (1..=count).map(|task| Event::OutputKept { task: TaskId::new(task) }).collect();
            let data = event::encode(&events);
            let batch = Batch { data, events: count, ..Batch::default() };
            log.append(&term, Seq(seq), WallMs(seq), &[batch]).unwrap();
        }
        log.reader().unwrap()
    }

    fn read(reader: &mut dyn BodyReader, after: u64, rows: usize) -> Vec<EventRow> {
        let reply = page(reader, after, rows).unwrap();
        let message = ToClient::Reply { tag: 1, result: Ok(reply.clone()) };
        assert!(encode(&message).is_ok(), "it fits a frame");
        let Reply::Events(rows) = reply else { panic!("{reply:?}") };
        rows
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        for rows in [1, 7, 4_096] {
            let mut reader = journal((0..1_000).map(|batch| 1 + batch % 3));
            let (mut after, mut all) = (0, Vec::new());
            loop {
                let page = read(reader.as_mut(), after, rows);
                assert!(page.len() < rows + 3, "a batch may go beyond, no more");
                let Some(last) = page.last() else { break };
                after = last.seq;
                all.extend(page.iter().map(|row| row.seq));
            }
            let expected = (0..1_000).flat_map(|batch| vec![batch + 1; 1 + batch as usize % 3]);
            assert!(all.into_iter().eq(expected), "{rows} rows");
        }
    }

    /// A batch with more events than a frame takes was refused whole, so that nobody who read the
    /// events came past it.
    #[test]
    fn a_batch_that_no_page_holds_is_cut_and_passed() {
        let mut reader = journal([1, 100_000, 2].into_iter());
        assert_eq!(read(reader.as_mut(), 0, 4_096).len(), 1, "the large one has its own page");
        let cut = read(reader.as_mut(), 1, 4_096);
        let last = cut.last().unwrap();
        let left = 100_001 - cut.len();
        assert_eq!((last.seq, last.word.as_str()), (2, "more"));
        assert_eq!(last.text, format!("{left} more events of this batch are left out"));
        assert_eq!(read(reader.as_mut(), 2, 4_096).len(), 2);
    }
}
