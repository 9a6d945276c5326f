//! The file that remembers things between runs: read once at the start, written whole whenever they
//! change, by a task of its own so that no key waits for the disk. What it holds is in keep.rs.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::keep::Kept;
use crate::msg::Msg;

/// Bytes of the file that are read; a larger one was not written by a screen.
const BYTES_MAX: u64 = 16 << 20;

/// Reads the file. One that cannot be used is put aside, and the sentence says so; nothing here
/// keeps the screen from opening.
pub(crate) fn load(path: &Path) -> (Kept, Option<String>) {
    let text = match read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return (Kept::default(), None),
        Err(error) => return (Kept::default(), Some(put_aside(path, &error.to_string()))),
    };
    match toml::from_str(&text) {
        Ok(kept) => (kept, None),
        Err(error) => (Kept::default(), Some(put_aside(path, error.message()))),
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(found) if found.len() > BYTES_MAX => Err(io::Error::other("it is too large")),
        Ok(found) if !found.is_file() => Err(io::Error::other("it is not a file")),
        Ok(_) => fs::read_to_string(path).map(Some),
    }
}

fn put_aside(path: &Path, why: &str) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".bad");
    let aside = PathBuf::from(aside);
    let renamed = fs::rename(path, &aside);
    let (path, aside) = (path.display(), aside.display());
    match renamed {
        Ok(()) => format!("what {path} remembered cannot be read ({why}); it is now {aside}"),
        Err(_) => format!("what {path} remembered cannot be read ({why})"),
    }
}

/// Replaces the file as a whole, readable by its owner alone. Not synced: what a crash of the
/// machine loses here is a theme or a line typed before.
fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    let text = toml::to_string(kept).map_err(io::Error::other)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is half written is of no use to anybody; the first error is the one to tell.
        fs::remove_file(&beside).ok();
    }
    written
}

/// Writes what it is handed; of several that wait, only the newest.
pub(crate) struct Keeper {
    newest: watch::Sender<Option<Box<Kept>>>,
    writer: JoinHandle<()>,
}

impl Keeper {
    /// Starts the writer. The first failure is told to `told`; further ones would say the same.
    pub(crate) fn start(path: PathBuf, told: mpsc::Sender<Msg>) -> Self {
        let (newest, mut to_write) = watch::channel(None::<Box<Kept>>);
        let writer = tokio::spawn(async move {
            let mut told = Some(told);
            while to_write.changed().await.is_ok() {
                let Some(kept) = to_write.borrow_and_update().clone() else { continue };
                let to = path.clone();
                let written = tokio::task::spawn_blocking(move || write(&to, &kept)).await;
                let why = match written {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                if let Some(told) = told.take() {
                    let text = format!("{} cannot be written: {why}", path.display());
                    drop(told.try_send(Msg::NotKept(text)));
                }
            }
        });
        Self { newest, writer }
    }

    pub(crate) fn keep(&self, kept: Box<Kept>) {
        self.newest.send_replace(Some(kept));
    }

    /// Waits until the newest is written.
    pub(crate) async fn finish(self) {
        drop(self.newest);
        // Fails only when the writer panicked, and that was told by the panic.
        self.writer.await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn kept(theme: &str) -> Kept {
        let mut kept = Kept { theme: Some(theme.to_owned()), ..Kept::default() };
        kept.commands.push("goto 1".to_owned());
        kept.filters.insert("bad ones".to_owned(), "state:failed".to_owned());
        kept.draft = Some([("kind".to_owned(), "shell\n\u{1b}".to_owned())].into());
        kept.templates.insert("one".to_owned(), kept.draft.clone().unwrap());
        kept.forms.push(kept.draft.clone().unwrap());
        kept
    }

    #[tokio::test]
    async fn the_newest_is_there_in_the_next_run() {
        let home = folder();
        let path = home.path().join("screen.toml");
        assert_eq!(load(&path), (Kept::default(), None));
        let (told, _) = mpsc::channel(1);
        let keeper = Keeper::start(path.clone(), told);
        for theme in ["mono", "nord"] {
            keeper.keep(Box::new(kept(theme)));
        }
        keeper.finish().await;
        assert_eq!(load(&path), (kept("nord"), None));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_told_once() {
        let home = folder();
        let path = home.path().join("none").join("screen.toml");
        let (told, mut heard) = mpsc::channel(4);
        let keeper = Keeper::start(path, told);
        keeper.keep(Box::new(kept("mono")));
        let Some(Msg::NotKept(text)) = heard.recv().await else { panic!("nothing was told") };
        assert!(text.contains("cannot be written"), "{text}");
        keeper.keep(Box::new(kept("nord")));
        keeper.finish().await;
        assert!(heard.recv().await.is_none());
    }

    #[test]
    fn a_damaged_file_is_put_aside() {
        for text in ["theme = 5", "commands = [", "unknown = 1", "\u{0}"] {
            let home = folder();
            let path = home.path().join("screen.toml");
            fs::write(&path, text).unwrap();
            let (kept, said) = load(&path);
            assert_eq!(kept, Kept::default());
            assert!(said.unwrap().contains("screen.toml.bad"));
            assert!(!path.exists() && home.path().join("screen.toml.bad").exists());
        }
        let home = folder();
        let path = home.path().join("screen.toml");
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(load(&path).1.is_some());
        fs::create_dir(&path).unwrap();
        assert!(load(&path).1.unwrap().contains("not a file"));
    }
}
