//! Words become terms, or a sentence that says what to write.

use std::str::FromStr;

use super::error::{FilterError, Wrong};
use super::value::{Bound, Length};
use super::words::{Letter, Word, text_of, words};
use super::{ALTERNATIVES_MAX, Filter, KEYS, Term, Test, TooMuch};
use crate::id::{BatchId, TaskId};
use crate::picture::TaskState;

/// Reads a filter.
pub(super) fn filter(text: &str) -> Result<Filter, FilterError> {
    let mut filter = Filter::default();
    for word in words(text)? {
        let read = term(&word).and_then(|term| {
            filter.terms.push(term);
            filter.check().map_err(Wrong::from)
        });
        read.map_err(|wrong| wrong.at(text, word.at, word.end))?;
    }
    Ok(filter)
}

/// Reads a text that is one term.
pub(super) fn one(text: &str) -> Result<Term, Wrong> {
    match words(text).as_deref() {
        Ok([word]) => term(word),
        Ok(_) | Err(_) => Err(Wrong::term("it is not one term")),
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Self::parse(text)
    }
}

fn term(word: &Word) -> Result<Term, Wrong> {
    let (negated, body) = match word.letters.split_first() {
        Some((first, rest)) if first.is('-') => (true, rest),
        Some(_) | None => (false, word.letters.as_slice()),
    };
    if body.is_empty() {
        return Err(Wrong::unfinished(if negated {
            "after the `-` comes the term that must not hold, such as -state:done"
        } else {
            "there is nothing between the quotes; write the text that is looked for"
        }));
    }
    Ok(Term { negated, test: test(body)? })
}

/// The sign between a key and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Is,
    Above,
    AtLeast,
    Below,
    AtMost,
}

fn test(body: &[Letter]) -> Result<Test, Wrong> {
    let Some(place) = body.iter().position(|l| [':', '=', '<', '>'].iter().any(|s| l.is(*s)))
    else {
        return Ok(Test::Word(text_of(body)));
    };
    let (key, rest) = body.split_at(place);
    let plain = key.iter().all(|letter| !letter.quoted);
    let key = text_of(key);
    let colon = rest.first().is_some_and(|letter| letter.is(':'));
    if !plain || !KEYS.iter().any(|(known, ..)| *known == key) {
        let looks_like_a_key =
            plain && !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase());
        let an_address = rest.get(1..3).is_some_and(|two| two.iter().all(|l| l.is('/')));
        if colon && looks_like_a_key && !an_address {
            return Err(unknown(&key));
        }
        return Ok(Test::Word(text_of(body)));
    }
    let (sign, value) = sign(rest);
    if NUMBERS.contains(&key.as_str()) {
        return number(&key, sign, value);
    }
    if !colon || sign != Sign::Is {
        let (_, example, _) = KEYS.iter().find(|(known, ..)| *known == key).unwrap_or(&KEYS[0]);
        return Err(Wrong::term(format!(
            "`{key}` takes a colon, as in {example}; put quotes around it to look for the text"
        )));
    }
    listed(&key, value)
}

/// Keys that take signs.
const NUMBERS: [&str; 7] = ["id", "prio", "tries", "exit", "dur", "wait", "age"];

/// Reads `:`, `=`, `>`, `>=`, `<`, `<=`, and a colon before one of the others.
fn sign(letters: &[Letter]) -> (Sign, &[Letter]) {
    let after = |count: usize| letters.get(count..).unwrap_or_default();
    let is = |place: usize, sign: char| letters.get(place).is_some_and(|letter| letter.is(sign));
    match () {
        () if is(0, '>') && is(1, '=') => (Sign::AtLeast, after(2)),
        () if is(0, '<') && is(1, '=') => (Sign::AtMost, after(2)),
        () if is(0, '>') => (Sign::Above, after(1)),
        () if is(0, '<') => (Sign::Below, after(1)),
        () if is(0, ':') && ['>', '<', '='].iter().any(|s| is(1, *s)) => sign(after(1)),
        () => (Sign::Is, after(1)),
    }
}

