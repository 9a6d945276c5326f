//! Files that a person asked for, in the folder where the screen was started. Never writes over
//! one; what is in them is not known here.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::text::{bytes, clean};

/// Names tried beside one that is taken.
const NAMES_MAX: u32 = 1_000;

/// What a file is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    /// As the person wrote it.
    Given(String),
    /// This, or with a number when it is taken.
    Free {
        /// Up to the dot.
        stem: String,
        /// After the dot.
        extension: &'static str,
    },
}

/// Writes a file that is not there yet; returns the sentence to show.
pub(crate) fn save(name: &FileName, content: &str, what: &str) -> Result<String, String> {
    let folder = std::env::current_dir().unwrap_or_default();
    match write(&folder, name, content.as_bytes()) {
        Ok(path) => {
            let size = bytes(content.len() as u64);
            Ok(format!("{what} is in {} ({size})", clean(&path.display().to_string())))
        }
        Err((path, error)) => {
            let path = clean(&path.display().to_string());
            Err(if error.kind() == io::ErrorKind::AlreadyExists {
                format!("{path} exists; nothing was written, give another name")
            } else if error.kind() == io::ErrorKind::NotFound {
                format!("there is no folder for {path}")
            } else {
                format!("{path} cannot be written: {error}")
            })
        }
    }
}

fn write(folder: &Path, name: &FileName, content: &[u8]) -> Result<PathBuf, (PathBuf, io::Error)> {
    let attempt = |path: PathBuf| match write_at(&path, content) {
        Ok(()) => Ok(path),
        Err(error) => Err((path, error)),
    };
    match name {
        FileName::Given(name) => attempt(folder.join(name)),
        FileName::Free { stem, extension } => {
            let mut last = attempt(folder.join(format!("{stem}.{extension}")));
            for number in 2..NAMES_MAX {
                match &last {
                    Err((_, error)) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Ok(_) | Err(_) => break,
                }
                last = attempt(folder.join(format!("{stem}-{number}.{extension}")));
            }
            last
        }
    }
}

fn write_at(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let written = file.write_all(content);
    if written.is_err() {
        // Half a file helps nobody; that it cannot be removed changes nothing about the error.
        drop(std::fs::remove_file(path));
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let free = FileName::Free { stem: "shot".to_owned(), extension: "txt" };
        let first = write(folder.path(), &free, b"one").unwrap();
        let second = write(folder.path(), &free, b"two").unwrap();
        assert!(first.ends_with("shot.txt") && second.ends_with("shot-2.txt"));
        assert_eq!(std::fs::read(first).unwrap(), b"one");
        let given = FileName::Given(folder.path().join("shot.txt").display().to_string());
        let refused = save(&given, "three", "the picture").unwrap_err();
        assert!(refused.ends_with("shot.txt exists; nothing was written, give another name"));
        let nowhere = FileName::Given(folder.path().join("no/shot.txt").display().to_string());
        let refused = save(&nowhere, "three", "the picture").unwrap_err();
        assert!(refused.starts_with("there is no folder for "), "{refused}");
    }
}
