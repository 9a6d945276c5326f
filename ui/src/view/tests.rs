//! Every screen and overlay as text, cell by cell, at three sizes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ganger_proto::Picture;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::link::Inbound;
use crate::msg::Msg;
use crate::sample::{busy, empty, feed, hear, hostile, pass, showing};
use crate::theme::Theme;

pub(crate) const SIZES: [(u16, u16); 3] = [(120, 36), (80, 24), (40, 10)];

pub(crate) fn draw(model: &Model, theme: &str, glyphs: Glyphs) -> Buffer {
    let (width, height) = model.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    view(model, &Theme::named(theme).unwrap(), glyphs, &mut buffer);
    buffer
}

pub(crate) fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut skip = 0;
        for x in 0..buffer.area.width {
            if skip == 0 {
                let symbol = buffer[(x, y)].symbol();
                out.push_str(symbol);
                skip = crate::text::width(symbol).max(1);
            }
            skip -= 1;
        }
        out.truncate(out.trim_end_matches(' ').len());
        out.push('\n');
    }
    out
}

/// Types keys: letters as they are, names in angle brackets.
pub(crate) fn press(model: &mut Model, keys: &str) {
    let mut rest = keys;
    while let Some(c) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|r| r.split_once('>'));
        let (code, after) = match named {
            Some((name, after)) => (key_code(name), after),
            None => (KeyCode::Char(c), &rest[c.len_utf8()..]),
        };
        feed(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)));
        rest = after;
    }
}

fn key_code(name: &str) -> KeyCode {
    match name {
        "tab" => KeyCode::Tab,
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "down" => KeyCode::Down,
        "up" => KeyCode::Up,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "end" => KeyCode::End,
        "home" => KeyCode::Home,
        "backspace" => KeyCode::Backspace,
        "pagedown" => KeyCode::PageDown,
        "f2" => KeyCode::F(2),
        "f5" => KeyCode::F(5),
        _ => panic!("no key is called {name}"),
    }
}

/// Compares a screen with its kept text at every size.
pub(crate) fn check(name: &str, picture: fn() -> Picture, keys: &str) {
    for size in SIZES {
        let mut model = showing(size, picture());
        // A list asks for rows once it is shown; the same picture answers.
        let (first, rest) = keys.split_at(keys.chars().next().map_or(0, char::len_utf8));
        let (first, rest) = if first == "<" { ("", keys) } else { (first, rest) };
        for keys in [first, rest] {
            press(&mut model, keys);
            hear(&mut model, Inbound::Picture(Box::new(picture())));
        }
        crate::update::tests::answer(&mut model);
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(&buffer));
    }
}

#[test]
fn overview() {
    check("overview", busy, "");
    check("overview_tasks", busy, "<tab>jj");
    check("overview_zoomed", busy, "<tab>z");
}

#[test]
fn screens() {
    check("tasks", busy, "2jj <down> ");
    check("results", busy, "3j");
    check("workers", busy, "4jj");
    check("log", busy, "5");
    check("log_scrolled", busy, "5kkk");
}

#[test]
fn welcome() {
    check("welcome", empty, "");
    check("tasks_empty", empty, "2");
    check("results_empty", empty, "3");
}

#[test]
fn filters() {
    check("filter_typed", busy, "2/state:failed kind:sh");
    check("filter_applied", busy, "2/state:failed|cancelled<enter>");
    check("filter_nothing", empty, "2/state:failed<enter>");
}

#[test]
fn forms() {
    check("inject_new", busy, "i");
    let range = "iconvert in/{n:04}.png -resize 50% out/{n:04}.png\
                 <up><right><right><tab><tab><end><backspace>500<tab>5";
    check("inject_range", busy, range);
    check("inject_error", busy, "iecho {n}<up><right><right><down><down>x");
    check("inject_list", busy, "iwc -l<up><right><tab><tab>one<enter>two<enter>three");
    check("quick", busy, "aecho hello");
}

#[test]
fn dialogs() {
    check("help", busy, "?");
    check("cancel", busy, "2c");
    check("revoke", busy, "4Xalp");
    check("join", busy, "J<enter>");
    check("details", busy, "2<enter>");
    check("sending", busy, "I");
}

#[test]
fn lost_and_refused() {
    for size in SIZES {
        let mut model = showing(size, busy());
        let reason = "timed out after 5s without a word from build01:7433".to_owned();
        hear(&mut model, Inbound::Lost { reason, tries: 4, retry_in_ms: 15_200 });
        pass(&mut model, 12_000);
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("lost_{}x{}", size.0, size.1), text(&buffer));
        let sentence = "this master refused the certificate `ada`: it was revoked 2 days ago; \
                        ask an operator for a new join line"
            .to_owned();
        hear(&mut model, Inbound::Refused { sentence });
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("refused_{}x{}", size.0, size.1), text(&buffer));
    }
}

