//! `--results DIR`: what each task printed, in files whose names are its arguments, laid out as GNU
//! parallel does: `DIR/1/ARGUMENT/stdout`, or `DIR/NAME/ARGUMENT/stdout` with names.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ganger_proto::template::Values;

use super::super::error::{CliError, Result};
use super::super::text;

/// Where results are kept.
pub(crate) struct Saved {
    folder: PathBuf,
    names: Vec<String>,
}

/// The files of one task, opened.
pub(crate) struct Files {
    /// What it wrote to standard output.
    pub(crate) stdout: File,
    /// What it wrote to standard error.
    pub(crate) stderr: File,
    path: PathBuf,
}

impl Saved {
    /// Keeps results below `folder`; columns may have names.
    pub(crate) fn below(folder: PathBuf, names: &[String]) -> Self {
        Self { folder, names: names.to_vec() }
    }

    /// Opens the files of a task.
    ///
    /// # Errors
    /// When they cannot be made.
    pub(crate) fn open(&self, values: &Values<'_>) -> Result<Files> {
        let mut path = self.folder.clone();
        let columns = values.columns();
        if columns.is_empty() {
            path.push(values.number().to_string());
        }
        for (place, column) in columns.iter().enumerate() {
            match self.names.get(place) {
                Some(name) => path.push(OsStr::from_bytes(&escaped(name.as_bytes()))),
                None => path.push((place + 1).to_string()),
            }
            path.push(OsStr::from_bytes(&escaped(column)));
        }
        let make = |name: &str| {
            let file = path.join(name);
            File::create(&file).map_err(|error| cannot(&file, &error))
        };
        fs::create_dir_all(&path).map_err(|error| cannot(&path, &error))?;
        let number = path.join("seq");
        fs::write(&number, values.number().to_string()).map_err(|error| cannot(&number, &error))?;
        Ok(Files { stdout: make("stdout")?, stderr: make("stderr")?, path })
    }
}

impl Files {
    /// Says that a file cannot be written.
    pub(crate) fn cannot(&self, error: &std::io::Error) -> CliError {
        cannot(&self.path, error)
    }
}

fn cannot(path: &Path, error: &std::io::Error) -> CliError {
    let shown = text::line(&path.to_string_lossy());
    CliError::io(&format!("cannot keep results in {shown}"), error)
}

/// Makes one name of a value: no slash, and never one that leads elsewhere.
fn escaped(value: &[u8]) -> Vec<u8> {
    if matches!(value, b"" | b"." | b"..") {
        return [b"\\", value].concat();
    }
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'/' => out.extend_from_slice(b"\\_"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0 => out.extend_from_slice(b"\\0"),
            byte => out.push(*byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ganger_proto::ArgForm;
    use ganger_proto::form::Columns;

    use super::*;

    #[test]
    fn folders_are_named_as_by_gnu_parallel() {
        let folder = tempfile::tempdir().unwrap();
        let check = |names: &[&str], argument: Option<&str>, expected: &str| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let columns = Columns::Many { count: 3, names: names.clone() };
            let form = ArgForm { columns, ..ArgForm::default() };
            let saved = Saved::below(folder.path().to_path_buf(), &names);
            let values = Values::new(&form, argument.map(str::as_bytes), 7);
            let files = saved.open(&values).unwrap();
            assert_eq!(files.path, folder.path().join(expected));
            assert_eq!(fs::read(files.path.join("seq")).unwrap(), b"7");
        };
        check(&[], Some("A/x\0b"), "1/A\\_x/2/b");
        check(&["a", "b"], Some("1\x002"), "a/1/b/2");
        check(&["a/b"], Some("..\0"), "a\\_b/\\../2/\\");
        check(&[], None, "7");
    }
}
