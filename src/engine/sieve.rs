//! A filter on one task: what has no index, and everything again when a row is shown. Which tasks
//! are looked at is search.rs's concern.

use ganger_proto::filter::{Filter, Term, Test};
use ganger_proto::template::{Values, join_argv, write_line};
use ganger_proto::{ArgForm, Args, BatchId, Kind, Outcome, TaskId, WallMs, WorkerId};
use memchr::memmem::Finder;

use super::Engine;
use super::batch::{Batch, Extent};
use super::task::{State, Task};
use crate::clock::Now;

/// Bytes of text that cost about as much as looking at a record.
const STEP_BYTES: u64 = 128;

/// What tasks of one extent have in common.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) id: BatchId,
    pub(super) batch: &'a Batch,
    pub(super) extent: &'a Extent,
    pub(super) kind: &'a Kind,
    pub(super) form: &'a ArgForm,
}

impl Place<'_> {
    /// Tells whether a task is of the same extent.
    pub(super) fn has(&self, task: TaskId) -> bool {
        let run = self.extent.run();
        (run.first.raw()..run.end()).contains(&task.raw())
    }
}

impl Engine {
    /// Returns what a task has in common with its neighbours.
    pub(super) fn place_of(&self, task: TaskId) -> Option<Place<'_>> {
        let (id, extent) = self.ledger.batches.of_task(task)?;
        let batch = self.ledger.batches.known(id);
        let spec = self.ledger.batches.spec_of(id);
        Some(Place { id, batch, extent, kind: &spec.kind, form: &spec.form })
    }
}

/// A filter made ready for many tasks; keeps its buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Sieve {
    terms: Vec<(Term, Vec<Needle>)>,
    text: Text,
}

impl Sieve {
    /// Returns a sieve of those terms that no index answers.
    pub(super) fn unindexed(filter: &Filter) -> Self {
        Self::new(filter.terms.iter().filter(|term| !term.test.is_indexed()))
    }

    /// Returns a sieve of all terms.
    pub(super) fn whole(filter: &Filter) -> Self {
        Self::new(filter.terms.iter())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "other terms look for no text")]
    fn new<'a>(terms: impl Iterator<Item = &'a Term>) -> Self {
        let needles = |test: &Test| -> Vec<Needle> {
            let texts = match test {
                Test::Word(text) => std::slice::from_ref(text),
                Test::Command(texts) => texts,
                _ => &[],
            };
            texts.iter().map(|text| Needle::new(text)).collect()
        };
        let terms: Vec<_> = terms.map(|term| (term.clone(), needles(&term.test))).collect();
        let all = || terms.iter().flat_map(|(_, needles)| needles);
        let fold = match all().any(|needle| needle.case == Case::Any) {
            true if all().any(|needle| !needle.finder.needle().is_ascii()) => Fold::Unicode,
            true => Fold::Ascii,
            false => Fold::No,
        };
        Self { terms, text: Text { fold, ..Text::default() } }
    }

    /// Tells whether everything passes.
    pub(super) fn is_open(&self) -> bool {
        self.terms.is_empty()
    }

    /// Tells whether it looks at what tasks with the same record may differ in.
    pub(super) fn is_of_text(&self) -> bool {
        self.terms.iter().any(|(_, needles)| !needles.is_empty())
    }

    /// Returns what looking at the last task cost: a step for its record, and its text.
    pub(super) const fn steps(&self) -> u64 {
        1 + self.text.plain.len() as u64 / STEP_BYTES
    }

    /// Tells whether a task passes.
    pub(super) fn passes(&mut self, at: &Look<'_>, id: TaskId, task: &Task) -> bool {
        self.text.plain.clear();
        self.text.made = Made::No;
        let Self { terms, text } = self;
        terms.iter().all(|(term, needles)| {
            let holds = if needles.is_empty() {
                at.holds(&term.test, id, task)
            } else {
                let name = Some(&at.place.batch.options.name);
                let name = name.filter(|_| matches!(term.test, Test::Word(_)));
                needles.iter().any(|needle| {
                    text.has(at, id, needle) || name.is_some_and(|name| needle.is_in_name(name))
                })
            };
            holds != term.negated
        })
    }
}

/// From where a task is looked at: the engine, the moment, its extent.
pub(super) struct Look<'a> {
    pub(super) engine: &'a Engine,
    pub(super) now: Now,
    pub(super) place: Place<'a>,
}

