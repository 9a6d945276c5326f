//! Filters: any text is a filter that reads back as it is shown, or an error that points into it.

use crate::filter::{ALTERNATIVES_MAX, FILTER_TERMS_MAX, Filter, Test};
use crate::limits::TEXT_BYTES_MAX;

/// Reads the bytes as a filter.
///
/// # Panics
/// When a filter is not read as it is shown, passes its limits, or an error makes no sense.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Filter::parse(text) {
        Ok(filter) => {
            let shown = filter.to_string();
            let again = Filter::parse(&shown);
            assert_eq!(again.as_ref(), Ok(&filter), "{text:?} is shown as {shown:?}");
            assert!(filter.terms.len() <= FILTER_TERMS_MAX);
            let mut held = 0;
            for term in &filter.terms {
                let (texts, items) = sizes(&term.test);
                assert!(items <= ALTERNATIVES_MAX, "{items} alternatives in {text:?}");
                held += texts;
            }
            assert!(held <= TEXT_BYTES_MAX.min(bytes.len()), "{held} bytes are held of {text:?}");
        }
        Err(error) => {
            let part = text.get(error.at..error.end);
            assert!(part.is_some_and(|part| !part.is_empty()), "{error:?} is not in {text:?}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
            assert!(error.why().len() < 1_024, "{error}");
        }
    }
}

/// Returns how many bytes of text a test holds, and how many alternatives.
fn sizes(test: &Test) -> (usize, usize) {
    let of = |texts: &[String]| (texts.iter().map(String::len).sum(), texts.len());
    match test {
        Test::BatchName(texts)
        | Test::Queue(texts)
        | Test::Kind(texts)
        | Test::Worker(texts)
        | Test::Command(texts) => of(texts),
        Test::Label { key, values } => {
            let (bytes, items) = of(values);
            (key.len() + bytes, items)
        }
        Test::Word(text) => (text.len(), 1),
        Test::State(states) => (0, states.len()),
        Test::Batch(ids) => (0, ids.len()),
        Test::Id(from, to) => {
            assert!(from <= to, "no id is from {from} to {to}");
            (0, 1)
        }
        Test::Priority(_)
        | Test::Tries(_)
        | Test::Exit(_)
        | Test::Took(_)
        | Test::Wait(_)
        | Test::Age(_) => (0, 1),
    }
}
