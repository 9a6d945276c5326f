//! What the tasks of a submission are, and how they are queued: from flags to a checked spec. Their
//! arguments are in ../source.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::Duration;

use ganger_proto::form::{ArgForm, Paths};
use ganger_proto::limits::RETRIES_MAX;
use ganger_proto::place::Need;
use ganger_proto::spec::{After, Rate, SpecError};
use ganger_proto::{
    Backoff, BatchOptions, Cwd, Kind, Label, Lane, Name, Placement, QueueName, Spec, Template,
    WallMs,
};

use super::super::error::{CliError, Result};
use super::super::source::seen::{self, Check};
use super::super::{as_ms, duration, text, utf8};

/// Flags that say what runs.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct What {
    /// What runs: square (n * n = n², for each argument n), sleep (waits for the time that the
    /// argument says, such as 1.5, 20ms, 2m), exec (a program with its words, without a shell),
    /// shell (a line for `sh -c`), or handler:NAME (a warm process of the worker's own)
    /// [default: exec]
    #[arg(long, value_name = "KIND", value_parser = word)]
    pub(super) kind: Option<Word>,

    /// A line for `sh -c`; only workers that allow it run it
    #[arg(long, value_name = "LINE")]
    pub(super) shell: Option<OsString>,

    /// How long one attempt may run [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) timeout: Option<Duration>,

    #[command(flatten)]
    pub(super) ground: Ground,
}

/// Flags that say where tasks run and what they find there.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Where tasks run")]
pub(crate) struct Ground {
    /// A variable for the tasks; without a value, the one that is set here; may be repeated
    #[arg(long, value_name = "KEY[=VALUE]")]
    pub(crate) env: Vec<OsString>,

    /// Where tasks run: a directory that the worker has, `scratch` for a fresh one each, or
    /// `worker` for the one that the worker runs in
    /// [default: this directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,

    /// Which slots tasks take: cpu for work that keeps a processor busy, io for work that mostly
    /// waits [default: what the handler's configuration says, else cpu]
    #[arg(long, value_name = "LANE", value_parser = lane)]
    pub(crate) lane: Option<Lane>,

    /// What a task needs beside one slot, as cpu=2,mem=4G,gpu=1; workers say what they have
    #[arg(long, value_name = "NAME=AMOUNT", value_delimiter = ',', value_parser = need)]
    pub(crate) needs: Vec<Need>,

    /// A label that the worker must have, as gpu=a100; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) on: Vec<Label>,

    /// Arguments are paths of files, looked at before a task starts: each must be a file below one
    /// of the worker's roots (`roots` in its worker.toml). With =seen also one that has the size
    /// and the time of change that it has here now. Of several columns the first is the path;
    /// relative ones start in the tasks' directory
    #[arg(long, value_name = "CHECK", value_enum, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "below")]
    pub(crate) paths: Option<Check>,
}

/// Flags that say how a batch is queued and retried.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "How the batch is queued")]
pub(crate) struct Batching {
    /// What people call the batch
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) name: String,

    /// The queue it waits in
    #[arg(long, default_value = "default")]
    pub(crate) queue: Option<QueueName>,

    /// Higher goes first; may be negative
    #[arg(short, long, default_value_t = 0, value_name = "N", allow_negative_numbers = true)]
    pub(crate) priority: i16,

    /// Tries after the first failure
    #[arg(long, default_value_t = 0, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u8).range(..=i64::from(RETRIES_MAX)))]
    pub(crate) retries: u8,

    /// The first and the longest wait between tries, doubled from one to the next
    #[arg(long, default_value = "1s..10m", value_name = "TIME..TIME")]
    pub(crate) backoff: Option<String>,

    /// Start no task before: a time from this moment (10m), or a moment (2026-11-24T22:00:00Z)
    #[arg(long, value_name = "TIME")]
    pub(crate) not_before: Option<String>,

    /// A label for filters such as `ganger ls label:stage=prod`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,

    /// Begin when this batch has ended and all its tasks are done; b12:any however they ended; may
    /// be repeated
    #[arg(long, value_name = "BATCH[:any]", value_parser = after)]
    pub(crate) after: Vec<After>,

    /// Tasks of the batch at once, over all workers [default: as many as there are slots]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) jobs: Option<u32>,

    /// How often its tasks may start, over all workers, as 10/s or 90/m
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    pub(crate) rate: Option<Rate>,
}

