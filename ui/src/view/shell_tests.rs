//! The palette, the help and what custom keys and read-only screens look like, cell by cell.

use ratatui::layout::Rect;

use super::tests::{check, draw, press, text};
use super::*;
use crate::keymap::{CustomKey, Keymap};
use crate::model::Access;
use crate::sample::{busy, showing};

#[test]
fn palettes() {
    check("palette", busy, ":");
    check("palette_typed", busy, "2:ret");
    check("palette_about", busy, "2:clipboard");
    check("palette_nothing", busy, ":zzzz");
    check("palette_theme", busy, ":theme <down><down>");
    check("palette_worker", busy, "4:drain ");
    check("palette_filter", busy, "2:cancel state:d");
    check("palette_error", busy, "2:cancel sate:done<enter>");
    check("palette_recent", busy, ":theme nord<enter>:goto 60498<enter><esc>:<up><up>");
}

#[test]
fn helps() {
    check("help_list", busy, "2?");
    check("help_scrolled", busy, "2?<pagedown><pagedown>");
    check("help_search", busy, "2?/retry");
    check("help_search_nothing", busy, "?/xylophone");
}

#[test]
fn own_keys_are_shown_wherever_keys_are() {
    let key = |place: &str, action: &str, chord: &str| CustomKey {
        place: place.to_owned(),
        action: action.to_owned(),
        chords: vec![chord.to_owned()],
        line: 1,
    };
    let keys = [key("list", "retry", "ctrl-r"), key("screen", "help", "f9")];
    for (name, keys_typed) in
        [("footer", "2"), ("palette", "2:retry"), ("help", "2:help<enter>/own key")]
    {
        let mut model = showing((120, 36), busy());
        model.keymap = Keymap::with(&keys).unwrap();
        press(&mut model, keys_typed);
        let drawn = text(&draw(&model, "ansi16", Glyphs::Unicode));
        assert!(drawn.contains("Ctrl-R"), "{name}: {drawn}");
        assert!(name != "footer" || drawn.contains("F9 help"), "{drawn}");
    }
}

#[test]
fn a_read_only_screen_says_so() {
    let mut model = showing((120, 36), busy());
    model.access = Access::ReadOnly;
    press(&mut model, "4");
    let drawn = text(&draw(&model, "ansi16", Glyphs::Unicode));
    assert!(drawn.contains("read-only · nothing can be changed"), "{drawn}");
    press(&mut model, "D");
    let drawn = text(&draw(&model, "ansi16", Glyphs::Unicode));
    assert!(drawn.contains("this screen is read-only (--read-only)"), "{drawn}");
    press(&mut model, ":revoke");
    let drawn = text(&draw(&model, "ansi16", Glyphs::Unicode));
    assert!(drawn.matches("this screen is read-only").count() >= 2, "{drawn}");
}

/// Every theme is legible: no role has the colour of its own ground.
#[test]
fn text_has_not_the_colour_of_its_ground() {
    for name in Theme::names() {
        for keys in ["", "2jj ", ":", "?", "i"] {
            let mut model = showing((120, 36), busy());
            press(&mut model, keys);
            let buffer = draw(&model, name, Glyphs::Unicode);
            for position in Rect::new(0, 0, 120, 36).positions() {
                let cell = &buffer[position];
                let seen =
                    cell.symbol() == " " || cell.fg != cell.bg || cell.fg == Default::default();
                assert!(seen, "{name} {keys}: {position:?} {cell:?}");
            }
        }
    }
}
