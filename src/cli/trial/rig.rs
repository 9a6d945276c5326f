//! A master and workers of a benchmark's or a trial's own, as processes on a temp home. Stops what
//! it started.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use ganger_net::client::{Caller, DialError, join};
use ganger_net::pki::identity::ClientIdentity;
use ganger_net::pki::token::Token;
use ganger_proto::command::Invite;
use ganger_proto::{Reply, Request, Role};
use rustix::process::{Pid, Signal, kill_process};

use super::TrialStore;
use crate::config::MasterFile;

/// Looks for a process to be ready at most, every 10 ms.
const LOOKS_MAX: u32 = 3_000;
const LOOK: Duration = Duration::from_millis(10);

/// Workers of one process: each keeps a locked file open, and a process may have so many.
const CROWD: u32 = 2_500;
/// Times that a master is dialled which is there: thousands of workers may be dialling it too.
const DIALS_MAX: u32 = 10;

/// What it takes to dial the master as its administrator.
pub(in crate::cli) struct Dial {
    identity: ClientIdentity,
    address: String,
}

impl Dial {
    /// Dials once.
    pub(in crate::cli) async fn caller(&self) -> Result<Caller, DialError> {
        Caller::connect(&self.identity, std::slice::from_ref(&self.address)).await
    }
}

/// Tells homes of one process apart.
static HOMES: AtomicU32 = AtomicU32::new(0);

/// How a worker is started.
#[derive(Clone, Debug)]
struct Start {
    folder: PathBuf,
    slots: u32,
    /// Where it dials; where it joined when that is not said.
    via: Option<String>,
}

/// The processes.
pub(in crate::cli) struct Rig {
    home: PathBuf,
    store: TrialStore,
    master: Child,
    /// Where the master listens, in each of its lives.
    address: String,
    workers: Vec<Child>,
    /// How each was started; none of a crowd.
    starts: Vec<Start>,
}

impl Rig {
    /// Makes a home below `base`, lets `prepare` put things into it, and starts a master on it.
    pub(in crate::cli) async fn start(
        base: &Path,
        store: TrialStore,
        prepare: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        let number = HOMES.fetch_add(1, Ordering::Relaxed);
        let home = base.join(format!("ganger-trial-{}-{number}", std::process::id()));
        let made = DirBuilder::new().mode(0o700).create(&home);
        made.with_context(|| format!("cannot make {}", home.display()))?;
        let address = "127.0.0.1:0".to_owned();
        let begun = prepare(&home).and_then(|()| spawn_master(&home, store, &address));
        let master = match begun {
            Ok(master) => master,
            Err(error) => {
                remove(&home);
                return Err(error);
            }
        };
        let (workers, starts) = (Vec::new(), Vec::new());
        let mut rig = Self { home, store, master, address, workers, starts };
        if let Err(error) = rig.ready().await {
            rig.stop().await;
            return Err(error);
        }
        Ok(rig)
    }

    /// Returns the home.
    pub(in crate::cli) fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the master's process id.
    pub(in crate::cli) fn master_pid(&self) -> u32 {
        self.master.id()
    }

    /// Iterates over the workers' process ids.
    pub(in crate::cli) fn worker_pids(&self) -> impl Iterator<Item = u32> {
        self.workers.iter().map(Child::id)
    }

    /// Starts workers and waits until they are connected.
    pub(in crate::cli) async fn add_workers(&mut self, count: u32, slots: u32) -> Result<()> {
        self.add(count, slots, ("", None)).await
    }

    /// As [`Rig::add_workers`], with a `worker.toml`.
    pub(in crate::cli) async fn add_workers_as(
        &mut self,
        count: u32,
        slots: u32,
        toml: &str,
    ) -> Result<()> {
        self.add(count, slots, (toml, None)).await
    }

    /// As [`Rig::add_workers`]; they join the master itself and then dial this address.
    pub(in crate::cli) async fn add_workers_via(
        &mut self,
        count: u32,
        slots: u32,
        via: Option<&str>,
    ) -> Result<()> {
        self.add(count, slots, ("", via)).await
    }

    async fn add(
        &mut self,
        count: u32,
        slots: u32,
        (toml, via): (&str, Option<&str>),
    ) -> Result<()> {
        let caller = self.caller().await?;
        let invite = Invite {
            role: Role::Worker,
            name: None,
            uses: count,
            ttl_ms: 600_000,
            replaces: None,
            again: false,
        };
        let Reply::Invited { token, .. } = caller.call(Request::Invite(invite)).await? else {
            bail!("the master did not answer an invite with a token");
        };
        let token: Token = token.parse()?;
        for number in 0..count {
            let dir = self.home.join(format!("worker-{number}"));
            join(&token, None, &dir).await?;
            if !toml.is_empty() {
                std::fs::write(dir.join("worker.toml"), toml)?;
            }
            let start = Start { folder: dir, slots, via: via.map(str::to_owned) };
            self.workers.push(self.spawn_worker(&start)?);
            self.starts.push(start);
        }
        connected(&caller, count as usize).await
    }

