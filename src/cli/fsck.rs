//! `ganger fsck DIR`: checks a store without changing it. How is in `crate::store::fsck`.

use std::path::PathBuf;

use crate::store::fsck;

use super::Exit;
use super::error::{CliError, Result};
use super::place::Place;

/// Flags of `ganger fsck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "It only reads. Exit code 5 says that the store is damaged.")]
pub(crate) struct Args {
    /// The folder that holds the store [default: the home folder]
    dir: Option<PathBuf>,
}

/// Checks and prints the verdict.
pub(crate) fn run(place: &Place, args: &Args) -> Result<()> {
    let dir = args.dir.as_deref().unwrap_or(&place.home);
    let verdict = fsck(dir)?;
    let mut out = place.out();
    if out.is_json() {
        out.json(&verdict)?;
    } else {
        out.line(&verdict.to_string())?;
    }
    out.flush()?;
    if verdict.is_sound() { Ok(()) } else { Err(CliError::quiet(Exit::Damaged)) }
}