fn unknown(key: &str) -> Wrong {
    let keys: Vec<&str> = KEYS.iter().map(|(key, ..)| *key).collect();
    Wrong::term(format!(
        "`{}` is not a key; the keys are {}; put quotes around it to look for the text",
        shown(key),
        keys.join(" ")
    ))
}

/// Reads the keys whose values are words.
fn listed(key: &str, value: &[Letter]) -> Result<Test, Wrong> {
    if key == "label" {
        return label(value);
    }
    let values = alternatives(value)?;
    let texts = || values.iter().map(|value| value.text.clone()).collect();
    Ok(match key {
        "state" => Test::State(states(&values)?),
        "batch" => batches(&values)?,
        "queue" => Test::Queue(texts()),
        "kind" => {
            Test::Kind(values.iter().map(|value| kind(&value.text)).collect::<Result<_, _>>()?)
        }
        "worker" => Test::Worker(texts()),
        "cmd" => Test::Command(texts()),
        _ => return Err(unknown(key)),
    })
}

fn states(values: &[Value]) -> Result<Vec<TaskState>, Wrong> {
    const SETS: [&str; 3] = ["leased", "open", "ended"];
    let mut found = Vec::new();
    for Value { text, .. } in values {
        match text.as_str() {
            "leased" => found.extend([TaskState::Sent, TaskState::Running]),
            "open" => found.extend(TaskState::ALL.into_iter().filter(|s| !s.is_end())),
            "ended" => found.extend(TaskState::ALL.into_iter().filter(|s| s.is_end())),
            _ => match TaskState::ALL.into_iter().find(|s| s.word() == text) {
                Some(state) => found.push(state),
                None => {
                    let words: Vec<&str> =
                        TaskState::ALL.into_iter().map(TaskState::word).chain(SETS).collect();
                    return Err(not_one_of("a state", "states", text, &words));
                }
            },
        }
    }
    Ok(found)
}

fn kind(text: &str) -> Result<String, Wrong> {
    const KINDS: [&str; 4] = ["square", "sleep", "exec", "shell"];
    if KINDS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(not_one_of("a kind", "kinds", text, &KINDS))
}

/// The beginning of one of the words is merely unfinished.
fn not_one_of(what: &str, all: &str, text: &str, words: &[&str]) -> Wrong {
    let shown = shown(text);
    let why = format!("`{shown}` is not {what}; the {all} are {}", words.join(" "));
    let begins = words.iter().any(|word| word.starts_with(text));
    if begins { Wrong::unfinished(why) } else { Wrong::term(why) }
}

fn batches(values: &[Value]) -> Result<Test, Wrong> {
    let id = |value: &Value| value.text.parse::<BatchId>().ok().filter(|_| !value.quoted);
    let ids: Vec<BatchId> = values.iter().filter_map(id).collect();
    if ids.is_empty() {
        return Ok(Test::BatchName(values.iter().map(|value| value.text.clone()).collect()));
    }
    if ids.len() < values.len() {
        return Err(Wrong::term(
            "one term names batches by id or by name, not both; an id is b12, and \"b12\" in \
             quotes is a name",
        ));
    }
    Ok(Test::Batch(ids))
}

fn label(value: &[Letter]) -> Result<Test, Wrong> {
    let place = value.iter().position(|letter| letter.is('='));
    let (key, values) = match place {
        None => (value, None),
        Some(place) => (&value[..place], value.get(place + 1..)),
    };
    if key.is_empty() {
        return Err(Wrong::unfinished("a label is missing; write label:stage or label:stage=prod"));
    }
    if key.iter().any(|letter| letter.is('|')) {
        return Err(Wrong::term(
            "alternatives of a label come after its `=`, as in label:stage=test|prod",
        ));
    }
    let values = match values {
        None => Vec::new(),
        Some(values) => alternatives(values)?.into_iter().map(|value| value.text).collect(),
    };
    Ok(Test::Label { key: text_of(key), values })
}

