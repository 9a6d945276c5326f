//! Arguments that are paths: with `--paths=seen`, what this machine sees of each file when its
//! argument is read. The worker compares it with what it finds; see `worker/roots.rs`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use ganger_proto::form::{ArgForm, Columns, Paths, Seen};
use ganger_proto::{Cwd, Kind, Spec};

use super::super::error::{CliError, Result};
use super::super::text;

/// How paths are checked, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Check {
    /// A file below one of the worker's roots
    Below,
    /// The same, with the size and the time of change that it has here now
    Seen,
}

impl Check {
    /// Returns the word of the form.
    pub(crate) const fn paths(self) -> Paths {
        match self {
            Self::Below => Paths::BelowRoots,
            Self::Seen => Paths::AsSeen,
        }
    }
}

/// Refuses to check the paths of kinds that take none.
///
/// # Errors
/// Says which kinds do.
pub(crate) fn check_kind(kind: &Kind, form: &ArgForm) -> Result<()> {
    if form.paths == Paths::Unchecked {
        return Ok(());
    }
    match kind {
        Kind::Exec { .. } | Kind::Shell { .. } | Kind::Handler { .. } => {}
        Kind::Square | Kind::Sleep => {
            return Err(CliError::usage(format!(
                "the kind {kind} takes no path that --paths could check; leave --paths away"
            )));
        }
    }
    if form.columns == Columns::Json {
        return Err(CliError::usage(
            "--paths checks arguments that are paths, and these are JSON; give the paths alone",
        ));
    }
    Ok(())
}

/// Adds what is seen of files to arguments as they are read.
#[derive(Debug, Default)]
pub(super) struct Sight {
    form: ArgForm,
    /// Where relative paths start; none when the tasks have no directory in common.
    base: Option<PathBuf>,
}

impl Sight {
    /// Looks as the tasks of `spec` will.
    pub(super) fn new(spec: &Spec) -> Self {
        let base = match &spec.cwd {
            Cwd::Directory(path) => Some(PathBuf::from(OsStr::from_bytes(path))),
            Cwd::Scratch | Cwd::Unset => None,
        };
        Self { form: spec.form.clone(), base }
    }

    /// Looks at the file that a first column names; nothing when nothing is to be seen.
    ///
    /// # Errors
    /// When it is a path that no worker could find, or that is no file here.
    pub(super) fn look(&self, column: &[u8]) -> Result<Option<Seen>> {
        if self.form.paths == Paths::Unchecked {
            return Ok(None);
        }
        let named = Path::new(OsStr::from_bytes(column));
        let shown = text::cut(&text::line(&named.to_string_lossy()), 200);
        let path = match &self.base {
            Some(base) => base.join(named),
            None if named.is_absolute() => named.to_owned(),
            None => {
                return Err(CliError::usage(format!(
                    "`{shown}` is a relative path, and these tasks do not run in a directory of \
                     this machine; give whole paths, as `find \"$PWD\"` prints them"
                )));
            }
        };
        if self.form.paths == Paths::BelowRoots {
            return Ok(None);
        }
        let found = std::fs::metadata(&path).map_err(|error| {
            let what = format!(
                "cannot see {shown}; with a plain --paths only the worker looks at it (`=seen` \
                 asks for it here too)"
            );
            CliError::io(&what, &error)
        })?;
        if !found.is_file() {
            return Err(CliError::usage(format!(
                "{shown} is not a file; --paths takes files only"
            )));
        }
        let mtime_ns = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        Ok(Some(Seen { size: found.size(), mtime_ns }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sight(paths: Paths, cwd: Cwd) -> Sight {
        let mut spec =
            Spec::of(Kind::Shell { line: ganger_proto::Template::from_text("x").unwrap() });
        spec.form.paths = paths;
        spec.cwd = cwd;
        Sight::new(&spec)
    }

    /// Turns an argument of one column, as it was read, into what is submitted.
    fn added(sight: &Sight, argument: &[u8]) -> Result<Vec<u8>> {
        let (seen, mut whole) = (sight.look(argument)?, Vec::new());
        sight.form.join(0, seen, &[argument], &mut whole);
        Ok(whole)
    }

    fn below(folder: &Path) -> Cwd {
        Cwd::Directory(folder.as_os_str().as_bytes().to_vec())
    }

    #[test]
    fn what_is_seen_comes_before_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let name = OsStr::from_bytes(b"a\xff b");
        std::fs::write(folder.path().join(name), "12345").unwrap();
        let sight = sight(Paths::AsSeen, below(folder.path()));
        let argument = added(&sight, name.as_bytes()).unwrap();
        let fields = sight.form.fields(&argument);
        let metadata = std::fs::metadata(folder.path().join(name)).unwrap();
        let since = metadata.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        let mtime_ns = i128::try_from(since.as_nanos()).unwrap();
        assert_eq!(fields.seen, Some(Seen { size: 5, mtime_ns }));
        assert_eq!(fields.columns, [name.as_bytes()]);
    }

    #[test]
    fn other_arguments_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for paths in [Paths::Unchecked, Paths::BelowRoots] {
            let sight = sight(paths, below(folder.path()));
            assert_eq!(added(&sight, b"nothing").unwrap(), b"nothing");
        }
        assert_eq!(added(&sight(Paths::Unchecked, Cwd::Scratch), b"x").unwrap(), b"x");
    }

    #[test]
    fn paths_that_cannot_be_seen_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let check = |paths: Paths, cwd: Cwd, path: &str, part: &str| {
            let error = added(&sight(paths, cwd), path.as_ref()).unwrap_err();
            assert!(error.sentence.contains(part), "{error}");
        };
        check(Paths::AsSeen, below(folder.path()), "gone", "cannot see gone");
        check(Paths::AsSeen, below(folder.path()), ".", "is not a file");
        check(Paths::AsSeen, Cwd::Scratch, "a", "is a relative path");
        check(Paths::BelowRoots, Cwd::Unset, "a", "is a relative path");
    }

    #[test]
    fn kinds_without_paths_are_refused() {
        let form = ArgForm { paths: Paths::BelowRoots, ..ArgForm::default() };
        assert!(check_kind(&Kind::Square, &form).unwrap_err().sentence.contains("kind square"));
        check_kind(&Kind::Square, &ArgForm::default()).unwrap();
        let json = ArgForm { columns: Columns::Json, ..form.clone() };
        let handler = Kind::Handler { name: ganger_proto::Name::parse("x").unwrap() };
        assert!(check_kind(&handler, &json).unwrap_err().sentence.contains("JSON"));
        check_kind(&handler, &form).unwrap();
    }
}
