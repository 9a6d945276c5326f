//! Where the arguments of a submission come from, and how they are cut into parts that fit a frame.
//! Reads files piece by piece: a submission of any length takes the memory of one part.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use ganger_proto::limits::{
    BATCH_TASKS_MAX, PAYLOAD_BYTES_MAX, SUBMIT_BYTES_MAX, SUBMIT_TASKS_MAX,
};
use ganger_proto::{ArgList, Args, Kind, Spec};

use super::super::error::{CliError, Result};
use super::super::text;
use super::number::{self, Random};
use super::seen::Sight;

/// Flags that say where arguments come from.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct From {
    /// A file with an argument a line, which may be blank; - is standard input
    #[arg(short = 'a', long = "arg-file", value_name = "FILE", group = "source")]
    pub(super) file: Option<PathBuf>,

    /// The file's arguments end with NUL instead of a line end
    #[arg(short = '0', long = "null", requires = "file")]
    pub(super) null: bool,

    /// Whole numbers, both ends included
    #[arg(long, value_name = "FIRST..LAST[:STEP]", allow_hyphen_values = true, group = "source")]
    pub(super) range: Option<String>,

    /// Random whole numbers, both ends included; the same seed gives the same numbers
    #[arg(long, value_name = "COUNT:MIN..MAX[:SEED]", group = "source")]
    pub(super) random: Option<String>,

    /// The same task this often, without an argument
    #[arg(long, value_name = "N", group = "source")]
    pub(super) repeat: Option<u64>,
}

/// Where arguments come from.
pub(super) enum Source {
    /// A range or a repeat: one part, whatever its length.
    Whole(Args),
    /// Words after `:::`.
    Listed(std::vec::IntoIter<OsString>),
    /// Lines of a file.
    Lines(Lines),
    /// Numbers drawn as they are needed.
    Drawn(Random, fastrand::Rng),
}

/// Lines of a file or of standard input.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// For sentences.
    name: String,
    end: u8,
    /// Counted from 1.
    line: u64,
}

/// Cuts the words at `:::`: the command before it, or after a `--` behind it, and the arguments.
pub(super) fn split_words(mut words: Vec<OsString>) -> (Vec<OsString>, Option<Vec<OsString>>) {
    let Some(at) = words.iter().position(|word| word == ":::") else { return (words, None) };
    let mut arguments = words.split_off(at);
    arguments.remove(0);
    if at == 0
        && let Some(dashes) = arguments.iter().position(|word| word == "--")
    {
        let mut command = arguments.split_off(dashes);
        command.remove(0);
        return (command, Some(arguments));
    }
    (words, Some(arguments))
}

impl Source {
    /// Makes the source of flags and of the words after `:::`.
    ///
    /// # Errors
    /// When there are two sources, none where the kind needs one, or one cannot be read.
    pub(super) fn build(from: &From, listed: Option<Vec<OsString>>, kind: &Kind) -> Result<Self> {
        let flag = from.file.is_some()
            || from.range.is_some()
            || from.random.is_some()
            || from.repeat.is_some();
        let in_process = matches!(kind, Kind::Square | Kind::Sleep | Kind::Handler { .. });
        if let Some(words) = listed {
            if flag {
                return Err(CliError::usage(
                    "arguments come from `:::` and from a flag; give them in one way (options go \
                     before `:::`)",
                ));
            }
            return listed_words(words, kind);
        }
        if let Some(path) = &from.file {
            let end = if from.null { b'\0' } else { b'\n' };
            return Lines::open(path, end).map(Self::Lines);
        }
        if let Some(text) = &from.range {
            return number::range(text).map(Self::Whole);
        }
        if let Some(text) = &from.random {
            let random = number::random(text)?;
            let rng = random.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
            return Ok(Self::Drawn(random, rng));
        }
        if in_process {
            return Err(CliError::usage(format!(
                "the kind {kind} needs an argument a task; give them after `:::`, with -a FILE, \
                 --range 1..10 or --random 10:0..9999"
            )));
        }
        number::repeat(from.repeat.unwrap_or(1)).map(Self::Whole)
    }

