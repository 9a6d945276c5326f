//! The screen in a pseudo-terminal of its own, and an eye on it: keys go in, every frame that the
//! screen writes comes out with its moment. Does not know what a benchmark asks.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::mpsc;

use crate::clock::Clock;

/// Columns and rows of the terminal.
pub(super) const SIZE: (NonZero<u16>, NonZero<u16>) =
    (NonZero::new(120).expect("not 0"), NonZero::new(36).expect("not 0"));
/// Frames that were not looked at. When it is full the reader waits, and with it the screen.
const FRAMES_MAX: usize = 4_096;
/// How long a frame is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// What ends a frame: the end of a synchronized update.
const FRAME_END: &[u8] = b"\x1b[?2026l";

/// A screen that runs.
pub(super) struct Eye {
    keys: File,
    child: Child,
    frames: mpsc::Receiver<Frame>,
    clock: Clock,
}

/// What the terminal showed when a frame ended.
pub(super) struct Frame {
    /// When its last byte was read.
    pub(super) at_us: u64,
    /// The terminal's text, a line for each row.
    pub(super) text: String,
}

impl Eye {
    /// Opens the screen of the master of `home`.
    pub(super) fn open(home: &Path, clock: &Clock) -> Result<Self> {
        let (keys, terminal) = pair().context("no pseudo-terminal can be had")?;
        let from = keys.try_clone()?;
        let mut command = Command::new("/proc/self/exe");
        command.arg("--home").arg(home).arg("--no-start");
        command.env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8");
        for name in ["NO_COLOR", "TMUX", "GANGER_THEME", "GANGER_MASTER"] {
            command.env_remove(name);
        }
        command.stdin(File::from(terminal.try_clone()?));
        command.stdout(File::from(terminal.try_clone()?)).stderr(File::from(terminal));
        let child = command.spawn().context("the screen does not start")?;
        // Bounded as said above.
        let (to, frames) = mpsc::channel(FRAMES_MAX);
        let reader = Reader { from, clock: clock.clone(), to };
        // Ends by itself when the screen closes its terminal, or when nobody wants frames.
        drop(std::thread::spawn(move || reader.run()));
        Ok(Self { keys, child, frames, clock: clock.clone() })
    }

    /// Returns the screen's process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Types keys and returns when, in microseconds of the clock.
    pub(super) fn press(&mut self, keys: &str) -> Result<u64> {
        let at = self.clock.micros();
        self.keys.write_all(keys.as_bytes()).context("the screen's terminal is closed")?;
        Ok(at)
    }

    /// Waits for the first frame that shows what is looked for, and returns when it was written.
    pub(super) async fn wait(
        &mut self,
        what: &str,
        shows: impl Fn(&str) -> bool + Send,
    ) -> Result<u64> {
        let mut newest = String::new();
        let found = async {
            while let Some(frame) = self.frames.recv().await {
                if shows(&frame.text) {
                    return Some(frame.at_us);
                }
                newest = frame.text;
            }
            None
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(Some(at)) => Ok(at),
            Ok(None) | Err(_) => bail!("the screen did not show {what}; it shows\n{newest}"),
        }
    }

    /// Takes the frames that have come so far; returns how many, and the newest one's text.
    pub(super) fn take(&mut self) -> (usize, Option<String>) {
        let mut count = 0;
        let mut newest = None;
        while let Ok(frame) = self.frames.try_recv() {
            count += 1;
            newest = Some(frame.text);
        }
        (count, newest)
    }

    /// Ends the screen.
    pub(super) fn close(mut self) {
        // Fails only when it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Opens both ends of a pseudo-terminal of the size above.
fn pair() -> Result<(File, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let (ws_col, ws_row) = (SIZE.0.get(), SIZE.1.get());
    tcsetwinsize(&master, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 })?;
    let name = ptsname(&master, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    Ok((File::from(master), terminal))
}

struct Reader {
    from: File,
    clock: Clock,
    to: mpsc::Sender<Frame>,
}

impl Reader {
    fn run(mut self) {
        let (columns, rows) = SIZE;
        let mut parser = vt100::Parser::new(rows, columns, 0);
        let mut bytes = vec![0; 64 << 10];
        let mut pending: Vec<u8> = Vec::new();
        while let Ok(count @ 1..) = self.from.read(&mut bytes) {
            let at_us = self.clock.micros();
            pending.extend_from_slice(&bytes[..count]);
            while let Some(at) = pending.windows(FRAME_END.len()).position(|w| w == FRAME_END) {
                let rest = pending.split_off(at + FRAME_END.len());
                parser.process(&std::mem::replace(&mut pending, rest));
                let lines: Vec<String> = parser.screen().rows(0, columns.get()).collect();
                if self.to.blocking_send(Frame { at_us, text: lines.join("\n") }).is_err() {
                    return;
                }
            }
        }
    }
}