    fn spawn_worker(&self, start: &Start) -> Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("__local-worker").arg("--home").arg(&self.home);
        command.arg("--folder").arg(&start.folder).arg("--slots").arg(start.slots.to_string());
        if let Some(via) = &start.via {
            command.arg("--address").arg(via);
        }
        quiet(&mut command).spawn().context("a worker does not start")
    }

    /// Kills a worker at once and starts it again.
    pub(in crate::cli) async fn kill_worker(&mut self, at: usize) -> Result<()> {
        let start = self.starts.get(at).context("there is no such worker")?.clone();
        let child = self.workers.get_mut(at).context("there is no such worker")?;
        end(child, Signal::KILL).await;
        let again = self.spawn_worker(&start)?;
        if let Some(place) = self.workers.get_mut(at) {
            *place = again;
        }
        Ok(())
    }

    /// Starts processes that are the workers with the identities `0..count` below `folder`, and
    /// waits until all are connected.
    pub(in crate::cli) async fn add_crowd(&mut self, folder: &Path, count: u32) -> Result<()> {
        for first in (0..count).step_by(CROWD as usize) {
            let mut command = Command::new("/proc/self/exe");
            command.arg("__bench-crowd").arg("--home").arg(&self.home).arg(folder);
            command.arg(self.address()?).arg(first.to_string());
            command.arg((first + CROWD).min(count).to_string());
            self.workers.push(quiet(&mut command).spawn().context("the workers do not start")?);
        }
        connected(&self.caller().await?, count as usize).await
    }

    /// Dials the master as its administrator.
    pub(in crate::cli) async fn caller(&self) -> Result<Caller> {
        let dial = self.dial()?;
        for _ in 1..DIALS_MAX {
            if let Ok(caller) = dial.caller().await {
                return Ok(caller);
            }
        }
        Ok(dial.caller().await?)
    }

    /// Returns what it takes to dial, for another thread.
    pub(in crate::cli) fn dial(&self) -> Result<Dial> {
        let identity = ClientIdentity::load(&self.home.join("client").join("admin"))?;
        Ok(Dial { identity, address: self.address()? })
    }

    /// Ends the master in peace, or at once with [`Signal::KILL`].
    pub(in crate::cli) async fn end_master(&mut self, signal: Signal) {
        end(&mut self.master, signal).await;
    }

    /// Starts a master where the one before was, and waits until it serves.
    pub(in crate::cli) async fn start_master(&mut self) -> Result<()> {
        self.master = spawn_master(&self.home, self.store, &self.address)?;
        self.ready().await
    }

    /// Ends the workers, at once.
    pub(in crate::cli) async fn end_workers(&mut self) {
        for mut worker in std::mem::take(&mut self.workers) {
            end(&mut worker, Signal::KILL).await;
        }
    }

    /// Ends everything and removes the home.
    pub(in crate::cli) async fn stop(mut self) {
        self.end_workers().await;
        end(&mut self.master, Signal::TERM).await;
        remove(&self.home);
    }

    /// Ends everything and leaves the home; returns where it is.
    pub(in crate::cli) async fn leave(mut self) -> PathBuf {
        self.end_workers().await;
        end(&mut self.master, Signal::TERM).await;
        self.home
    }

    /// Returns where the master listens.
    pub(in crate::cli) fn address(&self) -> Result<String> {
        let file = MasterFile::read(&self.home).context("the master has not said where it is")?;
        Ok(file.dial_address())
    }

    async fn ready(&mut self) -> Result<()> {
        for _ in 0..LOOKS_MAX {
            if let Some(status) = self.master.try_wait()? {
                let log = self.home.join("logs");
                bail!("the master ended with {status}; see {}", log.display());
            }
            let written = MasterFile::read(&self.home);
            // Its administrator's identity may come a moment after it.
            if written.is_some_and(|file| file.pid == self.master.id())
                && let Ok(dial) = self.dial()
                && dial.caller().await.is_ok()
            {
                self.address = self.address()?;
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("the master did not begin to serve");
    }
}

/// Waits until so many workers are connected; as long as their number still grows.
pub(in crate::cli) async fn connected(caller: &Caller, count: usize) -> Result<()> {
    let (mut most, mut looks) = (0, 0);
    while looks < LOOKS_MAX {
        let Reply::Status(status) = caller.call(Request::Status).await? else {
            bail!("the master did not answer with its status");
        };
        let up = status.gang.up as usize;
        if up >= count {
            return Ok(());
        }
        looks = if up > most { 0 } else { looks + 1 };
        most = most.max(up);
        // With thousands a look is work for the master, which has to take them in.
        tokio::time::sleep(LOOK * if count > 100 { 20 } else { 1 }).await;
    }
    bail!("only {most} of {count} workers connected");
}

fn remove(home: &Path) {
    if let Err(error) = std::fs::remove_dir_all(home) {
        tracing::warn!(%error, "the temp home could not be removed");
    }
}

fn spawn_master(home: &Path, store: TrialStore, address: &str) -> Result<Child> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("master").arg("--home").arg(home);
    command.args(["--listen", address, "--advertise", "127.0.0.1", "--local-worker", "0"]);
    if store == TrialStore::Memory {
        command.args(["--store", "memory"]);
    }
    quiet(&mut command).spawn().context("a master does not start")
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

/// Signals a process and waits until it has ended; kills it when it does not.
async fn end(child: &mut Child, signal: Signal) {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    for look in 0..LOOKS_MAX {
        if matches!(child.try_wait(), Ok(Some(_)) | Err(_)) {
            return;
        }
        let signal = if look == LOOKS_MAX / 2 { Signal::KILL } else { signal };
        if look == 0 || look == LOOKS_MAX / 2 {
            kill_process(pid, signal).ok();
        }
        tokio::time::sleep(LOOK).await;
    }
}
