//! The files of the tree and their text. Knows no rule.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the files of the tree: what git tracks, or without git all but builds.
pub(crate) fn tracked() -> Vec<String> {
    let git = Command::new("git").args(["ls-files", "-z", "--cached"]).current_dir(root()).output();
    let listed = git.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let listed = String::from_utf8(listed.unwrap_or_default()).expect("our names are UTF-8");
    let mut paths: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    if paths.is_empty() {
        walk(&root(), &mut paths);
    }
    paths.retain(|path| root().join(path).is_file());
    assert!(paths.len() > 50, "only {} files: is this test blind?", paths.len());
    paths
}

fn walk(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("our folders can be read") {
        let path = entry.expect("our folders can be read").path();
        let name = path.strip_prefix(root()).expect("below the root").to_string_lossy();
        if path.is_dir() && name != "target" && name != ".git" {
            walk(&path, paths);
        } else if path.is_file() {
            paths.push(name.into_owned());
        }
    }
}

/// Returns the folder of the root package.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text of one file.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