#[test]
fn plain_and_colourless() {
    let model = showing((80, 24), busy());
    let buffer = draw(&model, "ansi16", Glyphs::Ascii);
    assert!(buffer.content.iter().all(|cell| cell.symbol().is_ascii()));
    insta::assert_snapshot!("overview_ascii", text(&buffer));
    let buffer = draw(&model, "mono", Glyphs::Unicode);
    let reset = ratatui::style::Color::Reset;
    assert!(buffer.content.iter().all(|cell| cell.fg == reset && cell.bg == reset));
    insta::assert_snapshot!("overview_mono", text(&buffer));
}

/// `NO_COLOR` makes crossterm write `ESC[;m`, which resets reverse too: the selected row would not
/// be seen. The mono theme writes no colours at all.
#[test]
fn the_selected_row_is_seen_without_colour() {
    use ratatui::backend::{Backend as _, CrosstermBackend};
    let mut model = showing((80, 24), busy());
    press(&mut model, "4j");
    hear(&mut model, Inbound::Picture(Box::new(busy())));
    let buffer = draw(&model, "mono", Glyphs::Unicode);
    let mut bytes = Vec::new();
    crossterm::style::force_color_output(false);
    let cells = Buffer::empty(buffer.area);
    CrosstermBackend::new(&mut bytes).draw(cells.diff(&buffer).into_iter()).unwrap();
    let mut terminal = vt100::Parser::new(24.try_into().unwrap(), 80.try_into().unwrap(), 0);
    terminal.process(&bytes);
    let row = (0..24).find(|y| terminal.screen().cell(*y, 1).unwrap().contents() == "▌").unwrap();
    assert!((1..79).all(|x| terminal.screen().cell(row, x).unwrap().inverse()));
    assert!(terminal.screen().contents_between(row, 0, row, 80).contains("bravo"));
}

#[test]
fn no_size_is_too_small() {
    let keys = [
        "",
        "<tab>",
        "z",
        "2",
        "2/x",
        "3",
        "4",
        "5",
        "?",
        "i",
        "ix<up><right><tab><tab>a",
        "J<enter>",
        "2c",
        "4X",
        "a",
        "2<enter>",
        ":",
        ":theme n",
        "?/state",
        "4<enter>j",
        "2w",
        "J<enter>",
    ];
    for (i, keys) in keys.iter().enumerate() {
        for columns in (1..=130u16).filter(|c| *c < 12 || (c + i as u16).is_multiple_of(7)) {
            for rows in (1..=40u16).filter(|r| *r < 8 || (r + i as u16).is_multiple_of(5)) {
                for picture in [busy, empty] {
                    let mut model = showing((columns, rows), picture());
                    press(&mut model, keys);
                    hear(&mut model, Inbound::Picture(Box::new(picture())));
                    crate::update::tests::answer(&mut model);
                    draw(&model, "ansi16", Glyphs::Unicode);
                }
            }
        }
    }
}

#[test]
fn hostile_text_never_reaches_a_cell() {
    for keys in ["", "<tab>", "2", "3", "4", "5", "2<enter>", "4<enter>", "2w"] {
        for size in SIZES {
            let mut model = showing(size, hostile());
            press(&mut model, keys);
            hear(&mut model, Inbound::Picture(Box::new(hostile())));
            let evil = "\u{1b}]0;x\u{7}\u{202e}abc\u{200b}".to_owned();
            feed(&mut model, Msg::Copied(Err(evil.clone())));
            feed(&mut model, Msg::Paste(evil));
            let buffer = draw(&model, "ansi16", Glyphs::Unicode);
            for cell in &buffer.content {
                assert_eq!(cell.symbol(), crate::text::clean(cell.symbol()), "{keys}");
            }
        }
    }
}

#[test]
fn pasted_hostile_text_is_shown_harmless() {
    let mut model = showing((120, 36), busy());
    press(&mut model, "i");
    let evil = "echo \u{202e}\u{200b}\u{1b}[31m\u{9b}2J x\nsecond \u{2066} line";
    feed(&mut model, Msg::Paste(evil.to_owned()));
    let buffer = draw(&model, "ansi16", Glyphs::Unicode);
    for cell in &buffer.content {
        assert_eq!(cell.symbol(), crate::text::clean(cell.symbol()));
    }
}
