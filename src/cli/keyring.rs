//! Identities in the home folder: found, and put in their place after joining. What is in one is
//! `ganger-net`'s affair.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ganger_net::client;
use ganger_net::pki::identity::ClientIdentity;
use ganger_net::pki::token::Token;
use ganger_proto::{Name, Role};

use crate::config;

use super::error::{CliError, Result};

/// The token's hash, kept beside the identity that it made: the same line again just runs.
const JOINED_WITH: &str = "joined-with";

/// Returns the folder of the identity that the home's own master made for its owner.
pub(crate) fn admin_folder(home: &Path) -> PathBuf {
    home.join("client/admin")
}

/// Returns the folders of the clusters that this user joined.
pub(crate) fn joined_clients(home: &Path) -> Vec<PathBuf> {
    let mut folders = folders_in(&home.join("client"));
    folders.retain(|folder| folder.file_name().is_some_and(|name| name != "admin"));
    folders
}

/// Returns the folders of the workers that joined from this home, `worker/CLUSTER/NAME`.
pub(crate) fn joined_workers(home: &Path) -> Vec<PathBuf> {
    folders_in(&home.join("worker")).iter().flat_map(|cluster| folders_in(cluster)).collect()
}

/// Returns the folders in a folder by name; ones with a dot are work in progress or set aside.
fn folders_in(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
    let mut folders: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .filter(|path| {
            path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b"."))
        })
        .collect();
    folders.sort();
    folders
}

/// Returns the folder of the identity that this very token made before.
pub(crate) fn made_by(home: &Path, token: &str) -> Option<PathBuf> {
    let hash = token_hash(token);
    let mut folders = joined_workers(home);
    folders.extend(joined_clients(home));
    folders.into_iter().find(|folder| {
        fs::read_to_string(folder.join(JOINED_WITH)).is_ok_and(|text| text.trim() == hash)
    })
}

/// Joins with a token and returns the identity with its folder: `worker/CLUSTER/NAME` for a worker,
/// `client/CLUSTER` for anybody else. A lost answer is asked for again from the same folder, so
/// that the same key gets the same certificate.
///
/// # Errors
/// When the token is refused, the master cannot be reached, or the folder cannot be written.
pub(crate) async fn join(
    home: &Path,
    text: &str,
    wish: Option<&Name>,
) -> Result<(ClientIdentity, PathBuf)> {
    let token: Token = text.parse().map_err(|error| CliError::usage(format!("{error}")))?;
    check_cluster(home, &token)?;
    let hash = token_hash(text);
    let workshop = home.join(".joining").join(&hash[..16]);
    config::make_folder(&home.join(".joining"))?;
    // One that was granted and did not come to its place: the token is used up.
    let identity = match ClientIdentity::load(&workshop) {
        Ok(granted) => granted,
        Err(_) => client::join(&token, wish, &workshop).await?,
    };
    let place = match identity.role {
        Role::Worker => {
            home.join("worker").join(identity.cluster.as_str()).join(identity.name.as_str())
        }
        Role::Submitter | Role::Viewer | Role::Operator => {
            home.join("client").join(identity.cluster.as_str())
        }
    };
    config::replace_file(&workshop.join(JOINED_WITH), hash.as_bytes())?;
    settle(&workshop, &place)?;
    Ok((identity, place))
}

/// Refuses a token that would put its identity in the place of another cluster's: whoever makes a
/// token chooses the cluster's name.
fn check_cluster(home: &Path, token: &Token) -> Result<()> {
    let client = home.join("client").join(token.cluster().as_str());
    if client == admin_folder(home) {
        return Err(CliError::usage(format!(
            "no cluster can be called `{}`: the token is not of a ganger master",
            token.cluster()
        )));
    }
    let mut places = folders_in(&home.join("worker").join(token.cluster().as_str()));
    places.push(client);
    for place in places {
        if ClientIdentity::load(&place).is_ok_and(|known| !known.trusts(token)) {
            return Err(CliError::usage(format!(
                "{} holds an identity of a cluster called `{}` with another authority; if it is the \
                 same cluster and changed its authority, move that folder away and join again",
                place.display(),
                token.cluster()
            )));
        }
    }
    Ok(())
}

/// Moves a finished folder into its place. What was there is set aside, its settings are kept.
fn settle(workshop: &Path, place: &Path) -> Result<()> {
    let parent = place.parent().expect("the place is below the home");
    config::make_folder(parent)?;
    let io =
        |error| CliError::io(&format!("cannot keep the identity in {}", place.display()), &error);
    if place.exists() {
        let settings = place.join("worker.toml");
        if settings.exists() {
            fs::copy(&settings, workshop.join("worker.toml")).map_err(io)?;
        }
        let mut aside = std::ffi::OsString::from(".old-");
        aside.push(place.file_name().expect("the place has a name"));
        let aside = parent.join(aside);
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(io)?;
        }
        fs::rename(place, &aside).map_err(io)?;
    }
    fs::rename(workshop, place).map_err(io)?;
    fs::File::open(parent).and_then(|folder| folder.sync_all()).map_err(io)
}