/// Reads the keys whose values are numbers, ids or lengths of time.
fn number(key: &str, sign: Sign, value: &[Letter]) -> Result<Test, Wrong> {
    let whole = |what: &'static str| {
        move |text: &str| {
            let bad = || format!("`{}` is not a number; write {what}", shown(text));
            text.parse::<i64>().map_err(|_| match text {
                "-" | "" => Wrong::unfinished(bad()),
                _ => Wrong::term(bad()),
            })
        }
    };
    Ok(match key {
        "id" => ids(sign, value)?,
        "prio" => Test::Priority(bound(sign, value, whole("prio:5, prio>5 or prio:1..9"))?),
        "tries" => Test::Tries(bound(sign, value, whole("tries:1, tries>=2 or tries:2..4"))?),
        "exit" => Test::Exit(bound(sign, value, whole("exit:1, exit:1|2 or exit>0"))?),
        "dur" => Test::Took(bound(sign, value, Length::read)?),
        "wait" => Test::Wait(bound(sign, value, Length::read)?),
        "age" => Test::Age(bound(sign, value, Length::read)?),
        _ => return Err(unknown(key)),
    })
}

fn bound<T>(
    sign: Sign,
    value: &[Letter],
    read: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Bound<T>, Wrong> {
    let text = text_of(value);
    if text.is_empty() {
        return Err(missing());
    }
    Ok(match sign {
        Sign::Above => Bound::Above(read(&text)?),
        Sign::AtLeast => Bound::AtLeast(read(&text)?),
        Sign::Below => Bound::Below(read(&text)?),
        Sign::AtMost => Bound::AtMost(read(&text)?),
        Sign::Is => match text.split_once("..") {
            Some(("", "")) => return Err(missing()),
            Some(("", to)) => Bound::AtMost(read(to)?),
            Some((from, "")) => Bound::AtLeast(read(from)?),
            Some((from, to)) => Bound::Between(read(from)?, read(to)?),
            None => {
                let values = alternatives(value)?;
                Bound::OneOf(values.iter().map(|v| read(&v.text)).collect::<Result<_, _>>()?)
            }
        },
    })
}

fn ids(sign: Sign, value: &[Letter]) -> Result<Test, Wrong> {
    let read = |text: &str| {
        text.parse::<TaskId>().map(TaskId::raw).map_err(|_| {
            Wrong::term(format!(
                "`{}` is not an id; write id:7, id:100..200 or id>100",
                shown(text)
            ))
        })
    };
    let text = text_of(value);
    if text.is_empty() || text == ".." {
        return Err(missing());
    }
    let (from, to) = match sign {
        Sign::Above => (read(&text)?.checked_add(1), Some(u64::MAX)),
        Sign::AtLeast => (Some(read(&text)?), Some(u64::MAX)),
        Sign::Below => (Some(0), read(&text)?.checked_sub(1)),
        Sign::AtMost => (Some(0), Some(read(&text)?)),
        Sign::Is => match text.split_once("..") {
            None => (Some(read(&text)?), Some(read(&text)?)),
            Some(("", to)) => (Some(0), Some(read(to)?)),
            Some((from, "")) => (Some(read(from)?), Some(u64::MAX)),
            Some((from, to)) => (Some(read(from)?), Some(read(to)?)),
        },
    };
    match (from, to) {
        (Some(from), Some(to)) if from <= to => Ok(Test::Id(TaskId::new(from), TaskId::new(to))),
        // On the way to a larger number it is empty too.
        _ => Err(Wrong::unfinished("no id is in this range; write the smaller id first")),
    }
}

/// One of a term's values, and whether anything of it stood in quotes.
struct Value {
    text: String,
    quoted: bool,
}

/// Cuts at the bars; what is empty is left out, so that a filter holds while the next is typed.
fn alternatives(letters: &[Letter]) -> Result<Vec<Value>, Wrong> {
    let parts = letters.split(|letter| letter.is('|')).filter(|part| !part.is_empty());
    let values: Vec<Value> = parts
        .map(|part| Value { text: text_of(part), quoted: part.iter().any(|l| l.quoted) })
        .collect();
    if values.is_empty() {
        return Err(missing());
    }
    if values.len() > ALTERNATIVES_MAX {
        return Err(TooMuch::Alternatives.into());
    }
    Ok(values)
}

fn missing() -> Wrong {
    Wrong::unfinished("a value is missing; write what to look for")
}

/// Returns what a message shows of a text that somebody typed.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}
