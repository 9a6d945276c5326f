//! From the flags of a run to what is done: the line, the spec, the arguments, and how it is
//! watched.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::Path;

use ganger_proto::command::SubmitHead;
use ganger_proto::spec::Rate;
use ganger_proto::{ArgForm, Args as TaskArgs, Kind, Spec, Template};

use crate::clock::Clock;

use super::super::as_ms;
use super::super::error::{CliError, Result};
use super::super::source::parts::Fitting;
use super::super::source::words::{Behind, Input, Origin, cut};
use super::super::source::{self, Source, number};
use super::super::submit::spec;
use super::Args;
use super::joblog::{self, Before, JobLog};
use super::line::Line;
use super::pace::Limit;
use super::print::{LineEnd, Look, Order};
use super::saved::Saved;

/// What is to be done.
pub(crate) struct Plan {
    /// What each task runs, for people.
    pub(crate) line: Line,
    /// What the tasks are.
    pub(crate) head: SubmitHead,
    /// Their arguments.
    pub(crate) fitting: Fitting,
    /// How many there are, when that is known.
    pub(crate) total: Option<u64>,
    /// Where each end is written.
    pub(crate) log: Option<JobLog>,
    /// How outputs are printed.
    pub(crate) look: Look,
}

impl Plan {
    /// Makes the plan; reads what must be read before the first task.
    ///
    /// # Errors
    /// When flags make no sense together, or a file cannot be read.
    pub(crate) fn of(args: &Args) -> Result<Self> {
        let words = cut(args.words.clone(), Behind::Nothing);
        let (line, mut source) = what(args, words.command, words.inputs)?;
        if args.shuf {
            source.shuffle(&mut fastrand::Rng::new())?;
        }
        leave_out(args, &mut source)?;
        let mut spec = args.ground.spec(line.kind(source.form()))?;
        source.look_at_paths(&spec)?;
        spec.form = source.form().clone();
        spec.output_bytes_max = args.output_max.0;
        if let Some(Limit::Time(limit)) = args.timeout {
            spec.timeout_ms = as_ms(limit).max(1);
        }
        spec.check()?;
        let mut options = spec::options(&args.batching, Clock::start().wall())?;
        if let Some(delay) = args.delay {
            let per_ms = u32::try_from(as_ms(delay).max(1))
                .map_err(|_| CliError::usage("the delay is over 49 days; give a shorter one"))?;
            options.rate = Some(Rate { starts: 1, per_ms });
        }
        let look = look(args, &spec)?;
        let total = source.total();
        let fitting = Fitting::new(source, &spec);
        let before = if args.keeps_log() { Before::Kept } else { Before::Emptied };
        let log = match &args.joblog {
            Some(path) if !args.dry_run => Some(JobLog::open(path, before)?),
            Some(_) | None => None,
        };
        let head = SubmitHead { spec, options };
        Ok(Self { line, head, fitting, total, log, look })
    }
}

/// Returns the line and its arguments.
fn what(args: &Args, command: Vec<OsString>, inputs: Vec<Input>) -> Result<(Line, Source)> {
    if let (true, Some(path)) = (args.retry_failed, &args.joblog) {
        if !command.is_empty() || !inputs.is_empty() {
            return Err(CliError::usage(
                "--retry-failed takes the commands from the job log; leave the command and its \
                 arguments away, or use --resume-failed with them",
            ));
        }
        let failed = joblog::read(path)?.into_iter().filter(|entry| entry.end.is_failure());
        let rows = failed.map(|entry| (entry.number, entry.command)).collect();
        return Ok((Line::Arguments, Source::given(rows)));
    }
    let line = match &args.kind {
        Some(word) => Line::of_kind(word, &command)?,
        None => Line::of(&command)?,
    };
    if args.from.is_plain()
        && let [Input { origin: Origin::Words(words), .. }] = inputs.as_slice()
        && let [word] = words.as_slice()
        && let Some(range) = range(word)
    {
        return Ok((line, Source::range(range)));
    }
    let kind = line.kind(&ArgForm::default());
    let source = Source::build(&args.from, inputs, &kind, source::Default::Stdin)?;
    Ok((line, source))
}

/// Reads `1..20`, the only argument of a command, as the numbers from 1 to 20.
fn range(word: &OsString) -> Option<TaskArgs> {
    let text = word.to_str()?;
    let (first, last) = text.split_once("..")?;
    let digits = |text: &str| {
        let digits = text.strip_prefix('-').unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if digits(first) && digits(last) { number::range(text).ok() } else { None }
}

/// Leaves out what the job log says is done.
fn leave_out(args: &Args, source: &mut Source) -> Result<()> {
    let Some(path) = args.joblog.as_deref().filter(|path| path.exists()) else { return Ok(()) };
    let done: HashSet<u64> = if args.resume {
        numbers(path, |_| true)?
    } else if args.resume_failed {
        numbers(path, |entry| !entry.end.is_failure())?
    } else {
        return Ok(());
    };
    source.leave_out(done);
    Ok(())
}

fn numbers(path: &Path, is_done: impl Fn(&joblog::Entry) -> bool) -> Result<HashSet<u64>> {
    Ok(joblog::read(path)?
        .iter()
        .filter(|entry| is_done(entry))
        .map(|entry| entry.number)
        .collect())
}

fn look(args: &Args, spec: &Spec) -> Result<Look> {
    let tag = match &args.tagstring {
        Some(text) => Some(text.as_str()),
        None => args.tag.then_some("{}"),
    };
    let tag = tag.map(Template::from_text).transpose();
    let tag = tag.map_err(|error| CliError::usage(error.to_string()))?;
    let order = if args.keep_order { Order::Arguments } else { Order::Ends };
    let saved = args.results.as_ref().map(|path| Saved::below(path.clone(), spec.form.names()));
    let end = match &spec.kind {
        Kind::Exec { .. } | Kind::Shell { .. } => LineEnd::AsItIs,
        Kind::Square | Kind::Sleep | Kind::Handler { .. } => LineEnd::Always,
    };
    Ok(Look { order, tag, end, saved })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_with_two_dots_is_a_range() {
        let count = |word: &str| range(&word.into()).map(|args| args.count());
        assert_eq!(count("1..20"), Some(20));
        assert_eq!(count("-1..1"), Some(3));
        for word in ["1..", "..5", "a..b", "1...5", "5..1", "1..5:2", "1.5", "../x"] {
            assert_eq!(count(word), None, "{word}");
        }
    }
}