    /// Returns how many tasks it makes; nothing when only its end will tell.
    pub(super) fn total(&self) -> Option<u64> {
        match self {
            Self::Whole(args) => Some(args.count()),
            Self::Listed(words) => Some(words.len() as u64),
            Self::Lines(_) => None,
            Self::Drawn(random, _) => Some(random.count),
        }
    }

    /// Puts the next argument into `into`; tells whether there was one.
    fn next_into(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        into.clear();
        match self {
            Self::Whole(_) => Ok(false),
            Self::Listed(words) => {
                let Some(word) = words.next() else { return Ok(false) };
                *into = word.into_vec();
                Ok(true)
            }
            Self::Lines(lines) => lines.next_into(into),
            Self::Drawn(random, rng) => {
                if random.count == 0 {
                    return Ok(false);
                }
                random.count -= 1;
                into.extend_from_slice(rng.i64(random.low..=random.high).to_string().as_bytes());
                Ok(true)
            }
        }
    }
}

fn listed_words(words: Vec<OsString>, kind: &Kind) -> Result<Source> {
    if words.is_empty() {
        return Err(CliError::usage("no argument follows `:::`; give at least one"));
    }
    // No number and no time begins with two dashes; an argument of a command may.
    let in_process = matches!(kind, Kind::Square | Kind::Sleep);
    let option = words.iter().find(|word| word.as_encoded_bytes().starts_with(b"--"));
    if let Some(option) = option.filter(|_| in_process) {
        let option = text::line(&option.to_string_lossy());
        return Err(CliError::usage(format!(
            "`{option}` stands among the arguments; options go before `:::`"
        )));
    }
    Ok(Source::Listed(words.into_iter()))
}

impl Lines {
    fn open(path: &Path, end: u8) -> Result<Self> {
        let (reader, name): (Box<dyn BufRead + Send>, String) = if path.as_os_str() == "-" {
            (Box::new(BufReader::new(io::stdin())), "standard input".to_owned())
        } else {
            let name = text::line(&path.to_string_lossy());
            let file = File::open(path)
                .map_err(|error| CliError::io(&format!("cannot open {name}"), &error))?;
            (Box::new(BufReader::with_capacity(64 << 10, file)), name)
        };
        Ok(Self { reader, name, end, line: 0 })
    }

    fn next_into(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        self.line += 1;
        // One byte for the end, one to see that the line goes on.
        let mut bounded = (&mut self.reader).take(PAYLOAD_BYTES_MAX as u64 + 2);
        let read = bounded
            .read_until(self.end, into)
            .map_err(|error| CliError::io(&format!("cannot read {}", self.name), &error))?;
        if into.last() == Some(&self.end) {
            into.pop();
        }
        Ok(read > 0)
    }
}

/// Cuts a source into parts: each within the limits of a frame, the last one known as such.
pub(super) struct Parts {
    source: Source,
    /// Bytes that an argument may have beside what the spec has already.
    room: usize,
    spec_bytes: usize,
    /// Adds what is seen of files.
    sight: Sight,
    /// The argument that begins the next part.
    ahead: Option<Vec<u8>>,
    started: bool,
    tasks: u64,
}

/// A part of a submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its arguments.
    pub(super) args: Args,
    /// Whether nothing follows.
    pub(super) last: bool,
}

impl Parts {
    /// Cuts `source` for tasks of `spec`, which was checked.
    pub(super) fn new(source: Source, spec: &Spec) -> Self {
        let words = match &spec.kind {
            Kind::Square | Kind::Sleep | Kind::Handler { .. } => 0,
            Kind::Exec { argv } => argv.iter().map(|word| word.source().len()).sum(),
            Kind::Shell { line } => line.source().len(),
        };
        let env: usize = spec.env.iter().map(|(key, value)| key.len() + value.len()).sum();
        let spec_bytes = words + env;
        let room = PAYLOAD_BYTES_MAX.saturating_sub(spec_bytes);
        let sight = Sight::new(spec);
        Self { source, room, spec_bytes, sight, ahead: None, started: false, tasks: 0 }
    }

