//! The signals that end or wake the screen. What is done then is in run.rs.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
pub(crate) enum Woken {
    End,
    Continued,
}

/// The signals that end or wake the screen.
pub(crate) struct Signals {
    terminate: Signal,
    hang_up: Signal,
    proceed: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let proceed = rustix::process::Signal::CONT.as_raw();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            proceed: signal(SignalKind::from_raw(proceed))?,
        })
    }

    pub(crate) async fn next(&mut self) -> Woken {
        tokio::select! {
            _ = self.terminate.recv() => Woken::End,
            _ = self.hang_up.recv() => Woken::End,
            _ = self.proceed.recv() => Woken::Continued,
        }
    }
}
