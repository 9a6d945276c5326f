//! The screen in a pseudo-terminal: keys in, cells out.

use portable_pty::CommandBuilder;
use rustix::process::Signal;

use crate::pty::{Terminal, environment, screen};
use crate::rig::{GANGER, Rig, wait_for};

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

#[test]
fn a_stopped_screen_is_the_shells_and_comes_back_with_fg() {
    let rig = Rig::bare();
    let mut command = CommandBuilder::new("sh");
    command.arg("-i");
    environment(&mut command, rig.home.path());
    command.env("PS1", "shell> ");
    command.env_remove("ENV");
    let mut shell = Terminal::run(command, 30, 100);
    shell.wait("shell>");
    shell.press(&format!("{GANGER}\n"));
    shell.wait("? help");
    shell.assert_taken();
    // The first key to be lost would be the one after the terminal changed hands.
    for _ in 0..2 {
        let before = shell.bytes().len();
        shell.press("\u{1a}");
        shell.wait_bytes(before, "shell>");
        wait_for("the shell's terminal", || shell.is_cooked().then_some(()));
        let before = shell.bytes().len();
        shell.press("echo 'still' here\n");
        shell.wait_bytes(before, "still here");
        shell.press("fg\n");
        shell.wait("? help");
        wait_for("the screen's terminal", || (!shell.is_cooked()).then_some(()));
        shell.assert_taken();
        shell.press("?");
        shell.wait("─ Help");
        shell.press("\u{1b}");
        wait_for("the help to close", || (!shell.text().contains("─ Help")).then_some(()));
    }
    let before = shell.bytes().len();
    shell.press("q");
    shell.wait_bytes(before, "the master keeps running");
    shell.wait_bytes(before, "shell>");
    wait_for("the shell's terminal", || shell.is_cooked().then_some(()));
}

#[test]
fn signals_that_end_the_screen_give_the_terminal_back() {
    let rig = Rig::bare();
    for signal in [Signal::TERM, Signal::HUP] {
        let mut screen = Terminal::open(rig.home.path(), 24, 80);
        screen.wait("? help");
        screen.assert_taken();
        screen.signal(signal);
        assert_eq!(screen.ended(), 0, "{signal:?}");
        wait_for("the terminal", || screen.is_cooked().then_some(()));
        screen.assert_given_back();
    }
    let mut screen = Terminal::open(rig.home.path(), 24, 80);
    screen.wait("? help");
    screen.press("q");
    screen.wait_bytes(0, "the master keeps running");
    assert_eq!(screen.ended(), 0);
    screen.assert_given_back();
    assert_eq!(rig.ganger(&["status"]).code, 0);
}

#[test]
fn a_storm_of_sizes_ends_at_the_right_layout() {
    let rig = Rig::with_worker();
    let mut screen = Terminal::open(rig.home.path(), 100, 300);
    screen.wait("? help");
    rig.ok(&["submit", "--kind", "square", "--range", "1..200000"]);
    let mut draws = fastrand::Rng::with_seed(11);
    for round in 0..200 {
        let (rows, cols) = match round % 10 {
            0 => (1, 1),
            5 => (100, 300),
            _ => (draws.u16(1..=100), draws.u16(1..=300)),
        };
        screen.resize_unseen(rows, cols);
        if round % 20 == 0 {
            screen.press(["1", "2", "3", "4", "5"][round / 20 % 5]);
        }
        // Some sizes last, most are gone before they are drawn.
        if round % 7 == 0 {
            let before = screen.bytes().len();
            wait_for("a frame", || (screen.bytes().len() > before).then_some(()));
        }
    }
    screen.press("1");
    screen.resize(36, 120);
    screen.wait("Throughput");
    wait_for("the whole layout", || {
        let text = screen.text();
        let lines: Vec<&str> = text.lines().collect();
        let fits = lines.len() == 36
            && lines[0].starts_with(" ◆ ganger")
            && lines[35].trim_end().ends_with("? help")
            && lines[2].chars().filter(|c| "╭╮".contains(*c)).count() == 4;
        fits.then_some(())
    });
    screen.press("q");
    assert_eq!(screen.ended(), 0);
}

/// A terminal that takes nothing for a while must not be paid back with what it missed: the link
/// keeps the newest picture only.
#[test]
fn a_stopped_screen_catches_up_with_one_picture() {
    let rig = Rig::with_worker();
    let screen = Terminal::open(rig.home.path(), 36, 120);
    screen.wait("? help");
    rig.ok(&["submit", "--kind", "square", "--range", "1..20000"]);
    screen.wait(" * ");
    screen.signal(Signal::STOP);
    wait_for("the work's end", || (rig.count("done") == 20_000).then_some(()));
    pause(3_000);
    let before = screen.bytes().len();
    screen.signal(Signal::CONT);
    screen.wait("3 Results 20.0k");
    let frames = || {
        let bytes = screen.bytes();
        String::from_utf8_lossy(&bytes[before..]).matches("\u{1b}[?2026h").count()
    };
    let until = frames();
    assert!(until <= 8, "{until} frames until the newest picture");
    pause(2_000);
    // Clocks and ages go on, once a second.
    let after = frames() - until;
    assert!(after <= 8, "{after} frames in two seconds without news");
}

#[test]
fn the_mouse_works_in_a_real_terminal() {
    let rig = Rig::bare();
    let mut screen = Terminal::open(rig.home.path(), 24, 80);
    screen.wait("? help");
    rig.ok(&["submit", "--", "echo", "hi"]);
    screen.wait("2 Tasks");
    let column = screen.text().lines().nth(1).unwrap().find("2 Tasks").unwrap() + 2;
    screen.press(&format!("\u{1b}[<0;{column};2M\u{1b}[<0;{column};2m"));
    screen.wait("echo hi");
    let before = screen.bytes().len();
    screen.press("%");
    screen.wait("the terminal selects text");
    screen.wait_bytes(before, "\u{1b}[?1000l");
    screen.press("%");
    screen.wait_bytes(before, "\u{1b}[?1000h");
}

#[test]
fn who_looks_elsewhere_is_called_and_the_title_tells() {
    let rig = Rig::with_worker();
    let settings = rig.home.path().join("ganger.toml");
    std::fs::write(settings, "[screen]\nnotify = \"osc\"\n").unwrap();
    let mut screen = Terminal::open(rig.home.path(), 24, 80);
    screen.wait("? help");
    // The terminal says that it lost the focus.
    screen.press("\u{1b}[O");
    rig.ok(&["submit", "--", "sleep", "30"]);
    screen.wait_bytes(0, "\u{1b}]2;ganger · 1 running\u{1b}\\");
    rig.ok(&["submit", "--", "false"]);
    screen.wait_bytes(0, "\u{1b}]9;ganger: a task failed, 1 task is still open\u{1b}\\");
}

#[test]
fn a_bad_setting_is_told_before_the_screen_opens() {
    let rig = Rig::bare();
    let settings = rig.home.path().join("ganger.toml");
    std::fs::write(settings, "\n[screen]\nnotify = \"horn\"\n").unwrap();
    let mut screen = Terminal::run(screen(rig.home.path()), 24, 80);
    assert_eq!(screen.ended(), 2);
    wait_for("the sentence", || screen.text().contains("line 3").then_some(()));
    assert!(!String::from_utf8_lossy(&screen.bytes()).contains("\u{1b}[?1049h"));
}

#[expect(clippy::disallowed_methods, reason = "that nothing happens takes time to see")]
fn pause(ms: u64) {
    std::thread::sleep(std::time::Duration::from_millis(ms));
}
