//! Which tasks an action is about: ids, batches, ranges of ids, or the terms of a filter. Does not
//! know what the action is.

use std::ffi::OsString;

use ganger_proto::filter::{KEYS, Test};
use ganger_proto::limits::SELECT_IDS_MAX;
use ganger_proto::{BatchId, Filter, Select, TaskId};

use super::error::{CliError, Result};
use super::text;

/// What the help of each action says about its words.
pub(crate) const HELP: &str = "\
Tasks are named by id (12), by batch (b3), by range (100..200, both included), or by the terms of a
filter, such as state:failed|cancelled batch:b3 exit:1 dur>10m, and -TERM for its opposite; all
terms must hold. A text within the command is cmd:TEXT. `ganger ls --help` names every term, and
`ganger ls` with the same words shows which tasks they are.";

/// Subcommands whose words may be filter terms.
const TAKE_TERMS: [&str; 5] = ["ls", "cancel", "retry", "delete", "priority"];
/// Flags before the subcommand that take a value.
const WITH_VALUE: [&str; 3] = ["--home", "--master", "--theme"];
/// Puts a blank before each negated term of a subcommand that takes terms, so that clap sees a word
/// and not flags; [`parse`] and [`parse_filter`] cut at blanks. Letting those words begin with any
/// dash instead would make clap take `--now` behind them for a word too.
pub(crate) fn shield(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let mut place = 1;
    while let Some(word) = arguments.get(place).and_then(|word| word.to_str()) {
        if TAKE_TERMS.contains(&word) {
            break;
        }
        if !word.starts_with('-') {
            return arguments;
        }
        place += if WITH_VALUE.contains(&word) { 2 } else { 1 };
    }
    for argument in arguments.iter_mut().skip(place) {
        if let Some(word) = argument.to_str().filter(|word| is_negated(word)) {
            *argument = format!(" {word}").into();
        }
    }
    arguments
}

/// Tells whether a word is a term that must not hold and not a flag.
fn is_negated(word: &str) -> bool {
    let Some(term) = word.strip_prefix('-') else { return false };
    let signs = |rest: &str| rest.starts_with([':', '=', '<', '>']);
    term.starts_with('"') || KEYS.iter().any(|(key, ..)| term.strip_prefix(key).is_some_and(signs))
}

/// Reads the words after an action. Each selection is a request of its own.
///
/// # Errors
/// When there are none, when one cannot be read, when ids are mixed with terms, and when there is
/// nothing but plain text: a mistyped name should not choose whatever has it in its command.
pub(crate) fn parse(words: &[String]) -> Result<Vec<Select>> {
    let text = words.join(" ");
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err(CliError::usage(
            "no tasks were named; give ids (12), a batch (b3), a range (100..200) or filter terms \
             (state:failed)",
        ));
    }
    if !words.iter().all(|word| looks_like_id(word)) {
        let filter = read(&text)?;
        if filter.terms.iter().all(|term| matches!(term.test, Test::Word(_))) {
            let word = words.iter().find(|word| !looks_like_id(word));
            return Err(not_read(word.unwrap_or(&words[0])));
        }
        if let Some(id) = words.iter().find(|word| looks_like_id(word)) {
            return Err(CliError::usage(format!(
                "`{}` is mixed with filter terms, which must all hold; write it as a term, \
                 id:12 or batch:b3",
                text::line(id)
            )));
        }
        return Ok(vec![Select::Matching(filter)]);
    }
    let mut selects = Vec::new();
    let mut ids = Vec::new();
    for word in words {
        match id_word(word)? {
            Select::Tasks(more) => ids.extend(more),
            other @ (Select::Batch(_) | Select::Matching(_)) => selects.push(other),
        }
    }
    for ids in ids.chunks(SELECT_IDS_MAX) {
        selects.push(Select::Tasks(ids.to_vec()));
    }
    Ok(selects)
}

/// Reads words as a filter for listings: nothing matches everything, and batches, ids and ranges
/// stand for their terms.
///
/// # Errors
/// When a word cannot be read.
pub(crate) fn parse_filter(words: &[String]) -> Result<Filter> {
    let mut terms = Vec::new();
    for word in words {
        if word.contains('"') {
            terms.push(word.clone());
            continue;
        }
        for word in word.split_whitespace() {
            terms.push(match looks_like_id(word).then(|| id_word(word)).transpose()? {
                Some(Select::Batch(batch)) => Filter::of(Test::Batch(vec![batch])).to_string(),
                Some(Select::Tasks(ids)) => Filter::of(Test::Id(ids[0], ids[0])).to_string(),
                Some(Select::Matching(range)) => range.to_string(),
                None => word.to_owned(),
            });
        }
    }
    read(&terms.join(" "))
}

