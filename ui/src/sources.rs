//! Arguments from this machine: the lines of a file, or the names that fit a pattern. Bounded,
//! since the screen holds them; knows no form.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ganger_proto::ArgList;

use crate::model::field::FIELD_BYTES_MAX;
use crate::model::form::{Wanted, quoted};
use crate::text::clean;

/// Names that a pattern may find.
const NAMES_MAX: usize = 100_000;

/// Reads what is wanted.
pub(crate) fn read(wanted: &Wanted) -> Result<ArgList, String> {
    match wanted {
        Wanted::File(path) => lines(path),
        Wanted::Glob(pattern) => names(pattern),
    }
}

fn lines(given: &str) -> Result<ArgList, String> {
    let path = at_home(given);
    let shown = clean(given);
    let cannot = |error: std::io::Error| format!("cannot read {shown}: {error}");
    // A pipe or a device would never end, or take what others wait for.
    if !fs::metadata(&path).map_err(cannot)?.is_file() {
        return Err(format!("{shown} is no regular file; write the path of one"));
    }
    let mut bytes = Vec::new();
    let most = FIELD_BYTES_MAX as u64 + 1;
    File::open(&path).and_then(|file| file.take(most).read_to_end(&mut bytes)).map_err(cannot)?;
    if bytes.len() > FIELD_BYTES_MAX {
        let file = clean(&quoted(given));
        return Err(format!("{shown} has over 8 MiB; use `ganger submit -a {file}` for it"));
    }
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if bytes.is_empty() {
        return Err(format!("{shown} is empty; every line of it would be a task"));
    }
    Ok(text.split(|byte| *byte == b'\n').collect())
}

fn names(given: &str) -> Result<ArgList, String> {
    let shown = clean(given);
    if given.contains("**") {
        return Err("** would walk every folder; name the folders, as logs/*/*.log".to_owned());
    }
    let path = at_home(given);
    let pattern = path.to_str().ok_or("the home folder's name is not UTF-8; write the path")?;
    // As a shell does it: a star finds no hidden names and stays within a folder.
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    let found = glob::glob_with(pattern, options)
        .map_err(|error| format!("{shown} is no pattern: {}", error.msg))?;
    let mut list = ArgList::new();
    for name in found {
        // A folder that may not be read has no names, as in a shell.
        let Ok(name) = name else { continue };
        list.push(name.as_os_str().as_bytes());
        if list.len() > NAMES_MAX || list.total_bytes() > FIELD_BYTES_MAX {
            return Err(format!("over {NAMES_MAX} names fit {shown}; make it narrower"));
        }
    }
    match list.is_empty() {
        true => Err(format!("no name fits {shown}; this looks on the screen's own machine")),
        false => Ok(list),
    }
}

/// Knows `~/`, as a shell does.
fn at_home(given: &str) -> PathBuf {
    match (given.strip_prefix("~/"), std::env::var_os("HOME")) {
        (Some(rest), Some(home)) => Path::new(&home).join(rest),
        (_, _) => PathBuf::from(OsStr::new(given)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &ArgList) -> Vec<String> {
        list.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect()
    }

    #[test]
    fn lines_of_a_file_are_arguments_also_empty_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        let read_as = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(&Wanted::File(path.to_str().unwrap().to_owned()))
        };
        assert_eq!(texts(&read_as(b"one\n\ntwo words\n").unwrap()), ["one", "", "two words"]);
        assert_eq!(texts(&read_as(b"no end").unwrap()), ["no end"]);
        assert_eq!(read_as(b"\xff\x00").unwrap().get(0), Some(&b"\xff\x00"[..]));
        assert!(read_as(b"").unwrap_err().contains("is empty"));
        let error = read_as(&vec![b'x'; FIELD_BYTES_MAX + 1]).unwrap_err();
        assert!(error.contains("ganger submit -a"), "{error}");
        let refused = |path: &str, part: &str| {
            let error = read(&Wanted::File(path.to_owned())).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        refused("/nowhere/hosts", "No such file");
        refused("/dev/zero", "no regular file");
        refused(folder.path().to_str().unwrap(), "no regular file");
    }

    #[test]
    fn names_are_found_as_a_shell_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.png", "a.png", ".hidden.png", "c.jpg"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let folder = folder.path().to_str().unwrap();
        let found = texts(&read(&Wanted::Glob(format!("{folder}/*.png"))).unwrap());
        assert_eq!(found, [format!("{folder}/a.png"), format!("{folder}/b.png")]);
        let refused = |pattern: &str, part: &str| {
            let error = read(&Wanted::Glob(format!("{folder}/{pattern}"))).unwrap_err();
            assert!(error.contains(part), "{error}");
        };
        refused("*.gif", "no name fits");
        refused("[", "is no pattern");
        refused("**/*.png", "walk every folder");
    }
}
