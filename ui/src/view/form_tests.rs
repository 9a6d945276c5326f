//! The injection form and what lies over it, cell by cell, at three sizes.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::tests::{SIZES, draw, press, text};
use crate::Glyphs;
use crate::model::Model;
use crate::msg::Msg;
use crate::sample::{busy, feed, showing};

/// Presses a letter with Ctrl.
pub(crate) fn ctrl(model: &mut Model, letter: char) {
    feed(model, Msg::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)));
}

fn check(name: &str, prepare: impl Fn(&mut Model)) {
    for size in SIZES {
        let mut model = showing(size, busy());
        prepare(&mut model);
        let buffer = draw(&model, "ansi16", Glyphs::Unicode);
        insta::assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), text(&buffer));
    }
}

#[test]
fn templates_are_saved_and_chosen() {
    let saved = |model: &mut Model| {
        for (name, command) in [("thumbs", "convert {n:04}.png"), ("backup", "./backup {}")] {
            press(model, "i");
            model.form = Default::default();
            press(model, command);
            ctrl(model, 's');
            press(model, name);
            press(model, "<enter><esc>");
        }
        press(model, "i");
    };
    check("template_save", |model| {
        press(model, "iecho {}");
        ctrl(model, 's');
        press(model, "night");
    });
    check("template_menu", |model| {
        saved(model);
        ctrl(model, 'o');
        press(model, "<down>");
    });
    let mut model = showing((80, 24), busy());
    saved(&mut model);
    ctrl(&mut model, 'o');
    press(&mut model, "<down><enter>");
    assert_eq!(model.form.command.text(), "convert {n:04}.png");
    ctrl(&mut model, 'o');
    press(&mut model, "a");
    assert_eq!(model.form.command.text(), "./backup {}");
    assert_eq!(model.kept.templates.len(), 2);
}
