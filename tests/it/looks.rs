//! The screen's settings: what `ganger.toml`, flags and earlier runs say about keys and colours.

use std::fs;

use crate::pty::Terminal;
use crate::rig::{Rig, wait_for};

/// The file the person wrote is named with its line, and no master is started for it.
#[test]
fn a_mistake_in_the_settings_is_told_before_anything_is_started() {
    let check = |toml: &str, args: &[&str], expected: &str| {
        let home = tempfile::TempDir::new().unwrap();
        fs::write(home.path().join("ganger.toml"), toml).unwrap();
        let mut screen = Terminal::open_with(home.path(), (24, 200), args);
        let ended = wait_for("the screen's end", || screen.child.try_wait().unwrap());
        screen.wait(expected);
        assert_eq!(ended.exit_code(), 2, "{}", screen.text());
        assert!(!home.path().join("master.json").exists(), "no master runs");
    };
    check("[keys.list]\n\nretry = [\"c\"]\n", &[], "line 3 of ");
    check("[keys.list]\nretyr = [\"r\"]\n", &[], "`retyr` is not an action of [keys.list]");
    check("[screen]\ntheme = \"nrod\"\n", &[], "there is no theme `nrod`");
    check("", &["--theme", "nrod"], "--theme: there is no theme `nrod`");
}

#[test]
fn what_was_chosen_is_there_in_the_next_run() {
    let rig = Rig::with_worker();
    let kept = rig.home.path().join("screen.toml");
    let toml = "[keys.screen]\nhelp = [\"f9\"]\n";
    fs::write(rig.home.path().join("ganger.toml"), toml).unwrap();
    let mut screen = Terminal::open(rig.home.path(), 36, 120);
    screen.wait("commands");
    screen.press(":theme nord\r");
    wait_for("the choice on the disk", || {
        fs::read_to_string(&kept).ok().filter(|text| text.contains("theme = \"nord\""))
    });
    screen.press("q");
    wait_for("the screen's end", || screen.child.try_wait().unwrap());
    let mut screen = Terminal::open_with(rig.home.path(), (36, 120), &["--read-only"]);
    screen.wait("commands");
    screen.press(":\u{1b}[A");
    screen.wait("in use");
    screen.press("\u{1b}");
    // An Esc with a letter right behind it would be Alt with that letter.
    wait_for("the palette to close", || (!screen.text().contains("Enter run")).then_some(()));
    screen.press("I");
    screen.wait("this screen is read-only");
    fs::write(&kept, "theme = 5").unwrap();
    screen.press("q");
    wait_for("the screen's end", || screen.child.try_wait().unwrap());
    let screen = Terminal::open(rig.home.path(), 36, 160);
    screen.wait("it is now");
    assert!(kept.with_extension("toml.bad").exists());
}
