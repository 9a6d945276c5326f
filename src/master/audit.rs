//! Pages of the audit: the trust log's entries, and what the journal has of who asked for what.
//! Runs on the thread that reads the store; one page reads a bounded part of the journal.

use ganger_proto::audit::{AuditLog, AuditPage, AuditPlace, AuditRow};
use ganger_proto::{Refusal, Reply};

use crate::engine::event::{self, Event};
use crate::store::{BodyReader, Logged, Seq};

/// Batches read from the store at once; one may hold a megabyte of arguments.
const STEP_BATCHES: usize = 64;
/// Bytes of the journal after which a page ends, so that others get their turn.
const PAGE_JOURNAL_BYTES: usize = 8 << 20;
/// Batches after which a page ends.
const PAGE_BATCHES: usize = 8_192;

/// Makes the page that follows `after`, with the entries `trust` of the trust log.
pub(super) fn page(
    reader: &mut dyn BodyReader,
    after: AuditPlace,
    trust: Vec<AuditRow>,
    rows_max: usize,
) -> Result<Reply, Refusal> {
    let more_trust = trust.len() == rows_max;
    let mut page = AuditPage { rows: trust, ..AuditPage::default() };
    let mut place = AuditPlace {
        trust: page.rows.last().map_or(after.trust, |row| row.number),
        seq: after.seq,
    };
    let (mut found, mut bytes, mut batches) = (0, 0, 0);
    let mut more = true;
    while more && found < rows_max && bytes < PAGE_JOURNAL_BYTES && batches < PAGE_BATCHES {
        let logged = reader.logged(Seq(place.seq), STEP_BATCHES);
        let logged = logged.map_err(|error| Refusal::State(error.to_string()))?;
        if let Some(first) = logged.first().filter(|first| place.seq == 0 && first.seq.0 > 1) {
            page.journal_begins = Some(first.at);
        }
        more = logged.len() == STEP_BATCHES;
        batches += logged.len();
        for batch in &logged {
            bytes += batch.data.len();
            let before = page.rows.len();
            page.rows.extend(rows(batch));
            found += page.rows.len() - before;
            place.seq = batch.seq.0;
            if found >= rows_max {
                more = true;
                break;
            }
        }
    }
    page.next = (more || more_trust).then_some(place);
    Ok(Reply::Audit(page))
}

/// Returns who asked for what in one batch.
fn rows(batch: &Logged) -> Vec<AuditRow> {
    let events = event::decode(&batch.data).unwrap_or_default();
    events.iter().filter_map(|event| row(batch, event)).collect()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest was asked for by nobody, or is said \
    by the event that names who asked"
)]
fn row(batch: &Logged, event: &Event) -> Option<AuditRow> {
    let (word, actor, text) = match event {
        Event::Began { epoch } => ("began", String::new(), format!("the master began its {epoch}")),
        Event::Opened { owner, options, batch, .. }
        | Event::OpenedBefore3 { owner, options, batch, .. } => {
            let text = format!("{owner} submitted {batch} to the queue {}", options.queue);
            ("submitted", owner.to_string(), text)
        }
        Event::Asked { by, deed, .. } => (deed.word(), by.to_string(), format!("{by} {deed}")),
        _ => return None,
    };
    let (at, number, word) = (batch.at, batch.seq.0, word.to_owned());
    Some(AuditRow { at, log: AuditLog::Journal, number, actor, word, text })
}

#[cfg(test)]
mod tests {
    use ganger_proto::{Actor, Epoch, Name, QueueName, Role, TaskId, WallMs};

    use super::*;
    use crate::engine::deed::Deed;
    use crate::store::{Batch, FencedLog, Holder, MemoryLog};

    /// A journal of `batches` batches in which every tenth was asked for.
    fn journal(batches: u64) -> Box<dyn BodyReader> {
        let mut log = MemoryLog::new();
        let term = log.acquire(&Holder { pid: 1, host: "here".to_owned() }, WallMs(1)).unwrap();
        let by = Actor { role: Role::Operator, name: Name::from_lossy("ann"), admin: false };
        for seq in 1..=batches {
            let event = match seq {
                1 => Event::Began { epoch: Epoch::new(1) },
                _ if seq % 10 == 0 => {
                    let deed = Deed::Paused(QueueName::from_lossy("mail"));
                    Event::Asked { by: by.clone(), deed, at: WallMs(seq) }
                }
                _ => Event::OutputKept { task: TaskId::new(seq) },
            };
            let batch = Batch { data: event::encode(&[event]), events: 1, ..Batch::default() };
            log.append(&term, Seq(seq), WallMs(seq), &[batch]).unwrap();
        }
        log.reader().unwrap()
    }

    fn trust(number: u64) -> AuditRow {
        let (actor, word) = (String::new(), "began".to_owned());
        let text = "the cluster x was made".to_owned();
        AuditRow { at: WallMs(0), log: AuditLog::Trust, number, actor, word, text }
    }

    fn read(reader: &mut dyn BodyReader, after: AuditPlace, rows: usize) -> AuditPage {
        let trust = (after.trust + 1..=3).take(rows).map(trust).collect();
        match page(reader, after, trust, rows) {
            Ok(Reply::Audit(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_what_was_asked_for_is_shown() {
        let mut reader = journal(25);
        let page = read(reader.as_mut(), AuditPlace::default(), 100);
        let texts: Vec<&str> = page.rows.iter().skip(3).map(|row| row.text.as_str()).collect();
        let paused = "operator@ann paused the queue mail";
        assert_eq!(texts, ["the master began its e1", paused, paused]);
        let last = page.rows.last().unwrap();
        let shown = (last.number, last.actor.as_str(), last.word.as_str());
        assert_eq!(shown, (20, "operator@ann", "paused"));
        assert_eq!((page.next, page.journal_begins), (None, None));
    }

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        for rows in [1, 2, 7, 100] {
            let mut reader = journal(1_000);
            let (mut place, mut all) = (Some(AuditPlace::default()), Vec::new());
            while let Some(after) = place {
                let page = read(reader.as_mut(), after, rows);
                all.extend(page.rows.iter().map(|row| (row.log, row.number)));
                assert!(page.next != Some(after), "no page stands still");
                place = page.next;
            }
            let journal = [1].into_iter().chain((1..=100).map(|tens| tens * 10));
            let mut expected: Vec<_> = (1..=3).map(|number| (AuditLog::Trust, number)).collect();
            expected.extend(journal.map(|number| (AuditLog::Journal, number)));
            all.sort_unstable();
            assert_eq!(all, expected, "{rows} rows");
        }
    }
}
