//! Replays a target's corpus on a stable compiler, and plants its first files. Each crate's tests
//! include this file, since only a crate itself reaches its private decoders. Does not know what a
//! target checks.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Files that a corpus has at least: fewer say that it was lost, not that it is small.
const FILES_MIN: usize = 5;

/// Gives every file of a target's corpus to its check, in the order of their names.
///
/// # Panics
/// When a check fails; the file's name is printed then. When the corpus is empty.
pub(crate) fn replay(target: &str, check: fn(&[u8])) {
    let folder = corpora().join(target);
    let listed = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut files: Vec<PathBuf> = listed.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= FILES_MIN, "{folder:?} has {} files: is this test blind?", files.len());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        if let Err(failed) = catch_unwind(AssertUnwindSafe(|| check(&bytes))) {
            eprintln!("{target} fails with {}", file.display());
            resume_unwind(failed);
        }
    }
}

/// Writes inputs of a target that fuzzing began with; called by ignored tests, when a format or a
/// message has changed so much that the corpus means nothing any more.
pub(crate) fn plant(target: &str, seeds: impl IntoIterator<Item = Vec<u8>>) {
    let folder = corpora().join(target);
    fs::create_dir_all(&folder).unwrap();
    for (number, bytes) in seeds.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:02}")), bytes).unwrap();
    }
}

/// Returns the folder of all corpora, wherever below the root this crate lies.
fn corpora() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = here.ancestors().map(|folder| folder.join("tests/fuzz/corpus"));
    found.find(|folder| folder.is_dir()).expect("the corpora lie below the root")
}