/// The word of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Square,
    Sleep,
    Exec,
    Shell,
    Handler(Name),
}

/// Reads the word of a kind.
pub(crate) fn word(text: &str) -> std::result::Result<Word, String> {
    Ok(match text {
        "square" => Word::Square,
        "sleep" => Word::Sleep,
        "exec" => Word::Exec,
        "shell" => Word::Shell,
        other => match other.strip_prefix("handler:") {
            Some(name) => Word::Handler(Name::parse(name).map_err(|error| error.to_string())?),
            None => return Err("write square, sleep, exec, shell or handler:NAME".to_owned()),
        },
    })
}

fn lane(text: &str) -> std::result::Result<Lane, String> {
    Lane::parse(text).map_err(|error| error.to_string())
}

fn need(text: &str) -> std::result::Result<Need, String> {
    Need::parse(text).map_err(|error| error.to_string())
}

/// Makes the spec of flags and of the words of the command.
pub(super) fn build(what: &What, command: Vec<OsString>) -> Result<Spec> {
    let mut spec = what.ground.spec(kind(what, command)?)?;
    spec.timeout_ms = what.timeout.map_or(0, as_ms);
    Ok(spec)
}

impl Ground {
    /// Makes the spec of tasks that run there.
    ///
    /// # Errors
    /// When a limit is passed, a variable is not set, or this directory has no name.
    pub(crate) fn spec(&self, kind: Kind) -> Result<Spec> {
        let cwd = match &kind {
            Kind::Square | Kind::Sleep | Kind::Handler { .. } => Cwd::Unset,
            Kind::Exec { .. } | Kind::Shell { .. } => directory(self.cwd.as_ref())?,
        };
        let env = self.env.iter().map(|word| variable(word)).collect::<Result<_>>()?;
        let place = Placement { lane: self.lane, needs: self.needs.clone(), on: self.on.clone() };
        let paths = self.paths.map_or(Paths::Unchecked, Check::paths);
        let form = ArgForm { paths, ..ArgForm::default() };
        seen::check_kind(&kind, &form)?;
        let spec = Spec { env, cwd, form, place, ..Spec::of(kind) };
        spec.check()?;
        Ok(spec)
    }
}

fn kind(what: &What, mut command: Vec<OsString>) -> Result<Kind> {
    // An option behind `--` is a slip of the hand.
    if let Some(word) = command.first().filter(|word| word.as_bytes().starts_with(b"-")) {
        let word = text::line(&word.to_string_lossy());
        return Err(CliError::usage(format!(
            "`{word}` is neither an option of submit nor a program; see `ganger submit --help`"
        )));
    }
    let word = match (what.kind.clone(), &what.shell) {
        (None | Some(Word::Shell), Some(line)) => {
            if let Some(word) = command.first() {
                let word = text::line(&word.to_string_lossy());
                return Err(CliError::usage(format!(
                    "`{word}` comes beside --shell, which is the whole command; put arguments \
                     after `:::`"
                )));
            }
            return shell(line);
        }
        (Some(Word::Square | Word::Sleep | Word::Exec | Word::Handler(_)), Some(_)) => {
            return Err(CliError::usage(
                "--shell gives a line for the kind shell; leave --kind away, or --shell",
            ));
        }
        (word, None) => word.unwrap_or(Word::Exec),
    };
    match word {
        Word::Square => bare(Kind::Square, &command, "numbers"),
        Word::Sleep => bare(Kind::Sleep, &command, "times"),
        Word::Handler(name) => bare(Kind::Handler { name }, &command, "arguments"),
        Word::Shell if command.len() == 1 => shell(&command.pop().expect("its length is one")),
        Word::Shell => {
            Err(CliError::usage("the kind shell takes one line; give it with --shell 'LINE'"))
        }
        Word::Exec => {
            let words = command.iter().map(|word| Template::parse(word.as_bytes()));
            let argv = words.collect::<Result<Vec<_>, _>>().map_err(SpecError::from)?;
            Ok(Kind::Exec { argv })
        }
    }
}

