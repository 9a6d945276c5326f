//! Signals to a run, as one stream: Ctrl-C and the polite end, and Ctrl-\ to leave.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::super::error::{CliError, Result};

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// An end; the more often, the sooner.
    End,
    /// The batch goes on without this process.
    Leave,
}

/// Signals that are waited for.
pub(crate) struct Stops {
    interrupt: Signal,
    terminate: Signal,
    quit: Signal,
}

impl Stops {
    /// Takes the signals over.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn new() -> Result<Self> {
        let take =
            |kind| signal(kind).map_err(|error| CliError::io("cannot listen for signals", &error));
        Ok(Self {
            interrupt: take(SignalKind::interrupt())?,
            terminate: take(SignalKind::terminate())?,
            quit: take(SignalKind::quit())?,
        })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) -> Stop {
        tokio::select! {
            _ = self.interrupt.recv() => Stop::End,
            _ = self.terminate.recv() => Stop::End,
            _ = self.quit.recv() => Stop::Leave,
        }
    }
}