/// Reads a token from where the person put it: the word itself, `-` for standard input, `@FILE`.
///
/// # Errors
/// When there is none or the file cannot be read.
pub(crate) fn token_text(word: Option<&str>) -> Result<String> {
    // A token is about 120 characters; a hostile or wrong file must not fill the memory.
    const BYTES_MAX: u64 = 64 << 10;
    let read = |from: &mut dyn std::io::Read, what: &str| {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut std::io::Read::take(from, BYTES_MAX), &mut text)
            .map_err(|error| CliError::io(&format!("cannot read the token from {what}"), &error))?;
        Ok::<_, CliError>(text)
    };
    let text = match word {
        None => {
            let text = config::process_env("GANGER_TOKEN").ok_or_else(|| {
                CliError::usage(
                    "there is no token; paste the line that `ganger invite` prints on the master, \
                     or set GANGER_TOKEN",
                )
            })?;
            super::utf8(text, "the token in GANGER_TOKEN")?
        }
        Some("-") => read(&mut std::io::stdin().lock(), "standard input")?,
        Some(word) => match word.strip_prefix('@') {
            Some(path) => {
                let mut file = fs::File::open(path)
                    .map_err(|error| CliError::io(&format!("cannot open {path}"), &error))?;
                read(&mut file, path)?
            }
            None => word.to_owned(),
        },
    };
    Ok(text.trim().to_owned())
}

/// Starts this program again with `-` in place of a token among its words, and the token on its
/// standard input: words are for everybody on the machine to see, as long as the process runs.
/// Returns when no token is among them, or when the program cannot be started again.
pub(crate) fn hide_token(word: Option<&str>) {
    // A token is far shorter; what is longer is none, and might not fit the pipe.
    const BYTES_MAX: usize = 4 << 10;
    let is_token = |word: &&str| *word != "-" && !word.starts_with('@') && word.len() <= BYTES_MAX;
    let Some(token) = word.filter(is_token) else { return };
    let Err(error) = start_again(token);
    super::out::note(&format!(
        "others on this machine can see the token while this runs ({error}); give it with `join -` \
         or `join @FILE`"
    ));
}

/// Returns only when that fails.
fn start_again(token: &str) -> std::io::Result<std::convert::Infallible> {
    let (from, mut to) = std::io::pipe()?;
    to.write_all(token.as_bytes())?;
    drop(to);
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let mut command = Command::new(std::env::current_exe()?);
    command.arg0(name).stdin(from);
    command.args(words.map(|word| if word == token { "-".into() } else { word }));
    Err(command.exec())
}

/// The hash tells tokens apart and gives nothing away.
fn token_hash(token: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, token.trim().as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_found_by_the_token_that_made_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("worker/den-a1b2/alpha");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir_all(home.path().join("worker/den-a1b2/.old-alpha")).unwrap();
        fs::create_dir_all(home.path().join("client/admin")).unwrap();
        fs::create_dir_all(home.path().join("client/lab-0000")).unwrap();
        fs::write(folder.join(JOINED_WITH), token_hash("ganger1abc")).unwrap();
        assert_eq!(made_by(home.path(), " ganger1abc\n"), Some(folder.clone()));
        assert_eq!(made_by(home.path(), "ganger1abd"), None);
        assert_eq!(joined_workers(home.path()), [folder]);
        assert_eq!(joined_clients(home.path()), [home.path().join("client/lab-0000")]);
    }

    #[test]
    fn joining_again_keeps_the_settings() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("worker/c/n");
        for (round, key) in ["first", "second", "third"].iter().enumerate() {
            let workshop = home.path().join(".joining/x");
            fs::create_dir_all(&workshop).unwrap();
            fs::write(workshop.join("key"), key).unwrap();
            settle(&workshop, &place).unwrap();
            assert_eq!(fs::read_to_string(place.join("key")).unwrap(), *key);
            if round == 0 {
                fs::write(place.join("worker.toml"), "slots = 3\n").unwrap();
            }
        }
        assert_eq!(fs::read_to_string(place.join("worker.toml")).unwrap(), "slots = 3\n");
        assert_eq!(fs::read_to_string(home.path().join("worker/c/.old-n/key")).unwrap(), "second");
    }

    #[test]
    fn tokens_come_from_words_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        fs::write(&path, "ganger1xyz\n").unwrap();
        assert_eq!(token_text(Some("ganger1abc")).unwrap(), "ganger1abc");
        assert_eq!(token_text(Some(&format!("@{}", path.display()))).unwrap(), "ganger1xyz");
        let missing = token_text(Some("@/nowhere/t")).unwrap_err();
        assert!(missing.sentence.contains("/nowhere/t"), "{missing}");
    }
}