impl Look<'_> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the sieve searches texts itself")]
    fn holds(&self, test: &Test, id: TaskId, task: &Task) -> bool {
        let options = &self.place.batch.options;
        let among = |names: &[String], name: &str| names.iter().any(|n| n == name);
        match test {
            Test::State(states) => states.contains(&self.engine.shown_state(id, task)),
            Test::Batch(ids) => ids.contains(&self.place.id),
            Test::BatchName(names) => names.contains(&options.name),
            Test::Queue(names) => among(names, options.queue.as_str()),
            Test::Kind(words) => among(words, self.place.kind.word()),
            Test::Worker(names) => {
                let worker = task.worker;
                worker != WorkerId::default()
                    && among(names, self.engine.ledger.worker_name(worker))
            }
            Test::Label { key, values } => options.labels.iter().any(|(known, value)| {
                known == key && (values.is_empty() || values.contains(value))
            }),
            Test::Id(from, to) => (*from..=*to).contains(&id),
            Test::Priority(bound) => bound.holds(i64::from(task.priority)),
            Test::Tries(bound) => bound.holds(i64::from(task.attempt)),
            Test::Exit(bound) => exit_of(task).is_some_and(|code| bound.holds(code)),
            Test::Took(bound) => self.took_us(task).is_some_and(|us| bound.holds(us)),
            Test::Wait(bound) => self.wait_us(task).is_some_and(|us| bound.holds(us)),
            Test::Age(bound) => bound.holds(self.since_us(self.place.batch.submitted)),
            _ => false,
        }
    }

    fn took_us(&self, task: &Task) -> Option<u64> {
        match task.state {
            State::Leased => Some(self.since_us(task.at)),
            State::Queued
            | State::Blocked
            | State::Delayed
            | State::Done
            | State::Failed
            | State::Cancelled
            | State::Absent => task.took.us(),
        }
    }

    fn wait_us(&self, task: &Task) -> Option<u64> {
        match task.state {
            State::Queued => Some(self.since_us(task.at.max(self.place.batch.submitted))),
            State::Leased
            | State::Blocked
            | State::Delayed
            | State::Done
            | State::Failed
            | State::Cancelled
            | State::Absent => task.wait.us(),
        }
    }

    fn since_us(&self, moment: WallMs) -> u64 {
        self.now.wall.since(moment).saturating_mul(1_000)
    }
}

/// Returns the exit code of a task's newest attempt.
pub(super) fn exit_of(task: &Task) -> Option<i64> {
    match task.outcome()? {
        Outcome::Done => Some(0),
        Outcome::Failed { code } => Some(i64::from(code)),
        Outcome::Signalled { .. }
        | Outcome::TimedOut
        | Outcome::Lost
        | Outcome::Cancelled
        | Outcome::Unfit => None,
    }
}

/// A text that is looked for. One without an upper-case letter is found in any case.
#[derive(Clone, Debug)]
struct Needle {
    finder: Finder<'static>,
    case: Case,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Exact,
    Any,
}

impl Needle {
    fn new(text: &str) -> Self {
        let case = if text.chars().any(char::is_uppercase) { Case::Exact } else { Case::Any };
        Self { finder: Finder::new(text.as_bytes()).into_owned(), case }
    }

    fn is_in_name(&self, name: &str) -> bool {
        match self.case {
            Case::Exact => self.finder.find(name.as_bytes()).is_some(),
            Case::Any => self.finder.find(name.to_lowercase().as_bytes()).is_some(),
        }
    }
}

/// A task's command, made when it is first asked for.
#[derive(Clone, Debug, Default)]
struct Text {
    plain: Vec<u8>,
    lower: Vec<u8>,
    argument: Vec<u8>,
    made: Made,
    fold: Fold,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Made {
    #[default]
    No,
    Yes,
}

/// How the lower-case form is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fold {
    #[default]
    No,
    /// Enough when all that is looked for in any case is ASCII.
    Ascii,
    Unicode,
}

impl Text {
    fn has(&mut self, at: &Look<'_>, id: TaskId, needle: &Needle) -> bool {
        if self.made == Made::No {
            self.make(&at.place, id);
        }
        let within = if needle.case == Case::Exact { &self.plain } else { &self.lower };
        needle.finder.find(within).is_some()
    }

    fn make(&mut self, place: &Place<'_>, id: TaskId) {
        self.made = Made::Yes;
        write_command(place, id, &mut self.argument, &mut self.plain);
        self.lower.clear();
        match self.fold {
            Fold::No => {}
            Fold::Ascii => self.lower.extend(self.plain.iter().map(u8::to_ascii_lowercase)),
            Fold::Unicode => {
                let text = String::from_utf8_lossy(&self.plain).to_lowercase();
                self.lower.extend_from_slice(text.as_bytes());
            }
        }
    }
}

/// Appends what a task runs; `argument` is a buffer.
pub(super) fn write_command(
    place: &Place<'_>,
    id: TaskId,
    argument: &mut Vec<u8>,
    out: &mut Vec<u8>,
) {
    let extent = place.extent;
    let at = id.raw() - extent.first.raw();
    let number = extent.index + at + 1;
    argument.clear();
    extent.args.write(at, argument);
    let value = match extent.args.as_ref() {
        Args::Repeat { .. } => None,
        Args::Listed(_) | Args::Range { .. } => Some(argument.as_slice()),
    };
    match place.kind {
        Kind::Square => {
            out.extend_from_slice(b"n=");
            out.extend_from_slice(argument);
        }
        Kind::Sleep => out.extend_from_slice(argument),
        Kind::Exec { argv } => join_argv(argv, &Values::new(place.form, value, number), out),
        Kind::Shell { line } => write_line(line, &Values::new(place.form, value, number), out),
        Kind::Handler { name } => {
            out.extend_from_slice(name.as_str().as_bytes());
            out.push(b' ');
            place.form.show(argument, out);
        }
    }
}
