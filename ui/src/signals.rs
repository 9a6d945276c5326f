//! The signals that end or wake the screen. What follows from them is in run.rs.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub(crate) enum Woken {
    End,
    /// By a key in a program that has the terminal, or by someone who wants the screen to end.
    Interrupted,
    Continued,
}

pub(crate) struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    quit: Signal,
    proceed: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let proceed = rustix::process::Signal::CONT.as_raw();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            proceed: signal(SignalKind::from_raw(proceed))?,
        })
    }

    pub(crate) async fn next(&mut self) -> Woken {
        tokio::select! {
            _ = self.terminate.recv() => Woken::End,
            _ = self.hang_up.recv() => Woken::End,
            _ = self.interrupt.recv() => Woken::Interrupted,
            _ = self.quit.recv() => Woken::Interrupted,
            _ = self.proceed.recv() => Woken::Continued,
        }
    }
}
