//! `ganger completions SHELL`: a completion script on standard output.

use std::io::Write;

use clap_complete::Shell;

use super::error::Result;

/// Flags of `ganger completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ganger completions bash > ~/.local/share/bash-completion/completions/ganger
  ganger completions zsh > ~/.zfunc/_ganger
  ganger completions fish > ~/.config/fish/completions/ganger.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, command: &mut clap::Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command, "ganger", &mut script);
    std::io::stdout().lock().write_all(&script)?;
    Ok(())
}