fn bare(kind: Kind, command: &[OsString], takes: &str) -> Result<Kind> {
    let Some(word) = command.first() else { return Ok(kind) };
    let word = text::line(&word.to_string_lossy());
    Err(CliError::usage(format!(
        "`{word}` is a command, and the kind {kind} takes {takes}; put them after `:::`"
    )))
}

fn shell(line: &OsStr) -> Result<Kind> {
    if line.as_bytes().iter().all(u8::is_ascii_whitespace) {
        return Err(CliError::usage("the line for the shell is empty; say what to run"));
    }
    let line = Template::parse(line.as_bytes()).map_err(SpecError::from)?;
    Ok(Kind::Shell { line })
}

fn directory(given: Option<&PathBuf>) -> Result<Cwd> {
    if given.is_some_and(|path| path.as_os_str() == "scratch") {
        return Ok(Cwd::Scratch);
    }
    if given.is_some_and(|path| path.as_os_str() == "worker") {
        return Ok(Cwd::Unset);
    }
    let path = match given {
        Some(path) => std::path::absolute(path),
        None => std::env::current_dir(),
    };
    let path = path.map_err(|error| {
        CliError::io("this directory cannot be named; say where tasks run with --cwd", &error)
    })?;
    Ok(Cwd::Directory(path.into_os_string().into_vec()))
}

/// Reads `KEY=VALUE`, or copies `KEY` from this process.
fn variable(word: &OsStr) -> Result<(String, String)> {
    let word = utf8(word.to_owned(), "the variable")?;
    if let Some((key, value)) = word.split_once('=') {
        return Ok((key.to_owned(), value.to_owned()));
    }
    let Some(value) = std::env::var_os(&word) else {
        let word = text::line(&word);
        return Err(CliError::usage(format!(
            "the variable {word} is not set here; give its value as --env {word}=VALUE"
        )));
    };
    Ok((word.clone(), utf8(value, &format!("the value of {word},"))?))
}

/// Makes the options of a batch.
pub(crate) fn options(args: &Batching, now: WallMs) -> Result<BatchOptions> {
    const NAME_CHARS_MAX: usize = 128;
    if args.name.chars().count() > NAME_CHARS_MAX {
        return Err(CliError::usage(format!(
            "the batch's name has over {NAME_CHARS_MAX} characters; give it a shorter one"
        )));
    }
    let standard = BatchOptions::default();
    let options = BatchOptions {
        name: args.name.clone(),
        queue: args.queue.clone().unwrap_or(standard.queue),
        priority: args.priority,
        retries: args.retries,
        backoff: args.backoff.as_deref().map_or(Ok(standard.backoff), backoff)?,
        not_before: args.not_before.as_deref().map(|text| moment(text, now)).transpose()?,
        labels: args.label.iter().map(|word| label(word)).collect::<Result<_>>()?,
        after: args.after.clone(),
        jobs_max: args.jobs.unwrap_or(0),
        rate: args.rate,
    };
    options.check_labels().map_err(|error| CliError::usage(error.to_string()))?;
    Ok(options)
}

/// Reads `KEY=VALUE`.
fn label(word: &str) -> Result<(String, String)> {
    word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| {
        let word = text::cut(&text::line(word), 40);
        CliError::usage(format!("the label `{word}` has no value; write it as {word}=VALUE"))
    })
}

/// Reads `b12` or `b12:any`.
pub(super) fn after(text: &str) -> std::result::Result<After, String> {
    After::parse(text).map_err(|error| error.to_string())
}

/// Reads `10/s`, `90/m`, `5/10s`.
pub(super) fn rate(text: &str) -> std::result::Result<Rate, String> {
    Rate::parse(text).map_err(|error| error.to_string())
}

