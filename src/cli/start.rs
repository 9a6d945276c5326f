//! Starts the home's master in the background, as tmux starts its server: this very program, called
//! again, in a session of its own. Waits until it answers, or says why it does not.

use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use ganger_net::client::Caller;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::config::{self, MasterFile};

use super::error::{CliError, Result};
use super::place::Place;
use super::reach::{self, Found};
use super::{out, text};

/// Where a master that is being started writes what it has to say about it.
const START_ERROR: &str = "start-error";
/// How often the home folder is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// After how long the person is told that it takes long.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a large store may take to be read.
const START_MAX: Duration = Duration::from_secs(300);
/// How long a master that runs may be out of reach before its reason is told.
const DEAF_MAX: Duration = Duration::from_secs(10);
/// How long another master, which was started at the same time, may take.
const OTHER_MAX: Duration = Duration::from_secs(5);

/// Starts a master for the home and connects to it; says so in one line.
///
/// # Errors
/// When it cannot be started or does not come up; says what it said.
pub(crate) async fn start(place: &Place) -> Result<Caller> {
    let logs = place.home.join("logs");
    config::make_folder(&place.home)?;
    config::make_folder(&logs)?;
    let heard = logs.join(START_ERROR);
    let mut child = spawn(&place.home, &heard)?;
    let pid = child.id();
    let caller = tokio::time::timeout(START_MAX, come_up(place, &mut child, &heard))
        .await
        .unwrap_or_else(|_| {
            Err(CliError::unreachable(format!(
                "the master was started but did not answer within {} minutes; {} says what it does",
                START_MAX.as_secs() / 60,
                logs.join("master.log").display()
            )))
        })?;
    let running = MasterFile::read(&place.home).map(|file| file.pid);
    if pid.is_some() && running == pid {
        out::note(&format!(
            "started a master for {} in the background; `ganger stop` stops it",
            place.home.display()
        ));
    }
    Ok(caller)
}

fn spawn(home: &Path, heard: &Path) -> Result<Child> {
    let io = |error| CliError::io("cannot start a master", &error);
    let stderr = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(heard)
        .map_err(io)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("ganger").arg("master").arg("--home").arg(home).arg("--background");
    command.env_remove("GANGER_MASTER").current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    // It outlives this process: dropping the handle neither kills nor waits.
    command.spawn().map_err(io)
}

/// Waits until the master answers or its process ends.
async fn come_up(place: &Place, child: &mut Child, heard: &Path) -> Result<Caller> {
    let patience = tokio::time::sleep(PATIENCE);
    tokio::pin!(patience);
    let mut told = false;
    let mut deaf_since = None;
    loop {
        tokio::select! {
            ended = child.wait() => {
                ended.map_err(|error| CliError::io("cannot watch the master", &error))?;
                return other_master(place, heard).await;
            }
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = &mut patience, if !told => {
                told = true;
                out::note("the master is reading its store …");
            }
        }
        match try_dial(place).await {
            Ok(Some(caller)) => return Ok(caller),
            Ok(None) => deaf_since = None,
            Err(error) => {
                // It listens, so what keeps us from it will not pass by itself.
                let since = *deaf_since.get_or_insert_with(Instant::now);
                if since.elapsed() > DEAF_MAX {
                    return Err(error);
                }
            }
        }
    }
}

/// Ours ended: another one may have been started at the same moment and have won the home.
async fn other_master(place: &Place, heard: &Path) -> Result<Caller> {
    let waiting = async {
        loop {
            if let Ok(Some(caller)) = try_dial(place).await {
                return caller;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let said = last_sentence(heard);
    // Only a home that is taken is worth waiting for; any other reason is told at once.
    let taken = MasterFile::read(&place.home).is_some_and(|file| file.is_alive())
        || said.contains("another master");
    let longest = if taken { OTHER_MAX } else { Duration::ZERO };
    tokio::time::timeout(longest, waiting).await.map_err(|_| {
        let log = place.home.join("logs/master.log");
        CliError::failed(if said.is_empty() {
            format!("the master ended as soon as it was started; {} may say why", log.display())
        } else {
            format!("the master did not start: {said}")
        })
    })
}

/// Returns nothing while no master says that it runs.
async fn try_dial(place: &Place) -> Result<Option<Caller>> {
    match reach::find(place)? {
        Found::Routes(routes) => reach::dial(&routes).await.map(|(caller, _)| Some(caller)),
        Found::NotRunning => Ok(None),
    }
}

/// Returns the last thing that the started process said, without its `error: `.
fn last_sentence(heard: &Path) -> String {
    let bytes = fs::read(heard).unwrap_or_default();
    let said = String::from_utf8_lossy(&bytes);
    let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    text::line(last.strip_prefix("error: ").unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_started_masters_own_sentence_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let heard = folder.path().join(START_ERROR);
        assert_eq!(last_sentence(&heard), "");
        fs::write(&heard, "warning\nerror: port 7433 is in use\n\n").unwrap();
        assert_eq!(last_sentence(&heard), "port 7433 is in use");
    }
}
