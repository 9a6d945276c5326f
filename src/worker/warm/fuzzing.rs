//! Lines between ganger and a handler: any line is an answer or a sentence, and any bytes that are
//! sent as a text come back as they were; see `src/fuzzing/mod.rs`.

use ganger_proto::form::{ArgForm, Columns};
use ganger_proto::message::GrantRun;
use ganger_proto::{ArgList, Args, BatchId, Epoch, Kind, LeaseId, Name, Spec, SpecId, TaskId};
use serde::de::IgnoredAny;

use super::line::{ANSWER_BYTES_MAX, Answer, Lines, end_line, read};
pub(in crate::worker) use super::order::{FromKeeper, ToKeeper};

/// The task that is answered for in the corpus.
const TASK: u64 = 7;
/// What stands before its argument in its line.
const BEFORE: &str = "{\"task\":7,\"attempt\":2,\"batch\":\"b5\",\"index\":6,\"args\":";
/// What stands behind it.
const AFTER: &str = ",\"env\":{}}\n";

/// Reads the bytes as a handler's answer, and sends them to it as an argument.
///
/// # Panics
/// When a promise of the above does not hold.
pub fn check(bytes: &[u8]) {
    check_answer(bytes);
    let names = vec!["a".to_owned(), "\u{e9} \"".to_owned()];
    for columns in [Columns::Text, Columns::Json, Columns::Many { count: 2, names }] {
        check_line(columns, bytes);
    }
    let line = sent(Columns::Text, bytes).expect("any bytes can be sent as a text");
    let argument = line.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(AFTER));
    let echo = format!("{{\"ok\":{}}}", argument.expect("the rest of the line is always the same"));
    assert_eq!(read(echo.as_bytes(), TASK), Ok(Answer::Done(bytes.to_vec())));
}

fn check_answer(bytes: &[u8]) {
    match read(bytes, TASK) {
        Ok(Answer::Done(answer)) => assert!(answer.len() <= bytes.len().min(ANSWER_BYTES_MAX)),
        Ok(Answer::Failed(reason, _)) => assert!(reason.len() <= 3 * bytes.len()),
        Err(reason) => {
            assert!(!reason.contains(char::is_control), "{reason:?}");
            assert!(reason.len() < 1_024, "{reason}");
        }
    }
}

/// A task is one line of JSON, whatever its argument is.
fn check_line(columns: Columns, argument: &[u8]) {
    match sent(columns, argument) {
        Ok(line) => {
            assert_eq!(line.find('\n'), Some(line.len() - 1), "{line:?}");
            assert!(serde_json::from_str::<IgnoredAny>(&line).is_ok(), "{line}");
            assert!(line.len() <= 6 * argument.len() + 256);
        }
        Err(reason) => assert!(reason.contains("is no JSON"), "{reason}"),
    }
}

fn sent(columns: Columns, argument: &[u8]) -> Result<String, String> {
    let run = GrantRun {
        lease: LeaseId { epoch: Epoch::new(1), counter: 1 },
        task: TaskId::new(TASK),
        batch: BatchId::new(5),
        index: 6,
        attempt: 2,
        spec: SpecId::new(1),
        args: Args::Listed([argument].into_iter().collect::<ArgList>()),
    };
    let mut spec = Spec::of(Kind::Handler { name: Name::from_lossy("x") });
    spec.form = ArgForm { columns, ..ArgForm::default() };
    let mut out = Vec::new();
    Lines::new(&run, &spec).write(0, &mut out)?;
    end_line(None, &mut out);
    Ok(String::from_utf8(out).expect("what is not UTF-8 is escaped"))
}

/// Returns who hears and what, for the first corpus of orders.
#[cfg(test)]
pub(in crate::worker) fn frames() -> Vec<(u8, Vec<Vec<u8>>)> {
    use super::order::{Done, Give, Said};
    use crate::worker::order::encode;

    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes()).collect::<ArgList>();
    let lines = texts(&["{\"task\":7", "", "{\"task\":9"]);
    let give = Give { first: 1, task: TASK, lines, timeout_ms: 10 };
    let done = Done { first: 1, took_us: vec![4, 5], results: texts(&["1", "2"]) };
    let said = Said { done: vec![done], returned: Some(3), ..Said::default() };
    let ends = [
        encode(&ToKeeper::Stop { number: 1 }),
        encode(&ToKeeper::Show { number: 1, follow: 2 }),
        encode(&ToKeeper::End { grace_ms: 9 }),
    ];
    vec![
        (2, vec![encode(&ToKeeper::Give(give))]),
        (6, ends.to_vec()),
        (3, vec![encode(&FromKeeper::Said(said))]),
    ]
}