/// Reads `FIRST..LONGEST`, or one time for both.
fn backoff(given: &str) -> Result<Backoff> {
    let (base, cap) = given.split_once("..").unwrap_or((given, given));
    let ms = |time: &str| duration(time).map(as_ms).map_err(CliError::usage);
    let backoff = Backoff { base_ms: ms(base)?, cap_ms: ms(cap)? };
    if backoff.base_ms > backoff.cap_ms {
        return Err(CliError::usage(format!(
            "the first wait of `{}` is longer than the longest; write the shorter one first, as \
             1s..10m",
            text::line(given)
        )));
    }
    Ok(backoff)
}

/// Reads a time from now on, or a moment in UTC.
fn moment(given: &str, now: WallMs) -> Result<WallMs> {
    if let Ok(wait) = humantime::parse_duration(given) {
        return Ok(now.plus(as_ms(wait)));
    }
    let moment = humantime::parse_rfc3339(given).ok();
    let since = moment.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    since.map(|since| WallMs(as_ms(since))).ok_or_else(|| {
        CliError::usage(format!(
            "`{}` is neither a time from now (10m) nor a moment in UTC (2026-11-24T22:00:00Z)",
            text::line(given)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::source::words::{Behind, cut};
    use super::super::tests::read;
    use super::*;

    fn spec(words: &[&str]) -> Result<Spec> {
        let args = read(words);
        build(&args.what, cut(args.words, Behind::Command).command)
    }

    #[test]
    fn kinds_come_from_flags_and_words() {
        let check = |words: &[&str], expected: &str| {
            assert_eq!(spec(words).unwrap().kind.word(), expected, "{words:?}");
        };
        check(&["--", "echo", "hi"], "exec");
        check(&["--kind", "exec", "echo"], "exec");
        check(&["--shell", "ls | wc"], "shell");
        check(&["--kind", "shell", "--shell", "ls"], "shell");
        check(&["--kind", "shell", "--", "ls | wc"], "shell");
        check(&["--kind", "square", ":::", "3"], "square");
        check(&["--kind", "sleep", ":::", "3"], "sleep");
    }

    #[test]
    fn commands_that_make_no_sense_say_what_to_do() {
        let check = |words: &[&str], part: &str| {
            let error = spec(words).unwrap_err();
            assert_eq!(error.exit, super::super::super::Exit::Usage);
            assert!(error.sentence.contains(part), "{error}");
        };
        check(&[], "put it after `--`");
        check(&["--kind", "square", "--", "5"], "put them after `:::`");
        check(&["--shell", "ls", "--", "x"], "beside --shell");
        check(&["--shell", "  "], "is empty");
        check(&["--", "--rnage", "1..5"], "`--rnage` is neither an option");
        check(&["--kind", "exec", "--shell", "ls"], "leave --kind away");
        check(&["--kind", "shell", "--", "a", "b"], "--shell 'LINE'");
        check(&["--", "echo", "{n:x}"], "{n:04}");
        check(&["--env", "GANGER_TEST_UNSET", "--", "x"], "is not set here");
        check(&["--env", "=v", "--", "x"], "empty name");
        let long = "x".repeat(70_000);
        check(&["--", &long], "over the limit of 65536 bytes");
    }

    #[test]
    fn paths_are_checked_on_demand() {
        let check = |words: &[&str], expected: Paths| {
            assert_eq!(spec(words).unwrap().form.paths, expected, "{words:?}");
        };
        check(&["--", "x"], Paths::Unchecked);
        check(&["--paths", "gzip", ":::", "a"], Paths::BelowRoots);
        check(&["--paths=seen", "--", "gzip"], Paths::AsSeen);
        check(&["--kind", "handler:count", "--paths"], Paths::BelowRoots);
        let error = spec(&["--kind", "square", "--paths", ":::", "3"]).unwrap_err();
        assert!(error.sentence.contains("kind square takes no path"), "{error}");
    }

    #[test]
    fn directory_and_environment_are_recorded() {
        let here = std::env::current_dir().unwrap().into_os_string().into_vec();
        assert_eq!(spec(&["--", "x"]).unwrap().cwd, Cwd::Directory(here.clone()));
        assert_eq!(spec(&["--cwd", "scratch", "--", "x"]).unwrap().cwd, Cwd::Scratch);
        assert_eq!(spec(&["--cwd", "worker", "--", "x"]).unwrap().cwd, Cwd::Unset);
        let sub = [&here[..], b"/sub"].concat();
        assert_eq!(spec(&["--cwd", "sub", "--", "x"]).unwrap().cwd, Cwd::Directory(sub));
        assert_eq!(spec(&["--kind", "square", ":::", "1"]).unwrap().cwd, Cwd::Unset);
        let path = std::env::var("PATH").unwrap();
        let env = spec(&["--env", "A=b=c", "--env", "PATH", "--", "x"]).unwrap().env;
        assert_eq!(env, [("A".into(), "b=c".into()), ("PATH".into(), path)]);
    }

    /// The screen's form shows the command line that does the same as the form; its tests keep the
    /// file, and what stands in it must mean here what it means there.
    #[test]
    fn the_command_lines_of_the_form_are_read() {
        let text = include_str!("../../../ui/src/model/command_line/kept.txt");
        let mut lines = text.lines();
        let mut count = 0;
        while let (Some(line), Some(expected)) = (lines.next(), lines.next()) {
            let words = shlex::split(line).unwrap();
            let words: Vec<&str> = words.iter().skip(2).map(String::as_str).collect();
            let args = read(&words);
            let spec = build(&args.what, cut(args.words.clone(), Behind::Command).command).unwrap();
            let o = options(&args.batching, WallMs(0)).unwrap();
            let words: Vec<_> = match &spec.kind {
                Kind::Square | Kind::Sleep | Kind::Handler { .. } => Vec::new(),
                Kind::Shell { line } => vec![String::from_utf8_lossy(line.source())],
                Kind::Exec { argv } => {
                    argv.iter().map(|word| String::from_utf8_lossy(word.source())).collect()
                }
            };
            let (env, cwd, timeout) = (&spec.env, &spec.cwd, spec.timeout_ms);
            let what = format!("{} {words:?} {env:?} {cwd:?} {timeout}", spec.kind);
            let how =
                (&o.name, &o.queue, o.priority, o.retries, o.backoff, o.not_before, &o.labels);
            let terms = (&spec.place, &o.after, o.jobs_max, o.rate);
            assert_eq!(format!("  {what} {how:?} {terms:?}"), expected, "{line}");
            assert_eq!(args.key.is_some(), line.contains("--key"), "{line}");
            count += 1;
        }
        assert!(count >= 5);
    }

    #[test]
    fn options_are_read() {
        let with = |words: &[&str]| options(&read(words).batching, WallMs(1_000));
        assert_eq!(with(&["--", "x"]).unwrap(), BatchOptions::default());
        let backoff = with(&["--backoff", "2s..1m", "x"]).unwrap().backoff;
        assert_eq!(backoff, Backoff { base_ms: 2_000, cap_ms: 60_000 });
        let labels = with(&["--label", "stage=prod", "--label", "url=a=b", "x"]).unwrap().labels;
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(labels, [pair("stage", "prod"), pair("url", "a=b")]);
        let twice = with(&["--label", "a=1", "--label", "a=2", "x"]).unwrap_err();
        assert!(twice.sentence.contains("is given twice"), "{twice}");
        let due = |text: &str| with(&["--not-before", text, "x"]).map(|options| options.not_before);
        assert_eq!(due("10s").unwrap(), Some(WallMs(11_000)));
        assert_eq!(due("1970-01-01T00:01:00Z").unwrap(), Some(WallMs(60_000)));
        for (words, part) in [
            (["--backoff", "5", "x"], "30s"),
            (["--backoff", "2m..1s", "x"], "shorter one first"),
            (["--not-before", "noon", "x"], "neither a time"),
            (["--name", &"n".repeat(129), "x"], "shorter one"),
            (["--label", "stage", "x"], "write it as stage=VALUE"),
            (["--label", "=prod", "x"], "has no key"),
        ] {
            let error = with(&words).unwrap_err();
            assert!(error.sentence.contains(part), "{error}");
        }
    }
}
