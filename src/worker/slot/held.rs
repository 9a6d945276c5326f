//! A launcher, as its slot holds it: started, heard, ended. What it is told is the slot's affair.

use std::fmt::Display;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::Pid;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::Shared;
use crate::worker::order::{Frames, ToLauncher, encode};

const READ_BYTES: usize = 64 << 10;

/// A launcher, as its slot holds it.
pub(in crate::worker) struct Launcher {
    pub(in crate::worker) process: Child,
    pub(in crate::worker) pid: Pid,
    pub(in crate::worker) link: UnixStream,
    frames: Frames,
    buffer: Vec<u8>,
    /// Counts the orders to it.
    pub(in crate::worker) number: u64,
}

impl Launcher {
    /// Starts one and makes it what `setup` says.
    pub(in crate::worker) async fn start(
        slot: impl Display,
        setup: &ToLauncher,
        shared: &Shared,
    ) -> std::io::Result<Self> {
        let (ours, theirs) = StdUnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut words = shared.launcher.iter();
        let mut command = Command::new(words.next().ok_or(ErrorKind::NotFound)?);
        command
            .args(words)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .current_dir(&shared.ground.run_dir);
        let (process, pid) = shared.nursery.start(slot, || {
            let process = command.spawn()?;
            let pid = process.id().and_then(|id| Pid::from_raw(id.cast_signed()));
            let pid = pid.ok_or_else(|| std::io::Error::other("it ended at once"))?;
            Ok((process, pid))
        })?;
        // The command keeps a copy of the launcher's end until it is dropped.
        drop(command);
        let mut link = UnixStream::from_std(ours)?;
        link.write_all(&encode(setup)).await?;
        let buffer = vec![0; READ_BYTES];
        Ok(Self { process, pid, link, frames: Frames::default(), buffer, number: 0 })
    }

    /// Cuts the lifeline and waits until everything below the launcher is gone. One that does not
    /// end by itself is killed; what it had comes to this process.
    pub(in crate::worker) async fn close(self, slot: String, shared: &Arc<Shared>) {
        let Self { mut process, pid, link, .. } = self;
        drop(link);
        if tokio::time::timeout(shared.patience, process.wait()).await.is_err() {
            tracing::warn!(slot, "a launcher does not end; it is killed");
            let _status = process.kill().await;
        }
        let shared = Arc::clone(shared);
        let clean = tokio::task::spawn_blocking(move || shared.nursery.ended(slot, pid));
        let _done = clean.await;
    }

    /// Waits for the next answer; none when the launcher is gone. Cancel-safe.
    pub(in crate::worker) async fn answer<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            match self.frames.next() {
                Ok(Some(answer)) => return Some(answer),
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "a launcher does not answer as it should");
                    return None;
                }
            }
            match self.link.read(&mut self.buffer).await {
                Ok(length) if length > 0 => self.frames.take(&self.buffer[..length]),
                Ok(_) | Err(_) => return None,
            }
        }
    }
}
