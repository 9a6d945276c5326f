//! Menus: a letter chooses at once, Enter what is under the cursor.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{inject, lists};
use crate::model::Model;
use crate::model::menu::{Menu, MenuThen};
use crate::model::overlay::Overlay;
use crate::msg::Effect;

/// Opens a menu with the cursor on what holds at present.
pub(super) fn open(model: &mut Model, mut menu: Menu) {
    menu.cursor = menu.items.iter().position(|item| item.marked).unwrap_or(0);
    model.overlays.push(Overlay::Menu(Box::new(menu)));
}

/// A letter that no key of menus has: the item it stands before.
pub(super) fn typed(model: &mut Model, key: KeyEvent, out: &mut Vec<Effect>) {
    let Some(Overlay::Menu(menu)) = model.overlays.last_mut() else { return };
    if let (KeyCode::Char(letter), KeyModifiers::NONE | KeyModifiers::SHIFT) =
        (key.code, key.modifiers)
        && menu.find(letter)
    {
        accept(model, out);
    }
}

/// Puts the cursor of the menu that is open on an item.
pub(super) fn put_cursor(model: &mut Model, at: usize) {
    if let Some(Overlay::Menu(menu)) = model.overlays.last_mut() {
        menu.cursor = at.min(menu.items.len().saturating_sub(1));
    }
}

pub(super) fn accept(model: &mut Model, out: &mut Vec<Effect>) {
    let Some(Overlay::Menu(menu)) = model.overlays.last() else { return };
    let Some(chosen) = menu.chosen().cloned() else { return };
    let (then, at) = (menu.then, menu.cursor);
    model.overlays.pop();
    match then {
        MenuThen::Template => inject::load(model, &chosen.text),
        MenuThen::Sort => lists::sort_chosen(model, chosen.key),
        MenuThen::Columns => lists::column_chosen(model, at, &chosen.text),
        MenuThen::Saved => lists::saved_chosen(model, &chosen),
        MenuThen::Forget => lists::forget(model, &chosen.text),
        MenuThen::Copy => out.push(Effect::Copy(chosen.note)),
    }
}
