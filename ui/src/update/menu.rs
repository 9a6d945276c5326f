//! Menus: a letter chooses at once, Enter what is under the cursor.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::inject;
use crate::model::Model;
use crate::model::menu::{Item, Menu, MenuThen};
use crate::model::overlay::Overlay;

/// Opens a menu with the cursor on what holds at present.
pub(super) fn open(model: &mut Model, mut menu: Menu) {
    menu.cursor = menu.items.iter().position(|item| item.marked).unwrap_or(0);
    model.overlays.push(Overlay::Menu(Box::new(menu)));
}

/// A letter that no key of menus has: the item it stands before.
pub(super) fn typed(model: &mut Model, key: KeyEvent) {
    let Some(Overlay::Menu(menu)) = model.overlays.last_mut() else { return };
    if let (KeyCode::Char(letter), KeyModifiers::NONE | KeyModifiers::SHIFT) =
        (key.code, key.modifiers)
        && menu.find(letter)
    {
        accept(model);
    }
}

pub(super) fn accept(model: &mut Model) {
    let Some(Overlay::Menu(menu)) = model.overlays.last() else { return };
    let Some(Item { text, .. }) = menu.chosen().cloned() else { return };
    let then = menu.then;
    model.overlays.pop();
    match then {
        MenuThen::Template => inject::load(model, &text),
    }
}
