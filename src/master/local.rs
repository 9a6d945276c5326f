//! The local worker: one that the master starts on its own host, as its own user. It outlives a
//! killed master and comes back to the next one, so it is started only when its lock is free.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ganger_proto::{Actor, Name, Refusal, Reply, Role};

use super::Master;
use crate::config;

/// Returns the local worker's folder in a home.
pub(super) fn folder(home: &Path) -> PathBuf {
    home.join("local-worker")
}

impl Master {
    /// Starts the local worker unless one runs.
    pub(super) fn start_local_worker(&mut self, slots: u32) -> Result<Reply, Refusal> {
        let dir = folder(&self.facts.home);
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Refusal::State(format!("the local worker was not started: {what}: {error}"))
        };
        config::make_folder(&dir).map_err(|error| failed("its folder", &error))?;
        if is_running(&dir) {
            return Err(Refusal::State("the local worker is running already".to_owned()));
        }
        let name = Name::from_lossy("local");
        let actor = Actor { role: Role::Worker, name, admin: false };
        let address = vec![self.local_address()];
        self.authority
            .issue_local(&dir, &actor, &address)
            .map_err(|error| failed("its certificate", &error))?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("__local-worker").arg("--home").arg(&self.facts.home);
        if slots > 0 {
            command.arg("--slots").arg(slots.to_string());
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The worker detaches itself; its handle is dropped because it outlives this master.
        let child = command.spawn().map_err(|error| failed("its process", &error))?;
        tracing::info!(pid = child.id(), "the local worker was started");
        std::thread::spawn(move || {
            let mut child = child;
            child.wait().ok();
        });
        Ok(Reply::Ok)
    }

    /// Ends the local worker together with the master, when a person stops the master.
    pub(super) fn stop_local_worker(&self) {
        let dir = folder(&self.facts.home);
        if !is_running(&dir) {
            return;
        }
        let text = std::fs::read_to_string(dir.join("pid")).unwrap_or_default();
        let pid = text.trim().parse::<i32>().ok();
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw)
            && let Err(error) = rustix::process::kill_process(pid, rustix::process::Signal::TERM)
        {
            tracing::warn!(%error, "the local worker could not be told to stop");
        }
    }

    /// Returns where this host reaches the master.
    pub(super) fn local_address(&self) -> String {
        super::start::loopback(self.facts.address).to_string()
    }
}

/// Tells whether a local worker holds its lock.
pub(super) fn is_running(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join("worker.lock")) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}
