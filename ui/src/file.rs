//! Writes what a person saves to a file of its own. Never writes over another file.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Files of one name, before another name must be found.
const SAME_NAME_MAX: u32 = 1_000;

/// Writes `text` to a file in the current folder, and says where or why not.
pub(crate) fn write_new(name: &str, text: &str) -> Result<String, String> {
    let folder = std::env::current_dir()
        .map_err(|error| format!("nothing was saved: the current folder is gone: {error}"))?;
    let path = write_in(&folder, name, text)?;
    Ok(format!("saved {} to {}", crate::text::bytes(text.len() as u64), path.display()))
}

/// `name.txt`, else `name-2.txt` and so on.
fn write_in(folder: &Path, name: &str, text: &str) -> Result<PathBuf, String> {
    for number in 1..=SAME_NAME_MAX {
        let path = folder.join(match number {
            1 => format!("{name}.txt"),
            _ => format!("{name}-{number}.txt"),
        });
        let refused = |error| format!("{} cannot be written: {error}", path.display());
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(refused(error)),
            Ok(mut file) => {
                file.write_all(text.as_bytes()).map_err(refused)?;
                return Ok(path);
            }
        }
    }
    Err(format!("nothing was saved: {SAME_NAME_MAX} files are called {name}; move some away"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let first = write_in(folder.path(), "task", "one").unwrap();
        let second = write_in(folder.path(), "task", "two").unwrap();
        assert_eq!(first.file_name().unwrap(), "task.txt");
        assert_eq!(second.file_name().unwrap(), "task-2.txt");
        assert_eq!(std::fs::read_to_string(first).unwrap(), "one");
        let error = write_in(&folder.path().join("gone"), "task", "x").unwrap_err();
        assert!(error.contains("task.txt cannot be written"), "{error}");
    }
}
