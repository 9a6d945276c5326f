//! A pseudo-terminal with a program in it: keys go in, bytes and cells come out, and what modes the
//! terminal was left in is read from the bytes.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, SlavePty, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

use crate::rig::{GANGER, wait_for, wait_or_say};

/// A program in a pseudo-terminal.
pub struct Terminal {
    seen: Arc<Mutex<Seen>>,
    keys: Box<dyn Write + Send>,
    pub child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    /// Held so that the terminal outlives its program.
    _slave: Box<dyn SlavePty + Send>,
}

/// What the program wrote.
struct Seen {
    bytes: Vec<u8>,
    parser: vt100::Parser,
}

impl Terminal {
    /// Opens the screen of a home.
    pub fn open(home: &Path, rows: u16, cols: u16) -> Self {
        Self::run(screen(home), rows, cols)
    }

    /// Opens the screen of a home with flags.
    pub fn open_with(home: &Path, (rows, cols): (u16, u16), args: &[&str]) -> Self {
        let mut command = screen(home);
        command.args(args);
        Self::run(command, rows, cols)
    }

    /// Runs a command.
    pub fn run(command: CommandBuilder, rows: u16, cols: u16) -> Self {
        let pair = native_pty_system().openpty(size(rows, cols)).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        let seen = Arc::new(Mutex::new(Seen { bytes: Vec::new(), parser: parser(rows, cols) }));
        let mut from = pair.master.try_clone_reader().unwrap();
        let to = seen.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = from.read(&mut bytes) {
                if count == 0 {
                    break;
                }
                let mut seen = to.lock().unwrap();
                seen.bytes.extend_from_slice(&bytes[..count]);
                seen.parser.process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Self { seen, keys, child, master: pair.master, _slave: pair.slave }
    }

    /// Returns what the cells show.
    pub fn text(&self) -> String {
        self.seen.lock().unwrap().parser.screen().contents()
    }

    /// Returns all that was written.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.lock().unwrap().bytes.clone()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn wait(&self, text: &str) {
        let shows = || self.text().contains(text).then_some(());
        wait_or_say(shows, || format!("{}\n{text:?} did not come on the screen", self.text()));
    }

    /// Waits until `text` was written after the first `from` bytes.
    pub fn wait_bytes(&self, from: usize, text: &str) {
        wait_for(&format!("{text:?} written"), || {
            let bytes = self.bytes();
            String::from_utf8_lossy(&bytes[from..]).contains(text).then_some(())
        });
    }

    /// Waits for the end of the program; returns its exit code.
    pub fn ended(&mut self) -> u32 {
        wait_for("the program's end", || self.child.try_wait().unwrap()).exit_code()
    }

    /// Gives the terminal another size; what was drawn for the old one is forgotten.
    pub fn resize(&self, rows: u16, cols: u16) {
        let mut seen = self.seen.lock().unwrap();
        seen.parser = parser(rows, cols);
        drop(seen);
        self.resize_unseen(rows, cols);
    }

    /// Gives the terminal another size without looking at what is drawn.
    pub fn resize_unseen(&self, rows: u16, cols: u16) {
        self.master.resize(size(rows, cols)).unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.process_id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Tells whether lines are edited and echoed by the terminal, as a shell expects it.
    pub fn is_cooked(&self) -> bool {
        let flags = format!("{:?}", self.master.get_termios().unwrap().local_flags);
        flags.contains("ICANON") && flags.contains("ECHO") && flags.contains("ISIG")
    }

    /// Asserts that the screen has the terminal.
    pub fn assert_taken(&self) {
        let bytes = self.bytes();
        for mode in ["1049", "2004", "1004", "1000", "1006"] {
            assert_eq!(mode_of(&bytes, mode), Some('h'), "{mode}");
        }
        assert!(!self.is_cooked());
    }

    /// Asserts that everything the screen changed is as before.
    pub fn assert_given_back(&self) {
        let bytes = self.bytes();
        for mode in ["1049", "2004", "1004", "1000", "1006", "2026"] {
            assert_eq!(mode_of(&bytes, mode), Some('l'), "{mode}");
        }
        assert_eq!(mode_of(&bytes, "25"), Some('h'), "the cursor is seen");
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("\u{1b}[22;2t").count(), text.matches("\u{1b}[23;2t").count());
        assert!(self.is_cooked());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns the command that opens the screen of a home.
pub fn screen(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(GANGER);
    environment(&mut command, home);
    command
}

/// Says where the home is and what the terminal can do.
pub fn environment(command: &mut CommandBuilder, home: &Path) {
    command.env("GANGER_HOME", home);
    command.env("TERM", "xterm-256color");
    command.env("LC_ALL", "C.UTF-8");
    for name in ["TMUX", "STY", "NO_COLOR", "GANGER_THEME", "VTE_VERSION"] {
        command.env_remove(name);
    }
}

/// Returns how a private mode was set last: `h` or `l`.
fn mode_of(bytes: &[u8], mode: &str) -> Option<char> {
    let text = String::from_utf8_lossy(bytes);
    let prefix = format!("\u{1b}[?{mode}");
    let last = text.rfind(&prefix)?;
    text[last + prefix.len()..].chars().next()
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn parser(rows: u16, cols: u16) -> vt100::Parser {
    vt100::Parser::new(rows.try_into().unwrap(), cols.try_into().unwrap(), 0)
}