    /// Returns the next part; nothing after the last one.
    ///
    /// # Errors
    /// When an argument is too long, there is none at all, or the source cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Part>> {
        if !self.started {
            self.started = true;
            if let Source::Whole(args) = &self.source {
                return Ok(Some(Part { args: args.clone(), last: true }));
            }
            self.ahead = self.read()?;
            if self.ahead.is_none() {
                return Err(self.empty());
            }
        }
        let Some(mut next) = self.ahead.take() else { return Ok(None) };
        let mut list = ArgList::new();
        loop {
            list.push(&next);
            match self.read()? {
                None => return Ok(Some(Part { args: Args::Listed(list), last: true })),
                Some(argument) => next = argument,
            }
            let full = list.len() == SUBMIT_TASKS_MAX
                || list.total_bytes() + next.len() > SUBMIT_BYTES_MAX;
            if full {
                self.ahead = Some(next);
                return Ok(Some(Part { args: Args::Listed(list), last: false }));
            }
        }
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let mut argument = Vec::new();
        if !self.source.next_into(&mut argument)? {
            return Ok(None);
        }
        self.tasks += 1;
        if argument.len() > self.room {
            return Err(self.too_long(argument.len()));
        }
        if self.tasks > BATCH_TASKS_MAX {
            return Err(CliError::usage(format!(
                "there are over {BATCH_TASKS_MAX} arguments, the limit of a batch; submit them in \
                 pieces"
            )));
        }
        let argument = self.sight.add(argument)?;
        if argument.len() > self.room {
            return Err(self.too_long(argument.len()));
        }
        Ok(Some(argument))
    }

    fn too_long(&self, bytes: usize) -> CliError {
        let whose = match &self.source {
            Source::Lines(lines) => format!("line {} of {}", lines.line, lines.name),
            Source::Whole(_) | Source::Listed(_) | Source::Drawn(..) => {
                format!("argument {}", self.tasks)
            }
        };
        let total = bytes + self.spec_bytes;
        CliError::usage(format!(
            "{whose} makes a payload of at least {total} bytes, over the limit of \
             {PAYLOAD_BYTES_MAX}; pass the path of a file instead of its \
             content (with --paths the worker checks it)"
        ))
    }

    fn empty(&self) -> CliError {
        let whose = match &self.source {
            Source::Lines(lines) => lines.name.clone(),
            Source::Whole(_) | Source::Listed(_) | Source::Drawn(..) => "the list".to_owned(),
        };
        CliError::usage(format!("{whose} holds no argument, so there is nothing to submit"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    fn source(words: &[&str], kind: &Kind) -> Result<Source> {
        let args = read(words);
        Source::build(&args.from, split_words(args.words).1, kind)
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
        check(&["--kind", "square"], Kind::Square, "--random 10:0..9999");
        check(&["--kind", "sleep", "--repeat", "3"], Kind::Sleep, "needs an argument a task");
        check(&[":::", "1", "--wait"], Kind::Square, "options go before `:::`");
        check(&["--", "x", ":::"], exec(), "at least one");
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
            let source = Source::Listed(words.into_iter());
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
        let endless = Lines {
            reader: Box::new(BufReader::new(io::repeat(b'x'))),
            name: "endless".into(),
            end: b'\n',
            line: 0,
        };
        let mut parts = Parts::new(Source::Lines(endless), &Spec::of(exec()));
        let error = parts.next().unwrap_err();
        assert!(error.sentence.starts_with("line 1 of endless"), "{error}");
        assert!(error.sentence.contains("65536"), "{error}");
    }

    #[test]
    fn a_range_goes_as_one_part() {
        let range = number::range("1..100000000").unwrap();
        let mut parts = Parts::new(Source::Whole(range.clone()), &Spec::of(exec()));
        assert_eq!(parts.next().unwrap(), Some(Part { args: range, last: true }));
        assert_eq!(parts.next().unwrap(), None);
    }
}
