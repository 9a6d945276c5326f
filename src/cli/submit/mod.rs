//! `ganger submit`: a batch from the command line. What its tasks are is in spec.rs, their
//! arguments in ../source, the way to the master in send.rs, the trial in preview.rs.

mod preview;
pub(super) mod send;
pub(super) mod spec;

use std::ffi::OsString;

use ganger_proto::Key;
use ganger_proto::command::SubmitHead;

use crate::clock::Clock;

use super::error::Result;
use super::place::Place;
use super::source::parts::Parts;
use super::source::words::{Behind, cut};
use super::source::{self, Source};
use super::{out, reach, wait};

/// Flags of `ganger submit`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Options go before the command and before `:::`. The replacement strings are those of GNU parallel:
{} the argument, {.} without extension, {/} base name, {//} directory, {/.} base name without
extension, {#} the task's number; and {n:04} the argument padded with zeros. Without any, the
argument is appended. In --shell they are quoted for the shell. Of several columns {1} {2.} {-1} is
one, and {name} one with a name. Sources are crossed: `::: A B ::: 1 2`; `:::+` links one to the
source before, `::::` reads files. `ganger run` is the same in the foreground.

Examples:
  ganger submit -- make -C /src all             one task
  ganger submit --kind square ::: 12 13 14      12 * 12 = 144, …
  ganger submit --kind square --random 10:0..10000
  ganger submit --range 1..500 -- ./frame {n:04}
  ganger submit --paths -a logs.txt -- ./count {}      files below the worker's roots only
  ganger submit -a files.txt --retries 2 --timeout 10m -- gzip -9 {}
  find . -name '*.log' -print0 | ganger submit -0 -a - -- gzip -9 {}
  ganger submit --shell 'sort {} | uniq > {.}.u' ::: a.txt b.txt
  ganger submit --key nightly-2026-11-24 --wait -a hosts -- ./backup {}")]
pub(crate) struct Args {
    #[command(flatten)]
    what: spec::What,

    #[command(flatten)]
    from: source::From,

    #[command(flatten)]
    batching: spec::Batching,

    /// A key that makes the submission safe to repeat: the same key is the same batch
    #[arg(long, value_name = "KEY")]
    key: Option<OsString>,

    /// Wait until every task has ended; ends with 1 when one failed or was cancelled
    #[arg(long)]
    wait: bool,

    /// Show the first tasks and the last one, and submit nothing
    #[arg(long, conflicts_with = "wait")]
    dry_run: bool,

    /// The command and its words; `:::` begins the arguments
    #[arg(value_name = "WORDS", trailing_var_arg = true)]
    words: Vec<OsString>,
}

/// Submits the batch and prints its id.
pub(crate) async fn run(place: &Place, args: Args) -> Result<()> {
    let line = cut(args.words.clone(), Behind::Command);
    let mut spec = spec::build(&args.what, line.command)?;
    let mut source = Source::build(&args.from, line.inputs, &spec.kind, source::Default::OneTask)?;
    source.look_at_paths(&spec)?;
    spec.form = source.form().clone();
    let options = spec::options(&args.batching, Clock::start().wall())?;
    let total = source.total();
    let mut parts = Parts::new(source, &spec);
    let head = SubmitHead { spec, options };
    if args.dry_run {
        return preview::print(place, &head, &mut parts);
    }
    // Reading the first part before dialling tells most mistakes without a master.
    let first = parts.next()?;
    let caller = reach::connect_or_start(place).await?;
    let text = match &args.key {
        Some(text) => text.clone(),
        None => send::random_key_text()?.into(),
    };
    let sender = send::Sender { caller: &caller, key: key_of(&text), key_text: &text, total };
    let sent = sender.send(head, first, parts).await?;
    if sent.repeated {
        out::note("this key was submitted before; nothing was added");
    }
    let mut stdout = place.out();
    if !stdout.is_json() {
        stdout.line(&sent.batch.to_string())?;
    } else if !args.wait {
        stdout.json(&serde_json::json!({ "batch": sent.batch, "tasks": sent.tasks }))?;
    }
    stdout.flush()?;
    if !args.wait {
        return Ok(());
    }
    let ended = wait::until_ended(&caller, vec![sent.batch]).await?;
    if stdout.is_json() {
        stdout.json(&ended)?;
        stdout.flush()?;
    }
    wait::verdict(&ended)
}

/// Makes a key of any text: the first 128 bits of its SHA-256.
fn key_of(text: &std::ffi::OsStr) -> Key {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_encoded_bytes());
    let first = digest.as_ref().first_chunk().expect("a SHA-256 has 32 bytes");
    Key::new(u128::from_be_bytes(*first))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// Reads a command line of words as the shell would hand them over.
    pub(super) fn read(words: &[&str]) -> Args {
        Line::try_parse_from(["submit"].iter().chain(words)).unwrap().args
    }

    fn os(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn words_are_told_from_options() {
        let check = |words: &[&str], command: &[&str], inputs: usize| {
            let line = cut(read(words).words, Behind::Command);
            assert_eq!((line.command, line.inputs.len()), (os(command), inputs), "{words:?}");
        };
        check(&["--", "echo", "-n", "--wait"], &["echo", "-n", "--wait"], 0);
        check(&["--wait", "echo", "-p"], &["echo", "-p"], 0);
        check(&["--", "echo", ":::", "a", "-b"], &["echo"], 1);
        check(&[":::", "-1", "2"], &[], 1);
        check(&[":::", "a", "--", "echo", "{}"], &["echo", "{}"], 1);
        check(&["--", "sh", "--", "x"], &["sh", "--", "x"], 0);
        assert!(read(&["--wait", "--", "x"]).wait);
        assert_eq!(read(&["-j4", "--", "x"]).batching.jobs, Some(4));
    }

    #[test]
    fn bytes_of_words_are_kept() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![b'a', 0xff]);
        let words = [OsString::from("submit"), "--".into(), "cat".into(), odd.clone()];
        assert_eq!(Line::try_parse_from(words).unwrap().args.words[1], odd);
    }

    #[test]
    fn a_key_is_a_hash_of_its_text() {
        assert_eq!(key_of("abc".as_ref()), Key::new(0xba78_16bf_8f01_cfea_4141_40de_5dae_2223));
        assert_ne!(key_of("abc".as_ref()), key_of("abd".as_ref()));
    }

    #[test]
    fn wrong_numbers_are_wrong_usage() {
        for words in [
            &["--retries", "101", "--", "x"][..],
            &["--priority", "40000", "--", "x"],
            &["--queue", "No", "--", "x"],
            &["--range", "1..2", "--repeat", "3", "--", "x"],
            &["--timeout", "5", "--", "x"],
            &["--rnage", "1..5", "--", "x"],
        ] {
            let line = ["submit"].iter().chain(words);
            assert_eq!(Line::try_parse_from(line).unwrap_err().exit_code(), 2, "{words:?}");
        }
        assert_eq!(read(&["-p", "-5", "--", "x"]).batching.priority, -5);
    }
}
