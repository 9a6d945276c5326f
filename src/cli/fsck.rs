//! `ganger fsck DIR`: checks a store without changing it, or makes a new one of what it still
//! holds. How is in `crate::store::fsck` and `crate::verify::salvage`.

use std::path::{Path, PathBuf};

use crate::store::fsck;
use crate::verify::salvage;

use super::Exit;
use super::error::{CliError, Result};
use super::place::Place;

/// Flags of `ganger fsck`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It only reads. Exit code 5 says that the store is damaged.

With --salvage it makes a new store of a damaged one and changes nothing in DIR: the batches of
events up to the first break, from the snapshot that leads farthest, and the results and outputs
that match their sums. It lists the tasks whose history is uncertain: they may have ended although
the new store says that they wait, and would run again. A master on the old home, with its workers
and certificates, goes on with the new store when it is named:

  ganger fsck ~/.local/share/ganger
  ganger fsck --salvage ~/.local/share/ganger --out saved
  ganger verify saved
  ganger master --store sqlite:saved/store.db")]
pub(crate) struct Args {
    /// The folder that holds the store [default: the home folder]
    dir: Option<PathBuf>,

    /// Make a new store of what can be saved, in the folder that --out names
    #[arg(long, requires = "out")]
    salvage: bool,

    /// The folder that --salvage makes; it must not be there
    #[arg(long, value_name = "NEW", requires = "salvage")]
    out: Option<PathBuf>,
}

/// Checks and prints the verdict, or salvages and prints what was saved.
pub(crate) fn run(place: &Place, args: &Args) -> Result<()> {
    let dir = args.dir.as_deref().unwrap_or(&place.home);
    match &args.out {
        Some(new) => save(place, dir, new),
        None => check(place, dir),
    }
}

fn check(place: &Place, dir: &Path) -> Result<()> {
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

fn save(place: &Place, dir: &Path, new: &Path) -> Result<()> {
    let saved = salvage(dir, new)?;
    let mut out = place.out();
    out.report(&saved)?;
    out.flush()
}
