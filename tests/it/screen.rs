//! The screen in a pseudo-terminal: keys in, cells out.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::rig::{GANGER, Rig, wait_for};

/// A screen that runs in a pseudo-terminal.
pub struct Terminal {
    parser: Arc<Mutex<vt100::Parser>>,
    keys: Box<dyn Write + Send>,
    pub child: Box<dyn portable_pty::Child + Send + Sync>,
}

impl Terminal {
    pub fn open(home: &std::path::Path, rows: u16, cols: u16) -> Self {
        Self::open_with(home, (rows, cols), &[])
    }

    pub fn open_with(home: &std::path::Path, (rows, cols): (u16, u16), args: &[&str]) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let mut command = CommandBuilder::new(GANGER);
        command.args(args);
        command.env("GANGER_HOME", home);
        command.env("TERM", "xterm-256color");
        command.env("LC_ALL", "C.UTF-8");
        let child = pair.slave.spawn_command(command).unwrap();
        let parser = Arc::new(Mutex::new(vt100::Parser::new(
            rows.try_into().unwrap(),
            cols.try_into().unwrap(),
            0,
        )));
        let mut from = pair.master.try_clone_reader().unwrap();
        let to = parser.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count) = from.read(&mut bytes) {
                if count == 0 {
                    break;
                }
                to.lock().unwrap().process(&bytes[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        // The master end must stay open as long as the screen runs.
        std::mem::forget(pair.master);
        Self { parser, keys, child }
    }

    pub fn text(&self) -> String {
        self.parser.lock().unwrap().screen().contents()
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn wait(&self, text: &str) {
        wait_for(&format!("{text:?} on the screen"), || self.text().contains(text).then_some(()));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn ten_random_numbers_go_in_and_ten_squares_come_back() {
    let rig = Rig::with_worker();
    let mut screen = Terminal::open(rig.home.path(), 36, 120);
    screen.wait("? help");
    screen.press("I");
    wait_for("ten results", || (rig.count("done") == 10).then_some(()));
    screen.wait(" * ");
    let text = screen.text();
    assert!(text.contains("Results") && text.contains(" = "), "{text}");
    screen.press("2");
    screen.wait("1–10 of 10");
    screen.press("?");
    screen.wait("here: Everywhere");
    screen.press("\u{1b}");
    let is_closed = || (!screen.text().contains("here: Everywhere")).then_some(());
    wait_for("the help to close", is_closed);
    // The first steps back to the overview, the second leaves.
    screen.press("q");
    screen.wait("Throughput");
    screen.press("q");
    wait_for("the screen's end", || screen.child.try_wait().unwrap());
    assert_eq!(rig.ganger(&["status"]).code, 0, "leaving the screen leaves the master");
}

#[test]
fn the_screen_starts_a_master_and_shows_how_to_join() {
    let home = tempfile::TempDir::new().unwrap();
    let screen = Terminal::open(home.path(), 24, 80);
    screen.wait("? help");
    screen.wait("ganger-worker join");
    let mut stop = std::process::Command::new(GANGER);
    stop.args(["stop", "--now"]).env("GANGER_HOME", home.path());
    assert_eq!(crate::rig::run(stop, b"").code, 0);
}

#[test]
fn a_lost_master_is_said_and_found_again() {
    let mut rig = Rig::with_worker();
    let screen = Terminal::open(rig.home.path(), 36, 120);
    screen.wait("? help");
    rig.kill_master();
    screen.wait("lost");
    rig.start_master();
    wait_for("the connection", || (!screen.text().contains("lost")).then_some(()));
    rig.ok(&["submit", "--kind", "square", "--range", "1..3", "--wait"]);
    screen.wait("3 * 3 = 9");
}
