//! Lists as people use them: filters, sorts, marks, columns, menus and questions, at three sizes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ganger_proto::Picture;
use ganger_proto::picture::Search;

use super::tests::{SIZES, draw, press, text};
use crate::Glyphs;
use crate::link::Inbound;
use crate::msg::Msg;
use crate::sample::{busy, empty, feed, hear, showing};

/// A list whose master has answered after every key.
fn check(name: &str, picture: fn() -> Picture, keys: &[&str]) {
    for size in SIZES {
        let mut model = showing(size, picture());
        for keys in keys {
            match *keys {
                "<ctrl-s>" => {
                    let key = KeyEvent::new(KeyCode::Char('s'), KeyModifiers::CONTROL);
                    feed(&mut model, Msg::Key(key));
                }
                "<answer>" => crate::update::tests::answer(&mut model),
                keys => press(&mut model, keys),
            }
            hear(&mut model, Inbound::Picture(Box::new(picture())));
        }
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(&buffer));
    }
}

fn searching() -> Picture {
    let mut picture = busy();
    let window = picture.tasks.as_mut().unwrap();
    (window.total, window.search) = (37, Search::Running { permille: 432 });
    picture
}

fn refused() -> Picture {
    let mut picture = busy();
    let why = "sorting 12 431 000 tasks by priority needs a filter that leaves at most 1 000 000";
    picture.tasks.as_mut().unwrap().search = Search::Refused(why.to_owned());
    picture
}

fn nothing() -> Picture {
    let mut picture = busy();
    let window = picture.tasks.as_mut().unwrap();
    (window.total, window.rows) = (0, Vec::new());
    picture
}

#[test]
fn filters_while_typed() {
    check("list_filter_error", busy, &["2", "/state:failed kind:sx"]);
    check("list_filter_offers", busy, &["2", "/state:failed -worker:", "<tab>", "<tab>"]);
    check("list_filter_empty", busy, &["2", "/"]);
}

#[test]
fn filters_that_hold() {
    check("list_chips", busy, &["2", "/state:failed|cancelled -kind:exec batch:b812<enter>"]);
    check("list_searching", searching, &["2", "/kind:exec<enter>"]);
    check("list_refused", refused, &["2", "s", "p"]);
    check("list_filter_nothing", nothing, &["2", "/kind:exec<enter>"]);
    check("list_state", busy, &["3", "."]);
}

#[test]
fn sorts_and_columns() {
    check("list_sort_menu", busy, &["2", "st", "s"]);
    check("list_sorted", busy, &["2", "sf", "S"]);
    check("list_results_sorted", busy, &["3", "so", "j"]);
    check("list_columns", busy, &["2", "C<down><enter><down><enter>"]);
    check(
        "list_saved",
        busy,
        &["2", "/state:failed<enter>", "<ctrl-s>", "sred<enter>", "<ctrl-s>"],
    );
}

#[test]
fn marks_and_what_is_done_to_them() {
    check("list_all_marked", busy, &["2", "A"]);
    check("list_all_but_marked", busy, &["2", "  ", "*"]);
    check("list_cancel_counting", busy, &["2", "Ac"]);
    check("list_cancel_counted", busy, &["2", "/kind:exec<enter>", "Ac", "<answer>"]);
    check("list_delete_counted", busy, &["3", "Ad", "<answer>"]);
    check("list_priority_of_all", busy, &["2", "A+12"]);
    check("list_copy", busy, &["2", "jjy"]);
    check("list_empty_sort", empty, &["2", "s"]);
}

#[test]
fn no_size_is_too_small_for_lists() {
    let keys = [
        "2/state:failed|done -kind:x",
        "2/kind:exec batch:b1<enter>A",
        "2s",
        "2C",
        "2y",
        "3sA",
        "2A+",
        "2Ac",
        "3Ad",
    ];
    for (i, keys) in keys.iter().enumerate() {
        for columns in (1..=130u16).filter(|c| *c < 12 || (c + i as u16).is_multiple_of(9)) {
            for rows in (1..=40u16).filter(|r| *r < 8 || (r + i as u16).is_multiple_of(7)) {
                for picture in [busy, refused, nothing] {
                    let mut model = showing((columns, rows), picture());
                    press(&mut model, keys);
                    hear(&mut model, Inbound::Picture(Box::new(picture())));
                    draw(&model, "ansi16", Glyphs::Unicode);
                }
            }
        }
    }
}

#[test]
fn lists_are_plain_and_colourless() {
    for keys in ["2sp", "2s", "2/state:failed -kind:exec<enter>A", "2/kind:x", "3y", "2C"] {
        let mut model = showing((80, 24), refused());
        press(&mut model, keys);
        hear(&mut model, Inbound::Picture(Box::new(refused())));
        let buffer = draw(&model, "ansi16", Glyphs::Ascii);
        for cell in &buffer.content {
            assert!(cell.symbol().is_ascii(), "{keys}: {}", cell.symbol());
        }
        let buffer = draw(&model, "mono", Glyphs::Unicode);
        let reset = ratatui::style::Color::Reset;
        assert!(buffer.content.iter().all(|cell| cell.fg == reset && cell.bg == reset));
    }
}
