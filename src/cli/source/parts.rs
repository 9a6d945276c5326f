//! Arguments cut into the parts of a submission: each within the limits of a frame, the last one
//! known as such.

use ganger_proto::limits::{
    BATCH_TASKS_MAX, PAYLOAD_BYTES_MAX, SUBMIT_BYTES_MAX, SUBMIT_TASKS_MAX,
};
use ganger_proto::{ArgList, Args, Spec};

use super::super::error::{CliError, Result};
use super::Source;

/// Arguments that fit the tasks of a spec, one after the other.
pub(crate) struct Fitting {
    source: Source,
    /// Bytes that an argument may have beside what the spec has already.
    room: usize,
    spec_bytes: usize,
    tasks: u64,
    /// The argument that was looked at.
    ahead: Option<Vec<u8>>,
}

/// Cuts a source into parts.
pub(crate) struct Parts {
    fitting: Fitting,
    /// The argument that begins the next part.
    next: Vec<u8>,
    step: Step,
}

/// How far a source is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing was read.
    Begin,
    /// There is another part.
    More,
    /// There is none.
    Over,
}

/// A part of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its arguments.
    pub(crate) args: Args,
    /// Whether nothing follows.
    pub(crate) last: bool,
}

impl Fitting {
    /// Takes arguments for tasks of `spec`, which was checked.
    pub(crate) fn new(source: Source, spec: &Spec) -> Self {
        let spec_bytes = spec.payload_bytes();
        let room = PAYLOAD_BYTES_MAX.saturating_sub(spec_bytes);
        Self { source, room, spec_bytes, tasks: 0, ahead: None }
    }

    /// Returns the source.
    pub(crate) const fn source(&self) -> &Source {
        &self.source
    }

    /// Tells whether there is a task to make; waits for the first argument.
    ///
    /// # Errors
    /// As [`Fitting::next`].
    pub(crate) fn peek(&mut self) -> Result<bool> {
        if self.source.whole().is_some() {
            return Ok(true);
        }
        self.ahead = self.next()?;
        Ok(self.ahead.is_some())
    }

    /// Returns the next argument.
    ///
    /// # Errors
    /// When it is too long, one too many, or cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>> {
        let mut argument = Vec::new();
        Ok(self.next_into(&mut argument)?.then_some(argument))
    }

    /// As [`Fitting::next`], into a buffer that can be used again; tells whether there was one.
    fn next_into(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        if let Some(ahead) = self.ahead.take() {
            *into = ahead;
            return Ok(true);
        }
        if !self.source.next_into(into)? {
            return Ok(false);
        }
        self.tasks += 1;
        if into.len() > self.room {
            return Err(self.too_long(into.len()));
        }
        if self.tasks > BATCH_TASKS_MAX {
            return Err(CliError::usage(format!(
                "there are over {BATCH_TASKS_MAX} arguments, the limit of a batch; submit them in \
                 pieces"
            )));
        }
        Ok(true)
    }

    fn too_long(&self, bytes: usize) -> CliError {
        let (whose, total) = (self.source.place(), bytes + self.spec_bytes);
        CliError::usage(format!(
            "{whose} makes a payload of at least {total} bytes, over the limit of \
             {PAYLOAD_BYTES_MAX}; pass the path of a file instead of its content (with --paths the worker checks \
             it)"
        ))
    }
}

impl Parts {
    /// Cuts `source` for tasks of `spec`, which was checked.
    pub(crate) fn new(source: Source, spec: &Spec) -> Self {
        Self { fitting: Fitting::new(source, spec), next: Vec::new(), step: Step::Begin }
    }

    /// Returns the next part; nothing after the last one.
    ///
    /// # Errors
    /// When an argument is too long, there is none at all, or the source cannot be read.
    pub(crate) fn next(&mut self) -> Result<Option<Part>> {
        // Over, too, when what follows cannot be read.
        match std::mem::replace(&mut self.step, Step::Over) {
            Step::Over => return Ok(None),
            Step::More => {}
            Step::Begin => {
                if let Some(args) = self.fitting.source().whole() {
                    return Ok(Some(Part { args: args.clone(), last: true }));
                }
                if !self.fitting.next_into(&mut self.next)? {
                    return Err(self.empty());
                }
            }
        }
        let mut list = ArgList::new();
        loop {
            list.push(&self.next);
            if !self.fitting.next_into(&mut self.next)? {
                return Ok(Some(Part { args: Args::Listed(list), last: true }));
            }
            if is_full(&list, self.next.len()) {
                self.step = Step::More;
                return Ok(Some(Part { args: Args::Listed(list), last: false }));
            }
        }
    }

    fn empty(&self) -> CliError {
        let whose = self.fitting.source().name();
        CliError::usage(format!("{whose} holds no argument, so there is nothing to submit"))
    }
}