/// Reads a filter; an error shows the whole, in which it names the place.
fn read(text: &str) -> Result<Filter> {
    let shown = || text::cut(&text::line(text), 60);
    Filter::parse(text).map_err(|error| CliError::usage(format!("{error} in `{}`", shown())))
}

/// Reads one batch, `b12` or `12`.
///
/// # Errors
/// When it is none.
pub(crate) fn parse_batch(word: &str) -> Result<BatchId> {
    word.parse().map_err(|_| not_read(word))
}

/// Tells whether a word is an id, a batch or a range, or tries to be one.
fn looks_like_id(word: &str) -> bool {
    let digits = word.strip_prefix('b').unwrap_or(word);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

fn id_word(word: &str) -> Result<Select> {
    if word.starts_with('b') {
        return Ok(Select::Batch(parse_batch(word)?));
    }
    let id = |text: &str| text.parse::<TaskId>().map_err(|_| not_read(word));
    match word.split_once("..") {
        None => Ok(Select::Tasks(vec![id(word)?])),
        Some((from, to)) => {
            let (from, to) = (id(from)?, id(to)?);
            if from > to {
                return Err(CliError::usage(format!(
                    "the range {from}..{to} is empty; write the smaller id first"
                )));
            }
            Ok(Select::Matching(Filter::of(Test::Id(from, to))))
        }
    }
}

fn not_read(word: &str) -> CliError {
    CliError::usage(format!(
        "`{}` is neither an id (12), a batch (b3), a range (100..200) nor a filter term \
         (state:failed); a text within the command is cmd:TEXT",
        text::cut(&text::line(word), 40)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        if line.contains('"') {
            return vec![line.to_owned()];
        }
        line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    #[test]
    fn selections_are_read() {
        let check = |line: &str, expected: Vec<Select>| {
            assert_eq!(parse(&words(line)).unwrap(), expected, "{line}");
        };
        let matching = |text: &str| Select::Matching(Filter::parse(text).unwrap());
        let ids = |ids: &[u64]| Select::Tasks(ids.iter().copied().map(TaskId::new).collect());
        check("12", vec![ids(&[12])]);
        check("12 7", vec![ids(&[12, 7])]);
        check("b3", vec![Select::Batch(BatchId::new(3))]);
        check("100..200", vec![matching("id:100..200")]);
        check("state:failed queue:mail", vec![matching("state:failed queue:mail")]);
        check("-state:done", vec![matching("-state:done")]);
        check("state:failed thumbs dur>1m", vec![matching("state:failed thumbs dur>1m")]);
        check("cmd:\"7 up\"", vec![matching("cmd:\"7 up\"")]);
        check(
            "1 b2 3..4 5",
            vec![Select::Batch(BatchId::new(2)), matching("id:3..4"), ids(&[1, 5])],
        );
        let one = parse(&["state:failed batch:b2".to_owned()]).unwrap();
        assert_eq!(one, [matching("state:failed batch:b2")]);
        let many: Vec<String> = (0..=SELECT_IDS_MAX).map(|id| id.to_string()).collect();
        assert_eq!(parse(&many).unwrap().len(), 2);
    }

    #[test]
    fn bad_selections_say_what_to_write() {
        let check = |line: &str, part: &str| {
            let error = parse(&words(line)).unwrap_err();
            assert_eq!(error.exit, super::super::Exit::Usage);
            assert!(error.sentence.contains(part), "{line}: {error}");
        };
        check("", "no tasks were named");
        check("alpha", "neither an id");
        check("bx", "neither an id");
        check("5..", "neither an id");
        check("9..2", "smaller id first");
        check("12 state:failed", "mixed with filter terms");
        check("12 alpha", "`alpha` is neither an id");
        check("-alpha", "cmd:TEXT");
        check("state:wrong", "the states are");
        check("kind:exec state:wrong", "(at character 11) in `kind:exec state:wrong`");
        check("colour:red", "the keys are");
        check("1\u{1b}[2J", "`1`");
    }

    #[test]
    fn filters_take_short_words() {
        let check = |line: &str, expected: &str| {
            assert_eq!(parse_filter(&words(line)).unwrap().to_string(), expected, "{line}");
        };
        check("", "");
        check("b3", "batch:b3");
        check("12", "id:12");
        check("5..9 state:done", "id:5..9 state:done");
        check("thumbs 7z -cmd:gzip", "thumbs 7z -cmd:gzip");
        let quoted = ["cmd:\"a 12 b\"".to_owned(), "b3".to_owned()];
        assert_eq!(parse_filter(&quoted).unwrap().to_string(), "cmd:\"a 12 b\" batch:b3");
        assert!(parse_filter(&words(&"b1 ".repeat(40))).is_err());
    }
}
