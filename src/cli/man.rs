//! `ganger man`: manual pages, made from the same definitions as the help, so that they cannot
//! disagree.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::error::{CliError, Result};
use super::worker;

/// Flags of `ganger man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ganger man | man -l -
  ganger man submit | man -l -
  ganger man worker | man -l -                  the program ganger-worker
  ganger man --out ~/.local/share/man/man1      ganger(1), ganger-submit(1), …, ganger-worker(1)")]
pub(crate) struct Args {
    /// The subcommand, or `worker` for the program ganger-worker [default: ganger itself]
    command: Option<String>,

    /// Write all pages into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    out: Option<PathBuf>,
}

/// The word for the other program's page.
const WORKER: &str = "worker";

/// Prints a page, or writes all of them.
pub(crate) fn run(args: &Args, command: clap::Command) -> Result<()> {
    if let Some(folder) = &args.out {
        return write_all(folder, command);
    }
    let page = match &args.command {
        None => page_of(command)?,
        Some(word) if word == WORKER => page_of(worker::definition())?,
        Some(word) => page_of(named(command, word)?)?,
    };
    std::io::stdout().lock().write_all(&page)?;
    Ok(())
}

fn write_all(folder: &Path, mut command: clap::Command) -> Result<()> {
    let failed = |error: std::io::Error| {
        CliError::io(&format!("the pages cannot be written to {}", folder.display()), &error)
    };
    std::fs::create_dir_all(folder).map_err(failed)?;
    command.build();
    let words: Vec<String> =
        shown(&command).map(|subcommand| subcommand.get_name().to_owned()).collect();
    for word in words {
        let page = page_of(named(command.clone(), &word)?)?;
        std::fs::write(folder.join(format!("ganger-{word}.1")), page).map_err(failed)?;
    }
    let worker = page_of(worker::definition())?;
    std::fs::write(folder.join("ganger-worker.1"), worker).map_err(failed)?;
    std::fs::write(folder.join("ganger.1"), page_of(command)?).map_err(failed)
}

fn named(mut command: clap::Command, word: &str) -> Result<clap::Command> {
    // What holds for every subcommand is put into each of them here.
    command.build();
    let found = shown(&command).find(|subcommand| subcommand.get_name() == word);
    let Some(found) = found else {
        let word = super::text::line(word);
        return Err(CliError::usage(format!(
            "there is no command `{word}`; `ganger --help` lists the ones there are"
        )));
    };
    // Pages are called as git's are: ganger-submit(1).
    let name: &'static str = format!("ganger-{word}").leak();
    Ok(found.clone().name(name).display_name(name))
}

fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set())
}

fn page_of(command: clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let folder = tempfile::tempdir().unwrap();
        write_all(folder.path(), Cli::command()).unwrap();
        for subcommand in shown(&Cli::command()) {
            let name = format!("ganger-{}.1", subcommand.get_name());
            let page = std::fs::read_to_string(folder.path().join(&name)).unwrap();
            assert!(page.contains(".TH ganger-"), "{name}");
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
        }
        let worker = std::fs::read_to_string(folder.path().join("ganger-worker.1")).unwrap();
        for part in [".TH ganger-worker", r"\-\-root", "join"] {
            assert!(worker.contains(part), "{part} is not in {worker}");
        }
        assert!(shown(&Cli::command()).all(|command| command.get_name() != WORKER), "no clash");
        let top = std::fs::read_to_string(folder.path().join("ganger.1")).unwrap();
        assert!(top.contains("Exit codes"), "{top}");
    }

    #[test]
    fn an_unknown_command_is_wrong_usage() {
        let error = named(Cli::command(), "sumbit\u{1b}[2J").unwrap_err();
        assert_eq!(error.exit, super::super::Exit::Usage);
        assert!(!error.sentence.contains('\u{1b}'), "{error}");
    }
}