/// Tells whether an argument of `more` bytes finds no room in a part.
pub(crate) fn is_full(list: &ArgList, more: usize) -> bool {
    list.len() == SUBMIT_TASKS_MAX || list.total_bytes() + more > SUBMIT_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::io;

    use clap::Parser;
    use ganger_proto::Kind;

    use super::super::cross::{Cross, Link};
    use super::super::records::{Lines, Records};
    use super::super::words::Joint;
    use super::super::words::{Behind, cut};
    use super::super::{Default, From, Rows, number};
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        from: From,

        #[arg(trailing_var_arg = true)]
        words: Vec<OsString>,
    }

    fn source(words: &[&str], kind: &Kind) -> Result<Source> {
        let line = Line::try_parse_from(["submit"].iter().chain(words)).unwrap();
        let inputs = cut(line.words, Behind::Command).inputs;
        Source::build(&line.from, inputs, kind, Default::OneTask)
    }

    fn exec() -> Kind {
        Kind::Exec { argv: vec![ganger_proto::Template::from_text("x").unwrap()] }
    }

    fn all(source: Source) -> Result<Vec<(Vec<String>, bool)>> {
        let mut parts = Parts::new(source, &Spec::of(Kind::Square));
        let mut out = Vec::new();
        while let Some(part) = parts.next()? {
            let count = part.args.count().min(5);
            let mut words = Vec::new();
            for i in 0..count {
                let mut word = Vec::new();
                part.args.write(i, &mut word);
                words.push(String::from_utf8_lossy(&word).into_owned());
            }
            out.push((words, part.last));
        }
        Ok(out)
    }

    #[test]
    fn every_source_gives_its_arguments() {
        let folder = tempfile::tempdir().unwrap();
        let lines = folder.path().join("lines");
        std::fs::write(&lines, "a b\n\nlast").unwrap();
        let nulls = folder.path().join("nulls");
        std::fs::write(&nulls, "a\nb\0c\0").unwrap();
        let (lines, nulls) = (lines.to_str().unwrap(), nulls.to_str().unwrap());
        let check = |words: &[&str], expected: &[&str]| {
            let got = all(source(words, &exec()).unwrap()).unwrap();
            assert_eq!(got.len(), 1, "{words:?}");
            assert_eq!(got[0], (expected.iter().map(|s| (*s).to_owned()).collect(), true));
        };
        check(&["--", "x", ":::", "1", "", "two words"], &["1", "", "two words"]);
        check(&["-a", lines, "--", "x"], &["a b", "", "last"]);
        check(&["-0", "-a", nulls, "--", "x"], &["a\nb", "c"]);
        check(&["--range", "-1..3:2", "--", "x"], &["-1", "1", "3"]);
        check(&["--repeat", "2", "--", "x"], &["", ""]);
        check(&["--", "x"], &[""]);
        let seeded = || all(source(&["--random", "4:0..9:7", "x"], &exec()).unwrap()).unwrap();
        assert_eq!(seeded(), seeded());
        assert_eq!(seeded()[0].0.len(), 4);
    }

    #[test]
    fn sources_that_make_no_sense_say_what_to_do() {
        let check = |words: &[&str], kind: Kind, part: &str| {
            let error = source(words, &kind).and_then(all).unwrap_err();
            assert_eq!(error.exit, super::super::super::Exit::Usage, "{words:?}");
            assert!(error.sentence.contains(part), "{error}");
        };
        check(&[], Kind::Square, "--random 10:0..9999");
        check(&["--repeat", "3"], Kind::Sleep, "needs an argument a task");
        check(&[":::", "1", "--wait"], Kind::Square, "options go before `:::`");
        check(&["--", "x", ":::"], exec(), "the list holds no argument");
        check(&["-0", "--", "x"], exec(), "-a FILE");
        check(&["--range", "1..2", "x", ":::", "1"], exec(), "in one way");
        check(&["--range", "1-5", "x"], exec(), "is not a range");
        check(&["--random", "5", "x"], exec(), "random numbers");
        check(&["--repeat", "0", "x"], exec(), "at least one");
        check(&["-a", "/dev/null", "x"], exec(), "/dev/null holds no argument");
        let missing = source(&["-a", "/nowhere/f", "x"], &exec()).map(|_| ()).unwrap_err();
        assert!(missing.sentence.contains("cannot open /nowhere/f"), "{missing}");
    }

    #[test]
    fn parts_keep_to_count_and_bytes() {
        let check = |count: usize, bytes: usize, parts: &[usize]| {
            let words: Vec<OsString> = (0..count).map(|_| "x".repeat(bytes).into()).collect();
            let inputs =
                cut([OsString::from(":::")].into_iter().chain(words).collect(), Behind::Nothing)
                    .inputs;
            let source =
                Source::build(&From::default(), inputs, &exec(), Default::OneTask).unwrap();
            let mut cut = Parts::new(source, &Spec::of(Kind::Square));
            let mut got = Vec::new();
            while let Some(part) = cut.next().unwrap() {
                got.push(part.args.count() as usize);
                assert_eq!(part.last, got.len() == parts.len());
                assert!(part.args.bytes_of(0, part.args.count()) <= SUBMIT_BYTES_MAX);
            }
            assert_eq!(got, parts);
        };
        check(1, 5, &[1]);
        check(SUBMIT_TASKS_MAX, 1, &[SUBMIT_TASKS_MAX]);
        check(SUBMIT_TASKS_MAX + 1, 1, &[SUBMIT_TASKS_MAX, 1]);
        check(2 * SUBMIT_TASKS_MAX, 1, &[SUBMIT_TASKS_MAX, SUBMIT_TASKS_MAX]);
        check(13, PAYLOAD_BYTES_MAX, &[12, 1]);
    }

    #[test]
    fn a_line_that_never_ends_is_refused_before_it_fills_the_memory() {
        let records = Records::of_lines(Lines::of(io::repeat(b'x'), "endless"));
        let cross = Cross::new(vec![(records, Joint::Crossed)], Link::Each).unwrap();
        let endless = Source::of(Rows::Read(cross));
        let mut parts = Parts::new(endless, &Spec::of(exec()));
        let error = parts.next().unwrap_err();
        assert!(error.sentence.starts_with("line 1 of endless"), "{error}");
        assert!(error.sentence.contains("65536"), "{error}");
    }

    #[test]
    fn a_range_goes_as_one_part() {
        let range = number::range("1..100000000").unwrap();
        let mut parts = Parts::new(Source::range(range.clone()), &Spec::of(exec()));
        assert_eq!(parts.next().unwrap(), Some(Part { args: range, last: true }));
        assert_eq!(parts.next().unwrap(), None);
    }
}
