//! Finds the master that a command means and connects to it. Starting one is start.rs's affair.

use ganger_net::client::Caller;
use ganger_net::pki::identity::ClientIdentity;

use crate::config::MasterFile;

use super::Exit;
use super::error::{CliError, Result};
use super::keyring;
use super::place::{Place, Starting};
use super::start;

/// A way to a master.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// Who we are there.
    pub(crate) identity: ClientIdentity,
    /// Where it may be.
    pub(crate) addresses: Vec<String>,
}

/// What the home folder says about masters.
#[derive(Debug)]
pub(crate) enum Found {
    /// Ways to try in turn; at least one.
    Routes(Vec<Route>),
    /// The home's own master does not run.
    NotRunning,
}

/// Connects to the master of this command.
///
/// # Errors
/// When none runs, none answers, or it refuses.
pub(crate) async fn connect(place: &Place) -> Result<Caller> {
    match find(place)? {
        Found::Routes(routes) => dial(&routes).await.map(|(caller, _)| caller),
        Found::NotRunning => Err(not_running(place)),
    }
}

/// Connects to the master of this command; starts the home's own when none runs and it may.
///
/// # Errors
/// When it cannot be started, none answers, or it refuses.
pub(crate) async fn connect_or_start(place: &Place) -> Result<Caller> {
    match find(place)? {
        Found::Routes(routes) => dial(&routes).await.map(|(caller, _)| caller),
        Found::NotRunning if place.starting == Starting::Allowed => start::start(place).await,
        Found::NotRunning => Err(not_running(place)),
    }
}

/// Tries the routes in turn; the first error is told, since the first route fits best.
pub(crate) async fn dial(routes: &[Route]) -> Result<(Caller, Route)> {
    let mut first = None;
    for route in routes {
        match Caller::connect(&route.identity, &route.addresses).await {
            Ok(caller) => return Ok((caller, route.clone())),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.expect("there is at least one route").into())
}

/// Looks for the master that is meant.
///
/// # Errors
/// When there is no identity for it, or one cannot be loaded.
pub(crate) fn find(place: &Place) -> Result<Found> {
    if let Some(address) = &place.master {
        return named(place, address).map(Found::Routes);
    }
    let admin = keyring::admin_folder(&place.home);
    if let Some(file) = MasterFile::read(&place.home) {
        if file.is_alive() {
            let identity = ClientIdentity::load(&admin)?;
            let addresses = vec![file.dial_address()];
            return Ok(Found::Routes(vec![Route { identity, addresses }]));
        }
        if !file.is_here() {
            // The home is shared between hosts, and another one runs the master.
            let identity = ClientIdentity::load(&admin)?;
            let addresses = identity.addresses.clone();
            return Ok(Found::Routes(vec![Route { identity, addresses }]));
        }
        return Ok(Found::NotRunning);
    }
    joined_only(place)
}

/// A home in which no master ever ran, but whose user joined one, means that one.
fn joined_only(place: &Place) -> Result<Found> {
    if place.home.join("trust").exists() {
        return Ok(Found::NotRunning);
    }
    let folders = keyring::joined_clients(&place.home);
    match folders.as_slice() {
        [] => Ok(Found::NotRunning),
        [folder] => {
            let identity = ClientIdentity::load(folder)?;
            let addresses = identity.addresses.clone();
            Ok(Found::Routes(vec![Route { identity, addresses }]))
        }
        [_, _, ..] => {
            let names: Vec<String> = folders
                .iter()
                .filter_map(|folder| Some(folder.file_name()?.to_string_lossy().into_owned()))
                .collect();
            Err(CliError::usage(format!(
                "this home has joined several masters ({}); say which one with --master HOST:PORT",
                names.join(", ")
            )))
        }
    }
}

/// Returns the identities that may fit a named master, the ones that saw it there before first.
fn named(place: &Place, address: &str) -> Result<Vec<Route>> {
    let mut folders = keyring::joined_clients(&place.home);
    folders.push(keyring::admin_folder(&place.home));
    let mut found = Vec::new();
    let mut broken = None;
    for folder in folders.iter().filter(|folder| folder.exists()) {
        match ClientIdentity::load(folder) {
            Ok(identity) => found.push(identity),
            Err(error) => broken = broken.or(Some(error)),
        }
    }
    if found.is_empty() {
        return Err(match broken {
            Some(error) => error.into(),
            None => CliError::new(
                Exit::Unreachable,
                format!(
                    "{} holds no identity for a master at {address}; on its machine run `ganger \
                     invite --role operator`, and here the line that it prints",
                    place.home.display()
                ),
            ),
        });
    }
    found.sort_by_key(|identity| !identity.addresses.iter().any(|known| known == address));
    let addresses = || vec![address.to_owned()];
    Ok(found.into_iter().map(|identity| Route { identity, addresses: addresses() }).collect())
}

fn not_running(place: &Place) -> CliError {
    CliError::unreachable(format!(
        "no master runs for {}; `ganger` starts one, or name another with --master HOST:PORT",
        place.home.display()
    ))
}

/// The master answered something else than was asked.
pub(crate) fn unexpected() -> CliError {
    CliError::failed(
        "the master gave an answer that does not fit the question; is it of the same release? \
         `ganger --version` and `ganger status` tell",
    )
}

#[cfg(test)]
mod tests {
    use super::super::out::Form;
    use super::*;

    fn place(home: &std::path::Path, master: Option<&str>) -> Place {
        Place {
            home: home.to_path_buf(),
            master: master.map(str::to_owned),
            form: Form::Text,
            starting: Starting::Forbidden,
        }
    }

    #[test]
    fn a_home_without_a_master_says_how_to_get_one() {
        let home = tempfile::tempdir().unwrap();
        assert!(matches!(find(&place(home.path(), None)).unwrap(), Found::NotRunning));
        let error = not_running(&place(home.path(), None));
        assert_eq!(error.exit, Exit::Unreachable);
        assert!(error.sentence.contains("`ganger` starts one"));
        let error = find(&place(home.path(), Some("h:1"))).unwrap_err();
        assert_eq!(error.exit, Exit::Unreachable);
        assert!(error.sentence.contains("ganger invite"), "{error}");
    }

    #[test]
    fn a_master_file_left_by_a_dead_master_is_not_believed() {
        let home = tempfile::tempdir().unwrap();
        let address = "127.0.0.1:1".parse().unwrap();
        let file = MasterFile { pid: u32::MAX, ..MasterFile::of_this_process(address, "c") };
        file.write(home.path()).unwrap();
        assert!(matches!(find(&place(home.path(), None)).unwrap(), Found::NotRunning));
    }

    #[test]
    fn several_joined_masters_must_be_told_apart() {
        let home = tempfile::tempdir().unwrap();
        for cluster in ["a-1111", "b-2222"] {
            std::fs::create_dir_all(home.path().join("client").join(cluster)).unwrap();
        }
        let error = find(&place(home.path(), None)).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.sentence.contains("a-1111, b-2222"), "{error}");
        std::fs::create_dir_all(home.path().join("trust")).unwrap();
        assert!(matches!(find(&place(home.path(), None)).unwrap(), Found::NotRunning));
    }
}
