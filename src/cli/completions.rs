//! `ganger completions SHELL`: a completion script on standard output, for either program.

use std::io::Write;

use clap::ValueEnum;
use clap_complete::Shell;

use super::error::Result;
use super::worker;

/// Flags of `ganger completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ganger completions bash > ~/.local/share/bash-completion/completions/ganger
  ganger completions zsh > ~/.zfunc/_ganger
  ganger completions fish > ~/.config/fish/completions/ganger.fish
  ganger completions bash worker > ~/.local/share/bash-completion/completions/ganger-worker")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,

    /// Whose command line is completed
    #[arg(value_enum, default_value_t = Program::Ganger)]
    program: Program,
}

/// One of the two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// ganger
    Ganger,
    /// ganger-worker
    Worker,
}

/// Prints the script.
pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Result<()> {
    std::io::stdout().lock().write_all(&script(args, command))?;
    Ok(())
}

fn script(args: &Args, command: &mut clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    match args.program {
        Program::Ganger => clap_complete::generate(args.shell, command, "ganger", &mut script),
        Program::Worker => {
            let mut command = worker::definition();
            clap_complete::generate(args.shell, &mut command, "ganger-worker", &mut script);
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    #[test]
    fn both_programs_are_completed_in_each_shell() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let with = |program: Program, word: &str| {
                let script = script(&Args { shell, program }, &mut Cli::command());
                let script = String::from_utf8(script).unwrap();
                assert!(script.contains(word), "{shell} {program:?} {word}");
            };
            with(Program::Ganger, "audit");
            with(Program::Ganger, "submit");
            with(Program::Worker, "ganger-worker");
            with(Program::Worker, "allow-shell");
        }
    }
}
